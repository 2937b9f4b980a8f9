"""Each clause of CDS Hooks that binds the discovery document is a named check."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from tests.applications import client
from tests.conftest import FIXTURES

Check = Callable[[Any], Iterator[str]]

PATIENT_VIEW_VERSION = "1.0"
# The fields of the context of patient-view; each may stand in a prefetch template.
CONTEXT = {"context.userId", "context.patientId", "context.encounterId"}
USER = {"userPractitionerId", "userPractitionerRoleId", "userPatientId", "userRelatedPersonId"}
# Search parameters of the templates: of type reference, token and date.
REFERENCES, TOKENS, DATES, PAGES = {"patient"}, {"category", "intent"}, {"date"}, {"_count"}


@cache
def _document() -> Any:
    return client().get("/cds-services").get_json()


def _templates(document: Any) -> Iterator[tuple[str, str]]:
    for service in document["services"]:
        yield from service.get("prefetch", {}).items()


def _parameters(template: str) -> list[tuple[str, str]]:
    return parse_qsl(template.partition("?")[2], keep_blank_values=True)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_an_object_with_services(document: Any) -> Iterator[str]:
    if not isinstance(document, dict) or not isinstance(document.get("services"), list) or not document["services"]:
        yield "services"


def nothing_is_null_or_empty(document: Any) -> Iterator[str]:
    for i, service in enumerate(document["services"]):
        yield from (f"services[{i}].{name}" for name, value in service.items() if value in (None, "", [], {}))
    yield from (f"prefetch.{key}" for key, template in _templates(document) if not _is_text(template))


def service_names_its_hook(document: Any) -> Iterator[str]:
    yield from (f"services[{i}].hook" for i, s in enumerate(document["services"]) if s.get("hook") != "patient-view")


def service_has_a_title(document: Any) -> Iterator[str]:
    yield from (f"services[{i}].title" for i, s in enumerate(document["services"]) if not _is_text(s.get("title")))


def service_has_a_description(document: Any) -> Iterator[str]:
    for i, service in enumerate(document["services"]):
        if not _is_text(service.get("description")):
            yield f"services[{i}].description"


def service_has_an_id_for_its_url(document: Any) -> Iterator[str]:
    seen = set()
    for i, service in enumerate(document["services"]):
        name = (service.get("id"), service.get("hook"))
        if not re.fullmatch(r"[A-Za-z0-9._~-]+", str(service.get("id", ""))) or name in seen:
            yield f"services[{i}].id"
        seen.add(name)


def version_is_semantic(document: Any) -> Iterator[str]:
    for i, service in enumerate(document["services"]):
        if not re.fullmatch(r"\d+\.\d+\.\d+", str(service.get("version"))):
            yield f"services[{i}].version"


def hook_version_is_the_published_one(document: Any) -> Iterator[str]:
    for i, service in enumerate(document["services"]):
        if service.get("hookVersion") != PATIENT_VIEW_VERSION:
            yield f"services[{i}].hookVersion"


def only_elements_of_the_standard(document: Any) -> Iterator[str]:
    known = {"hook", "title", "description", "id", "prefetch", "usageRequirements", "version", "hookVersion"}
    for i, service in enumerate(document["services"]):
        yield from (f"services[{i}].{name}" for name in service if name not in known)


def tokens_are_delimited_and_name_context_fields(document: Any) -> Iterator[str]:
    for key, template in _templates(document):
        tokens = re.findall(r"\{\{(.*?)\}\}", template)
        rest = re.sub(r"\{\{.*?\}\}", "", template)
        if not tokens or "{" in rest or "}" in rest or not set(tokens) <= CONTEXT | USER:
            yield f"prefetch.{key}"


def template_is_a_read_or_a_search(document: Any) -> Iterator[str]:
    for key, template in _templates(document):
        read = re.fullmatch(r"[A-Z][A-Za-z]+/\{\{[\w.]+\}\}", template)
        search = re.fullmatch(r"[A-Z][A-Za-z]+\?[^?]+", template)
        if not read and not search:
            yield f"prefetch.{key}"


def search_uses_widely_supported_parameters(document: Any) -> Iterator[str]:
    """No modifier, no chain, no include, no function: reference, token, date and _count alone."""
    for key, template in _templates(document):
        names = [name for name, _ in _parameters(template)]
        if not set(names) <= REFERENCES | TOKENS | DATES | PAGES or len(names) != len(set(names)):
            yield f"prefetch.{key}"


def tokens_are_searched_by_equality(document: Any) -> Iterator[str]:
    for key, template in _templates(document):
        for name, value in _parameters(template):
            if name in TOKENS and not re.fullmatch(r"[a-z-]+(,[a-z-]+)*", value):
                yield f"prefetch.{key}"


def dates_use_a_plain_prefix(document: Any) -> Iterator[str]:
    for key, template in _templates(document):
        for name, value in _parameters(template):
            if name in DATES and not re.fullmatch(r"(eq|lt|gt|ge|le)\d{4}-\d{2}-\d{2}", value):
                yield f"prefetch.{key}"


def count_is_a_number(document: Any) -> Iterator[str]:
    for key, template in _templates(document):
        if any(name == "_count" and not value.isdecimal() for name, value in _parameters(template)):
            yield f"prefetch.{key}"


CHECKS: tuple[Check, ...] = (
    is_an_object_with_services,
    nothing_is_null_or_empty,
    service_names_its_hook,
    service_has_a_title,
    service_has_a_description,
    service_has_an_id_for_its_url,
    version_is_semantic,
    hook_version_is_the_published_one,
    only_elements_of_the_standard,
    tokens_are_delimited_and_name_context_fields,
    template_is_a_read_or_a_search,
    search_uses_widely_supported_parameters,
    tokens_are_searched_by_equality,
    dates_use_a_plain_prefix,
    count_is_a_number,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_discovery_document_keeps_the_clause(check: Check) -> None:
    assert list(check(_document())) == []


@pytest.mark.parametrize("address", ["/cds-services", "/cds-services/"])
def test_discovery_is_at_its_address(address: str) -> None:
    response = client().get(address)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.get_json() == _document()


def test_each_service_answers_at_the_address_made_of_its_id() -> None:
    body = (FIXTURES / "requests" / "bare-entry.json").read_bytes()
    for service in _document()["services"]:
        response = client().post(f"/cds-services/{service['id']}", data=body, content_type="application/json")
        assert response.status_code == 200


def test_nothing_in_a_template_needs_decoding() -> None:
    """Clients put templates together as text; a percent sign or a blank would be read in two ways."""
    assert all(unquote(t) == t and " " not in t for _, t in _templates(_document()))


# ---------------------------------------------------------------- the checks can fail

GONE = object()
SPOILT: list[tuple[Check, str, Any]] = [
    (nothing_is_null_or_empty, "usageRequirements", None),
    (nothing_is_null_or_empty, "prefetch", {}),
    (service_names_its_hook, "hook", GONE),
    (service_names_its_hook, "hook", "view-patient"),
    (service_has_a_title, "title", GONE),
    (service_has_a_description, "description", GONE),
    (service_has_an_id_for_its_url, "id", GONE),
    (service_has_an_id_for_its_url, "id", "muscle twitching"),
    (version_is_semantic, "version", "STU2"),
    (hook_version_is_the_published_one, "hookVersion", "2.0"),
    (only_elements_of_the_standard, "hooks", ["patient-view"]),
    (tokens_are_delimited_and_name_context_fields, "prefetch", {"patient": "Patient/{context.patientId}"}),
    (tokens_are_delimited_and_name_context_fields, "prefetch", {"patient": "Patient/{{patientId}}"}),
    (tokens_are_delimited_and_name_context_fields, "prefetch", {"a": "Observation?date=ge{{today()}}"}),
    (template_is_a_read_or_a_search, "prefetch", {"a": "https://ehr.example.org/Patient/{{context.patientId}}"}),
    (template_is_a_read_or_a_search, "prefetch", {"a": "Patient/{{context.patientId}}/$everything"}),
    (search_uses_widely_supported_parameters, "prefetch", {"a": "Condition?_include=Condition:encounter"}),
    (search_uses_widely_supported_parameters, "prefetch", {"a": "Condition?category:not=x"}),
    (search_uses_widely_supported_parameters, "prefetch", {"a": "Observation?date=ge2026-01-01&date=le2026-02-01"}),
    (tokens_are_searched_by_equality, "prefetch", {"a": "Observation?category=a b"}),
    (dates_use_a_plain_prefix, "prefetch", {"a": "Observation?date=ap2026-01-01"}),
    (count_is_a_number, "prefetch", {"a": "Observation?_count=all"}),
]


@pytest.mark.parametrize("case", SPOILT, ids=lambda case: f"{case[0].__name__}: {case[1]}")
def test_a_check_sees_the_field_that_is_spoilt(case: tuple[Check, str, Any]) -> None:
    check, name, value = case
    document = copy.deepcopy(_document())
    if value is GONE:
        del document["services"][0][name]
    else:
        document["services"][0][name] = value
    assert list(check(document))


@pytest.mark.parametrize("document", [[], {}, {"services": {}}], ids=json.dumps)
def test_the_shape_of_the_document_is_seen(document: Any) -> None:
    assert list(is_an_object_with_services(document))


def test_every_check_has_a_field_spoilt_for_it() -> None:
    assert set(CHECKS) - {is_an_object_with_services} == {case[0] for case in SPOILT}
