"""The clinical content to browse: every rule, threshold, card and reference as its file says, and a search over all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cds_service.knowledge.files import folder, read_yaml

Spec = Mapping[str, Any]
# Where the pages of each kind are, and what readers call them; tables with the key of their rows.
FOLDERS = {"catalogue": "card", "findings": "finding", "investigations": "test"}
TABLES = {
    "analytes.yaml": ("analytes", "laboratory limits"),
    "hypotheses.yaml": ("hypotheses", "hypothesis"),
    "drug-classes.yaml": ("classes", "medicines"),
    "cautions.yaml": ("cautions", "caution"),
    "no-card-rules.yaml": ("rules", "no-card rule"),
    "re-evaluation.yaml": ("rows", "when to look again"),
    "references.yaml": ("references", "reference"),
}
KINDS = (*FOLDERS.values(), *(kind for _, kind in TABLES.values()))


@dataclass(frozen=True, slots=True)
class Entry:
    """One page or row of the content, as it is written."""

    id: str
    kind: str
    title: str
    status: str
    file: str
    spec: Spec
    words: str  # everything in it in lower case, to search in

    @property
    def sources(self) -> tuple[str, ...]:
        """The references it cites, each once."""
        return tuple(dict.fromkeys(_sources(self.spec)))


def _sources(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "source" and isinstance(inner, str):
                yield inner
            elif key == "sources" and isinstance(inner, list):
                yield from (one for one in inner if isinstance(one, str))
            else:
                yield from _sources(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _sources(inner)


@cache
def library(content: Path | None) -> Mapping[str, Entry]:
    """Every entry by its id, cards first. Read once; it was checked when the service started."""
    place = content or folder("cards")
    return {entry.id: entry for entry in (*_pages(place), *_rows(place))}


def _pages(place: Path) -> Iterator[Entry]:
    for name, kind in FOLDERS.items():
        for file in sorted((place / name).rglob("*.yaml")):
            yield _entry(read_yaml(file), kind, str(file.relative_to(place)), "draft")


def _rows(place: Path) -> Iterator[Entry]:
    for name, (key, kind) in TABLES.items():
        page = read_yaml(place / name)
        for row in page[key]:
            yield _entry(row, kind, name, str(page.get("status", "draft")))


def _entry(spec: Any, kind: str, file: str, status: str) -> Entry:
    title = next((str(spec[key]) for key in ("title", "name", "text", "sentence") if key in spec), str(spec["id"]))
    words = f"{spec} {kind}".lower()
    return Entry(str(spec["id"]), kind, title, str(spec.get("status", status)), file, spec, words)


def found(entries: Mapping[str, Entry], text: str, kind: str) -> list[Entry]:
    """The entries that hold every word; those with a word in their name come first."""
    wanted = text.lower().split()
    fitting = [e for e in entries.values() if kind in ("", e.kind) and all(word in e.words for word in wanted)]
    return sorted(fitting, key=lambda e: not all(word in f"{e.id} {e.title}".lower() for word in wanted))


def cited_by(entries: Mapping[str, Entry], reference: str) -> list[Entry]:
    """Where a reference is cited."""
    return [entry for entry in entries.values() if entry.id != reference and reference in entry.sources]
