"""The command ``cds-service``: serve, assess a file, review many, check the content, report feedback, settings."""

from __future__ import annotations

import gc
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click
import orjson

from cds_service import __version__
from cds_service.command_line import clear_errors, content_option, day
from cds_service.review.commands import compare, impact, review, simulate

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__)
def main() -> None:
    """Decision support for charted muscle twitching, over CDS Hooks.

    \b
    With a server:     cds-service serve      (then GET /cds-services)
    Without a server:  cds-service assess fixtures/requests/hand-weakness.json --explain
    Many records:      cds-service review exports/ --out review-of-june
    """


def _address(context: click.Context, option: click.Parameter, text: str) -> str:
    """An address gunicorn can listen on: a wrong one would end in a traceback."""
    host, _, port = text.rpartition(":")
    if text.startswith("unix:") or (host and port.isdecimal() and len(port) < 6 and int(port) < 65536):
        return text
    raise click.BadParameter("write it like 127.0.0.1:8000, with a port up to 65535")


@main.command()
@click.option(
    "--bind", default="127.0.0.1:8000", show_default=True, help="Address and port to listen on.", callback=_address
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
def serve(bind: str, workers: int) -> None:
    """Serve with gunicorn. Settings come from the environment: see `cds-service settings`.

    \b
    Another port:        cds-service serve --bind 127.0.0.1:9000
    As of a fixed day:   CDS_TODAY=2026-06-15 cds-service serve
    """
    gc.disable()  # nothing that a start makes is thrown away; the collector is set once all is loaded
    # Read when the metrics are imported: the workers share their figures in this folder.
    figures, starter = tempfile.mkdtemp(prefix="cds-service-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = figures
    try:
        _serve(bind, workers)
    finally:
        if os.getpid() == starter:  # a worker that leaves comes by here too, and the others still count
            shutil.rmtree(figures, ignore_errors=True)


def _serve(bind: str, workers: int) -> None:
    from cds_service.knowledge.files import folder
    from cds_service.serve import serve as run
    from cds_service.settings import read_settings
    from cds_service.web.journal import write_json_lines
    from cds_service.workbench import is_on

    write_json_lines()

    request = folder("fixtures") / "requests" / "hand-weakness.json"

    socket = bind.removeprefix("unix:") if bind.startswith("unix:") else ""
    place = "http://localhost" if socket else f"http://{bind}"
    curl = f"curl --unix-socket {shlex.quote(socket)}" if socket else "curl"

    def ready() -> None:
        known, proof = {
            "off": ("authentication is off: keep it on this machine", ""),
            "jwt": ("clients are known by their tokens (CDS_AUTH=jwt)", ' -H "Authorization: Bearer $TOKEN"'),
            "proxy": ("clients are known by the proxy (CDS_AUTH=proxy)", f" -H '{now.proxy_header}: trial'"),
        }[now.auth]
        click.echo(f"Listening on {bind if socket else place} – {known}.")
        click.echo(f"Content:    {now.content or 'as it comes along'} – draft, not clinically approved.")
        if is_on(now, bind):
            click.echo(f"Workbench:  {place}/workbench{' at that socket' if socket else ''}")
        click.echo(f"Discovery:  {curl}{proof} {place}/cds-services")
        click.echo(
            f"Cards:      {curl}{proof} -H 'Content-Type: application/json' --data @{request} "
            f"{place}/cds-services/muscle-twitching"
        )

    with clear_errors():
        now = read_settings()
        run(bind, workers, ready)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--today", help="Assess as of this date (2026-06-15); default: today.")
@content_option
@click.option("--explain", is_flag=True, help="Show the whole reasoning, not only the cards.")
@click.option("--json", "as_json", is_flag=True, help="Print the CDS Hooks response as JSON.")
def assess(file: Path, today: str | None, content: Path | None, explain: bool, as_json: bool) -> None:
    """Assess FILE: a CDS Hooks request, or a FHIR Bundle of one patient's record.

    In a Bundle, every prefetch query counts as answered: what it does not hold was not found.

    \b
    A request:         cds-service assess fixtures/requests/hand-weakness.json
    Why these cards:   cds-service assess record.json --today 2026-06-15 --explain
    As it was then:    cds-service assess request.json --today 2026-06-15 --content cards-of-then
    """
    from cds_service.terminal import assess_file, card_lines, explain_lines

    with clear_errors():
        outcome, cards = assess_file(file, day(today), content)
        if as_json:
            click.echo(orjson.dumps({"cards": cards}, option=orjson.OPT_INDENT_2).decode())
            return
        for card in cards:
            click.secho(f"[{card['indicator']}] {card['summary']}", bold=True)
            for line in card_lines(card):
                click.echo(line)
            click.echo()
        if not cards:
            click.echo(f"No card. {outcome.assessment.silent_because}")
        if explain:
            for line in explain_lines(outcome.assessment):
                click.echo(line)


@main.command("check-content")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--today", help="Reviews that are due by this date (2026-06-15) are named; default: today.")
def check_content(folder: Path | None, today: str | None) -> None:
    """Check the clinical content in FOLDER (default: what CDS_CONTENT names, else what comes along).

    Names every fault with file, field and remedy, runs every worked example, and names the pages whose next_review
    has come, which is no fault. Content without a fault is sealed
    (a file .checked.json in its folder, if that may be written), and starts of the service take half as long.

    \b
    Your own copy:   cds-service check-content my-cards
    """
    from cds_service.knowledge.load import compile_content, read_content, reviews_due
    from cds_service.settings import read_settings
    from cds_service.worked_examples import run

    with clear_errors():
        content = read_content(folder or read_settings().content, keep=True)
        knowledge, reading = compile_content(content)
        count = failed = 0
        with click.progressbar(run(content, knowledge, reading), label="Worked examples", file=sys.stderr) as outcomes:
            for outcome in outcomes:
                count += 1
                if not outcome.holds:
                    failed += 1
                    rule = f"expects {outcome.expected}, the rules say {outcome.found}"
                    click.echo(f"{outcome.where}: example “{outcome.name}” {rule}")
        click.echo(
            f"Content {content.version}: {len(content.findings)} findings, {len(content.cards)} cards, "
            f"{count} worked examples."
        )
        for page, due in reviews_due(content, day(today)):
            click.echo(f"{page}: its next review was due on {due}")
        if failed:
            raise click.ClickException(f"{failed} worked examples do not hold: correct the rule or the example")


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@content_option
def handbook(folder: Path, content: Path | None) -> None:
    """Write the handbook into FOLDER: every rule in plain words, with sources, limits and worked examples.

    \b
    To read or print:   cds-service handbook my-handbook    (then open my-handbook/index.html)
    As tables:          my-handbook/traceability.csv, my-handbook/contradictions.csv
    """
    from cds_service.handbook.pages import Handbook
    from cds_service.knowledge.load import checked_content
    from cds_service.settings import read_settings

    with clear_errors():
        book = Handbook(checked_content(content or read_settings().content))
        count = _written(folder, ((path, page.body) for path, page in book.files()))
    click.echo(f"Handbook of content {book.content.version}: {count} files, begin with {folder / 'index.html'}")


@main.command("export-fhir")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@content_option
def export_fhir(folder: Path, content: Path | None) -> None:
    """Write the knowledge as FHIR R4 artefacts into FOLDER, a file each, and one transaction that loads them all.

    Their addresses begin with CDS_PUBLIC_URL; without it, with an address that belongs to nobody.

    \b
    For a server:   CDS_PUBLIC_URL=https://cds.example.org cds-service export-fhir artefacts
    """
    from cds_service.artefacts.artefacts import Artefacts
    from cds_service.knowledge.load import load
    from cds_service.settings import read_settings

    with clear_errors():
        settings = read_settings()
        knowledge, _ = load(content or settings.content)
        count = _written(folder, Artefacts(knowledge, settings.public_url).files())
    click.echo(f"Content {knowledge.version} as FHIR R4: {count} files in {folder}, status draft.")
    if not settings.public_url:
        click.echo("CDS_PUBLIC_URL is not set: their addresses are under example.org, where nobody serves them.")


def _written(folder: Path, files: Iterable[tuple[str, bytes]]) -> int:
    """Write files below a folder. Raises click.ClickException where that is not possible."""
    written = 0
    try:
        for path, body in files:
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(body)
            written += 1
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from None
    return written


@main.command("feedback-report")
@click.option("--since", help="Only what users answered on this day or later (2026-06-15).")
@click.option(
    "--origin",
    type=click.Choice(["ehr", "workbench", "all"]),
    default="ehr",
    show_default=True,
    help="From clinicians, or from the workbench.",
)
@click.option("--metrics", default="", help="File or address with Prometheus text: how often each card was shown.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write CSV.")
@click.option("--svg", "svg_file", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Draw it.")
@click.option("--comments", is_flag=True, help="Also print what users wrote. It may name people: keep it close.")
def feedback_report(
    since: str | None, origin: str, metrics: str, csv_file: Path | None, svg_file: Path | None, comments: bool
) -> None:
    """Show what users did with the cards: accepted, overridden and why, per card and per week.

    Reads the database that CDS_DATABASE_URL names (default: SQLite in the state folder) and changes nothing.

    \b
    This year:                 cds-service feedback-report --since 2026-01-01
    With how often shown:      cds-service feedback-report --metrics http://127.0.0.1:8000/metrics
    For a spreadsheet:         cds-service feedback-report --csv feedback.csv
    For a slide:               cds-service feedback-report --svg feedback.svg
    """
    from cds_service.feedback_picture import draw
    from cds_service.feedback_report import comment_lines, read_report, table_lines, write_csv

    with clear_errors():
        begin = day(since, "--since") if since else None
        report = read_report(begin, origin, metrics)
    if not report.cards:
        click.echo(
            "No feedback" + (f" since {begin}" if begin else "") + (f" from {origin}." if origin != "all" else ".")
        )
        return
    for line in table_lines(report):
        click.echo(line)
    if comments:
        click.echo()
        for line in comment_lines(report):
            click.echo(line)
    if csv_file:
        with csv_file.open("w", encoding="utf-8", newline="") as file:
            write_csv(report, file)
    if svg_file:
        svg_file.write_text(draw(report, "Feedback on cards" + (f" since {begin}" if begin else "")), encoding="utf-8")


@main.command()
def settings() -> None:
    """Show every setting, its default, what it means and its present value.

    \b
    A setting is an environment variable:   CDS_QUIET_UNDER_DAYS=14 cds-service settings
    or stands in a TOML file:               CDS_SETTINGS=/etc/cds-service.toml cds-service settings
    """
    from cds_service.settings import read_settings, shown_settings

    with clear_errors():
        for setting, value in shown_settings(os.environ):
            click.echo(f"{setting.name:26} {value:18} {setting.meaning}")
        read_settings()


for _command in (review, compare, impact, simulate):
    main.add_command(_command)


if __name__ == "__main__":
    main(prog_name="cds-service")
