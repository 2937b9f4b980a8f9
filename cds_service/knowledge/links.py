"""Checks that what one content file names exists in another, and that limits keep their units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cds_service import units
from cds_service.clinical.formula import is_observer, named_in
from cds_service.clinical.functions import DECLARED
from cds_service.clinical.functions.registry import Kind, singles
from cds_service.clinical.observe import HEADS
from cds_service.errors import Fault
from cds_service.knowledge.content import Content
from cds_service.knowledge.files import SEMANTIC

SUMMARY_LIMIT = 140  # of CDS Hooks: fewer characters than this
_ID = re.compile(r"(?!index\Z)[A-Za-z0-9][A-Za-z0-9_.-]{0,59}\Z", re.IGNORECASE)
# Rules and pages call these by their bare names, so that one name must not stand for two of them.
_CALLED_BY_NAME = (
    "card", "finding", "investigation", "row of analytes.yaml", "row of hypotheses.yaml", "row of references.yaml",
)  # fmt: skip


def named_by_rules(content: Content) -> set[str]:
    """All that a rule may name: findings, values, and what comes with each value."""
    values = {row["id"] for row in content.analytes}
    return set(content.findings) | values | {f"{kind}_{name}" for name in values for kind in ("valid", "low", "high")}


def check_links(content: Content) -> Iterator[Fault]:
    """Every dangling name, as a fault with its file; the parameters of named functions were checked before."""
    values = {row["id"] for row in content.analytes}
    known = named_by_rules(content)
    references = {row["id"] for row in content.tables["references.yaml"]}
    yield from _ids(content)
    yield from _findings(content, known, references, values)
    yield from _units(content)
    yield from _tables(content, known, references)
    yield from _cards(content, known, references, values)
    yield from _investigations(content, known, references, values)
    yield from _decisions(content, references)
    yield from _changes(content)
    yield from _cycles(content)


def _where(content: Content, name: str) -> str:
    return content.files.get(name, name)


def _ids(content: Content) -> Iterator[Fault]:
    """An id is the address of a page and the id of a FHIR artefact: it must do as one, and be nobody else's."""
    decisions = content.plain["contradictions.yaml"]["contradictions"]
    tables = {"analytes.yaml": content.analytes, **content.tables, "contradictions.yaml": decisions}
    names: dict[str, Iterable[str]] = {
        "card": content.cards, "finding": content.findings, "investigation": content.investigations,
        "concept": content.codes.concepts, **{f"row of {t}": [row["id"] for row in rows] for t, rows in tables.items()},
    }  # fmt: skip
    taken: dict[str, str] = {}
    for kind, own in names.items():
        yield from _unlike(content, kind, own, taken if kind in _CALLED_BY_NAME else {})


def _unlike(content: Content, kind: str, names: Iterable[str], taken: dict[str, str]) -> Iterator[Fault]:
    for name in names:
        where, own = _where(content, name), f"the {kind} '{name[:80]}'"
        if not _ID.match(name):
            remedy = "use at most 60 letters, digits, '-', '_' and '.', beginning with a letter or digit"
            yield Fault(where, f"the id of {own} cannot be an address", remedy)
        # Some file systems know no capitals, and FHIR ids no underscores.
        first = taken.setdefault(name.lower().replace("_", "-"), own)
        if first is not own:
            remedy = "choose another id; capitals, '-' and '_' make no difference"
            yield Fault(where, f"{own} has the address of {first}", remedy)


def _unknown(where: str, named: Iterable[str], known: set[str], kind: str) -> Iterator[Fault]:
    for name in sorted(set(named) - known):
        yield Fault(where, f"names the {kind} '{name}', which does not exist", f"correct the name or add the {kind}")


def _rules_and_claims(where: str, spec: Any, known: set[str], references: set[str]) -> Iterator[Fault]:
    for formula in formulas(spec):
        yield from _unknown(where, named_in(formula), known, "finding")
    yield from _unknown(where, (claim["source"] for claim in spec.get("why", ())), references, "reference")


