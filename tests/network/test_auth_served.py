"""Authentication in the service as it is really served: what starts, what does not, and who is answered."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import SettingsError
from cds_service.serve import require_local_bind
from cds_service.settings import read_settings
from tests.conftest import FIXTURES, TODAY
from tests.network.applications import by_token, clients_file, given
from tests.network.key_server import KeyServer, key_server
from tests.network.signing import DISCOVERY, ISSUER, PUBLIC_URL, Draft, bearer, good, private_jwk, public_jwk
from tests.served import SERVICE, Served, refused, serving

BODY = (FIXTURES / "requests" / "low-potassium.json").read_bytes()
JSON = {"Content-Type": "application/json"}
SUBJECT = "X-Client-Verified-Subject"


@dataclass
class Clinic:
    """A served service and the key server of its one client."""

    served: Served
    keys: KeyServer


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    folder = tmp_path_factory.mktemp("clinic")
    with key_server() as keys:
        keys.publish(public_jwk("first"))
        settings = {
            "CDS_TODAY": "",
            "CDS_AUTH": "jwt",
            "CDS_PUBLIC_URL": PUBLIC_URL,
            "CDS_JWT_CLIENTS": str(clients_file(folder, {"issuer": ISSUER, "jku": keys.address})),
            "CDS_CORS_ORIGINS": "https://sandbox.cds-hooks.org",
            "CDS_DATABASE_URL": f"sqlite:///{folder}/used.sqlite",
        }
        with serving(folder, **settings) as served:
            yield Clinic(served, keys)


def test_an_honest_client_is_served(clinic: Clinic) -> None:
    headers = bearer(Draft(header={"jku": clinic.keys.address}).text())
    status, answered, raw = clinic.served.ask("POST", SERVICE, BODY, **JSON, **headers)
    assert (status, "cards" in json.loads(raw)) == (200, True)
    assert answered["X-Content-Type-Options"] == "nosniff"
    for path in ("/cds-services", "/cds-services/"):
        assert clinic.served.ask("GET", path, **good(aud=DISCOVERY))[0] == 200


def test_everybody_else_is_not(clinic: Clinic) -> None:
    answers = {
        (status, raw)
        for path in ("/cds-services", SERVICE, "/nowhere")
        for headers in ({}, {"Authorization": "Bearer x.y.z"}, good(aud="https://evil.example.org"))
        for status, _, raw in [clinic.served.ask("GET", path, **headers)]
    }
    assert [status for status, _ in answers] == [401]
    assert "authentication" in json.loads(next(iter(answers))[1])["issue"][0]["diagnostics"]


def test_two_authorization_headers_are_refused(clinic: Clinic) -> None:
    token = Draft().text()
    header = f"Authorization: Bearer {token}\r\n"
    with socket.create_connection(("127.0.0.1", clinic.served.port), timeout=30) as connection:
        request = f"GET {SERVICE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}{header}\r\n"
        connection.sendall(request.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(("length", "status"), [(7169, 401), (8000, 401), (9000, 431)])
def test_an_oversized_token_is_refused(clinic: Clinic, length: int, status: int) -> None:
    before = clinic.served.printed.count('"auth":"oversized"')
    assert clinic.served.ask("POST", SERVICE, BODY, **JSON, **bearer("x" * length))[0] == status
    time.sleep(0.2)
    assert clinic.served.printed.count('"auth":"oversized"') - before == (status == 401)


def test_a_page_asks_before_it_sends_its_token(clinic: Clinic) -> None:
    asked = {"Origin": "https://sandbox.cds-hooks.org", "Access-Control-Request-Method": "POST"}
    status, headers, raw = clinic.served.ask("OPTIONS", SERVICE, **asked)
    assert (status, raw) == (200, b"")
    assert headers["Access-Control-Allow-Origin"] == "https://sandbox.cds-hooks.org"


def test_the_log_holds_the_reason_and_nothing_of_a_token(clinic: Clinic) -> None:
    token = Draft().text()
    for _ in range(2):
        clinic.served.ask("POST", SERVICE, BODY, **JSON, **bearer(token))
    clinic.served.ask("POST", SERVICE, BODY, **JSON, **bearer("garbage"))
    printed = clinic.served.printed
    assert '"auth":"replay"' in printed
    assert '"auth":"malformed"' in printed
    assert not any(part in printed for part in (*token.split("."), ISSUER, clinic.keys.address))


def test_the_ready_lines_say_how_clients_are_known(clinic: Clinic) -> None:
    assert "clients are known by their tokens" in clinic.served.printed
    assert '-H "Authorization: Bearer $TOKEN"' in clinic.served.printed
    assert "authentication is off" not in clinic.served.printed


def test_behind_a_proxy_the_header_is_the_client(tmp_path: Path) -> None:
    with serving(tmp_path, CDS_TODAY="", CDS_AUTH="proxy") as served:
        assert served.ask("GET", "/cds-services", **{SUBJECT: "CN=ehr"})[0] == 200
        assert served.ask("POST", SERVICE, BODY, **JSON, **{SUBJECT: "CN=ehr"})[0] == 200
        for headers in ({}, {SUBJECT: ""}, {"X_Client_Verified_Subject": "CN=ehr"}, good()):
            assert served.ask("POST", SERVICE, BODY, **JSON, **headers)[0] == 401
        assert "clients are known by the proxy" in served.printed
        assert "CN=ehr" not in served.printed


def test_without_authentication_the_start_is_loud(served: Served) -> None:
    assert '"level":"warning"' in served.printed
    assert "authentication is off: anybody" in served.printed
    assert served.ask("GET", "/cds-services", Authorization="Bearer nonsense")[0] == 200


# ---------------------------------------------------------------- what must not start

JWT = {"CDS_TODAY": "", "CDS_AUTH": "jwt", "CDS_PUBLIC_URL": PUBLIC_URL}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"CDS_AUTH": "basic"}, ["CDS_AUTH must be one of off, jwt, proxy"]),
        ({"CDS_AUTH": "jwt", "CDS_TODAY": ""}, ["CDS_PUBLIC_URL is needed", "CDS_JWT_CLIENTS is needed"]),
        ({"CDS_AUTH": "jwt", "CDS_PUBLIC_URL": "ftp://x"}, ["CDS_PUBLIC_URL must", "CDS_TODAY is for trials"]),
        ({"CDS_AUTH": "proxy"}, ["CDS_TODAY is for trials"]),
        ({"CDS_PROXY_HEADER": "Authorization"}, ["CDS_PROXY_HEADER must be"]),
        ({"CDS_PROXY_HEADER": "X-Name: value"}, ["CDS_PROXY_HEADER must be"]),
        (JWT | {"CDS_JWT_CLIENTS": "/nowhere.yaml"}, ["CDS_JWT_CLIENTS must be a file that exists"]),
        (JWT | {"CDS_JWT_ALGORITHMS": "ES384,HS256"}, ["CDS_JWT_ALGORITHMS must list"]),
        (JWT | {"CDS_JWT_ALGORITHMS": "none"}, ["CDS_JWT_ALGORITHMS must list"]),
        ({"CDS_CORS_ORIGINS": "*"}, ["CDS_CORS_ORIGINS must"]),
        ({"CDS_CORS_ORIGINS": "null"}, ["CDS_CORS_ORIGINS must"]),
    ],
)
def test_a_doubtful_setting_does_not_start(settings: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsError) as said:
        read_settings({"CDS_TODAY": TODAY.isoformat()} | settings)
    assert [word for word in words if word not in str(said.value)] == []


def test_a_faulty_file_of_clients_does_not_start_and_no_key_is_shown(tmp_path: Path) -> None:
    secret: dict[str, Any] = private_jwk("first")
    with pytest.raises(SettingsError, match=r"clients\[1\]\.jku is missing") as said:
        by_token(tmp_path, given(secret), {"issuer": "urn:x"})
    assert secret["d"] not in str(said.value) and secret["x"] not in str(said.value)


@pytest.mark.parametrize("bind", ["192.0.2.1:8000", "[::]:8000", "localhost:8000", ":8000"])
def test_behind_a_proxy_only_this_host_may_reach_the_service(bind: str) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        require_local_bind(read_settings({"CDS_AUTH": "proxy"}), bind)


def test_behind_a_proxy_an_open_address_does_not_start(tmp_path: Path) -> None:
    assert "loopback" in refused(tmp_path, "--bind", "0.0.0.0:0", CDS_TODAY="", CDS_AUTH="proxy")
