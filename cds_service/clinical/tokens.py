"""Text as words and marks, folded so that spelling variants meet."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_TOKEN = re.compile(r"[a-z0-9][a-z0-9+/'\-]*|[.,;:?!\n\r\v\f()\[\]-]|" + "\xbf")
DOUBTS_NEXT = "\xbf"  # a question mark before a word: "?MND", "? cause"
WORDS_OF_MARKS = frozenset({"and", "or", "no", "negative", "present"})  # what marks and joined words are read as
_BRACKETS = {"[": "(", "]": ")"}
_ASKED = re.compile(r"(?<![^\s(,;:.\-])\?+(?=[ \t]*[a-z0-9])")
# Signs that do the work of a dash; a hyphen does it where a blank follows, but for "hyper- or hypotonia".
_DASH = re.compile(
    r"--+>?|->|=>|\||</?(?:br|p|div|li|tr|td)\s*/?>|(?<=[a-z0-9)])-(?=[ \t]+(?!and\b|or\b|to\b)[a-z0-9(])"
)
# Nothing here has more than one reading, and no word is joined to another.
_SIMPLE = re.compile(r"[a-z0-9\s.,;:!()%]*")
_UNDASHED = re.compile(r"[a-z0-9\s.,;:!()%/+?'\"]*")
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
    plain = fold(text)
    if _SIMPLE.fullmatch(plain):
        return tuple(_TOKEN.findall(plain))
    if not _UNDASHED.fullmatch(plain):
        plain = _DASH.sub(" - ", plain)
    if "?" in plain:
        plain = _ASKED.sub(DOUBTS_NEXT, plain)
    said: list[str] = []
    for found in _TOKEN.findall(plain):
        if found.isalnum():  # as nearly all are
            said.append(found)
        else:
            said += _parts(found)
    return tuple(said)


def _parts(word: str) -> Iterable[str]:
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
