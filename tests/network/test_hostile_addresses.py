"""The server's address is hostile until proven: what is never matched, never resolved to, never followed."""

from __future__ import annotations

import pytest

from cds_service.errors import SettingsError
from cds_service.network.connection import Deadline, Reason, UnansweredError, pinned
from cds_service.network.places import below, read_base, read_place
from cds_service.network.servers import FhirServer, allowed, read_servers
from cds_service.settings import read_settings

GOOD = read_servers("https://good.example/fhir, http://10.1.2.3:8080/r4, https://bücher.example")


def server(text: str) -> FhirServer:
    (only,) = read_servers(text)
    return only


# ---------------------------------------------------------------- which server a request names

SAME = [
    "https://good.example/fhir", "https://good.example/fhir/", "https://good.example:443/fhir",
    "HTTPS://Good.Example/fhir", "https://good.example./fhir", "https://good.example:0443/fhir",
]  # fmt: skip


@pytest.mark.parametrize("named", SAME)
def test_another_spelling_of_a_listed_server_is_that_server(named: str) -> None:
    assert allowed(GOOD, named) is GOOD[0]


@pytest.mark.parametrize(
    "named", ["https://bücher.example", "https://xn--bcher-kva.example/", "https://BÜCHER.example"]
)
def test_a_name_with_umlauts_is_compared_as_idna(named: str) -> None:
    assert allowed(GOOD, named) is GOOD[2]


STRANGERS = [
    # another host
    "https://good.example.evil/fhir", "https://evil/good.example/fhir", "https://evilgood.example/fhir",
    "https://sub.good.example/fhir", "https://good/fhir", "https://ｇood.example/fhir", "https://gооd.example/fhir",
    "https://good.example../fhir", "https://.good.example/fhir", "https://good%2eexample/fhir",
    "https://good.example%00.evil/fhir", "https://good\u3002example/fhir", "https://good.exam\u00adple/fhir",
    # user information and its disguises
    "https://good.example@evil/fhir", "https://good.example:443@evil/fhir", "https://user:pw@good.example/fhir",
    "https://@good.example/fhir", "https://good.example%40evil/fhir", "https://evil\\@good.example/fhir",
    "https://good.example\\@evil/fhir", "https://good.example\\.evil/fhir", "https:\\\\good.example\\fhir",
    # white space and control characters
    "https://good.example/fhir\n", "https://good.exa\tmple/fhir", " https://good.example/fhir",
    "https://good.example/fhir\r\nHost: evil", "https://good.example\x00/fhir", "https://good.example/fhir ",
    "https://good.example\u200b/fhir", "\ufeffhttps://good.example/fhir", "https://good.example\u2028/fhir",
    # another scheme, port or path
    "http://good.example/fhir", "https://good.example:8443/fhir", "https://good.example:/fhir",
    "https://good.example:443443/fhir", "https://good.example:-443/fhir", "https://good.example:４４３/fhir",
    "https://good.example:0x1bb/fhir", "https://good.example", "https://good.example/", "https://good.example/FHIR",
    "https://good.example/fhir/x", "https://good.example/fhirx", "https://good.example/x/../fhir",
    "https://good.example/./fhir", "https://good.example/x/%2e%2e/fhir", "https://good.example/x/%2E./fhir",
    "https://good.example/x/%252e%252e/fhir", "https://good.example/f%68ir", "https://good.example/x%2f..%2ffhir",
    "https://good.example//fhir", "https://good.example/fhir;x",
    "https://good.example/fhir?x", "https://good.example/fhir?", "https://good.example/fhir#x",
    "https://good.example/fhir#", "https://good.example#@evil/fhir", "https://good.example?@evil/fhir",
    "file:///etc/passwd", "file://good.example/fhir", "gopher://good.example/fhir", "ftp://good.example/fhir",
    "javascript:alert(1)", "data:text/html,x", "//good.example/fhir", "good.example/fhir", "https:good.example/fhir",
    "https:/good.example/fhir", "https:///good.example/fhir", "jar:https://good.example/fhir", "unix:/run/x", "",
    # addresses in other notations
    "http://167838211:8080/r4", "http://0x0a010203:8080/r4", "http://012.01.02.03:8080/r4", "http://10.1.515:8080/r4",
    "http://0xa.1.2.3:8080/r4", "http://10.1.2.3.:80/r4", "http://[::ffff:10.1.2.3]:8080/r4",
    "http://[::ffff:a01:203]:8080/r4", "http://①0.1.2.3:8080/r4", "http://10.1.2.03:8080/r4",
    "http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/latest", "http://127.0.0.1/", "http://[::1]/",
    "http://localhost/", "http://[::1", "http://[::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[]/",
]  # fmt: skip


