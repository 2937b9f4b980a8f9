"""Loads the content: all faults at once with file, field and remedy, or Knowledge and Reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from marshmallow import Schema, ValidationError

from cds_service.clinical.knowledge import Knowledge
from cds_service.clinical.words import PhraseBook, fold
from cds_service.errors import ContentError, Fault
from cds_service.knowledge import compile as compiled
from cds_service.knowledge import schemas
from cds_service.knowledge.codes import Codes, read_codes
from cds_service.knowledge.files import content_version, folder, read_yaml
from cds_service.knowledge.links import check_links
from cds_service.knowledge.reading import Reading, compile_reading
from cds_service.knowledge.sealed import fingerprint, seal, sealed

Spec = dict[str, Any]
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
SHORT_CARD, PENDING = "D1", "N8"


@dataclass(frozen=True)
class Content:
    """All content as written: checked for shape and links, not yet compiled."""

    folder: Path
    version: str
    findings: Mapping[str, Spec]
    investigations: Mapping[str, Spec]
    cards: Mapping[str, Spec]
    tables: Mapping[str, tuple[Spec, ...]]
    plain: Mapping[str, Spec]
    codes: Codes
    files: Mapping[str, str]  # id -> file, for messages
    headers: Mapping[str, Spec]  # table -> its status, author, reviewer and next review


def read_content(cards: Path | None = None, keep: bool = False) -> Content:
    """Read and check all content. Raises ContentError with every fault. ``keep``: seal it for faster starts."""
    cards = cards or folder("cards")
    before = fingerprint(cards) if keep else ""
    parts = _checked_parts(cards)
    if keep:
        seal(cards, parts, before)
    return _content(cards, parts)


def _content(cards: Path, checked: Mapping[str, Any]) -> Content:
    return Content(folder=cards, codes=read_codes(cards / "codes"), **checked)


def _checked_parts(cards: Path) -> dict[str, Any]:
    """Everything but the codes. Raises ContentError with the faults of the pages, then with those between them."""
    parts = _read_pages(cards)
    faults = list(check_links(_content(cards, parts)))
    if faults:
        raise ContentError(faults)
    return parts


def _read_pages(cards: Path) -> dict[str, Any]:
    faults: list[Fault] = []
    files: dict[str, str] = {}
    by_folder = {name: _folder(cards / name, schema, faults, files) for name, schema in FOLDERS.items()}
    headers: dict[str, Spec] = {}
    tables = {name: _table(cards / name, key, schema, faults, files, headers) for name, (key, schema) in TABLES.items()}
    plain = {name: _page(cards / name, schema, faults) for name, schema in PAGES.items()}
    if faults:
        raise ContentError(faults)
    return {
        "version": content_version(cards),
        "findings": by_folder["findings"],
        "investigations": by_folder["investigations"],
        "cards": by_folder["catalogue"],
        "tables": tables,
        "plain": plain,
        "files": files,
        "headers": headers,
    }


def _folder(path: Path, schema: type[Schema], faults: list[Fault], files: dict[str, str]) -> dict[str, Spec]:
    found: dict[str, Spec] = {}
    checker = schema()  # making one costs more than checking a page with it
    for file in sorted(path.rglob("*.yaml")):
        name = f"{path.name}/{file.relative_to(path)}"
        spec = _checked(lambda file=file: read_yaml(file), checker, name, faults)  # type: ignore[misc]
        if spec is None:
            continue
        if spec["id"] in found:
            faults.append(Fault(name, f"id {spec['id']} is already used by {files[spec['id']]}", "choose another id"))
        expected = file.stem if path.name != "catalogue" else file.stem[:4]
        if spec["id"] != expected:
            faults.append(Fault(name, f"id {spec['id']} differs from the file's name", "give both the same name"))
        found[spec["id"]] = spec
        files[spec["id"]] = name
    if not found:
        faults.append(Fault(f"{path.name}/", "has no content", "is the content folder complete?"))
    return found


def _table(
    path: Path, key: str, schema: type[Schema], faults: list[Fault], files: dict[str, str], headers: dict[str, Spec]
) -> tuple[Spec, ...]:
    try:
        page = read_yaml(path)
        rows = page[key]
    except ContentError as error:
        faults += error.faults
        return ()
    except (KeyError, TypeError):
        faults.append(Fault(path.name, f"has no list '{key}'", f"write the rows under '{key}:'"))
        return ()
    headers[path.name] = _checked(lambda: page, schemas.TableHeader(), path.name, faults) or {}
    checker = schema()
    checked = [_checked(lambda row=row: row, checker, f"{path.name} {_name(row)}", faults) for row in rows]  # type: ignore[misc]
    files.update({row["id"]: path.name for row in checked if row})
    return tuple(row for row in checked if row is not None)


def _name(row: Any) -> str:
    return str(row.get("id", "?")) if isinstance(row, Mapping) else "?"


def _page(path: Path, schema: type[Schema], faults: list[Fault]) -> Spec:
    """A page of its own kind, checked, and returned as it is written."""
    try:
        spec: Spec = read_yaml(path)
        faults += _faults(schema().validate(spec), path.name)
    except ContentError as error:
        faults += error.faults
        return {}
    return spec


def _checked(read: Callable[[], Any], schema: Schema, name: str, faults: list[Fault]) -> Spec | None:
    try:
        loaded: Spec = schema.load(read())
    except ContentError as error:
        faults += error.faults
        return None
    except ValidationError as error:
        faults += _faults(error.messages, name)
        return None
    return {("with" if key == "with_" else "for" if key == "for_" else key): value for key, value in loaded.items()}


def _faults(messages: Any, name: str, path: str = "") -> Iterable[Fault]:
    if isinstance(messages, dict):
        for key, value in messages.items():
            yield from _faults(value, name, f"{path}.{key}".lstrip("."))
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield Fault(f"{name} {path}".strip(), str(message))


def checked_content(cards: Path | None = None) -> Content:
    """All content as written, from its seal where it has one. Raises ContentError."""
    cards = cards or folder("cards")
    return _content(cards, sealed(cards) or _checked_parts(cards))


def load(cards: Path | None = None) -> tuple[Knowledge, Reading]:
    """The compiled content. Raises ContentError; then the service must not start."""
    return compile_content(checked_content(cards))


def reviews_due(content: Content, today: date) -> Iterator[tuple[str, str]]:
    """The pages that were to be looked at again by today, each with its day, the longest due first."""
    pages = {content.files[i]: s for part in (content.cards, content.findings, content.investigations)
             for i, s in part.items()}  # fmt: skip
    pages |= {**content.headers, **content.plain}
    days = [(str(spec["next_review"]), name) for name, spec in pages.items() if spec.get("next_review")]
    yield from ((name, day) for day, name in sorted(days) if date.fromisoformat(day) <= today)


def compile_content(content: Content) -> tuple[Knowledge, Reading]:
    """Closures for every rule of checked content."""
    gate = compiled.gate(content.plain["entry-gate.yaml"])
    words = content.plain["words.yaml"]
    lifted = words["lifted"]
    book = PhraseBook(
        compiled.phrases(content.findings.values(), content.plain["entry-gate.yaml"], lifted), compiled.blocking(words)
    )
    analytes = {row["id"]: compiled.analyte(row) for row in content.plain["analytes.yaml"]["analytes"]}
    definitions = {spec["id"]: compiled.finding(spec) for spec in content.findings.values()}
    definitions |= {
        name: definition
        for name, definition in compiled.analyte_findings(analytes.values()).items()
        if name not in definitions
    }
    classes = {row["id"]: compiled.drug_class(row) for row in content.tables["drug-classes.yaml"]}
    rules = {row["id"]: row for row in content.tables["no-card-rules.yaml"]}
    knowledge = Knowledge(
        version=content.version,
        findings=definitions,
        gate=gate,
        phrase_book=book,
        analytes=analytes,
        drug_classes=classes,
        hypotheses=tuple(compiled.hypothesis(row) for row in content.tables["hypotheses.yaml"]),
        investigations={i: compiled.investigation(spec) for i, spec in content.investigations.items()},
        cards={i: compiled.card(spec) for i, spec in sorted(content.cards.items())},
        cautions=tuple(compiled.caution(row) for row in content.tables["cautions.yaml"]),
        no_card_rules=tuple(compiled.no_card_rule(row) for i, row in rules.items() if i not in (SHORT_CARD, PENDING)),
        short_card=compiled.no_card_rule(rules[SHORT_CARD]),
        rechecks=tuple(compiled.recheck(row) for row in content.tables["re-evaluation.yaml"]),
        references={row["id"]: compiled.reference(row) for row in content.tables["references.yaml"]},
        override_reasons={
            row["id"]: compiled.override_reason(row) for row in content.plain["about.yaml"]["override_reasons"]
        },
        set_aside_days=compiled.set_aside_days(content.plain["about.yaml"]["set_aside_for"]),
        written=content,
        panels={code: frozenset(names) for code, names in content.plain["analytes.yaml"].get("panels", {}).items()},
        overtaken_by=tuple(content.plain["analytes.yaml"].get("overtaken_by", ())),
    )
    names = _medicine_names(content.codes, classes.values())
    kept = [name for spec in content.findings.values() for name in _result_names(spec)]
    return knowledge, compile_reading(
        words, content.codes, gate, book, names, kept, content.plain["structured-history.yaml"]
    )


def _result_names(spec: Spec) -> Iterable[str]:
    for item in (*spec["present_when"], *spec["absent_when"]):
        if isinstance(item, Mapping) and "measured" in item:
            yield from item.get("names", ())


def _medicine_names(codes: Codes, classes: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    """Names in words: of ingredients by their own value sets, of brands by their class."""
    names: dict[str, set[str]] = {}
    for named in codes.ingredients.values():
        for ingredient, concepts in named.items():
            if len(ingredient) > 3:
                names.setdefault(fold(ingredient), set()).update(concepts)
    for drug_class in classes:
        real = [c for c in drug_class.concepts if not c.startswith("class:")]
        for name in drug_class.names:
            names.setdefault(fold(name), set()).add(f"class:{drug_class.id}")
            if len(real) == 1:
                names[fold(name)].update(real)
    return {name: tuple(sorted(concepts)) for name, concepts in names.items()}
