"""From each statement of the seed articles to the content that carries it, its cards, its examples and their tests."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cds_service.handbook import library as kinds
from cds_service.handbook.bundled import Difference
from cds_service.handbook.library import Entry, Library
from cds_service.knowledge.files import folder, read_yaml

Spec = Mapping[str, Any]
COVERAGE = "seed-coverage.csv"
EXAMPLES_TEST = "tests/spec/test_worked_examples.py::test_every_worked_example_of_a_page_holds"
RECORDS_TEST = "tests/records/test_records.py::test_a_record_gives_the_outcome_its_page_expects"
CARRIED_TEST = "tests/content/test_seed.py::test_what_carries_a_row_exists"
_KINDS = {
    "card": kinds.CARD, "finding": kinds.FINDING, "investigation": kinds.TEST, "hypothesis": kinds.HYPOTHESIS,
    "drug-class": kinds.MEDICINES, "caution": kinds.CAUTION, "rule": kinds.SILENCE, "analyte": kinds.LIMITS,
    "recheck": kinds.RECHECK,
}  # fmt: skip
_BETWEEN = (kinds.FINDING, kinds.HYPOTHESIS)
_DATE = "{recheck}"  # where a card says when to look again
_FILED = (kinds.CARD, kinds.FINDING, kinds.TEST)  # a file each; the others are rows of a table


@dataclass(frozen=True, slots=True)
class Trace:
    """One carrier of one statement. A statement that nothing carries has a reason instead."""

    statement: str
    priority: str
    words: str
    content: str = ""  # kind and name, as in seed-coverage.csv
    file: str = ""
    entry: str = ""  # the entry of the library, where it is one
    cards: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    reason: str = ""


class Traces:
    """The table, made from the content and the invented patients alone.

    Our tests run with the bundled content; of another content no trace names them."""

    def __init__(self, library: Library, difference: Difference = Difference()) -> None:
        self._library = library
        self._content = library.content
        self._difference = difference

    @property
    def head(self) -> tuple[str, ...]:
        """What the columns are called."""
        return ("statement", "priority", "words", "content", "file", "cards", "worked examples", "tests", "reason")

    @cached_property
    def rows(self) -> tuple[Trace, ...]:
        table = self._content.folder / COVERAGE
        if not table.exists():  # a site's own content need not trace our seed articles
            return ()
        with table.open(encoding="utf-8", newline="") as lines:
            return tuple(trace for row in csv.DictReader(lines) for trace in self._of(row))

    def lines(self) -> Iterator[tuple[str, ...]]:
        """The same as lines of a CSV file, below its head."""
        for t in self.rows:
            yield (t.statement, t.priority, t.words, t.content, t.file, " ".join(t.cards), "; ".join(t.examples),
                   " ".join(t.tests), t.reason)  # fmt: skip

    def _of(self, row: Mapping[str, str]) -> Iterator[Trace]:
        for trace in self._as_bundled(row):
            yield replace(trace, tests=()) if self._difference else trace

    def _as_bundled(self, row: Mapping[str, str]) -> Iterator[Trace]:
        said = (row["row"], row["priority"], row["statement"])
        if not row["carried_by"]:
            yield Trace(*said, reason=row["reason"])
        for pointer in filter(None, row["carried_by"].split(";")):
            kind, _, name = pointer.partition(":")
            try:
                if kind in _KINDS:
                    yield self._by_entry(said, pointer, self._library.row(_KINDS[kind], name))
                else:
                    yield self._by_page(said, pointer, kind, name)
            except KeyError:
                yield Trace(*said, reason=f"{pointer} is not in this content")

    def _by_entry(self, said: tuple[str, str, str], pointer: str, entry: Entry) -> Trace:
        where = entry.file if entry.kind in _FILED else f"{entry.file} {entry.spec['id']}"
        examples = tuple(
            str(x.get("name") or x.get("value") or x.get("medicine")) for x in entry.spec.get("examples", ())
        )
        cards = self._cards(entry)
        shown = (cards if entry.kind is kinds.CARD else ()) + ((entry.id,) if entry.kind is kinds.HYPOTHESIS else ())
        tests = [f"{EXAMPLES_TEST}[{where}]"] if examples else [CARRIED_TEST]
        tests += [f"{RECORDS_TEST}[{story}]" for story, shows in self._stories.items() if set(shown) & shows]
        return Trace(*said, pointer, entry.file, entry.id, cards, examples, tuple(tests))

    def _by_page(self, said: tuple[str, str, str], pointer: str, kind: str, name: str) -> Trace:
        """An item of the history form, a decided contradiction, or a part of about.yaml."""
        if kind == "history":
            cards = self._reached({f for f, answers in self._answers.items() if name in answers})
            form = "structured-history.yaml"
            examples = self._content.plain[form]["examples"]
            names = tuple(x["name"] for x in examples if name in x["given"])
            tests = (f"{EXAMPLES_TEST}[{form}]",) if names else (CARRIED_TEST,)
            return Trace(*said, pointer, form, "", cards, names, tests)
        if kind == "contradiction":
            rows = self._content.plain["contradictions.yaml"]["contradictions"]
            cards = tuple(next(row["affects"] for row in rows if row["id"] == name))
            return Trace(*said, pointer, "contradictions.yaml", "", cards, (), (CARRIED_TEST,))
        return Trace(*said, pointer, f"{kind}.yaml", "", (), (), (CARRIED_TEST,))

    def _cards(self, entry: Entry) -> tuple[str, ...]:
        if entry.kind is kinds.CARD:
            return (entry.id,)
        if entry.kind is kinds.MEDICINES:
            return self._reached(self._library.findings_of_class(entry.spec))
        if entry.kind is kinds.CAUTION:
            return self._reached(set(entry.spec["about"]))
        if entry.kind is kinds.SILENCE:
            return tuple(form["is"] for form in entry.spec.get("short_form", ()))
        if entry.kind is kinds.RECHECK:
            return tuple(name for name, spec in self._content.cards.items() if _DATE in str(spec))
        return self._reached({entry.id})

    def _reached(self, names: set[str]) -> tuple[str, ...]:
        """The nearest cards whose rules speak of these names: directly, or through findings and causes in between."""
        seen, level = set(names), names
        while level:
            users = {user.id: user for name in level for user in self._library.used_by(name)}
            cards = tuple(sorted(name for name, user in users.items() if user.kind is kinds.CARD))
            if cards:
                return cards
            level = {name for name, user in users.items() if user.kind in _BETWEEN} - seen
            seen |= level
        return ()

    @cached_property
    def _answers(self) -> Mapping[str, set[str]]:
        """The items of the history form that each finding reads."""
        return {name: set(_answered(spec)) for name, spec in self._content.findings.items()}

    @cached_property
    def _stories(self) -> Mapping[str, frozenset[str]]:
        """What each invented patient shows, by the name of the page."""
        pages = sorted((folder("fixtures") / "records").glob("*.yaml"))
        return {page.stem: frozenset(map(str, read_yaml(page).get("shows", ()))) for page in pages}


def _answered(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "answer" in value:
            yield str(value["answer"])
        for key, inner in value.items():
            if key != "examples":
                yield from _answered(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _answered(inner)
