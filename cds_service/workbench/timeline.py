"""What happened when: every dated entry of the chart that the reasoning may use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cds_service.clinical import chart
from cds_service.clinical.findings import Case

Json = dict[str, Any]
# Lanes of the picture, top to bottom.
LANES: Mapping[type[chart.Entry], str] = {
    chart.Problem: "findings",
    chart.Result: "results",
    chart.Answer: "findings",
    chart.Report: "tests",
    chart.Procedure: "tests",
    chart.Order: "tests",
    chart.Medicine: "medicines",
    chart.Visit: "visits",
    chart.Appointment: "visits",
}


def events(case: Case) -> Iterator[Json]:
    """The dated entries, newest first. ``until`` is empty for what happened on one day or goes on."""
    entries = [(entry, lane) for kind, lane in LANES.items() for entry in case.chart.all(kind) if entry.when]
    saying = {entry.reference for entry, _ in entries if _said(entry)}
    # A panel says nothing beside its components.
    panels = (entry for entry, _ in entries if isinstance(entry, chart.Result) and not _said(entry))
    silent = {id(entry) for entry in panels if entry.reference in saying}
    names = {c: a.name for a in case.knowledge.analytes.values() if not (a.any_of or a.compute) for c in a.concepts}
    found = [_event(entry, lane, names) for entry, lane in entries if id(entry) not in silent]
    yield from sorted(found, key=lambda event: (event["from"], event["title"], event["reference"]), reverse=True)


def _event(entry: chart.Entry, lane: str, names: Mapping[str, str]) -> Json:
    assert entry.when is not None
    ended = getattr(entry, "ended", None)
    return {
        "lane": _lane(entry, lane),
        "title": _title(entry, names),
        "from": entry.when.first.isoformat(),
        "until": ended.last.isoformat() if ended else "",
        "goesOn": _goes_on(entry),
        "value": _said(entry),
        "reference": entry.reference,
    }


def _title(entry: chart.Entry, names: Mapping[str, str]) -> str:
    """A laboratory test by its usual name: those of LOINC all begin alike when they are cut."""
    measured = isinstance(entry, chart.Result) and entry.value is not None
    return next((names[m.concept] for m in entry.codes if measured and m.concept in names), entry.title)


def _lane(entry: chart.Entry, lane: str) -> str:
    """An examination or a symptom is an Observation like a blood test, and no laboratory value."""
    return "findings" if isinstance(entry, chart.Result) and entry.value is None else lane


def _goes_on(entry: chart.Entry) -> bool:
    if isinstance(entry, chart.Problem):
        return entry.state is chart.State.CURRENT
    return isinstance(entry, chart.Medicine) and entry.active


def _said(entry: chart.Entry) -> str:
    if isinstance(entry, chart.Result):
        return entry.value.as_reported if entry.value else entry.says or entry.value_text
    if isinstance(entry, chart.Answer):
        return ", ".join(entry.values)
    return str(getattr(entry, "status", ""))
