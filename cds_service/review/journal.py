"""The output of a run that is under way, and how far it is safe: what a killed run is continued from."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from cds_service.errors import ReviewError
from cds_service.review.faults import Reviewed, Trouble

UNFINISHED = "unfinished"  # the folder in the output folder; gone when the run is complete
RESULTS, ERRORS = "results.ndjson", "errors.ndjson"
MAKE_ROOM = "make room and continue with --resume"
_SAFE_EVERY = 1.0  # seconds
_PATIENCE = 2.0  # seconds: workers hold the lock of a review that was killed until they see that it is gone


@contextmanager
def writing(folder: Path, remedy: str) -> Iterator[None]:
    """A disk that is full or read-only ends a review in words. Raises ReviewError."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        reason = getattr(error, "strerror", None) or (
            str(error) if isinstance(error, sqlite3.Error) else type(error).__name__
        )
        raise ReviewError(f"{reason}: {folder}; {remedy}") from error


@dataclass(slots=True)
class Tally:
    """Everything that is counted, so that nothing can be lost unseen."""

    records: int = 0  # Bundles read, or found unreadable
    patients: int = 0
    assessed: int = 0
    in_error: int = 0
    troubles: int = 0  # of single resources and files
    lines: int = 0  # of exports
    frames: int = 0  # resources of exports, written down for their patients
    taken: int = 0  # and taken up again
    gathered: int = 0  # patients of exports, counted where their resources were brought together
    set_aside: dict[str, int] = field(default_factory=dict)  # resources of no patient, by type
    damaged: list[str] = field(default_factory=list)  # types of which an export holds something that cannot be read

    def add_aside(self, more: Mapping[str, int], damaged: Iterable[str]) -> None:
        for kind, number in more.items():
            self.set_aside[kind] = self.set_aside.get(kind, 0) + number
        self.damaged = sorted({*self.damaged, *damaged})


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a run is: the next unit of which stage, and the length of the outputs up to there, in bytes."""

    stage: str  # bundles, patients, done
    unit: int
    results: int
    errors: int
    tally: dict[str, Any]
    spill: str = ""


class Journal:
    """Writes results and errors in order, and marks how far both are safely on the disk."""

    def __init__(self, out: Path) -> None:
        self.folder = out / UNFINISHED
        self._out = out
        self._marks = self.folder / "journal.ndjson"
        self.tally = Tally()
        self._last = 0.0
        self._lock: int | None = None

    def begin(self) -> None:
        """Make the folder, or take one in which nothing was done yet, and hold it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self.hold()

    def hold(self) -> None:
        """Keep every other review away from the folder until ``release``. Raises ReviewError when one is at work."""
        held = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(0.05)
                    continue
                os.close(held)
                raise ReviewError(
                    f"another review is writing here: {self._out}; wait for it, or give another folder with --out"
                ) from None
            self._lock = held
            return

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def last_mark(self) -> Mark | None:
        """The last mark of a run that was interrupted; None when it came to none."""
        if not self._marks.exists():
            return None
        whole = [line for line in self._marks.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return Mark(**orjson.loads(whole[-1])) if whole else None

    def open(self, mark: Mark | None) -> None:
        """Begin, or take the outputs back to a mark. Raises ReviewError when they are shorter than that."""
        self._cut_torn_mark()
        self._open(mark.results if mark else 0, mark.errors if mark else 0)
        if mark:
            self.tally = Tally(**mark.tally)
            self._recall()

    def _cut_torn_mark(self) -> None:
        """Half a mark, from a moment when the power went: the next one would be glued to it and could not be read."""
        if self._marks.exists():
            with self._marks.open("r+b") as marks:
                marks.truncate(marks.read().rfind(b"\n") + 1)

    def _open(self, results: int, errors: int) -> None:
        self._results = _cut(self.folder / RESULTS, results)
        self._errors = _cut(self.folder / ERRORS, errors)
        (self.folder / "seen.sqlite").unlink(missing_ok=True)
        self._seen = sqlite3.connect(self.folder / "seen.sqlite")
        self._seen.execute("PRAGMA journal_mode=OFF")
        self._seen.execute("PRAGMA synchronous=OFF")
        self._seen.execute("CREATE TABLE seen (patient TEXT PRIMARY KEY) WITHOUT ROWID")

    def _recall(self) -> None:
        """Who has been reviewed already, from the outputs themselves."""
        for name in (RESULTS, ERRORS):
            with (self.folder / name).open("rb") as lines:
                for line in lines:
                    said = orjson.loads(line)
                    if said.get("scope", "patient") == "patient" and said["patient"]:
                        self._is_new(said["patient"])

    def _is_new(self, patient: str) -> bool:
        return self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (patient,)).rowcount == 1

    def write(self, reviewed: Iterable[Reviewed]) -> None:
        """Write what became of patients. Of two records of one patient the first counts."""
        for one in reviewed:
            self.tally.patients += 1
            if one.patient and not self._is_new(one.patient):
                reason = "another record with this id stands earlier and was reviewed; this one was left out"
                remedy = "one patient: give one Bundle, or an export, whose parts are put together; two: two ids"
                one = one._replace(
                    line=b"", troubles=(Trouble("patient", one.file, one.offset, reason, remedy, one.patient),)
                )
            self.tally.assessed += bool(one.line)
            self.tally.in_error += not one.line
            self._results.write(one.line)
            self._write_troubles(one.troubles)

    def write_troubles(self, troubles: Iterable[Trouble]) -> None:
        """Write what is nobody's; and a Bundle among single resources, which is a patient who was not assessed."""
        for trouble in troubles:
            lost = trouble.scope == "patient"
            self.tally.records += lost
            self.tally.patients += lost
            self.tally.in_error += lost
            self._write_troubles((trouble,))

    def _write_troubles(self, troubles: Iterable[Trouble]) -> None:
        for trouble in troubles:
            self.tally.troubles += trouble.scope != "patient"
            self._errors.write(trouble.line())

    def mark(self, stage: str, unit: int, spill: str = "", now: bool = False) -> None:
        """Say that everything before this unit is safe; not more often than every second, unless ``now``."""
        if not now and time.monotonic() - self._last < _SAFE_EVERY:
            return
        for file in (self._results, self._errors):
            file.flush()
            os.fsync(file.fileno())
        mark = Mark(stage, unit, self._results.tell(), self._errors.tell(), asdict(self.tally), spill)
        with self._marks.open("ab") as marks:
            marks.write(orjson.dumps(mark, option=orjson.OPT_APPEND_NEWLINE))
            marks.flush()
            os.fsync(marks.fileno())
        self._last = time.monotonic()

    def whole(self) -> Tally:
        """What was counted, when results and errors are complete. Raises ReviewError when they are not."""
        mark = self.last_mark()
        if mark is None or mark.stage != "done":
            raise ReviewError("the review is not complete")
        return Tally(**mark.tally)

    def publish(self, names: Iterable[str]) -> None:
        """Move the outputs, in this order, to where they are looked for."""
        for name in names:
            if (self.folder / name).exists():  # not when an earlier attempt was interrupted between two
                (self.folder / name).replace(self._out / name)

    def clear(self) -> None:
        shutil.rmtree(self.folder)

    def close(self) -> None:
        for file in (self._results, self._errors):
            file.close()
        self._seen.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cut(file: Path, length: int) -> Any:
    """A file opened for appending, cut to this length."""
    opened = file.open("ab")
    if opened.tell() < length:
        raise ReviewError(f"{file} is shorter than it was: it cannot be continued, review into another folder")
    opened.truncate(length)
    opened.seek(length)
    return opened
