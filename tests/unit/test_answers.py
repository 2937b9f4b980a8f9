"""What the name of a result says when its value affirms it, denies it or leaves it open."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.intake.about import About
from cds_service.intake.concepts import Concepts
from cds_service.intake.observations import read_observation
from cds_service.worked_examples import case_of
from tests.conftest import _COMPILED

KNOWLEDGE, READING = _COMPILED
DENIED = [
    "not noted", "not observed", "Not appreciated.", "No problems", "No issues", "no concerns", "no difficulty",
    "no symptoms", "Not at all", "none at all", "0/10", "0 beats", "no longer", "not currently",
    "not any more", "never", "Patient reports none", "patient denies", "none reported, none seen", "(-)", "not present",
    "absent bilaterally",
    "WFL", "Good", "ok", "speech normal", "normal", "Normal.", "intact on both sides", "within functional limits",
]  # fmt: skip
OPEN = [
    "could not elicit", "unable to test", "Refused", "Patient asleep", "pt declines", "see HPI", "deferred today",
    "not on the left", "not bilaterally", "no new", "not absent", "not normal", "never at night",
    "cannot be reliably assessed",
]  # fmt: skip
AFFIRMED = [
    "yes", "mild", "left", "thenar", "since May", "sometimes", "worse at night", "3 beats", "(+)", "no change",
    "not improved", "no power in the left leg", "unable to lift the arm", "no longer able to climb",
    "none on the left, mild on the right", "no, but mild on the left",
]  # fmt: skip
SAYS_NOTHING = [
    *OPEN, "not examined", "could not be assessed", "Unable to assess", "not done", "see note",
    "not examined: arm in plaster",
]  # fmt: skip


def answered(name: str, value: str, finding: str) -> str:
    sketches = [{"twitch": "30 days ago"}, {"exam": name, "value": value, "on": "2 days ago"}]
    return str(case_of(sketches, KNOWLEDGE, READING)[finding].presence.value)


@pytest.mark.parametrize(
    ("name", "value", "finding", "presence"),
    [
        # Not looked at, or nothing that a sign can be.
        *(("Muscle wasting", value, "atrophy", "unknown") for value in SAYS_NOTHING),
        ("Muscle wasting of the hand", "not assessed today", "atrophy", "unknown"),
        ("Muscle wasting of the hand", "none seen", "atrophy", "absent"),
        ("Muscle wasting of the hand", "normal on both sides", "atrophy", "absent"),
        ("Muscle wasting of the hand", "resolved", "atrophy", "unknown"),
        ("Muscle wasting of the hand", "possible", "atrophy", "unknown"),
        ("Muscle wasting", "0", "atrophy", "unknown"),
        ("Tongue fasciculation", "not examined", "tongue_wasting_fasc", "unknown"),
        ("Extensor plantar", "not tested", "babinski", "unknown"),
        ("Muscle weakness", "normal", "weak_reported", "absent"),
        ("No weakness", "not examined", "weak_reported", "unknown"),
        ("No weakness", "not examined today", "weak_reported", "unknown"),
        # Denied.
        ("Muscle wasting", "absent", "atrophy", "absent"),
        ("Muscle wasting", "not seen", "atrophy", "absent"),
        ("Muscle wasting", "not seen today", "atrophy", "absent"),
        ("Muscle wasting", "No wasting seen", "atrophy", "absent"),
        ("Muscle wasting", "normal bulk", "atrophy", "absent"),
        ("Tongue fasciculation", "absent", "tongue_wasting_fasc", "absent"),
        # Affirmed, by a word of assent, a place, a degree or a deed.
        ("Muscle wasting", "yes", "atrophy", "present"),
        ("Muscle wasting", "abnormal", "atrophy", "present"),
        ("Muscle wasting", "thenar", "atrophy", "present"),
        ("Muscle wasting", "mild, both hands", "atrophy", "present"),
        ("Muscle wasting", "normal except thenar", "atrophy", "present"),
        ("Muscle weakness", "no grip in the right hand", "weak_reported", "present"),
        # Said by name and value together.
        ("Muscle tone", "increased", "spasticity", "present"),
        ("Plantars", "extensor", "babinski", "present"),
        ("Plantars", "flexor", "babinski", "absent"),
        ("Babinski", "positive", "babinski", "present"),
        ("Motor examination", "normal power", "power_normal", "present"),
        ("Neurological examination", "normal", "exam_normal", "present"),
        ("Neurological examination", "within normal limits", "exam_documented", "present"),
        ("Neurological examination", "not examined", "exam_documented", "unknown"),
        ("Neurological examination", "not done", "exam_documented", "unknown"),
        # Names and answers inside one sentence of an examination.
        ("Neurological examination", "Muscle wasting: normal. Tone: increased", "atrophy", "unknown"),
        ("Neurological examination", "Tremor: fine", "tremor", "present"),
        ("Neurological examination", "Muscle wasting: not examined", "atrophy", "unknown"),
        ("Neurological examination", "Muscle wasting: not examined today, gait steady", "atrophy", "unknown"),
        ("Neurological examination", "Muscle wasting: none", "atrophy", "absent"),
        ("Neurological examination", "Muscle wasting: thenar", "atrophy", "present"),
    ],
)
def test_a_name_is_said_only_as_far_as_its_answer_goes(name: str, value: str, finding: str, presence: str) -> None:
    assert answered(name, value, finding) == presence


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("Muscle wasting", "atrophy"),
        ("Difficulty swallowing", "dysphagia"),
        ("Ankle clonus", "clonus"),
        ("muscle_atrophy", "atrophy"),
        ("dysarthria", "dysarthria"),
    ],
)
def test_an_answer_is_read_by_its_kind(name: str, finding: str) -> None:
    expected = dict.fromkeys(DENIED, "absent") | dict.fromkeys(OPEN, "unknown") | dict.fromkeys(AFFIRMED, "present")
    assert {value: answered(name, value, finding) for value in expected} == expected


@pytest.mark.parametrize("value", ["fine", "normal", "good"])
@pytest.mark.parametrize(("name", "finding"), [("Tremor", "tremor"), ("Fasciculation", "twitch_current")])
def test_a_fine_tremor_is_a_tremor(name: str, finding: str, value: str) -> None:
    assert answered(name, value, finding) != "absent"


@pytest.mark.parametrize("value", ["at times", "observed by wife, not by me", "not observed today, was there in May"])
@pytest.mark.parametrize("name", ["Muscle wasting", "muscle_atrophy"])
def test_the_answer_to_a_sign_is_quoted(name: str, value: str) -> None:
    found = case_of([{"twitch": "30 days ago"}, {"exam": name, "value": value, "on": "2 days ago"}], KNOWLEDGE, READING)
    finding = found["atrophy"]
    assert all(value in evidence.value for evidence in (*finding.evidence, *finding.denied))


@pytest.mark.parametrize(
    ("text", "finding", "presence"),
    [
        ("ROS (-) muscle wasting (-) dysphagia", "dysphagia", "absent"),
        ("ROS (-) muscle wasting (-) dysphagia", "atrophy", "absent"),
        ("ROS (-) muscle wasting (+) dysphagia", "dysphagia", "present"),
        ("muscle wasting (+), dysphagia (-)", "atrophy", "present"),
        ("muscle wasting (+), dysphagia (-)", "dysphagia", "absent"),
        ("muscle wasting (-) dysphagia (+)", "atrophy", "absent"),
        ("muscle wasting (-) dysphagia (+)", "dysphagia", "present"),
        ("Dysphagia: No problems. Muscle wasting: not observed", "dysphagia", "absent"),
        ("Dysphagia: No problems. Muscle wasting: not observed", "atrophy", "absent"),
        ("Dysphagia: patient asleep", "dysphagia", "unknown"),
        ("Return precautions: weakness, slurred speech, dysphagia", "dysphagia", "unknown"),
        ("Call if: slurred speech; dysphagia", "dysphagia", "unknown"),
        ("Watch for slurred speech, dysphagia", "dysphagia", "unknown"),
        ("Return precautions: weakness. Dysphagia for a month", "dysphagia", "present"),
    ],
)
def test_marks_answers_and_advice_inside_a_note(text: str, finding: str, presence: str) -> None:
    assert answered("physical examination", text, finding) == presence


BOTH_SIDES = ("{a} left, {b} right", "{a} on the left, {b} on the right", "left {a}, right {b}", "L {a}, R {b}",
              "left: {a}, right: {b}", "{a} on the left and {b} on the right", "{a} L / {b} R")  # fmt: skip


@pytest.mark.parametrize("layout", BOTH_SIDES)
@pytest.mark.parametrize(("down", "up"), [("flexor", "extensor"), ("downgoing", "upgoing")])
@pytest.mark.parametrize("name", ["Plantars", "Plantar responses", "Plantar reflex"])
def test_a_sign_of_one_side_is_a_sign(layout: str, down: str, up: str, name: str) -> None:
    one, other = layout.format(a=down, b=up), layout.format(a=up, b=down)
    neither, both = layout.format(a=down, b=down), layout.format(a=up, b=up)
    told = {value: answered(name, value, "babinski") for value in (one, other, neither, both)}
    assert told == {one: "present", other: "present", neither: "absent", both: "present"}
    if ":" not in layout:
        written = {
            v: answered("physical examination", f"Tone normal, {name} {v}. Gait steady.", "babinski") for v in told
        }
        assert written == told


@pytest.mark.parametrize(
    ("name", "value", "presence"),
    [
        ("Babinski", "R +, L -", "present"),
        ("Babinski", "R-, L+", "present"),
        ("Babinski", "R -, L -", "absent"),
        ("Babinski", "yes, R", "present"),
        ("Babinski", "right only", "present"),
        ("babinski", "yes, R", "present"),
        ("babinski", "right only", "present"),
        ("babinski", "R +, L -", "present"),
        ("babinski", "not seen on the right", "unknown"),
        ("Plantars", "R ↑, L ↓", "present"),
    ],
)
def test_a_side_is_an_answer(name: str, value: str, presence: str) -> None:
    assert answered(name, value, "babinski") == presence


@pytest.mark.parametrize(
    ("text", "presence"),
    [
        ("Plantars flexor left, right hand wasting.", "present"),
        ("Normal bulk. Wasted right FDI.", "present"),
        ("No wasting on the left. Right hand wasting.", "present"),
        ("Right hand wasting. Normal bulk elsewhere.", "present"),
        ("No right hand wasting. Normal bulk.", "absent"),
        ("No wasting of the right hand, normal bulk of the right forearm.", "absent"),
    ],
)
def test_a_wasted_muscle_beside_a_denial(text: str, presence: str) -> None:
    assert answered("physical examination", text, "atrophy") == presence


@pytest.mark.parametrize("value", SAYS_NOTHING)
def test_no_name_is_a_sign_when_its_answer_says_nothing(value: str) -> None:
    """Every phrase of the content as the name of a result."""
    book, about = READING.phrase_book, About(READING, Concepts(READING))
    # That something was normal says that it was examined.
    affirmed = {p.finding for p in book.phrases if "normal" in p.lifts and value.lower().startswith("normal")}
    wrong = []
    for phrase in book.phrases:
        name = " ".join(phrase.words)
        raw: dict[str, Any] = {"resourceType": "Observation", "id": "one", "status": "final", "code": {"text": name}}
        alone = {heard.finding for heard in book.listen(name) if heard.says}
        for entry in read_observation(raw | {"valueString": value}, about):
            said = {heard.finding for text in entry.texts for heard in book.listen(text) if heard.says}
            wrong += [(name, finding) for finding in sorted(alone & said - affirmed)]
    assert wrong == []


NAMED = [  # the name of a sign, and the finding that it is
    ("Orthopnoea", "resp_rest_or_orthopnoea"), ("Confusion", "drowsy_confused_charted"),
    ("Seizure", "seizure_or_hallucination_90d"), ("Dysphagia", "dysphagia"),
    ("Dysarthria", "dysarthria"), ("Muscle weakness", "weak_reported"), ("Muscle wasting", "atrophy"),
    ("Hyperreflexia", "hyperreflexia"), ("Ankle clonus", "clonus"), ("Weight loss", "weight_loss"),
]  # fmt: skip
SPARED = [
    "sleeps flat without difficulty", "sensation intact", "alert and oriented x3", "eating and drinking normally",
    "eats normally, drinks normally", "continent, voiding well", "power 5/5 throughout", "calm", "normal sensation",
    "power is normal and 5/5 bilaterally", "last one in childhood", "vision normal", "speech loud and clear",
]  # fmt: skip
NOT_SPARED = [
    "normal on the left, reduced on the right", "power 5/5 in the legs, 4/5 in the hands",
    "5/5 proximally and 3/5 distally",
    "normally mild", "slurred in the evening, normal in the morning",
    "worse when not sleeping well", "does not do well", "less than normal", "was normal until May",
    "normal except at night", "well established", "oriented x1",
]  # fmt: skip


@pytest.mark.parametrize(("name", "finding"), NAMED)
def test_wellness_in_other_words_is_no_sign(name: str, finding: str) -> None:
    assert [value for value in SPARED if answered(name, value, finding) == "present"] == []
    assert [value for value in NOT_SPARED if answered(name, value, finding) != "present"] == []


@pytest.mark.parametrize(
    ("name", "value", "finding", "present"),
    [
        ("Hyperreflexia", "reflexes symmetrical 2+", "hyperreflexia", False),
        ("Hyperreflexia", "2+ bilaterally", "hyperreflexia", False),
        ("Hyperreflexia", "3+ on the right, 2+ on the left", "hyperreflexia", True),
        ("Hyperreflexia", "3+ throughout", "hyperreflexia", True),
        ("Areflexia", "2+ throughout", "areflexia", False),
        ("Areflexia", "absent ankle jerks, knees 2+", "areflexia", True),
        ("Weight loss", "weight stable", "weight_loss", False),
        ("Weight loss", "stable", "weight_loss", False),
        ("Weight loss", "5 kg, then stable", "weight_loss", True),
        ("Muscle weakness", "stable", "weak_reported", True),
        ("Muscle weakness", "symmetrical", "weak_reported", True),
        ("Spasticity", "2+", "spasticity", True),
        ("Ankle clonus", "unsustained, 1 beat bilaterally", "clonus", False),
        ("Clonus", "unsustained, 1 beat bilaterally", "clonus", False),
        ("Clonus", "unsustained, 4 beats", "clonus", True),
        ("Ankle clonus", "one beat", "clonus", False),
        ("Ankle clonus", "unsustained, 5 beats", "clonus", True),
        ("Ankle clonus", "unsustained 5 beats", "clonus", True),
        ("Ankle clonus", "sustained", "clonus", True),
        ("Ankle clonus", "3 beats", "clonus", True),
    ],
)
def test_wellness_by_the_name_that_it_answers(name: str, value: str, finding: str, present: bool) -> None:
    assert (answered(name, value, finding) == "present") is present
