"""The only place that reads and converts units. A unit it does not know is never guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

NUMBER = "1"  # the unit of a ratio, such as the INR; written without any unit, it is the same quantity
_FIGURES = 9  # decimals that mean something after a conversion
_NUMBER_AND_UNIT = re.compile(r"(-?\d+(?:\.\d+)?)\s*(\S.*)?$")
_LONGEST = 60  # characters of a number with its unit

# Ways in which records write a unit that UCUM writes otherwise; compared without case and spaces.
_SPELLINGS = {
    "meq/l": "meq/L", "mmol/l": "mmol/L", "umol/l": "umol/L", "µmol/l": "umol/L", "μmol/l": "umol/L",
    "nmol/l": "nmol/L", "pmol/l": "pmol/L", "mg/dl": "mg/dL", "ug/dl": "ug/dL", "µg/dl": "ug/dL",
    "μg/dl": "ug/dL", "mcg/dl": "ug/dL", "ng/dl": "ng/dL", "ng/ml": "ng/mL", "ng/l": "ng/L", "pg/ml": "pg/mL",
    "ug/l": "ug/L", "µg/l": "ug/L", "μg/l": "ug/L", "mcg/l": "ug/L", "ug/ml": "ug/mL", "mg/l": "mg/L",
    "g/l": "g/L", "g/dl": "g/dL", "u/l": "U/L", "iu/l": "U/L", "[iu]/l": "U/L", "ukat/l": "ukat/L",
    "miu/l": "m[IU]/L", "m[iu]/l": "m[IU]/L", "uiu/ml": "u[IU]/mL", "u[iu]/ml": "u[IU]/mL",
    "µiu/ml": "u[IU]/mL", "μiu/ml": "u[IU]/mL", "mu/l": "m[IU]/L", "uu/ml": "u[IU]/mL", "mcu/ml": "u[IU]/mL",
    "ml/min/1.73m2": "mL/min/{1.73_m2}", "ml/min/{1.73_m2}": "mL/min/{1.73_m2}",
    "ml/min/1.73m²": "mL/min/{1.73_m2}", "ml/min/1.73_m2": "mL/min/{1.73_m2}", "ml/min": "mL/min/{1.73_m2}",
    "ml/min/1.73m^2": "mL/min/{1.73_m2}", "ml/min/1.73.m2": "mL/min/{1.73_m2}", "ml/min/{1.73m2}": "mL/min/{1.73_m2}",
    "mmol/mol": "mmol/mol", "%": "%", "fl": "fL", "um3": "fL", "1": "1", "{inr}": "1", "inr": "1",
    "{score}": "1", "{ratio}": "1",
    "10*3/ul": "10*3/uL", "10*9/l": "10*9/L", "10^3/ul": "10*3/uL", "10^9/l": "10*9/L", "k/ul": "10*3/uL",
    "x10e3/ul": "10*3/uL",
    "x10^9/l": "10*9/L", "/min": "/min", "{beats}/min": "/min", "beats/min": "/min", "beats/minute": "/min",
    "bpm": "/min", "{heart_beats}/min": "/min", "mm[hg]": "mm[Hg]", "mmhg": "mm[Hg]", "cel": "Cel", "°c": "Cel",
    "c": "Cel", "degc": "Cel", "[degf]": "[degF]", "degf": "[degF]", "°f": "[degF]", "f": "[degF]", "kg": "kg",
    "g": "g", "[lb_av]": "[lb_av]", "lb": "[lb_av]", "lbs": "[lb_av]", "h": "h", "hours": "h", "hr": "h", "ms": "ms",
    "mg/d": "mg/d", "mg/day": "mg/d", "{drinks}/d": "{drinks}/d", "mg": "mg", "ug": "ug", "mcg": "ug", "wk": "wk",
    "weeks": "wk", "d": "d", "days": "d", "a": "a", "years": "a", "grade": "1", "ratio": "1", "l": "L", "ml": "mL",
    "times": "1", "mmol/kg": "mmol/kg", "mosm/kg": "mosm/kg", "[ph]": "[pH]", "mm[hg]{}": "mm[Hg]", "kpa": "kPa",
}  # fmt: skip

# No unit: UCUM lets an annotation alone stand for 1, and a score is counted in points.
_COUNTED = re.compile(r"|\{[^{}]*\}|scores?|points?", re.IGNORECASE)
# Factor and offset to the unit in which vital signs and the like are compared.
_GENERAL: Mapping[tuple[str, str], tuple[float, float]] = {
    ("[degF]", "Cel"): (5 / 9, -160 / 9),
    ("[lb_av]", "kg"): (0.45359237, 0.0),
    ("g", "kg"): (0.001, 0.0),
    ("ug", "mg"): (0.001, 0.0),
    ("g", "mg"): (1000.0, 0.0),
    ("d", "wk"): (1 / 7, 0.0),
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """``value * factor + offset`` in the canonical unit."""

    factor: float
    offset: float = 0.0

    def apply(self, value: float) -> float:
        return value * self.factor + self.offset


def ucum(text: str) -> str | None:
    """The UCUM code of a unit as a record writes it, or None when it is not known."""
    return _SPELLINGS.get(text.replace(" ", "").lower())


def same(one: str, other: str) -> bool:
    """Two ways of writing one unit."""
    return (ucum(one) or one) == (ucum(other) or other)


def is_known(unit: str) -> bool:
    """A unit that can be compared; none, and what is counted in points, is one."""
    return bool(_COUNTED.fullmatch(unit.strip())) or ucum(unit) is not None


def spellings() -> Mapping[str, str]:
    """Every way of writing a unit that is understood, without case and spaces, with its UCUM code."""
    return _SPELLINGS


def split(text: str) -> tuple[float, str]:
    """``3.0 mmol/L`` as number and unit. Raises ValueError with the remedy."""
    stripped = str(text).strip()
    found = _NUMBER_AND_UNIT.match(stripped) if len(stripped) <= _LONGEST else None
    if not found:
        raise ValueError("write a number with its unit, like '3.0 mmol/L'")
    return float(found[1]), found[2] or ""


def general(value: float, unit: str, wanted: str) -> float | None:
    """A vital sign, weight or dose in the wanted unit; None when the units do not fit."""
    have, want = (NUMBER if _COUNTED.fullmatch(each) else ucum(each) for each in (unit.strip(), wanted))
    if have == want and have is not None:
        return value
    found = _GENERAL.get((have or "", want or ""))
    # 100.4 degrees Fahrenheit are 38.0 Celsius, not the 38.00000000000001 of the arithmetic.
    return None if found is None else round(value * found[0] + found[1], _FIGURES)


_MOST_DECIMALS = 4


def rounded(value: float, decimals: int) -> str:
    """A value for display, without trailing noise; with more decimals where these would be a tenth off."""
    if not math.isfinite(value):
        return ""
    while decimals < _MOST_DECIMALS and value and abs(round(value, decimals) - value) > abs(value) / 10:
        decimals += 1
    return f"{value:.{decimals}f}"


# UCUM codes that nobody writes so.
_WRITTEN = {"Cel": "°C", "[degF]": "°F", "mm[Hg]": "mmHg", "m[IU]/L": "mIU/L", "u[IU]/mL": "µIU/mL",
            "{beats}/min": "/min", "mL/min/{1.73_m2}": "mL/min/1.73m²", "1": "",
            "{score}": "", "{MRC}": "", "{INR}": ""}  # fmt: skip


def written(unit: str) -> str:
    """A unit as people write it. An annotation that we do not know is shown: it may be why a value was not compared."""
    return _WRITTEN.get(unit, unit)
