"""Content that was checked and sealed is not read again; content that has changed is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import ContentError
from cds_service.knowledge import load as loading
from cds_service.knowledge.sealed import SEAL, fingerprint, seal, sealed
from tests.conftest import ROOT


@pytest.fixture
def cards(tmp_path: Path) -> Path:
    """A copy of the content without a seal."""
    return Path(shutil.copytree(ROOT / "cards", tmp_path / "cards", ignore=shutil.ignore_patterns(f"{SEAL}*")))


def _refuse(*_: Any) -> Any:
    raise AssertionError("the pages were read again")


def test_sealed_content_is_read_anew_after_every_change(cards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loading.load(cards)
    assert not (cards / SEAL).exists()  # only the check writes it, and no start
    content = loading.read_content(cards, keep=True)
    with monkeypatch.context() as during:
        during.setattr(loading, "_checked_parts", _refuse)
        knowledge, _ = loading.load(cards)
    assert knowledge.cards.keys() == content.cards.keys()
    kept = sealed(cards)
    assert kept is not None
    # Nothing turned into something else on its way through JSON.
    tables = {name: list(rows) for name, rows in content.tables.items()}
    assert kept == {name: getattr(content, name) for name in kept} | {"tables": tables}

    page = cards / "about.yaml"
    page.write_text(page.read_text(encoding="utf-8") + "\nunheard_of: 1\n", encoding="utf-8")
    sealed_before = (cards / SEAL).read_bytes()
    with pytest.raises(ContentError, match="unheard_of"):
        loading.load(cards)
    assert (cards / SEAL).read_bytes() == sealed_before and sealed(cards) is None


def test_a_page_behind_a_link_belongs_to_the_content(cards: Path, tmp_path: Path) -> None:
    elsewhere = (cards / "catalogue").rename(tmp_path / "catalogue")
    (cards / "catalogue").symlink_to(elsewhere)
    before = fingerprint(cards)
    page = next(elsewhere.glob("*.yaml"))
    page.write_text(page.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert fingerprint(cards) != before


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b"null", b'{"of": 1}', b'{"of": "another", "checked": {}}'])
def test_a_damaged_seal_is_none(cards: Path, damage: bytes) -> None:
    (cards / SEAL).write_bytes(damage)
    assert sealed(cards) is None


def test_content_that_changes_while_it_is_checked_is_not_sealed(cards: Path) -> None:
    assert not seal(cards, {}, of="the fingerprint of before")
    assert not seal(cards, {"a": {1: "a key that JSON cannot have"}}, of=fingerprint(cards))
    assert not seal(cards / "missing", {}, of=fingerprint(cards / "missing"))
    assert sealed(cards) is None


def test_a_start_with_sealed_content_does_not_load_what_checks_it() -> None:
    checks = "{'cds_service.knowledge.schemas', 'cds_service.knowledge.pages', 'cds_service.knowledge.parameters'}"
    code = f"import sys, cds_service.serve; print(sorted({checks} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
