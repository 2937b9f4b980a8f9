"""A page for a person: one file, no script, nothing from any network, light, dark and printed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files


def document(title: str, sections: Iterable[str]) -> str:
    """The page around sections of HTML. Its policy allows its own style, known by its hash, and nothing else."""
    style = files("cds_service.review").joinpath("report.css").read_text(encoding="utf-8")
    mark = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{mark}'; base-uri 'none'; form-action 'none'"
    body = "\n".join(sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(title: str, explained: str, *body: str) -> str:
    """A part of the page: heading, what it says, and its content, all HTML already."""
    return f"<section><h2>{title}</h2><p class='note'>{explained}</p>{''.join(body)}</section>"


def figures(tiles: Iterable[tuple[int, str, str]], notes: str) -> str:
    """The numbers of a page: how many, of what, and a class; below them notes, HTML already."""
    shown = "".join(f"<li class='{style}'><b>{number:,}</b><span>{name}</span></li>" for number, name, style in tiles)
    return f"<ul class='figures'>{shown}</ul><p class='note'>{notes}</p>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], style: str = "") -> str:
    """A table of cells that are HTML already; on a narrow screen each cell says its heading itself."""
    head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
    cells = ("".join(f"<td data-head='{h}'>{cell}</td>" for h, cell in zip(heads, row, strict=True)) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table class='{style}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """What the colours mean: pairs of class and words."""
    return "<p class='legend'>" + "".join(f"<span class='key {s}'></span>{escape(n)} " for s, n in entries) + "</p>"
