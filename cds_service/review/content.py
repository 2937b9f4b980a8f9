"""Clinical content as text, with a hash: what a run was made by, and what travels to other machines.

Compiled content is made of closures, which do not travel; its text does, and is compiled where it arrives.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from cds_service.clinical.knowledge import Knowledge
from cds_service.knowledge.files import folder
from cds_service.knowledge.load import load
from cds_service.knowledge.reading import Reading
from cds_service.knowledge.sealed import SEAL


@dataclass(frozen=True)
class ContentText:
    """Every file of a content folder by its name in it, and the hash of them all, by which it is known.

    The seal travels, for it saves each machine a second; it is no content, and not hashed. Other dot files stay.
    """

    name: str = field(compare=False)  # of the folder, for messages
    files: Mapping[str, bytes] = field(compare=False)
    hash: str

    @classmethod
    def of(cls, cards: Path | None) -> ContentText:
        """The text of a content folder; None: the content that comes along."""
        root = cards or folder("cards")
        paths = ((p.relative_to(root), p) for p in sorted(root.rglob("*")) if p.is_file())
        files = {
            name.as_posix(): path.read_bytes()
            for name, path in paths
            if not any(part.startswith(".") for part in name.parts)
        }
        marks = "".join(f"{name}\0{hashlib.sha256(text).hexdigest()}\n" for name, text in files.items())
        if (root / SEAL).is_file():
            files[SEAL] = (root / SEAL).read_bytes()
        return cls(root.resolve().name, files, hashlib.sha256(marks.encode()).hexdigest())


@lru_cache(maxsize=4)
def compiled(text: ContentText) -> tuple[Knowledge, Reading]:
    """The compiled content, once for each process and hash. Raises ContentError, with the name of its own folder."""
    with tempfile.TemporaryDirectory(prefix="cds-content-") as temporary:
        place = Path(temporary, text.name or "cards")
        place.mkdir()
        for name, body in text.files.items():
            file = Path(place, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
        return load(place)


def dictionary(knowledge: Knowledge) -> dict[str, Any]:
    """What results are read with: titles of cards, facts and tests, and the limits of each analyte."""
    return {
        "cards": {
            c.id: {"title": c.title, "tier": c.tier, "facts": list(c.triggers)} for c in knowledge.cards.values()
        },
        "findings": {f.id: f.title for f in knowledge.findings.values()},
        "tests": {i.id: i.title for i in knowledge.investigations.values()},
        "analytes": {
            a.id: {
                "name": a.name,
                "unit": a.unit,
                "decimals": a.decimals,
                "reference": list(a.reference),
                "low": a.action.lower,
                "high": a.action.upper,
                "critical_low": a.critical.lower,
                "critical_high": a.critical.upper,
            }
            for a in knowledge.analytes.values()
        },
    }
