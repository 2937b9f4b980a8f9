"""The service as it is served, with a client that prefetches nothing and a FHIR server that may misbehave."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cds_service.clinical.chart import QUERIES
from cds_service.web.discovery import prefetch_templates
from tests.applications import application
from tests.conftest import FIXTURES, TODAY
from tests.network.fhir_server import FAILURE, TestFhirServer, fhir_serving
from tests.served import SERVICE, Served, serving

TOKEN = "opaque-token-7c1e"
DEADLINE = 2.5  # room for a busy machine to answer what is answered at all
MARGIN = 2.0  # for assessing, and for a busy machine
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NAMES = ["bare-entry", "hand-weakness", "low-potassium"]
TEMPLATES = prefetch_templates(TODAY)


def fixture_request(name: str) -> Any:
    return json.loads((FIXTURES / "requests" / f"{name}.json").read_text(encoding="utf-8"))


@dataclass
class Site:
    """A service, the FHIR server it may ask, and a server it must not ask."""

    service: Served
    fhir: TestFhirServer
    stranger: TestFhirServer

    def request(self, name: str = "low-potassium", prefetch: Any = None, **more: Any) -> Any:
        request = fixture_request(name) | {"fhirServer": self.fhir.base, "prefetch": prefetch or {}}
        request["fhirAuthorization"] = {
            "access_token": TOKEN, "token_type": "Bearer", "expires_in": 300,
            "scope": "patient/*.read", "subject": "cds-service",
        }  # fmt: skip
        return {key: value for key, value in (request | more).items() if value is not None}

    def call(self, request: Any) -> tuple[int, Any]:
        return self.service.call(json.dumps(request).encode())

    def full(self, name: str = "low-potassium") -> dict[str, Any]:
        """What a client sends that prefetches everything."""
        queries = {key: query.replace("{{context.patientId}}", name) for key, query in TEMPLATES.items()}
        patient = self.fhir.read(f"/fhir/{queries.pop('patient')}")
        return {"patient": patient} | {key: self.fhir.search(query) for key, query in queries.items()}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with fhir_serving() as fhir, fhir_serving() as stranger:
        for name in NAMES:
            fhir.add(fixture_request(name)["prefetch"])
        fhir.elsewhere = stranger.base
        settings = {"CDS_FHIR_SERVERS": fhir.base, "CDS_FHIR_DEADLINE_SECONDS": str(DEADLINE)}
        with serving(tmp_path_factory.mktemp("fetched"), **settings) as service:
            yield Site(service, fhir, stranger)


@pytest.fixture
def site(running: Site) -> Site:
    running.fhir.behave()
    running.stranger.asked.clear()
    return running


def without_uuids(cards: Any) -> Any:
    return json.loads(UUID.sub("uuid", json.dumps(cards)))


def details(answer: Any) -> str:
    return "\n".join(card["detail"] for card in answer["cards"])


def issues(answer: Any) -> dict[str, str]:
    assert answer["resourceType"] == "OperationOutcome"
    return {issue["expression"][0]: issue["diagnostics"] for issue in answer["issue"]}


# ---------------------------------------------------------------- what is asked


@pytest.mark.parametrize("page_size", [0, 2])
@pytest.mark.parametrize("name", NAMES)
def test_fetched_and_prefetched_give_the_same_cards(site: Site, name: str, page_size: int) -> None:
    status, full = site.call(site.request(name, site.full(name)))
    assert (status, site.fhir.asked) == (200, [])
    site.fhir.page_size = page_size
    status, fetched = site.call(site.request(name))
    assert status == 200
    assert fetched["cards"]
    assert without_uuids(fetched) == without_uuids(full)


def test_each_query_of_the_discovery_document_is_asked_once(site: Site) -> None:
    assert site.call(site.request())[0] == 200
    wanted = [f"/fhir/{query.replace('{{context.patientId}}', 'low-potassium')}" for query in TEMPLATES.values()]
    assert sorted(asked.path for asked in site.fhir.asked) == sorted(wanted)


def test_only_what_was_not_sent_is_asked(site: Site) -> None:
    prefetch = site.full()
    del prefetch["medications"], prefetch["orders"]
    assert site.call(site.request(prefetch=prefetch))[0] == 200
    assert sorted(site.fhir.kinds) == ["MedicationRequest", "ServiceRequest"]


def test_null_and_failure_are_answers_and_not_asked_again(site: Site) -> None:
    prefetch = site.full() | {"medications": None, "reports": FAILURE, "conditions": None}
    status, _ = site.call(site.request(prefetch=prefetch))
    assert (status, site.fhir.asked) == (200, [])


def test_a_required_key_that_the_client_failed_to_prefetch_is_412_without_a_question(site: Site) -> None:
    status, answer = site.call(site.request(prefetch={"conditions": FAILURE}))
    assert (status, set(issues(answer)), site.fhir.asked) == (412, {"prefetch.conditions"}, [])


def test_resources_under_other_key_names_are_recognised(site: Site) -> None:
    renamed = {f"my-{key}": value for key, value in site.full().items() if key == "patient" or value["entry"]}
    assert site.call(site.request(prefetch=renamed))[0] == 200
    assert {"Patient", "Condition", "Observation", "MedicationRequest", "Encounter"} & set(site.fhir.kinds) == set()
    assert "Procedure" in site.fhir.kinds


def test_questions_are_asked_side_by_side(site: Site) -> None:
    site.fhir.misbehave["*"] = "drip"
    site.fhir.most_at_once = 0
    site.call(site.request())
    assert site.fhir.most_at_once >= 4


def test_next_pages_of_what_was_sent_are_read(site: Site) -> None:
    prefetch = site.full()
    _, whole = site.call(site.request(prefetch=prefetch))
    labs = prefetch["labs"]
    link = f"{site.fhir.base}/Observation?patient=low-potassium&category=laboratory&_offset=2"
    site.fhir.page_size = 2
    prefetch["labs"] = labs | {"entry": labs["entry"][:2], "link": [{"relation": "next", "url": link}]}
    status, answer = site.call(site.request(prefetch=prefetch))
    assert (status, set(site.fhir.kinds)) == (200, {"Observation"})
    assert len(site.fhir.asked) == (len(labs["entry"]) - 1) // 2
    assert without_uuids(answer) == without_uuids(whole)


def test_packed_answers_are_read(site: Site) -> None:
    site.fhir.misbehave["Condition"] = "gzip"
    assert site.call(site.request())[1]["cards"]


# ---------------------------------------------------------------- the token


def test_the_token_goes_to_its_server_and_nowhere_else(site: Site) -> None:
    site.fhir.misbehave |= {"Procedure": "redirect elsewhere", "Device": "next elsewhere"}
    status, answer = site.call(site.request())
    assert status == 200
    assert site.fhir.tokens == {f"Bearer {TOKEN}"}
    assert site.stranger.asked == []
    assert TOKEN not in site.service.printed + json.dumps(answer)


def test_without_a_token_none_is_sent(site: Site) -> None:
    assert site.call(site.request(fhirAuthorization=None))[0] == 200
    assert site.fhir.tokens == {""}


def test_a_token_with_a_line_break_is_refused_before_anything_is_asked(site: Site) -> None:
    request = site.request()
    request["fhirAuthorization"]["access_token"] = f"{TOKEN}\r\nX-Role: admin"
    status, answer = site.call(request)
    assert (status, set(issues(answer)), site.fhir.asked) == (400, {"fhirAuthorization.access_token"}, [])


def test_the_log_counts_questions_and_names_no_patient(site: Site) -> None:
    site.call(site.request())
    assert re.search(r'"fhir":{"answered":\d+}', site.service.printed)
    assert "Patient/low-potassium" not in site.service.printed
    assert "patient=low-potassium" not in site.service.printed


# ---------------------------------------------------------------- servers that may not be asked


def test_a_server_that_is_not_listed_is_never_called(site: Site) -> None:
    status, answer = site.call(site.request(fhirServer=site.stranger.base))
    assert (status, site.stranger.asked, site.fhir.asked) == (412, [], [])
    said = issues(answer)
    assert set(said) == {"prefetch.patient", "prefetch.conditions"}
    assert all("not on the allow-list" in words and "CDS_FHIR_SERVERS" in words for words in said.values())


def test_a_server_that_is_not_listed_is_no_reason_to_refuse_a_full_prefetch(site: Site) -> None:
    prefetch = site.full()
    status, _ = site.call(site.request(prefetch=prefetch, fhirServer="http://169.254.169.254/latest"))
    assert status == 200
    del prefetch["labs"]
    status, answer = site.call(site.request(prefetch=prefetch, fhirServer=site.stranger.base))
    assert (status, site.stranger.asked) == (200, [])
    assert "not provided by the client, so unknown here" in details(answer)


def test_next_links_of_a_server_that_is_not_listed_stay_a_cut_page(site: Site) -> None:
    prefetch = site.full()
    prefetch["labs"]["link"] = [{"relation": "next", "url": f"{site.stranger.base}/Observation?page=2"}]
    for server in (site.stranger.base, None):
        request = site.request(prefetch=prefetch, fhirServer=server, fhirAuthorization=None)
        status, answer = site.call(request)
        assert (status, site.stranger.asked) == (200, [])
        assert "labs: only the first page was sent" in details(answer)


@pytest.mark.parametrize("link", ["", "//127.0.0.1:1/fhir", "/fhir/../admin", "/fhirx", "http://[", "/fhir/%2e%2e/x"])
def test_a_next_link_that_leads_elsewhere_is_not_followed(site: Site, link: str) -> None:
    prefetch = site.full()
    prefetch["labs"]["link"] = [{"relation": "next", "url": link}]
    status, answer = site.call(site.request(prefetch=prefetch))
    assert (status, site.fhir.asked) == (200, [])
    assert "labs: only a part was read: the next page is not below the address" in details(answer)


@pytest.mark.parametrize("patient", ["../Patient/x", "..", ".", "a,b", "a|b", "a b", "x?y", "x%2f", "http://e.example"])
def test_an_id_that_would_change_the_address_is_not_asked_for(site: Site, patient: str) -> None:
    status, answer = site.call(site.request(context={"userId": "Practitioner/1", "patientId": patient}))
    assert (status, site.fhir.asked) == (412, [])
    assert "not a FHIR id" in issues(answer)["prefetch.patient"]


# ---------------------------------------------------------------- failures

FAILURES = {
    "400": "did not accept the query",
    "401": "unauthorised",
    "403": "forbidden",
    "404": "not found",
    "500": "an error of its own",
    "503": "an error of its own",
    "slow": "timed out",
    "drip": "timed out",
    "drip headers": "timed out",
    "not json": "not the FHIR",
    "empty": "not the FHIR",
    "a list": "not the FHIR",
    "deep": "not the FHIR",
    "html": "not the FHIR",
    "wrong type": "not the FHIR",
    "not gzip": "not the FHIR",
    "unknown packing": "not the FHIR",
    "redirect elsewhere": "redirected elsewhere",
    "redirect same origin": "redirected elsewhere",
    "huge": "too large",
    "gzip bomb": "too large",
    "outcome": "reported a failure",
    "hang up": "connection to the FHIR server failed",
    "cut off": "connection to the FHIR server failed",
}


@pytest.mark.parametrize(("wrong", "reason"), FAILURES.items())
def test_a_required_query_that_fails_is_412_and_says_why(site: Site, wrong: str, reason: str) -> None:
    site.fhir.misbehave["Condition"] = wrong
    before = time.monotonic()
    status, answer = site.call(site.request())
    assert time.monotonic() - before < DEADLINE + MARGIN
    assert (status, set(issues(answer))) == (412, {"prefetch.conditions"})
    (line,) = (json.loads(said) for said in site.service.printed.splitlines()[-1:])
    assert line["status"] == 412 and sum(line["fhir"].values()) == len(site.fhir.kinds) > 0, line
    assert reason in issues(answer)["prefetch.conditions"]
    assert site.stranger.asked == []
    assert site.fhir.kinds.count("Condition") == 1


OPTIONAL = [key for key in QUERIES if QUERIES[key] not in ("Patient", "Condition", "Observation")]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_an_optional_query_that_fails_is_a_gap_on_the_card(site: Site, first: int) -> None:
    """Every third failure at once, each of another query; so two that take long or send much do not meet."""
    failing = dict(zip(OPTIONAL, list(FAILURES)[first::3], strict=False))
    assert len(failing) == len(FAILURES) / 3
    site.fhir.misbehave |= {QUERIES[key]: wrong for key, wrong in failing.items()}
    before = time.monotonic()
    status, answer = site.call(site.request())
    assert time.monotonic() - before < DEADLINE + MARGIN
    assert status == 200
    limits = answer["cards"][0]["detail"].partition("Limits of the data")[2]
    for key, wrong in failing.items():
        assert re.search(rf"{key}: not sent by the client, and [^\n]*{FAILURES[wrong]}", limits), wrong
        assert site.fhir.kinds.count(QUERIES[key]) == 1
    assert site.stranger.asked == []


def test_both_required_queries_are_named_at_once(site: Site) -> None:
    site.fhir.misbehave["*"] = "403"
    status, answer = site.call(site.request())
    assert (status, set(issues(answer))) == (412, {"prefetch.patient", "prefetch.conditions"})


@pytest.mark.parametrize(
    ("wrong", "reason", "questions"),
    [
        ("endless", "stopped after 10 pages", 10),
        ("many", "stopped after 5000 resources", 1),
        ("next elsewhere", "the next page is not below the address of the FHIR server", 1),
        ("next fails", "the FHIR server had an error of its own", 2),
    ],
)
def test_pages_that_stay_away_are_a_gap(site: Site, wrong: str, reason: str, questions: int) -> None:
    site.fhir.misbehave["MedicationRequest"] = wrong
    status, answer = site.call(site.request())
    assert status == 200
    assert f"medications: only a part was read: {reason}" in details(answer)
    assert site.fhir.kinds.count("MedicationRequest") == questions
    assert site.stranger.asked == []


# ---------------------------------------------------------------- a server that keeps failing


def test_a_server_that_keeps_failing_is_left_alone() -> None:
    with fhir_serving() as fhir:
        client = application(CDS_FHIR_SERVERS=fhir.base).test_client()
        request = fixture_request("low-potassium") | {"fhirServer": fhir.base, "prefetch": {}}
        fhir.misbehave["*"] = "500"
        for _ in range(5):
            said = issues(client.post(SERVICE, json=request).get_json())
            assert "error of its own" in said["prefetch.patient"]
        fhir.asked.clear()
        answer = client.post(SERVICE, json=request)
        assert (answer.status_code, fhir.asked) == (412, [])
        assert "left alone" in issues(answer.get_json())["prefetch.patient"]


def test_an_empty_allow_list_asks_nobody(served: Served) -> None:
    with fhir_serving() as fhir:
        site = Site(served, fhir, fhir)
        status, answer = site.call(site.request())
        assert (status, fhir.asked) == (412, [])
        assert "CDS_FHIR_SERVERS" in issues(answer)["prefetch.patient"]
