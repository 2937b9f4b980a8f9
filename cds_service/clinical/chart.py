"""A patient's record as the reasoning sees it: small frozen entries, raw FHIR left behind.

What a chart has hundreds of are msgspec Structs: they are made in an eighth of the time of a frozen dataclass, and the
garbage collector passes over them, as nothing in them can point back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import cache
from operator import itemgetter
from typing import NamedTuple, TypeVar

from msgspec import Struct

from cds_service.clinical.spans import Span
from cds_service.clinical.tokens import fold

USUAL_ROLES = frozenset(
    # How closely a code carries a concept; DECISIONS of the content name any other role.
    {"", "narrower", "finding counterpart", "POC whole blood", "deprecated", "legacy", "bilateral", "clinical form"}
)


CRITICAL_FLAGS = frozenset({"LL", "HH", "AA"})  # what a laboratory calls critical
UNTIMED = float("-inf")  # the moment of a result of which only the day is known
TREES = frozenset({"icd10cm", "atc"})  # code systems in which a code stands for everything below it


class Match(NamedTuple):
    """A coding of the record that is in a value set."""

    concept: str
    role: str
    system: str
    code: str


class Site(NamedTuple):
    """Where on the body: region (eyelid, face, tongue, neck, arm, trunk, leg), side, words."""

    region: str
    side: str  # left, right, both or "" when not said
    words: str


class Quantity(Struct, frozen=True, gc=False):
    """A number with its unit; a comparator makes it a bound (``<0.01`` is -inf to 0.01)."""

    low: float
    high: float
    unit: str
    as_reported: str

    @property
    def exact(self) -> bool:
        return self.low == self.high

    def beyond(self, low: float | None, high: float | None) -> tuple[bool, bool]:
        """Whether all of it lies below a range, and whether above; a missing end excludes nothing."""
        return low is not None and self.high < low, high is not None and self.low > high


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """One statement of the record."""

    reference: str
    title: str
    codes: tuple[Match, ...] = ()
    when: Span | None = None
    texts: tuple[str, ...] = ()  # where curated phrases may be looked for
    coded: bool = False  # a code says what it is; words then only count for what has no code
    sites: tuple[Site, ...] = ()

    @property
    def last_day(self) -> date:
        """The latest day it may have been: what is newest goes by it, and what has no date is the oldest."""
        return self.when.last if self.when else date.min


class State(Enum):
    CURRENT = "current"
    ENDED = "ended"
    REFUTED = "refuted"


class Problem(Entry, frozen=True, kw_only=True, gc=False):
    """A Condition. ``when`` is its onset, else the day it was recorded."""

    state: State
    verification: str = ""
    onset: Span | None = None
    recorded: Span | None = None
    ended: Span | None = None
    severity: str = ""
    this_encounter: bool = False

    @property
    def confirmed(self) -> bool:
        """A provisional, differential or unconfirmed label is not; silence counts as confirmed."""
        return self.verification not in ("provisional", "differential", "unconfirmed")


UNNAMED_RESULT = "unnamed observation"  # two of them need not be of the same test


class Result(Entry, frozen=True, kw_only=True, gc=False):
    """An Observation, or one component of it."""

    says: str = ""  # yes, no, normal, abnormal, unsure; "" when it only has a value
    says_twitching: bool | None = None  # what its value says of twitching in other words
    value: Quantity | None = None
    value_codes: tuple[Match, ...] = ()
    value_text: str = ""
    examined: bool = False
    final: bool = True
    range_low: float | None = None
    range_high: float | None = None
    range_unit: str = ""  # where it is another than that of the value
    flags: frozenset[str] = frozenset()
    grade: float | None = None  # muscle strength, 0 to 5
    muscle: str = ""
    remarks: str = ""  # notes on the sample, such as haemolysis
    at: float = UNTIMED  # the moment in seconds when it is known, for the newest of several on one day
    this_encounter: bool = False


class Report(Entry, frozen=True, kw_only=True, gc=False):
    """A DiagnosticReport. ``when`` is the day of the study."""

    issued: Span | None = None
    status: str = "final"
    final: bool = True
    conclusion: str = ""


class Medicine(Entry, frozen=True, kw_only=True, gc=False):
    """A MedicationRequest or MedicationStatement. ``when`` is its start."""

    active: bool
    ended: Span | None = None
    mg_per_day: float | None = None
    units_per_day: float | None = None  # international units
    last_change: Span | None = None  # a later request for the same ingredient with a higher dose
    name: str = ""
    given: str = ""  # the words of its route and form


class Order(Entry, frozen=True, kw_only=True, gc=False):
    """A ServiceRequest. ``when`` is the day it was written."""

    status: str


class Visit(Entry, frozen=True, kw_only=True, gc=False):
    """An Encounter. ``when`` is its start."""

    status: str
    ended: Span | None = None


class Procedure(Entry, frozen=True, kw_only=True, gc=False):
    """A Procedure that was completed."""


class Relative(Entry, frozen=True, kw_only=True, gc=False):
    """A condition of a relative. ``when`` stays empty."""

    relation: str
    age: str = ""


class Device(Entry, frozen=True, kw_only=True, gc=False):
    """An implanted or carried device in use."""


class Allergy(Entry, frozen=True, kw_only=True, gc=False):
    """An active allergy or intolerance."""


class Appointment(Entry, frozen=True, kw_only=True, gc=False):
    """A booked future visit."""


class Answer(Entry, frozen=True, kw_only=True, gc=False):
    """One answered item of the structured history."""

    item: str
    values: tuple[str, ...] = ()
    number: float | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """Who it is about. ``born`` is None when no birth date is on file."""

    id: str
    born: Span | None = None
    sex: str = ""  # male, female or "" when not said
    deceased: bool = False
    interpreter: bool = False


@dataclass(frozen=True, slots=True)
class DataGap:
    """Something the client had or was asked for and this service could not read."""

    query: str
    reason: str
    count: int = 1


EntryKind = TypeVar("EntryKind", bound=Entry)
Titled = dict[str, list[Entry]]  # by folded title


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    """By reference and title, and only where these are equal by all that an entry says."""
    alike: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        alike.setdefault((entry.reference, entry.title), []).append(entry)
    return [
        entry
        for _, same in sorted(alike.items(), key=itemgetter(0))
        for entry in (same if len(same) == 1 else sorted(same, key=_place_in_order))
    ]


def _place_in_order(entry: Entry) -> tuple[str, ...]:
    """Resources may lack an id or share one, so what they say decides as well."""
    said = (getattr(entry, "value", ""), getattr(entry, "says", ""), getattr(entry, "grade", ""))
    return (entry.reference, entry.title, repr(entry.codes), str(entry.when), repr(said))


@dataclass(frozen=True, slots=True)
class Chart:
    """All readable, relevant entries of one patient.

    ``answered`` names the prefetch queries that were answered; ``complete`` those of them whose
    answer was not cut short, so that silence may mean something.
    """

    patient: Patient
    entries: tuple[Entry, ...] = ()
    answered: frozenset[str] = frozenset()
    complete: frozenset[str] = frozenset()
    gaps: tuple[DataGap, ...] = ()
    _by_kind: dict[type[Entry], tuple[Entry, ...]] = field(default_factory=dict, compare=False, repr=False)
    _by_concept: dict[type[Entry], dict[str, list[Entry]]] = field(default_factory=dict, compare=False, repr=False)
    _by_title: dict[type[Entry], tuple[Titled, str]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Sorted once, so that the order of resources in a request never changes an answer.
        ordered = _in_order(self.entries)
        object.__setattr__(self, "entries", tuple(ordered))
        by_kind: dict[type[Entry], list[Entry]] = {}
        for entry in ordered:
            by_kind.setdefault(type(entry), []).append(entry)
            concepts = {match.concept for match in entry.codes}
            if isinstance(entry, Result):
                concepts |= {match.concept for match in entry.value_codes}
            index = self._by_concept.setdefault(type(entry), {})
            for concept in concepts:
                index.setdefault(concept, []).append(entry)
        self._by_kind.update({kind: tuple(found) for kind, found in by_kind.items()})

    @property
    def carried(self) -> Mapping[type[Entry], Mapping[str, Sequence[Entry]]]:
        """The kinds of entries there are, with the concepts that entries of each carry."""
        return self._by_concept

    def all(self, kind: type[EntryKind]) -> tuple[EntryKind, ...]:
        return self._by_kind.get(kind, ())  # type: ignore[return-value]

    def about(self, kind: type[EntryKind], concepts: frozenset[str]) -> Sequence[EntryKind]:
        """Entries of a kind that carry one of these concepts, each once."""
        index = self._by_concept.get(kind)
        carried = concepts & index.keys() if index else ()
        if not index or not carried:
            return ()
        if len(carried) == 1:
            return tuple(index[next(iter(carried))])  # type: ignore[arg-type]
        found = {id(entry): entry for concept in sorted(carried) for entry in index[concept]}
        return tuple(found.values())  # type: ignore[arg-type]

    def named(self, kind: type[EntryKind], words: Sequence[str]) -> Iterator[EntryKind]:
        """Entries of a kind whose title contains one of these folded words. Titles repeat; each is looked at once."""
        if not words:
            return
        titled, together = self._titled(kind)
        said = [word for word in words if word in together]  # mostly none, and then no title is looked at
        for title, entries in titled.items() if said else ():
            if any(word in title for word in said):
                yield from entries  # type: ignore[misc]

    def _titled(self, kind: type[Entry]) -> tuple[Titled, str]:
        """The entries by folded title, and all titles together."""
        if kind not in self._by_title:
            titled: Titled = {}
            folded = cache(fold)  # records repeat their titles
            for entry in self.all(kind):
                titled.setdefault(folded(entry.title), []).append(entry)
            self._by_title[kind] = titled, "\n".join(titled)
        return self._by_title[kind]

    def about_or_named(
        self, kind: type[EntryKind], concepts: frozenset[str], words: Sequence[str]
    ) -> Sequence[EntryKind]:
        """Entries of a kind that carry one of these concepts or whose title contains one of these folded words."""
        found = {id(entry) for entry in self.about(kind, concepts)}
        found.update(id(entry) for entry in self.named(kind, words))
        return [entry for entry in self.all(kind) if id(entry) in found] if found else ()


QUERIES: Mapping[str, str] = {
    # The prefetch queries and what they ask for; clients' own key names work as well.
    "patient": "Patient",
    "conditions": "Condition",
    "labs": "Observation",
    "findings": "Observation",
    "medications": "MedicationRequest",
    "reports": "DiagnosticReport",
    "vitals": "Observation",
    "encounters": "Encounter",
    "orders": "ServiceRequest",
    "answers": "QuestionnaireResponse",
    "procedures": "Procedure",
    "family": "FamilyMemberHistory",
    "devices": "Device",
    "statements": "MedicationStatement",
}
