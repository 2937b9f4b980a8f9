"""Prescriptions and statements of medicines: which one, since when, how much a day, and what is one course."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date

from msgspec.structs import replace

from cds_service import units
from cds_service.clinical.chart import Entry, Medicine
from cds_service.clinical.spans import Span
from cds_service.clinical.tokens import fold
from cds_service.errors import UnreadableError
from cds_service.intake.about import THOUGHT_OF, About, name_of
from cds_service.intake.concepts import Concept
from cds_service.intake.shape import Json, coded, element, elements, id_of, number, span, text

_NOT_TAKEN = frozenset({"entered-in-error", "draft", "unknown", "not-taken", "intended"})
_NEW_COURSE_AFTER_DAYS = 90
_DAYS_IN = {"h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.0}
# HL7's GTSAbbreviation: how often a day.
_TIMES = {
    "QD": 1.0, "BID": 2.0, "TID": 3.0, "QID": 4.0, "QOD": 0.5, "AM": 1.0, "PM": 1.0, "BED": 1.0, "WK": 1 / 7,
    "MO": 1 / 30, "Q4H": 6.0, "Q6H": 4.0, "Q8H": 3.0,
}  # fmt: skip
_COUNTED = {
    "": 1.0, "once ": 1.0, "one time ": 1.0, "1 time ": 1.0, "twice ": 2.0, "two times ": 2.0, "2 times ": 2.0,
    "three times ": 3.0, "3 times ": 3.0, "four times ": 4.0, "4 times ": 4.0,
}  # fmt: skip
_A_DAY = ("daily", "a day", "per day", "each day", "every day")
_IN_WORDS = {f"{count}{each}": times for count, times in _COUNTED.items() for each in _A_DAY}
# Where a route or a form takes a medicine into the blood. What is breathed in or rinsed with is "oral" too.
_SYSTEMIC = re.compile(
    r"\b(?:oral|by mouth|per os|p\.?o|intravenous|i\.?v|intramuscular|i\.?m|subcutaneous|s\.?[cq])(?:ly)?\b"
)
_LOCAL = re.compile(r"\b(?:inhal|nebuli|topical|rins|gargl|spit|mouthwash)")
_INTERNATIONAL = ("[iu]", "iu", "unit", "units", "{unit}", "international unit", "international units", "int'l unit")
_INEXACT = frozenset({"frequencyMax", "periodMax", "dayOfWeek", "count", "countMax"})
_EVER = Span.on(date.min)


def read_medicine(raw: Json, about: About) -> Iterator[Entry]:
    state = text(raw, "status")
    if state in _NOT_TAKEN or raw.get("doNotPerform") is True or text(raw, "intent") in THOUGHT_OF:
        return
    named = _medication(raw, about)
    codes, title = named.medicines, named.title
    if not title and not codes:
        return
    dispensed = element(element(raw, "dispenseRequest"), "validityPeriod")
    bounds = element(_repeat(next(_dosages(raw), {})), "boundsPeriod")
    active = state in ("active", "on-hold")
    yield Medicine(
        reference=name_of(raw),
        title=title or "unnamed medicine",
        codes=codes,
        when=span(bounds, "start") or span(raw, "effectiveDateTime", "effectivePeriod", "authoredOn", "dateAsserted"),
        active=active,
        ended=span(bounds, "end")
        or span(element(raw, "effectivePeriod"), "end")
        or (None if active else span(dispensed, "end")),
        mg_per_day=_per_day(raw, _milligrams),
        units_per_day=_per_day(raw, _units),
        name=named.medicine_name,
        given=_given(raw, about),
    )


def _medication(raw: Json, about: About) -> Concept:
    if "medicationCodeableConcept" in raw:
        return about.concepts.of(raw, "medicationCodeableConcept", is_name=True)
    described = _described(raw, about)
    if described is not None:
        return about.concepts.of(described, "code", is_name=True)
    target = element(raw, "medicationReference")
    display = text(target, "display")
    if text(target, "reference") and not display:
        raise UnreadableError("medicationReference", "the medicine itself was not sent")
    return about.concepts.of({"code": {"text": display}}, "code")


def _described(raw: Json, about: About) -> Json | None:
    """The Medication that is referred to, where it came along."""
    wanted = text(element(raw, "medicationReference"), "reference")
    for contained in elements(raw, "contained"):
        if wanted == f"#{text(contained, 'id')}":
            return contained
    return about.medications.get(id_of(wanted)) if wanted else None


def _given(raw: Json, about: About) -> str:
    """The words of the route, when all dosages name the same one, and of the form of the Medication.

    Empty where a route is systemic, whatever the form: drops by mouth act everywhere. Without a route the form tells.
    """
    routes = {about.concepts.of(dosage, "route").title for dosage in _dosages(raw)}
    form = about.concepts.of(_described(raw, about) or {}, "form").title
    if any(map(_is_systemic, routes if any(routes) else (form,))):
        return ""
    return " ".join(filter(None, [*(routes if len(routes) == 1 else ()), form]))


def _is_systemic(given: str) -> bool:
    words = fold(given)
    return _SYSTEMIC.search(words) is not None and _LOCAL.search(words) is None


def _dosages(raw: Json) -> Iterator[Json]:
    yield from elements(raw, "dosageInstruction")
    yield from elements(raw, "dosage")


def _repeat(dosage: Json) -> Json:
    return element(element(dosage, "timing"), "repeat")


def _per_day(raw: Json, amount: Callable[[Json], float | None]) -> float | None:
    """The daily dose of all dosages together; None unless each says how much and how often.

    ``amount``: reads a Quantity. What is taken one after the other has no one daily dose, nor has what is as needed.
    """
    dosages = list(_dosages(raw))
    if len({number(dosage, "sequence") for dosage in dosages}) > 1 or not _overlap(dosages):
        return None
    total = None
    for dosage in dosages:
        rate = next(elements(dosage, "doseAndRate"), {})
        dose, times = amount(element(rate, "doseQuantity")), _times_a_day(dosage)
        if dose is None or times is None:
            return None
        total = (total or 0.0) + dose * times
    return total


def _overlap(dosages: list[Json]) -> bool:
    """Whether there are days of all of them; the day on which one takes over from another is none."""
    if len(dosages) < 2:
        return True
    bounds = [element(_repeat(dosage), "boundsPeriod") for dosage in dosages]
    starts = [start.last for bound in bounds if (start := span(bound, "start"))]
    ends = [end.first for bound in bounds if (end := span(bound, "end"))]
    return max(starts, default=date.min) < min(ends, default=date.max)


def _times_a_day(dosage: Json) -> float | None:
    """How often a dose is taken; None when it is not said, or not exactly."""
    if dosage.get("asNeededBoolean") is True or "asNeededCodeableConcept" in dosage:
        return None
    timing, repeat = element(dosage, "timing"), _repeat(dosage)
    if not repeat.keys() - {"boundsPeriod", "boundsDuration", "boundsRange"}:
        named = coded(timing, "code")
        codes = (*(code for _, code in named[0]), *named[1])
        said = (_TIMES.get(code.upper()) or _IN_WORDS.get(" ".join(fold(code).split())) for code in codes)
        return next(filter(None, said), None)
    days, every = _DAYS_IN.get(text(repeat, "periodUnit")), number(repeat, "period")
    moments = repeat.get("when") or repeat.get("timeOfDay")
    times = number(repeat, "frequency") or (len(moments) if type(moments) is list else 0)
    if not (days and every and times) or not _INEXACT.isdisjoint(repeat):
        return None
    return times / (every * days)


def _units(dose: Json) -> float | None:
    """International units, which are another amount of each substance."""
    named = {text(dose, "code").lower(), text(dose, "unit").lower()}
    return None if named.isdisjoint(_INTERNATIONAL) else number(dose, "value")


def _milligrams(dose: Json) -> float | None:
    value = number(dose, "value")
    return None if value is None else units.general(value, text(dose, "code") or text(dose, "unit"), "mg")


def courses(medicines: list[Medicine]) -> list[Medicine]:
    """Renewals of one medicine are one course: it began with the first, and a dose may have risen."""
    by_name: dict[str, list[Medicine]] = {}
    for medicine in medicines:
        concepts = " ".join(sorted({match.concept for match in medicine.codes}))
        by_name.setdefault(medicine.name.lower() or concepts or medicine.reference, []).append(medicine)
    result = []
    for same in by_name.values():
        dated = sorted((m for m in same if m.when is not None), key=lambda m: (m.when or _EVER, m.reference))
        result += [m for m in same if m.when is None]
        began: Span | None = None
        before: Medicine | None = None
        raised: Span | None = None
        for medicine in dated:
            if before is None or _interrupted(before, medicine):
                began, raised = medicine.when, None
            elif before.mg_per_day and medicine.mg_per_day and medicine.mg_per_day > before.mg_per_day:
                raised = medicine.when
            result.append(replace(medicine, when=began, last_change=raised))
            before = medicine
    return result


def _interrupted(before: Medicine, after: Medicine) -> bool:
    if before.active or before.ended is None or after.when is None:
        return False
    return (after.when.first - before.ended.last).days > _NEW_COURSE_AFTER_DAYS
