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


def all_of(parts: Iterable[Presence]) -> Presence:
    """Absent as soon as one part is absent; present only when every part is."""
    verdict = Presence.PRESENT
    for part in parts:
        if part is Presence.ABSENT:
            return part
        if part is Presence.UNKNOWN:
            verdict = part
    return verdict


def any_of(parts: Iterable[Presence]) -> Presence:
    """Present as soon as one part is present; absent only when every part is."""
    verdict = None
    for part in parts:
        if part is Presence.PRESENT:
            return part
        if part is Presence.UNKNOWN or verdict is None:
            verdict = part
    return verdict or Presence.UNKNOWN


def at_least(count: int, parts: Iterable[Presence]) -> Presence:
    """Counts what is present; absent when too few could still be."""
    values = list(parts)
    present = values.count(Presence.PRESENT)
    if present >= count:
        return Presence.PRESENT
    return Presence.ABSENT if present + values.count(Presence.UNKNOWN) < count else Presence.UNKNOWN


def absent(part: Presence) -> Presence:
    """Documented absence; unknown stays unknown."""
    opposite = {Presence.PRESENT: Presence.ABSENT, Presence.ABSENT: Presence.PRESENT}
    return opposite.get(part, Presence.UNKNOWN)


def not_present(part: Presence) -> Presence:
    """Not charted: absent or unknown. Decided always, so that a gap never hides a red flag."""
    return Presence.of(part is not Presence.PRESENT)
