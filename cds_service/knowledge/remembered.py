"""Checked content, kept from one start to the next: to read and check it takes half of a start.

What is kept is found by a hash of every byte of the content and of the code that checks it, so after a change of
either it is read and checked anew. It is JSON: whoever could write it could do no more than change the content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from platformdirs import user_cache_path

_KEPT = 4  # contents side by side, for trials
_PACKAGE = Path(__file__).resolve().parent.parent


def remembered(cards: Path, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``read`` returned when this content was first seen. Passes on what ``read`` raises."""
    seen = _hash(cards)
    file = user_cache_path("cds-service") / f"content-{seen}.json"
    with suppress(OSError, ValueError):
        kept: dict[str, Any] = orjson.loads(file.read_bytes())
        return kept
    checked = read()
    if _hash(cards) == seen:  # else it was edited meanwhile
        with suppress(OSError):  # a service that cannot write here only starts more slowly
            _keep(file, checked)
    return checked


def _keep(file: Path, checked: dict[str, Any]) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = file.with_suffix(f".{os.getpid()}")
    half.write_bytes(orjson.dumps(checked))
    half.replace(file)
    for old in sorted(file.parent.glob("content-*.json"), key=lambda kept: kept.stat().st_mtime)[:-_KEPT]:
        old.unlink(missing_ok=True)


def _hash(cards: Path) -> str:
    content = sorted(path for path in cards.rglob("*") if path.is_file())
    code = sorted(path for room in ("knowledge", "clinical") for path in (_PACKAGE / room).rglob("*.py"))
    found = hashlib.sha256()
    for path in (*content, *code, _PACKAGE / "units.py"):
        text = path.read_bytes()
        found.update(f"{path}\0{len(text)}\0".encode())
        found.update(text)
    return found.hexdigest()
