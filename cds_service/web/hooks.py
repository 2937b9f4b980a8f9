"""The hook: a patient-view call in, cards out."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response

from cds_service.assess import ChartSource, Outcome, assess
from cds_service.clinical.chart import QUERIES
from cds_service.intake.decode import decode
from cds_service.intake.envelope import HookRequest, read_envelope
from cds_service.intake.glance import passed_over
from cds_service.intake.prefetch import settled, sort
from cds_service.response.cards import Issuer, Recipient, write_cards
from cds_service.web import metrics
from cds_service.web.answers import json_response
from cds_service.web.body import hook_body
from cds_service.web.caller import caller
from cds_service.web.calls import note
from cds_service.web.discovery import wanted_templates
from cds_service.web.fetching import ask_for_the_rest
from cds_service.web.journal import pseudonym
from cds_service.web.set_aside import recall
from cds_service.web.state import State, state
from cds_service.web.trial import day_of, is_trial
from cds_service.web.turns import own_turn, turn_left_to_others, wait_if_many

hooks = Blueprint("hooks", __name__)


@hooks.post("/cds-services/<service_id>")
def call(service_id: str) -> Response:
    """Answer one call of a service."""
    here = state()
    body = hook_body(service_id)
    today = here.settings.today()  # asked once: midnight may pass during a call
    passed = passed_over(body, wanted_templates(today, here.settings.prefetch), here.glance)
    if passed is not None:
        return _nothing_to_say(passed, here, today)
    with own_turn(len(body)):
        return _whole_reading(body, here, today)


def _whole_reading(body: bytes, here: State, today: date) -> Response:
    hook, outcome = assess_call(decode(body), today)
    intent = here.settings.policy.order_intent
    issuer = Issuer(here.settings.secret, caller().key, intent, _history_form(here), here.settings.handbook)
    recipient = Recipient(hook.patient_id, hook.encounter_id, hook.user_id)
    cards = write_cards(outcome.assessment, recipient, issuer, here.reading.codes)
    if not is_trial(hook, here):  # nobody's care: it must not count as advice that was shown
        _count(outcome, silent=here.settings.silent)
    return json_response({"cards": [] if here.settings.silent else cards})


def _history_form(here: State) -> str:
    """The site's own form, else ours where it is served and can be reached by a link. Nothing of the patient in it."""
    ours = f"{here.settings.public_url}/workbench/history" if here.workbench and here.settings.public_url else ""
    return here.settings.history_url or ours


def assess_call(body: Any, today: date) -> tuple[HookRequest, Outcome]:
    """Read one call, gather what it lacks and assess it. Raises RequestError.

    The hook writes cards of it and the workbench the reasoning: both see the same assessment.
    """
    here = state()
    hook = read_envelope(body)
    tenant, today = caller().key, day_of(hook, here, today)
    _note_who(hook, here, today)
    found = sort(hook.prefetch)
    templates = wanted_templates(today, here.settings.prefetch)
    _note_outcomes({})
    ask_for_the_rest(found, hook, templates, here.fhir, tenant, turn_left_to_others, _note_outcomes)
    wait_if_many(found.count)
    source = ChartSource(settled(found), hook.patient_id, hook.encounter_id)
    dismissed = recall(here, tenant, hook.patient_id)
    return hook, assess(source, here.knowledge, here.reading, today, here.settings.policy, dismissed)


def _note_outcomes(outcomes: dict[str, int]) -> None:
    note(fhir=outcomes)


def _note_who(hook: HookRequest, here: State, day: date) -> None:
    note(hook_instance=hook.hook_instance, user=pseudonym(here.settings.secret, hook.user_id), date=day.isoformat())


def _nothing_to_say(hook: HookRequest, here: State, today: date) -> Response:
    """The answer of a whole reading of such a chart, with the same figures and the same line."""
    here.store.tidy_if_due()
    _note_who(hook, here, day_of(hook, here, today))
    note(fhir={})
    if not is_trial(hook, here):
        metrics.ASSESSED.labels("no card").inc()
        note(cards=[], gaps=0, other_patients=0)
    return json_response({"cards": []})


def _count(outcome: Outcome, silent: bool) -> None:
    assessment = outcome.assessment
    metrics.ASSESSED.labels("cards" if assessment.cards else "no card").inc()
    for card in assessment.cards:
        (metrics.SILENT if silent else metrics.SHOWN).labels(card.name, card.indicator).inc()
    for gap in assessment.gaps:
        # A client may call its keys as it likes; a label is one of ours.
        metrics.GAPS.labels(gap.query if gap.query in QUERIES else "other").inc(gap.count)
    note(
        cards=[card.name for card in assessment.cards],
        gaps=sum(gap.count for gap in assessment.gaps),
        other_patients=outcome.other_patients,
    )
