"""The file of clients: one that is wrong stops the start, with every fault at once and no key in the message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import SettingsError
from cds_service.web.clients import read_clients
from cds_service.web.keys import FetchedKeys, GivenKeys
from tests.network.signing import private_jwk, public_jwk

GOOD = {"issuer": "https://ehr.example.org", "jku": "https://ehr.example.org/jwks.json"}


def written(folder: Path, content: Any) -> Path:
    file = folder / "clients.yaml"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def faults(folder: Path, *clients: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        read_clients(written(folder, {"clients": list(clients)}))
    return str(refused.value)


def test_keys_are_fetched_or_given_here_or_in_a_file_beside(tmp_path: Path) -> None:
    (tmp_path / "lab.jwks.json").write_text(json.dumps({"keys": [public_jwk("lab")]}), encoding="utf-8")
    clients = read_clients(
        written(
            tmp_path,
            f"""
            # a comment, as an operator would write it
            clients:
              - issuer: https://ehr.example.org
                jku: https://ehr.example.org/jwks.json
                tenants: [north, no]
              - issuer: urn:example:ward
                keys: [{json.dumps(public_jwk("ward", "RSA"))}]
              - issuer: https://lab.example.org
                keys_file: lab.jwks.json
                jku: https://lab.example.org/keys
            """,
        )
    )
    ehr, ward, lab = clients.values()
    assert isinstance(ehr.keys, FetchedKeys)
    assert (ehr.tenants, ward.tenants) == ({"north", "no"}, frozenset())
    assert isinstance(ward.keys, GivenKeys) and isinstance(lab.keys, GivenKeys)
    assert ward.keys.key("ward").kid == "ward" and lab.keys.key("lab").kid == "lab"
    assert lab.jku == "https://lab.example.org/keys"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer": None}, "clients[0].issuer"),
        ({"issuer": ""}, "clients[0].issuer must be printable text"),
        ({"issuer": 7}, "clients[0].issuer"),
        ({"jku": "http://ehr.example.org/jwks.json"}, "clients[0].jku must be an https address"),
        ({"jku": "http://localhost:8080/jwks.json"}, "clients[0].jku must be an https address"),
        ({"jku": "http://127.0.0.1.example.org/"}, "clients[0].jku must be an https address"),
        ({"jku": "https://user@ehr.example.org/"}, "clients[0].jku must be an https address"),
        ({"jku": "https://ehr.example.org/#keys"}, "clients[0].jku must be an https address"),
        ({"jku": "https://ehr.example.org:99999/"}, "clients[0].jku must be an https address"),
        ({"jku": "https:///jwks"}, "clients[0].jku must be an https address"),
        ({"jku": "file:///etc/passwd"}, "clients[0].jku must be an https address"),
        ({"tenants": "north"}, "clients[0].tenants"),
        ({"tenants": [123]}, "clients[0].tenants[0]"),
        ({"tenant": "north"}, "clients[0].tenant (Unknown field)"),
        ({"keys": []}, "clients[0].keys"),
        ({"keys": {"keys": []}}, "clients[0].keys"),
        ({"keys": ["text"]}, "clients[0].keys[0] must be a JSON Web Key"),
        ({"keys_file": "../keys.json"}, "clients[0].keys_file must be the name of a file beside this one"),
        ({"keys_file": "/etc/keys.json"}, "clients[0].keys_file must be the name of a file beside this one"),
        ({"keys_file": "missing.json"}, "clients[0].keys_file is no readable JWK set"),
        ({"keys_file": "a.json", "keys": [{}]}, "clients[0].keys_file cannot stand beside keys"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    assert words in faults(tmp_path, {k: v for k, v in (GOOD | change).items() if v is not None})


def test_a_client_without_keys_is_refused(tmp_path: Path) -> None:
    assert "clients[0].jku is missing: give jku, keys or keys_file" in faults(tmp_path, {"issuer": "urn:x"})


@pytest.mark.parametrize(
    ("jwk", "words"),
    [
        (lambda: private_jwk("x"), "holds a private or shared key"),
        (lambda: private_jwk("x", "RSA"), "holds a private or shared key"),
        (lambda: {"kty": "oct", "kid": "x", "k": "c2VjcmV0"}, "holds a private or shared key"),
        (lambda: public_jwk("x", "P-256"), "must be EC on P-384 or P-521"),
        (lambda: public_jwk("x", "small RSA"), "must have 2048 to 8192 bits"),
        (lambda: public_jwk(""), "needs a kid"),
        (lambda: public_jwk("x", use="enc"), "is not meant for signatures"),
        (lambda: public_jwk("x", alg="HS256"), "has an alg that does not fit"),
        (lambda: public_jwk("x", y="AAAA"), "is not readable"),
    ],
)
def test_a_bad_key_is_named_by_its_place_and_not_shown(tmp_path: Path, jwk: Any, words: str) -> None:
    key = jwk()
    said = faults(tmp_path, GOOD | {"keys": [public_jwk("good"), key]})
    assert f"clients[0].keys[1] {words}" in said
    assert not any(str(value) in said for value in key.values() if len(str(value)) > 5)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    said = faults(tmp_path, GOOD | {"jku": "ftp://x"}, {"issuer": "urn:y"}, GOOD | {"tenants": [""]})
    assert "clients[0].jku" in said and "clients[1].jku" in said and "clients[2].tenants[0]" in said
    said = faults(tmp_path, GOOD, GOOD | {"keys": [{}]}, {"issuer": "urn:z", "keys_file": "none.json"})
    assert "clients[1].issuer is listed twice" in said
    assert "clients[1].keys[0]" in said and "clients[2].keys_file" in said


def test_a_kid_twice_is_refused(tmp_path: Path) -> None:
    said = faults(tmp_path, GOOD | {"keys": [public_jwk("x"), public_jwk("x", "RSA")]})
    assert "clients[0].keys has a kid more than once" in said


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "text",
        "clients: []",
        "clients: {}",
        "clients: [",
        "clients: [text]",
        "\t",
        "a: 1\na: 2",
        "!!python/x y",
    ],
)
def test_a_file_that_is_no_list_of_clients_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(SettingsError, match="CDS_JWT_CLIENTS"):
        read_clients(written(tmp_path, content))


@pytest.mark.parametrize("content", [b"{}", b"[]", b"no json", b'{"keys": []}', b'{"keys": {}}', b"[" * 100_000])
def test_a_file_that_is_no_key_set_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(content)
    assert "clients[0].keys_file is no readable JWK set" in faults(tmp_path, GOOD | {"keys_file": "keys.json"})


def test_a_broken_file_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read_clients(written(tmp_path, "clients:\n  - issuer: *SECRET\n"))
    assert "line 2" in str(refused.value)
    assert "SECRET" not in str(refused.value)
