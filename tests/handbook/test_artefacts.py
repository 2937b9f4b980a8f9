"""The knowledge as FHIR: valid, whole, every address in it resolves, and the same bytes each time."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from cds_service import fhir
from cds_service.artefacts.artefacts import Artefacts
from cds_service.artefacts.plans import RESOURCES
from cds_service.artefacts.terminology import local_codings
from cds_service.clinical.formula import named_in
from cds_service.web.discovery import prefetch_templates

BASE = "https://cds.example.org"


@pytest.fixture(scope="module")
def artefacts(knowledge: Any) -> Artefacts:
    return Artefacts(knowledge, BASE)


def plan(artefacts: Artefacts) -> Any:
    return artefacts.read("PlanDefinition", "muscle-twitching")


def named(value: Any, *keys: str) -> Iterator[Any]:
    """Every value under one of these keys, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys:
                yield inner
            yield from named(inner, *keys)
    elif isinstance(value, list):
        for inner in value:
            yield from named(inner, *keys)


def test_every_artefact_is_valid_fhir(artefacts: Artefacts) -> None:
    found = [*artefacts, artefacts.capabilities(), artefacts.search("Library", f"{BASE}/fhir/Library/muscle-twitching")]
    assert {one["resourceType"]: fhir.faults(one) for one in found if fhir.faults(one)} == {}
    assert {one["resourceType"] for one in artefacts} == {
        "ValueSet", "CodeSystem", "ConceptMap", "Questionnaire", "ActivityDefinition", "PlanDefinition", "Library",
    }  # fmt: skip


def test_every_artefact_is_a_draft_with_the_version_and_the_date_of_the_content(
    artefacts: Artefacts, knowledge: Any
) -> None:
    day = str(knowledge.written.plain["about.yaml"]["changes"][0]["date"])
    for one in artefacts:
        assert (one["status"], one["experimental"], one["version"]) == ("draft", True, knowledge.version)
        assert "not clinically approved" in one["description"]
        assert one.get("date", day) == day


def test_every_address_that_an_artefact_names_is_one_of_ours(artefacts: Artefacts) -> None:
    ours = {one["url"] for one in artefacts} | {f"{one['url']}|{one['version']}" for one in artefacts}
    told = set()
    for one in artefacts:
        told |= set(named(one, "definitionCanonical", "reference", "resource"))
        told |= {address for library in named(one, "library") for address in library}
        told |= {group["source"] for group in one.get("group", ())}
    assert len(told) > 600 and told <= ours


def test_every_code_of_our_own_is_in_our_code_system(artefacts: Artefacts) -> None:
    system = artefacts.read("CodeSystem", "local-codes")
    assert system
    codes = [concept["code"] for concept in system["concept"]]
    assert len(codes) == len(set(codes)) == system["count"]
    used = {coding["code"] for one in artefacts for coding in local_codings(one)}
    assert used and used <= set(codes)


def test_the_plan_has_an_action_for_each_card_with_its_condition_in_words_and_as_an_expression(
    artefacts: Artefacts, knowledge: Any
) -> None:
    actions = plan(artefacts)["action"]
    assert [action["id"] for action in actions] == sorted(knowledge.cards)
    for action in actions:
        assert action["trigger"] == [{"type": "named-event", "name": "patient-view"}]
        assert any(one["type"] in ("citation", "justification") for one in action["documentation"])
        (condition,) = action["condition"]
        told = condition["expression"]
        assert told["description"].startswith("all of: (charted muscle twitching; ")
        assert named_in(json.loads(told["expression"])) <= set(knowledge.findings)


def test_an_action_is_held_back_by_what_suppresses_its_card_and_its_orders(
    artefacts: Artefacts, knowledge: Any
) -> None:
    action = next(one for one in plan(artefacts)["action"] if one["id"] == "TW16")
    shown = json.loads(action["condition"][0]["expression"]["expression"])
    card = knowledge.written.cards["TW16"]
    reasons = [{"not_present": one["when"]} for one in card["suppressed_when"]]
    assert len(reasons) == 2 and shown == {"all": ["twitch_current", card["when"], *reasons]}
    orders = [one for listed in named(plan(artefacts), "action") for one in listed]
    emg = [one for one in orders if one.get("title", "").startswith("needle EMG")]
    assert emg and all("emg_valid" in one["condition"][0]["expression"]["expression"] for one in emg)


def test_each_order_is_defined_as_it_is_written(artefacts: Artefacts) -> None:
    order = artefacts.read("ActivityDefinition", "EMG-NCS-1")
    assert order and order["kind"] == "ServiceRequest" and order["code"]["text"] == "Needle electromyography"
    assert order["code"]["coding"][0]["code"] == "18749-2"
    assert order["relatedArtifact"][0]["label"] == "aanem-choosing-wisely"


def test_a_value_set_lists_codes_branches_and_what_a_branch_leaves_out(artefacts: Artefacts) -> None:
    twitching = artefacts.read("ValueSet", "fasciculation")
    assert twitching
    (snomed,) = [part for part in twitching["compose"]["include"] if part["system"] == "http://snomed.info/sct"]
    assert {"code": "82470000", "display": "Muscle fasciculation"} in snomed["concept"]
    branches = [part["filter"][0]["value"] for part in twitching["compose"]["include"] if "filter" in part]
    assert "R25.3" in branches
    every = [branch["value"] for one in artefacts for part in named(one, "filter") for branch in part]
    assert len(every) > 700 and not [value for value in every if not value[-1].isalnum()]
    assert "SNOMED International" in twitching["copyright"]
    assert any("exclude" in one["compose"] for one in artefacts if one["resourceType"] == "ValueSet")


def test_units_are_mapped_to_ucum_and_what_is_no_equal_says_so(artefacts: Artefacts) -> None:
    units = artefacts.read("ConceptMap", "units-to-ucum")
    assert units
    told = {one["code"]: one["target"][0] for one in units["group"][0]["element"]}
    assert told["mmol/l"] == {"code": "mmol/L", "equivalence": "equal"}
    assert told["ml/min"]["equivalence"] == "inexact" and told["ml/min"]["comment"]


def test_the_library_holds_the_findings_that_the_conditions_name(artefacts: Artefacts, knowledge: Any) -> None:
    library = artefacts.read("Library", "muscle-twitching")
    assert library
    told = json.loads(base64.b64decode(library["content"][0]["data"]))
    assert set(told["findings"]) == set(knowledge.written.findings)
    assert set(told["analytes"]) == {row["id"] for row in knowledge.written.analytes}
    templates = prefetch_templates(date(2026, 6, 15)).values()
    assert set(RESOURCES) == {template.partition("?")[0].partition("/")[0] for template in templates}


def test_the_same_content_gives_the_same_bytes(artefacts: Artefacts, knowledge: Any) -> None:
    assert dict(artefacts.files()) == dict(Artefacts(knowledge, BASE).files())


def test_without_an_address_of_our_own_the_artefacts_have_one_that_belongs_to_nobody(knowledge: Any) -> None:
    library = Artefacts(knowledge, "").read("Library", "muscle-twitching")
    assert library and library["url"] == "https://example.org/fhir/Library/muscle-twitching"
