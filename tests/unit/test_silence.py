"""What a question looks at is noted, so that it is asked again of every chart that has something of it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest

from cds_service.clinical.assessment import questions
from cds_service.clinical.chart import Problem
from cds_service.clinical.silence import Silence, silence


@pytest.mark.parametrize(
    ("key", "question", "looks"),
    [
        (("complete", "conditions"), "umn_explained", True),
        (("complete", "labs"), "umn_explained", False),
        (("complete", "labs"), "valid_K", True),
        (("bands",), "critical_lab", True),
        (("bands",), "low_K", False),
        (("band", "K"), "low_K", True),
        (("band", "Na"), "low_K", False),
        (("heard", "babinski"), "babinski", True),
        ((Problem, "stroke"), "umn_explained", True),
        ((Problem, "als"), "umn_explained", False),
        (("onset",), "viral_infection_before_onset", True),
        (("onset",), "age", False),
    ],
)
def test_what_a_question_looks_at(key: Hashable, question: str, looks: bool, knowledge: Any) -> None:
    known = silence(knowledge, questions)
    assert bool(_readers(known, key)[known.places[question]]) is looks


@pytest.mark.parametrize(("question", "finding"), [("colocated_weakness", "atrophy"), ("trigger TW05", "critical_lab")])
def test_what_a_finding_looks_at_is_looked_at_by_what_asks_for_it(question: str, finding: str, knowledge: Any) -> None:
    known = silence(knowledge, questions)
    asked = [readers for key in known.readers if (readers := _readers(known, key))[known.places[finding]]]
    assert asked and all(readers[known.places[question]] for readers in asked)


def test_the_places_of_findings_come_first(knowledge: Any) -> None:
    known = silence(knowledge, questions)
    first = list(known.places)[: len(knowledge.findings)]
    assert [name for name, _ in known.findings_in(b"\1" * len(known.places))] == first
    assert knowledge.findings.keys() == set(first)


def _readers(known: Silence, key: Hashable) -> bytes:
    return known.readers.get(key, 0).to_bytes(len(known.places), "little")
