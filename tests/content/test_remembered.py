"""Content that was checked once is not read again; content that has changed is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from cds_service.errors import ContentError
from cds_service.knowledge import load as loading
from tests.conftest import ROOT


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the content, and an empty place for what is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Path(shutil.copytree(ROOT / "cards", tmp_path / "cards"))


def _refuse(*_: Any) -> Any:
    raise AssertionError("the pages were read again")


def _change_version(cards: Path) -> None:
    (cards / "VERSION").write_text("99.0.0\n", encoding="utf-8")


def test_content_is_checked_once_and_read_anew_after_every_change(
    cards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = loading.load(cards)
    (kept,) = (tmp_path / "cache").rglob("content-*.json")
    with monkeypatch.context() as during:
        during.setattr(loading, "_read_pages", _refuse)
        again, _ = loading.load(cards)
    assert again.findings.keys() == first.findings.keys()
    parts = loading._checked_parts(cards)
    tables = {name: list(rows) for name, rows in parts["tables"].items()}
    assert orjson.loads(kept.read_bytes()) == parts | {"tables": tables}  # nothing turned into something else

    kept.write_bytes(kept.read_bytes()[:1000])  # a disk that was full
    assert loading.load(cards)[0].version == first.version

    _change_version(cards)
    assert loading.load(cards)[0].version == "99.0.0"

    page = cards / "about.yaml"
    page.write_text(page.read_text(encoding="utf-8") + "\nunheard_of: 1\n", encoding="utf-8")
    for _ in range(2):  # faulty content is not remembered either
        with pytest.raises(ContentError, match="unheard_of"):
            loading.load(cards)


def test_without_a_place_to_write_content_is_read_each_time(cards: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be", encoding="utf-8")
    assert loading.load(cards)[0].version
