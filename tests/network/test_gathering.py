"""What fetched answers mean for the chart: answered, complete, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cds_service.errors import RequestError
from cds_service.intake.envelope import HookRequest
from cds_service.intake.prefetch import Prefetched, settled, sort, take
from cds_service.network.connection import Reason
from cds_service.network.fetch import FhirAccess, Limits, Question
from cds_service.network.servers import read_servers
from cds_service.web.fetching import ask_for_the_rest
from tests.network.fhir_server import fhir_serving
from tests.served import free_port

TEMPLATES = {
    "patient": "Patient/{{context.patientId}}",
    "conditions": "Condition?patient={{context.patientId}}",
    "labs": "Observation?patient={{context.patientId}}&category=laboratory",
    "procedures": "Procedure?patient={{context.patientId}}",
}
NOBODY = {"resourceType": "Bundle", "type": "searchset"}
PATIENT = {"resourceType": "Patient", "id": "p1"}


def bundle(*resources: dict[str, Any], following: str = "") -> dict[str, Any]:
    link = {"link": [{"relation": "next", "url": following}]} if following else {}
    return NOBODY | {"entry": [{"resource": resource} for resource in resources]} | link


def one(kind: str, name: str = "x") -> dict[str, Any]:
    return {"resourceType": kind, "id": name, "subject": {"reference": "Patient/p1"}}


def gathered(prefetch: dict[str, Any], wrong: str = "", limits: Limits = Limits(deadline=2)) -> Prefetched:
    """A prefetch and what a server with three Procedures adds to it."""
    with fhir_serving() as fhir:
        fhir.records = [PATIENT, one("Condition"), *(one("Procedure", f"p{i}") for i in range(3))]
        if wrong:
            fhir.misbehave["Procedure"] = wrong
        found = sort(prefetch)
        hook = HookRequest("p1", prefetch=prefetch, fhir_server=fhir.base)
        ask_for_the_rest(found, hook, TEMPLATES, FhirAccess(read_servers(fhir.base), limits))
        return settled(found)


def test_a_fetched_answer_is_complete_also_when_it_is_empty() -> None:
    assert gathered({}).complete == {"patient", "conditions", "labs", "procedures"}


@pytest.mark.parametrize("wrong", ["endless", "next fails", "next elsewhere"])
def test_an_answer_whose_pages_stay_away_is_answered_and_not_complete(wrong: str) -> None:
    found = gathered({}, wrong)
    assert "procedures" in found.answered
    assert found.complete == {"patient", "conditions", "labs"}
    assert [gap.query for gap in found.gaps] == ["procedures"]


def test_an_answer_beyond_the_most_resources_is_not_complete() -> None:
    found = gathered({}, limits=Limits(deadline=2, resources=3))
    assert "procedures" not in found.complete
    assert len(found.of("Procedure")) == 1


@pytest.mark.parametrize("wrong", ["500", "403", "html"])
def test_an_optional_answer_that_failed_is_not_answered(wrong: str) -> None:
    found = gathered({}, wrong)
    assert "procedures" not in found.answered


def test_the_time_in_which_a_server_is_waited_for_is_known() -> None:
    spent: list[str] = []

    @contextmanager
    def meanwhile() -> Iterator[None]:
        spent.append("began")
        yield
        spent.append("ended")

    with fhir_serving() as fhir:
        fhir.records = [PATIENT, one("Condition")]
        hook = HookRequest("p1", fhir_server=fhir.base)
        access = FhirAccess(read_servers(fhir.base), Limits(deadline=2))
        ask_for_the_rest(sort({}), hook, TEMPLATES, access, meanwhile=meanwhile)
        assert spent == ["began", "ended"]
        ask_for_the_rest(sort({}), HookRequest("p1"), TEMPLATES, access, meanwhile=meanwhile)
        assert spent == ["began", "ended"]  # nobody was asked


def test_null_stays_unanswered() -> None:
    assert "procedures" not in gathered({"procedures": None}).answered


@pytest.mark.parametrize("wrong", ["", "500"])
def test_a_first_page_is_complete_when_the_rest_was_read(wrong: str) -> None:
    first = bundle(one("Procedure", "p0"), following="Procedure?patient=p1&_offset=1")
    found = gathered({"their-procedures": first}, wrong)
    assert ("procedures" in found.complete) is (wrong == "")
    assert {raw["id"] for raw in found.of("Procedure")} == ({"p0", "p1", "p2"} if wrong == "" else {"p0"})
    assert bool(found.gaps) is (wrong != "")
    assert found.next_pages == []


def test_more_first_pages_than_are_followed_stay_cut() -> None:
    prefetch = {f"k{i}": bundle(one("Device", f"d{i}"), following="?x") for i in range(30)}
    found = gathered(prefetch)
    reasons = [gap.reason for gap in found.gaps]
    assert reasons.count("only the first page was sent") == 10


def test_one_resource_of_another_patient_is_not_taken_for_the_patient() -> None:
    with pytest.raises(RequestError) as refused:
        gathered({"patient": one("Procedure")})
    assert refused.value.status == 412


# ---------------------------------------------------------------- when a server is left alone


def outcomes(access: FhirAccess, *questions: Question, asker: str = "a") -> list[Reason | None]:
    return [answer.unanswered for answer in access.ask(access.servers[0], questions, asker=asker)]


def own(key: str) -> Question:
    return Question(key, f"{key}?patient=p1")


def test_links_of_a_client_that_fail_leave_the_server_in_use() -> None:
    with fhir_serving() as fhir:
        fhir.misbehave["Device"] = "500"
        access = FhirAccess(read_servers(fhir.base), Limits(deadline=2))
        for _ in range(6):
            failed = outcomes(access, *(Question("devices", next_link=f"{fhir.base}/Device?page={n}") for n in (1, 2)))
            assert failed == [Reason.SERVER_ERROR] * 2
        assert outcomes(access, own("Procedure")) == [None]


def test_one_search_that_fails_leaves_the_server_in_use() -> None:
    with fhir_serving() as fhir:
        fhir.misbehave["Device"] = "500"
        access = FhirAccess(read_servers(fhir.base), Limits(deadline=2))
        assert [outcomes(access, own("Device")) for _ in range(6)] == [[Reason.SERVER_ERROR]] * 6
        assert outcomes(access, own("Procedure")) == [None]


def test_a_server_that_fails_for_one_client_is_still_asked_for_others() -> None:
    with fhir_serving() as fhir:
        fhir.misbehave |= {"Device": "500", "Procedure": "500"}
        access = FhirAccess(read_servers(fhir.base), Limits(deadline=2))
        both = own("Device"), own("Procedure")
        assert [outcomes(access, *both) for _ in range(6)][4:] == [[Reason.SERVER_ERROR] * 2, [Reason.LEFT_ALONE] * 2]
        fhir.behave()
        assert outcomes(access, *both, asker="b") == [None, None]
        assert outcomes(access, *both) == [Reason.LEFT_ALONE] * 2


def test_a_server_that_cannot_be_reached_is_left_alone() -> None:
    access = FhirAccess(read_servers(f"http://127.0.0.1:{free_port()}/fhir"), Limits(deadline=2))
    assert [outcomes(access, own("Device")) for _ in range(6)][4:] == [[Reason.CONNECTION], [Reason.LEFT_ALONE]]


def test_a_total_is_of_all_pages_together() -> None:
    first = {**bundle(one("Procedure", "a"), following="https://elsewhere.example/2"), "total": 2}
    rest = sort({"patient": PATIENT, "conditions": NOBODY, "procedures": first})
    rest.next_pages.clear()
    take("procedures", {**bundle(one("Procedure", "b")), "total": 2}, rest)
    assert "procedures" in settled(rest).complete
    take("procedures", {**bundle(), "total": 3}, rest)
    assert "procedures" not in settled(rest).complete
