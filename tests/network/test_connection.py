"""Connections to pinned addresses: names are resolved once, certificates checked by name, time and size bounded."""

from __future__ import annotations

import datetime
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cds_service.network.circuit import Circuit
from cds_service.network.connection import Connection, Deadline, Limit, Reason, UnansweredError, _unpacked
from cds_service.network.fetch import Answer, FhirAccess, Limits, Question
from cds_service.network.places import Place
from cds_service.network.servers import FhirServer, read_servers
from tests.network.fhir_server import TestFhirServer, bomb, fhir_serving

NAME = "fhir.hospital.example"
PATIENT = {"resourceType": "Patient", "id": "p1"}
QUESTION = Question("patient", "Patient/p1", kind="Patient")
QUICK = Limits(deadline=2)


@pytest.fixture
def fhir() -> Iterator[TestFhirServer]:
    with fhir_serving() as running:
        running.records = [PATIENT]
        yield running


def named(fhir: TestFhirServer, host: str = "localhost") -> FhirServer:
    (server,) = read_servers(f"{fhir.scheme}://{host}:{fhir.port}/fhir")
    return server


def ask(access: FhirAccess, question: Question = QUESTION) -> Answer:
    (answer,) = access.ask(access.servers[0], [question], "a-token-5e2b")
    return answer


# ---------------------------------------------------------------- names


