"""A chart that the first look passes over would have had an empty answer from the whole reading as well."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.assess import ChartSource, assess
from cds_service.intake.decode import decode
from cds_service.intake.envelope import read_envelope
from cds_service.intake.glance import Glance, passed_over
from cds_service.intake.prefetch import gather
from tests.conformance.test_response import request_for
from tests.conftest import _COMPILED, FIXTURES, TODAY, pages, read_page

KNOWLEDGE, READING = _COMPILED
GLANCE = Glance(READING)  # as in a service: one for all calls
KEYS = ("patient", "conditions", "labs")
QUIET = json.loads((FIXTURES / "requests" / "hand-weakness.json").read_bytes())
for _key in ("conditions", "findings"):
    QUIET["prefetch"][_key]["entry"] = [
        entry for entry in QUIET["prefetch"][_key]["entry"] if "ascicul" not in json.dumps(entry)
    ]
    QUIET["prefetch"][_key]["total"] = len(QUIET["prefetch"][_key]["entry"])


def is_passed_over(body: Any) -> bool:
    return passed_over(json.dumps(body).encode(), KEYS, GLANCE) is not None


def answer_of_the_whole_reading(body: Any) -> tuple[Any, ...]:
    hook = read_envelope(decode(json.dumps(body).encode()))
    outcome = assess(ChartSource(gather(hook.prefetch), hook.patient_id, hook.encounter_id), KNOWLEDGE, READING, TODAY)
    assert outcome.other_patients == 0 and not outcome.assessment.gaps, "the line of the call would say otherwise"
    return outcome.assessment.cards


def test_an_ordinary_chart_without_twitching_is_passed_over() -> None:
    assert is_passed_over(QUIET)


@pytest.mark.parametrize("key", ["conditions", "findings"])
def test_what_is_cut_off_is_not_passed_over(key: str) -> None:
    body = copy.deepcopy(QUIET)
    answer = body["prefetch"][key]
    answer["total"] = len(answer["entry"])
    assert is_passed_over(body)
    answer["entry"].append({"resource": {"resourceType": "Medication", "id": "m"}, "search": {"mode": "include"}})
    assert is_passed_over(body)
    answer["total"] += 1
    assert not is_passed_over(body)


def test_what_is_remembered_cannot_be_foreseen_from_outside() -> None:
    said = [entry["resource"]["code"] for entry in QUIET["prefetch"]["labs"]["entry"]]
    assert is_passed_over(QUIET) and GLANCE._silent
    assert GLANCE._silent.isdisjoint({hash(b""), *(hash(json.dumps(code).encode()) for code in said)})


@pytest.mark.parametrize("page", [page for folder in ("records", "quiet", "shapes") for page in pages(folder)])
def test_no_record_with_something_to_say_is_passed_over(page: Path) -> None:
    told = read_page(page)
    body = request_for(json.loads(page.with_suffix(".json").read_bytes()), told.get("encounter", ""))
    body["prefetch"]["patient"] = body["prefetch"]["patient"]["entry"][0]["resource"]
    if is_passed_over(body):
        assert answer_of_the_whole_reading(body) == ()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


PLACES = sorted(_places(QUIET), key=repr)
STRANGE: list[Any] = [
    None, 5, 1.5, True, "", "x", [], {}, [5], [None], {"reference": "Patient/somebody"}, "2026-02-30", "9" * 40,
    "Fasciculation", "twitching of the left calf", {"text": "fasciculations"}, "Bundle", "Patient",
    {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R25.3"}]}, "x" * 100_001,
    {"resourceType": "OperationOutcome"}, [{"relation": "next", "url": "https://ehr.example.org/more"}],
]  # fmt: skip


def _spoil(body: Any, path: tuple[Any, ...], strange: Any) -> None:
    """Write something else at a place, if an earlier change has left the place there."""
    *way, last = path
    try:
        for key in way:
            body = body[key]
        body[last] = copy.deepcopy(strange)  # a later change may write into it
    except (KeyError, IndexError, TypeError):
        return


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(STRANGE)), min_size=1, max_size=3))
def test_whatever_is_spoilt_nothing_is_passed_over_that_would_be_answered(spoilt: list[tuple[Any, Any]]) -> None:
    body = copy.deepcopy(QUIET)
    for path, strange in spoilt:
        _spoil(body, path, strange)
    if is_passed_over(body):
        assert answer_of_the_whole_reading(body) == ()


ENVELOPE = {
    "hook": "patient-view", "hookInstance": "6faa11a0-158e-442b-9feb-7ff8deb071bc",
    "fhirServer": "https://ehr.example.org/fhir", "extension": {"cds-service.origin": "workbench"},
    "fhirAuthorization": {"access_token": "t0ken", "token_type": "Bearer", "expires_in": 300, "scope": "s",
                          "subject": "c", "patient": QUIET["context"]["patientId"]},
    "context": QUIET["context"] | {"userId": "Practitioner/1", "encounterId": "e1"},
}  # fmt: skip
ENVELOPE_PLACES = sorted(_places(ENVELOPE), key=repr)
STRANGE_THERE = [
    *STRANGE, "6FAA11A0158E442B9FEB7FF8DEB071BC", "{6faa11a0-158e-442b-9feb-7ff8deb071bc}", "patient-view\n", "BEARER",
    "bearer\n", "a\nb", "ä", "http://x", "HTTPS://x", "https://", " https://x", "ftp://x", -1, 0, 300.0, "300",
    "x" * 1024, "x" * 1025, "ä" * 1024, "x" * 2048, "http://" + "x" * 2041, "http://" + "x" * 2042, "x" * 16_384,
    "x" * 16_385, "\u0000", "Patient/x",
]  # fmt: skip


def test_an_ordinary_envelope_with_everything_in_it_is_passed_over() -> None:
    assert is_passed_over(QUIET | ENVELOPE)


@pytest.mark.parametrize("path", ENVELOPE_PLACES, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("without", ["", *sorted(ENVELOPE)])
def test_the_envelope_of_what_is_passed_over_is_what_the_schema_reads(path: tuple[Any, ...], without: str) -> None:
    for strange in STRANGE_THERE:
        envelope = copy.deepcopy(ENVELOPE)
        _spoil(envelope, path, strange)
        body = {name: value for name, value in (QUIET | envelope).items() if name != without}
        hook = passed_over(json.dumps(body).encode(), KEYS, GLANCE)
        if hook is not None:
            assert replace(read_envelope(body), prefetch={}) == hook


@pytest.mark.parametrize("where", ["code", "valueCodeableConcept"])
@pytest.mark.parametrize(
    "said", [{"text": "muscle twitching"}, {"coding": [{"display": "FASCICULATIONS of the calf"}]}]
)
def test_twitching_in_a_component_is_not_passed_over(where: str, said: Any) -> None:
    body = copy.deepcopy(QUIET)
    body["prefetch"]["findings"]["entry"][0]["resource"]["component"] = [{where: said}]
    assert not is_passed_over(body)


@pytest.mark.parametrize("place", ["whole", "component"])
def test_twitching_in_the_words_of_a_value_is_not_passed_over(place: str) -> None:
    for said, silent in (("Muscle twitching in both calves", False), ("Fascicul\u00e1tions", False), ("cramps", True)):
        body = copy.deepcopy(QUIET)
        resource = body["prefetch"]["findings"]["entry"][0]["resource"]
        told = {"code": {"text": "Chief complaint"}, "valueString": said}
        resource |= {"code": {"text": "Narrative"}, "effectiveDateTime": TODAY.isoformat()}
        resource.pop("valueCodeableConcept")
        resource |= told if place == "whole" else {"component": [told]}
        assert is_passed_over(body) is silent
        assert (answer_of_the_whole_reading(body) == ()) is silent


def test_escaped_letters_are_read_as_letters() -> None:
    body = copy.deepcopy(QUIET)
    body["prefetch"]["findings"]["entry"][0]["resource"]["code"] = {"text": "Fasciculation"}
    raw = json.dumps(body).replace("Fasciculation", "\\u0046\\u0061sciculation").encode()
    assert passed_over(raw, KEYS, GLANCE) is None


def test_bytes_that_are_no_utf_8_are_left_to_the_whole_reading() -> None:
    raw = json.dumps(QUIET | {"note": "MARK"}).encode()
    assert passed_over(raw, KEYS, GLANCE) is not None
    assert passed_over(raw.replace(b"MARK", b"\xff"), KEYS, GLANCE) is None


def test_a_chart_of_which_more_can_be_had_is_left_to_the_whole_reading() -> None:
    body = QUIET | {"fhirServer": "https://ehr.example.org/fhir"}
    assert passed_over(json.dumps(body).encode(), KEYS, GLANCE) is not None
    assert passed_over(json.dumps(body).encode(), (*KEYS, "never-sent"), GLANCE) is None
