"""Where the store lives: SQLite or PostgreSQL, how it is opened, and how its tables come about."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from cds_service.errors import SettingsError
from cds_service.settings import state_folder

log = logging.getLogger("cds_service")

NEWEST = "0001"  # the revision of the tables in tables.py
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6364732D73746F72  # "cds-stor"; the same number on every node
_PATIENCE_AT_START = 60  # seconds: another node may be migrating

# What psycopg says when it cannot connect. Only these words are passed on: its message may repeat the address.
_KNOWN_REASONS = (
    "password authentication failed",
    "does not exist",
    "Connection refused",
    "timeout expired",
    "could not translate host name",
    "permission denied",
    "unable to open database file",
    "readonly database",
    "file is not a database",
    "disk is full",
    "database is locked",
)


def address(text: str) -> URL:
    """The database of a setting; empty is SQLite in the user's state folder. Raises SettingsError."""
    if not text:
        return URL.create("sqlite", database=str(state_folder() / "feedback.sqlite"))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Not the library's own words: they repeat the address with its password.
        raise SettingsError("CDS_DATABASE_URL is not an address like postgresql://user:password@host/name") from None
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if not url.database or url.database == ":memory:":
        raise SettingsError("CDS_DATABASE_URL must name a file, like sqlite:////var/lib/cds-service/feedback.sqlite")
    # gunicorn changes the folder it works in: a relative path would name two files.
    return url.set(database=str(Path(url.database).absolute()))


def place(url: URL) -> str:
    """The address without user and password, for messages."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite {url.database}"
    host = url.host or url.query.get("host") or "the default host"
    return f"PostgreSQL {url.database or ''} at {host}" + (f":{url.port}" if url.port else "")


def open_engine(url: URL, at_start: bool = False) -> Engine:
    """Connections for one process. Raises SettingsError when the driver is missing."""
    pool: dict[str, Any] = {"poolclass": NullPool} if at_start else {"pool_pre_ping": True, "pool_timeout": 3}
    try:
        engine = create_engine(url, hide_parameters=True, connect_args=_arguments(url, at_start), **pool)
    except ModuleNotFoundError:
        raise SettingsError(
            'CDS_DATABASE_URL needs the PostgreSQL driver: pip install "cds-service[postgresql]"'
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _arguments(url: URL, at_start: bool) -> Mapping[str, Any]:
    if url.get_backend_name() == "sqlite":
        return {"timeout": _PATIENCE_AT_START if at_start else 5}
    limits = "" if at_start else " -c statement_timeout=5000 -c lock_timeout=5000"
    ours = {
        "connect_timeout": "3",
        "tcp_user_timeout": "10000",
        # An answer of 200 promises that it is on disk, whatever the server's default is.
        "options": f"-c synchronous_commit=on{limits}",
    }
    # No prepared statements: they break behind poolers. Of two options that set the same, the last counts: ours.
    options = " ".join((*url.normalized_query.get("options", ()), ours["options"]))
    given = {key: value for key, value in ours.items() if key not in url.query}
    return given | {"options": options, "prepare_threshold": None}


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")  # an erased comment is overwritten, not only unlinked


def overwrite_log(engine: Engine) -> None:
    """SQLite keeps what was written in a log beside the file, erased text too, until it is brought over and cut.

    While another connection reads, that must wait for the next time, not keep writers waiting; PostgreSQL has no
    such file.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        if raw is not None:
            connection.rollback()
            (patience,) = raw.execute("PRAGMA busy_timeout").fetchone()
            raw.execute("PRAGMA busy_timeout=0")
            try:
                busy, *_ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                raw.execute(f"PRAGMA busy_timeout={patience}")
            if busy:
                log.warning("erased text stays in the log of the database until the next time")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later could find the lock taken, and no wait would help.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def migrate(url: URL) -> None:
    """Bring the tables to this version, one process at a time. Raises SettingsError when that is impossible."""
    engine = open_engine(url, at_start=True)
    try:
        if engine.dialect.name == "sqlite":
            _make_file(Path(str(url.database)))
            _switch_to_wal(engine)
        with engine.execution_options(writes=True).begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            _upgrade(connection)
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise SettingsError(f"CDS_DATABASE_URL: {place(url)} cannot be used: {_reason(error)}") from None
    finally:
        engine.dispose()


def has_tables(url: URL) -> bool:
    """Whether this database is one of ours; it is not changed. Raises SettingsError when it cannot be asked."""
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        return False
    engine = open_engine(url, at_start=True)
    try:
        return inspect(engine).has_table("feedback")
    except SQLAlchemyError as error:
        raise SettingsError(f"CDS_DATABASE_URL: {place(url)} cannot be used: {_reason(error)}") from None
    finally:
        engine.dispose()


def _make_file(path: Path) -> None:
    # Comments are free text of users: the file, and what SQLite puts beside it, are the owner's alone.
    path.touch(mode=0o600, exist_ok=True)


def _switch_to_wal(engine: Engine) -> None:
    """Readers then never wait for writers. The file remembers it; the switch itself tolerates no company."""
    until = time.monotonic() + _PATIENCE_AT_START
    while True:
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _upgrade(connection: Connection) -> None:
    present = _revision(connection)
    if present == NEWEST:
        return
    # Only now: nearly every start finds the tables as they should be, and waits for each import.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if present is not None and present not in known:
        raise SettingsError("CDS_DATABASE_URL: the database was made by a newer version of this service; update it")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config, "head")


def _reason(error: Exception) -> str:
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return next((reason for reason in _KNOWN_REASONS if reason in said), type(error).__name__)
