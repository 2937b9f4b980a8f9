"""Fetched keys: kept for a while, asked for again when a new kid turns up, and never asked for in a storm."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from cds_service.web import keys
from cds_service.web.caller import Reason, UnauthenticatedError
from cds_service.web.keys import (
    FETCH_SECONDS,
    KEEP_SECONDS,
    MOST_BYTES,
    MOST_FETCHES,
    RETRY_SECONDS,
    STALE_SECONDS,
    FetchedKeys,
    Key,
)
from tests.network.applications import SERVICE, by_token
from tests.network.key_server import KeyServer, key_server
from tests.network.signing import ISSUER, Draft, bearer, private_jwk, private_key, public_jwk


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as running:
        running.publish(public_jwk("first"))
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with much to do answers late; tests of slow servers set a deadline of their own."""
    monkeypatch.setattr(keys, "FETCH_SECONDS", 30.0)


@pytest.fixture
def fetched(server: KeyServer, clock: Clock) -> FetchedKeys:
    return FetchedKeys(server.address, clock=clock)


def refusal(held: FetchedKeys, kid: str) -> Reason:
    with pytest.raises(UnauthenticatedError) as refused:
        held.key(kid)
    return refused.value.reason


# ---------------------------------------------------------------- when the key server is asked


def test_a_key_is_fetched_once_and_kept(server: KeyServer, fetched: FetchedKeys, clock: Clock) -> None:
    assert server.asked == []
    for _ in range(5):
        assert fetched.key("first").kid == "first"
    clock.now += KEEP_SECONDS - 1
    fetched.key("first")
    assert server.asked == ["/jwks.json"]


def test_a_new_kid_is_asked_for(server: KeyServer, fetched: FetchedKeys, clock: Clock) -> None:
    fetched.key("first")
    server.publish(public_jwk("second"))
    clock.now += RETRY_SECONDS
    assert fetched.key("second").kid == "second"
    assert refusal(fetched, "first") is Reason.KEY
    assert len(server.asked) == 2


def test_random_kids_cause_no_storm(server: KeyServer, fetched: FetchedKeys, clock: Clock) -> None:
    for number in range(200):
        assert refusal(fetched, f"random-{number}") is Reason.KEY
    assert len(server.asked) == 1
    clock.now += RETRY_SECONDS
    for number in range(200):
        refusal(fetched, f"random-{number}")
    assert len(server.asked) == 2
    assert fetched.key("first").kid == "first"


def test_many_threads_ask_once(server: KeyServer, fetched: FetchedKeys) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(fetched.key("first").kid)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (found, len(server.asked)) == (["first"] * 20, 1)


def test_a_withdrawn_key_is_believed_for_a_bounded_time(server: KeyServer, fetched: FetchedKeys, clock: Clock) -> None:
    fetched.key("first")
    server.publish()
    clock.now += KEEP_SECONDS + 1
    assert refusal(fetched, "first") is Reason.KEY


