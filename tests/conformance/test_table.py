"""docs/conformance.md says nothing that is not so: each row has a test that exists, or a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from tests.conformance import test_discovery, test_response
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "conformance.md"
STRENGTHS = {"SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "REQUIRED", "RECOMMENDED", "CONDITIONAL", "rule"}
STATES = {"kept", "kept in part", "not used", "not yet", "operator", "chosen otherwise"}


@dataclass(frozen=True)
class Row:
    """One clause: its number, a paraphrase, its strength, how it stands, the tests that show it, and words."""

    number: str
    clause: str
    strength: str
    state: str
    tests: tuple[str, ...]
    words: str


def read_rows(text: str) -> Iterator[Row]:
    """The rows of every table whose first column is a number like R12."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if re.fullmatch(r"[A-Z]\d+", cells[0]):
            number, clause, strength, state, shown = cells
            tests = tuple(re.findall(r"`(test_\w+\.py::[^`]+)`", shown))
            words = re.sub(r"`test_\w+\.py::[^`]+`", "", shown).strip(" ,;.")
            yield Row(number, clause, strength, state, tests, words)


ROWS = list(read_rows(PAGE.read_text(encoding="utf-8")))


@cache
def functions_in(name: str) -> dict[str, bool]:
    """The test functions of the files of this name: name -> whether it is parametrized."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in (ROOT / "tests").rglob(name)]
    return {f.name: bool(f.decorator_list) for tree in trees for f in tree.body if isinstance(f, ast.FunctionDef)}


def faults_of(row: Row) -> Iterator[str]:
    """What is wrong with a row."""
    if row.strength not in STRENGTHS or row.state not in STATES:
        yield f"{row.number}: strength or state is not one of the words of the page"
    if row.state in ("kept", "kept in part") and not row.tests:
        yield f"{row.number}: is said to be kept, and no test shows it"
    if (row.state != "kept" or not row.tests) and len(row.words.split()) < 4:
        yield f"{row.number}: needs a reason in words"
    for test in row.tests:
        file, _, rest = test.partition("::")
        function, _, case = rest.rstrip("]").partition("[")
        if function not in functions_in(file):
            yield f"{row.number}: there is no {test}"
        checks = {"test_response.py": test_response.CHECKS, "test_discovery.py": test_discovery.CHECKS}
        if case and case not in {check.__name__ for check in checks.get(file, ())}:
            yield f"{row.number}: {test} has no such case"


def test_each_row_has_a_test_that_exists_or_a_reason() -> None:
    assert len(ROWS) > 80
    assert [fault for row in ROWS for fault in faults_of(row)] == []


def test_no_row_stands_twice() -> None:
    numbers, clauses = [row.number for row in ROWS], [row.clause for row in ROWS]
    assert len(set(numbers)) == len(numbers)
    assert len(set(clauses)) == len(clauses)


def test_every_named_check_stands_in_the_table() -> None:
    """A promise that is tested is also made."""
    named = {test for row in ROWS for test in row.tests}
    for file, function, checks in (
        ("test_response.py", "test_every_answer_keeps_the_clause", test_response.CHECKS),
        ("test_discovery.py", "test_the_discovery_document_keeps_the_clause", test_discovery.CHECKS),
    ):
        assert len(checks) > 10
        assert not [c.__name__ for c in checks if f"{file}::{function}[{c.__name__}]" not in named]


@pytest.mark.parametrize(
    "line",
    [
        "| X1 | Something | SHALL | kept | |",
        "| X1 | Something | SHALL | kept | `test_response.py::test_that_nobody_wrote` |",
        "| X1 | Something | SHALL | kept | `test_nowhere.py::test_each` |",
        "| X1 | Something | SHALL | kept | `test_response.py::test_every_answer_keeps_the_clause[no_such_check]` |",
        "| X1 | Something | SHALL | not yet | |",
        "| X1 | Something | MAY | kept | `test_table.py::test_no_row_stands_twice` |",
    ],
)
def test_a_row_without_test_or_reason_is_seen(line: str) -> None:
    assert [fault for row in read_rows(line) for fault in faults_of(row)]
