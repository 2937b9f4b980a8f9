"""All artefacts of one content: by type and id, by their address, in a folder, and what a server of them can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from cds_service import __version__
from cds_service.artefacts import plans, terminology
from cds_service.artefacts.publication import Json, Publication
from cds_service.artefacts.questionnaire import questionnaire
from cds_service.clinical.knowledge import Knowledge

SEARCHED = ("url", "version")


class Artefacts:
    """The artefacts of a content."""

    def __init__(self, knowledge: Knowledge, base: str) -> None:
        self._here = Publication(knowledge, base)
        self._resources: dict[tuple[str, str], Json] = {}
        for resource in self._all():
            key = resource["resourceType"], resource["id"]
            if key in self._resources:  # ids of the content are checked to be unlike, so this is a bug of ours
                raise ValueError(f"two artefacts are called {'/'.join(key)}")
            self._resources[key] = resource

    def _all(self) -> Iterator[Json]:
        here = self._here
        sets = list(terminology.value_sets(here))
        form = questionnaire(here.content.plain["structured-history.yaml"], here.knowledge, here.base)
        yield plans.plan_definition(here)
        yield plans.library(here, sets)
        yield from plans.activity_definitions(here)
        yield form
        yield terminology.local_codes(here, [form])
        yield terminology.unit_spellings(here)
        yield terminology.unit_map(here)
        yield from sets

    def __iter__(self) -> Iterator[Json]:
        return iter(self._resources.values())

    def read(self, kind: str, name: str) -> Json | None:
        """An artefact by type and id."""
        return self._resources.get((kind, name))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types that there are."""
        return tuple(dict.fromkeys(kind for kind, _ in self._resources))

    def search(self, kind: str, url: str, version: str = "") -> Json:
        """The artefacts of a type with this canonical address, as a Bundle. ``url`` may end in ``|version``."""
        address, _, wanted = url.partition("|")
        here = [one for (own, _), one in self._resources.items() if own == kind and one["url"] == address]
        found = [one for one in here if {version, wanted} <= {"", one["version"]}]
        entries = [{"fullUrl": self._place(one), "resource": one, "search": {"mode": "match"}} for one in found]
        return {"resourceType": "Bundle", "type": "searchset", "total": len(found)} | (
            {"entry": entries} if entries else {}
        )

    def _place(self, resource: Mapping[str, Any]) -> str:
        return f"{self._here.root}/{resource['resourceType']}/{resource['id']}"

    def capabilities(self) -> Json:
        """What can be asked of the read-only addresses, and no more."""
        interactions = [{"code": "read"}, {"code": "search-type"}]
        params = [{"name": "url", "type": "uri"}, {"name": "version", "type": "token"}]
        resources = [{"type": kind, "interaction": interactions, "searchParam": params} for kind in sorted(self.kinds)]
        version = self._here.knowledge.version
        said = f"The knowledge behind the muscle twitching cards, content {version}, read-only. {self._here.state}"
        return {
            "resourceType": "CapabilityStatement",
            "status": "draft",
            "experimental": True,
            "date": self._here.date,
            "kind": "instance",
            "software": {"name": "cds-service", "version": __version__},
            "implementation": {"description": said},
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [{"mode": "server", "resource": resources}],
        } | ({"publisher": self._here.publisher} if self._here.publisher else {})

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Each artefact as a file, and all of them as one transaction that loads them into a server."""
        for resource in self:
            yield f"{resource['resourceType']}-{resource['id']}.json", as_json(resource)
        yield "transaction.json", as_json(self._transaction())

    def _transaction(self) -> Json:
        entries = [
            {
                "fullUrl": self._place(one), "resource": one,
                "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
            }
            for one in self
        ]  # fmt: skip
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def as_json(resource: Json) -> bytes:
    """A resource as it is written to a file: the same bytes each time."""
    return orjson.dumps(resource, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
