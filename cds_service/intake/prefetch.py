"""What a client answered to each prefetch query: absent, null, resources, a cut page or a failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.clinical.chart import QUERIES, DataGap
from cds_service.errors import Fault, RequestError, UnreadableError
from cds_service.intake.shape import Json, elements, text

REQUIRED = ("patient", "conditions")
RECORD = "record"  # the key of a whole record, of which a total counts everything
MOST_RESOURCES = 50_000
_BUNDLE_DEPTH = 4
# Which of the queries for Observations one answers is told by its category.
QUERY_OF_TYPE = {kind: query for query, kind in QUERIES.items() if kind != "Observation"}
_OF_CATEGORY = {"laboratory": "labs", "vital-signs": "vitals"}
_FAILURES = ("error", "fatal")  # severities; remarks and warnings leave the answer whole


@dataclass(frozen=True, slots=True)
class NextPage:
    """A page that was announced and has not been read: under which key, where, and of which queries."""

    key: str
    link: str
    queries: frozenset[str]


@dataclass
class Matches:
    """Of one search, over its pages: how many it found by its own count, how many came, and of which queries."""

    total: int = 0
    came: int = 0
    queries: set[str] = field(default_factory=set)


@dataclass
class Prefetched:
    """The resources of a request by type, and which queries were answered, in full or in part."""

    resources: dict[str, list[Json]] = field(default_factory=dict)
    full_urls: dict[int, str] = field(default_factory=dict)  # of Patients: resources may refer to them by it
    answered: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    gaps: list[DataGap] = field(default_factory=list)
    count: int = 0
    next_pages: list[NextPage] = field(default_factory=list)
    matches: dict[str, Matches] = field(default_factory=dict)
    seen: set[tuple[str, str, str]] = field(default_factory=set)

    def of(self, resource_type: str) -> list[Json]:
        return self.resources.get(resource_type, [])

    @property
    def complete(self) -> frozenset[str]:
        return frozenset(self.answered - self.cut)


def gather(prefetch: Mapping[str, Any]) -> Prefetched:
    """Sort a prefetch by resource type. Raises RequestError 412 when a required key is unusable or missing."""
    return settled(sort(prefetch))


def sort(prefetch: Mapping[str, Any]) -> Prefetched:
    """What the client sent, before anything that is missing is asked for.

    Raises RequestError 412 when a required key was answered with something unusable.
    """
    found = Prefetched()
    for key, value in prefetch.items():
        if value is None:
            _null(key, found)
        elif not isinstance(value, Mapping):
            _without(key, "not a FHIR resource", found)
        elif value.get("resourceType") == "OperationOutcome":
            _without(key, "the client reported a failure", found)
        else:
            take(key, value, found)
    return found


def settled(found: Prefetched) -> Prefetched:
    """The end of gathering: pages nobody read become gaps. Raises RequestError 412 naming missing required keys."""
    _leave_pages(found)
    _require(found)
    return found


def _leave_pages(found: Prefetched) -> None:
    for page in found.next_pages:
        found.cut |= page.queries
        found.gaps.append(DataGap(page.key, "only the first page was sent"))
    found.next_pages.clear()
    for key, matches in found.matches.items():
        if matches.total > matches.came:
            found.cut |= matches.queries
            if all(gap.query != key for gap in found.gaps):
                found.gaps.append(DataGap(key, "fewer entries were sent than were found"))


def whole_record(bundle: Json) -> Prefetched:
    """A Bundle of a whole record, as from an export: every query counts as answered."""
    found = Prefetched()
    take(RECORD, bundle, found)
    found.answered |= set(QUERIES)
    _leave_pages(found)
    if found.gaps:  # what was not read may have been of any kind
        found.cut |= set(QUERIES)
    return found


def _null(key: str, found: Prefetched) -> None:
    if key == "patient":
        raise unusable(key, "is null", "send the Patient resource")
    if key == "conditions":
        found.answered.add(key)  # null here means: none on file


def unusable(where: str, what: str, remedy: str) -> RequestError:
    """The refusal of a chart that lacks what it cannot do without. ``where``: below ``prefetch``."""
    return RequestError(412, Fault(f"prefetch.{where}", what, remedy), code="required")


def _without(key: str, reason: str, found: Prefetched) -> None:
    if key in REQUIRED:
        raise unusable(key, reason, "send the resources of this query")
    found.gaps.append(DataGap(key, reason))


def take(key: str, value: Json, found: Prefetched) -> frozenset[str]:
    """Sort one answer in; says which queries it answered."""
    wanted = QUERIES.get(key)
    if wanted is not None and value.get("resourceType") not in ("Bundle", wanted):
        _without(key, f"neither a Bundle nor a {wanted}", found)
        return frozenset()
    # One resource alone is no answer to a search: there may be others.
    part = value.get("resourceType") not in ("Bundle", "Patient")
    failed = False
    met: set[str] = set()
    links: list[str] = []
    try:
        for resource, full_url in _resources(value, links):
            kind = resource.get("resourceType")
            if not isinstance(kind, str):
                found.gaps.append(DataGap(key, "an entry without resourceType"))
                part = True
            elif kind == "OperationOutcome":  # of the client's server, on its own search
                failed |= _is_failure(resource)
            else:
                met.add(query_of(key, kind, resource))
                _keep(resource, kind, full_url, found)
    except UnreadableError:
        _without(key, "not readable as a Bundle", found)
        part = True
    else:
        met |= {key} & (found.answered if failed else QUERIES.keys())
        if failed:
            _failed(key, found)
            part = True
    met.discard("")
    if value.get("resourceType") == "Bundle":
        _count(key, value, met, found)
    found.answered |= met
    if part:
        found.cut |= met
    found.next_pages += [NextPage(key, link, frozenset(met)) for link in links]
    return frozenset(met)


def _count(key: str, bundle: Json, queries: set[str], found: Prefetched) -> None:
    """Remember how many matches a page brought. ``total`` is of all pages, and may be left out."""
    matches = found.matches.setdefault(key, Matches())
    total, entries = bundle.get("total"), bundle.get("entry")
    if type(total) is int:
        matches.total = max(matches.total, total)
    matches.came += matches_in(map(_told, entries), key) if type(entries) is list else 0
    matches.queries |= queries


def matches_in(entries: Iterable[tuple[object, object]], key: str) -> int:
    """How many entries of a page a ``total`` counts. ``entries``: the type and the search mode of each.

    What came as a match is one, of whatever type. Where the mode is not said, what is of another type than the query
    asks for came along with those that are of it.
    """
    told = [(kind, mode) for kind, mode in entries if kind and kind != "OperationOutcome" and mode != "outcome"]
    if key == RECORD:
        return len(told)
    unsaid = [kind for kind, mode in told if mode is None]
    asked = QUERIES.get(key)
    along = any(kind == asked for kind, _ in told)
    return sum(mode == "match" for _, mode in told) + (unsaid.count(asked) if along else len(unsaid))


def _told(entry: Any) -> tuple[object, object]:
    """The type and the search mode of an entry."""
    resource, search = (entry.get("resource"), entry.get("search")) if type(entry) is dict else (None, None)
    return (
        resource.get("resourceType") if type(resource) is dict else None,
        search.get("mode") if type(search) is dict else None,
    )


def _is_failure(outcome: Json) -> bool:
    """Whether a search failed, or did not reach all that it asks."""
    return any(
        text(issue, "severity") in _FAILURES or text(issue, "code") == "incomplete"
        for issue in elements(outcome, "issue")
    )


def _failed(key: str, found: Prefetched) -> None:
    """Also beside entries: what a failed search found may be a part. Of pages that were read the earlier ones stand."""
    reason = "the search reported a failure"
    if key in found.answered:
        found.gaps.append(DataGap(key, reason))
    else:
        _without(key, reason, found)


def _keep(resource: Json, kind: str, full_url: str, found: Prefetched) -> None:
    """Count a resource, and file it; the same one may arrive under two keys and is read once."""
    found.count += 1
    if found.count > MOST_RESOURCES:
        fault = Fault("prefetch", f"holds more than {MOST_RESOURCES} resources", "ask with narrower queries")
        raise RequestError(413, fault, code="too-long")
    identity, meta = resource.get("id"), resource.get("meta")
    if isinstance(identity, str):
        mark = (kind, identity, str(meta.get("versionId", "") if isinstance(meta, dict) else ""))
        if mark in found.seen:
            return
        found.seen.add(mark)
    found.resources.setdefault(kind, []).append(resource)
    if kind == "Patient" and full_url:
        found.full_urls[id(resource)] = full_url


def query_of(key: str, kind: str, resource: Json) -> str:
    """The query that asks for a resource which came under this key; empty when none does."""
    if QUERIES.get(key) == kind:
        return key
    if kind != "Observation":
        return QUERY_OF_TYPE.get(kind, "")
    try:
        for category in elements(resource, "category"):
            for coding in elements(category, "coding"):
                return _OF_CATEGORY.get(text(coding, "code"), "findings")
    except UnreadableError:
        pass  # a gap when this resource is read; those that follow it must not be lost with it
    return "findings"


def _resources(value: Json, links: list[str], depth: int = 0) -> Iterator[tuple[Json, str]]:
    """Resources of a Bundle with their fullUrl, nested Bundles included. ``links`` gains their ``next`` links."""
    if value.get("resourceType") != "Bundle":
        yield value, ""
        return
    if depth >= _BUNDLE_DEPTH:
        raise UnreadableError("entry", "Bundles nested too deeply")
    for link in elements(value, "link"):
        if text(link, "relation") == "next":
            links.append(str(link.get("url") or ""))
    for entry in elements(value, "entry"):
        resource = entry.get("resource")
        if resource is None:
            continue
        if not isinstance(resource, dict):
            raise UnreadableError("entry.resource", "expected an object")
        if resource.get("resourceType") == "Bundle":
            yield from _resources(resource, links, depth + 1)
        else:
            yield resource, text(entry, "fullUrl")


def _require(found: Prefetched) -> None:
    missing = [key for key in REQUIRED if key not in found.answered]
    if missing:
        raise RequestError(
            412,
            *(Fault(f"prefetch.{key}", "is missing", "send it as the discovery document asks") for key in missing),
            code="required",
        )
