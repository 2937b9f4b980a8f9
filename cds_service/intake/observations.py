"""An Observation and its components as results: the name, and what the value says, in whatever form it has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from cds_service import units
from cds_service.clinical.chart import CRITICAL_FLAGS, UNNAMED_RESULT, UNTIMED, Entry, Match, Quantity, Result, Site
from cds_service.clinical.gate import GATE_ROLES
from cds_service.clinical.tokens import fold
from cds_service.errors import UnreadableError
from cds_service.intake.about import (
    FINAL,
    MOST_COMPONENTS,
    SHORT_NAME,
    TEXT_LENGTH,
    About,
    at_most,
    heard,
    name_of,
    places,
)
from cds_service.intake.concepts import ANSWERS, STRENGTH_EXAM, WORDS_OF_TWITCHING, Concept, Spoken
from cds_service.intake.shape import LONGEST_TEXT, Json, element, elements, number, span, status, text

_NO_RESULT = frozenset({"entered-in-error", "cancelled", "registered", "unknown"})
_GRADES = ("", "1", "{score}", "{MRC}", "score")  # units of a grade of strength
_COMPARATORS = (None, "", "<", "<=", ">", ">=")
# Elements beside a number that say yes, no or nothing, and all that say more than it.
_SPEAKING = frozenset({"dataAbsentReason", "valueBoolean"})
_BESIDE_A_NUMBER = _SPEAKING | {"valueCodeableConcept", "valueString", "interpretation"}
_VALUES = frozenset(
    f"value{kind}"
    for kind in (
        "Quantity", "CodeableConcept", "String", "Boolean", "Integer", "Decimal", "Range", "Ratio", "SampledData",
        "Time", "Date", "DateTime", "Period", "Attachment", "Reference", "Uri",
    )
)  # fmt: skip


class _Value(NamedTuple):
    """A value in each of the forms that it may have."""

    concept: Concept
    text: str
    quantity: Quantity | None
    flags: frozenset[str]
    says: str  # yes, no, normal, abnormal, unsure or "" (a number, or other words)
    is_plain: bool  # a number and nothing else


def read_observation(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") in _NO_RESULT:
        return
    yield from read_result(raw, raw, about, about.concepts.none)
    for component in at_most(MOST_COMPONENTS, elements(raw, "component"), "Observation.component"):
        yield from read_result(component, raw, about, about.concepts.of(raw, "code", is_name=True))


def read_result(part: Json, raw: Json, about: About, parent: Concept) -> Iterator[Result]:
    """One value, if a rule would make anything of it.

    ``part``: the Observation itself (``raw``), or a component of it. ``parent``: what a component is one of.
    """
    named, valued = about.concepts.of(part, "code", is_name=True), about.concepts.of(part, "valueCodeableConcept")
    about.attention.spend(named.length + valued.length + parent.length - SHORT_NAME)  # of each part, each time
    if named.is_silent and not parent.says_strength and _is_only_a_number(part):
        return  # as most of a chart: nothing below would be made of it
    spoken = about.concepts.spoken
    value = _value(part, valued, named, spoken)
    strength = named.is_strength or named.says_strength or parent.says_strength
    final = text(raw, "status") in FINAL
    codes, twitching = (named.matches, None) if parent.matches else _of_twitching(named, value, final, spoken)
    if strength and not named.is_strength:
        codes = (*codes, Match(STRENGTH_EXAM, "", "text", ""))
    texts = () if value.is_plain else _texts(named, value, spoken)
    if not (codes or valued.matches or texts or named.is_kept or value.flags & CRITICAL_FLAGS):
        return
    # A measured quantity, or the heading of a panel, belongs to the whole patient.
    local = strength or value.says or valued.matches or (value.text and value.quantity is None)
    holder = part if "bodySite" in part else raw
    sites = places(holder, named, (*parent.wordings, value.text), codes, about) if local else ()
    grade = _grade(value) if strength else None
    low, high, unit = _range(part, value.quantity)
    yield Result(
        reference=name_of(raw), title=named.title or named.code or UNNAMED_RESULT, codes=codes,
        when=span(raw, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued"), texts=texts,
        # A value in free words says more than the name of what was looked at.
        coded=(named.is_coded and not value.text) or valued.is_coded,
        sites=sites or (() if grade is None else _everywhere(named, value)),
        says=value.says, says_twitching=twitching, value=value.quantity, value_text=value.text,
        value_codes=tuple(match for match in valued.with_twitching if match is not WORDS_OF_TWITCHING),
        examined=_examined(raw), final=final, range_low=low, range_high=high, range_unit=unit,
        flags=value.flags, grade=grade, muscle=named.title if strength else "", remarks=_remarks(part, raw),
        this_encounter=about.in_this_encounter(raw), at=UNTIMED if value.quantity is None else _instant(raw),
    )  # fmt: skip


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


def _value(part: Json, concept: Concept, named: Concept, spoken: Spoken) -> _Value:
    words = (text(part, "valueString") or concept.title)[:TEXT_LENGTH]
    quantity, flags = _quantity(part), _flags(part)
    plain = quantity is not None and not (flags or concept.matches or words) and _SPEAKING.isdisjoint(part)
    says = "" if plain else _says(part, concept, words, flags)
    if says in ("", "normal") and words and named.names_a_sign:
        says = spoken.answer_to_sign(named.title, words) or says
    return _Value(concept, words, quantity, flags, says, plain)


def _of_twitching(named: Concept, value: _Value, final: bool, spoken: Spoken) -> tuple[tuple[Match, ...], bool | None]:
    """The codes of a result, that it speaks of twitching when its name or value does, and what its value says of it.

    Words that open the gate whatever the code count when the result is final. A value that denies twitching is an
    answer only to a name that asks for it.
    """
    gate = named.reading.gate
    codes = named.asks_for_twitching if final else named.matches
    if value.is_plain:
        return codes, None
    if any(match.concept in gate.all_concepts and match.role in GATE_ROLES for match in codes):
        in_words = value.text and value.says in ("", "abnormal")
        return codes, spoken.twitching_answered(named.title, value.text) if in_words else None
    told = (value.text, *value.concept.wordings[1:]) if value.says in ("", "yes") and final else ()
    if any(spoken.twitching_told(named.title, words) for words in told):
        return (*codes, WORDS_OF_TWITCHING), True
    return codes, None


def _texts(named: Concept, value: _Value, spoken: Spoken) -> tuple[str, ...]:
    """The words of a result: its name when it is affirmed, and what its value says in words."""
    wordings, says = named.wordings, value.says
    # "Hoffmann sign: positive" is one statement, whatever form the answer has.
    if says == "yes":
        # A grade that changes what is said: "Headache: severe" is a severe headache.
        answers = ("positive", "severe") if fold(value.text).strip() == "severe" else ("positive",)
        return heard(wordings) + tuple(f"{wording} {answer}" for wording in wordings for answer in answers)
    if says == "no":
        return named.denied
    if not value.text or value.concept.matches or says == "unsure":
        return ()
    # One statement: "Plantars: extensor", or "Motor examination: normal power"; none: "Muscle wasting: normal".
    together = spoken.statement(wordings[0], named.said_by_its_title, value.text) if wordings else ""
    return (together, value.text) if together else (value.text,)


def _quantity(part: Json) -> Quantity | None:
    raw = element(part, "valueQuantity")
    value = number(raw, "value") if raw else None
    if value is None:
        whole = part.get("valueInteger")
        if isinstance(whole, int) and not isinstance(whole, bool):
            return Quantity(whole, whole, "", str(whole))
        return _in_words(text(part, "valueString"))
    return _bounded(value, text(raw, "comparator"), _unit(raw))


def _bounded(value: float, comparator: str, unit: str) -> Quantity:
    if comparator not in _COMPARATORS:
        raise UnreadableError("valueQuantity.comparator", "expected <, <=, > or >=")
    low = float("-inf") if comparator in ("<", "<=") else value
    high = float("inf") if comparator in (">", ">=") else value
    return Quantity(low, high, unit, f"{comparator}{value:g} {units.written(unit)}".strip())


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


def _says(part: Json, concept: Concept, words: str, flags: frozenset[str]) -> str:
    """What the value says: see ``_Value``."""
    if part.get("dataAbsentReason") is not None:
        return "unsure"
    stated = _stated(part, concept, words)
    flagged = "yes" if "POS" in flags else "no" if "NEG" in flags else ""
    if stated in ("yes", "no") and flagged and stated != flagged:
        return "unsure"
    if stated or flagged:
        return stated or flagged
    has_value = not _VALUES.isdisjoint(part)
    # No value and no reason for its absence: the code itself says that it is there.
    return "" if has_value or part.get("component") or part.get("hasMember") else "yes"


def _stated(part: Json, concept: Concept, words: str) -> str:
    boolean = part.get("valueBoolean")
    if isinstance(boolean, bool):
        return "yes" if boolean else "no"
    for match in concept.matches:
        if match.concept in ANSWERS and match.role == "":
            return ANSWERS[match.concept]
    return concept.reading.answer(words) if words else ""


def _grade(value: _Value) -> float | None:
    """A grade of strength, 0 to 5."""
    words, quantity = value.text, value.quantity
    if words:
        return value.concept.reading.grade(words, of_five=len(words) > 5)
    if quantity is None or not quantity.exact or quantity.unit not in _GRADES:
        return None
    return quantity.low if 0 <= quantity.low <= 5 else None


def _everywhere(named: Concept, value: _Value) -> tuple[Site, ...]:
    """A grade of all groups was taken in arms and legs, on both sides."""
    if named.reading.whole_body.search(fold(" ".join((*named.wordings, value.text)))):
        return (Site("arm", "both", "arms"), Site("leg", "both", "legs"))
    return ()


def _range(part: Json, value: Quantity | None) -> tuple[float | None, float | None, str]:
    """The reference range, with its unit where that is not the unit of the value."""
    for given in elements(part, "referenceRange"):
        kind = status(given, "type")
        if kind in ("", "normal", "recommended"):
            low, high = element(given, "low"), element(given, "high")
            unit = _unit(low) or _unit(high)
            if _differ(_unit(high), unit):
                return None, None, ""
            other = value is not None and _differ(unit, value.unit)
            return number(low, "value"), number(high, "value"), unit if other else ""
    return None, None, ""


def _differ(unit: str, other: str) -> bool:
    return unit not in ("", other) and (units.ucum(unit) is None or units.ucum(unit) != units.ucum(other))


def _unit(quantity: Json) -> str:
    code = text(quantity, "code")
    return code if units.ucum(code) else text(quantity, "unit") or code


def _examined(raw: Json) -> bool:
    for category in elements(raw, "category"):
        for coding in elements(category, "coding"):
            if text(coding, "code") == "exam":
                return True
    return any("Practitioner" in text(performer, "reference") for performer in elements(raw, "performer"))


def _remarks(part: Json, raw: Json) -> str:
    if "note" not in raw and "interpretation" not in part:
        return ""
    noted = [text(note, "text") for note in elements(raw, "note")]
    flagged = [text(concept, "text") for concept in elements(part, "interpretation")]
    return " ".join([*noted, *flagged])[:TEXT_LENGTH]


def _instant(raw: Json) -> float:
    """The moment of a measurement; UNTIMED when only the day is known. No zone counts as UTC."""
    for key in ("effectiveDateTime", "effectiveInstant", "issued"):
        stamp = text(raw, key)
        if "T" in stamp:
            try:
                moment = datetime.fromisoformat(stamp)
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            except ValueError:
                return UNTIMED
    return UNTIMED
