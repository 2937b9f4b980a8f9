"""Named functions about medicines and when they were taken."""

from __future__ import annotations

from cds_service.clinical.chart import Answer, Medicine
from cds_service.clinical.findings import Case, Evidence, Finding, Judge
from cds_service.clinical.functions.registry import Kind, OneOrMore, Parameters, named
from cds_service.clinical.observe import taken
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN
from cds_service.clinical.spans import Span, days_of, days_or_none


@named(may={"classes": [Kind.DRUG_CLASS], "started_within": Kind.DURATION, "stopped_within": Kind.DURATION})
def medicine_before_onset(finding: str, with_: Parameters) -> Judge:
    """A causal medicine started or raised shortly before the twitching, or a chronic one at any time."""
    wanted = frozenset(with_.get("classes", ()))
    started = days_of(with_.get("started_within", "90 days"))
    stopped = days_of(with_.get("stopped_within", "30 days"))

    def judge(case: Case) -> Finding:
        linked: list[Medicine] = []
        undated: list[Medicine] = []
        later: list[Medicine] = []
        for medicine, classes in case.medicines:
            names = [c for c in classes if c.causal and (not wanted or c.id in wanted)]
            if not names or not taken(medicine, stopped, case):
                continue
            link = _time_link(medicine, any(c.chronic for c in names), started, case)
            (linked if link else undated if link is None else later).append(medicine)
        if linked:
            return Finding(finding, PRESENT, tuple(_evidence(m, case) for m in linked))
        against = tuple(_evidence(m, case) for m in [*undated, *later])
        if undated:
            return Finding(finding, UNKNOWN, against=against)
        ruled_out = bool(later) or (case["medicines_known"].present and _answered(case, "med.change", "no"))
        return Finding(finding, ABSENT if ruled_out else UNKNOWN, against=against)

    return judge


def _time_link(medicine: Medicine, chronic: bool, started_within: int, case: Case) -> bool | None:
    """True: it fits; False: it began after the twitching, or long before; None: not decidable."""
    onset = case.onset
    if onset is None:
        # A chronic class counts at any time; for others the drug becomes a question, not a cause.
        return True if chronic else None
    changes = [span for span in (medicine.when, medicine.last_change) if span is not None]
    if not changes:
        return None
    if any(onset.shifted(-started_within).first <= span.last and span.first <= onset.last for span in changes):
        return True
    return chronic and any(span.first <= onset.last for span in changes)


_LONG_TAKEN = 90  # days, as the words below say, after which the beginning says nothing about the time link


def _evidence(medicine: Medicine, case: Case) -> Evidence:
    """The medicine with its time link to the twitching in words."""
    change = max((s for s in (medicine.when, medicine.last_change) if s), default=None)
    if change is None or case.onset is None:
        return Evidence.of(medicine)
    days = (case.onset.first - change.last).days
    if days < 0:
        text = "started after the twitching began"
    elif days > _LONG_TAKEN:
        text = "taken for more than 90 days, and can act at any time"
    else:
        text = f"started or changed {days} {'day' if days == 1 else 'days'} before the twitching"
    return Evidence(medicine.reference, medicine.name or medicine.title, change, text)


def _answered(case: Case, item: str, value: str) -> bool:
    return any(answer.item == item and value in answer.values for answer in case.chart.all(Answer))


def _current(case: Case, concepts: frozenset[str]) -> list[Medicine]:
    return [m for m in case.chart.all(Medicine) if m.active and any(x.concept in concepts for x in m.codes)]


@named(needs={"pairs": [[OneOrMore(Kind.CONCEPT)]]}, may={"newer_within": Kind.DURATION})
def medicines_together(finding: str, with_: Parameters) -> Judge:
    """Two interacting medicines at the same time, the newer one not long before the twitching."""
    pairs = [tuple(frozenset([side] if isinstance(side, str) else side) for side in pair) for pair in with_["pairs"]]
    newer_within = days_or_none(with_, "newer_within")

    def judge(case: Case) -> Finding:
        for one, other in pairs:
            for first in _current(case, one):
                for second in _current(case, other):
                    if _ingredients(first) == _ingredients(second) or first.reference == second.reference:
                        continue
                    if newer_within is None or _newer_fits(first, second, newer_within, case):
                        found = sorted((first, second), key=lambda m: m.reference)
                        return Finding(finding, PRESENT, tuple(_evidence(m, case) for m in found))
        complete = case["medicines_known"].present and "medications" in case.chart.complete
        return Finding(finding, ABSENT if complete else UNKNOWN)

    return judge


def _ingredients(medicine: Medicine) -> str:
    return (medicine.name or medicine.title).lower()


def _newer_fits(one: Medicine, other: Medicine, days: int, case: Case) -> bool:
    starts = [m.when for m in (one, other) if m.when is not None]
    if case.onset is None or len(starts) < 2:
        return True
    newer = max(starts)
    return case.onset.shifted(-days).first <= newer.last and newer.first <= case.onset.last


@named(needs={"of": [Kind.CONCEPT], "analyte": Kind.ANALYTE, "within": Kind.DURATION})
def medicine_changed_before_result(finding: str, with_: Parameters) -> Judge:
    """A medicine was started or changed shortly before a blood sample, which may not be steady yet."""
    concepts, analyte, days = frozenset(with_["of"]), with_["analyte"], days_of(with_["within"])

    def judge(case: Case) -> Finding:
        drawn = case[analyte].newest
        if drawn is None:
            return Finding(finding, UNKNOWN)
        changed = [
            medicine
            for medicine in _current(case, concepts)
            if any(_just_before(span, drawn, days) for span in (medicine.when, medicine.last_change))
        ]
        if changed:
            return Finding(finding, PRESENT, tuple(Evidence.of(m) for m in changed))
        return Finding(finding, ABSENT if case["medicines_known"].present else UNKNOWN)

    return judge


def _just_before(span: Span | None, drawn: Span, days: int) -> bool:
    return span is not None and drawn.shifted(-days).first <= span.last and span.first <= drawn.last
