"""A review that is killed, from outside and without warning, and continued: the same bytes as one that was not."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from cds_service.__main__ import main
from cds_service.errors import ReviewError
from cds_service.review.content import ContentText
from cds_service.review.journal import Journal
from cds_service.review.simulate import Maker, Simulation
from tests.conftest import ROOT, TODAY
from tests.review.conftest import bundle, lines

PATIENCE = 60.0


@pytest.fixture(scope="module")
def many(reading: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles in many files, and an export: enough work to be killed in the midst of either."""
    folder = tmp_path_factory.mktemp("many")
    maker = Maker(Simulation(1000, 11, TODAY, told=0.5, visits=1), reading.codes)
    for number in range(192):
        one = maker.patient(number)
        (folder / f"{one.id}.json").write_bytes(lines(bundle(one.resources)))
    people = [maker.patient(number) for number in range(200, 290)]
    # Nobody's death is told twice: one broken line, and one patient without a Patient.
    export = lines(*(r for one in people for r in one.resources[one is people[5] :])) + b'{"resourceType":"Cond'
    (folder / "Export.ndjson").write_bytes(export)
    return folder


@pytest.fixture(scope="module")
def few(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of them: where it matters what is refused or left, and not how much there is."""
    folder = tmp_path_factory.mktemp("few")
    for file in sorted(many.glob("*.json"))[:3]:
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def started(*arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cds_service", "review", *map(str, arguments), "--as-of", TODAY.isoformat()]
    return subprocess.Popen([*command, "--workers", "1"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def kill_at(stage: str, out: Path, running: subprocess.Popen[bytes]) -> None:
    """Kill it, and nobody else, as soon as its journal speaks of this stage."""
    journal, until = out / "unfinished" / "journal.ndjson", time.monotonic() + PATIENCE
    while time.monotonic() < until and running.poll() is None:
        if journal.exists() and f'"stage":"{stage}"' in journal.read_text():
            break
        time.sleep(0.01)
    assert running.poll() is None, running.communicate()[0]
    os.kill(running.pid, signal.SIGKILL)
    running.wait()


def test_killed_twice_and_continued_it_writes_the_same_bytes_and_no_worker_outlives_it(
    many: Path, reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    kill_at("bundles", out, started(many, "--out", out))
    assert not (out / "results.ndjson").exists()
    until = time.monotonic() + 10
    while time.monotonic() < until and _left(out):
        time.sleep(0.1)
    assert not _left(out)
    kill_at("patients", out, started(many, "--out", out, "--resume"))
    last = started(many, "--out", out, "--resume")
    said = last.communicate(timeout=PATIENCE)[0].decode()
    assert last.returncode == 3, said
    straight = reviewed(many, name="straight")
    for name in ("results.ndjson", "errors.ndjson"):
        assert (out / name).read_bytes() == (straight / name).read_bytes()
    assert len((out / "results.ndjson").read_bytes().splitlines()) == 192 + 89
    assert not (out / "unfinished").exists()


def _left(out: Path) -> list[str]:
    """Processes whose command line names this folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [place.parent.name] if str(out).encode() in place.read_bytes() else []
        except OSError:
            continue  # it ended while we looked
    return found


# ---------------------------------------------------------------- what is refused


def test_two_reviews_never_write_into_one_folder(
    few: Path, reviewed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.review.journal._PATIENCE", 0.2)
    half = tmp_path / "out" / "unfinished"
    half.mkdir(parents=True)
    first = Journal(tmp_path / "out")
    first.hold()
    for resume in (False, True):
        with pytest.raises(ReviewError, match="another review is writing here"):
            reviewed(few, limit=1, resume=resume)
    first.release()
    assert reviewed(few, limit=1).joinpath("run.json").exists()
    assert not half.exists()


def test_a_folder_with_results_is_not_written_over(few: Path, reviewed: Callable[..., Path]) -> None:
    reviewed(few, limit=1)
    with pytest.raises(ReviewError, match="holds a review already"):
        reviewed(few, limit=1)


def test_only_the_same_review_is_continued(few: Path, reviewed: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="no unfinished review"):
        reviewed(few, resume=True)
    half = tmp_path / "out" / "unfinished"
    half.mkdir(parents=True)
    (half / "asked.json").write_bytes(orjson.dumps({"as_of": "2020-01-01"}))
    with pytest.raises(ReviewError, match="have changed: as of, content hash"):
        reviewed(few, resume=True)
    with pytest.raises(ReviewError, match="continue it with --resume"):
        reviewed(few)


def test_a_finished_review_is_not_done_again(few: Path, reviewed: Callable[..., Path], tmp_path: Path) -> None:
    first = reviewed(few, limit=2)
    before = (first / "results.ndjson").stat().st_mtime_ns
    reviewed(few, limit=2, resume=True)
    assert (first / "results.ndjson").stat().st_mtime_ns == before


@pytest.mark.parametrize("left", ["lock", "journal.ndjson", "asked.json"])
def test_a_review_that_was_killed_while_tidying_up_is_complete(
    left: str, few: Path, reviewed: Callable[..., Path]
) -> None:
    out = reviewed(few, limit=2)
    before = (out / "results.ndjson").read_bytes()
    (out / "unfinished").mkdir()
    done = {"stage": "done", "unit": 0, "results": 0, "errors": 0, "tally": {}}
    kept = {"lock": b"", "journal.ndjson": lines(done), "asked.json": b'{"as_of":"2020-01-01"}'}
    (out / "unfinished" / left).write_bytes(kept[left])
    assert reviewed(few, limit=2, resume=True) == out
    assert (out / "results.ndjson").read_bytes() == before and not (out / "unfinished").exists()


def test_a_review_that_was_killed_before_it_began_is_begun(
    few: Path, reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "out" / "unfinished").mkdir(parents=True)
    with pytest.raises(ReviewError, match="start it without --resume"):
        reviewed(few, limit=1, resume=True)
    assert (reviewed(few, limit=1) / "run.json").exists()


def test_half_a_mark_at_the_end_of_the_journal_is_cut_off_each_time(tmp_path: Path) -> None:
    """Where the power went while a mark was written; the next mark is not glued to it."""
    for unit in range(3):
        journal = Journal(tmp_path)
        journal.begin()
        mark = journal.last_mark()
        assert (mark.unit if mark else 0) == unit
        with journal:
            journal.open(mark)
            journal.mark("bundles", unit + 1, now=True)
        journal.release()
        with (tmp_path / "unfinished" / "journal.ndjson").open("ab") as marks:
            marks.write(b'{"stage":"bundles","un')


def test_a_seal_that_appears_meanwhile_is_no_other_content(tmp_path: Path) -> None:
    """check-content writes it, also between a review that was killed and its continuation."""
    (tmp_path / "VERSION").write_text("1.0.0\n")
    before = ContentText.of(tmp_path)
    (tmp_path / ".checked.json").write_text("{}")
    (tmp_path / ".notes").write_text("")
    after = ContentText.of(tmp_path)
    assert after.hash == before.hash and set(after.files) == {"VERSION", ".checked.json"}
    (tmp_path / "VERSION").write_text("1.0.1\n")
    assert ContentText.of(tmp_path).hash != before.hash


def test_a_full_disk_is_said_and_the_review_goes_on_when_there_is_room(
    few: Path, reviewed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as narrow:
        narrow.setattr("cds_service.review.journal.Journal.write", full)
        with pytest.raises(ReviewError, match=r"No space left on device: .*out; make room and continue with --resume"):
            reviewed(few, limit=3)
    assert len((reviewed(few, limit=3, resume=True) / "results.ndjson").read_bytes().splitlines()) == 3


def test_outputs_appear_when_all_of_them_are_whole(
    few: Path, reviewed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the folder is held, and what failed at the end is made again."""
    monkeypatch.setattr("cds_service.review.journal._PATIENCE", 0)
    out, publish = tmp_path / "out", Journal.publish

    def full(*_: Any) -> None:
        with pytest.raises(ReviewError, match="another review is writing here"):
            Journal(out).hold()
        raise OSError(errno.ENOSPC, "No space left on device")

    def some(journal: Journal, names: tuple[str, ...]) -> None:
        publish(journal, names[:2])
        full()

    with monkeypatch.context() as narrow:
        narrow.setattr("cds_service.review.report.page", full)
        with pytest.raises(ReviewError, match="make room"):
            reviewed(few, limit=3)
    assert [path.name for path in out.iterdir()] == ["unfinished"]
    with monkeypatch.context() as narrow:
        narrow.setattr(Journal, "publish", some)
        with pytest.raises(ReviewError, match="make room"):
            reviewed(few, limit=3, resume=True)
    reviewed(few, limit=3, resume=True)
    named = {"results.ndjson", "results.parquet", "errors.ndjson", "report.html", "run.json"}
    assert {path.name for path in out.iterdir()} == named
    assert len((out / "results.ndjson").read_bytes().splitlines()) == 3


def test_a_folder_that_cannot_be_written_is_said(few: Path, reviewed: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ReviewError, match=r"Not a directory: .*out; give a folder"):
        reviewed(few, limit=1, name="file/out")


# ---------------------------------------------------------------- the command


def typed(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], prog_name="cds-service")


def test_the_exit_code_tells_whether_everybody_was_assessed(few: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    one = next(few.glob("*.json"))
    (good / one.name).write_bytes(one.read_bytes())
    done = typed("review", good, "--out", tmp_path / "a", "--as-of", "2026-06-15")
    assert done.exit_code == 0, done.output
    assert "1 patients: 1 assessed, 0 in error." in done.output
    assert "not clinically approved" in done.output
    (good / "bad.json").write_bytes(b"{")
    done = typed("review", good, "--out", tmp_path / "b", "--as-of", "2026-06-15")
    assert done.exit_code == 3, done.output
    assert "2 patients: 1 assessed, 1 in error." in done.output
    assert "errors.ndjson" in done.output


def test_an_empty_folder_is_an_error_that_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no record")
    done = typed("review", tmp_path / "in", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "no file to review: give .json, .ndjson" in done.output
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_named_with_the_command_that_brings_it(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.review.commands.find_spec", lambda name: None if name == "pyarrow" else name)
    done = typed("review", few, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "pyarrow is missing here: pip install 'cds-service[review]'" in done.output


def test_no_server_loads_what_a_review_needs() -> None:
    heavy = "{'pyarrow', 'tqdm', 'pyspark'}"
    code = f"import sys, cds_service.__main__, cds_service.serve; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_simulated_charts_are_the_same_for_any_number(tmp_path: Path) -> None:
    for name, count in (("few", "3"), ("more", "5")):
        done = typed("simulate", count, "--out", tmp_path / name, "--as-of", "2026-06-15", "--told", "1")
        assert done.exit_code == 0, done.output
    few, more = (next(iter((tmp_path / name / "records").iterdir())).read_bytes() for name in ("few", "more"))
    assert more.startswith(few) and few
    assert (tmp_path / "more" / "expected.csv").read_text().count("\n") == 6
    assert typed("simulate", "1", "--out", tmp_path / "few").exit_code == 1
    (tmp_path / "file").write_bytes(b"")
    done = typed("simulate", "1", "--out", tmp_path / "file" / "made")
    assert done.exit_code == 1 and "Not a directory: " in done.output and "give a folder with --out" in done.output
