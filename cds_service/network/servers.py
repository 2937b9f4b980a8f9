"""The FHIR servers an operator allows, and the network addresses at which they may be."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from cds_service.network.places import Place, ip_of, read_base

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_PRIVATE = tuple(
    ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
# Addresses that hold another one, so that what is behind them is not what they look like; and site-local ones.
_DISGUISED = tuple(
    ipaddress.ip_network(n)
    for n in (
        "::ffff:0:0/96",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "fec0::/10",
    )
)
# Where clouds tell a machine its own credentials; some of them lie in ranges that are otherwise in use.
_METADATA = frozenset(
    ipaddress.ip_address(a)
    for a in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
_OPT_IN = "private"


@dataclass(frozen=True, slots=True)
class FhirServer:
    """One entry of the allow-list: a base URL, and whether it may be in a private network."""

    base: Place
    private: bool = False

    def may_be_at(self, address: str) -> bool:
        """Whether this server may be reached at an address that its name was resolved to."""
        ip = ip_of(address)
        if ip is None:  # an IPv6 address with a zone is link-local
            return False
        if ip_of(self.base.host) == ip:
            return True  # the operator wrote this very address
        if self.base.host == "localhost":
            return ip.is_loopback
        if _never(ip):
            return False
        if _is_in(ip, _PRIVATE):
            return self.private
        return ip.is_global


def _never(ip: _Ip) -> bool:
    return (
        ip in _METADATA
        or _is_in(ip, _DISGUISED)
        or ip.is_loopback
        or ip.is_link_local
        or ip.is_multicast
        or ip.is_unspecified
    )


def _is_in(ip: _Ip, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)


def read_servers(text: str) -> tuple[FhirServer, ...]:
    """The allow-list: base URLs, comma-separated, each with the word ``private`` behind it if need be."""
    return tuple(dict.fromkeys(_read_server(part) for part in text.split(",") if part.strip()))


def _read_server(text: str) -> FhirServer:
    address, *words = text.split()
    base = read_base(address)
    if base is None:
        raise ValueError("must list addresses like https://fhir.example.org/r4, without user, query or fragment")
    if words not in ([], [_OPT_IN]):
        raise ValueError(f"may have only the word '{_OPT_IN}' behind an address; separate addresses with commas")
    return FhirServer(base, bool(words))


def allowed(servers: Iterable[FhirServer], named: str) -> FhirServer | None:
    """The entry of the allow-list that is the server a request names.

    Calls go to the operator's spelling; what the request wrote only selects an entry.
    """
    base = read_base(named)
    return next((server for server in servers if server.base == base), None)
