"""What is asked for, once, with which priority, and what is said of earlier orders."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.clinical.knowledge import CardOrder, Investigation, OrderItem
from cds_service.clinical.workup import (
    Plan,
    PlannedOrder,
    PlannedSuggestion,
    Withheld,
    _fit,
    _notes,
    across_cards,
    asked_within,
    plan_order,
    priority_given,
)
from cds_service.worked_examples import case_of


def lab(name: str, *analytes: str) -> Investigation:
    return Investigation(
        name, f"Test {name}", "laboratory", tuple(OrderItem(a, analytes=(a,)) for a in analytes or name)
    )


def asks(label: str, *orders: tuple[Investigation, str]) -> PlannedSuggestion:
    return PlannedSuggestion(label, tuple(PlannedOrder(test, how, test.items) for test, how in orders), True)


def told(suggestions: Any) -> list[tuple[str, list[str], bool]]:
    return [
        (s.label, [f"{o.investigation.id}/{o.priority}/{len(o.items)}" for o in s.orders], s.recommended)
        for s in suggestions
    ]


A, B, C, D, E = (lab(name) for name in "ABCDE")
PANEL = lab("AB", "A", "B")


def test_three_suggestions_stay_as_they_are() -> None:
    three = [asks(str(n), (test, "routine")) for n, test in enumerate((A, B, C))]
    assert _fit(three) == tuple(three)


def test_what_goes_beyond_three_suggestions_joins_the_third_and_is_not_recommended() -> None:
    five = [asks(str(n), (test, "routine")) for n, test in enumerate((A, B, C, D, E))]
    assert told(_fit(five)) == [
        ("0", ["A/routine/1"], True),
        ("1", ["B/routine/1"], True),
        ("2", ["C/routine/1", "D/routine/1", "E/routine/1"], False),
    ]


def test_a_test_stands_on_the_first_card_that_names_it_with_the_highest_priority() -> None:
    first = Plan((asks("first", (A, "routine")),))
    second = Plan((asks("second", (A, "stat"), (B, "urgent")), asks("third", (B, "asap"))))
    across = across_cards({"one": first, "two": second})
    assert told(across["one"].suggestions) == [("first", ["A/stat/1"], True)]
    assert told(across["two"].suggestions) == [("second", ["B/asap/1"], True)]


def test_what_a_panel_shares_with_an_earlier_test_is_left_out_of_it() -> None:
    across = across_cards(
        {"one": Plan((asks("first", (A, "urgent")),)), "two": Plan((asks("second", (PANEL, "routine")),))}
    )
    assert told(across["two"].suggestions) == [("second", ["AB/routine/1"], True)]
    assert priority_given(PANEL, [s for plan in across.values() for s in plan.suggestions]) == "routine"


def test_a_panel_is_given_with_the_lowest_priority_of_its_parts() -> None:
    suggestions = [asks("parts", (A, "stat"), (B, "urgent"))]
    assert priority_given(PANEL, suggestions) == "urgent"
    assert priority_given(A, suggestions) == "stat"
    assert priority_given(PANEL, suggestions[:0]) is None
    assert priority_given(PANEL, [asks("a part", (A, "stat"))]) is None
    assert asked_within(PANEL, suggestions) == ("Test A", "Test B")
    assert asked_within(C, suggestions) == ()


@pytest.mark.parametrize(("day", "spared"), [("today", True), ("yesterday", True), ("2 days ago", False)])
def test_in_an_emergency_only_a_result_of_today_or_yesterday_spares_a_test(
    day: str, spared: bool, knowledge: Any, reading: Any
) -> None:
    potassium = {"lab": "potassium", "value": 4.2, "unit": "mmol/L", "on": day}
    case = case_of([{"twitch": "60 days ago"}, potassium], knowledge, reading)
    assert isinstance(plan_order(CardOrder("LAB-K", "stat"), case), Withheld) is spared
    assert isinstance(plan_order(CardOrder("LAB-K", "asap"), case), Withheld)


def test_a_repeat_is_asked_for_although_a_normal_result_counts(knowledge: Any, reading: Any) -> None:
    potassium = {"lab": "potassium", "value": 4.2, "unit": "mmol/L", "on": "today"}
    case = case_of([{"twitch": "60 days ago"}, potassium], knowledge, reading)
    assert isinstance(plan_order(CardOrder("LAB-K", "routine", repeat=True), case), PlannedOrder)


@pytest.mark.parametrize(
    ("status", "words"),
    [("on-hold", "is on hold"), ("revoked", "was cancelled"), ("completed", "marked as done"), ("active", None)],
)
def test_the_newest_earlier_order_is_remarked_on(status: str, words: str | None, knowledge: Any, reading: Any) -> None:
    orders = [
        {"order": "potassium", "status": "on-hold", "on": "200 days ago"},
        {"order": "potassium", "status": status, "on": "100 days ago"},
    ]
    case = case_of(orders, knowledge, reading)
    notes = _notes([asks("again", (knowledge.investigations["LAB-K"], "routine"))], case)
    assert len(notes) == (1 if words else 0)
    assert not words or (words in notes[0] and str(case.chart.entries[-1].when) in notes[0])


def test_all_is_pending_when_something_is_ordered_and_nothing_is_left_to_suggest() -> None:
    pending, done = Withheld(A, "pending", "ordered"), Withheld(B, "done", "normal")
    assert Plan(withheld=(done, pending)).all_pending is True
    assert Plan(withheld=(done,)).all_pending is False
    assert Plan((asks("more", (C, "routine")),), (pending,)).all_pending is False
    assert Plan((asks("more", (C, "routine")),), (pending,)).investigations == {"A", "C"}
