"""docs/adversary.md and docs/sandbox.md promise only what a test shows."""

from __future__ import annotations

import re

import pytest

from tests.conformance.test_table import functions_in
from tests.conftest import ROOT


@pytest.mark.parametrize("page", ["adversary", "sandbox"])
def test_each_row_names_tests_that_exist(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and not re.match(r"\|(---|.*\| Test \|$)", line)]
    assert len(rows) >= 9
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, row
        assert [name for file, name in named if name not in functions_in(file)] == [], row
