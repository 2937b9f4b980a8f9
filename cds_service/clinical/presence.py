"""Three values: a finding is present, absent or unknown, and silence is unknown."""

from collections.abc import Iterable
from enum import Enum


class Presence(Enum):
    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, truth: bool | None) -> "Presence":
        if truth is None:
            return cls.UNKNOWN
        return cls.PRESENT if truth else cls.ABSENT


# Python finds a member of a class like this slowly, and each chart asks for thousands.
PRESENT, ABSENT, UNKNOWN = Presence.PRESENT, Presence.ABSENT, Presence.UNKNOWN


def all_of(parts: Iterable[Presence]) -> Presence:
    """Absent as soon as one part is absent; present only when every part is."""
    verdict = PRESENT
    for part in parts:
        if part is ABSENT:
            return part
        if part is UNKNOWN:
            verdict = part
    return verdict


def at_least(count: int, parts: Iterable[Presence]) -> Presence:
    """Counts what is present; absent when too few could still be."""
    values = list(parts)
    present = values.count(PRESENT)
    if present >= count:
        return PRESENT
    return ABSENT if present + values.count(UNKNOWN) < count else UNKNOWN


def absent(part: Presence) -> Presence:
    """Documented absence; unknown stays unknown."""
    if part is PRESENT:
        return ABSENT
    return PRESENT if part is ABSENT else UNKNOWN
