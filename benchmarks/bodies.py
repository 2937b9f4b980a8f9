"""Requests of a size: a chart with so many resources, quiet or with a twitching patient hidden in it.

Charts are made from a folder of Synthea R4 Bundles (`*.json` or `*.json.gz`), or, without one, filled up with varied
copies of the resources in `fixtures/requests`. Made charts are current on the day they are made for.
"""

from __future__ import annotations

import copy
import gzip
import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.nodes import ROOT, fixture

Json = dict[str, Any]

TODAY = date(2026, 6, 15)  # the day that the requests in fixtures/ are about
SIZES = {"small": 20, "medium": 300, "large": 2000}  # resources, the Patient among them
PATIENT = "benchmark-patient"
_KEYS = {
    "Condition": "conditions", "MedicationRequest": "medications", "DiagnosticReport": "reports",
    "Encounter": "encounters", "ServiceRequest": "orders", "QuestionnaireResponse": "answers",
    "Procedure": "procedures", "FamilyMemberHistory": "family", "Device": "devices",
    "MedicationStatement": "statements",
}  # fmt: skip
_OF_CATEGORY = {"laboratory": "labs", "vital-signs": "vitals"}
_QUERIES = ("conditions", "labs", "findings", "vitals", *(key for key in _KEYS.values() if key != "conditions"))
# What says that the patient twitches, before what says why; a small chart has room for the first ones only.
_TELLING = ("conditions", "findings", "medications", "labs", "encounters", "vitals")
_NEWEST_BEFORE_TODAY = timedelta(days=5)
_DAY = re.compile(r'(?<=")\d{4}-\d\d-\d\d(?=["T])')
_CODE = re.compile(r"\b\d{1,5}-\d\b|\b\d{6,18}\b")  # of LOINC, and of SNOMED CT
_MAY_BE_IRRELEVANT = ("Observation", "Procedure", "DiagnosticReport")
# Common results that no card looks at, with their LOINC codes: a real chart has many of them.
_BESIDES = {"8302-2": "Body height", "2093-3": "Cholesterol", "2085-9": "Cholesterol in HDL", "2571-8": "Triglyceride"}


@dataclass(frozen=True)
class Body:
    """One request: its name, its bytes, and whether cards must come back."""

    name: str
    content: bytes
    resources: int
    twitching: bool


def bodies(charts: Path | None, names: Sequence[str] = tuple(SIZES), today: date = TODAY) -> list[Body]:
    """Each size once quiet and once twitching."""
    kinds = itertools.product(names, (False, True))
    return [body(size, filling(SIZES[size], charts), twitching, today) for size, twitching in kinds]


def body(size: str, resources: Sequence[Json], twitching: bool, today: date) -> Body:
    chart = with_twitching(resources, SIZES[size]) if twitching else list(resources)
    name = f"{size} {'twitching' if twitching else 'quiet'}"
    return Body(name, request(chart, today), len(chart), twitching)


def chart(resources: int, twitching: bool) -> bytes:
    """A request from the fixtures alone, of any size."""
    filled = filling(resources, None)
    return request(with_twitching(filled, resources) if twitching else filled, TODAY)


def doubled(made: Body) -> tuple[Body, int]:
    """The same chart with every irrelevant resource in it twice, and how many those are.

    The copies have ids of their own: a resource that was sent twice would count as one.
    """
    sent = json.loads(made.content)
    added = 0
    for found in sent["prefetch"].values():
        entries = found.get("entry", [])
        copies = copy.deepcopy([entry for entry in entries if is_irrelevant(entry["resource"])])
        for entry in copies:
            entry["resource"]["id"] += "-again"
            entry["fullUrl"] += "-again"
        entries += copies
        added += len(copies)
    return Body(f"{made.name}, doubled", _bytes(sent), made.resources + added, made.twitching), added


def is_irrelevant(resource: Mapping[str, Any]) -> bool:
    """A result, procedure or report none of whose codes stands anywhere in the clinical content."""
    if resource["resourceType"] not in _MAY_BE_IRRELEVANT:
        return False
    parts = [resource, *resource.get("component", [])]
    codings = [coding for part in parts for coding in part["code"].get("coding", [])]
    return bool(codings) and not any(coding["code"] in _codes_of_the_content() for coding in codings)


@cache
def _codes_of_the_content() -> frozenset[str]:
    files = [path for path in (ROOT / "cards").rglob("*") if path.is_file()]
    return frozenset(code for path in files for code in _CODE.findall(path.read_text(encoding="utf-8")))


# ---------------------------------------------------------------- resources


def filling(count: int, charts: Path | None) -> list[Json]:
    """A Patient and so many other resources that there are `count`, all of one patient."""
    return _from_fixtures(count) if charts is None else _from_charts(count, charts)


def _from_charts(count: int, folder: Path) -> list[Json]:
    """The newest resources of the smallest chart that has enough; else the largest charts, made one patient's."""
    known = sorted(_charts(folder), key=len)
    if not known:
        raise SystemExit(f"no FHIR Bundles of living patients (*.json, *.json.gz) in {folder}")
    enough = [[chart] for chart in known if len(chart) >= count][:1]
    chosen = enough[0] if enough else list(reversed(known))
    patient = chosen[0][0]
    rest = [resource for chart in chosen for resource in reversed(chart[1:])][: count - 1]
    if len(rest) < count - 1:
        raise SystemExit(f"the charts in {folder} hold {len(rest) + 1} resources that are asked for, not {count}")
    return [patient, *rest]


