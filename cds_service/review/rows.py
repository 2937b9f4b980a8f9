"""One line of results.ndjson: what the reasoning said of one patient, in plain JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from cds_service.clinical.assessment import Assessment, CardPlan, Rung, open_asks
from cds_service.clinical.chart import DataGap, Patient
from cds_service.clinical.findings import Case, Evidence, Finding
from cds_service.clinical.presence import Presence
from cds_service.clinical.ranking import TIERS
from cds_service.clinical.spans import Span

Row = dict[str, Any]
GRAVEST = frozenset(card for tier in ("T0", "T1") for card in TIERS[tier])
NO_TIER = "none"


def row(assessment: Assessment, source: str, others: int) -> Row:
    """The line of an assessed patient. Keys always stand in the same order; dates are ISO, ages in whole years."""
    case = assessment.case
    lead = assessment.cards[0] if assessment.cards else None
    return {
        **person(case.chart.patient, source, assessment.today),
        "twitching": case["twitch_current"].presence.value,
        "tier": lead.cards[0].tier if lead else NO_TIER,
        "indicator": lead.indicator if lead else None,
        "cards": [_card(card) for card in assessment.cards],
        "orders": list(_orders(assessment.cards)),
        "withheld": list(_withheld(assessment.cards)),
        "missing": _missing(assessment),
        "emergencies": list(_emergencies(assessment)),
        "ladder": {rung.card.id: rung.outcome for rung in assessment.ladder if rung.trigger is Presence.PRESENT},
        "facts": _facts(assessment),
        "labs": _labs(case) if case["twitch_current"].present else {},
        "silent_because": assessment.silent_because or None,
        "gaps": list(_gaps(assessment.gaps, others)),
        "content": case.knowledge.version,
    }


def person(patient: Patient, source: str, today: date) -> Row:
    return {
        "patient": f"Patient/{patient.id}",
        "source": source,
        "age": _age(patient.born, today),
        "sex": patient.sex or None,
        "deceased": patient.deceased,
    }


def _age(born: Span | None, today: date) -> int | None:
    """Whole years, at most; unknown without a birth date or with one that is still to come."""
    if born is None or born.first > today:
        return None
    first = born.first
    return today.year - first.year - ((today.month, today.day) < (first.month, first.day))


def _card(card: CardPlan) -> Row:
    return {"card": card.name, "tier": card.cards[0].tier, "indicator": card.indicator}


def _orders(cards: Iterable[CardPlan]) -> Iterator[Row]:
    for card in cards:
        for suggestion in card.plan.suggestions:
            for order in suggestion.orders:
                yield {
                    "card": card.name,
                    "test": order.investigation.id,
                    "priority": order.priority,
                    "items": [item.text for item in order.items],
                }


def _withheld(cards: Iterable[CardPlan]) -> Iterator[Row]:
    for card in cards:
        for held in card.plan.withheld:
            yield {
                "card": card.name,
                "test": held.investigation.id,
                "state": held.state,
                "because": held.because,
                "dates": sorted({str(e.when) for e in held.evidence if e.when}),
            }


def _missing(assessment: Assessment) -> list[str]:
    """The decisive facts that the shown cards ask for and the chart leaves unknown."""
    definitions = [definition for card in assessment.cards for definition in card.cards]
    return list(open_asks(definitions, assessment.case))


def _emergencies(assessment: Assessment) -> Iterator[Row]:
    """Every emergency and critical card whose trigger holds, also where it was held back, with its dated facts."""
    for rung in assessment.ladder:
        if rung.card.id in GRAVEST and rung.trigger is Presence.PRESENT:
            facts = list(dict.fromkeys(_evidence_of(rung, assessment.case)))
            dates = sorted(str(e.when) for e in facts if e.when)
            yield {
                "card": rung.card.id,
                "outcome": rung.outcome,
                "newest": dates[-1] if dates else None,
                "facts": [
                    {"fact": e.title, "date": str(e.when) if e.when else None, "reference": e.reference} for e in facts
                ],
            }


def _evidence_of(rung: Rung, case: Case) -> Iterator[Evidence]:
    for name in rung.card.triggers or rung.card.names:
        if case[name].present:
            yield from case[name].evidence[:3]


def _facts(assessment: Assessment) -> Mapping[str, Row]:
    """What is known of the facts that decide whether any card fires; unknown ones are left out."""
    case = assessment.case
    names = sorted({name for rung in assessment.ladder for name in rung.card.triggers})
    return {name: _fact(case[name]) for name in names if case[name].presence is not Presence.UNKNOWN}


def _fact(finding: Finding) -> Row:
    newest = finding.evidence[0] if finding.evidence else None
    value = finding.value.as_reported if finding.value else newest.value if newest else ""
    return {
        "is": finding.presence.value,
        "value": value or None,
        "date": str(finding.newest) if finding.newest else None,
    }


def _labs(case: Case) -> Mapping[str, Row]:
    """The newest value of each analyte that still counts, in its canonical unit; a bound has no number."""
    return {
        name: {
            "value": lab.value.low if lab.value.exact else None,
            "unit": lab.analyte.unit,
            "band": band,
            "date": str(lab.result.when) if lab.result.when else None,
        }
        for name, (lab, band) in sorted(case.bands.items())
    }


def _gaps(gaps: Iterable[DataGap], others: int) -> Iterator[Row]:
    for gap in gaps:
        yield {"query": gap.query, "reason": gap.reason, "count": gap.count}
    if others:
        yield {"query": "record", "reason": "resources of other patients", "count": others}
