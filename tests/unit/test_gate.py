"""How long twitching has lasted, as the least and the most number of days that a record allows."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.worked_examples import case_of

CHARTED = {"problem": "R25.3", "recorded": "3 days ago"}
NO_END = float("inf")


def form(ago: int, on: str) -> dict[str, Any]:
    return {"answers": {"onset.ago": ago}, "on": on}


@pytest.mark.parametrize(
    ("record", "least", "most"),
    [
        ([{"twitch": "40 days ago"}], 40, 40),
        ([{"twitch": "2026-04"}], 46, 75),
        ([{"twitch": "2026-06"}], 0, 14),
        ([CHARTED, form(0, "3 days ago")], 3, 16),
        ([CHARTED, form(14, "3 days ago")], 17, 30),
        ([CHARTED, form(28, "3 days ago")], 31, 86),
        ([CHARTED, form(84, "3 days ago")], 87, NO_END),
        ([CHARTED], 3, NO_END),
        ([CHARTED, {"symptom": "fasciculation", "value": "yes", "on": "20 days ago"}], 20, NO_END),
    ],
)
def test_the_days_since_onset(record: list[Any], least: float, most: float, knowledge: Any, reading: Any) -> None:
    value = case_of(record, knowledge, reading)["duration_days"].value
    assert value is not None and (value.low, value.high) == (least, most)
