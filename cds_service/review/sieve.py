"""Which charts are surely quiet, told without building them: most charts of a population.

The sieve only ever says "surely quiet" or "look". Surely quiet means: everything that may open the gate
has the shape that FHIR gives it, belongs to this patient, and neither a code nor a word of it may speak
of twitching. Then ``assess`` would find a closed gate and no gap, and its answer is known. Whatever is
unusual in any way is looked at by ``assess`` itself, so the sieve can be wrong only by being slow.

Decoding into typed records checks the JSON of the whole record and builds only what is asked for.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import date
from typing import Any, NamedTuple

import msgspec

from cds_service.clinical.chart import Patient
from cds_service.clinical.spans import Span
from cds_service.clinical.words import fold
from cds_service.errors import RequestError, UnreadableError
from cds_service.intake.prefetch import MOST_RESOURCES, Prefetched
from cds_service.intake.read import Reader
from cds_service.intake.resources import READERS
from cds_service.intake.shape import LONGEST_TEXT, id_of
from cds_service.knowledge.reading import Reading

READ_KINDS = frozenset(READERS) | {"Patient"}
GATE_KINDS = frozenset({"Condition", "Observation", "Encounter", "QuestionnaireResponse"})
_ANY_DAY = date.min  # the patient alone reads the same on every day
_LONGEST_WORDING = 400  # longer ones are not remembered
_MOST_REMEMBERED = 50_000


class Coding(msgspec.Struct, gc=False):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(msgspec.Struct, gc=False):
    coding: list[Coding] | None = None
    text: str | None = None


class Reference(msgspec.Struct, gc=False):
    reference: str | None = None


class Period(msgspec.Struct, gc=False):
    start: str | None = None
    end: str | None = None


class Note(msgspec.Struct, gc=False):
    text: str | None = None


class Part(msgspec.Struct, gc=False):
    code: Concept | None = None
    valueCodeableConcept: Concept | None = None


class Participant(msgspec.Struct, gc=False):
    actor: Reference | None = None


class Resource(msgspec.Struct, gc=False):
    """What the gate, and the patient, need of a resource. Anything of another shape does not decode."""

    resourceType: str
    id: str | None = None
    subject: Reference | None = None
    patient: Reference | None = None
    code: Concept | None = None
    valueCodeableConcept: Concept | None = None
    component: list[Part] | None = None
    reasonCode: list[Concept] | None = None
    clinicalStatus: Concept | None = None
    verificationStatus: Concept | None = None
    severity: Concept | None = None
    bodySite: Any = None
    note: list[Note] | None = None
    recordedDate: str | None = None
    onsetDateTime: str | None = None
    onsetPeriod: Period | None = None
    abatementDateTime: str | None = None
    abatementPeriod: Period | None = None
    onsetAge: Any = None
    encounter: Reference | None = None
    participant: Any = None  # of an Appointment, and of other shapes elsewhere
    birthDate: Any = None
    gender: Any = None
    deceasedBoolean: Any = None
    deceasedDateTime: Any = None
    extension: Any = None


class Entry(msgspec.Struct, gc=False):
    resource: Resource | None = None
    fullUrl: str = ""


class Link(msgspec.Struct, gc=False):
    relation: str | None = None


class Bundle(msgspec.Struct, gc=False):
    resourceType: str
    entry: list[Entry] | None = None
    link: list[Link] | None = None


_bundle = msgspec.json.Decoder(Bundle)
_resource = msgspec.json.Decoder(Resource)


class Sieved(NamedTuple):
    """A resource of an export: whose it is, and whether it is plain: readable, and no word of twitching."""

    kind: str
    id: str
    owners: tuple[str, ...]  # references as they stand
    plain: bool


class Sieve:
    """The sieve of one content. It remembers what it has seen of codes and wordings, up to a limit."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._codes: dict[tuple[str | None, str | None], bool] = {}
        self._wordings: dict[str, bool] = {}

    def quiet_patient(self, body: bytes) -> Patient | None:
        """The patient of a Bundle that is surely quiet; None: look."""
        if not is_utf8(body):
            return None
        try:
            bundle = _bundle.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return None
        if bundle.resourceType != "Bundle" or any(link.relation == "next" for link in bundle.link or ()):
            return None
        entries = [entry for entry in bundle.entry or () if entry.resource is not None]
        patients = [e for e in entries if e.resource is not None and e.resource.resourceType == "Patient"]
        if len(patients) != 1 or len(entries) > MOST_RESOURCES:
            return None
        patient = patients[0].resource
        if patient is None or not patient.id:
            return None
        names = {patient.id, id_of(patients[0].fullUrl)} - {""}
        ours = {f"urn:uuid:{name}" for name in names} | {f"Patient/{name}" for name in names}
        resources = (entry.resource for entry in entries if entry.resource is not None)
        if not all(self._is_plain(resource, ours) for resource in resources):
            return None
        return read_patient(patient, self._reading)

    def sift(self, body: bytes) -> Sieved:
        """One resource of an export. Raises ValueError for what is no JSON object with a resourceType, in UTF-8."""
        if not is_utf8(body):
            raise ValueError("not in UTF-8")
        try:
            resource = _resource.decode(body)
        except msgspec.ValidationError:
            return _loosely(body)
        except RecursionError:
            raise msgspec.DecodeError("nested too deeply") from None
        owners = tuple(_owners(resource))
        plain = self._is_plain(resource, frozenset(owners[:1]))
        return Sieved(resource.resourceType, resource.id or "", owners, plain)

    def _is_plain(self, resource: Resource, ours: Container[str | None]) -> bool:
        kind = resource.resourceType
        if kind not in GATE_KINDS:
            return kind not in ("", "Bundle", "OperationOutcome")
        if kind == "QuestionnaireResponse" or resource.subject is None or resource.subject.reference not in ours:
            return False
        if kind == "Encounter":
            return all(map(self._is_silent, resource.reasonCode or ()))
        if not (self._is_silent(resource.code) and self._is_silent(resource.valueCodeableConcept)):
            return False
        if kind == "Condition":
            return _is_readable_condition(resource) and self._is_silent(resource.severity)
        return resource.component is None or all(
            self._is_silent(part.code) and self._is_silent(part.valueCodeableConcept) for part in resource.component
        )

    def _is_silent(self, concept: Concept | None) -> bool:
        """Whether neither a code nor a wording may speak of twitching."""
        if concept is None:
            return True
        if concept.text and self._speaks(concept.text):
            return False
        for coding in concept.coding or ():
            mark = (coding.system, coding.code)
            if self._codes.get(mark, True) and self._opens(mark):
                return False
            if coding.display and self._speaks(coding.display):
                return False
        return True

    def _opens(self, mark: tuple[str | None, str | None]) -> bool:
        system, code = mark
        if max(len(system or ""), len(code or "")) > _LONGEST_WORDING:
            return True
        opens = any(m.concept in self._reading.gate.all_concepts for m in self._reading.codes.matches(system, code))
        if len(self._codes) < _MOST_REMEMBERED:
            self._codes[mark] = opens
        return opens

    def _speaks(self, wording: str) -> bool:
        known = self._wordings.get(wording)
        if known is not None:
            return known
        if len(wording) > LONGEST_TEXT:
            return True
        gate = self._reading.gate
        speaks = gate.may_speak_of_twitching(wording.lower()) or gate.may_speak_of_twitching(fold(wording))
        if len(wording) < _LONGEST_WORDING and len(self._wordings) < _MOST_REMEMBERED:
            self._wordings[wording] = speaks
        return speaks


