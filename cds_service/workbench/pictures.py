"""Where things lie in the pictures of the Why page: plain numbers, drawn as SVG by the templates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """One value: its place, how it is judged, and what to say of it."""

    x: float
    y: float
    band: str
    label: str
    bound: str
    reference: str
    date: str
    anchor: str


@dataclass(frozen=True, slots=True)
class LabPicture:
    """A test over time. The scale of the second unit stands on the right; limits are lines, the reference a strip."""

    course: Json
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    dots: tuple[Dot, ...]
    scale: tuple[Tick, ...]
    other_scale: tuple[Tick, ...]
    days: tuple[Tick, ...]
    strip: tuple[float, float] | None  # top and bottom of the reference interval
    critical: tuple[Tick, ...]

    @property
    def path(self) -> str:
        return " ".join(f"{dot.x:g},{dot.y:g}" for dot in self.dots)


_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 400, 180, 44, 48, 26, 28
_LABELLED = 5  # more values than these would write over each other


def lab_picture(course: Json, as_of: date) -> LabPicture:
    """The picture of one course of the assessment document."""
    points: Sequence[Json] = course["points"]
    days = [date.fromisoformat(point["date"]) for point in points]
    first, last = min(days), max(*days, as_of)
    if (last - first).days < 14:
        first = last - timedelta(days=14)
    limits = [limit for limit in (*course["reference"], *course["critical"]) if limit is not None]
    low, high = _range([point["value"] for point in points], limits)

    def x(day: date) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (day - first).days / (last - first).days, 1)

    def y(value: float) -> float:
        return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low), 1)

    few = len(points) <= _LABELLED
    dots = tuple(
        Dot(x(day), y(p["value"]), p["band"], _figure(p["value"], course["decimals"]) if few else "",
            p["bound"], p["reference"], p["date"], _anchor(x(day)))
        for day, p in zip(days, points, strict=True)
    )  # fmt: skip
    low_end, high_end = course["reference"]
    strip = None
    if low_end is not None or high_end is not None:
        strip = (y(high if high_end is None else high_end), y(low if low_end is None else low_end))
    return LabPicture(
        course=course, width=_WIDTH, height=_HEIGHT, left=_LEFT, right=_WIDTH - _RIGHT, top=_TOP,
        bottom=_HEIGHT - _BOTTOM, dots=dots, strip=strip,
        scale=tuple(Tick(y(v), f"{v:g}") for v in _round_steps(low, high)),
        other_scale=_other_scale(course, low, high, y),
        days=(Tick(x(first), first.isoformat()), Tick(x(last), last.isoformat())),
        critical=tuple(
            Tick(y(limit), f"critical {word} {limit:g}")
            for limit, word in zip(course["critical"], ("low", "high"), strict=True)
            if limit is not None
        ),
    )  # fmt: skip


def _anchor(x: float) -> str:
    """Which side of a dot its label is written on, so that it stays inside the picture."""
    return "end" if x > _WIDTH - _RIGHT - 40 else "start" if x < _LEFT + 30 else "middle"


def _figure(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"


def _range(values: Iterable[float], limits: Iterable[float]) -> tuple[float, float]:
    """All values and limits with some air; never empty."""
    wanted = [*values, *limits]
    low, high = min(wanted), max(wanted)
    air = (high - low) * 0.08 or abs(high) * 0.2 or 1.0
    return (low - air if low - air > 0 or low < 0 else 0.0), high + air


def _round_steps(low: float, high: float) -> list[float]:
    """Three to six round numbers between the ends."""
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * f for f in (1, 2, 2.5, 5, 10) if unit * f >= rough)
    first = math.ceil(low / step)
    return [round(step * n, 10) for n in range(first, math.floor(high / step) + 1)]


def _other_scale(course: Json, low: float, high: float, y: Any) -> tuple[Tick, ...]:
    other = course["otherUnit"]
    if other is None:
        return ()
    ends = sorted((value - other["offset"]) / other["factor"] for value in (low, high))
    return tuple(Tick(y(v * other["factor"] + other["offset"]), f"{v:g}") for v in _round_steps(*ends))


# ---------------------------------------------------------------- the timeline


@dataclass(frozen=True, slots=True)
class Mark:
    """One event in a row: a dot, or a bar while it lasted."""

    x: float
    width: float
    earlier: bool
    words: str
    reference: str


@dataclass(frozen=True, slots=True)
class Row:
    lane: str
    title: str
    y: float
    opens_lane: bool
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class TimelinePicture:
    """Rows of like events, newest first in each lane; what began before the picture stands at its left edge."""

    width: int
    height: float
    left: int
    right: int
    rows: tuple[Row, ...]
    months: tuple[Tick, ...]
    left_out: int


_ROW, _LINE_LEFT, _LINE_WIDTH, _LINE_RIGHT = 20, 320, 960, 940
_MOST_DAYS, _MOST_ROWS = 420, 40
_ORDER = ("findings", "results", "medicines", "tests", "visits")


def timeline_picture(events: Sequence[Json], as_of: date) -> TimelinePicture:
    """The picture of the events of the assessment document."""
    begun = [date.fromisoformat(event["from"]) for event in events]
    oldest = min((day for day in begun if day <= as_of), default=as_of - timedelta(days=30))
    first = max(oldest, as_of - timedelta(days=_MOST_DAYS)) - timedelta(days=3)
    last = as_of + timedelta(days=2)

    def x(day: date) -> float:
        within = min(max(day, first), last)
        return round(_LINE_LEFT + (_LINE_RIGHT - _LINE_LEFT) * (within - first).days / (last - first).days, 1)

    groups: dict[tuple[str, str], list[Json]] = {}
    for event in events:
        groups.setdefault((event["lane"], event["title"]), []).append(event)
    ordered = sorted(groups, key=lambda key: _ORDER.index(key[0]) if key[0] in _ORDER else len(_ORDER))
    # A share for each lane, so that many results do not push the medicines out.
    shown = [key for lane in _ORDER for key in [k for k in ordered if k[0] == lane][: _MOST_ROWS // len(_ORDER) + 4]]
    rows = []
    for n, (lane, title) in enumerate(shown[:_MOST_ROWS]):
        marks = tuple(_mark(event, first, as_of, x) for event in groups[lane, title])
        rows.append(Row(lane, title, 34.0 + _ROW * n, n == 0 or shown[n - 1][0] != lane, marks))
    return TimelinePicture(
        _LINE_WIDTH, 34.0 + _ROW * len(rows) + 8, _LINE_LEFT, _LINE_RIGHT, tuple(rows), tuple(_months(first, last, x)),
        len(groups) - len(rows),
    )  # fmt: skip


def _mark(event: Json, first: date, as_of: date, x: Any) -> Mark:
    begun = date.fromisoformat(event["from"])
    ended = date.fromisoformat(event["until"]) if event["until"] else as_of if event["goesOn"] else begun
    words = " ".join(part for part in (event["from"], event["value"]) if part)
    return Mark(x(begun), max(0.0, round(x(ended) - x(begun), 1)), begun < first, words, event["reference"])


def _months(first: date, last: date, x: Any) -> Iterable[Tick]:
    """The first days of months, thinned out to at most eight."""
    day, found = first.replace(day=1), []
    while day <= last:
        if day >= first:
            found.append(day)
        day = (day + timedelta(days=32)).replace(day=1)
    step = -(-len(found) // 8) or 1
    return [Tick(x(day), day.strftime("%Y-%m")) for day in found[::step]]
