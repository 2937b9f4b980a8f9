"""One shape for every error: an OperationOutcome that names the path and the remedy, never a value."""

from __future__ import annotations

import logging
from dataclasses import replace

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from cds_service import fhir
from cds_service.errors import Fault, RequestError, StoreError
from cds_service.web.answers import json_response
from cds_service.web.calls import note
from cds_service.web.journal import fields

log = logging.getLogger("cds_service")

# FHIR issue types for the statuses Flask itself raises.
_CODES = {
    400: "invalid",
    404: "not-found",
    405: "not-supported",
    408: "timeout",
    412: "required",
    413: "too-long",
    415: "not-supported",
    503: "throttled",
}
_REMEDIES = {
    400: "send the request as CDS Hooks 2.0.1 describes it for patient-view",
    404: "ask GET /cds-services for the services that exist",
    405: "call services with POST and discovery with GET",
    413: "ask for fewer resources, or raise CDS_MAX_BODY_MB",
    415: "send Content-Type: application/json",
}

_NO_ARTEFACT = "ask GET /fhir/metadata for the kinds that exist; `cds-service export-fhir` names each by kind and id"


def register_problems(app: Flask) -> None:
    """Turn every error of the application into an OperationOutcome."""
    app.register_error_handler(RequestError, _request_error)
    app.register_error_handler(StoreError, _store_fails)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(RecursionError, _too_deep)
    app.register_error_handler(Exception, _our_bug)


def _outcome(status: int, code: str, faults: tuple[Fault, ...]) -> Response:
    faults = tuple(f if f.remedy else replace(f, remedy=_REMEDIES.get(status, "")) for f in faults)
    issues = [
        {
            "severity": "error",
            "code": code,
            "diagnostics": str(fault),
            **({"expression": [fault.where]} if fault.where else {}),
        }
        for fault in faults
    ]
    return json_response(fhir.operation_outcome(issues), status)


def _request_error(error: RequestError) -> Response:
    note(refused=[fault.where for fault in error.faults])
    return _outcome(error.status, error.code, error.faults)


def _store_fails(error: StoreError) -> Response:
    log.error("the store failed", extra=fields(kind=str(error)))
    fault = Fault(
        "$", "the store of this service does not answer; nothing was kept", "send the same request again later"
    )
    return _outcome(503, "transient", (fault,))


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    # The path that was asked for is not repeated: it may hold an id of a patient.
    where = {404: "path", 405: "method"}.get(status, "$")
    artefact = status == 404 and request.path.startswith("/fhir/")
    fault = Fault(where, (error.name or "error").lower(), _NO_ARTEFACT if artefact else "")
    response = _outcome(status, _CODES.get(status, "processing"), (fault,))
    if status == 405 and getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))  # type: ignore[attr-defined]
    return response


def _too_deep(error: RecursionError) -> Response:
    # JSON that is valid but nested hundreds of levels deep, as no FHIR server writes it.
    note(refused=["$"], at=_place(error))
    return _outcome(400, "structure", (Fault("$", "a resource is nested too deeply", "send resources as FHIR R4"),))


def _place(error: Exception) -> str:
    """File and line of an error. Its message may hold a patient's value and is never logged."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{place.tb_lineno}" if place else "?"


def _our_bug(error: Exception) -> Response:
    log.error("internal error", extra=fields(kind=type(error).__name__, at=_place(error)))
    fault = Fault(
        "$", "an error inside the service; the chart was not assessed", "report the time of this call to its operator"
    )
    return _outcome(500, "exception", (fault,))
