"""`cds-service serve` in a process of its own on a free port, for every test that needs the real thing."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, TODAY

SERVICE = "/cds-services/muscle-twitching"
COMMAND = [sys.executable, "-m", "cds_service"]
PATIENCE = 60  # seconds until the ready line; content is compiled first, and the machine may be busy


@dataclass
class Served:
    """A running service: its port, what it has printed and where it was started."""

    process: subprocess.Popen[str]
    port: int
    log: Path
    cwd: Path
    state: Path

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def call(self, body: bytes, path: str = SERVICE) -> tuple[int, Any]:
        status, _, raw = self.ask("POST", path, body, **{"Content-Type": "application/json"})
        return status, json.loads(raw)


def environment(state: Path, **settings: str) -> dict[str, str]:
    """Our own environment without anybody's settings of the service."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    path = os.pathsep.join(part for part in (str(ROOT), kept.get("PYTHONPATH", "")) if part)
    return kept | {"PYTHONPATH": path, "XDG_STATE_HOME": str(state), "CDS_TODAY": TODAY.isoformat()} | settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, *arguments: str, **settings: str) -> Iterator[Served]:
    """Serve from an empty folder until the block ends. Fails with what was printed if it does not get ready."""
    cwd, state, log = folder / "started-here", folder / "state", folder / "printed.txt"
    cwd.mkdir()
    port = free_port()
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--bind", f"127.0.0.1:{port}", *arguments],
            cwd=cwd, env=environment(state, **settings), stdout=output, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    served = Served(process, port, log, cwd, state)
    try:
        until = time.monotonic() + PATIENCE
        while "Cards:" not in served.printed:
            assert process.poll() is None, served.printed
            assert time.monotonic() < until, f"not ready after {PATIENCE} s: {served.printed}"
            time.sleep(0.1)
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def refused(folder: Path, *arguments: str, **settings: str) -> str:
    """What `serve` says when it does not start; it must not start and must not show a traceback."""
    done = subprocess.run(
        [*COMMAND, "serve", "--bind", f"127.0.0.1:{free_port()}", *arguments],
        cwd=folder, env=environment(folder / "state", **settings), capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Listening" not in done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr
