"""Reads and checks the pages of the content. Sealed content was checked before: no start with it loads this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError

from cds_service.errors import ContentError, Fault
from cds_service.knowledge import schemas
from cds_service.knowledge.content import Spec
from cds_service.knowledge.files import content_version, read_yaml

TABLES: Mapping[str, tuple[str, type[Schema]]] = {
    # file -> key of its rows, schema of a row
    "hypotheses.yaml": ("hypotheses", schemas.Hypothesis),
    "cautions.yaml": ("cautions", schemas.Caution),
    "no-card-rules.yaml": ("rules", schemas.NoCardRule),
    "re-evaluation.yaml": ("rows", schemas.Recheck),
    "references.yaml": ("references", schemas.Reference),
    "drug-classes.yaml": ("classes", schemas.DrugClass),
}
FOLDERS: Mapping[str, type[Schema]] = {
    "findings": schemas.Finding,
    "investigations": schemas.Investigation,
    "catalogue": schemas.Card,
}
PAGES: Mapping[str, type[Schema]] = {
    "entry-gate.yaml": schemas.EntryGate,
    "words.yaml": schemas.WordLists,
    "analytes.yaml": schemas.Analytes,
    "about.yaml": schemas.About,
    "contradictions.yaml": schemas.Contradictions,
    "structured-history.yaml": schemas.History,
}


def read_pages(cards: Path) -> dict[str, Any]:
    """Every page, checked, by what it holds. Raises ContentError with the faults of all."""
    pages = _Pages()
    by_folder = {name: pages.folder(cards / name, schema) for name, schema in FOLDERS.items()}
    tables = {name: pages.table(cards / name, key, schema) for name, (key, schema) in TABLES.items()}
    plain = {name: pages.page(cards / name, schema) for name, schema in PAGES.items()}
    if pages.faults:
        raise ContentError(pages.faults)
    return {
        "version": content_version(cards),
        "findings": by_folder["findings"],
        "investigations": by_folder["investigations"],
        "cards": by_folder["catalogue"],
        "tables": tables,
        "plain": plain,
        "files": pages.files,
        "headers": pages.headers,
    }


class _Pages:
    """Reads and checks pages; what is wrong with them is kept until all are read."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.files: dict[str, str] = {}
        self.headers: dict[str, Spec] = {}

    def folder(self, path: Path, schema: type[Schema]) -> dict[str, Spec]:
        found: dict[str, Spec] = {}
        checker = schema()  # making one costs more than checking a page with it
        for file in sorted(path.rglob("*.yaml")):
            name = f"{path.name}/{file.relative_to(path)}"
            spec = self._checked(self._read(file), checker, name)
            if spec is None:
                continue
            own = spec["id"]
            if own in found:
                self._fault(name, f"id {own} is already used by {self.files[own]}", "choose another id")
            if own != (file.stem if path.name != "catalogue" else file.stem[:4]):
                self._fault(name, f"id {own} differs from the file's name", "give both the same name")
            found[own] = spec
            self.files[own] = name
        if not found:
            self._fault(f"{path.name}/", "has no content", "is the content folder complete?")
        return found

    def table(self, path: Path, key: str, schema: type[Schema]) -> tuple[Spec, ...]:
        page = self._read(path)
        if page is _UNREAD:
            return ()
        if not isinstance(page, dict) or not isinstance(page.get(key), list):
            self._fault(path.name, f"has no list '{key}'", f"write the rows under '{key}:'")
            return ()
        self.headers[path.name] = self._checked(page, schemas.TableHeader(), path.name) or {}
        checker = schema()
        checked = [self._checked(row, checker, f"{path.name} {_name(row)}") for row in page[key]]
        for row in filter(None, checked):
            self.files.setdefault(row["id"], path.name)  # a finding may be called like a class, and has its own file
        return tuple(row for row in checked if row is not None)

    def page(self, path: Path, schema: type[Schema]) -> Spec:
        """A page of its own kind, checked, and returned as it is written."""
        spec = self._read(path)
        if spec is _UNREAD:
            return {}
        for fault in _faults(schema().validate(spec), path.name):
            self.faults.append(replace(fault, where=_with_ids(fault.where, spec)))
        written: Spec = spec
        return written

    def _read(self, path: Path) -> Any:
        try:
            return read_yaml(path)
        except ContentError as error:
            self.faults += error.faults
            return _UNREAD

    def _checked(self, written: Any, schema: Schema, name: str) -> Spec | None:
        if written is _UNREAD:
            return None
        try:
            loaded: Spec = schema.load(written)
        except ValidationError as error:
            self.faults += _faults(error.messages, name)
            return None
        return {key.removesuffix("_"): value for key, value in loaded.items()}  # with_ and for_: words of Python

    def _fault(self, where: str, what: str, remedy: str) -> None:
        self.faults.append(Fault(where, what, remedy))


_UNREAD = object()  # a page that is no YAML: its fault is kept already


def _name(row: Any) -> str:
    return str(row.get("id", "?")) if isinstance(row, Mapping) else "?"


def _faults(messages: Any, name: str, path: str = "") -> Iterable[Fault]:
    if isinstance(messages, dict):
        for key, value in messages.items():
            yield from _faults(value, name, f"{path}.{key}".lstrip("."))
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield Fault(f"{name} {path}".strip(), str(message))


def _with_ids(where: str, spec: Any) -> str:
    """The place of a fault with rows by their id, where they have one: ``analytes.Mg`` and not ``analytes.7``."""
    file, _, path = where.partition(" ")
    steps, part = [], spec
    for step in path.split("."):
        if isinstance(part, list) and step.isdecimal():
            part = part[int(step)]
            step = _name(part) if _name(part) != "?" else step
        else:
            part = part.get(step) if isinstance(part, Mapping) else None
        steps.append(step)
    return f"{file} {'.'.join(steps)}".strip()
