"""What those who run the service rely on: limits that hold, figures that add up, lines that reveal nobody."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cds_service.assess import ChartSource, assess
from cds_service.clinical.assessment import Policy
from cds_service.errors import RequestError, SettingsError
from cds_service.intake import prefetch
from cds_service.knowledge.load import load
from cds_service.response.cards import Issuer, Recipient, write_cards
from cds_service.settings import read_settings, shown_settings
from tests.conftest import FIXTURES, ROOT, TODAY
from tests.served import COMMAND, SERVICE, Served, environment, free_port, serving

GOOD = (FIXTURES / "requests" / "hand-weakness.json").read_bytes()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {"CDS_BODY_DEADLINE_SECONDS": "1", "CDS_MAX_CALLS": "2"}
    with serving(tmp_path_factory.mktemp("limits"), **settings) as running:
        yield running


def lines(served: Served) -> list[dict[str, Any]]:
    """The JSON lines that were written."""
    return [json.loads(line) for line in served.printed.splitlines() if line.startswith("{")]


def figures(served: Served) -> dict[tuple[str, ...], float]:
    status, _, text = served.ask("GET", "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def slow(port: int, body: bytes, sent: int, declared: int | None = None) -> socket.socket:
    """A connection that has sent the head and the first bytes of a body, and no more."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    head = f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {declared or len(body)}\r\n\r\n".encode() + body[:sent])
    return connection


