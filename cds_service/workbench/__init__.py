"""The clinician's workbench: pages in the browser that ask the service's endpoints like any client."""

from __future__ import annotations

from flask import Flask

from cds_service.web.state import State
from cds_service.workbench.access import is_on, require_own_name
from cds_service.workbench.pages import history_form, make_ready, workbench

__all__ = ["is_on", "prepare_workbench", "register_workbench"]


def register_workbench(app: Flask, on: bool = True) -> None:
    """Add the history form as a FHIR resource, and the pages where the workbench is on.

    The application must then have been created with ``workbench=True``.
    """
    app.register_blueprint(history_form)
    if on:
        app.jinja_env.trim_blocks = True
        app.jinja_env.lstrip_blocks = True
        app.register_blueprint(workbench)
        here: State = app.extensions["cds"]
        if here.settings.auth == "off":
            app.before_request(require_own_name)


def prepare_workbench(app: Flask) -> None:
    """Make in this process what the first views would wait for."""
    with app.test_request_context("/workbench"):
        make_ready()
