"""The differential as a picture: which card may name which cause, as plain numbers that a template draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.handbook.library import CARD, HYPOTHESIS, Entry, Library
from cds_service.handbook.sections import TIERS, URGENCIES

_ROW, _TOP, _GAP = 19, 24, 26


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand, in pixels at full size, and how many signs of a title fit beside the lines."""

    width: int
    card_end: int
    cause_start: int
    card_title: int  # 0: the id alone
    cause_title: int


WIDE = Layout(width=1080, card_end=430, cause_start=610, card_title=58, cause_title=58)
# A phone: the whole picture without scrolling, cards by their ids; the list of cards is a link away.
NARROW = Layout(width=350, card_end=48, cause_start=104, card_title=0, cause_title=34)


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
    """A layout with everything at its place."""

    layout: Layout
    height: float
    cards: tuple[Label, ...]
    causes: tuple[Label, ...]
    heads: tuple[Label, ...]  # the tiers and the urgencies; group: left or right
    curves: tuple[Curve, ...]


def urgency(spec: Mapping[str, Any]) -> str:
    """The most pressing letter that a hypothesis can have."""
    letters = spec["urgency"]
    return letters if isinstance(letters, str) else min((str(one["is"]) for one in letters), key=list(URGENCIES).index)


def picture(library: Library, layout: Layout) -> Picture:
    """Cards by tier on the left, causes by urgency on the right, and a line for each naming."""
    by_tier = {tier: [e for e in library.of(CARD) if e.spec["tier"] == tier] for tier in TIERS}
    by_urgency = {u: [e for e in library.of(HYPOTHESIS) if urgency(e.spec) == u] for u in URGENCIES}
    # The lists differ in length; the shorter one is spread over the same height.
    rows = sum(map(len, by_urgency.values()))
    high = rows * _ROW + _GAP * len([g for g in by_urgency.values() if g])
    taken = sum(map(len, by_tier.values())) * _ROW
    air = max(_GAP, (high - taken) / max(1, len([g for g in by_tier.values() if g])))
    tiers = {tier: f"{tier} {name}" for tier, name in TIERS.items()}
    if not layout.card_title:
        tiers = {tier: tier if tier != "overlay" else "also" for tier in TIERS}  # no room for more
    cards, left = _column(by_tier, "left", tiers, air, layout.card_title)
    causes, right = _column(by_urgency, "right", URGENCIES, _GAP, layout.cause_title)
    curves = tuple(
        Curve(_curve(layout, cards[card.id].y, causes[name].y), str(card.spec["tier"]))
        for card in library.of(CARD)
        for name in card.spec["hypotheses"]
    )
    bottom = max(label.y for label in (*cards.values(), *causes.values(), Label(_TOP, "", "")))
    return Picture(layout, bottom + _ROW, tuple(cards.values()), tuple(causes.values()), (*left, *right), curves)


def _column(
    groups: Mapping[str, list[Entry]], side: str, names: Mapping[str, str], air: float, longest: int
) -> tuple[dict[str, Label], list[Label]]:
    labels, heads, y = {}, [], float(_TOP)
    for group, entries in groups.items():
        if not entries:
            continue
        heads.append(Label(round(y, 1), names[group], side))
        for entry in entries:
            y += _ROW
            labels[entry.id] = Label(round(y, 1), f"{entry.id} {_short(entry.title, longest)}".rstrip(), group)
        y += air
    return labels, heads


def _short(title: str, longest: int) -> str:
    if not longest:
        return ""
    return title if len(title) <= longest else title[: longest - 1].rstrip() + "…"


def _curve(layout: Layout, start: float, end: float) -> str:
    a, b = layout.card_end + 6, layout.cause_start - 6
    middle = (a + b) // 2
    return f"M{a} {start - 4:g}C{middle} {start - 4:g} {middle} {end - 4:g} {b} {end - 4:g}"
