"""Invented charts in any number, in the style in which real records are exported: for tests of scale.

Each patient has a random stream of their own, from the seed and their number: patient 17 of seed 5 is the
same person whatever the number of patients.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import IO, Any
from uuid import UUID

import orjson

from cds_service.intake.sketch import PATIENT, Sketcher
from cds_service.knowledge.codes import Codes
from cds_service.review.stories import HEALTHY, STORIES, Story

Json = dict[str, Any]
PER_FILE = 1_000
_PARTS = 3  # of each resource type in an export
_SNOMED, _LOINC = "http://snomed.info/sct", "http://loinc.org"
_UCUM = "http://unitsofmeasure.org"
_TERMS = "http://terminology.hl7.org/CodeSystem"
_QUIET_SINCE = 800  # days: noise around a planted story is older than anything that the reasoning looks at
_VISITS = (("185345009", "Encounter for symptom"), ("162673000", "General examination of patient (procedure)"))
_PROBLEMS = (
    ("444814009", "Viral sinusitis (disorder)", True), ("195662009", "Acute viral pharyngitis (disorder)", True),
    ("10509002", "Acute bronchitis (disorder)", True), ("367498001", "Seasonal allergic rhinitis", False),
    ("65363002", "Otitis media", True),
)  # fmt: skip
_MEASURES = (
    # LOINC, display, unit, least, most, category
    ("8302-2", "Body Height", "cm", 150, 190, "vital-signs"),
    ("8867-4", "Heart rate", "/min", 58, 88, "vital-signs"),
    ("9279-1", "Respiratory rate", "/min", 12, 16, "vital-signs"),
    ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 4.5, 9.5, "laboratory"),
    ("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 13.0, 15.5, "laboratory"),
    ("777-3", "Platelets [#/volume] in Blood by Automated count", "10*3/uL", 180, 380, "laboratory"),
    ("2093-3", "Total Cholesterol", "mg/dL", 150, 210, "laboratory"),
    ("2571-8", "Triglycerides", "mg/dL", 80, 150, "laboratory"),
)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What to make. ``told``: the share of patients with a story of their own; ``visits``: at most, for each."""

    count: int
    seed: int
    today: date
    told: float = 0.02
    visits: int = 12
    export: bool = False  # a bulk export; else Bundles, one on a line
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Simulated:
    """One invented patient: all resources, the Patient first, and what is to be expected."""

    id: str
    story: Story
    resources: list[Json]


class _Quick(Sketcher):
    """A sketcher that looks each concept up once."""

    def __init__(self, codes: Codes, today: date) -> None:
        super().__init__(codes, today)
        self._known_concepts: dict[tuple[str, str], Json] = {}

    def concept(self, spec: Any, text: Any = None) -> Json:
        key = (str(spec), str(text or ""))
        if key not in self._known_concepts:
            self._known_concepts[key] = super().concept(spec, text)
        return self._known_concepts[key]


def simulate(what: Simulation, out: Path, codes: Codes, made: Callable[[int], None]) -> Path:
    """Write the charts to ``out/records`` and what to expect to ``out/expected.csv``. Returns the first."""
    records = out / "records"
    records.mkdir(parents=True)
    maker = Maker(what, codes)
    with (out / "expected.csv").open("w", encoding="utf-8", newline="") as file, ExitStack() as files:
        table = csv.writer(file)
        table.writerow(["patient", "story", "tier", "as_of"])
        opened: dict[str, IO[bytes]] = {}
        for number in range(what.count):
            one = maker.patient(number)
            table.writerow([f"Patient/{one.id}", one.story.id, one.story.tier, what.today])
            for name, line in _lines(one, number, what):
                if name not in opened:
                    opened[name] = files.enter_context(_opened(records / name, what.packed))
                opened[name].write(line)
            if not what.export and number % PER_FILE == PER_FILE - 1:
                files.pop_all().close()
                opened.clear()
            made(1)
    return records


