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
_BEING = frozenset({"is", "are", "was", "were", "has", "have", "been", "be"})
_WHOSE = frozenset({"for", "of", "in", "to"})  # "hospice care for his wife"
# Between someone and what is said of him: "wife is now on home hospice", but not "with his wife for weakness".
_LINKING = frozenset(
    {"is", "was", "has", "had", "a", "in", "into", "on", "under", "to", "at", "home", "now", "currently", "recently",
     "just", "who", "being", "receiving", "receives", "enrolled", "entered", "entering", "admitted", "transferred",
     "went", "going", "placed", "stay"}
)  # fmt: skip
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
    """Words and punctuation of a text, folded. Words that a slash, plus or hyphen joins are parted.

    "(-)" and "(+)" are the words that they stand for.
    """
    if "(" in text and _MARK.search(text):
        text = "".join(_marks_as_words(clause) for clause in _CLAUSE.split(text))
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


def _marks_as_words(clause: str) -> str:
    """Marks stand behind what they speak of where the clause ends in one: "weakness (-)", but "(-) weakness"."""
    behind = _MARK.match(clause.rstrip()[-3:]) is not None
    words = {"+": " present; ", "-": " negative; "} if behind else {"+": "; ", "-": "; no "}
    return _MARK.sub(lambda mark: words["+" if mark[1] == "+" else "-"], clause)


