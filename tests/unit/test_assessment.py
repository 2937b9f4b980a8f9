"""What becomes of each card: shown, merged, held back; and what a site may set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from cds_service.clinical.assessment import (
    EMERGENCY,
    Policy,
    _facts,
    fingerprint,
    leading_tier,
    open_asks,
    reason,
    trigger,
)
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.knowledge import Asked, Hypothesis, NoCardRule, Term
from cds_service.clinical.ranking import Shown
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


def test_a_dismissed_card_stays_away_and_no_other_takes_its_place(knowledge: Any, reading: Any) -> None:
    chart = case_of(LOW_POTASSIUM, knowledge, reading).chart
    every = reason(chart, TODAY, knowledge)
    assert len(every.cards) > 1
    asked: list[dict[str, str]] = []

    def dismiss_the_first(facts: Any) -> set[str]:
        asked.append(dict(facts))
        return {next(iter(facts))}

    left = reason(chart, TODAY, knowledge, dismissed=dismiss_the_first)
    assert asked == [{card.name: card.facts for card in every.cards}]
    assert [card.name for card in left.cards] == [card.name for card in every.cards[1:]]
    told = outcomes(left)
    assert told["TW13"] == told["TW18"] == "held back: N7: dismissed lately for the same facts"
    none = reason(chart, TODAY, knowledge, dismissed=lambda facts: set(facts))
    assert (none.cards, none.silent_because) == ((), "N7: dismissed lately for the same facts")


def test_the_tests_of_a_dismissed_card_are_asked_for_on_the_next(knowledge: Any, reading: Any) -> None:
    chart = case_of(LOW_POTASSIUM, knowledge, reading).chart
    every, left = (
        reason(chart, TODAY, knowledge),
        reason(chart, TODAY, knowledge, dismissed=lambda facts: {"TW13+TW18"}),
    )
    before, after = (
        sum(len(o.items) for c in one.cards if c.name != "TW13+TW18" for s in c.plan.suggestions for o in s.orders)
        for one in (every, left)
    )
    assert after > before


CORD = [
    {"twitch": "60 days ago", "site": "left hand"},
    {"exam": "babinski", "value": "yes", "on": "5 days ago"},
    {"exam": "clonus", "value": "yes", "on": "5 days ago"},
]
CORE = [{"order": f"order_{test}", "on": "3 days ago"} for test in ("cmp", "phosphate", "magnesium", "tsh", "ck")]
CORD_TESTS = [{"order": f"order_{test}", "on": "3 days ago"} for test in ("mri_cspine", "neurology_referral", "b12")]
ORDERED = "held back: N8: every test it would suggest is already ordered"


def test_a_card_whose_every_test_is_ordered_gives_way(knowledge: Any, reading: Any) -> None:
    every, most, none = (outcomes(assessed([*CORD, *orders], knowledge, reading)) for orders in (CORE, CORE[1:], []))
    assert (every["TW17"], most["TW17"], none["TW17"]) == (ORDERED, "shown", "shown")
    assert every["TW10"] == every["TW24"] == "shown"
    # It still has questions to put.
    assert outcomes(assessed([*CORD, *CORD_TESTS], knowledge, reading))["TW10"] == "shown"
    silent = replace(knowledge, cards={i: structs.replace(card, asks=()) for i, card in knowledge.cards.items()})
    assert outcomes(assessed([*CORD, *CORD_TESTS], silent, reading))["TW10"] == ORDERED
    assert outcomes(assessed([*CORD, *CORD_TESTS[1:]], silent, reading))["TW10"] == "shown"


def test_what_a_card_asks_for_is_what_the_chart_leaves_open(knowledge: Any, reading: Any) -> None:
    card = structs.replace(
        knowledge.cards["TW13"],
        asks=(Asked("babinski"), Asked("atrophy"), Asked("clonus", compile_formula("hoffmann")), Asked("babinski")),
    )
    other = structs.replace(card, asks=(Asked("spasticity"), Asked("atrophy")))
    for facts, open_ in (
        ({}, ["babinski", "atrophy", "spasticity"]),
        ({"hoffmann": "present"}, ["babinski", "atrophy", "clonus", "spasticity"]),
        ({"babinski": "absent", "atrophy": "present"}, ["spasticity"]),
    ):
        assert list(open_asks([card, other], case_of(facts, knowledge, reading))) == open_


@pytest.mark.parametrize(
    ("facts", "fires"),
    [({}, ("unknown", "")), ({"atrophy": "absent"}, ("absent", "")), ({"atrophy": "present"}, ("present", "info")),
     ({"atrophy": "present", "babinski": "present"}, ("present", "critical"))],
)  # fmt: skip
def test_how_loudly_a_card_fires(facts: Any, fires: tuple[str, str], knowledge: Any, reading: Any) -> None:
    levels = ((compile_formula("babinski"), "critical"), (compile_formula("clonus"), "warning"), (None, "info"))
    card = structs.replace(knowledge.cards["TW13"], when=compile_formula("atrophy"), indicator=levels)
    presence, level = trigger(card, case_of(facts, knowledge, reading))
    assert (presence.value, level) == fires


def test_only_emergency_cards_are_switched_off_with_the_emergency_tier(knowledge: Any, reading: Any) -> None:
    chest = [{"twitch": "40 days ago"}, {"problem": "left leg weakness", "onset": "1 day ago"},
             {"symptom": "muscle_weakness", "value": "yes", "on": "today"}, *CRITICAL_POTASSIUM[1:]]  # fmt: skip
    on, off = (assessed(chest, knowledge, reading, emergency_tier=tier) for tier in (True, False))
    held = {card for card, outcome in outcomes(off).items() if outcome.endswith("switched off by this site")}
    fired = set(outcomes(on))
    assert held == fired & set(EMERGENCY)


EYELID = {"twitch": "40 days ago", "site": "left lower eyelid"}


def test_no_benign_card_stands_where_a_graver_one_is_switched_off(knowledge: Any, reading: Any) -> None:
    record = [EYELID, *CRITICAL_POTASSIUM[1:]]
    told = outcomes(assessed(record, knowledge, reading, cards_off=frozenset({"TW05"})))
    assert told["TW21"] == "held back: a more serious card is switched off by this site"
    assert outcomes(assessed(record, knowledge, reading))["TW21"] == "held back: TW05 comes first"
    # A card that is off and does not fire hides nothing.
    assert outcomes(assessed([EYELID], knowledge, reading, cards_off=frozenset({"TW05"})))["TW21"] == "shown"


def test_a_card_behind_a_dismissed_one_is_held_back_without_a_name(knowledge: Any, reading: Any) -> None:
    chart = case_of(CRITICAL_POTASSIUM, knowledge, reading).chart
    told = outcomes(reason(chart, TODAY, knowledge, dismissed=lambda facts: set(facts)))
    assert told["TW17"] == told["TW24"] == "held back"


@pytest.mark.parametrize(("alone", "shown"), [(False, ["TW05"]), (True, ["TW05", "TW18"])])
def test_a_rule_of_silence_may_hold_only_while_nothing_it_lets_through_fires(
    alone: bool, shown: list[str], knowledge: Any, reading: Any
) -> None:
    rule = NoCardRule("NX", "quiet", compile_formula("twitch_current"), frozenset({"TW05"}), alone)
    known = replace(knowledge, no_card_rules=(rule,))
    critical = assessed(CRITICAL_POTASSIUM, known, reading)
    assert [card.name for card in critical.cards] == shown
    assert bool(critical.rules) is not alone
    low = assessed(LOW_POTASSIUM, known, reading)
    assert (low.cards, low.silent_because) == ((), "NX: quiet")
    never = structs.replace(rule, when=compile_formula("babinski"))
    assert assessed(LOW_POTASSIUM, replace(knowledge, no_card_rules=(never,)), reading).cards


def test_the_first_card_names_the_causes_of_the_hidden_ones(knowledge: Any, reading: Any) -> None:
    term = Term(compile_formula("twitch_current"), ("twitch_current",))
    causes = tuple(Hypothesis(name, name, ((None, "S"),), (term,), ()) for name in ("HA", "HB", "HC"))
    own = {"TW05": ("HA",), "TW17": ("HB",), "TW18": ("HC",)}
    cards = {i: structs.replace(card, hypotheses=own.get(i, ())) for i, card in knowledge.cards.items()}

    def named(content: Any) -> dict[str, list[str]]:
        found = assessed(CRITICAL_POTASSIUM, content, reading).cards
        return {card.name: [one.hypothesis.id for one in card.hypotheses] for card in found}

    known = replace(knowledge, cards=cards, hypotheses=causes)
    assert named(known) == {"TW05": ["HA", "HB"], "TW18": ["HC"]}
    # A card without any of its own may name each.
    bare = replace(known, cards={**cards, "TW05": structs.replace(cards["TW05"], hypotheses=())})
    assert named(bare)["TW05"] == ["HA", "HB", "HC"]


def test_only_a_hidden_card_with_facts_of_its_own_is_a_new_fact(knowledge: Any, reading: Any) -> None:
    case = case_of({"k_low": "present"}, knowledge, reading)
    shown, alone = (Shown(("TW05",), "critical"),), {"TW05": "critical"}
    facts = _facts(shown, alone, case)
    assert facts == _facts(shown, {**alone, "TW17": "info"}, case) == _facts(shown, {**alone, "TW22": "info"}, case)
    assert facts != _facts(shown, {**alone, "TW13": "info"}, case)
    assert list(facts) == ["TW05"]


def test_two_facts_are_told_apart_by_their_values_and_not_by_their_dates(knowledge: Any, reading: Any) -> None:
    def facts(value: float, on: str) -> str:
        record = [*LOW_POTASSIUM[:2], {"lab": "potassium", "value": value, "unit": "mmol/L", "on": on}]
        return fingerprint([knowledge.cards["TW13"]], "info", case_of(record, knowledge, reading))

    assert facts(3.2, "3 days ago") == facts(3.2, "2 days ago") != facts(3.3, "3 days ago")
