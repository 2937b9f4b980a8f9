"""The structured history as a FHIR R4 Questionnaire, and answers to it as QuestionnaireResponse and Observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cds_service.clinical.knowledge import Knowledge
from cds_service.clinical.spans import Span
from cds_service.errors import Fault, RequestError
from cds_service.knowledge.codes import LOCAL_SYSTEM
from cds_service.knowledge.files import folder, read_yaml

Json = dict[str, Any]
Spec = Mapping[str, Any]
Answers = Mapping[str, list[Any]]
ADDRESS = "/Questionnaire/twitch-history"
# Without an address of our own the resource still needs one; example.org belongs to nobody.
NOWHERE = "https://example.org/fhir"
LONGEST_TEXT = 1000
_SYSTEMS = {
    "snomed": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "data-absent-reason": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
}
_FHIR = "http://hl7.org/fhir/StructureDefinition/"
_EXTRACT = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-observationExtract"
_SURVEY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}


@cache
def history(content: Path | None) -> Spec:
    """structured-history.yaml as it is written; it was checked when the service started."""
    spec: Spec = read_yaml((content or folder("cards")) / "structured-history.yaml")
    return spec


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
            {"value": c.id, "label": c.title, "exclusive": False, "coding": _local(c.id, c.title)}
            for c in knowledge.drug_classes.values()
            if c.causal
        ]
    if item["type"] == "boolean":
        listed = [{"value": v, "label": v.capitalize(), "exclusive": False, "coding": {}} for v in ("yes", "no")]
    return listed


def _coding(option: Spec) -> Json:
    """A public code with the words of its system, or a local one, marked as local by its system."""
    if "code" not in option:
        return _local(str(option["value"]), str(option["label"]))
    system, code, *words = str(option["code"]).split(" ", 2)
    coding = {"system": _SYSTEMS[system], "code": code}
    return coding | ({"display": words[0]} if words else {})


def _local(code: str, display: str) -> Json:
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
        result["code"] = [_local(item["id"], item["text"])]
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


def enabled(item: Spec, answers: Answers) -> bool:
    """Whether the answers given so far open this item."""
    conditions = item.get("shown_when", ())
    return not conditions or any(_holds(condition, answers) for condition in conditions)


def _holds(condition: Spec, answers: Answers) -> bool:
    given = {str(value) for value in answers.get(condition["answer"], ())}
    if "is" in condition:
        return bool(given & set(map(str, condition["is"])))
    return bool(given) and not given & set(map(str, condition["lacks"]))


# ---------------------------------------------------------------- answers


def read_answers(given: Any, spec: Spec, knowledge: Knowledge) -> dict[str, list[Any]]:
    """Answers by linkId, of items that they open themselves. Raises RequestError naming what is no answer."""
    if not isinstance(given, dict):
        raise RequestError(400, Fault("answers", "is not an object", "send answers by linkId"))
    faults, by_id = [], items(spec)
    kept: dict[str, list[Any]] = {}
    for link, item in by_id.items():
        values = given.get(link)
        if values is None or values == []:
            continue
        if not isinstance(values, list) or len(values) > 60 or not all(_fits(v, item, knowledge) for v in values):
            faults.append(Fault(f"answers.{link}", "is no answer to this question", "choose from its options"))
        elif len(values) > 1 and not is_flag(item.get("repeats", "no")):
            faults.append(Fault(f"answers.{link}", "has more than one answer", "send one"))
        elif enabled(item, kept) or _opened_later(item, given):
            kept[link] = values
    if set(given) - {*by_id}:
        faults.append(Fault("answers", "has a linkId that is no question", "see the Questionnaire"))
    if faults:
        raise RequestError(400, *faults)
    return {link: values for link, values in kept.items() if enabled(by_id[link], kept)}


def _opened_later(item: Spec, given: Spec) -> bool:
    """Items of the examination are opened by questions that stand further down."""
    return any(isinstance(given.get(c["answer"]), list) and _holds(c, given) for c in item.get("shown_when", ()))


def _fits(value: Any, item: Spec, knowledge: Knowledge) -> bool:
    kind = item["type"]
    if kind in ("integer", "decimal"):
        if isinstance(value, bool) or not isinstance(value, int if kind == "integer" else (int, float)):
            return False
        return float(item.get("min", 0)) <= value <= float(item.get("max", 1e6))
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT:
        return False
    if kind in ("date", "dateTime"):
        return Span.parse(value) is not None
    return kind == "open-choice" or value in {option["value"] for option in options(item, knowledge)}


def response(answers: Answers, spec: Spec, knowledge: Knowledge, patient: str, day: str, base: str) -> Json:
    """The answers as a QuestionnaireResponse, authored by the clinician who asked."""
    by_id = items(spec)
    groups = []
    for group in spec["groups"]:
        said = [
            {"linkId": link, "text": by_id[link]["text"], "answer": [_value(v, by_id[link], knowledge) for v in values]}
            for link, values in answers.items()
            if by_id[link]["group"] == group["id"]
        ]
        if said:
            groups.append({"linkId": f"group.{group['id']}", "text": group["title"], "item": said})
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "history-form",
        "questionnaire": f"{base or NOWHERE}{ADDRESS}|{knowledge.version}",
        "status": "completed",
        "subject": {"reference": f"Patient/{patient}"},
        "authored": day,
        "author": {"reference": "Practitioner/workbench"},
        **({"item": groups} if groups else {}),
    }


def _value(value: Any, item: Spec, knowledge: Knowledge) -> Json:
    kind = item["type"]
    if kind in ("integer", "decimal"):
        return {"valueInteger" if kind == "integer" else "valueDecimal": value}
    if kind in ("date", "dateTime"):
        return {"valueDate" if kind == "date" else "valueDateTime": value}
    if kind == "boolean":
        return {"valueBoolean": value == "yes"}
    found = next((o["coding"] for o in options(item, knowledge) if o["value"] == value), None)
    return {"valueCoding": found} if found else {"valueString": value}


def observations(answers: Answers, spec: Spec, knowledge: Knowledge, patient: str, day: str) -> list[Json]:
    """The answers as Observations of category survey, for clients that cannot search for a QuestionnaireResponse."""
    by_id = items(spec)
    return [
        {
            "resourceType": "Observation",
            "status": "final",
            "category": [{"coding": [_SURVEY]}],
            "code": {"coding": [_local(link, by_id[link]["text"])], "text": by_id[link]["text"]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": day,
            "performer": [{"reference": "Practitioner/workbench"}],
            **_observed(_value(value, by_id[link], knowledge), by_id[link]),
        }
        for link, values in answers.items()
        for value in values
    ]


def _observed(value: Json, item: Spec) -> Json:
    """An answer as the value of an Observation, which knows other types."""
    if "valueCoding" in value:
        return {"valueCodeableConcept": {"coding": [value["valueCoding"]]}}
    if "valueDate" in value:
        return {"valueDateTime": value["valueDate"]}
    if "valueDecimal" in value:
        unit = str(item.get("unit", "1"))
        return {"valueQuantity": {"value": value["valueDecimal"], "unit": unit}}
    return value
