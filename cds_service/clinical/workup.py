"""The workup: which tests a card suggests, and which it holds back and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cds_service.clinical.analytes import LabValue
from cds_service.clinical.chart import Order
from cds_service.clinical.findings import Evidence
from cds_service.clinical.knowledge import CardDefinition, CardOrder, Investigation, OrderItem

if TYPE_CHECKING:
    from cds_service.clinical.findings import Case

PRIORITIES = ("routine", "urgent", "asap", "stat")
SUGGESTIONS_PER_CARD = 3
STAT_DAYS = 1  # in an emergency only a result of today or yesterday spares a test
RESULT_LATE_AFTER = {"laboratory": 7, "study": 30, "imaging": 30}  # days
_GONE = frozenset({"revoked"})


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """An investigation to suggest, with the single requests it consists of."""

    investigation: Investigation
    priority: str
    items: tuple[OrderItem, ...]


@dataclass(frozen=True, slots=True)
class Withheld:
    """A test that the card names but does not suggest, and why."""

    investigation: Investigation
    state: str  # done, pending, withheld
    because: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedSuggestion:
    label: str
    orders: tuple[PlannedOrder, ...]
    recommended: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What one card suggests and holds back. ``notes`` are remarks on earlier orders."""

    suggestions: tuple[PlannedSuggestion, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def investigations(self) -> frozenset[str]:
        named = {order.investigation.id for s in self.suggestions for order in s.orders}
        return frozenset(named | {w.investigation.id for w in self.withheld})

    @property
    def all_pending(self) -> bool:
        """Every test of the card is already ordered, and nothing is left to suggest."""
        return not self.suggestions and any(w.state == "pending" for w in self.withheld)


def plan(cards: Iterable[CardDefinition], case: Case) -> Plan:
    """The suggestions of a card, or of several that are merged into one."""
    suggestions: dict[str, list[PlannedOrder]] = {}
    recommended: dict[str, bool] = {}
    withheld: dict[str, Withheld] = {}
    for card in cards:
        for suggestion in card.suggestions:
            if suggestion.when is not None and not suggestion.when(case).present:
                continue
            orders = []
            for order in suggestion.orders:
                if order.when is not None and not order.when(case).present:
                    continue
                planned = plan_order(order, case)
                if isinstance(planned, Withheld):
                    withheld.setdefault(planned.investigation.id, planned)
                else:
                    orders.append(planned)
            if orders:
                suggestions.setdefault(suggestion.label, []).extend(orders)
                recommended[suggestion.label] = recommended.get(suggestion.label, False) or suggestion.recommended
    planned_suggestions = [
        PlannedSuggestion(label, tuple(orders), recommended[label]) for label, orders in suggestions.items()
    ]
    kept = _fit(_without_repeats(planned_suggestions))
    suggested = {order.investigation.id for s in kept for order in s.orders}
    held = tuple(w for key, w in withheld.items() if key not in suggested)
    return Plan(kept, held, tuple(_notes(kept, case)))


def plan_order(order: CardOrder, case: Case) -> PlannedOrder | Withheld:
    investigation = case.knowledge.investigations[order.investigation]
    open_orders = [o for o in _orders_of(investigation, case) if _is_pending(o, investigation, case)]
    waiting = _waiting_for(investigation, open_orders, case)
    if open_orders and len(waiting) == len(investigation.items):
        newest = open_orders[0]
        because = f"already ordered on {newest.when}"
        return Withheld(investigation, "pending", because, (Evidence.of(newest, newest.status),))
    for reason in (*order.unless, *investigation.not_when):
        found = reason.when(case)
        if found.present:
            return Withheld(investigation, "withheld", reason.because, found.evidence[:2])
    missing, done = _still_missing(investigation, order.priority, order.repeat, case)
    items = tuple(item for item in missing if item not in waiting)
    if missing and not items:
        return Withheld(investigation, "pending", f"already ordered on {open_orders[0].when}")
    if not items:
        return Withheld(investigation, "done", "a normal result still counts", tuple(done))
    return PlannedOrder(investigation, order.priority, items)


def _is_pending(order: Order, investigation: Investigation, case: Case) -> bool:
    """Active or drafted lately, or done with the result not due yet. On hold is not pending."""
    if order.when is None:
        return False
    if order.status in ("active", "draft"):
        return order.when.within(investigation.pending_for, case.today) is True
    due = RESULT_LATE_AFTER.get(investigation.kind)
    return order.status == "completed" and due is not None and order.when.within(due, case.today) is True


def _waiting_for(investigation: Investigation, orders: list[Order], case: Case) -> list[OrderItem]:
    """The single requests that an open order already covers, by name or inside a panel."""
    ordered = {match.concept for order in orders for match in order.codes}
    titles = {order.title.lower() for order in orders}
    in_panels = frozenset[str]().union(*(case.knowledge.panels.get(code, frozenset()) for code in ordered))
    alone = len(investigation.items) == 1 and bool(ordered & investigation.also_pending)
    # Needle study and conduction study, and image variants, are one investigation: one open order is enough.
    together = investigation.kind != "laboratory" and bool(orders)
    return [
        item
        for item in investigation.items
        if alone
        or together
        or item.code in ordered
        or item.text.lower() in titles
        or (item.analytes and set(item.analytes) <= in_panels)
    ]


def _orders_of(investigation: Investigation, case: Case) -> list[Order]:
    codes = {item.code for item in investigation.items if item.code} | investigation.also_pending
    texts = {item.text.lower() for item in investigation.items if not item.code}
    found = [
        order
        for order in case.chart.all(Order)
        if any(m.concept in codes for m in order.codes) or order.title.lower() in texts
    ]
    return sorted(found, key=lambda o: (o.when.last if o.when else case.today.min, o.reference), reverse=True)


def _still_missing(
    investigation: Investigation, priority: str, repeat: bool, case: Case
) -> tuple[tuple[OrderItem, ...], list[Evidence]]:
    """The requests whose results are not on file; abnormal results never spare a repeat."""
    lacking = {a for i in investigation.items for a in i.analytes if repeat or not _normal_and_valid(a, priority, case)}
    in_panel: set[str] = set()
    missing: list[OrderItem] = []
    for item in investigation.items:
        wanted = lacking & set(item.analytes)
        if item.panel_when_missing is not None:
            if len(wanted) >= item.panel_when_missing:
                missing.append(item)
                in_panel |= set(item.analytes)
        elif not item.analytes or wanted - in_panel:
            missing.append(item)
    done = [e for i in investigation.items for a in i.analytes if a not in lacking for e in case[f"valid_{a}"].evidence]
    return tuple(missing), list(dict.fromkeys(done))


def _normal_and_valid(analyte: str, priority: str, case: Case) -> bool:
    valid = case[f"valid_{analyte}"]
    if not valid.present:
        return False
    if priority == "stat" and not any(e.when and e.when.within(STAT_DAYS, case.today) for e in valid.evidence):
        return False
    row = case.knowledge.analytes[analyte]
    if row.never_spares:
        return False
    members = [member for member, _ in row.any_of] or [analyte]
    found = case.bands
    return all(_is_normal(*found[member]) for member in members if member in found)


def _is_normal(lab: LabValue, band: str) -> bool:
    """Normal, or outside the reference interval on a side where a wider action band says that it is no matter."""
    action = lab.analyte.action
    if band == "borderline_low":
        return action.below is not None or action.at_most is not None
    if band == "borderline_high":
        return action.above is not None or action.at_least is not None
    return band == "normal"


def _without_repeats(suggestions: list[PlannedSuggestion]) -> list[PlannedSuggestion]:
    """Each test once, with the highest priority that any suggestion gives it."""
    highest: dict[str, str] = {}
    for suggestion in suggestions:
        for order in suggestion.orders:
            known = highest.get(order.investigation.id, order.priority)
            highest[order.investigation.id] = max(known, order.priority, key=PRIORITIES.index)
    owner: dict[str, str] = {}
    everything = [order for suggestion in suggestions for order in suggestion.orders]
    for order in sorted(everything, key=lambda o: len(o.items)):
        # A test that is asked for by name is not asked for again inside a panel of others.
        for item in order.items:
            owner.setdefault(item.text.lower(), order.investigation.id)
    seen: set[str] = set()
    kept = []
    for suggestion in suggestions:
        orders = []
        for order in suggestion.orders:
            name = order.investigation.id
            items = tuple(item for item in order.items if owner[item.text.lower()] == name)
            if name in seen or not items:
                continue
            seen.add(name)
            orders.append(replace(order, priority=highest[name], items=items))
        if orders:
            kept.append(replace(suggestion, orders=tuple(orders)))
    return kept


def _fit(suggestions: list[PlannedSuggestion]) -> tuple[PlannedSuggestion, ...]:
    """At most three suggestions: the rest join the last one rather than get lost."""
    if len(suggestions) <= SUGGESTIONS_PER_CARD:
        return tuple(suggestions)
    last = suggestions[SUGGESTIONS_PER_CARD - 1]
    rest = suggestions[SUGGESTIONS_PER_CARD:]
    joined = replace(last, orders=last.orders + tuple(order for s in rest for order in s.orders), recommended=False)
    return (*suggestions[: SUGGESTIONS_PER_CARD - 1], joined)


def across_cards(plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """The same test is suggested on the first card that names it, with the highest priority of all."""
    highest: dict[str, str] = {}
    for one in plans.values():
        for suggestion in one.suggestions:
            for order in suggestion.orders:
                known = highest.get(order.investigation.id, order.priority)
                highest[order.investigation.id] = max(known, order.priority, key=PRIORITIES.index)
    seen: set[str] = set()
    result = {}
    for name, one in plans.items():
        kept = []
        for suggestion in one.suggestions:
            orders = []
            for order in suggestion.orders:
                if order.investigation.id not in seen:
                    seen.add(order.investigation.id)
                    orders.append(replace(order, priority=highest[order.investigation.id]))
            if orders:
                kept.append(replace(suggestion, orders=tuple(orders)))
        result[name] = replace(one, suggestions=tuple(kept))
    return result


def _notes(suggestions: Iterable[PlannedSuggestion], case: Case) -> list[str]:
    """Remarks on earlier orders of what is suggested again: on hold, cancelled, done without result."""
    notes = []
    for investigation in dict.fromkeys(o.investigation.id for s in suggestions for o in s.orders):
        row = case.knowledge.investigations[investigation]
        for order in _orders_of(row, case)[:1]:
            when = order.when
            if order.status == "on-hold":
                notes.append(f"{row.title}: an order of {when} is on hold.")
            elif order.status in _GONE:
                notes.append(f"{row.title}: the order of {when} was cancelled. Is the reason still valid?")
            elif order.status == "completed" and row.kind in RESULT_LATE_AFTER:
                notes.append(f"{row.title}: ordered as done on {when}, but no result is on file.")
    return notes
