"""The socket of a worker: its deadline, and the timeouts that others set on it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader

from cds_service.worker import OnePiece, TimedSocket


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def waited(timed: TimedSocket) -> float:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        timed.recv(10)
    return time.monotonic() - began


@pytest.mark.parametrize(("deadline", "asked"), [(30.0, 0.1), (0.1, 30.0), (0.1, None)])
def test_the_timeout_that_ends_first_counts(
    ends: tuple[socket.socket, socket.socket], deadline: float, asked: float | None
) -> None:
    timed = TimedSocket(ends[0], deadline)
    timed.head_is_read = True
    timed.settimeout(asked)
    assert 0.05 < waited(timed) < 5
    assert timed.expired is (deadline < 1)


def test_a_timeout_that_was_set_stays_set(ends: tuple[socket.socket, socket.socket]) -> None:
    timed = TimedSocket(ends[0], 30)
    timed.settimeout(0.1)
    ends[1].sendall(b"some")
    assert timed.recv(10) == b"some"
    assert waited(timed) < 5
    assert waited(timed) < 5


def test_a_client_that_does_not_hang_up_is_hung_up_on(ends: tuple[socket.socket, socket.socket]) -> None:
    timed = TimedSocket(ends[0], 30)
    began = time.monotonic()
    timed.hang_up()
    assert time.monotonic() - began < 5
    assert ends[1].recv(10) == b""
    timed.setblocking(True)  # as gunicorn does when it closes once more
    timed.close()


def body_of(ours: socket.socket, length: int, with_head: bytes, deadline: float = 30) -> OnePiece:
    """A body of which ``with_head`` came together with the head."""
    timed = TimedSocket(ours, deadline)
    timed.head_is_read = True
    unreader = SocketUnreader(timed)
    unreader.unread(with_head)
    return OnePiece(LengthReader(unreader, length))


@pytest.mark.parametrize("with_head", [b"", b"01", b"0123456789", b"0123456789POST /next"])
def test_a_body_ends_where_its_length_says(ends: tuple[socket.socket, socket.socket], with_head: bytes) -> None:
    body = body_of(ends[0], 10, with_head)
    ends[1].sendall(b"0123456789POST /next"[len(with_head) :])
    assert body.read(10) == b"0123456789"
    assert body.read(10) == b""
    rest = body.reader.unreader.take_buffered()
    ends[0].settimeout(1)
    assert rest + (ends[0].recv(100) if not rest else b"") == b"POST /next"


def test_a_body_may_be_read_in_parts(ends: tuple[socket.socket, socket.socket]) -> None:
    body = body_of(ends[0], 10, b"0")
    ends[1].sendall(b"123456789")
    assert (body.read(4), body.read(), body.read()) == (b"0123", b"456789", b"")


def test_a_body_that_breaks_off_is_as_long_as_what_came(ends: tuple[socket.socket, socket.socket]) -> None:
    body = body_of(ends[0], 10, b"0")
    ends[1].sendall(b"1234")
    ends[1].shutdown(socket.SHUT_WR)
    assert body.read(10) == b"01234"


def test_a_body_that_does_not_come_in_time_ends_its_connection(ends: tuple[socket.socket, socket.socket]) -> None:
    body = body_of(ends[0], 10, b"0", deadline=0.1)
    ends[1].sendall(b"1234")
    with pytest.raises(TimeoutError):
        body.read(10)
    assert body.failed
    assert body.reader.unreader.sock.expired
