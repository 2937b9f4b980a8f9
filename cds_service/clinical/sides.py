"""Which side is spoken of, in words, letters and marks."""

from __future__ import annotations

import re

OTHER_NAMES = {"left": "left", "l": "left", "lt": "left", "right": "right", "r": "right", "rt": "right"}
_SIDE = re.compile(r"(?<![a-z0-9])(left|lt|l|right|rt|r)(?![a-z0-9])", re.IGNORECASE)
_SIDE_MARK = re.compile(r"(?<![a-z0-9])(left|lt|l|right|rt|r)\s*([+\-−–↑↓])(?=\s*(?:[,;/.]|$)|\s+[lr])", re.IGNORECASE)
_MARK_WORDS = {"+": "positive", "↑": "upgoing", "↓": "downgoing"}
_BESIDE_SIDE = re.compile(r"(?<![a-z0-9])(?:on|in|the|side|is|are|was|were)(?![a-z0-9])", re.IGNORECASE)
_APART = re.compile(r"\s*(?:[,/]|(?<![a-z0-9])(?:and|but|whereas|while)(?![a-z0-9]))\s*", re.IGNORECASE)


def with_marks_in_words(text: str) -> str:
    """ "R +, L -" in words."""
    return _SIDE_MARK.sub(lambda found: f"{found[1]} {_MARK_WORDS.get(found[2], 'negative')}", text)


def each_side(side: str, sign: str, rest: str, how: frozenset[str]) -> str:
    """What is told of a sign side by side, each with the sign: "plantars flexor on the left; plantars extensor …"."""
    as_written = f"{side} {sign}{rest}" if side else f"{sign}{rest}"
    pieces = [piece for piece in _APART.split(with_marks_in_words(rest).strip(" :")) if piece]
    told = []
    for position, piece in enumerate(pieces):
        named = {OTHER_NAMES[found.lower()] for found in _SIDE.findall(piece)}
        if position == 0 and side and not named:
            named = {OTHER_NAMES[side.lower()]}
        what = _BESIDE_SIDE.sub(" ", _SIDE.sub(" ", piece)).replace(":", " ").lower().split()
        if len(named) != 1 or not what or not how.issuperset(what):
            break
        told.append(f"{sign} {' '.join(what)} on the {named.pop()}")
    return "; ".join([*told, ", ".join(pieces[len(told) :])]) if told else as_written


def sides_in(sentence: list[str]) -> frozenset[str]:
    if OTHER_NAMES.keys().isdisjoint(sentence):  # as most sentences
        return frozenset()
    return frozenset(OTHER_NAMES[word] for word in sentence if word in OTHER_NAMES)


def side_told(following: list[str]) -> str:
    told = following[:2] == ["on", "the"] and following[2:3] in (["left"], ["right"])
    return " " + " ".join(following[:3]) if told else ""
