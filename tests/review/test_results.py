"""A review says what the hook says: of every story, however the records are scattered and whoever works."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from cds_service.assess import ChartSource, assess
from cds_service.intake.prefetch import whole_record
from cds_service.knowledge.codes import SYSTEMS
from cds_service.review.order import Order
from cds_service.review.reviewer import Reviewer
from cds_service.review.rows import row
from cds_service.review.run import review
from cds_service.review.sieve import says_too_much
from cds_service.review.simulate import Maker, Simulated, Simulation
from cds_service.review.sources import Record
from cds_service.review.stories import STORIES
from tests.conftest import FIXTURES, TODAY
from tests.review.conftest import SOURCE, Json, Nobody, advice, bundle, lines, rows

FEW = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def told(reading: Any) -> list[Simulated]:
    """Patients with a story each."""
    return list(map(Maker(Simulation(400, 3, TODAY, told=1, visits=2), reading.codes).patient, range(120)))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
def test_each_story_has_the_tier_that_is_written_beside_it(
    story: Any, told: list[Simulated], reviewer: Reviewer
) -> None:
    people = [one for one in told if one.story is story]
    assert people
    for one in people[:2]:
        done = reviewer.bundle(Record(0, orjson.dumps(bundle(one.resources))), SOURCE)
        assert orjson.loads(done.line)["tier"] == story.tier, one.id


def by_assess(chart: Json, knowledge: Any, reading: Any) -> Json:
    """The line as ``assess`` alone gives it, with nothing of a review in between but its writing."""
    found = whole_record(chart)
    patient = found.of("Patient")[0]["id"]
    outcome = assess(ChartSource(found, patient), knowledge, reading, TODAY)
    return json.loads(orjson.dumps(row(outcome.assessment, SOURCE.label, outcome.other_patients)))


@pytest.mark.parametrize("folder", ["quiet", "records", "shapes"])
def test_a_review_and_assess_agree_on_every_invented_patient(
    folder: str, reviewer: Reviewer, knowledge: Any, reading: Any
) -> None:
    files = sorted((FIXTURES / folder).glob("*.json"))[:: 1 if folder == "quiet" else 8]
    for file in files:
        done = reviewer.bundle(Record(0, file.read_bytes()), SOURCE)
        assert orjson.loads(done.line) == by_assess(orjson.loads(file.read_bytes()), knowledge, reading), file.name


# What may be unusual about a resource: key, and what stands there.
ODD = some.tuples(
    some.sampled_from(
        ["subject", "code", "status", "onsetDateTime", "recordedDate", "valueCodeableConcept", "component", "note",
         "reasonCode", "bodySite", "category", "encounter", "resourceType", "id",
         "clinicalStatus", "severity", "birthDate", "link"]
    ),
    some.sampled_from(
        [None, 7, "text", [], {}, [7], {"coding": 7}, {"coding": [{"code": 7}]}, {"text": "muscle twitching"},
         {"text": "Fascículations of the calf"}, {"text": "f\u0061sciculation"}, {"reference": "Patient/other"},
         {"reference": "Group/1"}, {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "R25.3"}]},
         [{"text": "fasciculations"}], [{"code": {"text": "muscle twitching"}}], "2026-02-30", "in-progress",
         {"start": "never"}, [{"relation": "next", "url": "x"}], "x" * 100_001]
    ),
)  # fmt: skip


@given(some.integers(0, 29), some.lists(some.tuples(some.integers(0, 10**6), ODD), min_size=1, max_size=3))
@settings(max_examples=120, deadline=None)
def test_what_is_not_looked_at_is_surely_quiet(
    population: list[Simulated],
    reviewer: Reviewer,
    knowledge: Any,
    reading: Any,
    number: int,
    odd: list[tuple[int, tuple[str, Any]]],
) -> None:
    """Whenever the sieve lets a chart pass, however odd it is, assess would have said the same."""
    resources = deepcopy(population[number].resources)
    for position, (key, value) in odd:
        resources[position % len(resources)][key] = value
    body = orjson.dumps(bundle(resources))
    if reviewer.sieve.quiet_patient(body) is not None:
        done = reviewer.bundle(Record(0, body), SOURCE)
        assert orjson.loads(done.line) == by_assess(orjson.loads(body), knowledge, reading)


def test_every_code_and_word_of_the_gate_is_looked_at(
    population: list[Simulated], reviewer: Reviewer, reading: Any
) -> None:
    """In each place from which the gate reads: problem, finding, its value, a part of it, reason of a visit."""
    codes = [row for row in reading.codes.rows if row.concept in reading.gate.concepts]
    concepts: list[Json] = [
        {"coding": [{"system": SYSTEMS[row.system], "code": row.code.rstrip("-")}]} for row in codes
    ]
    concepts += [{"text": words} for words in ("Fasciculations", "MYOKYMIA", "twitching of the calf", "fascículation")]
    concepts += [{"coding": [{"display": "eyelid flicker"}]}]
    healthy = next(one for one in population if one.story.id == "healthy").resources
    assert len(concepts) > 10
    for concept in concepts:
        for kind, holder in (
            ("Condition", {"code": concept}), ("Observation", {"code": concept}),
            ("Observation", {"valueCodeableConcept": concept}), ("Observation", {"component": [{"code": concept}]}),
            ("Encounter", {"reasonCode": [{"text": "cough"}, concept]}),
        ):  # fmt: skip
            subject = {"reference": f"Patient/{healthy[0]['id']}"}
            planted = {"resourceType": kind, "id": "planted", "subject": subject, "status": "final"} | holder
            body = orjson.dumps(bundle([*healthy, planted]))
            assert reviewer.sieve.quiet_patient(body) is None, planted
            assert not reviewer.sieve.sift(orjson.dumps(planted)).plain


def test_another_persons_entry_is_looked_at(population: list[Simulated], reviewer: Reviewer) -> None:
    healthy = next(one for one in population if one.story.id == "healthy").resources
    for kind in ("Condition", "Observation", "Encounter"):
        for subject in ({"reference": "Patient/other"}, {"reference": "Group/1"}, {}, None, 7):
            stray = {"resourceType": kind, "id": "stray", "subject": subject, "code": {"text": "cough"}}
            assert reviewer.sieve.quiet_patient(orjson.dumps(bundle([*healthy, stray]))) is None


def test_what_the_whole_reading_might_refuse_is_looked_at(population: list[Simulated], reviewer: Reviewer) -> None:
    """A finding without a readable category, and problems in more words than are listened to."""
    healthy = next(one for one in population if one.story.id == "healthy").resources
    mine = {"subject": {"reference": f"Patient/{healthy[0]['id']}"}}
    for category in (7, [7], [{"coding": {}}], [{"coding": [{"code": 7}]}]):
        odd = {"resourceType": "Observation", "status": "final", "category": category} | mine
        assert reviewer.sieve.quiet_patient(orjson.dumps(bundle([*healthy, odd]))) is None
        assert not reviewer.sieve.sift(orjson.dumps(odd)).plain
    wordy = [
        {"resourceType": "Condition", "code": {"text": f"{number} " + "x" * 90_000}} | mine for number in range(12)
    ]
    assert reviewer.sieve.quiet_patient(orjson.dumps(bundle([*healthy, *wordy[:1]]))) is not None
    assert reviewer.sieve.quiet_patient(orjson.dumps(bundle([*healthy, *wordy]))) is None
    assert says_too_much([orjson.dumps(one) for one in wordy], 1_100_000)


def test_most_charts_are_not_looked_at(population: list[Simulated], reviewer: Reviewer) -> None:
    """Else the test above would prove nothing."""
    healthy = [one for one in population if one.story.id == "healthy"]
    bodies = [orjson.dumps(bundle(one.resources)) for one in healthy]
    assert healthy and all(reviewer.sieve.quiet_patient(body) for body in bodies)


# ---------------------------------------------------------------- bundles, exports, workers, scatter


def scattered(population: list[Simulated], folder: Path, order: list[int], files: int) -> Path:
    """The population as an export: every resource in a file that chance chose, some of them packed."""
    everything = [r for one in population for r in one.resources]
    shuffled = [everything[i % len(everything)] for i in order] if order else everything
    rest = {id(r) for r in shuffled}
    pile = list({id(r): r for r in shuffled + [r for r in everything if id(r) not in rest]}.values())
    folder.mkdir()
    for number in range(files):
        body = lines(*pile[number::files])
        packed = number % 3 == 1
        name = f"Part.{number:03}.ndjson" + (".gz" if packed else "")
        (folder / name).write_bytes(gzip.compress(body, mtime=0) if packed else body)
    return folder


@pytest.fixture(scope="module")
def as_bundles(population: list[Simulated], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    half = len(population) // 2
    (folder / "one.ndjson").write_bytes(lines(*(bundle(one.resources) for one in population[:half])))
    for one in population[half:]:
        (folder / f"{one.id}.json").write_text(json.dumps(bundle(one.resources), indent=2))
    return folder


@pytest.fixture(scope="module")
def whole(as_bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The review of all of them."""
    out = tmp_path_factory.mktemp("whole") / "out"
    review(Order((as_bundles,), out, TODAY, workers=1), Nobody())
    return out


