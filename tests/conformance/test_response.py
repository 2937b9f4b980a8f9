"""Each clause of CDS Hooks that binds a response is a named check, run over the answers to invented patients."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import ValidationError

from cds_service import fhir
from cds_service.clinical.chart import QUERIES
from cds_service.response.schema import check_cards
from tests.applications import client
from tests.conftest import FIXTURES, read_page
from tests.served import SERVICE

Check = Callable[[Any], Iterator[str]]
Path = tuple[str | int, ...]


# ---------------------------------------------------------------- the answers


@cache
def _body(name: str) -> Any:
    return json.loads((FIXTURES / "requests" / f"{name}.json").read_text(encoding="utf-8"))


def request_of(name: str) -> Any:
    """One of fixtures/requests, free to be changed."""
    return copy.deepcopy(_body(name))


def call(body: Any) -> Any:
    """POST a request to the service."""
    return client().post(SERVICE, data=json.dumps(body), content_type="application/json")


def request_for(bundle: Any, encounter: str = "") -> Any:
    """The hook request a client would send about the record in a Bundle, every query answered."""
    prefetch: dict[str, Any] = {}
    placed: set[str] = set()
    for key, kind in QUERIES.items():
        found = [] if kind in placed else [e for e in bundle["entry"] if e["resource"]["resourceType"] == kind]
        placed.add(kind)
        # The Patient too as a search result: some records refer to the fullUrl of its entry.
        prefetch[key] = {"resourceType": "Bundle", "type": "searchset", **({"entry": found} if found else {})}
    context = {"userId": "Practitioner/dr-example", "patientId": prefetch["patient"]["entry"][0]["resource"]["id"]}
    return {
        "hook": "patient-view",
        "hookInstance": str(uuid.UUID(int=7, version=4)),
        "context": context | ({"encounterId": encounter} if encounter else {}),
        "prefetch": prefetch,
    }


@cache
def _asked() -> dict[str, Any]:
    found = {}
    for file in sorted((FIXTURES / "requests").glob("*.json")):
        found[f"requests/{file.stem}"] = call(request_of(file.stem))
    for page in sorted((FIXTURES / "records").glob("*.yaml"))[::3]:  # every third is enough here; tests/records has all
        bundle = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
        found[f"records/{page.stem}"] = call(request_for(bundle, read_page(page).get("encounter", "")))
    return found


def answers() -> dict[str, Any]:
    """What the service answers to fixtures/requests and to the records: name -> parsed body."""
    return {name: response.get_json() for name, response in _asked().items() if response.status_code == 200}


def test_every_request_and_record_is_answered_with_200() -> None:
    assert not [name for name, response in _asked().items() if response.status_code != 200]


# ---------------------------------------------------------------- reading an answer


def _cards(answer: Any) -> Iterator[tuple[str, Any]]:
    for i, card in enumerate(answer["cards"]):
        yield f"cards[{i}]", card


def _inside(answer: Any, name: str) -> Iterator[tuple[str, Any]]:
    for place, card in _cards(answer):
        for i, item in enumerate(card.get(name, ())):
            yield f"{place}.{name}[{i}]", item


def _actions(answer: Any) -> Iterator[tuple[str, Any]]:
    for place, suggestion in _inside(answer, "suggestions"):
        for i, action in enumerate(suggestion.get("actions", ())):
            yield f"{place}.actions[{i}]", action


def _empties(value: Any, place: str) -> Iterator[str]:
    if value is None or value in ("", [], {}):
        yield place
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from _empties(inner, f"{place}.{key}")
    for i, inner in enumerate(value) if isinstance(value, list) else ():
        yield from _empties(inner, f"{place}[{i}]")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_absolute(url: Any) -> bool:
    return isinstance(url, str) and urlsplit(url).scheme in ("https", "http") and bool(urlsplit(url).netloc)


def _is_uuid(value: Any) -> bool:
    try:
        return str(uuid.UUID(value)) == value
    except (ValueError, AttributeError, TypeError):
        return False


# ---------------------------------------------------------------- the checks: each yields the places at fault


def body_is_an_object_with_cards(answer: Any) -> Iterator[str]:
    if not isinstance(answer, dict) or not isinstance(answer.get("cards"), list):
        yield "cards"


def nothing_is_null_or_empty(answer: Any) -> Iterator[str]:
    for name, value in answer.items():
        if (name, value) != ("cards", []):
            yield from _empties(value, name)


def only_elements_of_the_standard(answer: Any) -> Iterator[str]:
    yield from _unknown(answer, "", {"cards"})
    card = {
        "uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "overrideReasons",
        "links",
    }  # fmt: skip
    for place, one in _cards(answer):
        yield from _unknown(one, place, card)
        yield from _unknown(one.get("source", {}), f"{place}.source", {"label", "url", "icon", "topic"})
    for place, one in _inside(answer, "suggestions"):
        yield from _unknown(one, place, {"label", "uuid", "isRecommended", "actions"})
    for place, one in _inside(answer, "links"):
        yield from _unknown(one, place, {"label", "url", "type"})
    for place, one in _inside(answer, "overrideReasons"):
        yield from _unknown(one, place, {"code", "system", "display"})
    for place, one in _actions(answer):
        yield from _unknown(one, place, {"type", "description", "resource"})


def _unknown(value: Any, place: str, known: set[str]) -> Iterator[str]:
    yield from (f"{place}.{name}".lstrip(".") for name in value if name not in known)


def card_uuid_is_a_uuid_of_its_own(answer: Any) -> Iterator[str]:
    seen = set()
    for place, item in [*_cards(answer), *_inside(answer, "suggestions")]:
        if not _is_uuid(item.get("uuid")) or item["uuid"] in seen:
            yield f"{place}.uuid"
        seen.add(item.get("uuid"))


def summary_is_one_line_under_140_characters(answer: Any) -> Iterator[str]:
    for place, card in _cards(answer):
        summary = card.get("summary")
        if not _is_text(summary) or len(summary) >= 140 or "\n" in summary:
            yield f"{place}.summary"


def detail_is_markdown_without_html(answer: Any) -> Iterator[str]:
    for place, card in _cards(answer):
        detail = card.get("detail")
        if not _is_text(detail) or re.search(r"<[A-Za-z/!?]", detail):
            yield f"{place}.detail"


def indicator_is_info_warning_or_critical(answer: Any) -> Iterator[str]:
    yield from (
        f"{p}.indicator" for p, c in _cards(answer) if c.get("indicator") not in ("info", "warning", "critical")
    )


def source_has_a_label(answer: Any) -> Iterator[str]:
    for place, card in _cards(answer):
        source = card.get("source")
        if not isinstance(source, dict) or not _is_text(source.get("label")):
            yield f"{place}.source.label"


def source_url_is_absolute(answer: Any) -> Iterator[str]:
    for place, card in _cards(answer):
        if "url" in card["source"] and not _is_absolute(card["source"]["url"]):
            yield f"{place}.source.url"


def selection_behavior_is_a_known_value(answer: Any) -> Iterator[str]:
    for place, card in _cards(answer):
        if card.get("selectionBehavior", "any") not in ("any", "at-most-one"):
            yield f"{place}.selectionBehavior"


def suggestion_has_a_label(answer: Any) -> Iterator[str]:
    yield from (f"{place}.label" for place, one in _inside(answer, "suggestions") if not _is_text(one.get("label")))


def suggestion_proposes_something(answer: Any) -> Iterator[str]:
    yield from (f"{place}.actions" for place, one in _inside(answer, "suggestions") if not one.get("actions"))


def action_selection_behavior_is_not_used(answer: Any) -> Iterator[str]:
    for place, suggestion in _inside(answer, "suggestions"):
        if "actionSelectionBehavior" in suggestion:
            yield f"{place}.actionSelectionBehavior"


def system_actions_are_not_used(answer: Any) -> Iterator[str]:
    if "systemActions" in answer:
        yield "systemActions"


def action_type_is_allowed(answer: Any) -> Iterator[str]:
    for place, action in _actions(answer):
        if action.get("type") not in ("create", "update", "delete"):
            yield f"{place}.type"


def created_resource_is_new_and_valid_fhir(answer: Any) -> Iterator[str]:
    for place, action in _actions(answer):
        if action.get("type") == "create":
            resource = action.get("resource")
            if not isinstance(resource, dict) or "id" in resource:
                yield f"{place}.resource"
            else:
                yield from (f"{place}.resource.{fault}" for fault in fhir.faults(resource))


def created_order_is_a_draft_for_the_patient(answer: Any) -> Iterator[str]:
    for place, action in _actions(answer):
        resource = action.get("resource") or {}
        about = str(resource.get("subject", {}).get("reference", ""))
        if resource.get("status") != "draft" or not re.fullmatch(r"Patient/[A-Za-z0-9.-]{1,64}", about):
            yield f"{place}.resource"


def override_reason_has_code_and_system(answer: Any) -> Iterator[str]:
    for place, reason in _inside(answer, "overrideReasons"):
        if not _is_text(reason.get("code")) or not _is_text(reason.get("system")):
            yield place


def link_has_label_url_and_type(answer: Any) -> Iterator[str]:
    for place, link in _inside(answer, "links"):
        known = link.get("type") in ("absolute", "smart")
        if not known or not _is_text(link.get("label")) or not _is_absolute(link.get("url")):
            yield place


def link_is_not_launched_by_itself(answer: Any) -> Iterator[str]:
    yield from (f"{place}.autolaunchable" for place, link in _inside(answer, "links") if "autolaunchable" in link)


def cds_resp_1(answer: Any) -> Iterator[str]:
    """At most one suggestion is recommended where only one may be chosen."""
    for place, card in _cards(answer):
        if card.get("selectionBehavior") == "at-most-one":
            recommended = [s for s in card.get("suggestions", ()) if s.get("isRecommended") is True]
            if len(recommended) > 1:
                yield f"{place}.suggestions"


def cds_resp_2(answer: Any) -> Iterator[str]:
    """A deletion names the resource by resourceId and does not send it."""
    for place, action in _actions(answer):
        if action.get("type") == "delete" and ("resourceId" not in action or "resource" in action):
            yield place


def cds_resp_3(answer: Any) -> Iterator[str]:
    """appContext belongs to SMART links only."""
    for place, link in _inside(answer, "links"):
        if link.get("type") != "smart" and "appContext" in link:
            yield f"{place}.appContext"


def cds_resp_4(answer: Any) -> Iterator[str]:
    """Each override reason has words that a clinician can read."""
    for place, reason in _inside(answer, "overrideReasons"):
        if not _is_text(reason.get("display")):
            yield f"{place}.display"


def cds_resp_5(answer: Any) -> Iterator[str]:
    """Each action of a suggestion is described."""
    yield from (f"{place}.description" for place, a in _actions(answer) if not _is_text(a.get("description")))


def cds_resp_6(answer: Any) -> Iterator[str]:
    """Suggestions come with a selection behaviour."""
    for place, card in _cards(answer):
        if "suggestions" in card and "selectionBehavior" not in card:
            yield f"{place}.selectionBehavior"


def cds_resp_7(answer: Any) -> Iterator[str]:
    """actionSelectionBehavior, where it is used, has one of its three values."""
    for place, suggestion in _inside(answer, "suggestions"):
        if suggestion.get("actionSelectionBehavior", "all") not in ("all", "any", "at-most-one"):
            yield f"{place}.actionSelectionBehavior"


CHECKS: tuple[Check, ...] = (
    body_is_an_object_with_cards,
    nothing_is_null_or_empty,
    only_elements_of_the_standard,
    card_uuid_is_a_uuid_of_its_own,
    summary_is_one_line_under_140_characters,
    detail_is_markdown_without_html,
    indicator_is_info_warning_or_critical,
    source_has_a_label,
    source_url_is_absolute,
    selection_behavior_is_a_known_value,
    suggestion_has_a_label,
    suggestion_proposes_something,
    action_selection_behavior_is_not_used,
    system_actions_are_not_used,
    action_type_is_allowed,
    created_resource_is_new_and_valid_fhir,
    created_order_is_a_draft_for_the_patient,
    override_reason_has_code_and_system,
    link_has_label_url_and_type,
    link_is_not_launched_by_itself,
    cds_resp_1,
    cds_resp_2,
    cds_resp_3,
    cds_resp_4,
    cds_resp_5,
    cds_resp_6,
    cds_resp_7,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_answer_keeps_the_clause(check: Check) -> None:
    faults = {name: list(check(answer)) for name, answer in answers().items()}
    assert not {name: places for name, places in faults.items() if places}


def test_the_answers_use_what_the_checks_look_at() -> None:
    """A check over answers without suggestions, links or orders would prove nothing."""
    everything = list(answers().values())
    assert any(answer["cards"] == [] for answer in everything)
    for parts in ("suggestions", "links", "overrideReasons"):
        assert any(_inside(answer, parts) for answer in everything)
    assert {c["indicator"] for answer in everything for c in answer["cards"]} == {"info", "warning", "critical"}


# ---------------------------------------------------------------- the checks can fail

GONE = object()
CARD: Path = ("cards", 0)
SUGGESTION: Path = (*CARD, "suggestions", 0)
ACTION: Path = (*SUGGESTION, "actions", 0)
DELETION = {"type": "delete", "description": "Remove the order", "resourceId": "ServiceRequest/1"}
SMART = {"label": "App", "url": "https://app.example.org/launch", "type": "smart", "appContext": "x"}


def changed(answer: Any, path: Path, value: Any) -> Any:
    """A copy of an answer with one field set, or taken away."""
    result = copy.deepcopy(answer)
    parent = result
    for step in path[:-1]:
        parent = parent[step]
    if value is GONE:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return result


# What is spoilt: the check that must see it, the field, its value, and what is set before so that it could matter.
SPOILT: list[tuple[Check, Path, Any, tuple[tuple[Path, Any], ...]]] = [
    (body_is_an_object_with_cards, ("cards",), GONE, ()),
    (body_is_an_object_with_cards, ("cards",), {}, ()),
    (nothing_is_null_or_empty, (*CARD, "links"), [], ()),
    (nothing_is_null_or_empty, (*CARD, "detail"), None, ()),
    (nothing_is_null_or_empty, (*ACTION, "resource", "note", 0, "text"), "", ()),
    (only_elements_of_the_standard, (*CARD, "priority"), "high", ()),
    (only_elements_of_the_standard, (*ACTION, "label"), "x", ()),
    (card_uuid_is_a_uuid_of_its_own, (*CARD, "uuid"), "card-1", ()),
    (card_uuid_is_a_uuid_of_its_own, (*SUGGESTION, "uuid"), GONE, ()),
    (summary_is_one_line_under_140_characters, (*CARD, "summary"), "x" * 140, ()),
    (summary_is_one_line_under_140_characters, (*CARD, "summary"), "One line\nand another", ()),
    (summary_is_one_line_under_140_characters, (*CARD, "summary"), GONE, ()),
    (detail_is_markdown_without_html, (*CARD, "detail"), "<img src=x>", ()),
    (detail_is_markdown_without_html, (*CARD, "detail"), {"text": "no Markdown"}, ()),
    (indicator_is_info_warning_or_critical, (*CARD, "indicator"), "hard-stop", ()),
    (indicator_is_info_warning_or_critical, (*CARD, "indicator"), GONE, ()),
    (source_has_a_label, (*CARD, "source", "label"), GONE, ()),
    (source_has_a_label, (*CARD, "source"), GONE, ()),
    (source_url_is_absolute, (*CARD, "source", "url"), "/guideline", ()),
    (selection_behavior_is_a_known_value, (*CARD, "selectionBehavior"), "all", ()),
    (suggestion_has_a_label, (*SUGGESTION, "label"), GONE, ()),
    (suggestion_proposes_something, (*SUGGESTION, "actions"), GONE, ()),
    (action_selection_behavior_is_not_used, (*SUGGESTION, "actionSelectionBehavior"), "any", ()),
    (system_actions_are_not_used, ("systemActions",), [DELETION], ()),
    (action_type_is_allowed, (*ACTION, "type"), "replace", ()),
    (action_type_is_allowed, (*ACTION, "type"), GONE, ()),
    (created_resource_is_new_and_valid_fhir, (*ACTION, "resource"), GONE, ()),
    (created_resource_is_new_and_valid_fhir, (*ACTION, "resource", "id"), "order-1", ()),
    (created_resource_is_new_and_valid_fhir, (*ACTION, "resource", "subject"), GONE, ()),
    (created_order_is_a_draft_for_the_patient, (*ACTION, "resource", "status"), "active", ()),
    (created_order_is_a_draft_for_the_patient, (*ACTION, "resource", "subject", "reference"), "Group/1", ()),
    (override_reason_has_code_and_system, (*CARD, "overrideReasons", 0, "system"), GONE, ()),
    (override_reason_has_code_and_system, (*CARD, "overrideReasons", 0, "code"), GONE, ()),
    (link_has_label_url_and_type, (*CARD, "links", 0, "url"), "guideline.html", ()),
    (link_has_label_url_and_type, (*CARD, "links", 0, "type"), "relative", ()),
    (link_has_label_url_and_type, (*CARD, "links", 0, "label"), GONE, ()),
    (link_is_not_launched_by_itself, (*CARD, "links", 0, "autolaunchable"), True, ()),
    (
        cds_resp_1,
        (*CARD, "suggestions", 1, "isRecommended"),
        True,
        (((*CARD, "selectionBehavior"), "at-most-one"), ((*SUGGESTION, "isRecommended"), True)),
    ),
    (cds_resp_2, (*ACTION, "resourceId"), GONE, ((ACTION, DELETION),)),
    (cds_resp_2, (*ACTION, "resource"), {"resourceType": "ServiceRequest"}, ((ACTION, DELETION),)),
    (cds_resp_3, (*CARD, "links", 0, "type"), "absolute", (((*CARD, "links", 0), SMART),)),
    (cds_resp_4, (*CARD, "overrideReasons", 0, "display"), GONE, ()),
    (cds_resp_5, (*ACTION, "description"), GONE, ()),
    (cds_resp_6, (*CARD, "selectionBehavior"), GONE, ()),
    (cds_resp_7, (*SUGGESTION, "actionSelectionBehavior"), "one", (((*SUGGESTION, "actionSelectionBehavior"), "all"),)),
]  # fmt: skip


def _named(case: tuple[Check, Path, Any, Any]) -> str:
    check, path, value, _ = case
    how = "gone" if value is GONE else str(value)[:12]
    return f"{check.__name__}: {'.'.join(str(step) for step in path[2:] or path)} {how}"


@pytest.mark.parametrize("case", SPOILT, ids=_named)
def test_a_check_sees_the_field_that_is_spoilt(case: tuple[Check, Path, Any, Any]) -> None:
    check, path, value, before = case
    answer = answers()["requests/hand-weakness"]
    for where, what in before:
        answer = changed(answer, where, what)
    assert list(check(answer)) == []
    assert list(check(changed(answer, path, value)))


def test_every_check_has_a_field_spoilt_for_it() -> None:
    assert {check.__name__ for check in CHECKS} == {case[0].__name__ for case in SPOILT}


# Not refused at run time: HTML in the detail cannot come about, because what a record says is escaped and
# content is checked when it is loaded; the FHIR content of an order is checked by the tests over all records.
NOT_GUARDED = {
    detail_is_markdown_without_html,
    created_resource_is_new_and_valid_fhir,
    created_order_is_a_draft_for_the_patient,
    body_is_an_object_with_cards,
    system_actions_are_not_used,
    card_uuid_is_a_uuid_of_its_own,
    cds_resp_1,
}
GUARDED = [case for case in SPOILT if case[0] not in NOT_GUARDED and not isinstance(case[2], str | bool)]


@pytest.mark.parametrize("case", GUARDED, ids=_named)
def test_a_spoilt_card_never_leaves_the_house(case: tuple[Check, Path, Any, Any]) -> None:
    """The service checks its own cards: what has lost a required field becomes an error, never an answer."""
    answer = answers()["requests/hand-weakness"]
    check_cards(answer["cards"])
    for where, what in case[3]:
        answer = changed(answer, where, what)
    with pytest.raises(ValidationError):
        check_cards(changed(answer, case[1], case[2])["cards"])


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*path, key))


@pytest.mark.parametrize("empty", [None, "", {}, []], ids=repr)
def test_no_place_of_a_card_that_leaves_is_empty(empty: Any) -> None:
    answer = answers()["requests/hand-weakness"]
    for path in list(_places(answer["cards"], ("cards",))):
        with pytest.raises(ValidationError):
            check_cards(changed(answer, path, empty)["cards"])
