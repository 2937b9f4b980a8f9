"""The open chart in short, to be read beside the cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]


def chart_in_short(reasoning: Mapping[str, Any]) -> Json:
    """What an assessment document says is on file: findings, the newest of each laboratory test, medicines that go on.

    Abnormal results come first. Of entries with the same title the newest stands for all.
    """
    newest = _newest(reasoning["timeline"])
    labs = [_newest_point(course) for course in reasoning["labs"]]
    return {
        "age": reasoning["patient"]["age"],
        "sex": reasoning["patient"]["sex"],
        "opened": reasoning["asOf"],
        "findings": [e for e in newest if e["lane"] == "findings"],
        "labs": sorted(labs, key=lambda lab: lab["band"] == "normal"),
        "medicines": [e for e in newest if e["lane"] == "medicines" and e["goesOn"]],
        "others": [e for e in newest if e["lane"] in ("tests", "visits")],
    }


def _newest(events: Iterable[Json]) -> list[Json]:
    """The first event of each title in each lane; events come newest first."""
    found: dict[tuple[str, str], Json] = {}
    for event in events:
        found.setdefault((event["lane"], event["title"]), event)
    return list(found.values())


def _newest_point(course: Mapping[str, Any]) -> Json:
    point = course["points"][-1]
    return {
        "title": course["name"], "value": point["shown"], "band": point["band"], "from": point["date"],
        "reference": point["reference"],
    }  # fmt: skip
