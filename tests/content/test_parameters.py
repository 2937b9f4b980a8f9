"""Whatever is misspelt in `with:` or in a compared limit of the content stops the start, told with its file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from cds_service.clinical.functions import DECLARED, NAMED
from cds_service.clinical.functions.registry import Kind, OneOrMore, Shape
from cds_service.knowledge.content import Content
from cds_service.knowledge.files import read_yaml
from cds_service.knowledge.links import depends_on
from cds_service.knowledge.parameters import check_parameters
from tests.conftest import ROOT
from tests.content.test_faults import refusal, spoil

COMPARED = ("above", "below", "at_least", "at_most", "daily_dose_at_least")
HEADS = ("measured", "answer", "medicine")
Step = str | int
Spoilt = tuple[str, dict[str, Any]]  # what was done, and the page with it


def nodes(node: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], dict[str, Any]]]:
    """Every mapping of the rules of a page; examples are no rules."""
    if isinstance(node, dict):
        yield path, node
    for key, part in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key not in ("examples", "why"):
            yield from nodes(part, (*path, key))


def with_(page: dict[str, Any], path: tuple[Step, ...], instead: Any) -> Spoilt:
    """The page with something else in one place."""
    spoilt = deepcopy(page)
    node: Any = spoilt
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = instead
    return f"{'.'.join(map(str, path))} = {instead!r}", spoilt


def wrong_values(shape: Shape, value: Any, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """One wrong thing in place of each single one: a misspelt name, or a number with no unit or another."""
    if isinstance(shape, OneOrMore):
        shape = [shape.of] if isinstance(value, list) else shape.of
    if isinstance(shape, Kind):
        if shape is Kind.WORDS:  # any words may be meant
            yield path, 5
        elif shape in (Kind.LIMIT, Kind.GRADE, Kind.PERCENT, Kind.DURATION):
            yield from ((path, wrong) for wrong in ("lots", f"{str(value).split()[0]} bananas"))
        elif shape is Kind.FORMULA:
            yield path, "no_such_finding"
            yield path, {"alll": [value]}
        else:
            yield path, f"{value}x"
    elif isinstance(shape, dict):
        for key, part in shape.items():
            yield from wrong_values(part, value[key], (*path, key))
    elif isinstance(shape, list):
        yield path, "no list"
        for n, part in enumerate(value):
            yield from wrong_values(shape[0], part, (*path, n))


def misspelt_parameters(page: dict[str, Any]) -> Iterator[Spoilt]:
    for path, node in nodes(page):
        if "compute" not in node or not node.get("with"):
            continue
        shapes = DECLARED[node["compute"]].all
        for key, value in node["with"].items():
            others = {k: v for k, v in node["with"].items() if k != key}
            yield with_(page, (*path, "with"), {**others, f"{key[:-1]}q": value})
            for place, wrong in wrong_values(shapes[key], value, (*path, "with", key)):
                yield with_(page, place, wrong)


def spoilt_limits(page: dict[str, Any]) -> Iterator[Spoilt]:
    for path, node in nodes(page):
        for key in set(COMPARED) & set(node) if set(HEADS) & set(node) else ():
            for wrong in ("lots", f"{str(node[key]).split()[0]} bananas"):
                yield with_(page, (*path, key), wrong)


def test_a_misspelt_parameter_is_told_with_its_file(content: Content) -> None:
    tried, passed = 0, []
    for name, page in content.findings.items():
        for what, spoilt in misspelt_parameters(page):
            tried += 1
            said = check_parameters(replace(content, findings={**content.findings, name: spoilt}))
            if not any(fault.where.startswith(f"{content.files[name]} ") and fault.remedy for fault in said):
                passed.append(f"{name} {what}")
    assert not passed
    assert tried > 500


def test_a_limit_that_cannot_be_compared_is_told_with_its_file(content: Content, tmp_path: Path) -> None:
    tried, passed = 0, []
    for name in content.findings:
        file = content.files[name]
        for what, spoilt in spoilt_limits(read_yaml(ROOT / "cards" / file)):
            tried += 1
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_bytes(orjson.dumps(spoilt, default=str))  # JSON is YAML
            if not any(fault.where.startswith(f"{file} ") for fault in refusal(tmp_path)):
                passed.append(f"{name} {what}")
            (tmp_path / file).unlink()
    assert not passed
    assert tried > 100


def test_every_named_function_declares_what_it_takes() -> None:
    assert set(DECLARED) == set(NAMED)
    assert len(NAMED) > 25


@pytest.mark.parametrize(
    ("file", "there", "instead", "words"),
    [
        ("exposures/high_risk_medicine_on_file.yaml", "with:", "with: [a]\nwrong:", ["medicine_on_file.yaml with"]),
        ("symptoms/spreading.yaml", "apart_at_least:", "apart_at_lest:",
         ["spreading.yaml present_when.0.with.apart_at_lest", "it takes apart_at_least"]),
        ("background/egfr_low_twice.yaml", "below: 30 mL/min/1.73m2", "below: 30 mg/dL",
         ["egfr_low_twice.yaml with.below", "not in 'mL/min/1.73m2'"]),
        ("background/egfr_low_twice.yaml", "analyte: eGFR, ", "", ["egfr_low_twice.yaml with.analyte", "is missing"]),
    ],
)  # fmt: skip
def test_it_does_not_start(tmp_path: Path, file: str, there: str, instead: str, words: list[str]) -> None:
    cards = Path(shutil.copytree(ROOT / "cards", tmp_path / "cards"))
    spoil(cards, f"findings/{file}", there, instead)
    said = [str(fault) for fault in refusal(cards)]
    assert [line for line in said if all(word in line for word in words)], said


def test_a_finding_depends_on_what_its_function_judges_from(content: Content) -> None:
    """Also on what stands alone and not in a list; else a circle of findings would never end."""
    assert {"weak_objective", "weak_reported", "power_normal"} <= depends_on(content.findings["weakness_of_old_stroke"])
