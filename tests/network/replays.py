"""A memory of used tokens for the tests: one table, one INSERT."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, create_engine, insert
from sqlalchemy.exc import IntegrityError

_USED = Table("used_tokens", MetaData(), Column("token", LargeBinary(32), primary_key=True), Column("expires", Integer))


class TestReplays:
    """Remembers in any database that SQLAlchemy reaches."""

    __test__ = False

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        _USED.create(self._engine, checkfirst=True)
        self._engine.dispose()  # connections must not pass through a fork

    def first_use(self, token: bytes, expires: int) -> bool:
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(_USED).values(token=token, expires=expires))
        except IntegrityError:
            return False
        return True
