"""The pages on attacks, hazards and the sandbox promise only what a test shows; operations.md leaves no metric out."""

from __future__ import annotations

import re

import pytest
from prometheus_client import Counter, Gauge, Histogram

from cds_service.web import metrics
from tests.conformance.test_table import functions_in
from tests.conftest import FIXTURES, ROOT


@pytest.mark.parametrize("page", ["adversary", "hazard-log", "sandbox"])
def test_each_row_names_tests_that_exist(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and not re.match(r"\|(---|.*\| Test \|$)", line)]
    assert len(rows) >= 9
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, row
        assert [name for file, name in named if name not in functions_in(file)] == [], row
    patients = re.findall(r"`((?:records|quiet|shapes)/[^`…]+)`", text)
    assert [name for name in patients if not (FIXTURES / f"{name}.yaml").is_file()] == []


def test_the_page_on_running_it_names_every_metric() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    counted = [m for m in vars(metrics).values() if isinstance(m, Counter | Gauge | Histogram)]
    names = {m._name + ("_total" if isinstance(m, Counter) else "") for m in counted}
    assert len(names) >= 10
    assert [name for name in names if f"`{name}`" not in text] == []
