"""Who calls: what authentication established about a request."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g


@dataclass(frozen=True, slots=True)
class Caller:
    """The client behind a request. Empty while authentication is off."""

    issuer: str = ""
    tenant: str = ""

    @property
    def key(self) -> str:
        """Whom cards are issued to; empty for anybody."""
        return f"{self.issuer}\x1f{self.tenant}" if self.issuer or self.tenant else ""


ANYBODY = Caller()


def caller() -> Caller:
    """Who sent this request: what authentication has put into ``g.caller``."""
    found: Caller = g.get("caller", ANYBODY)
    return found
