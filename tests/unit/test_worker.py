"""The socket of a worker: its deadline, and the timeouts that others set on it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.http.body import LengthReader
from gunicorn.http.unreader import SocketUnreader

from cds_service.worker import OnePiece, TimedSocket, Worker


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


def test_an_answer_is_sent_in_one_piece(ends: tuple[socket.socket, socket.socket]) -> None:
    timed = TimedSocket(ends[0], 30)
    ends[1].setblocking(False)
    with timed.in_one_piece():
        timed.send(b"HTTP/1.1 100 Continue\r\n\r\n")  # the client waits for it before it sends its body
        assert ends[1].recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        timed.sendall(b"head")
        with pytest.raises(BlockingIOError):
            ends[1].recv(100)
        timed.sendall(b" and body")
    assert ends[1].recv(100) == b"head and body"


def test_what_an_error_cut_short_is_not_sent(ends: tuple[socket.socket, socket.socket]) -> None:
    timed = TimedSocket(ends[0], 30)
    with pytest.raises(ValueError, match="broken"), timed.in_one_piece():
        timed.sendall(b"half an answer")
        raise ValueError("broken")
    timed.sendall(b"an error")
    assert ends[1].recv(100) == b"an error"


def test_a_slow_reader_receives_everything(ends: tuple[socket.socket, socket.socket]) -> None:
    timed, answer = TimedSocket(ends[0], 30), bytes(range(256)) * 20_000
    sender = Thread(target=timed.sendall, args=(answer,))
    sender.start()
    time.sleep(0.1)  # by now it waits: nobody reads
    ends[1].settimeout(10)
    received = bytearray()
    while len(received) < len(answer):
        received += ends[1].recv(65536)
    sender.join(10)
    assert received == answer


def test_a_client_that_reads_nothing_is_given_up(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.worker.SEND_SECONDS", 0.1)
    with pytest.raises(TimeoutError):
        TimedSocket(ends[0], 30).sendall(bytes(10_000_000))


@pytest.mark.parametrize(
    ("sent", "state", "stays"),
    [
        (b"POST", {}, True),
        (b"", {}, False),
        (b"POST", {"nr_conns": 33}, False),  # somebody waits for a thread
        (b"POST", {"nr_conns": 33, "keepalived_conns": [object()]}, True),
        (b"POST", {"alive": False}, False),
    ],
)
def test_a_thread_stays_with_a_client_that_goes_on_asking(
    ends: tuple[socket.socket, socket.socket], sent: bytes, state: dict[str, Any], stays: bool
) -> None:
    worker, timed = Worker.__new__(Worker), TimedSocket(ends[0], 30)
    here = {"alive": True, "nr_conns": 32, "keepalived_conns": [], "pending_conns": []} | state
    vars(worker).update(here, cfg=SimpleNamespace(threads=32))
    ends[1].sendall(sent)
    connection = SimpleNamespace(sock=timed, parser=SimpleNamespace(unreader=SocketUnreader(timed)))
    assert worker._next_comes_at_once(connection) is stays


def test_a_request_that_was_read_ahead_is_left_to_the_main_loop(ends: tuple[socket.socket, socket.socket]) -> None:
    worker, unreader = Worker.__new__(Worker), SocketUnreader(TimedSocket(ends[0], 30))
    vars(worker).update(alive=True, nr_conns=1, keepalived_conns=[], pending_conns=[], cfg=SimpleNamespace(threads=32))
    unreader.unread(b"POST /next")
    ends[1].sendall(b"more")
    assert not worker._next_comes_at_once(
        SimpleNamespace(sock=unreader.sock, parser=SimpleNamespace(unreader=unreader))
    )
