"""Value sets: which concepts a coding of a record belongs to, and which code we write for one."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from cds_service.clinical.chart import TREES, Match
from cds_service.clinical.knowledge import OrderItem

# Our own code system, for what no public one has: an OID that is made from a UUID (X.667).
LOCAL_SYSTEM = "urn:oid:2.25.121039843979750970419858618624311524928"

SYSTEMS: Mapping[str, str] = {
    "snomed": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "icd10cm": "http://hl7.org/fhir/sid/icd-10-cm",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "atc": "http://www.whocc.no/atc",
    "cpt": "http://www.ama-assn.org/go/cpt",
    "hpo": "http://human-phenotype-ontology.org",
    "act": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    "v2-0532": "http://terminology.hl7.org/CodeSystem/v2-0532",
    "v2-0136": "http://terminology.hl7.org/CodeSystem/v2-0136",
}
# Other names under which records send the same systems.
_ALIASES = {
    "urn:oid:2.16.840.1.113883.6.96": "snomed",
    "urn:oid:2.16.840.1.113883.6.1": "loinc",
    "urn:oid:2.16.840.1.113883.6.90": "icd10cm",
    "urn:oid:2.16.840.1.113883.6.88": "rxnorm",
    "urn:oid:2.16.840.1.113883.6.12": "cpt",
    "http://hl7.org/fhir/sid/icd-10": "icd10cm",
    "http://www.ama-assn.org/go/CPT": "cpt",
    "https://www.whocc.no/atc": "atc",
    "http://hl7.org/fhir/v2/0136": "v2-0136",
}
SHORT_NAMES = {uri: name for name, uri in SYSTEMS.items()} | _ALIASES
EXCLUDED = "excluded"  # role of a branch that a parent code must not take in


class CodeRow(Struct, frozen=True, gc=False):
    """A row of cards/codes: a code of a concept, with where it was confirmed."""

    concept: str
    system: str
    code: str
    display: str
    role: str
    evidence: str
    written: bool
    source: str
    file: str = ""


_LONGEST_CODE = 32


@dataclass(frozen=True, eq=False)
class Codes:
    """All value sets."""

    rows: tuple[CodeRow, ...]
    concepts: Mapping[str, Mapping[str, str]]  # id -> kind, title, region, side
    # Clinical drug (RxNorm) -> its ingredients, each with the concepts of that ingredient.
    ingredients: Mapping[str, Mapping[str, tuple[str, ...]]]
    _index: dict[tuple[str, str], list[Match]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for row in self.rows:
            match = Match(row.concept, row.role, row.system, row.code.rstrip("-"))
            self._index.setdefault((row.system, row.code.rstrip("-")), []).append(match)
        for rxcui, named in self.ingredients.items():
            concepts = dict.fromkeys(concept for own in named.values() for concept in own)
            known = {m.concept for m in self._index.get(("rxnorm", rxcui), ())}
            self._index.setdefault(("rxnorm", rxcui), []).extend(
                Match(concept, "", "rxnorm", rxcui) for concept in concepts if concept not in known
            )

    def matches(self, system: str | None, code: str | None) -> tuple[Match, ...]:
        """The concepts of a coding, by its system as sent. Unknown codes match nothing."""
        name = SHORT_NAMES.get(system or "")
        if name is None or not code or len(code) > _LONGEST_CODE:
            return ()
        return _cached(self, name, code)

    def find(self, system: str, code: str) -> tuple[Match, ...]:
        """Exact code, or for trees the nearest listed ancestor per concept."""
        if system not in TREES:
            return tuple(self._index.get((system, code), ()))
        found: dict[str, Match] = {}
        for length in range(len(code), 2 if system == "icd10cm" else 0, -1):
            for match in self._index.get((system, code[:length].rstrip(".")), ()):
                # The record's own code is kept: rules may accept or exclude parts of a branch.
                found.setdefault(match.concept, match._replace(code=code))
        return tuple(m for m in found.values() if m.role != EXCLUDED)

    def to_write(self, concept: str) -> tuple[CodeRow, ...]:
        """The codes we may write for a concept: at most one per code system, each meaning exactly it."""
        return tuple(self._to_write.get(concept, {}).values())

    @cached_property
    def _to_write(self) -> Mapping[str, Mapping[str, CodeRow]]:
        """By concept and code system, the first row that may be written."""
        chosen: dict[str, dict[str, CodeRow]] = {}
        for row in self.rows:
            if row.written and row.role == "":
                chosen.setdefault(row.concept, {}).setdefault(row.system, row)
        return chosen

    def title(self, concept: str) -> str:
        return self.concepts[concept]["title"]


@lru_cache(maxsize=65536)
def _cached(codes: Codes, system: str, code: str) -> tuple[Match, ...]:
    return codes.find(system, code)


def read_codes(folder: Path) -> Codes:
    """All tables of cards/codes. Raises OSError or csv errors as they are; content checks come later."""
    concepts: dict[str, Mapping[str, str]] = {}
    ingredients: dict[str, dict[str, tuple[str, ...]]] = {}
    rows: list[CodeRow] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as lines:
            table = csv.DictReader(lines)
            if path.stem == "concepts":
                concepts = {line["concept"]: line for line in table}
            elif path.stem == "clinical-drugs":
                for line in table:
                    # A combination has a line for each of its ingredients.
                    named = ingredients.setdefault(line["rxcui"], {})
                    named[line["ingredient"]] = tuple(line["concepts"].split(";"))
            elif "concept" in (table.fieldnames or ()) and "system" in (table.fieldnames or ()):
                rows.extend(_rows(table, path.name))
    return Codes(tuple(rows), concepts, ingredients)


def _rows(table: Iterable[Mapping[str, str]], file: str) -> Iterable[CodeRow]:
    for line in table:
        yield CodeRow(
            concept=line["concept"],
            system=line["system"],
            code=line["code"],
            display=line["display"],
            role=line["role"],
            evidence=line["evidence"],
            written=line["written"] == "yes",
            source=line["source"],
            file=file,
        )


def code_of_order(item: OrderItem, codes: Codes) -> dict[str, Any]:
    """At most one coding per system, each meaning exactly this test, and always its words."""
    if item.written:
        split = [text.split(" ", 2) for text in item.written]
        codings = [
            {"system": SYSTEMS[s], "code": c, "display": rest[0] if rest else item.text} for s, c, *rest in split
        ]
    elif item.code:
        rows = codes.to_write(item.code)
        codings = [{"system": SYSTEMS[r.system], "code": r.code, "display": r.display} for r in rows]
    else:
        codings = []
    return {"coding": codings, "text": item.text} if codings else {"text": item.text}
