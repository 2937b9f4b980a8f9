"""The signed tokens of CDS Hooks 2.0.1 ("Trusting CDS Clients"): read strictly, checked cheaply first.

What a sender may know anyway (algorithm, issuer, address, times) is checked before the signature, so that noise
costs no cryptography and no key is fetched for it. What only a trusted client may learn about (its tenants, which
tokens were used) is looked at after the signature, and only a valid token is remembered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jwt import PyJWS
from jwt.exceptions import PyJWTError

from cds_service.errors import StoreError
from cds_service.web.caller import Caller, Reason, Replays, StoreUnreachableError, UnauthenticatedError
from cds_service.web.clients import Client
from cds_service.web.keys import Key, is_name

MOST_CHARACTERS = 7 * 1024  # gunicorn refuses a header of more than 8190 with 431, before anybody is asked
LEEWAY_SECONDS = 30  # how far the clocks of client and service may lie apart
_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# Keys never come out of the token that they are to prove, and we know no extension that a token may insist on.
_REFUSED_HEADERS = frozenset({"crit", "b64", "jwk", "x5u", "x5c"})
_LATEST = 2**40


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it was sent: nothing in it is true yet."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must fulfil at this site."""

    clients: Mapping[str, Client]
    algorithms: tuple[str, ...]
    public_url: str
    replays: Replays
    longest_life: float  # seconds
    now: Callable[[], float] = time.time

    def caller(self, text: str, path: str) -> Caller:
        """Who sent this token to this path. Raises UnauthenticatedError, or StoreUnreachableError."""
        token = read_token(text)
        check_header(token.header, self.algorithms)
        client = self._client(token)
        check_audience(token.claims, self.public_url + path)
        expires = check_times(token.claims, self.now(), self.longest_life)
        identity = _required_name(token.claims, "jti")
        check_signature(token, client.keys.key(_required_name(token.header, "kid")))
        tenant = check_tenant(token.claims, client.tenants)
        self._remember(client.issuer, identity, expires)
        return Caller(client.issuer, tenant)

    def _client(self, token: Token) -> Client:
        client = self.clients.get(_required_name(token.claims, "iss"))
        if client is None:
            raise UnauthenticatedError(Reason.ISSUER)
        if "jku" in token.header and (not client.jku or token.header["jku"] != client.jku):
            raise UnauthenticatedError(Reason.JKU)
        return client

    def _remember(self, issuer: str, identity: str, expires: int) -> None:
        # Both are printable, so that the separator stands in neither.
        fingerprint = hashlib.sha256(f"{issuer}\0{identity}".encode()).digest()
        try:
            new = self.replays.first_use(fingerprint, expires)
        except StoreError as error:
            raise StoreUnreachableError(str(error)) from None
        except Exception as error:  # whatever keeps the store from answering, nobody is let through
            raise StoreUnreachableError(type(error).__name__) from None
        if not new:
            raise UnauthenticatedError(Reason.REPLAY)


def read_token(text: str) -> Token:
    """The three parts of a token. Raises UnauthenticatedError for anything but two JSON objects and a signature."""
    if len(text) > MOST_CHARACTERS:
        raise UnauthenticatedError(Reason.OVERSIZED)
    if not _PARTS.fullmatch(text):
        raise UnauthenticatedError(Reason.MALFORMED)
    header, claims, _ = text.split(".")
    return Token(text, _json_object(header), _json_object(claims))


def _json_object(part: str) -> Mapping[str, Any]:
    try:
        padded = part + "=" * (-len(part) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        value = json.loads(text, object_pairs_hook=_members_once, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError):
        raise UnauthenticatedError(Reason.MALFORMED) from None
    if not isinstance(value, dict):
        raise UnauthenticatedError(Reason.MALFORMED)
    return value


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Two readers would see two different tokens.
        raise ValueError("a member is written twice")
    return members


def _no_constant(name: str) -> None:
    raise ValueError("no JSON")


def _required_name(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not is_name(value):
        raise UnauthenticatedError(Reason.MALFORMED)
    return value


def check_header(header: Mapping[str, Any], algorithms: tuple[str, ...]) -> None:
    """The kind of token, its algorithm, and nothing that would change how it is read."""
    if header.get("alg") not in algorithms:
        raise UnauthenticatedError(Reason.ALGORITHM)
    if header.get("typ") != "JWT" or not _REFUSED_HEADERS.isdisjoint(header):
        raise UnauthenticatedError(Reason.HEADER)


def check_audience(claims: Mapping[str, Any], called: str) -> None:
    """``aud`` is the endpoint that is called, and only that.

    A second audience could use the token here before its sender does. An address that is called with a slash at its
    end, which we accept, may be named with or without it.
    """
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    if not isinstance(audience, str) or audience not in (called, called.removesuffix("/")):
        raise UnauthenticatedError(Reason.AUDIENCE)


def check_times(claims: Mapping[str, Any], now: float, longest_life: float) -> int:
    """Issued, not expired, and short-lived. Gives the second after which the token is worth nothing to anybody."""
    issued, expires = _moment(claims, "iat"), _moment(claims, "exp")
    begins = _moment(claims, "nbf") if "nbf" in claims else issued
    if expires + LEEWAY_SECONDS <= now:
        raise UnauthenticatedError(Reason.EXPIRED)
    if max(issued, begins) > now + LEEWAY_SECONDS:
        raise UnauthenticatedError(Reason.NOT_YET)
    if not 0 < expires - issued <= longest_life:
        raise UnauthenticatedError(Reason.LIFETIME)
    return math.ceil(expires) + LEEWAY_SECONDS


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise UnauthenticatedError(Reason.MALFORMED)
    return value


def check_signature(token: Token, key: Key) -> None:
    """The signature, with the one key of that kid and an algorithm that fits it."""
    algorithm = token.header["alg"]
    if algorithm not in key.algorithms:
        raise UnauthenticatedError(Reason.ALGORITHM)
    try:
        PyJWS().decode(token.text, key.public, algorithms=[algorithm])
    except (PyJWTError, ValueError, TypeError):
        raise UnauthenticatedError(Reason.SIGNATURE) from None


def check_tenant(claims: Mapping[str, Any], tenants: frozenset[str]) -> str:
    """The tenant the client speaks for.

    A client without listed tenants is one organisation: its tokens name none. One that is named all the same is
    refused, because nobody has allowed it.
    """
    if not tenants and "tenant" not in claims:
        return ""
    tenant = claims.get("tenant")
    if not isinstance(tenant, str) or tenant not in tenants:
        raise UnauthenticatedError(Reason.TENANT)
    return tenant
