"""Suggested tests as draft FHIR ServiceRequests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cds_service.clinical.findings import Case, Evidence
from cds_service.clinical.knowledge import OrderItem
from cds_service.clinical.workup import PlannedOrder
from cds_service.knowledge.codes import SYSTEMS, Codes, code_of_order

_CATEGORIES = {
    "laboratory": ("108252007", "Laboratory procedure"),
    "imaging": ("363679005", "Imaging"),
    "study": ("103693007", "Diagnostic procedure"),
    "referral": ("3457005", "Patient referral"),
}
_REASONS = 3
_REQUESTERS = ("Practitioner/", "PractitionerRole/")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # FHIR id; anything else in the context is not passed on


def service_requests(
    order: PlannedOrder, rule: str, case: Case, codes: Codes, context: dict[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each request of an order with its description.

    ``context``: patient, encounter and user of the hook, and the intent the site has chosen.
    """
    for item in order.items:
        description = f"{item.text} ({order.priority})"
        yield description, _request(item, order, rule, case, codes, context)


def _request(
    item: OrderItem, order: PlannedOrder, rule: str, case: Case, codes: Codes, context: dict[str, str]
) -> dict[str, Any]:
    request: dict[str, Any] = {"resourceType": "ServiceRequest", "status": "draft", "intent": context["intent"]}
    category = _CATEGORIES.get(order.investigation.kind)
    if category:
        request["category"] = [{"coding": [{"system": SYSTEMS["snomed"], "code": category[0], "display": category[1]}]}]
    request["priority"] = order.priority
    request["code"] = code_of_order(item, codes)
    request["subject"] = {"reference": f"Patient/{context['patient']}"}
    if _ID.fullmatch(context.get("encounter", "")):
        request["encounter"] = {"reference": f"Encounter/{context['encounter']}"}
    kind, _, identity = context.get("user", "").partition("/")
    if f"{kind}/" in _REQUESTERS and _ID.fullmatch(identity):
        request["requester"] = {"reference": context["user"]}
    reasons = [{"reference": e.reference} for e in _reasons(order, case)]
    if reasons:
        request["reasonReference"] = reasons
    request["note"] = [{"text": f"Suggested by rule {rule}, content {case.knowledge.version} (draft content)."}]
    return request


def _reasons(order: PlannedOrder, case: Case) -> list[Evidence]:
    """The twitching itself, and the abnormal result that asks for the test."""
    found = list(case["twitch_current"].evidence[:1])
    for item in order.items:
        for analyte in item.analytes:
            found += case[analyte].evidence[:1] if analyte in case.knowledge.findings else []
    known = [e for e in found if e.reference.startswith(("Condition/", "Observation/"))]
    unique = {e.reference: e for e in known}
    return list(unique.values())[:_REASONS]
