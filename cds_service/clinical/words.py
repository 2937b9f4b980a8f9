"""Curated phrases in the record's own text, safe against denial, doubt and history."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_TOKEN = re.compile(r"[a-z0-9][a-z0-9+/'\-]*|[.,;:?!\n\r\v\f()\[\]-]|" + "\xbf")
_SENTENCE_ENDS = frozenset(".;:!\n\r\v\f")
_ASIDES = frozenset("()-")  # brackets and dashes: what stands beyond one is a statement of its own
_DOUBTS_NEXT = "\xbf"  # a question mark before a word: "?MND", "? cause"
_MARKS = _ASIDES | frozenset(",?") | {_DOUBTS_NEXT}  # inside a sentence
_BRACKETS = {"[": "(", "]": ")"}
_ASKED = re.compile(r"(?<![^\s(,;:.\-])\?+(?=[ \t]*[a-z0-9])")
# Signs that do the work of a dash; a hyphen does it where a blank follows, but for "hyper- or hypotonia".
_DASH = re.compile(
    r"--+>?|->|=>|\||</?(?:br|p|div|li|tr|td)\s*/?>|(?<=[a-z0-9)])-(?=[ \t]+(?!and\b|or\b|to\b)[a-z0-9(])"
)
_JOINED = re.compile(r"[/+]+")
_WHOLE_WORD = re.compile(r"[a-z][a-z0-9'\-]+")  # r/o, s/p, w/o and 4/5 have shorter or other parts
_PLAIN_WORD = re.compile(r"[a-z][a-z']+")
# With these the hyphen turns the sense of the other word: "non-progressive", "seizure-free".
_TURNING = frozenset(
    {"non", "anti", "pseudo", "un", "no", "not", "free", "like", "negative", "less", "proof", "limited"}
)
# Signs outside ASCII, as those of a keyboard that part words or statements in the same way.
_AS_TYPED = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011", "-"),
        **dict.fromkeys("\u2012\u2013\u2014\u2015\u2212\u2190\u2192\u21d2\u2794\u279c", " - "),
        **dict.fromkeys("\u2022\u2023\u2043\u2219\u25aa\u25cf\u25e6\xb7\u2028\u2029\x85", "\n"),
        **dict.fromkeys("\u2018\u2019\u02bc", "'"),
    }
)
_RANGE = re.compile(r"(?<=\d)[\u2010-\u2015\u2212]|[\u2010-\u2015\u2212](?=\d)")  # C5-C6, 4-/5
# Neither ASCII nor a letter, nor a sign that only shapes one.
_NO_LETTER = re.compile(r"[^\x00-\x7f\w\u0300-\u036f\xad\u200b-\u200d\u2060\ufeff]")
_REACH = 6  # words before a phrase in which a denial still speaks of it
_GAP = 3  # other words allowed inside a phrase of three or more words
# "Examination: not normal" does not say "examination normal".
# "No deficit (weakness, wasting)" explains what is denied.
_SIGNS_IN_GENERAL = frozenset(
    {"flag", "flags", "feature", "features", "sign", "signs", "symptom", "symptoms", "deficit", "deficits", "neurology",
     "abnormality", "abnormalities", "finding", "findings", "complaint", "complaints", "problem", "problems", "changes"}
)  # fmt: skip
_NEVER_INSIDE = frozenset({"no", "not", "never", "without", "neither", "nor"})
_AFFIRMED = frozenset({"present", "positive", "noted", "seen", "visible", "found"})
# Behind a word that cancels they say how or when; those after them say more of it, or begin another statement.
_HOW = _AFFIRMED | {"today", "now", "again", "yet", "anywhere", "either", "throughout", "altogether"}
_MORE_OF_IT = _HOW | {
    "in", "on", "at", "by", "since", "after", "from", "over", "with", "during", "this", "last", "left", "right", "both",
    "bilateral", "and", "or", "but", "as", "because", "given", "if", "when", "while", "though", "although", "despite",
}  # fmt: skip
_CONTRAST = frozenset({"but", "however", "although", "though", "now"})
_EXCEPTION = frozenset({"but", "however", "except", "apart"})  # "normal except thenar" still affirms something
_JOINS = frozenset({"or", "nor"})
# After a comma they begin a statement of their own: "no fever, reports weakness or cramps".
_STATING = frozenset(
    {"has", "have", "had", "having", "reports", "reported", "reporting", "complains", "complaining", "describes",
     "shows", "showed", "showing", "reveals", "revealed", "develops", "developed", "noticed", "notices", "notes",
     "feels", "is", "are", "was", "were", "there", "with"}
)  # fmt: skip
# They place a sign, or say more of it, as no bare item of a list does.
_PLACING = frozenset(
    {"of", "in", "on", "at", "to", "for", "over", "since", "left", "right", "both", "bilateral", "bilaterally"}
)
_CHANGES = frozenset(
    {"change", "changes", "improvement", "worsening", "increase", "decrease", "progression", "resolution"}
)
# Of them a record speaks only where the sign is there.
_GRANTING = frozenset(
    {"relief", "respite", "recovery", "remission", "cause", "causes", "explanation", "trigger", "triggers", "reason",
     "treatment", "remedy", "cure"}
)  # fmt: skip
_NO_DENIALS = (["only"], ["just"], ["merely"], ["simply"], ["solely"], ["doubt"])  # "not only", "no doubt"
_CONCERNING = frozenset(
    {"for", "from", "of", "with", "about", "by", "because", "despite", "regarding", "concerning", "during", "after"}
)
_DUE = frozenset(
    {"due", "owing", "secondary", "related", "relation", "response", "attributed", "attributable", "thanks"}
)
# With these words a denial names the sign itself.
_NAMING = frozenset(
    {"evidence", "sign", "signs", "history", "complaint", "complaints", "complaining", "complained", "symptom",
     "symptoms", "feature", "features", "finding", "findings", "episode", "episodes", "attack", "attacks", "bout",
     "bouts", "spell", "spells", "report", "reports", "suggestion", "suggestive", "indication", "indicative", "hint",
     "trace", "area", "areas", "presence", "feeling", "feelings", "sense", "sensation", "kind", "type", "form",
     "degree", "amount", "record", "mention", "documentation", "aware", "recurrence", "return", "onset",
     "development", "occurrence", "problem", "problems", "trouble", "issue", "issues", "difficulty", "difficulties"}
)  # fmt: skip
# Behind the last item of a list they say where, since when or how often.
_OPENING = frozenset(
    {"in", "on", "at", "over", "for", "since", "ago", "during", "bilaterally", "every", "each", "daily", "nightly",
     "weekly", "monthly", "often", "frequently", "constantly", "always", "this", "last", "most", "lately"}
)  # fmt: skip
_SIDES = frozenset({"the", "left", "right", "both", "his", "her", "my", "one"})
_CLOSING = frozenset(
    {"any", "either", "exam", "examination", "inspection", "testing", "assessment", "review", "present",
     "presentation", "rest", "today", "visit", "clinic"}
)  # fmt: skip
# They end the name of a sign: "fasciculation potentials or fibrillations".
_SIGN_NOUNS = frozenset(
    {"potential", "potentials", "discharge", "discharges", "sign", "signs", "change", "changes", "activity", "symptoms"}
)


def fold(text: str) -> str:
    """Lower case, accents removed, dashes and bullets as they are typed, so that spelling variants meet."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", _RANGE.sub("-", text).translate(_AS_TYPED))
    return _NO_LETTER.sub(" ", plain).encode("ascii", "ignore").decode().lower()


