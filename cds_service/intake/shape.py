"""Guards for raw FHIR: what has the wrong shape is named by its path and becomes a data gap."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from cds_service.clinical.spans import Span
from cds_service.errors import UnreadableError

Json = Mapping[str, Any]
# FHIR allows 1 MB; no statement about a patient is that long, and each is searched for words.
LONGEST_TEXT = 100_000


def text(parent: Json, key: str) -> str:
    """A string element; empty when it is not there."""
    value = parent.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableError(key, "expected text")
    if len(value) > LONGEST_TEXT:
        raise UnreadableError(key, f"a text of more than {LONGEST_TEXT} characters")
    return value


def element(parent: Json, key: str) -> Json:
    """A complex element; empty when it is not there."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableError(key, "expected an object")
    return value


def elements(parent: Json, key: str) -> Iterator[Json]:
    """A repeating complex element."""
    value = parent.get(key)
    if value is None:
        return
    if not isinstance(value, list):
        raise UnreadableError(key, "expected a list")
    for position, item in enumerate(value):
        if not isinstance(item, dict):
            raise UnreadableError(f"{key}[{position}]", "expected an object")
        yield item


def number(parent: Json, key: str) -> float | None:
    value = parent.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableError(key, "expected a number")
    return float(value)


def span(parent: Json, *keys: str) -> Span | None:
    """The first date of these elements that is there. A date that is no date is unreadable."""
    for key in keys:
        value = parent.get(key)
        if value is None:
            continue
        if isinstance(value, dict):
            found = period(value)
        elif isinstance(value, str):
            found = Span.parse(value)
            if found is None:
                raise UnreadableError(key, "expected a date")
        else:
            raise UnreadableError(key, "expected a date")
        if found is not None:
            return found
    return None


def period(value: Json) -> Span | None:
    """The start of a Period, else its end."""
    return span(value, "start", "end")


def coded(parent: Json, key: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """A CodeableConcept: its codings, and every wording of it once, its own text first."""
    concept = element(parent, key)
    codings, wordings = [], [text(concept, "text")]
    for coding in elements(concept, "coding"):
        codings.append((text(coding, "system"), text(coding, "code")))
        wordings.append(text(coding, "display"))
    return tuple(codings), tuple(filter(None, dict.fromkeys(wordings)))


def status(parent: Json, key: str) -> str:
    """The code of a status that FHIR R4 gives as a CodeableConcept."""
    for coding in elements(element(parent, key), "coding"):
        return text(coding, "code")
    return text(element(parent, key), "text").lower()


def reference(parent: Json, key: str) -> str:
    return text(element(parent, key), "reference")


def belongs_to(owner: str, names: Container[str]) -> bool:
    """Whether a reference is to one of these ids: ``Patient/p``, an absolute address, a bare id or a urn."""
    return id_of(owner) in names and may_be_a_patient(owner)


def may_be_a_patient(owner: str) -> bool:
    """Not a Group or a Practitioner."""
    parts = owner.split("/_history/")[0].split("/")
    return bool(owner) and (len(parts) == 1 or parts[-2] == "Patient")


def id_of(reference: str) -> str:
    """The id in a reference: after the last ``/`` or ``urn:uuid:``, version removed."""
    plain = reference.split("/_history/")[0]
    return plain.rsplit("/", 1)[-1].removeprefix("urn:uuid:").removeprefix("urn:oid:")
