"""The JSON body of a request to our service."""

from __future__ import annotations

from typing import Any

from flask import request

from cds_service.errors import Fault, RequestError
from cds_service.intake.decode import decode
from cds_service.web.discovery import SERVICE


def json_body(service_id: str) -> Any:
    """What was sent to this service. Raises RequestError for another service, and for what is no JSON."""
    if service_id != SERVICE:
        raise RequestError(404, Fault("service", "no such service", f"call {SERVICE}"), code="not-found")
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise RequestError(
            415, Fault("Content-Type", "is not JSON", "send Content-Type: application/json"), code="not-supported"
        )
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise RequestError(
            415, Fault("Content-Encoding", "is not supported", "send the body uncompressed"), code="not-supported"
        )
    return decode(request.get_data(cache=False))
