"""Checks what a page gives a named function in ``with:`` by what the function declares of its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError

from cds_service import units
from cds_service.clinical.formula import named_in
from cds_service.clinical.functions import DECLARED
from cds_service.clinical.functions.registry import Kind, OneOrMore, Shape, singles
from cds_service.errors import Fault
from cds_service.knowledge.content import Content
from cds_service.knowledge.links import calls, named_by_rules
from cds_service.knowledge.schemas import check_formula, duration, quantity

_OF_LIST = "a list, each part of it "
_FIXED_UNITS = {Kind.GRADE: "grade", Kind.PERCENT: "%"}
Names = Mapping[Kind, set[str]]


def check_parameters(content: Content) -> Iterator[Fault]:
    """What no function reads, what a function lacks, and what is not what the function takes it for."""
    names = _names(content)
    for finding, spec in content.findings.items():
        for place, call in calls(spec):
            for field, what, remedy in _faults(call, names, {row["id"]: row["unit"] for row in content.analytes}):
                yield Fault(f"{content.files.get(finding, finding)} {place}{field}", what, remedy)


def _names(content: Content) -> Names:
    findings = named_by_rules(content)
    regions = content.plain["words.yaml"]["regions"]
    return {
        Kind.FINDING: findings,
        Kind.FORMULA: findings,
        Kind.ANALYTE: {row["id"] for row in content.analytes},
        Kind.CONCEPT: set(content.codes.concepts),
        Kind.DRUG_CLASS: {row["id"] for row in content.tables["drug-classes.yaml"]},
        Kind.REGION: {*regions, *(word for words in regions.values() for word in words)},
        Kind.ITEM: {item["id"] for item in content.plain["structured-history.yaml"]["items"]},
    }


def _faults(call: Mapping[str, Any], names: Names, canonical: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Place, fault and remedy."""
    with_, function = call.get("with") or {}, call["compute"]
    declared = DECLARED[function]
    shapes = declared.all
    if not isinstance(with_, Mapping):
        yield "with", "is no list of parameters", "write each as 'name: value'"
        return
    for key in sorted(set(map(str, with_)) - set(shapes)):
        known = f"it takes {', '.join(sorted(shapes))}" if shapes else "it takes none"
        yield f"with.{key}", f"is no parameter of {function}", known
    for key in sorted(set(declared.needs) - set(with_)):
        yield f"with.{key}", f"is missing, and {function} needs it", f"write {_wanted(declared.needs[key])}"
    unit = canonical.get(str(with_.get("analyte")), "")
    for key in sorted(set(shapes) & set(with_)):
        for field, kind, value in singles(shapes[key], with_[key], f"with.{key}"):
            what = _what_is_wrong(kind, value, names, unit)
            if what:
                yield field, what, f"write {_wanted(kind)}"


def _wanted(shape: Shape) -> str:
    if isinstance(shape, Kind):
        return shape.value
    if isinstance(shape, OneOrMore):
        return f"{shape.of.value} or a list of these"
    if isinstance(shape, Mapping):
        return "; ".join(f"{key}: {_wanted(part)}" for key, part in shape.items())
    return _OF_LIST + _wanted(shape[0])


def _what_is_wrong(kind: Shape, value: Any, names: Names, unit: str) -> str:
    if not isinstance(kind, Kind):
        return "has another form"
    if kind is Kind.YES:
        return "" if value in (True, "yes") else f"'{value}' is not true"
    if kind is Kind.WORDS:
        return "" if isinstance(value, str) and value.strip() else f"'{value}' is no text"
    try:
        if kind is Kind.FORMULA:
            check_formula(value)
        elif kind is Kind.DURATION:
            duration(value)
        elif kind in (Kind.GRADE, Kind.PERCENT, Kind.LIMIT):
            quantity(value)
            wanted, written = _FIXED_UNITS.get(kind, unit), units.split(value)[1]
            return "" if units.same(written, wanted) else f"is written in '{written}' and not in '{wanted}'"
    except ValidationError as error:
        return f"'{str(value)[:80]}': {'; '.join(map(str, error.messages))}"
    if kind not in names:
        return ""
    if kind is not Kind.FORMULA and not isinstance(value, str):
        return f"'{str(value)[:80]}' is no name"
    unknown = sorted((named_in(value) if kind is Kind.FORMULA else {value}) - names[kind])
    return f"names '{', '.join(unknown)}', which does not exist" if unknown else ""
