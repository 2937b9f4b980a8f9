"""The application inside the test's own process, on content that is compiled already: compiling takes a second."""

from __future__ import annotations

from functools import cache
from unittest.mock import patch

from flask import Flask
from flask.testing import FlaskClient

from cds_service.settings import Settings, read_settings
from cds_service.web import create_app
from cds_service.web.caller import Replays
from cds_service.workbench import create_whole_app
from tests.conftest import _COMPILED, TODAY

SECRET = "only-for-these-tests"
LOOPBACK = "127.0.0.1:8000"
compiled = patch("cds_service.web.load", lambda folder: _COMPILED)


def _settings(**given: str) -> Settings:
    return read_settings({"CDS_SECRET": SECRET} | given)


def application(replays: Replays | None = None, **settings: str) -> Flask:
    """The endpoints alone, on the day of the test."""
    with compiled:
        return create_app(_settings(**settings), replays)


def whole_application(bind: str = LOOPBACK, **settings: str) -> Flask:
    """What `serve` puts together, with the workbench, on the day of the fixtures."""
    with compiled:
        return create_whole_app(_settings(**({"CDS_TODAY": TODAY.isoformat()} | settings)), bind)


@cache
def client() -> FlaskClient:
    """The endpoints on the day of the fixtures, for every test that leaves them as they were."""
    return application(CDS_TODAY=TODAY.isoformat()).test_client()
