"""A site's own content: every page says how it differs from the bundled one, and our tests are not claimed for it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from cds_service.artefacts.publication import OWN, Publication
from cds_service.handbook.bundled import is_bundled
from cds_service.handbook.pages import Handbook
from cds_service.knowledge.content import Content
from cds_service.knowledge.sealed import hashes
from tests.conftest import ROOT
from tests.handbook.test_book import words_of


def edited(folder: Path, name: str, there: str, instead: str) -> None:
    page = folder / name
    text = page.read_text(encoding="utf-8")
    assert there in text
    page.write_text(text.replace(there, instead, 1), encoding="utf-8")


def rows(content: Content, table: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    return {**content.tables, table: tuple(filter(None, map(change, content.tables[table])))}


@pytest.fixture(scope="module")
def book(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Handbook:
    """One limit, one card, one class and one code changed, a finding added, a caution and a statement taken away.

    The files are edited and what is read from them is put together here: to read all of it anew takes seconds."""
    cards = tmp_path_factory.mktemp("own") / "cards"
    shutil.copytree(ROOT / "cards", cards, ignore=shutil.ignore_patterns(".checked.json*"))
    edited(cards, "analytes.yaml", "critical: {at_most: 0.412", "critical: {at_most: 0.5")
    edited(cards, "catalogue/TW14-thyroid-function.yaml", "purpose: ", "purpose: Here. ")
    edited(cards, "seed-coverage.csv", "S002,P2,", "S002,P2,Said otherwise: ")
    edited(cards, "codes/observations.csv", "potassium,loinc,2823-3", "potassium,loinc,2823-33")
    (cards / "findings" / "own.yaml").write_text("id: own\n")
    (cards / "cautions.yaml").unlink()
    analytes = [
        row | {"critical": {"at_most": 0.5, "at_least": 2.0}} if row["id"] == "Mg" else row for row in content.analytes
    ]
    thyroid = content.cards["TW14"]
    another = {"potassium": "2823-33"}
    codes = [structs.replace(r, code=another[r.concept]) if r.code == "2823-3" else r for r in content.codes.rows]
    return Handbook(replace(
        content, folder=cards, version="9.0.0", hashes=hashes(cards),
        cards=content.cards | {"TW14": thyroid | {"purpose": f"Here. {thyroid['purpose']}"}},
        findings=content.findings | {"own": content.findings["adult"] | {"id": "own", "title": "a finding of our own"}},
        files={**content.files, "own": "findings/own.yaml"},
        plain={**content.plain, "analytes.yaml": {**content.plain["analytes.yaml"], "analytes": analytes}},
        tables=rows(content, "cautions.yaml", lambda row: None if row["id"] == "mri-device" else row),
        codes=replace(content.codes, rows=tuple(codes)),
    ))  # fmt: skip


def page(book: Handbook, path: str) -> str:
    found = book.page(path)
    assert found
    return words_of(found)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("thresholds/Mg.html", "Changed from the bundled content."),
        ("cards/TW14.html", "Changed from the bundled content."),
        ("findings/own.html", "Not in the bundled content."),
        ("thresholds/K.html", "the codes behind them were changed:<ul><li>Potassium"),
        ("cards/TW13.html", 'what its rule rests on was changed:<ul><li><a href="../thresholds/K.html">'),
        ("findings/k_low.html", 'rests on was changed:<ul><li><a href="../thresholds/K.html">K: potassium</a>'),
    ],
)
def test_a_page_that_is_not_as_in_the_bundled_content_says_how(book: Handbook, path: str, says: str) -> None:
    words = page(book, path)
    (mark,) = re.findall(r'<div class="own">(.*?)</div>', words)
    assert says in mark
    assert "Not the bundled content:" in words
    assert "They run with cds-service check-content." in words and "and with the tests" not in words


def test_a_page_that_is_as_in_the_bundled_content_has_no_mark_but_the_notice(book: Handbook) -> None:
    for path in ("findings/babinski.html", "references/ng42.html", "cards/index.html"):
        words = page(book, path)
        assert '<div class="own">' not in words and 'index.html#own">what this site has changed' in words


def test_the_front_page_names_the_files_and_entries_that_differ(book: Handbook) -> None:
    words = page(book, "index.html")
    assert f"differ from the content {book.difference.version} that comes along" in words
    changed = "analytes.yaml</code>, <code>catalogue/TW14-thyroid-function.yaml"
    files = {"changed": changed, "added": "findings/own.yaml", "missing": "cautions.yaml"}
    assert not [name for name, file in files.items() if f"<li>{name}: <code>{file}</code>" not in words]
    assert "not there any more: caution mri-device" in words
    assert 'added: <a href="findings/own.html">' in words and 'changed: <a href="thresholds/Mg.html">' in words
    assert "rests on changed" not in words and "<small>rests on changed</small>" in page(book, "cards/index.html")
    told = book.source_attributes()["differs_from_bundled"]
    assert (told["missing"], len(told["changed"])) == (("cautions.yaml",), 4)


def test_our_tests_are_not_named_for_another_content(book: Handbook) -> None:
    assert book._traces.rows and not [row for row in book._traces.rows if row.tests]
    words = page(book, "traceability.html")
    assert f"The tests run with the bundled content {book.difference.version}, not with this one." in words


def test_what_is_compared_is_what_was_read_at_the_start(content: Content, tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    shutil.copytree(ROOT / "cards", cards, ignore=shutil.ignore_patterns(".checked.json*"))
    edited(cards, "words.yaml", "denies", "deniess")
    read = replace(content, folder=cards, hashes=hashes(cards))
    shutil.copy(ROOT / "cards" / "words.yaml", cards / "words.yaml")
    assert Handbook(read).difference.changed == ("words.yaml",)
    assert not is_bundled(read) and is_bundled(content)


def test_a_copy_of_the_bundled_content_bears_no_mark(content: Content, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "cards", tmp_path / "cards")
    book = Handbook(replace(content, folder=tmp_path / "cards"))
    assert not book.difference and "bundled" not in page(book, "index.html")
    assert "differs_from_bundled" not in book.source_attributes()
    assert all(row.tests for row in book._traces.rows if row.content)


def test_artefacts_of_another_content_are_not_published_in_our_name(book: Handbook, knowledge: Any) -> None:
    here = Publication(replace(knowledge, written=book.content), "")
    made = here.artefact("Library", "x", "X", "It is.")
    assert made["description"].endswith(OWN) and "publisher" not in made
    assert Publication(knowledge, "").publisher == "cds-service contributors"
