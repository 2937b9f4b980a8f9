"""A card that was overridden does not nag while the facts are the same, and comes back when they are not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import pytest
from sqlalchemy import text

from cds_service.assess import ChartSource, assess
from cds_service.clinical.assessment import fingerprint
from cds_service.clinical.findings import Case
from cds_service.intake.envelope import read_envelope
from cds_service.intake.prefetch import gather
from tests.conftest import FIXTURES, TODAY
from tests.network.conftest import House


def overridden(card: Any, at: datetime) -> dict[str, Any]:
    return {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": at.isoformat()}


def accepted(card: Any, at: datetime) -> dict[str, Any]:
    ids = [{"id": card["suggestions"][0]["uuid"]}]
    return {"card": card["uuid"], "outcome": "accepted", "acceptedSuggestions": ids, "outcomeTimestamp": at.isoformat()}


def leads(cards: list[Any]) -> list[int]:
    """The numbers of the lead cards, from their uuids."""
    return [int(card["uuid"][:2], 16) for card in cards]


def set_aside(house: House, body: Any, tenant: str = "") -> int:
    """Override the first card of this chart; its number."""
    card = house.cards(body, tenant)[0]
    assert house.tell(overridden(card, house.clock.now), tenant=tenant).status_code == 200
    return leads([card])[0]


def test_an_overridden_card_is_not_shown_again_and_no_other_takes_its_place(house: House, request_body: Any) -> None:
    before = leads(house.cards(request_body))
    gone = set_aside(house, request_body)
    assert gone in before
    assert leads(house.cards(request_body)) == [number for number in before if number != gone]


def test_all_cards_can_be_set_aside_one_after_another(house: House, request_body: Any) -> None:
    count = len(house.cards(request_body))
    for left in range(count, 0, -1):
        assert len(house.cards(request_body)) == left
        set_aside(house, request_body)
    assert house.cards(request_body) == []


def test_a_new_finding_brings_it_back(house: House, request_body: Any) -> None:
    gone = set_aside(house, request_body)
    assert gone not in leads(house.cards(request_body))
    entries = request_body["prefetch"]["conditions"]["entry"]
    today = {"id": "new-1", "code": DYSPHAGIA, "onsetDateTime": "2026-06-14", "recordedDate": "2026-06-14"}
    entries.append({"resource": entries[-1]["resource"] | today})
    assert gone in leads(house.cards(request_body))


def test_a_card_that_begins_to_fire_behind_it_brings_it_back(house: House, request_body: Any) -> None:
    """Thyroid failure fires behind low potassium and weakness, and only what is on show can tell of it."""
    labs = request_body["prefetch"]["labs"].setdefault("entry", [])
    labs.append(_result(request_body, "2823-3"))
    before = leads(house.cards(request_body))
    gone = set_aside(house, request_body)
    assert gone not in leads(house.cards(request_body))
    thyroid = _result(request_body, "3016-3")
    labs.append(thyroid)  # normal: no card is about it
    assert gone not in leads(house.cards(request_body))
    thyroid["resource"]["valueQuantity"]["value"] = 12.0
    assert leads(house.cards(request_body)) == before


def _result(request_body: Any, code: str) -> Any:
    """A result of another fixture, as this patient's."""
    labs = json.loads((FIXTURES / "requests" / "low-potassium.json").read_bytes())["prefetch"]["labs"]["entry"]
    found = next(e for e in labs if e["resource"]["code"].get("coding", [{}])[0].get("code") == code)
    subject = {"reference": f"Patient/{request_body['context']['patientId']}"}
    return found | {"resource": found["resource"] | {"id": f"lab-{code}", "subject": subject}}


def test_another_value_brings_it_back(house: House) -> None:
    body = json.loads((FIXTURES / "requests" / "low-potassium.json").read_bytes())
    gone = set_aside(house, body)
    assert gone not in leads(house.cards(body))
    potassium = next(
        entry["resource"]
        for entry in body["prefetch"]["labs"]["entry"]
        if entry["resource"]["code"].get("coding", [{}])[0].get("code") == "2823-3"
    )
    potassium["valueQuantity"]["value"] = 2.8
    assert gone in leads(house.cards(body))


DYSPHAGIA = {
    "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R13.10", "display": "Dysphagia, unspecified"}]
}


def test_the_same_facts_charted_again_do_not_bring_it_back(house: House, request_body: Any) -> None:
    gone = set_aside(house, request_body)
    request_body["hookInstance"] = "6a1f3c5e-0000-4000-8000-000000000001"
    request_body["context"]["userId"] = "Practitioner/another"
    assert gone not in leads(house.cards(request_body))


