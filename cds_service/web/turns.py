"""Large charts are read one after the other in each worker, however many arrive together.

The threads of a worker share one interpreter: read together they are not ready sooner, and each needs ten times its
bytes meanwhile, scattered so that the memory is not given back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import g

from cds_service.web.state import state

LARGE = 100_000  # bytes of a body, unpacked: those of 100 resources
MANY = 100  # resources: of a chart that was fetched the body does not tell the size


@contextmanager
def own_turn(size: int) -> Iterator[None]:
    """Read a chart of this size, in bytes, when it is its turn; those that are not large have no turn to wait for."""
    g.has_turn = False
    try:
        if size >= LARGE:
            _take_turn()
        yield
    finally:
        if g.pop("has_turn"):
            state().large.release()


def wait_if_many(resources: int) -> None:
    """Within ``own_turn``: a chart that grew large while it was gathered waits as well, before it is read."""
    if resources >= MANY and not g.get("has_turn", True):
        _take_turn()


def _take_turn() -> None:
    state().large.acquire()
    g.has_turn = True


@contextmanager
def turn_left_to_others() -> Iterator[None]:
    """While another server is waited for, the next chart may be read."""
    if not g.get("has_turn", False):
        yield
        return
    state().large.release()
    try:
        yield
    finally:
        state().large.acquire()
