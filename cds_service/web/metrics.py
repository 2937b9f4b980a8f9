"""Prometheus metrics. No label comes from a request or a chart.

Worker processes share their figures through files when PROMETHEUS_MULTIPROC_DIR is set before this
is imported, as ``cds-service serve`` does.
"""

from __future__ import annotations

import os
import shutil

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

SHARED = "PROMETHEUS_MULTIPROC_DIR"
_FAST = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

CALLS = Counter("cds_calls", "Answers by endpoint and HTTP status", ["endpoint", "status"])
SECONDS = Histogram("cds_call_seconds", "Time to the answer, from the head of the request", ["endpoint"], buckets=_FAST)
IN_PROGRESS = Gauge("cds_calls_in_progress", "Calls being handled", multiprocess_mode="livesum")
ASSESSED = Counter("cds_assessed", "Charts assessed, by outcome", ["outcome"])
SHOWN = Counter("cds_cards_shown", "Cards answered", ["card", "indicator"])
SILENT = Counter("cds_cards_silent", "Cards that silent mode kept back", ["card", "indicator"])
GAPS = Counter("cds_gaps", "Data gaps by prefetch key", ["key"])
FHIR = Counter("cds_fhir_requests", "Questions to FHIR servers by prefetch key and outcome", ["key", "outcome"])
AUTH = Counter("cds_auth", "Outcomes of authentication", ["outcome"])
FEEDBACK = Counter("cds_feedback", "Feedback answered with 200, retries included", ["card", "outcome"])


def exposition() -> tuple[bytes, str]:
    """The figures of all workers, and their media type."""
    if SHARED not in os.environ:
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


def worker_left(pid: int) -> None:
    """A worker has ended: its gauges no longer count."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def forget() -> None:
    """Remove the shared figures when the server ends."""
    shutil.rmtree(os.environ[SHARED], ignore_errors=True)
