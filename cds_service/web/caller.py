"""Who calls: what authentication established about a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """The client behind a request. Empty while authentication is off."""

    issuer: str = ""
    tenant: str = ""


ANYBODY = Caller()
