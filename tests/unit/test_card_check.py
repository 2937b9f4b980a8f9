"""What must not be sent stops in the check of our own cards."""

from copy import deepcopy
from typing import Any

import pytest
from msgspec import ValidationError

from cds_service.response.schema import check_cards

UUID = "7e9d4b8c-6d1f-8a2b-9c3d-0123456789ab"
CODING = {"code": "1", "system": "http://example.org", "display": "one"}
DRAFT = {
    "resourceType": "ServiceRequest",
    "status": "draft",
    "intent": "order",
    "category": [{"coding": [CODING]}],
    "priority": "routine",
    "code": {"coding": [CODING], "text": "Potassium"},
    "subject": {"reference": "Patient/p"},
    "encounter": {"reference": "Encounter/e"},
    "requester": {"reference": "Practitioner/x"},
    "reasonReference": [{"reference": "Condition/c"}],
    "note": [{"text": "Suggested."}],
}
SUGGESTION = {
    "label": "Bloods",
    "uuid": UUID,
    "isRecommended": True,
    "actions": [{"type": "create", "description": "Potassium", "resource": DRAFT}],
}
CARD = {
    "uuid": UUID,
    "summary": "s" * 139,
    "indicator": "info",
    "detail": "Found",
    "source": {"label": "A guideline", "url": "https://example.org/a"},
    "suggestions": [SUGGESTION],
    "selectionBehavior": "any",
    "overrideReasons": [CODING],
    "links": [{"label": "A guideline", "url": "https://example.org/a", "type": "absolute"}],
}
ACTION = ("suggestions", 0, "actions", 0)

SPOILT = [
    pytest.param(("summary",), "s" * 140, id="a summary of 140 characters"),
    pytest.param(("uuid",), "no uuid", id="no uuid"),
    pytest.param(("indicator",), "success", id="an indicator of no standard"),
    pytest.param(("remark",), "x", id="a field that nobody knows"),
    pytest.param(("source", "url"), "example.org", id="a source that is no address"),
    pytest.param(("source", "url"), "https://example.org/a b", id="an address with a blank"),
    pytest.param(("links", 0, "url"), "javascript:alert(1)", id="a link that is a script"),
    pytest.param(("links", 0, "type"), "smart", id="a link of another type"),
    pytest.param(("selectionBehavior",), "all", id="a behaviour of no standard"),
    pytest.param(("suggestions",), [SUGGESTION] * 4, id="four suggestions"),
    pytest.param(("suggestions", 0, "isRecommended"), False, id="a suggestion that says it is not recommended"),
    pytest.param((*ACTION, "type"), "delete", id="an action that deletes"),
    pytest.param((*ACTION, "resource"), {}, id="an empty draft"),
    pytest.param((*ACTION, "resource", "code"), {}, id="a draft of nothing"),
    pytest.param((*ACTION, "resource", "subject"), None, id="a draft for nobody"),
    pytest.param((*ACTION, "resource", "category", 0, "coding"), [], id="a category without a code"),
    pytest.param((*ACTION, "resource", "note", 0, "text"), "", id="a note without words"),
]


def _with(path: tuple[Any, ...], value: Any) -> list[dict[str, Any]]:
    card = deepcopy(CARD)
    place: Any = card
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return [card]


@pytest.mark.parametrize("path, value", SPOILT)
def test_a_spoilt_card_does_not_pass(path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(ValidationError):
        check_cards(_with(path, value))


@pytest.mark.parametrize("left_out", ["suggestions", "selectionBehavior"])
def test_suggestions_and_their_behaviour_come_together(left_out: str) -> None:
    cards = [{key: value for key, value in CARD.items() if key != left_out}]
    with pytest.raises(ValidationError):
        check_cards(cards)


def test_a_whole_card_passes() -> None:
    check_cards([CARD])


@pytest.mark.parametrize(
    "address", ["http://cds_forms:8080/form", "HTTPS://EHR/form", "https://1.2.3.4/form", "http://[::1]:8000/form"]
)
def test_a_form_of_the_site_may_have_an_address_that_is_not_plain(address: str) -> None:
    check_cards(_with(("links", 0, "url"), address))


def test_four_cards_are_too_many() -> None:
    with pytest.raises(ValidationError):
        check_cards([CARD] * 4)
