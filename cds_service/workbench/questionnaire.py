"""Answers to the structured history: what is an answer, and answers as QuestionnaireResponse and Observations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cds_service.artefacts.questionnaire import ADDRESS, NOWHERE, Json, Spec, is_flag, items, local_coding, options
from cds_service.clinical.knowledge import Knowledge
from cds_service.clinical.spans import Span
from cds_service.errors import Fault, RequestError

Answers = Mapping[str, list[Any]]
LONGEST_TEXT = 1000
_SURVEY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}


def history(knowledge: Knowledge) -> Spec:
    """structured-history.yaml as it is written."""
    spec: Spec = knowledge.written.plain["structured-history.yaml"]
    return spec


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
            "code": {"coding": [local_coding(link, by_id[link]["text"])], "text": by_id[link]["text"]},
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
