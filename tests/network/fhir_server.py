"""A small FHIR server on loopback that serves records over real HTTP, and misbehaves when told to."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

PATH = "/fhir"
FAILURE = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    path: str
    headers: dict[str, str]

    @property
    def kind(self) -> str:
        return urlsplit(self.path).path.removeprefix(f"{PATH}/").split("/")[0]


@dataclass
class TestFhirServer:
    """Records by resource type; ``misbehave`` maps a resource type, or ``*``, to what goes wrong."""

    __test__ = False

    port: int = 0
    scheme: str = "http"
    records: list[dict[str, Any]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    misbehave: dict[str, str] = field(default_factory=dict)
    page_size: int = 0  # 0: everything on one page
    elsewhere: str = ""  # where redirects and next links may lead astray
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{PATH}"

    @property
    def kinds(self) -> list[str]:
        return [asked.kind for asked in self.asked]

    @property
    def tokens(self) -> set[str]:
        return {asked.headers.get("authorization", "") for asked in self.asked}

    def behave(self) -> None:
        self.asked.clear()
        self.misbehave.clear()
        self.page_size = 0

    def add(self, prefetch: dict[str, Any]) -> None:
        for value in prefetch.values():
            entries = [e["resource"] for e in (value or {}).get("entry", [])]
            self.records += entries or ([value] if value and value["resourceType"] == "Patient" else [])

    def search(self, query: str) -> dict[str, Any]:
        """The answer to ``Type?patient=…``, whole; filters by patient and category."""
        kind, _, asked = query.partition("?")
        wanted = parse_qs(asked)
        categories = set(",".join(wanted.get("category", [])).split(",")) - {""}
        hits = [
            r for r in self.records
            if r["resourceType"] == kind
            and _owner(r) == wanted["patient"][0]
            and (not categories or categories & _categories(r))
        ]  # fmt: skip
        entries = [{"fullUrl": f"{self.base}/{kind}/{r['id']}", "resource": r} for r in hits]
        return {"resourceType": "Bundle", "type": "searchset", "total": len(hits), "entry": entries}

    def page(self, path: str) -> dict[str, Any]:
        query = path.removeprefix(f"{PATH}/")
        bundle = self.search(query)
        offset = int(parse_qs(urlsplit(path).query).get("_offset", ["0"])[0])
        if self.page_size and len(bundle["entry"]) > offset + self.page_size:
            rest = query.split("&_offset=")[0]
            url = f"{self.base}/{rest}&{urlencode({'_offset': offset + self.page_size})}"
            bundle["link"] = [{"relation": "next", "url": url}]
        if self.page_size:
            bundle["entry"] = bundle["entry"][offset : offset + self.page_size]
        return bundle

    def read(self, path: str) -> dict[str, Any] | None:
        kind, _, name = path.removeprefix(f"{PATH}/").partition("/")
        return next((r for r in self.records if (r["resourceType"], r["id"]) == (kind, name)), None)


def _owner(resource: dict[str, Any]) -> str:
    owner = resource.get("subject") or resource.get("patient") or {}
    return str(owner.get("reference", "")).removeprefix("Patient/")


def _categories(resource: dict[str, Any]) -> set[str]:
    said = {c.get("code", "") for part in resource.get("category", []) for c in part.get("coding", [])}
    return said or {"exam"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fhir: TestFhirServer

    def do_GET(self) -> None:
        fhir = self.fhir
        asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()})
        with fhir.lock:
            fhir.asked.append(asked)
            fhir.at_once += 1
            fhir.most_at_once = max(fhir.most_at_once, fhir.at_once)
        try:
            wrong = fhir.misbehave.get(asked.kind) or fhir.misbehave.get("*", "")
            with contextlib.suppress(OSError):
                MISBEHAVIOURS[wrong](self) if wrong else self.answer()
        finally:
            with fhir.lock:
                fhir.at_once -= 1

    def answer(self) -> None:
        body = self.fhir.page(self.path) if "?" in self.path else self.fhir.read(self.path)
        self.send(200 if body else 404, body or FAILURE)

    def send(self, status: int, body: Any, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/fhir+json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def drip(self) -> None:
        """One byte at a time, each in time for a limit on single reads."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b" ")
            time.sleep(0.1)

    def drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(100):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def slow(self) -> None:
        time.sleep(5)
        self.answer()

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def cut_off(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"resourceType"')
        self.hang_up()

    def endless(self) -> None:
        bundle = self.fhir.search(self.path.removeprefix(f"{PATH}/").split("&_offset")[0])
        offset = int(parse_qs(urlsplit(self.path).query).get("_offset", ["0"])[0]) + 1
        rest = self.path.split("&_offset")[0]
        self.send(200, bundle | {"link": [{"relation": "next", "url": f"{rest}&_offset={offset}"}]})

    def next_elsewhere(self) -> None:
        page = self.fhir.page(self.path)
        self.send(200, page | {"link": [{"relation": "next", "url": f"{self.fhir.elsewhere}/Condition?page=2"}]})

    def next_fails(self) -> None:
        if "_offset" in self.path:
            self.send(500, FAILURE)
        else:
            self.endless()


@cache
def bomb() -> bytes:
    """A few hundred kilobytes that unpack to 64 megabytes."""
    return gzip.compress(b"[" + b" " * (64 * 1024 * 1024), 1)


def _many(handler: _Handler) -> None:
    entry = [{"resource": {"resourceType": "MedicationRequest", "id": f"m{i}"}} for i in range(6000)]
    handler.send(200, {"resourceType": "Bundle", "type": "searchset", "entry": entry})


MISBEHAVIOURS: dict[str, Callable[[_Handler], None]] = {
    "400": lambda h: h.send(400, FAILURE),
    "401": lambda h: h.send(401, FAILURE),
    "403": lambda h: h.send(403, FAILURE),
    "404": lambda h: h.send(404, FAILURE),
    "500": lambda h: h.send(500, FAILURE),
    "503": lambda h: h.send(503, b"busy"),
    "slow": _Handler.slow,
    "drip": _Handler.drip,
    "drip headers": _Handler.drip_headers,
    "not json": lambda h: h.send(200, b'{"resourceType": "Bundle", '),
    "empty": lambda h: h.send(200, b""),
    "a list": lambda h: h.send(200, b"[]"),
    "deep": lambda h: h.send(200, b'{"a":' * 100_000),
    "html": lambda h: h.send(200, b"<html><body>Sign in</body></html>", Content_Type="text/html"),
    "redirect elsewhere": lambda h: h.send(302, b"", Location=f"{h.fhir.elsewhere}/Condition"),
    "redirect same origin": lambda h: h.send(307, b"", Location=f"{PATH}/other{h.path}"),
    "huge": lambda h: h.send(200, b"[" + b" " * (21 * 1024 * 1024)),
    "gzip bomb": lambda h: h.send(200, bomb(), Content_Encoding="gzip"),
    "not gzip": lambda h: h.send(200, b"{}", Content_Encoding="gzip"),
    "unknown packing": lambda h: h.send(200, b"{}", Content_Encoding="br"),
    "gzip": lambda h: h.send(200, gzip.compress(json.dumps(h.fhir.page(h.path)).encode()), Content_Encoding="gzip"),
    "next elsewhere": _Handler.next_elsewhere,
    "next fails": _Handler.next_fails,
    "endless": _Handler.endless,
    "many": _many,
    "outcome": lambda h: h.send(200, FAILURE),
    "wrong type": lambda h: h.send(200, {"resourceType": "Practitioner", "id": "x"}),
    "hang up": _Handler.hang_up,
    "cut off": _Handler.cut_off,
}


@contextmanager
def fhir_serving(context: ssl.SSLContext | None = None) -> Iterator[TestFhirServer]:
    """Serve records until the block ends; with a context, over TLS."""
    bomb()  # made beforehand: it takes a moment
    fhir = TestFhirServer(scheme="http" if context is None else "https")
    with listening(type("Handler", (_Handler,), {"fhir": fhir}), context) as fhir.port:
        yield fhir


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer on a free port of 127.0.0.1, in threads and without a word, until the block ends."""
    quiet = type("Quiet", (handler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), quiet)
    server.socket.listen(64)  # with fewer places, a client that opens many at once waits a second now and then
    server.daemon_threads = True
    server.block_on_close = False
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are expected
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
