"""Dates as records write them: partial, with a time, on a leap day, or no date at all."""

from __future__ import annotations

from datetime import date

import pytest

from cds_service.clinical.spans import Span, days_of

TODAY = date(2026, 6, 15)


def span(text: str) -> Span:
    found = Span.parse(text)
    assert found is not None, text
    return found


@pytest.mark.parametrize(
    "text, first, last",
    [
        ("2026-06-15", date(2026, 6, 15), date(2026, 6, 15)),
        ("2026-06", date(2026, 6, 1), date(2026, 6, 30)),
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2023-02", date(2023, 2, 1), date(2023, 2, 28)),
        ("2000-02", date(2000, 2, 1), date(2000, 2, 29)),
        ("1900-02", date(1900, 2, 1), date(1900, 2, 28)),
        ("2024-02-29", date(2024, 2, 29), date(2024, 2, 29)),
        ("0001", date(1, 1, 1), date(1, 12, 31)),
        ("9999-12-31", date(9999, 12, 31), date(9999, 12, 31)),
    ],
)
def test_a_partial_date_is_a_span(text: str, first: date, last: date) -> None:
    assert span(text) == Span(first, last)


@pytest.mark.parametrize(
    "text",
    ["2026-06-15T23:30:00-05:00", "2026-06-15T00:10:00+14:00", "2026-06-15T12:00:00Z", "2026-06-15T08:00:00.123+02:00"],
)
def test_the_calendar_day_is_the_one_that_is_written(text: str) -> None:
    assert span(text) == Span.on(TODAY)


@pytest.mark.parametrize(
    "text",
    ["", " ", "2023-02-29", "2026-13", "2026-00-10", "2026-6-5", "0000", "20260615", "15.06.2026", "yesterday",
     "2026-06-15 08:00", " 2026-06-15", "2026-06T10:00", "2026-", "-2026"],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert Span.parse(text) is None


@pytest.mark.parametrize(
    "text, days, inside",
    [
        ("2026-06-15", 0, True),
        ("2026-06-14", 0, False),
        ("2026-03-17", 90, True),
        ("2026-03-16", 90, False),
        ("2026-06-20", 3, True),  # ahead of today: the most recent there is
        ("2026-06", 10, None),  # it may have been the first of June
        ("2026-06", 14, True),
        ("2026-05", 14, False),
        ("2026-05", 15, None),
        ("2026", 90, None),
        ("2025", 166, None),
        ("2025", 165, False),
        ("2025", 530, True),
    ],
)
def test_a_span_is_inside_a_window_or_not_or_undecided(text: str, days: int, inside: bool | None) -> None:
    assert span(text).within(days, TODAY) is inside


@pytest.mark.parametrize(
    "text, days", [("2026-06-15", 0), ("2026-06-14", 1), ("2026-06-20", 0), ("2026-05", 15), ("2026", 0), ("2025", 166)]
)
def test_days_ago_counts_from_the_latest_day_it_may_have_been(text: str, days: int) -> None:
    assert span(text).days_ago(TODAY) == days


@pytest.mark.parametrize("text", ["2026-06-15", "2026-06", "2026", "2024-02", "2024-02-29", "2026-01", "2026-12"])
def test_a_span_is_shown_as_it_was_written(text: str) -> None:
    assert str(span(text)) == text


def test_other_spans_are_shown_with_both_ends() -> None:
    assert str(Span(date(2026, 1, 5), date(2026, 3, 1))) == "2026-01-05 to 2026-03-01"
    assert str(Span(date(2024, 1, 1), date(2025, 12, 31))) == "2024-01-01 to 2025-12-31"


def test_two_days_of_one_month_are_not_the_month() -> None:
    assert str(Span(date(2026, 6, 3), date(2026, 6, 9))) == "2026-06-03 to 2026-06-09"


def test_a_shift_moves_both_ends_over_a_leap_day() -> None:
    assert span("2024-02").shifted(1) == Span(date(2024, 2, 2), date(2024, 3, 1))
    assert span("2024-03-01").shifted(-1) == Span.on(date(2024, 2, 29))
    assert not span("2024-02").exact and span("2024-02-29").exact


def test_spans_sort_by_their_first_day() -> None:
    assert sorted([span("2026-06-15"), span("2026"), span("2026-06")]) == [
        span("2026"),
        span("2026-06"),
        span("2026-06-15"),
    ]


@pytest.mark.parametrize(
    "text, days",
    [
        ("0 days", 0), ("1 day", 1), ("90 days", 90), ("5 weeks", 35), ("1 week", 7), ("6 months", 180),
        ("2 years", 730),
        ("72 hours", 3), ("24 hours", 1), ("25 hours", 2), ("1 hour", 1), ("0 hours", 0),
    ],
)  # fmt: skip
def test_durations_are_whole_days(text: str, days: int) -> None:
    assert days_of(text) == days


@pytest.mark.parametrize(
    "text", ["", "90", "90days", "-3 days", "3.5 days", "three days", "3 fortnights", "3 days ago"]
)
def test_a_duration_that_cannot_be_read_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="write a duration like"):
        days_of(text)
