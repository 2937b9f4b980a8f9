"""The feedback report as an SVG picture: answers per card, and the acceptance rate per week."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from html import escape
from itertools import pairwise

from cds_service.feedback_report import Answers, Report

_WIDTH, _LEFT, _RIGHT = 780, 110, 80
_BAR, _GAP = 18, 10
_LINE_HEIGHT = 160
_ACCEPTED, _OVERRIDDEN, _INK, _GRID = "#1b6ca8", "#e0913a", "#222222", "#dddddd"


def draw(report: Report, title: str) -> str:
    """A picture that stands alone: light background, title, axes with labels, a legend."""
    top = 90
    bars_end = top + max(1, len(report.cards)) * (_BAR + _GAP)
    weeks_top = bars_end + 110
    height = weeks_top + _LINE_HEIGHT + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{_INK}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(20, 30, title, size=17),
        *_legend(52),
        *_bars(report.cards, top, bars_end),
        *_weeks(report.weeks, weeks_top),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12, turn: str = "") -> str:
    turned = f' transform="rotate({turn})"' if turn else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{turned}>{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = _GRID) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _legend(y: float) -> Iterator[str]:
    for x, colour, words in ((20, _ACCEPTED, "accepted"), (120, _OVERRIDDEN, "overridden")):
        yield _rectangle(x, y, 12, 12, colour)
        yield _text(x + 18, y + 10, words)


def _step(most: int) -> int:
    """A round distance of the grid lines: about five of them."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if most <= 5 * step:
                return step
        size *= 10


def _bars(cards: Mapping[str, Answers], top: float, bottom: float) -> Iterator[str]:
    most = max((a.accepted + a.overridden for a in cards.values()), default=1)
    step = _step(most)
    scale = (_WIDTH - _LEFT - _RIGHT) / (step * -(-most // step))
    for number in range(0, most + step, step):
        x = _LEFT + number * scale
        if x <= _WIDTH - _RIGHT + 1:
            yield _line(x, top - 4, x, bottom)
            yield _text(x, bottom + 16, str(number), "middle")
    yield _text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 38, "answers of users", "middle")
    yield _text(24, (top + bottom) / 2, "card", "middle", turn=f"-90 24 {(top + bottom) / 2:.1f}")
    for position, (card, answers) in enumerate(cards.items()):
        y = top + position * (_BAR + _GAP)
        accepted, overridden = answers.accepted * scale, answers.overridden * scale
        yield _text(_LEFT - 8, y + 13, card, "end")
        yield _rectangle(_LEFT, y, accepted, _BAR, _ACCEPTED)
        yield _rectangle(_LEFT + accepted, y, overridden, _BAR, _OVERRIDDEN)
        yield _text(_LEFT + accepted + overridden + 6, y + 13, f"{answers.accepted} / {answers.overridden}")


def _weeks(weeks: Mapping[date, Answers], top: float) -> Iterator[str]:
    bottom, right = top + _LINE_HEIGHT, _WIDTH - _RIGHT
    for tenth in range(0, 11, 2):
        y = bottom - _LINE_HEIGHT * tenth / 10
        yield _line(_LEFT, y, right, y)
        yield _text(_LEFT - 8, y + 4, f"{tenth * 10} %", "end")
    middle = (top + bottom) / 2
    yield _text(24, middle, "acceptance rate", "middle", turn=f"-90 24 {middle:.1f}")
    yield _text((_LEFT + right) / 2, bottom + 44, "week of the answer (Monday)", "middle")
    places = {week: _LEFT + (right - _LEFT) * (position + 0.5) / len(weeks) for position, week in enumerate(weeks)}
    every = -(-len(weeks) // 8) or 1
    for position, (week, x) in enumerate(places.items()):
        if position % every == 0:
            yield _text(x, bottom + 18, f"{week}", "middle")
    # A week without answers leaves a gap: nothing is known of it.
    points = [(x, weeks[week].rate) for week, x in places.items()]
    for (x1, one), (x2, other) in pairwise(points):
        if one is not None and other is not None:
            yield _line(x1, bottom - _LINE_HEIGHT * one, x2, bottom - _LINE_HEIGHT * other, _ACCEPTED)
    for x, rate in points:
        if rate is not None:
            yield f'<circle cx="{x:.1f}" cy="{bottom - _LINE_HEIGHT * rate:.1f}" r="4" fill="{_ACCEPTED}"/>'
