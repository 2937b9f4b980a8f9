"""What we send, in marshmallow: no null, no empty value, every card complete.

Nearly all cards are plain: they pass a narrower check by msgspec in a twentieth of the time. What does not is checked
by marshmallow, which decides and says what is wrong.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema
from msgspec import UNSET, Meta, Struct, UnsetType

from cds_service.response.fill import LIMIT

_TEXT = validate.Length(min=1)
_MOST_CARDS = 3


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


# --- plain cards --------------------------------------------------------------------------------

_Text = Annotated[str, Meta(min_length=1)]
_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,6}"
_Address = Annotated[str, Meta(pattern=rf"\Ahttps?://{_HOST}(?:/\S*)?\Z")]


class _Plain(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An element whose names are all known; UNSET stands for one that is left out, so that null is none."""


class _PlainSource(_Plain, frozen=True):
    label: _Text
    url: _Address | UnsetType = UNSET


class _PlainCoding(_Plain, frozen=True):
    code: _Text
    system: _Text
    display: _Text


class _PlainCategory(_Plain, frozen=True):
    coding: Annotated[list[_PlainCoding], Meta(min_length=1)]


class _PlainCode(_Plain, frozen=True):
    text: _Text
    coding: Annotated[list[_PlainCoding], Meta(min_length=1)] | UnsetType = UNSET


class _PlainReference(_Plain, frozen=True):
    reference: _Text


class _PlainNote(_Plain, frozen=True):
    text: _Text


class _PlainRequest(_Plain, frozen=True):
    """A draft as ``orders`` writes it."""

    resourceType: Literal["ServiceRequest"]
    status: Literal["draft"]
    intent: _Text
    priority: _Text
    code: _PlainCode
    subject: _PlainReference
    note: Annotated[list[_PlainNote], Meta(min_length=1)]
    category: Annotated[list[_PlainCategory], Meta(min_length=1)] | UnsetType = UNSET
    encounter: _PlainReference | UnsetType = UNSET
    requester: _PlainReference | UnsetType = UNSET
    reasonReference: Annotated[list[_PlainReference], Meta(min_length=1)] | UnsetType = UNSET


class _PlainAction(_Plain, frozen=True):
    type: Literal["create"]
    description: _Text
    resource: _PlainRequest


class _PlainSuggestion(_Plain, frozen=True):
    label: _Text
    uuid: UUID
    actions: Annotated[list[_PlainAction], Meta(min_length=1)]
    isRecommended: bool = True

    def __post_init__(self) -> None:
        if not self.isRecommended:
            raise ValueError("what is not recommended does not say so")


class _PlainLink(_Plain, frozen=True):
    label: _Text
    url: _Address
    type: Literal["absolute"]


class _PlainCard(_Plain, frozen=True):
    uuid: UUID
    summary: Annotated[str, Meta(min_length=1, max_length=LIMIT - 1)]
    indicator: Literal["info", "warning", "critical"]
    detail: _Text
    source: _PlainSource
    overrideReasons: Annotated[list[_PlainCoding], Meta(min_length=1)]
    suggestions: Annotated[list[_PlainSuggestion], Meta(min_length=1, max_length=3)] | UnsetType = UNSET
    selectionBehavior: Literal["any", "at-most-one"] | UnsetType = UNSET
    links: Annotated[list[_PlainLink], Meta(min_length=1)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.suggestions is UNSET) != (self.selectionBehavior is UNSET):
            raise ValueError("suggestions and selectionBehavior belong together")


def _are_plain(cards: list[dict[str, Any]]) -> bool:
    try:
        msgspec.convert(cards, list[_PlainCard])
    except msgspec.ValidationError:
        return False
    return True


def check_cards(cards: list[dict[str, Any]]) -> None:
    """Raises ValidationError for a card we must not send: that is our bug, answered with 500."""
    if len(cards) > _MOST_CARDS:
        raise ValidationError("more than three cards")
    if _are_plain(cards):
        return
    errors = _CARDS.validate(cards)
    if errors:
        raise ValidationError(errors)
