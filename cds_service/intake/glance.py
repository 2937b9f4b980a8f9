"""A first look at the bytes of a request: nearly every chart says nothing of twitching, and is never decoded whole.

Only what could open the gate, or make the chart unusable, is taken out of the JSON. A chart is passed over only when
the whole reading would certainly end in an empty answer; whatever is unusual is left to the whole reading. So this
decides nothing by itself, and may be taken out without changing an answer.
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
_NOTHING = Raw(b"null")
_OWNED = frozenset({"Condition", "Observation", "Encounter"})  # whose subject is looked at before the gate
_LEFT_TO_THE_WHOLE_READING = frozenset({None, "Bundle", "Patient", "QuestionnaireResponse"})


class _Coding(Struct, gc=False):
    system: Text = None
    code: Text = None
    display: Text = None


class _Concept(Struct, gc=False):
    coding: list[_Coding] | None = None
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
    # The same few concepts are written again and again: they are compared as bytes, and each is decoded once.
    code: Raw = _NOTHING
    valueCodeableConcept: Raw = _NOTHING


class _Resource(_Part, gc=False):
    """What the gate looks at, and everything that could make a Condition unreadable."""

    resourceType: Text = None
    id: Text = None
    subject: _Reference | None = None
    component: list[_Part] | None = None
    reasonCode: list[Raw] | None = None
    clinicalStatus: _Concept | None = None
    verificationStatus: _Concept | None = None
    severity: _Concept | None = None
    bodySite: list[_Concept] | _Concept | None = None
    note: list[_Note] | None = None
    encounter: _Reference | None = None
    recordedDate: Text = None
    onsetDateTime: Text = None
    onsetPeriod: _Period | None = None
    onsetAge: _Age | None = None
    abatementDateTime: Text = None
    abatementPeriod: _Period | None = None


class _Entry(Struct, gc=False):
    resource: _Resource | None = None
    fullUrl: Text = None


class _Link(Struct, gc=False):
    relation: Text = None


class _Extension(Struct, gc=False):
    url: Text = None


class _Answer(Struct, gc=False):
    """One value of the prefetch: a Bundle, or the Patient."""

    resourceType: Text = None
    entry: list[_Entry] | None = None
    link: list[_Link] | None = None
    id: Text = None
    birthDate: Text = None
    deceasedDateTime: Text = None
    gender: Text = None
    extension: list[_Extension] | None = None


class _Request(Struct, gc=False):
    prefetch: dict[str, _Answer | None]
    hook: Any = msgspec.UNSET
    hookInstance: Any = msgspec.UNSET
    fhirServer: Any = msgspec.UNSET
    fhirAuthorization: Any = msgspec.UNSET
    context: Any = msgspec.UNSET
    extension: Any = msgspec.UNSET


_REQUEST = msgspec.json.Decoder(_Request)
_CONCEPT = msgspec.json.Decoder(_Concept | None)
_ENVELOPE = ("hook", "hookInstance", "fhirServer", "fhirAuthorization", "context", "extension")


def passed_over(body: bytes, wanted: Iterable[str], reading: Reading) -> HookRequest | None:
    """The envelope of a request whose chart certainly says nothing of twitching; None: it must be read.

    ``wanted``: the prefetch keys that are asked for when the client has not answered them.
    """
    try:
        str(body, "utf-8")  # what is skipped below is checked as JSON, but not for its encoding
        request = _REQUEST.decode(body)
        envelope = {name: value for name in _ENVELOPE if (value := getattr(request, name)) is not msgspec.UNSET}
        hook = read_envelope(envelope)
        if hook.fhir_server and any(key not in request.prefetch for key in wanted):
            return None  # more can be had
        resources = _resources(request.prefetch, hook.patient_id)
        if resources is None or not _is_usable(resources, hook.patient_id):
            return None
        return None if _may_speak_of_twitching(resources, reading) else hook
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, RequestError):
        return None


def _resources(prefetch: dict[str, _Answer | None], patient_id: str) -> list[_Resource] | None:
    """All resources, when no answer is missing, cut off, or something else than a Bundle; else None."""
    patient = prefetch.get("patient")
    if patient is None or patient.resourceType != "Patient" or patient.id != patient_id:
        return None
    if any(key not in prefetch for key in REQUIRED) or not _are_dates(patient.birthDate, patient.deceasedDateTime):
        return None
    found: list[_Resource] = []
    for key, answer in prefetch.items():
        if answer is None or key == "patient":
            continue
        if answer.resourceType != "Bundle" or any(link.relation == "next" for link in answer.link or ()):
            return None
        found += [entry.resource for entry in answer.entry or () if entry.resource is not None]
    return found if len(found) <= MOST_RESOURCES else None


def _is_usable(resources: list[_Resource], patient_id: str) -> bool:
    """None of them is somebody else's, unreadable or in an unusual place."""
    if not _LEFT_TO_THE_WHOLE_READING.isdisjoint({resource.resourceType for resource in resources}):
        return False
    owners = {r.subject.reference if r.subject else None for r in resources if r.resourceType in _OWNED}
    if not all(owner and belongs_to(owner, (patient_id,)) for owner in owners):
        return False
    return all(_is_readable(resource) for resource in resources if resource.resourceType == "Condition")


def _is_readable(condition: _Resource) -> bool:
    """Types are checked while decoding; what is left are dates."""
    periods = [period for period in (condition.onsetPeriod, condition.abatementPeriod) if period]
    return _are_dates(condition.recordedDate, condition.onsetDateTime, condition.abatementDateTime) and all(
        _are_dates(period.start, period.end) for period in periods
    )


def _are_dates(*texts: str | None) -> bool:
    return all(text is None or Span.parse(text) is not None for text in texts)


def _may_speak_of_twitching(resources: list[_Resource], reading: Reading) -> bool:
    concepts = [concept for raw in _raw_concepts(resources) if (concept := _CONCEPT.decode(raw)) is not None]
    codings = [coding for concept in concepts for coding in concept.coding or ()]
    gate = reading.gate
    if any(m.concept in gate.concepts for c in codings for m in reading.codes.matches(c.system, c.code)):
        return True
    wordings = [concept.text for concept in concepts] + [coding.display for coding in codings]
    return gate.may_speak_of_twitching(fold("\n".join(filter(None, wordings))))


def _raw_concepts(resources: Iterable[_Resource]) -> set[bytes]:
    """Each wording of what a resource may name twitching in. Of any type: to look at too many is no harm."""
    found = set()
    for resource in resources:
        found.add(bytes(resource.code))
        found.add(bytes(resource.valueCodeableConcept))
        for part in resource.component or ():
            found.add(bytes(part.code))
            found.add(bytes(part.valueCodeableConcept))
        for reason in resource.reasonCode or ():
            found.add(bytes(reason))
    return found
