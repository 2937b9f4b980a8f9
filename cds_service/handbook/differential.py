"""The differential as a picture: which card may name which cause, as plain numbers that a template draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.handbook.library import CARD, HYPOTHESIS, Entry, Library
from cds_service.handbook.sections import TIERS, URGENCIES

_ROW, _TOP, _GAP = 19, 24, 26
_CARD_END, _CAUSE_START, _WIDTH = 430, 610, 1080
_LONGEST = 58  # signs of a title that fit beside the lines


@dataclass(frozen=True, slots=True)
class Label:
    """A card or a cause at its height, in the class that colours it."""

    y: float
    text: str
    group: str


@dataclass(frozen=True, slots=True)
class Curve:
    """From a card to a cause that it may name."""

    path: str
    group: str


@dataclass(frozen=True, slots=True)
class Picture:
    width: int
    height: float
    card_end: int
    cause_start: int
    cards: tuple[Label, ...]
    causes: tuple[Label, ...]
    heads: tuple[Label, ...]  # the tiers and the urgencies; group: left or right
    curves: tuple[Curve, ...]


def urgency(spec: Mapping[str, Any]) -> str:
    """The most pressing letter that a hypothesis can have."""
    letters = spec["urgency"]
    return letters if isinstance(letters, str) else min((str(one["is"]) for one in letters), key=list(URGENCIES).index)


def picture(library: Library) -> Picture:
    """Cards by tier on the left, causes by urgency on the right, and a line for each naming."""
    by_tier = {tier: [e for e in library.of(CARD) if e.spec["tier"] == tier] for tier in TIERS}
    by_urgency = {u: [e for e in library.of(HYPOTHESIS) if urgency(e.spec) == u] for u in URGENCIES}
    # The lists differ in length; the shorter one is spread over the same height.
    rows = sum(map(len, by_urgency.values()))
    high = rows * _ROW + _GAP * len([g for g in by_urgency.values() if g])
    taken = sum(map(len, by_tier.values())) * _ROW
    air = max(_GAP, (high - taken) / max(1, len([g for g in by_tier.values() if g])))
    cards, left = _column(by_tier, "left", {t: f"{t} {name}" for t, name in TIERS.items()}, air)
    causes, right = _column(by_urgency, "right", URGENCIES, _GAP)
    curves = tuple(
        Curve(_curve(cards[card.id].y, causes[name].y), str(card.spec["tier"]))
        for card in library.of(CARD)
        for name in card.spec["hypotheses"]
    )
    bottom = max(label.y for label in (*cards.values(), *causes.values(), Label(_TOP, "", "")))
    return Picture(
        _WIDTH, bottom + _ROW, _CARD_END, _CAUSE_START, tuple(cards.values()), tuple(causes.values()),
        (*left, *right), curves,
    )  # fmt: skip


def _column(
    groups: Mapping[str, list[Entry]], side: str, names: Mapping[str, str], air: float
) -> tuple[dict[str, Label], list[Label]]:
    labels, heads, y = {}, [], float(_TOP)
    for group, entries in groups.items():
        if not entries:
            continue
        heads.append(Label(round(y, 1), names[group], side))
        for entry in entries:
            y += _ROW
            labels[entry.id] = Label(round(y, 1), f"{entry.id} {_short(entry.title)}", group)
        y += air
    return labels, heads


def _short(title: str) -> str:
    return title if len(title) <= _LONGEST else title[: _LONGEST - 1].rstrip() + "…"


def _curve(start: float, end: float) -> str:
    a, b = _CARD_END + 6, _CAUSE_START - 6
    middle = (a + b) // 2
    return f"M{a} {start - 4:g}C{middle} {start - 4:g} {middle} {end - 4:g} {b} {end - 4:g}"
