"""Stories of invented patients give the outcome that was written by hand beside them."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cds_service.assess import ChartSource, assess
from cds_service.clinical.assessment import Assessment
from cds_service.clinical.workup import PRIORITIES, priority_given
from cds_service.intake.prefetch import whole_record
from cds_service.response.cards import Issuer, Recipient, write_cards
from tests.conftest import FIXTURES, pages, read_page


def outcome_of(page: Path, told: Any, knowledge: Any, reading: Any) -> tuple[Assessment, list[dict[str, Any]]]:
    """Assess the record beside a page as its day and its unanswered queries say."""
    bundle = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    found = whole_record(bundle)
    found.answered -= set(told.get("unanswered", ()))
    patient = next(e["resource"]["id"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")
    as_of = told["as_of"] if isinstance(told["as_of"], date) else date.fromisoformat(told["as_of"])
    source = ChartSource(found, told.get("patient", patient), told.get("encounter", ""))
    assessment = assess(source, knowledge, reading, as_of).assessment
    issuer = Issuer(b"only-for-these-tests", fixed_random=0)
    return assessment, write_cards(assessment, Recipient(patient), issuer, reading.codes)


@pytest.mark.parametrize("page", [*pages("records"), *pages("quiet"), *pages("shapes")])
def test_a_record_gives_the_outcome_its_page_expects(page: Path, knowledge: Any, reading: Any) -> None:
    told = read_page(page)
    assessment, cards = outcome_of(page, told, knowledge, reading)
    expected = told["expect"]
    if "cards" in expected:
        shown = [{"card": card.name, "indicator": card.indicator} for card in assessment.cards]
        assert shown == expected["cards"], assessment.silent_because
    suggestions = [suggestion for card in assessment.cards for suggestion in card.plan.suggestions]
    labels = {order.investigation.id for suggestion in suggestions for order in suggestion.orders}
    for order in expected.get("orders", ()):
        label, _, priority = order.partition("/")
        given = priority_given(knowledge.investigations[label], suggestions)
        assert given and PRIORITIES.index(given) >= PRIORITIES.index(priority or given), (order, given)
    assert not labels & set(expected.get("must_not_order", ()))
    text = "\n".join(f"{card['summary']}\n{card['detail']}" for card in cards).replace("\\", "").lower()
    assert not [words for words in expected.get("says", ()) if str(words).lower() not in text], text
    assert not [words for words in expected.get("never_says", ()) if str(words).lower() in text]
    facts = expected.get("facts") or {}
    assert {name: assessment.case[name].presence.value for name in facts} == facts


def test_no_two_stories_are_about_one_patient() -> None:
    # Side by side in a review, the second would be left out. A quiet patient and the twin are meant to be one.
    texts = [page.read_text(encoding="utf-8") for page in sorted((FIXTURES / "records").glob("*.json"))]
    entries = (e["resource"] for text in texts for e in json.loads(text)["entry"])
    ids = [resource["id"] for resource in entries if resource["resourceType"] == "Patient"]
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("page", [p for p in pages("quiet") if not p.id.endswith("-twin")])
def test_a_quiet_patient_has_a_twin_who_is_not(page: Path) -> None:
    twin = read_page(page.with_name(f"{page.stem}-twin.yaml"))
    assert read_page(page)["expect"]["cards"] == []
    assert twin["expect"]["cards"]


def test_a_value_is_named_by_its_test_and_a_duration_by_its_finding(knowledge: Any, reading: Any) -> None:
    page = FIXTURES / "records" / "EX07-thiazide-ppi-low-k-mg.yaml"
    _, cards = outcome_of(page, read_page(page), knowledge, reading)
    assert "for: potassium 2.9 mmol/L" in cards[0]["detail"]
    assert "below 3.5 mmol/L 2.9" not in cards[0]["detail"]


@pytest.mark.parametrize(
    "name", ["EX04-hand-weakness-wasting-brisk-legs", "EX07-thiazide-ppi-low-k-mg", "TW23-brother-with-als"]
)
def test_a_source_stands_behind_its_line_and_in_one_list(name: str, knowledge: Any, reading: Any) -> None:
    page = FIXTURES / "records" / f"{name}.yaml"
    _, cards = outcome_of(page, read_page(page), knowledge, reading)
    for card in cards:
        lines, _, listed = card["detail"].partition("**Sources**")
        behind = set(re.findall(r"\*\(([^*]+)\)\*$", lines, flags=re.M))
        links = [link["label"] for link in card["links"]]
        assert len(links) == len(set(links))
        assert set(links) <= behind
        assert all(source in links or source in listed for source in behind)
        assert not [label for label in links if label in listed]
        assert card["source"]["label"] in behind
