"""The service as it is really served: `cds-service serve` in a process of its own on a free port."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import SettingsError
from tests.applications import application
from tests.conftest import FIXTURES, ROOT
from tests.served import SERVICE, Served, refused, serving

REQUESTS = [pytest.param(file, id=file.stem) for file in sorted((FIXTURES / "requests").glob("*.json"))]


def test_the_ready_lines_say_where_and_how(served: Served) -> None:
    assert f"Listening on http://127.0.0.1:{served.port}" in served.printed
    assert "authentication is off" in served.printed
    assert "not clinically approved" in served.printed
    assert f"curl http://127.0.0.1:{served.port}/cds-services" in served.printed


def test_the_curl_of_the_ready_lines_names_a_request_that_gives_cards(served: Served) -> None:
    line = next(line for line in served.printed.splitlines() if line.startswith("Cards:"))
    file = Path(line.partition("--data @")[2].split()[0])
    # curl --data takes the line ends away.
    status, answer = served.call(file.read_bytes().replace(b"\n", b""))
    assert (status, bool(answer["cards"])) == (200, True)


@pytest.mark.parametrize("address", ["/cds-services", "/cds-services/"])
def test_discovery_is_served(served: Served, address: str) -> None:
    status, headers, raw = served.ask("GET", address)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert [service["id"] for service in json.loads(raw)["services"]] == ["muscle-twitching"]


@pytest.mark.parametrize("file", REQUESTS)
def test_each_request_of_the_fixtures_gives_cards(served: Served, file: Path) -> None:
    for path in (SERVICE, f"{SERVICE}/"):
        status, answer = served.call(file.read_bytes(), path)
        assert status == 200
        assert answer["cards"]


def test_files_are_served_whole(served: Served) -> None:
    file = ROOT / "cds_service" / "workbench" / "static" / "workbench.css"
    status, _, raw = served.ask("GET", "/workbench/static/workbench.css")
    assert (status, raw) == (200, file.read_bytes())


def test_head_and_options_are_answered_without_a_body(served: Served) -> None:
    for method, path, status in (
        ("HEAD", "/cds-services", 200),
        ("HEAD", SERVICE, 405),
        ("OPTIONS", "/cds-services", 200),
        ("OPTIONS", SERVICE, 200),
    ):
        answered, headers, raw = served.ask(method, path)
        assert (answered, raw) == (status, b"")
        if method == "OPTIONS":
            assert ("POST" if path == SERVICE else "GET") in headers["Allow"]


def test_a_body_sent_in_chunks_is_read(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    body = (FIXTURES / "requests" / "bare-entry.json").read_bytes()
    parts = iter([body[:1000], body[1000:]])
    connection.request("POST", SERVICE, parts, {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()


def test_a_body_beyond_the_limit_is_413_before_it_is_read(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.putrequest("POST", SERVICE)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(21 * 1024 * 1024))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert "CDS_MAX_BODY_MB" in json.loads(response.read())["issue"][0]["diagnostics"]
    connection.close()


@pytest.mark.parametrize("beyond, status", [(0, 200), (1, 413)])
def test_a_body_in_chunks_beyond_the_limit_is_413_and_not_cut(served: Served, beyond: int, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    body = (FIXTURES / "requests" / "bare-entry.json").read_bytes().ljust(20 * 1024 * 1024 + beyond)
    parts = (body[begin : begin + 1024 * 1024] for begin in range(0, len(body), 1024 * 1024))
    connection.request("POST", SERVICE, parts, {"Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == status
    connection.close()


def test_half_open_connections_do_not_stop_others(served: Served) -> None:
    body = (FIXTURES / "requests" / "bare-entry.json").read_bytes()
    silent = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    half = socket.create_connection(("127.0.0.1", served.port), timeout=30)
    try:
        half.sendall(f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n".encode())
        for _ in range(6):
            assert served.call(body)[0] == 200
    finally:
        silent.close()
        half.close()
    assert served.call(body)[0] == 200
    assert served.process.poll() is None


def test_a_deeply_nested_resource_ends_no_worker(served: Served) -> None:
    body = json.loads((FIXTURES / "requests" / "hand-weakness.json").read_bytes())
    inner: Any = {"url": "https://example.org/x", "valueString": "x"}
    for _ in range(400):
        inner = {"url": "https://example.org/x", "extension": [inner]}
    for entry in body["prefetch"]["conditions"]["entry"]:
        entry["resource"]["extension"] = [inner]
    assert served.call(json.dumps(body).encode())[0] == 400
    assert served.ask("GET", "/cds-services")[0] == 200


def test_the_log_names_no_patient(served: Served) -> None:
    served.call((FIXTURES / "requests" / "hand-weakness.json").read_bytes())
    assert '"cards":["TW06"]' in served.printed
    assert "Testperson" not in served.printed
    assert "Patient/hand-weakness" not in served.printed


def test_state_goes_to_the_users_state_folder(served: Served) -> None:
    assert (served.state / "cds-service").is_dir()
    assert list(served.cwd.iterdir()) == []


def test_sigterm_ends_the_service_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        running.process.send_signal(signal.SIGTERM)  # at once: also the youngest worker must hear it
        assert running.process.wait(10) == 0
        with pytest.raises(OSError):
            running.ask("GET", "/cds-services")


# ---------------------------------------------------------------- what must not start


def test_broken_content_does_not_start_and_names_file_and_field(tmp_path: Path) -> None:
    cards = shutil.copytree(ROOT / "cards", tmp_path / "cards")
    page = next(cards.rglob("TW06-motor-neuron-pattern.yaml"))
    page.write_text(page.read_text(encoding="utf-8").replace("\ntier:", "\nteir:", 1), encoding="utf-8")
    said = refused(tmp_path, CDS_CONTENT=str(cards))
    assert "TW06-motor-neuron-pattern.yaml" in said
    assert "tier" in said


def test_a_service_with_bad_settings_does_not_start_and_names_all_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, CDS_TODAY="soon", CDS_ORDER_INTENT="wish")
    assert "CDS_TODAY" in said
    assert "CDS_ORDER_INTENT" in said


def test_a_card_that_does_not_exist_cannot_be_switched_off() -> None:
    with pytest.raises(SettingsError, match="TW99"):
        application(CDS_CARDS_OFF="TW27,TW99")


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a-file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a-file" / "state"))
    with pytest.raises(SettingsError, match="XDG_STATE_HOME"):
        application()


def test_an_address_that_cannot_be_is_refused_with_an_example(tmp_path: Path) -> None:
    assert "127.0.0.1:8000" in refused(tmp_path, "--bind", "127.0.0.1:99999")
