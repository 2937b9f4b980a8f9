"""The handbook and the artefacts as they are served: open, read-only, without scripts, and kept by caches."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from cds_service import __version__, fhir
from cds_service.__main__ import main
from cds_service.errors import RequestError
from cds_service.web.kept import AT_ONCE, Shelf
from cds_service.workbench.pages import history_form
from tests.conftest import FIXTURES
from tests.network.applications import by_token
from tests.workbench.conftest import application

HOOK = "/cds-services/muscle-twitching"
PUBLIC = "https://cds.example.org"


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    return application(CDS_PUBLIC_URL=PUBLIC, CDS_WORKBENCH="off").test_client()


def test_the_handbook_is_served_where_the_workbench_is_off(client: FlaskClient) -> None:
    assert client.get("/workbench").status_code == 404
    page = client.get("/handbook/cards/TW13.html")
    assert (page.status_code, page.content_type) == (200, "text/html; charset=utf-8")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy
    assert page.headers["Cache-Control"] == "public, max-age=300"
    again = client.get("/handbook/cards/TW13.html", headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(("path", "leads"), [("/handbook", "handbook/index.html"), ("/handbook/", "index.html")])
def test_its_root_leads_to_the_contents_also_behind_a_path(client: FlaskClient, path: str, leads: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, leads)


@pytest.mark.parametrize("path", ["/handbook/cards/TW99.html", "/handbook/..%2f..%2fabout.yaml", "/fhir/Patient/1",
                                  "/fhir/Patient?url=x", "/fhir/Library/none"])  # fmt: skip
def test_what_is_not_there_is_404_and_not_kept(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")
    assert answer.get_json()["resourceType"] == "OperationOutcome"
    remedy = answer.get_json()["issue"][0]["diagnostics"]
    assert ("ask GET /fhir/metadata" in remedy) == path.startswith("/fhir/")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("*/*", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("", "application/json"),
    ],
)
def test_a_person_who_finds_no_page_gets_one_that_leads_back(client: FlaskClient, accept: str, kind: str) -> None:
    asking = {"Accept": accept} if accept else {}
    doubled = client.get("/handbook//TW99", headers=asking)
    assert (doubled.status_code, doubled.content_type) == (404, kind)
    answer = client.get("/handbook/cards/<b>TW99", headers=asking)
    assert (answer.status_code, answer.content_type, answer.headers["Cache-Control"]) == (404, kind, "no-store")
    if kind.startswith("text"):
        words = answer.get_data(as_text=True)
        assert "<h1>Not here</h1>" in words and 'href="../index.html"' in words and "TW99" not in words
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_page_is_packed_for_who_takes_that_and_each_form_is_asked_for_again_by_its_name(client: FlaskClient) -> None:
    path = "/handbook/differential.html"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    packed = client.get(path, headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data and 4 * len(packed.data) < len(plain.data)
    assert "Accept-Encoding" in plain.headers["Vary"] and plain.headers["ETag"] != packed.headers["ETag"]
    for answer, encoding in ((plain, "identity"), (packed, "gzip")):
        given = {"If-None-Match": answer.headers["ETag"], "Accept-Encoding": encoding}
        again = client.get(path, headers=given)
        assert (again.status_code, again.data) == (304, b"")


def test_what_many_ask_for_at_once_is_made_once() -> None:
    made, begun, go_on = [], Event(), Event()

    def make() -> tuple[str, bytes]:
        made.append("page")
        begun.set()
        assert go_on.wait(20)
        return "text/plain", b"x"

    shelf, most = Shelf(), range(AT_ONCE - 1)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        first = pool.submit(shelf.get, "page", make)
        assert begun.wait(20)
        others = [pool.submit(shelf.get, "page", make) for _ in most]
        wait_until(lambda: not shelf._room._value)
        # No thread beyond these waits: hooks and health need them.
        for name in ("page", "another"):
            with pytest.raises(RequestError) as refused:
                shelf.get(name, make)
            assert refused.value.status == 503
        go_on.set()
        assert {id(one.result(20)) for one in (first, *others)} == {id(shelf.get("page", make))}
    assert made == ["page"] and shelf._making == {}


def test_names_that_anybody_can_invent_are_not_kept() -> None:
    shelf = Shelf()
    for number in range(AT_ONCE + 1):
        assert shelf.get(f"handbook/{number}", lambda: None) is None
    assert (shelf._kept, shelf._making) == ({}, {})


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_nobody_has_to_be_known_to_read_it_and_nobody_can_write(tmp_path: Path) -> None:
    app = by_token(tmp_path)
    app.register_blueprint(history_form)
    client = app.test_client()
    for path in ("/handbook/index.html", "/fhir/metadata", "/fhir/Library/muscle-twitching", "/docs", "/openapi.yaml",
                 "/Questionnaire/twitch-history"):  # fmt: skip
        assert client.get(path).status_code == 200
        assert client.post(path).status_code == 401
    assert client.get("/cds-services").status_code == 401


def test_no_start_waits_for_it() -> None:
    """Pages and artefacts are neither imported nor made before somebody asks."""
    script = "import sys, cds_service.web; print({'cds_service.handbook.pages', 'cds_service.artefacts.artefacts'} "
    done = subprocess.run(
        [sys.executable, "-c", f"{script} & set(sys.modules))"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "set()"
    app = application(CDS_WORKBENCH="off")
    assert not {"handbook", "artefacts"} & set(app.extensions)
    app.test_client().get("/handbook/handbook.css")
    assert "handbook" in app.extensions


def test_a_card_links_to_its_page_and_to_the_source_attributes(client: FlaskClient) -> None:
    body = (FIXTURES / "requests" / "hand-weakness.json").read_bytes()
    cards = client.post(HOOK, data=body, content_type="application/json").get_json()["cards"]
    assert cards
    for card in cards:
        for page in ("source-attributes.html", "cards/TW"):
            link = card["detail"].partition(f"]({PUBLIC}/handbook/{page}")[2].partition(")")[0]
            address = f"/handbook/{page}{link}"
            assert client.get(address).status_code == 200, address


def test_without_an_address_of_its_own_a_card_names_its_rule_without_a_link() -> None:
    body = (FIXTURES / "requests" / "hand-weakness.json").read_bytes()
    client = application(CDS_WORKBENCH="off").test_client()
    cards = client.post(HOOK, data=body, content_type="application/json").get_json()["cards"]
    assert all("handbook" not in card["detail"] for card in cards)
    assert cards[0]["detail"].endswith(
        "*Rule TW06 (T2), content 0.2.1. Draft content, not clinically approved. "
        "Supports, does not replace, clinical judgement.*"
    )


def test_discovery_says_where_the_source_attributes_stand(client: FlaskClient) -> None:
    told = client.get("/cds-services").get_json()["services"][0]["usageRequirements"]
    assert f"{PUBLIC}/handbook/source-attributes.html" in told
    assert client.get("/handbook/source-attributes.json").get_json()["status"] == "draft"


def test_the_artefacts_are_read_and_found_by_their_address(client: FlaskClient) -> None:
    stated = client.get("/fhir/metadata")
    assert stated.get_json()["software"]["version"] == __version__
    assert (stated.status_code, stated.content_type) == (200, "application/fhir+json")
    for resource in stated.get_json()["rest"][0]["resource"]:
        assert [one["code"] for one in resource["interaction"]] == ["read", "search-type"]
    address = f"{PUBLIC}/fhir/PlanDefinition/muscle-twitching"
    found = client.get("/fhir/PlanDefinition", query_string={"url": address}).get_json()
    assert fhir.faults(found) == [] and found["total"] == 1
    assert found["entry"][0]["resource"] == client.get(address.removeprefix(PUBLIC)).get_json()
    for url, version, total in ((f"{address}|0.2.1", "", 1), (f"{address}|9.9.9", "", 0), (address, "9.9.9", 0)):
        told = client.get("/fhir/PlanDefinition", query_string={"url": url, "version": version}).get_json()
        assert told["total"] == total and fhir.faults(told) == []


@pytest.mark.parametrize("query", ["", "?name=x", "?url=x&status=draft"])
def test_a_search_that_is_not_offered_is_refused_and_not_widened(client: FlaskClient, query: str) -> None:
    assert client.get(f"/fhir/ValueSet{query}").status_code == 400


def test_the_commands_write_what_is_served(tmp_path: Path, client: FlaskClient, monkeypatch: Any) -> None:
    monkeypatch.setenv("CDS_PUBLIC_URL", PUBLIC)
    done = CliRunner().invoke(main, ["export-fhir", str(tmp_path / "fhir")])
    assert done.exit_code == 0 and "status draft" in done.output
    library = json.loads((tmp_path / "fhir" / "Library-muscle-twitching.json").read_bytes())
    assert library == client.get("/fhir/Library/muscle-twitching").get_json()
    transaction = json.loads((tmp_path / "fhir" / "transaction.json").read_bytes())
    assert len(transaction["entry"]) == len(list((tmp_path / "fhir").glob("*.json"))) - 1
    (tmp_path / "file").write_text("in the way")
    refused = CliRunner().invoke(main, ["handbook", str(tmp_path / "file")])
    assert refused.exit_code != 0 and "Traceback" not in refused.output
