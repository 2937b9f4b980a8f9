"""The HTTP side: discovery, the hook, feedback, errors. It gathers, asks assess and answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Any

from flask import Flask

from cds_service import fhir
from cds_service.intake.glance import Glance
from cds_service.knowledge.load import load
from cds_service.settings import Settings, read_settings, require_known_cards
from cds_service.web.auth import authenticator_for, register_authentication
from cds_service.web.book import book
from cds_service.web.caller import Replays
from cds_service.web.calls import register_calls
from cds_service.web.cors import register_headers
from cds_service.web.discovery import discovery
from cds_service.web.feedback import feedback
from cds_service.web.fetching import fhir_access
from cds_service.web.health import health
from cds_service.web.hooks import hooks
from cds_service.web.kept import Shelf
from cds_service.web.problems import register_problems
from cds_service.web.reference import reference
from cds_service.web.state import State
from cds_service.web.store import Store


class _Application(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Flask looks anew at each call whether each of our functions is a coroutine; none is."""
        return func


def create_app(settings: Settings | None = None, replays: Replays | None = None, workbench: bool = False) -> Flask:
    """The endpoints. ``workbench``: its trial calls are honoured, its pages are registered by the caller.

    Raises ContentError or SettingsError: then it must not start.
    """
    # httpx logs each address it asks; those of key servers and FHIR servers do not belong in our log.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = settings or read_settings()
    knowledge, reading = load(settings.content)
    require_known_cards(settings, knowledge.cards)
    store = Store(settings)
    store.prepare()
    authenticator = authenticator_for(settings, replays or store)
    fhir.preload()
    app = _Application("cds_service", static_folder=None)
    # One more than is accepted: a body in chunks is cut there without a word, and must be seen to be too long.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1
    app.url_map.strict_slashes = False  # some clients ask for /cds-services/
    app.url_map.merge_slashes = False  # no redirects: every answer of ours is JSON
    slots = BoundedSemaphore(settings.max_calls)
    app.extensions["shelf"] = Shelf()
    app.extensions["cds"] = State(
        settings, knowledge, reading, Glance(reading), slots, fhir_access(settings), store, workbench
    )
    register_headers(app, settings.cors_origins)
    register_calls(app)
    register_authentication(app, authenticator)
    app.register_blueprint(discovery)
    app.register_blueprint(hooks)
    app.register_blueprint(feedback)
    app.register_blueprint(health)
    app.register_blueprint(reference)
    app.register_blueprint(book)
    register_problems(app)
    return app
