"""A first look at the bytes of a chart: nearly every one says nothing of twitching, and is never decoded whole.

Only what could open the gate, or make the chart unusable, is taken out of the JSON; all of it is checked as JSON. A
chart is passed over only when the whole reading would certainly find a closed gate and no gap. Whatever is unusual is
left to the whole reading. So this decides nothing by itself, and may be taken out without changing an answer, but for
one: a number beyond all doubles in what nobody reads is not seen here, and the whole reading refuses it as no JSON.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Union

import msgspec
from msgspec import Meta, Raw, Struct

from cds_service.clinical.spans import Span
from cds_service.clinical.tokens import fold
from cds_service.intake.about import MOST_WORDS
from cds_service.intake.envelope import HookRequest, PlainEnvelope
from cds_service.intake.prefetch import MOST_RESOURCES, RECORD, REQUIRED, matches_in
from cds_service.intake.shape import LONGEST_TEXT, belongs_to
from cds_service.knowledge.reading import Reading

Text = Annotated[str, Meta(max_length=LONGEST_TEXT)] | None
NOTHING = Raw(b"")


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


# ---------------------------------------------------------------- resources
# By their resourceType; one that is not listed here, or has none, is left to the whole reading. What recurs from
# resource to resource, and is looked at, stays as it is written (Raw): each wording of it is looked at once.


class _Told(Struct, gc=False, tag_field="resourceType", tag=True):
    """Any resource: whose it is."""

    subject: Raw = NOTHING
    patient: Raw = NOTHING


class _Extension(Struct, gc=False):
    url: Text = None


class Patient(_Told, gc=False):
    id: Text = None
    birthDate: Any = None
    gender: Any = None
    deceasedBoolean: Any = None
    deceasedDateTime: Any = None
    extension: list[_Extension] | None = None


class Medication(_Told, gc=False):
    id: Text = None


class _CategoryCode(Struct, gc=False):
    code: Text = None


class _Category(Struct, gc=False):
    coding: list[_CategoryCode] | None = None


class _Part(Struct, gc=False):
    code: Raw = NOTHING
    valueCodeableConcept: Raw = NOTHING
    valueString: Raw = NOTHING


class Observation(_Told, gc=False):
    code: Raw = NOTHING
    valueCodeableConcept: Raw = NOTHING
    valueString: Raw = NOTHING
    category: Raw = NOTHING
    component: list[_Part] | None = None


class Encounter(_Told, gc=False):
    reasonCode: list[Raw] | None = None


class Condition(_Told, gc=False):
    """What opens the gate, and everything else that could make it unreadable."""

    id: Text = None
    code: Raw = NOTHING
    clinicalStatus: Concept | None = None
    verificationStatus: Concept | None = None
    severity: Concept | None = None
    bodySite: list[Concept] | Concept | None = None
    note: list[_Note] | None = None
    encounter: _Reference | None = None
    recordedDate: Text = None
    onsetDateTime: Text = None
    onsetPeriod: _Period | None = None
    onsetAge: _Age | None = None
    abatementDateTime: Text = None
    abatementPeriod: _Period | None = None


class QuestionnaireResponse(_Told, gc=False):
    """A history form is always read."""


# What the gate looks at, and whose subject is looked at before.
_OTHERS_ASKED = frozenset({Condition, Encounter, QuestionnaireResponse})
GATE_TYPES = _OTHERS_ASKED | {Observation}
# Types of R4 that a chart or an export may hold, and the gate does not look at.
_UNASKED = (
    "Account", "AdverseEvent", "AllergyIntolerance", "Appointment", "AppointmentResponse", "AuditEvent", "Basic",
    "Binary", "BodyStructure", "CarePlan", "CareTeam", "ChargeItem", "Claim", "ClaimResponse", "ClinicalImpression",
    "Communication", "CommunicationRequest", "Composition", "Consent", "Coverage", "CoverageEligibilityRequest",
    "CoverageEligibilityResponse", "DetectedIssue", "Device", "DeviceMetric", "DeviceRequest", "DeviceUseStatement",
    "DiagnosticReport", "DocumentManifest", "DocumentReference", "Endpoint", "EnrollmentRequest", "EpisodeOfCare",
    "ExplanationOfBenefit", "FamilyMemberHistory", "Flag", "Goal", "Group", "GuidanceResponse", "HealthcareService",
    "ImagingStudy", "Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation", "InsurancePlan",
    "Invoice", "Linkage", "List", "Location", "MeasureReport", "Media", "MedicationAdministration",
    "MedicationDispense", "MedicationRequest", "MedicationStatement", "MolecularSequence", "NutritionOrder",
    "Organization", "OrganizationAffiliation", "PaymentNotice", "PaymentReconciliation", "Person", "Practitioner",
    "PractitionerRole", "Procedure", "Provenance", "Questionnaire", "RelatedPerson", "RequestGroup",
    "ResearchStudy", "ResearchSubject", "RiskAssessment", "Schedule", "ServiceRequest", "Slot", "Specimen",
    "Substance", "SupplyDelivery", "SupplyRequest", "Task", "VisionPrescription",
)  # fmt: skip

if TYPE_CHECKING:
    Resource = Patient | Medication | Condition | Observation | Encounter | QuestionnaireResponse
else:
    _others = [msgspec.defstruct(name, (), bases=(_Told,), gc=False) for name in _UNASKED]
    Resource = Union[(Patient, Medication, *GATE_TYPES, *_others)]


class Entry(Struct, gc=False):
    resource: Resource | None = None
    fullUrl: Text = None
    search: Raw = NOTHING


class _Link(Struct, gc=False):
    relation: Text = None


class _Search(Struct, gc=False):
    mode: Text = None


def _told(entry: Entry) -> tuple[str, str | None]:
    """The type and the search mode of an entry."""
    kind = "" if entry.resource is None else type(entry.resource).__name__
    return kind, None if entry.search is NOTHING else _SEARCH.decode(entry.search).mode


class Bundle(Struct, gc=False):
    resourceType: Text = None
    entry: list[Entry] | None = None
    link: list[_Link] | None = None
    total: int | None = None

    def is_whole(self, key: str = RECORD) -> bool:
        """Whether it is a Bundle, and nothing that its search found is missing. ``key``: of the query."""
        if self.resourceType != "Bundle" or any(link.relation == "next" for link in self.link or ()):
            return False
        return not self.total or self.total <= matches_in(map(_told, self.entry or ()), key)


class _Answer(Bundle, gc=False):
    """One value of a prefetch: a Bundle, or the Patient."""

    id: Text = None
    birthDate: Text = None
    deceasedDateTime: Text = None
    gender: Text = None
    extension: list[_Extension] | None = None


class _Request(PlainEnvelope, kw_only=True):
    prefetch: dict[str, _Answer | None]


_REQUEST = msgspec.json.Decoder(_Request)
_SEARCH = msgspec.json.Decoder(_Search)
_REFERENCE = msgspec.json.Decoder(_Reference | None)
_WORDS = msgspec.json.Decoder(Text)
_CONCEPT = msgspec.json.Decoder(Concept | None)
_CATEGORIES = msgspec.json.Decoder(list[_Category] | None)
_LONGEST_REMEMBERED = 1000  # bytes of a concept
# In front of what is hashed: a hash alone is no secret where PYTHONHASHSEED is set, and who knew it could make a
# concept that passes for one which was silent.
_KEY = os.urandom(16)
_EVERY_MONTH_HAS_IT = re.compile(r"[12]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])(?:T[^\n]*)?", re.ASCII)


class Glance:
    """Looks at the resources of charts, by one content. It remembers which concepts it has seen, up to a number.

    ``remembers``: how many. Only their hashes are kept, so that no words of a patient stay behind.
    """

    def __init__(self, reading: Reading, remembers: int = 20_000) -> None:
        self._reading, self._room = reading, remembers
        self._silent = {hash(_KEY)}  # of concepts as they are written, each behind the key

    def are_plain(self, resources: Sequence[Resource | None], names: Container[str]) -> bool:
        """Whether intake can certainly read all of them, they are this patient's, and none may open the gate.

        ``names``: the ids of the patient. Raises msgspec.ValidationError for some that intake cannot read.
        """
        owners = {b"" + r.subject for r in resources if r is not None and type(r) in GATE_TYPES}
        return self.cannot_open_the_gate(resources) and all(belongs_to(owner_in(owner), names) for owner in owners)

    def cannot_open_the_gate(self, resources: Sequence[Resource | None]) -> bool:
        """The same without asking whose they are."""
        # There are hundreds of resources, and few different things in them: those are looked at, as sets.
        observations = [r for r in resources if type(r) is Observation]
        others = [r for r in resources if type(r) in _OTHERS_ASKED]
        said = {_KEY + r.code for r in observations}
        said |= {_KEY + r.valueCodeableConcept for r in observations if r.valueCodeableConcept is not NOTHING}
        parts = [part for r in observations if r.component is not None for part in r.component]
        said |= {_KEY + part.code for part in parts}
        said |= {_KEY + part.valueCodeableConcept for part in parts}
        words = {b"" + r.valueString for r in observations if r.valueString is not NOTHING}
        words |= {b"" + part.valueString for part in parts if part.valueString is not NOTHING}
        for categories in {b"" + r.category for r in observations if r.category is not NOTHING}:
            _CATEGORIES.decode(categories)  # of a shape that intake can read
        dates: set[str | None] = set()
        for resource in others:
            if type(resource) is Condition:
                said.add(_KEY + resource.code)
                dates |= {resource.recordedDate, resource.onsetDateTime, resource.abatementDateTime}
                for period in (resource.onsetPeriod, resource.abatementPeriod):
                    dates |= {period.start, period.end} if period else set()
            elif type(resource) is Encounter:
                reasons = {_KEY + reason for reason in resource.reasonCode or ()}
                if _KEY + b"null" in reasons:
                    return False  # a gap
                said |= reasons
            else:
                return False
        if any(self._reading.gate.may_speak_of_twitching(fold(_WORDS.decode(each) or "")) for each in words):
            return False
        return are_dates(dates) and all(hash(written) in self._silent or self._is_silent(written) for written in said)

    def _is_silent(self, written: bytes) -> bool:
        """Whether it is a concept of the right shape, of which neither a code nor a wording may speak of twitching.

        ``written``: as it stands in the JSON, behind the key.
        """
        concept = _CONCEPT.decode(written[len(_KEY) :])
        if concept is not None and self._may_speak(concept):
            return False
        if len(written) < _LONGEST_REMEMBERED and len(self._silent) < self._room:
            self._silent.add(hash(written))
        return True

    def _may_speak(self, concept: Concept) -> bool:
        gate, codings = self._reading.gate, concept.coding or ()
        for coding in codings:
            if any(m.concept in gate.concepts for m in self._reading.codes.matches(coding.system, coding.code)):
                return True
        wordings = filter(None, (concept.text, *(coding.display for coding in codings)))
        return any(gate.may_speak_of_twitching(fold(wording)) for wording in wordings)


def has_too_many_words(resources: Iterable[Resource | None], size: int) -> bool:
    """Whether the whole reading may refuse a chart for the length of its problems. ``size``: of the chart, in bytes."""
    if 2 * size <= MOST_WORDS:
        return False
    problems = [r for r in resources if type(r) is Condition]
    # Wordings are counted twice there, when they are read and when phrases are looked for.
    length = sum(2 * len(b"" + r.code) + sum(len(note.text or "") for note in r.note or ()) for r in problems)
    return length > MOST_WORDS


def are_dates(texts: Iterable[str | None]) -> bool:
    """Whether each is a date, as ``Span`` reads one, or not there."""
    for text in texts:
        if text is not None and not _EVERY_MONTH_HAS_IT.fullmatch(text) and Span.parse(text) is None:
            return False
    return True


def owner_in(reference: bytes | Raw) -> str:
    """The reference as it stands, or "". Raises msgspec.ValidationError for what is none."""
    found = _REFERENCE.decode(reference or b"null")
    return (found.reference if found else None) or ""


def is_utf8(body: bytes) -> bool:
    """What msgspec skips it checks as JSON, but not for its encoding."""
    try:
        return body.isascii() or bool(str(body, "utf-8"))
    except UnicodeDecodeError:
        return False


def passed_over(body: bytes, wanted: Iterable[str], glance: Glance) -> HookRequest | None:
    """The envelope of a request whose chart certainly says nothing of twitching; None: it must be read.

    ``wanted``: the prefetch keys that are asked for when the client has not answered them.
    """
    if not is_utf8(body):
        return None
    try:
        request = _REQUEST.decode(body)
        hook = request.read()
        if hook.fhir_server and any(key not in request.prefetch for key in wanted):
            return None  # more can be had
        resources = _resources(request.prefetch, hook.patient_id)
        if resources is None or has_too_many_words(resources, len(body)):
            return None
        if not glance.are_plain(resources, (hook.patient_id,)):
            return None
    except (msgspec.DecodeError, RecursionError):
        return None
    return hook


def _resources(prefetch: dict[str, _Answer | None], patient_id: str) -> list[Resource] | None:
    """All resources, when no answer is missing, cut off, or something else than a Bundle; else None."""
    patient = prefetch.get("patient")
    if patient is None or patient.resourceType != "Patient" or patient.id != patient_id:
        return None
    if any(key not in prefetch for key in REQUIRED) or not are_dates((patient.birthDate, patient.deceasedDateTime)):
        return None
    found: list[Resource] = []
    for key, answer in prefetch.items():
        if answer is None or key == "patient":
            continue
        if not answer.is_whole(key):
            return None
        found += [entry.resource for entry in answer.entry or () if entry.resource is not None]
    if len(found) > MOST_RESOURCES or any(type(resource) is Patient for resource in found):
        return None
    return found
