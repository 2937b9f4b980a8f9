"""The named functions of the content: rules that pair results, compare dates or count regions.

Each takes the numbers of its content file and returns a judge. The rule in plain words stands in
the content file that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cds_service.clinical.findings import Judge

Parameters = Mapping[str, Any]
Compile = Callable[[str, Parameters], Judge]


class Kind(Enum):
    """What one parameter is, in the words of the remedy."""

    FINDING = "the id of a finding"
    FORMULA = "a formula"
    ANALYTE = "the id of an analyte"
    CONCEPT = "a concept of codes/"
    DRUG_CLASS = "the id of a class in drug-classes.yaml"
    REGION = "a region of words.yaml or one of its words"
    ITEM = "the id of an item in structured-history.yaml"
    WORDS = "words in quotes"
    DURATION = "a duration like '90 days', '72 hours' or '5 weeks'"
    GRADE = "a grade like '0.5 grade'"
    PERCENT = "a share like '5 %'"
    LIMIT = "a limit in the unit of its analyte, like '3.0 mmol/L'"
    YES = "true, or leave it out"


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """One, or a list of which any one will do."""

    of: Kind


# A list stands for a list of what is in it, a mapping for one row with these fields.
Shape = Kind | OneOrMore | Sequence["Shape"] | Mapping[str, "Shape"]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class Declared:
    """The parameters of a named function: those it needs, and those that may be left out."""

    needs: Shapes
    may: Shapes

    @property
    def all(self) -> Shapes:
        return {**self.needs, **self.may}


NAMED: dict[str, Compile] = {}
DECLARED: dict[str, Declared] = {}


def named(needs: Shapes | None = None, may: Shapes | None = None) -> Callable[[Compile], Compile]:
    """Register a function under its own name, by which the content calls it, with the parameters it takes."""

    def register(function: Compile) -> Compile:
        NAMED[function.__name__] = function
        DECLARED[function.__name__] = Declared(needs or {}, may or {})
        return function

    return register


def singles(shape: Shape, value: Any, field: str) -> Iterator[tuple[str, Shape, Any]]:
    """Each single thing that is given, with its place and kind; one that has another form keeps its whole shape."""
    if isinstance(shape, OneOrMore):
        shape = [shape.of] if isinstance(value, list) else shape.of
    if isinstance(shape, list) and isinstance(value, list) and value:
        for n, part in enumerate(value):
            yield from singles(shape[0], part, f"{field}.{n}")
    elif isinstance(shape, dict) and isinstance(value, Mapping) and set(value) == set(shape):
        for key, part in value.items():
            yield from singles(shape[key], part, f"{field}.{key}")
    else:
        yield field, shape, value
