"""Keys and tokens of a client, written by hand so that a test can spoil any part of them."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import get_algorithm_by_name

PUBLIC_URL = "https://cds.example.org/twitch"
ISSUER = "https://ehr.example.org"
CALLED = f"{PUBLIC_URL}/cds-services/muscle-twitching"
DISCOVERY = f"{PUBLIC_URL}/cds-services"

_MAKERS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "small RSA": lambda: rsa.generate_private_key(65537, 1024),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}
_USUAL = {
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "RSA": "RS384",
    "small RSA": "RS384",
    "Ed25519": "EdDSA",
}


@cache
def _made(kid: str, kind: str) -> Any:
    return _MAKERS[kind]()


def private_key(kid: str, kind: str = "P-384") -> Any:
    """One key for each name in a test run."""
    return _made(kid, kind)


def private_jwk(kid: str, kind: str = "P-384", **members: Any) -> dict[str, Any]:
    return _jwk(private_key(kid, kind), kid, kind) | members


def public_jwk(kid: str, kind: str = "P-384", **members: Any) -> dict[str, Any]:
    return _jwk(private_key(kid, kind).public_key(), kid, kind) | members


def _jwk(key: Any, kid: str, kind: str) -> dict[str, Any]:
    jwk: dict[str, Any] = get_algorithm_by_name(_USUAL[kind]).to_jwk(key, as_dict=True)
    return jwk | {"kid": kid}


def coded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def usual_claims(**changes: Any) -> dict[str, Any]:
    """What an honest client claims; None takes a claim away."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": CALLED, "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())} | changes
    return {name: value for name, value in claims.items() if value is not None}


@dataclass
class Draft:
    """A token before it is signed. `key` and `algorithm` are what it is really signed with."""

    claims: dict[str, Any] = field(default_factory=usual_claims)
    header: dict[str, Any] = field(default_factory=dict)
    key: Any = None
    algorithm: str = "ES384"
    raw_header: bytes | None = None
    raw_claims: bytes | None = None

    def text(self) -> str:
        header = {"alg": self.algorithm, "typ": "JWT", "kid": "first"} | self.header
        header = {name: value for name, value in header.items() if value is not None}
        parts = [self.raw_header or json.dumps(header).encode(), self.raw_claims or json.dumps(self.claims).encode()]
        signed = ".".join(coded(part) for part in parts)
        key = self.key if self.key is not None else private_key("first")
        signature = get_algorithm_by_name(self.algorithm).sign(signed.encode(), key)
        return f"{signed}.{coded(signature)}"


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def good(**claims: Any) -> dict[str, str]:
    """The header of an honest call."""
    return bearer(Draft(usual_claims(**claims)).text())
