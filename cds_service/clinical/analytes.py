"""Laboratory values: the newest readable one, its band, and whether it still counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from msgspec import structs

from cds_service import units
from cds_service.clinical.chart import UNTIMED, USUAL_ROLES, Quantity, Result
from cds_service.clinical.findings import Case, Evidence, Finding
from cds_service.clinical.formula import Formula, holds
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN, Presence
from cds_service.clinical.tokens import fold

CRITICAL_DAYS = 14
NORMAL_BANDS = frozenset({"normal", "borderline_low", "borderline_high"})
# Limits are written with two or three figures; conversion factors carry four.
_ROUNDING = 0.001


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in the canonical unit; a limit that includes its value says so."""

    below: float | None = None
    at_most: float | None = None
    above: float | None = None
    at_least: float | None = None

    @property
    def lower(self) -> float | None:
        return self.at_most if self.below is None else self.below

    @property
    def upper(self) -> float | None:
        return self.at_least if self.above is None else self.above

    def low(self, value: Quantity) -> bool:
        return bool(
            (self.at_most is not None and holds(value, "below", self.at_most, inclusive=True))
            or (self.below is not None and holds(value, "below", self.below, inclusive=False))
        )

    def high(self, value: Quantity) -> bool:
        return bool(
            (self.at_least is not None and holds(value, "above", self.at_least, inclusive=True))
            or (self.above is not None and holds(value, "above", self.above, inclusive=False))
        )


@dataclass(frozen=True)
class Analyte:
    """A row of analytes.yaml."""

    id: str
    name: str
    concepts: frozenset[str]
    unit: str
    conversions: Mapping[str, units.Conversion]
    decimals: int
    also_shown: str = ""
    also_decimals: int = 1
    reference: tuple[float | None, float | None] = (None, None)
    action: Limits = Limits()
    critical: Limits = Limits()
    can_be_critical: bool = False
    low_name: str = ""
    high_name: str = ""
    look_back: int = 0
    shorter: tuple[tuple[Formula, int], ...] = ()
    core: bool = False
    danger: int = 99
    any_of: tuple[tuple[str, Formula | None], ...] = ()  # a roll-up: which values count, unless …
    compute: str = ""
    numbers: Mapping[str, float] | None = None
    besides: frozenset[str] = frozenset()
    roles: frozenset[str] = USUAL_ROLES
    doubtful_high_if: tuple[str, ...] = ()
    # Codes with factors of their own.
    by_code: Mapping[str, Mapping[str, units.Conversion]] = field(default_factory=dict)
    never_spares: bool = False  # a normal value is no reason not to measure again
    settled_when: Formula | None = None  # an abnormal value that counts is not measured again while this holds
    possible: tuple[float, float] = (0.0, math.inf)  # what nobody alive has is a slip of the pen or the unit

    def read(self, result: Result) -> Quantity | None:
        """The value in the canonical unit, or None: a missing or unknown unit is never guessed, nor a slip mended."""
        value = result.value
        if value is None:
            return None
        conversion = self.conversion(result, value.unit)
        if conversion is None:
            return None
        low, high = (self._snapped(conversion.apply(end), conversion) for end in (value.low, value.high))
        if high < self.possible[0] or low > self.possible[1]:
            return None
        return Quantity(low, high, self.unit, value.as_reported)

    def conversion(self, result: Result, unit: str) -> units.Conversion | None:
        """From a unit of this result, for its code, to the canonical one; None for a unit that is not known."""
        own = next((self.by_code[m.code] for m in result.codes if m.code in self.by_code), self.conversions)
        return own.get(units.ucum(unit or units.NUMBER) or "")

    def _snapped(self, value: float, conversion: units.Conversion) -> float:
        """A converted value that only rounding keeps from a limit is that limit: 1.7 mg/dL of magnesium is 0.70."""
        if conversion.factor == 1.0 or not math.isfinite(value):
            return value
        return next((limit for limit in self._limits if abs(value - limit) <= abs(limit) * _ROUNDING), value)

    @cached_property
    def _limits(self) -> tuple[float, ...]:
        limits = (limit for side in (self.action, self.critical) for limit in (side.lower, side.upper))
        return tuple(limit for limit in limits if limit is not None)

    def shown(self, value: Quantity) -> str:
        """The value with its unit, and in the other unit system when there is one."""
        if not value.exact:
            bound, word = (value.low, "above") if math.isinf(value.high) else (value.high, "below")
            return f"{word} {units.rounded(bound, self.decimals)} {self.unit} (reported as {value.as_reported})"
        text = f"{units.rounded(value.low, self.decimals)} {self.unit}"
        other = self.conversions.get(units.ucum(self.also_shown) or "") if self.also_shown else None
        if other is None or self.also_shown == self.unit:
            return text
        back = (value.low - other.offset) / other.factor
        return f"{text} ({units.rounded(back, self.also_decimals)} {self.also_shown})"