@pytest.mark.parametrize("named", STRANGERS)
def test_what_only_looks_like_a_listed_server_is_none(named: str) -> None:
    assert allowed(GOOD, named) is None


# ---------------------------------------------------------------- where next links lead

BASE = "https://good.example/fhir"
CURRENT = f"{BASE}/Condition?patient=1"


def followed(link: str, base: str = BASE, current: str = CURRENT) -> str | None:
    start, page = read_base(base), read_place(current)
    assert start is not None
    assert page is not None
    place = below(start, page, link)
    return str(place) if place else None


@pytest.mark.parametrize(
    ("link", "place"),
    [
        (f"{BASE}?_getpages=1&x=2", f"{BASE}?_getpages=1&x=2"),
        (f"{BASE}/?_getpages=1", f"{BASE}/?_getpages=1"),
        (f"{BASE}/Condition?page=2", f"{BASE}/Condition?page=2"),
        ("https://GOOD.example:443/fhir/x", f"{BASE}/x"),
        ("?page=2", f"{BASE}/Condition?page=2"),
        ("Condition?page=2", f"{BASE}/Condition?page=2"),
        ("/fhir/Condition?page=2", f"{BASE}/Condition?page=2"),
        ("a/../b", f"{BASE}/b"),
        (f"{BASE}/a/%2e%2e/b", f"{BASE}/b"),
        ("?code=http://loinc.org|1&next=../..", f"{BASE}/Condition?code=http://loinc.org|1&next=../.."),
        ("?name=ü", f"{BASE}/Condition?name=%C3%BC"),
    ],
)
def test_a_link_below_the_base_is_followed(link: str, place: str) -> None:
    assert followed(link) == place


ASTRAY = [
    "https://evil.example/fhir?page=2", "//evil.example/fhir?page=2", "///evil.example/fhir", "/\\evil.example/fhir",
    "\\\\evil.example\\fhir", "http://good.example/fhir?page=2", "https://good.example:8443/fhir",
    "https://good.example@evil.example/fhir", "https://good.example.evil/fhir", "https://good.example/admin",
    "https://good.example/fhirx", "https://good.example/fhir-admin?x", "/fhir/../admin", "../admin", "../../admin",
    "/fhir/%2e%2e/admin", "/fhir/%2E%2e/admin", "/fhir/.%2e/admin", "/fhir/%252e%252e/admin", "/fhir/..%2fadmin",
    "/fhir/%2e%2e%2fadmin", "/fhir/..%5cadmin", "/fhir/x%5c..%5cy", "/fhir/%25252e%25252e/admin", "/fhir/..;/admin",
    "https://good.example/fhir\n", "ht\ntps://evil.example", "?page=2\r\nHost: evil", "?page=2 HTTP/1.1", "?x\x00",
    "file:///etc/passwd", "gopher://good.example/fhir", "ftp://good.example/fhir", "javascript:alert(1)",
    "http://169.254.169.254/latest", "https://[::1]/fhir", "http://[", "https://[good.example]/fhir", "", " ",
    "#", "?x#y",
]  # fmt: skip


@pytest.mark.parametrize("link", ASTRAY)
def test_a_link_that_leads_astray_is_not_followed(link: str) -> None:
    assert followed(link) is None


def test_a_base_without_a_path_keeps_to_its_origin() -> None:
    assert followed("?page=2", "https://good.example", "https://good.example/Condition") is not None
    assert followed("//evil.example", "https://good.example", "https://good.example/Condition") is None


