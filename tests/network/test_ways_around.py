"""Ways around authentication: other methods, other spellings of an address, other headers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.network.applications import SERVICE, by_token


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return by_token(tmp_path_factory.mktemp("ways")).test_client()


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "OPTIONSX"]
)
@pytest.mark.parametrize(
    "path",
    ["/cds-services", "/cds-services/", SERVICE, f"{SERVICE}/", f"{SERVICE}/feedback", "/%63ds-services",
     "//cds-services", "/cds-services/.", "/health/../cds-services", "/health/live%2f..%2f..%2fcds-services", "/health",
     "/health/liveX", "/metrics/..", "/metrics;x", "/nowhere", "/"],
)  # fmt: skip
def test_no_spelling_of_an_address_is_let_in_without_a_token(client: Any, path: str, method: str) -> None:
    assert client.open(path, method=method).status_code == 401


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
def test_health_and_metrics_are_open_and_only_to_be_read(client: Any, path: str) -> None:
    assert client.get(path).status_code == 200
    assert client.post(path).status_code == 401


def test_a_preflight_does_nothing_and_says_nothing_of_the_service(client: Any) -> None:
    for path in ("/cds-services", SERVICE, f"{SERVICE}/feedback"):
        answer = client.options(path, data=b"{}", content_type="application/json")
        assert (answer.status_code, answer.data) == (200, b"")


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_changes_the_method(client: Any, header: str) -> None:
    answer = client.options(SERVICE, headers={header: "POST"}, json={})
    assert (answer.status_code, answer.data) == (200, b"")


def test_no_header_names_a_caller_while_tokens_are_asked_for(client: Any) -> None:
    headers = {"X-Client-Verified-Subject": "CN=ehr", "X-Forwarded-User": "ehr", "X-Forwarded-For": "127.0.0.1"}
    assert client.get("/cds-services", headers=headers).status_code == 401
