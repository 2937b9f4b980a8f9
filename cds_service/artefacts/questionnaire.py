"""The structured history as a FHIR R4 Questionnaire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cds_service.clinical.knowledge import Knowledge
from cds_service.knowledge.codes import LOCAL_SYSTEM, SYSTEMS

Json = dict[str, Any]
Spec = Mapping[str, Any]
ADDRESS = "/Questionnaire/twitch-history"
# Without an address of our own the resource still needs one; example.org belongs to nobody.
NOWHERE = "https://example.org/fhir"
_SYSTEMS = {**SYSTEMS, "data-absent-reason": "http://terminology.hl7.org/CodeSystem/data-absent-reason"}
_FHIR = "http://hl7.org/fhir/StructureDefinition/"
_EXTRACT = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-observationExtract"


def items(spec: Spec) -> Mapping[str, Spec]:
    """The questions by their id, in the order of the content."""
    return {item["id"]: item for item in spec["items"]}


def is_flag(value: Any) -> bool:
    """``yes`` stays text in content."""
    return str(value) in ("yes", "True", "true")


# ---------------------------------------------------------------- options


def options(item: Spec, knowledge: Knowledge) -> list[Json]:
    """What can be chosen: value, label, whether it excludes the others, and its coding."""
    listed = [
        {
            "value": str(option["value"]),
            "label": str(option["label"]),
            "exclusive": is_flag(option.get("exclusive", "no")),
            "coding": _coding(option),
        }
        for option in item.get("options", ())
    ]
    if item.get("options_from") == "drug-classes":
        listed += [
            {"value": c.id, "label": c.title, "exclusive": False, "coding": local_coding(c.id, c.title)}
            for c in knowledge.drug_classes.values()
            if c.causal
        ]
    if item["type"] == "boolean":
        listed = [{"value": v, "label": v.capitalize(), "exclusive": False, "coding": {}} for v in ("yes", "no")]
    return listed


def _coding(option: Spec) -> Json:
    """A public code with the words of its system, or a local one, marked as local by its system."""
    if "code" not in option:
        return local_coding(str(option["value"]), str(option["label"]))
    system, code, *words = str(option["code"]).split(" ", 2)
    coding = {"system": _SYSTEMS[system], "code": code}
    return coding | ({"display": words[0]} if words else {})


def local_coding(code: str, display: str) -> Json:
    """A code of our own system, for what no public one has."""
    return {"system": LOCAL_SYSTEM, "code": code, "display": display}


# ---------------------------------------------------------------- the Questionnaire


def questionnaire(spec: Spec, knowledge: Knowledge, base: str) -> Json:
    """The form as a FHIR R4 resource. ``base``: the public address of this service, empty when it has none."""
    by_id = items(spec)
    return {
        "resourceType": "Questionnaire",
        "id": spec["id"],
        "url": f"{base or NOWHERE}{ADDRESS}",
        "version": knowledge.version,
        "name": "TwitchHistory",
        "title": spec["title"],
        "status": "draft",
        "experimental": True,
        "subjectType": ["Patient"],
        "purpose": spec["purpose"],
        "description": f"{spec['misuse']} Draft content, not clinically approved.",
        "item": [
            {
                "linkId": f"group.{group['id']}",
                "type": "group",
                "text": group["title"],
                "item": [_item(item, by_id, knowledge) for item in by_id.values() if item["group"] == group["id"]],
            }
            for group in spec["groups"]
        ],
    }


def _item(item: Spec, by_id: Mapping[str, Spec], knowledge: Knowledge) -> Json:
    result: Json = {"linkId": item["id"], "text": item["text"], "type": item["type"]}
    extensions = list(_extensions(item))
    if extensions:
        result["extension"] = extensions
    if item.get("sets") or item.get("feeds"):
        # An Observation that is extracted from an answer needs a code; ours is the linkId, marked as local.
        result["code"] = [local_coding(item["id"], item["text"])]
    if is_flag(item.get("repeats", "no")):
        result["repeats"] = True
    conditions = [c for shown in item.get("shown_when", ()) for c in _enable_when(shown, by_id)]
    if conditions:
        result["enableWhen"] = conditions
        result["enableBehavior"] = "any"
    if item["type"] in ("choice", "open-choice"):
        result["answerOption"] = [_answer_option(option) for option in options(item, knowledge)]
    return result


def _extensions(item: Spec) -> Iterator[Json]:
    if item.get("sets") or item.get("feeds"):
        yield {"url": _EXTRACT, "valueBoolean": True}
    for bound, name in (("min", "minValue"), ("max", "maxValue")):
        if bound in item:
            kind = "valueInteger" if item["type"] == "integer" else "valueDecimal"
            yield {"url": f"{_FHIR}{name}", kind: int(item[bound])}
    if "unit" in item:
        coding = {"system": "http://unitsofmeasure.org", "code": str(item["unit"]).replace("day", "d")}
        yield {"url": f"{_FHIR}questionnaire-unit", "valueCoding": coding}
    if item["asked_of"] == "clinician":
        yield {"url": f"{_FHIR}designNote", "valueMarkdown": "For the clinician only; not part of a patient's form."}


def _answer_option(option: Json) -> Json:
    result: Json = {"valueCoding": option["coding"]}
    if option["exclusive"]:
        result["extension"] = [{"url": f"{_FHIR}questionnaire-optionExclusive", "valueBoolean": True}]
    return result


def _enable_when(shown: Spec, by_id: Mapping[str, Spec]) -> Iterator[Json]:
    asked = by_id[shown["answer"]]
    codings = {str(option["value"]): _coding(option) for option in asked.get("options", ())}
    for word, operator in (("is", "="), ("lacks", "!=")):
        for value in shown.get(word, ()):
            coding = {k: v for k, v in codings[str(value)].items() if k != "display"}
            yield {"question": asked["id"], "operator": operator, "answerCoding": coding}
