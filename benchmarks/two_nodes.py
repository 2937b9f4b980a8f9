"""Two nodes, one database, one nginx: is a token used once, is feedback kept, is a card known everywhere?

Starts a PostgreSQL, two nodes of two workers each that know their clients by tokens, and an nginx in front of
them, all on loopback. A line says OK or FAILED for each claim; the exit code is non-zero when one failed.
Needs nginx (apt-get install nginx-light) and the packages of the tests.

    python benchmarks/two_nodes.py [--seconds 20]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.nodes import FEEDBACK, SERVICE, Node, Verdicts, ask, fixture, free_port
from cds_service.settings import read_settings
from cds_service.web.store import Store
from tests.network.signing import ISSUER, PUBLIC_URL, good, public_jwk

WRITTEN_ON = date(2026, 6, 15)  # the day on which the requests that come along are about today
ROUNDS, AT_ONCE = 20, 16  # tokens, and how often each one is sent at the same time
CLIENTS = 6
PAUSE = 0.2  # seconds before what was not acknowledged is sent again
MOST_TRIES = 100

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream nodes {{
        server 127.0.0.1:{a} max_fails=1 fail_timeout=2s;
        server 127.0.0.1:{b} max_fails=1 fail_timeout=2s;
        keepalive 8;
        keepalive_timeout 5s;
    }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 20m;
        client_body_buffer_size 1m;
        location / {{
            proxy_pass http://nodes/;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "";
            proxy_request_buffering on;
            proxy_connect_timeout 2s;
            proxy_read_timeout 30s;
            # A POST goes to the other node only when this one was not reached at all: without non_idempotent,
            # nginx never sends one again that a node may have seen. A token can be used once.
            proxy_next_upstream error;
            proxy_next_upstream_tries 2;
        }}
    }}
}}
"""


