"""What if: a chart with something changed, added or taken away."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from cds_service import units
from cds_service.artefacts.questionnaire import Spec, is_flag, options
from cds_service.clinical.analytes import Analyte
from cds_service.clinical.knowledge import Knowledge
from cds_service.errors import Fault, RequestError
from cds_service.knowledge.codes import SYSTEMS
from cds_service.knowledge.reading import Reading
from cds_service.settings import DAYS
from cds_service.web.trial import AS_OF
from cds_service.workbench.questionnaire import response

Json = dict[str, Any]
MOST_CHANGES = 20


class _Change(Schema):
    class Meta:
        unknown = RAISE

    kind = fields.String(required=True)


class _Lab(_Change):
    analyte = fields.String(required=True)
    value = fields.Float(required=True, validate=validate.Range(min=0, max=1e6))
    unit = fields.String(required=True, validate=validate.Length(max=40))
    date = fields.Date(load_default=None, allow_none=True)


class _Finding(_Change):
    finding = fields.String(required=True)
    presence = fields.String(required=True, validate=validate.OneOf(("present", "absent")))


class _Age(_Change):
    years = fields.Integer(required=True, validate=validate.Range(min=0, max=120))


class _Day(_Change):
    day = fields.Date(required=True, validate=validate.Range(*DAYS))


class _Medicine(_Change):
    medicine = fields.String(required=True)
    started = fields.Date(required=True, validate=validate.Range(*DAYS))


class _Without(_Change):
    reference = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z]{1,40}/[A-Za-z0-9.-]{1,64}\Z"))


_KINDS: Mapping[str, Schema] = {
    "lab": _Lab(), "finding": _Finding(), "medicine": _Medicine(), "without": _Without(), "age": _Age(), "date": _Day(),
}  # fmt: skip


@dataclass(frozen=True)
class Possible:
    """What can be changed: tests with code and units, findings with the answer of the history form that says so,
    and one medicine of each class, in words."""

    labs: Mapping[str, Json]
    findings: Mapping[str, Mapping[str, tuple[str, str]]]
    medicines: Mapping[str, str]


def possible(knowledge: Knowledge, reading: Reading, spec: Spec) -> Possible:
    """Measured tests that have a LOINC code, and every finding that the history form can state."""
    measured = [a for a in knowledge.analytes.values() if not a.any_of and not a.compute]
    labs = {a.id: found for a in measured for found in [_lab(a, reading)] if found}
    findings = {name: said for name, said in _said(spec, knowledge) if name in knowledge.findings}
    # A class that wants a dose would not hold of a medicine without one.
    dosed = [c for c in knowledge.drug_classes.values() if c.names and c.daily_dose is None]
    return Possible(labs, findings, {c.id: c.names[0] for c in sorted(dosed, key=lambda c: c.title)})


def _lab(analyte: Analyte, reading: Reading) -> Json | None:
    rows = [
        row
        for row in reading.codes.rows
        if row.concept in analyte.concepts and row.system == "loinc" and row.role in analyte.roles
        and row.code not in analyte.besides and row.code not in analyte.by_code
    ]  # fmt: skip
    if not rows:
        return None
    best = min(rows, key=lambda row: (not row.written, row.role != "", row.code))
    written = [analyte.unit, *([analyte.also_shown] if analyte.also_shown not in ("", analyte.unit) else [])]
    return {"id": analyte.id, "name": analyte.name, "code": best.code, "display": best.display, "units": written}


def _said(spec: Spec, knowledge: Knowledge) -> Iterator[tuple[str, Mapping[str, tuple[str, str]]]]:
    """For each finding the answer that sets it and as little else as can be."""
    found: dict[str, dict[str, tuple[int, str, str]]] = {}
    for item in spec["items"]:
        for rule in item.get("sets") or ():
            for presence in ("present", "absent"):
                value = _value_of(rule, item, knowledge)
                for name in rule.get(presence, ()) if value else ():
                    effects = len(rule.get("present", ())) + len(rule.get("absent", ()))
                    best = found.setdefault(name, {})
                    if presence not in best or effects < best[presence][0]:
                        best[presence] = (effects, item["id"], value)
    for name, best in sorted(found.items()):
        yield name, {presence: (item, value) for presence, (_, item, value) in best.items()}


def _value_of(rule: Spec, item: Spec, knowledge: Knowledge) -> str:
    """The answer for which a rule of the form holds; empty when it also wants something else."""
    if "when" in rule or "unless" in rule:
        return ""
    if "answer" in rule:
        return str(rule["answer"][0] if isinstance(rule["answer"], list) else rule["answer"])
    if "without" in rule:
        return next((o["value"] for o in options(item, knowledge) if o["exclusive"]), "")
    return ""


# ---------------------------------------------------------------- reading and applying


def read_changes(given: Any, can: Possible) -> list[Json]:
    """Checked changes. Raises RequestError naming every fault by its path."""
    if not isinstance(given, list) or len(given) > MOST_CHANGES:
        raise RequestError(400, Fault("changes", f"is no list of at most {MOST_CHANGES}", "send a list of changes"))
    read, faults = [], []
    for position, change in enumerate(given):
        where = f"changes[{position}]"
        schema = _KINDS.get(str(change.get("kind"))) if isinstance(change, dict) else None
        if schema is None:
            faults.append(Fault(f"{where}.kind", "is no kind of change", f"must be one of {', '.join(_KINDS)}"))
            continue
        try:
            loaded: Json = schema.load(change)
        except ValidationError as error:
            names = error.messages if isinstance(error.messages, dict) else ()
            faults += [Fault(f"{where}.{name}", "cannot be used", "correct it") for name in names]
            continue
        faults += list(_unknown(loaded, where, can))
        read.append(loaded)
    if faults:
        raise RequestError(400, *faults)
    return read


def _unknown(change: Json, where: str, can: Possible) -> Iterator[Fault]:
    if change["kind"] == "lab":
        lab = can.labs.get(change["analyte"])
        if lab is None:
            yield Fault(f"{where}.analyte", "is no test that can be changed", "choose one of the list")
        elif units.ucum(change["unit"]) not in {units.ucum(unit) or unit for unit in lab["units"]}:
            yield Fault(f"{where}.unit", "is no unit of this test", f"use {' or '.join(lab['units'])}")
    if change["kind"] == "medicine" and change["medicine"] not in can.medicines:
        yield Fault(f"{where}.medicine", "is no medicine that can be added", "choose one of the list")
    if change["kind"] == "finding" and change["presence"] not in can.findings.get(change["finding"], {}):
        yield Fault(f"{where}.finding", "cannot be stated so", "choose one of the list")


@dataclass(frozen=True)
class Known:
    """The content that changes are made with."""

    knowledge: Knowledge
    reading: Reading
    spec: Spec


def applied(request: Json, changes: list[Json], can: Possible, known: Known, day: date) -> Json:
    """The request with these changes, leaving the given one as it is. ``day``: when its chart is opened.

    Raises RequestError when something is to be taken away that is not there.
    """
    knowledge, reading, spec = known.knowledge, known.reading, known.spec
    changed = copy.deepcopy(request)
    for change in changes:
        if change["kind"] == "date":
            day = change["day"]
            changed.setdefault("extension", {})[AS_OF] = day.isoformat()
    _take_away({n: c["reference"] for n, c in enumerate(changes) if c["kind"] == "without"}, changed)
    for change in changes:
        if change["kind"] == "age":
            _patient_of(changed)["birthDate"] = _born(change["years"], day)
        elif change["kind"] == "lab":
            _set_result(changed, change, can.labs[change["analyte"]], knowledge, reading, day)
        elif change["kind"] == "medicine":
            _entries_of(changed, "medications").append({"resource": _medicine(change, can, changed)})
    answers = _answers([c for c in changes if c["kind"] == "finding"], can, spec)
    if answers:
        filled = response(answers, spec, knowledge, str(changed["context"]["patientId"]), day.isoformat(), "")
        _entries_of(changed, "answers").append({"resource": filled | {"id": "what-if-answers"}})
    return changed


def _born(years: int, day: date) -> str:
    """The birth date of somebody who is so old on that day."""
    return f"{day.year - years:04}-{day:%m-%d}".replace("02-29", "02-28")


def with_answers(request: Json, filled: Json) -> Json:
    """The request with this filled form in place of an earlier one of the same page."""
    changed = copy.deepcopy(request)
    if not isinstance(changed.get("prefetch"), dict):
        changed["prefetch"] = {}
    entries = _entries_of(changed, "answers")
    entries[:] = [e for e in entries if not (isinstance(e, dict) and _id_of(e) == filled["id"])]
    entries.append({"resource": filled})
    return changed


def _id_of(entry: Json) -> Any:
    resource = entry.get("resource")
    return resource.get("id") if isinstance(resource, dict) else None


def _patient_of(request: Json) -> Json:
    patient = request["prefetch"]["patient"]
    found: Json = patient
    if patient.get("resourceType") == "Bundle":
        found = next(e["resource"] for e in patient["entry"] if e["resource"].get("resourceType") == "Patient")
    return found


def _entries_of(request: Json, key: str) -> list[Json]:
    """The entries of one prefetch answer, which becomes a Bundle when it is none yet."""
    bundle = request["prefetch"].get(key)
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        kept = [{"resource": bundle}] if isinstance(bundle, dict) and bundle.get("resourceType") else []
        bundle = request["prefetch"][key] = {"resourceType": "Bundle", "type": "searchset", "entry": kept}
    entries: list[Json] = bundle.setdefault("entry", [])
    return entries


def _leave(bundle: Json, kept: list[Any]) -> None:
    """These entries only. What was taken away is nothing that its search found and did not send."""
    if type(bundle.get("total")) is int:
        bundle["total"] -= len(bundle["entry"]) - len(kept)
    bundle["entry"] = kept


def _take_away(unwanted: Mapping[int, str], request: Json) -> None:
    """As if these had never been recorded, whichever query they answered. The patient stays.

    ``unwanted``: references by the position of their change.
    """
    found: set[str] = set()
    for key, answer in request["prefetch"].items():
        if key == "patient" or not isinstance(answer, dict):
            continue
        entries: list[Any] = answer["entry"] if isinstance(answer.get("entry"), list) else [{"resource": answer}]
        here = {_reference_of(entry) for entry in entries} & {*unwanted.values()}
        if here and entries is answer.get("entry"):
            _leave(answer, [entry for entry in entries if _reference_of(entry) not in here])
        elif here:
            request["prefetch"][key] = None
        found |= here
    faults = [
        Fault(f"changes[{n}].reference", "is nothing that this chart holds", "choose one of the list")
        for n, reference in unwanted.items() if reference not in found
    ]  # fmt: skip
    if faults:
        raise RequestError(400, *faults)


def _reference_of(entry: Any) -> str:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or not isinstance(resource.get("id"), str):
        return ""
    return f"{resource.get('resourceType')}/{resource['id']}"


def _medicine(change: Json, can: Possible, request: Json) -> Json:
    """A prescription in words that goes on since a day; of each class the first name that the content lists."""
    return {
        "resourceType": "MedicationRequest",
        "id": f"what-if-{change['medicine'].replace('_', '-')}",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": can.medicines[change["medicine"]]},
        "subject": {"reference": f"Patient/{request['context']['patientId']}"},
        "authoredOn": change["started"].isoformat(),
    }


def _set_result(request: Json, change: Json, lab: Json, knowledge: Knowledge, reading: Reading, opened: date) -> None:
    """A new result; those of the same test from that day on give way, so that it is the newest."""
    day = change["date"] or opened
    concepts = knowledge.analytes[change["analyte"]].concepts
    for bundle in (value for value in request["prefetch"].values() if isinstance(value, dict)):
        if isinstance(bundle.get("entry"), list):
            _leave(bundle, [e for e in bundle["entry"] if not _is_newer(e, concepts, reading, day)])
    result = {
        "resourceType": "Observation",
        "id": f"what-if-{change['analyte']}",
        "status": "final",
        "category": [{"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory",
        }]}],
        "code": {"coding": [{"system": SYSTEMS["loinc"], "code": lab["code"], "display": lab["display"]}]},
        "subject": {"reference": f"Patient/{request['context']['patientId']}"},
        "effectiveDateTime": day.isoformat(),
        "valueQuantity": {
            "value": change["value"], "unit": change["unit"], "system": "http://unitsofmeasure.org",
            "code": units.ucum(change["unit"]) or change["unit"],
        },
    }  # fmt: skip
    _entries_of(request, "labs").append({"resource": result})


def _is_newer(entry: Any, concepts: frozenset[str], reading: Reading, day: date) -> bool:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or resource.get("resourceType") != "Observation":
        return False
    codings = (resource.get("code") or {}).get("coding") or []
    pairs = [(c.get("system", ""), c.get("code", "")) for c in codings if isinstance(c, dict)]
    about = any(m.concept in concepts for system, code in pairs for m in reading.codes.matches(system, code))
    return about and str(resource.get("effectiveDateTime", resource.get("issued", "")))[:10] >= day.isoformat()


def _answers(changes: list[Json], can: Possible, spec: Spec) -> dict[str, list[str]]:
    repeating = {item["id"] for item in spec["items"] if is_flag(item.get("repeats", "no"))}
    answers: dict[str, list[str]] = {}
    for change in changes:
        item, value = can.findings[change["finding"]][change["presence"]]
        before = answers.get(item, []) if item in repeating else []
        answers[item] = [*before, value]
    return answers


# ---------------------------------------------------------------- side by side


def compared(before: Json, after: Json) -> Json:
    """What differs between two answers: cards side by side, facts and rungs that changed."""
    first, second = _named(before), _named(after)
    names = list(dict.fromkeys([*second, *first]))
    facts = {fact["id"]: fact for fact in before["assessment"]["facts"]}
    rungs = {rung["card"]: rung for rung in before["assessment"]["ladder"]}
    return {
        "cards": [_pair(name, first.get(name), second.get(name)) for name in names],
        "facts": [
            {"title": fact["title"], "before": facts[fact["id"]], "after": fact}
            for fact in after["assessment"]["facts"]
            if fact["id"] in facts and _changed(facts[fact["id"]], fact, "presence", "value")
        ],
        "rungs": [
            {"before": rungs[rung["card"]], "after": rung}
            for rung in after["assessment"]["ladder"]
            if rung["card"] in rungs and _changed(rungs[rung["card"]], rung, "outcome", "indicator", "because", "into")
        ],
    }


def _named(side: Json) -> dict[str, Json]:
    """Cards by their leading rule."""
    rules = [card["rules"][0]["id"] for card in side["assessment"]["cards"]]
    return dict(zip(rules, side["response"]["cards"], strict=False))


def _changed(one: Json, other: Json, *names: str) -> bool:
    return any(one[name] != other[name] for name in names)


def _pair(name: str, before: Json | None, after: Json | None) -> Json:
    return {
        "name": name,
        "state": "new" if before is None else "gone" if after is None else _state(before, after),
        "before": _side(before, after),
        "after": _side(after, before),
    }


def _state(before: Json, after: Json) -> str:
    same = all(before.get(name) == after.get(name) for name in ("summary", "indicator", "detail"))
    return "the same" if same and _labels(before) == _labels(after) else "changed"


def _side(card: Json | None, other: Json | None) -> Json | None:
    """One card with its lines, each marked when the other side does not have it."""
    if card is None:
        return None
    lines = set((other or {}).get("detail", "").splitlines())
    return {
        "indicator": card["indicator"],
        "summary": card["summary"],
        "only_summary": card["summary"] != (other or {}).get("summary"),
        "lines": [
            {"text": line, "only": line not in lines}
            for line in card["detail"].splitlines() if line.strip() and not line.startswith("*Rule")
        ],
        "suggestions": [{"label": label, "only": label not in _labels(other or {})} for label in _labels(card)],
    }  # fmt: skip


def _labels(card: Json) -> list[str]:
    return [a["description"] for s in card.get("suggestions", ()) for a in s["actions"]]
