"""Where the content is, and how its files are read."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from cds_service.errors import ContentError, Fault

_NUMBER, _TAG = r"(?:0|[1-9]\d*)", r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
SEMANTIC = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_TAG})?(?:\+{_TAG})?\Z")  # https://semver.org


def folder(name: str) -> Path:
    """``cards`` or ``fixtures``: inside the installed package, else in the checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without the words that turn into booleans: ``yes``, ``no`` and ``on`` stay text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key_node.value}' is written twice", key_node.start_mark
                )
            seen.add(key_node.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not (tag.endswith(":bool") and first not in "tTfF")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path) -> Any:
    """A content file. Raises ContentError naming the file and line for what is no YAML."""
    try:
        with path.open(encoding="utf-8") as text:
            return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not readable"
        raise ContentError([Fault(f"{path.parent.name}/{path.name}{line}", str(problem), "correct the YAML")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError(
            [Fault(f"{path.parent.name}/{path.name}", type(error).__name__, "is the file there, in UTF-8?")]
        ) from None


def content_version(cards: Path) -> str:
    """The semantic version of the content, from cards/VERSION."""
    try:
        return (cards / "VERSION").read_text(encoding="utf-8").strip()
    except OSError:
        raise ContentError(
            [Fault("cards/VERSION", "is missing", "write the content's semantic version into it")]
        ) from None