def folded(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(fold, texts))


def tokens(text: str) -> tuple[str, ...]:
    """Words and punctuation of a text, folded. Words that a slash, plus or hyphen joins are parted."""
    plain = _DASH.sub(" - ", fold(text))
    if "?" in plain:
        plain = _ASKED.sub(_DOUBTS_NEXT, plain)
    return tuple(part for found in _TOKEN.findall(plain) for part in _parts(found))


def _parts(word: str) -> Iterable[str]:
    if word.isalnum():  # as nearly all are
        return (word,)
    if not word[0].isalpha():
        return (_BRACKETS.get(word, word),)
    word = word.rstrip("/+'")
    if word == "and/or":
        return ("or",)
    joined = _JOINED.split(word)
    if len(joined) == 1 or not all(map(_WHOLE_WORD.fullmatch, joined)):
        return _unhyphened(word)
    parts = [part for each in joined for part in ("or" if "/" in word else "and", *_unhyphened(each))]
    return parts[1:]


def _unhyphened(word: str) -> list[str]:
    """The words that hyphens join; c5-c6 and x-ray are one, and so is what a part of it turns about."""
    parts = word.split("-")
    split = len(parts) > 1 and all(map(_PLAIN_WORD.fullmatch, parts)) and _TURNING.isdisjoint((parts[0], parts[-1]))
    return parts if split else [word]


