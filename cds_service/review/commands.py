"""The commands of a review. What they need is imported when they run: a server never loads it."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds_service.command_line import clear_errors, content_option, day, for_nobody_else
from cds_service.errors import ReviewError

if TYPE_CHECKING:
    from cds_service.review.compare import Change
    from cds_service.review.journal import Tally
    from cds_service.review.order import Order

SOME_IN_ERROR = 3  # exit code: everything was looked at, and some of it could not be used
_NEEDED = {"review": ("pyarrow", "tqdm"), "spark": ("pyspark",)}


def require(extra: str) -> None:
    """Say what to install when something is missing. Raises ReviewError."""
    missing = [name for name in _NEEDED[extra] if find_spec(name) is None]
    if missing:
        raise ReviewError(f"{', '.join(missing)} is missing here: pip install 'cds-service[{extra}]'")


_inputs = click.argument(
    "inputs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="INPUT…"
)
_out = click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the results."
)
_as_of = click.option("--as-of", "as_of", help="Review as of this date (2026-06-15); default: today.")
_workers = click.option("--workers", type=click.IntRange(1, 256), help="Worker processes; default: one for each core.")
_limit = click.option("--limit", type=click.IntRange(1), help="Only the first so many patients, to try things out.")
_resume = click.option("--resume", is_flag=True, help="Continue what was interrupted, from where it was.")
_memory = click.option(
    "--memory-mb", default=1000, show_default=True, type=click.IntRange(64), help="What all workers together may hold."
)
_longest = click.option(
    "--max-record-mb", default=32, show_default=True, type=click.IntRange(1, 2000), help="Longest record that is read."
)


@click.command()
@_inputs
@_out
@_as_of
@content_option
@_workers
@_limit
@click.option("--cards", "with_cards", is_flag=True, help="Also write each card in full into results.ndjson.")
@_resume
@_memory
@_longest
@click.option("--spark", default="", metavar="MASTER_URL", help="Review on this Spark cluster; see docs/batch.md.")
def review(inputs: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Review every patient in INPUT…: files and folders of FHIR Bundles, or a FHIR bulk export.

    Bundles: .json, .json.gz, and .ndjson with a Bundle on each line. A bulk export: .ndjson with a resource on
    each line, in any number of files, also .gz; each patient's resources are found wherever they stand.

    \b
    DIR then holds
      report.html      what to read first, and to print
      results.ndjson   a line for each patient; results.parquet holds the same
      errors.ndjson    what could not be read: file, offset and reason
      run.json         what was reviewed, by what, and the counts

    The exit code is 0 when every patient was assessed, 3 when some are in errors.ndjson.

    \b
    A folder of Bundles:    cds-service review records/ --out review
    A bulk export:          cds-service review export-2026-06/ --out review --as-of 2026-06-15
    The first 100 only:     cds-service review export-2026-06/ --out trial --limit 100
    After an interruption:  cds-service review export-2026-06/ --out review --as-of 2026-06-15 --resume
    On a Spark cluster:     cds-service review /shared/export/ --out review --spark spark://head:7077
    """
    with clear_errors(), for_nobody_else():
        tally = reviewed(ordered(inputs, out, **options))
    for line in _told(tally, out):
        click.echo(line)
    if tally.in_error or tally.troubles:
        sys.exit(SOME_IN_ERROR)


def ordered(inputs: tuple[Path, ...], out: Path, **options: Any) -> Order:
    """An Order from what was typed and the settings. Raises ReviewError and SettingsError."""
    require("review")
    if options.get("spark"):
        require("spark")
    from cds_service.review.order import Order
    from cds_service.settings import read_settings

    settings = read_settings()
    return Order(
        inputs=inputs,
        out=out,
        today=day(options["as_of"], "--as-of"),
        content=options["content"] or settings.content,
        policy=settings.policy,
        with_cards=options["with_cards"],
        workers=options["workers"] or len(os.sched_getaffinity(0)),
        memory=options["memory_mb"] * 1_000_000,
        longest=options["max_record_mb"] * 1_000_000,
        limit=options["limit"],
        resume=options["resume"],
        spark=options.get("spark", ""),
    )


def reviewed(order: Order) -> Tally:
    """Review with a progress bar."""
    from cds_service.review.progress import Bar
    from cds_service.review.run import review as run

    with Bar() as bar:
        return run(order, bar)


def _told(tally: Tally, out: Path) -> list[str]:
    from cds_service.review.run import read_manifest

    lines = [f"{tally.patients} patients: {tally.assessed} assessed, {tally.in_error} in error."]
    if tally.troubles:
        lines.append(f"{tally.troubles} files or records not usable: how many patients they held is not known.")
    if tally.in_error or tally.troubles:
        lines.append(f"Each is named with its place in {out / 'errors.ndjson'}.")
    manifests = read_manifest(out)["export_manifests"]
    if manifests:
        lines.append(f"No record, and left out: {', '.join(manifests[:3])}, what the server wrote about the export.")
    lines.append(f"To read first: {out / 'report.html'}. Draft content, not clinically approved.")
    return lines


