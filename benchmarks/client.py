"""The one client of all contestants: wrk, with the CPU that the workers used meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.accounting import cpu_seconds
from benchmarks.nodes import Server

SCRIPTS = Path(__file__).resolve().parent / "wrk"
TIMEOUT = 30  # seconds until wrk calls an answer late
_REST = 20.0  # seconds that workers may take to end what wrk left behind
_RAMP = 0.3  # seconds at the beginning of a run in which nothing is counted
_SPARE = 0.1  # seconds before its end


@dataclass(frozen=True)
class Sample:
    """One run of wrk. Times in milliseconds; `cpu` is user and system time of all workers for each request.

    `rate` (requests per second) and `cpu` are those of a window inside the run: at its end requests are under way
    that have cost something and are not answered. With few and large requests that would be a large part.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    errors: int
    cpu: float


def middle(samples: Sequence[Sample]) -> Sample:
    """The median of each figure; errors are added up, because one is too many."""
    return Sample(
        requests=round(median(sample.requests for sample in samples)),
        rate=median(sample.rate for sample in samples),
        p50=median(sample.p50 for sample in samples),
        p99=median(sample.p99 for sample in samples),
        errors=sum(sample.errors for sample in samples),
        cpu=median(sample.cpu for sample in samples),
    )


def install_wrk() -> str:
    """The version of wrk, installed where that is allowed. Names the package where it is not."""
    apt = shutil.which("apt-get")
    if shutil.which("wrk") is None and apt is not None and os.geteuid() == 0:
        print("installing wrk …", file=sys.stderr)
        for command in (["update", "-q"], ["install", "-y", "-q", "wrk"]):
            subprocess.run([apt, *command], stdout=subprocess.DEVNULL, check=False)
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    return said.partition(" [")[0].strip()


def drive(
    server: Server,
    path: str,
    body: Path,
    connections: int,
    seconds: float,
    script: str = "call.lua",
    threads: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Sample:
    """Call a server without a pause and say what it took. Raises SystemExit when a worker died."""
    workers = server.workers()
    command = _command(f"http://127.0.0.1:{server.port}{path}", connections, seconds, script, threads)
    shown = {"BODY_FILE": str(body), "WRK_FOLDER": str(SCRIPTS), "THREADS": str(threads)}
    client = subprocess.Popen(
        command, env={**os.environ, **shown, **(settings or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with client:
        try:
            time.sleep(_RAMP)
            begun, before = time.monotonic(), cpu_seconds(workers)
            time.sleep(max(1, round(seconds)) - _RAMP - _SPARE)
            ended, used = time.monotonic(), cpu_seconds(workers) - before
            said = client.communicate()[0].decode()
        finally:
            client.kill()
    _let_rest(workers)
    if server.workers() != workers:
        raise SystemExit(f"{server.name}: a worker died under load:\n{server.printed[-2000:]}")
    return _sample(_result(said), begun, ended, used)


def _command(url: str, connections: int, seconds: float, script: str, threads: int) -> list[str]:
    options = [f"-c{connections}", f"-t{threads}", f"-d{max(1, round(seconds))}s", f"--timeout={TIMEOUT}s"]
    return ["wrk", *options, "-s", str(SCRIPTS / script), url]


def _result(said: str) -> dict[str, Any]:
    found = said.rpartition("RESULT ")[2]
    if not found.startswith("{"):
        raise SystemExit(f"wrk gave no result:\n{said}")
    result: dict[str, Any] = json.loads(found)
    return result


def _sample(result: dict[str, Any], begun: float, ended: float, used: float) -> Sample:
    answered = result.pop("answered")
    counted = sum(1000 * begun <= moment <= 1000 * ended for moment in answered)
    cpu = 1000 * used / counted if counted else float("nan")
    return Sample(**result, requests=len(answered), rate=counted / (ended - begun), cpu=cpu)


def _let_rest(workers: Sequence[int]) -> None:
    """Wait until the workers have ended what was under way when wrk hung up."""
    until, known = time.monotonic() + _REST, -1.0
    while (used := cpu_seconds(workers)) != known and time.monotonic() < until:
        known = used
        time.sleep(0.15)