def test_bundles_and_an_export_of_the_same_charts_give_the_same_advice(
    population: list[Simulated], whole: Path, reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    export = scattered(population, tmp_path / "export", [], 5)
    assert advice(whole) == advice(reviewed(export, name="of-export"))
    told = {f"Patient/{one.id}": one.story.tier for one in population}
    assert {row["patient"]: row["tier"] for row in rows(whole)} == told


def test_any_number_of_workers_writes_the_same_bytes(
    population: list[Simulated], as_bundles: Path, reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    export = scattered(population, tmp_path / "export", [], 5)
    written = [
        (reviewed(as_bundles, export, name=f"by-{workers}", workers=workers) / "errors.ndjson").read_bytes()
        + (tmp_path / f"by-{workers}" / "results.ndjson").read_bytes()
        for workers in (1, 3)
    ]
    assert written[0] == written[1]
    assert len(written[0].splitlines()) == 2 * len(population)  # each patient again in the export: a named fault


@FEW
@given(some.lists(some.integers(0, 10**6), max_size=60), some.integers(1, 7))
def test_any_scatter_over_files_gives_the_same_results(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path, order: list[int], files: int
) -> None:
    for used in ("export", "straight", "scattered", "again"):
        shutil.rmtree(tmp_path / used, ignore_errors=True)
    few = population[:6]
    straight = reviewed(scattered(few, tmp_path / "export", [], 1), name="straight")
    shutil.rmtree(tmp_path / "export")
    out = reviewed(scattered(few, tmp_path / "export", order, files), name="scattered", memory=1)
    assert (out / "results.ndjson").read_bytes() == (straight / "results.ndjson").read_bytes()
    assert (out / "errors.ndjson").read_bytes() == b""


def test_a_medicine_that_stands_in_a_file_of_its_own_is_found(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    one = deepcopy(next(p for p in population if p.story.id == "on lithium"))
    request = next(r for r in one.resources if r["resourceType"] == "MedicationRequest")
    medicine = {"resourceType": "Medication", "id": "li", "code": request.pop("medicationCodeableConcept")}
    export = tmp_path / "export"
    export.mkdir()
    request["medicationReference"] = {"reference": "Medication/li"}
    (export / "Patient.ndjson").write_bytes(lines(*one.resources))
    assert [row["tier"] for row in rows(reviewed(export, name="without"))] != ["T5"]
    (export / "Medication.ndjson").write_bytes(lines(medicine))
    assert [row["tier"] for row in rows(reviewed(export, name="with"))] == ["T5"]


def test_the_first_so_many_patients_only(
    population: list[Simulated], as_bundles: Path, whole: Path, reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    part = reviewed(as_bundles, name="part", limit=7)
    assert rows(part) == rows(whole)[:7]
    export = scattered(population, tmp_path / "export", [], 2)
    assert len(rows(reviewed(export, name="of-export", limit=7))) == 7


def test_cards_in_full_are_those_of_the_hook_without_their_uuids(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    one = next(p for p in population if p.story.id == "critical potassium")
    (tmp_path / "one.ndjson").write_bytes(lines(bundle(one.resources)))
    (row,) = rows(reviewed(tmp_path / "one.ndjson", with_cards=True))
    assert [card["indicator"] for card in row["written"]] == [card["indicator"] for card in row["cards"]]
    assert row["written"][0]["summary"] and "uuid" not in json.dumps(row["written"])