@dataclass(frozen=True)
class LabValue:
    """One readable result of an analyte."""

    analyte: Analyte
    value: Quantity
    result: Result
    low: float | None = None  # the reporting laboratory's own range, in the canonical unit
    high: float | None = None

    @cached_property
    def evidence(self) -> Evidence:
        doubt = "; sample noted as haemolysed: repeat at once" if self.doubtful else ""
        result = self.result
        return Evidence(result.reference, self.analyte.name, result.when, self.analyte.shown(self.value) + doubt)

    @property
    def doubtful(self) -> bool:
        """A high value whose own remarks say that the sample was spoiled."""
        remarks = fold(self.result.remarks)
        return any(word in remarks for word in self.analyte.doubtful_high_if)


def newest_value(analyte: Analyte, case: Case) -> LabValue | None:
    """The newest final, readable result; on one day the one most worth acting on."""
    if analyte.id not in case.newest_values:
        case.newest_values[analyte.id] = _newest(analyte, case)
    return case.newest_values[analyte.id]


def _newest(analyte: Analyte, case: Case) -> LabValue | None:
    if analyte.compute == "adjusted_calcium":
        return _latest(_adjusted_calciums(analyte, case))
    if analyte.compute == "multiple_of_reported_limit":
        newest = _latest(values(analyte, case))
        return None if newest is None else _as_multiple(newest)
    return max(_of_the_newest_day(analyte, case), key=_worth_acting_on, default=None)


_ANY_NUMBER = (-math.inf, math.inf)
_ZONES_APART = timedelta(days=2)  # by how much an earlier moment can be written as a later day


def _of_the_newest_day(analyte: Analyte, case: Case) -> Iterator[LabValue]:
    """Readable results of the last day that has one; older ones, which may be many, are not read.

    Days are those that were written, each in the zone of its result: one of the day before whose moment is later
    than any of the last day counts with them.
    """
    results = sorted(case.chart.about(Result, analyte.concepts), key=lambda r: r.last_day, reverse=True)
    newest, moment = None, UNTIMED
    for lab in _readable(results, analyte):
        day = lab.result.last_day
        newest = newest or day
        if (newest - day) > _ZONES_APART:
            return
        if day == newest:
            moment = max(moment, lab.result.at)
        elif not UNTIMED < moment < lab.result.at:
            continue
        yield lab


def values(analyte: Analyte, case: Case) -> Iterator[LabValue]:
    return _readable(case.chart.about(Result, analyte.concepts), analyte)


def preliminary_values(analyte: Analyte, case: Case) -> Iterator[LabValue]:
    """What the laboratory has reported and not yet released; read nowhere else."""
    return _readable(case.chart.about(Result, analyte.concepts), analyte, final=False)


def impossible_criticals(analyte: Analyte, case: Case) -> Iterator[LabValue]:
    """What the laboratory flags as critical with a number that nobody alive has; read nowhere else."""
    results = case.chart.about(Result, analyte.concepts)
    flagged = [r for r in results if r.flags & {"LL", "HH"} and analyte.read(r) is None]
    if not flagged:
        return
    anything = replace(analyte, possible=_ANY_NUMBER)
    for final in (True, False):
        yield from _readable(flagged, anything, final)


