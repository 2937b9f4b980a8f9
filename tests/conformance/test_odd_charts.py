"""Charts that are odd but legal, or hostile: no crash, no false silence, no growth beyond their size."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest

from cds_service.assess import ChartSource, assess
from cds_service.clinical.chart import Medicine
from cds_service.clinical.words import PhraseBook
from cds_service.intake.about import MOST_DIFFERENT, MOST_WORDS
from cds_service.intake.prefetch import gather, whole_record
from cds_service.intake.read import Reader
from tests.applications import client
from tests.conftest import _COMPILED, FIXTURES, TODAY
from tests.served import SERVICE

KNOWLEDGE, READING = _COMPILED


def request() -> Any:
    return json.loads((FIXTURES / "requests" / "low-potassium.json").read_text(encoding="utf-8"))


def bundle(*resources: Any) -> Any:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]}


def call(body: Any) -> Any:
    return client().post(SERVICE, json=body)


def conditions(body: Any) -> list[Any]:
    return [entry["resource"] for entry in body["prefetch"]["conditions"]["entry"]]


def patient(body: Any) -> str:
    return str(body["context"]["patientId"])


def observation(body: Any, identity: str | None, value: Any, **more: Any) -> Any:
    made = {
        "resourceType": "Observation", "status": "final", "subject": {"reference": f"Patient/{patient(body)}"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
        "valueQuantity": {"value": value, "unit": "mm[Hg]", "code": "mm[Hg]"}, **more,
    }  # fmt: skip
    return made if identity is None else {**made, "id": identity}


@pytest.mark.parametrize(
    "fault", [{"recordedDate": "2026-05-01T10:00:00"}, {"meta": {"lastUpdated": "0000"}}, {"valueFoo": "x"}]
)
def test_an_invalid_twitching_entry_is_named_and_never_ends_in_silence(fault: dict[str, Any]) -> None:
    body = request()
    sound = call(body).json["cards"]
    for condition in conditions(body):
        condition.update(fault)
    answer = call(body)
    assert answer.status_code == 200
    assert [card["indicator"] for card in answer.json["cards"]] == [card["indicator"] for card in sound]
    assert "not valid FHIR" in answer.json["cards"][0]["detail"]


def test_one_foreign_observation_does_not_make_a_chart_unusable() -> None:
    body = request()
    stranger = {**observation(body, "foreign", 120), "subject": {"reference": "Patient/somebody-else"}}
    body["prefetch"]["vitals"]["entry"] += [{"resource": stranger}] * 5
    assert call(body).json["cards"]


@pytest.mark.parametrize("category", ["vital-signs", [5], [{"coding": {}}]])
def test_one_unreadable_category_costs_one_observation(category: Any) -> None:
    body = request()
    twitching = bundle(observation(body, "odd", 120, category=category), *conditions(body))
    body["prefetch"]["conditions"] = bundle()
    body["prefetch"]["all"] = twitching  # a client's own key; what speaks of it comes last
    (first, *_) = call(body).get_json()["cards"]
    assert "could not be read" in first["detail"]


UNREADABLE_NUMBERS = [
    {"valueQuantity": 5},
    {"valueQuantity": {"value": "5"}},
    {"valueQuantity": {"value": True}},
    {"valueQuantity": {"value": 5, "comparator": "~"}},
    {"valueQuantity": {"value": 5, "comparator": ["<"]}},
    {"valueQuantity": {"value": 5, "code": 7}},
    {"valueQuantity": {"value": 5, "unit": "m" * 200_000}},
    {"interpretation": {}},
    {"interpretation": [{"coding": [{"code": 1}]}]},
    {"valueString": 5},
    {"component": [{"code": {"text": "Width"}, "valueQuantity": {"value": []}}]},
]


def test_a_number_that_no_rule_asks_for_is_a_gap_when_it_cannot_be_read() -> None:
    body = request()
    plain = {"code": {"text": "Width of the door"}, "valueQuantity": {"value": 2.5, "comparator": "<", "unit": "cm"}}
    for fault, gaps in [({}, 0), *((fault, 1) for fault in UNREADABLE_NUMBERS)]:
        sent = gather({**body["prefetch"], "vitals": bundle(observation(body, "n", 1, **plain | fault))})
        reader = Reader(sent, patient(body), "", READING, TODAY)
        chart = reader.chart(KNOWLEDGE)
        assert sum(gap.count for gap in chart.gaps) == gaps, fault
        assert not any(entry.reference == "Observation/n" for entry in chart.entries)


def test_a_group_or_practitioner_of_the_same_id_is_not_the_patient() -> None:
    body = request()
    for condition in conditions(body):
        condition["subject"]["reference"] = condition["subject"]["reference"].replace("Patient/", "Group/")
    assert call(body).status_code == 412


@pytest.mark.parametrize("unusable", [{}, {"resourceType": "Patient", "id": "p"}])
def test_conditions_that_are_no_conditions_are_412(unusable: Any) -> None:
    body = request()
    body["prefetch"]["conditions"] = unusable
    assert call(body).status_code == 412


def test_the_later_reading_of_a_day_counts_whatever_its_id_is() -> None:
    answers = []
    for first, second in (("a", "b"), ("b", "a"), (None, None)):
        body = request()
        readings = [
            observation(body, first, 120, effectiveDateTime="2026-06-15T08:00:00Z"),
            observation(body, second, 75, effectiveDateTime="2026-06-15T10:00:00Z"),
        ]
        for order in (readings, readings[::-1]):
            body["prefetch"]["vitals"] = bundle(*order)
            answers.append([card["summary"] for card in call(body).json["cards"]])
    body["prefetch"]["vitals"] = bundle(readings[1])
    only_the_later = [card["summary"] for card in call(body).json["cards"]]
    body["prefetch"]["vitals"] = bundle(readings[0])
    assert only_the_later != [card["summary"] for card in call(body).json["cards"]]
    assert all(answer == only_the_later for answer in answers)


@pytest.mark.parametrize(
    "odd",
    [
        {"onsetDateTime": "0001-01-01"},
        {"onsetDateTime": "9999-12-31"},
        {"onsetDateTime": None, "onsetAge": {"value": 9000, "unit": "a"}},
        {"onsetDateTime": None, "onsetAge": {"value": -3000, "unit": "a"}},
        {"contained": [{"resourceType": "FooBar"}]},
        {"code": {"text": "Muscle twitching " + "-" * 60}},
        {"code": {"text": "twitch " + "-x" * 400 + " muscle twitching"}},
        {"code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R" * 40_000}], "text": "Tremor"}},
    ],
)
def test_odd_values_of_one_condition_are_read_or_left_aside(odd: dict[str, Any]) -> None:
    body = request()
    extra = {**copy.deepcopy(conditions(body)[0]), "id": "odd", **odd}
    extra = {key: value for key, value in extra.items() if value is not None}
    body["prefetch"]["conditions"]["entry"].append({"resource": extra})
    assert call(body).status_code == 200


@pytest.mark.parametrize("resource", [{"resourceType": "Medication", "id": 5}, {"resourceType": "Encounter", "id": 5}])
def test_an_id_that_is_no_text_is_no_crash(resource: dict[str, Any]) -> None:
    body = request()
    resource = {**resource, "status": "in-progress"}
    body["prefetch"]["medications"] = bundle(resource)
    assert call(body).status_code == 200


def _seconds(body: Any) -> float:
    began = time.process_time()
    assert call(body).status_code == 200
    return time.process_time() - began


def test_hostile_text_costs_what_its_length_costs() -> None:
    """A ratio in one run: twenty times the text may cost more, but never the square of it."""

    def with_text(length: int) -> Any:
        body = request()
        told = observation(body, "told", 0)
        told["valueString"] = "5" + " " * length + "a\nb"
        told["code"] = {"text": "twitch" + "-" * length + " " + "twitch flick " * (length // 12)}
        del told["valueQuantity"]
        body["prefetch"]["findings"]["entry"].append({"resource": told})
        return body

    _seconds(with_text(50))
    assert _seconds(with_text(2000)) < 100 * max(_seconds(with_text(100)), 0.01)


def _answers(body: Any, items: int, answers: int, words: str) -> Any:
    item = {"linkId": "x", "text": words, "answer": [{"valueBoolean": True}] * answers}
    subject = {"reference": f"Patient/{patient(body)}"}
    form = {"resourceType": "QuestionnaireResponse", "status": "completed", "authored": "2026-06-01"}
    return form | {"id": "form", "subject": subject, "item": [item] * items}


def _wordy_conditions(body: Any, count: int, words: str) -> list[Any]:
    pattern = conditions(body)[0]
    return [{**pattern, "id": f"c{number}", "code": {"text": words}} for number in range(count)]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("key", "wordy"),
    [
        pytest.param("conditions", lambda b: _wordy_conditions(b, 25, "left arm no " * 7600), id="long names"),
        pytest.param("conditions", lambda b: _wordy_conditions(b, 4000, "blood pressure " * 40), id="many names"),
        pytest.param("answers", lambda b: [_answers(b, 1, 50, "left arm no " * 7600)], id="one question, many answers"),
        pytest.param(
            "findings",
            lambda b: [
                observation(b, "o", 1, code={"text": "twitch arm " * 8000}, component=[{"code": {"text": "x"}}] * 50)
            ],
            id="one name, many parts",
        ),
    ],
)
def test_more_words_than_any_record_has_are_refused(key: str, wordy: Any, backwards: bool) -> None:
    body = request()
    entries = bundle(*wordy(body))["entry"]
    body["prefetch"][key]["entry"] = (body["prefetch"][key]["entry"] + entries)[:: -1 if backwards else 1]
    answer = call(body)
    assert answer.status_code == 413
    assert "characters of text" in answer.json["issue"][0]["diagnostics"]


def _by_muscle(body: Any, parts: int) -> Any:
    made = observation(body, "power", 0, code={"text": "Motor examination"})
    del made["valueQuantity"]
    return made | {"component": [{"code": {"text": f"power {n}"}, "valueString": "4/5 weak"} for n in range(parts)]}


def _form(body: Any, items: int, inside: int = 0) -> Any:
    form = _answers(body, items, 1, "Weakness of an arm?")
    deepest = [{"linkId": "y", "text": "Since when?", "answer": [{"valueString": "May"}]}] * inside
    return form | {"item": [*form["item"][:-1], form["item"][0] | {"item": deepest}]}


def _reports(body: Any, count: int, name: str = "EMG") -> list[Any]:
    report = {
        "resourceType": "DiagnosticReport", "status": "final", "effectiveDateTime": "2026-06-01",
        "code": {"text": name}, "subject": {"reference": f"Patient/{patient(body)}"},
        "conclusion": "Fibrillation potentials in the left arm.",
    }  # fmt: skip
    return [report | {"id": f"r{n}"} for n in range(count)]


@pytest.mark.parametrize(
    ("key", "made", "status", "path"),
    [
        pytest.param("findings", lambda b: [_by_muscle(b, 12_000)], 413, "Observation.component", id="12000 parts"),
        pytest.param("findings", lambda b: [_by_muscle(b, 501)], 413, "Observation.component", id="501 parts"),
        pytest.param("findings", lambda b: [_by_muscle(b, 500)], 200, "", id="500 parts"),
        pytest.param("answers", lambda b: [_form(b, 8000)], 413, "QuestionnaireResponse.item", id="8000 items"),
        pytest.param("answers", lambda b: [_form(b, 999, 2)], 413, "QuestionnaireResponse.item", id="1001 items"),
        pytest.param("answers", lambda b: [_form(b, 998, 2)], 200, "", id="1000 items"),
        pytest.param("answers", lambda b: [_form(b, 900), _form(b, 900)], 200, "", id="two forms"),
        pytest.param("reports", lambda b: _reports(b, 1500), 413, "DiagnosticReport", id="1500 EMGs"),
        pytest.param("reports", lambda b: _reports(b, 200), 200, "", id="200 EMGs"),
        pytest.param("reports", lambda b: _reports(b, 1500, "Letter"), 200, "", id="1500 letters"),
    ],
)
def test_more_parts_or_reports_than_any_chart_has_are_refused(key: str, made: Any, status: int, path: str) -> None:
    body = request()
    body["prefetch"].setdefault(key, bundle())
    body["prefetch"][key]["entry"] += bundle(*made(body))["entry"]
    answer = call(body)
    assert answer.status_code == status
    if path:
        (issue,) = answer.json["issue"]
        assert (issue["expression"], issue["code"]) == ([path], "too-long")
        assert "more than" in issue["diagnostics"]


def _spread(body: Any, observations: int, parts: int, different: bool) -> list[Any]:
    """Words in parts of many Observations."""
    made = observation(body, "", 0, code={"text": "Motor examination"})
    del made["valueQuantity"]
    return [
        made | {"id": f"spread{n}", "component": [
            {"code": {"text": "Weakness of the hand"}, "valueString": f"worse {n}-{part}" if different else "worse"}
            for part in range(parts)
        ]} for n in range(observations)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("observations", "parts", "different", "status"),
    [(24, 500, False, 413), (24, 500, True, 413), (6, 420, True, 413), (6, 400, True, 200), (11, 500, False, 200)],
)
def test_words_spread_over_many_resources_are_refused(
    observations: int, parts: int, different: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    listened: list[str] = []
    listen = PhraseBook.listen
    monkeypatch.setattr(PhraseBook, "listen", lambda book, text: listened.append(text) or listen(book, text))
    body = request()
    body["prefetch"]["findings"]["entry"] += bundle(*_spread(body, observations, parts, different))["entry"]
    answer = call(body)
    assert answer.status_code == status
    assert len(listened) < 5 * MOST_DIFFERENT  # name and value, together and each by itself
    if status == 413:
        (issue,) = answer.json["issue"]
        assert (issue["expression"], issue["code"]) == (["prefetch"], "too-long")
        assert "statements in words" in issue["diagnostics"]


@pytest.mark.parametrize(
    ("value", "count", "status"),
    [("4.{}", 6500, 200), ("negative", 6500, 200), ("<{} CFU/mL", 6500, 200), ("{}", 20_001, 413)],
)
def test_numbers_and_negative_as_texts_are_no_statements_in_words(value: str, count: int, status: int) -> None:
    body = request()
    made = observation(body, "", 0, code={"text": "Potassium"})
    del made["valueQuantity"]
    texts = [{"code": {"text": "Potassium"}, "valueString": value.format(n)} for n in range(count)]
    parts = [texts[start : start + 500] for start in range(0, count, 500)]
    many = [made | {"id": f"text{n}", "component": part} for n, part in enumerate(parts)]
    body["prefetch"]["findings"]["entry"] += bundle(*many)["entry"]
    answer = call(body)
    assert answer.status_code == status
    if status == 413:
        assert "values as texts" in answer.json["issue"][0]["diagnostics"]


def test_what_a_chart_repeats_is_listened_to_once(monkeypatch: pytest.MonkeyPatch) -> None:
    listened: list[str] = []
    listen = PhraseBook.listen
    monkeypatch.setattr(PhraseBook, "listen", lambda book, text: listened.append(text) or listen(book, text))
    counts = []
    for parts in (1, 1, 400):  # names of tests are known from the first call on
        body = request()
        body["prefetch"]["findings"]["entry"] += bundle(*_spread(body, 2, parts, different=False))["entry"]
        listened.clear()
        assert call(body).status_code == 200
        counts.append(len(listened))
    assert counts[1] == counts[2] > 0


def test_many_different_problems_of_a_chart_without_twitching_end_in_silence() -> None:
    body = request()
    many = [each for n in range(2600) for each in _wordy_conditions(body, 1, f"Cough {n}")]
    body["prefetch"]["conditions"] = bundle(*({**each, "id": f"c{n}"} for n, each in enumerate(many)))
    body["prefetch"]["findings"] = bundle()
    answer = call(body)
    assert (answer.status_code, answer.json["cards"]) == (200, [])


def test_many_parts_of_a_chart_without_twitching_end_in_silence() -> None:
    body = request()
    body["prefetch"]["conditions"] = bundle()
    body["prefetch"]["findings"] = bundle(_by_muscle(body, 501))
    answer = call(body)
    assert (answer.status_code, answer.json["cards"]) == (200, [])


def test_a_chart_of_2000_resources_may_be_as_wordy_as_charts_are() -> None:
    body = request()
    said = "Power 5/5 throughout, reflexes normal and symmetrical, no wasting seen. " * 4
    exams = [observation(body, f"o{n}", 0, code={"text": "Examination"}, valueString=said) for n in range(700)]
    for exam in exams:
        del exam["valueQuantity"]
    body["prefetch"]["findings"]["entry"] += bundle(*exams)["entry"]
    many = _wordy_conditions(body, 650, "Generalised weakness of the left arm and of the left leg, under review")
    body["prefetch"]["conditions"]["entry"] += bundle(*many)["entry"]
    body["prefetch"]["answers"] = bundle(_answers(body, 650, 1, "Have you noticed any weakness of your arms lately?"))
    assert call(body).status_code == 200


def _spent(found: Any, identity: str, compiled: Any) -> int:
    reader = Reader(found, identity, "", compiled[1], TODAY)
    reader.chart(compiled[0])
    return MOST_WORDS - reader.about.attention.left


def test_no_fixture_comes_near_the_limit_of_words(knowledge: Any, reading: Any) -> None:
    spent = []
    for file in FIXTURES.glob("r*/*.json"):  # records and requests
        read = json.loads(file.read_bytes())
        if "prefetch" in read:
            found, identity = gather(read["prefetch"]), read["context"]["patientId"]
        else:
            found = whole_record(read)
            identity = found.of("Patient")[0]["id"]
        spent.append(_spent(found, identity, (knowledge, reading)))
    assert len(spent) > 50
    assert max(spent) < MOST_WORDS / 1000


def test_words_of_a_record_are_no_markup_on_a_card() -> None:
    body = request()
    evil = 'Foo <b>x</b>\nline [y](http://evil.example) <img src=x onerror="1">'
    for condition in conditions(body):
        condition["code"]["text"] = f"Muscle twitching {evil}"
    body["prefetch"]["<img src=x onerror=alert(1)>"] = {"resourceType": "OperationOutcome"}
    body["context"]["userId"] = 'Practitioner/<script>"../x'
    body["context"]["encounterId"] = "x y/../<i>"
    answer = call(body)
    for card in answer.json["cards"]:
        assert "<" not in card["summary"].replace("<5", "") and "\n" not in card["summary"]
        plain = card["detail"].replace("\\<", "").replace("\\[", "")
        assert "<img" not in plain and "<b>" not in plain and "[y](" not in plain
    assert "<script>" not in answer.get_data(as_text=True) and "/../" not in answer.get_data(as_text=True)


def test_a_cut_page_under_another_key_claims_no_completeness() -> None:
    body = request()
    labs = body["prefetch"].pop("labs")
    labs["link"] = [{"relation": "next", "url": "https://ehr.example.org/next"}]
    body["prefetch"]["lab_results"] = labs
    answer = call(body)
    assert "first page" in answer.json["cards"][0]["detail"]


TOLD_LATE = "conditions: dated after the day of the assessment"


@pytest.mark.parametrize("onset", ["2062-04-01", "9999-12-31"])
def test_an_impossible_onset_leaves_the_twitching_charted(onset: str) -> None:
    body = request()
    for condition in conditions(body):
        condition |= {"onsetDateTime": onset, "recordedDate": "2026-05-01"}
    assert TOLD_LATE in call(body).json["cards"][0]["detail"]


def _gaps(body: Any) -> set[str]:
    source = ChartSource.of_prefetch(body["prefetch"], patient(body))
    return {f"{gap.query}: {gap.reason}" for gap in assess(source, KNOWLEDGE, READING, TODAY).assessment.gaps}


def test_twitching_that_counts_for_nothing_because_of_its_date_is_a_gap() -> None:
    body = request()
    entry = next(condition for condition in conditions(body) if "ascicul" in json.dumps(condition))
    later = {"recordedDate": "2062-01-01", "onsetDateTime": "2062-01-01"}
    body["prefetch"]["conditions"] = bundle(entry | later)
    assert call(body).json == {"cards": []}
    assert TOLD_LATE in _gaps(body)
    body["prefetch"]["conditions"] = bundle({**entry, **later, "code": {"text": "Hypertension"}})
    assert not _gaps(body)
    undated = observation(body, "seen", 1, code=entry["code"], valueBoolean=True)
    del undated["valueQuantity"]
    body["prefetch"]["findings"] = bundle(undated)
    assert call(body).json == {"cards": []}
    assert "observations: a finding of twitching has no date" in _gaps(body)


def test_a_result_of_a_later_day_is_told_and_its_answer_stays_whole() -> None:
    body = request()
    labs = [entry["resource"] for entry in body["prefetch"]["labs"]["entry"]]
    body["prefetch"]["labs"] = bundle(*({**lab, "effectiveDateTime": "2027-06-10"} for lab in labs))
    assert "observations: dated after the day of the assessment" in _gaps(body)
    chart = Reader(gather(body["prefetch"]), patient(body), "", READING, TODAY).chart(KNOWLEDGE)
    assert "labs" in chart.complete


def test_an_age_of_onset_beyond_the_calendar_is_no_onset() -> None:
    body = request()
    body["prefetch"]["patient"]["birthDate"] = "9999-01-01"
    for condition in conditions(body):
        condition.pop("onsetDateTime", None)
        condition["onsetAge"] = {"value": 50, "code": "a", "unit": "a", "system": "http://unitsofmeasure.org"}
    assert call(body).status_code == 200


@pytest.mark.parametrize(
    ("units", "low"), [("mmol/L mmol/L", 3.5), ("g/L g/L", None), ("mg/dL mg/dL", 0.8953), ("mmol/L mg/dL", None)]
)
def test_a_reference_range_in_another_unit_makes_no_value_normal(units: str, low: float | None) -> None:
    body = request()
    ends = (({"value": value, "unit": unit}) for value, unit in zip((3.5, 5.1), units.split(), strict=True))
    given = [dict(zip(("low", "high"), ends, strict=True))]
    for entry in body["prefetch"]["labs"]["entry"]:
        entry["resource"]["referenceRange"] = given
    source = ChartSource.of_prefetch(body["prefetch"], patient(body))
    assert assess(source, KNOWLEDGE, READING, TODAY).assessment.case.bands["K"][0].low == pytest.approx(low)


@pytest.mark.parametrize(("intent", "taken"), [("order", True), ("plan", True), ("proposal", False), ("option", False)])
def test_a_medicine_that_was_only_thought_of_is_not_taken(intent: str, taken: bool) -> None:
    body = request()
    named = {"medicationCodeableConcept": {"text": "sertraline 50 mg tablet"}, "status": "active", "intent": intent}
    owner = {"subject": {"reference": f"Patient/{patient(body)}"}}
    body["prefetch"]["medications"] = bundle({"resourceType": "MedicationRequest", "id": "m", **named, **owner})
    chart = Reader(gather(body["prefetch"]), patient(body), "", READING, TODAY).chart(KNOWLEDGE)
    assert bool(list(chart.all(Medicine))) is taken


def _medicine(**more: Any) -> Medicine:
    body = request()
    owner = {"reference": f"Patient/{patient(body)}"}
    given = {"resourceType": "MedicationRequest", "id": "m", "status": "active", "intent": "order", "subject": owner}
    body["prefetch"]["medications"] = bundle(given | more)
    chart = Reader(gather(body["prefetch"]), patient(body), "", READING, TODAY).chart(KNOWLEDGE)
    return next(iter(chart.all(Medicine)))


TACROLIMUS = {"text": "tacrolimus 0.1 %"}
TOPICAL = {"coding": [{"system": "http://snomed.info/sct", "code": "6064005", "display": "Topical route"}]}
ORAL = {"text": "Oral"}


def _in_form(form: str, route: str) -> dict[str, Any]:
    made = {"resourceType": "Medication", "id": "t", "code": TACROLIMUS, "form": {"text": form}}
    instructions = {"dosageInstruction": [{"route": {"text": route}}]} if route else {}
    return {"medicationReference": {"reference": "#t"}, "contained": [made]} | instructions


@pytest.mark.parametrize(
    ("more", "local"),
    [
        ({"medicationCodeableConcept": TACROLIMUS}, False),
        *((_in_form(form, route), local) for form, route, local in (
            ("Gelatin capsule, hard", "", False),
            ("Ointment", "", True),
            ("Oral drops, solution", "", False),
            ("Drops", "Oral", False),
            ("Drops", "PO", False),
            ("Drops", "Ophthalmic", True),
            ("Eye drops", "Injection, intravenous", False),
            ("Ointment", "Topical", True),
            ("Ointment", "Inhalation, oral", True),
            ("Ointment", "Oral rinse", True),
        )),
        ({"medicationCodeableConcept": TACROLIMUS, "dosageInstruction": [{"route": TOPICAL}]}, True),
        ({"medicationCodeableConcept": TACROLIMUS, "dosageInstruction": [{"route": TOPICAL}, {"route": ORAL}]}, False),
    ],
)  # fmt: skip
def test_a_route_or_a_form_says_that_a_medicine_acts_only_where_it_is_put(more: dict[str, Any], local: bool) -> None:
    medicine = _medicine(**more)
    assert KNOWLEDGE.is_local(medicine) is local
    assert [c.id for c in KNOWLEDGE.classes_of(medicine)] == ([] if local else ["calcineurin"])
