"""Named functions about laboratory results and measurements."""

from __future__ import annotations

from datetime import date
from itertools import chain

from cds_service import units
from cds_service.clinical.analytes import (
    CRITICAL_DAYS,
    NORMAL_BANDS,
    LabValue,
    band,
    every_value,
    has_number,
    impossible_criticals,
    is_child,
    newest_value,
    preliminary_values,
)
from cds_service.clinical.chart import CRITICAL_FLAGS, UNNAMED_RESULT, Result
from cds_service.clinical.findings import Case, Evidence, Finding, Judge
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.functions.registry import Kind, OneOrMore, Parameters, named
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN
from cds_service.clinical.spans import days_of


@named(may={"collected_within": Kind.DURATION, "also": [{"when": Kind.FORMULA, "analyte": Kind.ANALYTE}]})
def critical_results(finding: str, with_: Parameters) -> Judge:
    """A newest value beyond its critical limit, flagged critical by the laboratory, or critical with a sign."""
    collected = days_of(with_.get("collected_within", f"{CRITICAL_DAYS} days"))
    also = [(compile_formula(row["when"]), row["analyte"]) for row in with_.get("also", ())]

    def judge(case: Case) -> Finding:
        found: dict[str, LabValue] = {}
        for analyte, (lab, where) in case.bands.items():
            recent = lab.result.when is not None and lab.result.when.within(collected, case.today)
            if lab.analyte.can_be_critical and where.startswith("critical") and recent:
                found[analyte] = lab
        for formula, analyte in also:
            value = newest_value(case.knowledge.analytes[analyte], case)
            when = value.result.when if value is not None else None
            if value is not None and when is not None and when.within(collected, case.today) and formula(case).present:
                found[analyte] = value
        return _of_values(finding, found, case)

    return judge


@named(needs={"collected_within": Kind.DURATION})
def preliminary_criticals(finding: str, with_: Parameters) -> Judge:
    """A critical value, not final or impossible as written, that no final one of that day or later replaces."""
    collected = days_of(with_["collected_within"])

    def judge(case: Case) -> Finding:
        found: dict[str, LabValue] = {}
        for analyte in case.knowledge.analytes.values():
            if not analyte.can_be_critical or analyte.any_of or analyte.compute:
                continue
            for lab in chain(preliminary_values(analyte, case), impossible_criticals(analyte, case)):
                taken = lab.result.when
                if taken is None or not taken.within(collected, case.today):
                    continue
                final = newest_value(analyte, case)
                replaced = final is not None and final.result.when is not None and final.result.when.last >= taken.last
                if not replaced and band(lab, is_child(case)).startswith("critical"):
                    found[analyte.id] = lab
        return _of_values(finding, found, case) if found else Finding(finding, UNKNOWN)

    return judge


_MOST_UNREAD = 10  # named as evidence; who has more is found by them as well


@named(needs={"collected_within": Kind.DURATION, "besides": [Kind.CONCEPT]})
def unread_criticals(finding: str, with_: Parameters) -> Judge:
    """What the laboratory flags as critical and nothing here compares, unless a later result takes its place."""
    collected, besides = days_of(with_["collected_within"]), frozenset(with_["besides"])

    def judge(case: Case) -> Finding:
        flagged = (result for result in case.chart.all(Result) if result.flags & CRITICAL_FLAGS)
        found = [r for r in flagged if r.when is not None and r.when.within(collected, case.today)]
        # AA alone says that a text is abnormal: a culture or a smear is no value that harms by itself.
        known = [r for r in found if (r.value or r.flags & {"LL", "HH"}) and not _is_compared(r, besides, case)]
        replaced_on = _last_unflagged(case) if known else {}
        unread = [r for r in known if replaced_on.get(r.title, r.last_day) <= r.last_day]
        if not unread:
            return Finding(finding, UNKNOWN)
        newest_first = sorted(unread, key=lambda r: (r.last_day, r.reference, r.title), reverse=True)
        newest = {result.title: result for result in reversed(newest_first)}
        # A test that is repeated many times must not hide another one.
        newest_first.sort(key=lambda r: newest[r.title] is not r)
        return Finding(finding, PRESENT, tuple(map(_as_flagged, newest_first[:_MOST_UNREAD])))

    return judge


def _last_unflagged(case: Case) -> dict[str, date]:
    """By name, the last day with a final value that is not flagged: not a spoiled sample, nor one under way."""
    days: dict[str, date] = {}
    for result in case.chart.all(Result):
        counts = result.final and result.value is not None and not result.flags & CRITICAL_FLAGS
        if counts and result.title != UNNAMED_RESULT:
            days[result.title] = max(result.last_day, days.get(result.title, result.last_day))
    return days


def _is_compared(result: Result, besides: frozenset[str], case: Case) -> bool:
    """Whether its number is read elsewhere, or a readable value of that day or later takes its place."""
    concepts = {match.concept for match in result.codes}
    if concepts & besides:
        return True
    for analyte in case.knowledge.analytes.values():
        if analyte.any_of or analyte.concepts.isdisjoint(concepts):
            continue
        newest = newest_value(analyte, case)
        if has_number(analyte, result) or (newest is not None and newest.result.last_day >= result.last_day):
            return True
    return False


