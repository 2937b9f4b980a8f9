"""What we send, in marshmallow: no null, no empty value, every card complete."""

from __future__ import annotations

from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from cds_service.response.fill import LIMIT

_TEXT = validate.Length(min=1)


def _without_gaps(value: Any, path: str = "resource") -> None:
    if value is None or value in ("", {}, []):
        raise ValidationError(f"{path} is empty")
    if isinstance(value, dict):
        for key, inner in value.items():
            _without_gaps(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            _without_gaps(inner, f"{path}[{position}]")


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _Source(_Strict):
    label = fields.String(required=True, validate=_TEXT)
    url = fields.Url()


class _Coding(_Strict):
    code = fields.String(required=True, validate=_TEXT)
    system = fields.String(required=True, validate=_TEXT)
    display = fields.String(required=True, validate=_TEXT)


class _Action(_Strict):
    type = fields.String(required=True, validate=validate.Equal("create"))
    description = fields.String(required=True, validate=_TEXT)
    resource = fields.Dict(required=True, validate=_without_gaps)


class _Suggestion(_Strict):
    label = fields.String(required=True, validate=_TEXT)
    uuid = fields.UUID(required=True)
    isRecommended = fields.Boolean(validate=validate.Equal(True))
    actions = fields.Nested(_Action, many=True, required=True, validate=validate.Length(min=1))


class _Link(_Strict):
    label = fields.String(required=True, validate=_TEXT)
    url = fields.Url(required=True, require_tld=False)  # a form of the site may have a short name
    type = fields.String(required=True, validate=validate.Equal("absolute"))


class Card(_Strict):
    """A card as CDS Hooks 2.0.1 and our own promises have it."""

    uuid = fields.UUID(required=True)
    summary = fields.String(required=True, validate=validate.Length(min=1, max=LIMIT - 1))
    indicator = fields.String(required=True, validate=validate.OneOf(("info", "warning", "critical")))
    detail = fields.String(required=True, validate=_TEXT)
    source = fields.Nested(_Source, required=True)
    suggestions = fields.Nested(_Suggestion, many=True, validate=validate.Length(min=1, max=3))
    selectionBehavior = fields.String(validate=validate.OneOf(("any", "at-most-one")))
    overrideReasons = fields.Nested(_Coding, many=True, required=True, validate=validate.Length(min=1))
    links = fields.Nested(_Link, many=True, validate=validate.Length(min=1))

    @validates_schema
    def _suggestions_come_with_a_behaviour(self, values: dict[str, Any], **_: Any) -> None:
        if ("suggestions" in values) != ("selectionBehavior" in values):
            raise ValidationError("suggestions and selectionBehavior belong together")


_CARDS = Card(many=True)


def check_cards(cards: list[dict[str, Any]]) -> None:
    """Raises ValidationError for a card we must not send: that is our bug, answered with 500."""
    if len(cards) > 3:
        raise ValidationError("more than three cards")
    errors = _CARDS.validate(cards)
    if errors:
        raise ValidationError(errors)
