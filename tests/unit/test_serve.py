"""What the server arranges before it starts its workers."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from gunicorn.config import Config

from cds_service.serve import Log, Master, Server

# Eight threads hold memory at once; malloc itself then says how many arenas they took it from.
_ARENAS = """
import ctypes, sys, threading
if "mended" in sys.argv:
    from cds_service.serve import _give_memory_back
    _give_memory_back()
libc = ctypes.CDLL(None)
libc.fopen.restype = libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
together = threading.Barrier(8)
def hold():
    held = [libc.malloc(5000) for _ in range(100)]
    together.wait(20)
    for block in held:
        libc.free(block)
threads = [threading.Thread(target=hold) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = libc.fopen(sys.argv[1].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
"""


def _arenas(folder: Path, *arguments: str) -> int:
    report = folder / "malloc.xml"
    subprocess.run([sys.executable, "-c", _ARENAS, str(report), *arguments], check=True, timeout=60)
    return report.read_text(encoding="ascii").count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about malloc of glibc")
def test_threads_share_the_memory_that_large_charts_leave_free(tmp_path: Path) -> None:
    assert _arenas(tmp_path) > 2
    assert _arenas(tmp_path, "mended") <= 2


def test_an_option_that_the_server_does_not_have_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Server({"no_such_option": 1}, lambda: Flask("none"))
    assert "no_such_option" in capsys.readouterr().err


def test_of_an_exception_the_server_writes_only_the_class(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(Config())
    try:
        raise ValueError("MARKER")
    except ValueError:
        log.exception("Socket error processing request.")
    said = capfd.readouterr().err
    assert json.loads(said)["error"] == "ValueError"
    assert "MARKER" not in said and "Traceback" not in said


def test_only_workers_that_replace_others_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("gunicorn.arbiter.time.sleep", pauses.append)
    master = Master(Server({"workers": 3}, lambda: Flask("none")))
    master.WORKERS = {}

    def begin() -> None:
        master.worker_age += 1
        master.WORKERS[master.worker_age] = object()

    master.spawn_worker = begin
    master.spawn_workers()
    assert sorted(master.WORKERS) == [1, 2, 3] and not pauses
    master.WORKERS.clear()
    master.spawn_workers()
    assert sorted(master.WORKERS) == [4, 5, 6] and len(pauses) == 3
