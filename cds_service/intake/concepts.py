"""CodeableConcepts as intake reads them. A chart repeats few of them many times; each is looked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import chain
from typing import Any

from cds_service.clinical.chart import Match, Site
from cds_service.clinical.gate import TWITCHING_WORDS
from cds_service.clinical.tokens import fold
from cds_service.clinical.words import Heard
from cds_service.intake.shape import Json, coded, elements
from cds_service.knowledge.reading import Reading
from cds_service.remembered import Remembered

# Roles that tell a neighbouring thing: words may still be read beside such a code.
_BROADER = frozenset({"broader", "related", "differential", "category", "approximate", "generic"})
ANSWERS = {
    "answer_yes": "yes", "answer_present": "yes", "answer_positive": "yes", "answer_no": "no", "answer_absent": "no",
    "answer_negative": "no", "answer_normal": "normal", "answer_abnormal": "abnormal", "answer_unknown": "unsure",
}  # fmt: skip
STRENGTH_EXAM = "strength_exam"
_MOST_NAMES = 2000
_MOST_CODES = 8  # of one name: a code alone may be repeated without end
_LONGEST_NAME = 600  # characters with its codes; LOINC, SNOMED CT and an own code, each with its words, have 400
WORDS_OF_TWITCHING = Match(TWITCHING_WORDS, "words", "text", "")


@dataclass(frozen=True)
class Concept:
    """One CodeableConcept: its codings, its wordings, and what the content makes of them."""

    codings: tuple[tuple[str, str], ...]
    wordings: tuple[str, ...]
    matches: tuple[Match, ...]
    reading: Reading

    @property
    def title(self) -> str:
        return self.wordings[0] if self.wordings else ""

    @property
    def code(self) -> str:
        """What to call a resource that has a code and no words."""
        return next((code for _, code in self.codings if code), "")

    @cached_property
    def length(self) -> int:
        """Characters of its wordings."""
        return sum(map(len, self.wordings))

    @property
    def may_be_shared(self) -> bool:
        """Whether it may be remembered from chart to chart: it carries a few codes, and is as short as a name."""
        coded = 0 < len(self.codings) <= _MOST_CODES and all(system and code for system, code in self.codings)
        return coded and self.length + sum(map(len, chain(*self.codings))) < _LONGEST_NAME

    @cached_property
    def is_coded(self) -> bool:
        return is_coded(self.matches)

    @cached_property
    def with_twitching(self) -> tuple[Match, ...]:
        """What a problem or a reason says. Words that deny or doubt twitching, or tell of others, win over its code."""
        return self._with_twitching(self.title, frozenset({None, False}))

    @cached_property
    def asks_for_twitching(self) -> tuple[Match, ...]:
        """The same of the name of a result, which its value affirms or denies: "Fasciculation?" asks for it."""
        return self._with_twitching(self.title.replace("?", " "), frozenset({None}))

    def _with_twitching(self, title: str, taken_back: frozenset[bool | None]) -> tuple[Match, ...]:
        gate, reading = self.reading.gate, self.reading
        if gate.may_speak_of_twitching(fold(title)) and reading.says_twitching(title) in taken_back:
            return tuple(match for match in self.matches if match.concept not in gate.concepts)
        if any(reading.says_twitching(wording) for wording in self.wordings):
            return (*self.matches, WORDS_OF_TWITCHING)
        return self.matches

    @cached_property
    def said_by_its_title(self) -> tuple[Heard, ...]:
        return self.reading.phrase_book.listen(self.title)

    @cached_property
    def names_a_sign(self) -> bool:
        """Whether a yes to this name is a sign or a symptom: then a negation answers it."""
        return self.reading.names_a_sign(self.title)

    @cached_property
    def denied(self) -> tuple[str, ...]:
        """Its wordings when the value says no."""
        return tuple(map(self.reading.denied, self.wordings))

    @cached_property
    def may_open_the_gate(self) -> bool:
        gate = self.reading.gate
        return any(match.concept in gate.concepts for match in self.matches) or any(
            gate.may_speak_of_twitching(fold(wording)) for wording in self.wordings
        )

    @cached_property
    def is_strength(self) -> bool:
        return any(match.concept == STRENGTH_EXAM for match in self.matches)

    @cached_property
    def says_strength(self) -> bool:
        return any(self.reading.strength.search(fold(wording)) for wording in self.wordings)

    def with_words(self, named_in: Callable[[str], tuple[Match, ...]]) -> tuple[Match, ...]:
        """The codes, and what the words name besides."""
        known = {match.concept for match in self.matches}
        return (*self.matches, *(m for w in self.wordings for m in named_in(w) if m.concept not in known))

    @cached_property
    def with_studies(self) -> tuple[Match, ...]:
        return tuple(dict.fromkeys(self.with_words(self.reading.studies_in)))

    @cached_property
    def with_orders(self) -> tuple[Match, ...]:
        return tuple(dict.fromkeys(self.with_words(self.reading.orders_in)))

    @cached_property
    def medicines(self) -> tuple[Match, ...]:
        """What its codes say of a medicine; where they say nothing, what its words do."""
        in_words = (match for wording in self.wordings for match in self.reading.medicines_in(wording))
        return self.matches or tuple(dict.fromkeys(in_words))

    @cached_property
    def medicine_name(self) -> str:
        """What all strengths of a medicine are called: its ingredients, else the first known name in its title."""
        ingredients = self.reading.codes.ingredients
        for system, code in self.codings:
            if system.endswith("rxnorm") and (named := ingredients.get(code)):
                return " / ".join(sorted(named))
        return self.reading.medicine_name(self.title) or self.title

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return self.reading.sites(*self.wordings)

    @cached_property
    def is_silent(self) -> bool:
        """Whether a number by this name says nothing that a rule asks for."""
        return not (self.asks_for_twitching or self.says_strength or self.is_kept)

    @cached_property
    def is_kept(self) -> bool:
        """Whether a rule asks for a result by this name."""
        return self.reading.keeps(self.wordings)


def is_coded(codes: tuple[Match, ...]) -> bool:
    """A code says what it is; a broader code leaves that to the words, and a yes or no says nothing of it."""
    return any(
        match.role not in _BROADER and match.system != "text" and match.concept not in ANSWERS for match in codes
    )


@lru_cache(maxsize=2)
def _shared_names(reading: Reading) -> Remembered[Any, Concept]:
    """Names of tests and medicines by one content, which recur in every chart of a hospital."""
    return Remembered(_MOST_NAMES)


class Spoken:
    """What the content makes of the words of one chart, asked once of the same words: records repeat them."""

    def __init__(self, reading: Reading) -> None:
        self.answer_to_sign = cache(reading.answer_to_sign)
        self.statement = cache(reading.statement)
        self.twitching_answered = cache(reading.twitching_answered)
        self.twitching_told = cache(reading.twitching_told)
        self.sites = cache(reading.sites)
        self.may_say = cache(reading.phrase_book.may_say)


class Concepts:
    """Reads the concepts of one chart, and remembers them for as long as that takes.

    Names of results and medicines, as their system writes them beside a code, are remembered from chart to chart, up to
    a number. Never the words of a problem, a reason, an order, a procedure, a report, a note or a value: people type
    those, and they may speak of a person.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._known: dict[Any, Concept] = {}
        self._names = _shared_names(reading)
        self.spoken = Spoken(reading)
        self.none = Concept((), (), (), reading)

    def of(self, parent: Json, key: str, is_name: bool = False) -> Concept:
        """The concept under that key; an empty one when there is none. Raises UnreadableError.

        ``is_name``: whether it is what a result or a medicine is called.
        """
        raw = parent.get(key)
        if raw is None:
            return self.none
        try:
            written = _as_written(raw)
            known = self._known.get(written)
        except (AttributeError, TypeError):
            return self._read(parent, key)  # which says what is wrong with it
        if known is None:
            known = self._names.get(written) if is_name else None
            if known is None:
                known = self._read(parent, key)
                if is_name and known.may_be_shared:
                    self._names.keep(written, known)
            self._known[written] = known
        return known

    def each(self, parent: Json, key: str) -> Iterator[Concept]:
        """The concepts of a repeating element. Raises UnreadableError."""
        return (self.of({key: part}, key) for part in elements(parent, key))

    def _read(self, parent: Json, key: str) -> Concept:
        codings, wordings = coded(parent, key)
        matches = dict.fromkeys(m for system, code in codings for m in self._reading.codes.matches(system, code))
        return Concept(codings, wordings, tuple(matches), self._reading)


def _as_written(raw: Any) -> Any:
    """All that is read of a concept, in its order. Raises AttributeError or TypeError for an unusual shape."""
    codings = raw.get("coding")
    if codings is None:
        return raw.get("text")
    if type(codings) is not list:
        raise TypeError
    parts = [(coding.get("system"), coding.get("code"), coding.get("display")) for coding in codings]
    return (raw.get("text"), *parts)
