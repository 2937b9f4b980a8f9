"""The pipeline on one screen: a chart source in, an assessment out. Everyone calls this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from cds_service import fhir
from cds_service.clinical.assessment import Assessment, Dismissed, Policy, nothing_dismissed, reason
from cds_service.clinical.knowledge import Knowledge
from cds_service.intake.prefetch import Prefetched, gather
from cds_service.intake.read import Reader, evidence_resources
from cds_service.knowledge.reading import Reading


@dataclass(frozen=True, slots=True)
class ChartSource:
    """What a caller has of a patient: gathered resources and whose they are."""

    found: Prefetched
    patient_id: str
    encounter_id: str = ""

    @classmethod
    def of_prefetch(cls, prefetch: Mapping[str, Any], patient_id: str, encounter_id: str = "") -> ChartSource:
        return cls(gather(prefetch), patient_id, encounter_id)


@dataclass(frozen=True, slots=True)
class Outcome:
    """An assessment, with what the reading left aside."""

    assessment: Assessment
    other_patients: int = 0


def assess(
    source: ChartSource,
    knowledge: Knowledge,
    reading: Reading,
    today: date,
    policy: Policy = Policy(),
    dismissed: Dismissed = nothing_dismissed,
) -> Outcome:
    """Read, judge, weigh, rank and plan. Touches nothing; raises RequestError for an unusable chart.

    ``dismissed`` tells which cards the user has overridden lately for the same facts; they are
    withheld and no lower card takes their place (CLINICAL N7).

    Evidence that a card would cite is validated as FHIR first; what is not valid becomes a data gap
    and the chart is judged again without it.
    """
    reader = Reader(source.found, source.patient_id, source.encounter_id, reading, today)
    without: frozenset[str] = frozenset()
    while True:
        assessment = reason(reader.chart(knowledge, without), today, knowledge, policy, dismissed)
        invalid = _invalid_evidence(assessment, source.found) - without
        if not invalid:
            return Outcome(assessment, reader.others)
        without |= invalid


def _invalid_evidence(assessment: Assessment, found: Prefetched) -> frozenset[str]:
    """References of cited resources that are not valid FHIR R4, and of others of their kind.

    All of the kind at once: otherwise the next older one would be cited, and each would cost a reading.
    """
    if not assessment.cards:
        return frozenset()
    case = assessment.case
    cited = {e.reference for e in case["twitch_current"].evidence}
    for card in assessment.cards:
        for definition in card.cards:
            for term in definition.found:
                cited |= {e.reference for e in term.formula(case).evidence}
    kinds = {name.split("/")[0] for name, raw in evidence_resources(found, cited) if not fhir.is_valid(dict(raw))}
    everything = (f"{kind}/{raw.get('id')}" for kind in kinds for raw in found.of(kind))
    return frozenset(name for name, raw in evidence_resources(found, everything) if not fhir.is_valid(dict(raw)))
