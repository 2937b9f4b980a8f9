"""Which records of a review are surely quiet, told without building their charts: most of a population.

The glance of the hook (``intake/glance``), over Bundles and over the single resources of an export. Where it is
sure, ``assess`` would find a closed gate and no gap, and its answer is known; everything else goes to ``assess``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from cds_service.clinical import chart
from cds_service.errors import UnreadableError
from cds_service.intake.glance import (
    GATE_TYPES,
    Bundle,
    Glance,
    Patient,
    Resource,
    has_too_many_words,
    is_utf8,
    owner_in,
)
from cds_service.intake.prefetch import MOST_RESOURCES
from cds_service.intake.read import read_patient
from cds_service.intake.resources import READERS
from cds_service.intake.shape import id_of
from cds_service.knowledge.reading import Reading

READ_KINDS = frozenset(READERS) | {"Patient"}
_MOST_REMEMBERED = 50_000

_bundle = msgspec.json.Decoder(Bundle)
_resource: msgspec.json.Decoder[Resource] = msgspec.json.Decoder(Resource)


class Sieved(NamedTuple):
    """A resource of an export: whose it is, and whether it is plain: readable, and no word of twitching."""

    kind: str
    id: str
    owners: tuple[str, ...]  # references as they stand
    plain: bool


class Sieve:
    """The sieve of one content, for one process."""

    def __init__(self, reading: Reading) -> None:
        self._glance = Glance(reading, _MOST_REMEMBERED)

    def quiet_patient(self, body: bytes) -> chart.Patient | None:
        """The patient of a Bundle that is surely quiet; None: look."""
        if not is_utf8(body):
            return None
        try:
            bundle = _bundle.decode(body)
            entries = bundle.entry or ()
            people = [(entry.resource, entry.fullUrl) for entry in entries if isinstance(entry.resource, Patient)]
            if not bundle.is_whole() or len(people) != 1 or len(entries) > MOST_RESOURCES:
                return None
            patient, url = people[0]
            names = {patient.id or "", id_of(url or "")} - {""}
            resources = [entry.resource for entry in entries]
            if not patient.id or has_too_many_words(resources, len(body)):
                return None
            if not self._glance.are_plain(resources, names):
                return None
        except (msgspec.DecodeError, RecursionError):
            return None
        return _as_charted(patient)

    def charted(self, body: bytes) -> chart.Patient | None:
        """A Patient alone, as a chart tells of them; None: look."""
        try:
            patient = _resource.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return None
        return _as_charted(patient) if isinstance(patient, Patient) and patient.id else None

    def plain_among(self, lines: Sequence[bytes]) -> list[Resource | None]:
        """Of many lines of an export in UTF-8, each resource that is plain; None: sift it alone."""
        return self._plain_among([_read(line) for line in lines])

    def _plain_among(self, resources: list[Resource | None]) -> list[Resource | None]:
        # Nearly always all of them are; where one is not, it is found by halves.
        if self._are_plain(resources):
            return resources
        if len(resources) == 1:
            return [None]
        half = len(resources) // 2
        return self._plain_among(resources[:half]) + self._plain_among(resources[half:])

    def _are_plain(self, resources: Sequence[Resource | None]) -> bool:
        try:
            return self._glance.cannot_open_the_gate(resources)
        except msgspec.ValidationError:
            return False

    def sift(self, body: bytes) -> Sieved:
        """One resource of an export. Raises ValueError for what is no JSON object with a resourceType, in UTF-8."""
        if not is_utf8(body):
            raise ValueError("not in UTF-8")
        try:
            resource = _resource.decode(body)
            owner = owner_in(resource.subject)
            if type(resource).__name__ == "Appointment" or (not owner and type(resource) in GATE_TYPES):
                return _loosely(body)
            owner = owner or owner_in(resource.patient)
        except msgspec.ValidationError:
            return _loosely(body)
        except RecursionError:
            raise msgspec.DecodeError("nested too deeply") from None
        identity = getattr(resource, "id", None) or ""
        owners = (owner,) if owner else ()
        return Sieved(type(resource).__name__, identity, owners, self._are_plain((resource,)))


def _read(line: bytes) -> Resource | None:
    try:
        return _resource.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None


def says_too_much(lines: Iterable[bytes], size: int) -> bool:
    """Whether the whole reading may refuse these resources for their number or for the length of the problems."""
    found = list(lines)
    return len(found) > MOST_RESOURCES or has_too_many_words(map(_read, found), size)


def _as_charted(patient: Patient) -> chart.Patient | None:
    """The patient as intake reads one, as far as a line tells; None when it cannot."""
    known = ("birthDate", "gender", "deceasedBoolean", "deceasedDateTime")
    raw = {name: value for name in known if (value := getattr(patient, name)) is not None}
    try:
        return read_patient(raw, patient.id or "")
    except UnreadableError:
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
    return Sieved(raw.resourceType, identity, tuple(owners if several else owners[:1]), plain=several)