def test_keys_outlive_a_silent_key_server_for_a_bounded_time(
    server: KeyServer, fetched: FetchedKeys, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fetched.key("first")
    server.send(b"down", status=500)
    clock.now += STALE_SECONDS - 1
    assert fetched.key("first").kid == "first"
    assert refusal(fetched, "second") is Reason.KEYS_UNAVAILABLE
    assert [vars(r)["fields"]["kind"] for r in caplog.records if r.message == "keys not fetched"] == ["ValueError"]
    assert "127.0.0.1" not in caplog.text
    clock.now += 2
    assert refusal(fetched, "first") is Reason.KEYS_UNAVAILABLE
    server.publish(public_jwk("first"))
    assert refusal(fetched, "first") is Reason.KEYS_UNAVAILABLE
    clock.now += RETRY_SECONDS
    assert fetched.key("first").kid == "first"


def test_a_key_server_that_is_not_there_is_not_asked_again_at_once(clock: Clock) -> None:
    asked = []

    def nobody(address: str) -> bytes:
        asked.append(address)
        raise ConnectionRefusedError

    held = FetchedKeys("https://keys.example.org", nobody, clock)
    for _ in range(50):
        assert refusal(held, "first") is Reason.KEYS_UNAVAILABLE
    assert len(asked) == 1
    clock.now += RETRY_SECONDS
    refusal(held, "first")
    assert len(asked) == 2


def test_nobody_waits_longer_than_said_for_a_fetch_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FETCH_SECONDS", 0.2)
    let_go, asked = threading.Event(), []

    def hang(address: str) -> bytes:
        asked.append(address)
        let_go.wait(20)
        return json.dumps({"keys": [public_jwk("first")]}).encode()

    held = FetchedKeys("https://keys.example.org", hang)
    public_jwk("first")
    begun = time.monotonic()
    for _ in range(10):
        assert refusal(held, "first") is Reason.KEYS_UNAVAILABLE
    assert time.monotonic() - begun < 2
    assert len(asked) == 1
    let_go.set()
    until = time.monotonic() + 10
    while held._held is None and time.monotonic() < until:
        time.sleep(0.01)
    assert held.key("first").kid == "first"


def test_a_fetch_that_hangs_does_not_keep_later_ones_away(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FETCH_SECONDS", 0.0)
    let_go, asked = threading.Event(), []
    whole = json.dumps({"keys": [public_jwk("first")]}).encode()

    def hang_once(address: str) -> bytes:
        asked.append(address)
        if len(asked) == 1:
            let_go.wait(20)
            raise ConnectionResetError
        return whole

    held = FetchedKeys("https://keys.example.org", hang_once, clock)
    assert refusal(held, "first") is Reason.KEYS_UNAVAILABLE
    clock.now += RETRY_SECONDS
    found = _eventually(lambda: held.key("first"))
    assert (found.kid, len(asked)) == ("first", 2)
    let_go.set()
    for thread in held._asking:
        thread.join(10)
    assert refusal(held, "second") is Reason.KEY  # what the old one found out counts no more


def test_fetches_that_hang_are_few(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FETCH_SECONDS", 0.0)
    let_go, asked = threading.Event(), []

    def hang(address: str) -> bytes:
        asked.append(address)
        let_go.wait(20)
        raise ConnectionResetError

    held = FetchedKeys("https://keys.example.org", hang, clock)
    for _ in range(10):
        refusal(held, "first")
        clock.now += RETRY_SECONDS
    assert len(asked) == MOST_FETCHES
    let_go.set()


def _eventually(ask: Callable[[], Key]) -> Key:
    until = time.monotonic() + 10
    while True:
        try:
            return ask()
        except UnauthenticatedError:
            assert time.monotonic() < until
            time.sleep(0.01)


# ---------------------------------------------------------------- what a key server may answer


def _redirect(server: KeyServer) -> None:
    server.send(b"", status=302, Location="https://evil.example.org/jwks.json")


def _compressed(server: KeyServer) -> None:
    server.send(b"\x1f\x8b", Content_Encoding="gzip")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_redirect, id="a redirect"),
        pytest.param(_compressed, id="compressed"),
        pytest.param(lambda s: s.send(b"{}", status=404), id="not found"),
        pytest.param(lambda s: s.send(b"<html>"), id="no JSON"),
        pytest.param(lambda s: s.send(b"[]"), id="a list"),
        pytest.param(lambda s: s.send(b"{}"), id="no keys"),
        pytest.param(lambda s: s.send(b'{"keys": {}}'), id="keys no list"),
        pytest.param(lambda s: s.send(b"[" * 100_000), id="nested deeply"),
        pytest.param(lambda s: s.send(b" " * (MOST_BYTES + 1) + b'{"keys":[]}'), id="too large"),
        pytest.param(lambda s: s.publish(*[public_jwk("first")] * 101), id="too many keys"),
    ],
)
def test_an_answer_that_is_no_key_set_leaves_the_keys_as_they_were(
    server: KeyServer, fetched: FetchedKeys, clock: Clock, spoil: Any
) -> None:
    fetched.key("first")
    spoil(server)
    clock.now += KEEP_SECONDS + 1
    assert fetched.key("first").kid == "first"
    assert refusal(fetched, "second") is Reason.KEYS_UNAVAILABLE
    assert len(server.asked) == 2


