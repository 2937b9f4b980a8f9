"""Which class a medicine belongs to, what it alters and when, and which row of a table holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cds_service.clinical.chart import Match, Medicine
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.knowledge import DrugClass, Recheck
from cds_service.clinical.spans import Span
from cds_service.worked_examples import case_of
from tests.conftest import TODAY

CLASSES = {
    one.id: one
    for one in (
        DrugClass("first", "First", frozenset({"a"}), affects=frozenset({"K"})),
        DrugClass("local", "Local", frozenset({"a", "b"}), unless=("eye drops", "cream"), affects=frozenset({"Na"})),
        DrugClass("dosed", "Dosed", frozenset({"b"}), daily_dose=50.0),
    )
}


def medicine(title: str, *concepts: str, mg: float | None = None, **more: Any) -> Medicine:
    codes = tuple(Match(concept, "", "rxnorm", concept) for concept in concepts)
    return Medicine(reference="Medicine/1", title=title, codes=codes, active=True, mg_per_day=mg, **more)


@pytest.mark.parametrize(
    ("taken", "classes", "local"),
    [
        (medicine("tablet", "a"), ["first", "local"], False),
        (medicine("Eye Drops", "a"), ["first"], True),
        (medicine("hand cream", "b"), [], True),
        (medicine("tablet", "b", mg=50), ["local", "dosed"], False),
        (medicine("tablet", "b", mg=49.9), ["local"], False),
        (medicine("tablet", "b"), ["local"], False),
        (medicine("tablet", "b", "a", mg=60), ["first", "local", "dosed"], False),
        (medicine("eye drops", "c"), [], False),
        (medicine("x", "b", given="Ointments and creams"), [], True),
        (medicine("x", "b", given="Ophthalmic; eye-drops"), [], True),
        (medicine("x", "b", given="Creamy capsule"), ["local"], False),
    ],
)
def test_the_classes_of_a_medicine(taken: Medicine, classes: list[str], local: bool, knowledge: Any) -> None:
    known = replace(knowledge, drug_classes=CLASSES)
    assert [one.id for one in known.classes_of(taken)] == classes
    assert known.is_local(taken) is local


def test_when_a_medicine_that_alters_a_result_was_changed(knowledge: Any, reading: Any) -> None:
    began, raised = Span.on(TODAY), Span.parse("2026-06")
    case = case_of([], replace(knowledge, drug_classes=CLASSES), reading)
    case.medicines = tuple(
        (one, case.knowledge.classes_of(one))
        for one in (
            medicine("x", "a", when=began),
            medicine("y", "a", last_change=raised),
            medicine("z", "b", when=began),
        )
    )
    assert case.medicine_changes == {"K": [began, raised], "Na": [began, raised, began]}


def test_the_first_row_that_holds_says_when_to_look_again(knowledge: Any, reading: Any) -> None:
    rows = tuple(Recheck(name, compile_formula(name), 1, 2, name) for name in ("clonus", "babinski", "atrophy"))
    known = replace(knowledge, rechecks=rows)
    for facts, row in (
        ({"atrophy": "present"}, "atrophy"),
        ({"atrophy": "present", "babinski": "present"}, "babinski"),
    ):
        found = known.recheck_for(case_of(facts, known, reading))
        assert found is not None and found.id == row
    assert known.recheck_for(case_of({"clonus": "absent"}, known, reading)) is None


def test_how_long_a_dismissed_card_stays_away(knowledge: Any) -> None:
    known = replace(knowledge, set_aside_days={"T0": 1, "others": 30})
    assert (known.days_set_aside("TW01"), known.days_set_aside("TW22")) == (1, 30)
