"""deploy/nginx.conf in a real nginx, in front of the real service: only certified clients come through."""

from __future__ import annotations

import datetime
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cds_service import fhir
from tests.conftest import FIXTURES, ROOT
from tests.served import SERVICE, free_port, serving

pytestmark = pytest.mark.apt

BODY = (FIXTURES / "requests" / "low-potassium.json").read_bytes()
SUBJECT = "X-Client-Verified-Subject"


def _nginx() -> str:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which("nginx", path=path)
    assert found, "nginx is needed: apt-get install nginx-light"
    return found


# ---------------------------------------------------------------- certificates


@dataclass(frozen=True)
class Identity:
    """A certificate, its key, and the file that holds both."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    file: Path


def certify(folder: Path, name: str, by: Identity | None = None) -> Identity:
    """A certificate for this name; without an issuer it is an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Clinic"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(by.key if by else key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return Identity(certificate, key, file)


# ---------------------------------------------------------------- a site


@dataclass(frozen=True)
class Site:
    """A proxy with a service behind it."""

    port: int
    service_port: int
    authority: Identity
    client: Identity
    stranger: Identity

    def ask(self, method: str, path: str, body: bytes | None = None, by: Identity | None = None, **headers: str) -> Any:
        context = ssl.create_default_context(cadata=_pem(self.authority))
        if by:
            context.load_cert_chain(by.file)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} | headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


def _pem(identity: Identity) -> str:
    return identity.certificate.public_bytes(serialization.Encoding.PEM).decode()


def _configuration(
    folder: Path, port: int, service_port: int, server: Path, authority: Path, edits: Mapping[str, str] | None = None
) -> Path:
    """Our file as it is delivered, with the addresses and files of this test, run by an ordinary user."""
    delivered = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for old, new in (
        *(edits or {}).items(),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("127.0.0.1:8000", f"127.0.0.1:{service_port}"),
        ("/etc/cds-service/server.pem", str(server)),
        ("/etc/cds-service/server.key", str(server)),
        ("/etc/cds-service/clients-ca.pem", str(authority)),
        ("client_body_timeout 10s", "client_body_timeout 2s"),
    ):
        assert delivered.count(old) == 1 or (edits and "clients-ca" in old), old
        delivered = delivered.replace(old, new)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{ worker_connections 64; }}\nhttp {{\naccess_log off;\n{temporary}{delivered}\n}}\n",
        encoding="utf-8",
    )
    return file


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    nginx, folder, port = _nginx(), tmp_path_factory.mktemp("site"), free_port()
    authority, other = certify(folder, "authority"), certify(folder, "other-authority")
    server, client = certify(folder, "server", authority), certify(folder, "ehr", authority)
    stranger = certify(folder, "stranger", other)
    with serving(folder, CDS_TODAY="", CDS_AUTH="proxy") as served:
        file = _configuration(folder, port, served.port, server.file, authority.file)
        process = subprocess.Popen([nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(file)])
        try:
            _await(port, process, folder / "error.log")
            yield Site(port, served.port, authority, client, stranger)
        finally:
            process.terminate()
            process.wait(10)


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < until, log.read_text(encoding="utf-8")
            time.sleep(0.05)


def test_a_certified_client_is_answered(site: Site) -> None:
    status, headers, raw = site.ask("POST", SERVICE, BODY, site.client)
    assert (status, "cards" in json.loads(raw)) == (200, True)
    assert not re.search(r"\d", headers["Server"])
    assert site.ask("GET", "/cds-services", by=site.client)[0] == 200


def test_health_and_metrics_are_not_for_clients(site: Site) -> None:
    for path in ("/metrics", "/health/live", "/health/ready", "/metrics/", "/%6detrics", "//metrics"):
        assert site.ask("GET", path, by=site.client)[0] in (401, 404), path


def test_nobody_else_reaches_the_service(site: Site) -> None:
    for by in (None, site.stranger):
        status, _, raw = site.ask("GET", "/cds-services", by=by, **{SUBJECT: "CN=ehr,O=Clinic"})
        assert (status, b"services" in raw) == (400, False)


def test_the_subject_that_a_client_claims_is_overwritten(site: Site, tmp_path: Path) -> None:
    """A small service of our own in the place of the real one shows what the proxy passes on."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _proxy(site, tmp_path, listener.getsockname()[1]) as other,
    ):
        seen = _what_is_passed_on(other, listener)
    subjects = [line for line in seen.lower().splitlines() if "subject" in line]
    assert subjects == ["x-client-verified-subject: cn=ehr,o=clinic"]
    assert "forged" not in seen.lower()


@contextmanager
def _proxy(site: Site, folder: Path, service_port: int, edits: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Another proxy, in front of that port. ``edits``: lines of the file that are written otherwise."""
    port = free_port()
    file = _configuration(
        folder, port, service_port, site.authority.file.with_name("server.pem"), site.authority.file, edits
    )
    process = subprocess.Popen([_nginx(), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(file)])
    try:
        _await(port, process, folder / "error.log")
        yield Site(port, service_port, site.authority, site.client, site.stranger)
    finally:
        process.terminate()
        process.wait(10)


