"""A first look at the bytes of a chart: nearly every one says nothing of twitching, and is never decoded whole.

Only what could open the gate, or make the chart unusable, is taken out of the JSON; all of it is checked as JSON. A
chart is passed over only when the whole reading would certainly find a closed gate and no gap. Whatever is unusual is
left to the whole reading. So this decides nothing by itself, and may be taken out without changing an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from cds_service.clinical.spans import Span
from cds_service.clinical.words import fold
from cds_service.errors import RequestError
from cds_service.intake.envelope import HookRequest, read_envelope
from cds_service.intake.prefetch import MOST_RESOURCES, REQUIRED
from cds_service.intake.shape import LONGEST_TEXT, belongs_to
from cds_service.knowledge.reading import Reading

Text = Annotated[str, Meta(max_length=LONGEST_TEXT)] | None
NOTHING = Raw(b"")
# What the gate looks at, and whose subject is looked at before; a history form is always read.
GATE_KINDS = frozenset({"Condition", "Observation", "Encounter", "QuestionnaireResponse"})
UNUSUAL = frozenset({None, "", "Bundle", "OperationOutcome"})  # where a resource of a patient should stand


class Coding(Struct, gc=False):
    system: Text = None
    code: Text = None
    display: Text = None


class Concept(Struct, gc=False):
    coding: list[Coding] | None = None
    text: Text = None


class _Reference(Struct, gc=False):
    reference: Text = None


class _Age(Struct, gc=False):
    value: float | None = None
    code: Text = None
    unit: Text = None


class _Period(Struct, gc=False):
    start: Text = None
    end: Text = None


class _Note(Struct, gc=False):
    text: Text = None


class _Part(Struct, gc=False):
    # What recurs from resource to resource stays as it is written: each wording of it is looked at once.
    code: Raw = NOTHING
    valueCodeableConcept: Raw = NOTHING


class Resource(_Part, gc=False):
    """What the gate and the patient need of a resource, and everything that could make a Condition unreadable."""

    resourceType: Text = None
    id: Text = None
    status: Raw = NOTHING
    subject: Raw = NOTHING
    patient: Raw = NOTHING
    component: list[_Part] | None = None
    reasonCode: list[Raw] | None = None
    clinicalStatus: Raw = NOTHING
    verificationStatus: Raw = NOTHING
    severity: Raw = NOTHING
    bodySite: Raw = NOTHING
    note: list[_Note] | None = None
    encounter: Raw = NOTHING
    recordedDate: Text = None
    onsetDateTime: Text = None
    onsetPeriod: _Period | None = None
    onsetAge: _Age | None = None
    abatementDateTime: Text = None
    abatementPeriod: _Period | None = None
    # Of a Patient; of other shapes elsewhere.
    birthDate: Any = None
    gender: Any = None
    deceasedBoolean: Any = None
    deceasedDateTime: Any = None
    extension: Raw = NOTHING


class Entry(Struct, gc=False):
    resource: Resource | None = None
    fullUrl: Text = None


class _Link(Struct, gc=False):
    relation: Text = None


class Bundle(Struct, gc=False):
    resourceType: Text = None
    entry: list[Entry] | None = None
    link: list[_Link] | None = None

    @property
    def is_whole(self) -> bool:
        return self.resourceType == "Bundle" and not any(link.relation == "next" for link in self.link or ())


class _Answer(Bundle, gc=False):
    """One value of a prefetch: a Bundle, or the Patient."""

    id: Text = None
    birthDate: Text = None
    deceasedDateTime: Text = None
    gender: Text = None
    extension: list[_Extension] | None = None


class _Extension(Struct, gc=False):
    url: Text = None


class _Request(Struct, gc=False):
    prefetch: dict[str, _Answer | None]
    hook: Any = msgspec.UNSET
    hookInstance: Any = msgspec.UNSET
    fhirServer: Any = msgspec.UNSET
    fhirAuthorization: Any = msgspec.UNSET
    context: Any = msgspec.UNSET
    extension: Any = msgspec.UNSET


_REQUEST = msgspec.json.Decoder(_Request)
_REFERENCE = msgspec.json.Decoder(_Reference | None)
_CONCEPT = msgspec.json.Decoder(Concept | None)
_CONCEPTS = msgspec.json.Decoder(list[Concept] | Concept | None)
_ENVELOPE = ("hook", "hookInstance", "fhirServer", "fhirAuthorization", "context", "extension")
_LONGEST_REMEMBERED = 1000  # bytes of a concept


class Glance:
    """Looks at resources one by one, by one content. What it has seen of concepts it remembers, up to a number.

    ``remembers``: how many. A server makes one for each call, so that no words of a patient stay behind.
    """

    def __init__(self, reading: Reading, remembers: int) -> None:
        self._reading, self._room = reading, remembers
        self._looked_at: dict[bytes, bool] = {}

    def is_plain(self, resource: Resource) -> bool:
        """Whether intake can read this resource of a gate kind for certain, and it may not speak of twitching."""
        kind = resource.resourceType
        if kind == "Observation":  # the most by far
            if not (self._is_silent(resource.code) and self._is_silent(resource.valueCodeableConcept)):
                return False
            return resource.component is None or all(
                self._is_silent(part.code) and self._is_silent(part.valueCodeableConcept) for part in resource.component
            )
        if kind == "Encounter":
            return all(map(self._is_silent, resource.reasonCode or ()))
        if kind == "Condition":
            stated = (resource.code, resource.clinicalStatus, resource.verificationStatus, resource.severity)
            return all(map(self._is_silent, stated)) and _is_readable(resource)
        return False

    def _is_silent(self, raw: Raw) -> bool:
        """Whether it is a concept of the right shape of which neither a code nor a wording may speak of twitching."""
        if raw is NOTHING:
            return True
        written = bytes(raw)
        known = self._looked_at.get(written)
        if known is not None:
            return known
        concept = _CONCEPT.decode(written)
        silent = concept is None or not self._may_speak(concept)
        if len(written) < _LONGEST_REMEMBERED and len(self._looked_at) < self._room:
            self._looked_at[written] = silent
        return silent

    def _may_speak(self, concept: Concept) -> bool:
        gate, codings = self._reading.gate, concept.coding or ()
        for coding in codings:
            if any(m.concept in gate.concepts for m in self._reading.codes.matches(coding.system, coding.code)):
                return True
        wordings = filter(None, (concept.text, *(coding.display for coding in codings)))
        return any(gate.may_speak_of_twitching(fold(wording)) for wording in wordings)


def _is_readable(condition: Resource) -> bool:
    """Whether the other elements have their shape, and dates are dates."""
    _CONCEPTS.decode(bytes(condition.bodySite) or b"null")
    owner_in(condition.encounter)
    periods = [period for period in (condition.onsetPeriod, condition.abatementPeriod) if period]
    return are_dates(condition.recordedDate, condition.onsetDateTime, condition.abatementDateTime) and all(
        are_dates(period.start, period.end) for period in periods
    )


def are_dates(*texts: str | None) -> bool:
    return all(text is None or Span.parse(text) is not None for text in texts)


def owner_in(reference: Raw) -> str:
    """The reference as it stands, or "". Raises msgspec.ValidationError for what is none."""
    found = _REFERENCE.decode(bytes(reference) or b"null")
    return (found.reference if found else None) or ""


def is_utf8(body: bytes) -> bool:
    """What msgspec skips it checks as JSON, but not for its encoding."""
    try:
        return body.isascii() or bool(str(body, "utf-8"))
    except UnicodeDecodeError:
        return False


def passed_over(body: bytes, wanted: Iterable[str], reading: Reading) -> HookRequest | None:
    """The envelope of a request whose chart certainly says nothing of twitching; None: it must be read.

    ``wanted``: the prefetch keys that are asked for when the client has not answered them.
    """
    if not is_utf8(body):
        return None
    try:
        request = _REQUEST.decode(body)
        envelope = {name: value for name in _ENVELOPE if (value := getattr(request, name)) is not msgspec.UNSET}
        hook = read_envelope(envelope)
        if hook.fhir_server and any(key not in request.prefetch for key in wanted):
            return None  # more can be had
        resources = _resources(request.prefetch, hook.patient_id)
        if resources is None or not _are_plain(resources, hook.patient_id, Glance(reading, len(resources))):
            return None
    except (msgspec.DecodeError, RecursionError, RequestError):
        return None
    return hook


def _resources(prefetch: dict[str, _Answer | None], patient_id: str) -> list[Resource] | None:
    """All resources, when no answer is missing, cut off, or something else than a Bundle; else None."""
    patient = prefetch.get("patient")
    if patient is None or patient.resourceType != "Patient" or patient.id != patient_id:
        return None
    if any(key not in prefetch for key in REQUIRED) or not are_dates(patient.birthDate, patient.deceasedDateTime):
        return None
    found: list[Resource] = []
    for key, answer in prefetch.items():
        if answer is None or key == "patient":
            continue
        if not answer.is_whole:
            return None
        found += [entry.resource for entry in answer.entry or () if entry.resource is not None]
    return found if len(found) <= MOST_RESOURCES else None


def _are_plain(resources: list[Resource], patient_id: str, glance: Glance) -> bool:
    """None of them is somebody else's, unreadable, in an unusual place, or may speak of twitching."""
    for resource in resources:
        kind = resource.resourceType
        if kind in UNUSUAL or kind == "Patient" or (kind in GATE_KINDS and not glance.is_plain(resource)):
            return False
    owners = {bytes(resource.subject) for resource in resources if resource.resourceType in GATE_KINDS}
    return all(belongs_to(owner_in(Raw(owner)), (patient_id,)) for owner in owners)
