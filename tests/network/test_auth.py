"""Tokens: what an honest client sends is let in; everything else gets one and the same 401."""

from __future__ import annotations

import hmac
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cds_service import fhir
from cds_service.web.tokens import LEEWAY_SECONDS, MOST_CHARACTERS
from tests.conftest import FIXTURES
from tests.network.applications import SERVICE, application, by_token, given
from tests.network.signing import (
    CALLED,
    DISCOVERY,
    ISSUER,
    PUBLIC_URL,
    Draft,
    bearer,
    coded,
    good,
    private_key,
    public_jwk,
    usual_claims,
)

BODY = (FIXTURES / "requests" / "low-potassium.json").read_bytes()
JKU = "https://keys.example.org/jwks.json"
KEYS = (public_jwk("first"), public_jwk("rsa", "RSA"), public_jwk("p521", "P-521"), public_jwk("ed", "Ed25519"))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    clients = (
        given(*KEYS),
        given(issuer="https://many.example.org", tenants=["north", "south"]),
        given(issuer="https://names-jku.example.org", jku=JKU),
    )
    return by_token(tmp_path_factory.mktemp("auth"), *clients).test_client()


def now() -> int:
    """Asked when a test runs: what was written at collection may have expired by then."""
    return int(time.time())


def ask(client: Any, headers: dict[str, str] | list[tuple[str, str]], path: str = SERVICE) -> Any:
    return client.post(path, data=BODY, content_type="application/json", headers=headers)


def reason(caplog: pytest.LogCaptureFixture) -> str:
    """The word in the log for the one request that was refused."""
    written = [getattr(r, "fields", {}) for r in caplog.records]
    words = [line["auth"] for line in written if line.get("status") == 401]
    assert len(words) == 1, caplog.text
    return words[0]


# ---------------------------------------------------------------- who is let in


def test_an_honest_client_is_answered(client: Any) -> None:
    response = ask(client, good())
    assert response.status_code == 200
    assert "services" in client.get("/cds-services", headers=good(aud=DISCOVERY)).get_json()


@pytest.mark.parametrize(
    "draft",
    [
        pytest.param(lambda: Draft(usual_claims(aud=[CALLED])), id="audience in a list of one"),
        pytest.param(lambda: Draft(usual_claims(sub="anybody", azp="more")), id="claims we do not know"),
        pytest.param(
            lambda: Draft(usual_claims(iat=now() - 200, exp=now() + 100, nbf=now() - 200)), id="valid since a while"
        ),
        pytest.param(lambda: Draft(usual_claims(iat=now() + 10, exp=now() + 200)), id="a clock ten seconds ahead"),
        pytest.param(
            lambda: Draft(usual_claims(iat=now() - 300.5, exp=now() - 5.25)), id="a clock five seconds behind, in parts"
        ),
        pytest.param(lambda: Draft(header={"kid": "rsa"}, key=private_key("rsa", "RSA"), algorithm="RS384"), id="RSA"),
        pytest.param(lambda: Draft(header={"x5t": "abc"}), id="the hash of a certificate"),
        pytest.param(lambda: Draft(usual_claims(iss="https://many.example.org", tenant="south")), id="a listed tenant"),
        pytest.param(
            lambda: Draft(usual_claims(iss="https://names-jku.example.org"), header={"jku": JKU}),
            id="the listed jku, keys given",
        ),
    ],
)
def test_what_the_specification_allows_is_let_in(client: Any, draft: Callable[[], Draft]) -> None:
    assert ask(client, bearer(draft().text())).status_code == 200


@pytest.mark.parametrize(
    ("algorithm", "kind", "kid"),
    [("ES512", "P-521", "p521"), ("EdDSA", "Ed25519", "ed"), ("PS384", "RSA", "rsa"), ("RS512", "RSA", "rsa")],
)
def test_other_algorithms_are_a_decision_of_the_site(
    client: Any, tmp_path: Path, algorithm: str, kind: str, kid: str
) -> None:
    def draft() -> dict[str, str]:
        return bearer(Draft(header={"kid": kid}, key=private_key(kid, kind), algorithm=algorithm).text())

    assert ask(client, draft()).status_code == 401
    wider = by_token(tmp_path, given(*KEYS), CDS_JWT_ALGORITHMS=algorithm).test_client()
    assert ask(wider, draft()).status_code == 200
    assert ask(wider, good()).status_code == 401


