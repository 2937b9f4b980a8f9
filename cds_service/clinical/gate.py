"""The entry gate: is muscle twitching charted, since when, and is it still a live question?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from cds_service.clinical.chart import Answer, Entry, Match, Problem, Quantity, Result, State, Visit
from cds_service.clinical.findings import Case, Evidence, Finding
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN, Presence, absent
from cds_service.clinical.spans import Span

TWITCHING_WORDS = "twitching_words"  # the concept under which intake files the words of the gate
GATE_ROLES = frozenset({"", "narrower", "words"})
SITE_ITEM = "site.where"


@dataclass(frozen=True)
class Gate:
    """entry-gate.yaml, compiled."""

    concepts: frozenset[str]
    words: tuple[str, ...]  # a text without any of them does not speak of twitching; cheap to see
    stems: re.Pattern[str]  # words that name twitching by themselves
    named: re.Pattern[str]  # any word that begins with a stem
    moving: re.Pattern[str]  # words that name it only beside a body word
    blocked: re.Pattern[str]
    observed_within: int
    stale_after: int

    @cached_property
    def all_concepts(self) -> frozenset[str]:
        return self.concepts | {TWITCHING_WORDS}

    def may_speak_of_twitching(self, text: str) -> bool:
        """A first, cheap look at a text, before negation is considered."""
        for word in self.words:  # not any(): this is asked of every wording of every chart
            if word in text:
                return bool(self.stems.search(text) or self.moving.search(text))
        return False

    def statements(self, case: Case) -> Iterator[tuple[Entry, bool]]:
        """Every statement about twitching: the entry, and whether it says that it is there."""
        for problem in case.chart.about(Problem, self.all_concepts):
            if self._name_it(problem.codes):
                yield problem, problem.state is State.CURRENT
        for result in case.chart.about(Result, self.all_concepts):
            says = self.says(result)
            recent = result.when is not None and result.when.within(self.observed_within, case.today) is not False
            if says is False or (says and recent):
                yield result, says
        for visit in case.chart.about(Visit, self.all_concepts):
            if self._name_it(visit.codes) and visit.status in ("in-progress", "arrived", "triaged"):
                yield visit, True
        for answer in case.chart.all(Answer):
            when = answer.when if answer.item == SITE_ITEM and answer.values else None
            if when is not None and when.within(self.observed_within, case.today):
                yield answer, True

    def _name_it(self, codes: Iterable[Match]) -> bool:
        return any(m.concept in self.all_concepts and m.role in GATE_ROLES for m in codes)

    def says(self, result: Result) -> bool | None:
        """Whether a result says that there is twitching: by its value, or because its value is twitching."""
        if any(m.concept in self.concepts and m.role in GATE_ROLES for m in result.value_codes):
            return True
        named = self._name_it(result.codes)
        return {"yes": True, "no": False}.get(result.says, result.says_twitching) if named else None

    def stated_onset(self, case: Case) -> Span | None:
        """The earliest onset that is stated for it: on the form, else on a current problem."""
        dated = [a for a in case.chart.all(Answer) if a.item == "onset.date" and a.values]
        if dated:
            newest = max(dated, key=lambda a: (a.last_day, a.reference))
            onset = Span.parse(newest.values[0])
            if onset is not None:
                return onset
        stated = [
            entry.onset
            for entry, says in case.twitching
            if says and isinstance(entry, Problem) and entry.onset is not None
        ]
        return min(stated, default=None)


def charted_twitching(case: Case) -> Finding:
    """Present when the newest statement says so; absent when the newest takes it back."""
    says = [entry for entry, there in case.twitching if there]
    denies = [entry for entry, there in case.twitching if not there]
    standing = any(isinstance(entry, Problem | Visit) for entry in says)
    if not says or (not standing and denies and max(map(_charted, denies)) > max(map(_charted, says))):
        return Finding("twitch_current", ABSENT if denies else UNKNOWN, tuple(map(Evidence.of, denies)))
    newest_first = sorted(says, key=lambda e: (_charted(e), e.reference), reverse=True)
    return Finding("twitch_current", PRESENT, tuple(map(Evidence.of, newest_first)))


def _charted(entry: Entry) -> date:
    """The day on which a statement was made: recording and onset both count as signs of life."""
    return max((span.last for span in (*_dates(entry), getattr(entry, "ended", None)) if span), default=date.min)


def _dates(entry: Entry) -> list[Span]:
    return [span for span in (entry.when, getattr(entry, "recorded", None)) if span is not None]


def _dates_charted(case: Case) -> list[Span]:
    """Onsets and days of recording of all that says that there is twitching."""
    return [span for entry, says in case.twitching if says for span in _dates(entry)]


def ended_twitching(case: Case) -> Finding:
    """The entry was refuted or has ended, and nothing newer says otherwise."""
    current = case["twitch_current"]
    return Finding("twitch_refuted", absent(current.presence), current.evidence)


def stale_twitching(case: Case) -> Finding:
    """No evidence within a year and no contact in 90 days; unanswered encounters are never stale."""
    current, charted = case["twitch_current"], _dates_charted(case)
    if not current.present or not charted:
        return Finding("stale", UNKNOWN)
    if any(span.within(case.knowledge.gate.stale_after, case.today) is not False for span in charted):
        return Finding("stale", ABSENT, current.evidence)
    return Finding("stale", absent(case["recent_encounter_90d"].presence), current.evidence)


def days_since_onset(case: Case) -> Finding:
    """Exact from a stated onset; else an interval from the form; else at least the days charted."""
    today = case.today
    evidence = case["twitch_current"].evidence
    if case.onset is not None:
        low, high = case.onset.days_ago(today), max(0, (today - case.onset.first).days)
        return _duration(low, high, f"{low} days" if low == high else f"{low} to {high} days", evidence)
    answers = [a for a in case.chart.all(Answer) if a.item == "onset.ago" and a.number is not None and a.when]
    if answers:
        answer = max(answers, key=lambda a: (a.last_day, a.reference))
        began, passed = int(answer.number or 0), max(0, (today - answer.last_day).days)
        low, top = began + passed, _AGO_TOP.get(began)
        text = f"at least {low} days" if top is None else f"{low} to {top + passed} days"
        return _duration(low, float("inf") if top is None else top + passed, text, (Evidence.of(answer),))
    least = max((span.days_ago(today) for span in _dates_charted(case)), default=0)
    if least < 1:
        # A bare entry of today says nothing about when it began.
        return Finding("duration_days", UNKNOWN, against=evidence)
    return _duration(least, float("inf"), f"at least {least} days", evidence)


_AGO_TOP = {0: 13, 14: 27, 28: 83}


def _duration(low: float, high: float, text: str, evidence: tuple[Evidence, ...]) -> Finding:
    return Finding("duration_days", PRESENT, evidence, value=Quantity(low, high, "days", text))


def onset_stated(case: Case) -> Finding:
    """Whether onset is stated, exactly or as an interval, rather than inferred from charting."""
    value = case["duration_days"].value
    if value is not None and value.high != float("inf"):
        return Finding("duration_known", PRESENT, case["duration_days"].evidence)
    from_form = any(a.item == "onset.ago" and a.number is not None for a in case.chart.all(Answer))
    return Finding("duration_known", Presence.of(from_form), case["duration_days"].evidence)
