"""Answers that are the same for everybody until the next start: made once, when first asked for, and kept as bytes."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

from flask import Response, current_app, request
from werkzeug.exceptions import NotFound

from cds_service.errors import Fault, RequestError

Made = TypeVar("Made")
# How many threads of a worker may make an answer or wait for one. The others answer hooks and health meanwhile.
AT_ONCE = 4
_MAY_BE_KEPT = "public, max-age=300"  # seconds; content changes with a restart only
_WORTH_PACKING = 1000  # bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it is sent: plain and, where that is worth it, as gzip. Each form has a name of its own (ETag)."""

    kind: str  # media type
    body: bytes
    packed: bytes
    name: str

    @classmethod
    def of(cls, kind: str, body: bytes) -> Kept:
        """Both forms of these bytes."""
        packed = gzip.compress(body, 6, mtime=0) if len(body) > _WORTH_PACKING else b""
        return replace(cls.plain(kind, body), packed=packed)

    @classmethod
    def plain(cls, kind: str, body: bytes) -> Kept:
        """These bytes as they are, for an answer that is made anew each time."""
        return cls(kind, body, b"", hashlib.sha256(body).hexdigest()[:32])

    def answer(self) -> Response:
        """The answer to the present request: packed for who takes that, 304 for who has it."""
        packed = bool(self.packed) and request.accept_encodings.quality("gzip") > 0
        response = Response(self.packed if packed else self.body, content_type=self.kind)
        response.headers["Cache-Control"] = _MAY_BE_KEPT
        response.headers["Vary"] = "Accept-Encoding"
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        response.set_etag(f"{self.name}-gzip" if packed else self.name)
        response.make_conditional(request)
        return response


class Shelf:
    """What was made so far, by name. Of several who ask for the same at once one makes it, and the others wait."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._making: dict[str, Lock] = {}
        self._room = BoundedSemaphore(AT_ONCE)

    def get(self, name: str, make: Callable[[], tuple[str, bytes] | None]) -> Kept | None:
        """The answer of this name; ``make`` gives media type and bytes, or None where there is no such answer.

        Raises RequestError 503 when too many are being made."""
        if name in self._kept:
            return self._kept[name]
        with self.room(), self._alone(name):
            if name not in self._kept:
                made = make()
                if made is None:  # and nothing is kept of it: anybody can invent names
                    return None
                self._kept[name] = Kept.of(*made)
            return self._kept[name]

    @contextmanager
    def room(self) -> Iterator[None]:
        """For as long as something is made. Raises RequestError 503 when there is none left."""
        if not self._room.acquire(blocking=False):
            busy = Fault("$", "too many calls at once", "send it again after the time that Retry-After gives")
            raise RequestError(503, busy, code="throttled")
        try:
            yield
        finally:
            self._room.release()

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        try:
            with self._making.setdefault(name, Lock()):
                yield
        finally:
            self._making.pop(name, None)


def once(name: str, make: Callable[[], Made]) -> Made:
    """What is made when it is first asked for, so that no start waits for it, and then kept with the application."""
    here: dict[str, Any] = current_app.extensions
    if name not in here:
        with here.setdefault(f"making {name}", Lock()):
            if name not in here:
                here[name] = make()
    made: Made = here[name]
    return made


def shelf() -> Shelf:
    """The shelf of this application."""
    found: Shelf = current_app.extensions["shelf"]
    return found


def kept(name: str, make: Callable[[], tuple[str, bytes] | None]) -> Response:
    """The answer of this name, as ``Shelf.get`` has it. Raises NotFound where there is none, and RequestError 503."""
    found = shelf().get(name, make)
    if found is None:
        raise NotFound
    return found.answer()
