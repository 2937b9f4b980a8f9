"""Knowing who asks: not at all, by signed tokens, or by the client certificate that a proxy has checked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from flask import Flask, Request, Response, g, request

from cds_service import fhir
from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.web import metrics
from cds_service.web.answers import json_response
from cds_service.web.caller import ANYBODY, Caller, Reason, Replays, StoreUnreachableError, UnauthenticatedError
from cds_service.web.calls import note
from cds_service.web.journal import fields, pseudonym
from cds_service.web.state import state

log = logging.getLogger("cds_service")

RETRY_AFTER_SECONDS = 5
LONGEST_SUBJECT = 1024
# What tells of no patient, and is read by people and programs that have no token: figures, content, how to call us.
_OPEN = ("health", "book", "reference", "history_form")

Authenticator = Callable[[Request], Caller]
"""Who sent a request. Raises UnauthenticatedError when that is not known."""


def authenticator_for(settings: Settings, replays: Replays) -> Authenticator:
    """What CDS_AUTH asks for. Raises SettingsError when it cannot be done."""
    if settings.auth == "jwt":
        return _by_token(settings, replays)
    if settings.auth == "proxy":
        return _by_proxy(settings.proxy_header)
    log.warning("authentication is off: anybody who reaches this service can call it (CDS_AUTH)")
    return lambda _: ANYBODY


def _by_token(settings: Settings, replays: Replays) -> Authenticator:
    if settings.jwt_clients is None or not settings.public_url:
        raise SettingsError("CDS_AUTH=jwt needs CDS_JWT_CLIENTS and CDS_PUBLIC_URL")
    from cds_service.web.clients import read_clients  # cryptography and httpx: a start without tokens needs neither
    from cds_service.web.tokens import TokenRules

    clients = read_clients(settings.jwt_clients)
    rules = TokenRules(clients, settings.jwt_algorithms, settings.public_url, replays, settings.jwt_seconds)

    def authenticate(asked: Request) -> Caller:
        return rules.caller(_bearer(asked), asked.path)

    return authenticate


def _bearer(asked: Request) -> str:
    # Two Authorization headers arrive as one with a comma in it, which no token holds.
    scheme, _, token = asked.headers.get("Authorization", "").strip().partition(" ")
    if not scheme:
        raise UnauthenticatedError(Reason.MISSING)
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError(Reason.MALFORMED)
    return token.strip(" ")


def _by_proxy(header: str) -> Authenticator:
    def authenticate(asked: Request) -> Caller:
        if not _is_this_host(asked.remote_addr):
            # serve refuses such a bind; under another server this is the only check.
            raise UnauthenticatedError(Reason.PEER)
        subject = asked.headers.get(header, "").strip()
        if not subject:
            raise UnauthenticatedError(Reason.MISSING)
        if len(subject) > LONGEST_SUBJECT or not subject.isprintable():
            raise UnauthenticatedError(Reason.MALFORMED)
        return Caller(subject)

    return authenticate


def _is_this_host(address: str | None) -> bool:
    """Whether the proxy sits on this host. A unix socket has no address."""
    if address is None:
        return False
    try:
        peer = ip_address(address) if address else None
    except ValueError:
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return peer is None or peer.is_loopback


def register_authentication(app: Flask, authenticator: Authenticator) -> None:
    """Ask who calls before anything else is done for the request: also before an address is said to exist."""

    def know_the_caller() -> None:
        # Browsers ask with OPTIONS first and send no token with it; who follows the link of a card has none either.
        open_to_all = request.method == "OPTIONS" or request.blueprint in _OPEN
        g.caller = ANYBODY if open_to_all else authenticator(request)
        if not open_to_all:
            note(tenant=pseudonym(state().settings.secret, g.caller.key))
        metrics.AUTH.labels("known" if g.caller != ANYBODY else "open").inc()

    app.before_request(know_the_caller)
    app.register_error_handler(UnauthenticatedError, _unauthenticated)
    app.register_error_handler(StoreUnreachableError, _store_unreachable)


def _unauthenticated(error: UnauthenticatedError) -> Response:
    """The same answer for every reason: what exactly was wrong would teach an attacker."""
    note(auth=error.reason.value)
    metrics.AUTH.labels(error.reason.value).inc()
    response = _outcome(401, "login", "who asks is not known: this service needs authentication")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _store_unreachable(error: StoreUnreachableError) -> Response:
    note(auth="store")
    metrics.AUTH.labels("store").inc()
    log.error("the store of used tokens failed", extra=fields(kind=str(error)))
    response = _outcome(503, "transient", "the service cannot check requests at the moment – try again later")
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _outcome(status: int, code: str, words: str) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": words, "expression": ["$"]}
    return json_response(fhir.operation_outcome([issue]), status)