def has_number(analyte: Analyte, result: Result) -> bool:
    """Whether a result has a number in a unit of its test, be it a possible one or not."""
    return replace(analyte, possible=_ANY_NUMBER).read(result) is not None


def _readable(results: Iterable[Result], analyte: Analyte, final: bool = True) -> Iterator[LabValue]:
    for result in results:
        if result.final is not final or result.when is None:
            continue
        if not any(m.concept in analyte.concepts and _is_this_analyte(m.role, m.code, analyte) for m in result.codes):
            continue
        value = analyte.read(result)
        if value is not None:
            yield LabValue(analyte, value, result, *_own_range(analyte, result))


def _is_this_analyte(role: str, code: str, analyte: Analyte) -> bool:
    return role in analyte.roles and code not in analyte.besides


def _own_range(analyte: Analyte, result: Result) -> tuple[float | None, float | None]:
    conversion = analyte.conversion(result, result.range_unit or (result.value.unit if result.value else ""))
    if conversion is None:
        return None, None
    low, high = result.range_low, result.range_high
    return (
        None if low is None else conversion.apply(low),
        None if high is None else conversion.apply(high),
    )


def _latest(labs: Iterable[LabValue]) -> LabValue | None:
    found = list(labs)
    last_day = max((lab.result.last_day for lab in found), default=None)
    return max((lab for lab in found if lab.result.last_day == last_day), key=_worth_acting_on, default=None)


def _worth_acting_on(lab: LabValue) -> tuple[Any, ...]:
    """Of results of one day: those of this visit, then the most severe, then in an order that no request changes."""
    bands = ("critical_low", "critical_high", "low", "high")
    band_now = band(lab, child=False)
    severity = -bands.index(band_now) if band_now in bands else -len(bands)
    return (lab.result.this_encounter, severity, lab.result.reference)


def _adjusted_calciums(analyte: Analyte, case: Case) -> list[LabValue]:
    """As reported by the laboratory, else total calcium adjusted for albumin of the same draw."""
    numbers = analyte.numbers or {}
    albumins: dict[date, list[LabValue]] = {}
    for albumin in values(case.knowledge.analytes["Alb"], case):
        if albumin.result.when is not None and albumin.value.exact:
            albumins.setdefault(albumin.result.when.last, []).append(albumin)
    reach = int(numbers["same_draw_within"])
    computed = []
    for calcium in values(case.knowledge.analytes["CaTotal"], case):
        if calcium.result.when is None or not calcium.value.exact:
            continue
        drawn = calcium.result.when.last
        apart = ((abs((day - drawn).days), found) for day, found in sorted(albumins.items()))
        near = [(days, albumin) for days, found in apart if days <= reach for albumin in found]
        adjusted = _adjust(analyte, calcium, near, numbers, case)
        if adjusted is not None:
            computed.append(adjusted)
    return [*values(analyte, case), *computed]


def _adjust(
    analyte: Analyte, calcium: LabValue, near: list[tuple[int, LabValue]], numbers: Mapping[str, float], case: Case
) -> LabValue | None:
    if not near:
        return None
    _, albumin = min(near, key=lambda pair: (pair[0], pair[1].result.reference))
    egfr = case["eGFR"].value
    if albumin.value.low < numbers["not_if_albumin_below"] or (
        egfr is not None and egfr.high < numbers["not_if_egfr_below"]
    ):
        return None
    adjusted = calcium.value.low + numbers["per_gram_albumin"] * (numbers["albumin_reference"] - albumin.value.low)
    value = Quantity(adjusted, adjusted, analyte.unit, calcium.value.as_reported)
    return LabValue(analyte, value, structs.replace(calcium.result, range_low=None, range_high=None, flags=frozenset()))


