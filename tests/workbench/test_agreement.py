"""The cards of the hook endpoint and the reasoning of its own endpoint are of one assessment."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.workbench.patients import Story, request_of, stories
from cds_service.workbench.short import chart_in_short
from tests.contract.test_openapi import faults
from tests.served import SERVICE as HOOK

_RULE = re.compile(r"\*Rules? (.*?), content ")


@cache
def one_of_each_answer() -> tuple[Story, ...]:
    """One story for each answer that the stories know: all of them say the same in ten times the time."""
    return tuple({story.expected: story for story in stories().values()}.values())


@pytest.mark.parametrize("story", one_of_each_answer(), ids=lambda story: story.id)
def test_cards_and_reasoning_agree(client: FlaskClient, story: Story) -> None:
    request = request_of(story)
    cards = client.post(HOOK, json=request).get_json()["cards"]
    reasoning = client.post("/workbench/assessment", json=request).get_json()
    assert [(card["name"], card["indicator"]) for card in reasoning["cards"]] == [
        (card.name, card.indicator) for card in story.expected
    ]
    assert [card["indicator"] for card in cards] == [card["indicator"] for card in reasoning["cards"]]
    for card, why in zip(cards, reasoning["cards"], strict=True):
        named = _RULE.search(card["detail"])
        assert named
        assert named[1] == ", ".join(f"{rule['id']} ({rule['tier']})" for rule in why["rules"])
    shown = {rung["card"] for rung in reasoning["ladder"] if rung["outcome"] in ("shown", "merged")}
    assert shown == {rule["id"] for card in reasoning["cards"] for rule in card["rules"]}
    states = {(test["id"], test["state"]) for test in reasoning["tests"]}
    assert all((test["id"], test["state"]) in states for h in reasoning["hypotheses"] for test in h["decidedBy"])
    requests = [a["resource"] for card in cards for s in card.get("suggestions", ()) for a in s["actions"]]
    suggested = ", ".join(t["because"] for t in reasoning["tests"] if t["state"] == "suggested" and t["card"])
    assert all(request["code"]["text"] in suggested for request in requests)


def test_the_document_is_what_openapi_says(client: FlaskClient) -> None:
    for name in ("EX07-thiazide-ppi-low-k-mg", "EX04-hand-weakness-wasting-brisk-legs", "A01-cramps-no-twitching"):
        assert faults("Assessment", client.post("/workbench/assessment", json=reasoned(name)).get_json()) == []


def reasoned(name: str) -> Any:
    return request_of(stories()[name])


def test_every_fact_has_one_of_three_values_and_every_test_a_reason(client: FlaskClient) -> None:
    found = client.post("/workbench/assessment", json=reasoned("EX07-thiazide-ppi-low-k-mg")).get_json()
    assert {fact["presence"] for fact in found["facts"]} == {"present", "absent", "unknown"}
    assert all(test["because"] for test in found["tests"])
    assert {"suggested", "done", "not indicated"} <= {test["state"] for test in found["tests"]}
    potassium = next(lab for lab in found["labs"] if lab["id"] == "K")
    assert [point["band"] for point in potassium["points"]] == ["low"]
    assert potassium["critical"] == [2.5, 6.5]


def test_a_card_is_explained_by_what_it_found_and_not_by_plain_values(client: FlaskClient) -> None:
    found = client.post("/workbench/assessment", json=reasoned("EX07-thiazide-ppi-low-k-mg")).get_json()
    because = found["cards"][0]["because"]
    assert "k_low" in because
    assert not {"K", "age"} & set(because)
    assert all(rung["unknown"] for rung in found["ladder"] if rung["trigger"] == "unknown")
    assert not any(rung["unknown"] for rung in found["ladder"] if rung["trigger"] != "unknown")


def why_of(client: FlaskClient, name: str) -> tuple[Any, str]:
    """The reasoning over an invented patient, and its page."""
    assessment = client.post("/workbench/assessment", json=reasoned(name)).get_json()
    body = {"response": {"cards": []}, "assessment": assessment}
    return assessment, client.post("/workbench/show", json=body).get_json()["why"]


def test_what_makes_twitching_persistent_is_a_reason(client: FlaskClient) -> None:
    found, _ = why_of(client, "EX17-five-months-age-47")
    assert "duration_days" in found["cards"][0]["because"]


def test_a_test_inside_another_names_it(client: FlaskClient) -> None:
    found, _ = why_of(client, "EX03-anxiety-calves-no-bloods")
    inside = {
        test["id"]: test["because"] for test in found["tests"] if test["state"] == "suggested" and not test["card"]
    }
    assert inside["LAB-K"] == "part of core bloods"


def test_a_result_is_shown_in_the_unit_of_its_limit(client: FlaskClient) -> None:
    found, _ = why_of(client, "EX07-thiazide-ppi-low-k-mg")  # magnesium 1.17 mg/dL on file
    low = next(fact for fact in found["facts"] if fact["id"] == "mg_low")
    assert low["title"] == "a magnesium below 0.70 mmol/L"
    assert low["value"] == "0.48 mmol/L (1.2 mg/dL)"


def test_a_known_diagnosis_is_not_said_to_have_nothing_for_it(client: FlaskClient) -> None:
    page = why_of(client, "A19-known-cavernoma-new-facial-rippling")[1]
    assert "hypotheses are weighed by findings, not by diagnoses" in page
    assert "are weighed by findings" not in why_of(client, "EX07-thiazide-ppi-low-k-mg")[1]


def test_a_panel_stands_in_the_timeline_as_its_components(client: FlaskClient) -> None:
    titles = [event["title"] for event in why_of(client, "EX07-thiazide-ppi-low-k-mg")[0]["timeline"]]
    assert "Systolic blood pressure" in titles
    assert not any("panel" in title for title in titles)


def test_no_card_says_its_rules_and_what_is_undecided(client: FlaskClient) -> None:
    quiet = next(story for story in stories().values() if not story.cards)
    request = request_of(quiet)
    assessment = client.post("/workbench/assessment", json=request).get_json()
    assessment["rules"] = [{"id": "N5", "title": "a rule"}]
    assessment["ladder"] = [{"tier": "T0", "card": "TW01", "title": "x", "trigger": "unknown", "indicator": "",
                             "outcome": "not triggered", "into": "", "because": "", "unknown": ["a fact"]}]  # fmt: skip
    body = {"response": {"cards": []}, "assessment": assessment}
    shown = client.post("/workbench/show", json=body).get_json()
    assert "N5 A rule" in shown["cards"]
    assert "Undecided: 1 urgent rule, for lack of facts." in shown["cards"]
    assert "A rule</a>" in shown["why"]
    assert "because unknown: a fact" in shown["why"]


def test_the_chart_in_short_has_what_is_abnormal_first_and_the_newest_of_each() -> None:
    def event(lane: str, title: str, day: str, goes_on: bool = False) -> dict[str, Any]:
        return {"lane": lane, "title": title, "from": day, "goesOn": goes_on, "value": "", "reference": f"X/{day}"}

    def course(name: str, *bands: str) -> dict[str, Any]:
        points = [
            {"shown": band, "band": band, "date": f"2026-0{n}-01", "reference": ""} for n, band in enumerate(bands, 1)
        ]
        return {"name": name, "points": points}

    short = chart_in_short({
        "asOf": "2026-06-15",
        "patient": {"age": "66 years", "sex": "female"},
        "labs": [course("sodium", "low", "normal"), course("potassium", "normal", "low")],
        "timeline": [
            event("findings", "cramps", "2026-06-10"), event("findings", "cramps", "2026-01-10"),
            event("medicines", "lithium", "2026-05-01", goes_on=True), event("medicines", "codeine", "2026-04-01"),
            event("results", "weight", "2026-03-01"), event("tests", "EMG", "2026-02-01"),
        ],
    })  # fmt: skip
    assert [(e["title"], e["from"]) for e in short["findings"]] == [("cramps", "2026-06-10")]
    assert [(lab["title"], lab["value"]) for lab in short["labs"]] == [("potassium", "low"), ("sodium", "normal")]
    assert [e["title"] for e in short["medicines"]] == ["lithium"]
    assert [e["title"] for e in short["others"]] == ["EMG"]


def test_the_day_of_a_trial_is_its_own(client: FlaskClient) -> None:
    request = reasoned("EX01-fresh-eyelid-caffeine")
    assert client.post("/workbench/assessment", json=request).get_json()["asOf"] == "2026-06-15"
    request["extension"]["cds-service.as-of"] = "2026-09-01"
    assert client.post("/workbench/assessment", json=request).get_json()["asOf"] == "2026-09-01"
    for wrong in ("next week", "0001-01-01", "9999-12-31"):
        request["extension"]["cds-service.as-of"] = wrong
        answer = client.post(HOOK, json=request)
        assert answer.status_code == 400
        assert answer.get_json()["issue"][0]["expression"] == ["extension.cds-service.as-of"]


def test_a_call_that_is_no_trial_has_no_day_of_its_own(client: FlaskClient) -> None:
    request = reasoned("EX01-fresh-eyelid-caffeine")
    request["extension"] = {"cds-service.as-of": "2026-09-01"}
    assert client.post("/workbench/assessment", json=request).get_json()["asOf"] == "2026-06-15"
