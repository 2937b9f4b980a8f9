"""The commands as somebody meets them first: help that teaches, errors that say what to do."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from cds_service import __version__
from cds_service.__main__ import main
from cds_service.command_line import clear_errors
from cds_service.errors import ContentError, Fault
from cds_service.settings import SETTINGS
from tests.conftest import FIXTURES, ROOT

DAY = ("--today", "2026-06-15")
REQUEST = FIXTURES / "requests" / "hand-weakness.json"
RECORD = FIXTURES / "records" / "EX10-suppressed-tsh.json"


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch: pytest.MonkeyPatch, knowledge: Any, reading: Any) -> None:
    """Compiling the content takes seconds; tests/contract/test_wheel.py runs the command with nothing replaced."""
    monkeypatch.setattr("cds_service.terminal.load", lambda folder: (knowledge, reading))


def run(*arguments: str | Path, **settings: str) -> Result:
    """A command without anybody's settings of the service in its environment."""
    cleared: dict[str, str | None] = {setting.name: None for setting in SETTINGS}
    return CliRunner().invoke(main, [str(a) for a in arguments], env=cleared | settings, prog_name="cds-service")


def failure(*arguments: str | Path, status: int = 1, **settings: str) -> str:
    """What a command says when it fails; never a traceback."""
    done = run(*arguments, **settings)
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.output
    return done.output


# ---------------------------------------------------------------- help


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", ("charted muscle twitching", "cds-service serve", "cds-service assess", "check-content", "settings")),
        ("serve", ("127.0.0.1:8000", "--workers", "cds-service settings", "CDS_TODAY=")),
        ("assess", ("CDS Hooks request", "FHIR Bundle", "--explain", "--json", "2026-06-15", "cds-service assess")),
        (
            "check-content",
            ("file, field and remedy", "worked example", "next_review", "CDS_CONTENT", "cds-service check-content"),
        ),
        ("handbook", ("plain words", "sources", "--content", "index.html", "traceability.csv")),
        ("export-fhir", ("FHIR R4", "transaction", "CDS_PUBLIC_URL", "--content")),
        ("feedback-report", ("accepted", "--since 2026-01-01", "--csv", "--svg", "--comments", "CDS_DATABASE_URL")),
        (
            "review",
            ("bulk export", "report.html", "errors.ndjson", "--as-of", "--resume", "--spark", "exit code", "--out"),
        ),
        ("compare", ("RUN_A RUN_B", "comparison.html", "changes.ndjson", "cds-service compare")),
        ("impact", ("NEW_CARDS", "before it goes live", "check-content", "cds-service impact")),
        ("simulate", ("expected.csv", "--seed", "--export", "Nobody here exists", "cds-service simulate")),
        ("settings", ("environment variable", "default", "CDS_QUIET_UNDER_DAYS=14")),
    ],
)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_what_a_command_is_for_and_shows_a_call(command: str, words: tuple[str, ...], flag: str) -> None:
    done = run(*command.split(), flag)
    assert done.exit_code == 0
    text = " ".join(done.output.split())
    assert not [word for word in words if word not in text]


def test_the_version_is_told() -> None:
    assert run("--version").output.strip().endswith(__version__)


def test_every_setting_is_shown_with_what_it_means_and_no_secret() -> None:
    done = run("settings", CDS_SECRET="not-for-the-terminal", CDS_QUIET_UNDER_DAYS="14")
    assert done.exit_code == 0
    for setting in SETTINGS:
        assert setting.name in done.output
        assert setting.meaning in done.output
    assert "not-for-the-terminal" not in done.output
    assert "14" in next(line for line in done.output.splitlines() if line.startswith("CDS_QUIET_UNDER_DAYS"))


# ---------------------------------------------------------------- assess


@pytest.mark.parametrize("file", [REQUEST, RECORD], ids=["hook request", "Bundle"])
def test_a_file_is_assessed(file: Path) -> None:
    done = run("assess", file, *DAY)
    assert done.exit_code == 0, done.output
    assert "[warning] " in done.output
    assert "\nFound\n" in done.output
    assert "→ " in done.output


