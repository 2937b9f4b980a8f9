"""An assessment as CDS Hooks 2.0.1 cards."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cds_service.clinical.assessment import Assessment, CardPlan
from cds_service.clinical.findings import Case
from cds_service.clinical.ranking import QUESTIONS
from cds_service.knowledge.codes import LOCAL_SYSTEM, Codes
from cds_service.response import uuids
from cds_service.response.detail import cited, detail, reasons_for
from cds_service.response.fill import summary
from cds_service.response.orders import Recipient as Recipient
from cds_service.response.orders import service_request
from cds_service.response.schema import check_cards


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues the cards: the site's secret and tenant, and the intent of its orders."""

    secret: bytes
    tenant: str = ""
    intent: str = "order"
    history_form: str = ""  # where the structured history can be filled in
    handbook: str = ""  # where the rules are explained; empty: cards name them without a link
    fixed_random: int | None = None  # tests and comparisons want the same uuids every time


def write_cards(assessment: Assessment, recipient: Recipient, issuer: Issuer, codes: Codes) -> list[dict[str, Any]]:
    """The cards, checked against our own schema before they leave."""
    cards = [
        _card(card, assessment, recipient, issuer, codes, lead=position == 0)
        for position, card in enumerate(assessment.cards)
    ]
    check_cards(cards)
    return cards


def _card(
    card: CardPlan, assessment: Assessment, recipient: Recipient, issuer: Issuer, codes: Codes, lead: bool
) -> dict[str, Any]:
    case, definition = assessment.case, card.cards[0]
    references = case.knowledge.references
    reasons = reasons_for(card, case)
    shown = cited(reasons)
    source = references[next((one for one in definition.sources if one in shown), definition.sources[0])]
    number = _numbering(card, case, recipient, issuer)
    result: dict[str, Any] = {
        "uuid": number(0),
        "summary": summary(card, case),
        "indicator": card.indicator,
        "detail": detail(card, assessment, reasons, lead, issuer.handbook),
        "source": {"label": source.title, "url": source.url} if source.url else {"label": source.title},
    }
    suggestions = list(_suggestions(card, case, recipient, issuer, codes, number))
    if suggestions:
        result["suggestions"] = suggestions
        result["selectionBehavior"] = "any"
    result["overrideReasons"] = list(_override_reasons(card, case))
    links = [
        {"label": references[s].title, "url": references[s].url, "type": "absolute"} for s in shown if references[s].url
    ]
    if issuer.history_form and any(one.id == QUESTIONS for one in card.cards):
        links.insert(0, {"label": "Structured history form", "url": issuer.history_form, "type": "absolute"})
    if links:
        result["links"] = links
    return result


def _numbering(card: CardPlan, case: Case, recipient: Recipient, issuer: Issuer) -> Callable[[int], str]:
    memory = uuids.memory_key(issuer.secret, issuer.tenant, recipient.patient, card.name, card.facts)
    random = secrets.randbits(24) if issuer.fixed_random is None else issuer.fixed_random
    release = uuids.release_of(case.knowledge.version)

    def number(suggestion: int) -> str:
        issued = uuids.Issued(card.cards[0].number, release, suggestion, memory, random)
        return uuids.write(issued, issuer.secret, issuer.tenant)

    return number


def _suggestions(
    card: CardPlan, case: Case, recipient: Recipient, issuer: Issuer, codes: Codes, number: Callable[[int], str]
) -> Iterator[dict[str, Any]]:
    for position, suggestion in enumerate(card.plan.suggestions, start=1):
        actions = [
            {
                "type": "create",
                "description": f"{item.text} ({order.priority})",
                "resource": service_request(item, order, card.name, case, codes, recipient, issuer.intent),
            }
            for order in suggestion.orders
            for item in order.items
        ]
        result: dict[str, Any] = {"label": suggestion.label, "uuid": number(position)}
        if suggestion.recommended:
            result["isRecommended"] = True
        result["actions"] = actions
        yield result


def _override_reasons(card: CardPlan, case: Case) -> Iterator[dict[str, str]]:
    for name in dict.fromkeys(r for definition in card.cards for r in definition.overrides):
        reason = case.knowledge.override_reasons[name]
        system = LOCAL_SYSTEM if reason.system == "local" else reason.system
        yield {"code": reason.code, "system": system, "display": reason.display}