_MARK = re.compile(r"\(([+\-−–])\)")
_CLAUSE = re.compile(r"([.,;:\n])")


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
    others: frozenset[str] = frozenset()  # people that are not the patient
    headings: Mapping[tuple[str, ...], str] = field(default_factory=dict)  # before a colon -> doubt or family
    answer_kinds: Mapping[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)  # as words.yaml names them
    told_by_side: re.Pattern[str] | None = None  # signs, with the side before and the rest of the sentence
    told_how: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()  # words for parts of the body


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
        said = tokens(self._by_side(text))
        if self._by_first.keys().isdisjoint(said):
            return ()
        heard: dict[str, Heard] = {}
        denied_on: dict[str, frozenset[str]] = {}
        for sentence, answer, heading in _sentences(said):
            under, sides = self._heading(heading), _sides(sentence)
            # What need not be looked for in this sentence: what was heard, unless it was denied of another side.
            settled = {name for name, one in heard.items() if one.says is not False or not sides - denied_on[name]}
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
                    says = self._verdict(phrase, sentence, start, end, answer, under)
                    if phrase.finding in heard and not says:
                        continue
                    # A sign of one side stands beside a denial that is of the other, or of no side.
                    denied_on[phrase.finding] = sides
                    denied = "no " if phrase.says and says is False else ""
                    heard[phrase.finding] = Heard(
                        phrase.finding, says, denied + " ".join(phrase.words) + _side_told(sentence[end:])
                    )
        return tuple(heard.values())

    def _by_side(self, text: str) -> str:
        """A text in which a sign told of each side is named with each: "plantars flexor left, extensor right"."""
        if ":" in text:
            text = _AS_ANSWER.sub(" ", text)
        signs = self.blocking.told_by_side
        if signs is None or not signs.search(text):
            return text
        how = self.blocking.told_how
        return signs.sub(lambda told: _each_side(told["side"] or "", told["sign"], told["rest"], how), text)

    def only_places(self, answer: str) -> bool:
        """Whether an answer says no more than yes, where and how much: "yes, R", "right only"."""
        said = tuple(word for word in tokens(_marked(answer)) if word not in ",.;:")
        kinds = self.blocking.answer_kinds
        return bool(kinds and said) and _only(said, kinds["placing"] | kinds["beside_placing"])

    def cancelled_by(self, answer: str, heard: Iterable[Heard]) -> set[tuple[str, bool]]:
        """What a question says by itself, of which its answer affirms nothing: it is normal, or was not examined."""
        said, told = tokens(answer), self.listen(answer)
        kinds = self._kinds_of_answer(_first_clause(said))
        kinds |= {"doubt"} if said[-1:] == ("?",) else set()
        kinds |= {"doubt"} if self.kind_of_answer(answer) == "open" else set()
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

    def affirmed_by_normal(self, finding: str) -> bool:
        return "normal" in self._lifts.get(finding, frozenset())

    def kind_of_answer(self, answer: str) -> str:
        """Whether other words than a plain yes or no deny what is asked ("denied", "well"), leave it open or affirm it.

        Denied: a negation that says nothing else. Open: with more behind it, or not examined. Affirmed ("") is the
        rest: places, degrees, times and free words.
        """
        return self._kind_of(tokens(_marked(answer)))

    def _kind_of(self, said: tuple[str, ...]) -> str:
        clauses = [self._kind_of_clause(clause) for clause in _clauses(said)]
        if any(kind == "placed" for kind in clauses):
            return ""
        if "one side" in clauses:
            return "denied" if set(clauses) == {"one side"} and len(clauses) > 1 else "open"
        return next((kind for kind in ("open", "") if kind in clauses), clauses[0] if clauses else "")

    def _kind_of_clause(self, clause: tuple[str, ...]) -> str:
        kinds = self.blocking.answer_kinds
        if not kinds:
            return ""
        while _consumed(clause, kinds["teller"]):
            clause = clause[1:]
        if len(clause) > 1 and clause[0] in _OTHER_NAMES:
            inner = self._kind_of_clause(clause[1:])
            return {"denied": "one side", "well": "one side", "open": "open"}.get(inner, "placed")
        unable = _consumed(clause, kinds["cannot"])
        if unable:
            after = [word for word in clause[unable:] if word != "be" and not word.endswith("ly")]
            return "open" if _consumed(tuple(after), kinds["examining"]) else "placed"
        if _consumed(clause, kinds["not_examined"]):
            return "open"
        negated = _consumed(clause, kinds["negation"])
        if negated:
            if any(_consumed(clause[at:], kinds["affirming"]) for at in range(1, 4)):
                return "placed"
            return "denied" if _only(clause[negated:], kinds["nothing_else"]) else "open"
        if any((word,) in kinds["well"] for word in clause) or _consumed(clause, kinds["well"]):
            return "well" if _only(clause, kinds["well"] | kinds["beside_well"]) else ""
        looked = any((word,) in kinds["examining"] for word in clause)
        return "placed" if not looked and any((word,) in kinds["placing"] for word in clause) else ""

    def affirmed_part(self, answer: str) -> str:
        """What an answer affirms beside what it denies: of "none on the left, mild on the right" the right."""
        parts = [(clause, self._kind_of_clause(clause)) for clause in _clauses(tokens(answer))]
        placed = [" ".join(clause) for clause, kind in parts if kind == "placed"]
        return ", ".join(placed) if placed and any(kind in ("denied", "open") for _, kind in parts) else answer

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
            self._kinds_around(sentence, start, end, answer) | self._heading(heading)
            for sentence, answer, heading in _sentences(tokens(text))
            for start in range(len(sentence))
            # Words may lie inside the phrase, not before it: they are what may deny it.
            if sentence[start : start + 1] == list(wanted[:1]) and (end := _match(wanted, sentence, start)) is not None
        ]

    def _heading(self, heading: list[str]) -> set[str]:
        said = tuple(word for word in heading if word not in ",?")
        table = self.blocking.headings
        return {kind for words, kind in table.items() if _begins(said, words) or said[-len(words) :] == words}

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
        clause = _clause(sentence, start, end)
        sentence, start, end = self._after_an_answer(clause.words, clause.start, clause.end)
        if clause.answer is not None:
            answer = clause.answer if self._is_answer(clause.answer) else []
        kinds = self._answered(clause.aside, sentence[start:end]) if self._is_answer(clause.aside) else set()
        if end == len(sentence) or (answer and _listed_to_the_end(sentence, start, end)):
            kinds |= self._answered(answer, sentence[start:end])
        if sentence[max(0, start - 1) : start] == [_DOUBTS_NEXT] or sentence[end : end + 1] == ["?"]:
            kinds.add("doubt")
        if clause.lead and self._led_by_a_denial(clause.lead, sentence, start, end):
            kinds.add("doubt")
        if self._of_another(sentence[:start], _after_being(sentence[end : end + 6])):
            kinds.add("family")
        return kinds | self._cancelled_before(sentence, start, end) | self._cancelled_after(sentence[end:])

    def _cancelled_before(self, sentence: list[str], start: int, end: int) -> set[str]:
        """What the words before a phrase make of it. A denial that leaves it open is a doubt as well."""
        before, far = _reachable(sentence, start, end)
        listed = len(before) - sum(word not in _MARKS for word in sentence[_group(sentence, start, end)[0] : start])
        kinds: set[str] = set()
        plainly: list[bool] = []  # of each denial
        nearest = 0  # how many words back a denial lies
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
                    nearest = len(before) - position
        if nearest and self._half_denied(sentence, start, end, nearest):
            plainly = [False]
        if plainly:
            kinds |= {"denial"} if any(plainly) else {"denial", "doubt"}
        return kinds

    def _cancelled_after(self, rest: list[str]) -> set[str]:
        """What the words behind a phrase make of it: "weakness absent", not "weakness, absent reflexes"."""
        group = list(_after_being([word for word in rest[: _group(rest, 0, 1)[1]] if word not in _MARKS]))
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
        named = clause[start:end]
        item = _is_item(clause[group_start:start], clause[end:group_end], named)
        bare = item and _PLACING.isdisjoint(named)
        return denies and (bare or last[-1] in _SIGNS_IN_GENERAL)

    def _half_denied(self, sentence: list[str], start: int, end: int, back: int) -> bool:
        """Whether a denial lies before the only comma and a place behind it: "no pain, hand weakness" is no list."""
        group_start, group_end = _group(sentence, start, end)
        across = back > start - group_start
        placed = not self.blocking.places.isdisjoint(sentence[group_start:group_end])
        return across and placed and sentence.count(",") == 1 and _JOINS.isdisjoint(sentence)

    def _of_another(self, before: list[str], following: tuple[str, ...]) -> bool:
        """Whether someone else is the subject of a phrase, or the one whom it is for."""
        if following[:1] and following[0] in _WHOSE and not self.blocking.others.isdisjoint(following[1:3]):
            return True
        nearest = next((word for word in reversed(before) if word not in _LINKING), "")
        return nearest.removesuffix("'s") in self.blocking.others

    def _is_answer(self, aside: list[str]) -> bool:
        """Whether what stands behind a dash or in brackets answers: "(not examined)", but not "(absent jerks)"."""
        given = _first_clause(tuple(aside))
        return bool(given) and (self._kind_of(given) != "open" or bool(self._open(given)))

    def _answered(self, answer: list[str], named: list[str]) -> set[str]:
        """What the answer after a colon cancels: "dysphagia: none" names it only to deny it."""
        given = _first_clause(tuple(answer))
        tables = (self.blocking.before, self.blocking.after)
        kinds = {kind for table in tables for words, kind in table.items() if words == given}
        kind = self._kind_of(given)
        if kind == "well" and any(stem in word for word in named for (stem,) in self.blocking.answer_kinds["well_of"]):
            return kinds
        return kinds or self._open(given) or _CANCELS[kind]


