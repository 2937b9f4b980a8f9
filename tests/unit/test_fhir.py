"""What is remembered of resources that were checked."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service import fhir

WEIGHT = {
    "resourceType": "Observation", "id": "w", "status": "final", "code": {"text": "Body weight"},
    "valueQuantity": {"value": 70, "unit": "kg"},
}  # fmt: skip


def test_a_valid_resource_is_checked_once_and_every_change_of_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir, "_valid", set())
    assert fhir.is_valid(WEIGHT) and len(fhir._valid) == 1
    with monkeypatch.context() as unasked:
        unasked.setattr(fhir, "faults", lambda resource: pytest.fail("it was checked again"))
        assert fhir.is_valid(dict(WEIGHT))
    changes: list[dict[str, Any]] = [{"status": 5}, {"status": None}, {"code": []}, {"valueFoo": 1}]
    for change in changes:
        for _ in range(2):
            assert not fhir.is_valid(WEIGHT | change)
    assert len(fhir._valid) == 1  # what is not valid is never taken for known


def test_what_is_remembered_is_bounded_and_holds_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir, "_valid", set())
    monkeypatch.setattr(fhir, "_MOST_REMEMBERED", 2)
    for identity in ("a", "b", "c"):
        assert fhir.is_valid(WEIGHT | {"id": identity})
    assert len(fhir._valid) == 2 and all(type(mark) is int for mark in fhir._valid)
