"""The report on feedback: counted by hand first, then by the command."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from cds_service.__main__ import main
from cds_service.feedback_report import count, read_shown
from cds_service.settings import SETTINGS, read_settings
from cds_service.web.store import Entry, Store

MONDAY = datetime(2026, 6, 1, 9, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def run(url: str, *arguments: str | Path) -> Result:
    cleared: dict[str, str | None] = {setting.name: None for setting in SETTINGS}
    return CliRunner().invoke(
        main,
        ["feedback-report", *map(str, arguments)],
        env=cleared | {"CDS_DATABASE_URL": url},
        prog_name="cds-service",
    )


def kept(name: str, card: str | None, outcome: str, week: int, reason: str | None = None, **more: str) -> Entry:
    at = MONDAY + timedelta(weeks=week, days=2)
    return Entry(name, at, "", outcome, card is not None, card, reason_code=reason, **more)  # type: ignore[arg-type]


@pytest.fixture
def filled(database_url: str) -> str:
    store = Store(read_settings({"CDS_DATABASE_URL": database_url}))
    store.prepare()
    store.record(
        [
            kept("a", "TW06", "accepted", 0),
            kept("b", "TW06", "accepted", 2),
            kept("c", "TW06", "overridden", 2, "KNOWN", comment="seen \x1b[31mlast year"),
            kept("d", "TW13", "overridden", 0, "KNOWN"),
            kept("e", "TW13", "overridden", 0, "KNOWN"),
            kept("f", "TW13", "overridden", 0),
            kept("g", "TW06", "overridden", 0, origin="workbench"),
            kept("h", None, "overridden", 0),
        ]
    )
    store.close()
    return database_url


def table(done: Result) -> list[list[str]]:
    assert done.exit_code == 0, done.output
    return [line.split() for line in done.output.splitlines()]


def test_the_table_counts_per_card_and_per_week(filled: str) -> None:
    rows = table(run(filled))
    assert ["TW06", "2", "1", "67%", "KNOWN", "1"] in rows
    assert ["TW13", "0", "3", "0%", "KNOWN", "2,", "without", "a", "reason", "1"] in rows
    assert ["unverified", "0", "1", "0%", "without", "a", "reason", "1"] in rows
    assert ["2026-06-01", "1", "3", "25%"] in rows  # what is not verified counts in no week
    assert ["2026-06-08", "0", "0"] in rows
    assert ["2026-06-15", "1", "1", "50%"] in rows


@pytest.mark.parametrize(("origin", "overridden"), [("ehr", "1"), ("workbench", "1"), ("all", "2")])
def test_the_workbench_is_counted_only_when_asked_for(filled: str, origin: str, overridden: str) -> None:
    (row,) = [row for row in table(run(filled, "--origin", origin)) if row[:1] == ["TW06"]]
    assert row[-1] == "1" and row[row.index("0%" if origin == "workbench" else row[3]) - 1] == overridden


def test_since_leaves_out_what_is_older(filled: str) -> None:
    rows = table(run(filled, "--since", "2026-06-15"))
    assert [row[0] for row in rows if row and row[0].startswith("TW")] == ["TW06"]


def test_comments_are_shown_only_when_asked_for_and_steer_no_terminal(filled: str) -> None:
    assert "last year" not in run(filled).output
    shown = run(filled, "--comments").output
    assert "TW06  overridden  seen  [31mlast year" in shown and "\x1b" not in shown


def test_shown_comes_from_the_metrics(filled: str, tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.txt"
    metrics.write_text(
        "# TYPE cds_cards_shown counter\n"
        'cds_cards_shown_total{card="TW06+TW17"} 40\ncds_cards_shown_total{card="TW06"} 60\n'
        'cds_cards_shown_total{card="TW22"} 7\nother_total{card="TW06"} 5\n',
        encoding="utf-8",
    )
    assert read_shown(str(metrics)) == {"TW06": 100, "TW22": 7}
    rows = table(run(filled, "--metrics", metrics))
    assert ["TW06", "100", "2", "1", "67%", "KNOWN", "1"] in rows
    assert ["TW22", "7", "0", "0"] in rows


@pytest.mark.parametrize("place", ["/nowhere/metrics.txt", "http://127.0.0.1:1/metrics", "http://["])
def test_metrics_that_cannot_be_read_are_named(filled: str, place: str) -> None:
    done = run(filled, "--metrics", place)
    assert done.exit_code == 1 and "--metrics" in done.output and "Traceback" not in done.output


def test_csv_holds_every_week_and_the_whole(filled: str, tmp_path: Path) -> None:
    assert run(filled, "--csv", tmp_path / "out.csv").exit_code == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["week"], row["card"]): row for row in csv.DictReader(file)}
    assert rows["2026-06-15", "TW06"]["acceptance"] == "0.500"
    assert rows["all", "TW13"]["overridden_because"] == "KNOWN=2;without a reason=1"
    assert "last year" not in (tmp_path / "out.csv").read_text(encoding="utf-8")


def test_the_picture_has_title_axes_and_a_bar_for_each_card(filled: str, tmp_path: Path) -> None:
    assert run(filled, "--svg", tmp_path / "out.svg", "--since", "2026-01-01").exit_code == 0
    picture = ElementTree.fromstring((tmp_path / "out.svg").read_text(encoding="utf-8"))
    words = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"Feedback on cards since 2026-01-01", "answers of users", "acceptance rate", "TW06", "2 / 1", "0 / 3"} <= {
        *words
    }
    assert "week of the answer (Monday)" in words
    assert next(picture.iter(f"{SVG}rect")).get("fill") == "#ffffff"
    assert len(list(picture.iter(f"{SVG}circle"))) == 2  # no point for the week without answers
    width = float(picture.get("width") or 0)
    assert all(float(text.get("x") or 0) < width for text in picture.iter(f"{SVG}text"))


def test_a_database_that_is_not_there_says_so_and_is_not_made(tmp_path: Path) -> None:
    done = run(f"sqlite:///{tmp_path}/nothing.sqlite")
    assert done.exit_code == 1 and "CDS_DATABASE_URL: no service has kept anything there yet" in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_report_erases_nothing(filled: str) -> None:
    cleared: dict[str, str | None] = {setting.name: None for setting in SETTINGS}
    environment = cleared | {"CDS_DATABASE_URL": filled, "CDS_KEEP_FEEDBACK_DAYS": "0", "CDS_KEEP_COMMENTS_DAYS": "0"}
    assert CliRunner().invoke(main, ["feedback-report"], env=environment).exit_code == 0
    assert "last year" in run(filled, "--comments").output


def test_a_bad_date_is_refused_with_an_example(filled: str) -> None:
    done = run(filled, "--since", "June")
    assert done.exit_code == 2 and "--since" in done.output and "2026-06-15" in done.output


def test_each_row_is_looked_at_a_few_times_however_many_weeks_and_cards_there_are() -> None:
    looked = 0

    class Row(dict[str, object]):
        def __getitem__(self, name: str) -> object:
            nonlocal looked
            looked += 1
            return super().__getitem__(name)

    known = {"outcome": "overridden", "reason_code": "KNOWN", "comment": None, "verified": True}
    weeks = [MONDAY + timedelta(weeks=i % 100) for i in range(1000)]
    rows = [Row(known, card=f"TW{i % 28}", outcome_at=at) for i, at in enumerate(weeks)]
    assert len(count(rows, {}).weeks) == 100
    assert 0 < looked <= 10 * len(rows)
