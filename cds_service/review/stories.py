"""The stories of simulated patients: what is planted in a chart, and the tier that the design gives it.

The tier is written by hand beside each story, from what the story is about; nothing computes it.
A story is told in the sketches of the worked examples, so that it becomes FHIR as theirs do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Sketches = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Story:
    """``tier``: of the leading card, or ``none``. ``ages``: in whole years."""

    id: str
    tier: str
    ages: tuple[int, int]
    plant: Callable[[Random], Sketches]
    deceased: bool = False


def _twitch(chance: Random, least: int, most: int, **more: Any) -> dict[str, Any]:
    """Charted twitching that began so many days ago, in the ways records write it."""
    code: dict[str, Any] = chance.choice([{"problem": "R25.3"}, {"problem": "82470000"}, {"problem": "fasciculation"}])
    return code | {"onset": f"{chance.randint(least, most)} days ago"} | more


def _nothing(chance: Random) -> Sketches:
    return []


def _low_potassium_alone(chance: Random) -> Sketches:
    return [_potassium(chance, 2.0, 2.4)]


def _potassium(chance: Random, low: float, high: float) -> dict[str, Any]:
    value = round(chance.uniform(low, high), 1)
    unit = chance.choice(["mmol/L", "meq/L"])
    return {"lab": "potassium", "value": value, "unit": unit, "on": f"{chance.randint(0, 3)} days ago"}


def _resolved(chance: Random) -> Sketches:
    return [_twitch(chance, 300, 900, status="resolved", abated="200 days ago")]


def _refuted(chance: Random) -> Sketches:
    return [_twitch(chance, 20, 200, verification="refuted")]


def _denied(chance: Random) -> Sketches:
    return [{"problem": "R25.2", "text": "night cramps, no twitching", "onset": f"{chance.randint(10, 90)} days ago"}]


def _flutter(chance: Random) -> Sketches:
    return [{"problem": "I48.92", "text": "atrial flutter", "onset": f"{chance.randint(10, 900)} days ago"}]


def _relative(chance: Random) -> Sketches:
    return [{"relative": "als", "relation": chance.choice(["mother", "father", "brother"]), "age": 61}]


def _charted_and_dead(chance: Random) -> Sketches:
    return [_twitch(chance, 30, 60)]


def _seizure(chance: Random) -> Sketches:
    return [_twitch(chance, 20, 60), {"problem": "R56.9", "onset": f"{chance.randint(0, 1)} days ago"}]


def _cauda_equina(chance: Random) -> Sketches:
    return [
        _twitch(chance, 20, 60),
        {"problem": "urinary_retention", "onset": "1 day ago"},
        {"problem": "back_pain", "onset": f"{chance.randint(2, 9)} days ago"},
    ]


def _critical_potassium(chance: Random) -> Sketches:
    return [_twitch(chance, 20, 60), _potassium(chance, 2.0, 2.4)]


def _motor_neurone(chance: Random) -> Sketches:
    hand = f"{chance.choice(['left', 'right'])} hand"
    return [
        _twitch(chance, 90, 200, site=hand),
        {"exam": "muscle_atrophy", "value": "yes", "on": "5 days ago", "site": hand},
        {"exam": "muscle_weakness", "value": "yes", "on": "5 days ago", "site": hand},
        {"exam": "babinski", "value": "yes", "on": "5 days ago"},
    ]


def _bulbar(chance: Random) -> Sketches:
    return [
        _twitch(chance, 60, 200),
        {"problem": "dysarthria", "onset": f"{chance.randint(30, 60)} days ago"},
        {"exam": "tongue_fasciculation", "value": "yes", "on": "3 days ago"},
    ]


def _root(chance: Random) -> Sketches:
    leg = f"{chance.choice(['left', 'right'])} calf"
    return [
        _twitch(chance, 30, 40, site=leg),
        {"problem": "M54.16", "onset": f"{chance.randint(20, 28)} days ago"},
    ]


def _low_tsh(chance: Random) -> Sketches:
    value = round(chance.uniform(0.005, 0.05), 3)
    return [
        _twitch(chance, 20, 60),
        {"lab": "tsh", "value": value, "unit": "u[IU]/mL", "on": f"{chance.randint(5, 60)} days ago"},
    ]


def _low_magnesium(chance: Random) -> Sketches:
    value = round(chance.uniform(0.52, 0.62), 2)
    return [
        _twitch(chance, 20, 60),
        {"lab": "magnesium", "value": value, "unit": "mmol/L", "on": f"{chance.randint(2, 10)} days ago"},
    ]


def _low_b12(chance: Random) -> Sketches:
    value = chance.randint(60, 120)
    return [
        _twitch(chance, 30, 60),
        {"lab": "vitamin_b12", "value": value, "unit": "pmol/L", "on": f"{chance.randint(5, 60)} days ago"},
    ]


def _lithium(chance: Random) -> Sketches:
    return [_twitch(chance, 20, 28), {"medicine": "med_lithium", "since": f"{chance.randint(40, 300)} days ago"}]


def _hyperexcitable(chance: Random) -> Sketches:
    return [
        _twitch(chance, 90, 200),
        {"problem": "muscle_cramp", "onset": "90 days ago"},
        {"problem": "muscle_stiffness", "onset": "80 days ago"},
        {"problem": "R61", "onset": f"{chance.randint(60, 70)} days ago"},
    ]


def _eyelid(chance: Random) -> Sketches:
    side = chance.choice(["left", "right"])
    return [{"problem": "eyelid_myokymia", "site": f"{side} eyelid", "onset": f"{chance.randint(15, 25)} days ago"}]


def _fresh(chance: Random) -> Sketches:
    return [_twitch(chance, 3, 12)]


def _long_and_normal(chance: Random) -> Sketches:
    return [
        _twitch(chance, 100, 200, site="both calves"),
        {
            "exam": "physical examination",
            "value": "Neurological examination is normal, cranial nerves included.",
            "on": f"{chance.randint(2, 20)} days ago",
        },
    ]


HEALTHY = Story("healthy", "none", (1, 95), _nothing)
STORIES = (
    Story("critical potassium, no twitching", "none", (20, 90), _low_potassium_alone),
    Story("twitching of the past", "none", (18, 90), _resolved),
    Story("twitching refuted", "none", (18, 90), _refuted),
    Story("cramps, twitching denied", "none", (18, 90), _denied),
    Story("atrial flutter", "none", (50, 95), _flutter),
    Story("a relative with ALS", "none", (18, 70), _relative),
    Story("twitching charted, died since", "none", (60, 95), _charted_and_dead, deceased=True),
    Story("seizure", "T0", (20, 85), _seizure),
    Story("cauda equina", "T0", (25, 80), _cauda_equina),
    Story("critical potassium", "T1", (20, 90), _critical_potassium),
    Story("motor neurone pattern", "T2", (40, 80), _motor_neurone),
    Story("bulbar", "T2", (45, 80), _bulbar),
    Story("nerve root", "T3", (25, 70), _root),
    Story("suppressed TSH", "T4", (20, 80), _low_tsh),
    Story("low magnesium", "T4", (20, 80), _low_magnesium),
    Story("low vitamin B12", "T4", (40, 80), _low_b12),
    Story("on lithium", "T5", (20, 70), _lithium),
    Story("nerve hyperexcitability", "T6", (20, 70), _hyperexcitable),
    Story("eyelid", "T7", (18, 60), _eyelid),
    Story("fresh twitching", "T7", (18, 60), _fresh),
    Story("long and normal", "T7", (45, 70), _long_and_normal),
)
