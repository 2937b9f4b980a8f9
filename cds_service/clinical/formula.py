"""Formulas over findings, compiled to closures: all, any, at_least, absent, not_present, comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from cds_service.clinical import presence as logic
from cds_service.clinical.chart import Quantity
from cds_service.clinical.findings import Case, Evidence, Finding, merged
from cds_service.clinical.observe import HEADS, compile_observer
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN, Presence
from cds_service.clinical.spans import days_of
from cds_service.units import split

Formula = Callable[[Case], Finding]
Spec = str | Mapping[str, Any]

WORDS = ("all", "any", "at_least", "absent", "not_present", "below", "above", "between", "within", "of_codes")


def compile_formula(spec: Spec) -> Formula:
    """A closure that judges the formula for a case; its evidence is that of the deciding parts.

    Raises ValueError, with the remedy, for anything that is not one of the ten words.
    """
    if isinstance(spec, str):
        return itemgetter(spec)  # of the case
    words = [word for word in spec if word != "inclusive"]
    if len(words) != 1 or words[0] not in WORDS:
        raise ValueError(f"a formula is a finding or one of: {', '.join(WORDS)}")
    word = words[0]
    if word in ("below", "above"):
        return _compare(word, spec[word], bool(spec.get("inclusive", False)))
    return _COMPILERS[word](spec[word])


def named_in(spec: Any) -> set[str]:
    """The findings and values a formula depends on."""
    if isinstance(spec, str):
        return {spec}
    if isinstance(spec, Sequence):
        return set().union(*(named_in(part) for part in spec)) if spec else set()
    names: set[str] = set()
    for word, part in spec.items():
        if word in ("below", "above", "between", "within"):
            names |= set(part)
        elif word == "at_least":
            names |= named_in(part["of"])
        elif word in ("all", "any", "absent", "not_present"):
            names |= named_in(part)
    return names


def _all(specs: Sequence[Spec]) -> Formula:
    parts = [compile_formula(spec) for spec in specs]

    def judge(case: Case) -> Finding:
        found, verdict = [], PRESENT
        for part in parts:
            finding = part(case)
            if finding.presence is ABSENT:
                return Finding("", ABSENT, finding.evidence, sites=finding.sites)
            if finding.presence is UNKNOWN:
                verdict = UNKNOWN
            found.append(finding)
        return merged("", PRESENT, found) if verdict is PRESENT else Finding("", UNKNOWN)

    return judge


def _any(specs: Sequence[Spec]) -> Formula:
    parts = [compile_formula(spec) for spec in specs]

    def judge(case: Case) -> Finding:
        deciding: list[Finding] = []
        verdict = ABSENT if parts else UNKNOWN
        for part in parts:
            finding = part(case)
            presence = finding.presence
            if presence is not verdict:
                if verdict is PRESENT or presence is ABSENT:
                    continue
                verdict = presence
                deciding.clear()
            if finding.evidence or finding.sites:
                deciding.append(finding)
        return merged("", verdict, deciding)

    return judge


def _at_least(spec: Mapping[str, Any]) -> Formula:
    count, parts = int(spec["n"]), [compile_formula(part) for part in spec["of"]]

    def judge(case: Case) -> Finding:
        found = [part(case) for part in parts]
        verdict = logic.at_least(count, [f.presence for f in found])
        return merged("", verdict, [f for f in found if f.presence is verdict])

    return judge


def _absent(spec: Spec) -> Formula:
    part = compile_formula(spec)

    def judge(case: Case) -> Finding:
        finding = part(case)
        return Finding("", logic.absent(finding.presence), finding.evidence, sites=finding.sites)

    return judge


# Not charted is a fact of its own, without evidence: decided always, so that a gap never hides a red flag.
_HOLDS, _FAILS = Finding("", PRESENT), Finding("", ABSENT)


def _not_present(spec: Spec) -> Formula:
    part = compile_formula(spec)
    return lambda case: _FAILS if part(case).presence is PRESENT else _HOLDS


def holds(value: Quantity | None, word: str, limit: float, inclusive: bool) -> bool | None:
    """Three-valued comparison; a bound decides only when all of it lies on one side."""
    if value is None:
        return None
    if word == "below":
        if value.high < limit or (inclusive and value.high <= limit):
            return True
        return False if value.low > limit or (value.low == limit and not inclusive) else None
    if value.low > limit or (inclusive and value.low >= limit):
        return True
    return False if value.high < limit or (value.high == limit and not inclusive) else None


def _compare(word: str, spec: Mapping[str, Any], inclusive: bool) -> Formula:
    ((name, limit_text),) = spec.items()
    limit, _ = split(limit_text)

    def judge(case: Case) -> Finding:
        finding = case[name]
        verdict = Presence.of(holds(finding.value, word, limit, inclusive))
        return Finding("", verdict, finding.evidence if verdict is not UNKNOWN else (), value=finding.value)

    return judge


def _between(spec: Mapping[str, Any]) -> Formula:
    ((name, (low_text, high_text)),) = spec.items()
    low = _compare("above", {name: low_text}, inclusive=True)
    high = _compare("below", {name: high_text}, inclusive=True)

    def judge(case: Case) -> Finding:
        ends = [low(case), high(case)]
        verdict = logic.all_of(end.presence for end in ends)
        return Finding("", verdict, ends[0].evidence or ends[1].evidence, value=ends[0].value)

    return judge


def _within(spec: Mapping[str, Any]) -> Formula:
    ((name, duration),) = spec.items()
    days = days_of(duration)

    def judge(case: Case) -> Finding:
        finding = case[name]
        if not finding.present:
            return Finding("", finding.presence)
        dated = [e for e in finding.evidence if e.when]
        recent = tuple(e for e in dated if e.when and e.when.within(days, case.today))
        if recent:
            return Finding("", PRESENT, recent)
        undecided = not dated or any(e.when and e.when.within(days, case.today) is None for e in dated)
        return Finding("", UNKNOWN if undecided else ABSENT, finding.evidence)

    return judge


def _of_codes(spec: Mapping[str, Any]) -> Formula:
    observer = compile_observer(spec)

    def judge(case: Case) -> Finding:
        statements = list(observer(case))
        evidence: tuple[Evidence, ...] = tuple(statement.evidence for statement in statements)
        return Finding("", PRESENT if statements else UNKNOWN, evidence)

    return judge


_COMPILERS: dict[str, Callable[[Any], Formula]] = {
    "all": _all,
    "any": _any,
    "at_least": _at_least,
    "absent": _absent,
    "not_present": _not_present,
    "between": _between,
    "within": _within,
    "of_codes": _of_codes,
}


def is_observer(spec: Any) -> bool:
    return isinstance(spec, Mapping) and any(head in spec for head in HEADS)
