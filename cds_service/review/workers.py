"""The work of one process of a run: what is sent to it, and what it sends back."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from cds_service import fhir
from cds_service.review.content import ContentText, compiled
from cds_service.review.faults import Reviewed, Trouble
from cds_service.review.grouping import Shelf, Sorted, groups, sort_unit, spill
from cds_service.review.reviewer import Reviewer, Terms
from cds_service.review.sources import Source, Unit, records

_AHEAD = 3  # units that wait for each worker


@dataclass(frozen=True)
class Job:
    """What every worker needs to know. Sizes in bytes."""

    content: ContentText
    terms: Terms
    sources: Mapping[int, Source]
    longest: int
    memory: int  # of one worker, for what it holds of a partition


class Portion(NamedTuple):
    """What became of a unit: patients in order, and troubles that are nobody's."""

    reviewed: list[Reviewed]
    troubles: list[Trouble]
    records: int = 0
    taken: int = 0
    gathered: int = 0


class Desk:
    """A reviewer and its job, in one process."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.reviewer = Reviewer(*compiled(job.content), job.terms, job.sources)

    def bundles(self, unit: Unit) -> Portion:
        done = Portion([], [])
        for span in unit.spans:
            for record in records(span, self.job.longest):
                found = record if isinstance(record, Trouble) else self.reviewer.bundle(record, span.source)
                if isinstance(found, Reviewed):
                    done.reviewed.append(found)
                elif found.scope == "file":
                    done.troubles.append(found)
                else:
                    done.reviewed.append(Reviewed("", found.file, found.offset, b"", (found,)))
        return done._replace(records=len(done.reviewed))

    def sort(self, unit: Unit, folder: Path, bits: int) -> tuple[Sorted, int]:
        done = sort_unit(unit, self.reviewer.sieve, self.job.longest)
        count = spill(done.frames, folder, bits)
        done.frames.clear()
        return done, count

    def patients(self, partition: Path, shelf: Path, bits: int, damaged: tuple[str, ...]) -> Portion:
        medications = Shelf(shelf)
        done = Portion([], [])
        taken = gathered = 0
        for patient, frames in groups(partition, self.job.memory, self.job.longest, bits):
            taken += sum(frame.resources for frame in frames)
            gathered += 1
            done.reviewed.append(self.reviewer.group(patient, frames, medications.get, damaged))
        medications.close()
        return done._replace(taken=taken, gathered=gathered)


_desk: Desk | None = None


def _sit_down(job: Job, parent: int) -> None:
    """Start of a worker. Ctrl-C is the parent's business; without a parent there is nothing left to do."""
    global _desk
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    _desk = Desk(job)
    gc.set_threshold(100_000, 20, 50)  # a chart is many small objects without cycles, gone as soon as it is assessed


def _leave_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _do(task: str, *arguments: Any) -> Any:
    if _desk is None:
        raise RuntimeError("a worker was asked before it was ready")
    return getattr(_desk, task)(*arguments)


class Crew:
    """Worker processes. Answers come in the order of the questions, whoever is quicker."""

    def __init__(self, job: Job, workers: int) -> None:
        compiled(job.content)  # compiled before they are forked, they share it; and so the models of what cards cite
        fhir.preload("Condition", "Observation")
        gc.collect()
        gc.freeze()  # the content is no garbage: looking through it at each collection would also end the sharing
        self._job, self._workers = job, workers
        self._pool: ProcessPoolExecutor | None = None

    def ask(self, task: str, questions: Iterator[tuple[Any, ...]]) -> Iterator[Any]:
        """Answers in order; never more than a few units are under way, so that memory stays bounded.

        Each task gets processes of its own: what malloc kept of the task before would come on top.
        """
        self.close()
        self._pool = ProcessPoolExecutor(
            self._workers, mp_context=get_context("fork"), initializer=_sit_down, initargs=(self._job, os.getpid())
        )
        waiting: list[Future[Any]] = []
        for question in questions:
            waiting.append(self._pool.submit(_do, task, *question))
            if len(waiting) >= self._workers * _AHEAD:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
