"""Bodies nobody's EHR should send: each is refused or read, none ends in an internal error."""

from __future__ import annotations

import copy
import gzip
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from cds_service import fhir
from tests.applications import client
from tests.conftest import FIXTURES
from tests.served import SERVICE

GOOD = (FIXTURES / "requests" / "hand-weakness.json").read_bytes()


def call(raw: bytes, **headers: str) -> Any:
    return client().post(SERVICE, data=raw, content_type="application/json", headers=headers)


def with_field(value: bytes) -> bytes:
    """A good request with one more field of its own."""
    return GOOD.replace(b'"prefetch":', b'"note": ' + value + b', "prefetch":', 1)


NO_JSON = {
    "not a number": with_field(b"NaN"),
    "infinity": with_field(b"-Infinity"),
    "a number beyond every double": with_field(b"1e999"),
    "a number of five thousand digits": with_field(b"9" * 5000),
    "a comment": b"/* a comment */" + GOOD,
    "a trailing comma": GOOD.rstrip()[:-1] + b",}",
    "two documents": GOOD + GOOD,
    "nothing but a byte order mark": b"\xef\xbb\xbf",
    "two byte order marks": b"\xef\xbb\xbf" * 2 + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "bytes that are no UTF-8": with_field(b'"\xff\xfe"'),
    "half of a surrogate pair": with_field(b'"\\ud800"'),
    "a control character in a text": with_field(b'"\x01"'),
    "single quotes": with_field(b"'x'"),
    "nested a hundred thousand times": with_field(b"[" * 100_000 + b"]" * 100_000),
    "blank": b"   ",
    "only null": b"null",
    "only a number": b"1",
    "only a text": b'"patient-view"',
}


@pytest.mark.parametrize("name", NO_JSON)
def test_what_is_no_json_object_is_refused_with_400(name: str) -> None:
    response = call(NO_JSON[name])
    body = response.get_json()
    assert response.status_code == 400
    assert fhir.faults(body) == []
    assert [issue["expression"] for issue in body["issue"]] == [["$"]]


TOLERATED = {
    "a null character in a text that nobody reads": with_field(b'"\\u0000"'),
    "nested nine hundred times where nobody reads": with_field(b"[" * 900 + b"]" * 900),
    "the smallest and largest doubles": with_field(b"[5e-324, 1.7976931348623157e308]"),
    "an integer beyond 64 bits": with_field(b"123456789012345678901234567890"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "blanks before and after": b"\n\t " + GOOD + b"\r\n",
}


@pytest.mark.parametrize("name", TOLERATED)
def test_what_is_odd_but_json_changes_nothing(name: str) -> None:
    response = call(TOLERATED[name])
    assert response.status_code == 200
    assert response.get_json()["cards"][0]["summary"] == call(GOOD).get_json()["cards"][0]["summary"]


def test_of_a_name_that_is_written_twice_the_last_one_counts() -> None:
    assert call(GOOD.replace(b'"hook":', b'"hook": "order-sign", "hook":', 1)).status_code == 200
    # A second patient id wins as well: the chart is then somebody else's, and refused.
    one = b'"patientId": "hand-weakness"'
    assert one in GOOD
    assert call(GOOD.replace(one, one + b', "patientId": "somebody-else"', 1)).status_code == 412


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZIP"])
def test_a_gzip_body_is_read_like_any_other(name: str) -> None:
    plain, packed = (
        call(GOOD, **{"Content-Encoding": "identity"}),
        call(gzip.compress(GOOD), **{"Content-Encoding": name}),
    )
    assert (plain.status_code, packed.status_code) == (200, 200)
    assert [c["summary"] for c in packed.get_json()["cards"]] == [c["summary"] for c in plain.get_json()["cards"]] != []


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (GOOD, "gzip", 400),
        (gzip.compress(GOOD)[:-9], "gzip", 400),
        (gzip.compress(GOOD) + b"more", "gzip", 400),
        (gzip.compress(gzip.compress(GOOD)), "gzip", 400),
        (gzip.compress(b" " * (21 * 1024 * 1024)), "gzip", 413),
        (gzip.compress(GOOD), "deflate", 415),
        (gzip.compress(GOOD), "gzip, gzip", 415),
        (GOOD, "br", 415),
    ],
    ids=["not gzip", "cut", "followed by more", "packed twice", "a bomb", "another name", "two encodings", "brotli"],
)
def test_a_body_that_does_not_unpack_is_refused(body: bytes, encoding: str, status: int) -> None:
    response = call(body, **{"Content-Encoding": encoding})
    assert response.status_code == status
    assert response.get_json()["resourceType"] == "OperationOutcome"


def test_a_resource_nested_beyond_reason_is_refused_with_400(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    inner: Any = {"url": "https://example.org/x", "valueString": "4711-secret"}
    for _ in range(400):
        inner = {"url": "https://example.org/x", "extension": [inner]}
    body = json.loads(GOOD)
    for key in ("conditions", "findings"):
        for entry in body["prefetch"][key].get("entry", ()):
            entry["resource"]["extension"] = [inner]
    response = call(json.dumps(body).encode())
    assert response.status_code == 400
    assert fhir.faults(response.get_json()) == []
    assert "4711" not in response.get_data(as_text=True) + caplog.text


# ---------------------------------------------------------------- one value at a time

HOSTILE: tuple[Any, ...] = (
    None, "", [], {}, 0, -1, 1e308, 10**30, True, "x" * 5000, "0000-00-00", "9999-12-31T23:59:59+14:00",
    "0001-01-01T00:00:00-14:00", "2026-06-15T10:00:00.999999999999Z", [None], [[]], {"a": None}, "\u0000\u202e",
    {"coding": "x"}, {"coding": [{"code": 5}]}, {"value": 1e308, "unit": "mmol/L"}, "<script>alert(1)</script>",
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def spoilt(name: str, every: int) -> Iterator[tuple[tuple[Any, ...], Any, bytes]]:
    """The request with one value replaced, place by place; the values take turns."""
    body = json.loads((FIXTURES / "requests" / f"{name}.json").read_bytes())
    for turn, path in enumerate(list(places(body))[::every]):
        changed = copy.deepcopy(body)
        parent = changed
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = HOSTILE[turn % len(HOSTILE)]
        yield path, HOSTILE[turn % len(HOSTILE)], json.dumps(changed).encode()


@pytest.mark.parametrize(("name", "every"), [("bare-entry", 2), ("hand-weakness", 7), ("low-potassium", 11)])
def test_one_spoilt_value_never_ends_in_an_internal_error(name: str, every: int) -> None:
    for path, value, raw in spoilt(name, every):
        response = call(raw)
        assert response.status_code in (200, 400, 412), (path, str(value)[:40])
        assert "<script>" not in response.get_data(as_text=True)
