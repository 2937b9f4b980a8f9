"""Large charts are read one after the other, and nobody waits for one that waits for a FHIR server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

import pytest
from flask import Flask

from cds_service.web.turns import LARGE, MANY, own_turn, turn_left_to_others, wait_if_many
from tests.applications import client
from tests.conftest import FIXTURES


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


def read(app: Flask, size: int) -> str:
    with app.app_context(), own_turn(size):
        return "read"


def test_a_large_chart_waits_for_another_and_a_small_one_does_not(elsewhere: ThreadPoolExecutor) -> None:
    app = client().application
    with app.app_context(), own_turn(LARGE):
        assert elsewhere.submit(read, app, LARGE - 1).result(5) == "read"
        waiting = elsewhere.submit(read, app, LARGE)
        with pytest.raises(NotYet):
            waiting.result(0.1)
    assert waiting.result(5) == "read"


def test_the_hook_reads_a_large_chart_in_its_turn(elsewhere: ThreadPoolExecutor) -> None:
    app = client().application
    body = (FIXTURES / "requests" / "low-potassium.json").read_bytes() + b" " * LARGE

    def call() -> int:
        address = "/cds-services/muscle-twitching"
        return app.test_client().post(address, data=body, content_type="application/json").status_code

    with app.app_context(), own_turn(LARGE):
        waiting = elsewhere.submit(call)
        with pytest.raises(NotYet):
            waiting.result(0.3)
    assert waiting.result(10) == 200


def test_while_a_server_is_asked_the_next_is_read(elsewhere: ThreadPoolExecutor) -> None:
    app = client().application
    with app.app_context(), own_turn(LARGE):
        with turn_left_to_others():
            assert elsewhere.submit(read, app, LARGE).result(5) == "read"
        with pytest.raises(NotYet):
            elsewhere.submit(read, app, LARGE).result(0.1)


def test_a_chart_that_was_fetched_takes_its_turn_when_it_is_large(elsewhere: ThreadPoolExecutor) -> None:
    app = client().application

    def read_fetched(resources: int) -> str:
        with app.app_context(), own_turn(0):
            wait_if_many(resources)
            return "read"

    with app.app_context(), own_turn(0):
        wait_if_many(MANY)
        wait_if_many(MANY)  # it has its turn
        assert elsewhere.submit(read_fetched, MANY - 1).result(5) == "read"
        waiting = elsewhere.submit(read_fetched, MANY)
        with pytest.raises(NotYet):
            waiting.result(0.1)
    assert waiting.result(5) == "read"
    with app.app_context():
        wait_if_many(MANY)  # whoever takes no turns waits for none
        assert elsewhere.submit(read_fetched, MANY).result(5) == "read"


def test_the_hook_waits_with_what_it_has_gathered(elsewhere: ThreadPoolExecutor) -> None:
    app = client().application
    body = json.loads((FIXTURES / "requests" / "low-potassium.json").read_bytes())
    body["prefetch"]["devices"] = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Device"}}] * MANY}

    def call() -> int:
        return app.test_client().post("/cds-services/muscle-twitching", json=body).status_code

    assert len(json.dumps(body)) < LARGE
    with app.app_context(), own_turn(LARGE):
        waiting = elsewhere.submit(call)
        with pytest.raises(NotYet):
            waiting.result(0.5)
    assert waiting.result(10) == 200


def test_a_turn_ends_with_an_error_too(elsewhere: ThreadPoolExecutor) -> None:
    app = client().application
    with app.app_context():
        with pytest.raises(ValueError, match="unreadable"), own_turn(LARGE):
            raise ValueError("unreadable")
        with turn_left_to_others():  # there is none to leave
            assert elsewhere.submit(read, app, LARGE).result(5) == "read"