def answer(connection: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


def test_a_body_sent_in_part_ends_in_408(served: Served) -> None:
    with slow(served.port, GOOD, 100) as connection:
        status, body = answer(connection)
    assert status == 408
    assert "CDS_BODY_DEADLINE_SECONDS" in json.loads(body)["issue"][0]["diagnostics"]


def test_a_body_that_drips_ends_in_408_as_well(served: Served) -> None:
    with slow(served.port, GOOD, 10) as connection:
        started = time.monotonic()
        for byte in GOOD[10:60]:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            if time.monotonic() - started > 2:
                break
            time.sleep(0.1)
        assert answer(connection)[0] == 408


def test_a_head_that_drips_is_hung_up_on(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\n".encode())
        assert connection.recv(100) == b""


def test_slow_senders_do_not_take_every_thread(served: Served) -> None:
    # More than all slots of both workers: these hold them until the deadline, and then others go on.
    held = [slow(served.port, GOOD, 50) for _ in range(4)]
    try:
        until = time.monotonic() + 15
        while (status := served.call(GOOD)[0]) != 200:
            assert status == 503
            assert time.monotonic() < until
            time.sleep(0.1)
        assert {answer(connection)[0] for connection in held} <= {408, 503}
    finally:
        for connection in held:
            connection.close()


def test_clients_that_do_not_hang_up_hold_up_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "1") as one:
        answered = [socket.create_connection(("127.0.0.1", one.port), timeout=20) for _ in range(10)]
        try:
            for connection in answered:
                connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            time.sleep(0.3)
            began = time.monotonic()
            assert one.ask("GET", "/health/live")[0] == 200
            assert time.monotonic() - began < 2
            assert {answer(connection)[0] for connection in answered} == {200}
        finally:
            for connection in answered:
                connection.close()


def test_calls_beyond_the_limit_are_told_when_to_come_back(served: Served) -> None:
    held = [slow(served.port, GOOD, 50) for _ in range(12)]
    try:
        time.sleep(0.2)  # until every slot is held
        assert {served.ask("OPTIONS", SERVICE)[0] for _ in range(4)} == {200}
        refusals = []
        for connection in held:
            response = http.client.HTTPResponse(connection)
            response.begin()
            if response.status == 503:
                refusals.append((response.headers["Retry-After"], json.loads(response.read())["issue"][0]["code"]))
        # Two workers with two slots each hold four; the others are refused at once.
        assert len(refusals) >= 12 - 4
        assert set(refusals) == {("1", "throttled")}
        assert served.ask("GET", "/health/live")[0] == 200
    finally:
        for connection in held:
            connection.close()


def test_slots_come_back_after_every_kind_of_answer(served: Served) -> None:
    for body in (GOOD, b"{", b"", GOOD[:-5]):
        for _ in range(6):
            assert served.call(body)[0] in (200, 400)
    assert served.ask("POST", SERVICE, b"x", **{"Content-Type": "text/plain"})[0] == 415
    assert served.call(GOOD)[0] == 200


def test_every_call_is_written_down_once_and_names_nobody(served: Served) -> None:
    before = len(lines(served))
    assert served.call(GOOD)[0] == 200
    time.sleep(0.2)
    written = [line for line in lines(served)[before:] if line["message"] == "call"]
    assert len(written) == 1
    line = written[0]
    sent = json.loads(GOOD)
    assert line["hook_instance"] == sent["hookInstance"]
    assert (line["endpoint"], line["status"], line["cards"]) == ("hooks.call", 200, ["TW06"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", line["content"])
    assert line["date"] == "2026-06-15"
    assert re.fullmatch(r"[0-9a-f]{16}", line["user"])
    assert sent["context"]["userId"] not in served.printed
    assert sent["context"]["patientId"] not in served.printed.replace("hand-weakness.json", "")


def test_figures_of_all_workers_add_up(served: Served) -> None:
    called, issued = ("cds_calls_total", "hooks.call", "200"), ("cds_cards_shown_total", "TW06", "warning")
    before = figures(served)
    threads = [threading.Thread(target=served.call, args=(GOOD,)) for _ in range(2)]
    for number in range(10):
        if number < 2:
            threads[number].start()
            threads[number].join()
        else:
            assert served.call(GOOD)[0] == 200
    after = figures(served)
    assert after[called] - before.get(called, 0) == 10
    assert after[issued] - before.get(issued, 0) == 10
    assert after["cds_call_seconds_count", "hooks.call"] > 0


def test_ready_says_what_is_loaded(served: Served) -> None:
    status, _, body = served.ask("GET", "/health/ready")
    assert status == 200
    ready = json.loads(body)
    assert ready["status"] == "ready"
    assert ready["mode"] == "live"


def marked(value: Any, marker: str) -> Any:
    """The same JSON with a marker in every text that is no code the service needs to understand."""
    kept = {"patient-view", "Bundle", "final", "active", "confirmed", "exam", "laboratory"}
    if isinstance(value, dict):
        return {
            key: item
            if key in ("resourceType", "hookInstance", "hook", "system", "code", "status")
            else marked(item, marker)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [marked(item, marker) for item in value]
    if isinstance(value, str) and value not in kept and not re.match(r"\d{4}-|https?:|Patient/", value):
        return f"{value} {marker}"
    return value


@pytest.mark.parametrize("spoil", ["valid", "hook", "patientId", "prefetch", "bundle", "resource", "json"])
def test_a_marker_in_every_field_reaches_no_line_and_no_figure(served: Served, spoil: str) -> None:
    marker = f"MARK{spoil}er"
    request = json.loads(GOOD)
    request["prefetch"] = marked(request["prefetch"], marker)
    request["context"]["userId"] += marker
    request["extension"] = {marker: marker}
    request["prefetch"][marker] = {"resourceType": marker}
    if spoil == "hook":
        request["hook"] = marker
    if spoil == "patientId":
        request["context"]["patientId"] = [marker]
    if spoil == "prefetch":
        request["prefetch"] = marker
    if spoil == "bundle":
        request["prefetch"]["conditions"] = {"resourceType": "Bundle", "entry": marker}
    if spoil == "resource":
        request["prefetch"]["conditions"]["entry"] = [{"resource": {"resourceType": "Condition", "code": marker}}]
    body = json.dumps(request).encode()[: -3 if spoil == "json" else None]
    status, _, answered = served.ask("POST", SERVICE, body, **JSON)
    assert status < 500
    if status != 200:
        assert marker.encode() not in answered
    served.ask("POST", f"/cds-services/{marker}", body, **JSON)
    served.ask("GET", f"/{marker}?{marker}", **{"X-Marker": marker, "Origin": f"https://{marker}.example"})
    time.sleep(0.2)
    assert marker not in served.printed
    assert marker not in str(figures(served))


def test_silent_mode_assesses_counts_and_answers_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, CDS_MODE="silent") as served:
        assert served.call(GOOD) == (200, {"cards": []})
        assert lines(served)[-1]["cards"] == ["TW06"]
        assert figures(served)["cds_cards_silent_total", "TW06", "warning"] == 1
        _, _, discovery = served.ask("GET", "/cds-services")
        assert "Silent mode" in json.loads(discovery)["services"][0]["usageRequirements"]


def test_operations_leave_the_first_address_when_they_have_their_own(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, CDS_OPERATIONS_BIND=f"127.0.0.1:{port}") as served:
        assert served.ask("GET", "/metrics")[0] == 404
        assert served.ask("GET", "/metrics", Host=f"127.0.0.1:{port}")[0] == 404
        assert served.call(GOOD)[0] == 200
        other = Served(served.process, port, served.log, served.cwd, served.state)
        assert other.ask("GET", "/health/live")[0] == 200
        assert other.ask("GET", "/metrics")[0] == 200
        assert other.call(GOOD)[0] == 404


def test_the_line_of_a_call_says_what_gives_the_same_cards_again(served: Served, tmp_path: Path) -> None:
    _, answered = served.call(GOOD)
    line = [line for line in lines(served) if line["message"] == "call" and line.get("cards")][-1]
    copy = tmp_path / "cards-of-then"
    shutil.copytree(ROOT / "cards", copy)
    assert (copy / "VERSION").read_text().strip() == line["content"]
    request = str(FIXTURES / "requests" / "hand-weakness.json")
    command = [*COMMAND, "assess", request, "--today", line["date"], "--content", str(copy), "--json"]
    done = subprocess.run(command, capture_output=True, env=environment(tmp_path), check=True)
    again = json.loads(done.stdout)["cards"]
    assert [without_uuids(card) for card in again] == [without_uuids(card) for card in answered["cards"]]


def without_uuids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_uuids(item) for key, item in value.items() if key != "uuid"}
    return [without_uuids(item) for item in value] if isinstance(value, list) else value


def test_settings_may_stand_in_a_file_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "cds-service.toml"
    file.write_text('CDS_MODE = "silent"\nCDS_MAX_CALLS = 3\nCDS_SECRET = "sixteen characters at least"\n')
    settings = read_settings({"CDS_SETTINGS": str(file), "CDS_MAX_CALLS": "5"})
    assert (settings.silent, settings.max_calls) == (True, 5)
    shown = {setting.name: value for setting, value in shown_settings({"CDS_SETTINGS": str(file)})}
    assert (shown["CDS_MODE"], shown["CDS_SECRET"]) == ("silent", "(set)")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("CDS_MOOD = 1", "CDS_MOOD"),
        ("CDS_MODE = ", "no TOML"),
        ("CDS_AUTH = 'jwx'", "CDS_AUTH"),
        (None, "can be read"),
    ],
)
def test_a_faulty_file_of_settings_is_named(tmp_path: Path, written: str | None, says: str) -> None:
    file = tmp_path / "cds-service.toml"
    if written is not None:
        file.write_text(written)
    with pytest.raises(SettingsError, match=says):
        read_settings({"CDS_SETTINGS": str(file)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CDS_PUBLIC_URL", "ftp://x"), ("CDS_PUBLIC_URL", "https://a@b"), ("CDS_PUBLIC_URL", "https://x/?q"),
        ("CDS_CORS_ORIGINS", "https://x/path"), ("CDS_CORS_ORIGINS", "*"), ("CDS_JWT_ALGORITHMS", "HS256"),
        ("CDS_JWT_ALGORITHMS", "ES384,none"), ("CDS_JWT_ALGORITHMS", ""), ("CDS_DATABASE_URL", "mysql://x"),
        ("CDS_BODY_DEADLINE_SECONDS", "nan"), ("CDS_BODY_DEADLINE_SECONDS", "0"), ("CDS_BODY_DEADLINE_SECONDS", "26"),
        ("CDS_OPERATIONS_BIND", "9000"), ("CDS_JWT_SECONDS", "9"), ("CDS_JWT_SECONDS", "3601"),
        ("CDS_JWT_CLIENTS", "/nowhere/at/all"), ("CDS_MAX_CALLS", "0"), ("CDS_FHIR_DEADLINE_SECONDS", "61"),
    ],
)  # fmt: skip
def test_a_setting_of_the_network_that_cannot_hold_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


