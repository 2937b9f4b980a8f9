"""The hook: a patient-view call in, cards out."""

from __future__ import annotations

from flask import Blueprint, Response

from cds_service.assess import ChartSource, Outcome, assess
from cds_service.clinical.chart import QUERIES
from cds_service.intake.decode import decode
from cds_service.intake.envelope import read_envelope
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

hooks = Blueprint("hooks", __name__)


@hooks.post("/cds-services/<service_id>")
def call(service_id: str) -> Response:
    """Answer one call of a service."""
    here = state()
    body = hook_body(service_id)
    today = here.settings.today()
    note(date=today.isoformat())
    templates = wanted_templates(today, here.settings.prefetch)
    passed = passed_over(body, templates, here.reading)
    hook = passed or read_envelope(decode(body))
    tenant = caller().key
    note(hook_instance=hook.hook_instance, user=pseudonym(here.settings.secret, hook.user_id))
    if passed:
        return _nothing_to_say(here)
    found = sort(hook.prefetch)
    note(fhir=ask_for_the_rest(found, hook, templates, here.fhir, tenant))
    source = ChartSource(settled(found), hook.patient_id, hook.encounter_id)
    dismissed = recall(here, tenant, hook.patient_id)
    outcome = assess(source, here.knowledge, here.reading, today, here.settings.policy, dismissed)
    issuer = Issuer(here.settings.secret, tenant, intent=here.settings.policy.order_intent)
    recipient = Recipient(hook.patient_id, hook.encounter_id, hook.user_id)
    cards = write_cards(outcome.assessment, recipient, issuer, here.reading.codes)
    _count(outcome, silent=here.settings.silent)
    return json_response({"cards": [] if here.settings.silent else cards})


def _nothing_to_say(here: State) -> Response:
    """The answer of a whole reading of such a chart, with the same figures and the same line."""
    here.store.tidy_if_due()
    metrics.ASSESSED.labels("no card").inc()
    note(fhir={}, cards=[], gaps=0, other_patients=0)
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