class Heard(NamedTuple):
    """A phrase that a text says: of which finding, and whether it is said, denied or neither."""

    finding: str
    says: bool | None  # True: said; False: documented as absent; None: doubted, or of the past
    phrase: str  # as quoted to a reader: words that a text denies are quoted as denied


@dataclass(frozen=True)
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


@dataclass
class PhraseBook:
    """All phrases of the content, found in one pass over a text."""

    phrases: Iterable[Phrase]
    blocking: Blocking
    _by_first: dict[str, list[Phrase]] = field(default_factory=dict)
    _before: dict[str, list[tuple[tuple[str, ...], str]]] = field(default_factory=dict)
    _after: dict[str, list[tuple[tuple[str, ...], str]]] = field(default_factory=dict)
    _lifts: dict[str, frozenset[str]] = field(default_factory=dict)  # by finding

    def __post_init__(self) -> None:
        for phrase in sorted(self.phrases, key=lambda p: (-len(p.words), p.words)):
            self._by_first.setdefault(phrase.words[0], []).append(phrase)
            self._lifts[phrase.finding] = phrase.lifts
        for table, index in ((self.blocking.before, self._before), (self.blocking.after, self._after)):
            for words, kind in table.items():
                index.setdefault(words[0], []).append((words, kind))

    def listen(self, text: str) -> tuple[Heard, ...]:
        """What a text says about each finding; the longest phrase of a finding decides."""
        said = tokens(text)
        if self._by_first.keys().isdisjoint(said):
            return ()
        heard: dict[str, Heard] = {}
        for sentence, answer in _sentences(said):
            settled = set(heard)  # what need not be looked for in this sentence
            for start, word in enumerate(sentence):
                for phrase in self._by_first.get(word, ()):
                    if phrase.finding in settled:
                        continue
                    end = _match(phrase.words, sentence, start)
                    if end is None:
                        continue
                    settled.add(phrase.finding)
                    if any(_contains(sentence, block) for block in phrase.unless):
                        continue
                    says = self._verdict(phrase, sentence, start, end, answer)
                    denied = "no " if phrase.says and says is False else ""
                    heard[phrase.finding] = Heard(phrase.finding, says, denied + " ".join(phrase.words))
        return tuple(heard.values())

    def cancelled_by(self, answer: str, heard: Iterable[Heard]) -> set[tuple[str, bool]]:
        """What a question says by itself, of which its answer affirms nothing: it is normal, or was not examined."""
        said, told = tokens(answer), self.listen(answer)
        kinds = self._kinds_of_answer(_first_clause(said))
        kinds |= {"doubt"} if said[-1:] == ("?",) else set()
        if _EXCEPTION.isdisjoint(said):
            kinds |= {kind for words, kind in self.blocking.beginnings.items() if _begins(said, words)}
        taken_back = {other.finding for other in told if other.says is not True}
        return {
            (one.finding, one.says)
            for one in heard
            if one.says is not None and (kinds - self._lifts[one.finding] or (one.says and one.finding in taken_back))
        }

    def _kinds_of_answer(self, clause: tuple[str, ...]) -> set[str]:
        before, after = self.blocking.before, self.blocking.after
        kinds = {before[clause]} if clause in before else set()
        return kinds | self._open(clause) | {kind for words, kind in after.items() if _begins(clause, words)}

    def _open(self, clause: tuple[str, ...]) -> set[str]:
        """Normal, or doubt where nothing was examined. In a sentence one word may have another sense: unknown cause."""
        answers = self.blocking.answers
        begun = {
            "doubt" for words, kind in answers.items() if len(words) > 1 and kind == "doubt" and _begins(clause, words)
        }
        return begun | ({answers[clause]} if clause in answers else set())

    def affirms(self, text: str, words: str) -> bool:
        """Whether a text says words that are no phrase of the book, without denying or doubting them."""
        return any(not kinds - {"history"} for kinds in self._said_with(text, words))

    def denies(self, text: str, words: str) -> bool:
        """Whether a text names words that are no phrase of the book, and each time only to deny them."""
        said = self._said_with(text, words)
        return bool(said) and all("denial" in kinds for kinds in said)

    def _said_with(self, text: str, words: str) -> list[set[str]]:
        """The kinds of blocking words around each place where a text says some words."""
        wanted = tokens(words)
        return [
            self._kinds_around(sentence, start, end, answer)
            for sentence, answer in _sentences(tokens(text))
            for start in range(len(sentence))
            if (end := _match(wanted, sentence, start)) is not None
        ]

    def _verdict(self, phrase: Phrase, sentence: list[str], start: int, end: int, answer: list[str]) -> bool | None:
        kinds = self._kinds_around(sentence, start, end, answer) - phrase.lifts
        if not kinds:
            return phrase.says
        if kinds == {"denial"} and phrase.says and phrase.denial_counts:
            return False
        return None

    def _kinds_around(self, sentence: list[str], start: int, end: int, answer: list[str]) -> set[str]:
        clause = _clause(sentence, start, end)
        sentence, start, end = self._after_an_answer(clause.words, clause.start, clause.end)
        answer = answer if clause.answer is None else clause.answer
        kinds = self._answered(clause.aside) if clause.aside else set()
        if end == len(sentence) or (answer and _listed_to_the_end(sentence, start, end)):
            kinds |= self._answered(answer)
        if sentence[max(0, start - 1) : start] == [_DOUBTS_NEXT] or sentence[end : end + 1] == ["?"]:
            kinds.add("doubt")
        if clause.lead and self._led_by_a_denial(clause.lead, sentence, start, end):
            kinds.add("doubt")
        kinds |= self._cancelled_before(sentence, start, end)
        return kinds | self._cancelled_after(sentence[end:])

    def _cancelled_before(self, sentence: list[str], start: int, end: int) -> set[str]:
        """What the words before a phrase make of it. A denial that leaves it open is a doubt as well."""
        before, far = _reachable(sentence, start, end)
        listed = len(before) - sum(word not in _MARKS for word in sentence[_group(sentence, start, end)[0] : start])
        kinds: set[str] = set()
        plainly: list[bool] = []  # of each denial
        for position, word in enumerate(before):
            for words, kind in self._before.get(word, ()):
                after = position + len(words)
                if tuple(before[position:after]) != words or (kind != "denial" and position < far):
                    continue
                between = before[max(after, listed) :]  # in the phrase's own item of a list
                if kind != "denial":
                    kinds.add(kind)
                elif not _takes_for_granted(between):
                    opened = position < listed and _is_open(sentence, start)
                    plainly.append(not opened and not _is_of_another_thing(between))
        if plainly:
            kinds |= {"denial"} if any(plainly) else {"denial", "doubt"}
        return kinds

    def _cancelled_after(self, rest: list[str]) -> set[str]:
        """What the words behind a phrase make of it: "weakness absent", not "weakness, absent reflexes"."""
        group = [word for word in rest[: _group(rest, 0, 1)[1]] if word not in _MARKS]
        apart = rest[:1] == [","]
        kinds = set()
        for words, kind in self._after.get(group[0], ()) if group else ():
            if tuple(group[: len(words)]) == words:
                kinds |= _behind(kind, group[len(words) :], apart)
        if not apart and group[:1] and group[0] in _JOINS and _PLACING.isdisjoint(group):
            # "Weakness or wasting absent"
            ends = (tuple(group[-length:]) for length in range(1, min(3, len(group) - 2) + 1))
            kinds |= {self.blocking.after[words] for words in ends if words in self.blocking.after}
        return kinds

    def _after_an_answer(self, sentence: list[str], start: int, end: int) -> tuple[list[str], int, int]:
        """A clause without the answer to the one before it: of "cramps: no, weakness: yes" the second."""
        comma = sentence.index(",") if "," in sentence[:start] else 0
        given = tuple(sentence[:comma])
        if given in self.blocking.before or given in self.blocking.after or given in self.blocking.answers:
            return sentence[comma + 1 :], start - comma - 1, end - comma - 1
        return sentence, start, end

    def _led_by_a_denial(self, lead: list[str], clause: list[str], start: int, end: int) -> bool:
        """Whether what is said before a dash or bracket leaves open whether a phrase beyond it is said.

        "No weakness - wasting", "no deficit (weakness of a limb, wasting)" and "mother - wasting" leave it open;
        "no weakness - wasting of the hand" says that the hand is wasted.
        """
        last = [word for word in lead[_group(lead, len(lead), len(lead))[0] :] if word not in _MARKS]
        if any(tuple(last[-size:]) in self.blocking.before for size in (1, 2, 3) if size <= len(last)):
            return True
        denies = any(
            kind == "denial" and tuple(last[position : position + len(words)]) == words
            for position, word in enumerate(last[-_REACH:], max(0, len(last) - _REACH))
            for words, kind in self._before.get(word, ())
        )
        group_start, group_end = _group(clause, start, end)
        bare = _PLACING.isdisjoint(clause[start:end]) and _is_item(clause[group_start:start], clause[end:group_end])
        return denies and (bare or last[-1] in _SIGNS_IN_GENERAL)

    def _answered(self, answer: list[str]) -> set[str]:
        """What the answer after a colon cancels: "dysphagia: none" names it only to deny it."""
        given = _first_clause(tuple(answer))
        tables = (self.blocking.before, self.blocking.after)
        kinds = {kind for table in tables for words, kind in table.items() if words == given}
        return kinds or self._open(given)


