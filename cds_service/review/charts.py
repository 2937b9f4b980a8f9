"""Charts as inline SVG. Colours are classes of the page's style, so that light, dark and print each have theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from cds_service.review.summary import BINS, SIDES, Histogram

_WIDTH, _ROW, _BAR = 720, 26, 16
_LONGEST, _MORE = 42, 14  # a longer label goes on below
_LEAST = 2.0  # height of a bar: one value is seen beside thousands
_LABEL, _FIGURE = 320, 90
_TILE_WIDTH, _TILE_HEIGHT, _PAD = 228, 120, 8


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bar: how many, its class, and what it is."""

    count: int
    style: str
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """One bar with its label."""

    label: str
    pieces: tuple[Piece, ...]

    @property
    def total(self) -> int:
        return sum(piece.count for piece in self.pieces)


def bars(title: str, lines: Sequence[Line], of: int = 0) -> str:
    """Horizontal bars. ``of``: a total for a share behind each number; 0: none."""
    most = max((line.total for line in lines), default=0) or 1
    scale = (_WIDTH - _LABEL - _FIGURE) / most
    labels = [wrap(line.label, _LONGEST) or [""] for line in lines]
    height = sum(_ROW + (len(label) - 1) * _MORE for label in labels) + 4
    parts = [
        '<div class="wide" tabindex="0">'
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    ]
    y = 4
    for label, line in zip(labels, lines, strict=True):
        parts += (
            f'<text class="label" x="{_LABEL - 10}" y="{y + 13 + _MORE * place}">{escape(words)}</text>'
            for place, words in enumerate(label)
        )
        x = float(_LABEL)
        for piece in line.pieces:
            if piece.count:
                width = max(1.5, piece.count * scale)
                named = f"<title>{escape(f'{line.label} – {piece.name}: {piece.count:,}')}</title>"
                place = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}"'
                parts.append(f'<rect class="{piece.style}" {place}>{named}</rect>')
                x += width
        share = f" · {line.total / of:.0%}" if of else ""
        parts.append(f'<text class="figure" x="{x + 8:.1f}" y="{y + 13}">{line.total:,}{share}</text>')
        y += _ROW + (len(label) - 1) * _MORE
    return "".join((*parts, "</svg></div>"))


def histogram(title: str, unit: str, found: Histogram, limits: Iterable[tuple[float, str]]) -> str:
    """Values in bins, and the limits as lines: ``(value, class)``. The outer bins hold everything beyond."""
    tallest = max(sum(found.bins[side][place] for side in SIDES) for place in range(BINS)) or 1
    step = (_TILE_WIDTH - 2 * _PAD) / BINS
    floor, rise = _TILE_HEIGHT - 30, _TILE_HEIGHT - 42
    parts = [f'<svg class="tile" viewBox="0 0 {_TILE_WIDTH} {_TILE_HEIGHT}" role="img" aria-label="{escape(title)}">']
    for place in range(BINS):
        y = float(floor)
        for side in reversed(SIDES):
            if found.bins[side][place]:
                height = max(_LEAST, found.bins[side][place] / tallest * rise)
                y -= height
                x = _PAD + place * step
                parts.append(
                    f'<rect class="lab-{side}" x="{x:.1f}" y="{y:.1f}" width="{step - 1:.1f}" height="{height:.1f}"/>'
                )
    parts.append(f'<line class="axis" x1="{_PAD}" x2="{_TILE_WIDTH - _PAD}" y1="{floor}" y2="{floor}"/>')
    taken: list[float] = []
    for value, style in sorted(limits):
        x = _PAD + (value - found.low) / (found.high - found.low) * (_TILE_WIDTH - 2 * _PAD)
        parts.append(f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="6" y2="{floor + 4}"/>')
        if all(abs(x - other) > 24 for other in taken):  # numbers never lie on each other
            taken.append(x)
            parts.append(f'<text class="tick" x="{x:.1f}" y="{floor + 16}">{value:g}</text>')
    first, last = found.low + found.width, found.high - found.width
    parts.append(f'<text class="edge" x="{_PAD}" y="{_TILE_HEIGHT - 3}">≤ {first:.3g}</text>')
    at = f'x="{_TILE_WIDTH - _PAD}" y="{_TILE_HEIGHT - 3}"'
    parts.append(f'<text class="unit" {at}>≥ {last:.3g} {escape(unit)}</text>')
    return "".join((*parts, "</svg>"))