def test_time_brings_it_back(house: House, request_body: Any) -> None:
    gone = set_aside(house, request_body)  # TW06 is of tier T2: 30 days
    house.clock.forward(days=29, hours=23)
    assert gone not in leads(house.cards(request_body))
    house.clock.forward(hours=2)
    assert gone in leads(house.cards(request_body))


@pytest.mark.parametrize(("card", "days"), [("TW01", 3), ("TW05", 1), ("TW06", 30), ("TW10", 180), ("TW22", 180)])
def test_each_tier_has_its_own_time_until_it_comes_back(knowledge: Any, card: str, days: int) -> None:
    assert knowledge.days_set_aside(card) == days


def test_every_card_has_a_time(knowledge: Any) -> None:
    assert all(knowledge.days_set_aside(card) > 0 for card in knowledge.cards)


def test_another_patient_and_another_tenant_are_not_affected(house: House, request_body: Any) -> None:
    gone = set_aside(house, request_body, tenant="north")
    assert gone not in leads(house.cards(request_body, tenant="north"))
    assert gone in leads(house.cards(request_body, tenant="south"))
    assert gone in leads(house.cards(request_body))
    other = _renamed(request_body, request_body["context"]["patientId"], "somebody-else")
    assert gone in leads(house.cards(other, tenant="north"))


def _renamed(part: Any, old: str, new: str) -> Any:
    if isinstance(part, dict):
        return {key: _renamed(value, old, new) for key, value in part.items()}
    if isinstance(part, list):
        return [_renamed(one, old, new) for one in part]
    return {old: new, f"Patient/{old}": f"Patient/{new}"}.get(part, part) if isinstance(part, str) else part


def test_accepting_it_later_brings_it_back(house: House, request_body: Any) -> None:
    card = house.cards(request_body)[0]
    house.tell(overridden(card, house.clock.now))
    assert leads([card])[0] not in leads(house.cards(request_body))
    house.clock.forward(minutes=5)
    house.tell(accepted(card, house.clock.now))
    assert leads([card])[0] in leads(house.cards(request_body))


def test_an_unverified_override_sets_nothing_aside(
    house: House, build: Callable[..., House], database_url: str, request_body: Any
) -> None:
    earlier = build(CDS_DATABASE_URL=database_url, CDS_SECRET="the-secret-before-this").cards(request_body)
    house.tell(*(overridden(card, house.clock.now) for card in earlier))
    assert len(house.cards(request_body)) == len(earlier)


def test_without_a_lasting_secret_nothing_is_remembered(
    build: Callable[..., House], database_url: str, request_body: Any
) -> None:
    house = build(CDS_DATABASE_URL=database_url, CDS_SECRET="")
    gone = set_aside(house, request_body)
    assert gone in leads(house.cards(request_body))
    with house.store._engine().connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM dismissals")).scalar() == 0
    assert [row["verified"] for row in house.rows()] == [True]


def test_a_failing_store_withholds_no_card_and_the_log_says_so(
    house: House, request_body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gone = set_aside(house, request_body)
    with house.store._engine().execution_options(writes=True).begin() as connection:
        connection.execute(text("ALTER TABLE dismissals RENAME TO moved"))
    caplog.set_level(logging.WARNING)
    assert gone in leads(house.cards(request_body))
    assert "cards that were set aside are shown" in caplog.text
    assert request_body["context"]["patientId"] not in caplog.text


def test_the_memory_names_no_patient(house: House, request_body: Any) -> None:
    set_aside(house, request_body, tenant="north")
    with house.store._engine().connect() as connection:
        (row,) = connection.execute(text("SELECT * FROM dismissals")).mappings()
    assert set(row) == {"tenant_hash", "memory", "since", "expires"}
    assert isinstance(row["memory"], int) and 0 <= row["memory"] < 2**40


def test_what_makes_a_card_fire_belongs_to_its_facts(knowledge: Any, reading: Any, request_body: Any) -> None:
    hook = read_envelope(request_body)
    source = ChartSource(gather(hook.prefetch), hook.patient_id, hook.encounter_id)
    case = assess(source, knowledge, reading, TODAY).assessment.case

    class Asked:
        """The case, and which findings were looked at."""

        def __init__(self) -> None:
            self.names: set[str] = set()

        def __getitem__(self, name: str) -> Any:
            self.names.add(name)
            return case[name]

        def __getattr__(self, name: str) -> Any:
            return getattr(case, name)

    for card in knowledge.cards.values():
        asked = Asked()
        fingerprint([card], "info", cast(Case, asked))
        assert {*card.names, *card.triggers} <= asked.names, card.id
