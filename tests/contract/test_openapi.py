"""openapi.yaml, the routes and the real answers agree; schemathesis drives the service that is really served."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from werkzeug.exceptions import MethodNotAllowed, NotFound

from cds_service import __version__
from cds_service.errors import StoreError
from cds_service.response.uuids import Issued, write
from tests.applications import client, whole_application
from tests.conftest import FIXTURES, ROOT, read_page
from tests.network.applications import by_token
from tests.network.signing import good as signed
from tests.served import SERVICE, Served

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}


@cache
def application() -> Any:
    return whole_application()


@cache
def document() -> Any:
    return read_page(ROOT / "openapi.yaml")


def _resolved(part: Any) -> Any:
    while "$ref" in part:
        found = document()
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def faults(schema: str, value: Any) -> list[str]:
    """Where a value breaks a schema of the document."""
    validator = Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": document()["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    return [f"{error.json_path}: {error.validator}" for error in validator.iter_errors(value)]


def operations() -> list[tuple[str, str, Any]]:
    return [(p, m, o) for p, item in document()["paths"].items() for m, o in item.items() if m in METHODS]


# ---------------------------------------------------------------- the document and the routes


def test_the_document_is_valid_openapi() -> None:
    validate(document())


def test_the_document_has_the_version_of_the_service() -> None:
    assert document()["info"]["version"] == __version__


def test_every_operation_of_the_document_has_a_route() -> None:
    adapter = application().url_map.bind("localhost")
    for path, method, _ in operations():
        endpoint, _ = adapter.match(path, method=method.upper())
        assert endpoint in application().view_functions


def test_every_route_stands_in_the_document() -> None:
    adapter = application().url_map.bind("localhost")
    documented = {(adapter.match(p, method=m.upper())[0], m.upper()) for p, m, _ in operations()}
    served = {
        (rule.endpoint, method)
        for rule in application().url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == documented


def test_an_address_outside_the_document_has_no_route() -> None:
    adapter = application().url_map.bind("localhost")
    with pytest.raises(NotFound):
        adapter.match(f"{SERVICE}/analytics", method="POST")
    with pytest.raises(MethodNotAllowed):
        adapter.match("/cds-services", method="POST")


def test_the_reference_shows_every_operation_and_schema_and_loads_nothing() -> None:
    answer = client().get("/docs")  # also where there is no workbench
    page = answer.get_data(as_text=True)
    for path, method, operation in operations():
        assert f'id="{operation["operationId"]}"' in page
        assert f'<span class="method">{method}</span> <code>{path}</code>' in page
    for name, schema in document()["components"]["schemas"].items():
        assert f'id="schema-{name}"' in page
        assert all(f"<code>{field}</code>" in page for field in schema.get("properties", ()))
    links = set(re.findall(r'href="(?!data:|https://)([^"]*)"', page))
    assert {link for link in links if not link.startswith("#")} == {"openapi.yaml"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(re.findall(r'id="([^"]+)"', page))
    assert not re.search(r"<script|src=|url\(|@import|style=", page)
    style = re.search(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode() if style else ""
    assert f"default-src 'none'; style-src 'sha256-{digest}';" in answer.headers["Content-Security-Policy"]


def test_the_description_is_served_as_it_is() -> None:
    assert application().test_client().get("/openapi.yaml").data == (ROOT / "openapi.yaml").read_bytes()


# ---------------------------------------------------------------- the document and real answers


@cache
def real_answers() -> dict[str, tuple[int, Any, Any]]:
    """Every status the document promises, from the application: status -> headers and body."""
    client = application().test_client()
    good = (FIXTURES / "requests" / "hand-weakness.json").read_bytes()
    empty = json.dumps({**json.loads(good), "prefetch": {}}).encode()
    answers = {
        "200": client.post(SERVICE, data=good, content_type="application/json"),
        "400": client.post(SERVICE, data=b"{}", content_type="application/json"),
        "403": client.post(SERVICE, data=good, content_type="application/json", headers={"Host": "theirs.example"}),
        "404": client.post("/cds-services/another", data=good, content_type="application/json"),
        "405": client.get(SERVICE),
        "412": client.post(SERVICE, data=empty, content_type="application/json"),
        "413": client.post(SERVICE, data=b" " * (21 * 1024 * 1024), content_type="application/json"),
        "415": client.post(SERVICE, data=good, content_type="text/plain"),
    }
    module: Any = sys.modules["cds_service.web.hooks"]
    assess, module.assess = module.assess, None
    try:
        answers["500"] = client.post(SERVICE, data=good, content_type="application/json")
    finally:
        module.assess = assess
    answers["401"], answers["503"] = unknown_callers(good)
    return {status: (a.status_code, a.headers, a.get_json()) for status, a in answers.items()}


class NoStore:
    """A memory of used tokens that cannot be reached."""

    def first_use(self, token: bytes, expires: int) -> bool:
        raise OSError


def unknown_callers(body: bytes) -> tuple[Any, Any]:
    """One call without a token, and one with a token that cannot be checked."""
    with TemporaryDirectory() as folder:
        client = by_token(Path(folder), replays=NoStore()).test_client()
    asked = {"data": body, "content_type": "application/json"}
    return client.post(SERVICE, **asked), client.post(SERVICE, **asked, headers=signed())


def test_the_document_names_every_status_and_no_other() -> None:
    # 408 needs a slow sender: tests/network/test_operations.py.
    assert set(document()["paths"][SERVICE]["post"]["responses"]) - {"408"} == set(real_answers())


@pytest.mark.parametrize("status", ["200", "400", "401", "403", "404", "405", "412", "413", "415", "500", "503"])
def test_a_real_answer_is_what_the_document_says(status: str) -> None:
    code, headers, body = real_answers()[status]
    promised = _resolved(document()["paths"][SERVICE]["post"]["responses"][status])
    assert str(code) == status
    assert headers["Content-Type"] in promised["content"]
    schema = promised["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert faults(schema, body) == []
    for name, header in promised.get("headers", {}).items():
        allowed = _resolved(header)["schema"]
        assert headers[name] == allowed.get("const", headers[name])


FEEDBACK = f"{SERVICE}/feedback"


@cache
def real_answers_to_feedback() -> dict[str, tuple[int, Any, Any]]:
    """Every status that the feedback address promises, except 401, which authentication answers."""
    client = application().test_client()
    operation = document()["paths"][FEEDBACK]["post"]
    good = operation["requestBody"]["content"]["application/json"]["examples"]["accepted"]["value"]
    secret, issued = b"only-for-these-tests", Issued(6, 0, 0, 1, 1)
    theirs = {"feedback": [good["feedback"][0] | {"card": write(issued, secret, "another tenant")}]}
    answers = {
        "200": client.post(FEEDBACK, json=good),
        "400": client.post(FEEDBACK, json={"feedback": [{}]}),
        "403": client.post(FEEDBACK, json=theirs),
        "405": client.get(FEEDBACK),
        "413": client.post(FEEDBACK, data=b" " * (21 * 1024 * 1024), content_type="application/json"),
        "415": client.post(FEEDBACK, json=good, content_type="text/plain"),
    }
    for status, error in (("500", ValueError), ("503", StoreError)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cds_service.web.store.Store.record", lambda *_, kind=error: _raise(kind))
            answers[status] = client.post(FEEDBACK, json=good)
    return {status: (a.status_code, a.headers, a.get_json()) for status, a in answers.items()}


def _raise(kind: type[Exception]) -> None:
    raise kind("kind")


def test_the_document_names_every_status_of_feedback_and_no_other() -> None:
    assert set(document()["paths"][FEEDBACK]["post"]["responses"]) == set(real_answers_to_feedback()) | {"401", "408"}


@pytest.mark.parametrize("status", ["200", "400", "403", "405", "413", "415", "500", "503"])
def test_a_real_answer_to_feedback_is_what_the_document_says(status: str) -> None:
    code, headers, body = real_answers_to_feedback()[status]
    promised = _resolved(document()["paths"][FEEDBACK]["post"]["responses"][status])
    assert str(code) == status
    schema = promised["content"][headers["Content-Type"]]["schema"]["$ref"].rpartition("/")[2]
    assert faults(schema, body) == []


@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/"])
def test_the_real_discovery_document_is_what_the_document_says(path: str) -> None:
    assert faults("Discovery", application().test_client().get(path).get_json()) == []


@pytest.mark.parametrize("name", ["bare-entry", "hand-weakness", "low-potassium"])
def test_the_requests_of_the_fixtures_and_their_answers_fit_the_document(name: str) -> None:
    body = json.loads((FIXTURES / "requests" / f"{name}.json").read_bytes())
    assert faults("HookRequest", body) == []
    answer = application().test_client().post(SERVICE, json=body).get_json()
    assert answer["cards"]
    assert faults("Cards", answer) == []


def test_the_schema_of_a_card_refuses_what_a_card_must_not_be() -> None:
    good = real_answers()["200"][2]["cards"][0]
    for name in ("uuid", "summary", "indicator", "source", "selectionBehavior"):
        assert faults("Card", {key: value for key, value in good.items() if key != name})
    assert faults("Card", good | {"summary": "x" * 140})
    assert faults("Card", good | {"indicator": "hard-stop"})


def _examples() -> list[Any]:
    found = []
    for path, method, operation in operations():
        bodies = [("request", operation["requestBody"])] if "requestBody" in operation else []
        for place, part in [*bodies, *operation["responses"].items()]:
            content = _resolved(part).get("content", {}).get("application/json")
            if content is None:
                continue
            schema = content["schema"]["$ref"].rpartition("/")[2]
            values = [e["value"] for e in content.get("examples", {}).values()] + [
                content[key] for key in ("example",) if key in content
            ]
            found += [pytest.param(schema, value, id=f"{method} {path} {place}") for value in values]
            found += [] if values else [pytest.param(schema, None, id=f"{method} {path} {place} has no example")]
    return found


@pytest.mark.parametrize(("schema", "value"), _examples())
def test_an_example_of_the_document_fits_its_schema(schema: str, value: Any) -> None:
    assert faults(schema, value) == []


def test_the_examples_of_requests_are_answered_as_they_say() -> None:
    examples = document()["paths"][SERVICE]["post"]["requestBody"]["content"]["application/json"]["examples"]
    client = application().test_client()
    cards = {name: client.post(SERVICE, json=one["value"]).get_json()["cards"] for name, one in examples.items()}
    assert cards["freshTwitch"]
    assert cards["nothingToSay"] == []


# ---------------------------------------------------------------- the service that is really served

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method", "allow_header_conformance",
)  # fmt: skip


PAGES = "^/workbench|^/Questionnaire|^/docs|^/openapi|^/handbook|^/fhir|^/$"


@pytest.mark.parametrize(
    ("part", "phases"),
    # To invent whole assessments for the workbench takes minutes; tests/workbench sends it damaged ones.
    [("--exclude-path-regex", "examples,coverage,fuzzing"), ("--include-path-regex", "examples")],
    ids=["hooks", "workbench"],
)
def test_schemathesis_finds_no_answer_outside_the_document(
    served: Served, tmp_path: Path, part: str, phases: str
) -> None:
    before = len(served.printed)
    done = subprocess.run(
        [
            sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run",
            str(ROOT / "openapi.yaml"), "--url", f"http://127.0.0.1:{served.port}",
            "--checks", ",".join(CHECKS), "--phases", phases,
            "--max-examples", "12", "--seed", "20260615", "--no-shrink",
            "--request-timeout", "10", "--warnings", "off", part, PAGES,
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    printed = served.printed[before:]
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert served.process.poll() is None
    assert "internal error" not in printed
    # It must have reached the reasoning, not only the checks of the envelope.
    assert ('"cards":[' if part.startswith("--exclude") else '"hook_instance"') in printed
    assert '"refused":[' in printed