def test_a_name_is_resolved_once_for_all_questions_of_a_call(
    fhir: TestFhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved: list[str] = []
    connected: set[str] = set()
    system = socket.getaddrinfo

    def watched(host: Any, *more: Any, **others: Any) -> Any:
        connected.add(str(host))
        return system(host, *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", watched)

    def rebinding(host: str, port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"] if len(resolved) == 1 else ["10.255.255.1"]

    access = FhirAccess([named(fhir)], QUICK, rebinding)
    answers = access.ask(access.servers[0], [QUESTION] * 5)
    assert resolved == ["localhost"]
    assert connected == {"127.0.0.1"}  # the name itself is asked for by nobody else
    assert [bool(answer.pages) for answer in answers] == [True] * 5
    assert {asked.headers["host"] for asked in fhir.asked} == {f"localhost:{fhir.port}"}


def test_what_the_name_resolves_to_later_is_checked_again(fhir: TestFhirServer) -> None:
    turns = iter([["127.0.0.1"], ["10.255.255.1"]])
    access = FhirAccess([named(fhir)], QUICK, lambda host, port: next(turns))
    assert ask(access).pages
    assert ask(access).unanswered is Reason.ADDRESS


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["169.254.169.254"], ["::1"]])
@pytest.mark.parametrize("word", ["", " private"])
def test_a_public_name_reaches_no_machine_of_ours(fhir: TestFhirServer, addresses: list[str], word: str) -> None:
    servers = read_servers(f"http://{NAME}:{fhir.port}/fhir{word}")
    answer = ask(FhirAccess(servers, QUICK, lambda host, port: addresses))
    assert (answer.unanswered, fhir.asked) == (Reason.ADDRESS, [])


def test_the_second_address_is_tried_when_the_first_does_not_answer(fhir: TestFhirServer) -> None:
    access = FhirAccess([named(fhir)], QUICK, lambda host, port: ["127.0.0.99", "127.0.0.1"])
    assert ask(access).pages


def test_a_resolver_that_hangs_does_not_outlast_the_deadline(fhir: TestFhirServer) -> None:
    release = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        release.wait(10)
        return ["127.0.0.1"]

    before = time.monotonic()
    answer = ask(FhirAccess([named(fhir)], Limits(deadline=0.3), hanging))
    took = time.monotonic() - before
    release.set()
    assert answer.unanswered is Reason.TIMED_OUT
    assert took < 1.5


def test_proxies_of_the_environment_are_not_used(fhir: TestFhirServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with fhir_serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert ask(FhirAccess([named(fhir)], QUICK)).pages
        assert proxy.asked == []


def test_a_question_to_another_origin_is_never_sent(fhir: TestFhirServer) -> None:
    """The last gate in front of the token, should every other one fail."""
    with (
        Connection(named(fhir), ("127.0.0.1",), "a", None, Deadline.after(2), 1000, 1000) as connection,
        pytest.raises(UnansweredError) as refused,
    ):
        connection.get(Place("http", "evil.example", fhir.port, "/fhir"))
    assert refused.value.reason is Reason.NEXT_ELSEWHERE
    assert fhir.asked == []


def test_no_repr_shows_the_token(fhir: TestFhirServer) -> None:
    access = FhirAccess([named(fhir)], QUICK)
    answer = ask(access)
    assert fhir.tokens == {"Bearer a-token-5e2b"}
    assert "a-token-5e2b" not in repr(answer) + repr(access) + repr(vars(access))


# ---------------------------------------------------------------- certificates


def certificate(folder: Path, name: str) -> Path:
    """A certificate for one name, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.mark.parametrize(
    ("certified", "trusted", "outcome"),
    [("localhost", True, None), (NAME, True, Reason.CONNECTION), ("localhost", False, Reason.CONNECTION)],
    ids=["right name", "another name", "unknown authority"],
)
def test_the_certificate_is_checked_by_name(
    tmp_path: Path, certified: str, trusted: bool, outcome: Reason | None
) -> None:
    file = certificate(tmp_path, certified)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    shown: list[str | None] = []
    context.sni_callback = lambda connection, name, context: shown.append(name)
    ours = ssl.create_default_context(cafile=str(file) if trusted else None)
    with fhir_serving(context) as fhir:
        fhir.records = [PATIENT]
        # Connected by address, so a check against the address would fail for the right name.
        answer = ask(FhirAccess([named(fhir)], QUICK, lambda host, port: ["127.0.0.1"], context=ours))
        assert answer.unanswered is outcome
        assert shown == ["localhost"]
        assert bool(fhir.asked) is (outcome is None)


# ---------------------------------------------------------------- size


def test_a_bomb_is_unpacked_in_small_parts() -> None:
    parts = []
    for part in _unpacked([bomb()], "gzip", 1 << 20):
        parts.append(len(part))
        if sum(parts) > 5 << 20:
            break
    assert max(parts) <= 1 << 20


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
@pytest.mark.parametrize("cut", [1, 1000, 1 << 16])
def test_what_was_packed_comes_out_again(size: int, cut: int) -> None:
    body = bytes(i * 7 % 251 for i in range(size % 5000)) * (size // 5000 or 1)
    packed = gzip.compress(body)
    parts = [packed[i : i + cut] for i in range(0, len(packed), cut)]
    assert b"".join(_unpacked(parts, "gzip", 1 << 20)) == body


@pytest.mark.parametrize(
    "packed", [b"nothing packed", gzip.compress(b"x" * 100)[:-9], b""], ids=["plain", "cut", "empty"]
)
def test_what_is_not_packed_well_is_not_fhir(packed: bytes) -> None:
    with pytest.raises(UnansweredError) as refused:
        list(_unpacked([packed], "gzip", 1000))
    assert refused.value.reason is Reason.NOT_FHIR


def test_all_answers_of_a_call_are_bounded_together() -> None:
    limit = Limit(100)
    limit.take(60)
    with pytest.raises(UnansweredError) as refused:
        limit.take(60)
    assert refused.value.reason is Reason.TOO_LARGE


def test_resources_beyond_the_most_of_one_call_are_left_away_in_the_order_of_the_questions(
    fhir: TestFhirServer,
) -> None:
    fhir.records = [
        {"resourceType": kind, "id": f"{kind}{i}", "subject": {"reference": "Patient/p1"}}
        for kind in ("Condition", "Procedure")
        for i in range(6)
    ]
    access = FhirAccess([named(fhir)], Limits(deadline=2, resources=8))
    questions = [Question("conditions", "Condition?patient=p1"), Question("procedures", "Procedure?patient=p1")]
    first, second = access.ask(access.servers[0], questions)
    assert (len(first.pages[0]["entry"]), first.shortfall) == (6, "")
    assert (len(second.pages[0]["entry"]), second.shortfall) == (2, "stopped after 8 resources")


# ---------------------------------------------------------------- a server that keeps failing


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_five_failures_a_server_is_left_alone_until_one_call_may_try() -> None:
    clock = Clock()
    circuit = Circuit(clock=clock)
    for _ in range(5):
        assert circuit.may_ask("a")
        circuit.failed("a")
    assert not circuit.may_ask("a")
    assert circuit.may_ask("b")
    clock.now += 29.9
    assert not circuit.may_ask("a")
    clock.now += 0.2
    assert [circuit.may_ask("a") for _ in range(3)] == [True, False, False]
    circuit.failed("a")
    clock.now += 29.9
    assert not circuit.may_ask("a")
    clock.now += 0.2
    assert circuit.may_ask("a")
    circuit.answered("a")
    assert [circuit.may_ask("a") for _ in range(3)] == [True] * 3


def test_an_answer_in_between_begins_the_count_anew() -> None:
    circuit = Circuit()
    for outcome in [circuit.failed] * 4 + [circuit.answered] + [circuit.failed] * 4:
        outcome("a")
    assert circuit.may_ask("a")


def test_many_threads_lose_no_failure() -> None:
    circuit = Circuit(most=4000)
    threads = [threading.Thread(target=lambda: [circuit.failed("a") for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not circuit.may_ask("a")


@pytest.mark.parametrize(
    ("wrong", "counts"), [("500", False), ("hang up", True), ("slow", True), ("401", False), ("html", False)]
)
def test_only_failures_of_the_server_itself_count(fhir: TestFhirServer, wrong: str, counts: bool) -> None:
    fhir.misbehave["*"] = wrong
    access = FhirAccess([named(fhir)], Limits(deadline=0.3))
    for _ in range(5):
        ask(access)
    fhir.misbehave.clear()
    assert (ask(access).unanswered is Reason.LEFT_ALONE) is counts


def test_a_server_that_recovers_is_asked_again_after_the_pause(fhir: TestFhirServer) -> None:
    clock = Clock()
    access = FhirAccess([named(fhir)], QUICK, clock=clock)
    fhir.misbehave["*"] = "hang up"
    for _ in range(6):
        ask(access)
    fhir.behave()
    assert ask(access).unanswered is Reason.LEFT_ALONE
    assert fhir.asked == []
    clock.now += 31
    assert [bool(ask(access).pages) for _ in range(2)] == [True, True]


def test_nobody_listening_is_a_failed_connection() -> None:
    with fhir_serving() as gone:
        server: Any = named(gone, "127.0.0.1")
    assert ask(FhirAccess([server], QUICK)).unanswered is Reason.CONNECTION
