"""What people read of a review: the report, the comparison, and the table for analysts."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from cds_service.__main__ import main
from cds_service.clinical.workup import ASKED_BY_NAME
from cds_service.review.charts import Line, Piece, bars, histogram
from cds_service.review.compare import Compared, FactChange
from cds_service.review.order import Order
from cds_service.review.report import page
from cds_service.review.run import read_manifest, review, rows_of
from cds_service.review.simulate import Simulated
from cds_service.review.summary import Histogram, summarise
from tests.conftest import ROOT, TODAY
from tests.review.conftest import Nobody, bundle, lines, rows

HOSTILE = "<script>alert(1)</script>"


class Tags(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs


@pytest.fixture(scope="module")
def run(population: list[Simulated], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A review whose source has a name that would break out of a careless page, and one broken line."""
    place = tmp_path_factory.mktemp("run")
    folder = place / HOSTILE.replace("/", "∕")
    folder.mkdir()
    body = lines(*(bundle(one.resources) for one in population))
    (folder / "all.ndjson").write_bytes(body + b"{\n")
    review(Order((folder,), place / "out", TODAY, workers=1), Nobody())
    return place / "out"


def report_of(run: Path) -> str:
    return (run / "report.html").read_text("utf-8")


def test_the_report_stands_alone_and_nothing_of_the_data_is_markup(run: Path) -> None:
    text = report_of(run)
    tags = Tags(text)
    assert not {"script", "img", "link", "iframe", "object"} & set(tags.seen)
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name in ("src", "style")]
    assert not [value for name, value in tags.attributes if name == "href" and not str(value).startswith("#")]
    assert "&lt;script&gt;" in text and "http://" not in text and "https://" not in text
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    policy = next(value for name, value in tags.attributes if name == "content" and "default-src" in str(value))
    assert style and policy
    assert f"sha256-{base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}" in policy
    assert policy.startswith("default-src 'none'")


def test_the_report_says_what_the_lines_say(run: Path, population: list[Simulated]) -> None:
    text, found = report_of(run), rows(run)
    grave = [row for row in found if row["emergencies"]]
    assert {row["tier"] for row in grave} >= {"T0", "T1"}
    for row in grave:
        assert row["patient"] in text and row["emergencies"][0]["newest"] in text
    twitching = [row for row in found if row["twitching"] == "present"]
    assert f"<b>{len(found) + 1:,}</b><span>patients in</span>" in text
    assert f"<b>{len(twitching):,}</b><span>with charted twitching</span>" in text
    assert "Draft content, not clinically approved." in text
    assert "the record is no JSON" in text and "N3: the patient has died" in text
    headings = (
        "To look at first", "Tiers and cards", "By age and sex", "Decisive facts that are missing",
        "Tests suggested and avoided", "Laboratory values against the limits", "Data quality by source",
    )  # fmt: skip
    for heading in headings:
        assert heading in text


def test_what_cannot_be_used_stands_among_the_figures(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "Patient.ndjson").write_bytes(lines(*population[0].resources) + b"{\n")
    text = report_of(reviewed(tmp_path / "Patient.ndjson"))
    assert "<li class='grave'><b>1</b><span>files or records not usable: how many patients they held" in text


