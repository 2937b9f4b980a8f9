"""The worked examples beside each rule hold. A file is a test, so that a failure names the page."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from cds_service.handbook.library import Library
from cds_service.handbook.traces import EXAMPLES_TEST, Traces
from cds_service.worked_examples import Outcome, run
from tests.conftest import _COMPILED, _CONTENT

_BY_FILE: dict[str, list[Outcome]] = defaultdict(list)
for _outcome in run(_CONTENT, *_COMPILED):
    _BY_FILE[_outcome.where].append(_outcome)


@pytest.mark.parametrize("where", sorted(_BY_FILE))
def test_every_worked_example_of_a_page_holds(where: str) -> None:
    broken = [f"{o.name}: expects {o.expected}, the rules say {o.found}" for o in _BY_FILE[where] if not o.holds]
    assert not broken, "\n".join(broken)


def test_the_tests_that_the_traceability_names_are_among_these() -> None:
    named = {test for row in Traces(Library(_CONTENT)).rows for test in row.tests if test.startswith(EXAMPLES_TEST)}
    assert len(named) > 150
    assert {test.removeprefix(f"{EXAMPLES_TEST}[").removesuffix("]") for test in named} <= set(_BY_FILE)


def test_every_finding_card_and_investigation_has_examples_that_go_both_ways() -> None:
    for name, spec in {**_CONTENT.findings, **_CONTENT.cards, **_CONTENT.investigations}.items():
        expected = {str(example["expect"]) for example in spec["examples"]}
        assert len(expected) > 1 or not _can_go_both_ways(spec), f"{name}: all examples expect {expected}"


def _can_go_both_ways(spec: Any) -> bool:
    """An order that nothing withholds but an earlier order of itself has one answer only."""
    if "orders" not in spec or "also_pending" not in spec:
        return True
    return bool(spec["not_when"])
