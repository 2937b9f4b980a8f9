"""Feedback to the service as it is really served: nothing that was acknowledged is lost, whatever is killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import SettingsError
from cds_service.settings import read_settings
from cds_service.web.store import Store
from tests.applications import SECRET, application
from tests.network.conftest import empty_postgresql_database
from tests.served import SERVICE, Served, serving

CLIENTS, EACH = 4, 80


def message(client: int, number: int) -> bytes:
    """A piece of feedback of its own, with a comment that identifies it."""
    entry = {
        "card": f"4e0a3a1e-3283-4575-ab82-{client:06x}{number:06x}",
        "outcome": "overridden",
        "overrideReason": {"userComment": f"{client}/{number}"},
        "outcomeTimestamp": "2026-06-15T10:05:31.123Z",
    }
    return json.dumps({"feedback": [entry]}).encode()


def send(served: Served, body: bytes) -> bool:
    """Whether it was acknowledged."""
    try:
        status, _, _ = served.ask("POST", f"{SERVICE}/feedback", body, **{"Content-Type": "application/json"})
    except (OSError, http.client.HTTPException):
        return False
    return status == 200


def stream(served: Served, acknowledged: set[tuple[int, int]], client: int) -> None:
    for number in range(EACH):
        if not send(served, message(client, number)):
            return
        acknowledged.add((client, number))


def kill_all(served: Served) -> None:
    """SIGKILL to the workers and the master, as a power cut would end them."""
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
    for pid in [*map(int, children), served.process.pid]:
        os.kill(pid, signal.SIGKILL)
    served.process.wait(10)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_acknowledged_or_set_aside_survives_kill_9_and_retries_double_nothing(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, request_body: Any
) -> None:
    body = json.dumps(request_body).encode()
    url = (
        f"sqlite:///{tmp_path}/feedback.sqlite"
        if kind == "sqlite"
        else empty_postgresql_database(request.getfixturevalue("postgresql"))
    )
    acknowledged: set[tuple[int, int]] = set()
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    with serving(folders[0], CDS_DATABASE_URL=url, CDS_SECRET=SECRET) as served:
        assert "CDS_SECRET is not set" not in served.printed
        (card,) = served.call(body)[1]["cards"]
        assert send(served, overriding(card))
        clients = [threading.Thread(target=stream, args=(served, acknowledged, n)) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        until = time.monotonic() + 30
        while len(acknowledged) < CLIENTS * EACH // 3 and time.monotonic() < until:
            time.sleep(0.002)
        kill_all(served)
        for client in clients:
            client.join()
    assert 0 < len(acknowledged) < CLIENTS * EACH, "it was killed too late to show anything"

    everything = {(client, number) for client in range(CLIENTS) for number in range(EACH)}
    with serving(folders[1], CDS_DATABASE_URL=url, CDS_SECRET=SECRET) as served:
        assert served.call(body)[1]["cards"] == []  # what was set aside stays away
        kept = comments(url)
        assert len(kept) == len(set(kept))
        assert {f"{client}/{number}" for client, number in acknowledged} <= set(kept)
        assert all(send(served, message(*one)) for one in everything - acknowledged)
        assert all(send(served, message(*one)) for one in list(acknowledged)[:20])
    assert sorted(comments(url)) == sorted(f"{client}/{number}" for client, number in everything)


def comments(url: str) -> list[Any]:
    store = Store(read_settings({"CDS_DATABASE_URL": url}))
    try:
        return [row["comment"] for row in store.entries() if row["comment"]]
    finally:
        store.close()


def overriding(card: dict[str, Any]) -> bytes:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"feedback": [{"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": at}]}).encode()


def test_without_a_secret_nothing_is_remembered_and_the_start_says_so(served: Served, request_body: Any) -> None:
    assert "CDS_SECRET is not set" in served.printed and "not remembered" in served.printed
    body, before = json.dumps(request_body).encode(), len(served.printed)
    for _ in range(6):  # both workers: they share the secret that was made
        (card,) = served.call(body)[1]["cards"]
        assert send(served, overriding(card))
    assert served.printed[before:].count('"unverified":0') == 6
    assert (served.state / "cds-service" / "feedback.sqlite").is_file()


def test_a_database_that_cannot_be_reached_does_not_start() -> None:
    with pytest.raises(SettingsError, match=r"CDS_DATABASE_URL: .* at 127\.0\.0\.1:1 .*Connection refused"):
        application(CDS_DATABASE_URL="postgresql://cds:sesame-open@127.0.0.1:1/cds")
