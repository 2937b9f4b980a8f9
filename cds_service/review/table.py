"""results.ndjson as results.parquet, one row for each patient, a portion at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from cds_service.review.rows import Row

_ROWS = 1_000

_TEXT = pa.string()
_TEXTS = pa.list_(_TEXT)


def _records(**fields: Any) -> Any:
    return pa.list_(pa.struct(list(fields.items())))


SCHEMA = pa.schema(
    {
        "patient": _TEXT,
        "source": _TEXT,
        "age": pa.int16(),
        "sex": _TEXT,
        "deceased": pa.bool_(),
        "twitching": _TEXT,
        "tier": _TEXT,
        "indicator": _TEXT,
        "cards": _records(card=_TEXT, tier=_TEXT, indicator=_TEXT),
        "orders": _records(card=_TEXT, test=_TEXT, priority=_TEXT, items=_TEXTS),
        "withheld": _records(card=_TEXT, test=_TEXT, state=_TEXT, because=_TEXT, dates=_TEXTS),
        "missing": _TEXTS,
        "emergencies": _records(
            card=_TEXT, outcome=_TEXT, newest=_TEXT, facts=_records(fact=_TEXT, date=_TEXT, reference=_TEXT)
        ),
        "ladder": pa.map_(_TEXT, _TEXT),
        "facts": pa.map_(_TEXT, pa.struct([("is", _TEXT), ("value", _TEXT), ("date", _TEXT)])),
        "labs": pa.map_(_TEXT, pa.struct([("value", pa.float64()), ("unit", _TEXT), ("band", _TEXT), ("date", _TEXT)])),
        "silent_because": _TEXT,
        "gaps": _records(query=_TEXT, reason=_TEXT, count=pa.int64()),
        "content": _TEXT,
    }
)
_MAPS = ("ladder", "facts", "labs")


def through_table(rows: Iterable[Row], file: Path) -> Iterator[Row]:
    """Write all rows into the file as they pass; the written cards of ``--cards`` stay in results.ndjson alone.

    The file is whole when the last row has been taken. A row that has passed must not be kept.
    """
    left = iter(rows)
    with parquet.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        while some := list(islice(left, _ROWS)):
            yield from some
            for row in some:
                row |= {name: list(row[name].items()) for name in _MAPS}
            writer.write_table(pa.Table.from_pylist(some, SCHEMA))
