"""What a call costs, as ratios to bare functions and to HealthChain on the same machine, in the same run.

Starts every contestant on loopback with two workers and drives them in turn with wrk, round after round. The ratios,
not the milliseconds, are the figures. docs/benchmarks.md says how to read them. Needs wrk, which is installed with apt
where that is allowed; HealthChain is installed in a virtual environment of its own in the user's cache folder.
Linux only: CPU and memory are read from /proc.

    python benchmarks/ratios.py --charts FOLDER [--rounds 3] [--seconds 5] [--only PART …] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import further, report
from benchmarks.bodies import SIZES, Body, bodies, doubled
from benchmarks.client import install_wrk
from benchmarks.contestants import BARE, CONTESTANTS, FLOOR, HEALTHCHAIN, OURS
from benchmarks.measuring import Plan, alone, in_turn, progress, starts

PARTS = ("start", "memory", "calls", "doubling", "authentication", "fallback", "feedback", "steady")
BUSY = 0.5  # load average


def arguments() -> argparse.Namespace:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    more = "folder of Synthea R4 Bundles, *.json or *.json.gz; default: charts filled up from fixtures/"
    asked.add_argument("--charts", type=Path, help=more)
    asked.add_argument("--rounds", type=int, default=3, help="rounds; figures are their medians (default 3)")
    asked.add_argument("--seconds", type=float, default=5, help="seconds of each run of wrk, whole ones (default 5)")
    asked.add_argument("--steady", type=float, default=60, help="seconds of the steady load (default 60)")
    asked.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    asked.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="sizes of charts (default all)")
    asked.add_argument(
        "--contestants", nargs="+", choices=report.NAMES, default=report.NAMES, metavar="NAME",
        help=f"of {'; '.join(report.NAMES)}",
    )  # fmt: skip
    asked.add_argument("--json", type=Path, metavar="FILE", help="write every figure of every round there")
    return asked.parse_args()


def measure(asked: argparse.Namespace, folder: Path, found: report.Found) -> None:
    """Fill in what is found, part after part: what is there stays, whatever happens later."""
    plan = Plan(folder, asked.rounds, asked.seconds)
    wanted = [contestant for contestant in CONTESTANTS if contestant.name in asked.contestants]
    progress("making charts")
    made = bodies(asked.charts, asked.sizes)
    if "start" in asked.only:
        found.starts = starts(plan)
    if "memory" in asked.only:
        found.memory = alone(wanted, made, plan)
    if "calls" in asked.only:
        found.calls = in_turn(wanted, made, plan, "calls")
    if "doubling" in asked.only:
        _doubling(found, _medium(asked), plan)
    if "authentication" in asked.only:
        found.further += further.authentication(plan, asked.charts)
    if "fallback" in asked.only:
        found.further += further.fallback(plan, _medium(asked))
    if "feedback" in asked.only:
        found.further += further.feedback(plan, _medium(asked)[1])
    if "steady" in asked.only:
        found.further += further.steady(plan, _medium(asked), asked.steady)


def _medium(asked: argparse.Namespace) -> list[Body]:
    return bodies(asked.charts, ["medium"])


def _doubling(found: report.Found, medium: Sequence[Body], plan: Plan) -> None:
    pairs = [(body, *doubled(body)) for body in medium]
    found.added = {body.name: (added, len(more.content) - len(body.content)) for body, more, added in pairs}
    compared = [contestant for contestant in CONTESTANTS if contestant.name in (OURS, BARE, FLOOR)]
    found.doubling = in_turn(compared, [body for pair in pairs for body in pair[:2]], plan, "doubling")


def machine(wrk: str) -> dict[str, Any]:
    """Where the figures come from."""
    model = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    return {
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("gunicorn", "flask", "orjson")},
        "healthchain": HEALTHCHAIN,
        "client": wrk,
        "begun": time.strftime("%Y-%m-%d %H:%M:%S"),
        "load_before": os.getloadavg()[0],
    }


def publish(found: report.Found, where: dict[str, Any], asked: argparse.Namespace) -> None:
    """The tables on standard output; every figure of every round in a file."""
    where |= {"ended": time.strftime("%Y-%m-%d %H:%M:%S"), "rounds": asked.rounds, "seconds": asked.seconds}
    print(", ".join(f"{name} {value}" for name, value in where.items()), end="\n\n")
    print(report.tables(found))
    if asked.json:
        asked.json.write_text(json.dumps({"run": where} | report.as_json(found), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped then, too
    where, found = machine(install_wrk()), report.Found()
    if where["load_before"] > BUSY:
        print(f"the machine is busy (load {where['load_before']:.1f}): these figures will be noise", file=sys.stderr)
    try:
        with tempfile.TemporaryDirectory(prefix="ratios-", ignore_cleanup_errors=True) as folder:
            measure(asked, Path(folder), found)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        publish(found, where, asked)
    if missed := report.errors(found):
        sys.exit(f"{missed} calls were not answered with 2xx: these figures mean little")


if __name__ == "__main__":
    main()
