"""Cards that the user has set aside: the same advice is not given twice while the facts are the same (N7)."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Container, Mapping

from cds_service.clinical.assessment import Dismissed, nothing_dismissed
from cds_service.errors import StoreError
from cds_service.response.uuids import memory_key
from cds_service.web.journal import fields
from cds_service.web.state import State

log = logging.getLogger("cds_service")


def hash_of_tenant(secret: bytes, tenant: str) -> str:
    """How the store names a tenant: a keyed hash; empty while authentication is off."""
    return hmac.new(secret, b"tenant" + tenant.encode(), hashlib.sha256).hexdigest()[:32] if tenant else ""


def recall(here: State, tenant: str, patient: str) -> Dismissed:
    """Which cards of this call were set aside lately; asked once, and only for the cards that would be shown.

    Without a lasting secret nothing can be recognised after a restart, so nothing is remembered at all.
    When the store fails, no card is withheld: a failure must never look like a decision of the user.
    """
    here.store.tidy_if_due()
    secret = here.settings.secret
    if not here.settings.secret_is_lasting:
        return nothing_dismissed
    tenant_hash = hash_of_tenant(secret, tenant)

    def dismissed(cards: Mapping[str, str]) -> Container[str]:
        keys = {card: memory_key(secret, tenant, patient, card, facts) for card, facts in cards.items()}
        try:
            found = here.store.set_aside(tenant_hash, keys.values())
        except StoreError as error:
            log.warning("cards that were set aside are shown: the store failed", extra=fields(kind=str(error)))
            return ()
        return {card for card, key in keys.items() if key in found}

    return dismissed