_CANCELS: Mapping[str, set[str]] = {"denied": {"denial"}, "well": {"normal"}, "open": {"doubt"}, "": set()}


# "Clonus: present" is one statement. What denies stays an answer, which may be of a whole list.
_AS_ANSWER = re.compile(
    r":\s+(?=(?:present|positive|inducible|sustained|extensor|flexor|upgoing|downgoing)(?![a-z]))", re.IGNORECASE
)
_OTHER_NAMES = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}
_SIDE = re.compile(r"(?<![a-z0-9])(left|lt|l|right|rt|r)(?![a-z0-9])", re.IGNORECASE)
_SIDE_MARK = re.compile(r"(?<![a-z0-9])(left|lt|l|right|rt|r)\s*([+\-−–↑↓])(?=\s*(?:[,;/.]|$)|\s+[lr])", re.IGNORECASE)
_MARK_WORDS = {"+": "positive", "↑": "upgoing", "↓": "downgoing"}
_BESIDE_SIDE = re.compile(r"(?<![a-z0-9])(?:on|in|the|side|is|are|was|were)(?![a-z0-9])", re.IGNORECASE)
_APART = re.compile(r"\s*(?:[,/]|(?<![a-z0-9])(?:and|but|whereas|while)(?![a-z0-9]))\s*", re.IGNORECASE)


