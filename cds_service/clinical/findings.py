"""A finding: present, absent or unknown, with the evidence that makes it so.

What each chart makes hundreds of are msgspec Structs, which are made faster than tuples with names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, structs

from cds_service.clinical.chart import Chart, Entry, Medicine, Quantity, Report, Result, Site
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN, Presence
from cds_service.clinical.spans import Span
from cds_service.clinical.words import Heard

if TYPE_CHECKING:
    from cds_service.clinical.analytes import LabValue
    from cds_service.clinical.knowledge import DrugClass, Knowledge
    from cds_service.clinical.silence import Silence

ACUTE_DAYS = 3  # 72 hours, in calendar days because records often carry only dates
ACUTE_DAYS_IN_ENCOUNTER = 7
CHRONIC_GAP_DAYS = 14  # a lasting sign is not gone because one look the week after missed it


class Evidence(Struct, frozen=True, gc=False):
    """Why a finding is what it is: the resource, its words, its date and its value."""

    reference: str
    title: str
    when: Span | None = None
    value: str = ""

    @classmethod
    def of(cls, entry: Entry, value: str = "") -> Evidence:
        return cls(entry.reference, entry.title, entry.when, value)


class Finding(Struct, frozen=True, gc=False):
    """The verdict on one patient."""

    id: str
    presence: Presence
    evidence: tuple[Evidence, ...] = ()
    against: tuple[Evidence, ...] = ()  # charted, but too old or contradicted by newer evidence
    denied: tuple[Evidence, ...] = ()  # every documented absence, however old
    value: Quantity | None = None
    sites: tuple[Site, ...] = ()

    @property
    def present(self) -> bool:
        return self.presence is PRESENT

    @property
    def newest(self) -> Span | None:
        return max((e.when for e in self.evidence if e.when), key=lambda w: w.last, default=None)


class Statement(Struct, frozen=True, gc=False):
    """One thing the record says for or against a finding, before it is weighed."""

    evidence: Evidence
    when: Span | None
    standing: bool = False  # a current problem: it counts while it is current
    this_encounter: bool = False
    sites: tuple[Site, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """How long statements about a finding count, in days."""

    present: int | None = None
    absent: int | None = 90
    acute: bool = False
    lasting: bool = False
    before_onset: int | None = None  # older than this before onset is pre-existing; None: always counts
    absent_after_onset: bool = False


Item = TypeVar("Item")
Observer = Callable[["Case"], Iterable[Statement]]
Judge = Callable[["Case"], Finding]


@dataclass(frozen=True)
class FindingDefinition:
    """A finding as the content defines it, compiled."""

    id: str
    title: str
    kind: str
    judge: Judge
    concepts: frozenset[str] = frozenset()  # of problems and results; without any, words may always speak
    names_a_cause: bool = False  # what a card without causes of its own does not pass over


class Case(dict[str, Finding]):
    """One patient on one day: the chart, and every finding judged so far; one that is not, is when it is asked for.

    A dictionary, as every formula looks findings up in it.
    """

    def __init__(self, chart: Chart, today: date, knowledge: Knowledge) -> None:
        super().__init__()
        self.chart = chart
        self.today = today
        self.knowledge = knowledge
        self._silence: Silence | None = None
        self._silent = b""
        self.newest_values: dict[str, LabValue | None] = {}

    def __missing__(self, finding: str) -> Finding:
        found = self[finding] = self.knowledge.findings[finding].judge(self)
        return found

    def answer(self, question: str, ask: Callable[[Case], Item]) -> Item:
        """What ``ask`` says of this case. Not asked where all that it looks at is as on a silent chart."""
        silence = self._silence
        if silence is None or not self._silent[silence.places[question]]:
            return ask(self)
        known: Item = silence.answers[question]
        return known

    def listen(self, silence: Silence) -> Case:
        """Find out what the chart speaks of, so that from now on nothing else is asked. Until then everything is.

        So findings must come of the chart: a case whose facts are given listens to nothing.
        """
        self._silent = silence.over(self)
        self._silence = silence
        self.update(silence.findings_in(self._silent))
        return self

    def judge_all(self) -> Mapping[str, Finding]:
        return {finding: self[finding] for finding in sorted(self.knowledge.findings)}

    @cached_property
    def onset(self) -> Span | None:
        """When the twitching began, if the record states it. A charting date is no onset."""
        return self.knowledge.gate.stated_onset(self)

    @cached_property
    def twitching(self) -> tuple[tuple[Entry, bool], ...]:
        """Every statement about twitching: the entry, and whether it says that it is there."""
        return tuple(self.knowledge.gate.statements(self))

    @cached_property
    def heard(self) -> Mapping[str, tuple[tuple[Entry, Heard], ...]]:
        """What the texts of the record say, by finding."""
        said: dict[str, list[tuple[Entry, Heard]]] = {}
        listen = cache(self.knowledge.phrase_book.listen)  # records repeat their words
        for entry in self.chart.entries:
            for text in entry.texts:
                for heard in listen(text):
                    if not self._may_speak(entry, heard.finding):
                        continue
                    said.setdefault(heard.finding, []).append((entry, heard))
        return {finding: tuple(pairs) for finding, pairs in said.items()}

    def _may_speak(self, entry: Entry, finding: str) -> bool:
        """Where a code says what an entry is, its words count only for findings that have no code.

        What a report of EMG or imaging names is neither a complaint nor a sign.
        """
        definition = self.knowledge.findings.get(finding)
        if definition is None:
            return True
        if isinstance(entry, Report):
            return definition.kind not in ("symptom", "exam")
        return not (entry.coded and definition.concepts)

    @cached_property
    def medicines(self) -> tuple[tuple[Medicine, tuple[DrugClass, ...]], ...]:
        """Every medicine with the classes of the content that it belongs to."""
        return tuple((medicine, self.knowledge.classes_of(medicine)) for medicine in self.chart.all(Medicine))

    @cached_property
    def medicine_changes(self) -> Mapping[str, list[Span]]:
        """Days on which a medicine was started or changed, by each analyte that it alters."""
        changes: dict[str, list[Span]] = {}
        for medicine, classes in self.medicines:
            days = [span for span in (medicine.when, medicine.last_change) if span is not None]
            for analyte in frozenset[str]().union(*(c.affects for c in classes)):
                changes.setdefault(analyte, []).extend(days)
        return changes

    @cached_property
    def graded(self) -> tuple[Result, ...]:
        """Results that are a grade of muscle strength."""
        return tuple(result for result in self.chart.all(Result) if result.grade is not None)

    @cached_property
    def uncounted(self) -> tuple[tuple[Evidence, str], ...]:
        """Recent values of known tests that are shown and take part in nothing, each with the reason."""
        from cds_service.clinical.analytes import uncounted_values

        return uncounted_values(self)

    @cached_property
    def bands(self) -> Mapping[str, tuple[LabValue, str]]:
        """The newest value in its window and its band, for every analyte that has one."""
        from cds_service.clinical.analytes import current_bands

        return current_bands(self)


def settle(
    finding: str, present: Iterable[Statement], absent: Iterable[Statement], window: Window, case: Case
) -> Finding:
    """Weigh what the record says: the newest dated evidence wins, presence on the same day.

    Too old for the window, or from before the twitching, is kept as evidence against.
    """
    present, absent = list(present), list(absent)
    if not present and not absent:  # as nearly every finding of nearly every chart
        return Finding(finding, UNKNOWN)
    shown: list[Statement] = []
    aged: list[Statement] = []
    for statement in present:
        (shown if _shows(statement, window, case) else aged).append(statement)
    denied = [statement for statement in absent if _denies(statement, window, case)]
    if shown and denied and _cancelled(shown, denied, window):
        aged, shown = aged + shown, []
    newest_first = sorted(shown or denied, key=_recency, reverse=True)
    return Finding(
        finding,
        PRESENT if shown else ABSENT if denied else UNKNOWN,
        _evidence(newest_first),
        _evidence(aged),
        _evidence(absent),
        sites=tuple(dict.fromkeys(site for s in newest_first for site in s.sites)) if shown else (),
    )


def _shows(statement: Statement, window: Window, case: Case) -> bool:
    when = statement.when
    if window.acute:
        if when is None:
            return False
        if when.within(ACUTE_DAYS, case.today):
            return True
        return statement.this_encounter and when.within(ACUTE_DAYS_IN_ENCOUNTER, case.today) is True
    if statement.standing or when is None:
        return True
    if window.present is not None and when.within(window.present, case.today) is False:
        return False
    return not _pre_existing(when, window, case)


def _pre_existing(when: Span, window: Window, case: Case) -> bool:
    if window.before_onset is None or case.onset is None:
        return False
    return when.last < case.onset.shifted(-window.before_onset).first


def _denies(statement: Statement, window: Window, case: Case) -> bool:
    """Undated documentation can show presence, never absence."""
    when = statement.when
    if statement.standing:
        return True
    if when is None:
        return False
    days = ACUTE_DAYS if window.acute else window.absent
    if days is not None and when.within(days, case.today) is not True:
        return False
    if window.absent_after_onset and case.onset is not None:
        return when.first >= case.onset.first
    return True


def _cancelled(shown: list[Statement], denied: list[Statement], window: Window) -> bool:
    """Whether the newest denial takes back the newest presence."""
    newest, denial = max(shown, key=_recency), max(denied, key=_recency)
    if newest.when is None or denial.when is None:
        return newest.when is None and denial.when is not None and not newest.standing
    if not window.lasting:
        # "2026" does not take back what was found in June 2026.
        return denial.when.last > newest.when.last and denial.when.first >= newest.when.first
    regions = {site.region for s in shown for site in s.sites}
    looked_at = {site.region for site in denial.sites}
    return (denial.when.last - newest.when.last).days >= CHRONIC_GAP_DAYS and (
        not regions or not looked_at or regions <= looked_at
    )


def _recency(statement: Statement) -> tuple[date, str, str]:
    when = statement.when.last if statement.when else date.min
    return when, statement.evidence.reference, statement.evidence.value


def _evidence(statements: Iterable[Statement]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(statement.evidence for statement in statements))


def merged(finding: str, presence: Presence, parts: Iterable[Finding]) -> Finding:
    """A finding made of others: it carries the evidence of the parts that decide it."""
    evidence: tuple[Evidence, ...] = ()
    sites: tuple[Site, ...] = ()
    for part in parts:  # most have nothing to add
        if part.evidence:
            evidence = _joined(evidence, part.evidence)
        if part.sites:
            sites = _joined(sites, part.sites)
    return Finding(finding, presence, evidence, sites=sites)


def _joined(some: tuple[Item, ...], others: tuple[Item, ...]) -> tuple[Item, ...]:
    """Each once, in their order."""
    if some is others:
        return some
    return tuple(dict.fromkeys(some + others)) if some else others


def renamed(finding: Finding, new_id: str) -> Finding:
    return structs.replace(finding, id=new_id)
