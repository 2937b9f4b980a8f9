"""A review on a Spark cluster: the same units, the same records, the same lines in the same order.

Spark's part is to hand out units, to bring each patient's resources together (its shuffle, which goes to disk
by itself) and to do again what a lost executor had. The reasoning runs in the executors' Python: compiled
content is made of closures and does not travel, so its text is broadcast and compiled once in each Python
worker, known by its hash.

Every executor must see the inputs under the same path as the driver, and have the same packages installed.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from pyspark import RDD, SparkConf, SparkContext, StorageLevel

from cds_service.review.faults import Reviewed, Trouble
from cds_service.review.grouping import Gathered, bits_for, place_of, rank, sort_unit
from cds_service.review.journal import Journal
from cds_service.review.order import Order, Progress
from cds_service.review.reviewer import Frame
from cds_service.review.sources import Source, Unit, plan
from cds_service.review.workers import Desk, Job


class Counted(NamedTuple):
    """How much a unit or a partition held."""

    records: int = 0
    lines: int = 0
    frames: int = 0
    taken: int = 0
    gathered: int = 0
    set_aside: dict[str, int] | None = None
    damaged: tuple[str, ...] = ()


class Medication(NamedTuple):
    id: str
    body: bytes


def work_on_spark(
    master: str, order: Order, job: Job, sources: list[Source], journal: Journal, progress: Progress
) -> None:
    """All stages of a review on the cluster at ``master``. Errors of Spark itself are raised as they are."""
    with tempfile.TemporaryDirectory(prefix="cds-spark-") as place:
        context = _context(master, _own_code(Path(place)))
        try:
            _Work(context, order, job, sources, journal, progress).run()
        finally:
            context.stop()


def _context(master: str, code: Path) -> SparkContext:
    settings = SparkConf().setMaster(master).setAppName("cds-service review")
    settings.setIfMissing("spark.ui.showConsoleProgress", "false")
    settings.setIfMissing("spark.python.worker.reuse", "true")  # compiled content stays with the worker
    settings.setIfMissing("spark.pyspark.python", sys.executable)
    context = SparkContext.getOrCreate(settings)
    context.setLogLevel("ERROR")
    context.addPyFile(str(code))
    return context


def _own_code(place: Path) -> Path:
    """This package for the executors, so that they run what the driver runs."""
    package = Path(__file__).resolve().parent.parent
    archive = place / "cds_service.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(package.rglob("*.py")):
            packed.write(file, f"cds_service/{file.relative_to(package).as_posix()}")
    return archive


class _Work:
    """The stages, as in a local run. What the executors give is written here, in order."""

    def __init__(
        self,
        context: SparkContext,
        order: Order,
        job: Job,
        sources: list[Source],
        journal: Journal,
        progress: Progress,
    ) -> None:
        self.context, self.order, self.journal, self.progress = context, order, journal, progress
        self.sources = sources
        self.job = context.broadcast(job)

    def run(self) -> None:
        self._bundles()
        exports = [source for source in self.sources if source.kind == "resources"]
        if exports:
            self._exports(exports)

    def _bundles(self) -> None:
        units = list(plan(self.sources, "bundles"))
        if not units:
            return
        self.progress.stage("Reviewing on Spark", len(units))
        done = self._sliced(units).flatMap(partial(_review_unit, self.job)).persist(StorageLevel.DISK_ONLY)
        self._write(done, len(units))

    def _exports(self, exports: list[Source]) -> None:
        units = list(plan(exports, "resources"))
        bits = bits_for(exports)
        self.progress.stage("Finding each patient's resources on Spark", len(units))
        found = self._sliced(units).flatMap(partial(_sort_unit, self.job)).persist(StorageLevel.DISK_ONLY)
        found.count()  # all units at once; what follows reads it in order
        shelf: dict[str, bytes] = {}
        for one in found.filter(_is_aside).toLocalIterator():
            if isinstance(one, Medication):
                shelf[one.id] = min(one.body, shelf.get(one.id, one.body))
            elif isinstance(one, Trouble):
                self.journal.write_troubles([one])
            elif isinstance(one, Counted):
                self._count(one)
        self.progress.step(len(units), 0)
        medications = self.context.broadcast(shelf)
        self.progress.stage("Reviewing on Spark", 1 << bits)
        keyed = found.flatMap(_keyed)
        sorted_frames = keyed.repartitionAndSortWithinPartitions(1 << bits, partial(_partition_of, bits))
        damaged = tuple(self.journal.tally.damaged)
        done = sorted_frames.mapPartitions(partial(_review_partition, self.job, medications, damaged))
        self._write(done.persist(StorageLevel.DISK_ONLY), 1 << bits)

    def _sliced(self, units: list[Unit]) -> RDD[Unit]:
        return self.context.parallelize(units, len(units))

    def _write(self, done: RDD[Any], steps: int) -> None:
        done.count()  # on the whole cluster; then each part in its turn, so that the driver holds one at a time
        for one in done.toLocalIterator():
            if isinstance(one, Counted):
                self._count(one)
            elif isinstance(one, Trouble):
                self.journal.write_troubles([one])
            elif self.order.limit is None or self.journal.tally.patients < self.order.limit:
                self.journal.write([one])
        self.progress.step(steps, self.journal.tally.patients)
        done.unpersist()

    def _count(self, counted: Counted) -> None:
        tally = self.journal.tally
        tally.records += counted.records
        tally.lines += counted.lines
        tally.frames += counted.frames
        tally.taken += counted.taken
        tally.gathered += counted.gathered
        tally.add_aside(counted.set_aside or {}, counted.damaged)


# ---------------------------------------------------------------- in the executors

_desks: dict[tuple[str, str], Desk] = {}


def _desk(broadcast: Any) -> Desk:
    """The reviewer of this Python worker, made once for each content and terms."""
    job: Job = broadcast.value
    key = (job.content.hash, repr((job.terms, job.longest, [s.name for s in job.sources.values()])))
    if key not in _desks:
        _desks[key] = Desk(job)
    return _desks[key]


def _review_unit(broadcast: Any, unit: Unit) -> Iterator[Reviewed | Trouble | Counted]:
    portion = _desk(broadcast).bundles(unit)
    yield from portion.reviewed
    yield from portion.troubles
    yield Counted(records=portion.records)


def _sort_unit(broadcast: Any, unit: Unit) -> Iterator[Frame | Trouble | Medication | Counted]:
    desk = _desk(broadcast)
    done = sort_unit(unit, desk.reviewer.sieve, desk.job.longest)
    yield from done.troubles
    yield from (Medication(*one) for one in done.medications)
    yield from done.frames
    count = sum(frame.resources for frame in done.frames)
    aside = dict(done.set_aside)
    yield Counted(lines=done.lines, frames=count, set_aside=aside, damaged=tuple(done.damaged))


def _is_aside(one: Any) -> bool:
    return not isinstance(one, Frame)


def _keyed(one: Any) -> Iterator[tuple[tuple[int, str], Frame]]:
    if isinstance(one, Frame):
        yield (rank(one.patient), one.patient), one


def _partition_of(bits: int, key: tuple[int, str]) -> int:
    return place_of(key[0], bits)


def _review_partition(
    broadcast: Any, medications: Any, damaged: tuple[str, ...], keyed: Iterable[tuple[tuple[int, str], Frame]]
) -> Iterator[Reviewed | Counted]:
    desk, taken, patients = _desk(broadcast), 0, 0
    shelf: dict[str, bytes] = medications.value
    for (_, patient), pairs in groupby(keyed, key=lambda pair: pair[0]):
        gathered = Gathered()
        for _, frame in pairs:
            gathered.add(frame, desk.job.longest)
        taken += sum(frame.resources for frame in gathered.frames)
        patients += 1
        yield desk.reviewer.group(patient, gathered.frames, lambda ids: [shelf[i] for i in ids if i in shelf], damaged)
    yield Counted(taken=taken, gathered=patients)
