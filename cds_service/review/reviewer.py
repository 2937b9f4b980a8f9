"""One patient's raw records to one line: the same ``assess`` as the hook, with what a batch adds around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import orjson

from cds_service.assess import ChartSource, assess
from cds_service.clinical.assessment import Assessment, Policy
from cds_service.clinical.chart import QUERIES, DataGap, Patient
from cds_service.clinical.knowledge import Knowledge
from cds_service.errors import RequestError, UnreadableError
from cds_service.intake.glance import is_utf8
from cds_service.intake.prefetch import Prefetched, whole_record
from cds_service.intake.shape import Json, elements, id_of, reference
from cds_service.knowledge.reading import Reading
from cds_service.response.cards import Issuer, Recipient, write_cards
from cds_service.review.faults import Reviewed, Trouble
from cds_service.review.rows import Row, person, row
from cds_service.review.sieve import Sieve, says_too_much
from cds_service.review.sources import Record, Source, is_no_resource

ANY_TYPE = "any"  # in place of a resource type
_MUCH = 1_000_000  # bytes of a chart; what the whole reading may refuse is longer
_NEWLINE = orjson.OPT_APPEND_NEWLINE
# Cards of a review are read and compared, never answered: their uuids are left out, so any secret will do.
_ISSUER_SECRET = b"cards of a review are not issued"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a review is made by, the same for every patient of it."""

    today: date
    policy: Policy = field(default_factory=Policy)
    with_cards: bool = False


class Frame(NamedTuple):
    """Resources of an export on their way to their patient: one, or all the plain ones of a file in one unit.

    ``plain``: the sieve found them readable and without a word of twitching. ``body``: each on a line; nothing of
    the types that the reasoning does not read, which only say that the patient is there.
    """

    patient: str  # the id
    is_patient: bool  # the Patient, alone
    plain: bool
    resources: int  # how many
    file: int  # number of the source
    offset: int  # of the first
    body: bytes

    @property
    def lines(self) -> list[bytes]:
        return self.body.split(b"\n")[:-1]


Medications = Callable[[Iterable[str]], Iterable[bytes]]  # ids -> the Medication resources that have them


