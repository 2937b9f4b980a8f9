"""The open book, to be read by anybody: the handbook, and the knowledge as FHIR. Content only, no patient's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from flask import Blueprint, Response, redirect, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from cds_service.errors import Fault, RequestError
from cds_service.web.kept import Kept, kept, once, shelf
from cds_service.web.state import state

if TYPE_CHECKING:
    from cds_service.artefacts.artefacts import Artefacts
    from cds_service.handbook.pages import Handbook

book = Blueprint("book", __name__)
# Nothing but our own style sheet and the pictures in the page: no script, no form, no frame.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def handbook() -> Handbook:
    """The handbook of the content that this service reasons with."""
    from cds_service.handbook.pages import Handbook

    return once("handbook", lambda: Handbook(state().knowledge.written))


def _artefacts() -> Artefacts:
    from cds_service.artefacts.artefacts import Artefacts

    return once("artefacts", lambda: Artefacts(state().knowledge, state().settings.public_url))


@book.after_request
def _says_how_to_read_it(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@book.get("/handbook")
def handbook_root() -> AnyResponse:
    """To the contents, by an address that also holds behind a proxy that adds a path."""
    return redirect("index.html" if request.path.endswith("/") else "handbook/index.html")


@book.get("/handbook//<path:page>")  # a slash too many: words for readers here too
@book.get("/handbook/<path:page>")
def handbook_page(page: str) -> Response:
    """One file of the handbook. Who reads HTML gets words where there is none."""

    def made() -> tuple[str, bytes] | None:
        found = handbook().page(page)
        return (found.kind, found.body) if found else None

    try:
        return kept(f"handbook/{page}", made)
    except NotFound:
        wanted = request.accept_mimetypes.best_match(("application/json", "text/html"))
        if wanted != "text/html":
            raise
    with shelf().room():
        nothing = handbook().not_here(page)
    return Response(nothing.body, status=404, content_type=nothing.kind)


# ---------------------------------------------------------------- the knowledge as FHIR


def _fhir(resource: dict[str, Any]) -> tuple[str, bytes]:
    return "application/fhir+json", orjson.dumps(resource)


@book.get("/fhir/metadata")
def fhir_metadata() -> Response:
    """What can be asked here."""
    return kept("fhir/metadata", lambda: _fhir(_artefacts().capabilities()))


@book.get("/fhir/<kind>/<name>")
def fhir_read(kind: str, name: str) -> Response:
    """One artefact."""

    def made() -> tuple[str, bytes] | None:
        found = _artefacts().read(kind, name)
        return _fhir(found) if found else None

    return kept(f"fhir/{kind}/{name}", made)


@book.get("/fhir/<kind>")
def fhir_search(kind: str) -> Response:
    """The artefacts of a type with a canonical address."""
    from cds_service.artefacts.artefacts import SEARCHED

    given = request.args
    with shelf().room():
        kinds = _artefacts().kinds
    if kind not in kinds:
        raise NotFound
    if set(given) - set(SEARCHED) or not given.get("url"):
        # What was asked for and not understood would widen the answer without a word.
        fault = Fault("query", "is no search that is offered", f"search by {' and '.join(SEARCHED)} alone")
        raise RequestError(400, fault, code="not-supported")
    return Kept.plain(*_fhir(_artefacts().search(kind, given["url"], given.get("version", "")))).answer()
