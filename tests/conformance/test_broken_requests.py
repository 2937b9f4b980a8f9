"""Requests with one fault each: the status and the path their page names, a remedy, and no value of the patient."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service import fhir
from tests.applications import client
from tests.conftest import FIXTURES, pages, read_page
from tests.served import SERVICE

# Words of FHIR and CDS Hooks that a message may use although the request holds them too.
VOCABULARY = {
    "patient-view", "Patient", "Bundle", "Condition", "Observation", "OperationOutcome", "error", "required",
    "searchset", "Encounter", "MedicationRequest",
}  # fmt: skip


def body_of(page: Path, told: Any) -> bytes:
    """The bytes beside a page; ``repeat`` says how often the only laboratory result is sent."""
    raw = next(page.with_suffix(s) for s in (".json", ".txt") if page.with_suffix(s).exists()).read_bytes()
    if "repeat" in told:
        body = json.loads(raw)
        body["prefetch"]["labs"]["entry"] *= told["repeat"]
        raw = json.dumps(body).encode()
    return raw


def values_of(body: Any) -> Iterator[str]:
    """Every text and number of a request that could be a patient's."""
    if isinstance(body, dict):
        for value in body.values():
            yield from values_of(value)
    elif isinstance(body, list):
        for value in body:
            yield from values_of(value)
    elif isinstance(body, str) and len(body) > 3 and body not in VOCABULARY:
        yield body
    elif isinstance(body, float):
        yield str(body)


def secrets_of(raw: bytes) -> set[str]:
    """The values of a request; of one that is no JSON, whatever stands behind a colon or an equals sign."""
    try:
        return set(values_of(json.loads(raw)))
    except ValueError:
        found = re.findall(r"[:=]\s*\"?([^\",{}\[\]&]{4,})", raw.decode("latin-1"))
        return {value.strip() for value in found} - VOCABULARY


def send(page: Path) -> tuple[Any, Any]:
    """What the page says, and the answer."""
    told = read_page(page)
    kind = told.get("content_type", "application/json")
    return told, client().post(SERVICE, data=body_of(page, told), content_type=kind)


REFUSED = [page for page in pages("broken") if read_page(page.values[0])["status"] != 200]
TOLERATED = [page for page in pages("broken") if read_page(page.values[0])["status"] == 200]


@pytest.mark.parametrize("page", REFUSED)
def test_a_broken_request_gets_its_status_its_path_a_remedy_and_none_of_its_values(
    page: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told, response = send(page)
    assert response.status_code == told["status"], response.get_data(as_text=True)
    assert response.mimetype == "application/json"
    body = response.get_json()
    assert body["resourceType"] == "OperationOutcome"
    assert fhir.faults(body) == []
    assert told["path"] in {path for issue in body["issue"] for path in issue["expression"]}
    for issue in body["issue"]:
        what, _, remedy = issue["diagnostics"].partition(" – ")
        assert what.startswith(f"{issue['expression'][0]}: ")
        assert len(remedy.split()) > 1, issue["diagnostics"]
    raw = body_of(page, {})  # once is enough for what is sent repeatedly
    said = response.get_data(as_text=True) + caplog.text
    assert caplog.text
    assert not [value for value in secrets_of(raw) if value in said]


def test_the_search_for_values_finds_them() -> None:
    """The test above could not fail if the values were not found at all."""
    raw = (FIXTURES / "broken" / "hook-missing.json").read_bytes()
    assert {"Testperson", "1988-11-03", "MRN-ITCH-37F", "b-twitch-37f"} <= secrets_of(raw)
    cut = (FIXTURES / "broken" / "body-cut-off.txt").read_bytes()
    assert "b-twitch-37f" in secrets_of(cut)


@pytest.mark.parametrize("page", TOLERATED)
def test_what_is_nobodys_fault_is_answered_with_the_cards_its_page_expects(page: Path) -> None:
    told, response = send(page)
    assert response.status_code == 200, response.get_data(as_text=True)
    shown = [{"card": rule_of(card), "indicator": card["indicator"]} for card in response.get_json()["cards"]]
    assert shown == told["expect"]["cards"]


def rule_of(card: Any) -> str:
    """The rules behind a card, from the last line of its detail: TW13+TW18."""
    closing = re.search(r"\*Rules? (.+?), content", card["detail"])
    assert closing
    return "+".join(re.findall(r"TW\d+", closing[1]))


def test_every_status_a_service_may_refuse_with_has_a_page() -> None:
    assert {read_page(page.values[0])["status"] for page in REFUSED} == {400, 412, 413, 415}
