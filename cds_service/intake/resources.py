"""FHIR R4 resources as chart entries, one function per resource type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from cds_service import units
from cds_service.clinical.chart import (
    Allergy,
    Answer,
    Appointment,
    Device,
    Entry,
    Match,
    Medicine,
    Order,
    Problem,
    Procedure,
    Quantity,
    Relative,
    Report,
    Result,
    Site,
    State,
    Visit,
)
from cds_service.clinical.spans import Span
from cds_service.errors import Fault, RequestError, UnreadableError
from cds_service.intake.concepts import ANSWERS, STRENGTH_EXAM, Concept, Concepts, is_coded, with_twitching
from cds_service.intake.shape import (
    LONGEST_TEXT,
    Json,
    element,
    elements,
    id_of,
    number,
    period,
    reference,
    span,
    status,
    text,
)
from cds_service.knowledge.reading import Reading

_NO_RESULT = frozenset({"entered-in-error", "cancelled", "registered", "unknown"})
_FINAL = frozenset({"final", "amended", "corrected", "appended"})
_CURRENT = frozenset({"active", "recurrence", "relapse"})
_ENDED = frozenset({"inactive", "remission", "resolved"})
_TEXT_LENGTH = 2000  # longer notes are cut before phrases are looked for
# Words cost more than anything else in a chart. No record says so much: 2000 examinations in words say half of it.
MOST_WORDS = 2_000_000  # characters
SHORT_NAME = 200  # characters; thousands of results have a name, and names of usual length do not count


@dataclass
class Attention:
    """How many characters of one chart may still be listened to."""

    left: int = MOST_WORDS

    def give(self, texts: Iterable[str], free: int = 0) -> None:
        """Raises RequestError 413 when it is too much, whatever the order of the resources."""
        self.spend(sum(map(len, texts)) - free)

    def spend(self, characters: int) -> None:
        """As ``give``, for texts whose length is known."""
        self.left -= max(0, characters)
        if self.left < 0:
            fault = Fault("prefetch", f"holds more than {MOST_WORDS} characters of text", "ask with narrower queries")
            raise RequestError(413, fault, code="too-long")


@dataclass(frozen=True)
class About:
    """What a reader needs to know beside the resource."""

    reading: Reading
    concepts: Concepts
    encounter_id: str = ""
    born: Span | None = None
    medications: dict[str, Json] | None = None  # Medication resources by id
    attention: Attention = field(default_factory=Attention)


def _heard(wordings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(wording[:_TEXT_LENGTH] for wording in wordings)


def _places(
    raw: Json, named: Concept, words: tuple[str, ...], codes: tuple[Match, ...], about: About
) -> tuple[Site, ...]:
    """Sites from body site codes, else from words, else from what the code itself implies."""
    found: list[Site] = []
    reading, site = about.reading, raw.get("bodySite")
    for part in site if isinstance(site, list) else [site] if site is not None else []:
        place = about.concepts.of({"bodySite": part}, "bodySite")
        concepts = {m.concept for m in place.matches}
        found += reading.site_of_concepts(concepts, place.title) or reading.sites(*place.wordings[:1])
    if not found:
        more = [word for word in words if word]
        found = [*named.sites, *(reading.sites(*more) if more else ())]
    if not found:
        implied = {
            reading.implied_sites[m.concept]
            for m in codes
            if m.concept in reading.implied_sites and m.role in ("", "narrower")
        }
        found = [Site(region, "", region) for region in sorted(implied)]
    return tuple(dict.fromkeys(found))


def _ref(raw: Json) -> str:
    kind, identity = text(raw, "resourceType"), text(raw, "id")
    return f"{kind}/{identity}" if identity else kind


def _in_this_encounter(raw: Json, about: About) -> bool:
    return bool(about.encounter_id) and id_of(reference(raw, "encounter")) == about.encounter_id


# --- Condition ----------------------------------------------------------------------------------


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
    over = any(key in raw for key in ("abatementAge", "abatementRange", "abatementString"))
    texts = _heard(named.wordings)
    if not codes and not texts:
        return
    yield Problem(
        reference=_ref(raw),
        title=named.title or named.code or "unnamed problem",
        codes=codes,
        when=onset or recorded,
        texts=texts,
        coded=named.is_coded,
        sites=_places(raw, named, note, codes, about),
        state=_state(raw, verification, ended, over),
        verification=verification,
        onset=onset,
        recorded=recorded,
        ended=ended,
        severity=about.concepts.of(raw, "severity").title.lower(),
        this_encounter=_in_this_encounter(raw, about),
    )


def _state(raw: Json, verification: str, ended: Span | None, over: bool) -> State:
    if verification == "refuted":
        return State.REFUTED
    clinical = status(raw, "clinicalStatus")
    if clinical in _ENDED or ended is not None or over:
        return State.ENDED
    return State.CURRENT


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
    return Span(_years_later(about.born.first, int(years)), _years_later(about.born.last, int(years) + 1))


_OLDEST = 130


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


# --- Observation --------------------------------------------------------------------------------


def read_observation(raw: Json, about: About) -> Iterator[Entry]:
    state = text(raw, "status")
    if state in _NO_RESULT:
        return
    yield from _result(raw, raw, about, state)
    for component in elements(raw, "component"):
        yield from _result(component, raw, about, state, about.concepts.of(raw, "code"))


def _result(part: Json, raw: Json, about: About, state: str, parent: Concept | None = None) -> Iterator[Entry]:
    reading = about.reading
    named, valued = about.concepts.of(part, "code"), about.concepts.of(part, "valueCodeableConcept")
    own, wordings, value_codes = named.matches, named.wordings, valued.matches
    parent_words = parent.wordings if parent else ()
    said = named.length + valued.length + (parent.length if parent else 0)  # of each part, each time
    about.attention.spend(said - SHORT_NAME)
    if named.is_silent and not (parent and parent.says_strength) and _is_only_a_number(part):
        return  # as most of a chart: nothing below would be made of it
    value_text = (text(part, "valueString") or valued.title)[:_TEXT_LENGTH]
    value = _quantity(part)
    flags = _flags(part)
    plain = value is not None and not (flags or value_codes or value_text or not _SPEAKING.isdisjoint(part))
    says = "" if plain else _says(part, value_codes, value_text, flags, value, reading)
    strength = named.is_strength or named.says_strength or (parent is not None and parent.says_strength)
    codes = own if parent and parent.matches else _speaking(named, valued, says)
    if strength and not named.is_strength:
        codes = (*codes, Match(STRENGTH_EXAM, "", "text", ""))
    texts = () if plain else _texts(named, value_codes, value_text, says)
    if not codes and not value_codes and not texts and not named.is_kept:
        return
    grade = _grade(part, value, value_text, reading) if strength else None
    # A measured quantity, or the heading of a panel, belongs to the whole patient.
    sites: tuple[Site, ...] = ()
    if strength or says or value_codes or (value_text and value is None):
        holder = part if "bodySite" in part else raw
        sites = _places(holder, named, (*parent_words, value_text), codes, about)
    if grade is not None and (not sites or reading.whole_body.search(value_text.lower())):
        sites = sites or _everywhere(" ".join((*wordings, value_text)), reading)
    low, high = _range(part)
    when = span(raw, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")
    yield Result(
        reference=_ref(raw),
        title=named.title or named.code or "unnamed observation",
        codes=codes,
        when=when,
        texts=texts,
        # A value in free words says more than the name of what was looked at.
        coded=(named.is_coded and not value_text) or valued.is_coded,
        sites=sites,
        says=says,
        value=value,
        value_codes=value_codes,
        value_text=value_text,
        examined=_examined(raw),
        final=state in _FINAL,
        range_low=low,
        range_high=high,
        flags=flags,
        grade=grade,
        muscle=(named.title if strength else ""),
        remarks=_remarks(part, raw),
        this_encounter=_in_this_encounter(raw, about),
        at=_instant(raw) if value is not None else "",
    )


def _is_only_a_number(part: Json) -> bool:
    """A quantity in which nothing is unreadable, and nothing beside it that says more."""
    quantity = part.get("valueQuantity")
    return (
        type(quantity) is dict
        and type(quantity.get("value")) in (int, float)
        and quantity.get("comparator") in _COMPARATORS
        and all(
            word is None or (type(word) is str and len(word) < LONGEST_TEXT)
            for word in (quantity.get("code"), quantity.get("unit"))
        )
        and _BESIDE_A_NUMBER.isdisjoint(part)
    )


_COMPARATORS = (None, "", "<", "<=", ">", ">=")
_BESIDE_A_NUMBER = frozenset(
    {"valueCodeableConcept", "valueString", "valueBoolean", "dataAbsentReason", "interpretation"}
)


def _speaking(named: Concept, valued: Concept, says: str) -> tuple[Match, ...]:
    """The codes of a result, and that it speaks of twitching when its name or its value does."""
    if says in ("", "yes") and valued.wordings:
        return with_twitching(named.matches, named.wordings + valued.wordings, named.reading)
    return named.with_twitching


def _instant(raw: Json) -> str:
    """The moment of a measurement in UTC, sortable; empty when only the day is known. No zone counts as UTC."""
    for key in ("effectiveDateTime", "effectiveInstant", "issued"):
        stamp = text(raw, key)
        if "T" in stamp:
            try:
                moment = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
            except (ValueError, OverflowError):
                return ""
    return ""


def _texts(concept: Concept, value_codes: tuple[Match, ...], value_text: str, says: str) -> tuple[str, ...]:
    """The words of a result: its name when it is affirmed, and what its value says in words."""
    wordings = concept.wordings
    named = _heard(wordings) if says == "yes" else ()
    if says in ("yes", "no"):
        # "Hoffmann sign: positive" is one statement, whatever form the answer has.
        named += tuple(f"{wording} {'positive' if says == 'yes' else 'negative'}" for wording in wordings)
    spoken: tuple[str, ...] = (
        (value_text,) if value_text and not value_codes and says in ("", "normal", "abnormal") else ()
    )
    if spoken and wordings:
        # One statement: "Plantars: extensor", or "Motor examination: normal power"; none: "Muscle wasting: normal".
        together = concept.reading.statement(wordings[0], concept.said_by_its_title, value_text)
        spoken = (together, value_text) if together else (value_text,)
    return named + spoken


def _quantity(part: Json) -> Quantity | None:
    raw = element(part, "valueQuantity")
    value = number(raw, "value") if raw else None
    if value is None:
        whole = part.get("valueInteger")
        if isinstance(whole, int) and not isinstance(whole, bool):
            return Quantity(whole, whole, "", str(whole))
        return _in_words(text(part, "valueString"))
    code = text(raw, "code")
    unit = code if units.ucum(code) else text(raw, "unit") or code
    return _bounded(value, text(raw, "comparator"), unit)


def _bounded(value: float, comparator: str, unit: str) -> Quantity:
    below, above = float("-inf"), float("inf")
    if comparator not in ("", "<", "<=", ">", ">="):
        raise UnreadableError("valueQuantity.comparator", "expected <, <=, > or >=")
    shown = f"{comparator}{value:g}"
    shown = f"{shown} {units.written(unit)}".strip()
    if comparator in ("<", "<="):
        return Quantity(below, value, unit, shown)
    if comparator in (">", ">="):
        return Quantity(value, above, unit, shown)
    return Quantity(value, value, unit, shown)


def _in_words(said: str) -> Quantity | None:
    """A number written as text with its unit ("<0.01 mIU/L"); without a known unit it is no quantity."""
    stripped = said.strip()
    comparator = next((c for c in ("<=", ">=", "<", ">") if stripped.startswith(c)), "")
    try:
        value, unit = units.split(stripped[len(comparator) :])
    except ValueError:
        return None
    return _bounded(value, comparator, unit) if units.ucum(unit) else None


def _flags(part: Json) -> frozenset[str]:
    if "interpretation" not in part:
        return frozenset()
    return frozenset(
        text(coding, "code") for concept in elements(part, "interpretation") for coding in elements(concept, "coding")
    )


def _remarks(part: Json, raw: Json) -> str:
    if "note" not in raw and "interpretation" not in part:
        return ""
    noted = [text(note, "text") for note in elements(raw, "note")]
    flagged = [text(concept, "text") for concept in elements(part, "interpretation")]
    return " ".join([*noted, *flagged])[:_TEXT_LENGTH]


def _says(
    part: Json,
    value_codes: tuple[Match, ...],
    value_text: str,
    flags: frozenset[str],
    value: Quantity | None,
    reading: Reading,
) -> str:
    """What the value says: yes, no, normal, abnormal, unsure or "" (a number, or other words)."""
    if part.get("dataAbsentReason") is not None:
        return "unsure"
    stated = _stated(part, value_codes, value_text, reading)
    flagged = "yes" if "POS" in flags else "no" if "NEG" in flags else ""
    if stated in ("yes", "no") and flagged and stated != flagged:
        return "unsure"
    if stated or flagged:
        return stated or flagged
    has_value = not _VALUES.isdisjoint(part)
    # No value and no reason for its absence: the code itself says that it is there.
    return "" if has_value or part.get("component") or part.get("hasMember") else "yes"


_VALUES = frozenset(
    f"value{kind}"
    for kind in (
        "Quantity", "CodeableConcept", "String", "Boolean", "Integer", "Decimal", "Range", "Ratio", "SampledData",
        "Time", "Date", "DateTime", "Period", "Attachment", "Reference", "Uri",
    )
)  # fmt: skip


# Elements beside a number that say yes, no or nothing.
_SPEAKING = frozenset({"dataAbsentReason", "valueBoolean"})


def _stated(part: Json, value_codes: tuple[Match, ...], value_text: str, reading: Reading) -> str:
    boolean = part.get("valueBoolean")
    if isinstance(boolean, bool):
        return "yes" if boolean else "no"
    for match in value_codes:
        if match.concept in ANSWERS and match.role == "":
            return ANSWERS[match.concept]
    return reading.answer(value_text) if value_text else ""


def _grade(part: Json, value: Quantity | None, value_text: str, reading: Reading) -> float | None:
    if value_text:
        return reading.grade(value_text, of_five=len(value_text) > 5)
    if (
        value is not None
        and value.exact
        and 0 <= value.low <= 5
        and value.unit in ("", "1", "{score}", "{MRC}", "score")
    ):
        return value.low
    return None


def _everywhere(wording: str, reading: Reading) -> tuple[Site, ...]:
    """A grade of all groups was taken in arms and legs, on both sides."""
    if reading.whole_body.search(wording.lower()):
        return (Site("arm", "both", "arms"), Site("leg", "both", "legs"))
    return ()


def _range(part: Json) -> tuple[float | None, float | None]:
    for given in elements(part, "referenceRange"):
        kind = status(given, "type")
        if kind in ("", "normal", "recommended"):
            return number(element(given, "low"), "value"), number(element(given, "high"), "value")
    return None, None


def _examined(raw: Json) -> bool:
    for category in elements(raw, "category"):
        for coding in elements(category, "coding"):
            if text(coding, "code") == "exam":
                return True
    return any("Practitioner" in text(performer, "reference") for performer in elements(raw, "performer"))


# --- reports, orders, procedures ----------------------------------------------------------------


def read_report(raw: Json, about: About) -> Iterator[Entry]:
    state = text(raw, "status")
    if state in ("entered-in-error", "cancelled"):
        return
    named = about.concepts.of(raw, "code")
    codes = named.with_studies
    if not codes:
        return
    said = [text(raw, "conclusion")]
    for part in elements(raw, "conclusionCode"):
        said.append(about.concepts.of({"conclusionCode": part}, "conclusionCode").title)
    conclusion = ". ".join(part for part in said if part)[:_TEXT_LENGTH]
    yield Report(
        reference=_ref(raw),
        title=named.title or "unnamed report",
        codes=tuple(dict.fromkeys(codes)),
        when=span(raw, "effectiveDateTime", "effectivePeriod", "issued"),
        texts=(conclusion,) if conclusion and state in _FINAL else (),
        sites=named.sites,
        issued=span(raw, "issued"),
        status=state,
        final=state in _FINAL,
        conclusion=conclusion,
    )


def read_order(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") == "entered-in-error" or raw.get("doNotPerform") is True:
        return
    if text(raw, "intent") in ("proposal", "option"):
        return  # thought of, not prescribed
    named = about.concepts.of(raw, "code")
    known = {m.concept for m in named.matches}
    said = (m for w in named.wordings for m in about.reading.orders_in(w) if m.concept not in known)
    codes = (*named.matches, *said)
    if not codes and not named.title:
        return
    yield Order(
        reference=_ref(raw),
        title=named.title or "unnamed order",
        codes=tuple(dict.fromkeys(codes)),
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
        reference=_ref(raw),
        title=named.title or "unnamed procedure",
        codes=codes,
        when=_performed(raw),
        texts=(*_heard(named.wordings), *((outcome,) if outcome else ())),
        coded=is_coded(codes),
        sites=_places(raw, named, (), codes, about),
    )


def _performed(raw: Json) -> Span | None:
    done = element(raw, "performedPeriod")
    return span(raw, "performedDateTime") or span(done, "end", "start") or span(raw, "performedString")


# --- medicines ----------------------------------------------------------------------------------


def read_medicine(raw: Json, about: About) -> Iterator[Entry]:
    state = text(raw, "status")
    if state in ("entered-in-error", "draft", "unknown", "not-taken", "intended") or raw.get("doNotPerform") is True:
        return
    named = _medication(raw, about)
    codes, title = named.matches, named.title
    if not codes:
        codes = tuple(m for w in named.wordings for m in about.reading.medicines_in(w))
    if not title and not codes:
        return
    dispensed = element(element(raw, "dispenseRequest"), "validityPeriod")
    bounds = _bounds(raw)
    active = state in ("active", "on-hold")
    yield Medicine(
        reference=_ref(raw),
        title=title or "unnamed medicine",
        codes=tuple(dict.fromkeys(codes)),
        when=span(bounds, "start") or span(raw, "effectiveDateTime", "effectivePeriod", "authoredOn", "dateAsserted"),
        active=active,
        ended=span(bounds, "end")
        or span(element(raw, "effectivePeriod"), "end")
        or (None if active else span(dispensed, "end")),
        mg_per_day=_mg_per_day(raw),
        name=_ingredient(named.codings, about) or about.reading.medicine_name(title) or title,
    )


def _medication(raw: Json, about: About) -> Concept:
    if "medicationCodeableConcept" in raw:
        return about.concepts.of(raw, "medicationCodeableConcept")
    target = element(raw, "medicationReference")
    wanted = text(target, "reference")
    for contained in elements(raw, "contained"):
        if wanted == f"#{text(contained, 'id')}":
            return about.concepts.of(contained, "code")
    outside = (about.medications or {}).get(id_of(wanted))
    if outside is not None:
        return about.concepts.of(outside, "code")
    display = text(target, "display")
    if wanted and not display:
        raise UnreadableError("medicationReference", "the medicine itself was not sent")
    return about.concepts.of({"code": {"text": display}}, "code")


def _ingredient(codings: tuple[tuple[str, str], ...], about: About) -> str:
    for system, code in codings:
        if system.endswith("rxnorm"):
            named = about.reading.codes.ingredients.get(code)
            if named:
                return " / ".join(sorted(named))
    return ""


def _bounds(raw: Json) -> Json:
    for key in ("dosageInstruction", "dosage"):
        for dosage in elements(raw, key):
            return element(element(element(dosage, "timing"), "repeat"), "boundsPeriod")
    return {}


def _mg_per_day(raw: Json) -> float | None:
    """The daily dose in milligrams, when one dosage states it in full."""
    for key in ("dosageInstruction", "dosage"):
        for dosage in elements(raw, key):
            repeat = element(element(dosage, "timing"), "repeat")
            for rate in elements(dosage, "doseAndRate"):
                dose = element(rate, "doseQuantity")
                value = number(dose, "value")
                unit = text(dose, "code") or text(dose, "unit")
                milligrams = None if value is None else units.general(value, unit, "mg")
                if milligrams is None:
                    return None
                times, every = number(repeat, "frequency") or 1.0, number(repeat, "period") or 1.0
                days = {"h": 1 / 24, "d": 1.0, "wk": 7.0, "mo": 30.0, "": 1.0}.get(text(repeat, "periodUnit"))
                return None if days is None else milligrams * times / (every * days)
    return None


_NEW_COURSE_AFTER_DAYS = 90


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


_EVER = Span.on(date.min)


def _interrupted(before: Medicine, after: Medicine) -> bool:
    if before.active or before.ended is None or after.when is None:
        return False
    return (after.when.first - before.ended.last).days > _NEW_COURSE_AFTER_DAYS


# --- encounters and the rest --------------------------------------------------------------------


def read_encounter(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") in ("entered-in-error", "cancelled"):
        return
    reading = about.reading
    coding = element(raw, "class")
    codes = list(reading.codes.matches(text(coding, "system"), text(coding, "code")))
    wordings: list[str] = []
    for part in [*elements(raw, "type"), element(raw, "serviceType")]:
        kind = about.concepts.of({"type": part}, "type")
        codes += kind.matches
        wordings += kind.wordings
    wordings += [text(element(p, "individual"), "display") for p in elements(raw, "participant")]
    wordings += [text(element(place, "location"), "display") for place in elements(raw, "location")]
    wordings.append(text(element(raw, "serviceProvider"), "display"))
    for part in elements(raw, "reasonCode"):
        reason = about.concepts.of({"reasonCode": part}, "reasonCode")
        about.attention.give(reason.wordings, free=SHORT_NAME)
        codes += [m for m in reason.with_twitching if m.concept in reading.gate.all_concepts]
    held = element(raw, "period")
    yield Visit(
        reference=_ref(raw),
        title=", ".join(dict.fromkeys(w for w in wordings if w)) or "visit",
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
            reference=_ref(raw),
            title=named.title or "unnamed condition",
            codes=named.matches,
            texts=tuple(f"family history of {w}" for w in _heard(named.wordings)),
            coded=named.is_coded,
            relation=relation.lower() or "relative",
            age="" if age is None else f"at {age:g} years",
        )


def read_device(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") not in ("active", ""):
        return
    kind = about.concepts.of(raw, "type")
    names = tuple(text(n, "name") for n in elements(raw, "deviceName"))
    texts = _heard((*kind.wordings, *names))
    title = kind.title or next(iter(names), "device")
    yield Device(reference=_ref(raw), title=title, codes=kind.matches, texts=texts, coded=kind.is_coded)


def read_allergy(raw: Json, about: About) -> Iterator[Entry]:
    if status(raw, "verificationStatus") in ("entered-in-error", "refuted") or status(raw, "clinicalStatus") in _ENDED:
        return
    named = about.concepts.of(raw, "code")
    yield Allergy(
        reference=_ref(raw),
        title=named.title or "allergy",
        codes=named.matches,
        texts=_heard(named.wordings),
        coded=named.is_coded,
    )


def read_appointment(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") not in ("booked", "pending"):
        return
    codes: list[Match] = []
    wordings: list[str] = [text(raw, "description")]
    for key in ("serviceType", "specialty", "reasonCode"):
        for part in elements(raw, key):
            named = about.concepts.of({key: part}, key)
            codes += named.matches
            wordings += named.wordings
    title = ", ".join(w for w in wordings if w) or "appointment"
    yield Appointment(reference=_ref(raw), title=title, codes=tuple(codes), when=span(raw, "start"))


# --- the structured history ---------------------------------------------------------------------


def read_answers(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") not in ("completed", "amended"):
        return
    ours = text(raw, "questionnaire").split("|")[0].endswith(about.reading.questionnaire)
    when = span(raw, "authored")
    clinician = "Practitioner" in reference(raw, "author") or "Practitioner" in reference(raw, "source")
    for item in _items(raw):
        if ours:
            yield from _own_answer(item, raw, when, clinician, about)
        else:
            yield from _foreign_answer(item, raw, when, clinician, about)


def _items(raw: Json) -> Iterator[Json]:
    for item in elements(raw, "item"):
        yield item
        yield from _items(item)
        for answer in elements(item, "answer"):
            yield from _items(answer)


# Items of the form that name places, and the first day of each band of its question about the beginning.
_PLACE_ITEMS = frozenset({"site.where", "weak.where", "exam.region"})
_DAYS_AGO = {"under-2-weeks": 0, "2-to-4-weeks": 14, "4-to-12-weeks": 28, "over-12-weeks": 84}


def _own_answer(item: Json, raw: Json, when: Span | None, clinician: bool, about: About) -> Iterator[Entry]:
    link, values, figure = text(item, "linkId"), [], None
    for answer in elements(item, "answer"):
        coding = element(answer, "valueCoding")
        code = about.reading.history_codes.get((link, text(coding, "code")), text(coding, "code"))
        said = (code, text(answer, "valueString"), text(answer, "valueDate"), text(answer, "valueDateTime"))
        values += [value for value in said if value]
        boolean = answer.get("valueBoolean")
        if isinstance(boolean, bool):
            values.append("yes" if boolean else "no")
        for key in ("valueInteger", "valueDecimal"):
            figure = number(answer, key) if number(answer, key) is not None else figure
    if len(values) > 1:
        # "None of these" beside another answer: the other answer counts.
        values = [value for value in values if (link, value) not in about.reading.exclusive_options]
    if values or figure is not None:
        yield Answer(
            reference=_ref(raw), title=text(item, "text") or link, when=when, item=link, values=tuple(values),
            number=_DAYS_AGO.get(values[0]) if link == "onset.ago" and values else figure,
            sites=_places_said(values, about) if link in _PLACE_ITEMS else (),
        )  # fmt: skip


def _places_said(values: list[str], about: About) -> tuple[Site, ...]:
    return tuple(site for value in values for site in about.reading.sites(value.replace("-", " ")))


def _foreign_answer(item: Json, raw: Json, when: Span | None, clinician: bool, about: About) -> Iterator[Entry]:
    """An item of another form is one more result: reported by a patient, examined by a clinician."""
    wording = text(item, "text")
    for answer in elements(item, "answer"):
        part = {key: value for key, value in answer.items() if key != "valueCoding"}
        if "valueCoding" in answer:
            part["valueCodeableConcept"] = {"coding": [answer["valueCoding"]]}
        part["code"] = {"text": wording}
        for entry in _result(part, {**raw, "effectiveDateTime": None, "status": "final"}, about, "final"):
            if isinstance(entry, Result):
                yield replace(entry, when=when, examined=clinician)


READERS: dict[str, Callable[[Json, About], Iterator[Entry]]] = {
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