def _marked(text: str) -> str:
    """ "R +, L -" in words."""
    return _SIDE_MARK.sub(lambda found: f"{found[1]} {_MARK_WORDS.get(found[2], 'negative')}", text)


def _each_side(side: str, sign: str, rest: str, how: frozenset[str]) -> str:
    """What is told of a sign side by side, each with the sign: "plantars flexor on the left; plantars extensor …"."""
    as_written = f"{side} {sign}{rest}" if side else f"{sign}{rest}"
    pieces = [piece for piece in _APART.split(_marked(rest).strip(" :")) if piece]
    told = []
    for position, piece in enumerate(pieces):
        named = {_OTHER_NAMES[found.lower()] for found in _SIDE.findall(piece)}
        if position == 0 and side and not named:
            named = {_OTHER_NAMES[side.lower()]}
        what = _BESIDE_SIDE.sub(" ", _SIDE.sub(" ", piece)).replace(":", " ").lower().split()
        if len(named) != 1 or not what or not how.issuperset(what):
            break
        told.append(f"{sign} {' '.join(what)} on the {named.pop()}")
    return "; ".join([*told, ", ".join(pieces[len(told) :])]) if told else as_written


def _sides(sentence: list[str]) -> frozenset[str]:
    return frozenset(_OTHER_NAMES[word] for word in sentence if word in _OTHER_NAMES)


def _side_told(following: list[str]) -> str:
    told = following[:2] == ["on", "the"] and following[2:3] in (["left"], ["right"])
    return " " + " ".join(following[:3]) if told else ""


def _clauses(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    clauses: list[tuple[str, ...]] = [()]
    for word in words:
        if word == "," or word in _SENTENCE_ENDS or word in _EXCEPTION:
            clauses.append(())
        else:
            clauses[-1] += (word,)
    return [clause for clause in clauses if clause]


def _consumed(words: tuple[str, ...], listed: frozenset[tuple[str, ...]]) -> int:
    """How many words at the beginning are listed as one, the most that are."""
    return next((length for length in (3, 2, 1) if len(words) >= length and words[:length] in listed), 0)


def _only(words: tuple[str, ...], listed: frozenset[tuple[str, ...]]) -> bool:
    while words:
        length = _consumed(words, listed)
        if not length:
            return False
        words = words[length:]
    return True


def _after_being(words: list[str]) -> tuple[str, ...]:
    """What follows a phrase: "was not supported" says of it what "not supported" says."""
    said = tuple(word for word in words if word not in ",?")
    return said[next((i for i, word in enumerate(said) if word not in _BEING), len(said)) :]


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


def _sentences(words: tuple[str, ...]) -> Iterable[tuple[list[str], list[str], list[str]]]:
    """Each sentence, what follows the colon where it ends in one, and the heading under which it stands.

    A heading ends in a colon, and what stands under it ends as its line or sentence does, not at a semicolon.
    """
    sentences: list[tuple[list[str], str]] = [([], "")]
    for word in words:
        if word in _SENTENCE_ENDS:
            sentences[-1] = (sentences[-1][0], word)
            sentences.append(([], ""))
        else:
            sentences[-1][0].append(word)
    heading: list[str] = []
    for position, (sentence, mark) in enumerate(sentences):
        if sentence:
            yield sentence, sentences[position + 1][0] if mark == ":" else [], heading
        if mark != ";":
            heading = sentence if mark == ":" else []


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
    item = group_start > 0 and _is_item(own, rest, sentence[start:end])
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


def _is_item(own: list[str], rest: list[str], named: list[str]) -> bool:
    """Whether a phrase between two commas is an item of a list: ``own`` stands before it, ``rest`` after it.

    One that has a side of its own is none: "no pain, weakness of right foot" finds the foot weak.

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
    if _sides(own + named + rest):
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
