"""Loads the content: all faults at once with file, field and remedy, or Knowledge and Reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from cds_service.clinical.analytes import Analyte
from cds_service.clinical.findings import FindingDefinition
from cds_service.clinical.knowledge import DrugClass, Knowledge
from cds_service.clinical.tokens import fold
from cds_service.clinical.words import PhraseBook
from cds_service.errors import ContentError
from cds_service.knowledge import compile as compiled
from cds_service.knowledge.codes import Codes, read_codes
from cds_service.knowledge.content import Content, Spec
from cds_service.knowledge.files import folder
from cds_service.knowledge.reading import Reading, compile_reading
from cds_service.knowledge.sealed import fingerprint, hashes, seal, sealed

SHORT_CARD, PENDING = "D1", "N8"


def read_content(cards: Path | None = None, keep: bool = False) -> Content:
    """Read and check all content. Raises ContentError with every fault. ``keep``: seal it for faster starts."""
    cards = cards or folder("cards")
    before, now = fingerprint(cards) if keep else "", hashes(cards)
    parts = _checked_parts(cards)
    if keep:
        seal(cards, parts, before)
    return _content(cards, parts, now)


def _content(cards: Path, checked: Mapping[str, Any], now: Mapping[str, str]) -> Content:
    return Content(folder=cards, codes=read_codes(cards / "codes"), hashes=now, **checked)


def _checked_parts(cards: Path) -> dict[str, Any]:
    """Everything but the codes. Raises ContentError with the faults of the pages, then with those between them."""
    # Only now: nearly every start finds a seal, and waits for each import.
    from cds_service.knowledge.links import check_links
    from cds_service.knowledge.pages import read_pages
    from cds_service.knowledge.parameters import check_parameters

    parts = read_pages(cards)
    content = _content(cards, parts, {})
    faults = list(check_parameters(content)) or list(check_links(content))  # links are read out of parameters
    if faults:
        raise ContentError(faults)
    return parts


def checked_content(cards: Path | None = None) -> Content:
    """All content as written, from its seal where it has one. Raises ContentError."""
    cards = cards or folder("cards")
    now = hashes(cards)  # before the pages are read: what is changed meanwhile must not pass for what was read
    return _content(cards, sealed(cards) or _checked_parts(cards), now)


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
    plain, tables = content.plain, content.tables
    gate, words = compiled.gate(plain["entry-gate.yaml"]), plain["words.yaml"]
    phrases = compiled.phrases(content.findings.values(), plain["entry-gate.yaml"], words["lifted"], words["stand_for"])
    book = PhraseBook(phrases, compiled.blocking(words))
    analytes = {row["id"]: compiled.analyte(row) for row in content.analytes}
    classes = {row["id"]: compiled.drug_class(row) for row in tables["drug-classes.yaml"]}
    rules = {row["id"]: row for row in tables["no-card-rules.yaml"]}
    about = plain["about.yaml"]
    knowledge = Knowledge(
        version=content.version,
        findings=_definitions(content, analytes.values()),
        gate=gate,
        phrase_book=book,
        analytes=analytes,
        drug_classes=classes,
        hypotheses=tuple(compiled.hypothesis(row) for row in tables["hypotheses.yaml"]),
        investigations={i: compiled.investigation(spec) for i, spec in content.investigations.items()},
        cards={i: compiled.card(spec) for i, spec in sorted(content.cards.items())},
        cautions=tuple(compiled.caution(row) for row in tables["cautions.yaml"]),
        no_card_rules=tuple(compiled.no_card_rule(row) for i, row in rules.items() if i not in (SHORT_CARD, PENDING)),
        short_card=compiled.no_card_rule(rules[SHORT_CARD]),
        rechecks=tuple(compiled.recheck(row) for row in tables["re-evaluation.yaml"]),
        references={row["id"]: compiled.reference(row) for row in tables["references.yaml"]},
        override_reasons={row["id"]: compiled.override_reason(row) for row in about["override_reasons"]},
        set_aside_days=compiled.set_aside_days(about["set_aside_for"]),
        written=content,
        panels={code: frozenset(names) for code, names in plain["analytes.yaml"]["panels"].items()},
        overtaken_by=tuple(plain["analytes.yaml"]["overtaken_by"]),
    )
    names = _medicine_names(content.codes, classes.values())
    kept = [name for spec in content.findings.values() for name in _result_names(spec)]
    return knowledge, compile_reading(words, content.codes, gate, book, names, kept, plain["structured-history.yaml"])


def _definitions(content: Content, analytes: Iterable[Analyte]) -> dict[str, FindingDefinition]:
    """The findings as written, then those that each analyte brings along; what is written goes before."""
    found = {i: compiled.finding(spec) for i, spec in content.findings.items()}
    for name, definition in compiled.analyte_findings(analytes).items():
        found.setdefault(name, definition)
    return found


def _result_names(spec: Spec) -> Iterable[str]:
    for item in (*spec["present_when"], *spec["absent_when"]):
        if isinstance(item, Mapping) and "measured" in item:
            yield from item.get("names", ())


def _medicine_names(codes: Codes, classes: Iterable[DrugClass]) -> dict[str, tuple[str, ...]]:
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
