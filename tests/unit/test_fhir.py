"""What is remembered of resources that were checked."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service import fhir
from cds_service.remembered import Remembered

WEIGHT = {
    "resourceType": "Observation", "id": "w", "status": "final", "code": {"text": "Body weight"},
    "valueQuantity": {"value": 70, "unit": "kg"},
}  # fmt: skip


def known(monkeypatch: pytest.MonkeyPatch, most: int = 100) -> Remembered[bytes, bool]:
    """An empty memory in place of the one of this process."""
    memory: Remembered[bytes, bool] = Remembered(most)
    monkeypatch.setattr(fhir, "_valid", memory)
    return memory


def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the resources that are checked from now on."""
    checked, faults = [], fhir.faults
    monkeypatch.setattr(fhir, "faults", lambda resource: checked.append(resource["id"]) or faults(resource))
    return checked


def test_a_valid_resource_is_checked_once_and_every_change_of_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = known(monkeypatch)
    assert fhir.is_valid(WEIGHT) and len(memory) == 1
    with monkeypatch.context() as unasked:
        unasked.setattr(fhir, "faults", lambda resource: pytest.fail("it was checked again"))
        assert fhir.is_valid(dict(WEIGHT))
    changes: list[dict[str, Any]] = [{"status": 5}, {"status": None}, {"code": []}, {"valueFoo": 1}]
    for change in changes:
        for _ in range(2):
            assert not fhir.is_valid(WEIGHT | change)
    assert len(memory) == 1  # what is not valid is never taken for known


def test_what_is_remembered_is_bounded_and_goes_on_with_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, checked = known(monkeypatch, most=8), checks(monkeypatch)
    for number in range(50):
        fhir.is_valid(WEIGHT | {"id": f"r{number}"})
        fhir.is_valid(WEIGHT | {"id": "often"})
        assert len(memory) <= 8
    assert checked.count("often") == 1  # what is asked for stays
    checked.clear()
    assert fhir.is_valid(WEIGHT | {"id": "r49"}) and checked == []  # the newest is known, however many came before
    assert fhir.is_valid(WEIGHT | {"id": "r0"}) and checked == ["r0"]  # the oldest was forgotten


def test_a_mark_holds_no_words_and_its_key_is_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = fhir._mark(WEIGHT)
    assert len(mark) == 16 and fhir._mark(dict(WEIGHT)) == mark
    monkeypatch.setattr(fhir, "_KEY", bytes(32))
    assert fhir._mark(WEIGHT) != mark
