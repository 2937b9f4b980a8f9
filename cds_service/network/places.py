"""Web addresses, read strictly: what a stranger wrote is compared with what the operator wrote."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urljoin

_PORTS = {"http": 80, "https": 443}
# No user information, no backslash, no white space, no control character: browsers, libraries and
# servers read those in different ways, and the difference is what an attacker lives on.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\s\\@/?#:\[\]%\u3002\uff0e\uff61]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s\\?#]*)?(?:\?(?P<query>[^\s\\#]*))?",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff\u200b-\u200f]")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A web address in one spelling only, so that equal addresses are equal records."""

    scheme: str
    host: str  # lower case, IDNA, no dot at its end; IPv6 without brackets
    port: int
    path: str = ""
    query: str = ""

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def target(self) -> str:
        """Path and query, as an HTTP request asks for them."""
        return (self.path or "/") + (f"?{self.query}" if self.query else "")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}" + (f"?{self.query}" if self.query else "")


def read_place(text: str) -> Place | None:
    """An absolute http or https address; None for everything that is not plainly one."""
    match = None if _CONTROL.search(text) else _ADDRESS.fullmatch(text)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    host = _read_host(match["host"])
    port = int(match["port"] or _PORTS[scheme])
    path = _plain_path(match["path"] or "")
    if host is None or path is None or not 0 < port < 65536:
        return None
    return Place(scheme, host, port, path, _ascii(match["query"] or ""))


def read_base(text: str) -> Place | None:
    """The base URL of a server: no query, no dot segments; a slash at its end is left away."""
    place = read_place(text)
    if place is None or "?" in text or _dotted(text.partition("://")[2]):
        return None
    return replace(place, path=place.path.rstrip("/"))


def below(base: Place, current: Place, link: str) -> Place | None:
    """Where a link on a page of ``current`` leads, if that lies at ``base`` or below it; else None."""
    if not link or _CONTROL.search(link) or "\\" in link or "#" in link:
        return None
    try:
        place = read_place(urljoin(f"{current}" if current.path else f"{current}/", link))
    except ValueError:  # half a bracket
        return None
    if place is None or place.origin != base.origin:
        return None
    inside = place.path == base.path or place.path.startswith(f"{base.path}/")
    return place if inside else None


def ip_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address a host writes literally; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _read_host(text: str) -> str | None:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            return None
    name = _idna(text.removesuffix("."))
    if name is None or not all(name.split(".")):
        return None
    if _NUMERIC.fullmatch(name.rsplit(".", 1)[-1]):
        # 2130706433, 0x7f.1 and 127.1 all mean 127.0.0.1 to some libraries; only the full form is read.
        return str(ip) if (ip := ip_of(name)) else None
    return name


def _idna(name: str) -> str | None:
    import httpx  # only where FHIR servers are allowed: half the sites need none, and a start waits for it

    try:
        host = httpx.URL(scheme="https", host=name, path="/").raw_host.decode("ascii").lower()
    except (httpx.InvalidURL, UnicodeError):
        return None
    return host if re.fullmatch(r"[a-z0-9._-]+", host) else None


def _plain_path(path: str) -> str | None:
    """Dot segments resolved, also those written as %2e; None when decoding once more would bring new ones."""
    path = _ascii(re.sub("%2e", ".", path, flags=re.IGNORECASE))
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if ";" in segment and _dotted(segment):
            return None  # Tomcat reads "..;x" as ".."
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    decoded = "/".join(kept)
    for _ in range(3):
        decoded = unquote(decoded)
    if _CONTROL.search(decoded.replace(" ", "")) or "\\" in decoded or _dotted(decoded):
        return None
    return "".join(f"/{segment}" for segment in kept)


def _dotted(path: str) -> bool:
    return any(unquote(segment).partition(";")[0] in (".", "..") for segment in path.split("/"))


def _ascii(text: str) -> str:
    """Percent-encode what may not stand in a request line; leave what is encoded as it is."""
    return quote(text, safe="!$%&'()*+,-./:;=?@_~|[]{}")
