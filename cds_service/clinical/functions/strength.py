"""Named functions about graded strength and the neurological examination."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from itertools import combinations

from cds_service import units
from cds_service.clinical.chart import Answer, Entry, Problem, Result, State
from cds_service.clinical.findings import Case, Evidence, Finding, Judge, merged
from cds_service.clinical.formula import compile_formula, named_in
from cds_service.clinical.functions.registry import Kind, Parameters, named
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN
from cds_service.clinical.sides import sides_in
from cds_service.clinical.spans import Span, days_of, days_or_none
from cds_service.clinical.tokens import tokens


def _grades(case: Case) -> Iterator[list[Result]]:
    """Dated strength grades by muscle and side, oldest first."""
    by_muscle: dict[tuple[str, frozenset[tuple[str, str]]], list[Result]] = {}
    for result in case.graded:
        if result.when is not None:
            key = (result.muscle, frozenset((s.region, s.side) for s in result.sites))
            by_muscle.setdefault(key, []).append(result)
    for key in sorted(by_muscle, key=repr):
        yield sorted(by_muscle[key], key=lambda r: (r.last_day, r.reference))


@named(
    may={
        "by": Kind.GRADE,
        "apart_at_least": Kind.DURATION,
        "apart_at_most": Kind.DURATION,
        "newest_within": Kind.DURATION,
        "steady_over": Kind.DURATION,
        "from_full": Kind.YES,
    }
)
def power_falls(finding: str, with_: Parameters) -> Judge:
    """Two dated grades of one muscle, the newer one lower; absent when grades hold steady."""
    by = units.split(with_.get("by", "0.5 grade"))[0]
    least, most = days_of(with_.get("apart_at_least", "0 days")), days_or_none(with_, "apart_at_most")
    recent, steady = days_or_none(with_, "newest_within"), days_or_none(with_, "steady_over")
    from_full = bool(with_.get("from_full", False))

    def judge(case: Case) -> Finding:
        held = None
        for older, newer in ((a, b) for grades in _grades(case) for a, b in combinations(grades, 2)):
            if older.grade is None or newer.grade is None or older.when is None or newer.when is None:
                continue
            apart = (newer.when.last - older.when.last).days
            in_time = recent is None or newer.when.within(recent, case.today) is True
            fell = newer.grade <= older.grade - by and (older.grade == 5 or not from_full)
            if fell and apart >= least and (most is None or apart <= most) and in_time:
                evidence = tuple(Evidence.of(r, f"grade {r.grade:g} of 5") for r in (newer, older))
                return Finding(finding, PRESENT, evidence, sites=newer.sites)
            if steady is not None and apart >= steady and newer.grade >= older.grade:
                held = newer
        if held is not None:
            return Finding(finding, ABSENT, (Evidence.of(held, f"grade {held.grade:g} of 5"),))
        return Finding(finding, UNKNOWN)

    return judge


def _weakness_began(case: Case, since: str) -> date | None:
    """The latest day on which a weakness that is reported now may have begun; None where no beginning is stated.

    ``since``: the item of the history form that asks for it. The day of an entry without an onset is no beginning.
    """
    reported = case["weak_reported"]
    if not reported.present:
        return None
    named_by = {evidence.reference for evidence in reported.evidence}
    began = [
        min(problem.onset.last, problem.recorded.last if problem.recorded else case.today)
        for problem in case.chart.all(Problem)
        if problem.onset is not None and problem.reference in named_by
    ]
    for answer in case.chart.all(Answer):
        for span in (Span.parse(value) for value in answer.values if answer.item == since):
            if span is not None:
                began.append(min(span.last, answer.when.last if answer.when else case.today))
    return max(began, default=None)


@named(
    may={
        "parts": [Kind.FORMULA],
        "whole": [Kind.FINDING],
        "unless": [Kind.FINDING],
        "apart_at_most": Kind.DURATION,
        "counts_for": Kind.DURATION,
        "if_weakness_reported": Kind.DURATION,
        "if_onset_unknown": Kind.DURATION,
        "weakness_since": Kind.ITEM,
    }
)
def examination(finding: str, with_: Parameters) -> Judge:
    """All parts documented as required, after onset and close together; abnormal parts make it absent."""
    parts = [compile_formula(part) for part in with_.get("parts", ())]
    unless = tuple(with_.get("unless", ()))
    apart = days_of(with_.get("apart_at_most", "14 days"))
    usual = with_.get("counts_for", "90 days")
    counts_for, if_weak, no_onset = (
        days_of(with_.get(key, usual)) for key in ("counts_for", "if_weakness_reported", "if_onset_unknown")
    )
    since = with_.get("weakness_since")
    whole = tuple(with_.get("whole", ()))
    examined = sorted({*whole, *named_in(list(with_.get("parts", ())))})

    def in_time(when: Span | None, case: Case) -> bool:
        if when is None or (case.onset is not None and when.first < case.onset.first):
            return False
        began = None if since is None else _weakness_began(case, str(since))
        if began is not None and when.first < began:
            return False  # power was full before it was lost
        days = if_weak if case["weak_reported"].present else counts_for
        return when.within(days if case.onset is not None else min(days, no_onset), case.today) is True

    def judge(case: Case) -> Finding:
        abnormal = [case[sign] for sign in unless if case[sign].present]
        if abnormal:
            return merged(finding, ABSENT, abnormal)
        stated = [case[name] for name in whole if case[name].present and in_time(case[name].newest, case)]
        if stated:
            return merged(finding, PRESENT, stated)
        found = [part(case) for part in parts]
        earlier = tuple(dict.fromkeys(e for name in examined for e in (*case[name].denied, *case[name].evidence)))
        if not found or not all(f.present and in_time(f.newest, case) for f in found):
            return Finding(finding, UNKNOWN, against=earlier)
        days = [f.newest.last for f in found if f.newest]
        if (max(days) - min(days)).days > apart:
            return Finding(finding, UNKNOWN)
        return merged(finding, PRESENT, found)

    return judge


@named(
    needs={"signs": [Kind.FINDING], "diagnoses": [Kind.CONCEPT]},
    may={"before": Kind.DURATION, "new_after": Kind.DURATION},
)
def explained_by_earlier(finding: str, with_: Parameters) -> Judge:
    """An older diagnosis explains a sign that was already charted near it; a new sign is not explained."""
    signs = tuple(with_["signs"])
    diagnosed = compile_formula({"of_codes": {"problem": list(with_["diagnoses"]), "state": "ever"}})
    before, new_after = days_of(with_.get("before", "30 days")), days_of(with_.get("new_after", "90 days"))

    def judge(case: Case) -> Finding:
        diagnosis = diagnosed(case)
        if not diagnosis.present:
            return Finding(finding, ABSENT if "conditions" in case.chart.complete else UNKNOWN)
        first = min((e.when for e in diagnosis.evidence if e.when), default=None)
        # Old examinations count here, although they are too old to show the sign today.
        seen = [
            e.when
            for sign in signs
            for e in (*case[sign].evidence, *case[sign].against)
            if case[sign].present and e.when
        ]
        if first is None or not seen:
            return Finding(finding, UNKNOWN)
        oldest, newest = min(seen), max(seen)
        lasted = (newest.first - oldest.last).days >= new_after
        if lasted and (oldest.first - first.last).days >= before:
            return merged(finding, PRESENT, [diagnosis])
        looked = [e.when for sign in signs for e in case[sign].denied if e.when]
        free_between = any(first.last < day.first < oldest.first for day in looked)
        return Finding(finding, ABSENT if free_between else UNKNOWN, diagnosis.evidence)

    return judge


@named(
    needs={
        "sign": Kind.FINDING,
        "complaints": [Kind.FINDING],
        "normal": [Kind.FINDING],
        "unless": [Kind.FINDING],
        "diagnoses": [Kind.CONCEPT],
        "paresis": [Kind.CONCEPT],
        "older_than": Kind.DURATION,
        "together": Kind.DURATION,
        "severe_below": Kind.GRADE,
    }
)
def weakness_of_old_lesion(finding: str, with_: Parameters) -> Judge:
    """Weakness on the side of a paresis that came with an old lesion of the brain; absent where anything is unsure."""
    sign, complaints, newer = with_["sign"], tuple(with_["complaints"]), tuple(with_["unless"])
    normal = tuple(with_["normal"])
    lesions, pareses = frozenset(with_["diagnoses"]), frozenset(with_["paresis"])
    old, together = days_of(with_["older_than"]), days_of(with_["together"])
    severe_below = units.split(with_["severe_below"])[0]

    def judge(case: Case) -> Finding:
        weak = case[sign]
        if not weak.present:
            return Finding(finding, UNKNOWN)
        charted = [p for p in case.chart.about(Problem, lesions) if p.state is not State.REFUTED and p.when is not None]
        if not charted or any(p.when and p.when.within(old, case.today) is not False for p in charted):
            return Finding(finding, ABSENT if "conditions" in case.chart.complete else UNKNOWN)
        on_file = _pareses(case, pareses)
        of_it = [p for p in on_file if any(_together(p, lesion, together) for lesion in charted)]
        if not of_it:
            return Finding(finding, UNKNOWN)
        since = max(p.last_day for p in of_it)
        named_by = {evidence.reference for evidence in weak.evidence}
        weakened = [entry for entry in case.chart.entries if entry.reference in named_by and entry not in of_it]
        reported = [e.when for name in complaints if case[name].present for e in case[name].evidence]
        looked = [
            *weak.denied,
            *(e for name in normal for e in (*case[name].evidence, *case[name].against, *case[name].denied)),
        ]
        speaks_against = (
            len(of_it) < len(on_file) + sum(1 for p in case.chart.about(Problem, pareses) if p.state is State.REFUTED)
            or any(isinstance(p, Problem) and (p.state is not State.CURRENT or not p.confirmed) for p in of_it)
            or any(isinstance(entry, Problem) for entry in weakened)
            or any(isinstance(e, Result) and e.grade is not None and e.grade < severe_below for e in weakened)
            or any(when is None or when.last > since for when in reported)
            or any(e.when is None or e.when.last > since for e in looked)
            or any(r.last_day > since and r.grade == 5 and _sides(r) <= _sides(of_it[0]) for r in case.graded)
            or any(case[name].present for name in newer)
            or not _one_side_of(weakened, of_it)
        )
        if speaks_against or not named_by <= {entry.reference for entry in (*weakened, *of_it)}:
            return Finding(finding, ABSENT)
        return Finding(finding, PRESENT, tuple(Evidence.of(entry) for entry in (*charted, *of_it)))

    return judge


def _pareses(case: Case, concepts: frozenset[str]) -> list[Entry]:
    problems = [p for p in case.chart.about(Problem, concepts) if p.state is not State.REFUTED]
    return [*problems, *(r for r in case.chart.about(Result, concepts) if r.says != "unsure")]


def _together(paresis: Entry, lesion: Problem, days: int) -> bool:
    if paresis.when is None or lesion.when is None or (isinstance(paresis, Result) and paresis.says != "yes"):
        return False
    return abs((paresis.when.first - lesion.when.first).days) <= days


_SIDED_PARESIS = re.compile(r"G8(?:1\.[019]|3\.[123])([1-4])$")


def _sides(entry: Entry) -> set[str]:
    """The sides that an entry records: as a body site, in an ICD-10-CM code of a paresis or in its words."""
    sides = {site.side for site in entry.sites} - {""}
    digits = [found[1] for match in entry.codes if (found := _SIDED_PARESIS.match(match.code))]
    sides.update("right" if digit in "13" else "left" for digit in digits)
    for text in (entry.title, *entry.texts):
        sides.update(sides_in(list(tokens(text))))
    return sides


def _one_side_of(weakened: list[Entry], pareses: list[Entry]) -> bool:
    """All that is weak and every paresis has a recorded side, and it is the same; one limb stands for no other."""
    sides = [_sides(entry) for entry in (*weakened, *pareses)]
    if not weakened or any(len(recorded) != 1 or recorded != sides[0] or "both" in recorded for recorded in sides):
        return False
    regions = {site.region for entry in weakened for site in entry.sites}
    whole_side = all(any(match.concept == "hemiparesis" for match in entry.codes) for entry in pareses)
    limbs = {"arm", "leg"} if whole_side else {site.region for entry in pareses for site in entry.sites}
    return bool(regions) and regions <= (limbs & {"arm", "leg"})
