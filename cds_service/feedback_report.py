"""What users did with the cards: counted per card and per week, as a table, as CSV and as a picture."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TextIO

from prometheus_client.parser import text_string_to_metric_families

from cds_service.errors import SettingsError
from cds_service.settings import read_settings
from cds_service.web.store import Store

SHOWN_METRIC = "cds_cards_shown_total"  # with a label `card`
UNVERIFIED = "unverified"
NO_REASON = "without a reason"


@dataclass(frozen=True, slots=True)
class Answers:
    """How often users accepted and overrode, and why."""

    accepted: int = 0
    overridden: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """The share that was accepted, of what was answered at all."""
        answered = self.accepted + self.overridden
        return self.accepted / answered if answered else None


@dataclass(frozen=True, slots=True)
class Comment:
    """What a user wrote, and about which card."""

    at: datetime
    card: str
    outcome: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """Feedback, counted. A card that was answered twice counts twice: issues of a card are not told apart."""

    cards: Mapping[str, Answers]
    weeks: Mapping[date, Answers]  # by Monday; verified feedback only
    by_week: Mapping[tuple[date, str], Answers]
    shown: Mapping[str, int]
    comments: tuple[Comment, ...] = ()


def read_report(since: date | None, origin: str, metrics: str = "") -> Report:
    """The report of the database that the settings name. Raises SettingsError."""
    settings = read_settings()
    store = Store(settings)
    begin = datetime.combine(since, time(), UTC) if since else None
    is_there = store.is_prepared()
    if not is_there and settings.database_url:
        raise SettingsError("CDS_DATABASE_URL: no service has kept anything there yet; is it the service's own?")
    rows = list(store.entries(begin, origin)) if is_there else []
    store.close()
    return count(rows, read_shown(metrics) if metrics else {})


def count(rows: Iterable[Mapping[str, Any]], shown: Mapping[str, int]) -> Report:
    """Count rows of the table of feedback."""
    cards: defaultdict[str, Counter[str | None]] = defaultdict(Counter)
    weeks: defaultdict[date, Counter[str | None]] = defaultdict(Counter)
    by_week: defaultdict[tuple[date, str], Counter[str | None]] = defaultdict(Counter)
    comments = []
    for row in rows:
        card, week = _card(row), _week(row)
        overridden = row["outcome"] == "overridden"
        said = (row["reason_code"] or NO_REASON) if overridden else None
        cards[card][said] += 1
        by_week[week, card][said] += 1
        if row["verified"]:
            weeks[week][said] += 1
        if row["comment"]:
            comments.append(Comment(row["outcome_at"], card, row["outcome"], row["comment"]))
    return Report(
        cards={card: _answers(cards[card]) for card in sorted(cards)},
        weeks={week: _answers(weeks[week]) for week in _every_week(set(weeks))},
        by_week={key: _answers(by_week[key]) for key in sorted(by_week)},
        shown=shown,
        comments=tuple(comments),
    )


def _card(row: Mapping[str, Any]) -> str:
    return row["card"] or UNVERIFIED


def _week(row: Mapping[str, Any]) -> date:
    day: date = row["outcome_at"].date()
    return day - timedelta(days=day.weekday())


def _every_week(weeks: set[date]) -> Iterator[date]:
    """From the first week to the last, also those in which nobody answered."""
    if weeks:
        week, last = min(weeks), max(weeks)
        while week <= last:
            yield week
            week += timedelta(days=7)


def _answers(said: Counter[str | None]) -> Answers:
    """``said``: how often each reason to override was given; None for accepted cards."""
    reasons = {reason: number for reason, number in said.most_common() if reason is not None}
    return Answers(said[None], sum(reasons.values()), reasons)


def read_shown(place: str) -> dict[str, int]:
    """How often each card was shown, from a file or address with Prometheus text. Raises SettingsError.

    A merged card counts for its lead, as its feedback does.
    """
    import httpx  # the workbench counts with this module, and a start does not wait for it

    try:
        text = _fetched(place) if place.startswith(("http://", "https://")) else Path(place).read_text("utf-8")
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL):
        raise SettingsError(
            "--metrics must name a file or an address with Prometheus text, like http://127.0.0.1:8000/metrics"
        ) from None
    shown: Counter[str] = Counter()
    for sample in samples:
        if sample.name == SHOWN_METRIC and "card" in sample.labels:
            shown[sample.labels["card"].split("+")[0]] += int(sample.value)
    return dict(shown)


def _fetched(address: str) -> str:
    import httpx

    return httpx.get(address, timeout=5).raise_for_status().text


# ---------------------------------------------------------------- at the terminal


def table_lines(report: Report) -> Iterator[str]:
    """Two tables: per card, and per week."""
    names = sorted({*report.cards, *report.shown})
    rows = [_cells(name, report.cards.get(name, Answers()), report.shown.get(name)) for name in names]
    yield from _aligned([("card", "shown", "accepted", "overridden", "acceptance", "overridden because"), *rows])
    yield ""
    weeks = [(f"{week}", f"{a.accepted}", f"{a.overridden}", _percent(a.rate)) for week, a in report.weeks.items()]
    yield from _aligned([("week of", "accepted", "overridden", "acceptance"), *weeks])


def comment_lines(report: Report) -> Iterator[str]:
    """The comments, each on one line; what could steer a terminal is taken out."""
    for comment in report.comments:
        text = "".join(sign if sign.isprintable() else " " for sign in comment.text)
        yield f"{comment.at:%Y-%m-%d %H:%M}  {comment.card}  {comment.outcome}  {text}"


def _cells(name: str, answers: Answers, shown: int | None) -> tuple[str, ...]:
    because = ", ".join(f"{reason} {number}" for reason, number in answers.reasons.items())
    times = "" if shown is None else str(shown)
    return name, times, str(answers.accepted), str(answers.overridden), _percent(answers.rate), because


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.0%}"


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        # Names to the left, numbers to the right.
        cells = [c.ljust(w) if not c[:1].isdigit() else c.rjust(w) for c, w in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


# ---------------------------------------------------------------- for other programs


def write_csv(report: Report, file: TextIO) -> None:
    """One line for each card and week, and one for each card over the whole time."""
    out = csv.writer(file)
    out.writerow(["week", "card", "shown", "accepted", "overridden", "acceptance", "overridden_because"])
    for (week, card), answers in report.by_week.items():
        out.writerow(_csv_row(f"{week}", card, answers, ""))
    for card in sorted({*report.cards, *report.shown}):
        answers = report.cards.get(card, Answers())
        out.writerow(_csv_row("all", card, answers, report.shown.get(card, "")))


def _csv_row(week: str, card: str, answers: Answers, shown: int | str) -> list[Any]:
    rate = "" if answers.rate is None else f"{answers.rate:.3f}"
    because = ";".join(f"{reason}={number}" for reason, number in answers.reasons.items())
    return [week, card, shown, answers.accepted, answers.overridden, rate, because]
