"""The bars, what was found beside each, and the tables on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from statistics import median
from typing import Any

from benchmarks.contestants import BARE, CONTESTANTS, DOCUMENTED, FLOOR, OURS, TUNED
from benchmarks.further import Measure
from benchmarks.measuring import CONNECTIONS, Alone, Calls, Starts

CPU_AGAINST_BARE = {  # most, as a share of the CPU of the bare function
    "small quiet": 1.5, "small twitching": 2.5,
    "medium quiet": 0.6, "medium twitching": 1.0,
    "large quiet": 0.5, "large twitching": 0.6,
}  # fmt: skip
CPU_AGAINST_FLOOR = {"medium quiet": 3.0}
RATE_AGAINST = {DOCUMENTED: 10.0, TUNED: 4.0}  # least
P99_ALONE = {"medium quiet": 30.0, "medium twitching": 30.0}  # milliseconds at one connection
SECONDS_TO_READY = 1.5
MEGABYTES_PER_WORKER = 90.0
DOUBLED_AGAINST_PARSING = 1.0


@dataclass(frozen=True)
class Bar:
    """One claim with its limit and the figure that was found."""

    name: str
    figure: float
    limit: float
    unit: str = ""
    at_least: bool = False
    detail: str = ""

    @property
    def met(self) -> bool:
        """Never when nothing could be found (NaN)."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def line(self) -> str:
        limit = f"{'≥' if self.at_least else '≤'} {self.limit:g}{self.unit}"
        said = "met" if self.met else "NOT MET"
        return f"{self.name:54}{self.figure:9.2f}{self.unit:3}{limit:>11}   {said:9}{self.detail}".rstrip()


@dataclass
class Found:
    """Everything that a run has measured; None for what was not asked for."""

    calls: Calls | None = None
    doubling: Calls | None = None
    added: dict[str, tuple[int, int]] | None = None  # resources and bytes that doubling added, by body
    memory: dict[str, Alone] | None = None
    starts: Starts | None = None
    further: list[Measure] = field(default_factory=list)


# ---------------------------------------------------------------- bars


def bars(found: Found) -> list[Bar]:
    return [
        *(_of_calls(found.calls) if found.calls else ()),
        *(_of_start(found.starts) if found.starts else ()),
        *(_of_memory(found.memory) if found.memory and OURS in found.memory else ()),
        *(_of_doubling(found.doubling) if found.doubling else ()),
    ]


def _of_calls(calls: Calls) -> Iterator[Bar]:
    for body, limit in CPU_AGAINST_BARE.items():
        if calls.has(body, OURS, BARE):
            yield _cpu_bar(calls, body, BARE, limit)
    for body, limit in CPU_AGAINST_FLOOR.items():
        if calls.has(body, OURS, FLOOR):
            yield _cpu_bar(calls, body, FLOOR, limit)
    for other, limit in RATE_AGAINST.items():
        for body in CPU_AGAINST_BARE:
            if calls.has(body, OURS, other):
                yield _rate_bar(calls, body, other, limit)
    for body, limit in P99_ALONE.items():
        if calls.has(body, OURS):
            p99s = [sample.p99 for sample in calls.samples[body, OURS, 1]]
            yield Bar(f"p99 at 1 connection, {body}", median(p99s), limit, " ms", detail=_span(p99s))


def _cpu_bar(calls: Calls, body: str, other: str, limit: float) -> Bar:
    """Judged by the worse of the numbers of connections."""
    ratios = {n: _ratio(calls.middle(body, OURS, n).cpu, calls.middle(body, other, n).cpu) for n in CONNECTIONS}
    figure = _judged(ratios, max)
    return Bar(f"CPU against {other}: {body}", figure, limit, " ×", detail=_each(calls, body, other, ratios, "cpu"))


def _rate_bar(calls: Calls, body: str, other: str, limit: float) -> Bar:
    ratios = {n: _ratio(calls.middle(body, OURS, n).rate, calls.middle(body, other, n).rate) for n in CONNECTIONS}
    detail = _each(calls, body, other, ratios, "rate")
    figure = _judged(ratios, min)
    return Bar(f"requests/s against {other}: {body}", figure, limit, " ×", at_least=True, detail=detail)


def _each(calls: Calls, body: str, other: str, ratios: dict[int, float], figure: str) -> str:
    """The ratio at each number of connections, with the lowest and highest of a round."""
    parts = []
    for connections, ratio in ratios.items():
        pairs = zip(calls.samples[body, OURS, connections], calls.samples[body, other, connections], strict=True)
        rounds = [_ratio(getattr(ours, figure), getattr(theirs, figure)) for ours, theirs in pairs]
        parts.append(f"{connections}: {ratio:.2f} ({_span(rounds)})")
    return ", ".join(parts)


def _ratio(one: float, other: float) -> float:
    """NaN, by which no bar is met, when nothing was found to compare with."""
    return one / other if other > 0 else float("nan")


def _judged(ratios: Mapping[int, float], worst: Callable[[Iterable[float]], float]) -> float:
    """The worse one; NaN when one of them is unknown."""
    known = list(ratios.values())
    return float("nan") if any(map(isnan, known)) else worst(known)


def _span(values: Iterable[float]) -> str:
    known = list(values)
    return f"{min(known):.2f}–{max(known):.2f}"


def _of_start(starts: Starts) -> Iterator[Bar]:
    limit = SECONDS_TO_READY
    yield Bar("start to ready", median(starts.later), limit, " s", detail=_span(starts.later))
    yield Bar("start to ready, first start of this content", starts.first, limit, " s", detail="one start")


