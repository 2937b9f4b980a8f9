"""A CDS Hooks service on HealthChain that looks at the same facts as ours: is twitching charted, and is potassium low?

Runs in a virtual environment of its own. It reads the JSON that HealthChain hands over as it is, without making FHIR
models of it: that is the cheapest way to write it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from healthchain.gateway import CDSHooksService, HealthChainAPI
from healthchain.models import CDSRequest, CDSResponse
from healthchain.models.responses.cdsresponse import Card

TWITCHING = {"82470000", "R25.3"}
POTASSIUM = {"2823-3", "6298-4", "77142-8"}
LOW = 3.5  # mmol/L
SOURCE = {"label": "Benchmark", "url": "https://example.org"}

tuned = os.environ.get("HEALTHCHAIN_TUNED") == "1"
app = HealthChainAPI(enable_cors=not tuned, enable_events=not tuned)
cds = CDSHooksService(use_events=not tuned)


def resources(prefetch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for found in prefetch.values():
        for entry in found.get("entry", ()):
            yield entry["resource"]


def codes(resource: dict[str, Any]) -> set[str]:
    return {coding.get("code", "") for coding in resource.get("code", {}).get("coding", ())}


@cds.hook("patient-view", id="muscle-twitching", title="Muscle twitching")
def muscle_twitching(request: CDSRequest) -> CDSResponse:
    twitches, potassium = False, []
    for resource in resources(request.prefetch or {}):
        if resource["resourceType"] == "Condition":
            twitches = twitches or not TWITCHING.isdisjoint(codes(resource))
        elif resource["resourceType"] == "Observation" and not POTASSIUM.isdisjoint(codes(resource)):
            potassium.append((resource.get("effectiveDateTime", ""), resource["valueQuantity"]["value"]))
    if not twitches:
        return CDSResponse(cards=[])
    newest = max(potassium, default=("", LOW))[1]
    summary = "Twitching, and potassium is low" if newest < LOW else "Twitching is charted"
    return CDSResponse(cards=[Card(summary=summary, indicator="warning", source=SOURCE)])


app.register_service(cds)
