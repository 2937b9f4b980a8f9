"""How a content differs from the bundled one, which comes along with the service: its files and entries.

What this project says of its content, such as which tests run with it, holds for the bundled content alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from cds_service.handbook.library import CARD, MEDICINES, Entry, Library, entries_of, texts_of
from cds_service.handbook.plainly import Words
from cds_service.knowledge.codes import Codes
from cds_service.knowledge.content import Content
from cds_service.knowledge.files import folder
from cds_service.knowledge.load import checked_content
from cds_service.knowledge.sealed import hashes

_CHANGED = "Changed from the bundled content."
_ADDED = "Not in the bundled content."
_CODES = "Its own words are those of the bundled content; the codes behind them were changed:"
_RESTS = "Its own words are those of the bundled content; what its rule rests on was changed:"


@dataclass(frozen=True, slots=True)
class Mark:
    """How an entry differs: in a word or two for a list, and in words with what they speak of for its page."""

    short: str
    words: Words


@dataclass(frozen=True, slots=True)
class Difference:
    """What of a content is not as in the bundled one, and the version of that one. False: nothing."""

    version: str = ""
    changed: tuple[str, ...] = ()  # files, by their place in the folder
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)  # id in the library -> how the entry differs
    gone: tuple[str, ...] = ()  # entries of the bundled content that are not there

    def __bool__(self) -> bool:
        return bool(self.changed or self.added or self.missing)

    def of_file(self, name: str) -> Mark | None:
        """The mark of a page that is made of one whole file."""
        if name in self.added:
            return Mark("added", Words(_ADDED))
        return Mark("changed", Words(_CHANGED)) if name in self.changed else None


def is_bundled(content: Content) -> bool:
    """Whether a content was read from the files that come along with the service, byte for byte."""
    return content.hashes == hashes(folder("cards"))


def difference(library: Library) -> Difference:
    """Compare a content with the bundled one, file by file and entry by entry. Raises ContentError when that is broken.

    Of the content it is what was read at the start, whatever has become of its files since."""
    content = library.content
    if is_bundled(content):
        return Difference()
    bundled = checked_content()
    here, there = content.hashes, bundled.hashes
    before = {(e.kind.name, e.id): e for e in entries_of(bundled)}
    now = {(e.kind.name, str(e.spec["id"])) for e in library.values()}
    return Difference(
        version=bundled.version,
        changed=tuple(sorted(name for name in here.keys() & there.keys() if here[name] != there[name])),
        added=tuple(sorted(here.keys() - there.keys())),
        missing=tuple(sorted(there.keys() - here.keys())),
        marks=_marks(library, before, _changed_concepts(content.codes, bundled.codes)),
        gone=tuple(f"{kind} {name}" for kind, name in before if (kind, name) not in now),
    )


# ---------------------------------------------------------------- entries


def _marks(library: Library, before: Mapping[tuple[str, str], Entry], concepts: set[str]) -> dict[str, Mark]:
    marks = {}
    for entry in library.values():
        old = before.get((entry.kind.name, str(entry.spec["id"])))
        codes = sorted(concepts.intersection(texts_of(entry.spec)))
        if old is None:
            marks[entry.id] = Mark("added", Words(_ADDED))
        elif _written(entry) != _written(old):
            marks[entry.id] = Mark("changed", Words(_CHANGED))
        elif codes:
            listed = tuple(Words(library.content.codes.concepts.get(one, {}).get("title", one)) for one in codes)
            marks[entry.id] = Mark("codes changed", Words(_CODES, parts=listed))
    return marks | _resting(library, marks)


def _resting(library: Library, marks: Mapping[str, Mark]) -> dict[str, Mark]:
    """The entries whose rules speak of marked ones, directly or through others, with the marked ones they reach."""
    roots: dict[str, set[str]] = {}
    for root in marks:
        seen, level = {root}, {root}
        while level:
            users = {user.id for name in level for user in _users(library, name)} - seen
            seen |= users
            level = {name for name in users if library[name].kind is not CARD}
        for name in seen - marks.keys():
            roots.setdefault(name, set()).add(root)
    return {
        name: Mark("rests on changed", Words(_RESTS, parts=tuple(_named(library[one]) for one in sorted(found))))
        for name, found in roots.items()
    }


def _users(library: Library, name: str) -> Iterator[Entry]:
    yield from library.used_by(name)
    if library[name].kind is MEDICINES:
        yield from (library[one] for one in library.findings_of_class(library[name].spec))


def _named(entry: Entry) -> Words:
    return Words(entry=entry.id, name=f"{entry.id}: {entry.title}")


def _written(entry: Entry) -> bytes:
    return orjson.dumps([entry.spec, entry.header], default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def _changed_concepts(here: Codes, there: Codes) -> set[str]:
    now, before = _by_concept(here), _by_concept(there)
    return {concept for concept in now.keys() | before.keys() if now.get(concept) != before.get(concept)}


def _by_concept(codes: Codes) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in codes.rows:
        found.setdefault(row.concept, []).append((row.system, row.code, row.display, row.role, row.written))
    return {name: [tuple(spec.items()), *sorted(found.get(name, ()))] for name, spec in codes.concepts.items()}
