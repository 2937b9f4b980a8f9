"""Who calls: what authentication established about a request, and the words for why it could not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol, cast

from flask import g


@dataclass(frozen=True, slots=True)
class Caller:
    """The client behind a request. Empty while authentication is off."""

    issuer: str = ""
    tenant: str = ""

    @property
    def key(self) -> str:
        """What keeps the cards of one organisation apart from those of another. Empty for nobody in particular."""
        return f"{self.issuer}\x1f{self.tenant}" if self.issuer else ""


ANYBODY = Caller()


def caller() -> Caller:
    """The caller of the present request. Fails, rather than guesses, when nothing has authenticated it."""
    return cast(Caller, g.caller)


class Reason(Enum):
    """Why a request was not authenticated: a fixed word for the log, never a value out of the request."""

    MISSING = "missing"
    MALFORMED = "malformed"
    OVERSIZED = "oversized"
    HEADER = "header"
    ALGORITHM = "algorithm"
    ISSUER = "issuer"
    JKU = "jku"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET = "not-yet"
    LIFETIME = "lifetime"
    KEY = "key"
    KEYS_UNAVAILABLE = "keys-unavailable"
    SIGNATURE = "signature"
    TENANT = "tenant"
    REPLAY = "replay"
    PEER = "peer"


class UnauthenticatedError(Exception):
    """We do not know who asks; the answer is 401 and the same for every reason."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Replays(Protocol):
    """Where used tokens are remembered: one memory for all workers, and for all nodes of a site."""

    def first_use(self, token: bytes, expires: int) -> bool:
        """Whether this token is new; from now on it is not. It may be forgotten once ``expires`` has passed."""
        ...


class StoreUnreachableError(Exception):
    """It cannot be said whether a token was used before, so it is not let through."""
