"""Suggested tests as draft FHIR ServiceRequests."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
_REQUESTERS = ("Practitioner", "PractitionerRole")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # FHIR id; no other encounter or user is passed on


@dataclass(frozen=True, slots=True)
class Recipient:
    """The context of the hook that goes into orders."""

    patient: str
    encounter: str = ""
    user: str = ""


def service_request(
    item: OrderItem, order: PlannedOrder, rule: str, case: Case, codes: Codes, recipient: Recipient, intent: str
) -> dict[str, Any]:
    """One item of an order. ``rule``: the card that suggests it. ``intent``: what the site has chosen."""
    request: dict[str, Any] = {"resourceType": "ServiceRequest", "status": "draft", "intent": intent}
    category = _CATEGORIES.get(order.investigation.kind)
    if category:
        request["category"] = [{"coding": [{"system": SYSTEMS["snomed"], "code": category[0], "display": category[1]}]}]
    request["priority"] = order.priority
    request["code"] = code_of_order(item, codes)
    request["subject"] = {"reference": f"Patient/{recipient.patient}"}
    if _ID.fullmatch(recipient.encounter):
        request["encounter"] = {"reference": f"Encounter/{recipient.encounter}"}
    kind, _, identity = recipient.user.partition("/")
    if kind in _REQUESTERS and _ID.fullmatch(identity):
        request["requester"] = {"reference": recipient.user}
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
