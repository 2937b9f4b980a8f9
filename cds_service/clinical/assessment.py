"""The assessment: from a chart to everything that was found, weighed, shown and held back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from typing import Any

from cds_service.clinical import ranking
from cds_service.clinical.chart import Chart, DataGap
from cds_service.clinical.differential import Weighed, in_play_for, weigh, weighings
from cds_service.clinical.findings import Case, Finding
from cds_service.clinical.knowledge import CardDefinition, Caution, Knowledge, NoCardRule
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN, Presence
from cds_service.clinical.ranking import Circumstances, Shown
from cds_service.clinical.silence import silence
from cds_service.clinical.workup import Plan, across_cards, plan

SHORT_CARDS = frozenset({"TW21", "TW22"})
EMERGENCY = tuple(ranking.TIERS["T0"])
# Switched off, these still keep a benign card away and leave their facts as plain lines.
GRAVE = tuple(card for tier in ("T0", "T1", "T2") for card in ranking.TIERS[tier])
OFF = "switched off by this site"
# They fire because something is missing, or nothing is wrong: time alone can make them.
NO_NEW_FACT = frozenset({"T7", "overlay"})
# Cards of these tiers are dropped when every test they would suggest is already ordered.
DROPPED_WHEN_PENDING = frozenset({"T3", "T4", "T5", "T6", "T7", "overlay"})


Triggered = Mapping[str, tuple[Presence, str]]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a site may set about the advice."""

    quiet_under_days: int = 0
    emergency_tier: bool = True
    cards_off: frozenset[str] = frozenset()
    order_intent: str = "order"


@dataclass(frozen=True, slots=True)
class Rung:
    """One card on the ladder: whether its trigger held, and what became of it."""

    card: CardDefinition
    trigger: Presence
    indicator: str = ""
    outcome: str = "not triggered"  # shown, merged into …, held back: …


@dataclass(frozen=True, slots=True)
class CardPlan:
    """One card to write: the merged definitions, lead first, with its workup."""

    cards: tuple[CardDefinition, ...]
    indicator: str
    plan: Plan
    hypotheses: tuple[Weighed, ...]
    cautions: tuple[Caution, ...]
    facts: str  # see fingerprint()
    short: bool = False

    @property
    def name(self) -> str:
        return "+".join(card.id for card in self.cards)


@dataclass(frozen=True)
class Assessment:
    """The whole reasoning over one chart; it is also the trace."""

    case: Case
    ladder: tuple[Rung, ...]
    cards: tuple[CardPlan, ...]
    silent_because: str = ""
    rules: tuple[NoCardRule, ...] = ()
    unspoken: tuple[Finding, ...] = ()  # facts of grave cards that this site has switched off

    @property
    def today(self) -> date:
        return self.case.today

    @property
    def gaps(self) -> tuple[DataGap, ...]:
        return self.case.chart.gaps

    @cached_property
    def differential(self) -> tuple[Weighed, ...]:
        return weigh(self.case) if self.ladder else ()

    @cached_property
    def findings(self) -> Mapping[str, Finding]:
        return self.case.judge_all()


# Which of these cards the user has dismissed, each given with what fingerprint() says of it.
Dismissed = Callable[[Mapping[str, str]], Container[str]]


def nothing_dismissed(cards: Mapping[str, str]) -> Container[str]:
    return ()


def fingerprint(
    cards: Iterable[CardDefinition], indicator: str, case: Case, hidden: Mapping[str, str] | None = None
) -> str:
    """A hash of the facts behind a card: the same advice for the same reasons has the same one.

    Dates are left out: the same value measured again is not a new fact. ``hidden``: the cards that fire and that
    ranking keeps from view, with their indicators. One more of them is a new fact that only a card on show can tell.
    """
    facts = [f"{card} fires at {level}" for card, level in sorted((hidden or {}).items())]
    for definition in cards:
        terms = [*definition.found, *definition.against]
        names = {name for term in terms for name in term.names} | {asked.finding for asked in definition.asks}
        names |= {*definition.names, *definition.triggers}  # what made it fire may be none of what it says
        facts += [f"{name}={case[name].presence}" for name in sorted(names)]
        facts += sorted({f"{e.title}={e.value}" for t in definition.found for e in t.formula(case).evidence})
    return hashlib.sha256("\x1e".join([indicator, *facts]).encode()).hexdigest()


