"""A node under more load than it can carry, a third of it hostile: does it stay sound?

One node with two workers and authentication off. Sixty-four clients in one process ask without a pause: two
thirds are good requests, one third is broken, huge, deep, packed as a bomb, sent slowly or never finished.
Ends with a non-zero code when a 5xx was not a deliberate 503, a worker died, memory grew, or the service does
not answer at once when the load is off. Linux only: memory is read from /proc.

    python benchmarks/load.py [--seconds 60]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.accounting import pss_megabytes
from benchmarks.bodies import chart
from benchmarks.nodes import JSON_TYPE, SERVICE, Node, Verdicts, ask, fixture

CLIENTS = 64  # the two workers have 32 slots: some calls must be refused
SETTINGS = {"CDS_TODAY": "2026-06-15", "CDS_SECRET": "only-for-this-benchmark"}
WINDOW = 10  # seconds; the first one is the warm-up
MOST_GROWTH = 1.20
AT_ONCE = 1.0  # seconds for a good request when the load is off
GIVE_UP = 60.0  # seconds; no request may take longer
MEGABYTE = 1024 * 1024

Send = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """A kind of request: how it is sent, and whether it is one of the good ones."""

    name: str
    send: Send
    good: bool = False


@dataclass
class Seen:
    """What the clients saw."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    good_seconds: list[float] = field(default_factory=list)
    refused_seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    longest: tuple[float, str] = (0.0, "")  # seconds, and of which kind

    def note(self, kind: Kind, raw: bytes, seconds: float) -> None:
        status = status_of(raw)
        self.answers[kind.name, status] += 1
        self.longest = max(self.longest, (seconds, f"{kind.name}, {status}"))
        if status.startswith("5") and not is_deliberate(raw):
            self.faults.append(f"{kind.name}: {raw[-400:]!r}")
        if kind.good:
            if status == "200" and b'{"cards":' not in raw:
                self.faults.append(f"{kind.name}: 200 without cards")
            elif status not in ("200", "503"):
                self.faults.append(f"{kind.name}: {status} for a good request")
            (self.good_seconds if status == "200" else self.refused_seconds).append(seconds)


def status_of(raw: bytes) -> str:
    return raw[9:12].decode() if raw.startswith(b"HTTP/1.1 ") else "closed"


def is_deliberate(raw: bytes) -> bool:
    """A 503 of ours that says when to come back; anything else in the 5xx is a fault."""
    head, _, body = raw.partition(b"\r\n\r\n")
    return raw.startswith(b"HTTP/1.1 503") and b"retry-after:" in head.lower() and b"OperationOutcome" in body


# ---------------------------------------------------------------- requests


def head(length: int | None, path: str = SERVICE, media: str = "application/json", more: str = "") -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {media}\r\n{more}{size}\r\n\r\n"
    ).encode()


def whole(body: bytes, path: str = SERVICE, media: str = "application/json", more: str = "") -> Send:
    """A request that is sent at once."""
    message = head(len(body), path, media, more) + body

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(message)
        await writer.drain()

    return send


