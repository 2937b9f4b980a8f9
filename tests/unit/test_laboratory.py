"""How a laboratory value is shown, which one counts, and what is said of those that cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.clinical.analytes import newest_value
from cds_service.clinical.chart import Quantity
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
