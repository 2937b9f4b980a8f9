"""Which web pages may call, by an allow-list, and the headers that every answer bears."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask, Response, request

# Tokens travel in a header that pages set themselves; cookies are not used, so credentials are never allowed.
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "600",
}
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def register_headers(app: Flask, origins: Iterable[str]) -> None:
    """Add CORS headers for listed origins, and the headers of caution, to every answer and every error."""
    allowed = frozenset(_as_browsers_write_it(origin) for origin in origins)

    def add(response: Response) -> Response:
        own = {name.lower() for name, _ in response.headers}  # a page names what it may load
        for name, value in _ALWAYS.items():
            if name.lower() not in own:
                response.headers.add(name, value)
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin", "")
        if origin in allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                response.headers.update(_PREFLIGHT)
        return response

    app.after_request(add)


def _as_browsers_write_it(origin: str) -> str:
    """Lower case and without the port that the scheme implies; another spelling would never match."""
    scheme, _, host = origin.lower().partition("://")
    return f"{scheme}://{host.removesuffix({'http': ':80', 'https': ':443'}.get(scheme, ''))}"
