"""How long something has lasted, where an entry tells it in its own words.

Only an entry that says one thing is read: "left hemiparesis for 6 months". What is said of something else beside it
("left hemiparesis, on aspirin for 6 months"), or of a change ("chronic hemiparesis, worse today"), tells no onset.
"""

from __future__ import annotations

import re

from cds_service.clinical.tokens import fold

_CHRONIC_DAYS = 84  # 12 weeks: what is chronic, residual or old has lasted at least so long
_LONGEST = 120  # characters of an entry that says one thing
_SOME = 2  # "for months" are two at least
_NUMBERS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "several": 3, "many": 3, "some": _SOME, "few": _SOME, "a few": _SOME,
}  # fmt: skip
_UNITS = {"d": 1, "w": 7, "m": 30, "y": 365}
_LENGTH = (
    rf"(?:(?P<number{{0}}>\d{{{{1,3}}}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})[ -]*)?"
    r"\b(?P<unit{0}>days?|weeks?|wks?|months?|mths?|mos?|years?|yrs?)"
)
_LONG = r"chronic|long[ -]?standing|residual|old|congenital"
_WHAT = "[a-z' -]+?"
_TOLD = re.compile(
    rf"(?:{_LONG}) (?P<what1>{_WHAT})"
    rf"|(?P<what2>{_WHAT})[ ,(]+(?:(?:{_LONG}|since (?:birth|childhood|infancy))"
    rf"|(?:for|since|over|lasting|x)[ ]?(?:(?:the|last|past|about|around|over|at least|more than) )*{_LENGTH.format(1)}"
    rf"(?: now)?)\)?"
    rf"|{_LENGTH.format(2)} history of (?P<what3>{_WHAT})"
)
# What lies between the sign and its duration, or says that it is no longer as it was.
_APART = frozenset(
    {"on", "taking", "after", "with", "without", "despite", "following", "since", "post", "and", "but", "no", "not",
    "never", "possible", "possibly", "new", "newly", "sudden", "suddenly", "acute", "acutely", "worse", "worsened",
    "worsening", "today", "yesterday", "now", "again"}
)  # fmt: skip


def told_days(text: str) -> int | None:
    """For how many days at least, by the words of an entry; None where they tell nothing, or not plainly."""
    told = _TOLD.fullmatch(" ".join(fold(text).split()).strip(".")) if len(text) <= _LONGEST else None
    if told is None:
        return None
    what = told["what1"] or told["what2"] or told["what3"]
    if not _APART.isdisjoint(what.replace("-", " ").split()):
        return None
    unit = told["unit1"] or told["unit2"]
    if unit is None:
        return _CHRONIC_DAYS
    number = told["number1"] or told["number2"]
    return _UNITS[unit[0]] * (int(number) if number and number.isdigit() else _NUMBERS.get(number or "", _SOME))
