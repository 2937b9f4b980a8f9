"""All clinical content as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cds_service.knowledge.codes import Codes

Spec = dict[str, Any]


@dataclass(frozen=True)
class Content:
    """All content as written: checked for shape and links, not yet compiled."""

    folder: Path
    version: str
    findings: Mapping[str, Spec]
    investigations: Mapping[str, Spec]
    cards: Mapping[str, Spec]
    tables: Mapping[str, tuple[Spec, ...]]
    plain: Mapping[str, Spec]
    codes: Codes
    files: Mapping[str, str]  # id -> file, for messages
    headers: Mapping[str, Spec]  # table -> its status, author, reviewer and next review
    hashes: Mapping[str, str]  # of the files as they were read, by their place in the folder

    @property
    def analytes(self) -> list[Spec]:
        """The rows of analytes.yaml."""
        rows: list[Spec] = self.plain["analytes.yaml"]["analytes"]
        return rows
