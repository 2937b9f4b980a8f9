"""What stems from a chart is text on the pages, whatever it holds."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from cds_service.workbench.markdown import rendered
from cds_service.workbench.words import plain

HARMFUL = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "![x](http://evil/x.png)",
    "[x](data:text/html,<script>alert(1)</script>)", '<a href="https://a" onclick="alert(1)">x</a>', "<b>x</b>",
    "[x](//evil.example)", "<https://a.example/\"onmouseover=alert(1)>", "&lt;script&gt;", "`<script>`",
]  # fmt: skip


class Elements(HTMLParser):
    """The elements of a fragment with their attributes, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("text", HARMFUL)
def test_markdown_gives_no_markup_that_can_act(text: str) -> None:
    elements = Elements()
    elements.feed(str(rendered(text)))
    for tag, attributes in elements.found:
        assert tag in ("p", "a", "code")
        assert set(attributes) <= {"href", "rel", "target"}
        assert str(attributes.get("href", "https://")).startswith(("https://", "http://"))


def test_markdown_keeps_what_cards_are_written_in() -> None:
    html = str(rendered("**Found**\n\n- a *b* [c](https://d.example/e)\n"))
    for part in (
        "<strong>Found</strong>",
        "<li>a <em>b</em>",
        'href="https://d.example/e"',
        'rel="noopener noreferrer"',
    ):
        assert part in html


@pytest.mark.parametrize("sign", ["\u202e", "\u200b", "\x00", "\x1b", "\u2066", "\ufeff"])
def test_signs_that_hide_or_turn_words_are_made_visible(sign: str) -> None:
    assert plain(f"a{sign}b") == f"a⟨U+{ord(sign):04X}⟩b"


def test_long_text_is_cut_and_says_so() -> None:
    assert plain("x" * 100_000).endswith("… (100000 characters)")
    assert len(plain("x" * 100_000)) < 500


def test_every_entry_of_the_content_has_a_page(client: FlaskClient) -> None:
    for rule in ("TW01", "TW24", "babinski", "LAB-K", "K", "H01", "N3"):
        page = client.get(f"/workbench/content/{rule}")
        assert page.status_code == 200
        assert "reviewed by nobody" in page.get_data(as_text=True)
    assert client.get("/workbench/content/..%2fsettings").status_code == 404
    assert "TW14" in client.get("/workbench/content?text=thyroid+abnormal").get_data(as_text=True)
