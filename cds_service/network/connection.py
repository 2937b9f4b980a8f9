"""Connections to one server at addresses that were checked before, all of them over by one deadline."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httpcore

from cds_service.network.places import Place, ip_of
from cds_service.network.servers import FhirServer

Resolve = Callable[[str, int], list[str]]
_MOST_ADDRESSES = 4
_LEAST_WAIT = 0.001  # a timeout of 0 would mean: do not block


class Reason(Enum):
    """Why a question got no answer, in the words of the response and of the card."""

    NOT_LISTED = "the FHIR server of the request is not on the allow-list"
    UNAUTHORISED = "the FHIR server answered: unauthorised"
    FORBIDDEN = "the FHIR server answered: forbidden"
    NOT_FOUND = "the FHIR server answered: not found"
    REJECTED = "the FHIR server did not accept the query"
    TIMED_OUT = "the FHIR server timed out"
    NOT_FHIR = "the answer of the FHIR server is not the FHIR that was asked for"
    REPORTED = "the FHIR server reported a failure"
    TOO_LARGE = "the answer of the FHIR server is too large"
    ADDRESS = "the network address of the FHIR server is not allowed"
    REDIRECTED = "the FHIR server redirected elsewhere"
    CONNECTION = "the connection to the FHIR server failed"
    SERVER_ERROR = "the FHIR server had an error of its own"
    LEFT_ALONE = "the FHIR server is left alone for a while after failures"
    NEXT_ELSEWHERE = "the next page is not below the address of the FHIR server"
    NO_ID = "context.patientId is not a FHIR id"

    @property
    def is_failure_of_server(self) -> bool:
        return self in (Reason.TIMED_OUT, Reason.CONNECTION, Reason.SERVER_ERROR)


class UnansweredError(Exception):
    """A question without an answer."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment at which everything must be over."""

    until: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    def wait(self, wanted: float | None = None) -> float:
        """How long one step may take. Raises UnansweredError when no time is left."""
        left = self.left
        if left <= 0:
            raise UnansweredError(Reason.TIMED_OUT)
        return max(_LEAST_WAIT, left if wanted is None else min(left, wanted))


