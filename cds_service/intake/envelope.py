"""The CDS Hooks request around the chart, checked with marshmallow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import UUID

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema
from msgspec import Meta, Struct

from cds_service.errors import Fault, RequestError

HOOK = "patient-view"
_LONGEST, _LONGEST_SERVER, _LONGEST_TOKEN = 1024, 2048, 16384
_WORD = validate.Length(min=1, max=_LONGEST)
# Visible ASCII only: a line break in a token would write headers of its own.
_TOKEN, _BEARER = r"\A[\x21-\x7e]*\Z", r"(?i)\Abearer\Z"
# Only roughly an address: whether it may be asked is decided by the allow-list, and a server that is not asked is no
# reason to refuse a call.
_SERVER = r"(?i)\Ahttps?://[^\s/]"


class Lenient(Schema):
    """What clients add is ignored."""

    class Meta:
        unknown = EXCLUDE


class _Context(Lenient):
    userId = fields.String(load_default="", allow_none=True, validate=validate.Length(max=_LONGEST))
    patientId = fields.String(required=True, validate=_WORD)
    encounterId = fields.String(load_default="", allow_none=True, validate=validate.Length(max=_LONGEST))


class _Authorization(Lenient):
    """What the service itself needs is required; the rest is checked for its type and not used."""

    access_token = fields.String(
        required=True,
        validate=[
            validate.Length(min=1, max=_LONGEST_TOKEN),
            validate.Regexp(_TOKEN, error="holds characters no bearer token has"),
        ],
    )
    token_type = fields.String(required=True, validate=validate.Regexp(_BEARER, error="must be 'Bearer'"))
    expires_in = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(min=0))
    scope = fields.String(load_default="", allow_none=True, validate=validate.Length(max=_LONGEST_TOKEN))
    subject = fields.String(load_default="", allow_none=True, validate=validate.Length(max=_LONGEST))
    patient = fields.String(load_default=None, allow_none=True, validate=_WORD)


class _HookRequest(Lenient):
    hook = fields.String(required=True, validate=validate.Equal(HOOK, error=f"must be '{HOOK}'"))
    hookInstance = fields.UUID(required=True)
    fhirServer = fields.String(
        load_default="",
        allow_none=True,
        validate=[
            validate.Length(max=_LONGEST_SERVER),
            validate.Regexp(_SERVER, error="is not an http or https address"),
        ],
    )
    fhirAuthorization = fields.Nested(_Authorization, load_default=None, allow_none=True)
    context = fields.Nested(_Context, required=True)
    prefetch = fields.Dict(keys=fields.String(), load_default=dict, allow_none=True)
    extension = fields.Raw(load_default=None, allow_none=True)  # anybody's; only the workbench's own is looked at

    @validates_schema
    def _authorization_needs_a_server(self, values: Mapping[str, Any], **_: Any) -> None:
        if values.get("fhirAuthorization") and not values.get("fhirServer"):
            raise ValidationError("is required when fhirAuthorization is given", "fhirServer")

    @validates_schema
    def _token_is_for_this_patient(self, values: Mapping[str, Any], **_: Any) -> None:
        restricted_to = (values.get("fhirAuthorization") or {}).get("patient")
        asked_about = (values.get("context") or {}).get("patientId")
        if restricted_to and asked_about and restricted_to.removeprefix("Patient/") != asked_about:
            raise ValidationError({"fhirAuthorization": {"patient": ["is not the patient of context.patientId"]}})


_SCHEMA = _HookRequest()
_REMEDIES = {
    "hook": f"send the hook '{HOOK}' to this service",
    "hookInstance": "send a new UUID with every call",
    "patientId": "send the FHIR id of the patient whose chart is open",
    "fhirServer": "send the base URL of the FHIR server, with http or https",
    "fhirAuthorization": "send an access token as CDS Hooks describes it, or leave it out",
    "access_token": "send the token as the authorization server issued it",
    "token_type": "send a Bearer token",
    "patient": "send a token for the patient whose chart is open",
    "prefetch": "send an object with one entry for each prefetch key of the discovery document",
}


@dataclass(frozen=True, slots=True)
class FhirAuthorization:
    """The client's token for its own FHIR server. Used during one call, never kept, logged or shown."""

    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HookRequest:
    """What a patient-view call says, beside its chart."""

    patient_id: str
    encounter_id: str = ""
    user_id: str = ""
    hook_instance: str = ""
    prefetch: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fhir_server: str = ""
    authorization: FhirAuthorization | None = field(default=None, repr=False)
    extension: Mapping[str, Any] = field(default_factory=dict, repr=False)


