"""How long twitching has lasted, as the least and the most number of days that a record allows."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.clinical.chart import Result
from cds_service.clinical.gate import charted_twitching
from cds_service.intake.about import About
from cds_service.intake.concepts import Concepts
from cds_service.intake.observations import read_observation
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


TWITCHING = {"symptom": "fasciculation", "value": "yes"}
ENDED = {"problem": "R25.3", "onset": "40 days ago", "abated": "3 days ago"}
NONE_SEEN = {"exam": "fasciculation", "value": "no"}


@pytest.mark.parametrize(
    ("record", "presence", "cites"),
    [
        ([], "unknown", []),
        ([{"problem": "R25.3", "recorded": "3 days ago"}], "present", ["1"]),
        ([{"problem": "R25.3", "recorded": "3 days ago", "status": "resolved"}], "absent", ["1"]),
        ([{"problem": "R25.3", "recorded": "3 days ago", "verification": "refuted"}], "absent", ["1"]),
        ([{**TWITCHING, "on": "180 days ago"}], "present", ["1"]),
        ([{**TWITCHING, "on": "181 days ago"}], "unknown", []),
        ([{**TWITCHING, "on": "unknown"}], "unknown", []),
        ([{**NONE_SEEN, "on": "3 days ago"}], "absent", ["1"]),
        ([{**NONE_SEEN, "on": "900 days ago"}], "absent", ["1"]),
        # The newer of two statements counts; of one day the twitching.
        ([{**TWITCHING, "on": "9 days ago"}, {**NONE_SEEN, "on": "8 days ago"}], "absent", ["2"]),
        ([{**TWITCHING, "on": "8 days ago"}, {**NONE_SEEN, "on": "8 days ago"}], "present", ["1"]),
        ([{**TWITCHING, "on": "7 days ago"}, {**NONE_SEEN, "on": "8 days ago"}], "present", ["1"]),
        ([{**TWITCHING, "on": "9 days ago"}, {**NONE_SEEN, "on": "unknown"}], "present", ["1"]),
        # A current problem stands although nothing was seen once.
        ([{"problem": "R25.3", "recorded": "9 days ago"}, {**NONE_SEEN, "on": "3 days ago"}], "present", ["1"]),
        ([{**TWITCHING, "on": "9 days ago"}, ENDED], "absent", ["2"]),
        ([{**TWITCHING, "on": "2 days ago"}, ENDED], "present", ["1"]),
        # The newest is cited first.
        ([{**TWITCHING, "on": "9 days ago"}, {**TWITCHING, "on": "3 days ago"}], "present", ["2", "1"]),
        ([{"answers": {"site.where": ["left-leg"]}, "on": "180 days ago"}], "present", ["1"]),
        ([{"answers": {"site.where": ["left-leg"]}, "on": "181 days ago"}], "unknown", []),
        ([{"answers": {"weak": "yes"}, "on": "3 days ago"}], "unknown", []),
        ([{"visit": "", "reason": "R25.3", "status": "in-progress"}], "present", ["1"]),
        ([{"visit": "", "reason": "R25.3", "status": "triaged"}], "present", ["1"]),
        ([{"visit": "", "reason": "R25.3", "status": "finished"}], "unknown", []),
        # Twitching may be the value of another observation.
        ([{"exam": "movements", "value": "R25.3", "on": "3 days ago"}], "present", ["1"]),
        ([{"exam": "movements", "value": "R25.2", "on": "3 days ago"}], "unknown", []),
    ],
)  # fmt: skip
def test_the_newest_statement_opens_or_closes_the_gate(
    record: list[Any], presence: str, cites: list[str], knowledge: Any, reading: Any
) -> None:
    finding = charted_twitching(case_of(record, knowledge, reading))
    assert finding.presence.value == presence
    assert [e.reference.rpartition("-")[2] for e in finding.evidence] == cites


def began(day: str, on: str = "today") -> dict[str, Any]:
    return {"answers": {"onset.date": day}, "on": on}


@pytest.mark.parametrize(
    ("record", "onset"),
    [
        ([{"twitch": "40 days ago"}], "2026-05-06"),
        ([{"twitch": "40 days ago"}, {"twitch": "60 days ago"}], "2026-04-16"),
        ([{"twitch": "40 days ago"}, {"twitch": "60 days ago", "status": "resolved"}], "2026-05-06"),
        ([CHARTED], None),
        ([{"twitch": "40 days ago"}, began("50 days ago")], "2026-04-26"),
        ([{"twitch": "40 days ago"}, began("no idea")], "2026-05-06"),
        ([began("50 days ago", "9 days ago"), began("30 days ago")], "2026-05-16"),
        ([began("50 days ago"), began("30 days ago", "9 days ago")], "2026-04-26"),
    ],
)  # fmt: skip
def test_the_stated_onset(record: list[Any], onset: str | None, knowledge: Any, reading: Any) -> None:
    found = case_of(record, knowledge, reading).onset
    assert (found and str(found)) == onset


@pytest.mark.parametrize(
    ("record", "known"),
    [
        ([{"twitch": "40 days ago"}], "present"),
        ([CHARTED], "absent"),
        ([CHARTED, form(0, "3 days ago")], "present"),
        ([CHARTED, form(84, "3 days ago")], "present"),
    ],
)
def test_whether_the_onset_is_stated(record: list[Any], known: str, knowledge: Any, reading: Any) -> None:
    finding = case_of(record, knowledge, reading)["duration_known"]
    assert finding.presence.value != "present" or finding.evidence
    assert finding.presence.value == known


@pytest.mark.parametrize(
    "text",
    [
        "Muscle twitching\u2014left calf", "Muscle twitching\u2013calves", "Cramps/twitching in calves",
        "fasciculations/cramps", "muscle twitching+cramps", "muscle-twitching", "'fasciculations'", "[fasciculations]",
        '"twitching" of calves', "\u2018twitching\u2019 of calves", "muscle<br>twitching",
        "Muscle twitching\u2192worse",
        "No weakness - fasciculations visible in both calves", "No wasting (fasciculations in both calves)",
        "Weakness (no), fasciculations (yes)", "Cramps: no, fasciculations: yes", "No cramps \u2022 fasciculations",
        "No cramps\rfasciculations", "No cramps\u2028fasciculations", "muscle twitching \u2013 no weakness",
    ],
)  # fmt: skip
def test_twitching_is_heard_whatever_marks_the_writer_uses(text: str, reading: Any) -> None:
    assert reading.says_twitching(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "No cramps/fasciculations", "Fasciculations (none)", "Fasciculations \u2013 none",
        "fasciculations/cramps: none",
        "Fasciculations: no, cramps: yes", "| fasciculations | no |", "R/O fasciculation", "non-fasciculating",
        "No red flags (weakness, fasciculations)", "Mother \u2013 fasciculations", "muscle twitching -> resolved",
    ],
)  # fmt: skip
def test_twitching_that_is_denied_or_doubted_is_not_heard_whatever_marks_the_writer_uses(
    text: str, reading: Any
) -> None:
    assert reading.says_twitching(text) is not True


@pytest.mark.parametrize(
    "text",
    [
        "Muscle fasciculations, absent reflexes", "Muscle twitching, negative EMG", "Muscle twitching, resolved cramps",
        "Muscle twitching ?MND", "Fasciculations unlikely MND", "Fasciculations (absent ankle jerks)",
        "Eye twitching, absent corneal reflex", "Muscle twitching possible side effect of salbutamol",
        "calf fasciculations, suspected benign", "fasciculations ? cause",
        "Fasciculations of the calves, none in the arms",
    ],
)  # fmt: skip
def test_what_is_said_next_to_twitching_takes_it_not_back(text: str, reading: Any) -> None:
    assert reading.says_twitching(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "no relief from muscle twitching with magnesium", "no cause found for muscle twitching",
        "no treatment for muscle twitching", "no trigger for muscle fasciculations",
        "not sleeping because of muscle twitching in legs", "Not only muscle twitching but cramps",
    ],
)  # fmt: skip
def test_what_is_denied_about_twitching_finds_it(text: str, reading: Any) -> None:
    assert reading.says_twitching(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "Not bothered by muscle twitching", "no relief, muscle twitching or cramps every night in both legs",
        "No weakness, fasciculations or twitching seen daily in both calves", "Not examined for fasciculations",
    ],
)  # fmt: skip
def test_what_is_open_neither_finds_nor_denies_twitching(text: str, reading: Any) -> None:
    assert reading.says_twitching(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "No evidence of fasciculations", "no signs of muscle twitching", "no complaint of muscle twitching",
        "free of fasciculations", "No weakness, wasting or fasciculations.", "No cramps or fasciculations in both legs",
        "No weakness, wasting or fasciculations in any limb",
    ],
)  # fmt: skip
def test_twitching_that_is_plainly_denied_is_denied(text: str, reading: Any) -> None:
    assert reading.says_twitching(text) is False


CODED = {"coding": [{"system": "http://snomed.info/sct", "code": "82470000", "display": "Fasciculation"}]}
COMPLAINT = {"coding": [{"system": "http://loinc.org", "code": "10154-3", "display": "Chief complaint Narrative"}]}


def observed(reading: Any, code: dict[str, Any], **value: Any) -> set[bool | None]:
    """What an observation says to the gate: that there is twitching, that there is none, or nothing."""
    raw = {"resourceType": "Observation", "id": "one", "status": "final", "code": code, **value}
    about = About(reading, Concepts(reading))
    return {reading.gate.says(entry) for entry in read_observation(raw, about) if isinstance(entry, Result)} or {None}


AFFIRMING = [
    "Present in both calves", "Seen in left deltoid", "yes - calves", "Frequent, both legs", "widespread", "++",
    "present (calves)", "Present bilaterally", "observed", "noted", "abnormal", "in both calves", "moderate", "yes",
]  # fmt: skip


@pytest.mark.parametrize("answer", AFFIRMING)
def test_an_answer_that_affirms_twitching_opens_the_gate(answer: str, reading: Any) -> None:
    for code in (CODED, {"text": "Muscle twitching"}, {"text": "Fasciculations"}, {"text": "Fasciculations?", **CODED}):
        assert observed(reading, code, valueString=answer) == {True}, code
    assert observed(reading, CODED, valueCodeableConcept={"text": answer}) == {True}


@pytest.mark.parametrize(
    "answer",
    ["no", "absent", "none", "not seen", "normal", "normal on both sides", "not examined", "unable to assess",
     "possible", "absent in both legs", "none in the arms, frequent in the calves",
     "none seen", "not examined: arm in plaster", "0", "0/4", "?", "resolved", "unlikely"],
)  # fmt: skip
def test_an_answer_that_affirms_no_twitching_opens_nothing(answer: str, reading: Any) -> None:
    for code in (CODED, {"text": "Muscle twitching"}, {"text": "Fasciculations"}):
        assert True not in observed(reading, code, valueString=answer), code


SENTENCES = {
    "Muscle twitching in both calves": True, "Fascicul\u00e1tions of the tongue": True, "Muscle twitching ?MND": True,
    "No cramps. Muscle twitching in both legs": True, "Fasciculations seen in both calves": True,
    "night cramps, no muscle twitching": None, "Denies fasciculations": None, "family history of fasciculations": None,
    "possible fasciculations": None, "muscle twitching resolved": None, "twitching lights": None, "cramps": None,
}  # fmt: skip


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_as_the_value_of_another_finding_opens_the_gate(sentence: str, reading: Any) -> None:
    for value in ({"valueString": sentence}, {"valueCodeableConcept": {"text": sentence}}):
        for code in (COMPLAINT, {"text": "Neurological examination"}, {"text": "History of present illness"}):
            assert observed(reading, code, **value) == {SENTENCES[sentence]}, code
        for name in ("Family history", "Past medical history", "Reason to rule out"):
            assert observed(reading, {"text": name}, **value) == {None}, name
    assert observed(reading, COMPLAINT, valueString=sentence, status="preliminary") == {None}


R25_3 = [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R25.3", "display": "Fasciculation"}]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Family history of fasciculation", False), ("Denies muscle fasciculation", False),
        ("No fasciculations", False),
        ("Possible fasciculations", False), ("Fasciculations resolved", False), ("History of muscle twitching", False),
        ("Fasciculations", True), ("Muscle spasm", True), ("twitching", True), ("Fasciculations ?cause", True),
        ("Fasciculations, absent reflexes", True),
    ],
)  # fmt: skip
def test_words_win_over_the_code_for_twitching(text: str, counts: bool, reading: Any) -> None:
    """What a problem's own words deny or doubt, or tell of others, its code does not say."""
    concept = Concepts(reading).of({"code": {"text": text, "coding": R25_3}}, "code")
    assert bool({m.concept for m in concept.with_twitching} & reading.gate.all_concepts) is counts


def test_any_word_that_begins_with_a_stem_is_twitching(reading: Any) -> None:
    for stem in ("fasciculat", "myokymi"):
        for ending in ("", "ion", "ory", "ng", "ive", "form"):
            assert reading.says_twitching(f"{stem}{ending} of the calf") is True
            assert reading.says_twitching(f"no {stem}{ending} of the calf") is False
    for stem in ("twitch", "flicker", "quiver", "flutter"):
        for ending in ("", "er", "iness", "ings"):
            assert reading.says_twitching(f"{stem}{ending} of the calf") is True
            assert reading.says_twitching(f"{stem}{ending} of the screen") is None