@pytest.mark.parametrize(("seconds", "status"), [(900, 200), (901, 401)])
def test_how_long_tokens_live_is_a_decision_of_the_site(tmp_path: Path, seconds: int, status: int) -> None:
    patient = by_token(tmp_path, given(*KEYS), CDS_JWT_SECONDS="900").test_client()
    assert ask(patient, bearer(_claims(iat=now(), exp=now() + seconds))).status_code == status


@pytest.mark.parametrize(
    ("path", "audience", "status"),
    [
        (SERVICE, CALLED, 200),
        (SERVICE, f"{CALLED}/", 401),
        (f"{SERVICE}/", CALLED, 200),
        (f"{SERVICE}/", f"{CALLED}/", 200),
        (f"{SERVICE}/", f"{CALLED}//", 401),
        (SERVICE, DISCOVERY, 401),
        (f"{SERVICE}/feedback", CALLED, 401),
        (f"{SERVICE}/feedback", f"{CALLED}/feedback", 404),
        ("/cds-services/another", f"{DISCOVERY}/another", 404),
        ("/nowhere", f"{PUBLIC_URL}/nowhere", 404),
    ],
)
def test_the_audience_is_the_address_that_is_called(client: Any, path: str, audience: str, status: int) -> None:
    answered = ask(client, good(aud=audience), path).status_code
    # Where feedback is taken, the same token reaches it.
    assert answered in ((status, 400) if path.endswith("feedback") and status == 404 else (status,))


def test_the_host_header_says_nothing_about_the_audience(client: Any) -> None:
    headers = good(aud=f"https://evil.example.org{SERVICE}") | {
        "Host": "evil.example.org",
        "X-Forwarded-Proto": "https",
    }
    assert ask(client, headers).status_code == 401
    assert ask(client, good() | {"Host": "evil.example.org"}).status_code == 200


# ---------------------------------------------------------------- who is not


def _hs256_with_the_public_key() -> str:
    pem = private_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "typ": "JWT", "kid": "first"}
    signed = f"{coded(json.dumps(header).encode())}.{coded(json.dumps(usual_claims()).encode())}"
    return f"{signed}.{coded(hmac.digest(pem, signed.encode(), 'sha256'))}"


def _resigned(**header: Any) -> str:
    """Signed by a stranger's key, which the token itself brings along."""
    return Draft(header=header, key=private_key("stranger")).text()


def _changed(part: int, change: Callable[[str], str]) -> str:
    parts = Draft().text().split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


def _claims(**changes: Any) -> str:
    return Draft(usual_claims(**changes)).text()


def _twice(name: str, value: Any) -> str:
    text = json.dumps(usual_claims())
    return Draft(raw_claims=f"{text[:-1]}, {json.dumps(name)}: {json.dumps(value)}}}".encode()).text()


@dataclass(frozen=True)
class Attack:
    """What is sent as a token, and the word in the log."""

    name: str
    token: Callable[[], str]
    reason: str


