"""Listed words, found by the first of them: most words of a record begin nothing that is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Words = tuple[str, ...]


class Lexicon:
    """Words as the content lists them, each with its kind."""

    __slots__ = ("_by_first",)

    def __init__(self, kinds: Mapping[Words, str]) -> None:
        by_first: dict[str, list[tuple[Words, str]]] = {}
        for words in sorted(filter(None, kinds), key=len, reverse=True):
            by_first.setdefault(words[0], []).append((words, kinds[words]))
        self._by_first = {first: tuple(listed) for first, listed in by_first.items()}

    def may_be_in(self, words: Iterable[str]) -> bool:
        """A first, cheap look: whether any of these words begins what is listed."""
        return not self._by_first.keys().isdisjoint(words)

    def at(self, words: Sequence[str], place: int = 0) -> Sequence[tuple[Words, str]]:
        """What is listed and stands at that place, the longest first, each with its kind."""
        listed = self._by_first.get(words[place]) if place < len(words) else None
        if listed is None:
            return ()
        return [entry for entry in listed if tuple(words[place : place + len(entry[0])]) == entry[0]]

    def length_at(self, words: Sequence[str], place: int = 0) -> int:
        """How many words at that place are listed as one, the most that are."""
        found = self.at(words, place)
        return len(found[0][0]) if found else 0

    def is_in(self, words: Sequence[str]) -> bool:
        """Whether any of it stands somewhere in these words, side by side."""
        return self.may_be_in(words) and any(self.at(words, place) for place in range(len(words)))

    def has_one_of(self, words: Sequence[str]) -> bool:
        """Whether any of these words is listed by itself."""
        found = (self.at(words, place) for place in range(len(words))) if self.may_be_in(words) else ()
        return any(len(listed) == 1 for each in found for listed, _ in each)

    def covers(self, words: Sequence[str], place: int = 0) -> bool:
        """Whether from that place on nothing else is said."""
        while place < len(words):
            length = self.length_at(words, place)
            if not length:
                return False
            place += length
        return True