def _behind(kind: str, then: list[str], apart: bool) -> set[str]:
    """What a cancelling word behind a phrase makes of it, by the words that follow: they may be what it belongs to."""
    if all(word in _HOW or word.endswith("ly") for word in then):
        return {kind}
    if apart:
        return set()  # the next statement: "weakness, absent reflexes"
    if kind in ("history", "family") or then[0] in _MORE_OF_IT or then[0].endswith("ly"):
        return {kind}
    return {"doubt"} if kind == "denial" else set()  # "weakness absent reflexes", "fasciculations unlikely cancer"


class _Clause(NamedTuple):
    """What is said together with a phrase: no bracket beside it, and nothing beyond a dash."""

    words: list[str]
    start: int  # of the phrase in it
    end: int
    lead: list[str]  # what stands before the dash or bracket in front of it
    aside: list[str]  # a bracket that follows the phrase directly: "weakness (no)"
    answer: list[str] | None  # what follows the dash at its end; None: it ends with its sentence


def _clause(sentence: list[str], start: int, end: int) -> _Clause:
    """The clause of a sentence that holds a phrase."""
    if _ASIDES.isdisjoint(sentence):  # as most are
        return _Clause(sentence, start, end, [], [], None)
    before: list[str] = []
    lead: list[str] = []
    depth = 0
    for position in range(start - 1, -1, -1):
        word = sentence[position]
        if word == ")":
            depth += 1
        elif depth == 0 and word in _ASIDES:
            lead = sentence[:position]
            break
        elif word == "(":
            depth -= 1
        elif depth == 0:
            before.append(word)
    after, aside, answer = _beyond(sentence[end:])
    words = [*before[::-1], *(word for word in sentence[start:end] if word not in _ASIDES)]
    return _Clause([*words, *after], len(before), len(words), lead, aside, answer)


