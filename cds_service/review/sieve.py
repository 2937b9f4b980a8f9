"""Which charts are surely quiet, told without building them: most charts of a population.

The sieve only ever says "surely quiet" or "look". Surely quiet means: everything that may open the gate
has the shape that FHIR gives it, belongs to this patient, and neither a code nor a word of it may speak
of twitching. Then ``assess`` would find a closed gate and no gap, and its answer is known. Whatever is
unusual in any way is looked at by ``assess`` itself, so the sieve can be wrong only by being slow.

Decoding into typed records checks the JSON of the whole record and builds only what is asked for.
"""

from __future__ import annotations

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
_NO_RESOURCES = frozenset({"", "Bundle", "OperationOutcome"})
GATE_KINDS = frozenset({"Condition", "Observation", "Encounter", "QuestionnaireResponse"})
_ANY_DAY = date.min  # the patient alone reads the same on every day
_LONGEST_WORDING = 400  # longer ones are not remembered
_MOST_REMEMBERED = 50_000


Raw = msgspec.Raw
NOTHING = Raw(b"")


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
    code: Raw = NOTHING
    valueCodeableConcept: Raw = NOTHING


class Resource(msgspec.Struct, gc=False):
    """What the gate, and the patient, need of a resource. Anything of another shape does not decode.

    What recurs from chart to chart stays as it is written: it has been looked at before.
    """

    resourceType: str
    id: str | None = None
    status: Raw = NOTHING
    subject: Raw = NOTHING
    patient: Raw = NOTHING
    code: Raw = NOTHING
    valueCodeableConcept: Raw = NOTHING
    component: list[Part] | None = None
    reasonCode: Raw = NOTHING
    clinicalStatus: Raw = NOTHING
    verificationStatus: Raw = NOTHING
    severity: Raw = NOTHING
    bodySite: Raw = NOTHING
    note: list[Note] | None = None
    recordedDate: str | None = None
    onsetDateTime: str | None = None
    onsetPeriod: Period | None = None
    abatementDateTime: str | None = None
    abatementPeriod: Period | None = None
    onsetAge: Raw = NOTHING
    participant: Raw = NOTHING  # of an Appointment, and of other shapes elsewhere
    birthDate: Any = None
    gender: Any = None
    deceasedBoolean: Any = None
    deceasedDateTime: Any = None
    extension: Raw = NOTHING


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
_reference = msgspec.json.Decoder(Reference | None)
_concept = msgspec.json.Decoder(Concept | None)
_concepts = msgspec.json.Decoder(list[Concept] | None)


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
        self._looked_at: dict[bytes, bool] = {}
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
        people = [e for e in bundle.entry or () if e.resource is not None and e.resource.resourceType == "Patient"]
        if len(people) != 1 or len(bundle.entry or ()) > MOST_RESOURCES:
            return None
        patient = people[0].resource
        if patient is None or not patient.id:
            return None
        names = {patient.id, id_of(people[0].fullUrl)} - {""}
        ours = {f"{kind}{name}" for name in names for kind in ("urn:uuid:", "Patient/")}
        written = {f'{{"reference":"{owner}"}}'.encode() for owner in ours}
        for entry in bundle.entry or ():
            resource = entry.resource
            if resource is None:
                continue
            if resource.resourceType in GATE_KINDS:
                if bytes(resource.subject) not in written and _owner(resource.subject) not in ours:
                    return None
                if not self._is_plain(resource):
                    return None
            elif resource.resourceType in _NO_RESOURCES:
                return None
        return read_patient(patient, self._reading)

    def sift(self, body: bytes) -> Sieved:
        """One resource of an export. Raises ValueError for what is no JSON object with a resourceType, in UTF-8."""
        if not is_utf8(body):
            raise ValueError("not in UTF-8")
        try:
            resource = _resource.decode(body)
            if resource.resourceType == "Appointment":
                return _loosely(body)
            owner = _owner(resource.subject) or _owner(resource.patient)
        except msgspec.ValidationError:
            return _loosely(body)
        except RecursionError:
            raise msgspec.DecodeError("nested too deeply") from None
        kind = resource.resourceType
        plain = kind not in _NO_RESOURCES if kind not in GATE_KINDS else bool(owner) and self._is_plain(resource)
        return Sieved(kind, resource.id or "", (owner,) if owner else (), plain)

    def _is_plain(self, resource: Resource) -> bool:
        """Whether intake can read this resource for certain, and it may not speak of twitching."""
        kind = resource.resourceType
        if kind == "Observation":
            return (
                self._is_silent(resource.code)
                and self._is_silent(resource.valueCodeableConcept)
                and (resource.component is None or self._are_silent(resource.component))
            )
        if kind == "Encounter":
            return bytes(resource.status) != b'"in-progress"' and self._gives_no_reason(resource.reasonCode)
        if kind == "Condition":
            stated = (resource.code, resource.clinicalStatus, resource.verificationStatus, resource.severity)
            return all(map(self._is_silent, stated)) and _is_readable_condition(resource)
        return False

    def _are_silent(self, parts: list[Part]) -> bool:
        return all(self._is_silent(part.code) and self._is_silent(part.valueCodeableConcept) for part in parts)

    def _is_silent(self, raw: Raw) -> bool:
        """Whether it is a concept of the right shape of which neither a code nor a wording may speak of twitching."""
        written = bytes(raw)
        known = self._looked_at.get(written)
        if known is not None:
            return known
        try:
            concept = _concept.decode(written) if written else None
        except (msgspec.DecodeError, RecursionError):
            return False
        silent = concept is None or not self._may_speak(concept)
        if len(written) < _LONGEST_WORDING and len(self._looked_at) < _MOST_REMEMBERED:
            self._looked_at[written] = silent
        return silent

    def _gives_no_reason(self, raw: Raw) -> bool:
        """The same for a list of concepts."""
        try:
            concepts = _concepts.decode(raw) if bytes(raw) else None
        except (msgspec.DecodeError, RecursionError):
            return False
        return not any(map(self._may_speak, concepts or ()))

    def _may_speak(self, concept: Concept) -> bool:
        if concept.text and self._speaks(concept.text):
            return True
        for coding in concept.coding or ():
            mark = (coding.system, coding.code)
            if self._codes.get(mark, True) and self._opens(mark):
                return True
            if coding.display and self._speaks(coding.display):
                return True
        return False

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
    known = ("id", "birthDate", "gender", "deceasedBoolean", "deceasedDateTime")
    raw = {name: value for name in known if (value := getattr(patient, name)) is not None}
    try:
        if bytes(patient.extension):
            raw["extension"] = msgspec.json.decode(patient.extension)
        found = Prefetched(resources={"Patient": [{"resourceType": "Patient", **raw}]})
        return Reader(found, patient.id or "", "", reading, _ANY_DAY).patient
    except (RequestError, UnreadableError, RecursionError):
        return None


def _owner(written: Raw) -> str:
    """The reference as it stands; "" without one, and for another shape."""
    try:
        found = _reference.decode(written) if bytes(written) else None
    except msgspec.ValidationError:
        return ""
    return found.reference or "" if found is not None else ""


def _is_readable_condition(condition: Resource) -> bool:
    """Whether intake can read it for certain. Ages and body sites are left to intake itself."""
    if bytes(condition.onsetAge) or bytes(condition.bodySite):
        return False
    dates = [condition.recordedDate, condition.onsetDateTime, condition.abatementDateTime]
    for period in (condition.onsetPeriod, condition.abatementPeriod):
        if period is not None:
            dates += [period.start, period.end]
    if any(day is not None and Span.parse(day) is None for day in dates):
        return False
    return all(len(note.text or "") < LONGEST_TEXT for note in condition.note or ())


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
