"""How records are read: words.yaml, compiled. Intake asks it about texts and places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.clinical.chart import Match, Site
from cds_service.clinical.gate import TWITCHING_WORDS, Gate
from cds_service.clinical.tokens import fold
from cds_service.clinical.words import Heard, PhraseBook
from cds_service.knowledge.codes import Codes

_SENTENCE = re.compile(r"[.;\n\r\v\f]")
_WORD = re.compile(r"[a-z0-9]+")
_GRADE = re.compile(r"(?<![\d.])([0-5])\s*([+\-]?)(?:\s*/\s*5)?\s*([+\-]?)(?![\d.])")
_GRADE_OF_FIVE = re.compile(r"(?<![\d.])([0-5])\s*([+\-]?)\s*/\s*5\s*([+\-]?)(?![\d.])")

_OF_NOW = re.compile(r"history of (?:the )?present(?:ing)?\b")  # illness, complaint


def _any_of(words: list[str]) -> re.Pattern[str]:
    if not words:
        return re.compile(r"(?!)")
    ordered = sorted(words, key=len, reverse=True)
    return re.compile(r"(?<![a-z0-9])(?:" + "|".join(re.escape(fold(word)) for word in ordered) + r")(?![a-z0-9])")


@dataclass(frozen=True)
class WordTable:
    """Words of the content by what they stand for. Each is found only as a whole, so it can only begin with a word."""

    rows: tuple[tuple[str, re.Pattern[str]], ...]
    beginnings: frozenset[str]

    @classmethod
    def of(cls, lists: Mapping[str, list[str]]) -> WordTable:
        first = (_WORD.search(fold(word)) for listed in lists.values() for word in listed)
        rows = tuple((name, _any_of(listed)) for name, listed in lists.items())
        return cls(rows, frozenset(found.group() for found in first if found))

    def __iter__(self) -> Iterator[tuple[str, re.Pattern[str]]]:
        return iter(self.rows)

    def may_be_in(self, words: Iterable[str]) -> bool:
        """Whether it is worth while to search a text with these words; that costs much more."""
        return not self.beginnings.isdisjoint(words)


@dataclass(frozen=True, eq=False)
class Reading:
    """Everything intake needs of the content: value sets, phrases, places and the gate."""

    codes: Codes
    gate: Gate
    phrase_book: PhraseBook
    answers: Mapping[str, str]  # folded word -> yes, no, normal, abnormal, unsure
    regions: WordTable
    traps: WordTable
    sides: WordTable
    both: re.Pattern[str]
    site_concepts: Mapping[str, str]
    implied_sites: Mapping[str, str]
    studies: WordTable
    orders: WordTable
    strength: re.Pattern[str]
    whole_body: re.Pattern[str]
    medicine_names: Mapping[str, tuple[str, ...]]  # folded name -> concepts
    medicine_pattern: re.Pattern[str]
    kept_names: re.Pattern[str]  # names by which rules ask for results that have no code
    not_blood: re.Pattern[str]
    history_codes: Mapping[tuple[str, str], str]  # item of the form and code of an option -> its value
    not_well: re.Pattern[str]  # names of signs of which "fine" or "normal" denies nothing
    exclusive_options: frozenset[tuple[str, str]]  # item of the form and "none of these"
    questionnaire: str = "/Questionnaire/twitch-history"

    def sites(self, *texts: str) -> tuple[Site, ...]:
        """Regions of the body that a text names, each with its side."""
        found: dict[Site, None] = {}
        for text in texts:
            plain = fold(text)
            words = _WORD.findall(plain)
            if not (self.regions.may_be_in(words) or self.traps.may_be_in(words)):
                continue
            sides = [name for name, pattern in self.sides if pattern.search(plain)]
            side = "both" if {"left", "right"} <= set(sides) else next(iter(sides), "")
            for _, pattern in self.sides:
                # "Back of the left hand" is the back of the hand.
                plain = pattern.sub("", plain).replace("  ", " ")
            for region, pattern in self.traps:
                plain, hits = pattern.subn(" ", plain)
                if hits and region != "nowhere":
                    found[Site(region, side, region)] = None
            for region, pattern in self.regions:
                for hit in pattern.finditer(plain):
                    word = hit.group()
                    found[Site(region, "both" if not side and self.both.fullmatch(word) else side, word)] = None
        return tuple(found)

    def site_of_concepts(self, concepts: set[str], wording: str) -> tuple[Site, ...]:
        side = next(
            (s for s in ("left", "right") if any(c.endswith(f"_{s}") or c == f"side_{s}" for c in concepts)), ""
        )
        if "side_bilateral" in concepts:
            side = "both"
        if not side:
            side = next((name for name, pattern in self.sides if pattern.search(fold(wording))), "")
            side = "both" if not side and self.both.search(fold(wording)) else side
        return tuple(
            Site(self.site_concepts[c], side, fold(wording) or self.site_concepts[c])
            for c in sorted(concepts)
            if c in self.site_concepts
        )

    def says_twitching(self, text: str) -> bool | None:
        """Whether words say that a muscle twitches: True, denied (False), or not said (None)."""
        plain = fold(text)
        if not self.gate.may_speak_of_twitching(plain):
            return None
        verdicts = [self._sentence_says_twitching(sentence) for sentence in _SENTENCE.split(plain)]
        return True if True in verdicts else False if False in verdicts else None

    def _sentence_says_twitching(self, plain: str) -> bool | None:
        if not self.gate.may_speak_of_twitching(plain) or self.gate.blocked.search(plain):
            return None
        stems = self.gate.named.sub(r"\1", plain)
        heard = [h for h in self.phrase_book.listen(stems) if h.finding == TWITCHING_WORDS]
        return heard[0].says if heard else None

    def twitching_answered(self, name: str, value: str) -> bool | None:
        """What the value of a result in words says, whose name or code asks for twitching: "present in both calves"."""
        asked = name if self.says_twitching(name) else "fasciculation"
        together = self.statement(asked, self.phrase_book.listen(asked), value)
        said = self.says_twitching(together) if together and not value.lstrip().startswith("0") else None
        return None if said is False and "," in value else said  # "none in the arms, frequent in the calves"

    def twitching_told(self, name: str, value: str) -> bool:
        """Whether the value of another result says that a muscle twitches, and its name does not take that back."""
        if not self.gate.may_speak_of_twitching(fold(value)) or not self.says_twitching(value):
            return False
        # "Family history", "Reason to rule out" and "Past illness" do.
        name = _OF_NOW.sub("", fold(name))
        return bool(self.says_twitching(f"{name} fasciculation") and self.says_twitching(f"{name} {value}"))

    def answer(self, text: str) -> str:
        return self.answers.get(fold(text).strip().rstrip("."), "")

    def names_a_sign(self, name: str) -> bool:
        """Whether an affirmed result of this name says that a finding is there, other than that something is normal."""
        book = self.phrase_book
        heard = (h for text in (name, f"{name} positive", f"{name} present") for h in book.listen(text))
        return any(h.says and not book.affirmed_by_normal(h.finding) for h in heard)

    def answer_to_sign(self, name: str, value: str) -> str:
        """What other words than those listed say to the name of a sign: yes, no, or "" where they leave it open."""
        kind = self.phrase_book.kind_of_answer(value)
        if kind == "well" and self.not_well.search(fold(name)):
            return ""
        if kind == "" and self.phrase_book.only_places(value):
            return "yes"
        return "no" if kind in ("denied", "well") else ""

    def denied(self, name: str) -> str:
        """The name of a result answered no, as one statement. "Wasting of the hand negative" denies nothing."""
        behind = f"{name} negative"
        return f"no {name}" if any(heard.says for heard in self.phrase_book.listen(behind)) else behind

    def statement(self, name: str, alone: tuple[Heard, ...], value: str) -> str:
        """Name and value of a result as one statement, so that phrases may lie across both.

        ``alone``: what the name says by itself. Empty where the value takes that back or leaves it open.
        """
        value = self.phrase_book.affirmed_part(value)
        joined = f"{name} {value}"
        cancelled = self.phrase_book.cancelled_by(value, alone) if alone else set()
        if not cancelled:
            return joined
        said = {(heard.finding, heard.says) for heard in self.phrase_book.listen(joined)}
        return "" if cancelled & said else joined

    def grade(self, text: str, of_five: bool) -> float | None:
        """A strength grade in words: 5/5, 4+, 4-/5; a plus or minus shifts by half a grade."""
        found = (_GRADE_OF_FIVE if of_five else _GRADE).search(fold(text))
        if not found:
            return None
        sign = found[2] or found[3]
        value = float(found[1]) + {"+": 0.5, "-": -0.5}.get(sign, 0.0)
        return min(5.0, max(0.0, value))

    def keeps(self, wordings: tuple[str, ...]) -> bool:
        """Whether a rule asks for a result by its name."""
        return any(self.kept_names.search(fold(wording)) for wording in wordings)

    def medicine_name(self, text: str) -> str:
        """The first known name in a text, so that two strengths of one medicine are one medicine."""
        found = self.medicine_pattern.search(fold(text))
        return found.group() if found else ""

    def studies_in(self, text: str) -> tuple[Match, ...]:
        return _words(self.studies, text)

    def orders_in(self, text: str) -> tuple[Match, ...]:
        return _words(self.orders, text)

    def medicines_in(self, text: str) -> tuple[Match, ...]:
        concepts = {c for hit in self.medicine_pattern.findall(fold(text)) for c in self.medicine_names[hit]}
        return tuple(Match(concept, "words", "text", "") for concept in sorted(concepts))


def _words(table: WordTable, text: str) -> tuple[Match, ...]:
    plain = fold(text)
    if not table.may_be_in(_WORD.findall(plain)):
        return ()
    return tuple(Match(concept, "", "text", "") for concept, pattern in table if pattern.search(plain))


def compile_reading(
    words: Mapping[str, Any],
    codes: Codes,
    gate: Gate,
    book: PhraseBook,
    medicines: Mapping[str, tuple[str, ...]],
    kept: list[str],
    history: Mapping[str, Any],
) -> Reading:
    """words.yaml as patterns. ``medicines``: names in words, with their concepts; ``kept``: names of results."""
    answers = {fold(w): kind for kind in ("yes", "no", "normal", "abnormal", "unsure") for w in words[kind]}
    options = [(item["id"], option) for item in history["items"] for option in item.get("options", ())]
    return Reading(
        codes=codes,
        gate=gate,
        phrase_book=book,
        answers=answers,
        regions=WordTable.of(words["regions"]),
        traps=WordTable.of(words["traps"]),
        sides=WordTable.of(words["sides"]),
        both=_any_of(words["plural_means_both"]),
        site_concepts={c: region for region, concepts in words["site_concepts"].items() for c in concepts},
        implied_sites=words["implied_sites"],
        studies=WordTable.of(words["named_in_words"]),
        orders=WordTable.of(words["order_words"]),
        strength=_any_of(words["strength"]),
        whole_body=_any_of(words["whole_body_strength"]),
        medicine_names=medicines,
        medicine_pattern=_any_of(list(medicines)),
        kept_names=_any_of(kept),
        not_blood=_any_of(words["not_blood"]),
        not_well=re.compile("|".join(map(re.escape, words["answer_kinds"]["well_of"])) or r"(?!)"),
        exclusive_options=frozenset((item, option["value"]) for item, option in options if "exclusive" in option),
        history_codes={(item, o["code"].split()[1]): o["value"] for item, o in options if "code" in o},
    )