def formulas(node: Any) -> Iterator[Any]:
    """Every formula below a content node."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("when", "needs", "excluded_when") and value is not None:
                yield value
            elif key in ("for", "against", "parts") and not isinstance(value, str):  # `for: 365 days` is a time
                yield from value
            elif key in ("examples", "why"):
                continue
            else:
                yield from formulas(value)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from formulas(part)


def depends_on(spec: Mapping[str, Any]) -> set[str]:
    """The findings and values a finding is judged from."""
    names: set[str] = set()
    if "when" in spec:
        names |= named_in(spec["when"])
    for item in (*spec.get("present_when", ()), *spec.get("absent_when", ())):
        if not (isinstance(item, Mapping) and ("compute" in item or is_observer(item))):
            names |= named_in(item)
    return names.union(*(findings_of(call) for _, call in calls(spec)))


def calls(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each call of a named function in a finding, with its place."""
    if "compute" in spec:
        yield "", spec
    for key in ("present_when", "absent_when"):
        for n, item in enumerate(spec.get(key, ())):
            if isinstance(item, Mapping) and "compute" in item:
                yield f"{key}.{n}.", item


def findings_of(call: Mapping[str, Any]) -> set[str]:
    """The findings that a call of a named function is judged from."""
    names: set[str] = set()
    if call["compute"] not in DECLARED:  # a computed row of analytes.yaml: its parameters are numbers
        return names
    shapes = DECLARED[call["compute"]].all
    for key, value in (call.get("with") or {}).items():
        for _, kind, single in singles(shapes[key], value, key):
            if kind is Kind.FINDING or kind is Kind.FORMULA:
                names |= named_in(single)
    return names


def _concepts(spec: Any) -> Iterator[str]:
    """Concepts named by observers."""
    if isinstance(spec, Mapping):
        for head in HEADS:
            if head in spec and head not in ("power", "answer", "patient", "silence"):
                value = spec[head]
                yield from [value] if isinstance(value, str) else value
        for key, value in spec.items():
            if key not in ("examples", "why"):
                yield from _concepts(value)
    elif isinstance(spec, list | tuple):
        for part in spec:
            yield from _concepts(part)


def _findings(content: Content, known: set[str], references: set[str], values: set[str]) -> Iterator[Fault]:
    concepts = set(content.codes.concepts) | values
    for name, spec in content.findings.items():
        where = _where(content, name)
        yield from _unknown(where, depends_on(spec), known, "finding")
        yield from _unknown(where, (claim["source"] for claim in spec["why"]), references, "reference")
        observers = [*spec.get("present_when", ()), *spec.get("absent_when", ())]
        named = {c for c in _concepts(observers) if isinstance(c, str)}
        unnamed = {c for o in observers if isinstance(o, Mapping) and o.get("names") for c in _concepts(o)}
        yield from _unknown(where, named - unnamed, concepts, "concept")


def _units(content: Content) -> Iterator[Fault]:
    """A limit in a formula is written in the canonical unit of its analyte."""
    canonical = {row["id"]: row["unit"] for row in content.analytes}
    canonical |= {"age": "years", "duration_days": "days"}
    everything = {
        **content.findings, **content.cards, **content.investigations,
        **{row["id"]: row for table in content.tables.values() for row in table},
    }  # fmt: skip
    for name, spec in everything.items():
        rules = [*formulas(spec), *(spec.get("present_when", ())), *(spec.get("absent_when", ()))]
        for value, limit in _limits(rules):
            wanted = canonical.get(value)
            unit = units.split(limit)[1]
            if wanted is not None and not units.same(unit, wanted):
                yield Fault(_where(content, name), f"compares {value} in '{unit}'", f"write the limit in {wanted}")


