"""A pasted chart becomes a request; what is wrong is named by its path, never by its value."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.workbench.patients import request_of, stories
from tests.served import SERVICE as HOOK

BUNDLE = json.loads(stories()["EX10-suppressed-tsh"].file.read_bytes())
SECRET = "SECRET-VALUE"


def test_a_bundle_becomes_a_request_that_answers_every_query(client: FlaskClient) -> None:
    read = client.post("/workbench/request", json=BUNDLE).get_json()
    assert read["remarks"] == []
    cards = client.post("/cds-services/muscle-twitching", json=read["request"]).get_json()["cards"]
    assert [card["indicator"] for card in cards] == ["warning"]


def test_observations_stand_under_the_query_that_asks_for_their_category(client: FlaskClient) -> None:
    categories = ("laboratory", "vital-signs", "exam", "survey", "social-history", "imaging", "")
    observations = [
        {"resourceType": "Observation", "id": f"o-{category}", "category": [{"coding": [{"code": category}]}]}
        if category
        else {"resourceType": "Observation", "id": "o-"}
        for category in categories
    ]
    spoiled = {"resourceType": "Observation", "id": "o-spoiled", "category": "laboratory"}
    bundle = {**BUNDLE, "entry": [BUNDLE["entry"][0], *({"resource": one} for one in [*observations, spoiled])]}
    prefetch = client.post("/workbench/request", json=bundle).get_json()["request"]["prefetch"]
    sorted_in = {key: [e["resource"]["id"] for e in prefetch[key]["entry"]] for key in ("labs", "vitals", "findings")}
    assert sorted_in == {
        "labs": ["o-laboratory"],
        "vitals": ["o-vital-signs"],
        "findings": ["o-exam", "o-survey", "o-social-history", "o-imaging", "o-", "o-spoiled"],
    }


def test_a_request_stays_as_it_is_and_is_marked_as_a_trial(client: FlaskClient) -> None:
    first = client.post("/workbench/request", json=BUNDLE).get_json()["request"]
    first["extension"] = {"someone": "else"}
    again = client.post("/workbench/request", json=first).get_json()["request"]
    assert again["prefetch"] == first["prefetch"]
    assert again["extension"] == {"someone": "else", "cds-service.origin": "workbench"}


def test_every_invented_patient_is_a_chart_that_can_be_assessed(client: FlaskClient) -> None:
    """What the gallery offers opens; the outcome of each is checked where the records are."""
    for story in list(stories().values())[::7]:
        request = request_of(story)
        assert client.post("/cds-services/muscle-twitching", json=request).status_code == 200, story.id


WRONG: list[tuple[Any, int, str]] = [
    ([], 400, "$"),
    ({"resourceType": "Patient", "id": SECRET}, 400, "resourceType"),
    ({"resourceType": "Bundle"}, 400, "Bundle.entry"),
    ({"resourceType": "Bundle", "entry": []}, 400, "Bundle.entry"),
    ({"resourceType": "Bundle", "entry": BUNDLE["entry"][:1] * 2}, 400, "Bundle.entry"),
    ({"hook": "order-select"}, 400, "hook"),
]


@pytest.mark.parametrize(("pasted", "status", "path"), WRONG, ids=lambda part: str(part)[:40])
def test_what_is_no_chart_is_refused_by_its_path(client: FlaskClient, pasted: Any, status: int, path: str) -> None:
    answer = client.post("/workbench/request", json=pasted)
    assert answer.status_code == status
    assert path in [issue["expression"][0] for issue in answer.get_json()["issue"]]
    assert SECRET not in answer.get_data(as_text=True)


def test_a_resource_that_is_no_valid_fhir_is_named_by_its_path(client: FlaskClient) -> None:
    spoiled = json.loads(json.dumps(BUNDLE))
    spoiled["entry"][1]["resource"]["onsetDateTime"] = SECRET
    answer = client.post("/workbench/request", json=spoiled)
    assert [remark["path"] for remark in answer.get_json()["remarks"]] == ["Bundle.entry[1].resource.onsetDateTime"]
    assert SECRET not in json.dumps(answer.get_json()["remarks"])


def test_answers_that_are_none_of_ours_are_refused(client: FlaskClient) -> None:
    for body in ([], {}, {"response": 1, "assessment": {}}, {"response": {"cards": [1]}, "assessment": {"cards": []}}):
        assert client.post("/workbench/show", json=body).status_code == 400


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


def test_what_is_missing_in_answers_is_drawn_or_refused(client: FlaskClient) -> None:
    request = request_of(stories()["EX10-suppressed-tsh"])
    answers = {
        "response": client.post(HOOK, json=request).get_json(),
        "assessment": client.post("/workbench/assessment", json=request).get_json(),
    }
    # One place of each kind: all items of a list are drawn alike.
    kinds = {tuple("*" if isinstance(key, int) else key for key in path): path for path in _places(answers)}
    for path in list(kinds.values())[1::3]:  # every third is enough: each draws two pages
        changed = copy.deepcopy(answers)
        parent: Any = changed
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = None
        assert client.post("/workbench/show", json=changed).status_code in (200, 400), path
