"""A pasted chart: a Bundle becomes a hook request, and what is not valid FHIR is named by its path."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cds_service import fhir
from cds_service.clinical.chart import QUERIES
from cds_service.errors import Fault, RequestError
from cds_service.intake.envelope import HOOK, read_envelope
from cds_service.intake.prefetch import query_of
from cds_service.web.trial import AS_OF, ORIGIN, WORKBENCH

Json = dict[str, Any]
MOST_REMARKS = 100
_FAULTS = {"missing": "is missing, and FHIR R4 wants it", "extra_forbidden": "is no element of FHIR R4 there"}
_OTHER = "has a value that FHIR R4 does not allow there"
# Types that no query of their own asks for, and that may come along.
_BESIDE = {"AllergyIntolerance": "allergies", "Appointment": "appointments", "Medication": "medication-names"}


def request_of_chart(pasted: Any) -> tuple[Json, list[Fault]]:
    """The request that a pasted Bundle or request stands for, and what in it is not valid FHIR.

    Raises RequestError with path and remedy for what is neither.
    """
    if not isinstance(pasted, dict):
        raise RequestError(400, Fault("$", "is not a JSON object", "paste a FHIR Bundle or a CDS Hooks request"))
    kind = pasted.get("resourceType")
    if kind == "Bundle":
        return request_of_bundle(pasted, str(uuid.uuid4())), list(_remarks("Bundle", pasted))[:MOST_REMARKS]
    if kind is not None:
        raise RequestError(400, Fault("resourceType", "is no Bundle", "put the resources of one patient in a Bundle"))
    read_envelope(pasted)
    request = pasted | {"extension": _extension(pasted)}
    prefetch = pasted.get("prefetch") or {}
    remarks = [fault for key, value in prefetch.items() for fault in _remarks(f"prefetch.{_step(key)}", value)]
    return request, remarks[:MOST_REMARKS]


def _step(key: str) -> str:
    """A key as a step of a path; a client may have called it anything."""
    return key if key in QUERIES else "(a key that is no query)"


def _extension(pasted: Json) -> Json:
    given = pasted.get("extension")
    return (given if isinstance(given, dict) else {}) | {ORIGIN: WORKBENCH}


def request_of_bundle(
    bundle: Json, instance: str, as_of: str = "", encounter: str = "", unanswered: Iterable[str] = ()
) -> Json:
    """A record as the request of a client that answers every query, save those named ``unanswered``."""
    entry = _entry_of_the_patient(bundle)
    patient = entry["resource"]
    # Other resources may refer to the patient by the address of the entry: then it must come along.
    prefetch: Json = {"patient": _searchset([entry]) if "fullUrl" in entry else patient}
    prefetch |= {key: _searchset([]) for key, kind in QUERIES.items() if kind != "Patient" and key not in unanswered}
    for entry in _entries(bundle):
        key = _key_of(entry["resource"])
        if key and key != "patient" and key not in unanswered:
            prefetch.setdefault(key, _searchset([]))["entry"].append(entry)
    context = {"userId": "Practitioner/workbench", "patientId": str(patient["id"])}
    return {
        "hook": HOOK,
        "hookInstance": instance,
        "context": context | ({"encounterId": encounter} if encounter else {}),
        "prefetch": prefetch,
        "extension": {ORIGIN: WORKBENCH} | ({AS_OF: as_of} if as_of else {}),
    }


def _key_of(resource: Json) -> str:
    """The key under which a client would send a resource: observations by their category, as discovery asks."""
    kind = str(resource.get("resourceType"))
    return query_of("record", kind, resource) or _BESIDE.get(kind, "")


def _searchset(entries: list[Json]) -> Json:
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def the_patient(bundle: Json) -> Json:
    """The one Patient of a record. Raises RequestError when there is none, or more than one."""
    patient: Json = _entry_of_the_patient(bundle)["resource"]
    return patient


def _entry_of_the_patient(bundle: Json) -> Json:
    found = [entry for entry in _entries(bundle) if entry["resource"].get("resourceType") == "Patient"]
    if len(found) != 1 or not isinstance(found[0]["resource"].get("id"), str):
        what = f"holds {len(found)} Patient resources, or one without id"
        raise RequestError(400, Fault("Bundle.entry", what, "paste the record of one patient, with its Patient"))
    return found[0]


def _entries(bundle: Json) -> Iterator[Json]:
    entries = bundle.get("entry")
    if not isinstance(entries, list):
        raise RequestError(400, Fault("Bundle.entry", "is no list", "paste a Bundle with the patient's resources"))
    for entry in entries:
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield entry


def _remarks(path: str, value: Any) -> Iterator[Fault]:
    """Where resources are not valid FHIR R4, of the types that are read. Never a value."""
    if not isinstance(value, Mapping):
        return
    if value.get("resourceType") != "Bundle":
        yield from _of_resource(path, dict(value))
        return
    entries = value.get("entry")
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, Mapping) and isinstance(entry.get("resource"), dict):
            yield from _of_resource(f"{path}.entry[{position}].resource", entry["resource"])


def _of_resource(path: str, resource: Json) -> Iterator[Fault]:
    if resource.get("resourceType") not in {*QUERIES.values(), *_BESIDE} - {"Medication"}:
        return
    for fault in fhir.faults(resource):
        where, _, what = fault.partition(": ")
        yield Fault(f"{path}.{where}", _FAULTS.get(what, _OTHER), "correct it, or it counts as not on file")
