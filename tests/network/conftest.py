"""Both databases: the same tests run on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from flask import Flask, g, request
from sqlalchemy import create_engine, make_url

from cds_service.web.caller import Caller
from cds_service.web.state import State
from cds_service.web.store import Store
from tests.applications import application
from tests.conftest import FIXTURES, TODAY


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server of this test process, without a database of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for a runtime folder that not every machine has
        import pgserver

    # Its sockets lie beside its files, and a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        # Nobody cuts the power here, and to wait for the disk takes longer than most tests.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The setting for an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/feedback.sqlite"
    return empty_postgresql_database(request.getfixturevalue("postgresql"))


def empty_postgresql_database(server: str) -> str:
    """The setting for an empty database on this server.

    It is the same one each time: making one takes a second, and taking a hundred of them away half a minute.
    """
    url = make_url(server).set(drivername="postgresql+psycopg")
    administrator = create_engine(url, isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        if not connection.exec_driver_sql("SELECT 1 FROM pg_database WHERE datname = 'tests'").first():
            connection.exec_driver_sql("CREATE DATABASE tests")
        connection.exec_driver_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'tests'")
    administrator.dispose()
    emptied = create_engine(url.set(database="tests"), isolation_level="AUTOCOMMIT")
    with emptied.connect() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    emptied.dispose()
    return make_url(server).set(database="tests").render_as_string(hide_password=False)


@dataclass
class Clock:
    """A clock that a test can put forward."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class House:
    """The application on a database of its own, as one tenant or another sees it."""

    app: Flask
    clock: Clock

    @property
    def store(self) -> Store:
        return cast(State, self.app.extensions["cds"]).store

    def post(self, path: str, body: Any, tenant: str = "") -> Any:
        client = self.app.test_client()
        return client.post(path, json=body, headers={"X-Test-Tenant": tenant})

    def cards(self, body: Any, tenant: str = "") -> list[Any]:
        answer = self.post("/cds-services/muscle-twitching", body, tenant)
        assert answer.status_code == 200, answer.get_json()
        return cast(list[Any], answer.get_json()["cards"])

    def tell(self, *feedback: Any, tenant: str = "", **members: Any) -> Any:
        return self.post("/cds-services/muscle-twitching/feedback", {"feedback": list(feedback), **members}, tenant)

    def rows(self) -> list[dict[str, Any]]:
        return list(self.store.entries())


@pytest.fixture
def build() -> Callable[..., House]:
    """The application with these settings, and a tenant in a header."""

    def made(**settings: str) -> House:
        app = application(**({"CDS_TODAY": TODAY.isoformat()} | settings))

        @app.before_request
        def who() -> None:
            tenant = request.headers.get("X-Test-Tenant", "")
            g.caller = Caller("https://ehr.example.org", tenant) if tenant else Caller()

        clock = Clock(datetime.now(UTC))
        cast(State, app.extensions["cds"]).store._clock = clock
        return House(app, clock)

    return made


@pytest.fixture
def house(build: Callable[..., House], database_url: str) -> House:
    return build(CDS_DATABASE_URL=database_url)


@pytest.fixture
def request_body() -> Any:
    return json.loads((FIXTURES / "requests" / "hand-weakness.json").read_bytes())
