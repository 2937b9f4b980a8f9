"""The tables of the store. No patient, no user, no text of a card: only what feedback teaches, and keyed hashes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class Moment(TypeDecorator[datetime]):
    """A point in time, always UTC: SQLite keeps no offset, PostgreSQL answers in the zone of the session."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


metadata = MetaData()

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(64), primary_key=True),  # a hash: a retry of the same feedback has the same one
    Column("received_at", Moment, nullable=False, index=True),
    Column("outcome_at", Moment, nullable=False),
    Column("tenant_hash", String(32), nullable=False),
    Column("card", String(8)),
    Column("content_release", Integer),
    Column("suggestions", JSON, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason_code", String(64)),
    Column("reason_system", String(128)),
    Column("comment", Text),
    Column("origin", String(16), nullable=False),
    Column("verified", Boolean, nullable=False),
)

dismissals = Table(
    "dismissals",
    metadata,
    Column("tenant_hash", String(32), primary_key=True),
    Column("memory", BigInteger, primary_key=True, autoincrement=False),
    Column("since", Moment, nullable=False),
    Column("expires", Moment, nullable=False, index=True),
)

replays = Table(
    "replays",
    metadata,
    Column("token", LargeBinary(64), primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
)