def _as_flagged(result: Result) -> Evidence:
    value = result.value.as_reported if result.value else result.value_text
    return Evidence.of(result, f"{value} flagged critical by the laboratory".strip())


def _of_values(finding: str, found: dict[str, LabValue], case: Case) -> Finding:
    if found:
        dangerous_first = sorted(found.values(), key=lambda lab: (lab.analyte.danger, lab.analyte.id))
        return Finding(finding, PRESENT, tuple(lab.evidence for lab in dangerous_first))
    return Finding(finding, ABSENT if "labs" in case.chart.complete else UNKNOWN)


@named(needs={"analytes": [OneOrMore(Kind.ANALYTE)], "after": Kind.ANALYTE})
def result_after(finding: str, with_: Parameters) -> Judge:
    """Companion results were collected on or after the day of another result."""
    wanted, after = tuple(with_["analytes"]), with_["after"]

    def judge(case: Case) -> Finding:
        first = newest_value(case.knowledge.analytes[after], case)
        if first is None or first.result.when is None:
            return Finding(finding, UNKNOWN)
        found = []
        for analyte in wanted:
            alternatives = [analyte] if isinstance(analyte, str) else analyte
            later = [
                lab
                for name in alternatives
                for lab in every_value(case.knowledge.analytes[name], case)
                if lab.result.when is not None and lab.result.when.last >= first.result.when.first
            ]
            if not later:
                return Finding(finding, ABSENT if "labs" in case.chart.complete else UNKNOWN)
            found.append(max(later, key=lambda lab: lab.result.reference))
        return Finding(finding, PRESENT, tuple(lab.evidence for lab in found))

    return judge


@named(needs={"analytes": [OneOrMore(Kind.ANALYTE)]})
def normal_once(finding: str, with_: Parameters) -> Judge:
    """Each analyte has a result from after the stated onset, and its newest one is normal."""
    groups = [[name] if isinstance(name, str) else list(name) for name in with_["analytes"]]

    def judge(case: Case) -> Finding:
        evidence = []
        for group in groups:
            newest = [newest_value(case.knowledge.analytes[name], case) for name in group]
            normal = [lab for lab in newest if lab is not None and _normal_since_onset(lab, case)]
            if not normal:
                return Finding(finding, UNKNOWN)
            evidence.append(normal[0].evidence)
        return Finding(finding, PRESENT, tuple(evidence))

    return judge


def _normal_since_onset(lab: LabValue, case: Case) -> bool:
    when = lab.result.when
    after_onset = case.onset is not None and when is not None and when.first >= case.onset.first
    return after_onset and band(lab, is_child(case)) in NORMAL_BANDS


@named(needs={"analyte": Kind.ANALYTE, "apart_at_least": Kind.DURATION}, may={"below": Kind.LIMIT, "above": Kind.LIMIT})
def repeated_results(finding: str, with_: Parameters) -> Judge:
    """Two results beyond a limit, some time apart, so that one bad day is not taken for a state."""
    name, apart = with_["analyte"], days_of(with_["apart_at_least"])
    below, above = (units.split(with_[word])[0] if word in with_ else None for word in ("below", "above"))

    def judge(case: Case) -> Finding:
        beyond = [
            lab
            for lab in every_value(case.knowledge.analytes[name], case)
            if (below is not None and lab.value.high < below) or (above is not None and lab.value.low > above)
        ]
        days = [lab.result.when for lab in beyond if lab.result.when is not None]
        if days and (max(day.first for day in days) - min(day.last for day in days)).days >= apart:
            return Finding(finding, PRESENT, tuple(lab.evidence for lab in beyond))
        return Finding(finding, UNKNOWN)

    return judge


_WEIGHT = frozenset({"body_weight"})


@named(needs={"by": Kind.PERCENT, "over": Kind.DURATION})
def weight_falls(finding: str, with_: Parameters) -> Judge:
    """Body weight fell by a share of itself within a time."""
    share, over = units.split(str(with_["by"]))[0] / 100, days_of(with_["over"])

    def judge(case: Case) -> Finding:
        weights = []
        for result in case.chart.about(Result, _WEIGHT):
            value = result.value
            kilograms = units.general(value.low, value.unit, "kg") if value is not None and value.exact else None
            if kilograms and result.when is not None and result.final:
                weights.append((result.when, kilograms, result))
        if not weights:
            return Finding(finding, UNKNOWN)
        newest = max(weights, key=lambda w: (w[0], w[2].reference))
        for when, kilograms, result in weights:
            since = (newest[0].last - when.last).days
            if 0 < since <= over and newest[1] <= kilograms * (1 - share):
                evidence = (Evidence.of(newest[2], f"{newest[1]:.1f} kg"), Evidence.of(result, f"{kilograms:.1f} kg"))
                return Finding(finding, PRESENT, evidence)
        return Finding(finding, UNKNOWN)

    return judge
