"""What a report counts: one pass over the lines of a review, holding numbers and only the gravest charts."""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.clinical.workup import ASKED_BY_NAME
from cds_service.review.rows import NO_TIER, Row
from cds_service.review.sources import label_of

BINS = 24
MOST_LISTED = 1_000
AGES = ((0, 17), (18, 39), (40, 64), (65, 79), (80, 150))
SEXES = ("female", "male", "other or not said")
SIDES = ("critical", "beyond", "inside")  # of a laboratory value: where it lies
_SIDE = {"critical_low": "critical", "critical_high": "critical", "low": "beyond", "high": "beyond"}
_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class Histogram:
    """Values of one analyte in its canonical unit, in bins from ``low`` to ``high``; the outer bins hold the rest."""

    low: float
    high: float
    bins: dict[str, list[int]] = field(default_factory=lambda: {side: [0] * BINS for side in SIDES})
    bounds: int = 0  # results that are no number but a bound: "<0.01"

    def put(self, value: float | None, band: str) -> None:
        if value is None:
            self.bounds += 1
            return
        place = int((value - self.low) / (self.high - self.low) * BINS)
        self.bins[_SIDE.get(band, "inside")][min(BINS - 1, max(0, place))] += 1

    @property
    def width(self) -> float:
        return (self.high - self.low) / BINS

    @property
    def count(self) -> int:
        return sum(map(sum, self.bins.values()))


@dataclass(frozen=True, slots=True)
class Urgent:
    """A chart that holds an emergency feature or a critical result."""

    patient: str
    source: str
    card: str
    newest: str  # ISO date; "" when undated
    facts: tuple[tuple[str, str], ...]  # what, with value and band of a result, and its date
    outcome: str


@dataclass(slots=True)
class Quality:
    """What one source sent: patients, and what could not be used of it."""

    patients: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    no_birth_date: int = 0
    no_sex: int = 0
    troubles: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Summary:
    patients: int = 0
    twitching: int = 0
    twitching_unknown: int = 0
    with_card: int = 0
    tiers: Counter[str] = field(default_factory=Counter)
    cards: Counter[tuple[str, str]] = field(default_factory=Counter)  # card, indicator
    people: Counter[tuple[int, str]] = field(default_factory=Counter)  # all who were assessed, by age and sex
    by_age_and_sex: Counter[tuple[int, str, str]] = field(default_factory=Counter)  # place in AGES (-1: unknown)
    silent: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    suggested: Counter[tuple[str, str]] = field(default_factory=Counter)  # test, priority
    avoided: Counter[tuple[str, str]] = field(default_factory=Counter)  # test, state
    because: Counter[tuple[str, str]] = field(default_factory=Counter)  # test, reason
    labs: dict[str, Histogram] = field(default_factory=dict)
    urgent_count: int = 0  # charts and cards: a chart counts for each of its emergency cards
    urgent_patients: int = 0
    urgent: list[Urgent] = field(default_factory=list)  # newest first
    quality: defaultdict[str, Quality] = field(default_factory=lambda: defaultdict(Quality))


def summarise(rows: Iterable[Row], errors: Iterable[Mapping[str, Any]], analytes: Mapping[str, Any]) -> Summary:
    """Count the lines of a review. ``analytes``: of the run's dictionary, with their limits."""
    found = Summary()
    newest: list[tuple[str, int, Urgent]] = []
    for row in rows:
        _count(row, found, analytes)
        found.urgent_patients += bool(row["emergencies"])
        for urgent in _urgent(row, analytes):
            found.urgent_count += 1
            heapq.heappush(newest, (urgent.newest, found.urgent_count, urgent))
            if len(newest) > MOST_LISTED:
                heapq.heappop(newest)
    found.urgent = [urgent for _, _, urgent in sorted(newest, key=lambda e: (e[0], -e[1]), reverse=True)]
    for error in errors:
        found.quality[label_of(error["file"])].troubles[_NUMBER.sub("…", error["reason"])] += 1
    return found


def _count(row: Row, found: Summary, analytes: Mapping[str, Any]) -> None:
    found.patients += 1
    quality = found.quality[row["source"]]
    quality.patients += 1
    quality.no_birth_date += row["age"] is None
    quality.no_sex += row["sex"] is None
    for gap in row["gaps"]:
        quality.gaps[f"{gap['query']}: {gap['reason']}"] += gap["count"]
    age_and_sex = _age_band(row["age"]), row["sex"] if row["sex"] in SEXES else SEXES[-1]
    found.people[age_and_sex] += 1
    found.twitching_unknown += row["twitching"] == "unknown"
    if row["twitching"] != "present":
        return
    found.twitching += 1
    found.tiers[row["tier"]] += 1
    found.by_age_and_sex[(*age_and_sex, row["tier"])] += 1
    _count_labs(row, found, analytes)
    if row["tier"] == NO_TIER:
        found.silent[row["silent_because"] or ""] += 1
        return
    found.with_card += 1
    found.cards.update((part, card["indicator"]) for card in row["cards"] for part in card["card"].split("+"))
    found.missing.update(row["missing"])
    found.suggested.update({(order["test"], order["priority"]) for order in row["orders"]})
    found.avoided.update(  # a test of which the same card asks for the rest by name is not avoided
        {(h["test"], h["state"]) for h in row["withheld"] if not h["because"].startswith(ASKED_BY_NAME)}
    )
    found.because.update({(held["test"], re.sub(r" on [\d-]+$", "", held["because"])) for held in row["withheld"]})


def _count_labs(row: Row, found: Summary, analytes: Mapping[str, Any]) -> None:
    for name, lab in row["labs"].items():
        histogram = found.labs.get(name) or _histogram(analytes.get(name) or {})
        if histogram is not None:
            found.labs[name] = histogram
            histogram.put(lab["value"], lab["band"])


def _histogram(analyte: Mapping[str, Any]) -> Histogram | None:
    """Wide enough for every limit; None for an analyte without any."""
    limits = [analyte.get(key) for key in ("low", "high", "critical_low", "critical_high")]
    known = [limit for limit in (*limits, *analyte.get("reference", ())) if limit is not None]
    if not known:
        return None
    low, high = min(known), max(known)
    reach = (high - low) * 0.35 or abs(high) * 0.8 or 1.0
    return Histogram(max(0.0, low - reach) if low >= 0 else low - reach, high + reach)


def _age_band(age: int | None) -> int:
    if age is None:
        return -1
    return next((place for place, (_, last) in enumerate(AGES) if age <= last), len(AGES) - 1)


_BANDS = {"critical_low": "critically low", "critical_high": "critically high"}


def _urgent(row: Row, analytes: Mapping[str, Any]) -> Iterable[Urgent]:
    values = dict(_values(row, analytes))
    for one in row["emergencies"]:
        facts = tuple(
            (f"{fact['fact']} {values.get((fact['fact'], fact['date']), '')}".strip(), fact["date"] or "undated")
            for fact in one["facts"]
        )
        yield Urgent(row["patient"], row["source"], one["card"], one["newest"] or "", facts, one["outcome"])


def _values(row: Row, analytes: Mapping[str, Any]) -> Iterable[tuple[tuple[str, str | None], str]]:
    """Value and band of each result on the line, by what it is called and its date."""
    for name, lab in row["labs"].items():
        known = row["facts"].get(name) or {}
        value = f"{lab['value']:g} {lab['unit']}" if lab["value"] is not None else known.get("value") or ""
        title = analytes.get(name, {}).get("name", name)
        yield (title, lab["date"]), f"{value}, {_BANDS.get(lab['band'], lab['band'])}"
