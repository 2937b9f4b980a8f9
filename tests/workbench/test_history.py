"""The structured history: a FHIR Questionnaire, questions that stop, and answers as FHIR."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service import fhir
from cds_service.artefacts.questionnaire import items, options
from cds_service.web.hooks import assess_call
from cds_service.web.state import state
from cds_service.workbench.deciding import Form
from cds_service.workbench.patients import request_of, stories
from cds_service.workbench.questionnaire import enabled
from cds_service.worked_examples import case_of
from tests.applications import whole_application as application
from tests.conftest import _CONTENT, TODAY
from tests.served import SERVICE as HOOK

FORM = _CONTENT.plain["structured-history.yaml"]
UNEXAMINED = request_of(stories()["A01-words-under-another-code"])
REASSURING = {
    "weak": ["no"], "exam.result": ["all-normal"], "onset.ago": ["4-to-12-weeks"], "site.where": ["leg-left"],
    "med.change": ["no"], "sx.sudden": ["none"], "sx": ["none"], "move": ["none"], "hx": ["none"], "trig": ["none"],
    "trig.alcohol": ["none"], "med.sedative_cut": ["no"], "onset.speed": ["gradual"], "site.pattern": ["moving"],
    "course.severe": ["mild"], "course.rhythm": ["comes-and-goes"], "exam.seen": ["yes"], "preg": ["neither"],
    "med.list_complete": ["yes"], "trig.drugs": ["none"], "fam": ["none"], "course.when": ["rest"],
}  # fmt: skip


def asked(client: FlaskClient, answers: Any, **more: Any) -> Any:
    body = {"request": UNEXAMINED, "answers": answers} | more
    return client.post("/workbench/history/next", json=body).get_json()


def test_the_form_is_a_valid_questionnaire_with_every_question(client: FlaskClient) -> None:
    answer = client.get("/Questionnaire/twitch-history")
    form = answer.get_json()
    assert answer.mimetype == "application/fhir+json"
    assert fhir.faults(form) == []
    assert form["status"] == "draft"
    listed = [item for group in form["item"] for item in group["item"]]
    assert {item["linkId"] for item in listed} == set(items(FORM))
    weak = next(item for item in listed if item["linkId"] == "weak")
    assert [o["valueCoding"]["code"] for o in weak["answerOption"]] == ["373066001", "373067005", "unknown"]
    where = next(item for item in listed if item["linkId"] == "weak.where")
    assert where["enableWhen"][0]["question"] == "weak"
    none = [o for item in listed for o in item.get("answerOption", ()) if o.get("extension")]
    assert none
    assert all(option["extension"][0]["url"].endswith("questionnaire-optionExclusive") for option in none)


def test_the_form_is_served_where_the_workbench_is_off() -> None:
    client = application(CDS_WORKBENCH="off", CDS_PUBLIC_URL="https://cds.example.org").test_client()
    assert client.get("/Questionnaire/twitch-history").get_json()["url"].startswith("https://cds.example.org/")


def test_the_most_decisive_question_comes_first(client: FlaskClient) -> None:
    assert asked(client, {})["ask"] == "weak"


def test_it_stops_when_no_answer_can_change_the_tier(client: FlaskClient) -> None:
    answers: dict[str, Any] = {}
    for _ in range(len(REASSURING) + 1):
        step = asked(client, answers)
        if not step["ask"]:
            break
        answers[step["ask"]] = REASSURING[step["ask"]]
    assert (step["ask"], step["html"], step["tier"]) == ("", "", "T7")
    assert 6 <= len(answers) <= 14
    assert step["left"] > 5  # which need not be asked
    left = re.findall(r'data-link="([^"]+)"', asked(client, answers, everything=True)["html"])
    assert len(left) == step["left"]
    changing = {
        link: found
        for link in left
        for found in [[tried for tried in sides_with_what_they_open(link, answers) if tier_with(tried) != "T7"]]
        if found
    }
    assert changing == {}


@cache
def over_the_chart() -> Form:
    app = application()
    with app.test_request_context():
        app.preprocess_request()
        _, outcome = assess_call(UNEXAMINED, TODAY)
        here = state()
        return Form.over(outcome, FORM, here.reading, here.settings.policy)


def tier_with(answers: Any) -> str:
    return over_the_chart().tier(answers)


def sides_of(link: str) -> list[list[Any]]:
    """Every choice of its own; a number at its ends; a date lately and long ago."""
    item, form = items(FORM)[link], over_the_chart()
    listed = [[option["value"]] for option in options(item, form.knowledge)]
    dates = [["2026-06-12"], ["2026-03-01"]]
    return listed or (dates if item["type"].startswith("date") else [[item.get("min", 0)], [item.get("max", 1000)]])


def sides_with_what_they_open(link: str, answers: Any) -> Iterator[Any]:
    """Each side alone, with each side of each question that it opens, and with the first of all that it opens."""
    by_id = items(FORM)
    for side in sides_of(link):
        tried = answers | {link: side}
        yield tried
        opened = [one for one in by_id if enabled(by_id[one], tried) and not enabled(by_id[one], answers)]
        yield from (tried | {one: other} for one in opened for other in sides_of(one))
        yield tried | {one: sides_of(one)[0] for one in opened}


def test_signs_that_only_an_abnormal_examination_opens_keep_its_question_open(client: FlaskClient) -> None:
    answers = {link: value for link, value in REASSURING.items() if link != "exam.result"}
    assert asked(client, answers)["ask"] == "exam.result"
    found = {"exam.result": ["some-abnormal"], "exam.power": ["reduced"], "exam.bulk": ["wasted"]}
    assert asked(client, answers | found)["tier"] == "T2"


def test_an_emergency_needs_no_further_question(client: FlaskClient) -> None:
    step = asked(client, {"sx.sudden": ["speech", "weakness"]})
    assert (step["tier"], step["ask"]) == ("T0", "")


def test_a_question_that_was_skipped_is_not_asked_again(client: FlaskClient) -> None:
    assert asked(client, {}, skipped=["weak"])["ask"] != "weak"


def test_what_was_skipped_and_could_change_the_tier_is_named(client: FlaskClient) -> None:
    answers: dict[str, Any] = {link: value for link, value in REASSURING.items() if link != "exam.result"}
    step = asked(client, answers, skipped=["exam.result", "fam"])
    assert (step["ask"], step["html"]) == ("", "")
    assert [one["id"] for one in step["undecided"]] == ["exam.result"]
    assert step["undecided"][0]["text"].startswith("Power, bulk, reflexes")
    assert asked(client, REASSURING, skipped=["fam"])["undecided"] == []


def test_without_an_age_nothing_is_said_to_be_silent(client: FlaskClient) -> None:
    patient = {"resourceType": "Patient", "id": "history", "gender": "unknown"}
    twitching = {
        "resourceType": "Condition", "id": "twitching", "subject": {"reference": "Patient/history"},
        "clinicalStatus": {"coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]},
        "code": {"text": "Muscle twitching"},
    }  # fmt: skip
    entries = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": twitching}]}
    request = UNEXAMINED | {
        "context": {"userId": "Practitioner/workbench", "patientId": "history"},
        "prefetch": {"patient": patient, "conditions": entries},
    }

    def tier_and_words(answers: Any) -> tuple[str, str]:
        step = asked(client, answers, request=request)
        return step["tier"], step["words"]

    fresh = {"onset.ago": ["under-2-weeks"]}
    assert tier_and_words(fresh) == ("undecided", "age unknown")
    assert tier_and_words({"sx.sudden": ["speech", "weakness"]})[0] == "T0"
    patient["birthDate"] = "1984-06-15"
    assert tier_and_words(fresh)[0] != "undecided"


def test_all_the_rest_can_be_asked(client: FlaskClient) -> None:
    step = asked(client, {"sx.sudden": ["speech", "weakness"]}, everything=True)
    assert step["html"].count("<fieldset") == step["left"] > 10


def test_answers_become_fhir_and_change_the_cards(client: FlaskClient) -> None:
    answers = {"weak": ["yes"], "exam.result": ["some-abnormal"], "exam.power": ["reduced"], "exam.grade": [4],
               "exam.bulk": ["wasted"], "exam.region": ["arm"], "site.where": ["arm-left"], "trig.sleep_h": [6.5],
               "weak.since": ["2026-03"]}  # fmt: skip
    done = client.post("/workbench/history/answers", json={"request": UNEXAMINED, "answers": answers}).get_json()
    assert fhir.faults(done["questionnaireResponse"]) == []
    assert [fault for one in done["observations"] for fault in fhir.faults(one)] == []
    assert len(done["observations"]) == len(answers)
    before = client.post(HOOK, json=UNEXAMINED).get_json()["cards"]
    after = client.post(HOOK, json=done["request"]).get_json()["cards"]
    assert before[0]["summary"] != after[0]["summary"]
    assert "history form" in after[0]["detail"]


def opened_by(link: str) -> dict[str, Any]:
    """Answers that open a question, and the questions that open those."""
    shown = items(FORM)[link].get("shown_when", ())
    if not shown or "is" not in shown[0]:
        return {}
    return opened_by(shown[0]["answer"]) | {shown[0]["answer"]: str(shown[0]["is"][0])}


def said_of(item: Any) -> Iterator[tuple[Any, str, str]]:
    """What a question says that an answer alone sets: the answer, a finding, and present or absent."""
    for rule in item.get("sets", ()):
        if "when" in rule or "unless" in rule:
            continue  # needs another answer as well
        # Answered without it: with "none of these", or with something else.
        rest = sorted(item.get("options", ()), key=lambda option: "exclusive" not in option)
        others = [option["value"] for option in rest if option["value"] != rule.get("without")][:1]
        answers = rule.get("answer", others if "without" in rule else [])
        for answer in answers if isinstance(answers, list) else [answers]:
            yield from (
                (answer, name, presence) for presence in ("present", "absent") for name in rule.get(presence, ())
            )


def test_every_answer_sets_what_the_form_says(knowledge: Any, reading: Any) -> None:
    wrong = []
    for link, item in items(FORM).items():
        judged: dict[str, Any] = {}
        for answer, name, presence in said_of(item):
            if str(answer) not in judged:
                value = [answer] if "repeats" in item else answer
                given = [{"answers": opened_by(link) | {link: value}, "on": "today"}]
                judged[str(answer)] = case_of(given, knowledge, reading)
            found = judged[str(answer)][name].presence.value
            if found != presence:
                wrong.append((link, answer, name, presence, found))
    assert wrong == []


WRONG = [
    ({"weak": ["perhaps"]}, "answers.weak"),
    ({"weak": ["yes", "no"]}, "answers.weak"),
    ({"weak": "yes"}, "answers.weak"),
    ({"exam.grade": [True]}, "answers.exam.grade"),
    ({"onset.date": ["soon"]}, "answers.onset.date"),
    ({"<b>": ["x"]}, "answers"),
    ([], "answers"),
]


@pytest.mark.parametrize(("answers", "path"), WRONG, ids=str)
def test_what_is_no_answer_is_refused_by_its_path(client: FlaskClient, answers: Any, path: str) -> None:
    answer = client.post("/workbench/history/next", json={"request": UNEXAMINED, "answers": answers})
    assert answer.status_code == 400
    assert path in [issue["expression"][0] for issue in answer.get_json()["issue"]]


WHERE = [
    ({"CDS_PUBLIC_URL": "http://127.0.0.1:8000"}, "http://127.0.0.1:8000/workbench/history"),
    ({"CDS_HISTORY_URL": "https://forms.example.org/twitching"}, "https://forms.example.org/twitching"),
    ({"CDS_HISTORY_URL": "https://intranet/forms"}, "https://intranet/forms"),
    ({"CDS_PUBLIC_URL": "http://127.0.0.1:8000", "CDS_HISTORY_URL": "https://forms.example.org/t"},
     "https://forms.example.org/t"),
    ({"CDS_PUBLIC_URL": "http://127.0.0.1:8000", "CDS_WORKBENCH": "off"}, None),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "address"), WHERE, ids=str)
def test_the_card_that_asks_leads_to_the_form(settings: dict[str, str], address: str | None) -> None:
    asking = next(story for story in stories().values() if story.cards == ("TW24",) or "TW24" in story.cards)
    cards = application(**settings).test_client().post(HOOK, json=request_of(asking)).get_json()["cards"]
    links = [[link["url"] for link in card.get("links", ()) if "history" in link["label"]] for card in cards]
    assert [urls for urls in links if urls] == ([[address]] if address else [])
