"""Each laboratory test over time: values, limits and bands, in both unit systems."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from cds_service import units
from cds_service.clinical.analytes import Analyte, LabValue, band, every_value, is_child
from cds_service.clinical.findings import Case

Json = dict[str, Any]


def lab_courses(case: Case) -> Iterator[Json]:
    """One course for each test with a readable, dated value; points by date, oldest first."""
    for analyte in case.knowledge.analytes.values():
        if analyte.any_of:
            continue  # a roll-up of others
        found = sorted(
            (lab for lab in every_value(analyte, case) if lab.result.when is not None and _finite(lab)),
            key=lambda lab: (str(lab.result.when), lab.result.at, lab.result.reference),
        )
        if found:
            yield _course(analyte, found, case)


def _finite(lab: LabValue) -> bool:
    return math.isfinite(lab.value.low) or math.isfinite(lab.value.high)


def _course(analyte: Analyte, found: list[LabValue], case: Case) -> Json:
    newest = found[-1]
    low = newest.low if newest.low is not None else analyte.reference[0]
    high = newest.high if newest.high is not None else analyte.reference[1]
    child = is_child(case)
    return {
        "id": analyte.id,
        "name": analyte.name,
        "unit": analyte.unit,
        "decimals": analyte.decimals,
        "otherUnit": _other_unit(analyte),
        "reference": [low, high],
        # Adult limits say nothing about a child.
        "critical": [None, None] if child else [analyte.critical.lower, analyte.critical.upper],
        "points": [_point(lab, child) for lab in found],
    }


def _other_unit(analyte: Analyte) -> Json | None:
    """How to write a value in the other unit system: (value - offset) / factor. None: there is one unit only."""
    other = analyte.conversions.get(units.ucum(analyte.also_shown) or "") if analyte.also_shown else None
    if other is None or analyte.also_shown == analyte.unit:
        return None
    return {
        "unit": analyte.also_shown, "factor": other.factor, "offset": other.offset, "decimals": analyte.also_decimals,
    }  # fmt: skip


def _point(lab: LabValue, child: bool) -> Json:
    """``bound`` is ``<`` or ``>`` when the laboratory gave only a bound; the value is then that bound."""
    bound = "" if lab.value.exact else ">" if math.isinf(lab.value.high) else "<"
    return {
        "date": str(lab.result.when.last) if lab.result.when else "",
        "value": lab.value.low if bound in ("", ">") else lab.value.high,
        "bound": bound,
        "shown": lab.analyte.shown(lab.value),
        "reported": lab.value.as_reported,
        "band": band(lab, child),
        "reference": lab.result.reference,
    }
