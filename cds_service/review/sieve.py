"""Which records of a review are surely quiet, told without building their charts: most of a population.

The glance of the hook (``intake/glance``), over Bundles and over the single resources of an export. Where it is
sure, ``assess`` would find a closed gate and no gap, and its answer is known; everything else goes to ``assess``.
"""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import msgspec

from cds_service.clinical.chart import Patient
from cds_service.errors import RequestError, UnreadableError
from cds_service.intake.glance import GATE_KINDS, UNUSUAL, Bundle, Glance, Resource, is_utf8, owner_in
from cds_service.intake.prefetch import MOST_RESOURCES, Prefetched
from cds_service.intake.read import Reader
from cds_service.intake.resources import READERS
from cds_service.intake.shape import id_of
from cds_service.knowledge.reading import Reading

READ_KINDS = frozenset(READERS) | {"Patient"}
_ANY_DAY = date.min  # the patient alone reads the same on every day
_MOST_REMEMBERED = 50_000
_UNDER_WAY = b'"in-progress"'  # such a visit says which one the chart is opened in

_bundle = msgspec.json.Decoder(Bundle)
_resource = msgspec.json.Decoder(Resource)


class Sieved(NamedTuple):
    """A resource of an export: whose it is, and whether it is plain: readable, and no word of twitching."""

    kind: str
    id: str
    owners: tuple[str, ...]  # references as they stand
    plain: bool


class Sieve:
    """The sieve of one content, for one process."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._glance = Glance(reading, _MOST_REMEMBERED)

    def quiet_patient(self, body: bytes) -> Patient | None:
        """The patient of a Bundle that is surely quiet; None: look."""
        if not is_utf8(body):
            return None
        try:
            bundle = _bundle.decode(body)
            entries = [entry for entry in bundle.entry or () if entry.resource is not None]
            people = [entry for entry in entries if entry.resource and entry.resource.resourceType == "Patient"]
            if not bundle.is_whole or len(people) != 1 or len(entries) > MOST_RESOURCES:
                return None
            patient = people[0].resource
            if patient is None or not patient.id:
                return None
            names = {patient.id, id_of(people[0].fullUrl or "")} - {""}
            ours = {f"{kind}{name}" for name in names for kind in ("urn:uuid:", "Patient/")}
            resources = (entry.resource for entry in entries if entry.resource)
            if not all(self._is_quiet(resource, ours) for resource in resources):
                return None
        except (msgspec.DecodeError, RecursionError):
            return None
        return read_patient(patient, self._reading)

    def _is_quiet(self, resource: Resource, ours: set[str]) -> bool:
        if resource.resourceType not in GATE_KINDS:
            return resource.resourceType not in UNUSUAL
        return self._is_plain(resource) and owner_in(resource.subject) in ours

    def _is_plain(self, resource: Resource) -> bool:
        return bytes(resource.status) != _UNDER_WAY and self._glance.is_plain(resource)

    def sift(self, body: bytes) -> Sieved:
        """One resource of an export. Raises ValueError for what is no JSON object with a resourceType, in UTF-8."""
        if not is_utf8(body):
            raise ValueError("not in UTF-8")
        try:
            resource = _resource.decode(body)
            kind = resource.resourceType
            if kind is None or kind == "Appointment":
                return _loosely(body)
            owner = owner_in(resource.subject) or owner_in(resource.patient)
            plain = kind not in UNUSUAL if kind not in GATE_KINDS else bool(owner) and self._is_plain(resource)
        except msgspec.ValidationError:
            return _loosely(body)
        except RecursionError:
            raise msgspec.DecodeError("nested too deeply") from None
        return Sieved(kind, resource.id or "", (owner,) if owner else (), plain)


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
