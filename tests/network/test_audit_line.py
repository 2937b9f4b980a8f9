"""The line of a call says who called and as of which day, whatever became of the call."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from typing import Any

import pytest

from cds_service.settings import Settings
from cds_service.web.journal import pseudonym
from tests.conftest import FIXTURES
from tests.network.applications import SERVICE, by_token
from tests.network.signing import ISSUER, PUBLIC_URL, Draft, bearer, usual_claims

GOOD = (FIXTURES / "requests" / "hand-weakness.json").read_bytes()
WHO = pseudonym(b"only-for-these-tests", f"{ISSUER}\x1f")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return by_token(tmp_path_factory.mktemp("audit")).test_client()


def line_of(client: Any, caplog: pytest.LogCaptureFixture, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
    caplog.clear()
    caplog.set_level(logging.INFO, "cds_service")
    token = bearer(Draft(usual_claims() | {"aud": f"{PUBLIC_URL}{path}"}).text())
    client.open(path, method=method, data=body, content_type="application/json", headers=token)
    (line,) = (record.fields for record in caplog.records if record.message == "call")  # type: ignore[attr-defined]
    return dict(line)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/cds-services", b"", 200),
        ("POST", SERVICE, GOOD, 200),
        ("POST", SERVICE, b"{", 400),
        ("POST", SERVICE, json.dumps({**json.loads(GOOD), "hook": "order-sign"}).encode(), 400),
        ("POST", f"{SERVICE}/feedback", b"{}", 400),
        ("GET", "/nowhere", b"", 404),
    ],
)
def test_every_call_of_a_known_client_says_whose_it_was(
    client: Any, caplog: pytest.LogCaptureFixture, method: str, path: str, body: bytes, status: int
) -> None:
    line = line_of(client, caplog, method, path, body)
    assert (line["status"], line["tenant"]) == (status, WHO)


def test_the_day_of_the_line_is_the_day_of_the_assessment(
    client: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [date(2026, 6, 15) + timedelta(days=n) for n in range(10)]
    left = iter(days)
    monkeypatch.setattr(Settings, "today", lambda self: next(left))  # midnight passes during the call
    assert line_of(client, caplog, "POST", SERVICE, GOOD)["date"] == days[0].isoformat()
