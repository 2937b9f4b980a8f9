"""Around every call: how many at once, what is counted, and the one line that is written down."""

from __future__ import annotations

import logging
import time
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound

from cds_service.errors import Fault, RequestError
from cds_service.web import metrics
from cds_service.web.journal import fields
from cds_service.web.state import state

log = logging.getLogger("cds_service")
RETRY_AFTER = 1  # seconds
# What costs work. The others stay answerable while these are refused.
_BOUNDED = frozenset({"hooks.call", "feedback.hear"})
_OPERATIONS = "health"
_WORKBENCH = "workbench"


def register_calls(app: Flask) -> None:
    """Count, bound and write down every call of the application."""
    app.before_request(_begin)
    app.after_request(_counted)
    app.teardown_request(_end)


def note(**values: Any) -> None:
    """Add fields to the line of the present call. Never a value of a chart."""
    g.setdefault("noted", {}).update(values)


def _begin() -> None:
    g.started = time.perf_counter()
    _right_address()
    # A preflight costs nothing and is answered also when calls are refused.
    costly = request.endpoint in _BOUNDED or (request.blueprint == _WORKBENCH and request.method == "POST")
    if costly and request.method != "OPTIONS":
        if not state().slots.acquire(blocking=False):
            busy = Fault("$", "too many calls at once", "send it again after the time that Retry-After gives")
            raise RequestError(503, busy, code="throttled")
        g.slot = True
    metrics.IN_PROGRESS.inc()
    g.counted = True


def _right_address() -> None:
    """Health and metrics live on their own address when the site has set one, and nothing else does."""
    own = state().settings.operations_bind
    if not own:
        return
    # gunicorn takes the port from the listening socket; a unix socket has none, and there it takes the Host header's.
    by_port = bool(request.environ.get("REMOTE_ADDR"))
    arrived_there = by_port and request.environ.get("SERVER_PORT") == own.rpartition(":")[2]
    if arrived_there != (request.blueprint == _OPERATIONS):
        raise NotFound


def _counted(response: Response) -> Response:
    endpoint = request.endpoint or "other"
    seconds = time.perf_counter() - g.started
    metrics.CALLS.labels(endpoint, str(response.status_code)).inc()
    metrics.SECONDS.labels(endpoint).observe(seconds)
    if response.status_code == 503:
        response.headers.setdefault("Retry-After", str(RETRY_AFTER))
    if request.blueprint != _OPERATIONS:
        here = state()
        line = {
            "endpoint": endpoint,
            "status": response.status_code,
            "content": here.knowledge.version,
            "date": here.settings.today().isoformat(),  # of an assessment: the one that was noted, also of a trial
            "milliseconds": round(seconds * 1000, 1),
        }
        log.info("call", extra=fields(**line | g.get("noted", {})))
    return response


def _end(_: BaseException | None) -> None:
    if g.pop("slot", False):
        state().slots.release()
    if g.pop("counted", False):
        metrics.IN_PROGRESS.dec()