class Reviewer:
    """Reviews charts by one content on one day. Not shared between processes: it is made in each."""

    def __init__(self, knowledge: Knowledge, reading: Reading, terms: Terms, sources: Mapping[int, Source]) -> None:
        self._knowledge, self._reading, self._terms = knowledge, reading, terms
        self._sources = sources
        self.sieve = Sieve(reading)
        self._quiet: dict[tuple[str, ...], Row] = {}

    def bundle(self, record: Record, source: Source) -> Reviewed | Trouble:
        """A Bundle of one patient's record. A file of something else than FHIR is a Trouble, and nobody's."""
        patient = self.sieve.quiet_patient(record.body)
        if patient is not None:
            return self._reviewed(patient.id, source, record.offset, self._quiet_row(patient, source))
        if not source.by_line and is_no_resource(record.body):
            return Trouble("file", source.name, 0, "this is no FHIR resource", "give Bundles, and leave it out")
        return self._tried("", source, record.offset, lambda: self._open_bundle(record, source))

    def group(
        self, patient: str, frames: list[Frame], medications: Medications, damaged: tuple[str, ...] = ()
    ) -> Reviewed:
        """All resources of one patient in an export, in any order.

        ``damaged``: types of which something in the export could not be read. It may have been this patient's,
        so the queries for them count as cut short: silence proves nothing, and the line says so.
        """
        count = sum(frame.resources for frame in frames)
        people = sorted((f for f in frames if f.is_patient), key=lambda f: (f.file, f.offset))
        if not people:
            first = min(frames, key=lambda f: (f.file, f.offset))
            reason = f"there is no Patient for these {count} resources, of which this is the first"
            return self._in_error(patient, self._sources[first.file], first.offset, reason, "export Patient as well")
        home = self._sources[people[0].file]
        if not people[0].body:
            reason = f"the {count} resources of this patient together are longer than a record may be"
            return self._in_error(patient, home, people[0].offset, reason, "raise --max-record-mb if it is meant")
        twins = self._twins(people)
        if any(not twin for twin in twins.values()):
            other = next(frame for frame, same in twins.items() if not same)
            reason = "a Patient with this id says something else than an earlier one"
            return self._in_error(patient, self._sources[other.file], other.offset, reason, "give each patient one id")
        done = self._tried(
            patient, home, people[0].offset, lambda: self._open_group(patient, frames, home, medications, damaged)
        )
        repeated = tuple(
            Trouble(
                "record", self._sources[f.file].name, f.offset, "the same Patient stands here again; read once",
                "", f"Patient/{patient}",
            )
            for f in twins
        )  # fmt: skip
        return done._replace(troubles=(*repeated, *done.troubles))

    def _twins(self, people: list[Frame]) -> dict[Frame, bool]:
        """Further Patients of the same id, and whether each says the same as the first, apart from ``meta``."""
        if len(people) == 1:
            return {}
        said = []
        for frame in people:
            try:
                said.append({key: value for key, value in orjson.loads(frame.body).items() if key != "meta"})
            except ValueError:
                said.append({})
        return {frame: own == said[0] for frame, own in zip(people[1:], said[1:], strict=True)}

    def _open_bundle(self, record: Record, source: Source) -> Reviewed:
        if not is_utf8(record.body):
            return self._in_error("", source, record.offset, "the record is not in UTF-8")
        try:
            body = orjson.loads(record.body)
        except orjson.JSONDecodeError as error:
            reason = f"the record is no JSON at line {error.lineno}, column {error.colno}"
            return self._in_error("", source, record.offset, reason, "is it cut off?")
        if not isinstance(body, dict) or body.get("resourceType") != "Bundle":
            reason = "the record is no Bundle"
            return self._in_error("", source, record.offset, reason, "give a Bundle of one patient's record")
        found = whole_record(body)
        patients = [p.get("id") for p in found.of("Patient")]
        if len(patients) != 1 or not isinstance(patients[0], str) or not patients[0]:
            reason = f"the Bundle holds {len(patients)} Patients with an id, and not one"
            return self._in_error("", source, record.offset, reason, "give each patient a Bundle of their own")
        return self._assessed(ChartSource(found, patients[0]), source, record.offset)

    def _open_group(
        self, patient: str, frames: list[Frame], home: Source, medications: Medications, damaged: tuple[str, ...]
    ) -> Reviewed:
        offset = min(f.offset for f in frames if f.is_patient and f.file == home.number)
        quiet = self._quiet_in(frames)
        if quiet is not None:
            return self._reviewed(quiet.id, home, offset, self._quiet_row(quiet, home, damaged))
        # Sorted, so that the scatter of resources over files and lines never changes an answer.
        bodies = sorted(line for frame in frames if not frame.is_patient for line in frame.lines)
        bodies.insert(0, min(line for frame in frames if frame.is_patient for line in frame.lines))
        resources = [orjson.loads(body) for body in bodies]
        wanted = sorted({name for raw in resources for name in _medication_of(raw)})
        resources += [orjson.loads(body) for body in medications(wanted)] if wanted else []
        found = whole_record({"resourceType": "Bundle", "entry": [{"resource": raw} for raw in resources]})
        _cut_short(found, damaged)
        return self._assessed(ChartSource(found, patient), home, offset)

    def _quiet_in(self, frames: list[Frame]) -> Patient | None:
        """The patient when all of this is plain and the whole reading would not refuse it."""
        if not all(frame.plain for frame in frames):
            return None
        size = sum(len(frame.body) for frame in frames)
        if size > _MUCH and says_too_much((line for frame in frames for line in frame.lines), size):
            return None
        return self.sieve.charted(next(frame.body for frame in frames if frame.is_patient))

    def _assessed(self, chart: ChartSource, source: Source, offset: int) -> Reviewed:
        outcome = assess(chart, self._knowledge, self._reading, self._terms.today, self._terms.policy)
        line = row(outcome.assessment, source.label, outcome.other_patients)
        if self._terms.with_cards:
            line["written"] = self._written(outcome.assessment, chart.patient_id)
        return self._reviewed(chart.patient_id, source, offset, line)

    def _written(self, assessment: Assessment, patient: str) -> list[dict[str, Any]]:
        issuer = Issuer(_ISSUER_SECRET, intent=self._terms.policy.order_intent, fixed_random=0)
        cards = write_cards(assessment, Recipient(patient), issuer, self._reading.codes)
        for card in cards:
            for holder in (card, *card.get("suggestions", ())):
                holder.pop("uuid", None)
        return cards

    def _quiet_row(self, patient: Patient, source: Source, damaged: tuple[str, ...] = ()) -> Row:
        """The line of a closed gate, as ``assess`` gives it for a chart that holds nothing but its patient."""
        if damaged not in self._quiet:
            empty = whole_record({"resourceType": "Patient", "id": "nobody"})
            _cut_short(empty, damaged)
            outcome = assess(ChartSource(empty, "nobody"), self._knowledge, self._reading, self._terms.today)
            self._quiet[damaged] = row(outcome.assessment, "", 0) | ({"written": []} if self._terms.with_cards else {})
        return self._quiet[damaged] | person(patient, source.label, self._terms.today)

    def _tried(self, patient: str, source: Source, offset: int, review: Callable[[], Reviewed]) -> Reviewed:
        """One chart that cannot be assessed must not end the review of the others; its reason holds no value."""
        try:
            return review()
        except RequestError as error:
            faults = "; ".join(f"{f.where} {f.what}" for f in error.faults)
            return self._in_error(patient, source, offset, faults, error.faults[0].remedy)
        except (UnreadableError, orjson.JSONDecodeError, RecursionError) as error:
            return self._in_error(patient, source, offset, f"the record cannot be read ({type(error).__name__})")
        except Exception as error:
            reason = f"the service failed on this chart ({type(error).__name__})"
            return self._in_error(patient, source, offset, reason, "please report it: it is a fault of the service")

    def _reviewed(self, patient: str, source: Source, offset: int, line: Row) -> Reviewed:
        return Reviewed(f"Patient/{patient}", source.name, offset, orjson.dumps(line, option=_NEWLINE))

    def _in_error(self, patient: str, source: Source, offset: int, reason: str, remedy: str = "") -> Reviewed:
        name = f"Patient/{patient}" if patient else ""
        return Reviewed(
            name, source.name, offset, b"", (Trouble("patient", source.name, offset, reason, remedy, name),)
        )


def _cut_short(found: Prefetched, damaged: tuple[str, ...]) -> None:
    """The queries for these types, or for all, were not answered in full."""
    for query, kind in QUERIES.items():
        if kind != "Patient" and (kind in damaged or ANY_TYPE in damaged):
            found.cut.add(query)
            found.gaps.append(DataGap(query, "a part of the export could not be read"))


def _medication_of(raw: Json) -> Iterable[str]:
    """The id of the Medication that a prescription points to, unless it is contained."""
    if raw.get("resourceType") not in ("MedicationRequest", "MedicationStatement"):
        return ()
    try:
        name = reference(raw, "medicationReference")
        inside = any(True for _ in elements(raw, "contained"))
    except UnreadableError:
        return ()
    return () if not name or (inside and name.startswith("#")) else (id_of(name),)
