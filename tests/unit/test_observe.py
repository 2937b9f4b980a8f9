"""What each observer takes for evidence: on both sides of every limit, and of everything it may leave aside."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.clinical.chart import (
    Allergy,
    Appointment,
    Chart,
    Device,
    Match,
    Medicine,
    Order,
    Patient,
    Problem,
    Procedure,
    Quantity,
    Relative,
    Report,
    Result,
    State,
    Visit,
)
from cds_service.clinical.findings import Case
from cds_service.clinical.observe import compile_observer
from cds_service.clinical.spans import Span
from cds_service.worked_examples import case_of
from tests.conftest import TODAY

Record = list[dict[str, Any]]
TWITCH = {"twitch": "40 days ago"}


def observed(spec: dict[str, Any], record: Record, knowledge: Any, reading: Any, denies: bool = False) -> list[Any]:
    return list(compile_observer(spec, denies)(case_of(record, knowledge, reading)))


def stroke(**more: Any) -> dict[str, Any]:
    return {"problem": "stroke", "onset": "50 days ago", **more}


@pytest.mark.parametrize(
    ("spec", "record", "found"),
    [
        ({}, [stroke()], True),
        ({}, [stroke(status="resolved")], False),
        ({}, [stroke(verification="refuted")], False),
        ({"state": "ended"}, [stroke(status="resolved")], True),
        ({"state": "ended"}, [stroke()], False),
        ({"state": "ever"}, [stroke()], True),
        ({"state": "ever"}, [stroke(status="resolved")], True),
        ({"state": "ever"}, [stroke(verification="refuted")], False),
        ({"state": "refuted"}, [stroke(verification="refuted")], True),
        ({"state": "refuted"}, [stroke()], False),
        # A label under discussion is no diagnosis, but can be refuted.
        ({"diagnosis": True}, [stroke()], True),
        ({"diagnosis": True}, [stroke(verification="provisional")], False),
        ({"diagnosis": True}, [stroke(verification="differential")], False),
        ({"diagnosis": True}, [stroke(verification="unconfirmed")], False),
        ({"diagnosis": True}, [stroke(verification="none")], True),
        ({}, [stroke(verification="provisional")], True),
        ({"diagnosis": True, "state": "refuted"}, [stroke(verification="refuted")], True),
        ({"verified": "confirmed"}, [stroke()], True),
        ({"verified": "confirmed"}, [stroke(verification="none")], False),
        ({"onset_stated": True}, [stroke()], True),
        ({"onset_stated": True}, [{"problem": "stroke", "recorded": "50 days ago"}], False),
        ({"names": ["leg weakness"]}, [{"problem": "leg weakness", "onset": "4 days ago"}], True),
        ({"names": ["leg weakness"]}, [{"problem": "no leg weakness", "onset": "4 days ago"}], False),
        ({"names": ["leg weakness"]}, [{"problem": "facial weakness", "onset": "4 days ago"}], False),
        ({"names": ["leg weakness"]}, [stroke()], True),
        ({"names": ["leg weakness"], "within": "3 days"}, [{"problem": "leg weakness", "onset": "4 days ago"}], False),
        ({"names": ["leg weakness"], "onset_stated": True}, [{"problem": "leg weakness", "recorded": "today"}], False),
        ({"containing": ["ischaemic"]}, [stroke(text="Ischaemic stroke")], True),
        ({"containing": ["ischaemic"]}, [stroke(text="No ischaemic stroke")], False),
        ({"containing": ["ischaemic"]}, [stroke(text="Stroke")], False),
        ({"containing": ["ischaemic", "embolic"]}, [stroke(text="Embolic stroke")], True),
        ({"severity": "severe"}, [stroke(severity="severe")], True),
        ({"severity": "severe"}, [stroke(severity="mild")], False),
        ({"severity": "severe"}, [stroke()], False),
        ({"site": ["leg"]}, [stroke(site="left calf")], True),
        ({"site": ["leg"]}, [stroke(site="left arm")], False),
        ({"site": ["leg"]}, [stroke()], False),
        # Windows: undated entries satisfy none.
        ({"within": "50 days"}, [stroke()], True),
        ({"within": "49 days"}, [stroke()], False),
        ({"within": "49 days"}, [{"problem": "stroke"}], False),
        ({}, [{"problem": "stroke"}], True),
        ({"older_than": "49 days"}, [stroke()], True),
        ({"older_than": "50 days"}, [stroke()], False),
        ({"older_than": "49 days"}, [{"problem": "stroke"}], False),
        # The twitching began 40 days ago.
        ({"before_onset": "10 days"}, [TWITCH, stroke()], True),
        ({"before_onset": "9 days"}, [TWITCH, stroke()], False),
        ({"before_onset": "9 days"}, [stroke()], True),
        ({"before_onset": "9 days"}, [TWITCH, {"problem": "stroke"}], True),
        # Codes that a rule names, or leaves out.
        ({"only": ["icd10cm I63"]}, [{"problem": "I63.9"}], True),
        ({"only": ["icd10cm I61"]}, [{"problem": "I63.9"}], False),
        ({"only": ["snomed I63"]}, [{"problem": "I63.9"}], False),
        ({"besides": ["icd10cm I63"]}, [{"problem": "I63.9"}], False),
        ({"besides": ["icd10cm I61"]}, [{"problem": "I63.9"}], True),
        ({"systems": ["icd10cm"]}, [{"problem": "I63.9"}], True),
        ({"systems": ["snomed"]}, [{"problem": "I63.9"}], False),
    ],
)
def test_problems(spec: dict[str, Any], record: Record, found: bool, knowledge: Any, reading: Any) -> None:
    assert bool(observed({"problem": ["stroke"], **spec}, record, knowledge, reading)) is found


@pytest.mark.parametrize(
    ("older", "more", "began"),
    [
        # An older entry that never ended: the newer one is not the beginning.
        ({"onset": "30 days ago"}, {}, "2026-05-16"),
        ({"onset": "30 days ago", "status": "resolved"}, {}, "2026-06-13"),
        ({"onset": "30 days ago"}, {"recurs": True}, "2026-06-13"),
        ({"onset": "4 days ago"}, {}, "2026-06-11"),
        # It may be the same attack, charted twice.
        ({"onset": "3 days ago"}, {}, "2026-06-13"),
        ({}, {}, "2026-06-13"),
    ],
)
def test_when_a_problem_that_is_charted_twice_began(
    older: dict[str, Any], more: dict[str, Any], began: str, knowledge: Any, reading: Any
) -> None:
    newer = {"problem": "stroke", "onset": "2 days ago"}
    statements = observed({"problem": ["stroke"], **more}, [{"problem": "stroke", **older}, newer], knowledge, reading)
    assert str(next(s.when for s in statements if s.evidence.reference.endswith("-2"))) == began


def test_of_several_older_entries_the_oldest_counts(knowledge: Any, reading: Any) -> None:
    three = [{"problem": "stroke", "onset": f"{days} days ago"} for days in (30, 60, 2)]
    statements = observed({"problem": ["stroke"]}, three, knowledge, reading)
    assert [str(s.when) for s in statements] == ["2026-04-16", "2026-04-16", "2026-04-16"]


def test_what_a_problem_says(knowledge: Any, reading: Any) -> None:
    refuted = {"problem": "I63.9", "onset": "50 days ago", "recorded": "20 days ago", "verification": "refuted"}
    (one,) = observed({"problem": ["stroke"], "state": "refuted"}, [refuted], knowledge, reading)
    assert (one.evidence.value, str(one.when), one.standing) == ("I63.9, refuted", "2026-05-26", True)
    for state, status, standing in (
        ("current", "active", True), ("ever", "active", True), ("ever", "resolved", False), ("ended", "resolved", False)
    ):  # fmt: skip
        ill = {"problem": "I63.9", "onset": "50 days ago", "recorded": "20 days ago", "status": status}
        (one,) = observed({"problem": ["stroke"], "state": state}, [ill], knowledge, reading)
        assert (one.evidence.value, str(one.when), one.standing) == ("I63.9", "2026-04-26", standing)


def sign(value: Any = "yes", on: str = "2 days ago", **more: Any) -> dict[str, Any]:
    return {"exam": "babinski", "value": value, "on": on, **more}


@pytest.mark.parametrize(
    ("spec", "record", "found"),
    [
        ({}, [sign()], True),
        ({}, [sign("no")], False),
        ({"says": "no"}, [sign("no")], True),
        ({"says": "abnormal"}, [sign("abnormal")], True),
        ({"says": "abnormal"}, [sign("normal")], False),
        ({"says": "no"}, [sign("normal")], True),  # of a sign, "normal" denies it
        ({"result": ["strength_exam"], "says": "normal"}, [sign("normal", exam="strength_exam")], True),
        ({"examined": True}, [sign()], True),
        ({"examined": True}, [{"symptom": "babinski", "value": "yes", "on": "2 days ago"}], False),
        ({}, [{"symptom": "babinski", "value": "yes", "on": "2 days ago"}], True),
        ({"within": "2 days"}, [sign()], True),
        ({"within": "1 day"}, [sign()], False),
        ({"within": "2 days"}, [sign(on="unknown")], False),
        ({}, [sign(on="unknown")], True),
        ({"site": ["leg"]}, [sign(site="left calf")], True),
        ({"site": ["arm"]}, [sign(site="left calf")], False),
        # The sign itself may be the value of another observation.
        ({}, [{"exam": "reflex finding", "value": "366575004"}], True),
        ({"says": "no"}, [{"exam": "reflex finding", "value": "366575004"}], False),
        ({"is": ["snomed 366575004"]}, [{"exam": "reflex finding", "value": "366575004"}], True),
        ({"is": ["snomed 1"]}, [{"exam": "reflex finding", "value": "366575004"}], False),
        ({"is": ["snomed 366575004"]}, [sign()], False),
        ({"systems": ["snomed"]}, [{"exam": "reflex finding", "value": "366575004"}], True),
        ({"systems": ["icd10cm"]}, [{"exam": "reflex finding", "value": "366575004"}], False),
        ({"besides": ["snomed 366575004"]}, [{"exam": "reflex finding", "value": "366575004"}], False),
        ({"only": ["snomed 1"]}, [{"exam": "reflex finding", "value": "366575004"}], False),
        # Words that its text must say; it must not deny them.
        ({"containing": ["left"]}, [sign("yes", text="Babinski sign on the left")], True),
        ({"containing": ["left", "right"]}, [sign("yes", text="Babinski sign on the right")], True),
        ({"containing": ["left"]}, [sign("yes", text="Babinski sign")], False),
        ({"containing": ["left"]}, [sign("no", text="Babinski sign on the left")], False),
    ],
)
def test_results(spec: dict[str, Any], record: Record, found: bool, knowledge: Any, reading: Any) -> None:
    assert bool(observed({"result": ["babinski"], **spec}, record, knowledge, reading)) is found


def test_under_absent_a_result_says_no(knowledge: Any, reading: Any) -> None:
    assert observed({"result": ["babinski"]}, [sign("no")], knowledge, reading, denies=True)
    assert not observed({"result": ["babinski"]}, [sign()], knowledge, reading, denies=True)


@pytest.mark.parametrize(
    ("before", "known"),
    [
        ([sign(on="4 days ago")], True),
        ([sign(on="3 days ago")], False),  # it may be the same attack
        ([sign(on="365 days ago")], True),
        ([sign(on="366 days ago")], False),
        ([sign("no", on="4 days ago")], False),
        # Gone in between, or back before.
        ([sign(on="30 days ago"), sign("no", on="10 days ago")], False),
        ([sign("no", on="30 days ago"), sign(on="10 days ago")], True),
        ([sign("no", on="10 days ago"), sign(on="10 days ago")], True),
        ([sign("unknown", on="10 days ago")], False),
        ([{"problem": "babinski", "onset": "30 days ago"}], True),
        ([{"problem": "babinski", "onset": "30 days ago", "status": "resolved"}], False),
        ([{"problem": "babinski", "onset": "3 days ago"}], False),
        ([{"problem": "babinski", "onset": "4 days ago"}], True),
        ([{"problem": "babinski"}], False),
        ([sign(on="unknown")], False),
        ([], False),
    ],
)
def test_a_sign_that_was_known_before_is_not_sudden(before: Record, known: bool, knowledge: Any, reading: Any) -> None:
    sudden = observed(
        {"result": ["babinski"], "sudden": True, "within": "3 days"}, [*before, sign()], knowledge, reading
    )
    assert any(s.evidence.value == "yes; onset not stated" and str(s.when) == "2026-06-13" for s in sudden) is not known


def power(grade: Any, on: str, what: str = "right thumb abduction") -> dict[str, Any]:
    return {"power": what, "grade": grade, "on": on}


@pytest.mark.parametrize(
    ("spec", "record", "found"),
    [
        ({"power": "reduced"}, [power(4, "3 days ago")], 1),
        ({"power": "reduced"}, [power(5, "3 days ago")], 0),
        ({"power": "full"}, [power(5, "3 days ago")], 1),
        ({"power": "full"}, [power(4, "3 days ago")], 0),
        # The newest grade of each muscle counts; of one day the lower.
        ({"power": "reduced"}, [power(4, "9 days ago"), power(5, "3 days ago")], 0),
        ({"power": "reduced"}, [power(5, "9 days ago"), power(4, "3 days ago")], 1),
        ({"power": "reduced"}, [power(5, "3 days ago"), power(4, "9 days ago")], 0),
        ({"power": "reduced"}, [power(5, "3 days ago"), power(4, "3 days ago")], 1),
        ({"power": "reduced"}, [power(4, "3 days ago"), power(5, "3 days ago")], 1),
        ({"power": "reduced"}, [power(4, "unknown"), power(5, "3 days ago")], 0),
        ({"power": "full"}, [power(5, "3 days ago"), power(4, "unknown")], 1),
        ({"power": "reduced"}, [power(4, "3 days ago"), power(4, "3 days ago", "left knee extension")], 2),
        ({"power": "reduced", "within": "3 days"}, [power(4, "3 days ago")], 1),
        ({"power": "reduced", "within": "2 days"}, [power(4, "3 days ago")], 0),
        ({"power": "reduced", "site": ["arm"]}, [power(4, "3 days ago")], 1),
        ({"power": "reduced", "site": ["leg"]}, [power(4, "3 days ago")], 0),
        ({"power": "reduced", "muscle": ["thumb"]}, [power(4, "3 days ago")], 1),
        ({"power": "reduced", "muscle": ["knee"]}, [power(4, "3 days ago")], 0),
        ({"power": "reduced", "muscle": ["knee", "thumb"]}, [power(4, "3 days ago")], 1),
        ({"power": "reduced"}, [sign()], 0),
    ],
)
def test_power(spec: dict[str, Any], record: Record, found: int, knowledge: Any, reading: Any) -> None:
    assert len(observed(spec, record, knowledge, reading)) == found


def potassium(value: Any, on: str = "2 days ago", **more: Any) -> dict[str, Any]:
    return {"lab": "potassium", "value": value, "unit": "mmol/L", "on": on, **more}


@pytest.mark.parametrize(
    ("spec", "record", "shown"),
    [
        ({"above": "4.0 mmol/L"}, [potassium(4.1)], ["4.1 mmol/L"]),
        ({"above": "4.0 mmol/L"}, [potassium(4.0)], []),
        ({"at_least": "4.0 mmol/L"}, [potassium(4.0)], ["4 mmol/L"]),
        ({"at_least": "4.0 mmol/L"}, [potassium(3.9)], []),
        ({"below": "4.0 mmol/L"}, [potassium(3.9)], ["3.9 mmol/L"]),
        ({"below": "4.0 mmol/L"}, [potassium(4.0)], []),
        ({"at_most": "4.0 mmol/L"}, [potassium(4.0)], ["4 mmol/L"]),
        ({"at_most": "4.0 mmol/L"}, [potassium(4.1)], []),
        ({"at_least": "4 mmol/L", "at_most": "5 mmol/L"}, [potassium(4.5)], ["4.5 mmol/L"]),
        ({"at_least": "4 mmol/L", "at_most": "5 mmol/L"}, [potassium(5.5)], []),
        # A bound says something only with the end that could break the comparison.
        ({"above": "4.0 mmol/L"}, [potassium(">5")], [">5 mmol/L"]),
        ({"above": "4.0 mmol/L"}, [potassium("<5")], []),
        ({"at_least": "4.0 mmol/L"}, [potassium("<5")], []),
        ({"below": "4.0 mmol/L"}, [potassium("<3")], ["<3 mmol/L"]),
        ({"below": "4.0 mmol/L"}, [potassium(">3")], []),
        ({"at_most": "4.0 mmol/L"}, [potassium(">3")], []),
        ({"above": "4.0 mmol/L"}, [potassium(None)], []),
        ({"above": "4.0 mmol/L"}, [potassium(4.1, unit="grains")], []),
        ({"above": "4.0 mmol/L"}, [potassium(4.1, status="preliminary")], []),
        ({"above": "4.0 mmol/L", "within": "2 days"}, [potassium(4.1)], ["4.1 mmol/L"]),
        ({"above": "4.0 mmol/L", "within": "1 day"}, [potassium(4.1)], []),
        # Of several: the newest, any, or every one.
        ({"above": "4.0 mmol/L"}, [potassium(4.1, "3 days ago"), potassium(3.9)], []),
        ({"above": "4.0 mmol/L"}, [potassium(4.1), potassium(3.9, "3 days ago")], ["4.1 mmol/L"]),
        ({"above": "4.0 mmol/L"}, [potassium(4.1), potassium(3.9, "unknown")], ["4.1 mmol/L"]),
        ({"above": "4.0 mmol/L", "which": "any"}, [potassium(4.1, "3 days ago"), potassium(3.9)], ["4.1 mmol/L"]),
        ({"above": "4.0 mmol/L", "which": "every"}, [potassium(4.1, "3 days ago"), potassium(3.9)], []),
        ({"above": "4.0 mmol/L", "which": "every"}, [potassium(4.1), potassium(4.2)], ["4.1 mmol/L", "4.2 mmol/L"]),
        # The laboratory's own range and flag.
        ({"range": "above"}, [potassium(5.1, range=[3.5, 5.0])], ["5.1 mmol/L"]),
        ({"range": "above"}, [potassium(5.0, range=[3.5, 5.0])], []),
        ({"range": "above"}, [potassium(3.4, range=[3.5, 5.0])], []),
        ({"range": "above"}, [potassium(5.1)], []),
        ({"range": "above"}, [potassium(5.1, flag="H")], ["5.1 mmol/L"]),
        ({"range": "above"}, [potassium(5.1, flag="HH")], ["5.1 mmol/L"]),
        ({"range": "below"}, [potassium(3.4, flag="LL")], ["3.4 mmol/L"]),
        ({"range": "above"}, [potassium(5.1, flag="L")], []),
        ({"range": "above"}, [potassium(">4.9", range=[3.5, 5.0])], []),
        ({"range": "above"}, [potassium(">5.1", range=[3.5, 5.0])], [">5.1 mmol/L"]),
        ({"range": "critical"}, [potassium(5.1, flag="HH")], ["5.1 mmol/L"]),
        ({"range": "critical"}, [potassium(5.1, flag="LL")], ["5.1 mmol/L"]),
        ({"range": "critical"}, [potassium(5.1, flag="H", range=[3.5, 5.0])], []),
        ({"range": "below"}, [potassium(3.4, range=[3.5, 5.0])], ["3.4 mmol/L"]),
        ({"range": "below"}, [potassium(3.5, range=[3.5, 5.0])], []),
        ({"range": "below"}, [potassium(5.1, range=[3.5, 5.0])], []),
        ({"range": "below"}, [potassium(3.4, flag="L")], ["3.4 mmol/L"]),
        ({"range": "below"}, [potassium(3.4, flag="H")], []),
        ({"range": "below"}, [potassium("<3.6", range=[3.5, 5.0])], []),
        ({"range": "inside"}, [potassium(4.0, range=[3.5, 5.0])], ["4 mmol/L"]),
        ({"range": "inside"}, [potassium(3.5, range=[3.5, None])], ["3.5 mmol/L"]),
        ({"range": "inside"}, [potassium(5.0, range=[None, 5.0])], ["5 mmol/L"]),
        ({"range": "inside"}, [potassium(3.4, range=[3.5, 5.0])], []),
        ({"range": "inside"}, [potassium(5.1, range=[3.5, 5.0])], []),
        ({"range": "inside"}, [potassium(4.0)], []),
        ({"range": "inside"}, [potassium(None, range=[3.5, 5.0])], []),
        ({"below": "4 mmol/L", "range": "below"}, [potassium(3.6, range=[3.5, 5.0])], []),
    ],
)
def test_measurements(spec: dict[str, Any], record: Record, shown: list[str], knowledge: Any, reading: Any) -> None:
    statements = observed({"measured": "potassium", **spec}, record, knowledge, reading)
    assert sorted(s.evidence.value for s in statements) == shown


def test_of_one_day_the_later_measurement_counts(knowledge: Any, reading: Any) -> None:
    morning, evening = ({"vital": "heart_rate", "unit": "/min", "value": v, "on": f"2026-06-15T{at}:00:00Z"}
                        for v, at in ((130, "06"), (80, "20")))  # fmt: skip
    spec = {"measured": "heart_rate", "at_least": "100 /min"}
    assert not observed(spec, [evening, morning], knowledge, reading)
    assert not observed(spec, [morning, evening], knowledge, reading)


@pytest.mark.parametrize(
    ("spec", "answers", "found"),
    [
        ({"is": ["yes"]}, [({"weak": "yes"}, "today")], True),
        ({"is": ["yes"]}, [({"weak": "no"}, "today")], False),
        ({"is": ["yes", "no"]}, [({"weak": "no"}, "today")], True),
        ({"is": ["yes"]}, [({"cramps": "yes"}, "today")], False),
        ({}, [({"weak": "no"}, "today")], True),
        ({"lacks": ["yes"]}, [({"weak": "no"}, "today")], True),
        ({"lacks": ["yes"]}, [({"weak": "yes"}, "today")], False),
        ({"lacks": ["yes"]}, [({"weak": ["no", "yes"]}, "today")], False),
        ({"lacks": ["yes"]}, [({"weak": 3}, "today")], False),
        ({"above": "3 units"}, [({"weak": 4}, "today")], True),
        ({"above": "3 units"}, [({"weak": 3}, "today")], False),
        ({"at_least": "3 units"}, [({"weak": 3}, "today")], True),
        ({"below": "3 units"}, [({"weak": 2}, "today")], True),
        ({"at_least": "3 units", "below": "5 units"}, [({"weak": 5}, "today")], False),
        ({"above": "3 units"}, [({"weak": "yes"}, "today")], False),
        # The newest form counts.
        ({"is": ["yes"]}, [({"weak": "no"}, "9 days ago"), ({"weak": "yes"}, "today")], True),
        ({"is": ["yes"]}, [({"weak": "yes"}, "9 days ago"), ({"weak": "no"}, "today")], False),
        ({"is": ["yes"]}, [({"weak": "yes"}, "today"), ({"weak": "no"}, "9 days ago")], True),
        # A date that is answered.
        ({"within": "5 days"}, [({"weak": "2026-06-10"}, "today")], True),
        ({"within": "4 days"}, [({"weak": "2026-06-10"}, "today")], False),
        ({"within": "20 days"}, [({"weak": "2026-06"}, "today")], True),
        ({"within": "10 days"}, [({"weak": "2026-06"}, "today")], False),
        ({"within": "5 days"}, [({"weak": "yes"}, "today")], False),
    ],
)  # fmt: skip
def test_answers(spec: dict[str, Any], answers: list[Any], found: bool, knowledge: Any, reading: Any) -> None:
    record = [{"answers": given, "on": on} for given, on in answers]
    assert bool(observed({"answer": "weak", **spec}, record, knowledge, reading)) is found


def test_an_answer_is_quoted_with_the_places_of_its_own_item(knowledge: Any, reading: Any) -> None:
    given = {"weak": ["yes", "no"], "weak.where": "left-leg", "site.where": "left-arm", "units": 3}
    record = [{"answers": given, "on": "2 days ago"}]
    (weak,) = observed({"answer": "weak"}, record, knowledge, reading)
    assert (weak.evidence.value, [s.region for s in weak.sites]) == ("weak: yes, no", ["leg"])
    assert str(weak.when) == "2026-06-13"
    (where,) = observed({"answer": "site.where"}, record, knowledge, reading)
    assert [s.region for s in where.sites] == ["arm"]
    (units,) = observed({"answer": "units"}, record, knowledge, reading)
    assert (units.evidence.value, units.sites) == ("units: 3", ())


def lithium(**more: Any) -> dict[str, Any]:
    return {"medicine": "med_lithium", **more}


STOPPED = {"status": "stopped", "since": "200 days ago", "until": "10 days ago"}


@pytest.mark.parametrize(
    ("spec", "record", "course"),
    [
        ({}, [lithium(since="60 days ago")], [""]),
        ({}, [lithium(**STOPPED)], []),
        ({"stopped_within": "10 days"}, [lithium(**STOPPED)], ["until 2026-06-05"]),
        ({"stopped_within": "9 days"}, [lithium(**STOPPED)], []),
        ({"stopped_within": "10 days"}, [lithium(status="stopped", since="60 days ago")], []),
        ({"for_at_least": "60 days"}, [lithium(since="60 days ago")], [""]),
        ({"for_at_least": "61 days"}, [lithium(since="60 days ago")], []),
        ({"for_at_least": "60 days"}, [lithium()], []),
        ({"started_within": "60 days"}, [lithium(since="60 days ago")], [""]),
        ({"started_within": "59 days"}, [lithium(since="60 days ago")], []),
        ({"started_within": "59 days"}, [lithium()], []),
        ({"daily_dose_at_least": "50 mg"}, [lithium(dose="50 mg")], [""]),
        ({"daily_dose_at_least": "50 mg"}, [lithium(dose="49 mg")], []),
        ({"daily_dose_at_least": "50 mg"}, [lithium()], []),
        ({}, [{"medicine": "med_thiazide"}], []),
        ({"names": ["hydrochlor"]}, [{"medicine": "Hydrochlorothiazide 25 mg tablet"}], [""]),
        ({"names": ["hydrochlor"]}, [{"medicine": "some other tablet"}], []),
    ],
)
def test_medicines(spec: dict[str, Any], record: Record, course: list[str], knowledge: Any, reading: Any) -> None:
    statements = observed({"medicine": ["med_lithium"], **spec}, record, knowledge, reading)
    assert [s.evidence.value for s in statements] == course
    assert all(s.standing for s in statements)


def test_any_medicine_but_one_of_local_use(knowledge: Any, reading: Any) -> None:
    record = [{"medicine": "some tablet"}, {"medicine": "med_beta_blocker", "text": "Timolol eye drops"}]
    drops = [c for c in knowledge.drug_classes.values() if c.unless]
    assert drops
    local = {
        "medicine": sorted(c for c in drops[0].concepts if not c.startswith("class:"))[0],
        "text": drops[0].unless[0],
    }
    found = observed({"medicine": []}, [record[0], local], knowledge, reading)
    assert [s.evidence.title for s in found] == ["some tablet"]


def report(says: str, **more: Any) -> dict[str, Any]:
    return {"report": "emg_study", "says": says, "on": "20 days ago", **more}


@pytest.mark.parametrize(
    ("spec", "record", "found"),
    [
        ({}, [report("anything")], True),
        ({}, [report("anything", status="amended")], True),
        ({}, [report("anything", status="preliminary")], False),
        ({"states": ["preliminary"]}, [report("anything", status="preliminary")], True),
        ({"within": "20 days"}, [report("anything")], True),
        ({"within": "19 days"}, [report("anything")], False),
        ({"says": ["denervation"]}, [report("Active denervation.")], True),
        ({"says": ["denervation"]}, [report("Myopathic changes.")], False),
        ({"says": ["denervation"]}, [report("No denervation.")], False),
        ({"says": ["denervation", "myopathic"]}, [report("Myopathic changes.")], True),
        ({"says": ["denervation"], "unless": ["old study"]}, [report("Active denervation, old study.")], False),
        ({"says": ["denervation"], "unless": ["old study", "x"]}, [report("Active denervation.")], True),
        ({"unless": ["old study"]}, [report("Old study.")], False),
        ({"affirms": ["denervation"]}, [report("Active denervation.")], True),
        ({"affirms": ["denervation"]}, [report("No denervation.")], False),
        ({"affirms": ["myopathic", "denervation"]}, [report("Active denervation.")], True),
        ({"says": ["myopathic"], "affirms": ["denervation"]}, [report("Active denervation.")], True),
        ({"says": ["myopathic"], "affirms": ["denervation"]}, [report("Myopathic changes.")], True),
        ({"unless_affirms": ["denervation"]}, [report("Active denervation.")], False),
        ({"unless_affirms": ["denervation"]}, [report("No denervation.")], True),
    ],
)
def test_reports(spec: dict[str, Any], record: Record, found: bool, knowledge: Any, reading: Any) -> None:
    statements = observed({"report": ["emg_study"], **spec}, record, knowledge, reading)
    assert bool(statements) is found
    assert all(s.evidence.value == f"{record[0].get('status', 'final')} report" for s in statements)


@pytest.mark.parametrize(
    ("spec", "record", "found"),
    [
        ({"procedure": ["proc_thyroidectomy"]}, [{"procedure": "proc_thyroidectomy", "on": "10 days ago"}], True),
        ({"procedure": ["proc_thyroidectomy"]}, [{"procedure": "proc_parathyroidectomy"}], False),
        ({"procedure": ["proc_thyroidectomy"], "within": "10 days"},
         [{"procedure": "proc_thyroidectomy", "on": "10 days ago"}], True),
        ({"procedure": ["proc_thyroidectomy"], "within": "9 days"},
         [{"procedure": "proc_thyroidectomy", "on": "10 days ago"}], False),
        ({"procedure": [], "names": ["thyroid"]}, [{"procedure": "Thyroid operation"}], True),
        ({"procedure": [], "names": ["thyroid"]}, [{"procedure": "Hip operation"}], False),
        ({"procedure": ["proc_thyroidectomy"], "site": ["neck"]},
         [{"procedure": "proc_thyroidectomy", "site": "neck"}], True),
        ({"procedure": ["proc_thyroidectomy"], "site": ["leg"]},
         [{"procedure": "proc_thyroidectomy", "site": "neck"}], False),
        ({"device": ["heart_pacemaker"]}, [{"device": "heart_pacemaker"}], True),
        ({"device": ["heart_pacemaker"]}, [{"device": "cochlear_implant"}], False),
        ({"order": ["potassium"]}, [{"order": "potassium"}], True),
        ({"order": ["potassium"]}, [{"order": "potassium", "status": "on-hold"}], True),
        ({"order": ["potassium"]}, [{"order": "potassium", "status": "completed"}], False),
        ({"order": ["potassium"], "states": ["completed"]}, [{"order": "potassium", "status": "completed"}], True),
        ({"order": ["potassium"], "within": "5 days"}, [{"order": "potassium", "on": "5 days ago"}], True),
        ({"order": ["potassium"], "within": "4 days"}, [{"order": "potassium", "on": "5 days ago"}], False),
        ({"visit": []}, [{"visit": "spec_neurology", "on": "40 days ago"}], True),
        ({"visit": ["spec_neurology"]}, [{"visit": "spec_neurology", "on": "40 days ago"}], True),
        ({"visit": ["spec_neurology"]}, [{"visit": "spec_orthopaedics"}], False),
        ({"visit": [], "names": ["nerve"]}, [{"visit": "Nerve clinic"}], True),
        ({"visit": [], "names": ["nerve"]}, [{"visit": "Bone clinic"}], False),
        ({"visit": [], "within": "40 days"}, [{"visit": "x", "on": "40 days ago"}], True),
        ({"visit": [], "within": "39 days"}, [{"visit": "x", "on": "40 days ago"}], False),
        ({"visit": [], "within": "39 days"}, [{"visit": "x", "on": "40 days ago", "status": "in-progress"}], True),
        ({"visit": []}, [{"visit": "x", "status": "cancelled"}], False),
        ({"visit": []}, [{"visit": "x", "status": "planned"}], False),
        ({"visit": [], "open": True}, [{"visit": "x", "status": "in-progress"}], True),
        ({"visit": [], "open": True}, [{"visit": "x"}], False),
        ({"visit": [], "planned": True}, [{"visit": "x", "status": "planned", "on": "today"}], True),
        ({"visit": [], "planned": True}, [{"visit": "x", "status": "planned", "on": "1 day ago"}], False),
        ({"visit": [], "planned": True}, [{"visit": "x", "status": "finished", "on": "in 1 day"}], False),
        ({"patient": "deceased"}, [{"patient": {"deceased": "yes"}}], True),
        ({"patient": "deceased"}, [{"patient": {}}], False),
        ({"patient": "interpreter"}, [{"patient": {"interpreter": "yes"}}], True),
        ({"patient": "interpreter"}, [{"patient": {}}], False),
        ({"patient": "male"}, [{"patient": {"sex": "male"}}], True),
        ({"patient": "male"}, [{"patient": {"sex": "female"}}], False),
        ({"patient": "female"}, [{"patient": {"sex": "female"}}], True),
        ({"patient": "female"}, [{"patient": {"sex": "unknown"}}], False),
        ({"silence": ["labs", "orders"]}, [], True),
        ({"silence": ["labs", "orders"]}, [{"unanswered": ["orders"]}], False),
        ({"relative": ["als"]}, [{"relative": "als"}], True),
        ({"allergy": ["contrast_allergy"]}, [{"allergy": "latex"}], False),
    ],
)  # fmt: skip
def test_what_is_there_or_not(spec: dict[str, Any], record: Record, found: bool, knowledge: Any, reading: Any) -> None:
    assert bool(observed(spec, record, knowledge, reading)) is found


@pytest.mark.parametrize(
    ("spec", "record", "standing"),
    [
        ({"procedure": ["proc_thyroidectomy"]}, [{"procedure": "proc_thyroidectomy"}], False),
        ({"device": ["heart_pacemaker"]}, [{"device": "heart_pacemaker"}], True),
        ({"relative": ["als"]}, [{"relative": "als"}], True),
        ({"visit": []}, [{"visit": "x"}], False),
        ({"visit": []}, [{"visit": "x", "status": "in-progress"}], True),
        ({"visit": [], "planned": True}, [{"visit": "x", "status": "planned"}], True),
        ({"patient": "female"}, [], True),
        ({"silence": ["labs"]}, [], True),
        ({"order": ["potassium"]}, [{"order": "potassium"}], False),
    ],
)
def test_what_counts_however_old_it_is(
    spec: dict[str, Any], record: Record, standing: bool, knowledge: Any, reading: Any
) -> None:
    assert [s.standing for s in observed(spec, record, knowledge, reading)] == [standing]


def test_a_relative_is_named(knowledge: Any, reading: Any) -> None:
    (found,) = observed({"relative": ["als"]}, [{"relative": "als", "relation": "Mother"}], knowledge, reading)
    assert found.evidence.value == "mother"


@pytest.mark.parametrize("spec", [{}, {"problem": ["stroke"], "result": ["babinski"]}, {"smell": ["x"]}])
def test_an_observer_has_exactly_one_head(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an observer starts with exactly one of"):
        compile_observer(spec)


@pytest.mark.parametrize(
    ("spec", "kind", "more"),
    [
        ({"problem": ["b"]}, Problem, {"state": State.CURRENT}),
        ({"result": ["b"]}, Result, {"says": "yes"}),
        ({"measured": "b", "above": "1 kg"}, Result, {"value": Quantity(2, 2, "kg", "2 kg")}),
        ({"medicine": ["b"]}, Medicine, {"active": True}),
        ({"report": ["b"]}, Report, {}),
        ({"procedure": ["b"]}, Procedure, {}),
        ({"order": ["b"]}, Order, {"status": "active"}),
        ({"visit": ["b"]}, Visit, {"status": "finished"}),
        ({"relative": ["b"]}, Relative, {"relation": "mother"}),
        ({"device": ["b"]}, Device, {}),
        ({"allergy": ["b"]}, Allergy, {}),
        ({"appointment": ["b"]}, Appointment, {}),
    ],
)
def test_of_several_codings_one_is_enough(
    spec: dict[str, Any], kind: Any, more: dict[str, Any], knowledge: Any
) -> None:
    for concepts, found in (("ab", 1), ("ba", 1), ("b", 1), ("a", 0), ("", 0)):
        codes = tuple(Match(concept, "", "snomed", concept) for concept in concepts)
        entry = kind(reference="1", title="x", codes=codes, when=Span.on(TODAY), **more)
        case = Case(Chart(Patient("p"), (entry,)), TODAY, knowledge)
        assert len(list(compile_observer(spec)(case))) == found, concepts


def test_the_role_and_the_system_must_fit_the_same_coding(knowledge: Any) -> None:
    codes = (Match("b", "red-flag", "snomed", "1"), Match("a", "", "icd10cm", "2"))
    entry = Problem(reference="1", title="x", codes=codes, when=Span.on(TODAY), state=State.CURRENT)
    case = Case(Chart(Patient("p"), (entry,)), TODAY, knowledge)
    for more, found in (
        ({}, 0), ({"roles": ["red-flag"]}, 1), ({"only": ["snomed 1"]}, 1), ({"only": ["icd10cm 2"]}, 0),
        ({"roles": ["red-flag"], "systems": ["icd10cm"]}, 0), ({"roles": ["red-flag"], "besides": ["icd10cm 2"]}, 1),
    ):  # fmt: skip
        assert len(list(compile_observer({"problem": ["b"], **more})(case))) == found, more
