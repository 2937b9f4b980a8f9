"""The body of a request: JSON by its headers, bounded in size and time, unpacked when it is gzip."""

from __future__ import annotations

import zlib
from typing import Any

from flask import request
from werkzeug.exceptions import ClientDisconnected, HTTPException

from cds_service.errors import Fault, RequestError
from cds_service.intake.decode import decode
from cds_service.web.calls import note
from cds_service.web.discovery import SERVICE
from cds_service.web.state import state

_PACKED = ("gzip", "x-gzip")  # two names of one encoding (RFC 9110, 8.4.1.3)
_GZIP = 16 + zlib.MAX_WBITS
_TOO_LARGE = Fault("$", "the body is too large", "ask for fewer resources, or raise CDS_MAX_BODY_MB")


def json_body(service_id: str) -> Any:
    """What was sent to this service. Raises RequestError for another service, and for what is no JSON."""
    return decode(hook_body(service_id))


def hook_body(service_id: str) -> bytes:
    """The bytes that were sent to this service. Raises RequestError for another service."""
    if service_id != SERVICE:
        raise RequestError(404, Fault("service", "no such service", f"call {SERVICE}"), code="not-found")
    return read_body(state().settings.max_body)


def read_body(most: int) -> bytes:
    """The body of the present request, at most ``most`` bytes after unpacking.

    Raises RequestError: 415 for other media, 413 too large, 408 sent too slowly, 400 broken gzip.
    """
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise _unsupported("Content-Type", "is not JSON", "send Content-Type: application/json")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    is_packed = encoding in _PACKED
    if not is_packed and encoding not in ("", "identity"):
        raise _unsupported("Content-Encoding", "is not supported", "send the body uncompressed or as gzip")
    if request.content_length is not None and request.content_length > most:
        raise RequestError(413, _TOO_LARGE, code="too-long")  # before a byte of it is read
    raw = _received(most)
    return _unpacked(raw, most) if is_packed else raw


def _unsupported(header: str, what: str, remedy: str) -> RequestError:
    return RequestError(415, Fault(header, what, remedy), code="not-supported")


def _received(most: int) -> bytes:
    try:
        raw = _arrived(most)
    except TimeoutError:
        slow = Fault("$", "the body did not arrive in time", "send it faster, or raise CDS_BODY_DEADLINE_SECONDS")
        raise RequestError(408, slow, code="timeout") from None
    except HTTPException:
        raise
    except Exception as error:  # servers name their errors as they like
        note(body=type(error).__name__)
        raise RequestError(400, Fault("$", "the chunks of the body are not in order", "send it as HTTP says")) from None
    if len(raw) > most:
        raise RequestError(413, _TOO_LARGE, code="too-long")
    return raw


def _arrived(most: int) -> bytes:
    """The whole body in one piece, or one byte more than is accepted.

    werkzeug's own stream asks for 64 KB at a time and copies each piece five times.
    """
    stream, length = request.environ["wsgi.input"], request.content_length
    if length is None:
        return bytes(stream.read(most + 1)) if request.environ.get("wsgi.input_terminated") else b""
    try:
        raw = bytes(stream.read(length))
    except TimeoutError:
        raise
    except OSError:
        raise ClientDisconnected from None
    if len(raw) < length:
        raise ClientDisconnected
    return raw


def _unpacked(raw: bytes, most: int) -> bytes:
    unpack = zlib.decompressobj(_GZIP)
    try:
        body = unpack.decompress(raw, most + 1)
    except zlib.error:
        body = b""
    if len(body) > most:
        raise RequestError(413, _TOO_LARGE, code="too-long")
    if not unpack.eof or unpack.unused_data:
        raise RequestError(400, Fault("$", "the body is no whole gzip stream", "compress it once, with gzip"))
    return body
