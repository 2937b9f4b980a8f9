"""The open book, to be read by anybody: the handbook, and the knowledge as FHIR. Content only, no patient's data."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from flask import Blueprint, Response, current_app, redirect, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from cds_service.errors import Fault, RequestError
from cds_service.web.state import state

if TYPE_CHECKING:
    from collections.abc import Callable

    from cds_service.artefacts.artefacts import Artefacts
    from cds_service.handbook.pages import Handbook

Made = TypeVar("Made")

book = Blueprint("book", __name__)
# Nothing but our own style sheet and the pictures in the page: no script, no form, no frame.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KEPT = "public, max-age=300"  # seconds; content changes with a restart only
_MAKING = Lock()


def _once(name: str, make: Callable[[], Made]) -> Made:
    """What is made when it is first asked for, so that no start waits for it, and then kept with the application."""
    with _MAKING:
        made: Made = current_app.extensions.get(name) or current_app.extensions.setdefault(name, make())
    return made


def handbook() -> Handbook:
    """The handbook of the content that this service reasons with."""
    from cds_service.handbook.pages import Handbook

    return _once("handbook", lambda: Handbook(state().knowledge.written))


def _artefacts() -> Artefacts:
    from cds_service.artefacts.artefacts import Artefacts

    return _once("artefacts", lambda: Artefacts(state().knowledge, state().settings.public_url))


@book.after_request
def _may_be_kept(response: Response) -> Response:
    """Pages of content may be kept by caches, and are asked for again with the name of what is kept."""
    response.headers["Content-Security-Policy"] = _POLICY
    if response.status_code == 200:
        response.headers["Cache-Control"] = _KEPT
        response.add_etag()
        response.make_conditional(request)
    return response


@book.get("/handbook")
def handbook_root() -> AnyResponse:
    """To the contents, by an address that also holds behind a proxy that adds a path."""
    return redirect("index.html" if request.path.endswith("/") else "handbook/index.html")


@book.get("/handbook/<path:page>")
def handbook_page(page: str) -> Response:
    """One file of the handbook."""
    found = handbook().page(page)
    if found is None:
        raise NotFound
    return Response(found.body, content_type=found.kind)


# ---------------------------------------------------------------- the knowledge as FHIR


def _fhir(resource: dict[str, Any]) -> Response:
    return Response(orjson.dumps(resource), content_type="application/fhir+json")


@book.get("/fhir/metadata")
def fhir_metadata() -> Response:
    """What can be asked here."""
    return _fhir(_artefacts().capabilities())


@book.get("/fhir/<kind>/<name>")
def fhir_read(kind: str, name: str) -> Response:
    """One artefact."""
    found = _artefacts().read(kind, name)
    if found is None:
        raise NotFound
    return _fhir(found)


@book.get("/fhir/<kind>")
def fhir_search(kind: str) -> Response:
    """The artefacts of a type with a canonical address."""
    from cds_service.artefacts.artefacts import SEARCHED

    if kind not in _artefacts().kinds:
        raise NotFound
    given = request.args
    if set(given) - set(SEARCHED) or not given.get("url"):
        # What was asked for and not understood would widen the answer without a word.
        fault = Fault("query", "is no search that is offered", f"search by {' and '.join(SEARCHED)} alone")
        raise RequestError(400, fault, code="not-supported")
    return _fhir(_artefacts().search(kind, given["url"], given.get("version", "")))