def test_on_a_terminal_a_card_is_plain_text() -> None:
    done = run("assess", RECORD, *DAY).output
    assert not re.search(r"\*\*|\\[^\w\s]|\]\(|&[a-z]+;", done), done
    assert re.search(r"^  .+ <https?://\S+>$", done, flags=re.M)


def test_a_heading_without_lines_is_left_out(tmp_path: Path) -> None:
    body = json.loads((FIXTURES / "requests" / "bare-entry.json").read_bytes())
    body["prefetch"]["conditions"] = None
    lines = run("assess", _file(tmp_path, body), *DAY, "--explain").output.split("\n")
    headings = [at for at, line in enumerate(lines) if line and at and not lines[at - 1]]
    assert headings
    assert [lines[at] for at in headings if not lines[at + 1].startswith("  ")] == []
    assert "Ladder" not in lines


@pytest.mark.parametrize("file", [REQUEST, RECORD], ids=["hook request", "Bundle"])
def test_json_is_the_response_of_the_hook_and_nothing_else(file: Path) -> None:
    answer = json.loads(run("assess", file, *DAY, "--json").stdout)
    assert list(answer) == ["cards"]
    assert {"uuid", "summary", "indicator", "source"} <= set(answer["cards"][0])


def test_explain_shows_the_whole_reasoning() -> None:
    text = run("assess", FIXTURES / "records" / "L-adjusted-calcium-2.04.json", *DAY, "--explain").output
    for heading in ("As of 2026-06-15, content ", "\nLadder\n", "\nDifferential\n", "\nFacts\n", "Tests not suggested"):
        assert heading in text
    assert "unknown" in text
    assert "for: " in text


def test_words_of_a_record_do_not_steer_a_terminal(tmp_path: Path) -> None:
    body = json.loads(REQUEST.read_bytes())
    evil = "\x1b]0;owned\x07\x1b[2J\u202eback\x00\n  present forged: a line of its own\r\u009b31m"
    for entry in body["prefetch"]["conditions"]["entry"]:
        entry["resource"]["code"]["text"] = f"muscle twitching {evil}"
    entries = body["prefetch"]["findings"]["entry"]
    for entry in entries:
        entry["resource"]["code"]["text"] = f"{entry['resource']['code'].get('text', '')} {evil}"
    als = copy.deepcopy(body["prefetch"]["conditions"]["entry"][0])
    als["resource"] |= {"id": "als", "code": {"text": f"ALS {evil}", "coding": [
        {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "G12.21"}]}}  # fmt: skip
    body["prefetch"]["conditions"]["entry"].append(als)
    said = run("assess", _file(tmp_path, body), *DAY, "--explain").output
    assert "forged" in said
    assert [line for line in said.split("\n") if not line.isprintable()] == []
    assert not re.search(r"^ *present forged", said, flags=re.M)


def test_silence_says_why(tmp_path: Path) -> None:
    body = json.loads((FIXTURES / "requests" / "bare-entry.json").read_bytes())
    body["prefetch"]["conditions"] = None
    done = run("assess", _file(tmp_path, body), *DAY)
    assert done.exit_code == 0
    assert len(done.output.partition("No card. ")[2].split()) > 2


def test_the_day_can_come_from_the_settings() -> None:
    assert "As of 2026-06-15" in run("assess", REQUEST, "--explain", CDS_TODAY="2026-06-15").output


def _file(folder: Path, body: Any) -> Path:
    file = folder / "chart.json"
    file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return file


def _patients(*ids: str) -> Any:
    entries = [{"resource": {"resourceType": "Patient", "id": one}} for one in ids]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


