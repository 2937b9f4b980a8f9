"""How statements of a record are weighed against each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cds_service.clinical.findings import Evidence, Finding, Statement, Window, settle
from cds_service.clinical.spans import Span
from cds_service.worked_examples import case_of
from tests.conftest import TODAY

LASTING, ACUTE = Window(lasting=True), Window(acute=True)


def said(name: str, days_ago: int | None, **more: Any) -> Statement:
    when = None if days_ago is None else Span.on(TODAY - timedelta(days=days_ago))
    return Statement(Evidence(name, name, when), when, **more)


def settled(present: list[Statement], absent: list[Statement], window: Window = Window(), **case: Any) -> Finding:
    return settle("any", present, absent, window, case_of([{"twitch": "40 days ago"}], **case))


@pytest.fixture
def content(knowledge: Any, reading: Any) -> dict[str, Any]:
    return {"knowledge": knowledge, "reading": reading}


def test_the_newest_evidence_stands_first(content: Any) -> None:
    three = [said("old", 30), said("new", 3), said("middle", 10)]
    for finding in (settled(three, [], **content), settled([], three, **content)):
        assert [evidence.reference for evidence in finding.evidence] == ["new", "middle", "old"]


@pytest.mark.parametrize(
    ("present", "absent", "window", "presence"),
    [
        ([], [], Window(), "unknown"),
        # Undated words can show presence, never absence.
        ([said("p", None)], [], Window(), "present"),
        ([], [said("a", None)], Window(), "unknown"),
        ([], [said("a", None, standing=True)], Window(), "absent"),
        ([said("p", None)], [said("a", 3)], Window(), "absent"),
        ([said("p", None, standing=True)], [said("a", 3)], Window(), "present"),
        # On one day presence counts.
        ([said("p", 3)], [said("a", 3)], Window(), "present"),
        ([said("p", 4)], [said("a", 3)], Window(), "absent"),
        ([said("p", 3)], [said("a", None, standing=True)], Window(), "present"),
        # How long each counts.
        ([said("p", 90)], [], Window(present=90), "present"),
        ([said("p", 91)], [], Window(present=90), "unknown"),
        ([said("p", 91, standing=True)], [], Window(present=90), "present"),
        ([], [said("a", 90)], Window(), "absent"),
        ([], [said("a", 91)], Window(), "unknown"),
        ([], [said("a", 900)], Window(absent=None), "absent"),
        # The twitching began 40 days ago.
        ([said("p", 70)], [], Window(before_onset=30), "present"),
        ([said("p", 71)], [], Window(before_onset=30), "unknown"),
        ([], [said("a", 40)], Window(absent_after_onset=True), "absent"),
        ([], [said("a", 41)], Window(absent_after_onset=True), "unknown"),
        # What is acute.
        ([said("p", 3)], [], ACUTE, "present"),
        ([said("p", 4)], [], ACUTE, "unknown"),
        ([said("p", None)], [], ACUTE, "unknown"),
        ([said("p", 7, this_encounter=True)], [], ACUTE, "present"),
        ([said("p", 8, this_encounter=True)], [], ACUTE, "unknown"),
        ([], [said("a", 3)], ACUTE, "absent"),
        ([], [said("a", 4)], ACUTE, "unknown"),
        # A lasting sign is not gone because one look the week after missed it.
        ([said("p", 20)], [said("a", 7)], LASTING, "present"),
        ([said("p", 20)], [said("a", 6)], LASTING, "absent"),
    ],
)
def test_what_is_said_last_counts_as_long_as_it_is_valid(
    present: list[Statement], absent: list[Statement], window: Window, presence: str, content: Any
) -> None:
    assert settled(present, absent, window, **content).presence.value == presence


def test_presence_that_no_longer_counts_speaks_against(content: Any) -> None:
    finding = settled([said("p", 91)], [said("a", 3)], Window(present=90), **content)
    assert [e.reference for e in (*finding.against, *finding.denied)] == ["p", "a"]