def is_utf8(body: bytes) -> bool:
    """msgspec does not look into the strings it skips."""
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_patient(patient: Resource, reading: Reading) -> Patient | None:
    """The patient as intake reads one; None when it cannot."""
    known = ("id", "birthDate", "gender", "deceasedBoolean", "deceasedDateTime", "extension")
    raw = {name: value for name in known if (value := getattr(patient, name)) is not None}
    try:
        found = Prefetched(resources={"Patient": [{"resourceType": "Patient", **raw}]})
        return Reader(found, patient.id or "", "", reading, _ANY_DAY).patient
    except (RequestError, UnreadableError):
        return None


def _is_readable_condition(condition: Resource) -> bool:
    """Whether intake can read it for certain. Ages and body sites are left to intake itself."""
    if condition.onsetAge is not None or condition.bodySite is not None:
        return False
    dates = [condition.recordedDate, condition.onsetDateTime, condition.abatementDateTime]
    for period in (condition.onsetPeriod, condition.abatementPeriod):
        if period is not None:
            dates += [period.start, period.end]
    if any(day is not None and Span.parse(day) is None for day in dates):
        return False
    texts = [note.text or "" for note in condition.note or ()]
    for status in (condition.clinicalStatus, condition.verificationStatus):
        if status is not None:
            texts += [status.text or "", *(coding.code or "" for coding in status.coding or ())]
    return all(len(text) < LONGEST_TEXT for text in texts)


def _owners(resource: Resource) -> Iterator[str]:
    if resource.resourceType == "Appointment":
        participants = resource.participant if isinstance(resource.participant, list) else []
        for one in participants:
            actor = one.get("actor") if isinstance(one, dict) else None
            reference = actor.get("reference") if isinstance(actor, dict) else None
            if isinstance(reference, str):
                yield reference
        return
    for holder in (resource.subject, resource.patient):
        if holder is not None and holder.reference:
            yield holder.reference
            return


class _Loose(msgspec.Struct):
    resourceType: Any = None
    id: Any = None
    subject: Any = None
    patient: Any = None
    participant: Any = None


_loose = msgspec.json.Decoder(_Loose)


def _loosely(body: bytes) -> Sieved:
    """A resource of an unexpected shape: whose it is as far as that can be told. Raises ValueError."""
    raw = _loose.decode(body)
    if not isinstance(raw.resourceType, str) or not raw.resourceType:
        raise ValueError("no resourceType")
    holders = [raw.subject, raw.patient]
    if raw.resourceType == "Appointment" and isinstance(raw.participant, list):
        holders = [one.get("actor") for one in raw.participant if isinstance(one, dict)]
    references = [holder.get("reference") for holder in holders if isinstance(holder, dict)]
    owners = [reference for reference in references if isinstance(reference, str) and reference]
    several = raw.resourceType == "Appointment"
    identity = raw.id if isinstance(raw.id, str) else ""
    return Sieved(raw.resourceType, identity, tuple(owners if several else owners[:1]), plain=False)
