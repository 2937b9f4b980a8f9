"""CPU per request, as a ratio to a bare gunicorn that only parses the same JSON.

Both servers run as one worker on this machine, in one run and on the same body; the ratio, not the
milliseconds, is the figure. Linux only: the CPU time of a worker is read from /proc.

    python benchmarks/cpu_per_request.py [--requests 200]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOOK = "/cds-services/muscle-twitching"
SERVERS = {"bare": "benchmarks.cpu_per_request:parse_only", "service": "cds_service.wsgi:app"}


def parse_only(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The least that any JSON service does with a request."""
    import orjson

    orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]


def chart(resources: int, twitching: bool) -> bytes:
    """The low-potassium request, filled up with vital signs and closed visits to a number of resources."""
    request = json.loads((ROOT / "fixtures/requests/low-potassium.json").read_text(encoding="utf-8"))
    prefetch = request["prefetch"]
    if not twitching:
        prefetch["conditions"]["entry"] = []
        prefetch["findings"]["entry"] = []
    pattern = prefetch["vitals"]["entry"][0]["resource"]
    present = 1 + sum(len(found.get("entry", ())) for found in prefetch.values())
    for number in range(resources - present):
        month, day = number % 12 + 1, number % 28 + 1
        vital = {**pattern, "id": f"more-{number}", "effectiveDateTime": f"2025-{month:02}-{day:02}"}
        prefetch["vitals"]["entry"].append({"resource": vital})
    return json.dumps(request).encode()


@contextmanager
def serving(target: str) -> Iterator[tuple[int, int]]:
    """Start gunicorn with one worker; give the port and the worker's process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    environment = {**os.environ, "CDS_TODAY": "2026-06-15", "PYTHONPATH": str(ROOT)}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([*gunicorn, "--workers", "1", target], cwd=folder, env=environment) as server,
    ):
        try:
            yield port, _worker_of(server.pid, port)
        finally:
            server.terminate()


def _worker_of(master: int, port: int) -> int:
    for _ in range(300):
        time.sleep(0.1)
        children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split()
        with socket.socket() as probe:
            if children and probe.connect_ex(("127.0.0.1", port)) == 0:
                return int(children[0])
    raise SystemExit("the server did not start within 30 seconds")


def cpu_per_request(port: int, worker: int, body: bytes, requests: int) -> float:
    """Milliseconds of CPU in the worker, for each of some requests after a warm-up."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(requests + 20):
        if number == 20:
            before = _cpu(worker)
        connection.request("POST", HOOK, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{answer.status} from the server: nothing measured")
    return (_cpu(worker) - before) * 1000 / requests


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--requests", type=int, default=200, help="measured requests for each figure (default 200)")
    requests = asked.parse_args().requests
    bodies = {
        "300 resources, twitching": chart(300, twitching=True),
        "300 resources, no twitching": chart(300, twitching=False),
        "3000 resources, twitching": chart(3000, twitching=True),
        "3000 resources, no twitching": chart(3000, twitching=False),
    }
    spent: dict[tuple[str, str], float] = {}
    for server, target in SERVERS.items():
        with serving(target) as (port, worker):
            for name, body in bodies.items():
                print(f"measuring: {server}, {name} …", file=sys.stderr)
                spent[server, name] = cpu_per_request(port, worker, body, requests)
    print(f"{'chart':32}{'bare':>10}{'service':>10}{'ratio':>8}")
    for name in bodies:
        bare, service = spent["bare", name], spent["service", name]
        ratio = f"{service / bare:7.1f}x" if bare else "      –"
        print(f"{name:32}{bare:8.2f}ms{service:8.2f}ms{ratio}")


if __name__ == "__main__":
    main()
