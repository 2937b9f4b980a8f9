"""The value sets in cards/codes: every code is real, has a source, and takes its siblings with it or says why not."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
import simple_icd_10_cm as icd10cm
from stdnum import luhn, verhoeff

from cds_service.knowledge.codes import EXCLUDED, SYSTEMS, CodeRow, Codes, read_codes

CODES = Path(__file__).parents[2] / "cards" / "codes"
NOT_VALUE_SETS = {"concepts", "clinical-drugs", "icd10cm-siblings"}
TABLES = sorted(path.stem for path in CODES.glob("*.csv") if path.stem not in NOT_VALUE_SETS)
EVIDENCE = {"code-system", "display", "xref-label", "low-provenance"}
MAY_BE_WRITTEN = {"code-system", "display"}
CATEGORY = "category"  # the undivided code of older records; what was split off from it needs rows of its own
# No code of these was confirmed in any public source (EXTENSION.md, REPORT.md); they are known by words only.
WITHOUT_CODE = {"caspr2_ab", "lgi1_ab", "med_creatine", "musk_ab", "order_vgkc", "vgkc_ab"}

every_table = pytest.mark.parametrize("table", TABLES)


@pytest.fixture(scope="module")
def codes() -> Codes:
    return read_codes(CODES)


@cache
def lines(table: str) -> list[dict[str, str]]:
    with (CODES / f"{table}.csv").open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@cache
def rows(table: str, system: str = "") -> list[CodeRow]:
    found = [row for row in read_codes(CODES).rows if row.file == f"{table}.csv"]
    return [row for row in found if system in ("", row.system)]


@cache
def concepts() -> dict[str, dict[str, str]]:
    return {line["concept"]: line for line in lines("concepts")}


def named(found: Iterable[CodeRow]) -> list[str]:
    """Rows as a failing test should show them."""
    return [f"{row.concept}: {row.system} {row.code} {row.display}" for row in found]


# --- Check digits and existence -------------------------------------------------------------------


def is_snomed_concept(code: str) -> bool:
    """Six to eighteen digits, the partition of a concept (not a description or relationship), Verhoeff."""
    return bool(re.fullmatch(r"[1-9][0-9]{5,17}", code)) and code[-3:-1] in ("00", "10") and verhoeff.is_valid(code)


def is_loinc(code: str) -> bool:
    """Mod 10. The letters of an answer id (LA…) add 5 before an even number of digits and 8 before an odd one."""
    parts = re.fullmatch(r"(LA)?([0-9]+)-([0-9])", code)
    if parts is None:
        return False
    letters, digits, check = parts.groups()
    added = 0 if letters is None else (5, 8)[len(digits) % 2]
    return (luhn.checksum(digits + check) + added) % 10 == 0


@pytest.mark.parametrize("code", ["82470000", "7771000", "16524331000119104", "LA33-6", "LA6626-1", "2823-3"])
def test_check_digits_accept_published_codes(code: str) -> None:
    assert is_loinc(code) if "-" in code else is_snomed_concept(code)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("82470001", id="wrong check digit of SNOMED CT"),
        pytest.param("84270000", id="two digits of SNOMED CT swapped"),
        pytest.param("824701" + verhoeff.calc_check_digit("824701"), id="a description of SNOMED CT"),
        pytest.param("5895-7", id="LOINC 5895-7, listed in public data with a wrong check digit"),
        pytest.param("2832-3", id="two digits of LOINC swapped"),
        pytest.param("LA33-7", id="wrong check digit of an answer"),
        pytest.param("2075--0", id="malformed"),
    ],
)
def test_check_digits_refuse(code: str) -> None:
    assert not is_loinc(code)
    assert not is_snomed_concept(code)


@every_table
def test_snomed_codes_are_concepts_with_a_valid_check_digit(table: str) -> None:
    assert named(row for row in rows(table, "snomed") if not is_snomed_concept(row.code)) == []


@every_table
def test_loinc_codes_have_a_valid_check_digit(table: str) -> None:
    assert named(row for row in rows(table, "loinc") if not is_loinc(row.code)) == []


@every_table
def test_icd10cm_codes_exist(table: str) -> None:
    assert named(row for row in rows(table, "icd10cm") if not icd10cm.is_valid_item(row.code.removesuffix("-"))) == []


@every_table
def test_icd10cm_branches_end_in_a_dash_and_leaves_do_not(table: str) -> None:
    """Written G81-, not G81.-: the index compares what stands before the dash."""
    wrong = [
        row
        for row in rows(table, "icd10cm")
        if row.code.endswith(".-")
        or (icd10cm.is_leaf(row.code.removesuffix("-")) == row.code.endswith("-") and row.role != CATEGORY)
    ]
    assert named(wrong) == []


# --- Rows ------------------------------------------------------------------------------------------


@every_table
def test_systems_are_known(table: str) -> None:
    assert {row.system for row in rows(table)} <= set(SYSTEMS)


@every_table
def test_every_row_has_words_evidence_and_source(table: str) -> None:
    assert named(r for r in rows(table) if not (r.display and r.source and r.evidence in EVIDENCE)) == []


def test_every_clinical_drug_has_a_source() -> None:
    assert [line for line in lines("clinical-drugs") if not (line["rxcui"].isdigit() and line["source"])] == []


def test_no_code_stands_twice_for_a_concept(codes: Codes) -> None:
    counted = Counter((row.concept, row.system, row.code.removesuffix("-")) for row in codes.rows)
    assert [key for key, times in counted.items() if times > 1] == []


@every_table
def test_a_written_code_means_exactly_its_concept_and_was_seen_with_its_words(table: str) -> None:
    """Codes that leave the house: no role, and evidence better than a cross-reference or one weak file."""
    assert {line["written"] for line in lines(table)} <= {"", "yes"}
    wrong = [row for row in rows(table) if row.written and (row.role or row.evidence not in MAY_BE_WRITTEN)]
    assert named(wrong) == []


@every_table
def test_a_written_code_is_no_branch(table: str) -> None:
    assert named(row for row in rows(table) if row.written and row.code.endswith("-")) == []


@every_table
def test_cpt_numbers_carry_our_own_title_and_are_never_written(table: str) -> None:
    """CPT text belongs to the AMA: a number is recognised, and called what we call its concept."""
    wrong = [
        row
        for row in rows(table, "cpt")
        if row.written or row.display != concepts()[row.concept]["title"] or not re.fullmatch(r"[0-9]{5}", row.code)
    ]
    assert named(wrong) == []


# --- Concepts --------------------------------------------------------------------------------------


@every_table
def test_every_concept_of_a_table_is_described(table: str) -> None:
    assert {row.concept for row in rows(table)} - set(concepts()) == set()


def test_every_concept_of_the_clinical_drugs_is_described() -> None:
    used = {concept for line in lines("clinical-drugs") for concept in line["concepts"].split(";")}
    assert used - set(concepts()) == set()


def test_every_described_concept_has_a_code_or_is_known_to_have_none(codes: Codes) -> None:
    assert set(concepts()) - {row.concept for row in codes.rows} == WITHOUT_CODE


def test_concepts_are_described_once_per_kind() -> None:
    """HIV and Lyme disease are both a condition and a test; any other concept has one kind."""
    counted = Counter(line["concept"] for line in lines("concepts"))
    assert {concept for concept, times in counted.items() if times > 1} == {"hiv", "lyme"}
    assert len({(line["concept"], line["kind"]) for line in lines("concepts")}) == len(lines("concepts"))


# --- Siblings (D31) --------------------------------------------------------------------------------


@cache
def leaves_below(code: str) -> tuple[str, ...]:
    return tuple(below for below in icd10cm.get_descendants(code) if icd10cm.is_leaf(below))


@cache
def listed() -> dict[str, dict[str, str]]:
    """Concept -> ICD-10-CM code -> role."""
    found: dict[str, dict[str, str]] = {}
    for table in TABLES:
        for row in rows(table, "icd10cm"):
            found.setdefault(row.concept, {})[row.code.removesuffix("-")] = row.role
    return found


def is_decided(concept: str, leaf: str) -> bool:
    """The nearest row at or above the leaf takes it in, or leaves it out on purpose."""
    nearest = next((code for code in [leaf, *icd10cm.get_ancestors(leaf)] if code in listed()[concept]), None)
    return nearest is not None and (nearest == leaf or listed()[concept][nearest] != CATEGORY)


def open_siblings(table: str) -> dict[tuple[str, str], list[str]]:
    """(concept, parent) -> leaves of the parent that nothing in the tables decides."""
    found = {}
    for row in rows(table, "icd10cm"):
        if row.role == EXCLUDED or not icd10cm.is_leaf(row.code.removesuffix("-")):
            continue
        parent = icd10cm.get_parent(row.code)
        if not icd10cm.is_category_or_subcategory(parent):
            continue  # a category that was never divided
        undecided = [leaf for leaf in leaves_below(parent) if not is_decided(row.concept, leaf)]
        if undecided:
            found[row.concept, parent] = undecided
    return found


def reasons() -> dict[tuple[str, str], str]:
    return {(line["concept"], line["parent"]): line["reason"] for line in lines("icd10cm-siblings")}


@every_table
def test_siblings_of_a_listed_icd10cm_leaf_follow_it_or_a_reason_is_written(table: str) -> None:
    unexplained = {key: leaves for key, leaves in open_siblings(table).items() if not reasons().get(key)}
    assert unexplained == {}, "list the parent with '-', the leaves, or a reason in icd10cm-siblings.csv"


def test_every_reason_is_still_needed_and_written_once() -> None:
    needed = {key for table in TABLES for key in open_siblings(table)}
    assert set(reasons()) - needed == set()
    assert len(lines("icd10cm-siblings")) == len(reasons())


@every_table
def test_an_excluded_branch_lies_below_a_listed_one(table: str) -> None:
    pointless = [
        row
        for row in rows(table, "icd10cm")
        if row.role == EXCLUDED
        and not any(
            listed()[row.concept].get(above, EXCLUDED) != EXCLUDED
            for above in icd10cm.get_ancestors(row.code.removesuffix("-"))
        )
    ]
    assert named(pointless) == []


@pytest.mark.parametrize(
    ("code", "concept"),
    [
        pytest.param("M62.511", "muscle_atrophy", id="wasting of the right shoulder"),
        pytest.param("M62.562", "muscle_atrophy", id="wasting of the left lower leg"),
        pytest.param("G81.14", "hemiparesis", id="spastic hemiplegia of the left side"),
        pytest.param("G83.11", "monoparesis", id="monoplegia of the right leg"),
        pytest.param("M21.372", "foot_drop", id="left foot drop"),
        pytest.param("M54.15", "radicular_pain", id="thoracolumbar radiculopathy"),
        pytest.param("H53.131", "visual_change", id="sudden loss of sight of the right eye"),
        pytest.param("H04.211", "lacrimation", id="tearing of the right eye"),
        pytest.param("G56.23", "ulnar_neuropathy", id="both ulnar nerves"),
        pytest.param("G35.B0", "ms", id="primary progressive multiple sclerosis"),
        pytest.param("O14.02", "preeclampsia", id="pre-eclampsia in the second trimester"),
        pytest.param("T60.0X2A", "organophosphate_poisoning", id="organophosphate taken on purpose"),
        pytest.param("F10.931", "altered_mental_status", id="delirium of alcohol withdrawal"),
    ],
)
def test_a_leaf_reaches_its_concept(codes: Codes, code: str, concept: str) -> None:
    assert concept in {match.concept for match in codes.matches(SYSTEMS["icd10cm"], code)}


@pytest.mark.parametrize(
    ("code", "concept"),
    [
        pytest.param("F10.21", "alcohol_use_disorder", id="alcohol dependence in remission"),
        pytest.param("E10.A1", "diabetes", id="diabetes that has not begun"),
        pytest.param("D68.51", "bleeding_disorder", id="a tendency to clot"),
        pytest.param("M33.93", "inflammatory_myopathy", id="dermatomyositis that spares the muscles"),
        pytest.param("M54.2", "back_pain", id="neck pain"),
        pytest.param("T60.0X1S", "organophosphate_poisoning", id="what an old poisoning left behind"),
        pytest.param("R25.1", "fasciculation", id="tremor"),
        pytest.param("R25.2", "fasciculation", id="cramp"),
        pytest.param("G12.21", "sma", id="amyotrophic lateral sclerosis"),
        pytest.param("R40.2142", "altered_mental_status", id="eyes that open freely on the coma scale"),
    ],
)
def test_a_leaf_with_another_meaning_stays_out(codes: Codes, code: str, concept: str) -> None:
    assert icd10cm.is_valid_item(code)
    assert concept not in {match.concept for match in codes.matches(SYSTEMS["icd10cm"], code)}
