"""What a reader of one resource needs beside it, and what all readers ask of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.clinical.chart import Match, Site
from cds_service.clinical.spans import Span
from cds_service.errors import Fault, RequestError
from cds_service.intake.concepts import Concept, Concepts
from cds_service.intake.shape import Json, id_of, reference, text
from cds_service.knowledge.reading import Reading

# Intents of a request that was thought of, and made no prescription or order. A plan is none of them: in the United
# States what patients say they take comes as one.
THOUGHT_OF = frozenset({"proposal", "option"})
FINAL = frozenset({"final", "amended", "corrected", "appended"})
TEXT_LENGTH = 2000  # longer notes are cut before phrases are looked for
# Words cost more than anything else in a chart. No record says so much: 2000 examinations in words say half of it.
MOST_WORDS = 2_000_000  # characters
# Many small statements cost more than their letters say. A power by muscle and side has about 100 parts, the longest
# forms some hundred questions, and nobody has a thousand studies of nerves, muscles, brain, spine or heart.
MOST_COMPONENTS = 500  # of one Observation
MOST_ITEMS = 1000  # of one QuestionnaireResponse, with those inside others
MOST_REPORTS = 1000  # of one chart, on what is known as a study
# Each of them is judged, and each way of saying it is listened to. A stay in hospital charts some thousands, mostly in
# the same words.
MOST_STATEMENTS = 6000  # of one chart: results, problems and all else that is told in words
MOST_DIFFERENT = 2500  # of those, in words of their own
MOST_TEXTS = 20_000  # of one chart, in which no phrase can be heard: laboratories send numbers and "negative" as texts
SHORT_NAME = 200  # characters; thousands of results have a name, and names of usual length do not count


@dataclass
class Attention:
    """How many characters, statements and reports of one chart may still be listened to."""

    left: int = MOST_WORDS
    reports: int = MOST_REPORTS
    statements: int = MOST_STATEMENTS
    unspoken: int = MOST_TEXTS
    told: set[tuple[str, ...]] = field(default_factory=set)

    def give(self, texts: Iterable[str], free: int = 0) -> None:
        """Raises RequestError 413 when it is too much, whatever the order of the resources."""
        self.spend(sum(map(len, texts)) - free)

    def spend(self, characters: int) -> None:
        """As ``give``, for texts whose length is known."""
        self.left -= max(0, characters)
        if self.left < 0:
            fault = Fault("prefetch", f"holds more than {MOST_WORDS} characters of text", "ask with narrower queries")
            raise RequestError(413, fault, code="too-long")

    def one_more_statement(self, texts: tuple[str, ...]) -> None:
        """Raises RequestError 413 when there are too many, or too many that differ, whatever their order."""
        self.statements -= 1
        self.told.add(texts)
        if self.statements < 0 or len(self.told) > MOST_DIFFERENT:
            what = f"holds more than {MOST_STATEMENTS} statements in words, or {MOST_DIFFERENT} that differ"
            raise RequestError(413, Fault("prefetch", what, "ask with narrower queries"), code="too-long")

    def one_more_text(self) -> None:
        """Raises RequestError 413 when there are too many in which no phrase can be heard."""
        self.unspoken -= 1
        if self.unspoken < 0:
            fault = Fault("prefetch", f"holds more than {MOST_TEXTS} values as texts", "ask with narrower queries")
            raise RequestError(413, fault, code="too-long")

    def one_more_report(self) -> None:
        """Raises RequestError 413 when there are too many."""
        self.reports -= 1
        if self.reports < 0:
            what = f"are more than {MOST_REPORTS} on studies"
            raise RequestError(413, Fault("DiagnosticReport", what, "ask with narrower queries"), code="too-long")


def at_most(most: int, parts: Iterator[Json], path: str) -> Iterator[Json]:
    """The parts of one resource. Raises RequestError 413 when there are more than that."""
    for count, part in enumerate(parts, start=1):
        if count > most:
            fault = Fault(path, f"has more than {most} entries in one resource", "leave that resource out")
            raise RequestError(413, fault, code="too-long")
        yield part


@dataclass(frozen=True)
class About:
    """What a reader needs to know beside the resource."""

    reading: Reading
    concepts: Concepts
    encounter_id: str = ""
    born: Span | None = None
    medications: Mapping[str, Json] = field(default_factory=dict)  # Medication resources by id
    attention: Attention = field(default_factory=Attention)

    def in_this_encounter(self, raw: Json) -> bool:
        """Whether a resource belongs to the encounter that is under way."""
        return bool(self.encounter_id) and id_of(reference(raw, "encounter")) == self.encounter_id


def name_of(raw: Json) -> str:
    """A resource as evidence names it: its type and id."""
    kind, identity = text(raw, "resourceType"), text(raw, "id")
    return f"{kind}/{identity}" if identity else kind


def heard(wordings: tuple[str, ...]) -> tuple[str, ...]:
    """Wordings, as far as phrases are looked for in them."""
    return tuple(wording[:TEXT_LENGTH] for wording in wordings)


def places(
    raw: Json, named: Concept, words: tuple[str, ...], codes: tuple[Match, ...], about: About
) -> tuple[Site, ...]:
    """Sites from body site codes, else from words, else from what the code itself implies."""
    found = _at_body_site(raw["bodySite"], about) if "bodySite" in raw else []
    if not found:
        found += named.sites
        if any(words):
            found += about.concepts.spoken.sites(*filter(None, words))
    if not found and codes:
        implied = about.reading.implied_sites
        regions = {implied[m.concept] for m in codes if m.concept in implied and m.role in ("", "narrower")}
        found += (Site(region, "", region) for region in sorted(regions))
    return tuple(dict.fromkeys(found)) if found else ()


def _at_body_site(site: Any, about: About) -> list[Site]:
    found: list[Site] = []
    for part in site if isinstance(site, list) else [site] if site is not None else []:
        place = about.concepts.of({"bodySite": part}, "bodySite")
        concepts = {m.concept for m in place.matches}
        found += about.reading.site_of_concepts(concepts, place.title) or about.reading.sites(*place.wordings[:1])
    return found
