"""Bad content does not start, and the message names the file, the field and the remedy."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cds_service.errors import ContentError
from cds_service.handbook.library import MEDICINES, REFERENCE, Library
from cds_service.knowledge.links import check_links
from cds_service.knowledge.load import Content, read_content
from tests.conftest import ROOT

K_LOW = "findings/laboratory/k_low.yaml"
TW14 = "catalogue/TW14-thyroid-function.yaml"
ECG = "investigations/ECG.yaml"

FAULTS = [
    # file, what is there, what is written instead, words of the message
    (K_LOW, "when: low_K", "when: low_Kalium", ["k_low.yaml", "'low_Kalium'", "does not exist"]),
    (K_LOW, "when: low_K", "when: {below: {K: 3.5}}", ["k_low.yaml", "write the limit in mmol/L"]),
    (K_LOW, "when: low_K", "when: {below: {K: 3.5 mg/dL}}", ["k_low.yaml", "mg/dL"]),
    (K_LOW, "when: low_K", "when: {unless: low_K}", ["k_low.yaml when", "unless", "use exactly one of"]),
    (K_LOW, "when: low_K", "when: low_K\ncompute: weight_falls", ["k_low.yaml", "exactly one of"]),
    (K_LOW, "when: low_K", "when: k_low", ["k_low.yaml", "depends on itself"]),
    (K_LOW, "status: draft", "status: approved", ["k_low.yaml reviewed_by", "names its reviewer"]),
    (K_LOW, "status: draft", "state: draft", ["k_low.yaml state", "not a field"]),
    (K_LOW, "id: k_low", "id: k_lo", ["k_low.yaml", "differs from the file's name"]),
    (K_LOW, "id: k_low", "id: k_low\nid: k_low", ["k_low.yaml line 2", "written twice"]),
    (K_LOW, "source: ", "source: nobody-", ["k_low.yaml", "nobody-", "does not exist"]),
    (K_LOW, "id: k_low", "id: [k_low", ["k_low.yaml line"]),
    (TW14, "tier: T4", "tier: T9", ["TW14-thyroid-function.yaml tier"]),
    (TW14, "order: LAB-FT4-T3", "order: LAB-FT5", ["TW14-thyroid-function.yaml", "LAB-FT5", "does not exist"]),
    (TW14, "  - text: ", f'  - text: "{"long " * 40}"\n  - text: ', ["TW14", "under 140"]),
    (ECG, "pending_for: ", "pending_for: about ", ["ECG.yaml pending_for"]),
    ("analytes.yaml", "critical: {at_most: 2.5", "critical: {atmost: 2.5", ["analytes.yaml", "atmost"]),
    ("hypotheses.yaml", "excluded_when:", "excluded_if:", ["hypotheses.yaml", "excluded_if"]),
    ("words.yaml", "sides:", "side:", ["words.yaml side", "not a field"]),
    ("entry-gate.yaml", "beside: 4", "beside: 0", ["entry-gate.yaml beside"]),
]


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(ROOT / "cards", tmp_path_factory.mktemp("content") / "cards"))


@pytest.mark.parametrize(("file", "there", "instead", "words"), FAULTS)
def test_one_fault_stops_the_start(cards: Path, file: str, there: str, instead: str, words: list[str]) -> None:
    page = cards / file
    sound = page.read_text(encoding="utf-8")
    assert there in sound
    page.write_text(sound.replace(there, instead, 1), encoding="utf-8")
    try:
        with pytest.raises(ContentError) as refused:
            read_content(cards)
    finally:
        page.write_text(sound, encoding="utf-8")
    message = str(refused.value)
    assert not [word for word in words if word not in message], message


def test_all_faults_are_told_at_once(cards: Path) -> None:
    pages = [cards / name for name in (K_LOW, TW14, ECG)]
    sound = [page.read_text(encoding="utf-8") for page in pages]
    for page, text in zip(pages, sound, strict=True):
        page.write_text(text.replace("status: draft", "status: drafty"), encoding="utf-8")
    try:
        with pytest.raises(ContentError) as refused:
            read_content(cards)
    finally:
        for page, text in zip(pages, sound, strict=True):
            page.write_text(text, encoding="utf-8")
    assert len(refused.value.faults) == 3
    assert read_content(cards).version


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
