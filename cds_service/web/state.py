"""What every request needs, read once at start."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock
from typing import cast

from flask import current_app

from cds_service.clinical.knowledge import Knowledge
from cds_service.intake.glance import Glance
from cds_service.knowledge.reading import Reading
from cds_service.network.fetch import FhirAccess
from cds_service.settings import Settings
from cds_service.web.store import Store


@dataclass(frozen=True, slots=True)
class State:
    settings: Settings
    knowledge: Knowledge
    reading: Reading
    glance: Glance
    slots: BoundedSemaphore  # calls that a worker handles at once
    fhir: FhirAccess
    store: Store
    workbench: bool = False  # whether trial calls are honoured
    large: Lock = field(default_factory=Lock)  # held while a large chart is read


def state() -> State:
    return cast(State, current_app.extensions["cds"])
