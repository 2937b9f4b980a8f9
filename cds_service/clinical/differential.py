"""The differential: every hypothesis with what speaks for it, against it, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable
from dataclasses import dataclass
from functools import partial

from cds_service.clinical.findings import Case, Evidence, Finding
from cds_service.clinical.knowledge import Hypothesis, Knowledge, Term
from cds_service.clinical.presence import UNKNOWN

URGENCIES = "EUSRN"  # emergency, urgent (days to 2 weeks), soon (weeks), routine, none
SHOWN_ON_A_CARD = 5
# The question that a motor neuron card always asks first, whatever else is urgent.
MOTOR_NEURON_CARD, MOTOR_NEURON_DISEASE = "TW06", "H01"


@dataclass(frozen=True, slots=True)
class Point:
    """One reason for or against, in words and with its evidence."""

    title: str
    evidence: tuple[Evidence, ...] = ()
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Weighed:
    """A hypothesis after weighing. ``state``: in play, not in play or excluded."""

    hypothesis: Hypothesis
    state: str
    urgency: str
    supports: tuple[Point, ...] = ()
    opposes: tuple[Point, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def in_play(self) -> bool:
        return self.state == "in play"


def weigh(case: Case, only: Container[str] | None = None) -> tuple[Weighed, ...]:
    """Hypotheses, most urgent first, then by how much speaks for them (never shown), then id.

    ``only``: ids; by default all are weighed.
    """
    asked = [h for h in case.knowledge.hypotheses if only is None or h.id in only]
    weighed = [case.answer(_question(h), partial(_weigh_one, h)) for h in asked]
    return tuple(sorted(weighed, key=_order))


def weighings(knowledge: Knowledge) -> dict[str, Callable[[Case], Weighed]]:
    """The weighing of each hypothesis, by its name as a question."""
    return {_question(h): partial(_weigh_one, h) for h in knowledge.hypotheses}


def _question(hypothesis: Hypothesis) -> str:
    return f"weigh {hypothesis.id}"


def _order(weighed: Weighed) -> tuple[bool, int, int, str]:
    balance = len(weighed.supports) - len(weighed.opposes)
    return not weighed.in_play, URGENCIES.index(weighed.urgency), -balance, weighed.hypothesis.id


def _weigh_one(hypothesis: Hypothesis, case: Case) -> Weighed:
    supports, missing = _points(hypothesis.supports, case)
    opposes, _ = _points(hypothesis.opposes, case)
    return Weighed(
        hypothesis, _state(hypothesis, supports, case), _urgency(hypothesis, case), supports, opposes, missing
    )


def _state(hypothesis: Hypothesis, supports: tuple[Point, ...], case: Case) -> str:
    if hypothesis.excluded_when is not None and hypothesis.excluded_when(case).present:
        return "excluded"
    if not supports or (hypothesis.needs is not None and not hypothesis.needs(case).present):
        return "not in play"
    return "in play"


def _urgency(hypothesis: Hypothesis, case: Case) -> str:
    """The letter whose condition holds; conditions are tried in the order of the content."""
    for when, letter in hypothesis.urgency:
        if when is None or when(case).present:
            return letter
    return hypothesis.urgency[-1][1]


def _points(terms: Iterable[Term], case: Case) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    points, missing = [], []
    for term in terms:
        finding = term.formula(case)
        if finding.present:
            points.append(Point(title_of(term, finding, case), finding.evidence[:2], term.negative))
        elif finding.presence is UNKNOWN and len(term.names) == 1:
            missing.append(title_of(term, finding, case))
    return tuple(points), tuple(missing)


def title_of(term: Term, finding: Finding, case: Case) -> str:
    """What a term is called: the finding's title, or the measured value that decided it."""
    if finding.value is not None and finding.evidence:
        first = finding.evidence[0]
        if first.title in case.knowledge.names_of_analytes:
            return f"{first.title} {first.value}".strip()
        # A duration or an age: the evidence is an entry of the record, whose words are no name of a value.
        return f"{case.knowledge.findings[term.names[0]].title} {finding.value.as_reported}".strip()
    title = case.knowledge.findings[term.names[0]].title if term.names else ""
    return f"no {title}" if term.negative else title


def in_play_for(cards: Iterable[str], hypotheses: Collection[str], case: Case) -> tuple[Weighed, ...]:
    """The hypotheses a card shows: at most five of its own that are in play. A card without any may show each."""
    found = [w for w in weigh(case, set(hypotheses) or None) if w.in_play]
    if MOTOR_NEURON_CARD in cards:
        found.sort(key=lambda w: w.hypothesis.id != MOTOR_NEURON_DISEASE)
    return tuple(found[:SHOWN_ON_A_CARD])
