"""FHIR R4 resources as chart entries, one function per resource type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import MAXYEAR, date

from cds_service.clinical.chart import (
    Allergy,
    Appointment,
    Device,
    Entry,
    Match,
    Order,
    Problem,
    Procedure,
    Relative,
    Report,
    State,
    Visit,
)
from cds_service.clinical.spans import Span
from cds_service.intake.about import FINAL, SHORT_NAME, TEXT_LENGTH, THOUGHT_OF, About, heard, name_of, places
from cds_service.intake.concepts import is_coded
from cds_service.intake.history import read_answers
from cds_service.intake.medicines import read_medicine
from cds_service.intake.observations import read_observation
from cds_service.intake.shape import Json, element, elements, number, period, span, status, text

_ENDED = frozenset({"inactive", "remission", "resolved"})
_OLDEST = 130  # years


def read_condition(raw: Json, about: About) -> Iterator[Entry]:
    verification = status(raw, "verificationStatus")
    if verification == "entered-in-error":
        return
    named = about.concepts.of(raw, "code")
    note = tuple(text(n, "text") for n in elements(raw, "note"))
    about.attention.give((*named.wordings, *note), free=SHORT_NAME)
    codes = named.with_twitching
    recorded, onset = span(raw, "recordedDate"), _onset(raw, about)
    ended = span(raw, "abatementDateTime", "abatementPeriod")
    over = ended is not None or any(key in raw for key in ("abatementAge", "abatementRange", "abatementString"))
    texts = heard(named.wordings)
    if not codes and not texts:
        return
    yield Problem(
        reference=name_of(raw),
        title=named.title or named.code or "unnamed problem",
        codes=codes,
        when=onset or recorded,
        texts=texts,
        coded=named.is_coded,
        sites=places(raw, named, note, codes, about),
        state=_state(raw, verification, over),
        verification=verification,
        onset=onset,
        recorded=recorded,
        ended=ended,
        severity=about.concepts.of(raw, "severity").title.lower(),
        this_encounter=about.in_this_encounter(raw),
    )


def _state(raw: Json, verification: str, over: bool) -> State:
    if verification == "refuted":
        return State.REFUTED
    return State.ENDED if status(raw, "clinicalStatus") in _ENDED or over else State.CURRENT


def _onset(raw: Json, about: About) -> Span | None:
    dated = span(raw, "onsetDateTime", "onsetPeriod")
    if dated is not None:
        return dated
    age = element(raw, "onsetAge")
    years = number(age, "value")
    unit = text(age, "code") or text(age, "unit")
    if years is None or about.born is None or unit not in ("a", "years", "year", "yr"):
        return None
    if not 0 <= years <= _OLDEST:
        return None  # no age of a human being: the onset stays unknown
    if about.born.last.year + years + 1 > MAXYEAR:
        return None
    return Span(_years_later(about.born.first, int(years)), _years_later(about.born.last, int(years) + 1))


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def read_report(raw: Json, about: About) -> Iterator[Entry]:
    state = text(raw, "status")
    if state in ("entered-in-error", "cancelled"):
        return
    named = about.concepts.of(raw, "code")
    codes = named.with_studies
    if not codes:
        return
    about.attention.one_more_report()
    said = (text(raw, "conclusion"), *(concept.title for concept in about.concepts.each(raw, "conclusionCode")))
    conclusion = ". ".join(filter(None, said))[:TEXT_LENGTH]
    yield Report(
        reference=name_of(raw),
        title=named.title or "unnamed report",
        codes=codes,
        when=span(raw, "effectiveDateTime", "effectivePeriod", "issued"),
        texts=(conclusion,) if conclusion and state in FINAL else (),
        sites=named.sites,
        issued=span(raw, "issued"),
        status=state,
        final=state in FINAL,
        conclusion=conclusion,
    )


def read_order(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") == "entered-in-error" or raw.get("doNotPerform") is True:
        return
    if text(raw, "intent") in THOUGHT_OF:
        return
    named = about.concepts.of(raw, "code")
    if not named.with_orders and not named.title:
        return
    yield Order(
        reference=name_of(raw),
        title=named.title or "unnamed order",
        codes=named.with_orders,
        when=span(raw, "authoredOn", "occurrenceDateTime", "occurrencePeriod"),
        status=text(raw, "status"),
    )


def read_procedure(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") not in ("completed", "in-progress"):
        return
    named = about.concepts.of(raw, "code")
    codes = named.with_studies
    outcome = about.concepts.of(raw, "outcome").title
    yield Procedure(
        reference=name_of(raw),
        title=named.title or "unnamed procedure",
        codes=codes,
        when=_performed(raw),
        texts=(*heard(named.wordings), *((outcome,) if outcome else ())),
        coded=is_coded(codes),
        sites=places(raw, named, (), codes, about),
    )


def _performed(raw: Json) -> Span | None:
    done = element(raw, "performedPeriod")
    return span(raw, "performedDateTime") or span(done, "end", "start") or span(raw, "performedString")


def read_encounter(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") in ("entered-in-error", "cancelled"):
        return
    reading = about.reading
    coding = element(raw, "class")
    codes = list(reading.codes.matches(text(coding, "system"), text(coding, "code")))
    wordings: list[str] = []
    for kind in (*about.concepts.each(raw, "type"), about.concepts.of(raw, "serviceType")):
        codes += kind.matches
        wordings += kind.wordings
    wordings += [text(element(p, "individual"), "display") for p in elements(raw, "participant")]
    wordings += [text(element(place, "location"), "display") for place in elements(raw, "location")]
    wordings.append(text(element(raw, "serviceProvider"), "display"))
    for reason in about.concepts.each(raw, "reasonCode"):
        about.attention.give(reason.wordings, free=SHORT_NAME)
        codes += [m for m in reason.with_twitching if m.concept in reading.gate.all_concepts]
    held = element(raw, "period")
    yield Visit(
        reference=name_of(raw),
        title=", ".join(dict.fromkeys(filter(None, wordings))) or "visit",
        codes=tuple(dict.fromkeys(codes)),
        when=period(held),
        status=text(raw, "status"),
        ended=span(held, "end"),
    )


def read_relative(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") in ("entered-in-error", "health-unknown"):
        return
    relation = about.concepts.of(raw, "relationship").title
    if about.reading.not_blood.search(relation.lower()):
        return
    for condition in elements(raw, "condition"):
        named = about.concepts.of(condition, "code")
        age = number(element(condition, "onsetAge"), "value")
        yield Relative(
            reference=name_of(raw),
            title=named.title or "unnamed condition",
            codes=named.matches,
            texts=tuple(f"family history of {w}" for w in heard(named.wordings)),
            coded=named.is_coded,
            relation=relation.lower() or "relative",
            age="" if age is None else f"at {age:g} years",
        )


def read_device(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") not in ("active", ""):
        return
    kind = about.concepts.of(raw, "type")
    names = tuple(text(n, "name") for n in elements(raw, "deviceName"))
    texts = heard((*kind.wordings, *names))
    title = kind.title or next(iter(names), "device")
    yield Device(reference=name_of(raw), title=title, codes=kind.matches, texts=texts, coded=kind.is_coded)


def read_allergy(raw: Json, about: About) -> Iterator[Entry]:
    if status(raw, "verificationStatus") in ("entered-in-error", "refuted") or status(raw, "clinicalStatus") in _ENDED:
        return
    named = about.concepts.of(raw, "code")
    yield Allergy(
        reference=name_of(raw),
        title=named.title or "allergy",
        codes=named.matches,
        texts=heard(named.wordings),
        coded=named.is_coded,
    )


def read_appointment(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") not in ("booked", "pending"):
        return
    codes: list[Match] = []
    wordings: list[str] = [text(raw, "description")]
    for key in ("serviceType", "specialty", "reasonCode"):
        for named in about.concepts.each(raw, key):
            codes += named.matches
            wordings += named.wordings
    title = ", ".join(filter(None, wordings)) or "appointment"
    yield Appointment(reference=name_of(raw), title=title, codes=tuple(codes), when=span(raw, "start"))


READERS: Mapping[str, Callable[[Json, About], Iterator[Entry]]] = {
    "Condition": read_condition,
    "Observation": read_observation,
    "DiagnosticReport": read_report,
    "ServiceRequest": read_order,
    "Procedure": read_procedure,
    "MedicationRequest": read_medicine,
    "MedicationStatement": read_medicine,
    "Encounter": read_encounter,
    "FamilyMemberHistory": read_relative,
    "Device": read_device,
    "AllergyIntolerance": read_allergy,
    "Appointment": read_appointment,
    "QuestionnaireResponse": read_answers,
}
