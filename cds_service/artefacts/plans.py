"""Orders as ActivityDefinitions, the cards as one PlanDefinition of event–condition–action rules, and their Library."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from cds_service.artefacts.publication import Json, Publication
from cds_service.clinical.chart import QUERIES
from cds_service.handbook.addresses import page_of_card
from cds_service.handbook.plainly import Vocabulary
from cds_service.knowledge.codes import code_of_order

Spec = Mapping[str, Any]
PLAN = LIBRARY = "muscle-twitching"
GATE = "twitch_current"
HOOK = {"type": "named-event", "name": "patient-view"}
# What the queries of discovery ask for.
RESOURCES = tuple(dict.fromkeys(QUERIES.values()))
_UNSAID = (
    "Not expressed here, and done by the service alone: which cards come first, at most three of them; when no card is "
    "shown at all; which tests are on file, already ordered or withheld; and what a finding is in a record, for which "
    "the library holds the definitions in the service's own words."
)


def _concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


_PATIENT = _concept("http://hl7.org/fhir/resource-types", "Patient")


def activity_definitions(here: Publication) -> Iterator[Json]:
    """One for each draft request of an investigation."""
    for name, spec in sorted(here.content.investigations.items()):
        for number, item in enumerate(here.knowledge.investigations[name].items, start=1):
            said = f"{spec['title'].capitalize()}. {spec['purpose']}"
            yield here.artefact(
                "ActivityDefinition", item_name(name, number), item.text, said,
                subjectCodeableConcept=_PATIENT,
                usage=spec["misuse"], relatedArtifact=here.citations(claim["source"] for claim in spec["why"]),
                kind="ServiceRequest", intent="proposal", code=code_of_order(item, here.content.codes),
            )  # fmt: skip


def item_name(investigation: str, number: int) -> str:
    """What one request of an investigation is called, counted from 1."""
    return f"{investigation}-{number}"


# ---------------------------------------------------------------- the rules


def plan_definition(here: Publication) -> Json:
    """All cards as actions on patient-view, each with its condition in plain words and as an expression."""
    about = here.content.plain["about.yaml"]
    cards, never = Cards(here), "; ".join(about["never_claim"])
    return here.artefact(
        "PlanDefinition", PLAN, "Differential and work-up of charted muscle twitching",
        f"{about['intended_use']} {about['does_not']}",
        type=_concept("http://terminology.hl7.org/CodeSystem/plan-definition-type", "eca-rule"),
        subjectCodeableConcept=_PATIENT,
        purpose=_UNSAID,
        usage=f"{about['users']} {about['population']} {about['statement']} Never claim: {never}.",
        relatedArtifact=here.citations(sorted(here.knowledge.references)),
        library=[here.canonical("Library", LIBRARY)],
        action=[cards.action(card) for _, card in sorted(here.content.cards.items())],
    )  # fmt: skip


class Cards:
    """The actions of one plan."""

    def __init__(self, here: Publication) -> None:
        self._here = here
        self._says = Vocabulary(here.content)
        self._library = here.canonical("Library", LIBRARY)

    def action(self, card: Spec) -> Json:
        """A card: shown on patient-view when its condition holds."""
        held_back = [{"not_present": one["when"]} for one in card["suppressed_when"]]
        shown = {"all": [GATE, card["when"], *held_back]}
        sources = [*card["sources"], *(one["source"] for one in card["reasoning"] if one["source"])]
        handbook = f"{self._here.base}/handbook/{page_of_card(card['id'])}" if self._here.base else ""
        page = [{"type": "documentation", "display": f"Handbook: {card['id']}", "url": handbook}] if handbook else []
        labels = "; ".join(one["label"] for one in card["suggestions"])
        made = {
            "id": card["id"],
            "title": card["title"],
            "description": f"Tier {card['tier']}. {card['purpose']} Misuse: {card['misuse']}",
            "textEquivalent": f"When {self._says.formula(shown)}" + (f", suggest: {labels}." if labels else "."),
            "documentation": [*page, *self._here.citations(sources)],
            "trigger": [HOOK],
            "condition": [self._condition(shown)],
            "action": [self._suggestion(one) for one in card["suggestions"]],
        }
        return {key: value for key, value in made.items() if value}

    def _suggestion(self, spec: Spec) -> Json:
        orders = [self._order(order) for order in spec["orders"]]
        only = [self._condition(spec["when"])] if spec.get("when") else []
        return (
            {"title": spec["label"], "selectionBehavior": "any"}
            | ({"condition": only} if only else {})
            | {"action": orders}
        )

    def _order(self, order: Spec) -> Json:
        investigation = self._here.content.investigations[order["order"]]
        held_back = [{"not_present": one["when"]} for one in (*order["unless"], *investigation["not_when"])]
        conditions = [one for one in (order.get("when"), *held_back) if one]
        items = [self._item(order["order"], number) for number, _ in enumerate(investigation["orders"], start=1)]
        made: Json = {"title": investigation["title"], "priority": order["priority"]}
        if conditions:
            made["condition"] = [self._condition({"all": conditions} if len(conditions) > 1 else conditions[0])]
        return made | (items[0] if len(items) == 1 else {"action": items})

    def _item(self, investigation: str, number: int) -> Json:
        return {"definitionCanonical": self._here.canonical("ActivityDefinition", item_name(investigation, number))}

    def _condition(self, formula: Any) -> Json:
        expression = {
            "description": str(self._says.formula(formula)),
            "language": "application/json",
            "expression": orjson.dumps(formula).decode(),
            "reference": self._library.partition("|")[0],
        }
        return {"kind": "applicability", "expression": expression}


# ---------------------------------------------------------------- the library


def library(here: Publication, value_sets: Iterable[Json]) -> Json:
    """What the expressions of the plan rest on: definitions of findings, laboratory limits, and value sets."""
    content = here.content
    findings = {name: _rule(spec) for name, spec in sorted(content.findings.items())}
    limits = {row["id"]: _rule(row) for row in content.analytes}
    meaning = {"findings": findings, "analytes": limits}
    data = base64.b64encode(orjson.dumps(meaning, option=orjson.OPT_SORT_KEYS, default=str)).decode()
    sets = [{"type": "depends-on", "resource": f"{one['url']}|{one['version']}"} for one in value_sets]
    return here.artefact(
        "Library", LIBRARY, "What the findings of the twitching rules are",
        "The definitions of findings and the laboratory limits that the conditions of the plan name, as JSON in the "
        "words of docs/content.md, and the value sets that they use. A condition is three-valued: present, absent or "
        "unknown; it applies when it is present.",
        type=_concept("http://terminology.hl7.org/CodeSystem/library-type", "logic-library"),
        subjectCodeableConcept=_PATIENT,
        relatedArtifact=[*sets, *here.citations(sorted(here.knowledge.references))],
        dataRequirement=[{"type": kind} for kind in RESOURCES],
        content=[{"contentType": "application/json", "data": data, "title": "Findings and laboratory limits"}],
    )  # fmt: skip


def _rule(spec: Spec) -> Json:
    """A definition without what serves reviewers only."""
    left_out = ("examples", "status", "author", "reviewed_by", "next_review")
    return {key: value for key, value in spec.items() if key not in left_out and value not in (None, "", False, [], {})}
