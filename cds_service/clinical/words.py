"""Curated phrases in the record's own text, safe against denial, doubt and history."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from cds_service.clinical.answer_kinds import AnswerKinds
from cds_service.clinical.clauses import (
    EXCEPTION,
    JOINS,
    MARKS,
    PLACING,
    REACH,
    after_being,
    clause_around,
    clauses_of,
    contains,
    end_of,
    ends_before_a_comma,
    first_clause,
    group_around,
    is_item,
    is_of_another_thing,
    is_open,
    listed_to_the_end,
    reachable,
    said_behind,
    sentences_of,
    takes_for_granted,
)
from cds_service.clinical.lexicon import Lexicon, Words
from cds_service.clinical.sides import each_side, side_told, sides_in, with_marks_in_words
from cds_service.clinical.tokens import DOUBTS_NEXT, WORDS_OF_MARKS, fold, tokens

# "Examination: not normal" does not say "examination normal".
# "No deficit (weakness, wasting)" explains what is denied.
_SIGNS_IN_GENERAL = frozenset(
    {"flag", "flags", "feature", "features", "sign", "signs", "symptom", "symptoms", "deficit", "deficits", "neurology",
     "abnormality", "abnormalities", "finding", "findings", "complaint", "complaints", "problem", "problems", "changes"}
)  # fmt: skip
_RELATIVE = "relative"  # a heading that names nobody else
_WHOSE = frozenset({"for", "of", "in", "to"})  # "hospice care for his wife"
# Between someone and what is said of him: "wife is now on home hospice", but not "with his wife for weakness".
_LINKING = frozenset(
    {"is", "was", "has", "had", "a", "in", "into", "on", "under", "to", "at", "home", "now", "currently", "recently",
     "just", "who", "being", "receiving", "receives", "enrolled", "entered", "entering", "admitted", "transferred",
     "went", "going", "placed", "stay"}
)  # fmt: skip


class Heard(NamedTuple):
    """A phrase that a text says: of which finding, and whether it is said, denied or neither."""

    finding: str
    says: bool | None  # True: said; False: documented as absent; None: doubted, or of the past
    phrase: str  # as quoted to a reader: words that a text denies are quoted as denied


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that mean a finding is present, or – with ``says`` False – that it is absent."""

    finding: str
    words: tuple[str, ...]
    says: bool
    denial_counts: bool
    unless: tuple[tuple[str, ...], ...]
    lifts: frozenset[str]  # kinds of blocking words that do not block this finding


@dataclass(frozen=True)
class Blocking:
    """Words that cancel a phrase: what they mean when they stand before it, after it, or as the answer to it."""

    before: Mapping[tuple[str, ...], str]  # words -> denial, doubt, history or family
    after: Mapping[tuple[str, ...], str]
    answers: Mapping[tuple[str, ...], str] = field(default_factory=dict)  # whole answers -> normal or doubt
    beginnings: Mapping[tuple[str, ...], str] = field(default_factory=dict)  # of answers -> normal or denial
    others: frozenset[str] = frozenset()  # people that are not the patient
    headings: Mapping[tuple[str, ...], str] = field(default_factory=dict)  # before a colon -> doubt, family or relative
    answer_kinds: Mapping[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)  # as words.yaml names them
    told_by_side: re.Pattern[str] | None = None  # signs, with the side before and the rest of the sentence
    told_of: tuple[str, ...] = ()  # what those signs begin with
    told_how: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()  # words for parts of the body


