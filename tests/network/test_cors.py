"""Web pages may call when their origin is listed; every answer bears the headers of caution."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FIXTURES
from tests.network.applications import SERVICE, application, by_token, given

PAGE = "https://sandbox.cds-hooks.org"
BODY = (FIXTURES / "requests" / "bare-entry.json").read_bytes()
CAUTION = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


@pytest.fixture(scope="module")
def client() -> Any:
    return application(CDS_CORS_ORIGINS=f"{PAGE}, http://127.0.0.1:8080,https://EHR.example.org:443").test_client()


def preflight(client: Any, path: str, origin: str, method: str = "POST") -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return client.options(path, headers=asked)


def cors(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("Access-Control-")}


@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/", SERVICE, f"{SERVICE}/"])
@pytest.mark.parametrize("origin", [PAGE, "http://127.0.0.1:8080", "https://ehr.example.org"])
def test_a_listed_page_may_ask_and_send_a_token(client: Any, path: str, origin: str) -> None:
    response = preflight(client, path, origin)
    assert (response.status_code, response.data) == (200, b"")
    assert cors(response) == {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "authorization, content-type",
        "Access-Control-Max-Age": "600",
    }
    assert "Origin" in response.vary


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.org", "null", "*", "", f"{PAGE}.evil.example.org", f"{PAGE}:8443", "http://sandbox.cds-hooks.org",
     f"{PAGE}/", f"{PAGE}, {PAGE}", "https://SANDBOX.cds-hooks.org"],
)  # fmt: skip
def test_another_page_gets_its_answer_and_no_permission(client: Any, origin: str) -> None:
    answered = client.post(SERVICE, data=BODY, content_type="application/json", headers={"Origin": origin})
    for response in (preflight(client, SERVICE, origin), answered, client.get("/cds-services")):
        assert response.status_code == 200
        assert cors(response) == {}
        assert "Origin" in response.vary


def _answers(client: Any) -> dict[int, Any]:
    headers = {"Origin": PAGE}
    module: Any = sys.modules["cds_service.web.hooks"]
    answers = [
        client.get("/cds-services", headers=headers),
        client.post(SERVICE, data=BODY, content_type="application/json", headers=headers),
        client.post(SERVICE, data=b"{}", content_type="application/json", headers=headers),
        client.post("/cds-services/another", data=BODY, content_type="application/json", headers=headers),
        client.get("/nowhere", headers=headers),
        client.get(SERVICE, headers=headers),
        client.post(SERVICE, data=b" " * (21 * 1024 * 1024), content_type="application/json", headers=headers),
        client.post(SERVICE, data=BODY, content_type="text/plain", headers=headers),
    ]
    assess, module.assess = module.assess, None
    try:
        answers.append(client.post(SERVICE, data=BODY, content_type="application/json", headers=headers))
    finally:
        module.assess = assess
    return {answer.status_code: answer for answer in answers}


def test_errors_can_be_read_by_a_listed_page_and_bear_the_headers_of_caution(client: Any) -> None:
    answers = _answers(client)
    assert set(answers) == {200, 400, 404, 405, 413, 415, 500}
    for response in answers.values():
        assert cors(response) == {"Access-Control-Allow-Origin": PAGE}
        assert "Origin" in response.vary
        assert {name: response.headers[name] for name in CAUTION} == CAUTION


def test_a_page_learns_that_it_must_authenticate(tmp_path: Path) -> None:
    client = by_token(tmp_path, given(), CDS_CORS_ORIGINS=PAGE).test_client()
    for path in ("/cds-services", SERVICE):
        assert cors(preflight(client, path, PAGE))["Access-Control-Allow-Headers"] == "authorization, content-type"
        response = client.post(path, headers={"Origin": PAGE})
        assert (response.status_code, cors(response)) == (401, {"Access-Control-Allow-Origin": PAGE})
        assert {name: response.headers[name] for name in CAUTION} == CAUTION


def test_no_page_is_listed_by_default() -> None:
    assert cors(preflight(application().test_client(), SERVICE, PAGE)) == {}
