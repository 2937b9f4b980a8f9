"""GitHub-flavoured Markdown; whatever comes from a record is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~^$:@])")
_LENGTH = 120


def escaped(text: str, length: int = _LENGTH) -> str:
    """Text of a record: one line, no markup, no HTML, no link, and not too long."""
    if not text.isprintable():
        text = "".join(ch for ch in text if ch.isprintable() or ch.isspace())
    plain = " ".join(text.split())
    if len(plain) > length:
        plain = plain[: length - 1].rstrip() + "…"
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", plain)


def section(title: str, lines: Iterable[str]) -> str:
    """A heading and a list; empty when there is nothing to list."""
    items = [f"- {line}" for line in lines if line]
    return f"**{title}**\n\n" + "\n".join(items) if items else ""


def link(label: str, url: str) -> str:
    return f"[{label}]({url})" if url else label


# What a detail is made of; an escaped character is taken first, so that text of a record is no markup here either.
_MARKUP = re.compile(r"\\(.)|\[((?:\\.|[^\]\\])*)\]\(([^()\s]*)\)|\*+")


def plain(markdown: str) -> str:
    """A detail as plain text for a terminal: no escapes, no marks, addresses behind what they belong to."""

    def shown(found: re.Match[str]) -> str:
        escape, label, url = found.groups()
        if escape:
            return str(escape)
        return f"{plain(label)} <{url}>" if label else ""

    return html.unescape(_MARKUP.sub(shown, markdown))
