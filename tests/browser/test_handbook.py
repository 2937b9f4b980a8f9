"""The handbook in a browser: the differential as a picture is whole and legible on every width and on paper."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import DESK, PHONE, OpenPage

pytestmark = pytest.mark.apt
PAPER = {"width": 680, "height": 986}  # what the margins of handbook.css leave of A4, at 96 pixels an inch
# Of each picture that is shown: its layout, what of its words lies outside it or the window, and their height.
LOOK = """[...document.querySelectorAll('svg.map')].filter(svg => svg.getClientRects().length).map(svg => {
    const frame = svg.getBoundingClientRect(), words = [...svg.querySelectorAll('text')];
    const boxes = words.map(one => [one.textContent, one.getBoundingClientRect()]);
    const outside = box => box.left < Math.max(frame.left, 0) - 1 || box.right > Math.min(frame.right, innerWidth) + 1
        || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
    return {layout: svg.classList[1], high: frame.height,
        cut: boxes.filter(([_, box]) => outside(box)).map(([text]) => text),
        size: 11.5 * frame.width / svg.viewBox.baseVal.width};
})"""


@pytest.mark.parametrize(
    ("viewport", "media", "layout", "smallest"),
    [
        (DESK, "screen", "wide", 10),
        ({"width": 1000, "height": 700}, "screen", "wide", 9.5),
        ({"width": 700, "height": 900}, "screen", "narrow", 11),
        (PHONE, "screen", "narrow", 11),
        ({"width": 320, "height": 600}, "screen", "narrow", 9),
        (PAPER, "print", "wide", 7),
    ],
)
def test_the_differential_is_whole_and_legible(
    opened: OpenPage, screenshot: Any, viewport: Any, media: str, layout: str, smallest: float
) -> None:
    page = opened("/handbook/differential.html", "h1", viewport=viewport)
    page.emulate_media(media=media)
    (shown,) = page.evaluate(LOOK)
    assert shown["layout"] == layout and shown["cut"] == [] and shown["size"] >= smallest
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    if media == "print":
        assert shown["high"] < PAPER["height"] - 120  # one sheet, with its heading
    screenshot(page, f"map-{media}-{viewport['width']}", whole=False)


def test_it_is_on_the_page_for_paper(opened: OpenPage) -> None:
    page = opened("/handbook/paper.html", "h1", viewport=PAPER)
    page.emulate_media(media="print")
    assert [(one["layout"], one["cut"]) for one in page.evaluate(LOOK)] == [("wide", [])]
