"""A token is used once: whichever worker or node of a site is asked, and when all are asked at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.network.applications import clients_file, given
from tests.network.signing import DISCOVERY, PUBLIC_URL, good
from tests.served import Served, serving


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    """Two nodes of two workers each, with one database."""
    folder = tmp_path_factory.mktemp("nodes")
    settings = {
        "CDS_TODAY": "",
        "CDS_AUTH": "jwt",
        "CDS_PUBLIC_URL": PUBLIC_URL,
        "CDS_JWT_CLIENTS": str(clients_file(folder, given())),
        "CDS_DATABASE_URL": f"sqlite:///{folder}/shared.sqlite",
    }
    with ExitStack() as running:
        yield [running.enter_context(serving(_made(folder / name), **settings)) for name in ("a", "b")]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_one_of_many_calls_at_once_is_let_in(nodes: list[Served]) -> None:
    for _ in range(5):
        headers = good(aud=DISCOVERY)
        with ThreadPoolExecutor(16) as pool:
            calls = [pool.submit(nodes[i % 2].ask, "GET", "/cds-services", **headers) for i in range(16)]
        assert sorted(call.result()[0] for call in calls) == [200] + [401] * 15


def test_a_used_token_is_refused_by_every_worker(nodes: list[Served]) -> None:
    headers = good(aud=DISCOVERY)
    assert nodes[0].ask("GET", "/cds-services", **headers)[0] == 200
    for _ in range(10):
        assert [node.ask("GET", "/cds-services", **headers)[0] for node in nodes] == [401, 401]
