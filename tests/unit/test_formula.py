"""The words of formulas that no worked example tells apart, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.clinical.chart import Quantity
from cds_service.clinical.formula import compile_formula, holds, is_observer, named_in
from cds_service.worked_examples import case_of


@pytest.mark.parametrize("spec", [{}, {"all": ["adult"], "any": ["adult"]}, {"none": ["adult"]}, {"inclusive": True}])
def test_a_formula_is_exactly_one_word(spec: Any) -> None:
    with pytest.raises(ValueError, match="a formula is a finding or one of"):
        compile_formula(spec)


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("adult", {"adult"}),
        ([], set()),
        (["adult", "male"], {"adult", "male"}),
        ({"all": ["adult", {"any": ["male", {"absent": "pregnant"}]}]}, {"adult", "male", "pregnant"}),
        ({"not_present": "pregnant"}, {"pregnant"}),
        ({"at_least": {"n": 2, "of": ["adult", "male"]}}, {"adult", "male"}),
        ({"above": {"K": "5.5 mmol/L"}, "inclusive": True}, {"K"}),
        ({"between": {"age": ["18 years", "40 years"]}}, {"age"}),
        ({"within": {"babinski": "30 days"}}, {"babinski"}),
        ({"of_codes": {"problem": ["stroke"]}}, set()),
    ],
)
def test_what_a_formula_depends_on(spec: Any, names: set[str]) -> None:
    assert named_in(spec) == names


@pytest.mark.parametrize(
    ("age", "presence"),
    [("17 years", "absent"), ("18 years", "present"), ("40 years", "present"), ("41 years", "absent"), ("", "unknown")],
)
def test_between_includes_both_limits(age: str, presence: str, knowledge: Any, reading: Any) -> None:
    between = compile_formula({"between": {"age": ["18 years", "40 years"]}})
    assert between(case_of({"age": age} if age else {}, knowledge, reading)).presence.value == presence


def test_an_observer_is_a_mapping_that_begins_with_a_head() -> None:
    assert is_observer({"problem": ["stroke"]})
    assert not is_observer({"all": ["problem"]})
    assert not is_observer("problem")


def _by_points(low: float, high: float, word: str, limit: float, inclusive: bool) -> bool | None:
    """The comparison for a point of each part into which the limit cuts an interval."""
    points = [p for p in (low, (max(low, -9) + min(high, 9)) / 2, limit, high) if low <= p <= high]
    said = {(p < limit if word == "below" else p > limit) or (inclusive and p == limit) for p in points}
    return said.pop() if len(said) == 1 else None


ENDS = [float("-inf"), 1.0, 2.0, 3.0, float("inf")]
INTERVALS = [(low, high) for low in ENDS for high in ENDS if low <= high and (low != high or abs(low) < 9)]


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("word", ["below", "above"])
def test_a_bound_decides_a_comparison_only_where_all_of_it_lies_on_one_side(word: str, inclusive: bool) -> None:
    for low, high in INTERVALS:
        said = holds(Quantity(low, high, "", ""), word, 2.0, inclusive)
        assert said is _by_points(low, high, word, 2.0, inclusive), (low, high)
    assert holds(None, word, 2.0, inclusive) is None


@pytest.mark.parametrize(
    ("signs", "presence", "cites"),
    [
        ([("yes", "30 days ago")], "present", ["1"]),
        ([("yes", "31 days ago")], "absent", ["1"]),
        ([("yes", "31 days ago"), ("yes", "30 days ago")], "present", ["2"]),
        ([("yes", "2026-05")], "unknown", ["1"]),
        ([("yes", "2026-04")], "absent", ["1"]),
        ([("yes", "2026-05"), ("yes", "2026-04")], "unknown", ["1", "2"]),
        ([("yes", "unknown")], "unknown", ["1"]),
        ([("yes", "unknown"), ("yes", "2026-04")], "absent", ["2", "1"]),
        ([("no", "3 days ago")], "absent", []),
        ([], "unknown", []),
    ],
)
def test_within_asks_for_dated_evidence(
    signs: list[tuple[str, str]], presence: str, cites: list[str], knowledge: Any, reading: Any
) -> None:
    within = compile_formula({"within": {"atrophy": "30 days"}})
    record = [{"exam": "muscle_atrophy", "value": value, "on": on} for value, on in signs]
    found = within(case_of(record, knowledge, reading))
    assert found.presence.value == presence
    assert [e.reference.rpartition("-")[2] for e in found.evidence] == cites


RECORD = [
    {"exam": "muscle_atrophy", "value": "yes", "on": "3 days ago", "site": "left calf"},
    {"exam": "babinski", "value": "no", "on": "2 days ago"},
    {"exam": "hoffmann", "value": "yes", "on": "1 day ago"},
]


@pytest.mark.parametrize(
    ("spec", "presence", "cites"),
    [
        ({"all": ["atrophy", "hoffmann"]}, "present", ["1", "3"]),
        ({"all": ["atrophy", "babinski", "hoffmann"]}, "absent", ["2"]),
        ({"all": ["atrophy", "clonus"]}, "unknown", []),
        ({"any": ["babinski", "atrophy", "hoffmann"]}, "present", ["1", "3"]),
        ({"any": ["babinski", "clonus"]}, "unknown", []),
        ({"any": ["babinski"]}, "absent", ["2"]),
        ({"at_least": {"n": 2, "of": ["atrophy", "babinski", "hoffmann"]}}, "present", ["1", "3"]),
        ({"at_least": {"n": 2, "of": ["atrophy", "babinski"]}}, "absent", ["2"]),
        ({"absent": "babinski"}, "present", ["2"]),
        ({"absent": "atrophy"}, "absent", ["1"]),
        ({"absent": "clonus"}, "unknown", []),
        ({"not_present": "clonus"}, "present", []),
        ({"not_present": "atrophy"}, "absent", []),
        ({"of_codes": {"result": ["muscle_atrophy"]}}, "present", ["1"]),
        ({"of_codes": {"result": ["babinski"]}}, "unknown", []),
        ({"above": {"age": "49 years"}}, "present", ["example"]),
        ({"above": {"age": "50 years"}}, "absent", ["example"]),
        ({"above": {"age": "50 years"}, "inclusive": True}, "present", ["example"]),
        ({"below": {"K": "3.5 mmol/L"}}, "unknown", []),
        ({"between": {"age": ["18 years", "60 years"]}}, "present", ["example"]),
        ({"between": {"K": ["3 mmol/L", "4 mmol/L"]}}, "unknown", []),
    ],
)
def test_a_formula_cites_the_parts_that_decide_it(
    spec: Any, presence: str, cites: list[str], knowledge: Any, reading: Any
) -> None:
    found = compile_formula(spec)(case_of(RECORD, knowledge, reading))
    assert found.presence.value == presence
    assert [e.reference.replace("/", "-").rpartition("-")[2] for e in found.evidence] == cites


def test_a_formula_carries_the_places_of_its_parts_and_the_value_it_compared(knowledge: Any, reading: Any) -> None:
    case = case_of(RECORD, knowledge, reading)
    assert [site.region for site in compile_formula({"all": ["hoffmann", "atrophy"]})(case).sites] == ["leg"]
    for spec in ({"above": {"age": "18 years"}}, {"between": {"age": ["18 years", "60 years"]}}):
        assert compile_formula(spec)(case).value == case["age"].value
