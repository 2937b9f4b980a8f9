"""The time link of a medicine to the twitching, in the words that a reader sees."""

from __future__ import annotations

from typing import Any

import pytest

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
