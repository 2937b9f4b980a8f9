"""How fast a review is beside a pass that only parses the same bytes, and how much memory it takes.

    python benchmarks/review.py --records FOLDER_OF_BUNDLES --simulated 20000

Each input is read twice by the same number of processes: once only parsed with orjson, record by record, and
once reviewed. Patients per second are counted from the moment the content is compiled; the seconds before that
are told apart. Memory is the proportional share (PSS) of all processes of a whole command, at its highest.
"""

from __future__ import annotations

import argparse
import gc
import gzip
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
from typing import Any

import orjson

from cds_service.knowledge.codes import read_codes
from cds_service.knowledge.files import folder
from cds_service.review.faults import Trouble
from cds_service.review.run import Order, review
from cds_service.review.simulate import Simulation, simulate
from cds_service.review.sources import Unit, find_sources, plan, records

TODAY = date(2026, 6, 15)
LONGEST = 32_000_000
HEAD = ("input", "patients", "MB", "parsed/s", "reviewed/s", "MB/s", "ratio", "start s")
ROW = "{:34} {:>9} {:>8} {:>9} {:>11} {:>7} {:>6} {:>8}"


class Watch:
    """The moment the work itself begins: the first stage is announced when every worker can start."""

    def __init__(self) -> None:
        self.begun = 0.0

    def stage(self, name: str, size: int) -> None:
        self.begun = self.begun or time.perf_counter()

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


def parsed(place: Path, workers: int) -> tuple[float, int]:
    """Seconds and bytes of a pass that only parses."""
    sources, _ = find_sources([place])
    units = [unit for kind in ("bundles", "resources") for unit in plan(sources, kind)]  # type: ignore[arg-type]
    # Without the garbage collector, which would look through the compiled content: as fast as it can be.
    with ProcessPoolExecutor(workers, mp_context=get_context("fork"), initializer=gc.disable) as pool:
        list(pool.map(parse_unit, units[:1]))  # the processes are there
        begun = time.perf_counter()
        length = sum(pool.map(parse_unit, units))
    return time.perf_counter() - begun, length


def measured(name: str, place: Path, workers: int, scratch: Path) -> None:
    """One line of the table: the better of two passes of each kind."""
    parsing, length = min(parsed(place, workers) for _ in range(2))
    took, start, patients = min(reviewed(place, workers, scratch) for _ in range(2))
    print(
        ROW.format(
            name, f"{patients:,}", f"{length / 1e6:,.0f}", f"{patients / parsing:,.0f}", f"{patients / took:,.0f}",
            f"{length / took / 1e6:,.0f}", f"{parsing / took:.2f}", f"{start:.1f}",
        ),
        flush=True,
    )  # fmt: skip


def reviewed(place: Path, workers: int, scratch: Path) -> tuple[float, float, int]:
    """Seconds of the work, seconds before it, and patients."""
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    watch, begun = Watch(), time.perf_counter()
    tally = review(Order((place,), out, TODAY, workers=workers), watch)
    return time.perf_counter() - watch.begun, watch.begun - begun, tally.patients


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
    for told in (0.002, 0.02):
        place = simulate(Simulation(count, 5, TODAY, told), scratch / f"told-{told}", codes, lambda made: None)
        measured(f"simulated, {told:.1%} with a story", place, workers, scratch)
    fewer = simulate(Simulation(count // 10, 5, TODAY), scratch / "fewer", codes, lambda made: None)
    exports = [
        simulate(Simulation(n, 5, TODAY, export=True), scratch / f"export-{n}", codes, lambda made: None)
        for n in (count // 10, count)
    ]
    measured("simulated export, 2.0% with a story", exports[1], workers, scratch)
    for name, places in (("Bundles", (fewer, place)), ("export", tuple(exports))):
        for one in places:
            highest, patients = memory(one, workers, scratch)
            print(f"peak memory, {name}, {patients:,} patients: {highest / 1e6:,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