_Word = Annotated[str, Meta(min_length=1, max_length=_LONGEST)]
_Text = Annotated[str, Meta(max_length=_LONGEST)]


class _PlainContext(Struct):
    patientId: _Word
    userId: _Text | None = None
    encounterId: _Text | None = None


class _PlainAuthorization(Struct):
    access_token: Annotated[str, Meta(min_length=1, max_length=_LONGEST_TOKEN, pattern=_TOKEN)]
    token_type: Annotated[str, Meta(pattern=_BEARER)]
    expires_in: Annotated[int, Meta(ge=0)] | None = None
    scope: Annotated[str, Meta(max_length=_LONGEST_TOKEN)] | None = None
    subject: _Text | None = None
    patient: _Word | None = None


class PlainEnvelope(Struct, kw_only=True):
    """An envelope as nearly all are, taken out of the bytes. Whatever does not fit is left to the schema above."""

    hook: Literal["patient-view"]
    hookInstance: UUID
    context: _PlainContext
    fhirServer: Annotated[str, Meta(max_length=_LONGEST_SERVER, pattern=_SERVER)] | None = None
    fhirAuthorization: _PlainAuthorization | None = None
    extension: Any = None

    def __post_init__(self) -> None:
        token = self.fhirAuthorization
        if token and not (self.fhirServer and token.patient in (None, self.context.patientId)):
            raise ValueError("an authorization that the schema must look at")

    def read(self) -> HookRequest:
        """What ``read_envelope`` reads in it, without the prefetch."""
        token = self.fhirAuthorization
        return HookRequest(
            patient_id=self.context.patientId,
            encounter_id=self.context.encounterId or "",
            user_id=self.context.userId or "",
            hook_instance=str(self.hookInstance),
            fhir_server=self.fhirServer or "",
            authorization=FhirAuthorization(token.access_token) if token else None,
            extension=self.extension if isinstance(self.extension, dict) else {},
        )


def read_envelope(body: Any) -> HookRequest:
    """Check the envelope. Raises RequestError 400 with every fault's path and remedy."""
    if not isinstance(body, dict):
        raise RequestError(400, Fault("$", "the body is not a JSON object", "send a CDS Hooks request"))
    try:
        values = _SCHEMA.load(body)
    except ValidationError as error:
        raise RequestError(400, *faults_of(error.messages, _REMEDIES)) from None
    context, token = values["context"], values["fhirAuthorization"]
    return HookRequest(
        patient_id=context["patientId"],
        encounter_id=context["encounterId"] or "",
        user_id=context["userId"] or "",
        hook_instance=str(values["hookInstance"]),
        prefetch=values["prefetch"] or {},
        fhir_server=values["fhirServer"] or "",
        authorization=FhirAuthorization(token["access_token"]) if token else None,
        extension=values["extension"] if isinstance(values["extension"], dict) else {},
    )


def faults_of(messages: Any, remedies: Mapping[str, str], path: str = "") -> Iterator[Fault]:
    """marshmallow's messages as faults; they name fields and rules, never what was sent. ``remedies``: by field."""
    if not isinstance(messages, dict):
        said = " ".join(str(message).rstrip(".") for message in messages)
        yield Fault(path, said, remedies.get(path.rpartition(".")[2], ""))
        return
    for key, value in messages.items():
        below = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip(".")
        yield from faults_of(value, remedies, path if key == "_schema" else below)
