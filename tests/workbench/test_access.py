"""When the workbench is on, and whom it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.errors import SettingsError
from cds_service.settings import read_settings
from cds_service.web.store import Store
from cds_service.workbench import is_on, prepare_workbench
from cds_service.workbench.patients import request_of, stories
from tests.applications import whole_application as application
from tests.served import SERVICE as HOOK

REQUEST = request_of(stories()["EX10-suppressed-tsh"])

WHEN = [
    ({}, "127.0.0.1:8000", True),
    ({}, "[::1]:8000", True),
    ({}, "localhost:8000", True),
    ({}, "0.0.0.0:8000", False),
    ({}, "192.0.2.7:8000", False),
    ({}, "unix:/run/cds.sock", False),
    ({}, "", False),
    ({"CDS_PUBLIC_URL": "http://127.0.0.1:8000"}, "127.0.0.1:8000", True),
    ({"CDS_PUBLIC_URL": "https://cds.example.org"}, "127.0.0.1:8000", False),
    ({"CDS_AUTH": "proxy"}, "127.0.0.1:8000", False),
    ({"CDS_WORKBENCH": "off"}, "127.0.0.1:8000", False),
    ({"CDS_WORKBENCH": "on", "CDS_AUTH": "proxy"}, "127.0.0.1:8000", True),
]


@pytest.mark.parametrize(("settings", "bind", "expected"), WHEN)
def test_it_is_on_only_when_nobody_else_can_reach_it(settings: dict[str, str], bind: str, expected: bool) -> None:
    assert is_on(read_settings(settings), bind) is expected


@pytest.mark.parametrize("auth", ["off", "jwt"])
def test_switched_on_without_an_authenticating_proxy_it_does_not_start(auth: str) -> None:
    with pytest.raises(SettingsError, match=r"CDS_WORKBENCH=on needs CDS_AUTH=proxy.*CDS_PROXY_HEADER"):
        read_settings({"CDS_WORKBENCH": "on", "CDS_AUTH": auth})


def test_behind_a_proxy_only_whom_it_names_is_answered() -> None:
    client = application(CDS_WORKBENCH="on", CDS_AUTH="proxy", CDS_TODAY="").test_client()
    named = {"X-Client-Verified-Subject": "CN=dr", "Host": "workbench.example.org"}
    for path in ("/workbench", "/workbench/static/workbench.css"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=named).status_code == 200
    assert client.post("/workbench/assessment", json=REQUEST).status_code == 401
    assert client.post("/workbench/assessment", json=REQUEST, headers=named).status_code == 200


def test_switched_off_there_are_no_pages_and_no_trials() -> None:
    client = application(CDS_WORKBENCH="off").test_client()
    for path in ("/", "/workbench", "/workbench/static/workbench.css"):
        assert client.get(path).status_code == 404
    later = REQUEST | {"extension": REQUEST["extension"] | {"cds-service.as-of": "no date"}}
    assert client.post(HOOK, json=later).status_code == 200


THEIRS = ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "127.0.0.1:8000@evil.example", "["]
EVERYWHERE = [
    ("GET", "/cds-services"), ("POST", HOOK), ("POST", f"{HOOK}/feedback"), ("GET", "/Questionnaire/twitch-history"),
    ("GET", "/workbench"), ("GET", "/workbench/static/workbench.css"), ("GET", "/nothing"), ("OPTIONS", HOOK),
]  # fmt: skip


@pytest.mark.parametrize("host", THEIRS)
def test_under_a_name_of_theirs_that_points_here_nothing_is_answered(client: FlaskClient, host: str) -> None:
    for method, path in EVERYWHERE:
        answer = client.open(path, method=method, headers={"Host": host}, json=REQUEST if method == "POST" else None)
        assert answer.status_code == 403, path
        assert answer.get_json()["issue"][0]["expression"] == ["Host"]
    for path in ("/health/live", "/metrics"):
        assert client.get(path, headers={"Host": "probe"}).status_code == 200


def test_where_no_page_is_served_any_name_will_do() -> None:
    client = application(CDS_WORKBENCH="off").test_client()
    assert client.post(HOOK, json=REQUEST, headers={"Host": "cds.example.org"}).status_code == 200


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},  # another port of this machine
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_site_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/workbench/assessment", json=REQUEST, headers=headers)
    assert answer.status_code == 403
    assert answer.get_json()["issue"][0]["code"] == "forbidden"


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
def test_our_own_page_is_answered(client: FlaskClient, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/workbench/assessment", json=REQUEST, headers=headers).status_code == 200


def test_a_listed_origin_of_the_hook_may_not_ask_the_workbench() -> None:
    client = application(CDS_CORS_ORIGINS="https://ehr.example.org").test_client()
    headers = {"Origin": "https://ehr.example.org"}
    assert client.post(HOOK, json=REQUEST, headers=headers).status_code == 200
    assert client.post("/workbench/assessment", json=REQUEST, headers=headers).status_code == 403


def test_pages_may_load_only_files_of_ours_and_are_not_kept(client: FlaskClient) -> None:
    for path in ("/workbench", "/workbench/patients/EX10-suppressed-tsh", "/workbench/chart", "/workbench/nothing"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"
    page = client.get("/workbench/patients/EX10-suppressed-tsh").get_data(as_text=True)
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count('<script type="module" src="/workbench/static/')


def _overridden(client: FlaskClient, origin: str) -> Any:
    card = client.post(HOOK, json=REQUEST).get_json()["cards"][0]
    reason = card["overrideReasons"][0]
    entry = {
        "card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-06-15T10:00:00Z",
        "overrideReason": {"reason": {"code": reason["code"], "system": reason["system"]}},
    }  # fmt: skip
    body = {"feedback": [entry], "extension": {"cds-service.origin": origin}}
    assert client.post(f"{HOOK}/feedback", json=body).status_code == 200
    return client.post(HOOK, json=REQUEST).get_json()["cards"]


def test_an_override_at_the_workbench_is_kept_apart_and_hides_no_card(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.sqlite"
    client = application(CDS_DATABASE_URL=url).test_client()
    assert _overridden(client, "workbench")
    store = Store(read_settings({"CDS_DATABASE_URL": url}))
    assert [(row["card"], row["origin"]) for row in store.entries()] == [("TW14", "workbench")]
    assert list(store.entries(origin="ehr")) == []
    store.close()
    assert _overridden(client, "ehr") == []


def test_a_trial_does_not_count_as_advice_that_was_shown(client: FlaskClient) -> None:
    def shown() -> str:
        lines = client.get("/metrics").get_data(as_text=True).splitlines()
        return "\n".join(line for line in lines if line.startswith("cds_cards_shown_total") and "TW14" in line)

    before = shown()
    client.post(HOOK, json=REQUEST)
    assert shown() == before
    client.post(HOOK, json=REQUEST | {"extension": None})
    assert shown() != before


def test_what_is_prepared_is_what_a_newcomer_gets(client: FlaskClient) -> None:
    app = application()
    prepare_workbench(app)
    assert {"gallery", "changes", "handbook"} <= app.extensions.keys()
    assert app.test_client().get("/workbench").data == client.get("/workbench").data
