"""What every command shares: dates as they are typed, and errors that say what to do."""

from __future__ import annotations

from datetime import date

import click

from cds_service.errors import ContentError, RequestError, ReviewError, SettingsError


def day(text: str | None, option: str = "--today") -> date:
    """A date as it is typed; without one, the day of the settings. Raises click.BadParameter."""
    from cds_service.settings import read_settings

    if text is None:
        return read_settings().today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("write the date like 2026-06-15", param_hint=option) from None


class ClearErrors:
    """Our named errors as messages that say what to do; anything else keeps its traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ContentError):
            faults = "\n".join(f"  {fault}" for fault in error.faults)
            raise click.ClickException(f"{len(error.faults)} faults in the clinical content:\n{faults}") from None
        if isinstance(error, RequestError):
            faults = "\n".join(f"  {fault}" for fault in error.faults)
            raise click.ClickException(f"this chart cannot be assessed:\n{faults}") from None
        if isinstance(error, RecursionError):
            raise click.ClickException("this chart cannot be assessed: a resource is nested too deeply") from None
        if isinstance(error, SettingsError):
            raise click.ClickException(f"settings: {error}") from None
        if isinstance(error, ReviewError):
            raise click.ClickException(str(error)) from None