class PhraseBook:
    """All phrases of the content, found in one pass over a text."""

    def __init__(self, phrases: Iterable[Phrase], blocking: Blocking) -> None:
        self.phrases, self.blocking = phrases, blocking
        self._by_ends: dict[str, dict[str, list[Phrase]]] = {}  # by the first word, then by the last
        self._unless: dict[str, Lexicon] = {}  # by finding
        self._lifts: dict[str, frozenset[str]] = {}  # by finding
        for phrase in phrases:
            self._by_ends.setdefault(phrase.words[0], {}).setdefault(phrase.words[-1], []).append(phrase)
            self._lifts[phrase.finding] = phrase.lifts
            if phrase.unless and phrase.finding not in self._unless:  # the same for all phrases of a finding
                self._unless[phrase.finding] = Lexicon(dict.fromkeys(phrase.unless, ""))
        self._before, self._after = Lexicon(blocking.before), Lexicon(blocking.after)
        self._answers, self._beginnings = Lexicon(blocking.answers), Lexicon(blocking.beginnings)
        self._headings = Lexicon(blocking.headings)
        self._kinds = AnswerKinds(blocking.answer_kinds)
        others = {form for other in blocking.others for form in (other, f"{other}'s")}
        # Without any of these, and no answer to it, a sentence says what it says.
        self._cancelling = MARKS - {","} | others | {words[0] for words in (*blocking.before, *blocking.after) if words}

    def may_say(self, text: str) -> bool:
        """Whether a text has the first and the last word of any phrase: a number or "negative" alone has not."""
        words = set(tokens(self._by_side(text)))
        return any(not self._by_ends[word].keys().isdisjoint(words) for word in self._by_ends.keys() & words)

    def listen(self, text: str) -> tuple[Heard, ...]:
        """What a text says about each finding; the longest phrase of a finding decides."""
        said = tokens(self._by_side(text))
        if self._by_ends.keys().isdisjoint(said):
            return ()
        heard: dict[str, Heard] = {}
        denied_on: dict[str, frozenset[str]] = {}
        for sentence, answer, heading in sentences_of(said):
            begun = self._begun_in(sentence)
            if not begun:
                continue
            under, sides = self._heading(heading), sides_in(sentence)
            # What need not be looked for in this sentence: what was heard, unless it was denied of another side.
            settled = {name for name, one in heard.items() if one.says is not False or not sides - denied_on[name]}
            for start, phrase in begun:
                if phrase.finding in settled or (end := end_of(phrase.words, sentence, start)) is None:
                    continue
                settled.add(phrase.finding)
                unless = self._unless.get(phrase.finding)
                if unless and contains(sentence, unless):
                    continue
                says = self._verdict(phrase, sentence, start, end, answer, under)
                if phrase.finding in heard and not says:
                    continue
                # A sign of one side stands beside a denial that is of the other, or of no side.
                denied_on[phrase.finding] = sides
                denied = "no " if phrase.says and says is False else ""
                heard[phrase.finding] = Heard(
                    phrase.finding, says, denied + " ".join(phrase.words) + side_told(sentence[end:])
                )
        return tuple(heard.values())

    def _begun_in(self, sentence: list[str]) -> list[tuple[int, Phrase]]:
        """Where a phrase begins that has all its words in a sentence, at each place the longest first.

        A few words begin hundreds of phrases: only those are looked at that end in a word of the sentence.
        """
        words, begun = set(sentence), []
        for start, word in enumerate(sentence):
            by_last = self._by_ends.get(word)
            if by_last is None or by_last.keys().isdisjoint(words):
                continue
            ends = by_last.keys() & words
            here = [phrase for last in ends for phrase in by_last[last] if words.issuperset(phrase.words)]
            begun += [(start, phrase) for phrase in sorted(here, key=_longest_first)]
        return begun

    def _by_side(self, text: str) -> str:
        """A text in which a sign told of each side is named with each: "plantars flexor left, extensor right"."""
        if ":" in text:
            text = _AS_ANSWER.sub(" ", text)
        if "eflexes " in text:
            text = _REFLEXES_AT.sub(r"\g<what> \g<how> \g<where>", text)
        plain, signs, how = fold(text), self.blocking.told_by_side, self.blocking.told_how
        for sign in self.blocking.told_of:  # not any(): this is asked of every text
            if signs and sign in plain:
                return signs.sub(lambda told: each_side(told["side"] or "", told["sign"], told["rest"], how), text)
        return text

    def only_places(self, answer: str) -> bool:
        """Whether an answer says no more than yes, where and how much: "yes, R", "right only"."""
        said = tokens(with_marks_in_words(answer))
        return self._kinds.only_places(tuple(word for word in said if word not in ",.;:"))

    def cancelled_by(self, answer: str, heard: Iterable[Heard]) -> set[tuple[str, bool]]:
        """What a question says by itself, of which its answer affirms nothing: it is normal, or was not examined."""
        said, in_words = tokens(answer), tokens(with_marks_in_words(answer))
        kinds = self._kinds_of_answer(first_clause(said))
        kinds |= {"doubt"} if said[-1:] == ("?",) else set()
        if EXCEPTION.isdisjoint(said):
            kinds |= {kind for _, kind in self._beginnings.at(said)}
        taken_back = {other.finding for other in self.listen(answer) if other.says is not True}
        cancelled = set()
        for finding, says, phrase in heard:
            if says is None:
                continue
            left_open = {"doubt"} if self._kinds.of(in_words, phrase) == "open" else set()
            if (kinds | left_open) - self._lifts[finding] or (says and finding in taken_back):
                cancelled.add((finding, says))
        return cancelled

    def _kinds_of_answer(self, clause: Words) -> set[str]:
        kinds = {kind for words, kind in self._before.at(clause) if words == clause}
        return kinds | self._open(clause) | {kind for _, kind in self._after.at(clause)}

    def _open(self, clause: Words) -> set[str]:
        """Normal, or doubt where nothing was examined. In a sentence one word may have another sense: unknown cause."""
        begun = self._answers.at(clause)
        return {kind for words, kind in begun if words == clause or (len(words) > 1 and kind == "doubt")}

    def affirmed_by_normal(self, finding: str) -> bool:
        return "normal" in self._lifts.get(finding, frozenset())

    def kind_of_answer(self, answer: str, named: str = "") -> str:
        """Whether other words than a plain yes or no deny what is asked ("denied", "well"), leave it open or affirm it.

        Denied: a negation that says nothing else. Open: with more behind it, or not examined. Affirmed ("") is the
        rest: places, degrees, times and free words. ``named``: what is asked, as far as it matters.
        """
        return self._kinds.of(tokens(with_marks_in_words(answer)), named)

    def affirmed_part(self, answer: str) -> str:
        """What an answer affirms beside what it denies: of "none (normal) on the left, mild on the right" the right."""
        clauses = clauses_of(tokens(answer))
        if len(clauses) < 2:
            return answer
        parts = [(clause, self._kinds.of_clause(clause)) for clause in clauses]
        placed = [" ".join(clause) for clause, kind in parts if kind == "placed"]
        rest = ("denied", "open", "spared")
        beside = any(kind in rest or self._begins_normal(clause) for clause, kind in parts if kind != "placed")
        return ", ".join(placed) if placed and beside else answer

    def _begins_normal(self, clause: Words) -> bool:
        return any(kind == "normal" for _, kind in self._beginnings.at(clause))

    def affirms(self, text: str, words: str) -> bool:
        """Whether a text says words that are no phrase of the book, without denying or doubting them."""
        return any(not kinds - {"history"} for kinds in self._said_with(text, words))

    def denies(self, text: str, words: str) -> bool:
        """Whether a text names words that are no phrase of the book, and each time only to deny them."""
        said = self._said_with(text, words)
        return bool(said) and all("denial" in kinds for kinds in said)

    def _said_with(self, text: str, words: str) -> list[set[str]]:
        """The kinds of blocking words around each place where a text says some words."""
        wanted = _listed(words)
        if wanted[0] not in fold(text) and wanted[0] not in WORDS_OF_MARKS:  # asked of each report, hundreds of times
            return []
        return [
            self._kinds_around(sentence, start, end, answer) | self._heading(heading)
            for sentence, answer, heading in sentences_of(tokens(text))
            for start in range(len(sentence))
            # Words may lie inside the phrase, not before it: they are what may deny it.
            if sentence[start : start + 1] == list(wanted[:1]) and (end := end_of(wanted, sentence, start)) is not None
        ]

    def _heading(self, heading: list[str]) -> set[str]:
        if not self._headings.may_be_in(heading):  # most sentences stand under none
            return set()
        said = [word for word in heading if word not in ",?"]
        return {
            "family" if kind == _RELATIVE else kind
            for start in range(len(said))
            for words, kind in self._headings.at(said, start)
            # "Brother: weak hands" is said of him, "seen with brother: weak hands" of the patient.
            if len(words) == len(said) or (kind != _RELATIVE and (start == 0 or start + len(words) == len(said)))
        }

    def _verdict(
        self, phrase: Phrase, sentence: list[str], start: int, end: int, answer: list[str], under: set[str]
    ) -> bool | None:
        kinds = (self._kinds_around(sentence, start, end, answer) | under) - phrase.lifts
        if not kinds:
            return phrase.says
        if kinds == {"denial"} and phrase.says and phrase.denial_counts:
            return False
        return None

    def _kinds_around(self, sentence: list[str], start: int, end: int, answer: list[str]) -> set[str]:
        if not answer and self._cancelling.isdisjoint(sentence):
            return set()
        clause = clause_around(sentence, start, end)
        sentence, start, end = self._after_an_answer(clause.words, clause.start, clause.end)
        if clause.answer is not None:
            answer = clause.answer if self._is_answer(clause.answer) else []
        kinds = self._answered(clause.aside, sentence[start:end]) if self._is_answer(clause.aside) else set()
        if answer and (end == len(sentence) or listed_to_the_end(sentence, start, end)):
            kinds |= self._answered(answer, sentence[start:end])
        if sentence[max(0, start - 1) : start] == [DOUBTS_NEXT] or sentence[end : end + 1] == ["?"]:
            kinds.add("doubt")
        if clause.lead and self._led_by_a_denial(clause.lead, sentence, start, end):
            kinds.add("doubt")
        if self._of_another(sentence[:start], after_being(sentence[end : end + 6])):
            kinds.add("family")
        return kinds | self._cancelled_before(sentence, start, end) | self._cancelled_after(sentence[end:])

    def _cancelled_before(self, sentence: list[str], start: int, end: int) -> set[str]:
        """What the words before a phrase make of it. A denial that leaves it open is a doubt as well."""
        if not self._before.may_be_in(sentence[:start]):
            return set()
        before, far = reachable(sentence, start, end)
        listed = len(before) - sum(
            word not in MARKS for word in sentence[group_around(sentence, start, end)[0] : start]
        )
        places = [i for i in range(start) if sentence[i] not in MARKS][-len(before) :]
        kinds: set[str] = set()
        plainly: list[bool] = []  # of each denial
        nearest = 0  # how many words back a denial lies
        for position in range(len(before)):
            for words, kind in self._before.at(before, position):
                after = position + len(words)
                if kind != "denial" and position < far:
                    continue
                if (
                    position < listed
                    and kind == "denial"
                    and ends_before_a_comma(sentence, places[position], len(words))
                ):
                    continue
                between = before[max(after, listed) :]  # in the phrase's own item of a list
                if kind != "denial":
                    kinds.add(kind)
                elif not takes_for_granted(between):
                    opened = position < listed and is_open(sentence, start)
                    plainly.append(not opened and not is_of_another_thing(between))
                    nearest = len(before) - position
        if nearest and self._half_denied(sentence, start, end, nearest):
            plainly = [False]
        if plainly:
            kinds |= {"denial"} if any(plainly) else {"denial", "doubt"}
        return kinds

    def _cancelled_after(self, rest: list[str]) -> set[str]:
        """What the words behind a phrase make of it: "weakness absent", not "weakness, absent reflexes"."""
        if not self._after.may_be_in(rest):
            return set()
        group = after_being([word for word in rest[: group_around(rest, 0, 1)[1]] if word not in MARKS])
        apart = rest[:1] == [","]
        kinds = set()
        for words, kind in self._after.at(group):
            kinds |= said_behind(kind, group[len(words) :], apart)
        if not apart and group and group[0] in JOINS and PLACING.isdisjoint(group):
            # "Weakness or wasting absent"
            ends = (group[-length:] for length in range(1, min(3, len(group) - 2) + 1))
            kinds |= {self.blocking.after[words] for words in ends if words in self.blocking.after}
        return kinds

    def _after_an_answer(self, sentence: list[str], start: int, end: int) -> tuple[list[str], int, int]:
        """A clause without the answer to the one before it: of "cramps: no, weakness: yes" the second."""
        if "," not in sentence[:start]:
            return sentence, start, end
        comma = sentence.index(",")
        given = tuple(sentence[:comma])
        if given in self.blocking.before or given in self.blocking.after or given in self.blocking.answers:
            return sentence[comma + 1 :], start - comma - 1, end - comma - 1
        return sentence, start, end

    def _led_by_a_denial(self, lead: list[str], clause: list[str], start: int, end: int) -> bool:
        """Whether what is said before a dash or bracket leaves open whether a phrase beyond it is said.

        "No weakness - wasting", "no deficit (weakness of a limb, wasting)" and "mother - wasting" leave it open;
        "no weakness - wasting of the hand" says that the hand is wasted.
        """
        last = [word for word in lead[group_around(lead, len(lead), len(lead))[0] :] if word not in MARKS]
        if any(tuple(last[-size:]) in self.blocking.before for size in (1, 2, 3) if size <= len(last)):
            return True
        denies = any(
            kind == "denial"
            for position in range(max(0, len(last) - REACH), len(last))
            for _, kind in self._before.at(last, position)
        )
        group_start, group_end = group_around(clause, start, end)
        named = clause[start:end]
        item = is_item(clause[group_start:start], clause[end:group_end], named)
        bare = item and PLACING.isdisjoint(named)
        return denies and (bare or last[-1] in _SIGNS_IN_GENERAL)

    def _half_denied(self, sentence: list[str], start: int, end: int, back: int) -> bool:
        """Whether a denial lies before the only comma and a place behind it: "no pain, hand weakness" is no list."""
        group_start, group_end = group_around(sentence, start, end)
        across = back > start - group_start
        placed = not self.blocking.places.isdisjoint(sentence[group_start:group_end])
        return across and placed and sentence.count(",") == 1 and JOINS.isdisjoint(sentence)

    def _of_another(self, before: list[str], following: tuple[str, ...]) -> bool:
        """Whether someone else is the subject of a phrase, or the one whom it is for."""
        if following[:1] and following[0] in _WHOSE and not self.blocking.others.isdisjoint(following[1:3]):
            return True
        nearest = next((word for word in reversed(before) if word not in _LINKING), "")
        return nearest.removesuffix("'s") in self.blocking.others

    def _is_answer(self, aside: list[str]) -> bool:
        """Whether what stands behind a dash or in brackets answers: "(not examined)", but not "(absent jerks)"."""
        given = first_clause(tuple(aside)) if aside else ()
        return bool(given) and (self._kinds.of(given) != "open" or bool(self._open(given)))

    def _answered(self, answer: list[str], named: list[str]) -> set[str]:
        """What the answer after a colon cancels: "dysphagia: none" names it only to deny it."""
        given, name = first_clause(tuple(answer)), " ".join(named)
        if not given:
            return set()
        kinds = {table[given] for table in (self.blocking.before, self.blocking.after) if given in table}
        # What follows may take wellness back: "normal in the morning, slurred at night".
        spared = self._kinds.of_clause(given, name) == "spared"
        kind = self._kinds.of(tuple(answer) if spared else given, name)
        if kinds or (kind == "well" and self._kinds.well_says_nothing_of(name)):
            return kinds
        return self._open(given) or set(_CANCELS[kind])  # a set of its own: the caller adds to it


