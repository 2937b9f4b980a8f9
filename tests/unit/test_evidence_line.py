"""What a line of a card tells of one item of the record."""

from __future__ import annotations

import pytest

from cds_service.clinical.findings import Evidence
from cds_service.response.detail import _evidence


@pytest.mark.parametrize(
    ("finding", "title", "value", "told"),
    [
        # The end of another word, or a part of a name, is not the answer.
        ("unsteady gait", "Gait abnormal", "normal", "Gait abnormal normal, undated"),
        ("EMG", "EMG result normal/abnormal", "normal", "EMG result normal/abnormal normal, undated"),
        ("EMG", "EMG result normal/abnormal", "abnormal", "EMG result normal/abnormal abnormal, undated"),
        ("EMG", "Is the EMG normal or abnormal", "abnormal", "Is the EMG normal or abnormal abnormal, undated"),
        ("reduced power", "Power at C5", "5", "Power at C5 5, undated"),
        ("stroke risk", "CHA2DS2-VASc score", "2", "CHA2DS2-VASc score 2, undated"),
        ("vitamin B12", "Vitamin B12 level", "12", "Vitamin B12 level 12, undated"),
        ("an EMG that is only called abnormal", "Study", "abnormal", "Study abnormal, undated"),
        ("slurred speech", "Dysarthria", "no", "Dysarthria no, undated"),
        ("grip, 4 of 5", "Grip", "5", "Grip 5, undated"),
        # What is told already is not told twice.
        ("unsteady gait", "Gait abnormal", "abnormal", "Gait abnormal, undated"),
        ("twitching", "R25.3", "R25.3", "R25.3, undated"),
        ("Potassium 2.8 mmol/L", "Potassium", "2.8 mmol/L", "undated"),
        ("INR 5", "INR", "5", "undated"),
        ("age 50 years", "birth date", "50 years", "birth date, undated"),
        ("unsteady gait", "Unsteady", "", "Unsteady, undated"),
    ],
)
def test_an_answer_stands_beside_its_question(finding: str, title: str, value: str, told: str) -> None:
    assert _evidence(Evidence("", title, None, value), finding).replace("\\", "") == told
