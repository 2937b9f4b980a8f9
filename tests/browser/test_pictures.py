"""The pictures in docs/images. `make pictures` takes them and puts them there."""

from __future__ import annotations

import pytest

from tests.browser.conftest import SCREENSHOTS, OpenPage

pytestmark = pytest.mark.apt

MOST_BYTES = 100_000


def test_a_card_as_the_readme_shows_it(opened: OpenPage) -> None:
    page = opened("/workbench/patients/L-potassium-2.8", "article.card", viewport={"width": 760, "height": 900})
    page.evaluate("document.body.style.zoom = '0.75'")  # a picture for a page that others load again and again
    SCREENSHOTS.mkdir(exist_ok=True)
    picture = SCREENSHOTS / "card.png"
    page.locator("article.card").first.screenshot(path=picture)
    assert 10_000 < picture.stat().st_size < MOST_BYTES
