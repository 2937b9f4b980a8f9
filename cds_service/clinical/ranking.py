"""Which cards are shown: the ladder T0 to T7, merging, and at most three.

A lower tier never hides a higher one, and nothing benign stands beside T0 to T3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BUDGET = 3
SEVERITY = ("info", "warning", "critical")
TIERS: Mapping[str, tuple[str, ...]] = {
    # Within a tier, the order in which cards are preferred.
    "T0": ("TW01", "TW02", "TW03", "TW04"),
    "T1": ("TW05",),
    "T2": ("TW26", "TW06", "TW28", "TW07", "TW08"),
    "T3": ("TW10", "TW11", "TW09", "TW12"),
    "T4": ("TW13", "TW14", "TW15", "TW16"),
    "T5": ("TW19", "TW18"),
    "T6": ("TW20",),
    "T7": ("TW23", "TW21", "TW22", "TW27"),
}
CORE_BLOODS, QUESTIONS, MIMIC, MEDICINE = "TW17", "TW24", "TW25", "TW18"
# A T2 lead that does not itself carry an imaging branch lets a T3 card stand second.
LEADS_WITHOUT_IMAGING = frozenset({"TW07", "TW08", "TW26"})


@dataclass(frozen=True, slots=True)
class Shown:
    """One card of the answer: the ids merged into it, lead first, and its indicator."""

    ids: tuple[str, ...]
    indicator: str

    @property
    def name(self) -> str:
        return "+".join(self.ids)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the ranking needs to know beside which cards fired."""

    drug_explains_lab: bool = False
    core_bloods_for_a_cause: bool = False  # TW17 in its context form ranks as T4
    hyperexcitability_outranks_face: bool = False  # continuous myokymia beyond the face: TW20 before TW11


def rank(fired: Mapping[str, str], now: Circumstances) -> tuple[Shown, ...]:
    """The cards to show, in order. ``fired``: card id to indicator."""
    shown = _choose(fired, now)[:BUDGET]
    ordered = sorted(shown, key=lambda card: (card.ids[0] == QUESTIONS, -SEVERITY.index(card.indicator)))
    return tuple(ordered)


def _choose(fired: Mapping[str, str], now: Circumstances) -> list[Shown]:
    emergencies = [card for card in TIERS["T0"] if fired.get(card) == "critical"]
    if emergencies:
        return _singly(emergencies[:2], fired) + _singly(TIERS["T1"], fired)
    soft = _singly(["TW01"], fired)
    if not soft:
        return _below_emergency(fired, now)
    rest = _below_emergency({c: i for c, i in fired.items() if c not in TIERS["T7"] and c != "TW01"}, now)
    # One soft sign leads, but a critical result stays in front of it.
    chosen = rest[:1] + soft + rest[1:] if fired.get("TW05") == "critical" else soft + rest
    return _questions_before_bloods(chosen, fired, now)


def _questions_before_bloods(chosen: list[Shown], fired: Mapping[str, str], now: Circumstances) -> list[Shown]:
    """TW24 wins the last place, unless the bloods stand for a correctable cause."""
    crowded = len(chosen) > BUDGET and chosen[-1].ids == (QUESTIONS,)
    if not crowded or any(card.ids == (CORE_BLOODS,) for card in _correctable(fired, now)):
        return chosen
    return [card for card in chosen if card.ids != (CORE_BLOODS,)]


def _below_emergency(fired: Mapping[str, str], now: Circumstances) -> list[Shown]:
    tier = {name: [card for card in cards if card in fired] for name, cards in TIERS.items()}
    correctable = _correctable(fired, now)
    medicines = [c for c in tier["T5"] if not any(c in card.ids for card in correctable)]
    questions = _singly([QUESTIONS], fired)
    if tier["T1"]:
        # No card of abnormal results is shown here, so the medicine that explains one keeps its own.
        return _singly([*tier["T1"], *tier["T2"][:1], *tier["T5"][:1]], fired)[:BUDGET]
    if tier["T2"]:
        third = tier["T3"][:1] if tier["T2"][0] in LEADS_WITHOUT_IMAGING else []
        return (_singly([tier["T2"][0], *third], fired) + correctable + _singly(medicines, fired))[:2] + questions
    if tier["T3"]:
        return _led_by_a_place(fired, now, tier, correctable, medicines) + questions
    if correctable or medicines or tier["T6"]:
        chosen = (correctable + _singly([*medicines, *tier["T6"]], fired))[:2]
        return _with_bloods(chosen, fired, allowed=not tier["T6"]) + questions
    return _benign(fired, tier) + questions


def _led_by_a_place(
    fired: Mapping[str, str],
    now: Circumstances,
    tier: Mapping[str, list[str]],
    correctable: list[Shown],
    medicines: list[str],
) -> list[Shown]:
    lead = tier["T3"][0]
    if lead == "TW11" and now.hyperexcitability_outranks_face and tier["T6"]:
        return (_singly([*tier["T6"], lead], fired) + correctable)[:2]
    chosen = (_singly([lead], fired) + correctable + _singly([*medicines, *tier["T6"]], fired))[:2]
    return _with_bloods(chosen, fired, allowed=lead != "TW12")


def _with_bloods(chosen: list[Shown], fired: Mapping[str, str], allowed: bool) -> list[Shown]:
    already = any(CORE_BLOODS in card.ids for card in chosen)
    if allowed and not already and len(chosen) < 2:
        return chosen + _singly([CORE_BLOODS], fired)
    return chosen


def _benign(fired: Mapping[str, str], tier: Mapping[str, list[str]]) -> list[Shown]:
    """Exactly one benign card; a mimic takes the lead instead of it."""
    lead = [MIMIC] if MIMIC in fired else tier["T7"][:1]
    return _singly([*lead, CORE_BLOODS], fired)


def _correctable(fired: Mapping[str, str], now: Circumstances) -> list[Shown]:
    """Abnormal results become one card; the medicine that explains them joins it."""
    ids = [card for card in TIERS["T4"] if card in fired]
    if ids and now.drug_explains_lab and MEDICINE in fired:
        ids.append(MEDICINE)
    if not ids and now.core_bloods_for_a_cause and CORE_BLOODS in fired:
        ids = [CORE_BLOODS]
    if not ids:
        return []
    worst = max((fired[card] for card in ids), key=SEVERITY.index)
    return [Shown(tuple(sorted(ids, key=lambda c: (c == MEDICINE, -SEVERITY.index(fired[c]), c))), worst)]


def _singly(cards: list[str] | tuple[str, ...], fired: Mapping[str, str]) -> list[Shown]:
    return [Shown((card,), fired[card]) for card in cards if card in fired]
