"""Markdown of a card as HTML that can do no harm: rendered by markdown-it, cleaned by nh3."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import nh3
from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_TAGS = {"p", "ul", "ol", "li", "strong", "em", "a", "br", "code", "pre", "blockquote", "table", "thead", "tbody",
         "tr", "th", "td", "h1", "h2", "h3", "h4", "hr", "s"}  # fmt: skip


def _absolute(element: str, attribute: str, value: str) -> str | None:
    """Keep a link only if it says where it leads: //other.example would inherit our scheme."""
    return value if attribute != "href" or value.lower().startswith(("https://", "http://")) else None


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt  # a start does not wait for it

    # GitHub's flavour, as CDS Hooks asks for, with HTML off: what stands in a chart stays text.
    return MarkdownIt("gfm-like", {"html": False, "linkify": False, "maxNesting": 20}).disable(["image", "linkify"])


def rendered(text: str) -> Markup:
    """Safe HTML. Links lead to other sites only by http or https, and tell them nothing of us."""
    html = nh3.clean(
        _reader().render(text), tags=_TAGS, attributes={"a": {"href"}}, url_schemes={"http", "https"},
        attribute_filter=_absolute, link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )  # fmt: skip
    return Markup(html)  # noqa: S704 - nh3 has just cleaned it