MANY = "https://many.example.org"
ATTACKS = [
    Attack("alg none", lambda: _changed(0, lambda _: coded(b'{"alg":"none","typ":"JWT","kid":"first"}')), "algorithm"),
    Attack("alg None in capitals", lambda: Draft(header={"alg": "NONE"}).text(), "algorithm"),
    Attack("alg missing", lambda: Draft(header={"alg": None}).text(), "algorithm"),
    Attack("alg a list", lambda: Draft(header={"alg": ["ES384"]}).text(), "algorithm"),
    Attack("no signature", lambda: Draft().text().rpartition(".")[0] + ".", "malformed"),
    Attack("HS256 with the public key as secret", _hs256_with_the_public_key, "algorithm"),
    Attack(
        "RS256 is not listed",
        lambda: Draft(header={"kid": "rsa"}, key=private_key("rsa", "RSA"), algorithm="RS256").text(),
        "algorithm",
    ),
    Attack(
        "RS384 names an EC key",
        lambda: Draft(header={"kid": "first"}, key=private_key("rsa", "RSA"), algorithm="RS384").text(),
        "algorithm",
    ),
    Attack("ES384 names an RSA key", lambda: Draft(header={"kid": "rsa"}).text(), "algorithm"),
    Attack("ES384 names a P-521 key", lambda: Draft(header={"kid": "p521"}).text(), "algorithm"),
    Attack("typ missing", lambda: Draft(header={"typ": None}).text(), "header"),
    Attack("typ of another token", lambda: Draft(header={"typ": "at+jwt"}).text(), "header"),
    Attack("crit", lambda: Draft(header={"crit": ["exp"], "exp": 1}).text(), "header"),
    Attack("crit empty", lambda: Draft(header={"crit": []}).text(), "header"),
    Attack("b64 false", lambda: Draft(header={"b64": False, "crit": ["b64"]}).text(), "header"),
    Attack("jwk embedded", lambda: _resigned(jwk=public_jwk("stranger")), "header"),
    Attack("x5u", lambda: _resigned(x5u="https://evil.example.org/cert.pem"), "header"),
    Attack("x5c", lambda: _resigned(x5c=["MIIB"]), "header"),
    Attack("jku elsewhere", lambda: _resigned(jku="https://evil.example.org/jwks.json"), "jku"),
    Attack("jku for a client that named none", lambda: Draft(header={"jku": JKU}).text(), "jku"),
    Attack("jku empty", lambda: Draft(header={"jku": ""}).text(), "jku"),
    Attack(
        "jku with an ending",
        lambda: Draft(usual_claims(iss="https://names-jku.example.org"), header={"jku": f"{JKU}?x"}).text(),
        "jku",
    ),
    Attack("kid unknown", lambda: Draft(header={"kid": "second"}).text(), "key"),
    Attack("kid missing", lambda: Draft(header={"kid": None}).text(), "malformed"),
    Attack("kid a number", lambda: Draft(header={"kid": 1}).text(), "malformed"),
    Attack("kid a path", lambda: Draft(header={"kid": "../../../../dev/null"}).text(), "key"),
    Attack("kid an address", lambda: Draft(header={"kid": "https://evil.example.org/first"}).text(), "key"),
    Attack("kid with SQL", lambda: Draft(header={"kid": "first' OR '1'='1"}).text(), "key"),
    Attack("kid with a NUL", lambda: Draft(header={"kid": "first\0"}).text(), "malformed"),
    Attack("kid very long", lambda: Draft(header={"kid": "k" * 257}).text(), "malformed"),
    Attack("signed by a stranger", lambda: _resigned(), "signature"),
    Attack("claims changed", lambda: _changed(1, lambda _: coded(json.dumps(usual_claims()).encode())), "signature"),
    Attack("signature of zeros", lambda: _changed(2, lambda _: coded(bytes(96))), "signature"),
    Attack("signature too short", lambda: _changed(2, lambda _: coded(b"x")), "signature"),
    Attack("another issuer", lambda: _claims(iss="https://evil.example.org"), "issuer"),
    Attack("issuer with a slash", lambda: _claims(iss=f"{ISSUER}/"), "issuer"),
    Attack("issuer missing", lambda: _claims(iss=None), "malformed"),
    Attack("issuer a list", lambda: _claims(iss=[ISSUER]), "malformed"),
    Attack("another audience", lambda: _claims(aud="https://cds.example.org/other/cds-services"), "audience"),
    Attack("the path alone", lambda: _claims(aud=SERVICE), "audience"),
    Attack("audience in http", lambda: _claims(aud=CALLED.replace("https", "http")), "audience"),
    Attack("audience in capitals", lambda: _claims(aud=CALLED.upper()), "audience"),
    Attack("audience with a query", lambda: _claims(aud=f"{CALLED}?a=b"), "audience"),
    Attack("two audiences", lambda: _claims(aud=[CALLED, "https://other.example.org"]), "audience"),
    Attack("no audience in the list", lambda: _claims(aud=[]), "audience"),
    Attack("audience missing", lambda: _claims(aud=None), "audience"),
    Attack("expired", lambda: _claims(iat=now() - 400, exp=now() - 100), "expired"),
    Attack("expired just now", lambda: _claims(iat=now() - 300, exp=time.time() - LEEWAY_SECONDS), "expired"),
    Attack("issued in the future", lambda: _claims(iat=time.time() + 60, exp=time.time() + 200), "not-yet"),
    Attack("issued in the future and valid before", lambda: _claims(iat=time.time() + 60, nbf=now() - 10), "not-yet"),
    Attack("not valid yet", lambda: _claims(nbf=time.time() + 60), "not-yet"),
    Attack("nbf a text", lambda: _claims(nbf="soon"), "malformed"),
    Attack("valid for too long", lambda: _claims(iat=now(), exp=now() + 301), "lifetime"),
    Attack("valid for ever", lambda: _claims(exp=2**39), "lifetime"),
    Attack("expires before it begins", lambda: _claims(iat=time.time() + 20, exp=time.time() + 10), "lifetime"),
    Attack("exp missing", lambda: _claims(exp=None), "malformed"),
    Attack("exp a text", lambda: _claims(exp=str(now() + 100)), "malformed"),
    Attack("exp true", lambda: _claims(exp=True), "malformed"),
    Attack("exp negative", lambda: _claims(exp=-1), "malformed"),
    Attack("exp beyond all numbers", lambda: Draft(raw_claims=b'{"iss":"' + ISSUER.encode() + b'","aud":"'
           + CALLED.encode() + b'","iat":1,"jti":"a","exp":1e999}').text(), "malformed"),
    Attack("exp not a number", lambda: _claims(exp=float("nan")), "malformed"),
    Attack("iat missing", lambda: _claims(iat=None), "malformed"),
    Attack("iat null", lambda: Draft(usual_claims() | {"iat": None}).text(), "malformed"),
    Attack("jti missing", lambda: _claims(jti=None), "malformed"),
    Attack("jti empty", lambda: _claims(jti=""), "malformed"),
    Attack("jti a number", lambda: _claims(jti=7), "malformed"),
    Attack("jti very long", lambda: _claims(jti="j" * 257), "malformed"),
    Attack("jti half a character", lambda: _claims(jti="\ud800"), "malformed"),
    Attack("a tenant of nobody", lambda: _claims(tenant="north"), "tenant"),
    Attack("a tenant that is not listed", lambda: _claims(iss=MANY, tenant="west"), "tenant"),
    Attack("tenant missing", lambda: _claims(iss=MANY), "tenant"),
    Attack("tenant a list", lambda: _claims(iss=MANY, tenant=["north"]), "tenant"),
    Attack("tenant null", lambda: Draft(usual_claims() | {"tenant": None}).text(), "tenant"),
    Attack("oversized", lambda: _claims(filler="x" * MOST_CHARACTERS), "oversized"),
    Attack("a member twice in the claims", lambda: _twice("iss", ISSUER), "malformed"),
    Attack("a member twice, deeper", lambda: Draft(raw_claims=b'{"a":{"b":1,"b":2}}').text(), "malformed"),
    Attack("a member twice in the header", lambda: Draft(
        raw_header=b'{"alg":"none","alg":"ES384","typ":"JWT","kid":"first"}').text(), "malformed"),
    Attack("a long number", lambda: Draft(raw_claims=b'{"exp":' + b"9" * 5000 + b"}").text(), "malformed"),
    Attack("nested deeply", lambda: Draft(raw_claims=b"[" * 5000).text(), "malformed"),
    Attack("claims a list", lambda: Draft(raw_claims=b"[]").text(), "malformed"),
    Attack("claims no UTF-8", lambda: Draft(raw_claims=b'{"iss":"\xff"}').text(), "malformed"),
    Attack("header no JSON", lambda: Draft(raw_header=b"{").text(), "malformed"),
    Attack("garbage", lambda: "garbage", "malformed"),
    Attack("two dots", lambda: "..", "malformed"),
    Attack("three dots", lambda: "a.b.c.d", "malformed"),
    Attack("five parts, as of an encrypted token", lambda: Draft().text() + ".a.b", "malformed"),
    Attack("a space inside", lambda: Draft().text().replace(".", ". ", 1), "malformed"),
    Attack("padding", lambda: _changed(0, lambda part: part + "="), "malformed"),
    Attack("a part of impossible length", lambda: _changed(0, lambda part: part[:4] + "a"), "malformed"),
    Attack("letters of another alphabet", lambda: "\u00e9.\u00e9.\u00e9", "malformed"),
]  # fmt: skip


