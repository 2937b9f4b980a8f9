"""How fast a review is beside a pass that only parses the same bytes, and how much memory it takes.

    python benchmarks/review.py --records FOLDER_OF_BUNDLES --simulated 20000

Each input is read by the same number of processes: only parsed with orjson, record by record, and reviewed with all
that a review writes, in turn; the better of two passes counts. The content has been compiled before. "ms" are
milliseconds of all processors together for one patient, and the ratio is theirs, because other work on the machine
disturbs them less than the clock; above 1, reviewing costs less than parsing. "twitch" are the patients with charted
twitching: they are reasoned about in full, so quiet and twitching charts also stand in lines of their own.
Memory is the proportional share (PSS) of all processes of a whole command, at its highest.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import orjson

import cds_service.review.table  # noqa: F401 - loaded before the clock runs, as the content is compiled before
from cds_service.knowledge.codes import read_codes
from cds_service.knowledge.files import folder
from cds_service.review.faults import Trouble
from cds_service.review.order import Order
from cds_service.review.run import review, rows_of
from cds_service.review.simulate import Simulation, simulate
from cds_service.review.sources import Unit, find_sources, plan, records

TODAY = date(2026, 6, 15)
LONGEST = 32_000_000
HEAD = ("input", "patients", "twitch", "MB", "parsed/s", "reviewed/s", "MB/s", "parse ms", "review ms", "ratio")
ROW = "{:34} {:>9} {:>7} {:>7} {:>9} {:>11} {:>6} {:>9} {:>10} {:>6}"


class Watch:
    """The moment the work itself begins: the first stage is announced when every worker can start."""

    def __init__(self) -> None:
        self.begun: tuple[float, float] = (0.0, 0.0)

    def stage(self, name: str, size: int) -> None:
        if not self.begun[0]:
            self.begun = time.perf_counter(), _processors()

    def step(self, size: int, patients: int) -> None: ...


def parse_unit(unit: Unit) -> int:
    """Bytes of the records of a unit, each parsed and thrown away."""
    length = 0
    for span in unit.spans:
        for record in records(span, LONGEST):
            if not isinstance(record, Trouble):
                orjson.loads(record.body)
                length += len(record.body)
    return length


class Cost(NamedTuple):
    """What a pass took: seconds on the clock, and of all processors together."""

    clock: float
    processors: float


def _processors() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def parsed(place: Path, workers: int) -> tuple[Cost, int]:
    """A pass that only parses, and the bytes it parsed."""
    sources = find_sources([place]).sources
    units = [unit for kind in ("bundles", "resources") for unit in plan(sources, kind)]  # type: ignore[arg-type]
    begun = time.perf_counter(), _processors()
    # Without the garbage collector, which would look through the compiled content: as fast as it can be.
    with ProcessPoolExecutor(workers, mp_context=get_context("fork"), initializer=gc.disable) as pool:
        length = sum(pool.map(parse_unit, units))
    return Cost(time.perf_counter() - begun[0], _processors() - begun[1]), length


def reviewed(place: Path, workers: int, scratch: Path) -> tuple[Cost, int]:
    """A review without the compiling of the content, and its patients."""
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    watch = Watch()
    tally = review(Order((place,), out, TODAY, workers=workers), watch)
    return Cost(time.perf_counter() - watch.begun[0], _processors() - watch.begun[1]), tally.patients


def measured(name: str, place: Path, workers: int, scratch: Path) -> None:
    """One line of the table: the better of two passes of each kind, in turn."""
    passes = [(parsed(place, workers), reviewed(place, workers, scratch)) for _ in range(2)]
    parsing, length = min(one for one, _ in passes)
    took, patients = min(one for _, one in passes)
    work = [min(one[0].processors for one in kind) / patients * 1000 for kind in zip(*passes, strict=True)]
    print(
        ROW.format(
            name, f"{patients:,}", f"{_twitching(scratch / 'out'):,}", f"{length / 1e6:,.0f}",
            f"{patients / parsing.clock:,.0f}", f"{patients / took.clock:,.0f}", f"{length / took.clock / 1e6:,.0f}",
            f"{work[0]:.2f}", f"{work[1]:.2f}", f"{work[0] / work[1]:.2f}",
        ),
        flush=True,
    )  # fmt: skip


def _twitching(out: Path) -> int:
    return sum(row["twitching"] == "present" for row in rows_of(out))


def memory(place: Path, workers: int, scratch: Path) -> tuple[int, int]:
    """Highest PSS in bytes of a whole command with all its processes, and the patients reviewed."""
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "cds_service", "review", str(place), "--out", str(out), "--workers", str(workers)]
    running = subprocess.Popen([*command, "--as-of", TODAY.isoformat()], stdout=subprocess.DEVNULL)
    highest = 0
    while running.poll() is None:
        highest = max(highest, sum(_share(pid) for pid in _family(running.pid)))
        time.sleep(0.2)
    with (out / "results.ndjson").open("rb") as lines:
        return highest, sum(1 for _ in lines)


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


def _share(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


# ---------------------------------------------------------------- inputs


def bundles_of(given: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(p for p in given.rglob("*") if p.name.endswith((".json", ".json.gz"))):
        body = gzip.decompress(file.read_bytes()) if file.name.endswith(".gz") else file.read_bytes()
        found = orjson.loads(body)
        if found.get("resourceType") == "Bundle":
            yield found


def as_lines(given: Path, file: Path, times: int) -> None:
    """The Bundles, compact, one on a line, each so many times under other names."""
    with file.open("wb") as lines:
        for number in range(times):
            for one in bundles_of(given):
                name = _patient(one)
                lines.write(orjson.dumps(one).replace(name.encode(), f"{name}-{number}".encode()) + b"\n")


def as_export(given: Path, place: Path, times: int, parts: int = 3) -> None:
    """The same as a bulk export: references as a server writes them, each type in several files."""
    place.mkdir()
    opened: dict[str, Any] = {}
    count = 0
    for number in range(times):
        for one in bundles_of(given):
            name = _patient(one)
            for entry in one["entry"]:
                raw = entry["resource"]
                line = orjson.dumps(raw).replace(f'"urn:uuid:{name}"'.encode(), f'"Patient/{name}"'.encode())
                count += 1
                file = f"{raw['resourceType']}.{count % parts:03}.ndjson"
                if file not in opened:
                    opened[file] = (place / file).open("wb")
                opened[file].write(line.replace(name.encode(), f"{name}-{number}".encode()) + b"\n")
    for file in opened.values():
        file.close()


def _patient(bundle: dict[str, Any]) -> str:
    return next(str(e["resource"]["id"]) for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")


def main() -> None:
    """Make the inputs in a scratch folder, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, help="folder of Bundles, such as Synthea writes")
    parser.add_argument("--times", type=int, default=20, help="how often each of these is repeated")
    parser.add_argument("--simulated", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scratch", type=Path, help="folder for the inputs; default: the system's")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.scratch) as name:
        scratch = Path(name)
        print(f"{date.today()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {asked.workers} workers")
        print(ROW.format(*HEAD))
        if asked.records:
            measured("Bundles as they are", asked.records, asked.workers, scratch)
            as_lines(asked.records, scratch / "bundles.ndjson", asked.times)
            measured(f"Bundles, compact lines, x{asked.times}", scratch / "bundles.ndjson", asked.workers, scratch)
            as_export(asked.records, scratch / "export", asked.times)
            measured(f"the same as a bulk export, x{asked.times}", scratch / "export", asked.workers, scratch)
        _simulated(asked.simulated, asked.workers, scratch)


def _simulated(count: int, workers: int, scratch: Path) -> None:
    codes = read_codes(folder("cards") / "codes")

    def make(name: str, what: Simulation) -> Path:
        return simulate(what, scratch / name, codes, lambda made: None)

    for name, number, told in (("nobody", count, 0.0), ("everybody", max(1, count // 40), 1.0)):
        place = make(name, Simulation(number, 5, TODAY, told=told))
        measured(f"simulated, {name} with a story", place, workers, scratch)
        shutil.rmtree(place)
    places = [make(f"bundles-{n}", Simulation(n, 5, TODAY)) for n in (count // 10, count)]
    measured("simulated, 2.0% with a story", places[1], workers, scratch)
    exports = [make(f"export-{n}", Simulation(n, 5, TODAY, export=True)) for n in (count // 10, count)]
    measured("the same as an export", exports[1], workers, scratch)
    for name, sizes in (("Bundles", places), ("export", exports)):
        for one in sizes:
            highest, patients = memory(one, workers, scratch)
            print(f"peak memory, {name}, {patients:,} patients: {highest / 1e6:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