def _as_multiple(lab: LabValue) -> LabValue | None:
    """A value as a multiple of the upper limit that its own laboratory reports."""
    if not lab.high:
        return None
    low, high = lab.value.low / lab.high, lab.value.high / lab.high
    if math.isinf(high) and math.isfinite(lab.value.high):
        return None  # a limit of nearly nothing is none
    return LabValue(lab.analyte, Quantity(low, high, "1", lab.value.as_reported), lab.result)


def every_value(analyte: Analyte, case: Case) -> list[LabValue]:
    """All values of an analyte, computed ones included."""
    if analyte.compute == "multiple_of_reported_limit":
        return [multiple for lab in values(analyte, case) if (multiple := _as_multiple(lab)) is not None]
    if analyte.compute == "adjusted_calcium":
        return _adjusted_calciums(analyte, case)
    return list(values(analyte, case))


def band(lab: LabValue, child: bool) -> str:
    """Where a value lies: critical_low, low, borderline_low, normal … critical_high.

    The laboratory's flags and range come first. Adult limits are never applied to a child.
    """
    flags, analyte, value = lab.result.flags, lab.analyte, lab.value
    if analyte.can_be_critical and "LL" in flags:
        return "critical_low"
    if analyte.can_be_critical and "HH" in flags:
        return "critical_high"
    if child:
        return _by_laboratory(lab)
    if analyte.critical.low(value):
        return "critical_low"
    if analyte.critical.high(value):
        return "critical_high"
    if analyte.action.low(value) and not _inside_own_range(lab):
        return "low"
    if analyte.action.high(value) and not _inside_own_range(lab):
        return "high"
    return _borderline(lab)


def _by_laboratory(lab: LabValue) -> str:
    below, above = lab.value.beyond(lab.low, lab.high)
    if below or "L" in lab.result.flags:
        return "low"
    return "high" if above or "H" in lab.result.flags else "normal"


def _inside_own_range(lab: LabValue) -> bool:
    """The laboratory calls this value normal; a one-sided range speaks for its side only."""
    if lab.low is None or lab.high is None:
        return "N" in lab.result.flags
    return lab.low <= lab.value.low and lab.value.high <= lab.high


def _borderline(lab: LabValue) -> str:
    low, high = lab.analyte.reference
    below, above = lab.value.beyond(low if lab.low is None else lab.low, high if lab.high is None else lab.high)
    return "borderline_low" if below else "borderline_high" if above else "normal"


def is_child(case: Case) -> bool:
    """Known to be under 18. An unknown age is not a child's, and not an adult's either."""
    age = case["age"].value
    return age is not None and age.high < 18


def current_bands(case: Case) -> dict[str, tuple[LabValue, str]]:
    """The newest value inside its window and its band, for every analyte with a readable result."""
    found = {}
    for analyte in case.knowledge.analytes.values():
        lab = None if analyte.any_of else newest_value(analyte, case)
        if lab is not None and _is_current(lab.result, analyte, case):
            found[analyte.id] = (lab, band(lab, is_child(case)))
    return found


def uncounted_values(case: Case) -> tuple[tuple[Evidence, str], ...]:
    """Recent values that take part in nothing, and why: not final, impossible, or in no unit of their test."""
    found = []
    for analyte in case.knowledge.analytes.values():
        for result in case.chart.about(Result, analyte.concepts):
            why = _uncounted(analyte, result) if _is_current(result, analyte, case) else ""
            if why and result.value is not None:
                found.append((Evidence(result.reference, analyte.name, result.when, result.value.as_reported), why))
    return tuple(dict.fromkeys(found))


def _uncounted(analyte: Analyte, result: Result) -> str:
    if not result.final:
        return "not final yet, so it stands for no result"
    if analyte.read(result) is not None:
        return ""
    if has_number(analyte, result):
        return "no possible value in this unit, so it was not compared: check the number and the unit"
    return "the unit is missing or unknown, so it was not compared"


