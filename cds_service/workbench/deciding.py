"""Which question to ask next: the first whose answer can still change the tier, and none when no answer can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from cds_service.artefacts.questionnaire import Spec, is_flag, items, options
from cds_service.assess import Outcome
from cds_service.clinical.assessment import Policy, leading_tier
from cds_service.clinical.chart import Answer, Chart
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.knowledge import Knowledge
from cds_service.intake.about import About
from cds_service.intake.concepts import Concepts
from cds_service.intake.history import read_answers
from cds_service.knowledge.reading import Reading
from cds_service.workbench.questionnaire import Answers, enabled, response
from cds_service.workbench.words import SILENT


@dataclass(frozen=True)
class Form:
    """The form over one chart: the content, the chart with its answers taken out, the day and the site's policy."""

    spec: Spec
    knowledge: Knowledge
    reading: Reading
    chart: Chart
    today: date
    policy: Policy

    @classmethod
    def over(cls, outcome: Outcome, spec: Spec, reading: Reading, policy: Policy) -> Form:
        case = outcome.assessment.case
        return cls(spec, case.knowledge, reading, case.chart, case.today, policy)

    def tier(self, answers: Answers) -> str:
        """The tier of the leading card with these answers."""
        filled = response(answers, self.spec, self.knowledge, "p", self.today.isoformat(), "")
        about = About(self.reading, Concepts(self.reading), born=self.chart.patient.born)
        kept = tuple(e for e in self.chart.entries if not (isinstance(e, Answer) and e.reference == _FORM))
        chart = replace(
            self.chart, entries=(*kept, *read_answers(filled, about)), _by_kind={}, _by_concept={}, _by_title={}
        )
        return leading_tier(chart, self.today, self.knowledge, self.policy) or SILENT


_FORM = "QuestionnaireResponse/history-form"


@dataclass(frozen=True, slots=True)
class Step:
    """What the page does now. ``ask`` is empty when no answer to what is left can change the tier any more."""

    tier: str
    ask: str
    left: tuple[str, ...]  # questions that may still be answered, in order
    undecided: tuple[str, ...] = ()  # questions that were skipped, and whose answer could change the tier


def next_step(form: Form, answers: Answers, skipped: frozenset[str], askable: frozenset[str]) -> Step:
    """The first question in order that can still change the tier.

    Two fillings bound what is left: all of it at its worst and all of it at its best. Where neither changes the tier,
    nothing does. Where one does, the shortest run of questions that does ends in the one to ask; what needs several
    answers together is found that way too. Each question is also tried side by side, with what the side opens.
    What was skipped is filled last and never asked again.
    """
    tier = form.tier(answers)
    unsettled = [link for link in _in_order(form.spec) if _is_open(link, form, answers, askable)]
    left = tuple(link for link in unsettled if link not in skipped)
    passed = tuple(link for link in unsettled if link in skipped)
    run = (*left, *passed)
    found = [_first_change(run, form, answers, tier, count) for count in (_present, _absent)]
    at = min([n for n in found if n is not None], default=len(run))
    at = next((n for n, link in enumerate(left[:at]) if _a_side_changes(link, form, answers, tier)), at)
    if at < len(left):
        return Step(tier, left[at], left)
    alone = tuple(link for link in passed if link in run[at : at + 1] or _a_side_changes(link, form, answers, tier))
    return Step(tier, "", left, alone)


def _first_change(left: tuple[str, ...], form: Form, answers: Answers, tier: str, count: Counting) -> int | None:
    """Where the shortest run of questions ends that changes the tier when filled; None when all of them do not."""

    def changes(run: int) -> bool:
        return form.tier(_filled(left[:run], form, answers, count)) != tier

    if not left or not changes(len(left)):
        return None
    unchanged, changed = 0, len(left)
    while changed - unchanged > 1:
        middle = (unchanged + changed) // 2
        unchanged, changed = (unchanged, middle) if changes(middle) else (middle, changed)
    return changed - 1


