"""Settings, read once at the top from the environment and handed down."""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_state_path

from cds_service.clinical.assessment import Policy
from cds_service.clinical.chart import QUERIES
from cds_service.errors import SettingsError
from cds_service.network.servers import FhirServer, read_servers

# Asymmetric signatures of CDS Hooks clients; PS is RSA with the safer padding.
STRONG_ALGORITHMS = ("ES384", "RS384", "ES512", "RS512", "PS384", "PS512", "EdDSA")


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


def _days(text: str) -> int:
    if _whole(text) > 36_500:
        raise ValueError("must be at most 36500 days")  # more would reach back before the first year
    return _whole(text)


def _at_least_one(text: str) -> int:
    if not (text.isdecimal() and int(text[:5]) >= 1 and len(text) < 5):
        raise ValueError("must be a whole number from 1 to 9999")
    return int(text)


# Far from both ends of the calendar: an assessment looks years back and ahead.
DAYS = (date(1900, 1, 1), date(2200, 12, 31))


def dated(text: str) -> date:
    """A day on which charts can be assessed. Raises ValueError."""
    day = date.fromisoformat(text)
    if not DAYS[0] <= day <= DAYS[1]:
        raise ValueError("is out of range")
    return day


def _day(text: str) -> date | None:
    try:
        return dated(text) if text else None
    except ValueError:
        raise ValueError("must be a date like 2026-06-15") from None


def _existing(is_one: Callable[[Path], bool], what: str) -> Callable[[str], Path | None]:
    def read(text: str) -> Path | None:
        if text and not is_one(Path(text)):
            raise ValueError(f"must be a {what} that exists")
        return Path(text) if text else None

    return read


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _names(text: str) -> frozenset[str]:
    return frozenset(_listed(text))


def _queries(text: str) -> frozenset[str]:
    unknown = _names(text) - set(QUERIES)
    if unknown:
        # A misspelt key would silently ask for less.
        raise ValueError(f"has keys that are no query: {', '.join(sorted(unknown))}; known: {', '.join(QUERIES)}")
    return _names(text)


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError("must be a number") from None
        if not least <= value <= most:
            raise ValueError(f"must lie between {least:g} and {most:g}")
        return value

    return read


