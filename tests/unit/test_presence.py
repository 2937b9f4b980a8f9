"""Truth tables of the three values: silence is unknown, and unknown never decides what it cannot."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations, product
from typing import Any

import pytest

from cds_service.clinical.findings import Finding
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.presence import Presence, absent, all_of, at_least

P, A, U = Presence.PRESENT, Presence.ABSENT, Presence.UNKNOWN
EVERY = (P, A, U)


def formula(word: str, parts: Iterable[Presence]) -> Presence:
    """What a formula of one word says of findings like these."""
    case: Any = {str(place): Finding(str(place), part) for place, part in enumerate(parts)}
    return compile_formula({word: "0" if word == "not_present" else list(case)})(case).presence


def any_of(parts: Iterable[Presence]) -> Presence:
    return formula("any", parts)


@pytest.mark.parametrize(
    "one, other, both, either",
    [
        (P, P, P, P),
        (P, U, U, P),
        (P, A, A, P),
        (U, U, U, U),
        (U, A, A, U),
        (A, A, A, A),
    ],
)
def test_all_and_any_of_two(one: Presence, other: Presence, both: Presence, either: Presence) -> None:
    assert all_of([one, other]) is all_of([other, one]) is formula("all", [one, other]) is both
    assert any_of([one, other]) is any_of([other, one]) is either


def test_of_nothing_all_hold_and_nothing_is_known_of_any() -> None:
    assert all_of([]) is formula("all", []) is P
    assert any_of([]) is U


@pytest.mark.parametrize("parts", list(product(EVERY, repeat=3)))
def test_three_parts_in_any_order(parts: tuple[Presence, ...]) -> None:
    for order in permutations(parts):
        assert all_of(order) is formula("all", order) is all_of(parts)
        assert any_of(order) is any_of(parts)
        assert at_least(2, order) is at_least(2, parts)
    # "one of" is any, "every one of" is all.
    assert at_least(1, parts) is any_of(parts)
    assert at_least(3, parts) is all_of(parts)


@pytest.mark.parametrize("parts", list(product(EVERY, repeat=3)))
def test_denial_turns_all_into_any(parts: tuple[Presence, ...]) -> None:
    assert absent(all_of(parts)) is any_of([absent(part) for part in parts])


@pytest.mark.parametrize("parts", list(product(EVERY, repeat=3)))
def test_what_becomes_known_never_takes_back_a_verdict(parts: tuple[Presence, ...]) -> None:
    known = list(product(*((part,) if part is not U else (P, A) for part in parts)))
    for judge in (all_of, any_of, lambda given: at_least(2, given)):
        if judge(parts) is not U:
            assert {judge(given) for given in known} == {judge(parts)}
        else:
            assert {judge(given) for given in known} == {P, A}


@pytest.mark.parametrize(
    "count, parts, verdict",
    [
        (2, [P, P, A], P),
        (2, [P, U, A], U),
        (2, [P, A, A], A),
        (2, [U, A, A], A),
        (2, [U, U, A], U),
        (2, [P], A),
        (0, [A], P),
        (1, [], A),
    ],
)
def test_at_least_counts_what_is_present(count: int, parts: list[Presence], verdict: Presence) -> None:
    assert at_least(count, parts) is verdict


def test_parts_may_come_from_a_generator() -> None:
    assert all_of(part for part in (P, U)) is U
    assert at_least(2, (part for part in (P, A, P))) is P


def test_documented_absence_and_mere_silence_are_two_things() -> None:
    assert [absent(part) for part in EVERY] == [A, P, U]
    assert [formula("not_present", [part]) for part in EVERY] == [A, P, P]


def test_presence_of_a_truth() -> None:
    assert [Presence.of(truth) for truth in (True, False, None)] == [P, A, U]