def test_a_body_without_end_is_given_up(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FETCH_SECONDS", 0.5)
    sent = []

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            sent.append(1)
            time.sleep(0.05)

    server.answer = drip
    begun = time.monotonic()
    with pytest.raises(ValueError, match="too slow"):
        keys.fetch_keys(server.address)
    assert time.monotonic() - begun < FETCH_SECONDS
    assert 0 < len(sent) < 100


def test_the_environment_names_no_proxy_for_keys(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert b"first" in keys.fetch_keys(server.address)


@pytest.mark.parametrize(
    "unusable",
    [
        pytest.param(lambda: public_jwk("x", "P-256"), id="a weak curve"),
        pytest.param(lambda: public_jwk("x", "small RSA"), id="a short RSA key"),
        pytest.param(lambda: private_jwk("x"), id="a private key"),
        pytest.param(lambda: {"kty": "oct", "kid": "x", "k": "c2VjcmV0"}, id="a shared secret"),
        pytest.param(lambda: public_jwk("x", use="enc"), id="for encryption"),
        pytest.param(lambda: public_jwk("x", key_ops=["sign"]), id="for signing"),
        pytest.param(lambda: public_jwk("x", key_ops="verify"), id="key_ops a text"),
        pytest.param(lambda: public_jwk("x", alg="ES512"), id="an alg that does not fit"),
        pytest.param(lambda: public_jwk("x", "RSA", alg="RS256"), id="an alg nobody accepts"),
        pytest.param(lambda: public_jwk("x", x="AAAA"), id="a point off the curve"),
        pytest.param(lambda: public_jwk("x", x=7), id="a coordinate that is a number"),
        pytest.param(lambda: {"kty": "EC", "crv": "P-384", "kid": "x"}, id="no coordinates"),
        pytest.param(lambda: public_jwk("x", crv=["P-384"]), id="a list of curves"),
        pytest.param(lambda: {"kid": "x"}, id="no kind"),
        pytest.param(lambda: "x", id="a text"),
    ],
)
def test_an_unusable_key_is_passed_over_and_the_others_are_used(
    server: KeyServer, fetched: FetchedKeys, unusable: Any
) -> None:
    server.publish(unusable(), public_jwk("first"), {"kty": "EC"})
    assert fetched.key("first").kid == "first"
    assert refusal(fetched, "x") is Reason.KEY


def test_a_kid_that_two_keys_bear_names_none(server: KeyServer, fetched: FetchedKeys) -> None:
    server.publish(public_jwk("first"), public_jwk("first", "RSA"), public_jwk("second"))
    assert refusal(fetched, "first") is Reason.KEY
    assert fetched.key("second").kid == "second"


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (lambda: public_jwk("x"), {"ES384"}),
        (lambda: public_jwk("x", "P-521"), {"ES512"}),
        (lambda: public_jwk("x", "Ed25519"), {"EdDSA"}),
        (lambda: public_jwk("x", "RSA"), {"RS384", "RS512", "PS384", "PS512"}),
        (lambda: public_jwk("x", "RSA", alg="PS384"), {"PS384"}),
        (lambda: public_jwk("x", use="sig", key_ops=["verify"]), {"ES384"}),
    ],
)
def test_a_key_is_used_with_what_fits_it(jwk: Any, algorithms: set[str]) -> None:
    assert keys.read_key(jwk()).algorithms == algorithms


# ---------------------------------------------------------------- in a call


def ask(client: Any, text: str) -> int:
    return int(client.post(SERVICE, data=b"{}", content_type="application/json", headers=bearer(text)).status_code)


def test_keys_rotate_while_calls_go_on(server: KeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "RETRY_SECONDS", 0)
    client = by_token(tmp_path, {"issuer": ISSUER, "jku": server.address}).test_client()
    assert ask(client, Draft(header={"jku": server.address}).text()) == 400  # known, and the body is no request
    second = Draft(header={"kid": "second"}, key=private_key("second")).text()
    assert ask(client, second) == 401
    server.publish(public_jwk("second"))
    assert ask(client, second) == 400
    assert ask(client, Draft().text()) == 401


def test_a_key_server_that_fails_is_401_and_named_in_the_log(
    server: KeyServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.send(b"", status=503)
    client = by_token(tmp_path, {"issuer": ISSUER, "jku": server.address}).test_client()
    caplog.set_level(logging.DEBUG, "cds_service")
    assert ask(client, Draft().text()) == 401
    assert "keys-unavailable" in [getattr(r, "fields", {}).get("auth") for r in caplog.records]


def test_no_key_is_fetched_for_a_token_that_is_wrong_anyway(server: KeyServer, tmp_path: Path) -> None:
    client = by_token(tmp_path, {"issuer": ISSUER, "jku": server.address}).test_client()
    for header in ({"jku": f"{server.address}?evil"}, {"crit": ["x"]}, {"typ": "at+jwt"}):
        assert ask(client, Draft(header=header).text()) == 401
    for claims in ({"iss": "https://evil.example.org"}, {"aud": "https://evil.example.org"}, {"exp": 1, "iat": 0}, {}):
        assert ask(client, Draft(claims=claims).text()) == 401
    assert server.asked == []


def test_nobody_is_asked_for_keys_that_were_given(server: KeyServer, tmp_path: Path) -> None:
    entry = {"issuer": ISSUER, "keys": [public_jwk("first")], "jku": server.address}
    client = by_token(tmp_path, entry).test_client()
    assert ask(client, Draft(header={"jku": server.address}).text()) == 400
    assert ask(client, Draft(header={"kid": "second"}).text()) == 401
    assert server.asked == []