def _what_is_passed_on(site: Site, listener: socket.socket, certified: bool = True) -> str:
    names = (SUBJECT, SUBJECT.upper(), SUBJECT.replace("-", "_"))
    forged = dict.fromkeys(names, "CN=forged")
    by = site.client if certified else None
    asking = Thread(target=lambda: site.ask("GET", "/cds-services", by=by, **forged), daemon=True)
    asking.start()
    listener.settimeout(20)
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(20)
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    asking.join(20)
    return seen.decode("latin-1")


def test_the_service_itself_sees_the_certificate_and_not_the_claim(site: Site) -> None:
    # A claim alone would be refused with 401 by a proxy that took the header away and set none.
    assert site.ask("GET", "/cds-services", by=site.client, **{SUBJECT: ""})[0] == 200


def test_a_body_that_never_ends_does_not_reach_the_service(site: Site) -> None:
    context = ssl.create_default_context(cadata=_pem(site.authority))
    context.load_cert_chain(site.client.file)
    with (
        socket.create_connection(("127.0.0.1", site.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as slow,
    ):
        slow.sendall(f"POST {SERVICE} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{{".encode())
        begun = time.monotonic()
        assert site.ask("POST", SERVICE, BODY, site.client)[0] == 200
        answer = slow.recv(100)
    assert answer == b"" or b" 408 " in answer
    assert time.monotonic() - begun < 15


def _is_outcome(headers: Any, raw: bytes, words: str) -> bool:
    body = json.loads(raw)
    assert fhir.faults(body) == []
    assert headers["Content-Type"].split(";")[0] == "application/json"
    return body["resourceType"] == "OperationOutcome" and words in body["issue"][0]["diagnostics"]


def test_a_body_beyond_the_limit_of_the_service_is_refused_by_the_service(site: Site) -> None:
    status, headers, raw = site.ask("POST", SERVICE, b" " * (20 * 1024 * 1024 + 1), site.client)
    assert status == 413
    assert _is_outcome(headers, raw, "CDS_MAX_BODY_MB")


def test_a_body_beyond_the_limit_of_the_proxy_is_refused(site: Site) -> None:
    context = ssl.create_default_context(cadata=_pem(site.authority))
    context.load_cert_chain(site.client.file)
    connection = http.client.HTTPSConnection("127.0.0.1", site.port, timeout=30, context=context)
    connection.putrequest("POST", SERVICE)
    connection.putheader("Content-Length", str(21 * 1024 * 1024 + 1))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert _is_outcome(response.headers, response.read(), "the body is too large")
    connection.close()


@pytest.mark.parametrize("listens", [False, True])
def test_when_the_service_does_not_answer_the_proxy_says_so_in_json(site: Site, tmp_path: Path, listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        behind = listener.getsockname()[1]
        if not listens:
            listener.close()
        edits = {"proxy_read_timeout 30s": "proxy_read_timeout 1s"}
        with _proxy(site, tmp_path, behind, edits) as lonely:
            status, headers, raw = lonely.ask("GET", "/cds-services", by=site.client)
    assert status == (504 if listens else 502)
    assert _is_outcome(headers, raw, "does not answer")


def test_for_tokens_the_lines_that_the_file_names_are_taken_out(site: Site, tmp_path: Path) -> None:
    delivered = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    *named, kept = re.findall(r"take the three lines (\w+), (\w+) and\n# (\w+) out. The line (.+) stays", delivered)[0]
    gone = {line: "" for line in delivered.splitlines() if line.strip().startswith(tuple(named))}
    assert len(gone) == 3 and delivered.count(f"        {kept} ") == 1
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _proxy(site, tmp_path, listener.getsockname()[1], gone) as open_to_all,
    ):
        seen = _what_is_passed_on(open_to_all, listener, certified=False).lower()
    assert "get /cds-services" in seen
    assert "forged" not in seen and "subject" not in seen


def test_an_idle_connection_to_the_service_outlives_what_the_proxy_keeps(site: Site) -> None:
    delivered = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    kept = int(re.findall(r"keepalive_timeout (\d+)s;", delivered)[0])
    connection = http.client.HTTPConnection("127.0.0.1", site.service_port, timeout=30)
    for _ in range(2):
        connection.request("GET", "/cds-services", headers={SUBJECT: "CN=ehr"})
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        assert connection.sock is not None  # it was kept
        opened = connection.sock.fileno()
        time.sleep(kept + 2)  # as long as the proxy keeps it, and the times of both pollers
        connection.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):  # not closed by the service
            connection.sock.recv(1)
        connection.sock.settimeout(30)
        assert connection.sock.fileno() == opened
    connection.close()


def test_calls_after_a_pause_are_answered(site: Site) -> None:
    for pause in (1.9, 2.1, 5.1):
        with ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(site.ask, "GET", "/cds-services", None, site.client) for _ in range(8)]
            assert [one.result()[0] for one in asked] == [200] * 8
        time.sleep(pause)
