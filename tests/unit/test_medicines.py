"""The time link of a medicine to the twitching, in the words that a reader sees."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.clinical.chart import Match, Medicine
from cds_service.intake.medicines import _milligrams, _per_day, _units
from cds_service.worked_examples import case_of

AT_ANY_TIME = "taken for more than 90 days, and can act at any time"


@pytest.mark.parametrize(
    ("medicine", "since", "words"),
    [
        ("med_ssri", "40 days ago", "started or changed 0 days before the twitching"),
        ("med_ssri", "41 days ago", "started or changed 1 day before the twitching"),
        ("med_ssri", "130 days ago", "started or changed 90 days before the twitching"),
        ("med_thiazide", "130 days ago", "started or changed 90 days before the twitching"),
        ("med_thiazide", "131 days ago", AT_ANY_TIME),
        ("med_ssri", "39 days ago", "started after the twitching began"),
    ],
)
def test_the_time_link_is_said(medicine: str, since: str, words: str, knowledge: Any, reading: Any) -> None:
    case = case_of([{"twitch": "40 days ago"}, {"medicine": medicine, "since": since}], knowledge, reading)
    finding = case["causal_medicine_on_file"]
    assert [evidence.value for evidence in (*finding.evidence, *finding.against)] == [words]


def test_without_an_onset_or_a_date_nothing_is_said_of_time(knowledge: Any, reading: Any) -> None:
    undated = case_of([{"twitch": "40 days ago"}, {"medicine": "med_ssri"}], knowledge, reading)
    no_onset = case_of([{"problem": "R25.3"}, {"medicine": "med_ssri", "since": "60 days ago"}], knowledge, reading)
    for case in (undated, no_onset):
        assert [evidence.value for evidence in case["causal_medicine_on_file"].against] == [""]


def test_a_medicine_is_called_by_its_ingredient_where_that_is_known(knowledge: Any, reading: Any) -> None:
    record = [{"twitch": "40 days ago"}, {"medicine": "Sertraline 50 mg tablet", "since": "60 days ago"}]
    (evidence,) = case_of(record, knowledge, reading)["causal_medicine_on_file"].evidence
    assert evidence.title == "sertraline"


def _dosage(timing: Any, amount: float = 30, unit: str = "mg", **more: Any) -> dict[str, Any]:
    dose = {"doseQuantity": {"value": amount, "unit": unit, "code": unit}}
    return {"timing": timing, "doseAndRate": [dose], **more}


def _daily(start: str, end: str | None = None) -> dict[str, Any]:
    bounds = {"start": start} | ({"end": end} if end else {})
    return {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d", "boundsPeriod": bounds}}


DAILY = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}
BID = {"code": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation", "code": "BID"}]}}


@pytest.mark.parametrize(
    ("dosages", "a_day"),
    [
        ([], None),
        ([_dosage(DAILY)], 30),
        ([_dosage(BID)], 60),
        ([_dosage({"code": {"text": "tid"}, "repeat": {"boundsPeriod": {"start": "2026-01-01"}}})], 90),
        *(
            ([_dosage({"code": {"text": words}})], a_day)
            for words, a_day in (
                ("once daily", 30), ("Daily", 30), ("Once a day", 30), ("twice  daily", 60), ("two times a day", 60),
                ("Three times daily", 90), ("4 times per day", 120), ("once or twice daily", None),
                ("once daily as needed", None),
            )
        ),
        ([_dosage({"repeat": {"period": 1, "periodUnit": "d", "when": ["MORN", "HS"]}})], 60),
        ([_dosage({"repeat": {"frequency": 1, "period": 8, "periodUnit": "h"}})], 90),
        ([_dosage(DAILY), _dosage(DAILY)], 60),
        ([_dosage(DAILY), _dosage({})], None),
        ([_dosage(DAILY, sequence=1), _dosage(DAILY, sequence=2)], None),
        ([_dosage(_daily("2026-01-01", "2026-02-01")), _dosage(_daily("2026-02-02"))], None),
        ([_dosage(_daily("2026-01-01", "2026-02-01")), _dosage(_daily("2026-02-01"))], None),
        ([_dosage(_daily("2026-01-01", "2026-02")), _dosage(_daily("2026-02-02"))], None),
        ([_dosage(_daily("2026-01-01", "2026-03-01")), _dosage(_daily("2026-02-01"))], 60),
        ([_dosage(_daily("2026-01-01", "2026-03-01")), _dosage(DAILY)], 60),
        ([_dosage(_daily("2026-01-01", "2026-01-01"))], 30),
        ([_dosage({})], None),
        ([_dosage({"code": {"text": "as directed"}})], None),
        ([_dosage({"repeat": {"frequency": 2}})], None),
        ([_dosage({"repeat": {"frequency": 1, "period": 0, "periodUnit": "d"}})], None),
        ([_dosage({"repeat": {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}})], None),
        ([_dosage(DAILY, asNeededBoolean=True)], None),
        ([_dosage(DAILY, asNeededCodeableConcept={"text": "pain"})], None),
        ([_dosage(DAILY, asNeededBoolean=False)], 30),
    ],
)  # fmt: skip
def test_a_daily_dose_is_known_when_all_dosages_say_how_much_and_how_often(dosages: Any, a_day: float | None) -> None:
    assert _per_day({"dosageInstruction": dosages}, _milligrams) == (None if a_day is None else pytest.approx(a_day))


@pytest.mark.parametrize(("unit", "counts"), [("[iU]", True), ("{unit}", True), ("IU", True), ("{tbl}", False)])
def test_vitamin_d_in_international_units_counts(unit: str, counts: bool, knowledge: Any) -> None:
    a_day = _per_day({"dosageInstruction": [_dosage(DAILY, 4000, unit)]}, _units)
    vitamin_d = next(iter(knowledge.drug_classes["vitamin_d"].concepts))
    codes = (Match(vitamin_d, "", "", ""),)
    medicine = Medicine(reference="", title="cholecalciferol", codes=codes, active=True, units_per_day=a_day)
    assert ([c.id for c in knowledge.classes_of(medicine)] == ["vitamin_d"]) is counts
