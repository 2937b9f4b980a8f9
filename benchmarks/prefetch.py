"""What each prefetch query costs, and what is lost without it. docs/connecting.md says how to read it.

Cost: resources and kilobytes of each query in a folder of Synthea R4 Bundles, inside the windows of discovery.
Loss: every invented patient of fixtures/records who gets a card, assessed with all queries and then without one.

    python benchmarks/prefetch.py [--charts FOLDER]
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cds_service.assess import ChartSource, assess
from cds_service.clinical.assessment import Assessment, CardPlan
from cds_service.clinical.chart import QUERIES
from cds_service.intake.prefetch import REQUIRED
from cds_service.knowledge.load import load
from cds_service.web.discovery import LOOK_BACK_DAYS, VITALS_DAYS
from cds_service.workbench.patients import request_of, stories

Json = dict[str, Any]
KEY_OF = {kind: key for key, kind in QUERIES.items() if kind != "Observation"}
DAYS = {"labs": LOOK_BACK_DAYS, "findings": LOOK_BACK_DAYS, "reports": LOOK_BACK_DAYS, "encounters": LOOK_BACK_DAYS}
DAYS["vitals"] = VITALS_DAYS


@dataclass
class Loss:
    """What becomes of the charts when one query stays unanswered."""

    other_cards: int = 0
    grave_card_gone: int = 0
    silent: int = 0
    more_tests: int = 0


def key_of(resource: Mapping[str, Any]) -> str | None:
    """The query that asks for a resource."""
    if resource.get("resourceType") != "Observation":
        return KEY_OF.get(str(resource.get("resourceType")))
    codes = {c.get("code") for category in resource.get("category", ()) for c in category.get("coding", ())}
    return "labs" if "laboratory" in codes else "vitals" if "vital-signs" in codes else "findings"


def day_of(resource: Mapping[str, Any]) -> str:
    period = resource.get("period", {})
    return str(resource.get("effectiveDateTime") or period.get("start") or resource.get("issued") or "")[:10]


def sizes(file: Path) -> Iterator[tuple[str, int, int]]:
    """Each query of one chart: key, resources and bytes of compact JSON."""
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    resources = [entry["resource"] for entry in json.loads(raw)["entry"]]
    newest = date.fromisoformat(max(day_of(r) for r in resources))
    count, size = Counter[str](), Counter[str]()
    for resource in resources:
        key = key_of(resource)
        if key is None:
            continue
        if key in DAYS and day_of(resource) < (newest - timedelta(days=DAYS[key])).isoformat():
            continue
        count[key] += 1
        size[key] += len(json.dumps(resource, separators=(",", ":")))
    yield from ((key, count[key], size[key]) for key in QUERIES)


def split(request: Json) -> Json:
    """The prefetch of a request with its Observations under the keys that ask for them."""
    prefetch: Json = {key: value for key, value in request["prefetch"].items() if QUERIES.get(key) != "Observation"}
    for key in ("labs", "findings", "vitals"):
        if key in request["prefetch"]:
            prefetch[key] = {"resourceType": "Bundle", "type": "searchset", "entry": []}
    for key in ("labs", "findings", "vitals"):
        for entry in request["prefetch"].get(key, {}).get("entry", ()):
            prefetch[key_of(entry["resource"]) or key]["entry"].append(entry)
    return prefetch


def compared(whole: Assessment, less: Assessment, loss: Loss) -> None:
    before, after = ids(whole.cards), ids(less.cards)
    loss.other_cards += before != after
    loss.grave_card_gone += bool(ids(c for c in whole.cards if c.indicator != "info") - after)
    loss.silent += not after
    loss.more_tests += bool(tests_of(less) - tests_of(whole))


def ids(cards: Iterable[CardPlan]) -> set[str]:
    return {definition.id for card in cards for definition in card.cards}


def tests_of(assessment: Assessment) -> set[str]:
    return {
        order.investigation.id for card in assessment.cards for one in card.plan.suggestions for order in one.orders
    }


def losses() -> tuple[int, dict[str, Loss]]:
    """How many charts get a card, and what is lost without each query."""
    knowledge, reading = load(None)
    charts, found = 0, {key: Loss() for key in QUERIES if key not in REQUIRED}
    for story in stories().values():
        request = request_of(story)
        context, today = request["context"], date.fromisoformat(story.as_of)
        prefetch = split(request)

        def judged(prefetch: Json, context: Json = context, today: date = today) -> Assessment:
            source = ChartSource.of_prefetch(prefetch, context["patientId"], context.get("encounterId", ""))
            return assess(source, knowledge, reading, today).assessment

        whole = judged(prefetch)
        if not whole.cards:
            continue
        charts += 1
        for key, loss in found.items():
            if key in prefetch:
                compared(whole, judged({k: v for k, v in prefetch.items() if k != key}), loss)
    return charts, found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--charts", type=Path, help="folder of Synthea R4 Bundles, *.json or *.json.gz")
    folder = asked.parse_args().charts
    measured: dict[str, list[tuple[int, int]]] = {key: [] for key in QUERIES}
    for file in sorted(folder.glob("*.json*")) if folder else ():
        for key, count, size in sizes(file):
            measured[key].append((count, size))
    charts, found = losses()
    print(f"{charts} invented charts that get a card; {len(measured['patient'])} Synthea charts\n")
    print("| Key | Resources: median, most | kB: median, most | Other cards | Grave card gone | Silent | More tests |")
    print("|---|---|---|---|---|---|---|")
    for key, of_charts in measured.items():
        counts, bytes_ = zip(*of_charts, strict=True) if of_charts else ((0,), (0,))
        cost = f"{median(counts):.0f}, {max(counts)} | {median(bytes_) / 1000:.1f}, {max(bytes_) / 1000:.0f}"
        loss = found.get(key)
        lost = (
            f"{loss.other_cards} | {loss.grave_card_gone} | {loss.silent} | {loss.more_tests}" if loss else "412 | | |"
        )
        print(f"| `{key}` | {cost} | {lost} |")


if __name__ == "__main__":
    main()
