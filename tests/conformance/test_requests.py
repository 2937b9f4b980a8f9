"""What CDS Hooks asks of a service while it answers: statuses, prefetch, tokens, extensions, errors."""

from __future__ import annotations

import copy
import json
import logging
import re
import socket
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from cds_service import fhir
from cds_service.intake.glance import Bundle
from cds_service.intake.prefetch import gather, whole_record
from tests.applications import client
from tests.conftest import FIXTURES
from tests.served import SERVICE

FAILURE = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
NOBODY = {"resourceType": "Bundle", "type": "searchset", "total": 0}


def asked(name: str = "low-potassium") -> Any:
    """One of fixtures/requests, freshly read."""
    return json.loads((FIXTURES / "requests" / f"{name}.json").read_text(encoding="utf-8"))


def call(body: Any, **more: Any) -> Any:
    return client().post(SERVICE, data=json.dumps(body), content_type="application/json", **more)


def paths(response: Any) -> set[str]:
    """The paths an error names; the error itself must be a valid OperationOutcome."""
    body = response.get_json()
    assert fhir.faults(body) == []
    assert all(issue["severity"] == "error" for issue in body["issue"])
    return {path for issue in body["issue"] for path in issue["expression"]}


def details(response: Any) -> str:
    assert response.status_code == 200
    return "\n".join(card["detail"] for card in response.get_json()["cards"])


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("name", ["bare-entry", "hand-weakness", "low-potassium"])
def test_an_assessed_chart_is_answered_with_200_and_an_array_of_cards(name: str) -> None:
    response = call(asked(name))
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert isinstance(response.get_json()["cards"], list)


def test_nothing_to_say_is_200_with_no_cards() -> None:
    body = asked("bare-entry")
    body["prefetch"]["conditions"] = NOBODY
    response = call(body)
    assert (response.status_code, response.get_json()) == (200, {"cards": []})


def test_an_answer_is_strict_json_in_utf_8() -> None:
    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is no JSON")

    raw = call(asked()).data
    assert json.loads(raw.decode("utf-8", "strict"), parse_constant=refuse)


def test_two_calls_give_cards_of_their_own() -> None:
    first, second = (call(asked()).get_json()["cards"][0] for _ in range(2))
    assert first["uuid"] != second["uuid"]
    assert first["summary"] == second["summary"]


# ---------------------------------------------------------------- the request


@pytest.mark.parametrize("field", ["hook", "hookInstance", "context"])
def test_a_required_field_that_is_missing_is_named(field: str) -> None:
    body = asked()
    del body[field]
    response = call(body)
    assert response.status_code == 400
    assert paths(response) == {field}


def test_the_patient_of_the_context_is_required() -> None:
    body = asked()
    del body["context"]["patientId"]
    response = call(body)
    assert (response.status_code, paths(response)) == (400, {"context.patientId"})


@pytest.mark.parametrize("field", ["encounterId", "userId"])
def test_a_chart_without_encounter_or_known_user_is_assessed(field: str) -> None:
    body = asked("hand-weakness")
    del body["context"][field]
    answer = call(body).get_json()
    orders = [a["resource"] for c in answer["cards"] for s in c["suggestions"] for a in s["actions"]]
    assert orders
    assert not any({"encounterId": "encounter", "userId": "requester"}[field] in order for order in orders)


@pytest.mark.parametrize("name", ["hand-weakness", "no-twitching"])
@pytest.mark.parametrize("where", ["fhirServer", "fhirAuthorization", "extension", "encounterId", "userId"])
def test_null_is_the_same_as_left_out(where: str, name: str) -> None:
    """``no-twitching``: a chart that is passed over, whose envelope is read by other means."""
    without = asked("hand-weakness")
    if name == "no-twitching":
        without["prefetch"]["conditions"] = None
        without["prefetch"] = {key: without["prefetch"][key] for key in ("patient", "conditions")}
    holder = "context" if where in without["context"] else ""
    (without[holder] if holder else without).pop(where, None)
    with_null = copy.deepcopy(without)
    (with_null[holder] if holder else with_null)[where] = None
    one, other = call(without), call(with_null)
    assert (one.status_code, other.status_code) == (200, 200)
    assert [c["summary"] for c in one.get_json()["cards"]] == [c["summary"] for c in other.get_json()["cards"]]


def test_another_hook_is_refused() -> None:
    response = call(asked() | {"hook": "order-select"})
    assert (response.status_code, paths(response)) == (400, {"hook"})


def test_a_token_without_a_server_is_refused() -> None:
    """The rule cds-r-1."""
    body = asked() | {"fhirAuthorization": _token()}
    response = call(body)
    assert (response.status_code, paths(response)) == (400, {"fhirServer"})


def test_a_server_without_a_token_is_accepted() -> None:
    assert call(asked() | {"fhirServer": "https://ehr.example.org/fhir"}).status_code == 200


def test_all_faults_of_an_envelope_are_named_at_once() -> None:
    response = call({"hook": "order-sign", "hookInstance": "1", "context": {}})
    assert paths(response) == {"hook", "hookInstance", "context.patientId"}


