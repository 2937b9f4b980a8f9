"""Hearing back: what users did with the cards."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, Response

from cds_service.clinical.knowledge import Knowledge
from cds_service.errors import Fault, RequestError
from cds_service.intake.feedback import Feedback, read_feedback
from cds_service.knowledge.codes import LOCAL_SYSTEM
from cds_service.response.uuids import Issued, OtherTenantError, read
from cds_service.web import metrics
from cds_service.web.answers import json_response
from cds_service.web.body import json_body
from cds_service.web.caller import caller
from cds_service.web.calls import note
from cds_service.web.set_aside import hash_of_tenant
from cds_service.web.state import State, state
from cds_service.web.store import Entry, Memory

feedback = Blueprint("feedback", __name__)

# A reason that is none of ours is not kept as it came: it could be anything, also a name.
UNLISTED = "unlisted"


@feedback.post("/cds-services/<service_id>/feedback")
def hear(service_id: str) -> Response:
    """Keep what is reported; 200 means that all of it is on disk."""
    received = read_feedback(json_body(service_id))
    here, tenant = state(), caller().key
    issued = _attribute(received.entries, here.settings.secret, tenant)
    entries = [
        _entry(heard, of, here, tenant, received.origin) for heard, of in zip(received.entries, issued, strict=True)
    ]
    new = here.store.record(entries)
    here.store.tidy_if_due()
    unverified = sum(not entry.verified for entry in entries)
    for entry in entries:
        metrics.FEEDBACK.labels(entry.card or "unverified", entry.outcome).inc()
    note(feedback=len(entries), new=new, unverified=unverified)
    return json_response({})


@dataclass(frozen=True, slots=True)
class _Attribution:
    """The card that feedback is about, and which of its suggestions were accepted."""

    card: Issued
    suggestions: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"TW{self.card.card:02d}"


def _attribute(sent: Sequence[Feedback], secret: bytes, tenant: str) -> list[_Attribution | None]:
    """To which of our cards each one belongs; None when that cannot be verified.

    Raises RequestError 403 when one belongs to a card of another tenant: then nothing of the batch is kept.
    """
    found: list[_Attribution | None] = []
    faults: list[Fault] = []
    for position, heard in enumerate(sent):
        fields: list[Issued | None] = []
        for path, text in _uuids(heard, f"feedback[{position}]"):
            try:
                fields.append(read(text, secret, tenant))
            except OtherTenantError:
                faults.append(Fault(path, "was issued to another tenant", "send the feedback of your own users"))
        found.append(_of_one_card(fields))
    if faults:
        raise RequestError(403, *faults, code="forbidden")
    return found


def _uuids(heard: Feedback, path: str) -> Iterator[tuple[str, str]]:
    yield f"{path}.card", heard.card
    for position, suggestion in enumerate(heard.suggestions):
        yield f"{path}.acceptedSuggestions[{position}].id", suggestion


def _of_one_card(fields: Sequence[Issued | None]) -> _Attribution | None:
    """The card first, then its suggestions: all of one issue, or nothing is verified."""
    known = [issued for issued in fields if issued is not None]
    if len(known) < len(fields) or not known:
        return None
    card, suggestions = known[0], known[1:]
    if card.suggestion or not all(one.suggestion and _issue(one) == _issue(card) for one in suggestions):
        return None
    return _Attribution(card, tuple(sorted({one.suggestion for one in suggestions})))


def _issue(issued: Issued) -> tuple[int, int, int, int]:
    return issued.card, issued.release, issued.memory, issued.random


def _entry(heard: Feedback, of: _Attribution | None, here: State, tenant: str, origin: str) -> Entry:
    code, system = _reason(heard, here.knowledge)
    return Entry(
        id=_identity(heard, tenant),
        outcome_at=heard.at,
        tenant_hash=hash_of_tenant(here.settings.secret, tenant),
        outcome=heard.outcome,
        verified=of is not None,
        card=of.name if of else None,
        content_release=of.card.release if of else None,
        suggestions=of.suggestions if of else (),
        reason_code=code,
        reason_system=system,
        comment=heard.comment or None,
        origin=origin,
        # A trial at the workbench must not keep a card away from those who treat the patient.
        memory=None if origin == "workbench" else _memory(of, heard, here),
    )


def _memory(of: _Attribution | None, heard: Feedback, here: State) -> Memory | None:
    """What an outcome means for the next call: an override keeps the card away for a time."""
    if of is None or not here.settings.secret_is_lasting:
        return None
    if heard.outcome == "accepted":
        return Memory(of.card.memory, 0)
    # A card that the content no longer has is not shown anyway.
    return Memory(of.card.memory, here.knowledge.days_set_aside(of.name)) if of.name in here.knowledge.cards else None


def _reason(heard: Feedback, knowledge: Knowledge) -> tuple[str | None, str | None]:
    """The code and system of a reason that our cards offer; a client may leave out the system."""
    if not heard.reason_code:
        return None, None
    for reason in knowledge.override_reasons.values():
        system = LOCAL_SYSTEM if reason.system == "local" else reason.system
        if reason.code == heard.reason_code and heard.reason_system in ("", system):
            return reason.code, system
    return UNLISTED, None


def _identity(heard: Feedback, tenant: str) -> str:
    """The same for a retry of the same feedback. It rests on no secret: a retry may come after a restart."""
    comment = hashlib.sha256(heard.comment.encode()).hexdigest()
    parts: Mapping[str, str] = {
        "tenant": tenant,
        "card": str(uuid.UUID(heard.card)),
        "outcome": heard.outcome,
        "suggestions": ",".join(sorted({str(uuid.UUID(one)) for one in heard.suggestions})),
        "reason": f"{heard.reason_system}\x1f{heard.reason_code}",
        "comment": comment,
        "at": heard.at.isoformat(),
    }
    return hashlib.sha256("\x1e".join(parts.values()).encode()).hexdigest()
