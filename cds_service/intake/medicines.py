"""Prescriptions and statements of medicines: which one, since when, how much a day, and what is one course."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from msgspec.structs import replace

from cds_service import units
from cds_service.clinical.chart import Entry, Medicine
from cds_service.clinical.spans import Span
from cds_service.errors import UnreadableError
from cds_service.intake.about import THOUGHT_OF, About, name_of
from cds_service.intake.concepts import Concept
from cds_service.intake.shape import Json, element, elements, id_of, number, span, text

_NOT_TAKEN = frozenset({"entered-in-error", "draft", "unknown", "not-taken", "intended"})
_NEW_COURSE_AFTER_DAYS = 90
_DAYS_IN = {"h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.0, "": 1.0}
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
        mg_per_day=_mg_per_day(raw),
        name=named.medicine_name,
    )


def _medication(raw: Json, about: About) -> Concept:
    if "medicationCodeableConcept" in raw:
        return about.concepts.of(raw, "medicationCodeableConcept", is_name=True)
    target = element(raw, "medicationReference")
    wanted = text(target, "reference")
    for contained in elements(raw, "contained"):
        if wanted == f"#{text(contained, 'id')}":
            return about.concepts.of(contained, "code", is_name=True)
    outside = about.medications.get(id_of(wanted))
    if outside is not None:
        return about.concepts.of(outside, "code", is_name=True)
    display = text(target, "display")
    if wanted and not display:
        raise UnreadableError("medicationReference", "the medicine itself was not sent")
    return about.concepts.of({"code": {"text": display}}, "code")


def _dosages(raw: Json) -> Iterator[Json]:
    yield from elements(raw, "dosageInstruction")
    yield from elements(raw, "dosage")


def _repeat(dosage: Json) -> Json:
    return element(element(dosage, "timing"), "repeat")


def _mg_per_day(raw: Json) -> float | None:
    """The daily dose in milligrams, when one dosage states it in full."""
    for dosage in _dosages(raw):
        repeat = _repeat(dosage)
        for rate in elements(dosage, "doseAndRate"):
            return _daily(element(rate, "doseQuantity"), repeat)
    return None


def _daily(dose: Json, repeat: Json) -> float | None:
    value, unit = number(dose, "value"), text(dose, "code") or text(dose, "unit")
    milligrams = None if value is None else units.general(value, unit, "mg")
    if milligrams is None:
        return None
    times, every = number(repeat, "frequency") or 1.0, number(repeat, "period") or 1.0
    days = _DAYS_IN.get(text(repeat, "periodUnit"))
    return None if days is None else milligrams * times / (every * days)


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