def test_extensions_and_unknown_fields_change_nothing() -> None:
    body = asked()
    plain = call(body).get_json()["cards"][0]["summary"]
    body["extension"] = {"com.example.timestamp": "2017-11-27T22:13:25Z"}
    body["context"]["com.example.ward"] = "7b"
    assert call(body).get_json()["cards"][0]["summary"] == plain


def test_no_extension_is_sent() -> None:
    assert '"extension"' not in call(asked()).get_data(as_text=True)


# ---------------------------------------------------------------- prefetch


@pytest.mark.parametrize("key", ["patient", "conditions"])
@pytest.mark.parametrize("how", ["missing", "failed"])
def test_without_a_required_query_the_answer_is_412_and_names_it(key: str, how: str) -> None:
    body = asked()
    if how == "missing":
        del body["prefetch"][key]
    else:
        body["prefetch"][key] = FAILURE
    response = call(body)
    assert (response.status_code, paths(response)) == (412, {f"prefetch.{key}"})


def test_without_any_prefetch_both_required_queries_are_named() -> None:
    body = asked()
    del body["prefetch"]
    response = call(body)
    assert (response.status_code, paths(response)) == (412, {"prefetch.patient", "prefetch.conditions"})


def test_null_means_none_on_file() -> None:
    body = asked("bare-entry")
    body["prefetch"]["conditions"] = None
    assert call(body).get_json() == {"cards": []}


@pytest.mark.parametrize("key", ["labs", "medications", "reports", "encounters", "orders"])
def test_an_optional_query_that_is_missing_is_named_and_nothing_is_taken_for_normal(key: str) -> None:
    body = asked("hand-weakness")
    del body["prefetch"][key]
    assert "not provided by the client, so unknown here" in details(call(body))


def test_an_operation_outcome_in_prefetch_is_seen_and_named() -> None:
    body = asked("hand-weakness")
    body["prefetch"]["labs"] = FAILURE
    assert "labs: the client reported a failure" in details(call(body))


def failing(severity: str = "error", code: str = "timeout") -> Any:
    """A Bundle in which the client's server tells of its own search."""
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}
    return {**NOBODY, "entry": [{"resource": outcome, "search": {"mode": "outcome"}}]}


@pytest.mark.parametrize("severity", ["error", "fatal"])
def test_a_search_that_failed_inside_its_bundle_is_no_answer(severity: str) -> None:
    body = asked("hand-weakness")
    body["prefetch"]["conditions"] = failing(severity)
    refused = call(body)
    assert (refused.status_code, paths(refused)) == (412, {"prefetch.conditions"})
    body = asked("hand-weakness")
    body["prefetch"]["labs"] = failing(severity)
    assert "labs: the search reported a failure" in details(call(body))
    assert "labs" not in gather(body["prefetch"]).answered


def test_what_a_failed_search_found_is_kept_as_a_part() -> None:
    body = asked("low-potassium")
    body["prefetch"]["labs"]["entry"] += failing("warning", "incomplete")["entry"]
    found = gather(body["prefetch"])
    assert found.of("Observation") and "labs" in found.answered - found.complete


def test_a_warning_about_a_search_leaves_its_answer_whole() -> None:
    body = asked("hand-weakness")
    body["prefetch"]["labs"] = failing("warning", "suppressed")
    found = gather(body["prefetch"])
    assert "labs" in found.complete and not found.gaps


def test_a_record_with_a_failed_search_makes_nothing_complete() -> None:
    assert not whole_record(failing()).complete


def test_a_cut_page_is_named() -> None:
    body = asked("hand-weakness")
    link = {"relation": "next", "url": "https://ehr.example.org/fhir?page=2"}
    body["prefetch"]["labs"] = (body["prefetch"]["labs"] or NOBODY) | {"link": [link]}
    assert "labs: only the first page was sent" in details(call(body))


@pytest.mark.parametrize("mode", ["include", "outcome", None])
def test_a_bundle_that_holds_less_than_its_total_is_cut(mode: str | None) -> None:
    body = asked("low-potassium")
    labs = body["prefetch"]["labs"]
    for entry in labs["entry"]:
        entry["search"] = {"mode": "match"}
    labs["total"] = len(labs["entry"])
    assert "labs" in gather(body["prefetch"]).complete
    medication = {"resourceType": "Medication", "id": "m"}
    labs["entry"].append({"resource": medication} | ({"search": {"mode": mode}} if mode else {}))
    labs["total"] += 1
    assert "labs" not in gather(body["prefetch"]).complete
    assert "labs: fewer entries were sent than were found" in details(call(body))


@pytest.mark.parametrize(
    ("key", "told", "matches"),
    [
        ("medications", [("MedicationRequest", "match"), ("MedicationStatement", "match")], 2),
        ("medications", [("MedicationStatement", None), ("MedicationStatement", None)], 2),
        ("medications", [("MedicationRequest", None), ("Medication", None)], 1),
        ("medications", [("MedicationRequest", "match"), ("Medication", "include")], 1),
        ("medications", [("MedicationRequest", None), ("OperationOutcome", None)], 1),
        ("medications", [("OperationOutcome", "outcome")], 0),
        ("everything", [("Patient", "match"), ("Observation", "include")], 1),
        ("record", [("Patient", "match"), ("Observation", "include"), ("OperationOutcome", "outcome")], 2),
    ],
)
def test_a_total_counts_every_match_of_whatever_type(key: str, told: list[Any], matches: int) -> None:
    entries = [
        {"resource": {"resourceType": kind, "id": str(n)}} | ({"search": {"mode": mode}} if mode else {})
        for n, (kind, mode) in enumerate(told)
    ]
    for total in (matches, matches + 1):
        page = {"resourceType": "Bundle", "total": total, "entry": entries}
        patient = {"resourceType": "Patient", "id": "p"}
        read = whole_record(page) if key == "record" else gather({"patient": patient, "conditions": NOBODY, key: page})
        cut = any(gap.reason == "fewer entries were sent than were found" for gap in read.gaps)
        assert cut is (total > matches)
        if all(kind != "OperationOutcome" for kind, _ in told):  # which a glance leaves to the whole reading
            assert msgspec.json.decode(json.dumps(page), type=Bundle).is_whole(key) is (total <= matches)


def test_resources_of_another_patient_are_not_used() -> None:
    body = asked("low-potassium")
    before = call(body).get_json()["cards"][0]["summary"]
    assert "potassium" in before.lower()
    text = json.dumps(body["prefetch"]["labs"]).replace("Patient/low-potassium", "Patient/somebody-else")
    body["prefetch"]["labs"] = json.loads(text)
    assert "2.9" not in json.dumps(call(body).get_json())


# ---------------------------------------------------------------- the token and the server of the client


def _token() -> dict[str, Any]:
    return {
        "access_token": "some-opaque-token-1f6d",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "user/Patient.read user/Observation.read",
        "subject": "cds-service",
    }


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    tried: list[Any] = []

    def refuse(self: socket.socket, address: Any) -> None:
        tried.append(address)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield tried


def test_an_access_token_is_neither_used_nor_kept(
    no_network: list[Any], caplog: pytest.LogCaptureFixture, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    body = asked() | {"fhirServer": "https://ehr.example.org/fhir", "fhirAuthorization": _token()}
    response = call(body)
    assert response.status_code == 200
    assert no_network == []
    assert list(tmp_path.iterdir()) == []
    assert "some-opaque-token" not in response.get_data(as_text=True) + caplog.text


def test_a_json_web_token_is_ignored_while_authentication_is_off() -> None:
    for value in ("Bearer eyJhbGciOiJFUzM4NCJ9.e30.c2ln", "Bearer nonsense", "Basic eDp5"):
        assert call(asked(), headers={"Authorization": value}).status_code == 200
        assert client().get("/cds-services", headers={"Authorization": value}).status_code == 200


def test_a_card_says_nothing_that_identifies_the_patient_beyond_the_context() -> None:
    body = asked()
    patient = body["prefetch"]["patient"]
    text = call(body).get_data(as_text=True)
    assert patient["name"][0]["family"] not in text
    assert patient["birthDate"] not in text
    assert patient["identifier"][0]["value"] not in text


# ---------------------------------------------------------------- errors


def test_every_error_is_an_operation_outcome() -> None:
    body = (FIXTURES / "requests" / "bare-entry.json").read_bytes()
    answers = [
        client().post(SERVICE, data=b"{", content_type="application/json"),
        client().post("/cds-services/another", data=body, content_type="application/json"),
        client().get("/nothing-here"),
        client().get(SERVICE),
        call({**asked(), "prefetch": {}}),
        client().post(SERVICE, data=body, content_type="text/plain"),
        client().post(SERVICE, data=body, content_type="application/json", headers={"Content-Encoding": "br"}),
    ]
    assert [answer.status_code for answer in answers] == [400, 404, 404, 405, 412, 415, 415]
    for answer in answers:
        assert answer.mimetype == "application/json"
        assert paths(answer)


def test_an_error_repeats_nothing_of_the_address_that_was_asked_for() -> None:
    for address in ("/Patient/mrn-4711", "/cds-services/mrn-4711", "/cds-services//", "/%0b%00%ff"):
        answer = client().get(address)
        assert answer.status_code in (404, 405)
        assert paths(answer)
        assert "4711" not in answer.get_data(as_text=True)


def test_our_own_bug_is_500_and_never_an_empty_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a value of the patient: 4711")

    monkeypatch.setattr(sys.modules["cds_service.web.hooks"], "assess", broken)
    response = call(asked())
    assert response.status_code == 500
    assert paths(response) == {"$"}
    assert "4711" not in response.get_data(as_text=True) + caplog.text
    [written] = [r.fields for r in caplog.records if r.levelname == "ERROR"]  # type: ignore[attr-defined]
    assert written["kind"] == "KeyError"
    assert re.fullmatch(r"\w+\.py:\d+", written["at"])


def test_a_hook_instance_may_be_any_uuid() -> None:
    for instance in (uuid.uuid4(), uuid.UUID(int=0)):
        assert call(asked() | {"hookInstance": str(instance)}).status_code == 200
