"""GitHub-flavoured Markdown; whatever comes from a record is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~^$:@])")
_LENGTH = 120


def escaped(text: str, length: int = _LENGTH) -> str:
    """Text of a record: one line, no markup, no HTML, no link, and not too long."""
    plain = " ".join("".join(ch for ch in text if ch.isprintable() or ch.isspace()).split())
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
