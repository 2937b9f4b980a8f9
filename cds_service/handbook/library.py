"""Every rule, threshold, card and reference as an entry with a page of its own, and a search over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cds_service.clinical.formula import named_in
from cds_service.knowledge.content import Content
from cds_service.knowledge.links import depends_on, formulas, orders_of

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entry: what readers call one and many of it, and the folder of their pages."""

    name: str
    many: str
    folder: str


CARD = Kind("card", "Cards", "cards")
FINDING = Kind("finding", "Findings", "findings")
TEST = Kind("test", "Tests and referrals", "investigations")
LIMITS = Kind("laboratory limits", "Laboratory limits", "thresholds")
HYPOTHESIS = Kind("hypothesis", "Hypotheses", "hypotheses")
MEDICINES = Kind("medicines", "Medicines", "medicines")
CAUTION = Kind("caution", "Cautions", "cautions")
SILENCE = Kind("no-card rule", "When no card is shown", "no-card-rules")
RECHECK = Kind("when to look again", "When to look again", "re-evaluation")
GATE = Kind("entry gate", "What opens the gate", "gate")
REFERENCE = Kind("reference", "References", "references")
KINDS = (CARD, FINDING, LIMITS, HYPOTHESIS, TEST, MEDICINES, CAUTION, SILENCE, RECHECK, GATE, REFERENCE)
_HEADER = ("status", "author", "reviewed_by", "next_review", "purpose", "misuse")
_TABLES = {
    "hypotheses.yaml": HYPOTHESIS, "references.yaml": REFERENCE, "drug-classes.yaml": MEDICINES,
    "cautions.yaml": CAUTION, "no-card-rules.yaml": SILENCE, "re-evaluation.yaml": RECHECK,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One page or row of the content, as it is written."""

    id: str
    kind: Kind
    title: str
    file: str
    spec: Spec
    header: Spec  # status, author, reviewer, next review, purpose and misuse: its own, or those of its table
    words: str  # everything in it in lower case, to search in

    @property
    def status(self) -> str:
        return str(self.header["status"])

    @property
    def path(self) -> str:
        """Its page in the handbook, from the handbook's own root. Ids are checked with the content to be addresses."""
        return f"{self.kind.folder}/{self.spec['id']}.html"

    @property
    def sources(self) -> tuple[str, ...]:
        """The references it cites, each once."""
        return tuple(dict.fromkeys(_sources(self.spec)))

    @property
    def names(self) -> frozenset[str]:
        """The findings, values, hypotheses and tests that its rule speaks of."""
        named = {name for formula in formulas(self.spec) for name in named_in(formula)}
        named |= depends_on(self.spec) | orders_of(self.spec)
        lists = ("names", "found", "results", "hypotheses", "decided_by", "about", "check", "lets_through")
        for key in lists:
            if not (self.kind in (MEDICINES, GATE) and key == "names"):
                named |= named_in(list(self.spec.get(key, ())))
        return frozenset(named | {asked["ask"] for asked in self.spec.get("asks", ())})


def _sources(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "source" and isinstance(inner, str) and inner:
                yield inner
            elif key == "sources" and isinstance(inner, list):
                yield from (one for one in inner if isinstance(one, str))
            else:
                yield from _sources(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _sources(inner)


def is_yes(value: Any) -> bool:
    """Whether content says so: ``yes``, which stays text when it is read, or ``true``, which does not."""
    return str(value) in ("yes", "True", "true")


def texts_of(value: Any) -> Iterator[str]:
    """Every text in the rule of an entry, its examples, claims and words left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in ("id", "examples", "why", "words"):
                yield from texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_of(inner)


class Library(Mapping[str, Entry]):
    """All entries of a content by their id, cards first."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._entries: dict[str, Entry] = {}
        self._rows: dict[tuple[str, str], Entry] = {}
        for entry in entries_of(content):
            name = entry.id
            while name in self._entries:  # rules name findings and references; a class of the same name gives way
                name = f"{name}-{entry.kind.folder}"
            self._rows[entry.kind.name, entry.id] = self._entries[name] = replace(entry, id=name)

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def of(self, kind: Kind) -> list[Entry]:
        return [entry for entry in self.values() if entry.kind is kind]

    def row(self, kind: Kind, name: str) -> Entry:
        """The entry of a kind by the name that its file gives it. Raises KeyError."""
        return self._rows[kind.name, name]

    def search(self, text: str, kind: str = "") -> list[Entry]:
        """The entries that hold every word; those with a word in their name come first."""
        wanted = text.lower().split()
        fitting = [e for e in self.values() if kind in ("", e.kind.name) and all(word in e.words for word in wanted)]
        return sorted(fitting, key=lambda e: not all(word in f"{e.id} {e.title}".lower() for word in wanted))

    def cited_by(self, reference: str) -> list[Entry]:
        return [self[name] for name in self._citing.get(reference, ())]

    def used_by(self, name: str) -> list[Entry]:
        """The entries whose rules speak of this one; of an analyte also those that speak of its limits."""
        return [self[one] for one in self._using.get(name, ())]

    def findings_of_class(self, spec: Spec) -> set[str]:
        """Findings that ask for a class of medicines by its concepts, or for any medicine that can cause twitching."""
        findings = self.content.findings
        wanted = {str(spec["id"]), f"class:{spec['id']}", *spec["concepts"]}
        found = {name for name, own in findings.items() if wanted & set(texts_of(own))}
        general = {n for n, own in findings.items() if own.get("compute") == "medicine_before_onset"
                   and "classes" not in (own.get("with") or {})}  # fmt: skip
        return found | (general if is_yes(spec["causal"]) else set())

    @cached_property
    def _citing(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for entry in self.values():
            for source in entry.sources:
                found.setdefault(source, []).append(entry.id)
        return found

    @cached_property
    def _using(self) -> Mapping[str, list[str]]:
        found: dict[str, dict[str, None]] = {}
        for entry in self.values():
            for name in entry.names:
                found.setdefault(self.entry_of(name), {})[entry.id] = None
        return {name: [one for one in users if one != name] for name, users in found.items()}

    def entry_of(self, name: str) -> str:
        """The entry that explains a name of a rule: ``low_K`` is explained where K is."""
        kind, _, analyte = name.partition("_")
        derived = name not in self._entries and kind in ("valid", "low", "high") and analyte in self._entries
        return analyte if derived else name


def entries_of(content: Content) -> Iterator[Entry]:
    """Every entry by the id that its file gives it."""
    for kind, pages in ((CARD, content.cards), (FINDING, content.findings), (TEST, content.investigations)):
        for name, spec in sorted(pages.items()):
            yield _entry(spec, kind, content.files[name], spec)
    for row in content.analytes:
        yield _entry(row, LIMITS, "analytes.yaml", content.plain["analytes.yaml"])
    for table, kind in _TABLES.items():
        for row in content.tables[table]:
            yield _entry(row, kind, table, content.headers[table])
    gate = content.plain["entry-gate.yaml"]
    yield _entry(gate, GATE, "entry-gate.yaml", gate)


def _entry(spec: Spec, kind: Kind, file: str, header: Spec) -> Entry:
    title = next((str(spec[key]) for key in ("title", "name", "text", "sentence") if key in spec), str(spec["id"]))
    written = {key: value for key, value in spec.items() if value not in (None, "", False, [], {})}
    own = {key: spec.get(key, header.get(key)) for key in _HEADER}
    return Entry(str(spec["id"]), kind, title, file, spec, own, f"{written} {kind.name}".lower())
