"""What a review finds and cannot use: each fault with file, offset and reason, and never a patient's value."""

from __future__ import annotations

from typing import Literal, NamedTuple

import orjson

Scope = Literal["patient", "record", "file"]


class Trouble(NamedTuple):
    """One line of errors.ndjson.

    ``scope``: what is lost. ``patient``: a patient who was not assessed; ``record``: a single resource or
    line, its patient may still have been assessed; ``file``: the rest of a file.
    ``offset``: in bytes from the beginning of the file, after decompression.
    """

    scope: Scope
    file: str
    offset: int
    reason: str
    remedy: str = ""
    patient: str = ""

    def line(self) -> bytes:
        return orjson.dumps(
            {
                "scope": self.scope,
                "patient": self.patient or None,
                "file": self.file,
                "offset": self.offset,
                "reason": self.reason,
                "remedy": self.remedy or None,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )


class Reviewed(NamedTuple):
    """What became of one patient: a line of results.ndjson, or none and a Trouble of scope ``patient``."""

    patient: str  # the reference; "" when the record did not say
    file: str
    offset: int
    line: bytes
    troubles: tuple[Trouble, ...] = ()
