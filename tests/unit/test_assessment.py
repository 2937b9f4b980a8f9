"""What becomes of each card: shown, merged, held back; and what a site may set."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.clinical.assessment import Policy, fingerprint, leading_tier, reason
from cds_service.worked_examples import case_of
from tests.conftest import TODAY

FRESH = [{"twitch": "5 days ago", "site": "left lower eyelid"}]
LOW_POTASSIUM = [
    {"twitch": "40 days ago", "site": "left calf"},
    {"medicine": "hydrochlorothiazide 25 mg tablet", "since": "1100 days ago"},
    {"lab": "potassium", "value": 3.2, "unit": "mmol/L", "on": "3 days ago"},
]
CRITICAL_POTASSIUM = [*LOW_POTASSIUM, {"lab": "potassium", "value": 2.4, "unit": "mmol/L", "on": "2 days ago"}]


def assessed(sketches: Any, knowledge: Any, reading: Any, **policy: Any) -> Any:
    return reason(case_of(sketches, knowledge, reading).chart, TODAY, knowledge, Policy(**policy))


def outcomes(assessment: Any) -> dict[str, str]:
    return {rung.card.id: rung.outcome for rung in assessment.ladder if rung.outcome != "not triggered"}


def test_a_closed_gate_weighs_nothing_and_says_why(knowledge: Any, reading: Any) -> None:
    nothing = assessed([], knowledge, reading)
    ended = assessed([{"problem": "R25.3", "onset": "90 days ago", "status": "resolved"}], knowledge, reading)
    assert nothing.differential == () == ended.differential
    assert nothing.silent_because == "No muscle twitching is charted."
    assert "has ended or was ruled out" in ended.silent_because


@pytest.mark.parametrize(("under", "shown"), [(0, ["TW21"]), (5, ["TW21"]), (6, [])])
def test_a_site_may_keep_fresh_twitching_quiet(under: int, shown: list[str], knowledge: Any, reading: Any) -> None:
    assessment = assessed(FRESH, knowledge, reading, quiet_under_days=under)
    assert [card.name for card in assessment.cards] == shown
    assert all(card.short and not card.plan.suggestions for card in assessment.cards)
    assert shown or assessment.silent_because == "this site keeps fresh twitching quiet"


def test_the_medicine_that_explains_a_result_is_merged_into_its_card(knowledge: Any, reading: Any) -> None:
    assessment = assessed(LOW_POTASSIUM, knowledge, reading)
    told = outcomes(assessment)
    assert (told["TW13"], told["TW18"]) == ("shown", "merged into TW13")
    assert assessment.cards[0].name == "TW13+TW18"


def test_a_card_behind_a_graver_one_says_which(knowledge: Any, reading: Any) -> None:
    told = outcomes(assessed(CRITICAL_POTASSIUM, knowledge, reading))
    assert told["TW05"] == "shown"
    assert told["TW17"] == told["TW24"] == "held back: TW05 comes first"


def test_a_card_that_a_site_has_switched_off_leaves_its_facts_and_hides_the_benign_ones(
    knowledge: Any, reading: Any
) -> None:
    assessment = assessed(CRITICAL_POTASSIUM, knowledge, reading, cards_off=frozenset({"TW05"}))
    assert outcomes(assessment)["TW05"] == "held back: switched off by this site"
    assert "critical_lab" in {finding.id for finding in assessment.unspoken}
    assert not assessed(CRITICAL_POTASSIUM, knowledge, reading).unspoken


@pytest.mark.parametrize(
    ("sketches", "tier"), [([], ""), (FRESH, "T7"), (LOW_POTASSIUM, "T4"), (CRITICAL_POTASSIUM, "T1")]
)
def test_the_tier_of_the_first_card(sketches: Any, tier: str, knowledge: Any, reading: Any) -> None:
    chart = case_of(sketches, knowledge, reading).chart
    assert leading_tier(chart, TODAY, knowledge) == tier
    cards = reason(chart, TODAY, knowledge).cards
    assert (knowledge.cards[cards[0].cards[0].id].tier if cards else "") == tier


def test_a_caution_stands_only_on_a_card_that_names_its_test(knowledge: Any, reading: Any) -> None:
    weak_hand = [
        {"twitch": "60 days ago", "site": "right hand"},
        {"power": "right thumb abduction", "grade": 4, "on": "5 days ago"},
        {"exam": "muscle_atrophy", "value": "yes", "on": "5 days ago", "site": "right hand"},
    ]
    pacemaker = {"device": "heart_pacemaker"}
    told = [card for card in assessed([*weak_hand, pacemaker], knowledge, reading).cards if card.cautions]
    assert "emg-heart-device" in {caution.id for card in told for caution in card.cautions}
    assert all(caution.about & card.plan.investigations for card in told for caution in card.cautions)
    assert not any(card.cautions for card in assessed([*LOW_POTASSIUM, pacemaker], knowledge, reading).cards)


def test_the_facts_behind_a_card_are_its_findings_its_indicator_and_the_cards_it_hides(
    knowledge: Any, reading: Any
) -> None:
    card = knowledge.cards["TW13"]
    low, normal = (case_of({"k_low": presence}, knowledge, reading) for presence in ("present", "absent"))
    facts = fingerprint([card], "warning", low)
    assert facts == fingerprint([card], "warning", case_of({"k_low": "present"}, knowledge, reading), hidden={})
    assert facts != fingerprint([card], "warning", normal)
    assert facts != fingerprint([card], "info", low)
    assert facts != fingerprint([card], "warning", low, hidden={"TW18": "info"})