def _opened(file: Path, packed: bool) -> IO[bytes]:
    if not packed:
        return file.open("wb")
    # Without a time and a name in it, the same charts are the same bytes.
    return gzip.GzipFile("", "wb", 6, file.with_name(file.name + ".gz").open("wb"), mtime=0)  # type: ignore[return-value]


def _lines(one: Simulated, number: int, what: Simulation) -> Iterator[tuple[str, bytes]]:
    if not what.export:
        entries = [{"fullUrl": f"urn:uuid:{r['id']}", "resource": r} for r in one.resources]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        yield f"bundles-{number // PER_FILE:05}.ndjson", orjson.dumps(bundle, option=orjson.OPT_APPEND_NEWLINE)
        return
    for position, resource in enumerate(one.resources):
        part = (number + position) % _PARTS if resource["resourceType"] != "Patient" else number % _PARTS
        name = f"{resource['resourceType']}.{part:03}.ndjson"
        yield name, orjson.dumps(resource, option=orjson.OPT_APPEND_NEWLINE)


class Maker:
    """Makes patients, each from their number alone."""

    def __init__(self, what: Simulation, codes: Codes) -> None:
        self._what = what
        self._sketcher = _Quick(codes, what.today)

    def patient(self, number: int) -> Simulated:
        chance = Random(f"{self._what.seed}/{number}")  # noqa: S311 - no secret: the same patient every time
        story = chance.choice(STORIES) if chance.random() < self._what.told else HEALTHY
        name = _name(chance)
        resources = [self._person(name, story, chance)]
        for resource in (*self._planted(story, chance), *self._background(chance)):
            _belong(resource, name)
            resources.append(resource)
        return Simulated(name, story, resources)

    def _person(self, name: str, story: Story, chance: Random) -> Json:
        born = self._what.today - timedelta(days=int(365.25 * chance.uniform(story.ages[0] + 0.1, story.ages[1])))
        person: Json = {
            "resourceType": "Patient",
            "id": name,
            "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},
            "identifier": [{"system": "https://hospital.example.org/mrn", "value": f"MRN-{name[:8]}"}],
            "active": True,
            "name": [{"use": "official", "family": f"Family{chance.randint(1, 999)}", "given": ["Given"]}],
            "gender": chance.choice(["male", "female"]),
            "birthDate": born.isoformat(),
            "address": [{"city": "Sampleton", "country": "XX"}],
        }
        if story.deceased:
            person["deceasedDateTime"] = (self._what.today - timedelta(days=chance.randint(1, 20))).isoformat()
        return person

    def _planted(self, story: Story, chance: Random) -> Iterator[Json]:
        for sketch in story.plant(chance):
            yield self._sketcher.resource(sketch) | {"id": _name(chance)}

    def _background(self, chance: Random) -> Iterator[Json]:
        for _ in range(chance.randint(1, self._what.visits)):
            day = self._what.today - timedelta(days=chance.randint(_QUIET_SINCE, 6_000))
            moment = f"{day}T{chance.randint(8, 17):02}:{chance.randint(0, 59):02}:00+00:00"
            visit = _encounter(chance, moment)
            yield visit
            yield _claim(chance, moment, visit)
            if chance.random() < 0.5:
                yield _condition(chance, moment, visit)
            for measure in _MEASURES:
                if measure[5] == "vital-signs" or chance.random() < 0.5:
                    yield _measured(chance, moment, visit, measure)
            yield _pressure(chance, moment, visit)


