"""What is written down of each call: one JSON line, and nothing of a patient in it.

Lines go to standard error, where containers and systemd collect them. A message is a fixed word;
everything that varies is a field, chosen here and never taken from a chart.
"""

from __future__ import annotations

import hmac
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

_FIELDS = "fields"


class JsonLines(logging.Formatter):
    """One line of JSON for each record: time, level, message and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__  # never its text: that may hold a value
        return orjson.dumps(line, default=str).decode()


def write_json_lines() -> None:
    """Send everything that is logged to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Not looked for, as no line names it: the thread, the process, and the place in the code.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    # These write the addresses they ask, which hold the patient's id.
    for chatty in ("httpx", "httpcore", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def fields(**values: Any) -> dict[str, Any]:
    """The ``extra`` of a log call."""
    return {_FIELDS: values}


def pseudonym(secret: bytes, *parts: str) -> str:
    """A name that recognises the same caller again and reveals nobody; it changes with CDS_SECRET."""
    if not any(parts):
        return ""
    message = "\x1f".join(parts).encode()
    return hmac.digest(secret, b"journal" + message, "sha256").hex()[:16]
