"""The API reference at /docs: openapi.yaml as one page, without a script and without anything from a network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, render_template
from markupsafe import Markup, escape

from cds_service.knowledge.files import folder, read_yaml
from cds_service.web.kept import kept

reference = Blueprint("reference", __name__, template_folder="templates")
Spec = Mapping[str, Any]

METHODS = ("get", "post")
# What a schema may say beside its type, in the words of the page.
_LIMITS = {
    "format": "{}", "pattern": "matching {}", "minLength": "{} or more characters",
    "maxLength": "at most {} characters", "minimum": "at least {}", "maximum": "at most {}",
    "minItems": "at least {} items", "maxItems": "at most {} items",
}  # fmt: skip


@reference.get("/openapi.yaml")
def description() -> Response:
    """The description itself, for programs."""
    return kept("openapi.yaml", lambda: ("application/yaml", _file().read_bytes()))


@reference.get("/docs")
def page() -> Response:
    """The same for readers."""
    answer = kept("docs", lambda: ("text/html; charset=utf-8", _written().encode()))
    answer.headers["Content-Security-Policy"] = _policy()
    return answer


def _file() -> Path:
    return folder("cards").parent / "openapi.yaml"  # beside the content, in the wheel as in the checkout


@cache
def _style() -> str:
    return (Path(__file__).parent / "templates" / "reference.css").read_text(encoding="utf-8")


def _written() -> str:
    spec = read_yaml(_file())
    return render_template("reference.html", spec=spec, style=Markup(_style()), said=_said(spec))  # noqa: S704 - our file


@cache
def _policy() -> str:
    """What the page may load: its own style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _said(spec: Spec) -> dict[str, Any]:
    """What the template asks for while it writes."""
    from markdown_it import MarkdownIt  # a start does not wait for it

    markdown = MarkdownIt("commonmark", {"html": False})

    def resolved(part: Spec) -> Spec:
        while "$ref" in part:
            found: Any = spec
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part

    return {
        "resolved": resolved,
        "markdown": lambda text: Markup(markdown.render(text or "")),  # noqa: S704 - our own words, HTML off
        "kind": kind,
        "rows": rows,
        "examples": examples,
        "operations": lambda tag: [
            (path, method, item[method])
            for path, item in spec["paths"].items()
            for method in METHODS
            if method in item and tag in item[method]["tags"]
        ],
    }


def kind(schema: Any) -> Markup:
    """What a value must be, in a few words; a named schema as a link to it."""
    if isinstance(schema, bool):
        return escape("anything" if schema else "must not be there")
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    for word, between in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if word in schema and any("$ref" in one or "type" in one for one in schema[word]):
            return escape(between).join(kind(one) for one in schema[word])
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    if "enum" in schema:
        return Markup(", ").join(Markup("<code>{}</code>").format(one) for one in schema["enum"])
    types = schema.get("type", "anything")
    words = escape(" or ".join(types) if isinstance(types, list) else types)
    if "items" in schema:
        words += Markup(" of ") + kind(schema["items"])
    said = "; ".join(form.format(schema[name]) for name, form in _LIMITS.items() if name in schema)
    return words + (escape(f" ({said})") if said else Markup())


def rows(schema: Spec, under: str = "") -> Iterator[tuple[str, Markup, bool, str]]:
    """The properties of a schema: path, what it must be, whether it is required, what it means."""
    for part in (schema, *schema.get("allOf", ())):
        for name, inner in part.get("properties", {}).items():
            said = inner if isinstance(inner, dict) else {}
            yield f"{under}{name}", kind(inner), name in part.get("required", ()), said.get("description", "")
            yield from rows(said, f"{under}{name}.")
            if isinstance(said.get("items"), dict):
                yield from rows(said["items"], f"{under}{name}[].")


def examples(content: Spec) -> list[tuple[str, str]]:
    """Each example of a body with its title, as it would be sent."""
    given = [(one.get("summary", name), one["value"]) for name, one in content.get("examples", {}).items()]
    given += [("Example", content["example"])] if "example" in content else []
    return [
        (title, value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))
        for title, value in given
    ]