def _name(chance: Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def _belong(resource: Json, patient: str) -> None:
    """The resource is this patient's, wherever it says whose it is."""
    for key in ("subject", "patient"):
        if key in resource or (key == "subject" and resource["resourceType"] not in ("FamilyMemberHistory", "Claim")):
            resource[key] = {"reference": f"Patient/{patient}"}
    if resource["resourceType"] == "FamilyMemberHistory":
        resource.pop("subject", None)
    if PATIENT in str(resource.get("author", "")):
        resource["author"] = {"reference": f"Patient/{patient}"}


def _coded(system: str, code: str, display: str) -> Json:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _of_visit(kind: str, chance: Random, visit: Json) -> Json:
    return {
        "resourceType": kind,
        "id": _name(chance),
        "meta": {"versionId": "1", "lastUpdated": visit["period"]["end"]},
        "encounter": {"reference": f"Encounter/{visit['id']}"},
    }


def _encounter(chance: Random, moment: str) -> Json:
    code, display = chance.choice(_VISITS)
    return {
        "resourceType": "Encounter",
        "id": _name(chance),
        "meta": {"versionId": "1", "lastUpdated": moment},
        "status": "finished",
        "class": {"system": f"{_TERMS}/v3-ActCode", "code": "AMB"},
        "type": [_coded(_SNOMED, code, display)],
        "participant": [{"individual": {"reference": f"Practitioner/{_name(chance)}", "display": "Dr. Sample"}}],
        "period": {"start": moment, "end": moment},
        "serviceProvider": {"reference": f"Organization/{_name(chance)}", "display": "Sampleton Clinic"},
    }


def _claim(chance: Random, moment: str, visit: Json) -> Json:
    """What most exports hold most of, and the reasoning does not read."""
    return {
        "resourceType": "Claim",
        "id": _name(chance),
        "status": "active",
        "type": {"coding": [{"system": f"{_TERMS}/claim-type", "code": "institutional"}]},
        "use": "claim",
        "patient": {},
        "created": moment,
        "provider": visit["serviceProvider"],
        "priority": {"coding": [{"system": f"{_TERMS}/processpriority", "code": "normal"}]},
        "item": [
            {
                "sequence": position + 1,
                "productOrService": visit["type"][0],
                "encounter": [{"reference": f"Encounter/{visit['id']}"}],
                "net": {"value": round(chance.uniform(20, 400), 2), "currency": "USD"},
            }
            for position in range(3)
        ],
        "total": {"value": round(chance.uniform(60, 900), 2), "currency": "USD"},
    }


def _condition(chance: Random, moment: str, visit: Json) -> Json:
    code, display, over = chance.choice(_PROBLEMS)
    state = "resolved" if over else "active"
    condition = _of_visit("Condition", chance, visit) | {
        "clinicalStatus": {"coding": [{"system": f"{_TERMS}/condition-clinical", "code": state}]},
        "verificationStatus": {"coding": [{"system": f"{_TERMS}/condition-ver-status", "code": "confirmed"}]},
        "code": _coded(_SNOMED, code, display),
        "onsetDateTime": moment,
        "recordedDate": moment,
    }
    return condition | ({"abatementDateTime": moment} if over else {})


def _observation(chance: Random, moment: str, visit: Json, category: str) -> Json:
    return _of_visit("Observation", chance, visit) | {
        "status": "final",
        "category": [{"coding": [{"system": f"{_TERMS}/observation-category", "code": category, "display": category}]}],
        "effectiveDateTime": moment,
        "issued": moment,
    }


def _measured(chance: Random, moment: str, visit: Json, measure: tuple[str, str, str, float, float, str]) -> Json:
    code, display, unit, least, most, category = measure
    value = {"value": round(chance.uniform(least, most), 1), "unit": unit, "system": _UCUM, "code": unit}
    return _observation(chance, moment, visit, category) | {
        "code": _coded(_LOINC, code, display),
        "valueQuantity": value,
    }


def _pressure(chance: Random, moment: str, visit: Json) -> Json:
    parts = (("8480-6", "Systolic Blood Pressure", 105, 132), ("8462-4", "Diastolic Blood Pressure", 62, 84))
    return _observation(chance, moment, visit, "vital-signs") | {
        "code": _coded(_LOINC, "85354-9", "Blood Pressure"),
        "component": [
            {
                "code": _coded(_LOINC, code, display),
                "valueQuantity": {
                    "value": chance.randint(low, high), "unit": "mm[Hg]", "system": _UCUM, "code": "mm[Hg]",
                },
            }
            for code, display, low, high in parts
        ],
    }  # fmt: skip
