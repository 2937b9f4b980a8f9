"""What every test may use: the content, compiled once, and the application on top of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cds_service.knowledge.content import Content
from cds_service.knowledge.files import read_yaml
from cds_service.knowledge.load import compile_content, read_content

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
TODAY = date(2026, 6, 15)

# No test writes into the state folder of whoever runs it.
_STATE = tempfile.TemporaryDirectory(prefix="cds-state-", ignore_cleanup_errors=True)
os.environ["XDG_STATE_HOME"] = _STATE.name

_CONTENT = read_content(ROOT / "cards", keep=True)  # the tests start the service many times
_COMPILED = compile_content(_CONTENT)


@pytest.fixture(scope="session")
def content() -> Content:
    return _CONTENT


@pytest.fixture(scope="session")
def knowledge() -> Any:
    return _COMPILED[0]


@pytest.fixture(scope="session")
def reading() -> Any:
    return _COMPILED[1]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The service as it starts without any setting, for every test that leaves it as it was."""
    from tests.served import serving

    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


def pages(folder: str) -> list[Any]:
    """The pages of a fixture folder as test parameters."""
    return [pytest.param(page, id=page.stem) for page in sorted((FIXTURES / folder).glob("*.yaml"))]


def read_page(page: Path) -> Any:
    return read_yaml(page)
