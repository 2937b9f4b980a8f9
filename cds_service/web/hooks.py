"""The hook: a patient-view call in, cards out."""

from __future__ import annotations

import logging

from flask import Blueprint, Response

from cds_service.assess import ChartSource, assess
from cds_service.intake.envelope import read_envelope
from cds_service.response.cards import Issuer, Recipient, write_cards
from cds_service.web.answers import json_response
from cds_service.web.bodies import json_body
from cds_service.web.caller import caller
from cds_service.web.set_aside import recall
from cds_service.web.state import state

log = logging.getLogger("cds_service")
hooks = Blueprint("hooks", __name__)


@hooks.post("/cds-services/<service_id>")
def call(service_id: str) -> Response:
    """Answer one call of a service."""
    here = state()
    hook = read_envelope(json_body(service_id))
    source = ChartSource.of_prefetch(hook.prefetch, hook.patient_id, hook.encounter_id)
    tenant = caller().key
    dismissed = recall(here, tenant, hook.patient_id)
    outcome = assess(source, here.knowledge, here.reading, here.settings.today(), here.settings.policy, dismissed)
    issuer = Issuer(here.settings.secret, tenant, intent=here.settings.policy.order_intent)
    recipient = Recipient(hook.patient_id, hook.encounter_id, hook.user_id)
    cards = write_cards(outcome.assessment, recipient, issuer, here.reading.codes)
    log.info(
        "assessed cards=%s gaps=%d other_patients=%d",
        "/".join(card.name for card in outcome.assessment.cards) or "none",
        sum(gap.count for gap in outcome.assessment.gaps),
        outcome.other_patients,
    )
    return json_response({"cards": cards})
