"""The bodies of the benchmarks hold what they say: so many resources, and twitching only where it is meant."""

from __future__ import annotations

import gzip
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bodies import PATIENT, SIZES, TODAY, Body, bodies, doubled, is_irrelevant, resources_of
from cds_service.assess import ChartSource, Outcome, assess

NAMES = ("small", "medium")
MADE = [pytest.param(body, id=body.name) for body in bodies(None, NAMES)]


@pytest.fixture
def judge(knowledge: Any, reading: Any) -> Any:
    def judged(body: Body, today: date = TODAY) -> Outcome:
        source = ChartSource.of_prefetch(json.loads(body.content)["prefetch"], PATIENT)
        return assess(source, knowledge, reading, today)

    return judged


def cards(outcome: Outcome) -> list[Any]:
    return list(outcome.assessment.cards)


@pytest.mark.parametrize("body", MADE)
def test_a_body_has_its_size_and_every_resource_once(body: Body) -> None:
    found = [(resource["resourceType"], resource["id"]) for resource in resources_of(body.content)]
    assert len(found) == len(set(found)) == body.resources == SIZES[body.name.split()[0]]


@pytest.mark.parametrize("body", MADE)
def test_cards_answer_a_twitching_body_and_no_other(body: Body, judge: Any) -> None:
    outcome = judge(body)
    assert bool(cards(outcome)) == body.twitching
    assert outcome.other_patients == 0


@pytest.mark.parametrize("body", MADE)
def test_irrelevant_resources_may_be_doubled_and_change_no_card(body: Body, judge: Any) -> None:
    more, added = doubled(body)
    found = list(resources_of(more.content))
    assert added > 0
    assert len(found) == body.resources + added
    assert sum(map(is_irrelevant, found)) == 2 * added
    shown, shown_before = cards(judge(more)), cards(judge(body))
    assert [card.cards for card in shown] == [card.cards for card in shown_before]


def test_a_body_can_be_current_on_another_day(judge: Any) -> None:
    later = TODAY + timedelta(days=500)
    [_, twitching] = bodies(None, ["small"], later)
    assert cards(judge(twitching, later))


def test_an_exported_chart_becomes_a_current_one_of_our_patient(tmp_path: Path, judge: Any) -> None:
    identity = "f39b0478-5d39-41ba-a0e7-1c5dd6987af9"
    for number in range(2):  # neither has enough for a small body
        name = f"{number}{identity[1:]}"
        patient = {"resourceType": "Patient", "id": name, "birthDate": "1980-01-01", "gender": "female"}
        heights = [height(f"{number}-{place}", name) for place in range(15)]
        entries = [{"fullUrl": f"urn:uuid:{r['id']}", "resource": r} for r in (patient, *heights)]
        bundle = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
        (tmp_path / f"{number}.json.gz").write_bytes(gzip.compress(bundle))
    quiet, twitching = bodies(tmp_path, ["small"])
    assert [len(list(resources_of(body.content))) for body in (quiet, twitching)] == [20, 20]
    assert cards(judge(twitching)) and not cards(judge(quiet))
    assert judge(quiet).other_patients == 0
    assert b"urn:uuid:" not in quiet.content
    assert max(r["effectiveDateTime"] for r in resources_of(quiet.content) if "subject" in r) == "2026-06-10"


def height(identity: str, patient: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": identity, "status": "final",
        "category": [{"coding": [{"code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}], "text": "Body Height"},
        "subject": {"reference": f"urn:uuid:{patient}"}, "effectiveDateTime": f"2012-02-{int(identity[2:]) + 1:02}",
        "valueQuantity": {"value": 170, "unit": "cm"},
    }  # fmt: skip
