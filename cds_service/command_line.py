"""What every command shares: dates as they are typed, and errors that say what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import click

from cds_service.errors import ContentError, RequestError, ReviewError, SettingsError

content_option = click.option(
    "--content",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The content in this folder; default: what CDS_CONTENT names, else what comes along.",
)


def day(text: str | None, option: str = "--today") -> date:
    """A date as it is typed; without one, the day of the settings. Raises click.BadParameter."""
    from cds_service.settings import DAYS, dated, read_settings

    if text is None:
        return read_settings().today()
    try:
        return dated(text)
    except ValueError:
        said = f"write the date like 2026-06-15, from {DAYS[0].year} to {DAYS[1].year}"
        raise click.BadParameter(said, param_hint=option) from None


@contextmanager
def for_nobody_else() -> Iterator[None]:
    """What is written inside, here and in processes begun here, is for this user alone: it tells of patients."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Our named errors as messages that say what to do; anything else keeps its traceback."""
    try:
        yield
    except (ContentError, RequestError) as error:
        count = f"{len(error.faults)} fault{'s' * (len(error.faults) != 1)} in the clinical content"
        said = count if isinstance(error, ContentError) else "this chart cannot be assessed"
        raise click.ClickException("\n  ".join((f"{said}:", *map(str, error.faults)))) from None
    except RecursionError:
        raise click.ClickException("this chart cannot be assessed: a resource is nested too deeply") from None
    except SettingsError as error:
        raise click.ClickException(f"settings: {error}") from None
    except ReviewError as error:
        raise click.ClickException(str(error)) from None
