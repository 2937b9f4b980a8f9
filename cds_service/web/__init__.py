"""The HTTP side: discovery, the hook, feedback, errors. It gathers, asks assess and answers."""

from __future__ import annotations

from flask import Flask

from cds_service import fhir
from cds_service.knowledge.load import load
from cds_service.settings import Settings, read_settings, require_known_cards
from cds_service.web.discovery import discovery
from cds_service.web.feedback import feedback
from cds_service.web.hooks import hooks
from cds_service.web.problems import register_problems
from cds_service.web.state import State
from cds_service.web.store import Store


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application. Raises ContentError or SettingsError: then it must not start."""
    settings = settings or read_settings()
    knowledge, reading = load(settings.content)
    require_known_cards(settings, knowledge.cards)
    store = Store(settings)
    store.prepare()
    fhir.preload()
    app = Flask("cds_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body
    app.url_map.strict_slashes = False  # some clients ask for /cds-services/
    app.url_map.merge_slashes = False  # no redirects: every answer of ours is JSON
    app.extensions["cds"] = State(settings, knowledge, reading, store)
    app.register_blueprint(discovery)
    app.register_blueprint(hooks)
    app.register_blueprint(feedback)
    register_problems(app)
    return app