def test_a_chart_of_too_many_resources_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "MOST_RESOURCES", 5)
    with pytest.raises(RequestError) as refused:
        prefetch.gather(json.loads(GOOD)["prefetch"])
    assert refused.value.status == 413


def test_a_text_beyond_reason_is_a_named_gap() -> None:
    request = json.loads(GOOD)
    findings = request["prefetch"]["findings"]["entry"]
    long = json.loads(json.dumps(findings[0]))
    long["resource"] |= {"id": "long", "code": {"text": "muscle twitching " * 6000}}
    findings.append(long)
    found = ChartSource.of_prefetch(request["prefetch"], request["context"]["patientId"])
    knowledge, reading = load(None)
    gaps = assess(found, knowledge, reading, TODAY).assessment.gaps
    assert [gap.reason for gap in gaps] == ["a resource could not be read"]


@pytest.mark.parametrize(
    ("off", "record", "says"),
    [
        ("TW06", "EX04-hand-weakness-wasting-brisk-legs", "an extensor plantar response"),
        ("TW05", "L-critical-potassium-low", "potassium 2\\.4"),
        ("TW01", "S-paralysis", "new paralysis"),
    ],
)
def test_a_grave_card_that_is_switched_off_leaves_its_facts_and_no_benign_card(
    off: str, record: str, says: str
) -> None:
    body = json.loads((FIXTURES / "records" / f"{record}.json").read_bytes())
    patient = next(e["resource"]["id"] for e in body["entry"] if e["resource"]["resourceType"] == "Patient")
    knowledge, reading = load(None)
    policy = Policy(cards_off=frozenset({off}))
    done = assess(ChartSource(prefetch.whole_record(body), patient), knowledge, reading, TODAY, policy).assessment
    cards = write_cards(done, Recipient(patient), Issuer(b"only-for-these-tests"), reading.codes)
    assert off not in {rule.id for card in done.cards for rule in card.cards}
    assert not {rule.tier for card in done.cards for rule in card.cards} & {"T7"}
    on_file = cards[0]["detail"].partition("switched off by this site**")[2].partition("**")[0]
    assert says in on_file


