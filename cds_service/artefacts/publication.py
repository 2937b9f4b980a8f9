"""What every artefact says of itself: address, version, status and date, all of them from the content."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cds_service.artefacts.questionnaire import NOWHERE
from cds_service.clinical.knowledge import Knowledge, Reference
from cds_service.handbook.bundled import is_bundled
from cds_service.knowledge.content import Content

Json = dict[str, Any]
PUBLISHER = "cds-service contributors"
DRAFT = "Draft content, not clinically approved."
OWN = "It is not the content that comes along with cds-service, but one that a site has changed."
LONGEST_ID = 64
_OWN = ("design choice", "textbook knowledge")  # what stands on no publication is no citation


@dataclass(frozen=True)
class Publication:
    """One content under one base address. ``base``: the public address of the service; empty when it has none."""

    knowledge: Knowledge
    base: str
    content: Content = field(init=False)
    bundled: bool = field(init=False)  # whether it is the content that comes along

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", self.knowledge.written)
        object.__setattr__(self, "bundled", is_bundled(self.content))

    @property
    def publisher(self) -> str:
        """Who publishes it; of another content than the bundled one that is not known."""
        return PUBLISHER if self.bundled else ""

    @property
    def state(self) -> str:
        """What every description ends with."""
        return DRAFT if self.bundled else f"{DRAFT} {OWN}"

    @property
    def root(self) -> str:
        """Where the artefacts are found: under the service's own address, or under one that belongs to nobody."""
        return f"{self.base}/fhir" if self.base else NOWHERE

    @property
    def date(self) -> str:
        """The day of the content's newest change, never that of the clock."""
        return str(self.content.plain["about.yaml"]["changes"][0]["date"])

    def canonical(self, kind: str, name: str) -> str:
        """The address of an artefact with its version."""
        return f"{self.root}/{kind}/{fhir_id(name)}|{self.knowledge.version}"

    def artefact(self, kind: str, name: str, title: str, description: str, /, **more: Any) -> Json:
        """A canonical resource: what all of ours say, and ``more`` elements of its own. Empty ones are left out."""
        made = {
            "resourceType": kind,
            "id": fhir_id(name),
            "url": f"{self.root}/{kind}/{fhir_id(name)}",
            "version": self.knowledge.version,
            "name": _computable(kind, name),
            "title": title,
            "status": "draft",
            "experimental": True,
            "date": self.date,
            "publisher": self.publisher,
            "description": f"{description} {self.state}",
            **more,
        }
        return {key: value for key, value in made.items() if value not in ("", None, [], {})}

    def citations(self, names: Iterable[str]) -> list[Json]:
        """References as related artefacts, each once."""
        return [_citation(self.knowledge.references[name]) for name in dict.fromkeys(names)]


def _citation(reference: Reference) -> Json:
    kind = "justification" if reference.kind in _OWN else "citation"
    made = {"type": kind, "label": reference.id, "display": reference.title}
    return made | ({"url": reference.url} if reference.url else {})


def fhir_id(name: str) -> str:
    """A name of the content as a FHIR id."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", name)[:LONGEST_ID]


def _computable(kind: str, name: str) -> str:
    """A name that programs can use, as FHIR wants it: a capital letter, then letters, digits and underscores."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    return f"{kind}{''.join(word[0].upper() + word[1:] for word in words)}"
