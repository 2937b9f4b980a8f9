"""What a review writes tells of patients: it is for who asked for it alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from click.testing import CliRunner

from cds_service.__main__ import main
from tests.conftest import FIXTURES, ROOT


def test_results_of_patients_are_for_nobody_else(tmp_path: Path) -> None:
    record, first, second = FIXTURES / "records" / "Q-questions-answered.json", tmp_path / "may", tmp_path / "june"
    before = os.umask(0o022)
    try:
        for wanted in (
            ["review", record, "--out", first, "--as-of", "2026-05-15", "--workers", 1],
            ["review", record, "--out", second, "--as-of", "2026-06-15", "--workers", 1],
            ["compare", first, second, "--out", tmp_path / "changes"],
            ["impact", "--content", ROOT / "cards", record, "--out", tmp_path / "impact", "--workers", 1],
        ):
            done = CliRunner().invoke(main, [str(part) for part in wanted])
            assert done.exit_code == 0, done.output
        now = os.umask(0o022)
    finally:
        os.umask(before)
    assert now == 0o022  # of what comes afterwards nothing has changed
    written = list(tmp_path.rglob("*"))
    assert len(written) > 20
    open_to_others = [place for place in written if stat.S_IMODE(place.stat().st_mode) & 0o077]
    assert open_to_others == []
