"""What is no HTTP as we accept it: refused before the application sees it, without repeating any of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import stat
from pathlib import Path

import pytest

from tests.served import SERVICE, Served, refused, serving

MARKER = "MARKER-4711"
POST = f"POST {SERVICE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n\r\n"

NO_HTTP = {
    "a header without a colon": (f"GET / HTTP/1.1\r\nAuthorization Bearer {MARKER}\r\n\r\n", 400),
    "a folded header": (f"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer\r\n {MARKER}\r\n\r\n", 400),
    "a line with spaces": (f"GET /Patient/{MARKER} now HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "another version": (f"GET /{MARKER} HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
    "half a bracket": (f"GET http://[{MARKER}/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a very long line": (f"GET /{MARKER}{'x' * 9000} HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "another expectation": (f"{POST}Expect: {MARKER}\r\nContent-Length: 2\r\n\r\n{{}}", 417),
    "two lengths": (f"{POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{MARKER}", 400),
    "an unknown transfer coding": (f"{POST}Transfer-Encoding: {MARKER}\r\n\r\n", 501),
    "a chunk without a size": (f"{CHUNKED}{MARKER}\r\n", 400),
    "a chunk of another size": (f"{CHUNKED}2\r\n{{}}{MARKER}\r\n0\r\n\r\n", 400),
}


def sent(served: Served, text: str) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(text.encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_is_refused_and_nothing_of_it_is_repeated(served: Served, name: str) -> None:
    text, expected = NO_HTTP[name]
    status, body = sent(served, text)
    assert status == expected
    assert json.loads(body)["resourceType"] == "OperationOutcome"
    assert MARKER.encode() not in body
    assert MARKER not in served.printed
    assert "Traceback" not in served.printed
    assert served.ask("GET", "/cds-services")[0] == 200


def test_a_body_of_100_mb_is_refused_early(served: Served) -> None:
    assert sent(served, f"{POST}Content-Length: {100 * 1024 * 1024}\r\n\r\n")[0] == 413


def test_chunks_without_end_are_refused_at_the_limit(served: Served) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(CHUNKED.encode())
        with contextlib.suppress(OSError):  # it may hang up while we are still sending
            for _ in range(40):
                connection.sendall(chunk)
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
            assert response.status == 413
        except OSError:
            pass
    assert served.ask("GET", "/cds-services")[0] == 200
    assert any('"status":413' in line for line in served.printed.splitlines()[-3:])


@pytest.mark.parametrize(
    "headers",
    [
        f"SCRIPT_NAME: /{MARKER}",
        "SCRIPT_NAME: /cds-services",
        "PATH_INFO: /metrics",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off",
        "X-HTTP-Method-Override: DELETE",
        "X-Original-URL: /metrics",
        f"X-Forwarded-Host: {MARKER}",
    ],
)
def test_what_a_caller_writes_about_proxies_changes_nothing(served: Served, headers: str) -> None:
    status, body = sent(served, f"GET /cds-services HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n")
    assert status == 200
    assert json.loads(body)["services"][0]["id"] == "muscle-twitching"
    assert MARKER not in served.printed


def test_over_a_unix_socket_the_host_header_does_not_choose_the_address(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving(tmp_path, "--bind", f"unix:{path}", CDS_OPERATIONS_BIND="127.0.0.1:59999") as served:
        lines, mode = served.printed.splitlines(), stat.S_IMODE(path.stat().st_mode)
        kept = {file.name: stat.S_IMODE(file.stat().st_mode) for file in served.state.rglob("*") if file.is_file()}
        answers = {}
        for target in ("/metrics", "/health/ready", "/cds-services"):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x:59999\r\n\r\n".encode())
                response = http.client.HTTPResponse(connection)
                response.begin()
                answers[target] = response.status
    assert answers == {"/metrics": 404, "/health/ready": 404, "/cds-services": 200}
    assert mode == 0o660, "with CDS_AUTH=proxy whoever can write to it is any client"
    assert kept and set(kept.values()) == {0o600}
    assert f"Listening on unix:{path} " in "\n".join(lines)
    shown = [line for line in lines if " curl " in line]
    assert len(shown) == 2
    assert all(f" curl --unix-socket {path} " in line and " http://localhost/cds-services" in line for line in shown)


def test_two_addresses_with_one_port_do_not_start(tmp_path: Path) -> None:
    said = refused(tmp_path, "--bind", "127.0.0.1:8123", CDS_OPERATIONS_BIND="127.0.0.2:8123")
    assert "CDS_OPERATIONS_BIND needs another port" in said


def test_a_start_that_fails_and_a_stop_leave_nothing_in_the_folder_for_temporary_files(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    refused(tmp_path, "--bind", "127.0.0.1:8123", CDS_OPERATIONS_BIND="127.0.0.2:8123", TMPDIR=str(scratch))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(tmp_path, "--bind", f"127.0.0.1:{taken.getsockname()[1]}", TMPDIR=str(scratch))
    assert list(scratch.iterdir()) == []
    with serving(tmp_path, TMPDIR=str(scratch)) as served:
        assert served.ask("GET", "/metrics")[0] == 200
        assert list(scratch.glob("cds-service-metrics-*"))
    assert list(scratch.glob("cds-service-metrics-*")) == []