def _base_url(text: str) -> str:
    """An absolute http or https address without credentials, query or fragment, and without a slash at its end."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be an address like https://cds.example.org") from None
    plain = not (parts.query or parts.fragment or parts.username is not None or port == 0)
    # urlsplit drops tabs and line ends without a word, and a blank makes no link.
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain or text.split() != [text]:
        raise ValueError("must be an address like https://cds.example.org, without user, query or fragment")
    return text.rstrip("/")


def _origins(text: str) -> frozenset[str]:
    origins = frozenset(_base_url(part) for part in _listed(text))
    if any(urlsplit(origin).path for origin in origins):
        raise ValueError("must list origins like https://ehr.example.org, without a path")
    return origins


def _algorithms(text: str) -> tuple[str, ...]:
    chosen = tuple(_listed(text))
    weak = [name for name in chosen if name not in STRONG_ALGORITHMS]
    if weak or not chosen:
        raise ValueError(f"must list some of {', '.join(STRONG_ALGORITHMS)}")
    return chosen


def _header(text: str) -> str:
    if not re.fullmatch(r"X-[A-Za-z0-9-]{1,60}", text):
        # Any other header could come from a client for reasons of its own.
        raise ValueError("must be the name of a header that begins with X-")
    return text


def _database(text: str) -> str:
    if text and not text.startswith(("sqlite:///", "postgresql://")):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    return text


def _bind(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise ValueError("must be an address and port like 127.0.0.1:9000")
    return text


def _secret(text: str) -> bytes:
    if text and len(text) < 16:
        raise ValueError("must have at least 16 characters")
    return text.encode()


SETTINGS = (
    Setting(
        "CDS_CONTENT",
        "",
        "folder with the site's own clinical content; default: the content that comes along",
        _existing(Path.is_dir, "folder"),
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
    Setting("CDS_MAX_BODY_MB", "20", "largest request body, in megabytes, also after decompression", _at_least_one),
    Setting("CDS_BODY_DEADLINE_SECONDS", "10", "how long a client may take to send a request", _number(0.1, 25)),
    Setting("CDS_MAX_CALLS", "16", "calls each worker handles at once; more are answered 503", _at_least_one),
    Setting(
        "CDS_MODE", "live", "live, or silent: assesses, counts and logs, and answers no card", _one_of("live", "silent")
    ),
    Setting("CDS_PUBLIC_URL", "", "address under which clients reach this service, for tokens and links", _base_url),
    Setting(
        "CDS_AUTH", "off", "off, jwt, or proxy: mutual TLS ends at a proxy on this host", _one_of("off", "jwt", "proxy")
    ),
    Setting(
        "CDS_JWT_CLIENTS",
        "",
        "file of the clients that may call, with their keys and tenants",
        _existing(Path.is_file, "file"),
    ),
    Setting("CDS_JWT_ALGORITHMS", "ES384,RS384", "signature algorithms accepted, comma-separated", _algorithms),
    Setting("CDS_JWT_SECONDS", "300", "longest life of a client's token, from iat to exp", _number(10, 3600)),
    Setting("CDS_PROXY_HEADER", "X-Client-Verified-Subject", "header in which the proxy names the client", _header),
    Setting("CDS_CORS_ORIGINS", "", "origins whose pages may call, comma-separated; default: none", _origins),
    Setting(
        "CDS_FHIR_SERVERS",
        "",
        "base URLs of FHIR servers that may be asked, comma-separated, each with ' private' behind it if it is in a "
        "private network; default: none",
        read_servers,
    ),
    Setting(
        "CDS_FHIR_DEADLINE_SECONDS", "3", "how long all questions to a FHIR server may take together", _number(0.1, 60)
    ),
    Setting(
        "CDS_DATABASE_URL",
        "",
        "sqlite:///path or postgresql://…; default: SQLite in the user's state folder",
        _database,
    ),
    Setting("CDS_KEEP_FEEDBACK_DAYS", "730", "days after which feedback is erased", _days),
    Setting("CDS_KEEP_COMMENTS_DAYS", "90", "days after which comments of users are erased", _days),
    Setting(
        "CDS_WORKBENCH",
        "auto",
        "pages for clinicians at /workbench. auto: while authentication is off and all is loopback; on: behind a proxy "
        "that names the user (CDS_AUTH=proxy)",
        _one_of("auto", "on", "off"),
    ),
    Setting("CDS_HISTORY_URL", "", "the site's own history form, which TW24 then links to", _base_url),
    Setting("CDS_OPERATIONS_BIND", "", "second address for /health and /metrics, which then leave the first", _bind),
)


# Kubernetes tells every container of a service called "cds" or "cds-service" in these where it is.
_OF_THE_PLATFORM = re.compile(
    r"CDS_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)?)"
)
# The address of a database may hold a password.
_HIDDEN = frozenset({"CDS_SECRET", "CDS_DATABASE_URL"})


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
    body_deadline: float
    max_calls: int
    silent: bool
    public_url: str
    auth: str
    jwt_clients: Path | None
    jwt_algorithms: tuple[str, ...]
    jwt_seconds: float
    proxy_header: str
    cors_origins: frozenset[str]
    fhir_servers: tuple[FhirServer, ...]
    fhir_deadline: float
    database_url: str  # empty: SQLite in the state folder
    keep_feedback_days: int
    keep_comments_days: int
    operations_bind: str
    workbench: str = "auto"  # auto, on, off
    history_url: str = ""

    @property
    def handbook(self) -> str:
        """Where clients reach the handbook; empty while the service does not know its own address."""
        return f"{self.public_url}/handbook" if self.public_url else ""

    def today(self) -> date:
        return self.today_fixed or datetime.now(UTC).astimezone().date()


def shown_settings(environment: Mapping[str, str]) -> Iterator[tuple[Setting, str]]:
    """Every setting with its present value, secrets hidden. Raises SettingsError for a faulty file."""
    values = _with_file(environment)
    for setting in SETTINGS:
        value = values.get(setting.name, "")
        if value and setting.name in _HIDDEN:
            value = "(set)"
        yield setting, value or f"{setting.default or '-'} (default)"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings. Raises SettingsError naming every faulty one."""
    environment = _with_file(os.environ if environment is None else environment)
    values: dict[str, Any] = {}
    faults = [_unknown(name) for name in sorted(environment) if _is_misspelt(name)]
    for setting in SETTINGS:
        try:
            values[setting.name] = setting.read(environment.get(setting.name, setting.default).strip())
        except ValueError as error:
            faults.append(f"{setting.name} {error}")
    faults += _at_odds(values)
    if faults:
        raise SettingsError("; ".join(faults))
    return Settings(
        policy=_policy(values),
        content=values["CDS_CONTENT"],
        secret=values["CDS_SECRET"] or secrets.token_bytes(32),
        secret_is_lasting=bool(values["CDS_SECRET"]),
        prefetch=values["CDS_PREFETCH"],
        today_fixed=values["CDS_TODAY"],
        max_body=values["CDS_MAX_BODY_MB"] * 1024 * 1024,
        body_deadline=values["CDS_BODY_DEADLINE_SECONDS"],
        max_calls=values["CDS_MAX_CALLS"],
        silent=values["CDS_MODE"] == "silent",
        public_url=values["CDS_PUBLIC_URL"],
        auth=values["CDS_AUTH"],
        jwt_clients=values["CDS_JWT_CLIENTS"],
        jwt_algorithms=values["CDS_JWT_ALGORITHMS"],
        jwt_seconds=values["CDS_JWT_SECONDS"],
        proxy_header=values["CDS_PROXY_HEADER"],
        cors_origins=values["CDS_CORS_ORIGINS"],
        fhir_servers=values["CDS_FHIR_SERVERS"],
        fhir_deadline=values["CDS_FHIR_DEADLINE_SECONDS"],
        database_url=values["CDS_DATABASE_URL"],
        keep_feedback_days=values["CDS_KEEP_FEEDBACK_DAYS"],
        keep_comments_days=values["CDS_KEEP_COMMENTS_DAYS"],
        operations_bind=values["CDS_OPERATIONS_BIND"],
        workbench=values["CDS_WORKBENCH"],
        history_url=values["CDS_HISTORY_URL"],
    )