@click.command()
@click.argument("count", type=click.IntRange(1), metavar="N")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the charts.")
@click.option("--seed", default=1, show_default=True, type=int, help="Another seed, other patients.")
@click.option("--as-of", "as_of", help="The day to which the charts reach (2026-06-15); default: today.")
@click.option(
    "--told", default=0.02, show_default=True, type=click.FloatRange(0, 1), help="Share with a story; others are well."
)
@click.option("--visits", default=12, show_default=True, type=click.IntRange(1, 1000), help="Most visits of a patient.")
@click.option("--export", "export", is_flag=True, help="A FHIR bulk export; default: Bundles, one on each line.")
@click.option("--gz", "packed", is_flag=True, help="Compress every file with gzip.")
def simulate(count: int, out: Path, as_of: str | None, **options: Any) -> None:
    """Invent N charts, as records are exported, twitching and not, to try things out at scale.

    \b
    DIR/records       the charts, for cds-service review
    DIR/expected.csv  each patient's story, and the tier that a review must give on that day

    Nobody here exists. The same N, seed and day give the same charts, and patient 17 is the same for any N.

    \b
    Twenty thousand:     cds-service simulate 20000 --seed 5 --out simulated --as-of 2026-06-15
    A bulk export:       cds-service simulate 500 --out simulated-export --export --gz
    Then:                cds-service review simulated/records --out review --as-of 2026-06-15
    """
    with clear_errors():
        require("review")
        from cds_service.knowledge.codes import read_codes
        from cds_service.knowledge.files import folder
        from cds_service.review.journal import writing
        from cds_service.review.progress import Bar
        from cds_service.review.simulate import Simulation
        from cds_service.review.simulate import simulate as make

        if (out / "records").exists() or (out / "expected.csv").exists():
            raise ReviewError(f"{out} holds simulated charts already: give another folder with --out")
        what = Simulation(count, today=day(as_of, "--as-of"), **options)
        with Bar() as bar, writing(out, "make room, or give a folder with --out that can be written to"):
            bar.stage("Inventing", count)
            records = make(what, out, read_codes(folder("cards") / "codes"), lambda made: bar.step(made, made))
    click.echo(f"{count} invented patients in {records}; what to expect stands in {out / 'expected.csv'}.")


@click.command()
@click.argument("before", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="RUN_A")
@click.argument("after", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="RUN_B")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for the page and every change.")
def compare(before: Path, after: Path, out: Path | None) -> None:
    """Compare two reviews: whose advice changed, by card, with the facts that made it so.

    RUN_A and RUN_B are folders that cds-service review has written.

    \b
    At the terminal:   cds-service compare review-of-may review-of-june
    To read and keep:  cds-service compare review-of-may review-of-june --out changes
    DIR then holds comparison.html and changes.ndjson, a line for each patient whose advice changed.
    The exit code is 3 when either review has something in errors.ndjson: that was not compared.
    """
    with clear_errors(), for_nobody_else():
        require("review")
        in_error = _compared(before, after, out)
    if in_error:
        sys.exit(SOME_IN_ERROR)


@click.command()
@_inputs
@_out
@click.option(
    "--content",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="NEW_CARDS",
    help="The content as it would be.",
)
@_as_of
@_workers
@_limit
@_resume
@_memory
@_longest
def impact(inputs: tuple[Path, ...], out: Path, content: Path, **options: Any) -> None:
    """Show what a change of content would change over INPUT…, before it goes live.

    Reviews everything twice, by the content in use and by NEW_CARDS, and compares: into DIR/before, DIR/after,
    DIR/comparison.html and DIR/changes.ndjson. The exit code is 3 when something could not be assessed.

    \b
    A copy to change:   cp -r cards new-cards     (then edit, and cds-service check-content new-cards)
    What it changes:    cds-service impact --content new-cards export-2026-06/ --out impact
    """
    with clear_errors(), for_nobody_else():
        require("review")
        from cds_service.review.content import ContentText, compiled
        from cds_service.review.run import MANIFEST
        from cds_service.settings import read_settings

        for cards in (content, read_settings().content):
            compiled(ContentText.of(cards))  # the faults of either, before the whole population is reviewed by one
        for name, cards in (("before", None), ("after", content)):
            again = options["resume"] and ((out / name / "unfinished").exists() or (out / name / MANIFEST).exists())
            chosen = options | {"content": cards, "with_cards": False, "resume": again}
            tally = reviewed(ordered(inputs, out / name, **chosen))
            click.echo(f"{name}: " + _told(tally, out / name)[0])
        in_error = _compared(out / "before", out / "after", out, unchanged=_NOTHING_MOVED)
    if in_error:
        sys.exit(SOME_IN_ERROR)


_NOTHING_MOVED = (
    "Nothing changed: no chart here turns on what was changed. For a limit: no chart that twitches has a newest value "
    "between the old one and the new one, or the laboratory's own range calls that value normal."
)


def _compared(before: Path, after: Path, out: Path | None, unchanged: str = "") -> bool:
    """Compare, write and tell. Whether anything in either review is in error."""
    from cds_service.review.compare import Compared, told
    from cds_service.review.comparison_page import MOST_SHOWN, comparison_page
    from cds_service.review.journal import writing

    compared = Compared(before, after)
    shown: list[Change] = []
    with ExitStack() as stack:
        stack.enter_context(writing(out or before, "make room and compare again"))
        if out:
            out.mkdir(parents=True, exist_ok=True)
        lines = stack.enter_context((out / "changes.ndjson").open("wb")) if out else None
        for change in compared.changes():
            if lines:
                lines.write(change.line())
            if len(shown) < MOST_SHOWN:
                shown.append(change)
    for line in told(compared):
        click.echo(line)
    if unchanged and not compared.counts.changed:
        click.echo(unchanged)
    if out:
        with writing(out, "make room and compare again"):
            (out / "comparison.html").write_text(comparison_page(compared, shown), encoding="utf-8")
        click.echo(f"\nTo read first: {out / 'comparison.html'}. Draft content, not clinically approved.")
    return compared.in_error
