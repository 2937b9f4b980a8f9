"""Servers in processes of their own, above all nodes of the real service, for the benchmarks that need whole ones."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICE = "/cds-services/muscle-twitching"
FEEDBACK = f"{SERVICE}/feedback"
COMMAND = [sys.executable, "-m", "cds_service", "serve"]
WORKERS = 2
PATIENCE = 60  # seconds until a node is ready; content is compiled first
JSON_TYPE = {"Content-Type": "application/json"}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Status and body of one call. Raises OSError or HTTPException when there is no whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {**(JSON_TYPE if body is not None else {}), **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@dataclass
class Server:
    """A master and its workers in a process group of their own, so that all of it can be killed."""

    name: str
    folder: Path
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self, printed: str) -> bool:
        """Whether it can be called; `printed` is what it has said since this start."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start, or start again on the same port, and return when it is ready."""
        known = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder, env=self._environment(),
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + PATIENCE
        while not self.is_ready(self.printed[known:]):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{self.name} does not start:\n{self.printed[known:]}")
            time.sleep(0.01)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
        return kept | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.folder / self.name)} | self.settings

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        assert self.process is not None
        master = self.process.pid
        return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split()]

    def kill(self) -> None:
        """SIGKILL to master and workers at once, as a power cut ends them."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """Ask it to end, and leave nothing of it behind."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
        with suppress(ProcessLookupError):  # workers whose master died before them
            os.killpg(self.process.pid, signal.SIGKILL)


class Node(Server):
    """One node of the service: a gunicorn with two workers."""

    def command(self) -> list[str]:
        return [*COMMAND, "--workers", str(WORKERS), "--bind", f"127.0.0.1:{self.port}"]

    def is_ready(self, printed: str) -> bool:
        return "Cards:" in printed


class Verdicts:
    """What was to be shown, a line each."""

    def __init__(self) -> None:
        self.failed = False

    def add(self, holds: bool, claim: str) -> None:
        self.failed = self.failed or not holds
        print(f"{'OK' if holds else 'FAILED':8}{claim}", flush=True)


def fixture(name: str) -> dict[str, object]:
    """One of the requests that come along."""
    body: dict[str, object] = json.loads((ROOT / "fixtures" / "requests" / f"{name}.json").read_bytes())
    return body
