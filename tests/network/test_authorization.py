"""fhirServer and fhirAuthorization in the envelope: what is refused, and that the token is never shown."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from cds_service.errors import RequestError
from cds_service.intake.envelope import read_envelope

TOKEN = "opaque-9a41.Zx_~+/="
SERVER = "https://fhir.example.org/r4"


def body(**authorization: Any) -> dict[str, Any]:
    """A call whose authorization is spoiled in one field; None takes the field out."""
    whole = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "cds-service",
        "patient": "p1",
    } | authorization
    return {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "fhirServer": SERVER,
        "context": {"patientId": "p1", "userId": "Practitioner/1"},
        "fhirAuthorization": {key: value for key, value in whole.items() if value is not None},
    }


def faulty_paths(request: dict[str, Any]) -> set[str]:
    with pytest.raises(RequestError) as refused:
        read_envelope(request)
    assert refused.value.status == 400
    assert TOKEN not in str(refused.value)
    return {fault.where for fault in refused.value.faults}


def test_server_and_token_are_read() -> None:
    hook = read_envelope(body())
    assert hook.authorization is not None
    assert (hook.fhir_server, hook.authorization.access_token) == (SERVER, TOKEN)


def test_the_token_is_in_no_repr() -> None:
    hook = read_envelope(body())
    assert TOKEN not in repr(hook) + str(hook) + repr(hook.authorization)


@pytest.mark.parametrize("left_out", ["expires_in", "scope", "subject", "patient"])
def test_what_this_service_does_not_need_may_be_left_out(left_out: str) -> None:
    assert read_envelope(body(**{left_out: None})).authorization is not None


@pytest.mark.parametrize("patient", ["p1", "Patient/p1"])
def test_a_token_for_this_patient_is_taken(patient: str) -> None:
    assert read_envelope(body(patient=patient)).authorization is not None


SPOILED = [
    ("access_token", None), ("access_token", ""), ("access_token", 7), ("access_token", "a b"),
    ("access_token", "a\r\nX-Role: admin"), ("access_token", "a\n"), ("access_token", "a\x00"),
    ("access_token", "ä"), ("access_token", "x" * 16385),
    ("token_type", None), ("token_type", "Basic"), ("token_type", "Bearer\n"),
    ("expires_in", "soon"), ("expires_in", -1), ("scope", 1), ("subject", []), ("patient", "p2"), ("patient", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), SPOILED, ids=[f"{n}-{str(v)[:12]!r}" for n, v in SPOILED])
def test_a_spoiled_field_is_400_and_named(name: str, value: Any) -> None:
    assert faulty_paths(body(**{name: value})) == {f"fhirAuthorization.{name}"}


@pytest.mark.parametrize("value", [{}, "Bearer x", ["x"], 1])
def test_an_authorization_that_is_none_is_400(value: Any) -> None:
    paths = faulty_paths(body() | {"fhirAuthorization": value})
    assert paths
    assert all(path.startswith("fhirAuthorization") for path in paths)


@pytest.mark.parametrize("server", ["http://fhir_server:8080/fhir", "https://[2001:db8::1]/r4", "HTTPS://H.example./"])
def test_an_unusual_address_is_no_reason_to_refuse(server: str) -> None:
    assert read_envelope(body() | {"fhirServer": server}).fhir_server == server


@pytest.mark.parametrize("server", ["ehr, second floor", "file:///etc/passwd", "https://", "javascript:alert(1)", 7])
def test_what_is_no_web_address_is_400(server: Any) -> None:
    assert faulty_paths(body() | {"fhirServer": server}) == {"fhirServer"}