def _a_side_changes(link: str, form: Form, answers: Answers, tier: str) -> bool:
    """Whether one side of a question, with what it opens at its worst or at its best, changes the tier."""
    for side in _possible(items(form.spec)[link], form):
        tried: list[Answers] = []
        for count in (_present, _absent):
            filled = _filled((), form, answers, count, {link: side})
            if filled not in tried and form.tier(filled) != tier:
                return True
            tried.append(filled)
    return False


def _in_order(spec: Spec) -> list[str]:
    """Decisive ones first, as TW24 names them; then the first screen; then what began suddenly; then the rest."""
    return list(dict.fromkeys([*spec["ask_first"], *spec["first_screen"], "sx.sudden", "sx", *items(spec)]))


def askable_items(outcome: Outcome, spec: Spec) -> frozenset[str]:
    """The items that fit this chart: some are only for children, for certain medicines, or for a report on file."""
    case = outcome.assessment.case
    return frozenset(
        link
        for link, item in items(spec).items()
        if "service_asks_when" not in item or compile_formula(item["service_asks_when"])(case).present
    )


def _is_open(link: str, form: Form, answers: Answers, askable: frozenset[str]) -> bool:
    item = items(form.spec)[link]
    settled = link in answers or is_flag(item.get("optional", "no"))
    return not settled and link in askable and enabled(item, answers)


def _possible(item: Spec, form: Form) -> Iterator[list[Any]]:
    """The answers worth trying: each choice; of several choices all together, and none of them."""
    listed = [o for o in options(item, form.knowledge) if o["coding"].get("code") != "unknown"]
    if listed and is_flag(item.get("repeats", "no")):
        yield [o["value"] for o in listed if not o["exclusive"]]
        yield from ([o["value"]] for o in listed if o["exclusive"])
    elif listed:
        yield from ([o["value"]] for o in listed)
    elif item["type"] in ("integer", "decimal"):
        ends = {int(float(item.get("min", 0))), int(float(item.get("max", 1000)))}
        yield from ([end] for end in sorted(ends))
    else:
        yield from ([(form.today - timedelta(days=days)).isoformat()] for days in (3, 100))


def _filled(
    run: tuple[str, ...], form: Form, answers: Answers, count: Counting, side: Answers | None = None
) -> dict[str, list[Any]]:
    """These questions, and those that they and ``side`` open, answered with what most speaks one way."""
    filled = {link: list(values) for link, values in {**answers, **(side or {})}.items()}
    by_id = items(form.spec)
    for link in (*run, *(other for other in by_id if "shown_when" in by_id[other])):
        opened = link not in run and enabled(by_id[link], filled) and not enabled(by_id[link], answers)
        if link not in filled and (link in run or opened):
            filled[link] = max(_possible(by_id[link], form), key=lambda given: count(by_id[link], given, form))
    return filled


Counting = Callable[[Spec, list[Any], Form], int]


def _present(item: Spec, given: list[Any], form: Form) -> int:
    """How many findings an answer makes present, with what it opens: something abnormal says what only then."""
    opened = [
        other
        for other in form.spec["items"]
        if any(shown["answer"] == item["id"] for shown in other.get("shown_when", ()))
        and enabled(other, {item["id"]: given})
    ]
    worst = (max(_present(other, side, form) for side in _possible(other, form)) for other in opened)
    return _said(item, given, "present") + sum(worst)


def _absent(item: Spec, given: list[Any], _: Form) -> int:
    """How many findings an answer makes absent by itself."""
    return _said(item, given, "absent")


def _said(item: Spec, given: list[Any], presence: str) -> int:
    """How many findings an answer makes present, or absent."""
    chosen = {str(value) for value in given}
    rules = [rule for rule in item.get("sets") or () if "answer" in rule and chosen & _as_set(rule["answer"])]
    return sum(len(rule.get(presence, ())) for rule in rules)


def _as_set(answer: Any) -> set[str]:
    return set(map(str, answer)) if isinstance(answer, list) else {str(answer)}
