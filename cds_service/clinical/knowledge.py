"""The clinical content, compiled: everything the reasoning needs, read once at start.

Its parts are msgspec Structs: to define a dataclass takes a start a millisecond or two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from msgspec import Struct

from cds_service.clinical.analytes import Analyte
from cds_service.clinical.chart import Medicine
from cds_service.clinical.findings import Case, FindingDefinition
from cds_service.clinical.formula import Formula
from cds_service.clinical.gate import Gate
from cds_service.clinical.tokens import fold
from cds_service.clinical.words import PhraseBook

_WORD = re.compile(r"[a-z0-9]+")


class Term(Struct, frozen=True):
    """A formula of a list, with what it is called when it stands alone."""

    formula: Formula
    names: tuple[str, ...]  # the findings it speaks of
    negative: bool = False  # it holds by absence


class Sentence(Struct, frozen=True):
    """A sentence of a card, shown always or when a formula holds."""

    text: str
    source: str = ""
    when: Formula | None = None


class Asked(Struct, frozen=True):
    """A finding that a card asks for while it is unknown."""

    finding: str
    when: Formula | None = None


class Reason(Struct, frozen=True):
    """Why something is held back."""

    when: Formula
    because: str


class DrugClass(Struct, frozen=True):
    id: str
    title: str
    concepts: frozenset[str]
    names: tuple[str, ...] = ()
    causal: bool = False
    chronic: bool = False
    affects: frozenset[str] = frozenset()  # analytes that a start or change may alter
    source: str = ""
    unless: tuple[str, ...] = ()  # words of local use (eye drops, creams), which does not count
    daily_dose: float | None = None  # mg; a smaller or unknown dose does not count
    mg_per_unit: float = 0.0  # what an international unit weighs


class Hypothesis(Struct, frozen=True):
    id: str
    name: str
    urgency: tuple[tuple[Formula | None, str], ...]
    supports: tuple[Term, ...]
    opposes: tuple[Term, ...]
    needs: Formula | None = None
    excluded_when: Formula | None = None
    decided_by: tuple[str, ...] = ()
    also_named: tuple[tuple[Formula, str], ...] = ()  # a more precise name while its clue is charted


class OrderItem(Struct, frozen=True):
    """One ServiceRequest of an investigation."""

    text: str
    code: str = ""  # concept of codes/orders.csv whose writable code is used
    analytes: tuple[str, ...] = ()
    panel_when_missing: int | None = None  # replaces its single tests when so many of its analytes are missing
    written: tuple[str, ...] = ()  # codes to write instead of the concept's own


class Investigation(Struct, frozen=True):
    id: str
    title: str
    kind: str
    items: tuple[OrderItem, ...]
    short: str = ""  # what a summary calls it
    pending_for: int = 30
    also_pending: frozenset[str] = frozenset()
    not_when: tuple[Reason, ...] = ()
    booked: Formula | None = None  # a visit that is booked soon enough stands for the referral


class CardOrder(Struct, frozen=True):
    investigation: str
    priority: str
    when: Formula | None = None
    unless: tuple[Reason, ...] = ()
    repeat: bool = False  # ask again although a normal result still counts


class CardSuggestion(Struct, frozen=True):
    label: str
    orders: tuple[CardOrder, ...]
    recommended: bool = False
    when: Formula | None = None


class CardDefinition(Struct, frozen=True):
    id: str
    title: str
    tier: str
    when: Formula
    indicator: tuple[tuple[Formula | None, str], ...]
    summary: tuple[Sentence, ...]
    suppressed_when: tuple[Reason, ...] = ()
    hypotheses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()  # the findings that decide whether it fires, and how loudly
    found: tuple[Term, ...] = ()
    against: tuple[Term, ...] = ()
    asks: tuple[Asked, ...] = ()
    results: tuple[str, ...] = ()  # analytes whose abnormal values the summary may name
    reasoning: tuple[Sentence, ...] = ()
    suggestions: tuple[CardSuggestion, ...] = ()
    overrides: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    number: int = 0  # 1 to 28; in a card's uuid


class Caution(Struct, frozen=True):
    id: str
    when: Formula
    about: frozenset[str]
    text: str
    source: str


class NoCardRule(Struct, frozen=True):
    id: str
    title: str
    when: Formula
    lets_through: frozenset[str]
    alone: bool = False  # holds only while no card that it lets through fires


class Recheck(Struct, frozen=True):
    id: str
    when: Formula
    after: int | None
    until: int | None
    sentence: str
    ends_after: int | None = None
    then: int | None = None  # the interval after a further normal examination


class Reference(Struct, frozen=True):
    id: str
    title: str
    kind: str
    url: str = ""


class OverrideReason(Struct, frozen=True):
    id: str
    code: str
    system: str
    display: str


def _is_put_locally(medicine: Medicine, drug_class: DrugClass) -> bool:
    """Whether its name, or whole words of its route and form, say so: a capsule of gelatin is no gel."""
    if not drug_class.unless:
        return False
    named, given = fold(medicine.title), f" {' '.join(_WORD.findall(fold(medicine.given)))} "
    return any(word in named or f" {word} " in given or f" {word}s " in given for word in drug_class.unless)


def _milligrams_a_day(medicine: Medicine, drug_class: DrugClass) -> float:
    """The daily dose as this class weighs it; 0 when it is unknown."""
    if medicine.mg_per_day is None and medicine.units_per_day is not None:
        return round(medicine.units_per_day * drug_class.mg_per_unit, 9)  # 4000 units are 0.1 mg, not 0.0999…
    return medicine.mg_per_day or 0.0


@dataclass(frozen=True, eq=False)
class Knowledge:
    """All content. ``version`` is the semver of cards/VERSION."""

    version: str
    findings: Mapping[str, FindingDefinition]
    gate: Gate
    phrase_book: PhraseBook
    analytes: Mapping[str, Analyte]
    drug_classes: Mapping[str, DrugClass]
    hypotheses: tuple[Hypothesis, ...]
    investigations: Mapping[str, Investigation]
    cards: Mapping[str, CardDefinition]
    cautions: tuple[Caution, ...] = ()
    no_card_rules: tuple[NoCardRule, ...] = ()
    short_card: NoCardRule | None = None
    rechecks: tuple[Recheck, ...] = ()
    references: Mapping[str, Reference] = field(default_factory=dict)
    override_reasons: Mapping[str, OverrideReason] = field(default_factory=dict)
    set_aside_days: Mapping[str, int] = field(default_factory=dict)
    overtaken_by: tuple[str, ...] = ()
    panels: Mapping[str, frozenset[str]] = field(default_factory=dict)  # order of a panel -> analytes it contains
    # The content it was compiled from, for whoever publishes it; no reasoning reads it.
    written: Any = field(default=None, repr=False)

    @cached_property
    def findings_that_name_a_cause(self) -> tuple[str, ...]:
        return tuple(name for name, finding in self.findings.items() if finding.names_a_cause)

    def days_set_aside(self, card: str) -> int:
        """How long this card stays away after it was overridden, while the facts are the same."""
        return self.set_aside_days.get(self.cards[card].tier, self.set_aside_days["others"])

    @cached_property
    def names_of_analytes(self) -> frozenset[str]:
        return frozenset(analyte.name for analyte in self.analytes.values())

    def classes_of(self, medicine: Medicine) -> tuple[DrugClass, ...]:
        return tuple(
            c
            for c in self._classes_by_code(medicine)
            if not _is_put_locally(medicine, c)
            and (c.daily_dose is None or _milligrams_a_day(medicine, c) >= c.daily_dose)
        )

    def _classes_by_code(self, medicine: Medicine) -> list[DrugClass]:
        named = dict(one for match in medicine.codes for one in self._classes_of_concept.get(match.concept, ()))
        return [named[place] for place in sorted(named)]

    @cached_property
    def _classes_of_concept(self) -> Mapping[str, list[tuple[int, DrugClass]]]:
        """The classes of a concept, each with its place in the content."""
        found: dict[str, list[tuple[int, DrugClass]]] = {}
        for place, one in enumerate(self.drug_classes.values()):
            for concept in one.concepts:
                found.setdefault(concept, []).append((place, one))
        return found

    def is_local(self, medicine: Medicine) -> bool:
        """Eye drops, creams and the like do not act on nerve or muscle elsewhere."""
        return any(_is_put_locally(medicine, c) for c in self._classes_by_code(medicine))

    def recheck_for(self, case: Case) -> Recheck | None:
        """The first row of re-evaluation.yaml that holds."""
        return next((row for row in self.rechecks if row.when(case).present), None)