def system_resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, in the system's order of preference."""
    return [str(answer[4][0]) for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def pinned(server: FhirServer, resolve: Resolve, deadline: Deadline) -> tuple[str, ...]:
    """The addresses of a server for one call. One that is not allowed spoils all of them.

    Asked once and never again during the call: a name that changes its mind between the check and
    the connection is how a public name reaches a private machine.
    """
    host = server.base.host
    addresses = [host] if ip_of(host) else _resolved(host, server.base.port, resolve, deadline)
    if not all(server.may_be_at(address) for address in addresses):
        raise UnansweredError(Reason.ADDRESS)
    return tuple(dict.fromkeys(addresses))[:_MOST_ADDRESSES]


def _resolved(host: str, port: int, resolve: Resolve, deadline: Deadline) -> list[str]:
    # In a thread of its own: the system's resolver knows no deadline.
    answers: list[list[str]] = []

    def ask() -> None:
        try:
            answers.append(resolve(host, port))
        except (OSError, UnicodeError):
            answers.append([])

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(deadline.wait())
    if not answers:
        raise UnansweredError(Reason.TIMED_OUT)
    if not answers[0]:
        raise UnansweredError(Reason.CONNECTION)
    return answers[0]


class _BoundedStream(httpcore.NetworkStream):
    """A connection on which no step outlasts the deadline, however slowly the other side drips."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.wait(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.wait(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.wait(timeout))
        return _BoundedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the checked addresses, whatever the name in the URL would resolve to now.

    The name stays in the Host header, in SNI and in the check of the certificate.
    """

    def __init__(self, addresses: tuple[str, ...], deadline: Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError()
        for position, address in enumerate(self._addresses):
            share = self._deadline.wait() / (len(self._addresses) - position)
            try:
                stream = self._inner.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream, self._deadline)
        raise failure


class Limit:
    """How many bytes all answers of a call may have together; shared by its threads."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        with self._lock:
            self._left -= size
            if self._left < 0:
                raise UnansweredError(Reason.TOO_LARGE)


class Connection:
    """GET from one server. No redirect, no cookie, no proxy, no second try.

    httpcore instead of httpx, of which it is the lower half: httpx would read proxies from the
    environment, unpack without limit and log addresses, which hold ids of patients.
    """

    def __init__(
        self,
        server: FhirServer,
        addresses: tuple[str, ...],
        token: str,
        context: ssl.SSLContext | None,
        deadline: Deadline,
        most_bytes: int,
        most_bytes_together: int,
    ) -> None:
        self._server = server
        self._deadline = deadline
        self._most = most_bytes
        self._together = Limit(most_bytes_together)
        self._headers = _headers(token)
        self._pool = httpcore.ConnectionPool(context, network_backend=_PinnedBackend(addresses, deadline))

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def get(self, place: Place) -> bytes:
        """The body of an answer with status 200, unpacked. Raises UnansweredError."""
        if place.origin != self._server.base.origin:
            raise UnansweredError(Reason.NEXT_ELSEWHERE)  # the token goes nowhere else
        try:
            return self._get(place)
        except httpcore.TimeoutException:
            raise UnansweredError(Reason.TIMED_OUT) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            raise UnansweredError(Reason.CONNECTION) from None

    def _get(self, place: Place) -> bytes:
        host = f"[{place.host}]" if ":" in place.host else place.host
        url = httpcore.URL(scheme=place.scheme, host=host, port=place.port, target=place.target)
        left = self._deadline.wait()
        waits = {"connect": left, "read": left, "write": left, "pool": left}
        with self._pool.stream("GET", url, headers=self._headers, extensions={"timeout": waits}) as response:
            _check_status(response.status)
            packed = _packing(response.headers)
            body = bytearray()
            for part in _unpacked(self._bounded(response.iter_stream()), packed, self._most):
                self._together.take(len(part))
                body += part
                if len(body) > self._most:
                    raise UnansweredError(Reason.TOO_LARGE)
            return bytes(body)

    def _bounded(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        received = 0
        for part in parts:
            self._deadline.wait()
            received += len(part)
            if received > self._most:
                raise UnansweredError(Reason.TOO_LARGE)
            yield part


def _headers(token: str) -> list[tuple[bytes, bytes]]:
    bearer = [(b"Authorization", b"Bearer " + token.encode("ascii"))] if token else []
    return [
        (b"Accept", b"application/fhir+json"),
        (b"Accept-Encoding", b"gzip"),
        (b"User-Agent", b"cds-service"),
        *bearer,
    ]


_REFUSED = {401: Reason.UNAUTHORISED, 403: Reason.FORBIDDEN, 404: Reason.NOT_FOUND, 410: Reason.NOT_FOUND}


def _check_status(status: int) -> None:
    if status == 200:
        return
    if 300 <= status < 400:
        raise UnansweredError(Reason.REDIRECTED)
    if status >= 500:
        raise UnansweredError(Reason.SERVER_ERROR)
    raise UnansweredError(_REFUSED.get(status, Reason.REJECTED))


def _packing(headers: Iterable[tuple[bytes, bytes]]) -> str:
    values = [value.decode("latin-1").strip().lower() for name, value in headers if name.lower() == b"content-encoding"]
    said = ",".join(values)
    if said not in ("", "identity", "gzip", "x-gzip"):
        raise UnansweredError(Reason.NOT_FHIR)
    return said


def _unpacked(parts: Iterable[bytes], packed: str, most: int) -> Iterator[bytes]:
    """The parts as they were before packing, never more than ``most`` bytes at once: a bomb stays small."""
    if packed in ("", "identity"):
        yield from parts
        return
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for part in parts:
            rest = part
            while rest and not unpack.eof:
                yield unpack.decompress(rest, min(most, 1 << 20))
                rest = unpack.unconsumed_tail
        yield unpack.flush()
    except zlib.error:
        raise UnansweredError(Reason.NOT_FHIR) from None
    if not unpack.eof:
        raise UnansweredError(Reason.NOT_FHIR)  # cut off