def _limits(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, inner in node.items():
            if key in ("below", "above", "between") and isinstance(inner, Mapping):
                for name, limit in inner.items():
                    for end in limit if isinstance(limit, list) else [limit]:
                        yield name, str(end)
            else:
                yield from _limits(inner)
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _limits(part)


def _tables(content: Content, known: set[str], references: set[str]) -> Iterator[Fault]:
    labels = set(content.investigations)
    for table, rows in content.tables.items():
        for row in rows:
            where = f"{table} {row['id']}"
            yield from _rules_and_claims(where, row, known, references)
            yield from _unknown(
                where, [*row.get("decided_by", ()), *row.get("about", ()), *row.get("check", ())], labels, "order"
            )
            if table == "no-card-rules.yaml":
                yield from _unknown(where, row["lets_through"], set(content.cards), "card")
    for row in content.analytes:
        yield from _rules_and_claims(f"analytes.yaml {row['id']}", row, known, references)


def _cards(content: Content, known: set[str], references: set[str], values: set[str]) -> Iterator[Fault]:
    hypotheses = {row["id"] for row in content.tables["hypotheses.yaml"]}
    reasons = {row["id"] for row in content.plain["about.yaml"]["override_reasons"]}
    for name, spec in content.cards.items():
        where = _where(content, name)
        yield from _rules_and_claims(where, spec, known, references)
        yield from _unknown(where, [*spec["names"], *named_in(spec["found"])], known, "finding")
        yield from _unknown(where, [a["ask"] for a in spec["asks"]], known, "finding")
        yield from _unknown(where, spec["results"], values, "analyte")
        yield from _unknown(where, spec["hypotheses"], hypotheses, "hypothesis")
        yield from _unknown(where, spec["overrides"], reasons, "override reason")
        cited = {*spec["sources"], *(s["source"] for s in spec["reasoning"] if s["source"])}
        yield from _unknown(where, cited, references, "reference")
        yield from _unknown(where, orders_of(spec), set(content.investigations), "order")
        for text in (s["text"] for s in spec["summary"]):
            if len(text) >= SUMMARY_LIMIT:
                yield Fault(where, f"a summary has {len(text)} characters", "keep it under 140")


def orders_of(spec: Mapping[str, Any]) -> set[str]:
    """The orders that a card may suggest."""
    return {order["order"] for suggestion in spec.get("suggestions", ()) for order in suggestion["orders"]}


def _investigations(content: Content, known: set[str], references: set[str], values: set[str]) -> Iterator[Fault]:
    concepts = set(content.codes.concepts)
    for name, spec in content.investigations.items():
        where = _where(content, name)
        yield from _rules_and_claims(where, spec, known, references)
        for item in spec["orders"]:
            yield from _unknown(where, [item["code"]] if item["code"] else [], concepts, "concept")
            yield from _unknown(where, item["analytes"], values, "analyte")
        yield from _unknown(where, spec["also_pending"], concepts, "concept")


def _decisions(content: Content, references: set[str]) -> Iterator[Fault]:
    """Each conflict between sources names sources and cards that exist."""
    for row in content.plain["contradictions.yaml"]["contradictions"]:
        where = f"contradictions.yaml {row['id']}"
        yield from _unknown(where, row["affects"], set(content.cards), "card")
        yield from _unknown(where, row["sources"], references, "reference")


def _changes(content: Content) -> Iterator[Fault]:
    """The version is semantic, and what is new in it is told, with the cards that it affects."""
    if not SEMANTIC.fullmatch(content.version):
        yield Fault("cards/VERSION", f"'{content.version[:40]}' is no semantic version", "write it like 1.4.0")
    changes = content.plain["about.yaml"]["changes"]
    if changes[0]["version"] != content.version:
        remedy = "say first in its list of changes what is new in this version and which cards are affected"
        yield Fault("about.yaml changes", f"begins with another version than {content.version}", remedy)
    for change in changes:
        if change["affects"] not in ("all", "none"):
            cards = change["affects"] if isinstance(change["affects"], list) else [change["affects"]]
            yield from _unknown(f"about.yaml changes {change['version']}", map(str, cards), set(content.cards), "card")


def _cycles(content: Content) -> Iterator[Fault]:
    """A finding must not depend on itself, or judging it would never end."""
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> Iterator[Fault]:
        if state.get(name) == 2 or name not in content.findings:
            return
        if state.get(name) == 1:
            circle = " → ".join((*trail[trail.index(name) :], name))
            yield Fault(_where(content, name), f"depends on itself: {circle}", "break the circle")
            return
        state[name] = 1
        for part in sorted(depends_on(content.findings[name])):
            yield from visit(part, (*trail, name))
        state[name] = 2

    for name in sorted(content.findings):
        yield from visit(name, ())
