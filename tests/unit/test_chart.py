"""A chart keeps its entries in one order, and finds each of them once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import permutations

import pytest

from cds_service.clinical.chart import (
    Answer,
    Chart,
    Entry,
    Match,
    Medicine,
    Patient,
    Problem,
    Quantity,
    Report,
    Result,
    State,
)
from cds_service.clinical.spans import Span


def coded(*concepts: str) -> tuple[Match, ...]:
    return tuple(Match(concept, "", "snomed", concept) for concept in concepts)


def chart(entries: Iterable[Entry]) -> Chart:
    return Chart(Patient("p"), tuple(entries))


ALIKE: list[list[Entry]] = [
    [Medicine(reference=r, title=t, active=True) for r, t in (("b", "x"), ("a", "y"), ("a", "x"))],
    # Resources may lack an id, or share one: then what they say decides.
    [Entry(reference="", title="", codes=coded(name)) for name in "cab"],
    [Entry(reference="", title="", when=Span.on(date(2026, 6, day))) for day in (3, 1, 2)],
    [Result(reference="", title="", says=says) for says in ("yes", "no", "normal")],
    [Result(reference="", title="", grade=grade) for grade in (4.0, 3.0, None)],
    [Result(reference="", title="", value=Quantity(n, n, "", "")) for n in (2.0, 1.0, 3.0)],
    [Entry(reference="", title="", codes=coded(name)) for name in "ba"],
]


@pytest.mark.parametrize("entries", ALIKE)
def test_entries_have_one_order_however_they_come(entries: list[Entry]) -> None:
    orders = {chart(moved).entries for moved in permutations(entries)}
    assert len(orders) == 1
    assert len(next(iter(orders))) == len(entries)


def test_entries_are_found_by_what_they_carry_and_each_once() -> None:
    one = Result(reference="1", title="one", codes=coded("a", "b"))
    two = Result(reference="2", title="two", value_codes=coded("b", "c"))
    problem = Problem(reference="3", title="three", codes=coded("b"), state=State.CURRENT)
    medicine = Medicine(reference="4", title="four", codes=coded("d"), active=True)
    held = chart([medicine, problem, two, one])
    assert held.all(Result) == (one, two)
    assert held.all(Report) == ()
    assert held.about(Result, frozenset({"a", "b", "c"})) == (one, two)
    assert held.about(Result, frozenset({"c"})) == (two,)
    assert held.about(Result, frozenset({"d"})) == held.about(Report, frozenset({"a"})) == ()
    assert held.about(Problem, frozenset({"b"})) == (problem,)
    assert {kind: set(found) for kind, found in held.carried.items()} == {
        Result: {"a", "b", "c"},
        Problem: {"b"},
        Medicine: {"d"},
    }


def test_entries_are_found_by_words_of_their_title() -> None:
    drops = Medicine(reference="1", title="Timolol eye drops", active=True)
    tablet = Medicine(reference="2", title="TIMÓLOL tablet", codes=coded("timolol"), active=True)
    again = Medicine(reference="3", title="Timolol eye drops", active=True)
    other = Medicine(reference="4", title="Lithium", codes=coded("lithium"), active=True)
    held = chart([other, again, tablet, drops])
    assert set(held.named(Medicine, ["timolol"])) == {drops, tablet, again}
    assert set(held.named(Medicine, ["tablet", "lithium"])) == {tablet, other}
    assert list(held.named(Medicine, ["timolol"])) == list(held.named(Medicine, ["timolol"]))
    assert list(held.named(Medicine, [])) == list(held.named(Result, ["timolol"])) == []
    assert list(held.about_or_named(Medicine, frozenset({"lithium"}), ["eye"])) == [drops, again, other]
    assert list(held.about_or_named(Medicine, frozenset({"timolol"}), ["timolol"])) == [drops, tablet, again]
    assert list(held.about_or_named(Medicine, frozenset({"x"}), ["zz"])) == []


def test_what_is_not_said_claims_nothing() -> None:
    assert not Entry(reference="", title="").coded
    result = Result(reference="", title="")
    assert (result.examined, result.this_encounter, result.final) == (False, False, True)
    assert not Problem(reference="", title="", state=State.CURRENT).this_encounter
    assert Report(reference="", title="").final
    patient = Patient("p")
    assert not (patient.deceased or patient.interpreter)
    assert Answer(reference="", title="", item="weak").number is None


@pytest.mark.parametrize(
    ("verification", "confirmed"),
    [("", True), ("confirmed", True), ("provisional", False), ("differential", False), ("unconfirmed", False)],
)
def test_a_label_under_discussion_is_not_confirmed(verification: str, confirmed: bool) -> None:
    assert Problem(reference="", title="", state=State.CURRENT, verification=verification).confirmed is confirmed


def test_a_bound_is_not_exact() -> None:
    assert Quantity(1, 1, "", "1").exact
    assert not Quantity(float("-inf"), 1, "", "<1").exact