def _is_current(result: Result, analyte: Analyte, case: Case) -> bool:
    when = result.when
    return when is not None and when.within(max(analyte.look_back, CRITICAL_DAYS), case.today) is True


def value_judge(analyte: Analyte) -> Callable[[Case], Finding]:
    """The finding under an analyte's id: its newest value as a number."""

    def judge(case: Case) -> Finding:
        lab = newest_value(analyte, case)
        if lab is None or not _is_current(lab.result, analyte, case):
            return Finding(analyte.id, UNKNOWN, against=(lab.evidence,) if lab else ())
        return Finding(analyte.id, PRESENT, (lab.evidence,), value=lab.value)

    return judge


def may_lie_beyond(lab: LabValue, side: str) -> bool:
    """A value reported as a bound ("<5.0") lies on both sides of the limit."""
    if lab.value.exact:
        return False
    end = lab.value.low if side == "low" else lab.value.high
    extreme = structs.replace(lab.value, low=end, high=end)
    return lab.analyte.action.low(extreme) if side == "low" else lab.analyte.action.high(extreme)


def side_judge(analyte: Analyte, side: str) -> Callable[[Case], Finding]:
    """The findings ``low_<id>`` and ``high_<id>``: beyond the action band, as ``band`` reads it."""
    name = f"{side}_{analyte.id}"

    def judge(case: Case) -> Finding:
        lab, where = case.bands.get(analyte.id, (None, ""))
        if lab is None:
            return Finding(name, UNKNOWN)
        beyond = where in (side, f"critical_{side}")
        if (beyond and side == "high" and lab.doubtful) or (not beyond and may_lie_beyond(lab, side)):
            return Finding(name, UNKNOWN, against=(lab.evidence,))
        return Finding(name, Presence.of(beyond), (lab.evidence,), value=lab.value)

    return judge


def valid_judge(analyte: Analyte) -> Callable[[Case], Finding]:
    """The finding ``valid_<id>``: a result that satisfies look-back and onset rules."""
    name = f"valid_{analyte.id}"

    def judge(case: Case) -> Finding:
        if analyte.any_of:
            return _any_valid(name, analyte, case)
        lab = newest_value(analyte, case)
        if lab is not None and still_counts(lab, case):
            return Finding(name, PRESENT, (lab.evidence,))
        known = "labs" in case.chart.complete or lab is not None
        return Finding(name, ABSENT if known else UNKNOWN, against=(lab.evidence,) if lab else ())

    return judge


def _any_valid(name: str, analyte: Analyte, case: Case) -> Finding:
    parts = []
    for member, unless in analyte.any_of:
        part = case[f"valid_{member}"]
        if part.present and (unless is None or not unless(case).present):
            return Finding(name, PRESENT, part.evidence)
        parts.append(part)
    unknown = all(part.presence is UNKNOWN for part in parts)
    against = tuple(e for part in parts for e in part.evidence + part.against)
    return Finding(name, UNKNOWN if unknown else ABSENT, against=against)


def window(analyte: Analyte, case: Case) -> int:
    """The look-back window in days, shortened where a modifier of the row holds."""
    days = analyte.look_back
    for formula, shorter in analyte.shorter:
        if shorter < days and formula(case).present:
            days = shorter
    return days


def still_counts(lab: LabValue, case: Case) -> bool:
    """Final, after onset, inside the window, and nothing happened since that would change it."""
    when = lab.result.when
    days = window(lab.analyte, case)
    if when is None or (days == 0 and case.today != when.last):
        return False
    if case.onset is None:
        days //= 2
    elif when.first < case.onset.first:
        return False
    return when.within(days, case.today) is True and not _overtaken(lab, case)


def _overtaken(lab: LabValue, case: Case) -> bool:
    drawn = lab.result.when
    if drawn is None:
        return True
    for finding in case.knowledge.overtaken_by:
        newest = case[finding].newest if case[finding].present else None
        if newest is not None and newest.first > drawn.last:
            return True
    return any(since.first > drawn.last for since in case.medicine_changes.get(lab.analyte.id, ()))
