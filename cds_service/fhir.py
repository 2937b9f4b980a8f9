"""The only user of fhir.resources: what of a chart is cited is checked here.

R4B models read R4 (4.0.1) for every resource this service uses.
"""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from importlib import import_module
from typing import Any

import orjson
from pydantic import ValidationError

from cds_service.remembered import Remembered

# Module of each model; fhir.resources is imported lazily, model by model, because all of it is large.
_MODULES = {
    "Condition": "condition", "Observation": "observation", "DiagnosticReport": "diagnosticreport",
    "ServiceRequest": "servicerequest", "Procedure": "procedure", "MedicationRequest": "medicationrequest",
    "MedicationStatement": "medicationstatement", "Encounter": "encounter",
    "FamilyMemberHistory": "familymemberhistory",
    "Device": "device", "AllergyIntolerance": "allergyintolerance", "Appointment": "appointment",
    "QuestionnaireResponse": "questionnaireresponse", "Patient": "patient", "OperationOutcome": "operationoutcome",
}  # fmt: skip
# What the service publishes, and nothing that a card cites: no start and no call needs these.
_PUBLISHED = {
    "ValueSet": "valueset", "CodeSystem": "codesystem", "ConceptMap": "conceptmap", "Library": "library",
    "ActivityDefinition": "activitydefinition", "PlanDefinition": "plandefinition",
    "CapabilityStatement": "capabilitystatement", "Bundle": "bundle", "Questionnaire": "questionnaire",
}  # fmt: skip


@cache
def _model(kind: str) -> Any:
    module = (_MODULES | _PUBLISHED)[kind]
    return getattr(import_module(f"fhir.resources.R4B.{module}"), kind)


def preload(*kinds: str) -> None:
    """Import models before the first request needs them."""
    for kind in kinds or _MODULES:
        _model(kind)


def faults(resource: dict[str, Any]) -> list[str]:
    """Where a resource is not valid FHIR: element paths and kinds of fault, never values."""
    kind = resource.get("resourceType")
    if kind not in _MODULES and kind not in _PUBLISHED:
        return ["resourceType: not a resource this service reads"]
    try:
        _model(kind).model_validate(resource)
    except ValidationError as error:
        # str(error) would contain the patient's values; only places and kinds are passed on.
        return [
            f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False, include_url=False)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"not readable: {type(error).__name__}"]
    return []


_KEY = os.urandom(32)  # the hash of a process would be no secret where PYTHONHASHSEED is set
_valid: Remembered[bytes, bool] = Remembered(20_000)


def _mark(resource: dict[str, Any]) -> bytes:
    """A resource as 128 bits under a key of this process: nothing of a patient. Raises orjson.JSONEncodeError."""
    return blake2b(orjson.dumps(resource), digest_size=16, key=_KEY).digest()


def is_valid(resource: dict[str, Any]) -> bool:
    """Whether a resource has no faults. A chart is opened many times: what was valid is known again by its hash."""
    try:
        mark = _mark(resource)
    except orjson.JSONEncodeError:
        return not faults(resource)  # nested too deeply to be written
    if _valid.get(mark):
        return True
    valid = not faults(resource)
    if valid:
        _valid.keep(mark, True)
    return valid


def operation_outcome(issues: list[dict[str, Any]]) -> dict[str, Any]:
    """An OperationOutcome as a FHIR resource, checked."""
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    checked: dict[str, Any] = _model("OperationOutcome").model_validate(outcome).model_dump(mode="json")
    return checked
