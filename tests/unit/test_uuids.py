"""A card's uuid: what it carries, that it is a valid version 8, and that nobody can change it unseen."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.response.uuids import Issued, OtherTenantError, memory_key, read, release_of, write

SECRET = b"only-for-these-tests"
CLINIC = "https://ehr.example.org\x1fclinic"
EXAMPLE = Issued(card=6, release=0xABC, suggestion=2, memory=0x123456789A, random=0xFEDCBA)
WIDTHS = {"card": 8, "release": 12, "suggestion": 6, "memory": 40, "random": 24}

issued = st.builds(Issued, **{name: st.integers(0, 2**width - 1) for name, width in WIDTHS.items()})


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(issued)
def test_what_is_written_is_read_and_a_uuid_of_version_8_and_variant_10(fields: Issued) -> None:
    text = write(fields, SECRET, CLINIC)
    assert read(text, SECRET, CLINIC) == fields
    assert str(uuid.UUID(text)) == text
    assert uuid.UUID(text).version == 8
    assert uuid.UUID(text).variant == uuid.RFC_4122
    assert text[14] == "8" and text[19] in "89ab"


def test_the_first_byte_is_the_card() -> None:
    assert write(EXAMPLE, SECRET, CLINIC)[:2] == "06"
    assert write(EXAMPLE, SECRET, CLINIC)[2:5] == "abc"


_TO_TENANT = range(16)  # the half of the check that says to whom the card was issued


def test_one_changed_bit_is_noticed_also_one_of_version_or_variant() -> None:
    for bit in range(128):
        changed = str(uuid.UUID(int=uuid.UUID(write(EXAMPLE, SECRET, CLINIC)).int ^ (1 << bit)))
        if bit in _TO_TENANT:
            with pytest.raises(OtherTenantError):
                read(changed, SECRET, CLINIC)
        else:
            assert read(changed, SECRET, CLINIC) is None, bit


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(issued, st.text("clinic:/.x\x1fé", max_size=40))  # of all of Unicode Hypothesis first makes a table, for seconds
def test_a_card_of_another_tenant_is_told_from_a_foreign_one(fields: Issued, other: str) -> None:
    text = write(fields, SECRET, CLINIC)
    if other == CLINIC:
        assert read(text, SECRET, other) == fields
    else:
        with pytest.raises(OtherTenantError):
            read(text, SECRET, other)


def test_a_card_issued_without_authentication_belongs_to_nobody() -> None:
    text = write(EXAMPLE, SECRET, "")
    assert read(text, SECRET, "") == EXAMPLE
    assert read(text, SECRET, CLINIC) is None


def test_the_tenant_changes_nothing_but_its_half_of_the_check() -> None:
    one, other = (uuid.UUID(write(EXAMPLE, SECRET, tenant)).int for tenant in (CLINIC, "another"))
    assert one != other
    assert one >> 16 == other >> 16


def test_another_secret_reads_nothing() -> None:
    assert read(write(EXAMPLE, SECRET, CLINIC), b"another", CLINIC) is None
    assert read(write(EXAMPLE, b"", CLINIC), SECRET, CLINIC) is None


def test_a_uuid_of_somebody_else_is_not_ours() -> None:
    for foreign in ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-8fff-bfff-ffffffffffff", str(uuid.uuid4())):
        assert read(foreign, SECRET, CLINIC) is None


@pytest.mark.parametrize("text", ["", "not-a-uuid", "123", "g" * 32])
def test_no_uuid_at_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read(text, SECRET, CLINIC)


def test_capitals_and_braces_are_the_same_uuid() -> None:
    assert read("{" + write(EXAMPLE, SECRET, CLINIC).upper() + "}", SECRET, CLINIC) == EXAMPLE


def test_the_memory_key_knows_the_advice_and_not_the_patient() -> None:
    key = memory_key(SECRET, "clinic", "patient-1", "TW06", "facts")
    assert key == memory_key(SECRET, "clinic", "patient-1", "TW06", "facts")
    others = [
        memory_key(b"another", "clinic", "patient-1", "TW06", "facts"),
        memory_key(SECRET, "other", "patient-1", "TW06", "facts"),
        memory_key(SECRET, "clinic", "patient-2", "TW06", "facts"),
        memory_key(SECRET, "clinic", "patient-1", "TW07", "facts"),
        memory_key(SECRET, "clinic", "patient-1", "TW06", "new facts"),
        # The parts do not run into one another.
        memory_key(SECRET, "clinicp", "atient-1", "TW06", "facts"),
        memory_key(SECRET, "clinic", "patient-1TW06", "", "facts"),
    ]
    assert key not in others and len(set(others)) == len(others)
    assert 0 <= key < 2**40


def test_releases_are_told_apart_by_twelve_bits() -> None:
    releases = {release_of(f"0.{minor}.{patch}") for minor in range(10) for patch in range(3)}
    assert len(releases) > 28 and all(0 <= release < 2**12 for release in releases)
