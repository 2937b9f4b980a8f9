"""What a card's uuid carries, so that feedback needs no write when a card is issued.

RFC 9562 version 8, 122 bits of our own: 8 card, 12 content release, 6 suggestion (0: the card
itself), 40 memory key, 24 random, 32 check. It reveals no patient.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass

_WIDTHS = (("card", 8), ("release", 12), ("suggestion", 6), ("memory", 40), ("random", 24), ("check", 32))


@dataclass(frozen=True, slots=True)
class Issued:
    """The fields of a uuid of ours."""

    card: int
    release: int
    suggestion: int
    memory: int
    random: int


def release_of(version: str) -> int:
    """Twelve bits that tell content releases apart."""
    return int.from_bytes(hashlib.sha256(version.encode()).digest()[:2], "big") >> 4


def memory_key(secret: bytes, tenant: str, patient: str, card: str, fingerprint: str) -> int:
    """Forty bits that recognise the same advice for the same patient; a keyed hash, nothing in clear."""
    message = "\x1f".join((tenant, patient, card, fingerprint)).encode()
    return int.from_bytes(hmac.new(secret, message, hashlib.sha256).digest()[:5], "big")


def write(issued: Issued, secret: bytes) -> str:
    """The uuid, with its check over everything else."""
    fields = {
        "card": issued.card, "release": issued.release, "suggestion": issued.suggestion,
        "memory": issued.memory, "random": issued.random, "check": _check(issued, secret),
    }  # fmt: skip
    bits = 0
    for name, width in _WIDTHS:
        bits = (bits << width) | (fields[name] & ((1 << width) - 1))
    # 48 bits, then the version, 12 bits, then the variant, then 62 bits.
    high, middle, low = bits >> 74, (bits >> 62) & 0xFFF, bits & ((1 << 62) - 1)
    return str(uuid.UUID(int=(high << 80) | (8 << 76) | (middle << 64) | (0b10 << 62) | low))


def read(text: str, secret: bytes) -> Issued | None:
    """The fields of a uuid that this secret has issued, else None. Raises ValueError for no uuid."""
    parsed = uuid.UUID(text)
    if parsed.version != 8:
        return None
    value = parsed.int
    bits = ((value >> 80) << 74) | (((value >> 64) & 0xFFF) << 62) | (value & ((1 << 62) - 1))
    fields: dict[str, int] = {}
    for name, width in reversed(_WIDTHS):
        fields[name] = bits & ((1 << width) - 1)
        bits >>= width
    check = fields.pop("check")
    issued = Issued(**fields)
    return issued if hmac.compare_digest(_check(issued, secret).to_bytes(4), check.to_bytes(4)) else None


def _check(issued: Issued, secret: bytes) -> int:
    message = repr((issued.card, issued.release, issued.suggestion, issued.memory, issued.random)).encode()
    return int.from_bytes(hmac.new(secret, b"check" + message, hashlib.sha256).digest()[:4], "big")
