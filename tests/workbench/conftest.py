"""The application with its workbench, in the test's own process, as it is served on loopback."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.settings import read_settings
from cds_service.web import create_app
from cds_service.workbench import is_on, register_workbench
from tests.conftest import _COMPILED, TODAY

LOOPBACK = "127.0.0.1:8000"


def application(bind: str = LOOPBACK, **settings: str) -> Flask:
    """create_app and the workbench as serve puts them together; the content is not compiled once more."""
    read = read_settings({"CDS_TODAY": TODAY.isoformat(), "CDS_SECRET": "only-for-these-tests"} | settings)
    on = is_on(read, bind)
    with patch("cds_service.web.load", lambda folder: _COMPILED):
        app = create_app(read, workbench=on)
    register_workbench(app, on)
    return app


@pytest.fixture(scope="session")
def client() -> FlaskClient:
    return application().test_client()
