"""Dates as the record gives them: partial dates are spans, and comparisons may stay undecided."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from msgspec import Struct

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T.*)?)?)?$")


class Span(Struct, frozen=True, order=True, gc=False):
    """The days on which something may have happened; one day when the date is complete."""

    first: date
    last: date

    @classmethod
    def parse(cls, text: str) -> Span | None:
        """A FHIR date, dateTime or instant; the calendar day is the one that is written.

        Returns None for text that is no date: the caller decides whether that matters.
        """
        if text[4:5] == "-" == text[7:8] and (len(text) == 10 or (text[10] == "T" and "\n" not in text)):
            try:  # a whole date, as nearly all are
                return cls.on(date.fromisoformat(text[:10]))
            except ValueError:
                pass
        found = _DATE.match(text)
        if not found:
            return None
        year, month, day = (int(part or 0) for part in found.groups())
        try:
            if found[3]:
                return cls.on(date(year, month, day))
            if found[2]:
                return cls(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))
            return cls(date(year, 1, 1), date(year, 12, 31))
        except ValueError:
            return None

    @classmethod
    def on(cls, day: date) -> Span:
        return cls(day, day)

    @property
    def exact(self) -> bool:
        return self.first == self.last

    def days_ago(self, today: date) -> int:
        """Days since the latest day it may have been; never negative."""
        return max(0, (today - self.last).days)

    def within(self, days: int, today: date) -> bool | None:
        """Whether it lies in the last ``days`` days; None when the span straddles the limit."""
        if (today - self.first).days <= days:
            return True
        return False if (today - self.last).days > days else None

    def shifted(self, days: int) -> Span:
        return Span(_moved(self.first, days), _moved(self.last, days))

    def __str__(self) -> str:
        if self.exact:
            return self.first.isoformat()
        year, month = self.first.isoformat()[:4], self.first.isoformat()[:7]
        for partial in (year, month):
            if Span.parse(partial) == self:
                return partial
        return f"{self.first.isoformat()} to {self.last.isoformat()}"


def _moved(day: date, days: int) -> date:
    """Some records write 0001-01-01 for "unknown"; there is no day before it."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return day


_DURATION = re.compile(r"(\d+) (hour|day|week|month|year)s?$")
_IN_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def days_of(text: str) -> int:
    """``90 days``, ``72 hours``, ``5 weeks`` as whole days. Raises ValueError with the remedy.

    Hours become calendar days, because records often carry only dates: 72 hours is day 0 to 3.
    """
    found = _DURATION.match(str(text))
    if not found:
        raise ValueError("write a duration like '90 days', '72 hours' or '5 weeks'")
    count, unit = int(found[1]), found[2]
    return -(-count // 24) if unit == "hour" else count * _IN_DAYS[unit]


def days_or_none(spec: Mapping[str, Any], key: str) -> int | None:
    """The duration that a rule gives under this key, in days; None where it gives none."""
    return days_of(spec[key]) if key in spec else None
