"""Health and metrics, for those who run the service."""

from __future__ import annotations

from flask import Blueprint, Response

from cds_service.web import metrics
from cds_service.web.answers import json_response
from cds_service.web.state import state

health = Blueprint("health", __name__)


@health.get("/health/live")
def live() -> Response:
    """The process answers."""
    return json_response({"status": "live"})


@health.get("/health/ready")
def ready() -> Response:
    """Content is loaded and the store can be reached; else 503."""
    here = state()
    reachable = here.store.reachable()
    body = {
        "status": "ready" if reachable else "not ready",
        "content": here.knowledge.version,
        "store": "reachable" if reachable else "not reachable",
        "mode": "silent" if here.settings.silent else "live",
        "cards_off": sorted(here.settings.policy.cards_off),
        "emergency_tier": "on" if here.settings.policy.emergency_tier else "off",
    }
    return json_response(body, 200 if reachable else 503)


@health.get("/metrics")
def figures() -> Response:
    """Prometheus text."""
    body, kind = metrics.exposition()
    return Response(body, content_type=kind)
