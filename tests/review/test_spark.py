"""A real Spark: a master and two workers on loopback, and one executor killed while it works."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_service.review.simulate import Maker, Simulation
from tests.conftest import ROOT, TODAY
from tests.review.conftest import bundle, lines

pytestmark = pytest.mark.apt

PATIENCE = 240.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, dict[str, str]]]:
    """The address of a standalone master with two workers, their folder, and an environment for the driver."""
    assert shutil.which("java"), "Java is needed: apt-get install default-jre-headless"
    import pyspark

    place = tmp_path_factory.mktemp("spark")
    (place / "spark-defaults.conf").write_text("spark.executor.memory 600m\n")
    known = {
        "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_CONF_DIR": str(place), "PYTHONPATH": str(ROOT),
        "SPARK_WORKER_DIR": str(place / "work"), "SPARK_LOG_DIR": str(place),
        "PYSPARK_PYTHON": sys.executable,  # the one with the packages, whatever the path finds first
    }  # fmt: skip
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SPARK_")} | known
    starter = Path(pyspark.__file__).parent / "bin" / "spark-class"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    master = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    calls = [(f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")]
    calls += [(f"{deploy}.worker.Worker", master, "--cores", "1", "--memory", "1g", "--webui-port", "0")] * 2
    daemons = []
    for number, call in enumerate(calls):
        log = (place / f"daemon-{number}.log").open("wb")
        daemons.append(subprocess.Popen([starter, *call], env=environment, stdout=log, stderr=log, cwd=place))
    yield master, place, environment
    for daemon in reversed(daemons):
        daemon.terminate()
    for daemon in daemons:
        daemon.wait(30)


@pytest.fixture(scope="module")
def many(reading: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles, an export, a broken line, and a patient who is in both."""
    folder = tmp_path_factory.mktemp("records")
    maker = Maker(Simulation(1000, 13, TODAY, told=0.4, visits=2), reading.codes)
    people = [maker.patient(number) for number in range(150)]
    for one in people[:80]:
        (folder / f"{one.id}.json").write_bytes(lines(bundle(one.resources)))
    for part in range(3):
        export = [r for one in people[79:] for r in one.resources[part::3]]
        (folder / f"Export.{part}.ndjson").write_bytes(lines(*export) + b'{"resourceType":"Cond\n')
    return folder


def test_a_cluster_that_loses_an_executor_writes_the_same_bytes(
    cluster: tuple[str, Path, dict[str, str]], many: Path, reviewed: Callable[..., Path], tmp_path: Path
) -> None:
    master, place, environment = cluster
    out = tmp_path / "by-spark"
    command = [sys.executable, "-m", "cds_service", "review", many, "--out", out, "--as-of", str(TODAY)]
    log = (tmp_path / "driver.log").open("wb")
    running = subprocess.Popen([*command, "--spark", master], env=environment, cwd=tmp_path, stdout=log, stderr=log)
    executor = an_executor_at_work(place / "work", running)
    os.kill(executor, signal.SIGKILL)
    assert running.wait(PATIENCE) == 3, (tmp_path / "driver.log").read_text()
    assert len(list((place / "work").glob("app-*/*"))) > 2, "no executor took the place of the killed one"
    here = reviewed(many, name="here")
    for name in ("results.ndjson", "errors.ndjson"):
        assert (out / name).read_bytes() == (here / name).read_bytes()
    assert len((here / "results.ndjson").read_bytes().splitlines()) == 150


def an_executor_at_work(work: Path, driver: subprocess.Popen[bytes]) -> int:
    """The process of an executor of ours that has begun to reason: it has a Python of its own."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert driver.poll() is None, "the review ended before an executor could be killed"
        here = {pid: parent for pid, parent, folder in processes() if folder.startswith(str(work))}
        parents = [parent for pid, parent in here.items() if parent in here and command_of(pid).startswith("python")]
        executors = [pid for pid in here if command_of(pid) == "java"]
        busy = [pid for pid in parents if pid in executors]
        if len(executors) == 2 and busy:
            return busy[0]
        time.sleep(0.05)
    raise AssertionError("no executor began to work")


def processes() -> Iterator[tuple[int, int, str]]:
    """Process, parent and folder of what runs here and may be looked at."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            yield int(entry.name), parent, str((entry / "cwd").readlink())
        except OSError:
            continue


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
