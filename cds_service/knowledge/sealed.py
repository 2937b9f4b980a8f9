"""Checked content, kept beside it: to read and check hundreds of pages of YAML takes more than a second.

``check-content`` writes the seal into the content's own folder, and nothing else does: it has the same owner as the
content, and a service that may not change its content may not change this either. It names a hash of every byte of
the content and of the code that checks it; after a change of either the pages are read and checked again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

SEAL = ".checked.json"
_READ = (".yaml", ".csv")
_PACKAGE = Path(__file__).resolve().parent.parent


def sealed(cards: Path) -> dict[str, Any] | None:
    """The content as it was checked, or None when there is no whole seal of the content as it is now."""
    with suppress(OSError, ValueError):
        kept = orjson.loads((cards / SEAL).read_bytes())
        if isinstance(kept, dict) and kept.get("of") == fingerprint(cards):
            checked: dict[str, Any] = kept["checked"]
            return checked
    return None


def seal(cards: Path, checked: dict[str, Any], of: str) -> bool:
    """Keep what was just checked, if that is possible; the next start is faster then.

    ``of``: the fingerprint from before the pages were read. Content that has changed since is not sealed.
    """
    half = cards / f"{SEAL}.{os.getpid()}"
    with suppress(OSError, TypeError):  # a folder that may not be written, a key that JSON cannot have
        if fingerprint(cards) == of:
            half.write_bytes(orjson.dumps({"of": of, "checked": checked}))
            half.replace(cards / SEAL)
            return True
    return False


def fingerprint(cards: Path) -> str:
    """A hash of all content and of the code that checks it."""
    code = sorted(path for room in ("knowledge", "clinical") for path in (_PACKAGE / room).rglob("*.py"))
    found = hashlib.sha256()
    for path in (*sorted(content_files(cards)), *code, _PACKAGE / "units.py"):
        text = path.read_bytes()
        found.update(f"{path.name}\0{len(text)}\0".encode())
        found.update(text)
    return found.hexdigest()


def hashes(cards: Path) -> dict[str, str]:
    """A hash of each file that the content is read from, by its place in the folder."""
    files = (path for path in content_files(cards) if path.suffix in _READ or path.name == "VERSION")
    return {path.relative_to(cards).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def content_files(cards: Path) -> Iterator[Path]:
    """Every file of a folder of content, also behind links, without its seal."""
    for folder, _, names in os.walk(cards, followlinks=True):
        yield from (Path(folder) / name for name in names if not name.startswith(SEAL))
