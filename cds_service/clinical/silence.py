"""What every question of the content is answered while the chart says nothing of it, worked out once.

A chart speaks of little, and the content asks for much. Each finding, each trigger and each hypothesis is put once to
a chart without an entry that notes what is looked at, by the question itself or by a finding that it asks for. Where
a real chart has nothing of that either, the answer must be what it was, and the question is not put again. So a
question must look at nothing but the case it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from itertools import compress
from typing import Any, TypeVar

from cds_service.clinical.chart import QUERIES, Patient
from cds_service.clinical.findings import Case, Finding
from cds_service.clinical.knowledge import Knowledge

Answer = TypeVar("Answer")
Questions = Callable[[Knowledge], Mapping[str, Callable[[Case], Any]]]

# What a question may look at, beside kinds of entries, concepts of a kind, and other findings.
_ALWAYS = ("the patient, the day, or the chart as a whole",)
_ONSET, _BANDS = ("onset",), ("bands",)
_BITS = 8  # of a byte
_WORKED_OUT = {name for name, part in vars(Case).items() if isinstance(part, cached_property)}


@dataclass(frozen=True)
class Silence:
    """The answers, by question; and which questions look at what, themselves or through a finding.

    ``readers`` has a byte for each question, which is 1 for one that looks at it; the bytes are one number, so that
    they are quickly joined.
    """

    answers: Mapping[str, Any]
    places: Mapping[str, int]  # the findings come first
    readers: Mapping[Hashable, int]

    def over(self, case: Case) -> bytes:
        """A byte for each question, which is 0 for one that looks at something this case has."""
        reached = 0
        for key in _said(case):
            reached |= self.readers.get(key, 0)
        return (self._all ^ reached).to_bytes(len(self.places), "little")

    def findings_in(self, silent: bytes) -> Iterator[tuple[str, Finding]]:
        """The findings that need not be judged."""
        return compress(self._findings, silent)

    @cached_property
    def _all(self) -> int:
        return int.from_bytes(b"\1" * len(self.places), "little")

    @cached_property
    def _findings(self) -> list[tuple[str, Finding]]:
        said = ((name, self.answers[name]) for name in self.places)
        return [(name, answer) for name, answer in said if isinstance(answer, Finding)]


def _said(case: Case) -> Iterator[Any]:
    yield _ALWAYS
    for query in QUERIES.keys() - case.chart.complete:
        yield "complete", query
    for kind, concepts in case.chart.carried.items():
        yield kind
        for concept in concepts:
            yield kind, concept
    for finding in case.heard:
        yield "heard", finding
    for analyte in case.bands:
        yield "band", analyte
    if case.bands:
        yield _BANDS
    if case.onset is not None:
        yield _ONSET


@lru_cache(maxsize=2)
def silence(knowledge: Knowledge, questions: Questions) -> Silence:
    """The answers for a chart without an entry whose queries were all answered to the end."""
    case = _SilentCase(knowledge)
    answers = {name: case.answer(name, ask) for name, ask in questions(knowledge).items()}
    answers.update(case.judge_all())
    findings_first = sorted(case.looked_at, key=lambda name: name not in knowledge.findings)
    places = {name: place for place, name in enumerate(findings_first)}
    readers: dict[Hashable, int] = {}
    # What asks for a finding was answered after it: its readers are complete once it is come to from the end.
    for name in reversed(case.looked_at):
        readers[name] = readers.get(name, 0) | 1 << _BITS * places[name]
        for key in case.looked_at[name]:
            readers[key] = readers.get(key, 0) | readers[name]
    return Silence(answers, places, {key: asked for key, asked in readers.items() if key not in places})


class _SilentCase(Case):
    """A patient of whom nothing is charted. It notes what each question looks at."""

    def __init__(self, knowledge: Knowledge) -> None:
        super().__init__(_SilentChart(self._note), date.max, knowledge)  # type: ignore[arg-type]
        self.looked_at: dict[str, set[Hashable]] = {}
        self._asking: list[set[Hashable]] = [set()]

    def _note(self, *keys: Hashable) -> None:
        self._asking[-1].update(keys)

    def __getitem__(self, finding: str) -> Finding:
        self._note(finding)
        return super().__getitem__(finding)

    def __missing__(self, finding: str) -> Finding:
        found = self[finding] = self.answer(finding, self.knowledge.findings[finding].judge)
        return found

    def answer(self, question: str, ask: Callable[[Case], Answer]) -> Answer:
        # What another question has worked out must be looked at again, or it would not be noted for this one.
        outer, self.newest_values = self.newest_values, {}
        worked_out = self._forget()
        self._asking.append(set())
        given = ask(self)
        self.looked_at[question] = self._asking.pop()
        self._forget()
        self.newest_values = outer
        vars(self).update(worked_out)
        return given

    def _forget(self) -> dict[str, Any]:
        return {name: vars(self).pop(name) for name in _WORKED_OUT & vars(self).keys()}

    @property
    def today(self) -> date:
        self._note(_ALWAYS)
        return date(2000, 1, 1)

    @today.setter
    def today(self, day: date) -> None:
        """The day does not matter here: who looks at it is always asked again."""

    @property
    def onset(self) -> None:
        self._note(_ONSET)

    @property
    def heard(self) -> Any:
        return _Nothing("heard", self._note)

    @property
    def bands(self) -> Any:
        return _Nothing("band", self._note)


class _Nothing:
    """An empty mapping that notes which key was asked for, or that all were. More raises."""

    def __init__(self, what: str, note: Callable[..., None]) -> None:
        self._what, self._note = what, note

    def get(self, key: str, default: Any = None) -> Any:
        self._note((self._what, key))
        return default

    def items(self) -> Any:
        self._note(_BANDS if self._what == "band" else _ALWAYS)
        return ()


class _Complete:
    """Every query was answered to the end. It notes which ones matter."""

    def __init__(self, note: Callable[..., None]) -> None:
        self._note = note

    def __contains__(self, query: str) -> bool:
        self._note(("complete", query))
        return True

    def __ge__(self, queries: frozenset[str]) -> bool:
        return all(query in self for query in queries)


class _SilentChart:
    """A chart without an entry."""

    def __init__(self, note: Callable[..., None]) -> None:
        self.complete, self._note = _Complete(note), note

    def all(self, kind: type) -> tuple[()]:
        self._note(kind)
        return ()

    def about(self, kind: type, concepts: frozenset[str]) -> tuple[()]:
        self._note(*((kind, concept) for concept in concepts))
        return ()

    def named(self, kind: type, words: Sequence[str]) -> tuple[()]:
        self._note(*[kind] * bool(words))
        return ()

    def about_or_named(self, kind: type, concepts: frozenset[str], words: Sequence[str]) -> tuple[()]:
        return self.about(kind, concepts) or self.named(kind, words)

    @property
    def patient(self) -> Patient:
        self._note(_ALWAYS)
        return Patient("")

    @property
    def entries(self) -> tuple[()]:
        self._note(_ALWAYS)
        return ()

    answered = gaps = entries