# ---------------------------------------------------------------- a site


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """The address of a PostgreSQL of our own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for a runtime folder that not every machine has
        import pgserver
    server = pgserver.get_server(folder / "pg", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def nginx(command: str, folder: Path, nodes: Sequence[Node]) -> Iterator[int]:
    """The port of an nginx in front of both nodes."""
    port, file = free_port(), folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, a=nodes[0].port, b=nodes[1].port, port=port), encoding="utf-8")
    process = subprocess.Popen([command, "-p", str(folder), "-e", str(folder / "nginx-error.log"), "-c", str(file)])
    try:
        _await(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit("nginx does not start")


@dataclass(frozen=True)
class Site:
    """Two nodes, the proxy before them and the database behind them."""

    a: Node
    b: Node
    proxy: int
    database: str

    def rows(self) -> list[dict[str, Any]]:
        store = Store(read_settings({"CDS_DATABASE_URL": self.database}))
        try:
            return list(store.entries())
        finally:
            store.close()


@contextmanager
def site(command: str, folder: Path) -> Iterator[Site]:
    clients = folder / "clients.yaml"
    clients.write_text(json.dumps({"clients": [{"issuer": ISSUER, "keys": [public_jwk("first")]}]}), encoding="utf-8")
    with ExitStack() as running:
        settings = {
            "CDS_AUTH": "jwt",
            "CDS_PUBLIC_URL": PUBLIC_URL,
            "CDS_JWT_CLIENTS": str(clients),
            "CDS_SECRET": "only-for-this-benchmark",
            "CDS_DATABASE_URL": (url := running.enter_context(postgresql(folder))),
        }
        nodes = [Node(name, folder, settings) for name in ("a", "b")]
        for node in nodes:
            running.callback(node.stop)
            node.start()
        yield Site(nodes[0], nodes[1], running.enter_context(nginx(command, folder, nodes)), url)


def post(port: int, path: str, body: bytes, token: dict[str, str] | None = None) -> tuple[int, bytes]:
    """One call with a new token, or with this one."""
    return ask(port, "POST", path, body, **(token or good(aud=PUBLIC_URL + path)))


# ---------------------------------------------------------------- messages


def chart_of(patient: str) -> bytes:
    """A chart that is answered with one card, as if written today, of this patient."""
    text = json.dumps(fixture("hand-weakness"))
    later = datetime.now(UTC).date() - WRITTEN_ON
    text = re.sub(r"\b20\d\d-\d\d-\d\d\b", lambda day: (date.fromisoformat(day[0]) + later).isoformat(), text)
    known = json.loads(text)["context"]["patientId"]
    return text.replace(f'"{known}"', f'"{patient}"').replace(f'Patient/{known}"', f'Patient/{patient}"').encode()


def overridden(card: str, comment: str) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"card": card, "outcome": "overridden", "overrideReason": {"userComment": comment}, "outcomeTimestamp": at}
    return json.dumps({"feedback": [entry]}).encode()


def cards(port: int, patient: str) -> list[dict[str, Any]]:
    status, raw = post(port, SERVICE, chart_of(patient))
    if status != 200:
        raise SystemExit(f"the hook answered {status}: {raw[:300]!r}")
    answered: list[dict[str, Any]] = json.loads(raw)["cards"]
    return answered


# ---------------------------------------------------------------- (a) a token is used once


def tokens_are_used_once(here: Site, verdicts: Verdicts) -> None:
    begun, path, ports = time.monotonic(), "/cds-services", (here.a.port, here.b.port)
    accepted, others = list[int](), Counter[int]()
    for _ in range(ROUNDS):
        token = good(aud=PUBLIC_URL + path)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            calls = [pool.submit(ask, ports[turn % 2], "GET", path, None, **token) for turn in range(AT_ONCE)]
        statuses = [call.result()[0] for call in calls]
        accepted.append(statuses.count(200))
        others.update(status for status in statuses if status != 200)
    took = time.monotonic() - begun
    once = accepted == [1] * ROUNDS and set(others) == {401}
    tries = f"{ROUNDS} tokens, each sent {AT_ONCE} times at once to both nodes"
    verdicts.add(once, f"(a) {tries}: accepted {sum(accepted)}, refused {dict(others)}; {took:.1f} s")
    token = good(aud=PUBLIC_URL + path)
    in_turn = [ask(port, "GET", path, None, **token)[0] for port in ports]
    verdicts.add(in_turn == [200, 401], f"(a) a token used on A is refused on B: {in_turn}")


# ---------------------------------------------------------------- (b) feedback survives a node


@dataclass
class Sender:
    """A client that sends feedback until each piece is acknowledged."""

    name: str
    card: str
    acknowledged: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    unanswered: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0

    def run(self, port: int, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            number += 1
            self._send(port, f"{self.name}/{number}")

    def _send(self, port: int, comment: str) -> None:
        body, begun = overridden(self.card, comment), time.monotonic()
        for attempt in range(MOST_TRIES):
            if attempt:
                time.sleep(PAUSE)
            if (said := self._once(port, body)) == "200":
                self.acknowledged.append(comment)
                self.retried += [comment] if attempt else []
                self.longest = max(self.longest, time.monotonic() - begun)
                return
            self.unanswered[said] += 1
        self.given_up.append(comment)

    def _once(self, port: int, body: bytes) -> str:
        """The status, or why there was none. Every try has a token of its own: the first may have been used."""
        try:
            return str(post(port, FEEDBACK, body)[0])
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__


def feedback_survives_a_node(here: Site, seconds: float, verdicts: Verdicts) -> None:
    senders = [Sender(f"client-{n}", cards(here.a.port, f"sender-{n}")[0]["uuid"]) for n in range(CLIENTS)]
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=sender.run, args=(here.proxy, until)) for sender in senders]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 3)
    here.b.kill()
    time.sleep(seconds / 3)
    here.b.start()  # under load: it must neither disturb the other one nor be disturbed
    for thread in threads:
        thread.join()
    judge_feedback(here, senders, seconds, verdicts)


def judge_feedback(here: Site, senders: Sequence[Sender], seconds: float, verdicts: Verdicts) -> None:
    kept = Counter(row["comment"] for row in here.rows() if (row["comment"] or "").startswith("client-"))
    acknowledged = [comment for sender in senders for comment in sender.acknowledged]
    retried = [comment for sender in senders for comment in sender.retried]
    given_up = [comment for sender in senders for comment in sender.given_up]
    unanswered = sum((sender.unanswered for sender in senders), Counter[str]())
    longest = max(sender.longest for sender in senders)
    rate = len(acknowledged) / seconds
    print(f"        acknowledged {len(acknowledged)} ({rate:.0f}/s) while B was killed and started again")
    print(f"        tries that were not acknowledged: {dict(unanswered)}; longest until acknowledged {longest:.2f} s")
    lost = [comment for comment in acknowledged if kept[comment] == 0]
    verdicts.add(bool(acknowledged) and not lost, f"(b) acknowledged and not in the database: {len(lost)}")
    missing = [comment for comment in retried if kept[comment] != 1]
    shown = "" if retried else " (none had to be retried: this run shows nothing)"
    verdicts.add(not missing, f"(b) retried {len(retried)}, not exactly once in the database: {len(missing)}{shown}")
    verdicts.add(not given_up, f"(b) never acknowledged in {MOST_TRIES} tries: {len(given_up)}")
    doubled = [comment for comment, count in kept.items() if count > 1]
    verdicts.add(not doubled, f"(b) more than once in the database: {len(doubled)}")
    verdicts.add(sorted(kept) == sorted(acknowledged), f"(b) the database holds {sum(kept.values())}, none besides")
    harmless = set(unanswered) <= {"502", "503", "504"}
    verdicts.add(harmless, "(b) every try that failed was answered 502, 503 or 504, never a 401 for a new token")


# ---------------------------------------------------------------- (c) a card is known everywhere


def cards_are_known_everywhere(here: Site, verdicts: Verdicts) -> None:
    begun, count = time.monotonic(), 10
    issued = {f"patient-{n}": cards(here.a.port, f"patient-{n}")[0]["uuid"] for n in range(count)}
    told = [post(here.b.port, FEEDBACK, overridden(card, patient))[0] for patient, card in issued.items()]
    verified = {row["comment"]: row["verified"] and row["card"] for row in here.rows() if row["comment"] in issued}
    known = told == [200] * count and len(verified) == count and all(verified.values())
    verdicts.add(
        known, f"(c) {count} cards of A, verified when feedback came to B: {sum(map(bool, verified.values()))}"
    )
    back_at_a = sum(len(cards(here.a.port, patient)) for patient in issued)
    verdicts.add(back_at_a == 0, f"(c) overridden on B, shown again by A: {back_at_a}")
    stays_away(here, verdicts, begun)


def stays_away(here: Site, verdicts: Verdicts, begun: float) -> None:
    patients = [f"other-{uuid.uuid4()}" for _ in range(10)]
    for patient in patients:
        post(here.a.port, FEEDBACK, overridden(cards(here.a.port, patient)[0]["uuid"], patient))
    shown = sum(len(cards(here.b.port, patient)) for patient in patients)
    verdicts.add(shown == 0, f"(c) overridden on A for {len(patients)} patients, shown again by B: {shown}")
    stranger = len(cards(here.b.port, "never-seen"))
    took = time.monotonic() - begun
    verdicts.add(
        stranger == 1, f"(c) a patient without an override still gets the card from B: {stranger}; {took:.1f} s"
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=20, help="how long feedback is sent (default 20)")
    seconds, verdicts = asked.parse_args().seconds, Verdicts()
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    command = shutil.which("nginx", path=path)
    if command is None:
        raise SystemExit("nginx is missing: apt-get install nginx-light")
    # PostgreSQL's sockets lie beside its files, and a socket's path must be short.
    with (
        tempfile.TemporaryDirectory(prefix="nodes-", ignore_cleanup_errors=True) as folder,
        site(command, Path(folder)) as here,
    ):
        print("two nodes, two workers each, one PostgreSQL, one nginx", flush=True)
        tokens_are_used_once(here, verdicts)
        feedback_survives_a_node(here, seconds, verdicts)
        cards_are_known_everywhere(here, verdicts)
    sys.exit(1 if verdicts.failed else 0)


if __name__ == "__main__":
    main()
