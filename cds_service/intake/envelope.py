"""The CDS Hooks request around the chart, checked with marshmallow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from cds_service.errors import Fault, RequestError

HOOK = "patient-view"
_WORD = validate.Length(min=1, max=1024)


class _Context(Schema):
    class Meta:
        unknown = EXCLUDE

    userId = fields.String(load_default="", validate=validate.Length(max=1024))
    patientId = fields.String(required=True, validate=_WORD)
    encounterId = fields.String(load_default="", allow_none=True, validate=validate.Length(max=1024))


class _HookRequest(Schema):
    class Meta:
        unknown = EXCLUDE

    hook = fields.String(required=True, validate=validate.Equal(HOOK, error=f"must be '{HOOK}'"))
    hookInstance = fields.UUID(required=True)
    fhirServer = fields.Url(load_default="", require_tld=False, schemes={"http", "https"})
    fhirAuthorization = fields.Dict(load_default=None, allow_none=True)
    context = fields.Nested(_Context, required=True)
    prefetch = fields.Dict(keys=fields.String(), load_default=dict, allow_none=True)

    @validates_schema
    def _authorization_needs_a_server(self, values: Mapping[str, Any], **_: Any) -> None:
        if values.get("fhirAuthorization") and not values.get("fhirServer"):
            raise ValidationError("is required when fhirAuthorization is given", "fhirServer")


_SCHEMA = _HookRequest()
_REMEDIES = {
    "hook": f"send the hook '{HOOK}' to this service",
    "hookInstance": "send a new UUID with every call",
    "context.patientId": "send the FHIR id of the patient whose chart is open",
    "fhirServer": "send the base URL of the FHIR server, with http or https",
    "prefetch": "send an object with one entry for each prefetch key of the discovery document",
}


@dataclass(frozen=True, slots=True)
class HookRequest:
    """What a patient-view call says, beside its chart."""

    patient_id: str
    encounter_id: str = ""
    user_id: str = ""
    hook_instance: str = ""
    prefetch: Mapping[str, Any] = field(default_factory=dict)


def read_envelope(body: Any) -> HookRequest:
    """Check the envelope. Raises RequestError 400 with every fault's path and remedy."""
    if not isinstance(body, dict):
        raise RequestError(400, Fault("$", "the body is not a JSON object", "send a CDS Hooks request"))
    try:
        values = _SCHEMA.load(body)
    except ValidationError as error:
        raise RequestError(400, *_faults(error.messages)) from None
    context = values["context"]
    return HookRequest(
        patient_id=context["patientId"],
        encounter_id=context["encounterId"] or "",
        user_id=context["userId"],
        hook_instance=str(values["hookInstance"]),
        prefetch=values["prefetch"] or {},
    )


def _faults(messages: Any, path: str = "") -> list[Fault]:
    """marshmallow's messages as faults; they name fields and rules, never what was sent."""
    if isinstance(messages, dict):
        return [f for key, value in messages.items() for f in _faults(value, f"{path}.{key}".lstrip("."))]
    path = path.replace("._schema", "")
    return [Fault(path, " ".join(str(message).rstrip(".") for message in messages), _REMEDIES.get(path, ""))]
