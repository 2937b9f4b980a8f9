"""Which concepts are remembered from chart to chart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cds_service.intake import concepts
from cds_service.intake.concepts import Concepts
from cds_service.knowledge.reading import Reading
from cds_service.remembered import Remembered

LOINC = "http://loinc.org"
POTASSIUM = {"coding": [{"system": LOINC, "code": "2823-3", "display": "Potassium"}], "text": "K"}


def in_another_chart(written: Any, reading: Reading, is_name: bool = True) -> bool:
    """Whether the next chart finds what was read of it in one."""
    first = Concepts(reading).of({"code": written}, "code", is_name)
    second = Concepts(reading).of({"code": dict(written)}, "code", is_name)
    assert first == second
    return first is second


@pytest.fixture
def other(reading: Reading) -> Reading:
    """A content of which nothing has been read."""
    return replace(reading)


def test_a_name_with_a_code_is_read_once_for_all_charts_of_a_content(reading: Reading, other: Reading) -> None:
    assert in_another_chart(POTASSIUM, other)
    here, there = (Concepts(known).of({"code": POTASSIUM}, "code", is_name=True) for known in (reading, other))
    assert here is not there and here.reading is reading and there.reading is other


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "Kalium"},
        {"coding": [{"system": LOINC, "code": "2823-3"}]},
        {"coding": [*POTASSIUM["coding"], *POTASSIUM["coding"]]},
    ],
)
def test_a_name_that_is_written_in_another_way_is_read_anew(changed: dict[str, Any], other: Reading) -> None:
    known = Concepts(other).of({"code": POTASSIUM}, "code", is_name=True)
    assert Concepts(other).of({"code": POTASSIUM | changed}, "code", is_name=True) is not known


def test_what_may_speak_of_a_person_is_forgotten_with_its_chart(other: Reading) -> None:
    assert not in_another_chart(POTASSIUM, other, is_name=False)  # a problem, a reason or a value
    assert not in_another_chart({"text": "twitching since his wife left"}, other)
    assert not in_another_chart({"coding": [{"display": "Potassium"}]}, other)
    assert not in_another_chart(POTASSIUM | {"text": "K " * 300}, other)
    assert not in_another_chart({"coding": [{"system": LOINC, "code": "2" * 600}]}, other)


def test_a_name_without_end_is_not_kept(other: Reading) -> None:
    code = POTASSIUM["coding"]
    assert in_another_chart({"coding": code * 8}, other)
    assert not in_another_chart({"coding": code * 9}, other)
    assert not in_another_chart({"coding": [*code, {}]}, other)
    assert not in_another_chart({"coding": [*code, *[{}] * 1000]}, other)


def test_what_was_read_of_a_problem_is_not_shared_when_a_test_is_called_the_same(other: Reading) -> None:
    chart = Concepts(other)
    problem = chart.of({"code": POTASSIUM}, "code")
    assert chart.of({"code": POTASSIUM}, "code", is_name=True) is problem
    assert Concepts(other).of({"code": POTASSIUM}, "code", is_name=True) is not problem


def test_as_many_names_are_remembered_as_there_is_room_for(other: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    room: Remembered[Any, Any] = Remembered(8)
    monkeypatch.setattr(concepts, "_shared_names", lambda _: room)
    for number in range(50):
        name = {"coding": [{"system": LOINC, "code": f"{number}-0"}]}
        assert in_another_chart(name, other) and in_another_chart(POTASSIUM, other)
        assert len(room) <= 8