def _the_answer(response: Any) -> tuple[int, bytes, str]:
    return response.status_code, response.data, response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("attack", [pytest.param(attack, id=attack.name) for attack in ATTACKS])
def test_an_attack_is_refused_like_any_other(client: Any, caplog: pytest.LogCaptureFixture, attack: Attack) -> None:
    without = _the_answer(ask(client, {}))
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    token = attack.token()
    response = ask(client, bearer(token))
    assert _the_answer(response) == without
    assert (response.status_code, without[2]) == (401, "Bearer")
    assert reason(caplog) == attack.reason
    assert not any(part in caplog.text for part in token.split(".") if len(part) > 8)
    assert ISSUER not in caplog.text


def test_the_answer_is_a_valid_operation_outcome_that_says_nothing(client: Any) -> None:
    body = ask(client, {}).get_json()
    assert fhir.faults(body) == []
    assert [issue["code"] for issue in body["issue"]] == ["login"]
    assert ask(client, {}, "/nowhere").data == client.get("/cds-services").data == ask(client, {}).data


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ([], "missing"),
        ([("Authorization", "")], "missing"),
        ([("Authorization", "Bearer")], "malformed"),
        ([("Authorization", "Bearer ")], "malformed"),
        ([("Authorization", "Basic eDp5")], "malformed"),
        ([("Authorization", "TOKEN")], "malformed"),
        ([("Authorization", "Bearer TOKEN"), ("Authorization", "Bearer TOKEN")], "malformed"),
        ([("Authorization", "Bearer TOKEN"), ("Authorization", "Basic eDp5")], "malformed"),
        ([("Authorization", "Bearer TOKEN, Bearer TOKEN")], "malformed"),
    ],
)
def test_the_header_bears_one_bearer_token(
    client: Any, caplog: pytest.LogCaptureFixture, headers: list[tuple[str, str]], word: str
) -> None:
    caplog.set_level(logging.DEBUG)
    token = Draft().text()
    assert ask(client, [(name, value.replace("TOKEN", token)) for name, value in headers]).status_code == 401
    assert reason(caplog) == word
    assert token not in caplog.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_written_as_one_likes(client: Any, scheme: str) -> None:
    assert ask(client, {"Authorization": f"{scheme} {Draft().text()}"}).status_code == 200


