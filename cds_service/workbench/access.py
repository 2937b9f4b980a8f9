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
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    # One place of our scripts may set HTML: `put` in asking.js, with what the service has written.
    "require-trusted-types-for 'script'; trusted-types workbench"
)
_ALONE = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"}
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


def require_own_name() -> None:
    """Refuse every call under another name than a loopback address, at any endpoint. Raises RequestError 403.

    On loopback nobody is authenticated, and a page may let a name of its own point to 127.0.0.1: to the browser
    the service is then of the page's own origin, and no rule about origins holds. Health and metrics tell of no
    patient, and those who probe them use whatever name they like.
    """
    # What is no host at all is an empty one here, and nobody's.
    if request.blueprint != "health" and not _is_here(urlsplit(f"//{request.host}").hostname or ""):
        remedy = "use a loopback address like http://127.0.0.1:8000, or set CDS_WORKBENCH=off to be called by any name"
        raise RequestError(403, Fault("Host", "names another machine", remedy), code="forbidden")


def require_own_page() -> None:
    """Refuse what another site's page asks through the user's browser, by a form or a script. Raises RequestError 403.

    Under a loopback name only; see ``require_own_name``.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in _SAME_SITE and request.method != "GET":
        raise _foreign("Sec-Fetch-Site", "ask from a page of the workbench itself")
    origin = request.headers.get("Origin")
    if origin is not None and _place_of(origin) not in _own_hosts():
        raise _foreign("Origin", "ask from a page of the workbench itself")


def _place_of(origin: str) -> str:
    """Host and port; of ``null`` and of what is no address nothing, which is nobody's."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _own_hosts() -> set[str]:
    public = urlsplit(state().settings.public_url).netloc
    return {request.host.lower(), public.lower()} - {""}


def _foreign(header: str, remedy: str) -> RequestError:
    return RequestError(403, Fault(header, "names another site", remedy), code="forbidden")


def bear_policy(response: Response) -> Response:
    """Our own policy for pages; files of ours may be kept for a while, pages never."""
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers.update(_ALONE)  # other sites' windows and pages get no hold of ours
    if request.endpoint == "workbench.static" and response.status_code == 200:
        response.headers["Cache-Control"] = "private, max-age=300"
    return response
