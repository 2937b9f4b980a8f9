"""How contestants are measured: side by side, in turn, round after round; and each one alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.accounting import pss_megabytes
from benchmarks.bodies import Body
from benchmarks.client import Sample, drive, middle
from benchmarks.contestants import SETTINGS, Contestant, check, make
from benchmarks.nodes import ROOT, Node, Server, ask
from cds_service.knowledge.sealed import SEAL

CONNECTIONS = (1, 16)
WARM_UP = 1.0  # seconds


@dataclass(frozen=True)
class Plan:
    """How long and how often everything is measured, and where files may lie meanwhile."""

    folder: Path
    rounds: int
    seconds: float  # of one run of wrk

    def file(self, body: Body) -> Path:
        """The body as a file, for wrk."""
        file = self.folder / f"{body.name.replace(', ', '-').replace(' ', '-')}.json"
        file.write_bytes(body.content)
        return file


@dataclass
class Calls:
    """Samples by body, contestant and connections, one for each round."""

    samples: dict[tuple[str, str, int], list[Sample]] = field(default_factory=dict)

    def add(self, body: str, contestant: str, connections: int, sample: Sample) -> None:
        self.samples.setdefault((body, contestant, connections), []).append(sample)

    def has(self, body: str, *contestants: str) -> bool:
        return all(any(key[:2] == (body, name) for key in self.samples) for name in contestants)

    def middle(self, body: str, contestant: str, connections: int) -> Sample:
        return middle(self.samples[body, contestant, connections])


@dataclass
class Alone:
    """What was found of one contestant while no other ran. Megabytes are those of the larger worker."""

    at_rest: float
    under_load: list[float] = field(default_factory=list)


@dataclass
class Starts:
    """Seconds from the command until `/health/ready` answers 200."""

    first: float  # unsealed: all content is read and checked
    later: list[float] = field(default_factory=list)


def progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text} …", file=sys.stderr, flush=True)


@contextmanager
def running(contestants: Sequence[Contestant], folder: Path) -> Iterator[list[tuple[Contestant, Server]]]:
    """Start them and stop them, whatever happens."""
    with ExitStack() as started:
        servers = [(contestant, make(contestant, folder)) for contestant in contestants]
        for _, server in servers:
            started.callback(server.stop)
            server.start()
        yield servers


def in_turn(contestants: Sequence[Contestant], bodies: Sequence[Body], plan: Plan, folder: str) -> Calls:
    """All of them run; one is driven at a time. Each round goes through everything, beginning with another one."""
    calls = Calls()
    place = plan.folder / folder
    place.mkdir()
    with running(contestants, place) as servers:
        _check_and_warm(servers, bodies, plan)
        for turn in range(plan.rounds):
            shift = turn % len(servers)
            for body in bodies:
                progress(f"round {turn + 1} of {plan.rounds}, {body.name}")
                for connections in CONNECTIONS:
                    for contestant, server in servers[shift:] + servers[:shift]:
                        sample = drive(server, contestant.path, plan.file(body), connections, plan.seconds)
                        calls.add(body.name, contestant.name, connections, sample)
    return calls


def _check_and_warm(servers: Sequence[tuple[Contestant, Server]], bodies: Sequence[Body], plan: Plan) -> None:
    for body in bodies:
        progress(f"checking answers and warming up, {body.name}")
        for contestant, server in servers:
            check(contestant, server, body)
            drive(server, contestant.path, plan.file(body), max(CONNECTIONS), WARM_UP)


def alone(contestants: Sequence[Contestant], bodies: Sequence[Body], plan: Plan) -> dict[str, Alone]:
    """Memory of each, with no other beside it: what processes have in common would be shared out among all."""
    found = {}
    for contestant in contestants:
        progress(f"memory, {contestant.name}")
        place = plan.folder / f"alone-{len(found)}"
        place.mkdir()
        with running([contestant], place) as [(_, server)]:
            for body in bodies:
                check(contestant, server, body)
            found[contestant.name] = Alone(_memory(server))
            for body in bodies:
                drive(server, contestant.path, plan.file(body), max(CONNECTIONS), plan.seconds)
                found[contestant.name].under_load.append(_memory(server))
    return found


def _memory(server: Server) -> float:
    return max(map(pss_megabytes, server.workers()))


def starts(plan: Plan) -> Starts:
    """Start ours with content that nobody has sealed, then with sealed content, once for each round."""
    place = plan.folder / "starts"
    place.mkdir()
    node = Node("node", place, SETTINGS)
    (ROOT / "cards" / SEAL).unlink(missing_ok=True)
    taken = []
    for turn in range(plan.rounds + 1):
        progress(f"start {turn + 1} of {plan.rounds + 1}")
        try:
            begun = time.monotonic()
            node.start()
            while ask(node.port, "GET", "/health/ready")[0] != 200:
                time.sleep(0.01)
            taken.append(time.monotonic() - begun)
        finally:
            node.stop()
        if not turn:
            subprocess.run([sys.executable, "-m", "cds_service", "check-content"], check=True, capture_output=True)
    return Starts(taken[0], taken[1:])
