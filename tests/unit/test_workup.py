"""What is asked for, once, with which priority, and what is said of earlier orders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from cds_service.clinical.analytes import LabValue, Limits
from cds_service.clinical.chart import Chart, Match, Order, Patient, Quantity, Result
from cds_service.clinical.findings import Case
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.knowledge import CardOrder, CardSuggestion, Investigation, OrderItem, Reason
from cds_service.clinical.spans import Span
from cds_service.clinical.workup import (
    Plan,
    PlannedOrder,
    PlannedSuggestion,
    Withheld,
    _fit,
    _is_normal,
    _notes,
    across_cards,
    asked_within,
    plan,
    plan_order,
    priority_given,
)
from cds_service.worked_examples import case_of
from tests.conftest import TODAY


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


@pytest.mark.parametrize(
    ("priority", "day", "held"),
    [
        ("routine", "in 90 days", True),
        ("routine", "in 91 days", False),
        ("urgent", "in 14 days", True),
        ("urgent", "in 15 days", False),
        ("urgent", "1 day ago", False),
        ("stat", "today", False),
    ],
)
def test_a_visit_that_is_booked_soon_enough_stands_for_a_referral(
    priority: str, day: str, held: bool, knowledge: Any, reading: Any
) -> None:
    case = case_of([{"twitch": "60 days ago"}, {"appointment": "spec_neurology", "on": day}], knowledge, reading)
    result = plan_order(CardOrder("REF-NEURO", priority), case)
    assert (isinstance(result, Withheld) and result.state == "pending") is held


def test_an_abnormal_result_that_settles_the_question_is_not_called_normal(knowledge: Any, reading: Any) -> None:
    given = [
        {"twitch": "100 days ago"},
        {"lab": "calcium_corrected", "value": 2.95, "unit": "mmol/L", "on": "10 days ago", "range": [2.2, 2.6]},
        {"lab": "pth", "value": 18, "unit": "pmol/L", "on": "10 days ago", "flag": "H"},
    ]
    result = plan_order(CardOrder("LAB-PTH", "urgent"), case_of(given, knowledge, reading))
    assert isinstance(result, Withheld) and result.because == "the result still counts"


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


def order(code: str, on: str = "3 days ago", status: str = "active", **more: Any) -> dict[str, Any]:
    return {"order": code, "on": on, "status": status, **more}


def lab_result(name: str, value: float, on: str = "3 days ago", **more: Any) -> dict[str, Any]:
    return {"lab": name, "value": value, "unit": "mmol/L", "on": on, **more}


TWITCH = {"twitch": "60 days ago"}
ORDERED = "already ordered on 2026-06-12"
K_NA = Investigation(
    "K-NA", "Potassium and sodium", "laboratory",
    (OrderItem("Potassium", "potassium", ("K",)), OrderItem("Sodium", "sodium", ("Na",))), pending_for=30,
)  # fmt: skip
STUDY = Investigation(
    "STUDY", "EMG with NCS", "study", (OrderItem("EMG", "order_emg"), OrderItem("NCS", "order_ncs")), pending_for=90
)


def planned(test: Investigation, record: list[Any], knowledge: Any, reading: Any, **more: Any) -> tuple[str, Any]:
    """What becomes of an order of a test: suggested with its parts, or the state in which it is withheld."""
    asked = more.pop("asked", frozenset())
    known = replace(
        knowledge, investigations={**knowledge.investigations, test.id: test}, panels={"panel": frozenset({"K", "Na"})}
    )
    found = plan_order(CardOrder(test.id, "routine", **more), case_of(record, known, reading), asked)
    if isinstance(found, Withheld):
        return found.state, found.because
    return "suggested", [item.text for item in found.items]


@pytest.mark.parametrize(
    ("record", "state", "said"),
    [
        ([], "suggested", ["Potassium", "Sodium"]),
        ([lab_result("potassium", 4.0)], "suggested", ["Sodium"]),
        ([lab_result("potassium", 3.4)], "suggested", ["Potassium", "Sodium"]),
        ([lab_result("potassium", 4.0), lab_result("sodium", 140)], "done", "a normal result still counts"),
        ([order("potassium")], "suggested", ["Sodium"]),
        ([order("potassium"), order("sodium", "9 days ago")], "pending", ORDERED),
        ([order("potassium", "30 days ago"), order("sodium", "30 days ago")], "pending",
         "already ordered on 2026-05-16"),
        ([order("potassium", "31 days ago"), order("sodium", "31 days ago")], "suggested", ["Potassium", "Sodium"]),
        ([order("potassium", status="draft"), order("sodium", status="draft")], "pending", ORDERED),
        ([order("potassium", status="on-hold"), order("sodium")], "suggested", ["Potassium"]),
        ([order("potassium", status="revoked"), order("sodium")], "suggested", ["Potassium"]),
        # Done lately, and the result not due yet.
        ([order("potassium", "7 days ago", "completed"), order("sodium")], "pending", ORDERED),
        ([order("potassium", "8 days ago", "completed"), order("sodium")], "suggested", ["Potassium"]),
        ([lab_result("sodium", 140), order("potassium")], "pending", ORDERED),
        ([order("potassium", "2026"), order("sodium")], "suggested", ["Potassium"]),
    ],
)  # fmt: skip
def test_what_is_ordered_or_done_is_not_asked_for(
    record: list[Any], state: str, said: Any, knowledge: Any, reading: Any
) -> None:
    assert planned(K_NA, [TWITCH, *record], knowledge, reading) == (state, said)


def test_what_is_asked_for_by_name_is_not_asked_for_again_in_a_panel(knowledge: Any, reading: Any) -> None:
    k, both = frozenset({"K"}), frozenset({"K", "Na"})
    by_name = "what is missing is asked for by name on this card"
    assert planned(K_NA, [TWITCH], knowledge, reading, asked=k) == ("suggested", ["Sodium"])
    assert planned(K_NA, [TWITCH], knowledge, reading, asked=both) == ("done", by_name)
    one_done = [TWITCH, lab_result("sodium", 140)]
    rest = f"{by_name}; a normal result of the rest still counts"
    assert planned(K_NA, one_done, knowledge, reading, asked=k) == ("done", rest)
    both_done = [*one_done, lab_result("potassium", 4.0)]
    assert planned(K_NA, both_done, knowledge, reading, asked=k) == ("done", "a normal result still counts")
    assert planned(K_NA, both_done, knowledge, reading, repeat=True) == ("suggested", ["Potassium", "Sodium"])


@pytest.mark.parametrize(
    ("record", "state"),
    [
        ([], "suggested"),
        # An open order of the main study is one of all of it; one of a part only of that part.
        ([order("order_emg", "90 days ago")], "pending"),
        ([order("order_emg", "91 days ago")], "suggested"),
        ([order("order_ncs")], "suggested"),
        ([order("order_emg", "30 days ago", "completed")], "pending"),
        ([order("order_emg", "31 days ago", "completed")], "suggested"),
        ([order("order_cmp")], "suggested"),
    ],
)
def test_an_open_order_of_a_study(record: list[Any], state: str, knowledge: Any, reading: Any) -> None:
    assert planned(STUDY, record, knowledge, reading)[0] == state
    within = structs.replace(STUDY, also_pending=frozenset({"order_cmp"}))
    assert planned(within, record, knowledge, reading)[0] == ("pending" if record == [order("order_cmp")] else state)


def test_an_order_that_contains_it_covers_a_single_request_only(knowledge: Any, reading: Any) -> None:
    covered = {"also_pending": frozenset({"order_cmp"})}
    alone = structs.replace(K_NA, items=K_NA.items[:1], **covered)
    assert planned(alone, [order("order_cmp")], knowledge, reading)[0] == "pending"
    assert planned(structs.replace(K_NA, **covered), [order("order_cmp")], knowledge, reading)[0] == "suggested"


def test_a_request_without_a_code_is_known_by_its_text(knowledge: Any, reading: Any) -> None:
    swallowing = Investigation(
        "SLT", "Swallowing", "referral", (OrderItem("Swallowing test"), OrderItem("Speech test"))
    )
    both = [order("SWALLOWING test"), order("speech test")]
    assert planned(swallowing, both, knowledge, reading)[0] == "pending"
    assert planned(swallowing, both[1:], knowledge, reading) == ("suggested", ["Swallowing test"])
    assert planned(swallowing, [order("another test")], knowledge, reading)[0] == "suggested"


@pytest.mark.parametrize(
    ("enough", "done", "said"),
    [
        (2, [], ["Electrolytes", "Phosphate"]),
        (2, ["sodium"], ["Electrolytes", "Phosphate"]),
        (2, ["sodium", "potassium"], ["Magnesium", "Phosphate"]),
        (3, [], ["Electrolytes", "Phosphate"]),
        (3, ["sodium"], ["Potassium", "Magnesium", "Phosphate"]),
    ],
)
def test_a_panel_replaces_its_tests_when_enough_are_missing(
    enough: int, done: list[str], said: list[str], knowledge: Any, reading: Any
) -> None:
    panel = OrderItem("Electrolytes", "electrolytes", ("K", "Na", "Mg"), enough)
    others = (OrderItem("Magnesium", "magnesium", ("Mg",)), OrderItem("Phosphate", "phosphate", ("PO4",)))
    test = Investigation("PANEL", "Electrolytes", "laboratory", (panel, *K_NA.items, *others))
    record = [TWITCH, *(lab_result(name, 140 if name == "sodium" else 4.0) for name in done)]
    assert planned(test, record, knowledge, reading) == ("suggested", said)


@pytest.mark.parametrize(
    ("result", "spared"),
    [
        (lab_result("potassium", 4.0), True),
        (lab_result("potassium", 3.4), False),
        # Outside the usual interval, and a wider action band says that it is no matter.
        (lab_result("potassium", 5.2), True),
        (lab_result("potassium", 5.2, range=[3.5, 5.0]), False),
        (lab_result("potassium", 5.2, flag="H"), False),
        (lab_result("potassium", 4.0, range=[3.5, 5.0]), True),
        (lab_result("potassium", 3.6, range=[3.7, 5.0]), False),
        # A bound that decides nothing.
        (lab_result("potassium", "<4.0"), False),
        (lab_result("potassium", ">4.0"), False),
        (lab_result("potassium", 5.9, note="haemolysed"), False),
    ],
)
def test_only_a_normal_result_spares_a_test(result: Any, spared: bool, knowledge: Any, reading: Any) -> None:
    case = case_of([TWITCH, result], knowledge, reading)
    assert isinstance(plan_order(CardOrder("LAB-K", "routine"), case), Withheld) is spared


@pytest.mark.parametrize(
    ("action", "low", "high"),
    [
        (Limits(), False, False),
        (Limits(below=1), True, False),
        (Limits(at_most=1), True, False),
        (Limits(above=9), False, True),
        (Limits(at_least=9), False, True),
    ],
)
def test_a_wider_action_band_says_that_a_side_is_no_matter(
    action: Limits, low: bool, high: bool, knowledge: Any
) -> None:
    row = replace(knowledge.analytes["K"], action=action)
    value = LabValue(row, Quantity(5, 5, "mmol/L", "5"), Result(reference="1", title="x"))
    bands = ("borderline_low", "borderline_high", "normal", "low", "critical_high")
    assert [_is_normal(value, band) for band in bands] == [low, high, True, False, False]
    own = replace(value, low=1.0)
    assert [_is_normal(own, band) for band in bands] == [False, False, True, False, False]


def test_of_several_codings_of_an_order_one_is_enough(knowledge: Any) -> None:
    codes = tuple(Match(concept, "", "loinc", concept) for concept in ("other", "potassium"))
    for turned in (codes, codes[::-1]):
        entry = Order(reference="1", title="x", codes=turned, when=Span.on(TODAY), status="active")
        case = Case(Chart(Patient("p"), (entry,)), TODAY, knowledge)
        assert isinstance(plan_order(CardOrder("LAB-K", "routine"), case), Withheld)


def test_a_reason_of_the_card_or_of_the_test_holds_it_back(knowledge: Any, reading: Any) -> None:
    because = (Reason(compile_formula("babinski"), "for a reason"),)
    sign = [{"exam": "babinski", "value": value, "on": "3 days ago"} for value in ("yes", "no")]
    for test, unless in ((K_NA, because), (structs.replace(K_NA, not_when=because), ())):
        assert planned(test, sign[:1], knowledge, reading, unless=unless) == ("withheld", "for a reason")
        assert planned(test, sign[1:], knowledge, reading, unless=unless)[0] == "suggested"


def test_the_orders_of_a_card(knowledge: Any, reading: Any) -> None:
    """Each where it is first asked for, the tests by name before the panel, and what is held back once."""
    a = structs.replace(K_NA, id="A", title="A", items=K_NA.items[:1])
    known = replace(knowledge, investigations={**knowledge.investigations, "A": a, "K-NA": K_NA, "STUDY": STUDY})
    holds, not_ = compile_formula("babinski"), compile_formula("atrophy")
    card = structs.replace(
        knowledge.cards["TW13"],
        suggestions=(
            CardSuggestion("panel", (CardOrder("K-NA", "urgent"),)),
            CardSuggestion("test", (CardOrder("A", "routine"), CardOrder("STUDY", "routine", when=holds)), True),
            CardSuggestion("never", (CardOrder("STUDY", "stat"),), when=not_),
            CardSuggestion("test", (CardOrder("STUDY", "asap", when=not_), CardOrder("STUDY", "urgent"))),
        ),
    )
    sign = {"exam": "babinski", "value": "yes", "on": "3 days ago"}
    made = plan([card], case_of([sign], known, reading))
    assert told(made.suggestions) == [
        ("panel", ["K-NA/urgent/1"], False),
        ("test", ["A/urgent/1", "STUDY/urgent/2"], True),
    ]
    assert made.withheld == ()
    done = plan(
        [card], case_of([TWITCH, sign, lab_result("potassium", 4.0), lab_result("sodium", 140)], known, reading)
    )
    assert told(done.suggestions) == [("test", ["STUDY/urgent/2"], True)]
    assert sorted(w.investigation.id for w in done.withheld) == ["A", "K-NA"]