# ---------------------------------------------------------------- at which addresses a server may be

NEVER = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254", "169.254.1.1", "100.100.100.200", "168.63.129.16",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "192.0.0.192",
    "::1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "fd20:ce::254",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:7f00:1",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:808:808::", "2001:0:7f00:1::",
    "2001:db8::1", "fec0::1", "not an address", "",
]  # fmt: skip
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "fc00::1"]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111"]


@pytest.mark.parametrize("address", NEVER)
def test_a_name_never_leads_to_such_an_address(address: str) -> None:
    assert not server("https://good.example/fhir").may_be_at(address)
    assert not server("https://good.example/fhir private").may_be_at(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_takes_the_word_private(address: str) -> None:
    assert not server("https://good.example/fhir").may_be_at(address)
    assert server("https://good.example/fhir private").may_be_at(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_in_order(address: str) -> None:
    assert server("https://good.example/fhir").may_be_at(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "169.254.1.1"])
def test_an_address_that_the_operator_wrote_is_allowed_and_no_other(address: str) -> None:
    written = server(f"http://{f'[{address}]' if ':' in address else address}/fhir")
    assert written.may_be_at(address)
    assert not written.may_be_at("10.9.9.9")
    assert not written.may_be_at("127.0.0.9")


def test_localhost_is_loopback_and_nothing_else() -> None:
    written = server("http://localhost:8080/fhir")
    assert [a for a in ("127.0.0.1", "::1", "10.0.0.1", "8.8.8.8", "169.254.169.254") if written.may_be_at(a)] == [
        "127.0.0.1",
        "::1",
    ]


# ---------------------------------------------------------------- names that are resolved


def reason_for(*addresses: str, entry: str = "https://good.example/fhir") -> Reason:
    with pytest.raises(UnansweredError) as refused:
        pinned(server(entry), lambda host, port: list(addresses), Deadline.after(5))
    return refused.value.reason


def test_all_public_addresses_are_pinned_in_their_order() -> None:
    found = pinned(server(BASE), lambda host, port: ["8.8.8.8", "1.1.1.1", "8.8.8.8"], Deadline.after(5))
    assert found == ("8.8.8.8", "1.1.1.1")


@pytest.mark.parametrize(
    "addresses", [("10.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("10.0.0.1", "8.8.8.8"), ("8.8.8.8", "::ffff:10.0.0.1")]
)
def test_one_address_that_is_not_allowed_spoils_the_name(addresses: tuple[str, ...]) -> None:
    assert reason_for(*addresses) is Reason.ADDRESS


def test_a_name_that_is_not_resolved_is_a_failed_connection() -> None:
    assert reason_for() is Reason.CONNECTION


def test_an_address_is_not_resolved() -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError("asked the resolver for an address")

    assert pinned(server("http://127.0.0.1:99/fhir"), never, Deadline.after(5)) == ("127.0.0.1",)


# ---------------------------------------------------------------- the setting


def test_the_setting_is_read() -> None:
    text = "https://a.example/r4/, http://10.0.0.5:8080/fhir , https://b.example private,https://a.example/r4"
    servers = read_settings({"CDS_FHIR_SERVERS": text}).fhir_servers
    assert [(str(one.base), one.private) for one in servers] == [
        ("https://a.example/r4", False),
        ("http://10.0.0.5:8080/fhir", False),
        ("https://b.example", True),
    ]


def test_the_default_is_nobody() -> None:
    assert read_settings({}).fhir_servers == ()


@pytest.mark.parametrize(
    "text",
    [
        "fhir.example", "ftp://fhir.example", "https://user@fhir.example", "https://fhir.example?x", "https://h/#x",
        "https://h/a/../b", "http://127.1/fhir", "http://2130706433/", "https://h private public", "https://h public",
        "https://a.example https://b.example", "https://h:99999", "https://*.example", "*",
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_does_not_start(text: str) -> None:
    with pytest.raises(SettingsError, match="CDS_FHIR_SERVERS"):
        read_settings({"CDS_FHIR_SERVERS": text})
