"""The rules of ranking, written down once more as sentences, against many thousands of sets of cards."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

import pytest

from cds_service.clinical import assessment
from cds_service.clinical.assessment import reason
from cds_service.clinical.chart import Chart, Patient
from cds_service.clinical.ranking import Circumstances, Shown, rank
from cds_service.worked_examples import GivenFacts
from tests.conftest import TODAY

# The ladder, in each tier the preferred card first; TW17, TW24 and TW25 lie over it.
LADDER = {
    "T0": ["TW01", "TW02", "TW03", "TW04"],
    "T1": ["TW05"],
    "T2": ["TW26", "TW06", "TW28", "TW07", "TW08"],
    "T3": ["TW10", "TW11", "TW09", "TW12"],
    "T4": ["TW13", "TW14", "TW15", "TW16"],
    "T5": ["TW19", "TW18"],
    "T6": ["TW20"],
    "T7": ["TW23", "TW21", "TW22", "TW27"],
    "overlay": ["TW25", "TW17", "TW24"],
}
TIER_OF = {card: tier for tier, cards in LADDER.items() for card in cards}
SEVERITY = {"info": 0, "warning": 1, "critical": 2}


class Ranked(NamedTuple):
    """One answer of the ranking: what fired, what it was told, and what it showed."""

    fired: dict[str, str]
    now: Circumstances
    shown: tuple[Shown, ...]

    @property
    def ids(self) -> list[str]:
        return [card for one in self.shown for card in one.ids]

    def fired_of(self, *tiers: str) -> list[str]:
        return [card for tier in tiers for card in LADDER[tier] if card in self.fired]

    def shown_of(self, *tiers: str) -> list[str]:
        return [card for card in self.ids if TIER_OF[card] in tiers]

    @property
    def emergency(self) -> bool:
        return any(self.fired[card] == "critical" for card in self.fired_of("T0"))

    @property
    def soft(self) -> bool:
        return not self.emergency and self.fired.get("TW01") == "warning"

    @property
    def bloods_for_a_cause(self) -> bool:
        """TW17 in its context form stands for the missing result, and ranks as T4."""
        return self.now.core_bloods_for_a_cause and "TW17" in self.fired and not self.fired_of("T4")

    def only_from(self, tier: str) -> bool:
        """The highest tier that fired, a soft sign aside, is this one."""
        above = list(LADDER)[: list(LADDER).index(tier)]
        higher = [card for card in self.fired_of(*above) if card != "TW01"]
        return not self.emergency and not higher and bool(self.fired_of(tier))

    @property
    def room(self) -> bool:
        return len(self.shown) < 3

    def place(self, one: Shown) -> int:
        if TIER_OF[one.ids[0]] == "overlay" and one.ids == ("TW17",) and self.bloods_for_a_cause:
            return list(LADDER).index("T4")
        return list(LADDER).index(TIER_OF[one.ids[0]])


Rule = Callable[[Ranked], bool]
RULES: dict[str, Rule] = {}


def rule(sentence: str) -> Callable[[Rule], Rule]:
    def note(predicate: Rule) -> Rule:
        RULES[sentence] = predicate
        return predicate

    return note


@rule("never more than three cards")
def _(it: Ranked) -> bool:
    return len(it.shown) <= 3


@rule("only cards that fired are shown, and each once")
def _(it: Ranked) -> bool:
    return len(it.ids) == len(set(it.ids)) and set(it.ids) <= set(it.fired)


@rule("something that fired is always shown")
def _(it: Ranked) -> bool:
    return bool(it.shown) or not it.fired


@rule("1: beside a critical emergency card stand one more of them and the critical result, nothing else")
def _(it: Ranked) -> bool:
    if not it.emergency:
        return True
    critical = [card for card in it.fired_of("T0") if it.fired[card] == "critical"]
    return it.ids == [*critical[:2], *it.fired_of("T1")]


@rule("2: a soft sign leads, behind a critical result only")
def _(it: Ranked) -> bool:
    lead = ["TW05", "TW01"] if it.fired.get("TW05") == "critical" else ["TW01"]
    return not it.soft or it.ids[: len(lead)] == lead


@rule("2: a soft sign removes benign cards and nothing else, as far as there is room")
def _(it: Ranked) -> bool:
    if not it.soft:
        return True
    without = {card: level for card, level in it.fired.items() if card != "TW01" and TIER_OF[card] != "T7"}
    alone = list(rank(without, it.now))
    rest = [one for one in it.shown if one.ids != ("TW01",)]
    return set(rest) <= set(alone) and (it.room is False or rest == alone)


@rule("3: a critical result leads, with at most one card of weakness and one of medicines")
def _(it: Ranked) -> bool:
    if not it.only_from("T1"):
        return True
    weak, medicine = it.shown_of("T2"), it.shown_of("T5")
    others = [card for card in it.ids if card not in ("TW05", "TW01", *weak, *medicine)]
    return (
        it.ids[0] == ("TW01" if "TW01" in it.fired and it.fired["TW05"] == "warning" else "TW05")
        and not others
        and weak == it.fired_of("T2")[:1]
        and (medicine == it.fired_of("T5")[:1] or (not it.room and not medicine))
    )


@rule("4: exactly one card of weakness, the most telling one")
def _(it: Ranked) -> bool:
    return not it.only_from("T2") or it.shown_of("T2") == it.fired_of("T2")[:1]


@rule("4: beside weakness a place is shown only when the lead has no imaging of its own, and then second")
def _(it: Ranked) -> bool:
    if not it.only_from("T2"):
        return True
    imaged_by_another = it.fired_of("T2")[0] in ("TW07", "TW08", "TW26")
    return it.shown_of("T3") == (it.fired_of("T3")[:1] if imaged_by_another else [])


@rule("4: else a correctable cause, else a medicine takes the second place beside weakness")
def _(it: Ranked) -> bool:
    if not it.only_from("T2") or it.shown_of("T3"):
        return True
    second = [card for card in it.ids if TIER_OF[card] in ("T4", "T5", "T6") or card == "TW17"]
    if it.fired_of("T4"):
        return set(second) >= set(it.fired_of("T4")) and not set(second) & {"TW17", "TW19", "TW20"}
    if it.bloods_for_a_cause:
        return second == ["TW17"]
    return second == it.fired_of("T5")[:1]


@rule("4: core bloods are absorbed by weakness, save where they are asked for a cause")
def _(it: Ranked) -> bool:
    return not it.only_from("T2") or "TW17" not in it.ids or it.bloods_for_a_cause


@rule("5: exactly one place leads, the most telling one")
def _(it: Ranked) -> bool:
    return not it.only_from("T3") or it.shown_of("T3") == it.fired_of("T3")[:1]


@rule("5: a correctable cause, else a medicine, else nerve hyperexcitability stands second beside a place")
def _(it: Ranked) -> bool:
    if not it.only_from("T3"):
        return True
    second = [card for card in it.ids if TIER_OF[card] in ("T4", "T5", "T6")]
    if it.fired_of("T3")[0] == "TW11" and it.now.hyperexcitability_outranks_face and it.fired_of("T6"):
        return second == ["TW20"]
    if it.fired_of("T4"):
        return set(second) >= set(it.fired_of("T4")) and not set(second) & {"TW19", "TW20"}
    if it.bloods_for_a_cause:
        return "TW17" in it.ids and not second
    return second == it.fired_of("T5", "T6")[:1]


@rule("5: core bloods stand beside a lone place that is not a neuropathy")
def _(it: Ranked) -> bool:
    if not it.only_from("T3") or it.bloods_for_a_cause or "TW17" not in it.fired:
        return True
    if it.fired_of("T3")[0] == "TW12":
        return "TW17" not in it.ids
    alone = not it.fired_of("T4", "T5", "T6")
    crowded_out = it.soft and "TW24" in it.fired
    return not alone or crowded_out or "TW17" in it.ids


@rule("6: abnormal results are one card")
def _(it: Ranked) -> bool:
    merged = [one for one in it.shown if any(TIER_OF[card] == "T4" for card in one.ids)]
    return not merged or (len(merged) == 1 and set(it.fired_of("T4")) <= set(merged[0].ids))


@rule("6: the medicine that explains the result joins it; nothing else is ever joined")
def _(it: Ranked) -> bool:
    for one in it.shown:
        if any(TIER_OF[card] == "T4" for card in one.ids):
            joined = {"TW18"} if it.now.drug_explains_lab and "TW18" in it.fired else set()
            if {card for card in one.ids if TIER_OF[card] != "T4"} != joined:
                return False
        elif len(one.ids) > 1:
            return False
    return True


@rule("6: a joined card is as severe as its worst part, and is named after it")
def _(it: Ranked) -> bool:
    return all(
        one.indicator == max((it.fired[card] for card in one.ids), key=SEVERITY.__getitem__)
        and (it.fired[one.ids[0]] == one.indicator or one.ids[-1] == "TW18")
        for one in it.shown
    )


@rule("6: core bloods stand beside a lone cause or medicine, never beside nerve hyperexcitability")
def _(it: Ranked) -> bool:
    if it.fired_of("T0", "T1", "T2", "T3") or it.bloods_for_a_cause or not it.fired_of("T4", "T5", "T6"):
        return True
    return ("TW17" in it.ids) is ("TW17" in it.fired and not it.fired_of("T6") and _is_lone(it))


def _is_lone(it: Ranked) -> bool:
    return sum(TIER_OF[one.ids[0]] in ("T4", "T5") for one in it.shown) == 1


@rule("7: at most one benign card, the most telling one")
def _(it: Ranked) -> bool:
    return it.shown_of("T7") in ([], it.fired_of("T7")[:1])


@rule("7: with nothing above it, one benign card leads; a mimic takes its place")
def _(it: Ranked) -> bool:
    if it.fired_of("T0", "T1", "T2", "T3", "T4", "T5", "T6") or it.bloods_for_a_cause:
        return True
    wanted = ["TW25"] if "TW25" in it.fired else it.fired_of("T7")[:1]
    return [card for card in it.ids if card == "TW25" or TIER_OF[card] == "T7"] == wanted


@rule("8: no benign card beside an emergency, a critical result, weakness or a place")
def _(it: Ranked) -> bool:
    return not (it.shown_of("T7") and it.fired_of("T0", "T1", "T2", "T3"))


@rule("8: the more severe card first, then the higher tier; questions last")
def _(it: Ranked) -> bool:
    def order(one: Shown) -> tuple[bool, int, int]:
        place = it.place(one)
        face_leads = it.only_from("T3") and it.fired_of("T3")[0] == "TW11"
        if it.now.hyperexcitability_outranks_face and face_leads and one.ids == ("TW20",):
            place = list(LADDER).index("T3") - 1
        return one.ids == ("TW24",), -SEVERITY[one.indicator], place

    return [order(one) for one in it.shown] == sorted(order(one) for one in it.shown)


@rule("8: the lead is never less severe than another card, questions alone excepted")
def _(it: Ranked) -> bool:
    return all(SEVERITY[it.shown[0].indicator] >= SEVERITY[one.indicator] for one in it.shown)


@rule("questions are asked while there is room and nothing critical leads")
def _(it: Ranked) -> bool:
    if "TW24" not in it.fired or it.emergency or "TW05" in it.fired:
        return "TW24" not in it.ids
    return "TW24" in it.ids or not it.room


@rule("the questions win the last place against core bloods")
def _(it: Ranked) -> bool:
    bloods = "TW17" in it.ids and not it.bloods_for_a_cause
    return not (bloods and "TW24" in it.fired) or "TW24" in it.ids


@rule("the worst card that fired is shown")
def _(it: Ranked) -> bool:
    # Content fires no critical card outside T0 and T1; among warnings the ladder decides.
    levels = [SEVERITY[level] for level in it.fired.values()]
    return max(levels) < 2 or SEVERITY[it.shown[0].indicator] == 2


def _levels(knowledge: Any) -> dict[str, list[str]]:
    """The indicators that the content gives each card."""
    return {card.id: [level for _, level in card.indicator] for card in knowledge.cards.values()}


def _every_small_set(levels: dict[str, list[str]]) -> Iterator[tuple[dict[str, str], Circumstances]]:
    told = [Circumstances(a, b, c) for a in (False, True) for b in (False, True) for c in (False, True)]
    for size in (1, 2, 3):
        for position, cards in enumerate(combinations(sorted(levels), size)):
            for turn, now in enumerate(told) if size < 3 else [(position // 8, told[position % 8])]:
                yield {card: levels[card][(position + turn) % len(levels[card])] for card in cards}, now


def _larger_sets(levels: dict[str, list[str]], count: int) -> Iterator[tuple[dict[str, str], Circumstances]]:
    chance = random.Random(20260615)
    for _ in range(count):
        cards = chance.sample(sorted(levels), chance.choice((4, 4, 5, 5, 6, 7, 9, 14)))
        if chance.random() < 0.5:
            # Half of them without the cards of the two highest tiers that hide all others.
            cards = [card for card in cards if TIER_OF[card] not in ("T0", "T1")] + ["TW01"] * chance.randint(0, 1)
        yield (
            {card: chance.choice(levels[card]) for card in cards},
            Circumstances(*(chance.random() < 0.5 for _ in range(3))),
        )


@pytest.fixture(scope="module")
def ranked(knowledge: Any) -> list[Ranked]:
    levels = _levels(knowledge)
    sets = [*_every_small_set(levels), *_larger_sets(levels, 8_000)]
    return [Ranked(fired, now, rank(fired, now)) for fired, now in sets if fired]


def test_the_ladder_of_this_test_is_the_ladder_of_the_content(knowledge: Any) -> None:
    assert {card.id: card.tier for card in knowledge.cards.values()} == TIER_OF


@pytest.mark.parametrize("sentence", RULES)
def test_rule(sentence: str, ranked: list[Ranked]) -> None:
    broken = [it for it in ranked if not RULES[sentence](it)]
    smallest = min(broken, key=lambda it: len(it.fired), default=None)
    assert smallest is None, f"{len(broken)} of {len(ranked)} sets"


def test_the_order_in_which_cards_fire_does_not_matter(ranked: list[Ranked]) -> None:
    for it in ranked[::7]:
        assert rank(dict(reversed(it.fired.items())), it.now) == it.shown


# --- the same rules over the whole reasoning, on random facts ------------------------------------


def _random_facts(knowledge: Any, chance: random.Random) -> dict[str, str]:
    """Some facts of a patient: mostly silence, some findings, an age, a duration and a few values."""
    names = sorted(f for f in knowledge.findings if f not in knowledge.analytes and f not in _NOT_GIVEN)
    if chance.random() < 0.3:
        # A third of them well examined, with little else: benign cards need that.
        facts = dict.fromkeys(chance.sample(_BENIGN, chance.randint(1, 4)), "present")
    else:
        facts = dict.fromkeys(chance.sample(names, chance.choice((1, 2, 4, 8))), "present")
        facts |= dict.fromkeys(chance.sample(names, chance.choice((0, 5, 40))), "absent")
    facts |= {"twitch_current": "present", "twitch_refuted": "absent"}
    facts |= dict.fromkeys(("stale", "deceased", "hospice"), "absent")
    if chance.random() < 0.9:
        facts["age"] = f"{chance.choice((2, 13, 17, 18, 35, 50, 80))} years"
    if chance.random() < 0.9:
        facts["duration_days"] = f"{chance.choice((0, 13, 14, 27, 28, 40, 83, 84, 400))} days"
    for name in chance.sample(sorted(_VALUES), chance.choice((0, 0, 1, 3))):
        facts[name] = f"{chance.choice(_VALUES[name])} {knowledge.analytes[name].unit}"
    return facts


_BENIGN = (
    "exam_normal", "exam_sufficient", "spreading", "site_eyelid", "site_known", "site_focal", "family_nmd",
    "workup_normal_once", "reevaluation_due", "eyelid_full_closure", "labs_missing", "mimic_features",
)  # fmt: skip
# Values, and what the reasoning computes from values, dates or the catalogue.
_NOT_GIVEN = frozenset({"age", "duration_days", "sex", "twitch_sites"})
_VALUES = {
    "K": (2.4, 2.9, 3.2, 4.0, 5.8, 6.6),
    "Na": (118, 128, 140, 152),
    "Mg": (0.3, 0.6, 0.8),
    "CaCorr": (1.8, 2.05, 2.3, 2.8),
    "TSH": (0.01, 0.2, 2.0, 12.0),
    "CK": (90, 700, 6000),
    "Gluc": (2.0, 5.0),
    "B12": (100, 200, 400),
}


@pytest.fixture(scope="module")
def reasoned(knowledge: Any) -> list[Ranked]:
    """What the whole reasoning shows for random facts, told as the ranking saw it."""
    chance = random.Random(15062026)
    chart = Chart(Patient("anyone"))
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for _ in range(450):
            facts = _random_facts(knowledge, chance)
            patch.setattr(assessment, "Case", lambda chart, today, all_content, *_, f=facts: GivenFacts(f, all_content))
            outcome = reason(chart, TODAY, knowledge)
            fired = {
                rung.card.id: rung.indicator
                for rung in outcome.ladder
                if rung.outcome == "shown" or rung.outcome.startswith("merged") or rung.outcome.endswith("comes first")
            }
            case = outcome.case
            now = Circumstances(
                drug_explains_lab=case["drug_explains_lab"].present,
                core_bloods_for_a_cause=case["context_any"].present,
                hyperexcitability_outranks_face=case["generalised_myokymia"].present,
            )
            shown = tuple(Shown(tuple(c.id for c in card.cards), card.indicator) for card in outcome.cards)
            if fired:
                found.append(Ranked(fired, now, shown))
    return found


@pytest.mark.parametrize("sentence", RULES)
def test_rule_over_the_whole_reasoning(sentence: str, reasoned: list[Ranked]) -> None:
    broken = [it for it in reasoned if not RULES[sentence](it)]
    smallest = min(broken, key=lambda it: len(it.fired), default=None)
    assert smallest is None, f"{len(broken)} of {len(reasoned)} sets"


def test_random_facts_reach_nearly_every_card(reasoned: list[Ranked], knowledge: Any) -> None:
    reached = {card for it in reasoned for card in it.fired}
    assert len(reached) >= len(knowledge.cards) - 2, sorted(set(knowledge.cards) - reached)