# ---------------------------------------------------------------- used before


def test_a_token_is_used_once(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    headers = good()
    assert ask(client, headers).status_code == 200
    caplog.set_level(logging.DEBUG)
    assert ask(client, headers).status_code == 401
    assert reason(caplog) == "replay"


def test_a_new_token_with_a_used_name_is_a_replay_and_another_clients_is_not(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(client, good(jti="the-same-name")).status_code == 200
    caplog.set_level(logging.DEBUG)
    assert ask(client, good(jti="the-same-name", iat=now() - 5, exp=now() + 90)).status_code == 401
    assert reason(caplog) == "replay"
    assert ask(client, good(jti="the-same-name", iss=MANY, tenant="north")).status_code == 200
    assert ask(client, good(jti="the-same-name", iss=MANY, tenant="south")).status_code == 401


class Recording:
    """A store that writes down what it is asked, or is not to be reached."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.seen: list[tuple[bytes, int]] = []
        self.failure = failure

    def first_use(self, token: bytes, expires: int) -> bool:
        self.seen.append((token, expires))
        if self.failure:
            raise self.failure
        return True


@pytest.mark.parametrize("attack", [pytest.param(attack, id=attack.name) for attack in ATTACKS])
def test_only_a_valid_token_is_remembered(recording: tuple[Any, Recording], attack: Attack) -> None:
    asked, store = recording
    assert ask(asked, bearer(attack.token())).status_code == 401
    assert store.seen == []


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Recording]:
    store = Recording()
    clients = (
        given(*KEYS),
        given(issuer=MANY, tenants=["north"]),
        given(issuer="https://names-jku.example.org", jku=JKU),
    )
    return by_token(tmp_path_factory.mktemp("recording"), *clients, replays=store).test_client(), store


def test_a_token_is_remembered_as_a_hash_until_nobody_would_accept_it(tmp_path: Path) -> None:
    store = Recording()
    expires = now() + 250
    assert ask(by_token(tmp_path, replays=store).test_client(), good(exp=expires, jti="secret-name")).status_code == 200
    ((token, until),) = store.seen
    assert (len(token), until) == (32, expires + LEEWAY_SECONDS)
    assert b"secret-name" not in token


@pytest.mark.parametrize("failure", [OSError("disk full at /secret"), RuntimeError("patient"), TimeoutError()])
def test_nobody_is_let_through_while_the_store_is_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    caplog.set_level(logging.DEBUG)
    response = ask(by_token(tmp_path, replays=Recording(failure)).test_client(), good())
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert fhir.faults(response.get_json()) == []
    [written] = [r.fields for r in caplog.records if r.levelname == "ERROR"]  # type: ignore[attr-defined]
    assert written == {"kind": type(failure).__name__}
    assert "secret" not in caplog.text + response.get_data(as_text=True)


# ---------------------------------------------------------------- before and after authentication


@pytest.mark.parametrize("path", ["/cds-services", SERVICE, f"{SERVICE}/"])
def test_options_is_answered_before_authentication(client: Any, path: str) -> None:
    response = client.options(path, headers={"Origin": "https://ehr.example.org"})
    assert (response.status_code, response.data) == (200, b"")


def test_a_body_is_not_read_before_the_caller_is_known(client: Any) -> None:
    assert client.post(SERVICE, data=b"no json", content_type="text/plain").status_code == 401


def test_cards_are_bound_to_the_client_and_its_tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    hooks: Any = sys.modules["cds_service.web.hooks"]
    write = hooks.write_cards

    def spy(assessment: Any, recipient: Any, issuer: Any, codes: Any) -> Any:
        seen.append(issuer.tenant)
        return write(assessment, recipient, issuer, codes)

    monkeypatch.setattr(hooks, "write_cards", spy)
    client = by_token(tmp_path, given(), given(issuer=MANY, tenants=["north", "south"])).test_client()
    for claims in ({}, {"iss": MANY, "tenant": "north"}, {"iss": MANY, "tenant": "south"}):
        assert ask(client, good(**claims)).status_code == 200
    assert ask(application().test_client(), {}).status_code == 200
    assert seen == [f"{ISSUER}\x1f", f"{MANY}\x1fnorth", f"{MANY}\x1fsouth", ""]


# ---------------------------------------------------------------- the other modes


def test_off_is_loud_and_ignores_what_clients_send(caplog: pytest.LogCaptureFixture) -> None:
    client = application().test_client()
    assert [r.levelname for r in caplog.records if "authentication is off" in r.getMessage()] == ["WARNING"]
    for headers in ({}, good(), {"Authorization": "Bearer nonsense"}, {"X-Client-Verified-Subject": "CN=ehr"}):
        assert ask(client, headers).status_code == 200


SUBJECT = "X-Client-Verified-Subject"


@pytest.mark.parametrize(
    ("headers", "peer", "word"),
    [
        ({SUBJECT: "CN=ehr,O=Clinic"}, "127.0.0.1", ""),
        ({SUBJECT: "CN=ehr", "Authorization": "Bearer nonsense"}, "::1", ""),
        ({SUBJECT: "CN=ehr"}, "::ffff:127.0.0.1", ""),
        ({SUBJECT: "CN=ehr"}, "", ""),
        ({}, "127.0.0.1", "missing"),
        ({SUBJECT: "  "}, "127.0.0.1", "missing"),
        ({SUBJECT: "CN=\x7f"}, "127.0.0.1", "malformed"),
        ({SUBJECT: "C" * 1025}, "127.0.0.1", "malformed"),
        ({"X-Client-Subject": "CN=ehr"}, "127.0.0.1", "missing"),
        ({SUBJECT: "CN=ehr"}, "192.0.2.1", "peer"),
        ({SUBJECT: "CN=ehr"}, "::ffff:192.0.2.1", "peer"),
        ({SUBJECT: "CN=ehr"}, "localhost", "peer"),
        ({SUBJECT: "CN=ehr", "X-Forwarded-For": "127.0.0.1"}, "192.0.2.1", "peer"),
    ],
)
def test_the_proxy_on_this_host_says_who_calls(
    caplog: pytest.LogCaptureFixture, headers: dict[str, str], peer: str, word: str
) -> None:
    client = application(CDS_AUTH="proxy").test_client()
    caplog.set_level(logging.DEBUG)
    response = client.get("/cds-services", headers=headers, environ_overrides={"REMOTE_ADDR": peer})
    assert response.status_code == (401 if word else 200)
    assert not word or reason(caplog) == word
    assert "CN=" not in caplog.text


def test_the_header_of_the_proxy_is_a_setting() -> None:
    client = application(CDS_AUTH="proxy", CDS_PROXY_HEADER="X-Peer").test_client()
    assert client.get("/cds-services", headers={"X-Peer": "CN=ehr"}).status_code == 200
    assert client.get("/cds-services", headers={SUBJECT: "CN=ehr"}).status_code == 401
