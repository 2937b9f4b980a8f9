"""What our service costs beside deciding: tokens, data it must fetch, feedback, and a steady load below saturation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bodies import SIZES, Body, body, envelope, filling
from benchmarks.client import Sample, drive, middle
from benchmarks.contestants import CONTESTANTS, OURS, SETTINGS, check
from benchmarks.measuring import CONNECTIONS, WARM_UP, Plan, progress
from benchmarks.nodes import FEEDBACK, SERVICE, Node, ask
from benchmarks.two_nodes import overridden
from cds_service.settings import read_settings
from cds_service.web.store import Store
from tests.network.fhir_server import fhir_serving
from tests.network.signing import CALLED, ISSUER, PUBLIC_URL, good, public_jwk

_SHARE = 0.7  # of saturation
_LEAST_OF_ASKED = 0.97  # of the requests that were due, for a load to count as carried
_OURS = next(contestant for contestant in CONTESTANTS if contestant.name == OURS)


@dataclass(frozen=True)
class Measure:
    """One thing measured beside the bars: what it was, at how many connections, and what was found."""

    name: str
    connections: int
    sample: Sample
    remark: str = ""


@contextmanager
def _node(plan: Plan, name: str, settings: dict[str, str]) -> Iterator[Node]:
    place = plan.folder / name
    place.mkdir()
    node = Node("node", place, settings)
    try:
        node.start()
        yield node
    finally:
        node.stop()


def _warm(node: Node, file: Path, path: str = SERVICE) -> None:
    drive(node, path, file, max(CONNECTIONS), WARM_UP)


def _extra(more: Sample, less: Sample) -> str:
    return f"{more.cpu - less.cpu:+.2f} ms CPU, {more.p50 - less.p50:+.2f} ms at the median"


# ---------------------------------------------------------------- authentication


def authentication(plan: Plan, charts: Path | None) -> list[Measure]:
    """The same small quiet chart with and without a signed token of its own for every call.

    Tokens are not accepted together with a fixed day, so both services run on today's date.
    """
    today = body("small", filling(SIZES["small"], charts), False, datetime.now(UTC).date())
    clients = plan.folder / "clients.yaml"
    clients.write_text(json.dumps({"clients": [{"issuer": ISSUER, "keys": [public_jwk("first")]}]}), encoding="utf-8")
    secret = {"CDS_SECRET": SETTINGS["CDS_SECRET"]}
    known = secret | {"CDS_AUTH": "jwt", "CDS_PUBLIC_URL": PUBLIC_URL, "CDS_JWT_CLIENTS": str(clients)}
    with _node(plan, "no-tokens", secret) as without, _node(plan, "tokens", known) as with_tokens:
        check(_OURS, without, today)
        _warm(without, plan.file(today))
        _warm(with_tokens, plan.file(today))  # all but the check of a signature: it has no tokens
        return [
            measure
            for connections in CONNECTIONS
            for measure in _with_and_without(with_tokens, without, today, connections, plan)
        ]


def _with_and_without(with_tokens: Node, without: Node, today: Body, connections: int, plan: Plan) -> list[Measure]:
    free, signed = [], []
    for turn in range(plan.rounds):
        progress(f"authentication, {connections} connections, round {turn + 1} of {plan.rounds}")
        free.append(drive(without, SERVICE, plan.file(today), connections, plan.seconds))
        # As many as a service without tokens could use up.
        tokens = _tokens(plan.folder / "tokens.txt", round(1.3 * free[-1].requests) + 100)
        settings = {"TOKENS_FILE": str(tokens)}
        signed.append(
            drive(with_tokens, SERVICE, plan.file(today), connections, plan.seconds, "tokens.lua", settings=settings)
        )
    off, on = middle(free), middle(signed)
    return [
        Measure(f"{today.name}, CDS_AUTH=off", connections, off),
        Measure(f"{today.name}, CDS_AUTH=jwt (ES384)", connections, on, _extra(on, off)),
    ]


def _tokens(file: Path, count: int) -> Path:
    signed = (good(aud=CALLED)["Authorization"].removeprefix("Bearer ") for _ in range(count))
    file.write_text("\n".join(signed) + "\n", encoding="ascii")
    return file


# ---------------------------------------------------------------- fetched data


def fallback(plan: Plan, bodies: Sequence[Body]) -> list[Measure]:
    """The same chart prefetched, and fetched from a FHIR server on loopback, which shares our cores."""
    with fhir_serving() as fhir:
        settings = SETTINGS | {"CDS_FHIR_SERVERS": fhir.base, "CDS_FHIR_DEADLINE_SECONDS": "30"}
        found = []
        with _node(plan, "fallback", settings) as node:
            for sent in bodies:
                fhir.behave()
                fhir.records.clear()
                fhir.add(json.loads(sent.content)["prefetch"])
                asked = Body(f"{sent.name}, fetched", _bare(fhir.base), resources=0, twitching=sent.twitching)
                found += _sent_and_fetched(node, sent, asked, plan)
    return found


def _bare(server: str) -> bytes:
    return json.dumps(envelope({}, fhirServer=server)).encode()


def _sent_and_fetched(node: Node, sent: Body, asked: Body, plan: Plan) -> list[Measure]:
    check(_OURS, node, sent)
    check(_OURS, node, asked)
    _warm(node, plan.file(sent))
    here, there = [], []
    for turn in range(plan.rounds):
        progress(f"FHIR fallback, {sent.name}, round {turn + 1} of {plan.rounds}")
        here.append(drive(node, SERVICE, plan.file(sent), 1, plan.seconds))
        there.append(drive(node, SERVICE, plan.file(asked), 1, plan.seconds))
    prefetched, fetched = middle(here), middle(there)
    return [
        Measure(f"{sent.name}, prefetched", 1, prefetched),
        Measure(asked.name, 1, fetched, _extra(fetched, prefetched)),
    ]


# ---------------------------------------------------------------- feedback


def feedback(plan: Plan, twitching: Body) -> list[Measure]:
    """New feedback on one card, each with a comment of its own, into SQLite. All of it must be there afterwards."""
    database = f"sqlite:///{plan.folder}/feedback.sqlite"
    with _node(plan, "feedback", SETTINGS | {"CDS_DATABASE_URL": database}) as node:
        status, raw = ask(node.port, "POST", SERVICE, twitching.content)
        if status != 200:
            raise SystemExit(f"the hook answered {status}: {raw[:300]!r}")
        file = plan.folder / "feedback.json"
        file.write_bytes(overridden(json.loads(raw)["cards"][0]["uuid"], "@number@"))
        found = [_written(node, file, connections, plan) for connections in CONNECTIONS]
    store = Store(read_settings({"CDS_DATABASE_URL": database}))
    try:
        kept = sum(1 for _ in store.entries())
    finally:
        store.close()
    sent = sum(sample.requests for _, samples in found for sample in samples)
    if kept < sent:
        raise SystemExit(f"{sent} feedbacks were acknowledged and {kept} kept: nothing measured")
    return [Measure("feedback, SQLite", connections, middle(samples)) for connections, samples in found]


def _written(node: Node, file: Path, connections: int, plan: Plan) -> tuple[int, list[Sample]]:
    samples = []
    for turn in range(plan.rounds):
        progress(f"feedback, {connections} connections, round {turn + 1} of {plan.rounds}")
        settings = {"RUN": f"{connections}-{turn}"}
        samples.append(drive(node, FEEDBACK, file, connections, plan.seconds, "numbered.lua", settings=settings))
    return connections, samples


# ---------------------------------------------------------------- a steady load


def steady(plan: Plan, bodies: Sequence[Body], seconds: float) -> list[Measure]:
    """Requests that are due at a constant rate, 70 % of what saturates the service, whether or not it keeps up."""
    found, most = [], max(CONNECTIONS)
    with _node(plan, "steady", SETTINGS) as node:
        for sent in bodies:
            check(_OURS, node, sent)
            progress(f"saturation, {sent.name}")
            _warm(node, plan.file(sent))
            full = middle([drive(node, SERVICE, plan.file(sent), most, plan.seconds) for _ in range(plan.rounds)]).rate
            rate = _SHARE * full
            progress(f"{rate:.0f} requests/s for {seconds:.0f} s, {sent.name}")
            # Each connection is used at least once a second: the service closes idle ones.
            threads = max(1, min(most, int(rate)))
            settings = {"RATE": f"{rate:.3f}"}
            sample = drive(node, SERVICE, plan.file(sent), threads, seconds, "paced.lua", threads, settings)
            carried = "" if sample.rate >= _LEAST_OF_ASKED * rate else " – NOT CARRIED"
            remark = f"{rate:.0f}/s were due, 70 % of {full:.0f}/s{carried}"
            found.append(Measure(f"{sent.name}, steady for {seconds:.0f} s", threads, sample, remark))
    return found
