"""Resources of an export to their patients, out of core: sorted into files by a hash of the patient's id.

Two passes. The first reads every line once, tells whose it is and writes it to one of many partition files;
the second takes one partition at a time. A partition that would not fit into the memory allowed is divided
again. The order of patients is that of the hash, so it depends neither on the number of partitions nor on
how the export is scattered over files.

Written here and not left to a database: each line needs its file and offset for ``errors.ndjson``, a broken
line or file must not end the reading, and one line may be as long as the setting allows.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import msgspec

from cds_service.intake.glance import GATE_TYPES, NOTHING, Resource, is_utf8, owner_in
from cds_service.intake.shape import id_of
from cds_service.review.faults import Trouble
from cds_service.review.reviewer import ANY_TYPE, Frame
from cds_service.review.sieve import READ_KINDS, Sieve
from cds_service.review.sources import Record, Source, Span, Unit, each, stretches

_HEAD = struct.Struct("<H??IIQI")  # length of the id, is it the Patient, plain, count, file, offset, length of the body
_BITS = 64
_MORE_BITS = 4  # each division again into 16
_TYPE = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]+)"')
_HEAD_BYTES = 500
_PORTION = 8_000_000
_PARTITION_BYTES = 12_000_000
_REMEMBERED = 4096  # patients: their lines stand close together, and a country's would fill the memory
_UNPACKED = 8  # how much longer an export is than its gzip files, about
_LONGEST_ID = 200  # FHIR allows 64 characters


@dataclass(slots=True)
class Sorted:
    """What one unit of an export held."""

    frames: list[Frame] = field(default_factory=list)
    medications: list[tuple[str, bytes]] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    set_aside: Counter[str] = field(default_factory=Counter)  # by type: resources of no patient
    damaged: set[str] = field(default_factory=set)  # types of which something could not be read; ANY_TYPE: of any
    lines: int = 0


@dataclass(slots=True)
class _Plain:
    """The plain resources of one patient in a file: the offset of the first, how many, and the lines to be read."""

    offset: int
    count: int = 0
    lines: list[bytes] = field(default_factory=list)

    def frame(self, patient: str, source: Source) -> Frame:
        body = b"\n".join((*self.lines, b""))
        return Frame(patient, False, True, self.count, source.number, self.offset, body)


def sort_unit(unit: Unit, sieve: Sieve, longest: int) -> Sorted:
    """Read a unit of an export and tell each resource's patient."""
    done = Sorted()
    for span in unit.spans:
        part = _Part(span, longest, sieve, done)
        for some in stretches(span, longest):
            if isinstance(some, Trouble):
                part.note(some)
            elif span.source.by_line and is_utf8(some.body):
                part.sort_lines(some)
            else:
                part.sort_each(some)
        done.frames += [own.frame(patient, span.source) for patient, own in part.plain.items()]
    return done


@dataclass(slots=True)
class _Part:
    """A part of a file while it is sorted."""

    span: Span
    longest: int
    sieve: Sieve
    done: Sorted
    seen: set[str] = field(default_factory=set)  # types of resources
    plain: dict[str, _Plain] = field(default_factory=dict)

    def note(self, trouble: Trouble) -> None:
        self.done.troubles.append(trouble if trouble.scope == "file" else trouble._replace(scope="record"))
        self.done.lines += trouble.scope != "file"
        self.done.damaged.add(self._likely_type(b""))

    def sort_lines(self, stretch: Record) -> None:
        """Lines in UTF-8: the plain ones of a patient go together, everything else one by one."""
        lines = stretch.body.split(b"\n")
        at = stretch.offset
        for line, resource in zip(lines, self.sieve.plain_among(lines), strict=True):
            kind = type(resource).__name__
            alone = kind in _ALONE or len(line) > self.longest
            patient = "" if resource is None or alone else _patient_told(resource)
            if patient:
                self.done.lines += 1
                self.seen.add(kind)
                own = self.plain.get(patient)
                if own is None:
                    own = self.plain[patient] = _Plain(at)
                own.count += 1
                if kind in READ_KINDS:
                    own.lines.append(line)
            else:
                self.sort_each(Record(at, line))
            at += len(line) + 1

    def sort_each(self, stretch: Record) -> None:
        for record in each(stretch, self.span, self.longest):
            if isinstance(record, Trouble):
                self.note(record)
            else:
                self.sort(record)

    def sort(self, record: Record) -> None:
        """Find the patients of one resource, or say why there are none."""
        done = self.done
        done.lines += 1
        try:
            found = self.sieve.sift(record.body)
        except ValueError as error:
            done.troubles.append(_trouble(record, self.span.source, *_why_unreadable(record.body, error)))
            done.damaged.add(self._likely_type(record.body))
            return
        kind = found.kind
        self.seen.add(kind)
        if kind == "Medication" and found.id:
            done.medications.append((found.id, record.body))
            return
        if kind == "OperationOutcome" and _says_nothing_failed(record.body):
            done.set_aside[kind] += 1
            return
        patients = [found.id] if kind == "Patient" else _patients_of(found.owners)
        fault = _fault(kind, patients)
        if fault:
            trouble = _trouble(record, self.span.source, *fault)
            done.troubles.append(trouble._replace(scope="patient") if kind == "Bundle" else trouble)
            done.damaged.add(ANY_TYPE if kind in _NO_RESOURCE else kind)
            return
        if not patients:
            done.set_aside[kind] += 1
        body = record.body + b"\n" if kind in READ_KINDS else b""
        done.frames += [
            Frame(patient, kind == "Patient", found.plain, 1, self.span.source.number, record.offset, body)
            for patient in patients
        ]

    def _likely_type(self, body: bytes) -> str:
        """The type of what could not be read: as its line, its file's name or the rest of the file says; else any."""
        named = _TYPE.search(body[:_HEAD_BYTES])
        if named:
            return named[1].decode()
        name = self.span.source.path.name.split(".")[0]
        if name in READ_KINDS:
            return name
        return next(iter(self.seen)) if len(self.seen) == 1 else ANY_TYPE


