"""The words of formulas that no worked example tells apart, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.clinical.formula import compile_formula, is_observer, named_in
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