def _beyond(rest: list[str]) -> tuple[list[str], list[str], list[str] | None]:
    """Of what follows a phrase: its own clause, a bracket at its beginning, and what stands beyond a dash."""
    after: list[str] = []
    aside: list[str] = []
    depth = 0
    for position, word in enumerate(rest):
        if word == "(":
            if not after and not aside:
                aside = list(_first_clause(tuple(rest[position + 1 :])))
            depth += 1
        elif word == ")":
            if depth == 0:
                return after, aside, []
            depth -= 1
        elif depth == 0 and word == "-":
            return after, aside, rest[position + 1 :]
        elif depth == 0:
            after.append(word)
    return after, aside, None


def _first_clause(words: tuple[str, ...]) -> tuple[str, ...]:
    parting = _SENTENCE_ENDS | _ASIDES | {","}
    return words[: next((i for i, word in enumerate(words) if word in parting), len(words))]


def _begins(words: tuple[str, ...], with_these: tuple[str, ...]) -> bool:
    return words[: len(with_these)] == with_these


def _sentences(words: tuple[str, ...]) -> Iterable[tuple[list[str], list[str]]]:
    """Each sentence, and – where it ends in a colon – what follows the colon."""
    sentences: list[tuple[list[str], str]] = [([], "")]
    for word in words:
        if word in _SENTENCE_ENDS:
            sentences[-1] = (sentences[-1][0], word)
            sentences.append(([], ""))
        else:
            sentences[-1][0].append(word)
    for position, (sentence, mark) in enumerate(sentences):
        if sentence:
            yield sentence, sentences[position + 1][0] if mark == ":" else []


