"""A gunicorn worker whose clients must send a request within a deadline.

gunicorn's own ``--timeout`` watches the worker, not the client: a request that is half sent holds
its thread for as long as it likes, and a few of them hold every thread.
"""

from __future__ import annotations

import contextlib
import logging
import select
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from io import BytesIO
from typing import Any, TypeVar

import orjson
from gunicorn import util
from gunicorn.http import errors
from gunicorn.http.body import Body, LengthReader
from gunicorn.workers.gthread import ThreadWorker

from cds_service import fhir
from cds_service.web.journal import fields

log = logging.getLogger("cds_service")
T = TypeVar("T")

# A client that reads its answer too slowly is given up after this.
SEND_SECONDS = 30.0
# A client that has its answer and does not hang up is hung up on after this.
LINGER_SECONDS = 1.0
# A thread that has answered stays this long with its client. Through the main loop the next request takes four more
# changes of threads; a client that asks without a pause, as a busy proxy does, is spared them.
STAY_SECONDS = 0.02


class TimedSocket:
    """A socket that stops receiving at a deadline; everything else is the socket's own.

    The kernel is asked to wait only for what is not there yet: each question lets another thread take the
    interpreter, and a thread that has to get it back waits longer than for the network.
    """

    def __init__(self, socket: Any, seconds: float) -> None:
        socket.setblocking(False)
        self._socket = socket
        self._timeout: float | None = None
        self._held: bytearray | None = None
        self.restart(seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def gettimeout(self) -> float | None:
        return self._timeout

    def settimeout(self, seconds: float | None) -> None:
        """How long whoever receives wants to wait at most. The socket itself never blocks."""
        self._timeout = seconds

    def setblocking(self, flag: bool) -> None:
        self._timeout = None if flag else 0.0

    def recv(self, size: int) -> bytes:
        """What has arrived. Past the deadline: an end of data in the head, TimeoutError in the body.

        Whoever asks may have set a timeout of their own: the one that ends first counts.
        """
        return self._in_time(self._socket.recv, size) or b""

    def recv_into(self, room: memoryview) -> int:
        """How many bytes have arrived in ``room``; otherwise as ``recv``."""
        return self._in_time(self._socket.recv_into, room) or 0

    def _in_time(self, receive: Callable[[Any], T], place: Any) -> T | None:
        now, theirs = time.monotonic(), self._timeout
        if theirs is not None and now + theirs < self._until:
            return self._once_ready(receive, place, select.POLLIN, now + theirs)
        try:
            if now >= self._until:
                raise TimeoutError
            return self._once_ready(receive, place, select.POLLIN, self._until)
        except TimeoutError:
            self.expired = True
            if self.head_is_read:
                raise
            return None

    def _once_ready(self, act: Callable[[Any], T], on: Any, event: int, until: float) -> T:
        while True:
            try:
                return act(on)
            except BlockingIOError:
                pass
            if not is_ready(self._socket, event, until - time.monotonic()):
                raise TimeoutError

    def send(self, content: bytes) -> int:
        """Send as much of it as the client takes; says how much."""
        until = time.monotonic() + SEND_SECONDS
        sent: int = self._once_ready(self._socket.send, content, select.POLLOUT, until)
        return sent

    def sendall(self, content: bytes | bytearray) -> None:
        """Send it, or keep it for the rest of the answer."""
        if self._held is not None:
            self._held += content
            return
        left, until = memoryview(content), time.monotonic() + SEND_SECONDS
        while left:
            left = left[self._once_ready(self._socket.send, left, select.POLLOUT, until) :]

    @contextlib.contextmanager
    def in_one_piece(self) -> Iterator[None]:
        """Send all of an answer at its end; gunicorn sends head and body one after the other."""
        held = self._held = bytearray()
        try:
            yield
        finally:
            self._held = None
        self.sendall(held)

    def hang_up(self) -> None:
        """Let the client read its answer to the end, for a moment."""
        util.close_graceful(self._socket, LINGER_SECONDS)

    def restart(self, seconds: float) -> None:
        """A kept-alive connection begins its next request."""
        self._until = time.monotonic() + seconds
        self.head_is_read = self.expired = False


def is_ready(socket: Any, event: int, seconds: float) -> bool:
    """Whether it becomes so within this time."""
    poll = select.poll()
    poll.register(socket, event)
    return bool(poll.poll(max(seconds, 0) * 1000))


class OnePiece(Body):  # type: ignore[misc]
    """A body of known length. Asked for at once, it is received where it stays; gunicorn copies it five times."""

    def read(self, size: int | None = None) -> bytes:
        length = self.reader.length
        if size != length or self.buf.tell():
            return bytes(super().read(size))
        self.reader.length = 0
        try:
            return self._whole(length)
        except Exception:
            self.failed = True  # where the next request begins is not known
            raise

    def _whole(self, length: int) -> bytes:
        """All of it, or as much as came before the client hung up."""
        unreader = self.reader.unreader
        begun = unreader.take_buffered()
        unreader.unread(begun[length:])
        piece, at = BytesIO(bytes(length)), min(len(begun), length)
        with piece.getbuffer() as room:
            room[:at] = begun[:length]
            while at < length and (arrived := unreader.sock.recv_into(room[at:])):
                at += arrived
        return piece.getvalue()[:at]  # neither is a copy of a whole body


def status_of(error: BaseException) -> HTTPStatus:
    """The answer to what is no HTTP request as we accept it. 501 is what HTTP asks for here."""
    if isinstance(error, errors.LimitRequestLine):
        return HTTPStatus.REQUEST_URI_TOO_LONG
    if isinstance(error, errors.LimitRequestHeaders):
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    if isinstance(error, errors.ExpectationFailed):
        return HTTPStatus.EXPECTATION_FAILED
    if isinstance(error, errors.UnsupportedTransferCoding):
        return HTTPStatus.NOT_IMPLEMENTED
    ours = isinstance(error, (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName))
    if isinstance(error, errors.ParseException) and not ours:
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.INTERNAL_SERVER_ERROR


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker over timed sockets. ``seconds`` is set by the server before it starts."""

    seconds = 10.0

    def handle(self, conn: Any) -> Any:
        if isinstance(conn.sock, TimedSocket):
            conn.sock.restart(self.seconds)
        else:
            conn.sock = TimedSocket(conn.sock, self.seconds)
        kept = super().handle(conn)
        while kept is True and self._next_comes_at_once(conn):
            conn.sock.restart(self.seconds)
            kept = super().handle(conn)
        if not kept:
            conn.sock.hang_up()  # here: gunicorn waits for clients in its main loop, which serves all the others
        return kept

    def _next_comes_at_once(self, conn: Any) -> bool:
        """Whether the client goes on asking. Then its thread stays, while no other client waits for one."""
        in_hand = self.nr_conns - len(self.keepalived_conns) - len(self.pending_conns)
        read_ahead = conn.parser.unreader.buf.tell()
        if read_ahead or not self.alive or in_hand > self.cfg.threads:
            return False  # gunicorn's main loop sees to it
        return is_ready(conn.sock, select.POLLIN, STAY_SECONDS)

    def handle_request(self, req: Any, conn: Any) -> Any:
        conn.sock.head_is_read = True
        if isinstance(req.body.reader, LengthReader):
            req.body = OnePiece(req.body.reader)
        with conn.sock.in_one_piece():
            return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Any, keepalive: Any) -> Any:
        # What is left of a body that never came is not waited for.
        return super()._keepalive_after(conn, keepalive and not conn.sock.expired)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Refuse what the application never sees.

        gunicorn's own words repeat the line or header at fault, in the log and in the answer: ids of
        patients stand in lines, tokens in headers.
        """
        status = status_of(exc)
        log.warning("no request", extra=fields(kind=type(exc).__name__, status=status.value))
        issue = {"severity": "error", "code": "structure", "diagnostics": f"{status.phrase}: send HTTP/1.1"}
        body = orjson.dumps(fhir.operation_outcome([issue]))
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            client.sendall(head.encode() + body)
