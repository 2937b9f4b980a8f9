"""The whole reasoning over one chart as a JSON document: what the Why page shows, and any client may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cds_service.assess import Outcome
from cds_service.clinical.assessment import Assessment, CardPlan, Rung
from cds_service.clinical.chart import QUERIES
from cds_service.clinical.differential import Point, Weighed
from cds_service.clinical.findings import Case, Evidence, Finding
from cds_service.clinical.presence import Presence
from cds_service.clinical.workup import PlannedOrder, Withheld, asked_within, priority_given
from cds_service.workbench.courses import lab_courses
from cds_service.workbench.timeline import events

Json = dict[str, Any]
NOT_INDICATED = "no rule that holds now asks for it"


def document(outcome: Outcome) -> Json:
    """An assessment as `Assessment` of openapi.yaml describes it."""
    assessment = outcome.assessment
    case = assessment.case
    tests = list(_tests(assessment))
    # A test of which several cards speak stands there for each; the first is of the leading card.
    states = {test["id"]: test["state"] for test in reversed(tests)}
    return {
        "asOf": assessment.today.isoformat(),
        "content": {"version": case.knowledge.version, "status": "draft"},
        "patient": {"age": _value(case["age"]), "sex": case.chart.patient.sex or "unknown"},
        "gate": _fact(case["twitch_current"], assessment),
        "silentBecause": assessment.silent_because,
        "rules": [{"id": rule.id, "title": rule.title} for rule in assessment.rules],
        "ladder": [_rung(rung, case) for rung in assessment.ladder],
        "cards": [
            {
                "name": card.name,
                "indicator": card.indicator,
                "rules": [{"id": d.id, "title": d.title, "tier": d.tier} for d in card.cards],
                "because": _because(card, case),
                "suggested": [o.investigation.id for s in card.plan.suggestions for o in s.orders],
            }
            for card in assessment.cards
        ],
        "facts": [_fact(finding, assessment) for finding in assessment.findings.values()],
        "hypotheses": [_hypothesis(weighed, assessment, states) for weighed in assessment.differential],
        "tests": tests,
        "labs": list(lab_courses(case)),
        "timeline": list(events(case)),
        "gaps": [{"query": gap.query, "reason": gap.reason, "count": gap.count} for gap in assessment.gaps],
        "unanswered": sorted(set(QUERIES) - case.chart.answered),
        "otherPatients": outcome.other_patients,
    }


def _because(card: CardPlan, case: Case) -> list[str]:
    """What the card says it found, each once; where it found nothing of its own, what made its rules fire.

    A value alone and what is so of most patients are no findings: a normal potassium would stand there as a reason.
    """
    plain = {*case.knowledge.analytes, "age", "adult", "sex", "duration_known"}
    terms = [term for definition in card.cards for term in definition.found if term.formula(case).present]
    found = [name for term in terms for name in term.names if term.negative or case[name].present]
    fired = [name for definition in card.cards for name in definition.triggers if case[name].present]
    lasted = [name for name in fired if name == "duration_days"]  # which makes twitching fresh or persistent
    said = [name for name in dict.fromkeys([*found, *lasted]) if name not in plain] if found else []
    return said or [name for name in dict.fromkeys(fired) if name not in plain]


def _rung(rung: Rung, case: Case) -> Json:
    """``outcome`` in one word; ``because`` says why a card was held back, ``into`` where a merged one stands.

    ``unknown``: of a rule that is undecided, the facts that it asks about and that nobody documented.
    """
    open_facts = [name for name in rung.card.triggers if case[name].presence is Presence.UNKNOWN]
    titles = [case.knowledge.findings[name].title for name in open_facts]
    word, _, because = rung.outcome.partition(": ")
    into = word.removeprefix("merged into ") if word.startswith("merged into ") else ""
    return {
        "tier": rung.card.tier,
        "card": rung.card.id,
        "title": rung.card.title,
        "trigger": rung.trigger.value,
        "indicator": rung.indicator,
        "outcome": "merged" if into else word,
        "into": into,
        "because": because,
        "unknown": titles if rung.trigger is Presence.UNKNOWN else [],
    }


def _evidence(items: Iterable[Evidence]) -> list[Json]:
    return [
        {"reference": e.reference, "title": e.title, "date": str(e.when) if e.when else "", "value": e.value}
        for e in items
    ]


def _value(finding: Finding) -> str:
    return finding.value.as_reported if finding.value is not None else ""


def _judged_value(finding: Finding, kind: str) -> str:
    """A result in the units that its limit is written in, as its evidence has it; anything else as reported."""
    judged = finding.evidence[0].value if kind == "laboratory" and finding.evidence else ""
    return (judged or _value(finding)) if finding.value is not None else ""


def _fact(finding: Finding, assessment: Assessment) -> Json:
    definition = assessment.case.knowledge.findings[finding.id]
    return {
        "id": finding.id,
        "title": definition.title,
        "kind": definition.kind,
        "presence": finding.presence.value,
        "value": _judged_value(finding, definition.kind),
        "evidence": _evidence(finding.evidence),
        "notCounted": _evidence(finding.against),
    }


def _hypothesis(weighed: Weighed, assessment: Assessment, states: Mapping[str, str]) -> Json:
    """``states``: of each test as the table of tests says it."""
    titles = assessment.case.knowledge.investigations
    return {
        "id": weighed.hypothesis.id,
        "name": weighed.hypothesis.name,
        "state": weighed.state,
        "urgency": weighed.urgency,
        "for": _points(weighed.supports),
        "against": _points(weighed.opposes),
        "missing": list(weighed.missing),
        "decidedBy": [
            {"id": label, "title": titles[label].title, "state": states.get(label, "")}
            for label in weighed.hypothesis.decided_by
        ],
    }


def _points(points: Iterable[Point]) -> list[Json]:
    return [{"title": point.title, "evidence": _evidence(point.evidence)} for point in points]


def _tests(assessment: Assessment) -> Iterator[Json]:
    """Every test of the content with what became of it, those that a card speaks of first."""
    named = list(_asked_for(assessment))
    yield from named
    known = {test["id"] for test in named}
    suggestions = [s for card in assessment.cards for s in card.plan.suggestions]
    for label, test in sorted(assessment.case.knowledge.investigations.items()):
        if label in known:
            continue
        inside = priority_given(test, suggestions)  # asked for as part of a panel
        if inside:
            within = " and ".join(asked_within(test, suggestions))
            yield _test(label, test.title, test.kind, "suggested", f"part of {within}", "", inside)
        else:
            yield _test(label, test.title, test.kind, "not indicated", NOT_INDICATED, "", "")


def _asked_for(assessment: Assessment) -> Iterator[Json]:
    for card in assessment.cards:
        for order in (order for suggestion in card.plan.suggestions for order in suggestion.orders):
            yield _suggested(order, card.name)
        for held in card.plan.withheld:
            yield _held(held, card.name)


def _suggested(order: PlannedOrder, card: str) -> Json:
    items = ", ".join(item.text for item in order.items)
    test = order.investigation
    return _test(test.id, test.title, test.kind, "suggested", items, card, order.priority)


def _held(held: Withheld, card: str) -> Json:
    test = held.investigation
    found = _test(test.id, test.title, test.kind, held.state, held.because, card, "")
    return found | {"evidence": _evidence(held.evidence)}


def _test(label: str, title: str, kind: str, state: str, because: str, card: str, priority: str) -> Json:
    return {
        "id": label, "title": title, "kind": kind, "state": state, "because": because, "card": card,
        "priority": priority, "evidence": [],
    }  # fmt: skip