def _match(phrase: tuple[str, ...], sentence: list[str], start: int) -> int | None:
    """The position after the phrase; long phrases allow a few other words inside."""
    allowed = _GAP if len(phrase) >= 3 else 0
    position, gaps = start, 0
    for word in phrase:
        while position < len(sentence) and sentence[position] != word:
            if sentence[position] in _ASIDES:
                position += 1
                continue
            if sentence[position] in _NEVER_INSIDE:
                return None
            position, gaps = position + 1, gaps + 1
            if gaps > allowed:
                return None
        if position >= len(sentence):
            return None
        position += 1
    return position


def _reachable(sentence: list[str], start: int, end: int) -> tuple[list[str], int]:
    """The words before a phrase that can still deny it, and how many of the first of them can only deny.

    A comma ends their reach unless the phrase is an item of a list ("no weakness, wasting or cramps").
    A list that closes with "or" is denied as a whole, however long it is; no other word reaches so far.
    """
    group_start, group_end = _group(sentence, start, end)
    own, rest = sentence[group_start:start], sentence[end:group_end]
    item = group_start > 0 and _is_item(own, rest)
    closed = item and not _JOINS.isdisjoint(sentence[group_start:])
    reach: list[str] = []
    far = since_comma = 0
    for position in range(start - 1, -1, -1):
        word = sentence[position]
        if word == ",":
            if not item:
                break
            since_comma = 0
            continue
        if word in _CONTRAST or (position < group_start and word in _STATING and "," in sentence[:position]):
            break
        if (since_comma if closed else len(reach)) >= _REACH:
            break
        if word not in _MARKS:
            far += len(reach) >= _REACH
            since_comma += 1
            reach.append(word)
    return reach[::-1], far


