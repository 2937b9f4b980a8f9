"""The store by itself, on both databases."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cds_service.errors import SettingsError, StoreError
from cds_service.settings import read_settings
from cds_service.web import database
from cds_service.web.store import Entry, Memory, Store
from cds_service.web.tables import metadata
from tests.network.conftest import Clock

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


def opened(url: str, **settings: str) -> Store:
    store = Store(read_settings({"CDS_DATABASE_URL": url} | settings), Clock(NOON))
    store.prepare()
    return store


def entry(name: str = "one", at: datetime = NOON, outcome: str = "overridden", **fields: object) -> Entry:
    return Entry(name, at, "tenant", outcome, True, "TW06", **fields)  # type: ignore[arg-type]


@pytest.fixture
def store(database_url: str) -> Store:
    return opened(database_url)


def test_the_migrated_tables_are_the_ones_the_code_knows(store: Store) -> None:
    found = inspect(store._engine())
    assert set(found.get_table_names()) == {*metadata.tables, "alembic_version"}
    for name, table in metadata.tables.items():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(name)}
        assert columns == {column.name: column.nullable for column in table.columns}


def test_a_start_knows_the_newest_migration_without_reading_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == database.NEWEST


def test_what_is_recorded_is_there_for_the_next_process(store: Store, database_url: str) -> None:
    assert store.record([entry(comment="a comment", suggestions=(1, 3))]) == 1
    (row,) = opened(database_url).entries()
    assert (row["card"], row["suggestions"], row["comment"]) == ("TW06", [1, 3], "a comment")
    assert (row["received_at"], row["outcome_at"]) == (NOON, NOON)


def test_a_retry_doubles_nothing(store: Store) -> None:
    assert store.record([entry("one"), entry("two"), entry("one")]) == 2
    assert store.record([entry("two"), entry("three")]) == 1
    assert [row["id"] for row in store.entries()] == ["one", "three", "two"]


def test_a_token_is_new_once_on_all_nodes(database_url: str) -> None:
    nodes = [opened(database_url), opened(database_url)]
    new: list[bool] = []
    asked = [threading.Thread(target=lambda n=n: new.append(n.first_use(b"token", 2**33))) for n in nodes * 8]
    for one in asked:
        one.start()
    for one in asked:
        one.join()
    assert sorted(new) == [False] * 15 + [True]
    assert nodes[0].first_use(b"another", 2**33)


def test_expired_tokens_are_forgotten_and_others_are_not(store: Store) -> None:
    second = int(NOON.timestamp())
    assert store.first_use(b"old", second - 7200) and store.first_use(b"young", second + 60)
    store.tidy()
    assert store.first_use(b"old", second - 7200)
    assert not store.first_use(b"young", second + 60)


# ---------------------------------------------------------------- cards that were set aside


def override(name: str, days: int = 180, at: datetime = NOON) -> Entry:
    return entry(name, at, memory=Memory(7, days))


def accept(name: str, at: datetime = NOON) -> Entry:
    return entry(name, at, "accepted", memory=Memory(7, 0))


def test_an_override_is_remembered_until_it_expires(store: Store) -> None:
    store.record([override("one", days=3)])
    assert store.set_aside("tenant", [7])
    assert store.set_aside("tenant", [6, 7, 8]) == {7}
    assert not store.set_aside("tenant", [8]) and not store.set_aside("another", [7])
    store._clock.forward(days=2, hours=23)  # type: ignore[attr-defined]
    assert store.set_aside("tenant", [7])
    store._clock.forward(hours=2)  # type: ignore[attr-defined]
    assert not store.set_aside("tenant", [7])


LATER = NOON + timedelta(seconds=-10)
EARLIER = NOON + timedelta(seconds=-20)


@pytest.mark.parametrize("batches", [1, 2], ids=["one batch", "two requests"])
@pytest.mark.parametrize("swapped", [False, True], ids=["in order", "out of order"])
def test_the_latest_outcome_decides(store: Store, batches: int, swapped: bool) -> None:
    for first, last, aside in (
        (override("a", at=EARLIER), accept("b", LATER), False),
        (accept("c", EARLIER), override("d", at=LATER), True),
    ):
        sent = [last, first] if swapped else [first, last]
        for part in [sent] if batches == 1 else [[one] for one in sent]:
            store.record(part)
        assert bool(store.set_aside("tenant", [7])) is aside


def test_a_retry_of_an_old_override_does_not_take_back_an_acceptance(store: Store) -> None:
    store.record([override("one", at=EARLIER)])
    store.record([accept("two", LATER)])
    store.record([override("one", at=EARLIER)])
    assert not store.set_aside("tenant", [7])


def test_a_later_override_prolongs_and_a_clock_that_runs_ahead_does_not(store: Store) -> None:
    store.record([override("one", days=3, at=NOON + timedelta(days=400))])
    store._clock.forward(days=2)  # type: ignore[attr-defined]
    store.record([override("two", days=3, at=NOON + timedelta(days=2))])
    store._clock.forward(days=2)  # type: ignore[attr-defined]
    assert store.set_aside("tenant", [7])
    store._clock.forward(days=2)  # type: ignore[attr-defined]
    assert not store.set_aside("tenant", [7])


def test_a_retry_does_not_prolong(store: Store) -> None:
    ahead = override("one", days=3, at=NOON + timedelta(days=400))  # by the client's clock
    for days in (0, 2, 2):
        store._clock.forward(days=days)  # type: ignore[attr-defined]
        store.record([ahead])
    assert not store.set_aside("tenant", [7])


@pytest.mark.parametrize("tidied", [False, True])
def test_an_override_that_arrives_late_does_not_hide_what_was_accepted_after_it(store: Store, tidied: bool) -> None:
    store.record([accept("one", NOON)])
    store._clock.forward(days=2)  # type: ignore[attr-defined]
    if tidied:
        store.tidy()
    store.record([override("two", at=NOON - timedelta(minutes=5))])
    assert not store.set_aside("tenant", [7])


def test_an_acceptance_is_forgotten_when_no_override_can_come_before_it_any_more(store: Store) -> None:
    store.record([accept("one", NOON)])
    store._clock.forward(days=401)  # type: ignore[attr-defined]
    store.tidy()
    with store._engine().connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM dismissals")).scalar() == 0


def test_late_feedback_keeps_a_card_away_from_the_day_of_the_override(store: Store) -> None:
    store.record([override("one", days=30, at=NOON - timedelta(days=31))])
    assert not store.set_aside("tenant", [7])


# ---------------------------------------------------------------- retention


def test_old_comments_and_old_feedback_are_erased(database_url: str) -> None:
    store = opened(database_url, CDS_KEEP_COMMENTS_DAYS="10", CDS_KEEP_FEEDBACK_DAYS="20")
    store.record([entry(comment="a comment")])
    for days, comments in ((9, ["a comment"]), (2, [None]), (8, [None]), (2, [])):
        store._clock.forward(days=days)  # type: ignore[attr-defined]
        store.tidy()
        assert [row["comment"] for row in store.entries()] == comments


def test_without_days_no_comment_is_kept_at_all(database_url: str) -> None:
    store = opened(database_url, CDS_KEEP_COMMENTS_DAYS="0")
    store.record([entry(comment="a comment")])
    assert [row["comment"] for row in store.entries()] == [None]


def test_an_erased_comment_is_gone_from_the_files(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/feedback.sqlite", CDS_KEEP_COMMENTS_DAYS="1")
    store.record([entry(comment="MARKER-of-a-comment" * 20)])
    store._clock.forward(days=2)  # type: ignore[attr-defined]
    store.tidy()
    files = list(tmp_path.iterdir())  # of a store in use: SQLite brings its log over by itself when it is closed
    assert len(files) > 1
    assert b"MARKER-of-a-comment" not in b"".join(file.read_bytes() for file in files)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk is full"), PoolTimeout("used up")])
def test_what_keeps_the_log_from_being_overwritten_refuses_no_call(
    store: Store, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(database, "overwrite_log", fail)
    with pytest.raises(StoreError):
        store.tidy()
    store._tidied_at = -1e9
    assert store.first_use(b"token", 9_999_999_999)
    assert "not erased" in caplog.text


def test_nobody_waits_while_a_reader_keeps_the_log_from_being_overwritten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(f"sqlite:///{tmp_path}/feedback.sqlite")
    reader = sqlite3.connect(tmp_path / "feedback.sqlite", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM feedback").fetchall()
    store.record([entry()])
    began = time.monotonic()
    store.tidy()
    assert time.monotonic() - began < 2.5 and "stays in the log" in caplog.text
    reader.close()
    with store._reading() as connection:  # the connection that is used again is as patient as before
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000


# ---------------------------------------------------------------- start


def test_nodes_that_start_together_migrate_once(database_url: str) -> None:
    forked = multiprocessing.get_context("fork")  # a process each, at the same moment, without importing all again
    together = forked.Barrier(4)

    def start() -> None:
        together.wait(60)
        opened(database_url)

    nodes = [forked.Process(target=start) for _ in range(4)]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join(60)
    assert [node.exitcode for node in nodes] == [0] * 4
    assert opened(database_url).record([entry()]) == 1


def test_a_database_of_a_newer_version_is_refused(store: Store, database_url: str) -> None:
    with store._engine().execution_options(writes=True).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="newer version"):
        opened(database_url)


SECRET_WORD = "sesame-open"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"postgresql://cds:{SECRET_WORD}@127.0.0.1:1/cds", "Connection refused"),
        (f"postgresql:///cds?host=127.0.0.1&port=1&user=cds&password={SECRET_WORD}", "Connection refused"),
        (f"postgresql://cds:{SECRET_WORD}@127.0.0.1:port/cds", "is not an address"),
        ("sqlite:////nowhere/at/all/feedback.sqlite", "/nowhere/at/all"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_without_its_password(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        opened(url)
    assert "CDS_DATABASE_URL" in str(caught.value) and words in str(caught.value)
    assert SECRET_WORD not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(SettingsError, match="is not a database"):
        opened(f"sqlite:///{tmp_path}/notes.txt")


def test_a_missing_driver_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError, match=r'pip install "cds-service\[postgresql\]"'):
        opened("postgresql://127.0.0.1:1/cds")


def test_the_default_is_a_file_of_the_owner_alone_in_the_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    opened("").record([entry()])
    files = list((tmp_path / "cds-service").iterdir())
    assert tmp_path / "cds-service" / "feedback.sqlite" in files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/feedback.sqlite")
    with store._engine().connect() as connection:
        answers = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        }
    assert answers == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000}


# ---------------------------------------------------------------- processes and failures


def test_connections_do_not_cross_a_fork(store: Store) -> None:
    store.record([entry("parent")])
    child = os.fork()
    if child == 0:
        inherited = store._opened[1]  # type: ignore[index]
        store.record([entry("child")])
        os._exit(0 if store._opened[1] is not inherited else 1)  # type: ignore[index]
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.record([entry("parent again")]) == 1
    assert len(list(store.entries())) == 3


def test_preparing_leaves_no_connection_for_the_workers(store: Store) -> None:
    assert store._opened is None


def test_a_failure_names_its_kind_and_nothing_of_what_was_sent(store: Store) -> None:
    with store._engine().execution_options(writes=True).begin() as connection:
        connection.execute(text("DROP TABLE feedback"))
    with pytest.raises(StoreError) as caught:
        store.record([entry(comment="MARKER")])
    assert "MARKER" not in str(caught.value) and caught.value.__suppress_context__


def test_after_a_failure_calls_are_not_held_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store._engine().execution_options(writes=True).begin() as connection:
        connection.execute(text("DROP TABLE dismissals"))
    with pytest.raises(StoreError):
        store.set_aside("tenant", [7])
    monkeypatch.setattr(store, "_engine", lambda: pytest.fail("it was asked again at once"))
    with pytest.raises(StoreError, match="resting"):
        store.set_aside("tenant", [7])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_restarted_server_is_found_again(postgresql: str, database_url: str, store: Store) -> None:
    store.record([entry("before")])
    administrator = create_engine(database.address(postgresql), isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": database.address(database_url).database},
        )
    administrator.dispose()
    assert store.record([entry("after")]) == 1


def test_options_in_the_address_do_not_replace_what_an_answer_promises() -> None:
    address = make_url("postgresql+psycopg://u@h/d?options=-c%20search_path%3Dcds&connect_timeout=9")
    given = database._arguments(address, at_start=False)
    assert given["options"].startswith("-c search_path=cds -c synchronous_commit=on -c statement_timeout=")
    assert "connect_timeout" not in given  # the operator's own
