"""What those who run the service rely on: limits that hold, figures that add up, lines that reveal nobody."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from cds_service.__main__ import main
from cds_service.assess import ChartSource, assess
from cds_service.clinical.assessment import Assessment, Policy
from cds_service.errors import RequestError
from cds_service.intake import prefetch
from cds_service.response.cards import Issuer, Recipient, write_cards
from tests.applications import application
from tests.conftest import FIXTURES, ROOT, TODAY
from tests.served import SERVICE, Served, free_port, serving

GOOD = (FIXTURES / "requests" / "hand-weakness.json").read_bytes()
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {"CDS_BODY_DEADLINE_SECONDS": "1", "CDS_MAX_CALLS": "2"}
    with serving(tmp_path_factory.mktemp("limits"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def operations() -> int:
    """The port for health and metrics alone."""
    return free_port()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, operations: int) -> Iterator[Served]:
    """A service of one worker with a second address, for tests that do not leave it as it was."""
    folder, address = tmp_path_factory.mktemp("own"), f"127.0.0.1:{operations}"
    with serving(folder, "--workers", "1", CDS_OPERATIONS_BIND=address) as running:
        yield running


def lines(served: Served) -> list[dict[str, Any]]:
    """The JSON lines that were written."""
    return [json.loads(line) for line in served.printed.splitlines() if line.startswith("{")]


def figures(served: Served) -> dict[tuple[str, ...], float]:
    status, _, text = served.ask("GET", "/metrics")
    assert status == 200
    return read_figures(text)


def read_figures(text: bytes) -> dict[tuple[str, ...], float]:
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


def test_clients_that_do_not_hang_up_hold_up_nobody(own: Served) -> None:
    answered = [socket.create_connection(("127.0.0.1", own.port), timeout=20) for _ in range(10)]
    try:
        for connection in answered:
            connection.sendall(b"GET /cds-services HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        began = time.monotonic()
        assert own.ask("GET", "/cds-services")[0] == 200
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


def test_silent_mode_assesses_counts_and_answers_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = application(CDS_MODE="silent", CDS_TODAY=TODAY.isoformat()).test_client()

    def kept_back() -> float:
        return read_figures(client.get("/metrics").get_data()).get(("cds_cards_silent_total", "TW06", "warning"), 0)

    before = kept_back()
    assert client.post(SERVICE, data=GOOD, content_type="application/json").get_json() == {"cards": []}
    assert kept_back() == before + 1
    assert [r.fields["cards"] for r in caplog.records if "cards" in getattr(r, "fields", {})] == [["TW06"]]  # type: ignore[attr-defined]
    discovery = client.get("/cds-services").get_json()
    assert "Silent mode" in discovery["services"][0]["usageRequirements"]


def test_operations_leave_the_first_address_when_they_have_their_own(own: Served, operations: int) -> None:
    assert own.ask("GET", "/metrics")[0] == 404
    assert own.ask("GET", "/metrics", Host=f"127.0.0.1:{operations}")[0] == 404
    assert own.call(GOOD)[0] == 200
    other = replace(own, port=operations)
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
    done = CliRunner().invoke(main, ["assess", request, "--today", line["date"], "--content", str(copy), "--json"])
    again = json.loads(done.stdout)["cards"]
    assert [without_uuids(card) for card in again] == [without_uuids(card) for card in answered["cards"]]


def without_uuids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_uuids(item) for key, item in value.items() if key != "uuid"}
    return [without_uuids(item) for item in value] if isinstance(value, list) else value


def test_a_chart_of_too_many_resources_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "MOST_RESOURCES", 5)
    with pytest.raises(RequestError) as refused:
        prefetch.gather(json.loads(GOOD)["prefetch"])
    assert refused.value.status == 413


def test_a_text_beyond_reason_is_a_named_gap(knowledge: Any, reading: Any) -> None:
    request = json.loads(GOOD)
    findings = request["prefetch"]["findings"]["entry"]
    long = json.loads(json.dumps(findings[0]))
    long["resource"] |= {"id": "long", "code": {"text": "muscle twitching " * 6000}}
    findings.append(long)
    found = ChartSource.of_prefetch(request["prefetch"], request["context"]["patientId"])
    gaps = assess(found, knowledge, reading, TODAY).assessment.gaps
    assert [gap.reason for gap in gaps] == ["a resource could not be read"]


def without(off: str, record: str, knowledge: Any, reading: Any) -> Assessment:
    """An invented patient at a site that has switched a card off."""
    found = prefetch.whole_record(json.loads((FIXTURES / "records" / f"{record}.json").read_bytes()))
    source = ChartSource(found, found.of("Patient")[0]["id"])
    return assess(source, knowledge, reading, TODAY, Policy(cards_off=frozenset({off}))).assessment


@pytest.mark.parametrize(
    ("off", "record", "says"),
    [
        ("TW06", "EX04-hand-weakness-wasting-brisk-legs", "an extensor plantar response"),
        ("TW05", "L-critical-potassium-low", "potassium 2\\.4"),
        ("TW01", "S-paralysis", "new paralysis"),
    ],
)
def test_a_grave_card_that_is_switched_off_leaves_its_facts_and_no_benign_card(
    off: str, record: str, says: str, knowledge: Any, reading: Any
) -> None:
    done = without(off, record, knowledge, reading)
    patient = done.case.chart.patient.id
    cards = write_cards(done, Recipient(patient), Issuer(b"only-for-these-tests"), reading.codes)
    assert off not in {rule.id for card in done.cards for rule in card.cards}
    assert not {rule.tier for card in done.cards for rule in card.cards} & {"T7"}
    on_file = cards[0]["detail"].partition("switched off by this site**")[2].partition("**")[0]
    assert says in on_file


def test_a_benign_card_does_not_stand_in_for_a_grave_one(knowledge: Any, reading: Any) -> None:
    done = without("TW05", "L-critical-lithium", knowledge, reading)
    assert "TW22" not in {card.name for card in done.cards}
    assert [rung.outcome for rung in done.ladder if rung.card.id == "TW22"] == [
        "held back: a more serious card is switched off by this site"
    ]


def test_messages_of_the_server_itself_are_json_lines_too(own: Served) -> None:
    children = Path(f"/proc/{own.process.pid}/task/{own.process.pid}/children").read_text(encoding="ascii")
    os.kill(int(children.split()[0]), signal.SIGKILL)
    until = time.monotonic() + 15
    while "SIGKILL" not in own.printed and time.monotonic() < until:
        time.sleep(0.1)
    (said,) = (line for line in own.printed.splitlines() if "SIGKILL" in line)
    assert json.loads(said)["logger"] == "gunicorn.error"


def test_what_was_accepted_is_finished_before_the_end(own: Served) -> None:
    """The last one here: it ends the service."""
    with slow(own.port, GOOD, 200) as connection:
        time.sleep(0.5)  # a worker has begun to read
        own.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.sendall(GOOD[200:])
        status, body = answer(connection)
    assert (status, len(json.loads(body)["cards"])) == (200, 1)
    assert own.process.wait(20) == 0
