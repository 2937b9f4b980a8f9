"""Bad content does not start, and the message names the file, the field and the remedy."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import ContentError, Fault
from cds_service.handbook.library import MEDICINES, REFERENCE, Library
from cds_service.knowledge.content import Content
from cds_service.knowledge.links import check_links
from cds_service.knowledge.load import read_content
from tests.conftest import ROOT

K_LOW = "findings/laboratory/k_low.yaml"
TW14 = "catalogue/TW14-thyroid-function.yaml"
ECG = "investigations/ECG.yaml"

IN_ONE_PAGE = [
    # file, what is there, what is written instead, words of the message
    (K_LOW, "when: low_K", "when: {unless: low_K}", ["k_low.yaml when", "unless", "use exactly one of"]),
    (K_LOW, "when: low_K", "when: low_K\ncompute: weight_falls", ["k_low.yaml", "exactly one of"]),
    (K_LOW, "status: draft", "status: approved", ["k_low.yaml reviewed_by", "names its reviewer"]),
    (K_LOW, "status: draft", "status: draft\nbefore_onset: always", ["k_low.yaml before_onset", "write a duration"]),
    (K_LOW, "status: draft", "state: draft", ["k_low.yaml state", "not a field"]),
    (K_LOW, "id: k_low", "id: k_lo", ["k_low.yaml", "differs from the file's name"]),
    (K_LOW, "id: k_low", "id: k_low\nid: k_low", ["k_low.yaml line 2", "written twice"]),
    (K_LOW, "id: k_low", "id: [k_low", ["k_low.yaml line"]),
    ("references.yaml", "url: https:", "url: ftp:", ["references.yaml", "url"]),
    (TW14, "tier: T4", "tier: T9", ["TW14-thyroid-function.yaml tier"]),
    (ECG, "pending_for: ", "pending_for: about ", ["ECG.yaml pending_for"]),
    (
        "analytes.yaml",
        "critical: {at_most: 2.5",
        "critical: {atmost: 2.5",
        ["analytes.yaml analytes.K.critical.atmost"],
    ),
    ("hypotheses.yaml", "excluded_when:", "excluded_if:", ["hypotheses.yaml", "excluded_if"]),
    ("cautions.yaml", "\ncautions:", "\ncaution:", ["cautions.yaml", "has no list 'cautions'"]),
    ("words.yaml", "sides:", "side:", ["words.yaml side", "not a field"]),
    ("entry-gate.yaml", "beside: 4", "beside: 0", ["entry-gate.yaml beside"]),
]
BETWEEN_PAGES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    # part of the content, page, what is changed in it, words of the message
    ("findings", "k_low", {"when": "low_Kalium"}, ["k_low.yaml", "'low_Kalium'", "does not exist"]),
    ("findings", "k_low", {"when": {"below": {"K": "3.5"}}}, ["k_low.yaml", "write the limit in mmol/L"]),
    ("findings", "k_low", {"when": {"below": {"K": "3.5 mg/dL"}}}, ["k_low.yaml", "mg/dL"]),
    ("findings", "k_low", {"when": "k_low"}, ["k_low.yaml", "depends on itself"]),
    ("findings", "k_low", {"why": [{"source": "nobody"}]}, ["k_low.yaml", "'nobody'", "does not exist"]),
    ("cards", "TW14", {"suggestions": [{"orders": [{"order": "LAB-FT5"}]}]}, ["TW14", "'LAB-FT5'", "does not exist"]),
    ("cards", "TW14", {"summary": [{"text": "long " * 40}]}, ["TW14", "under 140"]),
]


def spoil(cards: Path, file: str, there: str, instead: str) -> None:
    """Write a page of the content with something else in it."""
    text = (ROOT / "cards" / file).read_text(encoding="utf-8")
    assert there in text
    (cards / file).parent.mkdir(parents=True, exist_ok=True)
    (cards / file).write_text(text.replace(there, instead, 1), encoding="utf-8")


def refusal(cards: Path) -> tuple[Fault, ...]:
    with pytest.raises(ContentError) as refused:
        read_content(cards)
    return refused.value.faults


@pytest.mark.parametrize(("file", "there", "instead", "words"), IN_ONE_PAGE)
def test_a_fault_of_a_page_is_named(tmp_path: Path, file: str, there: str, instead: str, words: list[str]) -> None:
    spoil(tmp_path, file, there, instead)  # alone: to read all the others takes seconds
    said = [str(fault) for fault in refusal(tmp_path)]
    assert [line for line in said if all(word in line for word in words)], said


@pytest.mark.parametrize(("part", "name", "change", "words"), BETWEEN_PAGES)
def test_a_fault_between_pages_is_named(
    content: Content, part: str, name: str, change: dict[str, Any], words: list[str]
) -> None:
    pages = getattr(content, part)
    said = [str(fault) for fault in check_links(replace(content, **{part: pages | {name: pages[name] | change}}))]
    assert [line for line in said if all(word in line for word in words)], said


def test_one_fault_stops_the_start(tmp_path: Path) -> None:
    cards = Path(shutil.copytree(ROOT / "cards", tmp_path / "cards"))
    spoil(cards, K_LOW, "when: low_K", "when: low_Kalium")
    (fault,) = refusal(cards)
    assert "low_Kalium" in str(fault)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    cards = Path(shutil.copytree(ROOT / "cards", tmp_path / "cards"))
    for page in (K_LOW, TW14, ECG):
        spoil(cards, page, "status: draft", "status: drafty")
    assert len(refusal(cards)) == 3


# ---------------------------------------------------------------- ids, which are addresses


def renamed(content: Content, table: str, old: str, new: str) -> Content:
    """The content with another id for one row of a table."""
    rows = tuple(row | {"id": new} if row["id"] == old else row for row in content.tables[table])
    return replace(content, tables={**content.tables, table: rows})


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        ("hypotheses.yaml", "H14", "h13", "'h13' has the address of the row of hypotheses.yaml 'H13'"),
        ("references.yaml", "ng42", "Babinski", "'Babinski' has the address of the finding 'babinski'"),
        ("references.yaml", "ng42", "emg-valid", "'emg-valid' has the address of the finding 'emg_valid'"),
        ("drug-classes.yaml", "thiazide", "../thiazide", "'../thiazide' cannot be an address"),
        ("cautions.yaml", "gadolinium-kidney", "Index", "'Index' cannot be an address"),
        ("cautions.yaml", "gadolinium-kidney", "x" * 61, "cannot be an address"),
    ],
)
def test_an_id_that_could_not_be_an_address_of_its_own_is_refused(
    content: Content, table: str, old: str, new: str, words: str
) -> None:
    assert words in "\n".join(map(str, check_links(renamed(content, table, old, new))))


def test_a_class_may_have_the_name_of_a_finding_and_each_keeps_its_file_and_page(content: Content) -> None:
    """Rules name classes by ``class:``, so metformin can be a finding and a class."""
    library = Library(content)
    finding, medicines = library["metformin"], library.row(MEDICINES, "metformin")
    assert (finding.path, medicines.path) == ("findings/metformin.html", "medicines/metformin.html")
    assert finding.file.startswith("findings/") and medicines.file == "drug-classes.yaml"
    # A row that has the name under which the other gave way already loses nothing either.
    crowded = Library(renamed(content, "references.yaml", "ng42", "metformin-medicines"))
    assert crowded.row(MEDICINES, "metformin").spec["id"] == "metformin"
    assert crowded["metformin-medicines"].kind is REFERENCE and len(crowded) == len(library)
