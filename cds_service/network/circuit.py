"""A server that keeps failing is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Record:
    failures: int = 0
    left_alone_until: float = 0.0


class Circuit:
    """Counts hook calls that a server failed entirely, one after the other, for this process and one asker.

    After ``most`` of them nothing is asked for ``pause`` seconds; then one call may try again, and
    the others wait for what it finds.
    """

    def __init__(self, most: int = 5, pause: float = 30.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._pause = pause
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self._lock = threading.Lock()

    def may_ask(self, server: str) -> bool:
        with self._lock:
            record = self._records.get(server)
            if record is None or record.failures < self._most:
                return True
            now = self._clock()
            if now < record.left_alone_until:
                return False
            record.left_alone_until = now + self._pause  # this call tries; the next one waits for it
            return True

    def failed(self, server: str) -> None:
        with self._lock:
            record = self._records.setdefault(server, _Record())
            record.failures += 1
            if record.failures >= self._most:
                record.left_alone_until = self._clock() + self._pause

    def answered(self, server: str) -> None:
        with self._lock:
            self._records.pop(server, None)
