"""Questions to a client's FHIR server: asked side by side, page by page, within limits."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from cds_service.errors import RequestError
from cds_service.intake.decode import decode
from cds_service.network.circuit import Circuit
from cds_service.network.connection import (
    Connection,
    Deadline,
    Reason,
    Resolve,
    UnansweredError,
    pinned,
    system_resolve,
)
from cds_service.network.places import Place, below
from cds_service.network.servers import FhirServer

Json = Mapping[str, Any]
_SIDE_BY_SIDE = 8  # connections to one server per hook call


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one hook call may take from a FHIR server."""

    deadline: float = 3.0
    pages: int = 10  # of one query
    resources: int = 5000  # of one call
    response: int = 20 * 1024 * 1024  # bytes of one response, unpacked
    together: int = 40 * 1024 * 1024  # bytes of all responses of one call


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask: a query of the discovery document, or the page that follows one the client sent."""

    key: str
    query: str = ""  # relative to the base
    next_link: str | None = None
    kind: str = "Bundle"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: pages, and why there are no more or none at all."""

    question: Question
    pages: tuple[Json, ...] = field(default=(), repr=False)
    unanswered: Reason | None = None
    stopped: str = ""  # reached a limit

    @property
    def shortfall(self) -> str:
        """Why it is not all, in words; empty when it is."""
        return self.stopped or (self.unanswered.value if self.unanswered else "")


def _system_authorities() -> ssl.SSLContext:
    import httpx  # a start without FHIR servers does not wait for it

    return httpx.create_ssl_context()


class FhirAccess:
    """The way to FHIR servers for one process. Holds no connection: it is safe to make before a fork."""

    def __init__(
        self,
        servers: Sequence[FhirServer],
        limits: Limits = Limits(),
        resolve: Resolve = system_resolve,
        clock: Callable[[], float] = time.monotonic,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.servers = tuple(servers)
        self.limits = limits
        self.circuit = Circuit(clock=clock)
        self._resolve = resolve
        # The operator's own authorities, from SSL_CERT_FILE, or those of certifi.
        self._context = context or (_system_authorities() if servers else None)

    def ask(
        self, server: FhirServer, questions: Sequence[Question], token: str = "", asker: str = ""
    ) -> tuple[Answer, ...]:
        """An answer to each question, in their order, before the deadline.

        ``asker``: the client on whose behalf. What it makes a server fail is no reason to leave others without.
        """
        way = f"{server.base} {asker}"
        if not self.circuit.may_ask(way):
            return tuple(Answer(question, unanswered=Reason.LEFT_ALONE) for question in questions)
        answers = self._ask(server, questions, token)
        if _is_alive(answers):
            self.circuit.answered(way)
        elif _is_down(answers):
            self.circuit.failed(way)
        return _within(answers, self.limits.resources)

    def _ask(self, server: FhirServer, questions: Sequence[Question], token: str) -> tuple[Answer, ...]:
        deadline = Deadline.after(self.limits.deadline)
        try:
            addresses = pinned(server, self._resolve, deadline)
        except UnansweredError as error:
            return tuple(Answer(question, unanswered=error.reason) for question in questions)
        most, together = self.limits.response, self.limits.together
        with (
            Connection(server, addresses, token, self._context, deadline, most, together) as connection,
            ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(questions)), "fhir") as threads,
        ):
            return tuple(threads.map(lambda question: self._answer(server, question, connection), questions))

    def _answer(self, server: FhirServer, question: Question, connection: Connection) -> Answer:
        pages: list[Json] = []
        count = 0
        try:
            place: Place | None = _first(server.base, question)
            while place is not None:
                if len(pages) >= self.limits.pages:
                    return Answer(question, tuple(pages), stopped=f"stopped after {self.limits.pages} pages")
                page = _read(connection.get(place), question.kind)
                pages.append(page)
                count += _size(page)
                link = _next_link(page)
                if link and count >= self.limits.resources:
                    return Answer(question, tuple(pages), stopped=_too_many(self.limits.resources))
                place = _following(server.base, place, link) if link else None
        except UnansweredError as error:
            return Answer(question, tuple(pages), error.reason)
        return Answer(question, tuple(pages))


def _is_alive(answers: Sequence[Answer]) -> bool:
    """Whether the server answered something, be it a refusal."""
    return any(a.pages or (a.unanswered and not a.unanswered.is_failure_of_server) for a in answers)


def _is_down(answers: Sequence[Answer]) -> bool:
    """Whether a server that answered nothing has failed as a whole.

    A client chooses the links it sends, and one search may fail in a server that is well: neither says so. No
    connection, or no answer in time, does.
    """
    own = [answer.unanswered for answer in answers if answer.question.next_link is None]
    return len(own) > 1 or bool({Reason.CONNECTION, Reason.TIMED_OUT}.intersection(own))


def _first(base: Place, question: Question) -> Place:
    if question.next_link is not None:
        return _following(base, replace(base, path=f"{base.path}/"), question.next_link)
    path, _, query = question.query.partition("?")
    return Place(base.scheme, base.host, base.port, f"{base.path}/{path}", query)


def _following(base: Place, current: Place, link: str) -> Place:
    place = below(base, current, link)
    if place is None:
        raise UnansweredError(Reason.NEXT_ELSEWHERE)
    return place


def _read(body: bytes, kind: str) -> Json:
    try:
        value = decode(body)
    except RequestError:
        raise UnansweredError(Reason.NOT_FHIR) from None
    if isinstance(value, dict) and value.get("resourceType") == "OperationOutcome":
        raise UnansweredError(Reason.REPORTED)
    if not isinstance(value, dict) or value.get("resourceType") != kind:
        raise UnansweredError(Reason.NOT_FHIR)
    return value


def _size(page: Json) -> int:
    entries = page.get("entry")
    return len(entries) if isinstance(entries, list) else 1


def _next_link(page: Json) -> str:
    links = page.get("link")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "next":
            return str(link.get("url") or " ")  # a link to nowhere is still a page that is missing
    return ""


def _too_many(most: int) -> str:
    return f"stopped after {most} resources"


def _within(answers: Sequence[Answer], most: int) -> tuple[Answer, ...]:
    """The answers, cut where there are more resources than a call may bring; the first questions come first."""
    kept, too_many = [], _too_many(most)
    for answer in answers:
        pages: list[Json] = []
        stopped = answer.stopped
        for page in answer.pages:
            if _size(page) > most:
                page = {**page, "entry": page["entry"][:most]} if isinstance(page.get("entry"), list) else page
                stopped = stopped or too_many
            most = max(0, most - _size(page))
            pages.append(page)
        kept.append(Answer(answer.question, tuple(pages), answer.unanswered, stopped))
    return tuple(kept)
