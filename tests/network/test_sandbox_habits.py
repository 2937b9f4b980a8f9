"""The nine habits of the CDS Hooks Sandbox (docs/sandbox.md), each played against the application."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

import pytest

from cds_service.web.discovery import prefetch_templates
from tests.conftest import FIXTURES, TODAY
from tests.network.applications import SERVICE, application
from tests.network.signing import Draft, usual_claims

SANDBOX = "https://sandbox.cds-hooks.org"
SETTINGS = {"CDS_TODAY": TODAY.isoformat(), "CDS_CORS_ORIGINS": SANDBOX, "CDS_SECRET": "only-for-these-tests"}


@pytest.fixture
def client(tmp_path: Any) -> Any:
    return application(CDS_DATABASE_URL=f"sqlite:///{tmp_path}/store.sqlite", **SETTINGS).test_client()


def chart() -> Any:
    return json.loads((FIXTURES / "requests" / "hand-weakness.json").read_bytes())


def call(client: Any, body: Any, path: str = SERVICE, **headers: str) -> list[Any]:
    answer = client.post(path, json=body, headers={"Origin": SANDBOX} | headers)
    assert answer.status_code == 200, answer.get_json()
    assert answer.headers["Access-Control-Allow-Origin"] == SANDBOX
    cards: list[Any] = answer.get_json()["cards"]
    return cards


@pytest.mark.parametrize(
    ("path", "method"), [("/cds-services", "GET"), (SERVICE, "POST"), (f"{SERVICE}/feedback", "POST")]
)
def test_every_address_is_asked_for_leave_first(client: Any, path: str, method: str) -> None:
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}
    answer = client.options(path, headers={"Origin": SANDBOX} | asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SANDBOX
    assert method in answer.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))


def test_its_token_is_ignored_while_authentication_is_off(client: Any) -> None:
    token = Draft(usual_claims(iss=SANDBOX)).text()
    assert call(client, chart(), Authorization=f"Bearer {token}") != []
    assert client.get("/cds-services", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_an_open_launch_is_answered_from_what_was_sent(client: Any) -> None:
    body = chart() | {"fhirServer": "https://launch.smarthealthit.org/v/r4/fhir"}
    assert "fhirAuthorization" not in body
    assert call(client, body) != []


def test_neither_encounter_nor_user_need_be_there(client: Any) -> None:
    body = chart()
    body["context"] = {"patientId": body["context"]["patientId"]}
    body["prefetch"] = {key: value for key, value in body["prefetch"].items() if key not in ("user", "encounters")}
    assert call(client, body) != []


def test_no_template_names_a_parameter_twice_and_every_page_is_large() -> None:
    for key, template in prefetch_templates(date(2026, 6, 15)).items():
        if key == "patient":
            continue
        parameters = parse_qsl(template.partition("?")[2])
        assert len(dict(parameters)) == len(parameters), key
        assert int(dict(parameters)["_count"]) >= 50, key


@pytest.mark.parametrize("path", ["/cds-services/", f"{SERVICE}/", f"{SERVICE}/feedback/"])
def test_a_slash_at_the_end_is_no_other_address(client: Any, path: str) -> None:
    if path == "/cds-services/":
        answer = client.get(path)
    else:
        answer = client.post(path, json={"feedback": []} if "feedback" in path else chart())
    assert answer.status_code == 200


def _left_out(prefetch: Any) -> None:
    del prefetch["medications"]


def _failed(prefetch: Any) -> None:
    prefetch["medications"] = {"resourceType": "OperationOutcome"}


def _unreadable(prefetch: Any) -> None:
    prefetch["medications"] = {"resourceType": "Bundle", "entry": "none"}


@pytest.mark.parametrize("spoil", [_left_out, _failed, _unreadable])
def test_what_is_missing_is_named_on_the_card_and_no_error(client: Any, spoil: Callable[[Any], None]) -> None:
    body = chart()
    body["prefetch"].setdefault("medications", {"resourceType": "Bundle"})
    spoil(body["prefetch"])
    limits = call(client, body)[0]["detail"].partition("**Limits of the data**")[2]
    assert re.search("medic", limits)


def test_what_comes_from_the_record_is_no_html_on_the_card(client: Any) -> None:
    body = chart()
    evil = '<img src=x onerror="alert(1)"><script>alert(2)</script>[a](javascript:alert(3))'
    for entry in body["prefetch"]["conditions"]["entry"]:
        entry["resource"]["code"]["text"] = f"{entry['resource']['code'].get('text', 'Muscle twitching')} {evil}"
    body["prefetch"][evil] = {"resourceType": "OperationOutcome"}
    cards = call(client, body)
    assert any("img" in card["detail"] for card in cards)  # it is shown, as text
    for card in cards:
        assert not re.search(r"(?<!\\)<\s*/?\s*[a-z]", card["detail"], re.IGNORECASE)
        assert not re.search(r"(?<!\\)\]\(\s*javascript", card["detail"], re.IGNORECASE)


def test_a_card_can_be_dismissed_and_its_feedback_is_heard(client: Any) -> None:
    card = call(client, chart())[0]
    reason = {name: card["overrideReasons"][0][name] for name in ("code", "system")}
    said = [
        {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}]},
        {"card": card["uuid"], "outcome": "overridden", "overrideReason": {"reason": reason}},
    ]
    for one in said:
        body = {"feedback": [one | {"outcomeTimestamp": "2026-06-15T10:05:31.123Z"}]}
        answer = client.post(f"{SERVICE}/feedback", json=body, headers={"Origin": SANDBOX})
        assert (answer.status_code, answer.get_json()) == (200, {})
    rows = list(client.application.extensions["cds"].store.entries())
    assert {row["outcome"]: (row["reason_code"], row["verified"]) for row in rows} == {
        "accepted": (None, True),
        "overridden": (reason["code"], True),
    }
