"""The feedback request of CDS Hooks, checked with marshmallow; what clients add is ignored."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from cds_service.errors import Fault, RequestError
from cds_service.intake.envelope import Lenient, faults_of

MOST_ENTRIES = 200
MOST_SUGGESTIONS = 63  # as many as a uuid of ours can number
LONGEST_COMMENT = 4000
OUTCOMES = ("accepted", "overridden")
# The workbench's own feedback must not look like that of clinicians. It says so where CDS Hooks leaves room.
ORIGIN = "cds-service.origin"
ORIGINS = ("ehr", "workbench")

# RFC 3339, section 5.6; an offset is needed, or the time could be half a day off.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_YEARS = range(1970, 2200)


def _is_uuid(text: str) -> None:
    try:
        uuid.UUID(text)
    except ValueError:
        raise ValidationError("is not a uuid") from None


def _no_nul(text: str) -> None:
    if "\x00" in text:
        raise ValidationError("has a character that no text has")


class _Moment(fields.Field[datetime]):
    """A point in time in UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        text = value.strip().upper() if isinstance(value, str) else ""
        try:
            if not _MOMENT.fullmatch(text):
                raise ValueError
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError("is not a date and time with an offset") from None
        if moment.year not in _YEARS:
            raise ValidationError("is not a time at which a card could be answered")
        return moment


class _Accepted(Lenient):
    id = fields.String(required=True, validate=[validate.Length(max=64), _is_uuid])


class _Coding(Lenient):
    code = fields.String(load_default="", allow_none=True, validate=[validate.Length(max=1000), _no_nul])
    system = fields.String(load_default="", allow_none=True, validate=[validate.Length(max=1000), _no_nul])


class _OverrideReason(Lenient):
    reason = fields.Nested(_Coding, load_default=None, allow_none=True)
    userComment = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=LONGEST_COMMENT, error="has more than {max} characters"), _no_nul],
    )

    # These look at what was sent: a faulty field elsewhere must not hide them.
    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _says_something(self, values: Any, sent: Any, **_: Any) -> None:
        if isinstance(sent, dict) and sent.get("reason") is None and sent.get("userComment") is None:
            raise ValidationError("has neither reason nor userComment")  # cds-fb-3


class _FeedbackSchema(Lenient):
    card = fields.String(required=True, validate=[validate.Length(max=64), _is_uuid])
    outcome = fields.String(required=True, validate=validate.OneOf(OUTCOMES, error="must be accepted or overridden"))
    acceptedSuggestions = fields.List(
        fields.Nested(_Accepted), load_default=list, allow_none=True, validate=validate.Length(max=MOST_SUGGESTIONS)
    )
    overrideReason = fields.Nested(_OverrideReason, load_default=None, allow_none=True)
    outcomeTimestamp = _Moment(required=True)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _accepted_names_suggestions(self, values: Any, sent: Any, **_: Any) -> None:
        accepted = isinstance(sent, dict) and sent.get("outcome") == "accepted"
        if accepted and sent.get("acceptedSuggestions") in (None, []):
            raise ValidationError("is required when the outcome is accepted", "acceptedSuggestions")  # cds-fb-2


_SCHEMA = _FeedbackSchema(many=True)
_REMEDIES = {
    "card": "send the uuid of the card as it was answered",
    "outcome": "send accepted, or overridden",
    "acceptedSuggestions": "send the uuids of 1 to 63 suggestions of this card",
    "id": "send the uuid of the suggestion as it was answered",
    "overrideReason": "send a reason, a userComment, or leave it out",
    "userComment": f"send at most {LONGEST_COMMENT} characters; nothing is cut here",
    "outcomeTimestamp": "send UTC as in RFC 3339, like 2026-06-15T10:05:31.123Z",
}


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user did with one card."""

    card: str
    outcome: str
    at: datetime
    suggestions: tuple[str, ...] = ()
    reason_code: str = ""
    reason_system: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class FeedbackRequest:
    """One feedback request."""

    entries: tuple[Feedback, ...]
    origin: str = "ehr"


def read_feedback(body: Any) -> FeedbackRequest:
    """Check a feedback request. Raises RequestError 400 with every fault's path and remedy."""
    sent = body.get("feedback") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(sent, list):
        what = "is not a list" if isinstance(body, dict) else "the body is not a JSON object"
        where = "feedback" if isinstance(body, dict) else "$"
        raise RequestError(400, Fault(where, what, 'send {"feedback": [...]} as CDS Hooks describes it'))
    if len(sent) > MOST_ENTRIES:
        what = f"has more than {MOST_ENTRIES} entries"
        raise RequestError(400, Fault("feedback", what, "send several requests"))
    try:
        values = _SCHEMA.load(sent)
    except ValidationError as error:
        raise RequestError(400, *faults_of(error.messages, _REMEDIES, "feedback")) from None
    return FeedbackRequest(tuple(_feedback(one) for one in values), _origin(body))


def _feedback(values: Mapping[str, Any]) -> Feedback:
    override = values["overrideReason"] or {}
    reason = override.get("reason") or {}
    return Feedback(
        card=values["card"],
        outcome=values["outcome"],
        at=values["outcomeTimestamp"],
        suggestions=tuple(one["id"] for one in values["acceptedSuggestions"] or ()),
        reason_code=reason.get("code") or "",
        reason_system=reason.get("system") or "",
        comment=override.get("userComment") or "",
    )


def _origin(body: Mapping[str, Any]) -> str:
    extension = body.get("extension")
    origin = extension.get(ORIGIN) if isinstance(extension, dict) else None
    return origin if origin in ORIGINS else ORIGINS[0]