def _patient_told(resource: Resource) -> str:
    """The id of the patient whose resource it plainly is; else ""."""
    told = resource.patient if resource.subject is NOTHING and type(resource) not in GATE_TYPES else resource.subject
    return _patient_written(b"" + told)


@lru_cache(maxsize=_REMEMBERED)
def _patient_written(told: bytes) -> str:
    try:
        owner = owner_in(told)
    except msgspec.ValidationError:
        return ""
    patient = _patient_in(owner) if owner else ""
    return patient if len(patient) <= _LONGEST_ID else ""


_ALONE = frozenset({"Patient", "Medication", "Appointment"})  # of several patients, of none, or what the rest needs
_NO_RESOURCE = {
    "Bundle": ("a Bundle among single resources", "give Bundles in files of their own"),
    "OperationOutcome": ("the exporting server reports a failure in place of a resource", "look at it there"),
}


class _Issue(msgspec.Struct):
    severity: str = ""


class _Outcome(msgspec.Struct):
    issue: list[_Issue] = []


_outcome = msgspec.json.Decoder(_Outcome)


def _says_nothing_failed(body: bytes) -> bool:
    """Whether a server only remarks on something. Where it does not say how grave it is, that may be a failure."""
    try:
        issues = _outcome.decode(body).issue
    except msgspec.DecodeError:
        return False
    return bool(issues) and all(issue.severity in ("success", "information", "warning") for issue in issues)


def _why_unreadable(body: bytes, error: ValueError) -> tuple[str, str]:
    if not is_utf8(body):
        return "the line is not in UTF-8", ""
    if isinstance(error, msgspec.DecodeError):
        return "the line is no JSON object", "is it cut off?"
    return "the line has no resourceType", "give FHIR resources, one on each line"


def _fault(kind: str, patients: list[str]) -> tuple[str, str] | None:
    """Why a resource that can be read cannot be used."""
    if kind in _NO_RESOURCE:
        return _NO_RESOURCE[kind]
    if kind == "Patient" and not patients[0]:
        return "the Patient has no id", ""
    if not patients and kind in READ_KINDS:
        return f"the {kind} does not say whose it is", ""
    if any(len(patient) > _LONGEST_ID for patient in patients):
        return f"the id of a patient is longer than {_LONGEST_ID} characters", ""
    return None


def _trouble(record: Record, source: Source, reason: str, remedy: str) -> Trouble:
    return Trouble("record", source.name, record.offset, reason, remedy)


def _patients_of(owners: tuple[str, ...]) -> list[str]:
    if len(owners) == 1:
        known = _patient_in(owners[0])
        return [known] if known else []
    return list(dict.fromkeys(known for owner in owners if (known := _patient_in(owner))))


@lru_cache(maxsize=_REMEMBERED)
def _patient_in(owner: str) -> str:
    """The id in ``Patient/p``, an absolute address of one, a bare id or a urn; "" for a Group or a Location."""
    parts = owner.split("/_history/")[0].split("/")
    return id_of(owner) if len(parts) == 1 or parts[-2] == "Patient" else ""