def reason(
    chart: Chart,
    today: date,
    knowledge: Knowledge,
    policy: Policy = Policy(),
    dismissed: Dismissed = nothing_dismissed,
) -> Assessment:
    """Judge, weigh, rank and plan. A pure function: the same input gives the same assessment."""
    case = Case(chart, today, knowledge)
    if not case["twitch_current"].present:
        return Assessment(case, (), (), _closed(case))
    triggered = _triggered(case.listen(silence(knowledge, questions)))
    rules = _rules(triggered, case)
    fired, held = _sift(triggered, rules, case, policy)
    shown, plans = _rank(fired, held, case)
    facts = _facts(shown, fired, case)
    shown, plans = _without_dismissed(shown, plans, dismissed, facts, held)
    ladder = tuple(_rung(card, triggered[card.id], held, shown) for card in knowledge.cards.values())
    if not shown:
        return Assessment(case, ladder, (), _silence(held), rules)
    on_show = {i for card in shown for i in card.ids}
    hidden = [c for c, (presence, _) in triggered.items() if presence is PRESENT and c not in on_show]
    cards = _write(shown, plans, facts, hidden, case)
    unspoken = _unspoken([card for card in GRAVE if held.get(card) == OFF], case)
    return Assessment(case, ladder, cards, "", rules, unspoken)


def leading_tier(chart: Chart, today: date, knowledge: Knowledge, policy: Policy = Policy()) -> str:
    """The tier of the first card that ``reason`` would show; empty for none. Nothing is weighed or written for it."""
    case = Case(chart, today, knowledge)
    if not case["twitch_current"].present:
        return ""
    triggered = _triggered(case.listen(silence(knowledge, questions)))
    shown, _ = _rank(*_sift(triggered, _rules(triggered, case), case, policy), case)
    return knowledge.cards[shown[0].ids[0]].tier if shown else ""


def _closed(case: Case) -> str:
    if case["twitch_current"].presence is ABSENT:
        return "Muscle twitching was charted, but the newest entry says that it has ended or was ruled out."
    return "No muscle twitching is charted."


def questions(knowledge: Knowledge) -> dict[str, Callable[[Case], Any]]:
    """What is asked of every chart beside its findings: each trigger, and the weighing of each hypothesis."""
    triggers = {_question(card): partial(trigger, card) for card in knowledge.cards.values()}
    return {**triggers, **weighings(knowledge)}


def _question(card: CardDefinition) -> str:
    return f"trigger {card.id}"


def _triggered(case: Case) -> Triggered:
    return {i: case.answer(_question(card), partial(trigger, card)) for i, card in case.knowledge.cards.items()}


def trigger(card: CardDefinition, case: Case) -> tuple[Presence, str]:
    found = card.when(case).presence
    if found is not PRESENT:
        return found, ""
    return found, next(level for when, level in card.indicator if when is None or when(case).present)


def _rules(triggered: Triggered, case: Case) -> tuple[NoCardRule, ...]:
    """The no-card rules that hold; some hold only while nothing they let through fires."""
    firing = {card for card, (presence, _) in triggered.items() if presence is PRESENT}
    return tuple(
        rule
        for rule in case.knowledge.no_card_rules
        if rule.when(case).present and not (rule.alone and firing & rule.lets_through)
    )


def _sift(
    triggered: Triggered, rules: tuple[NoCardRule, ...], case: Case, policy: Policy
) -> tuple[dict[str, str], dict[str, str]]:
    """The cards that fire, and the reason for each that is held back."""
    fired: dict[str, str] = {}
    held: dict[str, str] = {}
    for card_id, (presence, indicator) in triggered.items():
        if presence is not PRESENT:
            continue
        card = case.knowledge.cards[card_id]
        suppressed = next((r for r in card.suppressed_when if r.when(case).present), None)
        rule = next((r for r in rules if card_id not in r.lets_through), None)
        if suppressed is not None:
            held[card_id] = suppressed.because
        elif rule is not None:
            held[card_id] = f"{rule.id}: {rule.title}"
        elif card_id in policy.cards_off or (card_id in EMERGENCY and not policy.emergency_tier):
            held[card_id] = OFF
        else:
            fired[card_id] = indicator
    if any(held.get(card) == OFF for card in GRAVE):
        for benign in fired.keys() & set(ranking.TIERS["T7"]):
            held[benign] = "a more serious card is switched off by this site"
            del fired[benign]
    return _fresh(fired, held, case, policy), held


def _is_fresh(fired: Iterable[str], case: Case) -> bool:
    """A fresh twitch with no card but the short one."""
    rule = case.knowledge.short_card
    return rule is not None and rule.when(case).present and not set(fired) & (rule.lets_through - SHORT_CARDS)


def _fresh(fired: dict[str, str], held: dict[str, str], case: Case, policy: Policy) -> dict[str, str]:
    """A fresh twitch with nothing else gets one short card, without orders, bloods or questions."""
    if not _is_fresh(fired, case):
        return fired
    duration = case["duration_days"].value
    quiet = duration is not None and duration.high < policy.quiet_under_days
    for card in fired:
        if quiet:
            held[card] = "this site keeps fresh twitching quiet"
        elif card not in SHORT_CARDS:
            held[card] = "fresh twitching: no test and no question yet"
    return {card: level for card, level in fired.items() if card not in held}