@pytest.mark.parametrize(
    ("off", "record"), [("TW26", "EX25-emg-denervation-unread"), ("TW05", "L-critical-lithium"), ("TW01", "S-eye-pain")]
)
def test_a_benign_card_does_not_stand_in_for_a_grave_one(off: str, record: str) -> None:
    body = json.loads((FIXTURES / "records" / f"{record}.json").read_bytes())
    patient = next(e["resource"]["id"] for e in body["entry"] if e["resource"]["resourceType"] == "Patient")
    knowledge, reading = load(None)
    policy = Policy(cards_off=frozenset({off}))
    done = assess(ChartSource(prefetch.whole_record(body), patient), knowledge, reading, TODAY, policy).assessment
    assert "TW22" not in {card.name for card in done.cards}
    assert [rung.outcome for rung in done.ladder if rung.card.id == "TW22"] == [
        "held back: a more serious card is switched off by this site"
    ]


def test_what_was_accepted_is_finished_before_the_end(tmp_path: Path) -> None:
    with serving(tmp_path) as served, slow(served.port, GOOD, 200) as connection:
        time.sleep(0.5)  # a worker has begun to read
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(GOOD[200:])
        status, body = answer(connection)
        assert (status, len(json.loads(body)["cards"])) == (200, 1)
        assert served.process.wait(20) == 0


@pytest.mark.parametrize("name", ["CDS_KEEP_FEEDBACK_DAYS", "CDS_KEEP_COMMENTS_DAYS"])
def test_what_is_kept_for_ever_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}.*36500"):
        read_settings({name: "800000"})


@pytest.mark.parametrize(
    ("name", "near"), [("CDS_MODUS", "CDS_MODE"), ("CDS_AUHT", "CDS_AUTH"), ("CDS_FHIR_SERVER", "CDS_FHIR_SERVERS")]
)
def test_a_misspelt_setting_stops_the_start_and_names_the_one_that_was_meant(name: str, near: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is no setting; did you mean {near}\\?"):
        read_settings({name: "SECRET-VALUE"})
    with pytest.raises(SettingsError, match=r"CDS_ZZZZZZZZ is no setting$"):
        read_settings({"CDS_ZZZZZZZZ": "SECRET-VALUE"})


def test_what_a_platform_sets_for_its_containers_is_no_setting() -> None:
    names = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP", "PORT_8000_TCP_ADDR")
    read_settings({f"CDS_{before}{name}": "tcp://10.0.0.1:8000" for before in ("", "SERVICE_") for name in names})


def test_messages_of_the_server_itself_are_json_lines_too(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text(encoding="ascii")
        os.kill(int(children.split()[0]), signal.SIGKILL)
        until = time.monotonic() + 15
        while "SIGKILL" not in running.printed and time.monotonic() < until:
            time.sleep(0.1)
    (said,) = (line for line in running.printed.splitlines() if "SIGKILL" in line)
    assert json.loads(said)["logger"] == "gunicorn.error"
