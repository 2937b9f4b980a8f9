"""The workup: which tests a card suggests, and which it holds back and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from cds_service.clinical.analytes import Analyte, LabValue, may_lie_beyond
from cds_service.clinical.chart import Order
from cds_service.clinical.findings import Case, Evidence
from cds_service.clinical.knowledge import CardDefinition, CardOrder, CardSuggestion, Investigation, OrderItem

PRIORITIES = ("routine", "urgent", "asap", "stat")
SUGGESTIONS_PER_CARD = 3
STAT_DAYS = 1  # in an emergency only a result of today or yesterday spares a test
RESULT_LATE_AFTER = {"laboratory": 7, "study": 30, "imaging": 30}  # days

BOOKED_WITHIN = {"routine": 90, "urgent": 14, "asap": 2}  # days; nothing booked spares an emergency referral

ASKED_BY_NAME = "what is missing is asked for by name on this card"


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
    wanted = list(_wanted(cards, case))
    suggestions: dict[str, list[PlannedOrder]] = {}
    recommended: dict[str, bool] = {}
    withheld: dict[str, Withheld] = {}
    asked: set[str] = set()
    planned: dict[int, PlannedOrder] = {}
    wished: dict[str, str] = {}
    # Tests that are asked for by name come first, so that a panel asks only for the rest.
    by_name_first = sorted(wanted, key=lambda w: len(case.knowledge.investigations[w[1].investigation].items))
    for position, order, _ in by_name_first:
        result = plan_order(order, case, frozenset(asked))
        whole = plan_order(order, case) if asked else result  # what is asked for already may be wanted sooner here
        for name in _names(whole.items) if isinstance(whole, PlannedOrder) else ():
            wished[name] = max(wished.get(name, order.priority), order.priority, key=PRIORITIES.index)
        if isinstance(result, Withheld):
            withheld.setdefault(result.investigation.id, result)
        else:
            planned[position] = result
            asked |= {analyte for item in result.items for analyte in item.analytes}
    for position, _, suggestion in wanted:
        if position in planned:
            suggestions.setdefault(suggestion.label, []).append(planned[position])
            recommended[suggestion.label] = recommended.get(suggestion.label, False) or suggestion.recommended
    named = (PlannedSuggestion(name, tuple(orders), recommended[name]) for name, orders in suggestions.items())
    once = _each_once(named, wished)
    kept = _fit([suggestion for suggestion in once if suggestion.orders])
    suggested = {order.investigation.id for s in kept for order in s.orders}
    held = tuple(w for key, w in withheld.items() if key not in suggested)
    return Plan(kept, held, tuple(_notes(kept, case)))


def _wanted(cards: Iterable[CardDefinition], case: Case) -> Iterator[tuple[int, CardOrder, CardSuggestion]]:
    """The orders whose conditions hold, with the suggestion they belong to."""
    position = 0
    for card in cards:
        for suggestion in card.suggestions:
            if suggestion.when is not None and not suggestion.when(case).present:
                continue
            for order in suggestion.orders:
                if order.when is None or order.when(case).present:
                    yield position, order, suggestion
                    position += 1


def plan_order(order: CardOrder, case: Case, asked: frozenset[str] = frozenset()) -> PlannedOrder | Withheld:
    """What becomes of one order. ``asked``: analytes that the same card already asks for by name."""
    investigation = case.knowledge.investigations[order.investigation]
    open_orders = [o for o in _orders_of(investigation, case) if _is_pending(o, investigation, case)]
    waiting = _waiting_for(investigation, open_orders, case)
    if open_orders and len(waiting) == len(investigation.items):
        newest = open_orders[0]
        because = f"already ordered on {newest.when}"
        return Withheld(investigation, "pending", because, (Evidence.of(newest, newest.status),))
    visit = _booked(investigation, order.priority, case)
    if visit is not None:
        return Withheld(investigation, "pending", f"a visit is booked for {visit.when}", (visit,))
    for reason in (*order.unless, *investigation.not_when):
        found = reason.when(case)
        if found.present:
            return Withheld(investigation, "withheld", reason.because, found.evidence[:2])
    missing, done, elsewhere = _still_missing(investigation, order.priority, order.repeat, asked, case)
    items = tuple(item for item in missing if item not in waiting)
    if missing and not items:
        return Withheld(investigation, "pending", f"already ordered on {open_orders[0].when}")
    if not items and elsewhere:
        rest = "; a normal result of the rest still counts" if done else ""
        return Withheld(investigation, "done", f"{ASKED_BY_NAME}{rest}", tuple(done))
    if not items:
        analytes = (a for item in investigation.items for a in item.analytes)
        kind = "the" if any(_is_settled(case.knowledge.analytes[a], case) for a in analytes) else "a normal"
        return Withheld(investigation, "done", f"{kind} result still counts", tuple(done))
    return PlannedOrder(investigation, order.priority, items)


def _booked(investigation: Investigation, priority: str, case: Case) -> Evidence | None:
    """The booked visit that stands for a referral: one that is soon enough for its priority."""
    days = BOOKED_WITHIN.get(priority)
    if investigation.booked is None or days is None:
        return None
    last = case.today + timedelta(days=days)
    visits = (e for e in investigation.booked(case).evidence if e.when and case.today <= e.when.first)
    return next((e for e in visits if e.when and e.when.last <= last), None)


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
    if not orders:
        return []
    ordered = {match.concept for order in orders for match in order.codes}
    titles = {order.title.lower() for order in orders}
    in_panels = frozenset[str]().union(*(case.knowledge.panels.get(code, frozenset()) for code in ordered))
    alone = len(investigation.items) == 1 and bool(ordered & investigation.also_pending)
    # An open order of the main study is an open order of all of it; one of a part is only of that part.
    main = investigation.items[0].code
    together = investigation.kind != "laboratory" and bool(ordered & ({main} | investigation.also_pending))
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
    if not case.chart.all(Order):
        return []
    analytes = {analyte for item in investigation.items for analyte in item.analytes}
    panels = {panel for panel, contained in case.knowledge.panels.items() if contained & analytes}
    codes = {item.code for item in investigation.items if item.code} | investigation.also_pending | panels
    texts = {item.text.lower() for item in investigation.items if not item.code}
    found = [
        order
        for order in case.chart.all(Order)
        if any(m.concept in codes for m in order.codes) or order.title.lower() in texts
    ]
    return sorted(found, key=lambda o: (o.last_day, o.reference), reverse=True)


def _still_missing(
    investigation: Investigation, priority: str, repeat: bool, asked: frozenset[str], case: Case
) -> tuple[tuple[OrderItem, ...], list[Evidence], bool]:
    """The requests whose results are not on file, the results that spare others, and whether any is in ``asked``.

    Abnormal results never spare a repeat.
    """
    lacking = {a for i in investigation.items for a in i.analytes if repeat or not _normal_and_valid(a, priority, case)}
    in_panel: set[str] = set()
    missing: list[OrderItem] = []
    for item in investigation.items:
        wanted = lacking & set(item.analytes) - asked
        if item.panel_when_missing is not None:
            if len(wanted) >= item.panel_when_missing:
                missing.append(item)
                in_panel |= set(item.analytes)
        elif not item.analytes or wanted - in_panel:
            missing.append(item)
    done = [e for i in investigation.items for a in i.analytes if a not in lacking for e in case[f"valid_{a}"].evidence]
    return tuple(missing), list(dict.fromkeys(done)), bool(lacking & asked)


def _normal_and_valid(analyte: str, priority: str, case: Case) -> bool:
    valid = case[f"valid_{analyte}"]
    if not valid.present:
        return False
    if priority == "stat" and not any(e.when and e.when.within(STAT_DAYS, case.today) for e in valid.evidence):
        return False
    row = case.knowledge.analytes[analyte]
    if row.never_spares:
        return False
    if _is_settled(row, case):
        return True
    members = [member for member, _ in row.any_of] or [analyte]
    found = case.bands
    return all(_is_normal(*found[member]) for member in members if member in found)


def _is_settled(row: Analyte, case: Case) -> bool:
    """An abnormal result that says what was to be known is not asked for again."""
    return row.settled_when is not None and row.settled_when(case).present


def _is_normal(lab: LabValue, band: str) -> bool:
    """Normal, or outside the reference interval on a side where a wider action band says that it is no matter."""
    action = lab.analyte.action
    if may_lie_beyond(lab, "low") or may_lie_beyond(lab, "high"):
        return False  # a bound that decides nothing spares no test
    if lab.low is not None or lab.high is not None or lab.result.flags & {"L", "H"}:
        return band == "normal"  # the laboratory itself has called it abnormal
    if band == "borderline_low":
        return action.lower is not None
    if band == "borderline_high":
        return action.upper is not None
    return band == "normal"


def _each_once(
    suggestions: Iterable[PlannedSuggestion], wished: Mapping[str, str] | None = None
) -> list[PlannedSuggestion]:
    """Each test where it is first asked for, with the highest priority that anything gives it.

    ``wished``: priorities that orders give which ask for nothing else.
    """
    listed = list(suggestions)
    highest = dict(wished or {})
    for order in (order for suggestion in listed for order in suggestion.orders):
        for name in _names(order.items):
            highest[name] = max(highest.get(name, order.priority), order.priority, key=PRIORITIES.index)
    asked: set[str] = set()
    kept = []
    for suggestion in listed:
        orders = []
        for order in suggestion.orders:
            items = tuple(item for item in order.items if not _names([item]) <= asked)
            asked |= _names(items)
            if items:
                priority = max((highest[name] for name in _names(items)), key=PRIORITIES.index)
                orders.append(replace(order, priority=priority, items=items))
        kept.append(replace(suggestion, orders=tuple(orders)))
    return kept


def priority_given(investigation: Investigation, suggestions: Iterable[PlannedSuggestion]) -> str | None:
    """The priority of a test among the suggestions, asked for by its label or inside others. None: not asked for."""
    asked: dict[str, str] = {}
    for order in (order for suggestion in suggestions for order in suggestion.orders):
        if order.investigation.id == investigation.id:
            return order.priority
        asked.update(dict.fromkeys(_names(order.items), order.priority))
    names = _names(investigation.items)
    return min((asked[name] for name in names), key=PRIORITIES.index) if names <= asked.keys() else None


def asked_within(investigation: Investigation, suggestions: Iterable[PlannedSuggestion]) -> tuple[str, ...]:
    """The titles of the suggested tests that measure something of this one."""
    names = _names(investigation.items)
    orders = (order for suggestion in suggestions for order in suggestion.orders)
    return tuple(dict.fromkeys(o.investigation.title for o in orders if names & _names(o.items)))


def _names(items: Iterable[OrderItem]) -> set[str]:
    """What the requests measure; a request for something else is known by its text."""
    return {name for item in items for name in item.analytes or (item.text.lower(),)}


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
    left = iter(_each_once(suggestion for one in plans.values() for suggestion in one.suggestions))
    result = {}
    for name, one in plans.items():
        own = [next(left) for _ in one.suggestions]
        result[name] = replace(one, suggestions=tuple(suggestion for suggestion in own if suggestion.orders))
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
            elif order.status == "revoked":
                notes.append(f"{row.title}: the order of {when} was cancelled. Is the reason still valid?")
            elif order.status == "completed" and row.kind in RESULT_LATE_AFTER:
                notes.append(
                    f"{row.title}: the order of {when} is marked as done and no result is on file; look for it first."
                )
    return notes
