"""What a process may remember from call to call: so many things, and then the oldest are forgotten."""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """At most ``most`` things: those that were new or asked for lately.

    It has two halves. When the newer one is full, it becomes the older one, and what that held is forgotten.
    """

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._newer: dict[Key, Value] = {}
        self._older: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._newer | self._older)

    def get(self, key: Key) -> Value | None:
        known = self._newer.get(key)
        if known is None and (known := self._older.get(key)) is not None:
            self.keep(key, known)
        return known

    def keep(self, key: Key, value: Value) -> None:
        # Threads that come here together forget a thing at worst, which then is worked out again.
        if len(self._newer) >= self._half:
            self._newer, self._older = {}, self._newer
        self._newer[key] = value
