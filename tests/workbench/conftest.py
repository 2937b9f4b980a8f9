"""The application with its workbench, in the test's own process, as it is served on loopback."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.applications import whole_application as application


@pytest.fixture(scope="session")
def client() -> FlaskClient:
    return application().test_client()