def stopped(message: bytes) -> Send:
    """A beginning after which nothing comes."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(message)

    return send


def dripped(first: bytes, rest: bytes) -> Send:
    """A byte now and then, for longer than the service waits."""

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        for position in range(len(rest)):
            await asyncio.sleep(0.25)
            writer.write(rest[position : position + 1])
            await writer.drain()

    return send


def in_chunks(megabytes: int) -> Send:
    """A large body whose size is not said beforehand."""
    chunk = b"%x\r\n" % MEGABYTE + b" " * MEGABYTE + b"\r\n"

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(head(None))
        for _ in range(megabytes):
            writer.write(chunk)
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    return send


def good_kinds() -> list[Kind]:
    names = ("hand-weakness", "low-potassium", "bare-entry")
    bodies = {name: json.dumps(fixture(name)).encode() for name in names}
    bodies["quiet chart"] = chart(300, twitching=False)
    return [Kind(name, whole(body), good=True) for name, body in bodies.items()]


def hostile_kinds() -> list[Kind]:
    body = json.dumps(fixture("low-potassium")).encode()
    packed = "Content-Encoding: gzip\r\n"
    deep, patient = b'{"extension":[' * 400 + b"]}" * 400, b'"resourceType": "Patient", '
    return [
        Kind("broken JSON", whole(body[:-40])),
        Kind("no object", whole(b"[" * 3 + b"1e999" + b"]" * 3)),
        Kind("half a body", stopped(head(len(body)) + body[:2000])),
        Kind("half a head", stopped(head(10)[:40])),
        Kind("dripped body", dripped(head(len(body)), body[:80])),
        Kind("gzip bomb", whole(gzip.compress(bytes(300 * MEGABYTE)), more=packed)),
        Kind("cut gzip", whole(gzip.compress(body)[:-20], more=packed)),
        Kind("25 MB", whole(b" " * (25 * MEGABYTE))),
        Kind("25 MB in chunks", in_chunks(25)),
        Kind("nested arrays", whole(b"[" * 500_000)),
        Kind("nested resource", whole(body.replace(patient, patient + b'"extension": [' + deep + b"], ", 1))),
        Kind("unknown service", whole(body, path="/cds-services/no-such-service")),
        Kind("wrong content type", whole(body, media="text/plain")),
        Kind("10000 resources", whole(chart(10_000, twitching=True))),
        Kind("17 MB of words", whole(gzip.compress(wordy()), more=packed)),
        Kind("20000 quiet resources", whole(chart(20_000, twitching=False))),
    ]  # fmt: skip


def wordy() -> bytes:
    """Conditions whose names are as long as a text may be: much to listen to, and small when it is packed."""
    request = fixture("low-potassium")
    entries = request["prefetch"]["conditions"]["entry"]
    words = ("twitch no left right arm leg " * 3300)[:92_000]
    named = {**entries[0]["resource"], "code": {"text": words}}
    entries += [{"resource": {**named, "id": f"wordy-{number}"}} for number in range(190)]
    return json.dumps(request).encode()


def in_turn() -> Iterator[Kind]:
    """Two good ones, one hostile one, and so on; each kind in a shuffled order that is the same in every run."""
    order = random.Random(1)
    good, hostile = good_kinds(), hostile_kinds()
    order.shuffle(hostile)
    good_ones, hostile_ones = itertools.cycle(good), itertools.cycle(hostile)
    while True:
        yield next(good_ones)
        yield next(good_ones)
        yield next(hostile_ones)


# ---------------------------------------------------------------- clients


async def client(port: int, kinds: Iterator[Kind], until: float, seen: Seen) -> None:
    while time.monotonic() < until:
        kind = next(kinds)
        begun = time.monotonic()
        try:
            raw = await asyncio.wait_for(exchange(port, kind), GIVE_UP)
        except TimeoutError:
            seen.faults.append(f"{kind.name}: no end after {GIVE_UP:.0f} s")
            continue
        seen.note(kind, raw, time.monotonic() - begun)
        if raw.startswith(b"HTTP/1.1 503"):
            await asyncio.sleep(0.25)  # a quarter of what Retry-After asks: impatient, but no storm


async def exchange(port: int, kind: Kind) -> bytes:
    """The answer to one request of its own connection; what was received when the service closed it early."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4 * MEGABYTE)
    sending = asyncio.ensure_future(kind.send(writer))
    received = b""
    try:
        while some := await reader.read(MEGABYTE):
            received += some
    except ConnectionError:
        pass  # it may refuse a body without reading all of it
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.transport.abort()
    return received


# ---------------------------------------------------------------- memory


def memory(workers: list[int]) -> float:
    """Megabytes of the workers: their proportional share of what they have in common, and all of their own."""
    return sum(map(pss_megabytes, workers))


async def watch(workers: list[int], begun: float, samples: list[tuple[float, float]]) -> None:
    """One sample each second; a line after each window. One moment says little: large bodies come and go."""
    while True:
        await asyncio.sleep(1)
        passed = time.monotonic() - begun
        samples.append((passed, memory(workers)))
        if len(samples) % WINDOW == 0:
            lately = [size for _, size in samples[-WINDOW:]]
            print(f"  {passed:4.0f} s   median {median(lately):6.1f} MB   most {max(lately):6.1f} MB", flush=True)


