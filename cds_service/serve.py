"""gunicorn with our settings: the same command in a trial and in production."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
from collections.abc import Callable
from threading import Timer
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from cds_service.errors import SettingsError
from cds_service.settings import Settings, is_local, read_settings, state_folder
from cds_service.web import metrics
from cds_service.web.journal import JsonLines
from cds_service.workbench import create_whole_app, is_on, prepare_workbench
from cds_service.worker import Worker

SPARE_THREADS = 16
# How long an idle connection is kept. The proxy must give it up first (keepalive_timeout in deploy/nginx.conf):
# a call on a connection that is closing at that moment is lost, and must not be sent twice.
KEEP_SECONDS = 10
PREPARE_AFTER = 0.5  # seconds; until then the other workers have started too, and nobody has opened a page
# Names of glibc's malloc.h.
_ARENA_MAX = -8
_MMAP_THRESHOLD = -3

log = logging.getLogger("cds_service")


class Log(Logger):  # type: ignore[misc]
    """gunicorn's own messages as JSON lines, like ours: of an exception only its class."""

    def _set_handler(self, log: Any, output: Any, fmt: Any, stream: Any = None) -> None:
        super()._set_handler(log, output, JsonLines(), stream)


class Master(Arbiter):  # type: ignore[misc]
    """gunicorn's own, without its pause of up to 0.1 s behind each of the first workers.

    Later ones keep it: should workers die as fast as they begin, it is what slows that down.
    """

    def spawn_workers(self) -> None:
        if not self.worker_age:
            for _ in range(self.num_workers):
                self.spawn_worker()
        super().spawn_workers()


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured in code; the content is loaded once and shared by the workers."""

    def __init__(self, options: dict[str, Any], load: Callable[[], Flask]) -> None:
        self._options = options
        self._load = load
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)  # fails for one that gunicorn does not have

    def load(self) -> Flask:
        return self._load()

    def run(self) -> None:
        Master(self).run()


def require_local_bind(settings: Settings, bind: str) -> None:
    """Behind a proxy that vouches for clients, nobody else may reach us: he could write the proxy's header himself."""
    host = bind.rpartition(":")[0].strip("[]")
    if settings.auth == "proxy" and not (bind.startswith("unix:") or is_local(host)):
        raise SettingsError("CDS_AUTH=proxy needs --bind with a loopback address like 127.0.0.1:8000, or unix:/path")


def require_two_ports(settings: Settings, bind: str) -> None:
    """Calls are told apart by the port at which they arrive."""
    own = settings.operations_bind
    if own and not bind.startswith("unix:") and own.rpartition(":")[2] == bind.rpartition(":")[2]:
        raise SettingsError("CDS_OPERATIONS_BIND needs another port than --bind")


def _set_content_aside() -> None:
    # Content lives as long as the process: the collector need not walk it again and again. Done before
    # the workers are forked: a worker that collects first is deaf to SIGTERM for as long as that takes.
    # Not collected before: of 300,000 objects fewer than 2,000 are garbage, and a start waits for the search.
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 20)


def _give_memory_back() -> None:
    """Tell glibc's malloc that a large chart is rare. Done before the workers are forked, and inherited by them.

    By default each thread allocates from an arena of its own, and large blocks are kept for the next time: after
    some large charts in many threads, workers held several times what they used.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_ARENA_MAX, 2)
        mallopt(_MMAP_THRESHOLD, 256 * 1024)


def serve(bind: str, workers: int, ready: Callable[[], None]) -> None:
    """Run until stopped. Content and settings are read before the first worker starts."""
    settings = read_settings()
    require_local_bind(settings, bind)
    require_two_ports(settings, bind)
    if not settings.secret_is_lasting:
        # The one that was made is shared by the workers: they are forked from this process.
        log.warning(
            "CDS_SECRET is not set: feedback on cards of an earlier start is stored as unverified, "
            "and cards that are set aside are not remembered"
        )
    _give_memory_back()
    app = create_whole_app(settings, bind)
    _set_content_aside()
    Worker.seconds = settings.body_deadline
    prepare = (lambda: prepare_workbench(app)) if is_on(settings, bind) else None
    Server(_options(settings, bind, workers, ready, prepare), lambda: app).run()


def _options(
    settings: Settings, bind: str, workers: int, ready: Callable[[], None], prepare: Callable[[], None] | None
) -> dict[str, Any]:
    """What gunicorn is told. ``ready`` is called once, when all first workers can be asked.

    ``prepare`` is called in each worker a moment later: no start waits for what only some calls want.
    """

    def worker_ready(worker: Any) -> None:
        if worker.age == workers:  # the last of the first ones: all can be asked, and stopped
            ready()
        if prepare is not None:
            later = Timer(PREPARE_AFTER, prepare)
            later.daemon = True  # nothing waits for it at the end
            later.start()

    return {
        "bind": [bind, *([settings.operations_bind] if settings.operations_bind else [])],
        "workers": workers,
        # Spare ones answer 503, health and slow senders while every slot is taken.
        "threads": settings.max_calls + SPARE_THREADS,
        "worker_class": Worker,
        "preload_app": True,
        "post_worker_init": worker_ready,
        "child_exit": lambda server, worker: metrics.worker_left(worker.pid),
        "on_exit": lambda server: metrics.forget(),
        "control_socket_disable": True,
        "chdir": str(state_folder()),
        "umask": 0o117,  # of a unix socket, for the user and group of the service: whoever can write to it is the proxy
        "sendfile": False,  # wants a socket that blocks; the worker's never do
        "accesslog": None,
        "loglevel": "warning",
        "logger_class": Log,
        "timeout": 30,
        "keepalive": KEEP_SECONDS,
        "graceful_timeout": 20,
        "proc_name": "cds-service",
        # What callers write about proxies is believed of nobody: gunicorn would let a header SCRIPT_NAME move the path.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
    }
