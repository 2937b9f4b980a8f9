"""What a review is asked to do, and who watches it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

from cds_service.clinical.assessment import Policy


@dataclass(frozen=True, slots=True)
class Order:
    """What a review is asked to do. Sizes in bytes; ``content`` None: the content that comes along."""

    inputs: tuple[Path, ...]
    out: Path
    today: date
    content: Path | None = None
    policy: Policy = field(default_factory=Policy)
    with_cards: bool = False
    workers: int = 2
    memory: int = 1_000_000_000
    longest: int = 32_000_000
    limit: int | None = None
    resume: bool = False
    spark: str = ""  # address of a cluster's master; empty: on this machine


class Progress(Protocol):
    """Somebody who watches: how much there is, and how far it is. ``size`` in bytes of the input."""

    def stage(self, name: str, size: int) -> None: ...

    def step(self, size: int, patients: int) -> None: ...
