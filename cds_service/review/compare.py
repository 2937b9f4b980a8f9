"""Two reviews side by side: whose advice changed, by card, and the facts that made it so."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from cds_service.review.journal import RESULTS
from cds_service.review.rows import Row
from cds_service.review.run import line_of, read_manifest

NOT_TRIGGERED = "not triggered"
RULE = "the rule itself changed; its facts are the same"
RANK = "another card on the ladder changed; its own facts are the same"
TWITCHING = "twitch_current"
COMPARED = (
    "Compared are, for each patient: what became of every triggered card with its indicator, suggested tests with "
    "priority and items, tests not suggested with the reason, and the decisive facts that are missing. "
    "Not compared are the wording of cards, dates, laboratory values and facts of cards that stay as they are."
)
_SAME = {"files_hash": "the input files", "policy": "the settings of the site", "limit": "--limit"}
_DATED = re.compile(r"\s*\b(?:on|of|from|since) \d{4}(?:-\d{2}){0,2}\b")
_UNKNOWN = {"is": "unknown", "value": None, "date": None}


class FactChange(NamedTuple):
    """One fact, as it was and as it is: ``is``, ``value`` and ``date``."""

    fact: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def turned(self) -> bool:
        """Whether its presence changed, and not its value or date alone."""
        return bool(self.before["is"] != self.after["is"])


class Difference(NamedTuple):
    """What one list of a line has more and less than before."""

    added: tuple[str, ...]
    gone: tuple[str, ...]


class CardChange(NamedTuple):
    """What became of one card, before and after: an outcome of the ladder, with the indicator when shown."""

    card: str
    before: str
    after: str
    facts: tuple[FactChange, ...]

    @property
    def without_facts(self) -> str:
        """Why it changed although its own facts did not."""
        return RULE if NOT_TRIGGERED in (self.before, self.after) else RANK


@dataclass(frozen=True, slots=True)
class Change:
    """One patient whose advice changed."""

    patient: str
    source: str
    tiers: tuple[str, str]
    indicators: tuple[str | None, str | None]
    cards: tuple[CardChange, ...]
    orders: Difference
    withheld: Difference
    missing: Difference

    def line(self) -> bytes:
        cards = [
            {"card": c.card, "before": c.before, "after": c.after, "facts": [f._asdict() for f in c.facts]}
            for c in self.cards
        ]
        said = {
            "patient": self.patient, "source": self.source, "tiers": self.tiers, "indicators": self.indicators,
            "cards": cards, "orders_added": self.orders.added, "orders_gone": self.orders.gone,
            "withheld_added": self.withheld.added, "withheld_gone": self.withheld.gone,
            "missing_added": self.missing.added, "missing_gone": self.missing.gone,
        }  # fmt: skip
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class Comparison:
    """Counts over all patients. Keys of ``cards``: card, before, after; of ``facts``: card, fact, before, after."""

    both: int = 0
    changed: int = 0
    only_before: int = 0
    only_after: int = 0
    cards: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    facts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    louder: int = 0  # patients whose leading indicator is graver than before
    quieter: int = 0
    gained: int = 0  # patients who had no card and have one
    lost: int = 0
    tests: int = 0  # patients whose suggested tests changed, by test, priority or items
    withheld: int = 0
    missing: int = 0

    def count(self, change: Change) -> None:
        self.changed += 1
        before, after = (_LOUDNESS[level] for level in change.indicators)
        self.gained += before == 0 < after
        self.lost += after == 0 < before
        self.louder += 0 < before < after
        self.quieter += 0 < after < before
        self.tests += any(change.orders)
        self.withheld += any(change.withheld)
        self.missing += any(change.missing)
        for card in change.cards:
            self.cards[card.card, card.before, card.after] += 1
            for fact in card.facts:
                self.facts[card.card, fact.fact, fact.before["is"], fact.after["is"]] += 1
            if not card.facts:
                self.facts[card.card, card.without_facts, "", ""] += 1


_LOUDNESS = {None: 0, "info": 1, "warning": 2, "critical": 3}


class Compared:
    """Compares two finished reviews. Raises ReviewError when one of them is none.

    The patients of the second are looked up in a file, so that neither has to fit into memory.
    """

    def __init__(self, before: Path, after: Path) -> None:
        self.before, self.after = read_manifest(before), read_manifest(after)
        self._files = (before / RESULTS, after / RESULTS)
        self.counts = Comparison()

    @property
    def in_error(self) -> bool:
        """Whether either review could not use everything: then nobody knows what changed there."""
        return any(run["tally"]["in_error"] or run["tally"]["troubles"] for run in (self.before, self.after))

    def not_compared(self) -> str:
        """The patients and records that neither list can speak of."""
        before, after = (
            f"{tally['in_error']:,} patients in error and {tally['troubles']:,} files or records not usable"
            for tally in (self.before["tally"], self.after["tally"])
        )
        return f"Not compared: in the first {before}; in the second {after}."

    def warning(self) -> str:
        """What else differs between the two reviews; "" when nothing does."""
        differs = [name for key, name in _SAME.items() if self.before.get(key) != self.after.get(key)]
        if not differs:
            return ""
        return f"These are not reviews of the same: {', '.join(differs)} differ. A change may come from that alone."

    def changes(self) -> Iterator[Change]:
        """Every patient whose advice changed, in the order of the first review; counts all the while."""
        with tempfile.TemporaryDirectory(prefix="cds-compare-") as place, self._files[1].open("rb") as others:
            index = _index(self._files[1], Path(place, "places.sqlite"))
            with self._files[0].open("rb") as lines:
                for line in lines:
                    old = line_of(line, self._files[0])
                    found = index.execute("SELECT place FROM places WHERE patient = ?", (old["patient"],)).fetchone()
                    if found is None:
                        self.counts.only_before += 1
                        continue
                    self.counts.both += 1
                    others.seek(found[0])
                    change = self._change(old, line_of(others.readline(), self._files[1]))
                    if change is not None:
                        self.counts.count(change)
                        yield change
            (there,) = index.execute("SELECT count(*) FROM places").fetchone()
            self.counts.only_after = there - self.counts.both
            index.close()

    def _change(self, old: Row, new: Row) -> Change | None:
        states = _states(old), _states(new)
        cards = tuple(
            CardChange(
                card,
                states[0].get(card, NOT_TRIGGERED),
                states[1].get(card, NOT_TRIGGERED),
                tuple(self._facts(card, old, new)),
            )
            for card in sorted(states[0].keys() | states[1].keys())
            if states[0].get(card) != states[1].get(card)
        )
        orders, withheld, missing = (_difference(of(old), of(new)) for of in (_orders, _withheld, _missing))
        if not cards and not any((*orders, *withheld, *missing)):
            return None
        return Change(
            old["patient"], new["source"], (old["tier"], new["tier"]), (old["indicator"], new["indicator"]), cards,
            orders, withheld, missing,
        )  # fmt: skip

    def _facts(self, card: str, old: Row, new: Row) -> Iterator[FactChange]:
        """The facts that decide about a card and have changed; those whose presence turned go before others."""
        names = {n for run in (self.before, self.after) for n in run["dictionary"]["cards"].get(card, {})["facts"]}
        changed = [
            FactChange(name, before, after)
            for name in sorted(names)
            for before, after in [(old["facts"].get(name, _UNKNOWN), new["facts"].get(name, _UNKNOWN))]
            if before != after
        ]
        if old["twitching"] != new["twitching"]:
            was, now = ({"is": row["twitching"], "value": None, "date": None} for row in (old, new))
            return iter([FactChange(TWITCHING, was, now)])
        turned = [fact for fact in changed if fact.turned]
        return iter(turned or changed)

    def title(self, kind: str, name: str) -> str:
        """What a card or a fact is called, by the newer content."""
        for run in (self.after, self.before):
            known = run["dictionary"][kind].get(name)
            if known:
                title = str(known["title"] if isinstance(known, Mapping) else known)
                return title[:1].upper() + title[1:] if kind == "cards" else title
        return name


def _states(row: Row) -> dict[str, str]:
    """What became of each card that was triggered."""
    level = {part: card["indicator"] for card in row["cards"] for part in card["card"].split("+")}
    return {
        card: f"{outcome} ({level[card]})" if card in level and outcome == "shown" else outcome
        for card, outcome in row["ladder"].items()
    }


def _difference(before: set[str], after: set[str]) -> Difference:
    return Difference(tuple(sorted(after - before)), tuple(sorted(before - after)))


def _orders(row: Row) -> set[str]:
    return {f"{order['test']}/{order['priority']}: {', '.join(sorted(order['items']))}" for order in row["orders"]}


def _withheld(row: Row) -> set[str]:
    """Without dates: a newer result of the same kind is the same advice."""
    return {f"{held['test']}: {held['state']}, {_DATED.sub('', held['because'])}" for held in row["withheld"]}


def _missing(row: Row) -> set[str]:
    return set(row["missing"])


def _index(results: Path, file: Path) -> sqlite3.Connection:
    index = sqlite3.connect(file)
    index.execute("PRAGMA journal_mode=OFF")
    index.execute("CREATE TABLE places (patient TEXT PRIMARY KEY, place INTEGER) WITHOUT ROWID")
    place = 0
    with results.open("rb") as lines:
        for line in lines:
            index.execute("INSERT OR IGNORE INTO places VALUES (?, ?)", (line_of(line, results)["patient"], place))
            place += len(line)
    return index


def told(compared: Compared) -> Iterator[str]:
    """The comparison in lines for a terminal."""
    counts = compared.counts
    if compared.warning():
        yield f"Warning: {compared.warning()}"
    yield f"{counts.both} patients in both: the advice of {counts.changed} changed."
    yield (
        f"{counts.gained} gained a card, {counts.lost} lost every card, "
        f"{counts.louder} are graver, {counts.quieter} are milder."
    )
    yield (
        f"Suggested tests changed for {counts.tests}, tests not suggested for {counts.withheld}, "
        f"missing facts for {counts.missing}."
    )
    if compared.in_error:
        yield compared.not_compared()
    if counts.only_before or counts.only_after:
        yield f"Only in the first: {counts.only_before}; only in the second: {counts.only_after}."
    for card in sorted({card for card, _, _ in counts.cards}):
        yield f"\n{card} {compared.title('cards', card)}"
        for (name, before, after), number in counts.cards.most_common():
            if name == card:
                yield f"  {number:6}  {before} → {after}"
        for (name, fact, before, after), number in counts.facts.most_common():
            if name == card:
                yield f"  {number:6}    because {_because(compared, fact, before, after)}"


def _because(compared: Compared, fact: str, before: str, after: str) -> str:
    if fact in (RULE, RANK):
        return fact
    turned = f"was {before}, is {after}" if before != after else "has another value or date"
    return f"“{compared.title('findings', fact)}” {turned}"