def growth(samples: list[tuple[float, float]]) -> float:
    """The last window against the first one after the warm-up."""
    after = [size for passed, size in samples if passed > WINDOW]
    return median(after[-WINDOW:]) / median(after[:WINDOW]) if len(after) >= 2 * WINDOW else 1.0


async def run(node: Node, seconds: float, seen: Seen, samples: list[tuple[float, float]]) -> float:
    """Load for so many seconds. Gives the seconds it took until the last request had ended."""
    kinds = in_turn()
    next(kinds)  # the bodies are made before the clock starts to count
    begun = time.monotonic()
    watching = asyncio.ensure_future(watch(node.workers(), begun, samples))
    await asyncio.gather(*(client(node.port, kinds, begun + seconds, seen) for _ in range(CLIENTS)))
    watching.cancel()
    return time.monotonic() - begun


# ---------------------------------------------------------------- report


def show_answers(seen: Seen) -> None:
    kinds = [*good_names(seen), *sorted({name for name, _ in seen.answers} - set(good_names(seen)))]
    for name in kinds:
        counts = {status: count for (kind, status), count in sorted(seen.answers.items()) if kind == name}
        print(f"  {name:24}" + "   ".join(f"{status} × {count}" for status, count in counts.items()))


def good_names(seen: Seen) -> list[str]:
    names = ("hand-weakness", "low-potassium", "bare-entry", "quiet chart")
    return [name for name in names if any(kind == name for kind, _ in seen.answers)]


def show_times(name: str, seconds: list[float]) -> None:
    if len(seconds) > 1:
        cuts = quantiles(seconds, n=100)
        print(f"  {name}: {len(seconds)}, p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms")


def afterwards(node: Node) -> list[float]:
    """How long good requests take, one after the other, when the load is off."""
    body, took = json.dumps(fixture("hand-weakness")).encode(), []
    for _ in range(20):
        begun = time.monotonic()
        status, _ = ask(node.port, "POST", SERVICE, body, **JSON_TYPE)
        took.append(time.monotonic() - begun if status == 200 else float("inf"))
    return took


def measure(node: Node, seconds: float, verdicts: Verdicts) -> None:
    workers, seen, samples = node.workers(), Seen(), list[tuple[float, float]]()
    print(f"memory of the workers (PSS)\n     0 s   {memory(workers):6.1f} MB")
    took = asyncio.run(run(node, seconds, seen, samples))
    later = afterwards(node)
    print(f"   after   {memory(workers):6.1f} MB")
    print(f"answers, {sum(seen.answers.values())} in {took:.0f} s; “closed”: the service closed without an answer")
    show_answers(seen)
    print("good requests")
    show_times("answered 200", seen.good_seconds)
    show_times("refused 503", seen.refused_seconds)
    print(f"longest request of all: {seen.longest[0]:.1f} s ({seen.longest[1]})")
    judge(node, workers, seen, samples, later, verdicts)


def judge(
    node: Node,
    workers: list[int],
    seen: Seen,
    samples: list[tuple[float, float]],
    later: list[float],
    verdicts: Verdicts,
) -> None:
    for fault in seen.faults[:10]:
        print(f"  {fault}")
    verdicts.add(not seen.faults, f"no 5xx but a deliberate 503, no wrong answer to a good request: {len(seen.faults)}")
    noise = sum(node.printed.count(word) for word in ("internal error", "Traceback", "WORKER TIMEOUT"))
    verdicts.add(noise == 0, f"nothing in the log that speaks of a fault inside: {noise}")
    verdicts.add(node.workers() == workers, "the same two workers as at the start")
    verdicts.add(growth(samples) <= MOST_GROWTH, f"memory after the warm-up: × {growth(samples):.2f}")
    verdicts.add(max(later) <= AT_ONCE, f"with the load off, the slowest of 20 good requests: {max(later):.2f} s")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=60, help="how long the load lasts (default 60)")
    seconds, verdicts = asked.parse_args().seconds, Verdicts()
    with tempfile.TemporaryDirectory() as folder:
        node = Node("node", Path(folder), SETTINGS)
        node.start()
        try:
            measure(node, seconds, verdicts)
        finally:
            node.stop()
    sys.exit(1 if verdicts.failed else 0)


if __name__ == "__main__":
    main()
