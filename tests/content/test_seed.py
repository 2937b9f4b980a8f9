"""Every statement of the seed articles is carried by content, or a written reason says why not."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from cds_service.knowledge.content import Content

# Names of statements that need no test of their own: 288 rows in five articles.
ROWS = 288


def carriers(content: Content) -> dict[str, set[str]]:
    """What a row may point to, by kind."""
    plain = content.plain
    tables = {name: {str(row["id"]) for row in rows} for name, rows in content.tables.items()}
    return {
        "card": set(content.cards),
        "finding": set(content.findings),
        "investigation": set(content.investigations),
        "hypothesis": tables["hypotheses.yaml"],
        "drug-class": tables["drug-classes.yaml"],
        "caution": tables["cautions.yaml"],
        "rule": tables["no-card-rules.yaml"],
        "analyte": {row["id"] for row in content.analytes},
        "contradiction": {row["id"] for row in plain["contradictions.yaml"]["contradictions"]},
        "recheck": tables["re-evaluation.yaml"],
        "history": set(_items(plain["structured-history.yaml"])),
        "about": set(plain["about.yaml"]),
    }


def _items(form: Any) -> list[str]:
    if isinstance(form, dict):
        own = [str(form["id"])] if "id" in form else []
        return own + [item for part in form.values() for item in _items(part)]
    return [item for part in form for item in _items(part)] if isinstance(form, list) else []


@pytest.fixture(scope="module")
def rows(content: Content) -> list[dict[str, str]]:
    with (content.folder / "seed-coverage.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_row_is_there_once(rows: list[dict[str, str]]) -> None:
    assert [row["row"] for row in rows] == [f"S{number:03}" for number in range(1, ROWS + 1)]


def test_every_row_is_carried_or_has_a_reason(rows: list[dict[str, str]]) -> None:
    assert not [row["row"] for row in rows if bool(row["carried_by"]) == bool(row["reason"])]


def test_the_most_important_rows_are_all_carried(rows: list[dict[str, str]]) -> None:
    assert not [row["row"] for row in rows if row["priority"] == "P1" and not row["carried_by"]]


def test_what_carries_a_row_exists(rows: list[dict[str, str]], content: Content) -> None:
    known = carriers(content)
    dangling = []
    for row in rows:
        for pointer in filter(None, row["carried_by"].split(";")):
            kind, _, name = pointer.partition(":")
            if name not in known.get(kind, ()):
                dangling.append(f"{row['row']}: {pointer}")
    assert not dangling
