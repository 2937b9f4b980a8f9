"""What if: each kind of change does what it says, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.clinical.chart import Medicine
from cds_service.clinical.knowledge import Knowledge
from cds_service.web.state import State
from cds_service.workbench.changes import possible
from cds_service.workbench.patients import request_of, stories
from cds_service.workbench.questionnaire import history

REQUEST = request_of(stories()["EX07-thiazide-ppi-low-k-mg"])


def changed(client: FlaskClient, *changes: Any) -> Any:
    answer = client.post("/workbench/changed", json={"request": REQUEST, "changes": list(changes)})
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()["request"]


def reasoned(client: FlaskClient, request: Any) -> Any:
    return client.post("/workbench/assessment", json=request).get_json()


def fact(reasoning: Any, name: str) -> Any:
    return next(one for one in reasoning["facts"] if one["id"] == name)


@pytest.mark.parametrize(("value", "unit", "rule"), [(2.2, "mmol/L", "TW05"), (2.2, "meq/L", "TW05")])
def test_a_laboratory_value_in_either_unit(client: FlaskClient, value: float, unit: str, rule: str) -> None:
    request = changed(client, {"kind": "lab", "analyte": "K", "value": value, "unit": unit})
    reasoning = reasoned(client, request)
    assert reasoning["cards"][0]["rules"][0]["id"] == rule
    assert reasoned(client, REQUEST)["cards"][0]["rules"][0]["id"] == "TW13"  # the given one is as it was


@pytest.mark.parametrize("presence", ["present", "absent"])
def test_a_finding(client: FlaskClient, presence: str) -> None:
    request = changed(client, {"kind": "finding", "finding": "dysphagia", "presence": presence})
    assert fact(reasoned(client, request), "dysphagia")["presence"] == presence


def test_two_findings_of_one_question_stand_together(client: FlaskClient) -> None:
    both = [{"kind": "finding", "finding": name, "presence": "present"} for name in ("dysphagia", "dysarthria")]
    reasoning = reasoned(client, changed(client, *both))
    assert {fact(reasoning, name)["presence"] for name in ("dysphagia", "dysarthria")} == {"present"}


def test_a_medicine_taken_away_is_as_if_never_recorded(client: FlaskClient) -> None:
    assert fact(reasoned(client, REQUEST), "causal_drug")["presence"] == "present"
    both = [{"kind": "without", "reference": f"MedicationRequest/medicationre-{n}"} for n in (2, 3)]
    reasoning = reasoned(client, changed(client, *both))
    assert fact(reasoning, "causal_drug")["presence"] != "present"
    assert reasoning["cards"][0]["name"] == "TW13"  # the thiazide no longer explains the potassium


def test_a_finding_taken_away_is_unknown_and_not_absent(client: FlaskClient) -> None:
    request = changed(client, {"kind": "without", "reference": "Observation/observation-15"})
    assert fact(reasoned(client, REQUEST), "weak_reported")["presence"] == "absent"
    assert fact(reasoned(client, request), "weak_reported")["presence"] == "unknown"


def test_a_medicine_is_added_since_a_day(client: FlaskClient) -> None:
    without = [{"kind": "without", "reference": f"MedicationRequest/medicationre-{n}"} for n in (2, 3)]
    lithium = {"kind": "medicine", "medicine": "lithium", "started": "2026-05-01"}
    found = fact(reasoned(client, changed(client, *without, lithium)), "causal_drug")
    assert found["presence"] == "present"
    assert [e["title"] for e in found["evidence"]] == ["lithium"]


def test_every_medicine_that_is_offered_counts_as_one_of_its_class(client: FlaskClient) -> None:
    here: State = client.application.extensions["cds"]
    offered = possible(here.knowledge, here.reading, history(here.knowledge)).medicines
    assert len(offered) > 30
    for name, words in offered.items():
        codes = tuple(here.reading.medicines_in(words))
        medicine = Medicine(reference="", title=words, codes=codes, active=True)
        assert name in {c.id for c in here.knowledge.classes_of(medicine)}, name


def test_the_age_is_that_age_on_that_day(client: FlaskClient) -> None:
    request = changed(client, {"kind": "age", "years": 12}, {"kind": "date", "day": "2028-02-29"})
    reasoning = reasoned(client, request)
    assert reasoning["asOf"] == "2028-02-29"
    assert reasoning["patient"]["age"].startswith("12")


WRONG: list[tuple[Any, str]] = [
    ({"kind": "lab", "analyte": "K", "value": 3, "unit": "stones"}, "changes[0].unit"),
    ({"kind": "lab", "analyte": "Unobtainium", "value": 3, "unit": "mmol/L"}, "changes[0].analyte"),
    ({"kind": "lab", "analyte": "K", "value": "low", "unit": "mmol/L"}, "changes[0].value"),
    ({"kind": "finding", "finding": "wings", "presence": "present"}, "changes[0].finding"),
    ({"kind": "medicine", "medicine": "moonshine", "started": "2026-05-01"}, "changes[0].medicine"),
    ({"kind": "medicine", "medicine": "lithium", "started": "lately"}, "changes[0].started"),
    ({"kind": "without", "reference": "Condition/nowhere"}, "changes[0].reference"),
    ({"kind": "without", "reference": "Patient/ex07-patient"}, "changes[0].reference"),
    ({"kind": "without", "reference": "../Condition/x"}, "changes[0].reference"),
    ({"kind": "age", "years": -3}, "changes[0].years"),
    ({"kind": "date", "day": "soon"}, "changes[0].day"),
    ({"kind": "date", "day": "0001-01-01"}, "changes[0].day"),
    ({"kind": "date", "day": "9999-12-31"}, "changes[0].day"),
    ({"kind": "lab", "analyte": "K", "value": 3, "unit": "furlong"}, "changes[0].unit"),
    ({"kind": "magic"}, "changes[0].kind"),
    ("text", "changes[0].kind"),
]


@pytest.mark.parametrize(("change", "path"), WRONG, ids=str)
def test_a_change_that_cannot_be_is_refused_by_its_path(client: FlaskClient, change: Any, path: str) -> None:
    answer = client.post("/workbench/changed", json={"request": REQUEST, "changes": [change]})
    assert answer.status_code == 400
    assert [issue["expression"][0] for issue in answer.get_json()["issue"]] == [path]


def test_every_finding_that_is_offered_can_be_stated(client: FlaskClient) -> None:
    """The first and then every tenth, as all of them take long. Where a record outweighs it, the page says so."""
    here: State = client.application.extensions["cds"]
    knowledge: Knowledge = here.knowledge
    offered = list(possible(knowledge, here.reading, history(knowledge)).findings)
    assert len(offered) > 80
    for name in offered[::10]:
        request = changed(client, {"kind": "finding", "finding": name, "presence": "present"})
        assert fact(reasoned(client, request), name)["presence"] == "present", name


def test_what_is_taken_away_is_no_page_that_was_not_sent(client: FlaskClient) -> None:
    answers = {key: a | ({"total": len(a["entry"])} if "entry" in a else {}) for key, a in REQUEST["prefetch"].items()}
    taken_away = {"kind": "without", "reference": "Observation/observation-15"}
    newer = {"kind": "lab", "analyte": "K", "value": 2.2, "unit": "mmol/L"}
    for change in (taken_away, newer):
        asked = {"request": REQUEST | {"prefetch": answers}, "changes": [change]}
        left = client.post("/workbench/changed", json=asked).get_json()["request"]["prefetch"]
        assert all(a["total"] <= len(a["entry"]) for a in left.values() if "total" in a)
