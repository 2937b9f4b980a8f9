"""The services that are compared: ours, bare functions, and HealthChain. Each has two workers on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, request
from platformdirs import user_cache_path

from benchmarks.bodies import Body
from benchmarks.nodes import SERVICE, WORKERS, Node, Server, ask

SETTINGS = {"CDS_TODAY": "2026-06-15", "CDS_SECRET": "only-for-this-benchmark"}
HEALTHCHAIN, UVICORN = "0.16.1", "0.54.0"  # healthchain_serve.py is written for this uvicorn
THREADS = 16  # of the gthread contestant; as many as the service has slots
ANSWER = b'{"cards":[]}'

Start = Callable[..., Any]


# ---------------------------------------------------------------- what the bare ones do


def bare(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """The least that any JSON service does with a request: it parses it."""
    import orjson

    orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    return _constant(start_response)


def floor(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """Less than any service can do: it reads the body and does not look at it."""
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return _constant(start_response)


def _constant(start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))])
    return [ANSWER]


flask = Flask("bare")


@flask.post(SERVICE)
def bare_flask() -> Any:
    import orjson

    orjson.loads(request.get_data())
    return ANSWER, {"Content-Type": "application/json"}


# ---------------------------------------------------------------- how they are served


class Gunicorn(Server):
    """A function of this file under gunicorn as it comes; `settings["TARGET"]` names it, `OPTIONS` adds options."""

    def command(self) -> list[str]:
        served = ["--bind", f"127.0.0.1:{self.port}", "--workers", str(WORKERS), "--no-control-socket"]
        options = self.settings.get("OPTIONS", "").split()
        return [
            sys.executable,
            "-m",
            "gunicorn",
            *served,
            *options,
            f"benchmarks.contestants:{self.settings['TARGET']}",
        ]

    def is_ready(self, printed: str) -> bool:
        return printed.count("Booting worker") == WORKERS and super().is_ready(printed)


class HealthChain(Server):
    """HealthChain's application, served as its documentation does it; `settings["OPTIONS"]` tunes uvicorn."""

    def command(self) -> list[str]:
        here, python, port = Path(__file__).parent, str(healthchain_python()), str(self.port)
        if "OPTIONS" not in self.settings:
            return [python, str(here / "healthchain_serve.py"), port]
        served = ["--app-dir", str(here), "--port", port, "--workers", str(WORKERS), *self.settings["OPTIONS"].split()]
        return [python, "-m", "uvicorn", "healthchain_service:app", *served]

    def is_ready(self, printed: str) -> bool:
        return printed.count("Application startup complete") == WORKERS

    def workers(self) -> list[int]:
        """Without the process in which Python tracks shared memory."""
        return [
            pid for pid in super().workers() if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]


def healthchain_python() -> Path:
    """The Python of HealthChain's virtual environment, which is made at the first call."""
    folder = user_cache_path("cds-service-benchmarks") / f"healthchain-{HEALTHCHAIN}-{UVICORN}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        print("installing HealthChain in a virtual environment of its own …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        packages = [f"healthchain=={HEALTHCHAIN}", f"uvicorn=={UVICORN}", "uvloop", "httptools"]
        install = [str(python), "-m", "pip", "install", "-qq", *packages]
        subprocess.run(install, check=True, stdout=sys.stderr, env={**os.environ, "PYTHONPATH": ""})
        complete.touch()
    return python


def _new_project(folder: Path) -> None:
    """What `healthchain new` makes: above all the healthchain.yaml, which turns the audit log on."""
    program = healthchain_python().with_name("healthchain")
    subprocess.run([program, "new", ".", "--type", "cds-hooks"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


# ---------------------------------------------------------------- the list


@dataclass(frozen=True)
class Contestant:
    """One of those compared: how it is made in a folder of its own, and which path answers the hook."""

    name: str
    make: Callable[[Path], Server]
    path: str = SERVICE
    decides: bool = True  # answers with cards when the chart calls for them


def _gunicorn(name: str, target: str, options: str = "") -> Contestant:
    settings = {"TARGET": target, "OPTIONS": options}
    return Contestant(name, lambda folder: Gunicorn("gunicorn", folder, settings), decides=False)


def _healthchain_documented(folder: Path) -> Server:
    _new_project(folder)
    return HealthChain("uvicorn", folder, {})


def _healthchain_tuned(folder: Path) -> Server:
    options = "--loop uvloop --http httptools --no-access-log"
    return HealthChain("uvicorn", folder, {"OPTIONS": options, "HEALTHCHAIN_TUNED": "1"})


OURS, BARE, FLOOR = "ours", "bare, sync", "floor"
DOCUMENTED, TUNED = "HealthChain", "HealthChain, tuned"
_HEALTHCHAIN_PATH = f"/cds{SERVICE}"

CONTESTANTS = [
    Contestant(OURS, lambda folder: Node("node", folder, SETTINGS)),
    _gunicorn(BARE, "bare"),
    _gunicorn("bare, gthread", "bare", f"--worker-class gthread --threads {THREADS}"),
    _gunicorn(FLOOR, "floor"),
    _gunicorn("Flask", "flask"),
    Contestant(DOCUMENTED, _healthchain_documented, _HEALTHCHAIN_PATH),
    Contestant(TUNED, _healthchain_tuned, _HEALTHCHAIN_PATH),
]


def make(contestant: Contestant, folder: Path) -> Server:
    own = folder / contestant.name.replace(", ", "-").lower()
    own.mkdir()
    return contestant.make(own)


def check(contestant: Contestant, server: Server, body: Body) -> None:
    """Nothing is measured that answers wrongly."""
    status, raw = ask(server.port, "POST", contestant.path, body.content)
    if status != 200:
        raise SystemExit(f"{contestant.name}, {body.name}: answered {status}: {raw[:300]!r}\n{server.printed[-2000:]}")
    if contestant.decides and bool(json.loads(raw)["cards"]) != body.twitching:
        raise SystemExit(f"{contestant.name}, {body.name}: cards were {'' if body.twitching else 'not '}expected")