@cache
def _charts(folder: Path) -> list[list[Json]]:
    """Each chart with its Patient first, then what is prefetched, oldest first."""
    files = sorted([*folder.glob("*.json"), *folder.glob("*.json.gz")])
    found = [
        _chart(json.loads(gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes())) for f in files
    ]
    return [chart for chart in found if chart and "deceasedDateTime" not in chart[0]]


def _chart(bundle: Json) -> list[Json]:
    """The resources of an exported Bundle as a server would send them: current, and all of our patient."""
    entries = bundle.get("entry", [])
    patient = next((e["resource"] for e in entries if e["resource"]["resourceType"] == "Patient"), None)
    if patient is None:
        return []
    names = {e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries}
    names[f"urn:uuid:{patient['id']}"] = f"Patient/{PATIENT}"
    kept = [e["resource"] for e in entries if e["resource"]["resourceType"] in (*_KEYS, "Observation")]
    text = json.dumps([{**patient, "id": PATIENT}, *kept])
    text = re.sub(r"urn:uuid:[0-9a-f-]+", lambda name: names.get(name[0], name[0]), text)
    newest = max(map(date.fromisoformat, _DAY.findall(text)))
    resources: list[Json] = json.loads(_moved(text, TODAY - _NEWEST_BEFORE_TODAY - newest))
    return resources


def _from_fixtures(count: int) -> list[Json]:
    """A Patient, and results, visits and medicines with other days, values and ids. Nothing speaks of twitching."""
    patient = {**_sent("low-potassium")["patient"], "id": PATIENT}
    patterns = [
        entry["resource"]
        for name in ("low-potassium", "hand-weakness")
        for key in ("labs", "vitals", "medications", "encounters")
        for entry in _re_addressed(_sent(name), name).get(key, {}).get("entry", [])
    ]
    order = random.Random(1)
    copies = (_varied(pattern, number, order) for number, pattern in enumerate(itertools.cycle(patterns)))
    return [patient, *itertools.islice(copies, count - 1)]


def _varied(pattern: Json, number: int, order: random.Random) -> Json:
    text = _moved(json.dumps(pattern), timedelta(days=-order.randrange(1, 700)))
    varied: Json = json.loads(text) | {"id": f"more-{number}"}
    if "valueQuantity" in varied:
        varied["valueQuantity"]["value"] = round(varied["valueQuantity"]["value"] * order.uniform(0.95, 1.05), 2)
        if number % 2:
            code, title = order.choice(list(_BESIDES.items()))
            varied["code"] = {"coding": [{"system": "http://loinc.org", "code": code, "display": title}], "text": title}
    return varied


def with_twitching(resources: Sequence[Json], count: int) -> list[Json]:
    """The same number of resources, some of which are now those of a patient who twitches from low potassium."""
    sent = _re_addressed(_sent("low-potassium"), "low-potassium")
    telling = [entry["resource"] for key in _TELLING for entry in sent[key].get("entry", [])][: count - 2]
    hidden = list(resources[: count - len(telling)])
    order = random.Random(1)
    for resource in telling:
        hidden.insert(order.randrange(1, len(hidden) + 1), resource)
    return hidden


def _sent(name: str) -> Json:
    prefetch: Json = fixture(name)["prefetch"]  # type: ignore[assignment]
    return prefetch


def _re_addressed(prefetch: Json, patient: str) -> Json:
    moved: Json = json.loads(json.dumps(prefetch).replace(f'"Patient/{patient}"', f'"Patient/{PATIENT}"'))
    return moved


def _moved(text: str, by: timedelta) -> str:
    """The same JSON with every day in it moved."""
    return _DAY.sub(lambda day: (date.fromisoformat(day[0]) + by).isoformat(), text)


# ---------------------------------------------------------------- requests


def request(resources: Sequence[Json], today: date) -> bytes:
    """The request of a client that prefetches everything, for a chart that is current on TODAY, moved to `today`."""
    prefetch: Json = {"patient": resources[0]} | {key: _bundle() for key in _QUERIES}
    for resource in resources[1:]:
        kind = resource["resourceType"]
        entry = {"fullUrl": f"https://ehr.example.org/fhir/{kind}/{resource['id']}", "resource": resource}
        prefetch[_key(resource)]["entry"].append(entry | {"search": {"mode": "match"}})
    for key in _QUERIES:
        prefetch[key]["total"] = len(prefetch[key]["entry"])
    return _moved(_bytes(envelope(prefetch)).decode(), today - TODAY).encode()


def envelope(prefetch: Json, **more: Any) -> Json:
    return {
        "hook": "patient-view",
        "hookInstance": "6faa11a0-158e-442b-9feb-7ff8deb071bc",
        "context": {"userId": "Practitioner/dr-example", "patientId": PATIENT},
        "prefetch": prefetch,
        **more,
    }


def resources_of(body: bytes) -> Iterator[Json]:
    """Every resource that a request carries."""
    for found in json.loads(body)["prefetch"].values():
        yield from [found] if found["resourceType"] == "Patient" else [e["resource"] for e in found["entry"]]


def _bundle() -> Json:
    return {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []}


def _key(resource: Json) -> str:
    if resource["resourceType"] != "Observation":
        return _KEYS[resource["resourceType"]]
    codes = {coding["code"] for category in resource.get("category", []) for coding in category.get("coding", [])}
    return next((key for code, key in _OF_CATEGORY.items() if code in codes), "findings")


def _bytes(value: Json) -> bytes:
    """As compact as servers write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
