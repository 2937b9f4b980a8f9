"""How a sentence of a record is built: clauses, lists, asides, and how far a denial reaches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cds_service.clinical.lexicon import Lexicon, Words
from cds_service.clinical.sides import sides_in
from cds_service.clinical.tokens import DOUBTS_NEXT

_SENTENCE_ENDS = frozenset(".;:!\n\r\v\f")
_ASIDES = frozenset("()-")  # brackets and dashes: what stands beyond one is a statement of its own
_CLAUSE_ENDS = _SENTENCE_ENDS | _ASIDES | {","}
MARKS = _ASIDES | frozenset(",?") | {DOUBTS_NEXT}  # inside a sentence
REACH = 6  # words before a phrase in which a denial still speaks of it
_GAP = 3  # other words allowed inside a phrase of three or more words
_NEVER_INSIDE = frozenset(
    {"no", "not", "never", "without", "neither", "nor", "reduced", "decreased", "diminished", "increased",
     "impaired", "abnormal", "absent", "lost", "loss", "brisk"}
)  # fmt: skip
_AFFIRMED = frozenset({"present", "positive", "noted", "seen", "visible", "found"})
# Behind a word that cancels they say how or when; those after them say more of it, or begin another statement.
_HOW = _AFFIRMED | {"today", "now", "again", "yet", "anywhere", "either", "throughout", "altogether"}
_MORE_OF_IT = _HOW | {
    "in", "on", "at", "by", "since", "after", "from", "over", "with", "during", "this", "last", "left", "right", "both",
    "bilateral", "and", "or", "but", "as", "because", "given", "if", "when", "while", "though", "although", "despite",
}  # fmt: skip
_CONTRAST = frozenset({"but", "however", "although", "though", "now"})
EXCEPTION = frozenset({"but", "however", "except", "apart"})  # "normal except thenar" still affirms something
JOINS = frozenset({"or", "nor"})
# After a comma they begin a statement of their own: "no fever, reports weakness or cramps".
_STATING = frozenset(
    {"has", "have", "had", "having", "reports", "reported", "reporting", "complains", "complaining", "describes",
     "shows", "showed", "showing", "reveals", "revealed", "develops", "developed", "noticed", "notices", "notes",
     "feels", "is", "are", "was", "were", "there", "with"}
)  # fmt: skip
# They place a sign, or say more of it, as no bare item of a list does.
PLACING = frozenset(
    {"of", "in", "on", "at", "to", "for", "over", "since", "left", "right", "both", "bilateral", "bilaterally"}
)
# An adjective denies the one sign behind it, where a verb denies a list: "absent reflexes, wasting of the hand".
_OF_ONE = frozenset({"absent"})
_BEING = frozenset({"is", "are", "was", "were", "has", "have", "been", "be"})
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


def clauses_of(words: Words) -> list[Words]:
    clauses: list[list[str]] = [[]]
    for word in words:
        if word == "," or word in _SENTENCE_ENDS or word in EXCEPTION:
            clauses.append([])
        else:
            clauses[-1].append(word)
    return [tuple(clause) for clause in clauses if clause]


def after_being(words: list[str]) -> tuple[str, ...]:
    """What follows a phrase: "was not supported" says of it what "not supported" says."""
    said = tuple(word for word in words if word not in ",?")
    return said[next((i for i, word in enumerate(said) if word not in _BEING), len(said)) :]


def said_behind(kind: str, then: Sequence[str], apart: bool) -> set[str]:
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


def clause_around(sentence: list[str], start: int, end: int) -> _Clause:
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
                aside = list(first_clause(tuple(rest[position + 1 :])))
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


def first_clause(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[: next((i for i, word in enumerate(words) if word in _CLAUSE_ENDS), len(words))]


def sentences_of(words: tuple[str, ...]) -> Iterable[tuple[list[str], list[str], list[str]]]:
    """Each sentence, what follows the colon where it ends in one, and the heading under which it stands.

    A heading ends in a colon, and what stands under it ends as its line or sentence does, not at a semicolon.
    """
    if _SENTENCE_ENDS.isdisjoint(words):  # as in most
        yield list(words), [], []
        return
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


def end_of(phrase: tuple[str, ...], sentence: list[str], start: int) -> int | None:
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


def reachable(sentence: list[str], start: int, end: int) -> tuple[list[str], int]:
    """The words before a phrase that can still deny it, and how many of the first of them can only deny.

    A comma ends their reach unless the phrase is an item of a list ("no weakness, wasting or cramps").
    A list that closes with "or" is denied as a whole, however long it is; no other word reaches so far.
    """
    group_start, group_end = group_around(sentence, start, end)
    own, rest = sentence[group_start:start], sentence[end:group_end]
    item = group_start > 0 and is_item(own, rest, sentence[start:end])
    closed = item and not JOINS.isdisjoint(sentence[group_start:])
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
        if (since_comma if closed else len(reach)) >= REACH:
            break
        if word not in MARKS:
            far += len(reach) >= REACH
            since_comma += 1
            reach.append(word)
    return reach[::-1], far


def ends_before_a_comma(sentence: list[str], position: int, length: int) -> bool:
    """Whether a denial says nothing of the items behind the next comma: "reflexes absent, wasting of the hand"."""
    if sentence[position] in _OF_ONE and JOINS.isdisjoint(sentence[position:]):
        return True
    if position == 0 or sentence[position - 1] in MARKS:
        return False
    rest = sentence[position + length :]
    if sentence[position + length - 1] == "not":
        rest = rest[next(i for i, word in enumerate(rest) if word not in _BEING) :]
        rest = rest[rest[0] in _AFFIRMED or rest[0].endswith(("ed", "able", "ible")) :]  # "not elicited"
    return rest[0] == "," or (rest[0] in PLACING and rest[0] != "of")


def takes_for_granted(between: list[str]) -> bool:
    """Whether a denial, by the words between it and a sign, denies something else and finds the sign.

    "No clear improvement of weakness", "no relief from weakness", "not sleeping because of it", "not only weakness".
    """
    changes = any(word in _CHANGES and between[i + 1 : i + 2] in (["in"], ["of"]) for i, word in enumerate(between[:2]))
    granted = not _GRANTING.isdisjoint(between) and not _CONCERNING.isdisjoint(between)
    return changes or granted or "because" in between or between[:1] in _NO_DENIALS


def is_of_another_thing(between: list[str]) -> bool:
    """Whether a preposition ties a sign to another thing that is denied: "no test for weakness", "not bothered by it".

    "No evidence of weakness" and "no signs or symptoms of weakness" only name it.
    """
    naming = False
    for i, word in enumerate(between):
        naming = naming or word in _NAMING
        if word in JOINS:
            naming = False
        elif word == "of" and (i == 0 or not JOINS.isdisjoint(between[i:])):
            continue  # "none of", "no loss of sensation or weakness"
        elif word in _CONCERNING or (word == "to" and between[i - 1] in _DUE):
            if not naming:
                return True
            naming = False
    return False


def is_open(sentence: list[str], start: int) -> bool:
    """Whether place, duration or frequency follows the last item of a list: it may be a statement of its own.

    "No pain, left hand weakness or clumsiness for two months". What an examination looked at closes a list.
    """
    first = group_around(sentence, start, start)[0]
    last = next((i for i in range(first, len(sentence)) if sentence[i] in JOINS), None)
    if last is None:
        return False
    tail = sentence[last + 2 : group_around(sentence, last, last + 1)[1]]
    for i, word in enumerate(tail):
        placed = word == "of" and not _SIDES.isdisjoint(tail[i + 1 : i + 2])
        if placed or (word in _OPENING and _CLOSING.isdisjoint(tail[i + 1 : i + 4])):
            return True
    return False


def group_around(sentence: list[str], start: int, end: int) -> tuple[int, int]:
    """Where the words between two commas begin and end that hold a phrase."""
    if "," not in sentence:  # as in most
        return 0, len(sentence)
    group_end = next((i for i in range(end, len(sentence)) if sentence[i] == ","), len(sentence))
    return max((i + 1 for i in range(start) if sentence[i] == ","), default=0), group_end


def is_item(own: list[str], rest: list[str], named: list[str]) -> bool:
    """Whether a phrase between two commas is an item of a list: ``own`` stands before it, ``rest`` after it.

    One that has a side of its own is none: "no pain, weakness of right foot" finds the foot weak.

    "or" joins items under a denial; "and" joins them only where nothing else is said of them, because
    "no sensory loss, weakness and wasting of the hand" finds the hand weak.
    """
    if not _STATING.isdisjoint(own):
        return False
    joining = rest[1:] if rest[:1] and rest[0] in _SIGN_NOUNS else rest
    if not JOINS.isdisjoint(own) or (joining and joining[0] in JOINS):
        return True
    if not _AFFIRMED.isdisjoint(rest):
        return False
    if sides_in(own + named + rest):
        return False
    if len(own) + len(rest) <= 1:
        return True
    if joining[:1] == ["and"]:
        return len(joining) <= 3 and PLACING.isdisjoint(joining)
    return own[-1:] == ["and"] and len(rest) <= 1 and PLACING.isdisjoint(own + rest)


def listed_to_the_end(sentence: list[str], start: int, end: int) -> bool:
    """Whether a phrase belongs to a list that ends its sentence: "weakness, wasting or cramps: none"."""
    group_start, _ = group_around(sentence, start, end)
    tail = sentence[end:]
    if tail[:1] not in ([","], ["or"], ["nor"], ["and"]) or start - group_start > 1:
        return False
    return not {"or", "nor", "and"}.isdisjoint(tail) and (_STATING | PLACING | _CONTRAST).isdisjoint(
        sentence[group_start:start] + tail
    )


def contains(sentence: Sequence[str], listed: Lexicon) -> bool:
    """Whether a sentence has listed words side by side, whatever marks stand between them."""
    return listed.may_be_in(sentence) and listed.is_in([word for word in sentence if word not in MARKS])
