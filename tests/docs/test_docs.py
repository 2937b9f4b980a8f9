"""The documents: links lead somewhere, commands run, and what the service can say about a fault is explained."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from prometheus_client import Counter, Gauge, Histogram

from cds_service import errors
from cds_service.__main__ import main
from cds_service.knowledge.files import read_yaml
from cds_service.network.connection import Reason as Unanswered
from cds_service.settings import SETTINGS
from cds_service.web import metrics
from cds_service.web.caller import Reason as Unauthenticated
from tests.conformance.test_table import functions_in
from tests.conftest import FIXTURES, ROOT
from tests.served import Served

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), ROOT / "fixtures" / "README.md"])
RUN_HERE = ("quick-start.md",)  # of the batch guide what needs no make, pip or cluster: LOCAL
BY_HAND = re.compile(r"[Ll]ast run by hand: \d{4}-\d\d-\d\d")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


# ---------------------------------------------------------------- links and pictures


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text(page), flags=re.M | re.S), flags=re.M)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_inside_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```|`[^`\n]*`", "", text(page), flags=re.M | re.S))
    broken = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_picture_is_taken_by_a_test_shown_and_small() -> None:
    taken = re.findall(r'SCREENSHOTS / "([\w-]+\.png)"', text(ROOT / "tests" / "browser" / "test_pictures.py"))
    pictures = sorted((DOCS / "images").iterdir())
    assert [p.name for p in pictures] == sorted(taken)
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 100_000
        assert any(f"images/{picture.name}" in text(page) for page in PAGES)
        assert f"/{picture.name} docs/images/" in text(ROOT / "Makefile")


# ---------------------------------------------------------------- commands


def commands(page: Path) -> list[str]:
    """Every line of the shell blocks of a page, without its remark."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text(page), flags=re.M | re.S)
    lines = (re.sub(r"\s+#\s.*", "", line).strip() for block in blocks for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def ours(line: str) -> list[str] | None:
    """The arguments of a command of ours, without settings before it; None for any other."""
    words = [w for w in shlex.split(line) if not re.match(r"CDS_\w+=", w)]
    return words[1:] if words and Path(words[0]).name == "cds-service" else None


ALL = [pytest.param(line, id=f"{name(page)}: {line[:60]}") for page in PAGES for line in commands(page) if ours(line)]


@pytest.mark.parametrize("line", ALL)
def test_every_command_of_ours_has_the_options_it_is_shown_with(line: str) -> None:
    words = ours(line) or []
    command = main.commands[words[0]]
    try:
        # Under its group: click keeps what a command makes of its help option for the whole process.
        command.make_context(words[0], words[1:], parent=click.Context(main, **main.context_settings))
    except click.NoSuchOption as error:
        pytest.fail(str(error))
    except click.UsageError as error:
        # Files of an example need not be here; what is missing or too much on the line must not be.
        assert "does not exist" in str(error) or "must name a file" in str(error), str(error)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in RUN_HERE and commands(p)], ids=name)
def test_commands_that_no_test_runs_say_when_somebody_did(page: Path) -> None:
    assert BY_HAND.search(text(page)), "write: Last run by hand: 2026-11-22"


