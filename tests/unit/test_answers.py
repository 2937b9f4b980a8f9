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
SAYS_NOTHING = [
    "normal", "Normal.", "not examined", "could not be assessed", "Unable to assess", "not done", "see note",
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
        ("Muscle wasting of the hand", "none seen", "atrophy", "unknown"),
        ("Muscle wasting of the hand", "normal on both sides", "atrophy", "unknown"),
        ("Muscle wasting of the hand", "resolved", "atrophy", "unknown"),
        ("Muscle wasting of the hand", "possible", "atrophy", "unknown"),
        ("Muscle wasting", "0", "atrophy", "unknown"),
        ("Tongue fasciculation", "not examined", "tongue_wasting_fasc", "unknown"),
        ("Extensor plantar", "not tested", "babinski", "unknown"),
        ("Muscle weakness", "normal", "weak_reported", "unknown"),
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
        ("Neurological examination", "Muscle wasting: not examined", "atrophy", "unknown"),
        ("Neurological examination", "Muscle wasting: not examined today, gait steady", "atrophy", "unknown"),
        ("Neurological examination", "Muscle wasting: none", "atrophy", "absent"),
        ("Neurological examination", "Muscle wasting: thenar", "atrophy", "present"),
    ],
)
def test_a_name_is_said_only_as_far_as_its_answer_goes(name: str, value: str, finding: str, presence: str) -> None:
    assert answered(name, value, finding) == presence


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