UNUSABLE: dict[str, tuple[Any, tuple[str, ...]]] = {
    "two patients": (_patients("a", "b"), ("2 Patient resources", "one patient")),
    "no patient": (_patients(), ("0 Patient resources", "one patient")),
    "cut off": (b'{"resourceType": "Bun', ("no JSON at line 1", "send JSON in UTF-8")),
    "no text": (b"\xff\xfe\x00", ("no JSON", "UTF-8")),
    "empty": (b"", ("empty", "send a CDS Hooks request")),
    "a list": ([], ("not a JSON object", "send a CDS Hooks request")),
    "one resource": ({"resourceType": "Patient", "id": "a"}, ("no Bundle", "give a Bundle")),
    "an envelope with faults": (
        {"hook": "order-sign", "context": {}},
        ("hook: must be 'patient-view'", "hookInstance: ", "context.patientId: ", "send the FHIR id"),
    ),
    "no prefetch": (
        {
            "hook": "patient-view",
            "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
            "context": {"patientId": "mrn-4711"},
        },
        ("prefetch.patient: is missing", "prefetch.conditions: is missing"),
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_chart_that_cannot_be_assessed_is_refused_in_words(name: str, tmp_path: Path) -> None:
    body, words = UNUSABLE[name]
    said = failure("assess", _file(tmp_path, body), *DAY)
    assert "this chart cannot be assessed" in said
    assert not [word for word in words if word not in said], said
    assert "4711" not in said


def test_a_chart_nested_beyond_reason_is_refused_in_words(tmp_path: Path) -> None:
    inner: Any = {"url": "https://example.org/x", "valueString": "x"}
    for _ in range(400):
        inner = {"url": "https://example.org/x", "extension": [inner]}
    body = json.loads(REQUEST.read_bytes())
    for entry in body["prefetch"]["conditions"]["entry"]:
        entry["resource"]["extension"] = [inner]
    assert "nested too deeply" in failure("assess", _file(tmp_path, body), *DAY)


@pytest.mark.parametrize("day", ["15.6.2026", "tomorrow", "2026-02-30", "9999-12-31", "0001-01-01", ""])
def test_a_bad_date_is_refused_with_an_example(day: str) -> None:
    said = failure("assess", REQUEST, "--today", day, status=2)
    assert "--today" in said
    assert "2026-06-15" in said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "does not exist" in failure("assess", tmp_path / "nobody.json", status=2)
    assert "is a directory" in failure("assess", tmp_path, status=2)


def test_bad_settings_are_named_all_at_once() -> None:
    said = failure("assess", REQUEST, *DAY, CDS_ORDER_INTENT="wish", CDS_SECRET="short", CDS_PREFETCH="lab")
    assert not [n for n in ("CDS_ORDER_INTENT", "CDS_SECRET", "CDS_PREFETCH", "at least 16") if n not in said]


def test_a_card_that_does_not_exist_cannot_be_switched_off_at_the_terminal_either() -> None:
    assert "TW99" in failure("assess", REQUEST, *DAY, CDS_CARDS_OFF="TW99")


# ---------------------------------------------------------------- check-content


def _spoil(cards: Path, name: str, old: str, new: str) -> None:
    """Spoil one page, wherever in the content it stands."""
    file = next(cards.rglob(name))
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_check_content_names_all_faults_at_once(tmp_path: Path) -> None:
    cards = shutil.copytree(ROOT / "cards", tmp_path / "cards")
    _spoil(cards, "babinski.yaml", "\npurpose:", "\npurpos:")
    _spoil(cards, "TW06-motor-neuron-pattern.yaml", "\nstatus: draft", "\nstatus: perfect")
    _spoil(cards, "hypotheses.yaml", "urgency:", "urgent:")
    said = failure("check-content", cards)
    assert "faults in the clinical content" in said
    for file, field in (
        ("babinski.yaml", "purpos"),
        ("TW06-motor-neuron-pattern.yaml", "status"),
        ("hypotheses.yaml", "urgent"),
    ):
        assert [line for line in said.splitlines() if file in line and field in line], said


def test_one_fault_is_one_fault() -> None:
    with pytest.raises(ClickException, match=r"^1 fault in the clinical content:\n  a: b$"), clear_errors():
        raise ContentError([Fault("a", "b")])


def test_check_content_names_the_line_of_what_is_no_yaml(tmp_path: Path) -> None:
    cards = shutil.copytree(ROOT / "cards", tmp_path / "cards")
    _spoil(cards, "babinski.yaml", "\npurpose:", "\n  purpose: [")
    said = failure("check-content", cards)
    assert "babinski.yaml line " in said
    assert "correct the YAML" in said


def test_check_content_of_a_folder_without_content_says_what_is_missing(tmp_path: Path) -> None:
    assert "is the content folder complete?" in failure("check-content", tmp_path)


def test_check_content_reads_the_folder_of_the_settings(tmp_path: Path) -> None:
    assert "is the content folder complete?" in failure("check-content", CDS_CONTENT=str(tmp_path))
