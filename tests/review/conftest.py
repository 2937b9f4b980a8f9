"""Invented charts for the tests of a review, and a review that runs in this process with workers of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from cds_service.review.order import Order
from cds_service.review.reviewer import Reviewer, Terms
from cds_service.review.run import review
from cds_service.review.simulate import Maker, Simulated, Simulation
from cds_service.review.sources import Source
from cds_service.review.stories import HEALTHY, STORIES
from tests.conftest import TODAY

Json = dict[str, Any]
SOURCE = Source(0, Path("records.ndjson"), "records.ndjson", "records", 0, 0, "bundles", True)


class Nobody:
    """Watches without a word."""

    def stage(self, name: str, size: int) -> None: ...

    def step(self, size: int, patients: int) -> None: ...


@pytest.fixture(scope="session")
def population(reading: Any) -> list[Simulated]:
    """One patient of each story, and nine who are well."""
    maker = Maker(Simulation(1000, 7, TODAY, told=0.6, visits=2), reading.codes)
    people = [maker.patient(number) for number in range(250)]
    told = {one.story: one for one in people if one.story is not HEALTHY}
    assert told.keys() == set(STORIES)
    mixed = [*told.values(), *[one for one in people if one.story is HEALTHY][:9]]
    return sorted(mixed, key=lambda one: one.id)


@pytest.fixture(scope="session")
def reviewer(knowledge: Any, reading: Any) -> Reviewer:
    return Reviewer(knowledge, reading, Terms(TODAY), {0: SOURCE})


@pytest.fixture
def reviewed(tmp_path: Path) -> Callable[..., Path]:
    """Reviews these files or folders and gives the folder of the results."""

    def run(*inputs: Path, name: str = "out", **options: Any) -> Path:
        out = tmp_path / name
        review(Order(tuple(inputs), out, TODAY, **({"workers": 1} | options)), Nobody())
        return out

    return run


def bundle(resources: list[Json], **more: Any) -> Json:
    entries = [{"fullUrl": f"urn:uuid:{r.get('id')}", "resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries} | more


def lines(*records: Json) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)


def rows(out: Path) -> list[Json]:
    return [orjson.loads(line) for line in (out / "results.ndjson").read_bytes().splitlines()]


def troubles(out: Path) -> list[Json]:
    return [orjson.loads(line) for line in (out / "errors.ndjson").read_bytes().splitlines()]


def advice(out: Path) -> list[bytes]:
    """The results in order of the patients, without whose data it was."""
    return sorted(orjson.dumps({key: value for key, value in row.items() if key != "source"}) for row in rows(out))
