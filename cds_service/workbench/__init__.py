"""The clinician's workbench: pages in the browser that ask the service's endpoints like any client."""

from __future__ import annotations

from flask import Flask

from cds_service.settings import Settings
from cds_service.web import create_app
from cds_service.workbench.access import is_on, require_own_name
from cds_service.workbench.pages import history_form, make_ready, workbench

__all__ = ["create_whole_app", "is_on", "prepare_workbench"]


def create_whole_app(settings: Settings, bind: str = "") -> Flask:
    """The endpoints, the history form as a FHIR resource, and the pages where the workbench is on at this address.

    Raises ContentError or SettingsError: then it must not start.
    """
    on = is_on(settings, bind)
    app = create_app(settings, workbench=on)
    app.register_blueprint(history_form)
    if on:
        app.jinja_env.trim_blocks = True
        app.jinja_env.lstrip_blocks = True
        app.register_blueprint(workbench)
        if settings.auth == "off":
            app.before_request(require_own_name)
    return app


def prepare_workbench(app: Flask) -> None:
    """Make in this process what the first views would wait for."""
    with app.test_request_context("/workbench"):
        make_ready()
