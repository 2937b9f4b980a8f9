"""Who stands for content: nobody approves what he wrote, versions are told, and reviews that are due are named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cds_service.knowledge.content import Content
from cds_service.knowledge.files import SEMANTIC
from cds_service.knowledge.links import check_links
from cds_service.knowledge.load import reviews_due
from cds_service.knowledge.schemas import Reviewed, TableHeader

SIGNED = {
    "status": "approved",
    "author": "A. Writer",
    "reviewed_by": "B. Reader",
    "purpose": "x" * 10,
    "misuse": "x" * 10,
}


@pytest.mark.parametrize("schema", [Reviewed, TableHeader])
@pytest.mark.parametrize(
    ("spoilt", "field", "words"),
    [
        ({"reviewed_by": None}, "reviewed_by", "names its reviewer"),
        ({"reviewed_by": "  "}, "reviewed_by", "names its reviewer"),
        ({"author": None}, "author", "names its author"),
        ({"author": "B. Reader"}, "reviewed_by", "other than the author"),
        ({"author": "b.  READER "}, "reviewed_by", "other than the author"),
        ({"next_review": "in a year"}, "next_review", "write a date"),
    ],
)
def test_nobody_approves_alone(schema: Any, spoilt: dict[str, Any], field: str, words: str) -> None:
    assert schema().validate(SIGNED) == {}
    assert words in str(schema().validate(SIGNED | spoilt)[field])


def test_without_an_author_at_all_nothing_is_approved() -> None:
    assert "author" in Reviewed().validate({key: value for key, value in SIGNED.items() if key != "author"})


def test_a_draft_needs_neither_author_nor_reviewer() -> None:
    assert Reviewed().validate(SIGNED | {"status": "draft", "author": None, "reviewed_by": None}) == {}


def test_no_content_that_comes_along_is_approved_or_names_a_reviewer(content: Content) -> None:
    pages = [*content.cards.values(), *content.findings.values(), *content.investigations.values()]
    pages += [*content.headers.values(), *content.plain.values()]
    assert {(page["status"], page["reviewed_by"]) for page in pages} == {("draft", None)}


# ---------------------------------------------------------------- reviews that are due


def test_reviews_are_due_from_their_day_on_the_longest_first(content: Content) -> None:
    spoilt = replace(
        content,
        cards=content.cards | {"TW13": content.cards["TW13"] | {"next_review": "2026-06-15"}},
        headers=content.headers | {"cautions.yaml": {"next_review": "2026-01-31"}},
        plain={**content.plain, "about.yaml": {**content.plain["about.yaml"], "next_review": date(2026, 6, 16)}},
    )
    due = list(reviews_due(spoilt, date(2026, 6, 15)))
    assert due == [("cautions.yaml", "2026-01-31"), (content.files["TW13"], "2026-06-15")]
    assert len(list(reviews_due(spoilt, date(2026, 6, 16)))) == 3
    assert not list(reviews_due(spoilt, date(2026, 1, 30)))


# ---------------------------------------------------------------- versions


@pytest.mark.parametrize(
    ("text", "semantic"),
    [("0.1.0", True), ("1.20.3-site.2+lab", True), ("1.0", False), ("01.0.0", False), ("1.0.0 ", False), ("", False)],
)
def test_versions_are_semantic(text: str, semantic: bool) -> None:
    assert bool(SEMANTIC.fullmatch(text)) is semantic


def faults_of(content: Content, change: dict[str, Any], version: str = "0.2.0") -> str:
    about = {**content.plain["about.yaml"], "changes": [change, *content.plain["about.yaml"]["changes"]]}
    changed = replace(content, version=version, plain={**content.plain, "about.yaml": about})
    return "\n".join(map(str, check_links(changed)))


def test_a_new_version_says_what_is_new_and_which_cards_it_affects(content: Content) -> None:
    told = {"version": "0.2.0", "date": "2026-12-01", "what": "A limit has changed.", "affects": ["TW13"]}
    assert faults_of(content, told) == ""
    assert faults_of(content, told | {"affects": "none"}) == ""
    assert "about.yaml changes" in faults_of(content, told, version="0.3.0")
    assert "'TW99', which does not exist" in faults_of(content, told | {"affects": ["TW99"]})
    assert "no semantic version" in faults_of(content, told | {"version": "2"}, version="2")
