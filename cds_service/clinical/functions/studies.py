"""Named functions about studies, reports, contacts and what is still unknown."""

from __future__ import annotations

from datetime import date

from cds_service.clinical.chart import Entry, Order, Procedure, Report, Visit
from cds_service.clinical.findings import Case, Evidence, Finding, Judge
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.functions.registry import Kind, Parameters, named
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN, Presence
from cds_service.clinical.spans import Span, days_of, days_or_none
from cds_service.clinical.tokens import fold, folded


def _studies(case: Case, concepts: frozenset[str], procedures: frozenset[str]) -> list[Entry]:
    reports: list[Entry] = [r for r in case.chart.about(Report, concepts) if r.final and r.when is not None]
    done: list[Entry] = [p for p in case.chart.about(Procedure, procedures) if p.when is not None]
    return sorted(reports + done, key=lambda e: (e.last_day, e.reference), reverse=True)


@named(
    needs={"study": [Kind.CONCEPT], "for": Kind.DURATION, "early_for": Kind.DURATION, "early_before": Kind.DURATION},
    may={
        "procedures": [Kind.CONCEPT],
        "not_named": [Kind.WORDS],
        "not_saying": [Kind.WORDS],
        "void_by": [Kind.FINDING],
        "with_progression": Kind.DURATION,
    },
)
def study_counts(finding: str, with_: Parameters) -> Judge:
    """A study that needs no repeat: late enough after onset, recent enough, and no new sign since."""
    concepts = frozenset(with_["study"])
    procedures = frozenset(with_.get("procedures", ()))
    not_named = folded(with_.get("not_named", ()))
    not_saying = folded(with_.get("not_saying", ()))
    full, early = days_of(with_["for"]), days_of(with_["early_for"])
    early_before = days_of(with_["early_before"])
    void_by, progression = tuple(with_.get("void_by", ())), days_or_none(with_, "with_progression")

    def judge(case: Case) -> Finding:
        studies = [
            study
            for study in _studies(case, concepts, procedures)
            if not any(w in fold(study.title) for w in not_named)
            and not (isinstance(study, Report) and any(w in fold(study.conclusion) for w in not_saying))
        ]
        study = studies[0] if studies else None
        if study is None or study.when is None:
            return Finding(finding, ABSENT if "reports" in case.chart.complete else UNKNOWN)
        when = study.when
        days = full
        if case.onset is None or (when.last - case.onset.first).days < early_before:
            days = early
        if case["weak_progressive"].present and progression is not None:
            days = min(days, progression)
        since = [name for name in void_by if _newly_charted(case[name], when)]
        counts = when.within(days, case.today) is True and not since
        return Finding(finding, Presence.of(counts), (Evidence.of(study),))

    return judge


def _newly_charted(sign: Finding, when: Span) -> bool:
    """The sign was first charted after the study."""
    dates = [e.when for e in sign.evidence if e.when is not None]
    return sign.present and bool(dates) and min(dates).first > when.last


@named(
    needs={"studies": [Kind.CONCEPT], "within": Kind.DURATION},
    may={
        "procedures": [Kind.CONCEPT],
        "after": [Kind.FINDING],
        "shorter": [{"when": Kind.FORMULA, "to": Kind.DURATION}],
    },
)
def imaged(finding: str, with_: Parameters) -> Judge:
    """A level was imaged inside the window and after the deficit began."""
    concepts, procedures = frozenset(with_["studies"]), frozenset(with_.get("procedures", ()))
    within, after = days_of(with_["within"]), tuple(with_.get("after", ()))
    shorter = [(compile_formula(row["when"]), days_of(row["to"])) for row in with_.get("shorter", ())]

    def judge(case: Case) -> Finding:
        days = min([within, *(to for formula, to in shorter if formula(case).present)])
        began = min((day for day in (_first_charted(case[name]) for name in after) if day), default=None)
        for study in _studies(case, concepts, procedures):
            if study.when is None or study.when.within(days, case.today) is not True:
                continue
            if began is None or study.when.last >= began:
                return Finding(finding, PRESENT, (Evidence.of(study),))
        return Finding(finding, ABSENT if "reports" in case.chart.complete else UNKNOWN)

    return judge


def _first_charted(finding: Finding) -> date | None:
    dates = [e.when.first for e in finding.evidence if e.when is not None]
    return min(dates, default=None) if finding.present else None


@named(
    needs={"results": [Kind.FINDING]}, may={"visits": [Kind.CONCEPT], "orders": [Kind.CONCEPT], "names": [Kind.WORDS]}
)
def reviewed_after(finding: str, with_: Parameters) -> Judge:
    """After an abnormal report there was a specialist contact, a referral or a plan."""
    results = tuple(with_["results"])
    visits, orders = frozenset(with_.get("visits", ())), frozenset(with_.get("orders", ()))
    names = folded(with_.get("names", ()))

    def judge(case: Case) -> Finding:
        days = [case[name].newest for name in results if case[name].present]
        dated = [day for day in days if day is not None]
        if not dated:
            return Finding(finding, UNKNOWN)
        report_day = max(dated).last
        contacts: list[Entry] = [
            v for v in case.chart.all(Visit)
            if v.status in ("finished", "in-progress") and v.when is not None and v.when.last > report_day
            and _about(v, visits, names)
        ]  # fmt: skip
        contacts += [
            o for o in case.chart.all(Order)
            if o.status in ("active", "completed") and o.when is not None and o.when.last >= report_day
            and any(m.concept in orders for m in o.codes)
        ]  # fmt: skip
        if contacts:
            return Finding(finding, PRESENT, tuple(Evidence.of(c) for c in contacts))
        return Finding(finding, ABSENT if {"encounters", "orders"} <= case.chart.complete else UNKNOWN)

    return judge


def _about(entry: Entry, concepts: frozenset[str], names: tuple[str, ...]) -> bool:
    return any(m.concept in concepts for m in entry.codes) or any(name in fold(entry.title) for name in names)


@named(needs={"examined": [Kind.FINDING]})
def recheck_due(finding: str, with_: Parameters) -> Judge:
    """The last normal examination is older than the interval of re-evaluation.yaml."""

    def judge(case: Case) -> Finding:
        dates = {e.when for name in with_["examined"] if case[name].present for e in case[name].evidence if e.when}
        if not dates:
            return Finding(finding, UNKNOWN)
        row, duration = case.knowledge.recheck_for(case), case["duration_days"].value
        over = row is not None and row.ends_after is not None and duration is not None and duration.low > row.ends_after
        if row is None or row.after is None or over or case["followup_booked"].present:
            return Finding(finding, ABSENT)
        interval = row.then if len(dates) > 1 and row.then is not None else row.after
        last = max(dates)
        due = (case.today - last.last).days >= interval
        return Finding(finding, Presence.of(due), (Evidence("", "last examination", last),))

    return judge