def _takes_for_granted(between: list[str]) -> bool:
    """Whether a denial, by the words between it and a sign, denies something else and finds the sign.

    "No clear improvement of weakness", "no relief from weakness", "not sleeping because of it", "not only weakness".
    """
    changes = any(word in _CHANGES and between[i + 1 : i + 2] in (["in"], ["of"]) for i, word in enumerate(between[:2]))
    granted = not _GRANTING.isdisjoint(between) and not _CONCERNING.isdisjoint(between)
    return changes or granted or "because" in between or between[:1] in _NO_DENIALS


def _is_of_another_thing(between: list[str]) -> bool:
    """Whether a preposition ties a sign to another thing that is denied: "no test for weakness", "not bothered by it".

    "No evidence of weakness" and "no signs or symptoms of weakness" only name it.
    """
    naming = False
    for i, word in enumerate(between):
        naming = naming or word in _NAMING
        if word in _JOINS:
            naming = False
        elif word == "of" and (i == 0 or not _JOINS.isdisjoint(between[i:])):
            continue  # "none of", "no loss of sensation or weakness"
        elif word in _CONCERNING or (word == "to" and between[i - 1] in _DUE):
            if not naming:
                return True
            naming = False
    return False


def _is_open(sentence: list[str], start: int) -> bool:
    """Whether place, duration or frequency follows the last item of a list: it may be a statement of its own.

    "No pain, left hand weakness or clumsiness for two months". What an examination looked at closes a list.
    """
    first = _group(sentence, start, start)[0]
    last = next((i for i in range(first, len(sentence)) if sentence[i] in _JOINS), None)
    if last is None:
        return False
    tail = sentence[last + 2 : _group(sentence, last, last + 1)[1]]
    for i, word in enumerate(tail):
        placed = word == "of" and not _SIDES.isdisjoint(tail[i + 1 : i + 2])
        if placed or (word in _OPENING and _CLOSING.isdisjoint(tail[i + 1 : i + 4])):
            return True
    return False


def _group(sentence: list[str], start: int, end: int) -> tuple[int, int]:
    """Where the words between two commas begin and end that hold a phrase."""
    group_end = next((i for i in range(end, len(sentence)) if sentence[i] == ","), len(sentence))
    return max((i + 1 for i in range(start) if sentence[i] == ","), default=0), group_end


def _is_item(own: list[str], rest: list[str]) -> bool:
    """Whether a phrase between two commas is an item of a list: ``own`` stands before it, ``rest`` after it.

    "or" joins items under a denial; "and" joins them only where nothing else is said of them, because
    "no sensory loss, weakness and wasting of the hand" finds the hand weak.
    """
    if not _STATING.isdisjoint(own):
        return False
    joining = rest[1:] if rest[:1] and rest[0] in _SIGN_NOUNS else rest
    if not _JOINS.isdisjoint(own) or (joining and joining[0] in _JOINS):
        return True
    if not _AFFIRMED.isdisjoint(rest):
        return False
    if len(own) + len(rest) <= 1:
        return True
    if joining[:1] == ["and"]:
        return len(joining) <= 3 and _PLACING.isdisjoint(joining)
    return own[-1:] == ["and"] and len(rest) <= 1 and _PLACING.isdisjoint(own + rest)


def _listed_to_the_end(sentence: list[str], start: int, end: int) -> bool:
    """Whether a phrase belongs to a list that ends its sentence: "weakness, wasting or cramps: none"."""
    group_start, _ = _group(sentence, start, end)
    tail = sentence[end:]
    if tail[:1] not in ([","], ["or"], ["nor"], ["and"]) or start - group_start > 1:
        return False
    return not {"or", "nor", "and"}.isdisjoint(tail) and (_STATING | _PLACING | _CONTRAST).isdisjoint(
        sentence[group_start:start] + tail
    )


def _contains(sentence: list[str], block: tuple[str, ...]) -> bool:
    """Whether a sentence has these words side by side, whatever marks stand between them. Asked once per finding."""
    if block[0] not in sentence:
        return False
    words, width = [word for word in sentence if word not in _MARKS], len(block)
    return any(tuple(words[i : i + width]) == block for i in range(len(words) - width + 1))
