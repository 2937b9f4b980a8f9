"""How statements of a record are weighed against each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cds_service.clinical.chart import Site
from cds_service.clinical.findings import Evidence, Finding, Statement, Window, merged, renamed, settle
from cds_service.clinical.presence import ABSENT, PRESENT
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


def over(name: str, first: int, last: int, **more: Any) -> Statement:
    """A statement of some day between two days ago."""
    when = Span(TODAY - timedelta(days=first), TODAY - timedelta(days=last))
    return Statement(Evidence(name, name, when), when, **more)


def at(*regions: str) -> dict[str, Any]:
    return {"sites": tuple(Site(region, "", region) for region in regions)}


@pytest.mark.parametrize(
    ("present", "absent", "window", "presence"),
    [
        # A month or a year takes back only what may not be later than it.
        ([said("p", 20)], [over("a", 30, 5)], Window(), "present"),
        ([said("p", 30)], [over("a", 30, 5)], Window(), "absent"),
        ([said("p", 31)], [over("a", 30, 5)], Window(), "absent"),
        ([over("p", 30, 5)], [said("a", 5)], Window(), "present"),
        ([over("p", 30, 5)], [said("a", 4)], Window(), "absent"),
        # It may lie inside the window, or not.
        ([over("p", 100, 80)], [], Window(present=90), "present"),
        ([over("p", 100, 91)], [], Window(present=90), "unknown"),
        ([], [over("a", 91, 80)], Window(), "unknown"),
        ([], [over("a", 90, 80)], Window(), "absent"),
        ([over("p", 80, 70)], [], Window(before_onset=30), "present"),
        ([over("p", 80, 71)], [], Window(before_onset=30), "unknown"),
        ([], [over("a", 41, 30)], Window(absent_after_onset=True), "unknown"),
        ([over("p", 4, 2)], [], ACUTE, "unknown"),
        ([over("p", 8, 2, this_encounter=True)], [], ACUTE, "unknown"),
        ([over("p", 7, 2, this_encounter=True)], [], ACUTE, "present"),
        # A lasting sign is taken back where it was looked for again.
        ([said("p", 20, **at("leg"))], [said("a", 6, **at("leg"))], LASTING, "absent"),
        ([said("p", 20, **at("leg"))], [said("a", 6, **at("leg", "arm"))], LASTING, "absent"),
        ([said("p", 20, **at("leg", "arm"))], [said("a", 6, **at("leg"))], LASTING, "present"),
        ([said("p", 20, **at("leg"))], [said("a", 6, **at("arm"))], LASTING, "present"),
        ([said("p", 20, **at("leg"))], [said("a", 6)], LASTING, "absent"),
        ([said("p", 20)], [said("a", 6, **at("arm"))], LASTING, "absent"),
        ([said("p", 30, **at("arm")), said("q", 20, **at("leg"))], [said("a", 6, **at("leg"))], LASTING, "present"),
        # The newest of each side counts.
        ([said("p", 30), said("q", 3)], [said("a", 5)], Window(), "present"),
        ([said("p", 30), said("q", 7)], [said("a", 5), said("b", 20)], Window(), "absent"),
        # Undated words beside dated ones.
        ([said("p", None), said("q", 20)], [said("a", 5)], Window(), "absent"),
        ([said("p", None, standing=True), said("q", 20)], [said("a", 25)], Window(), "present"),
    ],
)
def test_partial_dates_places_and_several_statements(
    present: list[Statement], absent: list[Statement], window: Window, presence: str, content: Any
) -> None:
    assert settled(present, absent, window, **content).presence.value == presence


def test_what_each_verdict_carries(content: Any) -> None:
    old, new = said("old", 120, **at("arm")), said("new", 5, **at("leg", "leg"))
    seen = settled(
        [old, said("mid", 50, **at("leg")), new, new],
        [said("no", 9), said("never", 400)],
        Window(present=90),
        **content,
    )
    assert [e.reference for e in seen.evidence] == ["new", "mid"]
    assert [e.reference for e in seen.against] == ["old"]
    assert [e.reference for e in seen.denied] == ["no", "never"]
    assert [site.region for site in seen.sites] == ["leg"]
    gone = settled([old, said("mid", 50)], [said("no", 9), said("no more", 3)], Window(present=90), **content)
    assert [e.reference for e in gone.evidence] == ["no more", "no"]
    assert [e.reference for e in gone.against] == ["old", "mid"]
    assert [e.reference for e in gone.denied] == ["no", "no more"]
    open_ = settled([old], [said("long ago", 400)], Window(present=90), **content)
    assert [e.reference for e in (*open_.against, *open_.denied)] == ["old", "long ago"]
    assert not open_.evidence


def test_of_one_day_the_order_of_the_record_decides_nothing(content: Any) -> None:
    a, b = said("a", 3), said("b", 3)
    for statements in ([a, b], [b, a]):
        assert [e.reference for e in settled(statements, [], **content).evidence] == ["b", "a"]


def test_the_newest_evidence_of_a_finding(content: Any) -> None:
    finding = settled([said("p", 30), over("q", 90, 2), said("r", None)], [], **content)
    assert finding.newest == over("q", 90, 2).when
    assert Finding("any", finding.presence, (said("r", None).evidence,)).newest is None


def test_parts_are_joined_each_once() -> None:
    a, b, c = (said(name, 3, **at(name)) for name in "abc")
    one = Finding("1", PRESENT, (a.evidence, b.evidence), sites=(*a.sites, *b.sites))
    two = Finding("2", PRESENT, (b.evidence, c.evidence), sites=(*b.sites, *c.sites))
    for parts, names in (([one, two], "abc"), ([one, one], "ab"), ([one], "ab"), ([], "")):
        joined = merged("any", ABSENT, parts)
        assert joined.presence is ABSENT
        assert [e.reference for e in joined.evidence] == [site.region for site in joined.sites] == list(names)
    assert renamed(one, "3") == Finding("3", PRESENT, one.evidence, sites=one.sites)


@pytest.mark.parametrize(
    ("sketch", "finding", "speaks"),
    [
        # Where a code says what an entry is, its words count only for findings that have no code.
        ({"problem": "I63.9", "text": "stroke with muscle wasting", "onset": "5 days ago"}, "atrophy", False),
        ({"problem": "stroke with muscle wasting", "onset": "5 days ago"}, "atrophy", True),
        # What a report names is neither a complaint nor a sign.
        ({"report": "emg_study", "says": "muscle wasting"}, "atrophy", False),
        ({"exam": "neurological examination", "value": "muscle wasting"}, "atrophy", True),
    ],
)
def test_whose_words_may_speak(sketch: dict[str, Any], finding: str, speaks: bool, content: Any) -> None:
    assert (finding in case_of([sketch], **content).heard) is speaks