def _rank(fired: dict[str, str], held: dict[str, str], case: Case) -> tuple[tuple[Shown, ...], dict[str, Plan]]:
    """The cards to show, with their plans. One whose every test is already ordered is held back, and so on again."""
    now = Circumstances(
        drug_explains_lab=case["drug_explains_lab"].present,
        core_bloods_for_a_cause=case["context_any"].present,
        hyperexcitability_outranks_face=case["generalised_myokymia"].present,
    )
    while True:
        shown = ranking.rank(fired, now)
        plans = {card.name: plan([case.knowledge.cards[i] for i in card.ids], case) for card in shown}
        idle = [card for card in shown if _nothing_left(card, plans[card.name], case)]
        if not idle:
            return shown, plans
        for card_id in (card_id for card in idle for card_id in card.ids):
            held[card_id] = "N8: every test it would suggest is already ordered"
            del fired[card_id]


def _facts(shown: tuple[Shown, ...], fired: Mapping[str, str], case: Case) -> dict[str, str]:
    """The fingerprint of each card on show, by its name."""
    cards = case.knowledge.cards
    on_show = {i for card in shown for i in card.ids}
    hidden = {c: level for c, level in fired.items() if c not in on_show and cards[c].tier not in NO_NEW_FACT}
    return {card.name: fingerprint([cards[i] for i in card.ids], card.indicator, case, hidden) for card in shown}


def _without_dismissed(
    shown: tuple[Shown, ...],
    plans: Mapping[str, Plan],
    dismissed: Dismissed,
    facts: Mapping[str, str],
    held: dict[str, str],
) -> tuple[tuple[Shown, ...], dict[str, Plan]]:
    """Drop cards that the user has dismissed for the same facts. No lower card takes their place."""
    gone = dismissed(facts) if shown else ()
    for card in shown:
        if card.name in gone:
            held.update(dict.fromkeys(card.ids, "N7: dismissed lately for the same facts"))
    kept = tuple(card for card in shown if card.name not in gone)
    return kept, across_cards({card.name: plans[card.name] for card in kept})


def _nothing_left(card: Shown, planned: Plan, case: Case) -> bool:
    definitions = [case.knowledge.cards[i] for i in card.ids]
    if not planned.all_pending or any(d.tier not in DROPPED_WHEN_PENDING for d in definitions):
        return False
    # An overlay exists for its tests alone; another card may still have questions to put.
    return not any(open_asks([d for d in definitions if d.tier != "overlay"], case))


def open_asks(definitions: Iterable[CardDefinition], case: Case) -> Iterator[str]:
    """Ids of the findings that the cards ask for and the chart leaves unknown, in the order of the cards."""
    asked = (a for d in definitions for a in d.asks if a.when is None or a.when(case).present)
    for name in dict.fromkeys(a.finding for a in asked):
        if case[name].presence is UNKNOWN:
            yield name


def _rung(
    card: CardDefinition,
    triggered: tuple[Presence, str],
    held: Mapping[str, str],
    shown: tuple[Shown, ...],
) -> Rung:
    presence, indicator = triggered
    if presence is not PRESENT:
        return Rung(card, presence)
    if card.id in held:
        return Rung(card, presence, indicator, f"held back: {held[card.id]}")
    for one in shown:
        if card.id in one.ids:
            outcome = "shown" if one.ids[0] == card.id else f"merged into {one.ids[0]}"
            return Rung(card, presence, indicator, outcome)
    lead = shown[0].name if shown else ""
    return Rung(card, presence, indicator, f"held back: {lead} comes first" if lead else "held back")


def _silence(held: Mapping[str, str]) -> str:
    return "; ".join(sorted(set(held.values()))) or "Nothing in the chart calls for advice now."


def _write(
    shown: tuple[Shown, ...],
    plans: Mapping[str, Plan],
    facts: Mapping[str, str],
    hidden: list[str],
    case: Case,
) -> tuple[CardPlan, ...]:
    cards = []
    for position, one in enumerate(shown):
        definitions = tuple(case.knowledge.cards[i] for i in one.ids)
        short = set(one.ids) <= SHORT_CARDS and _is_fresh(one.ids, case)
        planned = Plan() if short else plans[one.name]
        causes = _causes(definitions, hidden if position == 0 else [], case)
        cautions = tuple(
            c for c in case.knowledge.cautions if c.about & planned.investigations and c.when(case).present
        )
        in_play = in_play_for(one.ids, causes, case)
        cards.append(CardPlan(definitions, one.indicator, planned, in_play, cautions, facts[one.name], short))
    return tuple(cards)


def _causes(definitions: tuple[CardDefinition, ...], hidden: list[str], case: Case) -> list[str]:
    """What a card may name; none: all. Rank hides cards, never causes: the lead names the hidden cards' too."""
    own = [h for d in definitions for h in d.hypotheses]
    if not own:
        return []
    return own + [h for card in hidden for h in case.knowledge.cards[card].hypotheses]


def _unspoken(cards: Iterable[str], case: Case) -> tuple[Finding, ...]:
    names = dict.fromkeys(name for card in cards for name in case.knowledge.cards[card].names)
    return tuple(case[name] for name in names if case[name].present)