def _of_memory(memory: dict[str, Alone]) -> Iterator[Bar]:
    ours = memory[OURS]
    detail = f"highest after a load; {ours.at_rest:.0f} MB before"
    yield Bar("memory of a worker (PSS)", max(ours.under_load), MEGABYTES_PER_WORKER, " MB", detail=detail)


def _of_doubling(calls: Calls) -> Iterator[Bar]:
    for name in dict.fromkeys(body for body, _, _ in calls.samples if not body.endswith("doubled")):
        extra = {who: _added(calls, name, who) for who in (OURS, BARE, FLOOR)}
        share = _ratio(extra[OURS], extra[BARE])
        detail = ", ".join(f"{who} {cost:+.2f} ms" for who, cost in extra.items())
        yield Bar(f"irrelevant doubled, against parsing: {name}", share, DOUBLED_AGAINST_PARSING, " ×", detail=detail)


def _added(calls: Calls, body: str, contestant: str) -> float:
    """Milliseconds of CPU that doubling adds at one connection."""
    return calls.middle(f"{body}, doubled", contestant, 1).cpu - calls.middle(body, contestant, 1).cpu


# ---------------------------------------------------------------- tables


def tables(found: Found) -> str:
    parts = [
        _calls_table("Calls", found.calls),
        _calls_table("Irrelevant resources doubled", found.doubling),
        _memory_table(found.memory),
        _further_table(found.further),
        _bars_table(bars(found)),
    ]
    return "\n\n".join(part for part in parts if part)


def _calls_table(title: str, calls: Calls | None) -> str:
    if calls is None:
        return ""
    lines = [
        f"{title}: at {' and at '.join(map(str, CONNECTIONS))} connections; p50, p99 and CPU per request in ms",
        f"{'':26}" + "  ".join(f"{'requests/s':>12}{'p50':>9}{'p99':>9}{'CPU':>9}" for _ in CONNECTIONS),
    ]
    for body in dict.fromkeys(body for body, _, _ in calls.samples):
        lines.append(body)
        for contestant in dict.fromkeys(who for what, who, _ in calls.samples if what == body):
            lines.append(f"  {contestant:24}" + "  ".join(_cells(calls, body, contestant, n) for n in CONNECTIONS))
    return "\n".join(lines)


def _cells(calls: Calls, body: str, contestant: str, connections: int) -> str:
    sample = calls.middle(body, contestant, connections)
    errors = f" {sample.errors} ERRORS" if sample.errors else ""
    return f"{sample.rate:12.1f}{sample.p50:9.2f}{sample.p99:9.2f}{sample.cpu:9.2f}{errors}"


def _memory_table(memory: dict[str, Alone] | None) -> str:
    if not memory:
        return ""
    lines = ["Memory of the larger worker (PSS, MB), each contestant alone: after the start, highest after a load"]
    lines += [f"  {who:24}{it.at_rest:9.1f}{max(it.under_load):9.1f}" for who, it in memory.items()]
    return "\n".join(lines)


def _further_table(measures: Sequence[Measure]) -> str:
    if not measures:
        return ""
    lines = ["Further measures: connections, requests/s, p50, p99 and CPU per request in ms"]
    for measure in measures:
        sample = measure.sample
        errors = f"   {sample.errors} ERRORS" if sample.errors else ""
        figures = f"{sample.rate:10.1f}{sample.p50:9.2f}{sample.p99:9.2f}{sample.cpu:9.2f}{errors}"
        lines.append(f"  {measure.name:40}{measure.connections:4}{figures}   {measure.remark}".rstrip())
    return "\n".join(lines)


def _bars_table(judged: Sequence[Bar]) -> str:
    if not judged:
        return ""
    lines = ["Bars: medians; for each number of connections the ratio and its lowest and highest round"]
    lines += [f"  {bar.line()}" for bar in judged]
    return "\n".join([*lines, f"  {sum(bar.met for bar in judged)} of {len(judged)} met"])


def errors(found: Found) -> int:
    """Answers that were no 2xx or did not come; with any, the figures mean little."""
    runs = [s for calls in (found.calls, found.doubling) if calls for many in calls.samples.values() for s in many]
    return sum(sample.errors for sample in [*runs, *(measure.sample for measure in found.further)])


# ---------------------------------------------------------------- JSON


def as_json(found: Found) -> dict[str, Any]:
    """Null is what could not be found."""
    return _without_nan(_everything(found))  # type: ignore[no-any-return]


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and isnan(value) else value


def _everything(found: Found) -> dict[str, Any]:
    return {
        "bars": [{"name": b.name, "figure": b.figure, "limit": b.limit, "unit": b.unit.strip(), "at_least": b.at_least,
                  "met": b.met, "detail": b.detail} for b in bars(found)],
        "calls": _json_of(found.calls),
        "doubling": _json_of(found.doubling),
        "doubling_added": found.added,
        "memory_megabytes": {who: vars(it) for who, it in (found.memory or {}).items()},
        "start_seconds": vars(found.starts) if found.starts else None,
        "further": [{"name": m.name, "connections": m.connections, "remark": m.remark, **_figures(m.sample)}
                    for m in found.further],
    }  # fmt: skip


def _json_of(calls: Calls | None) -> list[dict[str, Any]]:
    return [
        {"body": body, "contestant": who, "connections": n, "median": _figures(calls.middle(body, who, n)),
         "rounds": [_figures(sample) for sample in samples]}
        for (body, who, n), samples in (calls.samples.items() if calls else ())
    ]  # fmt: skip


def _figures(sample: Any) -> dict[str, float]:
    return {"requests_per_second": sample.rate, "p50_ms": sample.p50, "p99_ms": sample.p99, "cpu_ms": sample.cpu,
            "requests": sample.requests, "errors": sample.errors}  # fmt: skip


NAMES = [contestant.name for contestant in CONTESTANTS]
