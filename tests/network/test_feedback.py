"""Hearing back, on both databases: what is kept, what is refused, and what is never kept."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from cds_service.errors import StoreError
from cds_service.knowledge.codes import LOCAL_SYSTEM
from cds_service.response.uuids import release_of
from tests.network.conftest import House

FEEDBACK = "/cds-services/muscle-twitching/feedback"
AT = "2026-06-15T10:05:31.123Z"
DECLINED = {"code": "patient-refuses", "system": "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"}


@pytest.fixture
def card(house: House, request_body: Any) -> Any:
    """A card as it was issued, with two suggestions or more."""
    return house.cards(request_body)[0]


def overridden(card: str, at: str = AT, **members: Any) -> dict[str, Any]:
    return {"card": card, "outcome": "overridden", "outcomeTimestamp": at, **members}


def accepted(card: str, *suggestions: str, at: str = AT) -> dict[str, Any]:
    ids = [{"id": one} for one in suggestions]
    return {"card": card, "outcome": "accepted", "acceptedSuggestions": ids, "outcomeTimestamp": at}


def kept(house: House, *names: str) -> list[Any]:
    rows = sorted(house.rows(), key=lambda row: (row["outcome_at"], row["outcome"]))
    return [tuple(row[name] for name in names) if len(names) > 1 else row[names[0]] for row in rows]


def paths(answer: Any) -> set[str]:
    assert answer.get_json()["resourceType"] == "OperationOutcome"
    return {place for issue in answer.get_json()["issue"] for place in issue["expression"]}


# ---------------------------------------------------------------- every form of the specification


def test_an_accepted_suggestion_is_kept_with_its_card(house: House, card: Any, knowledge: Any) -> None:
    answer = house.tell(accepted(card["uuid"], card["suggestions"][1]["uuid"]))
    assert (answer.status_code, answer.get_json()) == (200, {})
    (row,) = house.rows()
    assert (row["card"], row["outcome"], row["suggestions"]) == ("TW06", "accepted", [2])
    assert (row["verified"], row["origin"], row["tenant_hash"]) == (True, "ehr", "")
    assert row["content_release"] == release_of(knowledge.version)
    assert row["outcome_at"] == datetime(2026, 6, 15, 10, 5, 31, 123000, UTC)


def test_several_suggestions_at_once(house: House, card: Any) -> None:
    house.tell(accepted(card["uuid"], *(one["uuid"] for one in reversed(card["suggestions"]))))
    assert kept(house, "suggestions") == [list(range(1, len(card["suggestions"]) + 1))]


@pytest.mark.parametrize(
    ("reason", "code", "comment"),
    [
        (None, None, None),
        ({"reason": DECLINED | {"display": "The patient declined"}}, "patient-refuses", None),
        ({"reason": DECLINED}, "patient-refuses", None),
        ({"reason": {"code": "patient-refuses"}}, "patient-refuses", None),
        ({"reason": {"code": "KNOWN", "system": LOCAL_SYSTEM}, "userComment": "since 2019"}, "KNOWN", "since 2019"),
        ({"userComment": "since 2019"}, None, "since 2019"),
        ({"userComment": "x" * 4000}, None, "x" * 4000),
        ({"userComment": ""}, None, None),
        ({"reason": {"code": "d7ecf885", "system": "https://example.com/own-reasons"}}, "unlisted", None),
        ({"reason": {"code": "KNOWN", "system": "https://example.com/own-reasons"}}, "unlisted", None),
    ],
)
def test_an_override_with_or_without_reason_and_comment(
    house: House, card: Any, reason: Any, code: str | None, comment: str | None
) -> None:
    sent = overridden(card["uuid"]) | ({"overrideReason": reason} if reason else {})
    assert house.tell(sent).status_code == 200
    assert kept(house, "card", "reason_code", "comment") == [("TW06", code, comment)]


def test_a_card_may_be_answered_several_times(house: House, card: Any) -> None:
    first, second = (one["uuid"] for one in card["suggestions"][:2])
    house.tell(accepted(card["uuid"], first, at="2026-06-15T10:00:00Z"))
    house.tell(accepted(card["uuid"], second, at="2026-06-15T10:01:00Z"))
    house.tell(overridden(card["uuid"], at="2026-06-15T10:02:00Z"))
    assert kept(house, "outcome", "suggestions") == [("accepted", [1]), ("accepted", [2]), ("overridden", [])]


def test_a_batch_and_its_retry_are_kept_once(house: House, card: Any) -> None:
    batch = [overridden(card["uuid"], at=f"2026-06-15T10:00:{second:02d}Z") for second in range(40)]
    assert [house.tell(*batch).status_code for _ in range(3)] == [200] * 3
    assert len(house.rows()) == 40


def test_an_empty_list_is_no_mistake(house: House) -> None:
    assert house.tell().status_code == 200
    assert house.rows() == []


@pytest.mark.parametrize(
    "foreign",
    [
        "4e0a3a1e-3283-4575-ab82-028d55fe2719",
        "urn:uuid:4e0a3a1e-3283-4575-ab82-028d55fe2719",
        "ffffffff-ffff-8fff-bfff-ffffffffffff",
    ],
)
def test_a_card_we_did_not_issue_is_kept_as_unverified(house: House, foreign: str) -> None:
    assert house.tell(overridden(foreign), accepted(foreign, foreign)).status_code == 200
    assert kept(house, "card", "verified", "content_release") == [(None, False, None)] * 2


def test_a_card_of_an_earlier_secret_is_kept_as_unverified(
    house: House, build: Callable[..., House], database_url: str, request_body: Any
) -> None:
    earlier = build(CDS_DATABASE_URL=database_url, CDS_SECRET="the-secret-before-this").cards(request_body)[0]
    assert house.tell(overridden(earlier["uuid"])).status_code == 200
    assert kept(house, "card", "verified") == [(None, False)]


def test_suggestions_of_another_issue_of_the_card_verify_nothing(house: House, card: Any, request_body: Any) -> None:
    again = house.cards(request_body)[0]
    mixed = (
        accepted(card["uuid"], again["suggestions"][0]["uuid"]),
        accepted(card["suggestions"][0]["uuid"], card["suggestions"][0]["uuid"]),
        accepted(card["uuid"], card["uuid"]),
        accepted(card["uuid"], card["suggestions"][0]["uuid"], str(uuid.uuid4())),
    )
    assert house.tell(*mixed).status_code == 200
    assert kept(house, "card", "verified", "suggestions") == [(None, False, [])] * 4


@pytest.mark.parametrize(
    ("members", "origin"),
    [
        ({}, "ehr"),
        ({"extension": {"cds-service.origin": "workbench"}}, "workbench"),
        ({"extension": {"cds-service.origin": ["workbench"]}}, "ehr"),
        ({"extension": {"com.example.other": 1}}, "ehr"),
        ({"extension": "workbench"}, "ehr"),
    ],
)
def test_the_workbench_says_that_it_is_no_clinician(
    house: House, card: Any, members: dict[str, Any], origin: str
) -> None:
    assert house.tell(overridden(card["uuid"]), **members).status_code == 200
    assert kept(house, "origin") == [origin]


@pytest.mark.parametrize(
    ("at", "utc"),
    [
        ("2026-06-15T10:05:31Z", "2026-06-15T10:05:31+00:00"),
        ("2026-06-15T10:05:31.1Z", "2026-06-15T10:05:31.100000+00:00"),
        ("2026-06-15T10:05:31.123456789Z", "2026-06-15T10:05:31.123456+00:00"),
        ("2026-06-15t10:05:31z", "2026-06-15T10:05:31+00:00"),
        ("2026-06-15T10:05:31+05:30", "2026-06-15T04:35:31+00:00"),
        ("1985-04-12T23:20:50.52Z", "1985-04-12T23:20:50.520000+00:00"),
    ],
)
def test_times_as_clients_write_them(house: House, card: Any, at: str, utc: str) -> None:
    assert house.tell(overridden(card["uuid"], at=at)).status_code == 200
    assert [row.isoformat() for row in kept(house, "outcome_at")] == [utc]


# ---------------------------------------------------------------- what is refused

CARD = str(uuid.UUID(int=5))
# What is refused before any database is asked.
on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FAULTY: dict[str, tuple[dict[str, Any], str]] = {
    "no card": ({"card": None}, "card"),
    "a card that is no uuid": ({"card": "card-1"}, "card"),
    "a card that is a number": ({"card": 5}, "card"),
    "another outcome": ({"outcome": "ignored"}, "outcome"),
    "no time": ({"outcomeTimestamp": None}, "outcomeTimestamp"),
    "a time without offset": ({"outcomeTimestamp": "2026-06-15T10:05:31"}, "outcomeTimestamp"),
    "a day": ({"outcomeTimestamp": "2026-06-15"}, "outcomeTimestamp"),
    "a day that does not exist": ({"outcomeTimestamp": "2026-02-30T10:00:00Z"}, "outcomeTimestamp"),
    "a time out of range": ({"outcomeTimestamp": "0001-01-01T00:00:00+14:00"}, "outcomeTimestamp"),
    "a time as a number": ({"outcomeTimestamp": 1781517931}, "outcomeTimestamp"),
    "accepted without suggestions": ({"outcome": "accepted"}, "acceptedSuggestions"),
    "accepted with none": ({"outcome": "accepted", "acceptedSuggestions": []}, "acceptedSuggestions"),
    "a suggestion without id": ({"outcome": "accepted", "acceptedSuggestions": [{}]}, "acceptedSuggestions[0].id"),
    "a suggestion that is no object": ({"acceptedSuggestions": [CARD]}, "acceptedSuggestions[0]"),
    "an id that is no uuid": ({"acceptedSuggestions": [{"id": CARD}, {"id": "2"}]}, "acceptedSuggestions[1].id"),
    "an empty reason": ({"overrideReason": {}}, "overrideReason"),
    "a reason that is text": ({"overrideReason": {"reason": "known"}}, "overrideReason.reason"),
    "a code that is a number": ({"overrideReason": {"reason": {"code": 5}}}, "overrideReason.reason.code"),
    "a comment that is too long": ({"overrideReason": {"userComment": "x" * 4001}}, "overrideReason.userComment"),
    "a comment that is no text": ({"overrideReason": {"userComment": ["x"]}}, "overrideReason.userComment"),
    "a comment no database holds": ({"overrideReason": {"userComment": "a\x00b"}}, "overrideReason.userComment"),
}


@on_one_database
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_entry_is_named_and_nothing_of_the_batch_is_kept(house: House, card: Any, name: str) -> None:
    spoiled, path = FAULTY[name]
    good = overridden(card["uuid"])
    answer = house.tell(good, good, overridden(CARD) | spoiled)
    assert answer.status_code == 400
    assert paths(answer) == {f"feedback[2].{path}"}
    assert all(" – " in issue["diagnostics"] for issue in answer.get_json()["issue"])
    assert house.rows() == []


def test_all_faults_are_named_at_once(house: House) -> None:
    answer = house.tell({"card": "x"}, overridden(CARD), accepted(CARD), "entry")
    assert answer.status_code == 400
    assert {
        "feedback[0].card",
        "feedback[0].outcome",
        "feedback[0].outcomeTimestamp",
        "feedback[2].acceptedSuggestions",
    } <= paths(answer)
    assert any(path.startswith("feedback[3]") for path in paths(answer))
    assert not any(path.startswith("feedback[1]") for path in paths(answer))


@on_one_database
@pytest.mark.parametrize(
    ("body", "path"),
    [([], "$"), ({}, "feedback"), ({"feedback": {}}, "feedback"), ({"feedback": None}, "feedback"), ("text", "$")],
)
def test_what_is_no_feedback_is_refused(house: House, body: Any, path: str) -> None:
    answer = house.post(FEEDBACK, body)
    assert (answer.status_code, paths(answer)) == (400, {path})


def test_two_hundred_entries_are_kept_and_one_more_is_refused(house: House) -> None:
    entries = [overridden(str(uuid.uuid4())) for _ in range(201)]
    assert paths(house.tell(*entries)) == {"feedback"}
    assert house.rows() == []
    assert house.tell(*entries[:200]).status_code == 200
    assert len(house.rows()) == 200


def test_another_service_and_another_form_of_body_are_refused(house: House) -> None:
    assert house.post("/cds-services/another/feedback", {"feedback": []}).status_code == 404
    client = house.app.test_client()
    assert client.post(FEEDBACK, data=b"{}", content_type="text/plain").status_code == 415
    assert client.post(FEEDBACK, data=b"{", content_type="application/json").status_code == 400
    lone_surrogate = b'{"feedback": [{"overrideReason": {"userComment": "\\ud800"}}]}'
    assert client.post(FEEDBACK, data=lone_surrogate, content_type="application/json").status_code == 400


# ---------------------------------------------------------------- tenants


def test_feedback_of_another_tenant_is_refused_and_nothing_of_the_batch_is_kept(
    house: House, request_body: Any
) -> None:
    north = house.cards(request_body, tenant="north")[0]
    south = house.cards(request_body, tenant="south")[0]
    ours, theirs = overridden(south["uuid"]), accepted(north["uuid"], north["suggestions"][0]["uuid"])
    answer = house.tell(ours, theirs, tenant="south")
    assert answer.status_code == 403
    assert paths(answer) == {"feedback[1].card", "feedback[1].acceptedSuggestions[0].id"}
    assert house.tell(overridden(north["uuid"])).status_code == 403
    assert house.rows() == []
    assert house.tell(ours, tenant="south").status_code == 200
    assert house.tell(theirs, tenant="north").status_code == 200
    hashes = kept(house, "tenant_hash")
    assert len(set(hashes)) == 2 and all(len(one) == 32 for one in hashes)
    assert not [one for one in hashes if "north" in one or "south" in one]


def test_the_same_words_of_two_tenants_are_two_pieces_of_feedback(house: House) -> None:
    for tenant in ("north", "south", "south"):
        assert house.tell(overridden(CARD), tenant=tenant).status_code == 200
    assert len(house.rows()) == 2


# ---------------------------------------------------------------- what is never kept

MARKER = "Zebra-4711-Marker"


def test_only_the_comment_column_holds_what_a_user_wrote(
    house: House, request_body: Any, card: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    request_body["context"]["userId"] = f"Practitioner/{MARKER}"
    theirs = house.cards(request_body, tenant=MARKER)[0]
    reason = {"code": MARKER, "system": f"https://{MARKER}", "display": MARKER, "version": MARKER, MARKER: MARKER}
    more = {MARKER: MARKER, "extension": {"com.example.x": MARKER}, "patient": MARKER, "user": {"name": MARKER}}
    sent = overridden(theirs["uuid"], overrideReason={"reason": reason, "userComment": f"{MARKER} said so"}, **more)
    taken = accepted(theirs["uuid"], theirs["suggestions"][0]["uuid"])
    taken["acceptedSuggestions"][0] |= {"label": MARKER, "resource": {"note": MARKER}}
    assert house.tell(sent, taken, tenant=MARKER, **more).status_code == 200
    for name in ("card", "outcome", "outcomeTimestamp"):
        answer = house.tell(sent | {name: MARKER}, tenant=MARKER)
        assert answer.status_code == 400
        assert MARKER not in answer.get_data(as_text=True)
    with house.store._engine().connect() as connection:
        for table in ("feedback", "dismissals", "replays"):
            for row in connection.execute(text(f"SELECT * FROM {table}")).mappings():
                assert [c for c, value in row.items() if MARKER in str(value)] in ([], ["comment"])
    assert [row["comment"] for row in house.rows() if row["comment"]] == [f"{MARKER} said so"]
    assert request_body["context"]["patientId"] not in str(house.rows())
    assert MARKER not in caplog.text


def test_a_failing_store_is_503_and_says_nothing_of_what_was_sent(
    house: House, card: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with house.store._engine().execution_options(writes=True).begin() as connection:
        connection.execute(text("ALTER TABLE feedback RENAME TO moved"))
    sent = overridden(card["uuid"], overrideReason={"userComment": MARKER})
    answer = house.tell(sent)
    assert (answer.status_code, answer.get_json()["issue"][0]["code"]) == (503, "transient")
    assert MARKER not in caplog.text + answer.get_data(as_text=True)
    with house.store._engine().execution_options(writes=True).begin() as connection:
        connection.execute(text("ALTER TABLE moved RENAME TO feedback"))
    assert house.tell(sent).status_code == 200
    assert kept(house, "comment") == [MARKER]


def test_nothing_is_answered_200_before_it_is_kept(house: House, card: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise StoreError("fails after the rows were written")

    monkeypatch.setattr("cds_service.web.store._remember", fails)
    assert house.tell(overridden(CARD), overridden(card["uuid"])).status_code == 503
    assert house.rows() == []


def test_comments_are_erased_while_the_service_runs(build: Callable[..., House], database_url: str) -> None:
    house = build(CDS_DATABASE_URL=database_url, CDS_KEEP_COMMENTS_DAYS="30")
    house.tell(overridden(CARD, overrideReason={"userComment": "a comment"}))
    house.clock.forward(days=31)
    house.store._tidied_at -= 24 * 60 * 60 + 1
    house.tell()
    assert kept(house, "comment") == [None]
