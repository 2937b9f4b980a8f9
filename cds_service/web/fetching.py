"""What the client did not send, asked of its own FHIR server."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from urllib.parse import quote

from cds_service.clinical.chart import QUERIES, DataGap
from cds_service.errors import Fault, RequestError
from cds_service.intake.envelope import HookRequest
from cds_service.intake.prefetch import REQUIRED, NextPage, Prefetched, take
from cds_service.network.connection import Reason
from cds_service.network.fetch import Answer, FhirAccess, Limits, Question
from cds_service.network.servers import allowed
from cds_service.settings import Settings
from cds_service.web import metrics

_PATIENT_ID = "{{context.patientId}}"
# Longer than FHIR allows, and with an underscore, because servers write such ids. Nothing that means
# something in a path or a search: `a,b` would be two patients, `..` another address.
_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]{1,255}\Z")
_MOST_FOLLOWED = 20  # first pages of one call whose next pages are read
_REMEDY = "send it as the discovery document asks"
_REMEDIES = {Reason.NOT_LISTED: f"{_REMEDY}, or let the operator add the server to CDS_FHIR_SERVERS"}


def fhir_access(settings: Settings) -> FhirAccess:
    """The way to the FHIR servers that the settings allow."""
    return FhirAccess(settings.fhir_servers, Limits(deadline=settings.fhir_deadline))


def ask_for_the_rest(
    found: Prefetched,
    hook: HookRequest,
    templates: Mapping[str, str],
    access: FhirAccess,
    asker: str = "",
    meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
    told: Callable[[dict[str, int]], None] = lambda _: None,
) -> None:
    """Fetch the queries that the client has answered in no way, and the pages that follow those it sent.

    A key that is null or failed was answered. ``meanwhile``: what holds while the server is waited for.
    ``told``: learns how many questions had which outcome, also when the call then fails.
    Raises RequestError 412 when a required query fails.
    """
    missing = [key for key in templates if key not in hook.prefetch and key not in found.answered]
    pages = found.next_pages[:_MOST_FOLLOWED]
    if not (missing or pages) or not hook.fhir_server:
        return
    server = allowed(access.servers, hook.fhir_server)
    if server is None:
        # Optional queries stay unknown, and cut pages cut, as without a server.
        _require((key, Reason.NOT_LISTED) for key in missing)
        return
    if missing and not _ID.match(hook.patient_id):
        _require((key, Reason.NO_ID) for key in missing)
        missing = []
    questions = [_query(key, templates[key], hook.patient_id) for key in missing]
    questions += [Question(page.key, next_link=page.link) for page in pages]
    if not questions:
        return
    token = hook.authorization.access_token if hook.authorization else ""
    with meanwhile():
        answers = access.ask(server, questions, token, asker)
    told(_counted(answers))
    _sort_in(answers[: len(missing)], found)
    for page, answer in zip(pages, answers[len(missing) :], strict=True):
        _continue(page, answer, found)


def _query(key: str, template: str, patient_id: str) -> Question:
    query = template.replace(_PATIENT_ID, quote(patient_id, safe=""))
    return Question(key, query, kind="Patient" if key == "patient" else "Bundle")


def _sort_in(answers: Iterable[Answer], found: Prefetched) -> None:
    answers = tuple(answers)
    _require((a.question.key, a.unanswered) for a in answers if a.unanswered and not a.pages)
    for answer in answers:
        if answer.pages:
            _read_pages(answer, frozenset(), found)
        else:
            found.gaps.append(DataGap(answer.question.key, f"not sent by the client, and {answer.shortfall}"))


def _continue(page: NextPage, answer: Answer, found: Prefetched) -> None:
    """Read on where the first page ended. A page that stays away is a gap, also of a required query."""
    found.next_pages.remove(page)
    _read_pages(answer, page.queries, found)


def _read_pages(answer: Answer, queries: frozenset[str], found: Prefetched) -> None:
    key = answer.question.key
    for page in answer.pages:
        queries |= take(key, {name: value for name, value in page.items() if name != "link"}, found)
    if answer.shortfall:
        found.cut |= queries
        found.gaps.append(DataGap(key, f"only a part was read: {answer.shortfall}"))


def _require(failed: Iterable[tuple[str, Reason]]) -> None:
    faults = [
        Fault(f"prefetch.{key}", f"was not sent, and {reason.value}", _REMEDIES.get(reason, _REMEDY))
        for key, reason in failed
        if key in REQUIRED
    ]
    if faults:
        raise RequestError(412, *faults, code="required")


def _counted(answers: Iterable[Answer]) -> dict[str, int]:
    outcomes: Counter[str] = Counter()
    for answer in answers:
        outcome = answer.unanswered.name.lower() if answer.unanswered else "answered"
        outcomes[outcome] += 1
        metrics.FHIR.labels(answer.question.key if answer.question.key in QUERIES else "other", outcome).inc()
    return dict(sorted(outcomes.items()))
