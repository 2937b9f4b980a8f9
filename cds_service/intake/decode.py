"""Bytes to JSON, behind one function so that its insides can change."""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any

import orjson

from cds_service.errors import Fault, RequestError


def decode(body: bytes) -> Any:
    """The JSON of a request body. Raises RequestError 400 for anything that is no JSON in UTF-8."""
    if not body:
        raise RequestError(400, Fault("$", "the body is empty", "send a CDS Hooks request as JSON"))
    try:
        # A byte order mark is not JSON, but a parser may pass over it (RFC 8259, 8.1).
        return orjson.loads(memoryview(body)[len(BOM_UTF8) :] if body.startswith(BOM_UTF8) else body)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestError(400, Fault("$", f"the body is no JSON at {place}", "send JSON in UTF-8")) from None
    except RecursionError:
        raise RequestError(400, Fault("$", "the body is nested too deeply", "send a CDS Hooks request")) from None
