"""Discovery: what this service is and which data it would like to be sent along."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response

from cds_service.handbook.addresses import page_of_attributes
from cds_service.intake.envelope import HOOK
from cds_service.intake.prefetch import REQUIRED
from cds_service.web.answers import json_response
from cds_service.web.state import state

SERVICE = "muscle-twitching"
SPECIFICATION = "2.0.1"
LOOK_BACK_DAYS = 800  # the longest window of the content is 760 days
VITALS_DAYS = 14

discovery = Blueprint("discovery", __name__)


def prefetch_templates(today: date) -> dict[str, str]:
    """The queries, most valuable first. Dates are literal and one-sided, because many clients know nothing else."""
    since = f"ge{today - timedelta(days=LOOK_BACK_DAYS)}"
    lately = f"ge{today - timedelta(days=VITALS_DAYS)}"
    patient = "patient={{context.patientId}}"
    return {
        "patient": "Patient/{{context.patientId}}",
        "conditions": f"Condition?{patient}&_count=200",
        "labs": f"Observation?{patient}&category=laboratory&date={since}&_count=200",
        "findings": f"Observation?{patient}&category=exam,survey,social-history&date={since}&_count=200",
        "medications": f"MedicationRequest?{patient}&intent=order,plan&_count=200",
        "reports": f"DiagnosticReport?{patient}&date={since}&_count=100",
        "vitals": f"Observation?{patient}&category=vital-signs&date={lately}&_count=100",
        "encounters": f"Encounter?{patient}&date={since}&_count=200",
        "orders": f"ServiceRequest?{patient}&_count=100",
        "answers": f"QuestionnaireResponse?{patient}&_count=50",
        "procedures": f"Procedure?{patient}&_count=100",
        "family": f"FamilyMemberHistory?{patient}&_count=50",
        "devices": f"Device?{patient}&_count=50",
        "statements": f"MedicationStatement?{patient}&_count=100",
    }


@lru_cache(maxsize=2)  # every call of a day asks for the same
def wanted_templates(today: date, wanted: frozenset[str]) -> Mapping[str, str]:
    """The queries a site asks for, and those without which nothing can be said."""
    templates = prefetch_templates(today)
    return {key: query for key, query in templates.items() if not wanted or key in wanted or key in REQUIRED}


def service(today: date, wanted: frozenset[str]) -> dict[str, Any]:
    """The one service we offer, with the prefetch keys a site asks for."""
    settings = state().settings
    emergency = settings.policy.emergency_tier
    return {
        "id": SERVICE,
        "hook": HOOK,
        "hookVersion": "1.0",
        "version": SPECIFICATION,
        "title": "Muscle twitching: differential and work-up",
        "description": (
            "When muscle twitching is charted, works through its differential in the open and answers with at most "
            "three cards: what supports, opposes or is missing, and which tests to order next, as drafts. "
            f"Silent otherwise. Draft content {state().knowledge.version}, not clinically approved."
        ),
        "usageRequirements": (
            "Needs the patient and conditions queries (412 without them); every other query adds facts, and what is "
            "not sent is unknown, never normal. FHIR R4 (R4B accepted). Not for patients or carers, and not a "
            "detector of emergencies: it restates charted findings and supports, does not replace, clinical judgement."
            f" Intended use, limits and source attributes: {settings.handbook or '/handbook'}/{page_of_attributes()}."
            + ("" if emergency else " The emergency tier is switched off at this site.")
            + (" Silent mode: every call is assessed and answered without cards." if settings.silent else "")
        ),
        "prefetch": wanted_templates(today, wanted),
    }


@discovery.get("/cds-services")
def list_services() -> Response:
    """The discovery document."""
    settings = state().settings
    return json_response({"services": [service(settings.today(), settings.prefetch)]})
