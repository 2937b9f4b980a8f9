"""A review from beginning to end: inputs to results, on one machine or on Spark, with what must add up."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from cds_service import __version__
from cds_service.errors import ReviewError
from cds_service.review.content import ContentText, compiled, dictionary
from cds_service.review.grouping import Shelf, bits_for, partitions
from cds_service.review.journal import ERRORS, MAKE_ROOM, RESULTS, UNFINISHED, Journal, Mark, Tally, writing
from cds_service.review.order import Order, Progress
from cds_service.review.reviewer import ANY_TYPE, Terms
from cds_service.review.sources import Found, Source, find_sources, plan
from cds_service.review.workers import Crew, Job, Portion

MANIFEST, TABLE, REPORT = "run.json", "results.parquet", "report.html"
_SHARE = 4  # of a worker's memory, what it may hold of a partition at once


def review(order: Order, progress: Progress) -> Tally:
    """Review everything and write DIR. Raises ReviewError; what is done by then can be continued.

    The outputs appear under their names only when the review is complete, all of them are whole and everything
    adds up. Until then nobody else can write there.
    """
    content = ContentText.of(order.content)
    found = find_sources(order.inputs, order.out)
    sources = found.sources
    if not sources:
        if order.out.resolve() in (given.resolve() for given in order.inputs):
            raise ReviewError(f"{order.out} is an input and cannot hold the results: give another folder with --out")
        if found.troubles:
            first = found.troubles[0]
            raise ReviewError(f"no file to review. {first.file}: {first.reason}")
        raise ReviewError("no file to review: give .json, .ndjson or .jsonl files, also .gz, or folders of them")
    compiled(content)  # its faults are told before anything is written
    asked = _what_was_asked(order, content, sources)
    journal = Journal(order.out)
    try:
        with writing(order.out, "give a folder with --out that can be written to"):
            finished = _begin_or_resume(order, asked, journal)
        if finished is not None:
            return finished
        with writing(order.out, MAKE_ROOM):
            return _carried_out(order, content, found, asked, journal, progress)
    finally:
        journal.release()


def _carried_out(
    order: Order, content: ContentText, found: Found, asked: dict[str, Any], journal: Journal, progress: Progress
) -> Tally:
    mark = journal.last_mark() if order.resume else None
    if mark is None or mark.stage != "done":
        with journal:
            _work_through(order, content, found, journal, progress, mark)
    tally = journal.whole()
    if not (journal.folder / MANIFEST).exists():
        _recount(journal.folder, tally)
        manifest = _manifest(asked, content, tally, found)
        progress.stage("Writing the report", 1)
        _make_readable(journal.folder, manifest)
        _write(journal.folder / MANIFEST, manifest)  # the last: with it everything is whole
        progress.step(1, 0)
    journal.publish((RESULTS, ERRORS, TABLE, REPORT, MANIFEST))
    journal.clear()
    return tally


def _make_readable(folder: Path, manifest: dict[str, Any]) -> None:
    """The table and the report, from the written lines."""
    # Imported when all workers are gone: none of them needs the memory.
    from cds_service.review.report import page
    from cds_service.review.summary import summarise
    from cds_service.review.table import through_table

    rows = through_table(rows_of(folder), folder / TABLE)
    summary = summarise(rows, errors_of(folder), manifest["dictionary"]["analytes"])
    (folder / REPORT).write_text(page(summary, manifest), encoding="utf-8")


def _work_through(
    order: Order, content: ContentText, found: Found, journal: Journal, progress: Progress, mark: Mark | None
) -> None:
    sources = found.sources
    job = Job(
        content,
        Terms(order.today, order.policy, order.with_cards),
        {s.number: s for s in sources},
        order.longest,
        max(8_000_000, order.memory // order.workers // _SHARE),
    )
    if order.spark:
        mark = None  # Spark itself repeats what is lost; an interrupted review begins again
    journal.open(mark)
    if mark is None:
        _note_unread(found, journal)
    if order.spark:
        from cds_service.review.spark import work_on_spark

        work_on_spark(order.spark, order, job, sources, journal, progress)
    else:
        _Work(order, job, sources, journal, progress).run(mark)
    _require_that_it_adds_up(journal.tally, order.limit)
    journal.mark("done", 0, now=True)


def _note_unread(found: Found, journal: Journal) -> None:
    """Name what could not even be opened. It may have been part of an export: silence then proves nothing."""
    journal.write_troubles(found.troubles)
    if found.troubles and any(source.kind == "resources" for source in found.sources):
        journal.tally.add_aside({}, [ANY_TYPE])


class _Work:
    """The stages of a local run, each continued where it was left."""

    def __init__(self, order: Order, job: Job, sources: list[Source], journal: Journal, progress: Progress) -> None:
        self.order, self.job, self.sources, self.journal, self.progress = order, job, sources, journal, progress
        self.exports = [source for source in sources if source.kind == "resources"]
        self.bits = bits_for(self.exports)

    def run(self, mark: Mark | None) -> None:
        stage, unit, kept = (mark.stage, mark.unit, mark.spill) if mark else ("bundles", 0, "")
        crew = Crew(self.job, self.order.workers)
        try:
            if stage == "bundles":
                self._bundles(crew, unit)
            if self.exports and not self._enough():
                spill = self.journal.folder / kept if kept else self._sort(crew)
                self._patients(crew, spill, unit if stage == "patients" else 0)
        except BrokenProcessPool:
            raise ReviewError(
                "a worker process was ended from outside, perhaps for want of memory: "
                "continue with --resume, with fewer --workers or less --memory-mb"
            ) from None
        finally:
            crew.close()

    def _enough(self) -> bool:
        return self.order.limit is not None and self.journal.tally.patients >= self.order.limit

    def _bundles(self, crew: Crew, first: int) -> None:
        units = list(plan(self.sources, "bundles"))
        self.progress.stage("Reviewing", sum(unit.size for unit in units[first:]))
        asked = ((unit,) for unit in units[first:])
        for unit, portion in zip(units[first:], crew.ask("bundles", asked), strict=True):
            self._take(portion, unit.size)
            self.journal.tally.records += portion.records
            self.journal.mark("bundles", unit.number + 1)
            if self._enough():
                return

    def _sort(self, crew: Crew) -> Path:
        """The first pass over an export. It is done again from its start if it is interrupted."""
        spill = _fresh_folder(self.journal.folder)
        self.journal.mark("sort", 0, now=True)
        units = list(plan(self.exports, "resources"))
        self.progress.stage("Finding each patient's resources", sum(unit.size for unit in units))
        tally, shelf = self.journal.tally, Shelf(spill / "medications.sqlite")
        for unit, (found, count) in zip(units, crew.ask("sort", ((u, spill, self.bits) for u in units)), strict=True):
            self.journal.write_troubles(found.troubles)
            shelf.put(found.medications)
            tally.lines += found.lines
            tally.frames += count
            tally.add_aside(found.set_aside, found.damaged)
            self.progress.step(unit.size, 0)
        shelf.close()
        self.journal.mark("patients", 0, spill.name, now=True)
        return spill

    def _patients(self, crew: Crew, spill: Path, first: int) -> None:
        parts = partitions(spill)
        sizes = [sum(file.stat().st_size for file in part.iterdir() if file.is_file()) for part in parts]
        self.progress.stage("Reviewing", sum(sizes[first:]))
        damaged = tuple(self.journal.tally.damaged)
        asked = ((part, spill / "medications.sqlite", self.bits, damaged) for part in parts[first:])
        answers = crew.ask("patients", asked)
        for number, size, portion in zip(itertools.count(first), sizes[first:], answers, strict=False):
            self._take(portion, size)
            self.journal.tally.taken += portion.taken
            self.journal.tally.gathered += portion.gathered
            self.journal.mark("patients", number + 1, spill.name)
            if self._enough():
                return

    def _take(self, portion: Portion, size: int) -> None:
        left = None if self.order.limit is None else self.order.limit - self.journal.tally.patients
        self.journal.write(portion.reviewed[:left])
        self.journal.write_troubles(portion.troubles)
        self.progress.step(size, len(portion.reviewed[:left]))


def _fresh_folder(parent: Path) -> Path:
    """A folder of this attempt; what an earlier one left is taken away."""
    for old in parent.glob("spill-*"):
        shutil.rmtree(old)
    spill = parent / f"spill-{os.getpid()}"
    spill.mkdir()
    return spill


def _what_was_asked(order: Order, content: ContentText, sources: list[Source]) -> dict[str, Any]:
    """Everything that results depend on. Workers and memory are not part of it."""
    return {
        "as_of": order.today.isoformat(),
        "content_hash": content.hash,
        "policy": asdict(order.policy) | {"cards_off": sorted(order.policy.cards_off)},
        "with_cards": order.with_cards,
        "limit": order.limit,
        "longest": order.longest,
        "files": len(sources),
        "files_hash": _hash_of(sources),
        "service": __version__,
    }


def _hash_of(sources: list[Source]) -> str:
    """Of names, sizes and times of the files: another hash, another input."""
    text = "\n".join(f"{s.name}\0{s.size}\0{s.changed}" for s in sources)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _begin_or_resume(order: Order, asked: dict[str, Any], journal: Journal) -> Tally | None:
    """Prepare DIR, or refuse; the tally when there is nothing left to do."""
    plan_file = journal.folder / "asked.json"
    if journal.folder.exists():
        journal.hold()
    published = (order.out / MANIFEST).exists()  # written when all is counted: only tidying up may have been left
    if order.resume and published and _nothing_is_left(journal):
        if journal.folder.exists():
            journal.clear()
        return Tally(**read_manifest(order.out)["tally"])
    if order.resume:
        if not plan_file.exists():
            raise ReviewError(f"--resume: {order.out} holds no unfinished review: start it without --resume")
        before = orjson.loads(plan_file.read_bytes())
        changed = [key.replace("_", " ") for key in asked if before.get(key) != asked[key]]
        if changed:
            raise ReviewError(
                f"--resume: not the same review, for these have changed: {', '.join(changed)}. "
                "Give the same inputs and options, or review into another folder"
            )
        return None
    if plan_file.exists():
        raise ReviewError(f"{order.out} holds an unfinished review: continue it with --resume, or remove {UNFINISHED}/")
    if any((order.out / name).exists() for name in (MANIFEST, RESULTS)):
        raise ReviewError(f"{order.out} holds a review already: give another folder with --out")
    journal.begin()
    _write(plan_file, asked)
    return None


def _nothing_is_left(journal: Journal) -> bool:
    mark = journal.last_mark()
    return mark is None or mark.stage == "done"


def _require_that_it_adds_up(tally: Tally, limit: int | None) -> None:
    """Nothing may be lost between reading and writing. A difference is a fault of the service."""
    if tally.patients != tally.assessed + tally.in_error:
        raise ReviewError(
            f"{tally.patients} patients went in, {tally.assessed} were assessed and {tally.in_error} are in error: "
            "this does not add up and is a fault of the service"
        )
    if limit is None and tally.records + tally.gathered != tally.patients:
        raise ReviewError(
            f"{tally.records} Bundles were read and {tally.gathered} patients of exports brought together, but "
            f"{tally.patients} patients were counted: this does not add up and is a fault of the service"
        )
    if limit is None and tally.frames != tally.taken:
        raise ReviewError(
            f"{tally.frames} resources were written down and {tally.taken} taken up again: "
            "is the disk full? This does not add up"
        )


def _recount(folder: Path, tally: Tally) -> None:
    """The same from the written files, line by line."""
    with (folder / RESULTS).open("rb") as lines:
        assessed = sum(1 for _ in lines)
    with (folder / ERRORS).open("rb") as lines:
        scopes = Counter(orjson.loads(line)["scope"] for line in lines)
    if (assessed, scopes["patient"]) != (tally.assessed, tally.in_error):
        raise ReviewError(f"the files in {folder} do not hold what was counted: is the disk full?")


def _manifest(asked: dict[str, Any], content: ContentText, tally: Tally, found: Found) -> dict[str, Any]:
    knowledge, _ = compiled(content)
    return {
        **asked,
        "content": knowledge.version,
        "content_status": "draft, not clinically approved",
        "tally": asdict(tally),
        "sources": dict(sorted(Counter(source.label for source in found.sources).items())),
        "bytes": sum(source.size for source in found.sources),
        "export_manifests": found.manifests[:1000],
        "left_out": found.left_out[:1000],
        "left_out_count": len(found.left_out),
        "dictionary": dictionary(knowledge),
    }


def read_manifest(out: Path) -> dict[str, Any]:
    """What a finished review says of itself. Raises ReviewError."""
    try:
        found = orjson.loads((out / MANIFEST).read_bytes())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not {"tally", "dictionary"} <= found.keys() or not (out / RESULTS).is_file():
        raise ReviewError(f"{out} holds no finished review: give the folder of `cds-service review … --out`")
    return found


def rows_of(out: Path) -> Iterator[dict[str, Any]]:
    """The lines of results.ndjson."""
    return _lines_of(out / RESULTS)


def errors_of(out: Path) -> Iterator[dict[str, Any]]:
    """The lines of errors.ndjson."""
    return _lines_of(out / ERRORS)


def _lines_of(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as lines:
        for line in lines:
            yield line_of(line, file)


def line_of(line: bytes, file: Path) -> dict[str, Any]:
    """A line that a review has written. Raises ReviewError for one that was cut off or changed since."""
    try:
        said: dict[str, Any] = orjson.loads(line)
    except ValueError:
        raise ReviewError(f"{file} is damaged: it was cut off or changed; review into another folder") from None
    return said


def _write(file: Path, content: dict[str, Any]) -> None:
    """All of a file or nothing of it."""
    half = file.with_suffix(".half")
    half.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    half.replace(file)
