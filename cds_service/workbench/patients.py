"""The invented patients that come along: one-line stories, and each record as a hook request."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from cds_service.clinical.knowledge import Knowledge
from cds_service.knowledge.files import folder, read_yaml
from cds_service.workbench.charts import request_of_bundle, the_patient
from cds_service.workbench.words import SILENT

SHELVES = ("records", "quiet")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """A card that the story's author expects: its name as in TW13+TW18, and its indicator."""

    name: str
    indicator: str

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.name.split("+"))


@dataclass(frozen=True, slots=True)
class Story:
    """One invented patient of the gallery."""

    id: str
    story: str
    as_of: str
    born: str
    sex: str
    expected: tuple[Expected, ...]
    because: str
    shows: tuple[str, ...]
    encounter: str
    unanswered: frozenset[str]
    file: Path

    @property
    def cards(self) -> tuple[str, ...]:
        return tuple(card for one in self.expected for card in one.ids)

    @property
    def age(self) -> str:
        """Whole years, when the birth date is complete."""
        if len(self.born) < 10:
            return ""
        years = int(self.as_of[:4]) - int(self.born[:4]) - (self.as_of[5:] < self.born[5:10])
        return str(years)

    def tiers(self, knowledge: Knowledge) -> tuple[str, ...]:
        """The tiers of its cards, or silence."""
        return tuple(dict.fromkeys(knowledge.cards[c].tier for c in self.cards if c in knowledge.cards)) or (SILENT,)

    def hypotheses(self, knowledge: Knowledge) -> tuple[str, ...]:
        """The hypotheses that its story is about, and those that its cards may name."""
        named = [name for name in self.shows if name in {h.id for h in knowledge.hypotheses}]
        of_cards = [h for c in self.cards if c in knowledge.cards for h in knowledge.cards[c].hypotheses]
        return tuple(dict.fromkeys([*named, *of_cards]))


@cache
def stories() -> Mapping[str, Story]:
    """Every story by its id: the worked examples EX01 to EX28 first, then in the order of the files. Read once."""
    pages = [page for shelf in SHELVES for page in sorted((folder("fixtures") / shelf).glob("*.yaml"))]
    pages.sort(key=lambda page: not page.stem.startswith("EX"))
    return {page.stem: _story(page) for page in pages}


def _story(page: Path) -> Story:
    told = read_yaml(page)
    patient = the_patient(orjson.loads(page.with_suffix(".json").read_bytes()))
    expect = told["expect"]
    return Story(
        id=page.stem,
        story=str(told["story"]),
        as_of=str(told["as_of"]),
        born=str(patient.get("birthDate", "")),
        sex=str(patient.get("gender", "")),
        expected=tuple(Expected(str(c["card"]), str(c["indicator"])) for c in expect["cards"]),
        because=str(expect.get("because", "")),
        shows=tuple(str(name) for name in told["shows"]),
        encounter=str(told.get("encounter", "")),
        unanswered=frozenset(told.get("unanswered", ())),
        file=page.with_suffix(".json"),
    )


def request_of(story: Story) -> Json:
    """The hook request that an EHR would send for this record on its day; the same one every time."""
    instance = str(uuid.uuid5(uuid.NAMESPACE_OID, story.id))
    bundle = orjson.loads(story.file.read_bytes())
    return request_of_bundle(bundle, instance, story.as_of, story.encounter, story.unanswered)
