"""When the workbench is on, who may ask it, and what its pages may load."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, request

from cds_service.errors import Fault, RequestError
from cds_service.settings import Settings, is_local
from cds_service.web.state import state

# Files of our own only: no inline script or style, nothing from elsewhere, forms only to ourselves, no frame around us.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SAME_SITE = ("same-origin", "none")


def is_on(settings: Settings, bind: str = "") -> bool:
    """Whether this process serves the workbench.

    ``auto`` wants authentication off and every address loopback; what ``on`` needs, the settings have checked.
    A unix socket is there for a proxy, so it is no loopback address.
    """
    if settings.workbench != "auto":
        return settings.workbench == "on"
    public = urlsplit(settings.public_url).hostname or ""
    return settings.auth == "off" and _is_here(_host_of(bind)) and (not settings.public_url or _is_here(public))


def _host_of(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _is_here(host: str) -> bool:
    return host == "localhost" or is_local(host)


def require_own_page() -> None:
    """Refuse what another site's page asks through the user's browser. Raises RequestError 403.

    On loopback nobody is authenticated, so any page could ask: by a form (another Origin), or under a name of
    its own that it lets point to 127.0.0.1 (another Host).
    """
    if state().settings.auth == "off" and not _is_here(urlsplit(f"//{request.host}").hostname or ""):
        raise _foreign("Host", "open the workbench by its loopback address, like http://127.0.0.1:8000")
    if request.headers.get("Sec-Fetch-Site", "none") not in _SAME_SITE and request.method != "GET":
        raise _foreign("Sec-Fetch-Site", "ask from a page of the workbench itself")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() not in _own_hosts():
        raise _foreign("Origin", "ask from a page of the workbench itself")


def _own_hosts() -> set[str]:
    public = urlsplit(state().settings.public_url).netloc
    return {request.host.lower(), public.lower()} - {""}


def _foreign(header: str, remedy: str) -> RequestError:
    return RequestError(403, Fault(header, "names another site", remedy), code="forbidden")


def bear_policy(response: Response) -> Response:
    """Our own policy for pages; files of ours may be kept for a while, pages never."""
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    if request.endpoint == "workbench.static" and response.status_code == 200:
        response.headers["Cache-Control"] = "private, max-age=300"
    return response