def _policy(values: Mapping[str, Any]) -> Policy:
    return Policy(
        quiet_under_days=values["CDS_QUIET_UNDER_DAYS"],
        emergency_tier=values["CDS_EMERGENCY_TIER"] == "on",
        cards_off=values["CDS_CARDS_OFF"],
        order_intent=values["CDS_ORDER_INTENT"],
    )


def _is_misspelt(name: str) -> bool:
    known = name == "CDS_SETTINGS" or any(name == setting.name for setting in SETTINGS)
    return name.startswith("CDS_") and not known and not _OF_THE_PLATFORM.fullmatch(name)


def _unknown(name: str) -> str:
    near = get_close_matches(name, [setting.name for setting in SETTINGS], 1)
    return f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else "")


def _with_file(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment over the file that CDS_SETTINGS names: TOML with the same names. Raises SettingsError."""
    path = environment.get("CDS_SETTINGS", "")
    if not path:
        return environment
    try:
        written = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise SettingsError("CDS_SETTINGS must name a file that can be read") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"CDS_SETTINGS is no TOML: {error}") from None
    unknown = sorted(set(written) - {setting.name for setting in SETTINGS})
    if unknown:
        raise SettingsError("CDS_SETTINGS: " + "; ".join(map(_unknown, unknown)))
    return {**{name: str(value) for name, value in written.items()}, **environment}


def _at_odds(values: Mapping[str, Any]) -> list[str]:
    """Settings that are each right and wrong together. A faulty setting is not there and is named already."""
    faults = []
    if values.get("CDS_AUTH", "off") != "off" and values.get("CDS_TODAY"):
        faults.append("CDS_TODAY is for trials and cannot be used with CDS_AUTH=jwt or proxy")
    if values.get("CDS_WORKBENCH") == "on" and values.get("CDS_AUTH", "proxy") != "proxy":
        faults.append(
            "CDS_WORKBENCH=on needs CDS_AUTH=proxy and in CDS_PROXY_HEADER the header in which a proxy on this host "
            "names the user it has authenticated (for a trial on one machine leave CDS_WORKBENCH at auto)"
        )
    if values.get("CDS_AUTH") == "jwt":
        # Behind a proxy, the address that clients call cannot be read from the request.
        needed = ("CDS_PUBLIC_URL", "CDS_JWT_CLIENTS")
        faults += [f"{name} is needed with CDS_AUTH=jwt" for name in needed if not values.get(name, "faulty")]
    return faults


def is_local(host: str) -> bool:
    """A literal loopback address. A name is none: who answers to it is decided elsewhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def state_folder() -> Path:
    """Where this service keeps its state: the user's state folder, never the current one."""
    try:
        return Path(user_state_path("cds-service", ensure_exists=True))
    except OSError:
        raise SettingsError("XDG_STATE_HOME must name a folder that can be written, for the service's state") from None


def require_known_cards(settings: Settings, cards: Iterable[str]) -> None:
    """Refuse a misspelt card, which would otherwise stay on. Raises SettingsError."""
    unknown = settings.policy.cards_off - set(cards)
    if unknown:
        raise SettingsError(f"CDS_CARDS_OFF names no card of the content: {', '.join(sorted(unknown))}")
