"""Value sets of the concepts, our own codes, and the spellings of units, as FHIR terminology."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cds_service import units
from cds_service.artefacts.publication import Json, Publication
from cds_service.clinical.chart import TREES, USUAL_ROLES
from cds_service.knowledge.codes import EXCLUDED, LOCAL_SYSTEM, SYSTEMS, CodeRow

LOCAL_CODES, SPELLINGS, UCUM = "local-codes", "unit-spellings", "http://unitsofmeasure.org"
# Whose codes need what; see NOTICE. Of CPT only numbers are listed, never descriptors.
_TERMS = {
    "snomed": "SNOMED CT is the property of SNOMED International; its use needs an affiliate licence.",
    "loinc": "LOINC is the property of Regenstrief Institute, free of charge under the LOINC licence.",
    "cpt": "CPT is the property of the American Medical Association; only code numbers are listed.",
    "atc": "ATC is the property of the WHO Collaborating Centre for Drug Statistics Methodology.",
    "hpo": "The Human Phenotype Ontology has a licence of its own.",
}
# Units that stand for others by a choice of ours and not by their meaning.
_INEXACT = {"ml/min": "A clearance in mL/min is read as if it were normalised to body surface."}


def value_sets(here: Publication) -> Iterator[Json]:
    """A value set for each concept that has codes."""
    rows: dict[str, list[CodeRow]] = {}
    for row in here.content.codes.rows:
        rows.setdefault(row.concept, []).append(row)
    for concept, of_concept in sorted(rows.items()):
        usual = [row for row in of_concept if row.role in USUAL_ROLES]
        if usual:
            yield _value_set(here, concept, usual, [row for row in of_concept if row.role == EXCLUDED])


def _value_set(here: Publication, concept: str, usual: list[CodeRow], excluded: list[CodeRow]) -> Json:
    title = here.content.codes.title(concept)
    systems = dict.fromkeys(row.system for row in usual)
    compose = {"include": list(_parts(usual)), "exclude": list(_parts(excluded))}
    return here.artefact(
        "ValueSet", concept, title,
        f"The codes by which a record may say: {title}. Codes of ICD-10-CM and ATC stand for all below them. Rules may "
        "narrow the set or accept related codes beside it; they say so themselves.",
        copyright=" ".join(_TERMS[system] for system in systems if system in _TERMS),
        compose={key: value for key, value in compose.items() if value},
    )  # fmt: skip


def _parts(rows: list[CodeRow]) -> Iterator[Json]:
    """Listed codes together by their system, then each branch of a tree."""
    for system in dict.fromkeys(row.system for row in rows if row.system not in TREES):
        listed = {row.code: row for row in rows if row.system == system}
        yield {"system": SYSTEMS[system], "concept": [_concept(row) for row in listed.values()]}
    for row in {(row.system, row.code): row for row in rows if row.system in TREES}.values():
        branch = {"property": "concept", "op": "is-a", "value": row.code.rstrip("-").rstrip(".")}
        yield {"system": SYSTEMS[row.system], "filter": [branch]}


def _concept(row: CodeRow) -> Json:
    return {"code": row.code} | ({"display": row.display} if row.display and row.system != "cpt" else {})


# ---------------------------------------------------------------- codes of our own


def local_codes(here: Publication, users: Iterable[Json]) -> Json:
    """Our own code system. ``users``: the resources whose codings are taken from it."""
    reasons = here.knowledge.override_reasons.values()
    found: dict[str, list[str]] = {one.code: [one.display] for one in reasons if one.system == "local"}
    for coding in (one for user in users for one in local_codings(user)):
        said = found.setdefault(coding["code"], [])
        if coding.get("display") and coding["display"] not in said:
            said.append(coding["display"])
    concepts = [_local(code, said) for code, said in sorted(found.items())]
    made = here.artefact(
        "CodeSystem", LOCAL_CODES, "Codes of this service",
        "Items and answers of the history form, classes of medicines and reasons for setting a card aside that no "
        "public code system has. An answer like “none” has one code and, by its question, several wordings.",
        caseSensitive=True, content="complete", count=len(concepts), concept=concepts,
    )  # fmt: skip
    return made | {"url": LOCAL_SYSTEM}


def _local(code: str, said: list[str]) -> Json:
    made: Json = {"code": code, "display": said[0] if said else code}
    return made | ({"designation": [{"value": one} for one in said[1:]]} if said[1:] else {})


def local_codings(value: Any) -> Iterator[Json]:
    """Every coding of our own system in a resource."""
    if isinstance(value, dict):
        if value.get("system") == LOCAL_SYSTEM and "code" in value:
            yield value
        for inner in value.values():
            yield from local_codings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from local_codings(inner)


# ---------------------------------------------------------------- units


def unit_spellings(here: Publication) -> Json:
    """The ways in which records write units, as a code system that the map below can start from."""
    concepts = [{"code": spelling} for spelling in sorted(units.spellings())]
    return here.artefact(
        "CodeSystem", SPELLINGS, "Spellings of units",
        "How records write units, in lower case and without spaces. Any other spelling is shown and never compared.",
        caseSensitive=False, content="complete", count=len(concepts), concept=concepts,
    )  # fmt: skip


def unit_map(here: Publication) -> Json:
    """From the spellings of units to UCUM."""
    elements = [
        {"code": spelling, "target": [_unit(spelling, code)]} for spelling, code in sorted(units.spellings().items())
    ]
    group = {"source": f"{here.root}/CodeSystem/{SPELLINGS}", "target": UCUM, "element": elements}
    return here.artefact(
        "ConceptMap", "units-to-ucum", "Units as records write them, in UCUM",
        "The UCUM unit that each spelling stands for. Conversions between units depend on the analyte and stand in the "
        "content, not here.",
        group=[group],
    )  # fmt: skip


def _unit(spelling: str, code: str) -> Json:
    if spelling in _INEXACT:
        return {"code": code, "equivalence": "inexact", "comment": _INEXACT[spelling]}
    return {"code": code, "equivalence": "equal" if spelling == code.lower() else "equivalent"}