def test_a_report_of_nobody_who_twitches_is_a_page(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    one = next(p for p in population if p.story.id == "healthy")
    (tmp_path / "one.ndjson").write_bytes(lines(bundle(one.resources)))
    text = report_of(reviewed(tmp_path / "one.ndjson"))
    assert "1 patients in = 1 assessed + 0 in error." in text and "None." in text


def test_the_first_table_shows_values_with_their_band(run: Path) -> None:
    row = next(row for row in rows(run) if row["labs"].get("K", {}).get("band") == "critical_low")
    assert f"potassium {row['labs']['K']['value']:g} mmol/L, critically low <time>" in report_of(run)


def test_the_report_counts_patients_and_says_of_how_many(run: Path) -> None:
    manifest, found = read_manifest(run), list(rows_of(run))
    grave = next(row for row in found if row["emergencies"])
    grave["emergencies"] = grave["emergencies"] * 700
    people = [grave, grave | {"patient": "Patient/other"}, *({**row, "emergencies": []} for row in found)]
    people.append({**found[0], "twitching": "unknown", "tier": "none", "emergencies": []})
    summary = summarise(people, [], manifest["dictionary"]["analytes"])
    assert (summary.urgent_count, summary.urgent_patients) == (1400 * (len(grave["emergencies"]) // 700), 2)
    text = page(summary, manifest)
    assert "<b>2</b><span>with an emergency or critical fact</span>" in text
    assert f"<b>{summary.twitching_unknown}</b><span>whose record says neither yes nor no</span>" in text
    assert sum(summary.people.values()) == len(people)
    assert "<th scope='col'>Assessed</th><th scope='col'>Twitching</th>" in text and re.search(r"\(\d+\.\d%\)", text)
    assert summary.twitching_unknown >= 1


def test_a_test_that_is_asked_for_by_name_elsewhere_is_not_avoided(run: Path) -> None:
    (row, *_) = [row for row in rows(run) if row["withheld"]]
    row["withheld"] = [row["withheld"][0] | {"because": because} for because in ("old", f"{ASKED_BY_NAME}; and more")]
    row["withheld"][1]["test"] = "elsewhere"
    summary = summarise([row], [], {})
    assert summary.avoided.total() == 1 and ("elsewhere", f"{ASKED_BY_NAME}; and more") in summary.because


def test_one_value_is_seen_beside_thousands_and_titles_are_whole() -> None:
    found = Histogram(2.0, 7.0)
    for value, band in ((1.0, "critical_low"), *[(4.0, "normal")] * 5000):
        found.put(value, band)
    picture = histogram("K", "mmol/L", found, [])
    assert 'class="lab-critical"' in picture and 'height="2.0"' in picture
    assert "≤ 2.21" in picture and "≥ 6.79 mmol/L" in picture
    title = "A card with a title that is much longer than what fits beside a bar of a chart"
    shown = bars("Cards", [Line(title, (Piece(1, "info", "charts"),)), Line("Next", ())])
    words = re.findall(r'class="label" x="\d+" y="(\d+)">([^<]*)<', shown)
    assert " ".join(text for _, text in words) == f"{title} Next" and "…" not in shown
    heights = [int(y) for y, _ in words]
    assert heights == sorted(set(heights)) and 0 < heights[-1] < int(re.findall(r'viewBox="0 0 \d+ (\d+)"', shown)[0])


def test_captions_say_how_many_lie_beyond(run: Path) -> None:
    assert re.search(r"potassium · \d+, \d+ beyond, [1-9]\d* critical</figcaption>", report_of(run))


def test_a_histogram_loses_no_value() -> None:
    found = Histogram(2.0, 7.0)
    for value, band in ((-5.0, "critical_low"), (2.0, "low"), (6.999, "normal"), (7.0, "high"), (99.0, "normal")):
        found.put(value, band)
    found.put(None, "normal")
    assert (found.count, found.bounds) == (5, 1)
    assert (found.bins["critical"][0], found.bins["beyond"][0], found.bins["inside"][-1]) == (1, 1, 2)


def test_the_table_holds_what_the_lines_hold(run: Path) -> None:
    table = parquet.read_table(run / "results.parquet").to_pylist()
    for row, line in zip(table, rows(run), strict=True):
        for name in ("ladder", "facts", "labs"):
            row[name] = dict(row[name])
        assert row == line


# ---------------------------------------------------------------- compare and impact


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    """The content with one limit changed: potassium is critical from 2.2 mmol/L."""
    cards = tmp_path / "cards"
    shutil.copytree(ROOT / "cards", cards)
    text = (cards / "analytes.yaml").read_text("utf-8")
    changed = text.replace("critical: {at_most: 2.5, at_least: 6.5}", "critical: {at_most: 1.5, at_least: 6.5}")
    assert changed != text
    (cards / "analytes.yaml").write_text(changed, "utf-8")
    (cards / "VERSION").write_text("9.9.9\n")
    about = (cards / "about.yaml").read_text("utf-8")
    news = "changes:\n- {version: 9.9.9, date: 2026-06-15, what: Potassium from 1.5., affects: [TW05]}\n"
    (cards / "about.yaml").write_text(about.replace("changes:\n", news), "utf-8")
    return cards


def test_a_changed_limit_is_seen_with_the_fact_that_it_turned(
    population: list[Simulated], stricter: Path, tmp_path: Path
) -> None:
    (tmp_path / "all.ndjson").write_bytes(lines(*(bundle(one.resources) for one in population)))
    wanted = ["impact", "--content", stricter, tmp_path / "all.ndjson", "--out", tmp_path / "out"]
    done = CliRunner().invoke(main, [*map(str, wanted), "--as-of", "2026-06-15", "--workers", "1"])
    assert done.exit_code == 0, done.output
    low = next(p for p in population if p.story.id == "critical potassium")
    compared = Compared(tmp_path / "out" / "before", tmp_path / "out" / "after")
    (change,) = compared.changes()
    assert change.patient == f"Patient/{low.id}" and change.tiers == ("T1", "T4")
    gone = next(card for card in change.cards if card.card == "TW05")
    assert (gone.before, gone.after) == ("shown (critical)", "not triggered")
    (fact,) = gone.facts
    assert isinstance(fact, FactChange)
    assert (fact.fact, fact.before["is"], fact.after["is"]) == ("critical_lab", "present", "absent")
    assert (compared.counts.changed, compared.counts.quieter, compared.counts.both) == (1, 1, len(population))
    assert "shown (critical) → not triggered" in done.output and "was present, is absent" in done.output
    text = (tmp_path / "out" / "comparison.html").read_text("utf-8")
    assert change.patient in text and "9.9.9" in text and "<script" not in text
    assert len((tmp_path / "out" / "changes.ndjson").read_bytes().splitlines()) == 1


def test_a_fault_of_new_content_is_told_before_anything_is_reviewed(tmp_path: Path) -> None:
    (tmp_path / "no-cards").mkdir()
    wanted = ["impact", "--content", tmp_path / "no-cards", tmp_path, "--out", tmp_path / "out"]
    done = CliRunner().invoke(main, [*map(str, wanted), "--workers", "1"])
    assert done.exit_code == 1 and not (tmp_path / "out").exists()
    assert "no-cards/analytes.yaml: " in done.output and "cds-content-" not in done.output


def test_where_nothing_moved_it_says_what_that_means(population: list[Simulated], tmp_path: Path) -> None:
    (tmp_path / "one.ndjson").write_bytes(lines(bundle(population[0].resources)))
    wanted = ["impact", "--content", ROOT / "cards", tmp_path / "one.ndjson", "--out", tmp_path / "out"]
    done = CliRunner().invoke(main, [*map(str, wanted), "--as-of", "2026-06-15", "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert "Nothing changed: " in done.output and "the laboratory's own range" in done.output


def test_two_reviews_of_the_same_have_no_difference(
    population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "all.ndjson").write_bytes(lines(*(bundle(one.resources) for one in population[:9])))
    (tmp_path / "less.ndjson").write_bytes(lines(*(bundle(one.resources) for one in population[1:8])))
    one, other = reviewed(tmp_path / "all.ndjson"), reviewed(tmp_path / "less.ndjson", name="other")
    compared = Compared(one, other)
    assert list(compared.changes()) == []
    assert (compared.counts.both, compared.counts.only_before, compared.counts.only_after) == (7, 2, 0)
    done = CliRunner().invoke(main, ["compare", str(one), str(other)])
    assert "7 patients in both: the advice of 0 changed." in done.output
    assert "Only in the first: 2; only in the second: 0." in done.output


def spoiled(run: Path, place: Path, spoil: Callable[[dict[str, Any]], object]) -> Path:
    """The same review with something else on one line."""
    shutil.copytree(run, place)
    found = rows(run)
    spoil(next(row for row in found if row["orders"] and row["withheld"] and row["missing"]))
    (place / "results.ndjson").write_bytes(lines(*found))
    return place


SPOILED: dict[str, Callable[[dict[str, Any]], object]] = {
    "orders": lambda row: row["orders"][0]["items"].append("ANOTHER-ITEM"),
    "withheld": lambda row: row["withheld"][0].update(state="withheld", because="ANOTHER-REASON"),
    "missing": lambda row: row["missing"].append("ANOTHER-FACT"),
}


@pytest.mark.parametrize("list_", SPOILED)
def test_items_withheld_tests_and_missing_facts_are_advice(list_: str, run: Path, tmp_path: Path) -> None:
    other = spoiled(run, tmp_path / "other", SPOILED[list_])
    (change,) = Compared(run, other).changes()
    assert any("ANOTHER" in one for one in getattr(change, list_).added)
    CliRunner().invoke(main, ["compare", str(run), str(other), "--out", str(tmp_path / "page")])
    text = (tmp_path / "page" / "comparison.html").read_text("utf-8")
    assert "ANOTHER-" in text and "Compared are, for each patient" in text
    assert b"ANOTHER-" in (tmp_path / "page" / "changes.ndjson").read_bytes()


def test_patients_in_error_and_unrelated_inputs_are_told(
    run: Path, population: list[Simulated], reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "whole.ndjson").write_bytes(lines(*(bundle(one.resources) for one in population[:3])))
    other = reviewed(tmp_path / "whole.ndjson", name="other", limit=2)
    done = CliRunner().invoke(main, ["compare", str(run), str(other), "--out", str(tmp_path / "page")])
    assert done.exit_code == 3
    text = (tmp_path / "page" / "comparison.html").read_text("utf-8")
    for place in (done.output, text):
        assert "in the first 1 patients in error and 0 files or records not usable" in place
        assert "in the second 0 patients in error" in place
        assert "the input files, --limit differ" in place
    same = CliRunner().invoke(main, ["compare", str(other), str(other)])
    assert same.exit_code == 0 and "Warning" not in same.output


def test_a_newer_result_is_the_same_advice(run: Path, tmp_path: Path) -> None:
    def dated(when: str) -> Callable[[dict[str, Any]], object]:
        return lambda row: row["withheld"][0].update(because=f"a valid result is on file, on {when}")

    one, other = (spoiled(run, tmp_path / when, dated(when)) for when in ("2026-05-01", "2026-06-01"))
    assert list(Compared(one, other).changes()) == []


def test_a_folder_without_a_review_cannot_be_compared(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["compare", str(tmp_path), str(tmp_path)])
    assert done.exit_code == 1
    assert "holds no finished review" in done.output


@pytest.mark.parametrize("manifest", [b"[]", b"{}"])
def test_a_manifest_that_is_none_is_no_review(manifest: bytes, run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    (other / "run.json").write_bytes(manifest)
    done = CliRunner().invoke(main, ["compare", str(run), str(other)])
    assert done.exit_code == 1 and f"{other} holds no finished review" in done.output


def test_results_that_are_gone_or_cut_off_are_named(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, tmp_path / "other"))
    results = other / "results.ndjson"
    results.write_bytes(results.read_bytes()[:-9])
    for sides in ((run, other), (other, run)):
        done = CliRunner().invoke(main, ["compare", *map(str, sides)])
        assert done.exit_code == 1 and f"{results} is damaged: it was cut off" in done.output
    results.unlink()
    done = CliRunner().invoke(main, ["compare", str(run), str(other)])
    assert done.exit_code == 1 and f"{other} holds no finished review" in done.output