def _longest_first(phrase: Phrase) -> tuple[int, Words]:
    return -len(phrase.words), phrase.words


_CANCELS: Mapping[str, frozenset[str]] = {
    "denied": frozenset({"denial"}), "well": frozenset({"normal"}), "open": frozenset({"doubt"}), "": frozenset(),
}  # fmt: skip


@cache
def _listed(words: str) -> Words:
    """Words of the content, which are asked for in every report."""
    return tokens(words)


# "Reflexes of the right arm: reduced" says what "reflexes reduced" says, and where.
_REFLEXES_AT = re.compile(
    r"(?P<what>\breflexes) (?P<where>(?:of|in) (?:(?:the|both|left|right|upper|lower) )*"
    r"(?:arms?|legs?|hands?|limbs?|extremity|extremities))(?: are|:)? (?P<how>reduced|diminished|absent|brisk)\b",
    re.IGNORECASE,
)
# "Clonus: present" is one statement. What denies stays an answer, which may be of a whole list.
_AS_ANSWER = re.compile(
    r":\s+(?=(?:present|positive|inducible|sustained|extensor|flexor|upgoing|downgoing)(?![a-z])|(?:[0-4][+-]?|5-)/5)"
    r"|(?:(?<= exam)|(?<= examination)|(?<=bulk)|(?<=tone)|(?<=power)|(?<=strength)|(?<=reflexes))"
    r":\s+(?=normal *(?:[.;,\n]|$))"
    r"|(?:(?<=power)|(?<=strength)|(?<=reflexes)):\s+(?=5/5|2\+|symmetric|brisk|reduced)"
    r"|(?:(?<=fasciculation)|(?<=fasciculations)):\s+(?=tongue *(?:[.;,\n]|and\b|$))",
    re.IGNORECASE,
)
