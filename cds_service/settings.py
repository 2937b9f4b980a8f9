"""Settings, read once at the top from the environment and handed down."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from cds_service.clinical.assessment import Policy
from cds_service.clinical.chart import QUERIES
from cds_service.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: what it means and what it may be."""

    name: str
    default: str
    meaning: str
    read: Callable[[str], Any]


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return read


def _whole(text: str) -> int:
    if not (text.isdecimal() and len(text) < 7):
        raise ValueError("must be a whole number, 0 or more")
    return int(text)


def _megabytes(text: str) -> int:
    if not (text.isdecimal() and int(text[:5]) >= 1 and len(text) < 5):
        raise ValueError("must be a whole number from 1 to 9999")
    return int(text)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError("must be a date like 2026-06-15") from None


def _folder(text: str) -> Path | None:
    if not text:
        return None
    if not Path(text).is_dir():
        raise ValueError("must be a folder that exists")
    return Path(text)


def _names(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _queries(text: str) -> frozenset[str]:
    unknown = _names(text) - set(QUERIES)
    if unknown:
        # A misspelt key would silently ask for less.
        raise ValueError(f"has keys that are no query: {', '.join(sorted(unknown))}; known: {', '.join(QUERIES)}")
    return _names(text)


def _secret(text: str) -> bytes:
    if text and len(text) < 16:
        raise ValueError("must have at least 16 characters")
    return text.encode()


SETTINGS = (
    Setting(
        "CDS_CONTENT", "", "folder with the site's own clinical content; default: the content that comes along", _folder
    ),
    Setting(
        "CDS_QUIET_UNDER_DAYS", "0", "no card for twitching known to be younger than this (14 restores silence)", _whole
    ),
    Setting(
        "CDS_EMERGENCY_TIER",
        "on",
        "on, or off: then emergency facts stand as plain lines in the lead card",
        _one_of("on", "off"),
    ),
    Setting("CDS_CARDS_OFF", "", "cards this site never wants, comma-separated (TW27,TW25)", _names),
    Setting("CDS_ORDER_INTENT", "order", "intent of suggested ServiceRequests", _one_of("order", "proposal", "plan")),
    Setting("CDS_PREFETCH", "", "prefetch keys to ask for, comma-separated; default: all", _queries),
    Setting("CDS_SECRET", "", "secret behind the uuids of cards; default: a new one at every start", _secret),
    Setting("CDS_TODAY", "", "evaluate as of this date instead of today (for trials)", _day),
    Setting("CDS_MAX_BODY_MB", "20", "largest request body, in megabytes", _megabytes),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process."""

    policy: Policy
    content: Path | None
    secret: bytes
    secret_is_lasting: bool
    prefetch: frozenset[str]
    today_fixed: date | None
    max_body: int

    def today(self) -> date:
        return self.today_fixed or datetime.now(UTC).astimezone().date()


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings. Raises SettingsError naming every faulty one."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    faults = []
    for setting in SETTINGS:
        try:
            values[setting.name] = setting.read(environment.get(setting.name, setting.default).strip())
        except ValueError as error:
            faults.append(f"{setting.name} {error}")
    if faults:
        raise SettingsError("; ".join(faults))
    lasting = bool(values["CDS_SECRET"])
    return Settings(
        policy=Policy(
            quiet_under_days=values["CDS_QUIET_UNDER_DAYS"],
            emergency_tier=values["CDS_EMERGENCY_TIER"] == "on",
            cards_off=values["CDS_CARDS_OFF"],
            order_intent=values["CDS_ORDER_INTENT"],
        ),
        content=values["CDS_CONTENT"],
        secret=values["CDS_SECRET"] or secrets.token_bytes(32),
        secret_is_lasting=lasting,
        prefetch=values["CDS_PREFETCH"],
        today_fixed=values["CDS_TODAY"],
        max_body=values["CDS_MAX_BODY_MB"] * 1024 * 1024,
    )


def require_known_cards(settings: Settings, cards: Iterable[str]) -> None:
    """Refuse a misspelt card, which would otherwise stay on. Raises SettingsError."""
    unknown = settings.policy.cards_off - set(cards)
    if unknown:
        raise SettingsError(f"CDS_CARDS_OFF names no card of the content: {', '.join(sorted(unknown))}")
