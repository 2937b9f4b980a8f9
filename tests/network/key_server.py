"""A key server on loopback: what it answers can be changed, and it counts how often it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.network.fhir_server import listening


@dataclass
class KeyServer:
    """Where it listens, what it answers next and what it was asked."""

    address: str = ""
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None
    asked: list[str] = field(default_factory=list)

    def publish(self, *keys: dict[str, Any]) -> None:
        self.send(json.dumps({"keys": keys}).encode())

    def send(self, body: bytes, status: int = 200, **headers: str) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answer = answer


@contextmanager
def key_server() -> Iterator[KeyServer]:
    """Serve until the block ends."""
    state = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            assert state.answer is not None
            state.answer(self)

    with listening(Handler) as port:
        state.address = f"http://127.0.0.1:{port}/jwks.json"
        yield state
