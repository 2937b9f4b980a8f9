"""The socket of a worker: its deadline, and the timeouts that others set on it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from cds_service.worker import TimedSocket


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
