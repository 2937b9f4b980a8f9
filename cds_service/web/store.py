"""What is kept: feedback, cards that were set aside, and the tokens that were used. Nothing else."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cds_service.errors import StoreError
from cds_service.settings import Settings
from cds_service.web import database
from cds_service.web.journal import fields
from cds_service.web.tables import dismissals, feedback, replays

log = logging.getLogger("cds_service")

_A_DAY = 24 * 60 * 60
_LATEST_OVERRIDE = timedelta(days=400)  # longer than any card is set aside
_REST = 5.0  # seconds without a question about dismissals after one has failed
# Made once: it is asked on every call that shows a card.
_SET_ASIDE = select(dismissals.c.memory).where(
    dismissals.c.tenant_hash == bindparam("tenant_hash"),
    dismissals.c.memory.in_(bindparam("memories", expanding=True)),
    dismissals.c.expires > bindparam("now"),
)


@dataclass(frozen=True, slots=True)
class Memory:
    """An outcome that bears on the same advice for the same patient: how long it keeps the card away."""

    key: int
    days: int  # 0: accepted, which ends an earlier dismissal


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece of feedback as it is kept."""

    id: str
    outcome_at: datetime
    tenant_hash: str
    outcome: str
    verified: bool
    card: str | None = None
    content_release: int | None = None
    suggestions: tuple[int, ...] = ()
    reason_code: str | None = None
    reason_system: str | None = None
    comment: str | None = None
    origin: str = "ehr"
    memory: Memory | None = None


def utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The store of one service. Connections belong to the process that opens them, never to its parent."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._url = database.address(settings.database_url)
        self._keep_feedback = timedelta(days=settings.keep_feedback_days)
        self._keep_comments = timedelta(days=settings.keep_comments_days)
        self._clock = clock
        self._opening = threading.Lock()
        self._opened: tuple[int, Engine] | None = None
        self._tidied_at = 0.0
        self._resting_until = 0.0

    def prepare(self) -> None:
        """Bring the tables to this version and erase what is due. Raises SettingsError: then do not start."""
        database.migrate(self._url)
        try:
            self.tidy()
        finally:
            self.close()  # the workers are forked after this

    def is_prepared(self) -> bool:
        """Whether there is anything to read; changes nothing. Raises SettingsError."""
        return database.has_tables(self._url)

    def close(self) -> None:
        """Close this process's connections."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[1].dispose(close=opened[0] == os.getpid())

    # ------------------------------------------------------------ feedback

    def record(self, entries: Sequence[Entry]) -> int:
        """Keep all of them or none, on disk when this returns. Returns how many were new. Raises StoreError."""
        if not entries:
            return 0
        now = self._clock()
        with self._writing() as connection:
            new = self._insert_feedback(connection, entries, now)
            # In the order in which the user acted: the last outcome is the one that counts.
            for entry in sorted((e for e in entries if e.id in new and e.memory), key=lambda e: e.outcome_at):
                _remember(connection, entry, now)
        return len(new)

    def _insert_feedback(self, connection: Connection, entries: Sequence[Entry], now: datetime) -> frozenset[str]:
        rows = [_row(entry, now, keep_comment=bool(self._keep_comments)) for entry in entries]
        statement = _insert(connection, feedback).values(rows).on_conflict_do_nothing(index_elements=["id"])
        return frozenset(connection.execute(statement.returning(feedback.c.id)).scalars())

    def entries(self, since: datetime | None = None, origin: str = "all") -> Iterator[dict[str, Any]]:
        """The feedback received since then, oldest first, as rows of the table."""
        query = select(feedback).order_by(feedback.c.outcome_at, feedback.c.id)
        if since is not None:
            query = query.where(feedback.c.outcome_at >= since)
        if origin != "all":
            query = query.where(feedback.c.origin == origin)
        with self._reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        yield from rows

    # ------------------------------------------------------------ cards that were set aside

    def set_aside(self, tenant_hash: str, memories: Collection[int]) -> frozenset[int]:
        """Which of this advice was overridden lately and not accepted since. Raises StoreError.

        After a failure it fails at once for some seconds: a database that does not answer must not
        hold up every call.
        """
        if time.monotonic() < self._resting_until:
            raise StoreError("resting after a failure")
        asked = {"tenant_hash": tenant_hash, "memories": list(memories), "now": self._clock()}
        try:
            with self._reading() as connection:
                return frozenset(connection.execute(_SET_ASIDE, asked).scalars())
        except StoreError:
            self._resting_until = time.monotonic() + _REST
            raise

    # ------------------------------------------------------------ tokens

    def first_use(self, token: bytes, expires: int) -> bool:
        """Whether this token, until then unknown, is used for the first time on any node. Raises StoreError.

        ``expires``: seconds since 1970, after which it need not be remembered, because the token is refused anyway.
        """
        with self._writing() as connection:
            statement = _insert(connection, replays).values(token=token, expires=expires)
            first = connection.execute(statement.on_conflict_do_nothing().returning(replays.c.expires)).first()
        self.tidy_if_due()
        return first is not None

    def reachable(self) -> bool:
        """Whether the store answers."""
        try:
            with self._reading() as connection:
                connection.execute(select(1))
        except StoreError:
            return False
        return True

    # ------------------------------------------------------------ retention

    def tidy(self) -> None:
        """Erase what is older than the settings allow, and what has expired. Raises StoreError."""
        now = self._clock()
        old_comment = (feedback.c.received_at < now - self._keep_comments) & feedback.c.comment.is_not(None)
        with self._writing() as connection:
            connection.execute(delete(feedback).where(feedback.c.received_at < now - self._keep_feedback))
            connection.execute(update(feedback).where(old_comment).values(comment=None))
            accepted = dismissals.c.expires <= dismissals.c.since
            connection.execute(delete(dismissals).where(dismissals.c.expires < now, ~accepted))
            # An override that arrives late must still find the acceptance that came after it.
            connection.execute(delete(dismissals).where(dismissals.c.since < now - _LATEST_OVERRIDE, accepted))
            # An hour of grace: nodes and clients do not agree on the time.
            connection.execute(delete(replays).where(replays.c.expires < int(now.timestamp()) - 3600))
        with _named_errors():
            database.overwrite_log(self._engine())
        self._tidied_at = time.monotonic()

    def tidy_if_due(self) -> None:
        """Once a day per process. A failure is logged: it must not refuse what was asked."""
        if time.monotonic() - self._tidied_at < _A_DAY:
            return
        self._tidied_at = time.monotonic()
        try:
            self.tidy()
        except StoreError as error:
            log.warning("old entries were not erased", extra=fields(kind=str(error)))

    # ------------------------------------------------------------ connections

    def _engine(self) -> Engine:
        with self._opening:
            if self._opened is None or self._opened[0] != os.getpid():
                self.close()
                self._opened = (os.getpid(), database.open_engine(self._url))
            return self._opened[1]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction, committed at its end."""
        with _named_errors(), self._engine().execution_options(writes=True).begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _named_errors(), self._engine().connect() as connection:
            yield connection


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
        # Never its words: they can repeat what was to be stored.
        raise StoreError(type(error).__name__) from None


def _insert(connection: Connection, table: Any) -> Any:
    """An INSERT that knows ON CONFLICT, which SQLAlchemy has per database only."""
    # Only the module of this database: a start waits for each.
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


def _row(entry: Entry, now: datetime, keep_comment: bool) -> dict[str, Any]:
    return {
        "id": entry.id,
        "received_at": now,
        "outcome_at": entry.outcome_at,
        "tenant_hash": entry.tenant_hash,
        "card": entry.card,
        "content_release": entry.content_release,
        "suggestions": list(entry.suggestions),
        "outcome": entry.outcome,
        "reason_code": entry.reason_code,
        "reason_system": entry.reason_system,
        "comment": entry.comment if keep_comment else None,
        "origin": entry.origin,
        "verified": entry.verified,
    }


def _remember(connection: Connection, entry: Entry, now: datetime) -> None:
    """Let the latest outcome decide: an override keeps the card away, an acceptance ends that.

    Feedback may arrive late and out of order, so the time of the outcome counts; a time in the future does not.
    """
    assert entry.memory is not None
    since = min(entry.outcome_at, now)
    statement = _insert(connection, dismissals).values(
        tenant_hash=entry.tenant_hash,
        memory=entry.memory.key,
        since=since,
        expires=since + timedelta(days=entry.memory.days),
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_hash", "memory"],
            set_={"since": statement.excluded.since, "expires": statement.excluded.expires},
            where=statement.excluded.since >= dismissals.c.since,
        )
    )
