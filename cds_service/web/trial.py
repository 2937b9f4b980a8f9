"""Calls of the workbench: about an invented or pasted chart, as of a day of their own, and counted as nobody's care."""

from __future__ import annotations

from datetime import date

from cds_service.errors import Fault, RequestError
from cds_service.intake.envelope import HookRequest
from cds_service.settings import DAYS
from cds_service.web.state import State

# Keys of `extension` in a request, beside the origin of feedback. An EHR that sent them would be ignored.
ORIGIN, AS_OF = "cds-service.origin", "cds-service.as-of"
WORKBENCH = "workbench"


def is_trial(hook: HookRequest, here: State) -> bool:
    """Whether the call comes from the workbench, and the workbench is on."""
    return here.workbench and hook.extension.get(ORIGIN) == WORKBENCH


def day_of(hook: HookRequest, here: State, today: date) -> date:
    """The day on which the chart is opened: today, or the day a trial names. Raises RequestError for no date."""
    named = hook.extension.get(AS_OF)
    if named is None or not is_trial(hook, here):
        return today
    try:
        day = date.fromisoformat(named)
    except (TypeError, ValueError):
        fault = Fault(f"extension.{AS_OF}", "is no date", "write it like 2026-06-15, or leave it out")
        raise RequestError(400, fault) from None
    if not DAYS[0] <= day <= DAYS[1]:
        remedy = f"name a day from {DAYS[0].year} to {DAYS[1].year}, or leave it out"
        raise RequestError(400, Fault(f"extension.{AS_OF}", "is out of range", remedy))
    return day
