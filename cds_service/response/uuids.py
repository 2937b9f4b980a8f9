"""What a card's uuid carries, so that feedback needs no write when a card is issued.

RFC 9562 version 8, 122 bits of our own: 8 card, 12 content release, 6 suggestion (0: the card
itself), 40 memory key, 24 random, 32 check. It reveals no patient and no tenant.

The check has two halves of 16 bits. The first is over the record alone and says "issued by us"; the
second is over the record and the tenant and says "to this caller". Both together are 32 bits against
a made-up uuid. The first alone tells another tenant's card from a foreign one, without a list of all
tenants. Half as many bits are enough for that: a foreign uuid is hardly ever of version 8, and if one
in 65536 of those is refused as another tenant's, no harm is done. One in 65536 cards of another tenant
would be taken for the caller's own; then one line of statistics is wrong, and nothing is remembered
for the other tenant's patient, because memory is kept by tenant.
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


class OtherTenantError(Exception):
    """The card was issued by us, to another tenant."""


def release_of(version: str) -> int:
    """Twelve bits that tell content releases apart."""
    return int.from_bytes(hashlib.sha256(version.encode()).digest()[:2], "big") >> 4


def memory_key(secret: bytes, tenant: str, patient: str, card: str, fingerprint: str) -> int:
    """Forty bits that recognise the same advice for the same patient; a keyed hash, nothing in clear."""
    message = "\x1f".join((tenant, patient, card, fingerprint)).encode()
    return int.from_bytes(hmac.new(secret, message, hashlib.sha256).digest()[:5], "big")


def write(issued: Issued, secret: bytes, tenant: str) -> str:
    """The uuid, with its check over everything else and over whom it is issued to."""
    fields = {
        "card": issued.card, "release": issued.release, "suggestion": issued.suggestion,
        "memory": issued.memory, "random": issued.random, "check": _check(issued, secret, tenant),
    }  # fmt: skip
    bits = 0
    for name, width in _WIDTHS:
        bits = (bits << width) | (fields[name] & ((1 << width) - 1))
    # 48 bits, then the version, 12 bits, then the variant, then 62 bits.
    high, middle, low = bits >> 74, (bits >> 62) & 0xFFF, bits & ((1 << 62) - 1)
    return str(uuid.UUID(int=(high << 80) | (8 << 76) | (middle << 64) | (0b10 << 62) | low))


def read(text: str, secret: bytes, tenant: str) -> Issued | None:
    """The fields of a uuid that this secret has issued to this tenant, None when it did not issue it.

    Raises ValueError for no uuid, OtherTenantError for another tenant's. What was issued while
    authentication was off belongs to nobody: to a tenant it is as good as not issued.
    """
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
    if not _same(check >> 16, _check(issued, secret, tenant) >> 16):
        return None
    if _same(check, _check(issued, secret, tenant)):
        return issued
    if _same(check, _check(issued, secret, "")):
        return None
    raise OtherTenantError


def _same(one: int, other: int) -> bool:
    return hmac.compare_digest(one.to_bytes(4), other.to_bytes(4))


def _check(issued: Issued, secret: bytes, tenant: str) -> int:
    record = repr((issued.card, issued.release, issued.suggestion, issued.memory, issued.random)).encode()
    by_us = hmac.new(secret, b"by us" + record, hashlib.sha256).digest()[:2]
    to_tenant = hmac.new(secret, b"to tenant" + record + tenant.encode(), hashlib.sha256).digest()[:2]
    return int.from_bytes(by_us + to_tenant, "big")
