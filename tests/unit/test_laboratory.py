"""How a laboratory value is shown, which one counts, and what is said of those that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cds_service.clinical.analytes import band, every_value, is_child, newest_value, still_counts, window
from cds_service.clinical.chart import Quantity, Result
from cds_service.clinical.formula import compile_formula
from cds_service.response.fill import danger
from cds_service.worked_examples import case_of

INFINITE = float("inf")


@pytest.mark.parametrize(
    ("analyte", "low", "high", "shown"),
    [
        ("K", 3.4, 3.4, "3.4 mmol/L (3.4 meq/L)"),
        ("Na", 129.0, 129.0, "129 mmol/L (129.0 meq/L)"),
        ("CaTotal", 2.0, 2.0, "2.00 mmol/L (8.0 mg/dL)"),
        ("HbA1c", 48.0, 48.0, "48 mmol/mol (6.5 %)"),
        ("CKxULN", 3.0, 3.0, "3.0 times"),
        ("TSH", -INFINITE, 0.01, "below 0.01 mIU/L (reported as it was)"),
        ("K", 6.0, INFINITE, "above 6.0 mmol/L (reported as it was)"),
    ],
)
def test_a_value_is_shown_in_both_units(analyte: str, low: float, high: float, shown: str, knowledge: Any) -> None:
    row = knowledge.analytes[analyte]
    assert row.shown(Quantity(low, high, row.unit, "it was")) == shown


def potassium(value: Any, on: str, **more: Any) -> dict[str, Any]:
    return {"lab": "potassium", "value": value, "unit": "mmol/L", "on": on, **more}


@pytest.mark.parametrize(
    ("results", "value"),
    [
        ([potassium(4.1, "2 days ago"), potassium(3.4, "3 days ago")], 4.1),
        ([potassium(4.1, "2 days ago"), potassium(3.4, "2 days ago")], 3.4),
        ([potassium(5.8, "2 days ago"), potassium(3.4, "2 days ago")], 3.4),
        ([potassium(5.8, "2 days ago"), potassium(2.4, "2 days ago"), potassium(6.6, "2 days ago")], 2.4),
        ([potassium(5.8, "2 days ago"), potassium(4.1, "2 days ago")], 5.8),
        ([potassium(4.1, "2 days ago"), potassium(3.4, "1 day ago", status="preliminary")], 4.1),
        ([potassium(4.1, "2 days ago"), potassium(3.4, "1 day ago", unit="grains")], 4.1),
        ([potassium(4.1, "2 days ago"), potassium(3.4, "unknown")], 4.1),
    ],
)
def test_the_newest_value_counts_and_of_one_day_the_gravest(
    results: list[dict[str, Any]], value: float, knowledge: Any, reading: Any
) -> None:
    lab = newest_value(knowledge.analytes["K"], case_of(results, knowledge, reading))
    assert lab is not None and lab.value.low == value


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (potassium(3.4, "30 days ago", unit="grains"), "the unit is missing or unknown"),
        (potassium(3.4, "31 days ago", unit="grains"), None),
        (potassium(3.4, "today"), None),
        (potassium(2.1, "today", status="preliminary", flag="LL"), "not final yet"),
        (potassium(2.1, "31 days ago", status="preliminary", flag="LL"), None),
        (potassium(42, "today"), "no possible value in this unit"),
        (potassium(0, "today"), "no possible value in this unit"),
        (potassium("<0.5", "today"), "no possible value in this unit"),
        (potassium("<3.0", "today"), None),
        (potassium(None, "today"), None),
        ({"lab": "egfr", "value": 28, "unit": "grains", "on": "14 days ago"}, "the unit is missing or unknown"),
        ({"lab": "egfr", "value": -28, "unit": "mL/min/{1.73_m2}", "on": "today"}, "no possible value in this unit"),
    ],
)
def test_a_recent_value_that_takes_part_in_nothing_is_named_with_the_reason(
    result: dict[str, Any], why: str | None, knowledge: Any, reading: Any
) -> None:
    case = case_of([result], knowledge, reading)
    assert [reason.startswith(why or "-") for _, reason in case.uncounted] == [True] * (why is not None)
    assert all(evidence.value and evidence.title for evidence, _ in case.uncounted)
    assert not case["critical_lab"].present


@pytest.mark.parametrize(
    ("moments", "value"),
    [
        (("2026-06-13T23:30:00-05:00", "2026-06-14T01:00:00Z"), 2.4),  # written a day earlier, and 3.5 hours later
        (("2026-06-13T19:30:00-05:00", "2026-06-14T01:00:00Z"), 4.2),
        (("2026-06-13", "2026-06-14T01:00:00Z"), 4.2),
        (("2026-06-13T23:30:00-05:00", "2026-06-14"), 4.2),
        (("2026-06-13T23:30:00", "2026-06-14T01:00:00"), 4.2),
        (("2026-06-14", "2026-06-14T01:00:00Z"), 2.4),
    ],
)
def test_a_later_moment_that_was_written_as_an_earlier_day_counts_with_the_last_one(
    moments: tuple[str, str], value: float, knowledge: Any, reading: Any
) -> None:
    results = [potassium(value, on) for on, value in zip(moments, (2.4, 4.2), strict=True)]
    lab = newest_value(knowledge.analytes["K"], case_of(results, knowledge, reading))
    assert lab is not None and lab.value.low == value


def test_a_spoiled_sample_is_said_beside_the_value(knowledge: Any, reading: Any) -> None:
    case = case_of([potassium(5.9, "today", note="haemolysed")], knowledge, reading)
    assert case["K"].evidence[0].value == "5.9 mmol/L (5.9 meq/L); sample noted as haemolysed: repeat at once"


@pytest.mark.parametrize(
    ("calcium", "albumin", "adjusted"),
    [
        (2.05, 30, 2.25),
        (2.05, 20, 2.45),
        (2.05, 19, None),
        (2.05, "<30", None),
        (2.05, ">30", None),
        (">2.05", 30, None),
        (2.3, 45, 2.2),
    ],
)
def test_calcium_is_adjusted_by_exact_values_only(
    calcium: Any, albumin: Any, adjusted: float | None, knowledge: Any, reading: Any
) -> None:
    record = [
        {"lab": "calcium_total", "value": calcium, "unit": "mmol/L", "on": "2 days ago"},
        {"lab": "albumin", "value": albumin, "unit": "g/L", "on": "2 days ago"},
    ]
    lab = newest_value(knowledge.analytes["CaCorr"], case_of(record, knowledge, reading))
    assert (lab and round(lab.value.low, 3)) == adjusted


@pytest.mark.parametrize(("egfr", "adjusted"), [(15, True), (14, False)])
def test_calcium_is_not_adjusted_in_kidney_failure(egfr: int, adjusted: bool, knowledge: Any, reading: Any) -> None:
    record = [
        {"lab": "calcium_total", "value": 2.05, "unit": "mmol/L", "on": "2 days ago"},
        {"lab": "albumin", "value": 30, "unit": "g/L", "on": "2 days ago"},
        {"lab": "egfr", "value": egfr, "unit": "mL/min/1.73m2", "on": "2 days ago"},
    ]
    lab = newest_value(knowledge.analytes["CaCorr"], case_of(record, knowledge, reading))
    assert (lab is not None) is adjusted


@pytest.mark.parametrize(
    ("result", "adult", "child"),
    [
        (potassium(2.5, "today"), "critical_low", "normal"),
        (potassium(2.6, "today"), "low", "normal"),
        (potassium(3.5, "today"), "normal", "normal"),
        (potassium(5.1, "today"), "borderline_high", "normal"),
        (potassium(5.6, "today"), "high", "normal"),
        (potassium(6.5, "today"), "critical_high", "normal"),
        # The laboratory's own range and flags come first.
        (potassium(3.4, "today", range=[3.3, 5.0]), "normal", "normal"),
        (potassium(3.3, "today", range=[3.3, 5.0]), "normal", "normal"),
        (potassium(3.2, "today", range=[3.3, 5.0]), "low", "low"),
        (potassium(5.6, "today", range=[3.5, 5.6]), "normal", "normal"),
        (potassium(5.7, "today", range=[3.5, 5.6]), "high", "high"),
        (potassium(3.6, "today", range=[3.7, 5.0]), "borderline_low", "low"),
        (potassium(4.9, "today", range=[3.7, 4.8]), "borderline_high", "high"),
        (potassium(3.4, "today", flag="N"), "borderline_low", "normal"),
        (potassium(5.6, "today", flag="N"), "borderline_high", "normal"),
        (potassium(4.0, "today", flag="LL"), "critical_low", "critical_low"),
        (potassium(4.0, "today", flag="HH"), "critical_high", "critical_high"),
        (potassium(4.0, "today", flag="L"), "normal", "low"),
        (potassium(4.0, "today", flag="H"), "normal", "high"),
        # One end of a range speaks for its side only.
        (potassium(3.4, "today", range=[3.3, None]), "low", "normal"),
        (potassium(5.6, "today", range=[None, 5.8]), "high", "normal"),
        (potassium(3.2, "today", range=[3.3, None]), "low", "low"),
        (potassium(5.9, "today", range=[None, 5.8]), "high", "high"),
        (potassium(3.4, "today", range=[3.5, None], flag="N"), "borderline_low", "low"),
        # A bound is beyond a limit only as a whole.
        (potassium("<2.5", "today"), "critical_low", "normal"),
        (potassium("<3.5", "today"), "normal", "normal"),
        (potassium("<3.4", "today"), "low", "normal"),
        (potassium(">5.5", "today"), "borderline_high", "normal"),
        (potassium(">6.5", "today"), "critical_high", "normal"),
    ],
)
def test_the_band_of_a_value(result: dict[str, Any], adult: str, child: str, knowledge: Any, reading: Any) -> None:
    lab = newest_value(knowledge.analytes["K"], case_of([result], knowledge, reading))
    assert lab is not None
    assert (band(lab, child=False), band(lab, child=True)) == (adult, child)


@pytest.mark.parametrize(
    ("age", "child"), [(17, True), (18, False), ("born 2008", False), ("born 2009", True), ("unknown", False)]
)
def test_who_is_a_child(age: Any, child: bool, knowledge: Any, reading: Any) -> None:
    assert is_child(case_of([{"patient": {"age": age}}], knowledge, reading)) is child


@pytest.mark.parametrize(
    ("result", "low", "high"),
    [
        (potassium(3.4, "today"), "present", "absent"),
        (potassium(2.4, "today"), "present", "absent"),
        (potassium(3.5, "today"), "absent", "absent"),
        (potassium(5.6, "today"), "absent", "present"),
        (potassium(6.6, "today"), "absent", "present"),
        (potassium(5.6, "today", note="haemolysed"), "absent", "unknown"),
        (potassium(3.4, "today", note="haemolysed"), "present", "absent"),
        (potassium("<4.0", "today"), "unknown", "absent"),
        (potassium(">4.0", "today"), "absent", "unknown"),
        (potassium("<3.4", "today"), "present", "absent"),
        (potassium(3.4, "31 days ago"), "unknown", "unknown"),
        (potassium(3.4, "30 days ago"), "present", "absent"),
    ],
)
def test_low_and_high(result: dict[str, Any], low: str, high: str, knowledge: Any, reading: Any) -> None:
    case = case_of([result], knowledge, reading)
    assert (case["low_K"].presence.value, case["high_K"].presence.value) == (low, high)
    for finding in (case["low_K"], case["high_K"]):
        cites = finding.evidence if finding.presence.value != "unknown" else finding.against
        assert bool(cites) is not (low == high == "unknown")
        assert (finding.value is None) is (finding.presence.value == "unknown")


@pytest.mark.parametrize(
    ("record", "valid"),
    [
        ([potassium(4.1, "30 days ago")], "present"),
        ([potassium(4.1, "31 days ago")], "absent"),
        ([potassium(4.1, "10 days ago"), {"medicine": "med_thiazide"}], "absent"),
        ([potassium(4.1, "7 days ago"), {"medicine": "med_thiazide", "since": "900 days ago"}], "present"),
        ([potassium(4.1, "8 days ago"), {"medicine": "med_thiazide", "since": "900 days ago"}], "absent"),
        ([potassium(4.1, "5 days ago"), {"medicine": "med_thiazide", "since": "5 days ago"}], "present"),
        ([potassium(4.1, "5 days ago"), {"medicine": "med_thiazide", "since": "4 days ago"}], "absent"),
        ([potassium(4.1, "5 days ago"), {"medicine": "med_ssri", "since": "4 days ago"}], "present"),
        ([potassium(4.1, "5 days ago"), {"exam": "muscle_weakness", "value": "yes", "on": "4 days ago"}], "absent"),
        ([potassium(4.1, "5 days ago"), {"exam": "muscle_weakness", "value": "yes", "on": "5 days ago"}], "present"),
        ([potassium(4.1, "5 days ago"), {"exam": "muscle_weakness", "value": "no", "on": "4 days ago"}], "present"),
        ([{"unanswered": ["labs"]}], "unknown"),
        ([], "absent"),
    ],
)
def test_how_long_a_result_counts(record: list[Any], valid: str, knowledge: Any, reading: Any) -> None:
    finding = case_of([{"twitch": "60 days ago"}, *record], knowledge, reading)["valid_K"]
    assert finding.presence.value == valid
    measured = any("lab" in sketch for sketch in record)
    assert bool(finding.evidence) is (valid == "present")
    assert bool(finding.against) is (measured and valid != "present")


@pytest.mark.parametrize(
    ("twitch", "on", "valid"),
    [
        ({"twitch": "20 days ago"}, "20 days ago", True),
        ({"twitch": "20 days ago"}, "21 days ago", False),
        # Without an onset for half as long.
        ({"problem": "R25.3"}, "15 days ago", True),
        ({"problem": "R25.3"}, "16 days ago", False),
    ],
)
def test_a_result_counts_from_the_beginning_of_the_twitching(
    twitch: dict[str, Any], on: str, valid: bool, knowledge: Any, reading: Any
) -> None:
    assert case_of([twitch, potassium(4.1, on)], knowledge, reading)["valid_K"].present is valid


def calcium(name: str, value: float, on: str, unit: str = "mmol/L") -> dict[str, Any]:
    return {"lab": name, "value": value, "unit": unit, "on": on}


@pytest.mark.parametrize(
    ("record", "value", "place"),
    [
        # The albumin that was drawn nearest, at most a day apart.
        ([calcium("calcium_total", 2.05, "9 days ago"), calcium("albumin", 30, "8 days ago", "g/L")], 2.25, "1"),
        ([calcium("calcium_total", 2.05, "9 days ago"), calcium("albumin", 30, "10 days ago", "g/L")], 2.25, "1"),
        ([calcium("calcium_total", 2.05, "9 days ago"), calcium("albumin", 30, "12 days ago", "g/L")], None, ""),
        ([calcium("calcium_total", 2.05, "9 days ago"), calcium("albumin", 30, "6 days ago", "g/L")], None, ""),
        ([calcium("calcium_total", 2.05, "9 days ago"), calcium("albumin", 40, "9 days ago", "g/L"),
          calcium("albumin", 30, "8 days ago", "g/L")], 2.05, "1"),
        ([calcium("calcium_total", 2.05, "9 days ago"), calcium("albumin", 30, "8 days ago", "g/L"),
          calcium("albumin", 40, "9 days ago", "g/L")], 2.05, "1"),
        # The newest pair, or what the laboratory has adjusted itself.
        ([calcium("calcium_total", 2.05, "9 days ago"), calcium("albumin", 30, "9 days ago", "g/L"),
          calcium("calcium_total", 2.15, "3 days ago"), calcium("albumin", 30, "3 days ago", "g/L")], 2.35, "3"),
        ([calcium("calcium_corrected", 2.4, "9 days ago"), calcium("calcium_total", 2.15, "3 days ago"),
          calcium("albumin", 30, "3 days ago", "g/L")], 2.35, "2"),
        ([calcium("calcium_corrected", 2.4, "2 days ago"), calcium("calcium_total", 2.15, "3 days ago"),
          calcium("albumin", 30, "3 days ago", "g/L")], 2.4, "1"),
    ],
)  # fmt: skip
def test_which_calcium_is_adjusted(
    record: list[Any], value: float | None, place: str, knowledge: Any, reading: Any
) -> None:
    lab = newest_value(knowledge.analytes["CaCorr"], case_of(record, knowledge, reading))
    assert (lab and round(lab.value.low, 3)) == value
    assert lab is None or lab.evidence.reference.endswith(f"-{place}")


@pytest.mark.parametrize(
    ("record", "valid", "places"),
    [
        ([calcium("calcium_ionized", 1.2, "3 days ago")], "present", ["2"]),
        ([calcium("calcium_total", 2.3, "3 days ago")], "present", ["2"]),
        ([calcium("calcium_total", 2.3, "3 days ago"), {"problem": "cirrhosis"}], "absent", []),
        ([calcium("calcium_total", 2.3, "900 days ago")], "absent", []),
        ([{"unanswered": ["labs"]}], "unknown", []),
    ],
)
def test_one_of_several_results_is_enough(
    record: list[Any], valid: str, places: list[str], knowledge: Any, reading: Any
) -> None:
    finding = case_of([{"twitch": "60 days ago"}, *record], knowledge, reading)["valid_Ca"]
    assert finding.presence.value == valid
    assert [e.reference.rpartition("-")[2] for e in finding.evidence] == places
    assert bool(finding.against) is (valid == "absent")


@pytest.mark.parametrize(
    ("value", "limits", "ratio"),
    [(600, [30, 200], (3.0, 3.0)), (600, [30, None], None), (600, None, None), ("<100", [30, 200], (-INFINITE, 0.5)),
     (600, [30, 0], None)],
)  # fmt: skip
def test_a_multiple_of_the_laboratorys_own_limit(
    value: Any, limits: Any, ratio: Any, knowledge: Any, reading: Any
) -> None:
    ck = {"lab": "ck", "value": value, "unit": "U/L", "on": "today", **({"range": limits} if limits else {})}
    case = case_of([ck], knowledge, reading)
    row = knowledge.analytes["CKxULN"]
    for lab in (newest_value(row, case), next(iter(every_value(row, case)), None)):
        assert (lab and (lab.value.low, lab.value.high)) == ratio


def test_the_newest_value_alone_is_measured_against_its_own_limit(knowledge: Any, reading: Any) -> None:
    first = {"lab": "ck", "value": 600, "unit": "U/L", "on": "9 days ago", "range": [30, 200]}
    case = case_of([first, {**first, "value": 150, "on": "2 days ago"}], knowledge, reading)
    lab = newest_value(knowledge.analytes["CKxULN"], case)
    assert lab is not None and lab.value.low == 0.75
    assert len(every_value(knowledge.analytes["CKxULN"], case)) == 2


@pytest.mark.parametrize(
    ("value", "unit", "read"),
    [
        (1.7, "mg/dL", 0.7),
        (1.71, "mg/dL", 0.7035),
        (0.7005, "mmol/L", 0.7005),
        (1.0, "mg/dL", 0.4114),
        (0.02, "g/L", None),
    ],
)
def test_a_converted_value_beside_a_limit_is_the_limit(
    value: float, unit: str, read: float | None, knowledge: Any, reading: Any
) -> None:
    record = [{"lab": "magnesium", "value": value, "unit": unit, "on": "today"}]
    lab = newest_value(knowledge.analytes["Mg"], case_of(record, knowledge, reading))
    assert (lab and round(lab.value.low, 4)) == read


def test_the_laboratorys_range_is_read_in_the_same_unit(knowledge: Any, reading: Any) -> None:
    record = [{"lab": "magnesium", "value": 1.5, "unit": "mg/dL", "on": "today", "range": [1.4, 2.0]}]
    lab = newest_value(knowledge.analytes["Mg"], case_of(record, knowledge, reading))
    assert lab is not None and (round(lab.low or 0, 3), round(lab.high or 0, 3)) == (0.576, 0.823)
    assert band(lab, child=False) == "normal"


@pytest.mark.parametrize(("on", "value"), [("30 days ago", 4.1), ("31 days ago", None)])
def test_a_value_is_compared_while_it_is_recent(on: str, value: float | None, knowledge: Any, reading: Any) -> None:
    finding = case_of([potassium(4.1, on)], knowledge, reading)["K"]
    assert (finding.value and finding.value.low) == value
    assert len(finding.evidence if value else finding.against) == 1


def test_the_shortest_look_back_counts(knowledge: Any, reading: Any) -> None:
    holds, fails = compile_formula("twitch_current"), compile_formula("babinski")
    case = case_of([{"twitch": "60 days ago"}], knowledge, reading)
    for shorter, days in (
        ((), 30), (((holds, 20), (holds, 7)), 7), (((holds, 7), (holds, 20)), 7), (((holds, 60),), 30),
        (((fails, 7),), 30), (((holds, 0),), 0),
    ):  # fmt: skip
        assert window(replace(knowledge.analytes["K"], shorter=shorter), case) == days


@pytest.mark.parametrize(("on", "counts"), [("today", True), ("1 day ago", False), ("2026-06", False)])
def test_a_look_back_of_no_days_is_today(on: str, counts: bool, knowledge: Any, reading: Any) -> None:
    case = case_of([{"twitch": "60 days ago"}, potassium(4.1, on)], knowledge, reading)
    lab = newest_value(knowledge.analytes["K"], case)
    assert lab is not None
    assert still_counts(replace(lab, analyte=replace(lab.analyte, look_back=0)), case) is counts


@pytest.mark.parametrize(
    ("results", "presence"),
    [
        ([potassium(23, "today", flag="HH")], "present"),
        ([potassium(23, "today", flag="HH", status="preliminary")], "present"),
        ([potassium(23, "today", flag="H")], "unknown"),
        ([potassium(23, "15 days ago", flag="HH")], "unknown"),
        ([potassium(23, "today", flag="HH", unit="grains")], "unknown"),
        ([potassium(23, "2 days ago", flag="HH"), potassium(4.1, "2 days ago")], "unknown"),
        ([potassium(23, "1 day ago", flag="HH"), potassium(4.1, "2 days ago")], "present"),
        ([potassium(2.3, "14 days ago", status="preliminary")], "present"),
        ([potassium(2.3, "15 days ago", status="preliminary")], "unknown"),
    ],
)
def test_a_critical_value_that_cannot_be_read_as_a_result_is_not_lost(
    results: list[dict[str, Any]], presence: str, knowledge: Any, reading: Any
) -> None:
    assert case_of(results, knowledge, reading)["critical_preliminary"].presence.value == presence


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ({"potassium": 3.2, "magnesium": 0.45}, ["Mg", "K"]),  # more than half way to its critical limit
        ({"potassium": 3.2, "magnesium": 0.60}, ["K", "Mg"]),
        ({"potassium": 2.9, "magnesium": 0.45}, ["K", "Mg"]),
        ({"potassium": 2.4, "magnesium": 0.45}, ["K", "Mg"]),
    ],
)
def test_of_several_results_the_one_nearest_to_danger_is_named_first(
    values: dict[str, float], order: list[str], knowledge: Any, reading: Any
) -> None:
    given = [{"lab": name, "value": value, "unit": "mmol/L", "on": "today"} for name, value in values.items()]
    bands = case_of(given, knowledge, reading).bands
    assert [lab.analyte.id for lab, _ in sorted((bands[n] for n in ("K", "Mg")), key=danger)] == order


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_total_calcium_of_the_first_or_the_last_of_all_days_is_adjusted_by_none(
    day: str, knowledge: Any, reading: Any
) -> None:
    results = [{"lab": "calcium_total", "value": 2.0, "unit": "mmol/L", "on": day},
               {"lab": "albumin", "value": 30, "unit": "g/L", "on": "today"}]  # fmt: skip
    assert newest_value(knowledge.analytes["CaCorr"], case_of(results, knowledge, reading)) is None


FLAGGED_TEXT = {"lab": "potassium", "value": "6.9", "on": "2 days ago", "flag": "HH"}


@pytest.mark.parametrize(
    ("results", "titles"),
    [
        ([{"lab": "2744-1", "value": 7.62, "on": "today", "flag": "HH"}], 1),
        ([{"lab": "digoxin", "value": 3.1, "unit": "ug/L", "on": "today", "flag": "HH"}], 1),  # no code at all
        ([{"lab": "2744-1", "value": 7.62, "on": "today", "flag": "H"}], 0),
        ([{"lab": "2744-1", "value": 7.62, "on": "15 days ago", "flag": "HH"}], 0),
        ([potassium(2.6, "today", unit="", flag="LL")], 1),
        ([potassium(2.6, "today", unit="", flag="LL"), potassium(4.1, "today")], 0),
        ([potassium(2.6, "today", unit="", flag="LL"), potassium(4.1, "1 day ago")], 1),
        ([potassium(2.6, "today", flag="LL")], 0),
        ([potassium(26.0, "today", flag="HH")], 0),  # impossible: critical_preliminary speaks of it
        (
            [
                {"lab": "4049-3", "value": 32, "unit": "ug/mL", "on": "2 days ago", "flag": "HH"},
                {"lab": "4049-3", "value": 14, "unit": "ug/mL", "on": "today"},
            ],
            0,
        ),
        ([FLAGGED_TEXT, {"lab": "potassium", "value": "sample haemolysed, not measured", "on": "1 day ago"}], 1),
        ([FLAGGED_TEXT, {"lab": "potassium", "value": "6.8", "on": "1 day ago"}], 1),
        ([FLAGGED_TEXT, potassium(4.1, "1 day ago", unit="", status="preliminary")], 1),
        ([FLAGGED_TEXT, potassium(4.1, "1 day ago", unit="")], 0),
    ],
)
def test_a_critical_flag_on_what_nothing_compares_is_found(
    results: list[dict[str, Any]], titles: int, knowledge: Any, reading: Any
) -> None:
    found = case_of(results, knowledge, reading)["critical_unread"]
    assert found.present is (titles > 0)
    assert len(found.evidence) == titles


def test_of_many_critical_flags_a_few_are_named_and_each_test_first(knowledge: Any, reading: Any) -> None:
    often = {"lab": "2744-1", "value": 7.62, "on": "today", "flag": "HH"}
    once = {"lab": "4049-3", "value": 32, "unit": "ug/mL", "on": "3 days ago", "flag": "HH"}
    found = case_of([once, *[often] * 40], knowledge, reading)["critical_unread"]
    assert len(found.evidence) == 10
    assert found.evidence[1].value == "32 ug/mL flagged critical by the laboratory"


def test_flagged_results_are_not_compared_with_each_other(
    knowledge: Any, reading: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[Any] = []
    case = case_of([{"lab": "2744-1", "value": 7.62, "on": "today", "flag": "HH"}] * 60, knowledge, reading)
    last_day = Result.last_day.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Result, "last_day", property(lambda one: looked_at.append(one) or last_day(one)))
    assert case["critical_unread"].present
    assert len(looked_at) < 10 * 60