@pytest.mark.parametrize("line", [pytest.param(line, id=line[:70]) for line in commands(DOCS / "quick-start.md")])
def test_the_quick_start_does_what_it_says(
    line: str, served: Served, monkeypatch: pytest.MonkeyPatch, knowledge: Any, reading: Any
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("cds_service.terminal.load", lambda folder: (knowledge, reading))  # compiling takes seconds
    words = shlex.split(line)
    while "=" in words[0]:
        words = words[1:]  # `served` has the same day
    if words[0] == "make":
        asked = ["make", "-n", "VENV=nowhere", *words[1:]]
        recipe = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        # The first is what this test runs in, the second what `served` has started.
        assert {"setup": "pip install --quiet --editable", "run": "nowhere/bin/cds-service serve"}[words[1]] in recipe
    elif words[0] == "curl":
        path = "/" + words[-1].split("/", 3)[3]
        data = Path(words[words.index("--data") + 1].removeprefix("@")).read_bytes() if "--data" in words else None
        status, _, answer = served.ask("POST" if data else "GET", path, data, **{"Content-Type": "application/json"})
        assert status == 200
        assert data is None or b'"summary"' in answer
    else:
        done = CliRunner().invoke(main, ours(line) or [])
        assert done.exit_code == 0, done.output
        assert "[warning]" in done.output


def test_the_addresses_that_the_quick_start_names_are_there(served: Served) -> None:
    for path in re.findall(r"`http://127\.0\.0\.1:8000(/\w+)`", text(DOCS / "quick-start.md")):
        assert served.ask("GET", path)[0] == 200


@pytest.fixture(scope="module")
def at_hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the lines of the batch guide run one after the other, each on what those before have written."""
    folder = tmp_path_factory.mktemp("batch")
    shutil.copytree(ROOT / "cards", folder / "new-cards")  # no command of ours
    return folder


LOCAL = [line for line in commands(DOCS / "batch.md") if ours(line) and "--spark" not in line]


@pytest.mark.apt  # nothing of Debian; half a dozen reviews are too long for every day
@pytest.mark.parametrize("line", [pytest.param(line, id=line[:70]) for line in LOCAL])
def test_the_batch_guide_does_what_it_says(line: str, at_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(at_hand)
    words = [w.replace("500", "20") for w in ours(line) or []]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert (at_hand / words[words.index("--out") + 1]).is_dir()


# ---------------------------------------------------------------- what the service can say


@cache
def parsed(file: Path) -> list[ast.AST]:
    """Every node of a module of ours."""
    return list(ast.walk(ast.parse(text(file))))


def said(node: ast.expr) -> Iterator[str]:
    """The fixed words of an expression, with … where values stand."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
    elif isinstance(node, ast.IfExp):
        yield from said(node.body)
        yield from said(node.orelse)


WHICH = {"Fault": 1, "DataGap": 1, "_unusable": 1, "SettingsError": 0, "ReviewError": 0, "ValidationError": 0}


# The file of clients names each of its faults by place; a card that breaks our own schema is a bug and a 500.
NAMED_ALONE = ("clients.py", "schema.py")


@cache
def everything_said() -> dict[str, str]:
    """Every fixed sentence about a fault in the code -> where. Content's faults carry their own remedies."""
    found = {}
    for file in sorted((ROOT / "cds_service").rglob("*.py")):
        if {"knowledge", "handbook"} & set(file.parts) or file.name in NAMED_ALONE:
            continue
        for node in parsed(file):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            logged = called in ("warning", "error") and isinstance(node.func, ast.Attribute)
            position = 0 if logged else WHICH.get(called)
            if position is None or len(node.args) <= position:
                continue
            for words in said(node.args[position]):
                if len(words.strip(" :…")) > 3:
                    found[words.strip().partition("%")[0].strip()] = f"{file.name}:{node.lineno}"
    return found


@cache
def quoted() -> set[str]:
    """The pieces of messages that the page on troubles quotes."""
    spans = re.findall(r"`([^`\n]+)`", text(DOCS / "troubleshooting.md"))
    return {piece.strip() for span in spans for piece in span.split("…") if " " in piece.strip() and len(piece) > 6}


def test_whatever_the_service_says_about_a_fault_is_explained() -> None:
    missing = {words: where for words, where in everything_said().items() if not is_quoted(words)}
    assert len(everything_said()) > 80
    assert missing == {}


def is_quoted(words: str) -> bool:
    pieces = [piece.strip() for piece in words.split("…") if len(piece.strip()) > 6]
    return any(quote in words or any(piece in quote for piece in pieces) for quote in quoted())


def test_each_row_on_troubles_has_a_cause_and_a_cure() -> None:
    tables = text(DOCS / "troubleshooting.md").partition("## Error classes")[0]
    lines = [line.strip("| ") for line in tables.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    assert len(rows) > 80
    assert [row for row in rows if len(row) != 3 or not all(row)] == []


def test_every_class_of_error_and_every_reason_is_named() -> None:
    classes = {
        node.name
        for file in (ROOT / "cds_service").rglob("*.py")
        for node in parsed(file)
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "Exception" for base in node.bases)
    }
    assert {errors.ContentError.__name__, "UnansweredError"} <= classes
    assert [one for one in sorted(classes) if f"`{one}`" not in text(DOCS / "troubleshooting.md")] == []
    assert [one.value for one in Unauthenticated if f"`{one.value}`" not in text(DOCS / "authentication.md")] == []
    table = text(DOCS / "fhir-access.md").partition("## What a failure looks like")[2]
    pieces = [p.strip() for cell in re.findall(r"^\| ([^|]+) \|", table, flags=re.M) for p in cell.split(",")]
    assert [one.name for one in Unanswered if not any(piece in one.value for piece in pieces)] == []


@pytest.mark.parametrize("page", ["adversary", "hazard-log", "sandbox"])
def test_each_row_on_attacks_hazards_and_the_sandbox_names_tests_that_exist(page: str) -> None:
    said = text(DOCS / f"{page}.md")
    rows = [line for line in said.splitlines() if line.startswith("|") and not re.match(r"\|(---|.*\| Test \|$)", line)]
    assert len(rows) >= 9
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", row)
        assert named, row
        assert [name for file, name in named if name not in functions_in(file)] == [], row
    patients = re.findall(r"`((?:records|quiet|shapes)/[^`…]+)`", said)
    assert [name for name in patients if not (FIXTURES / f"{name}.yaml").is_file()] == []


# ---------------------------------------------------------------- settings, dependencies


def test_settings_in_the_documents_exist_and_every_setting_is_explained() -> None:
    written = {found for page in PAGES for found in re.findall(r"\bCDS_[A-Z_]*[A-Z]\b", text(page))}
    known = {setting.name for setting in SETTINGS}
    assert written - known - {"CDS_SETTINGS"} == set()
    assert known - written == set()


COUNTED = {
    m._name + ("_total" if isinstance(m, Counter) else ""): set(m._labelnames)
    for m in vars(metrics).values()
    if isinstance(m, Counter | Gauge | Histogram)
}


def test_every_metric_in_the_documents_exists_and_the_page_on_running_it_leaves_none_out() -> None:
    figure = r"`(cds_[a-z_]+?)(?:_bucket|_sum|_count)?(?:\{[^`]*)?`"
    written = {found for page in PAGES for found in re.findall(figure, text(page))}
    assert written == COUNTED.keys() and len(written) >= 10
    assert [name for name in COUNTED if f"`{name}`" not in text(DOCS / "operations.md")] == []


def test_every_alert_rests_on_figures_that_are_counted_so() -> None:
    """An alert on a figure, a label or an outcome that nobody counts never fires."""
    rules = [rule for group in read_yaml(ROOT / "deploy" / "alerts.yml")["groups"] for rule in group["rules"]]
    used = [one for rule in rules for one in re.findall(r"(cds_\w+)(?:{(.*?)})?", rule["expr"])]
    assert len({figure for figure, _ in used}) == 5 and all(rule["annotations"]["summary"] for rule in rules)
    outcomes = {"cds_auth_total": {one.value for one in Unauthenticated} | {"store"},
                # Of these two nothing is asked, and nothing counted.
                "cds_fhir_requests_total": {one.name.lower() for one in Unanswered} - {"not_listed", "no_id"},
                }  # fmt: skip
    watched: dict[str, list[str]] = {figure: [] for figure in outcomes}
    for figure, chosen in used:
        said = dict(re.findall(r'(\w+)=~?"(.*?)"', chosen))
        assert said.keys() <= COUNTED[figure], figure
        if "outcome" in said:
            watched[figure] += said["outcome"].split("|")
    # Every failure that is counted is in one alert.
    assert {figure: sorted(found) for figure, found in watched.items()} == {f: sorted(o) for f, o in outcomes.items()}


def test_the_lock_holds_every_dependency_in_a_version_that_is_allowed_and_with_hashes() -> None:
    lock = text(ROOT / "requirements.lock")
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, flags=re.M))
    project = read_toml()["project"]
    for wanted in map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["postgresql"]]):
        assert wanted.specifier.contains(locked[re.sub(r"[._]", "-", wanted.name.lower())]), wanted
    assert len(re.findall(r"^[A-Za-z0-9]", lock, flags=re.M)) == len(locked)
    assert all("--hash=sha256:" in entry for entry in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.M)[1:])


def read_toml() -> dict[str, dict[str, object]]:
    import tomllib

    return tomllib.loads(text(ROOT / "pyproject.toml"))


def test_each_locked_package_has_a_licence_that_is_permissive_or_accepted() -> None:
    check = [sys.executable, str(ROOT / ".ci" / "licences.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