@lru_cache(maxsize=_REMEMBERED)
def rank(patient: str) -> int:
    """The place of a patient in the order of the results."""
    return int.from_bytes(hashlib.blake2b(patient.encode(), digest_size=_BITS // 8).digest())


def place_of(place: int, bits: int) -> int:
    """The number of the partition that holds a place in the order."""
    return place >> (_BITS - bits)


def bits_for(sources: Iterable[Source]) -> int:
    """How many bits of the hash name a partition, so that one of them is about _PARTITION_BYTES long."""
    size = sum(source.size * (_UNPACKED if source.packed else 1) for source in sources)
    return min(12, max(2, (size // _PARTITION_BYTES).bit_length()))


def spill(frames: Iterable[Frame], folder: Path, bits: int) -> int:
    """Append frames to the partition files of this process. Returns how many resources they hold."""
    parts: dict[int, list[bytes]] = {}
    count = 0
    for frame in frames:
        parts.setdefault(place_of(rank(frame.patient), bits), []).extend(_packed(frame))
        count += frame.resources
    for part, written in parts.items():
        place = folder / f"{part:0{(bits + 3) // 4}x}"
        place.mkdir(parents=True, exist_ok=True)
        with (place / f"{os.getpid()}.frames").open("ab") as file:
            file.write(b"".join(written))
    return count


def _packed(frame: Frame) -> tuple[bytes, bytes, bytes]:
    patient = frame.patient.encode()
    return _HEAD.pack(len(patient), *frame[1:6], len(frame.body)), patient, frame.body


def partitions(folder: Path) -> list[Path]:
    """The partitions of a folder, in the order of the results."""
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def frames_of(partition: Path) -> Iterator[Frame]:
    """Every frame of a partition, in no order."""
    for path in sorted(partition.glob("*.frames")):
        with path.open("rb", buffering=1 << 20) as file:
            while head := file.read(_HEAD.size):
                name, is_patient, plain, resources, number, offset, length = _HEAD.unpack(head)
                patient = file.read(name).decode()
                yield Frame(patient, is_patient, plain, resources, number, offset, file.read(length))


@dataclass(slots=True)
class Gathered:
    """The frames of one patient; without their bodies as soon as these are longer together than a record may be."""

    frames: list[Frame] = field(default_factory=list)
    held: int = 0

    def add(self, frame: Frame, longest: int) -> None:
        self.held += len(frame.body)
        if self.held > longest:
            self.frames[:] = [own._replace(body=b"") if own.body else own for own in self.frames]
            frame = frame._replace(body=b"")
        self.frames.append(frame)


def groups(partition: Path, memory: int, longest: int, bits: int) -> Iterator[tuple[str, list[Frame]]]:
    """The patients of a partition in order, each with all frames, holding at most ``memory`` bytes of them.

    A single patient with more than ``longest`` bytes comes without the bodies.
    """
    size = sum(path.stat().st_size for path in partition.glob("*.frames"))
    if size > memory and bits < 40:
        inner = partition / "divided"
        shutil.rmtree(inner, ignore_errors=True)
        for some in _in_portions(frames_of(partition)):
            spill(some, inner, bits + _MORE_BITS)
        for part in partitions(inner):
            yield from groups(part, memory, longest, bits + _MORE_BITS)
        shutil.rmtree(inner)
        return
    found: dict[str, Gathered] = {}
    for frame in frames_of(partition):
        found.setdefault(frame.patient, Gathered()).add(frame, longest)
    for patient in sorted(found, key=lambda name: (rank(name), name)):
        yield patient, found.pop(patient).frames


def _in_portions(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    portion: list[Frame] = []
    size = 0
    for frame in frames:
        portion.append(frame)
        size += len(frame.body)
        if size > _PORTION:
            yield portion
            portion, size = [], 0
    yield portion


class Shelf:
    """The Medications of an export by id, in a file: prescriptions point to them, and they have no patient."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file)
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute("CREATE TABLE IF NOT EXISTS medication (id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")

    def put(self, medications: Iterable[tuple[str, bytes]]) -> None:
        """Of two with one id, the smaller text stays, so that their order never matters."""
        self._connection.executemany(
            "INSERT INTO medication VALUES (?, ?) ON CONFLICT DO UPDATE SET body = min(body, excluded.body)",
            medications,
        )

    def get(self, ids: Iterable[str]) -> list[bytes]:
        found = []
        for name in ids:
            row = self._connection.execute("SELECT body FROM medication WHERE id = ?", (name,)).fetchone()
            found += [row[0]] if row else []
        return found

    def close(self) -> None:
        self._connection.commit()
        self._connection.close()
