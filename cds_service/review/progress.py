"""A progress bar at a terminal, with rate and time left; elsewhere silence."""

from __future__ import annotations

import sys
import time
from typing import NoReturn

from tqdm import tqdm

_FORMAT = "{desc} {percentage:3.0f} % |{bar}| {postfix}{remaining} left"


class Bar:
    """Shows the stage that is under way on standard error, and only to a person."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None
        self._patients = 0
        self._began = time.monotonic()

    def stage(self, name: str, size: int) -> None:
        """A new stage of ``size`` bytes."""
        self._end()
        self._patients, self._began = 0, time.monotonic()
        tqdm.monitor_interval = 0  # no thread of its own: workers are forked
        self._bar = tqdm(total=max(1, size), desc=name, bar_format=_FORMAT, file=sys.stderr, disable=None)

    def step(self, size: int, patients: int) -> None:
        if self._bar is None:
            return
        self._patients += patients
        if self._patients:
            rate = self._patients / max(0.001, time.monotonic() - self._began)
            self._bar.set_postfix_str(f"{self._patients:,} patients, {rate:,.0f}/s, ", refresh=False)
        self._bar.update(size)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
