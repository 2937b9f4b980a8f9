"""Inputs to units of work: which files, what they hold, and each record of them with its offset.

A unit is the same whatever the number of workers: it depends on the names and sizes of the files alone.
"""

from __future__ import annotations

import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from cds_service.review.faults import Trouble

Kind = Literal["bundles", "resources"]

# Of an export a larger one: it leaves a piece in every partition. The same everywhere, for a fault may be told by
# what stands before it in its unit.
_UNIT_BYTES: dict[Kind, int] = {"bundles": 4_000_000, "resources": 4_000_000}
_FILES_PER_UNIT = 64
_CHUNK = 262_144  # memory for a larger one is had from the system anew each time, which takes longer than reading
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
_ENDINGS = (*_LINES, ".json", ".json.gz")
_HEAD = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"')
_HEAD_BYTES = 65_536
# The keys that a manifest of the Bulk Data Access IG may begin with; it has no resourceType.
_MANIFEST = re.compile(rb'\s*\{\s*"(?:transactionTime|request|requiresAccessToken|output\w*|deleted|error|extension)"')
_LONGEST_MANIFEST = 50_000_000
_GZIP = 31  # zlib's name for "a gzip stream with its header"


class Record(NamedTuple):
    """One line, or one whole file: where it begins, and its bytes."""

    offset: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the input. ``name`` is what output calls it: from the INPUT on, without the machine's folders."""

    number: int
    path: Path
    name: str
    label: str  # whose data it is, for the report
    size: int
    changed: int
    kind: Kind
    by_line: bool

    @property
    def packed(self) -> bool:
        return self.path.name.endswith(".gz")


class Span(NamedTuple):
    """A part of a file: the records that begin in it. ``end`` None: to the end of the file."""

    source: Source
    start: int = 0
    end: int | None = None


class Unit(NamedTuple):
    """What one worker does at a time. ``size``: bytes on disk, for the progress bar."""

    number: int
    spans: tuple[Span, ...]
    size: int


class _Head(msgspec.Struct):
    resourceType: str = ""


class _Output(msgspec.Struct):
    type: str = ""
    url: str = ""


class _Manifest(_Head, kw_only=True):
    output: list[_Output]
    error: list[Any] = []  # files of what the server could not export


_head = msgspec.json.Decoder(_Head)
_manifest = msgspec.json.Decoder(_Manifest)


@dataclass(slots=True)
class Found:
    """What the inputs hold: files to read, names of files left out, and what nobody can read."""

    sources: list[Source] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)  # what a server wrote about an export, and is no record
    left_out: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)


def find_sources(inputs: Iterable[Path], out: Path | None = None) -> Found:
    """The files of all inputs, in the order of the arguments and then of their names.

    A folder is searched with all folders in it, but for ``out`` and other folders that a review has written.
    A file that is named itself is read whatever it is called. Inputs of one name are told apart by their place.
    """
    found = Found()
    seen: set[str] = set()
    roots = [given.resolve() for given in inputs]
    shared = Counter(root.name for root in dict.fromkeys(roots))
    for place, root in enumerate(roots, 1):
        begin = f"{place}:{root.name}" if shared[root.name] > 1 else root.name
        files, odd = _walked(root, out.resolve() if out else None) if root.is_dir() else ([root], [])
        for path, reason in odd:
            found.troubles.append(Trouble("file", _named(path, root, begin), 0, reason, _REMEDIES.get(reason, "")))
        for path in files:
            name = _named(path, root, begin)
            real = os.path.realpath(path)  # a file and a link to it are read once
            if real in seen or (root.is_dir() and not path.name.lower().endswith(_ENDINGS)):
                found.left_out.append(name)
                continue
            seen.add(real)
            try:
                if not path.is_file():
                    found.troubles.append(Trouble("file", name, 0, _NO_FILE, _REMEDIES[_NO_FILE]))
                    continue
                if _is_manifest(path):
                    found.manifests.append(name)
                    continue
                found.sources.append(_source(len(found.sources), path, name))
            except OSError as error:
                reason = f"the file cannot be read: {error.strerror}"
                found.troubles.append(Trouble("file", name, 0, reason, "check its permissions"))
    return found


_NO_FILE = "this is no file: a broken link, a pipe or a device"
_LINKED = "this is a link to a folder, and links to folders are not followed"
_REMEDIES = {_NO_FILE: "give the file itself", _LINKED: "give the folder itself as an INPUT"}


def _walked(root: Path, out: Path | None) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Everything in a folder that is no folder; and what cannot be entered, with the reason. Both in order."""
    files: list[Path] = []
    odd: list[tuple[Path, str]] = []

    def refused(error: OSError) -> None:
        odd.append((Path(os.fsdecode(error.filename)), f"the folder cannot be read: {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=refused):
        here = Path(folder)
        if here == out or is_review(here):
            folders.clear()
            continue
        odd += [(here / name, _LINKED) for name in folders if (here / name).is_symlink()]
        files += [here / name for name in names]
    return sorted(files), sorted(odd)


def is_review(folder: Path) -> bool:
    """Whether a review has written this folder, or was doing so."""
    if (folder / "unfinished" / "asked.json").is_file():
        return True
    try:
        said = msgspec.json.decode((folder / "run.json").read_bytes())
    except (OSError, msgspec.DecodeError, RecursionError):
        return False
    return isinstance(said, dict) and {"content_hash", "files_hash", "tally"} <= said.keys()


def _is_manifest(path: Path) -> bool:
    """Whether a file is the manifest of a bulk export: which files the server made, and no record."""
    if not path.name.lower().endswith(".json") or path.stat().st_size > _LONGEST_MANIFEST:
        return False
    if not _MANIFEST.match(_beginning(path, 1_000).removeprefix(_BYTE_ORDER_MARK)):
        return False
    try:
        manifest = _manifest.decode(path.read_bytes().removeprefix(_BYTE_ORDER_MARK))
    except (msgspec.DecodeError, RecursionError):
        return False
    # One with errors is no mere remark: like any other JSON that is no record it is named as a fault.
    return not (manifest.resourceType or manifest.error) and all(file.url and file.type for file in manifest.output)


def _named(path: Path, root: Path, begin: str) -> str:
    """What output calls a file; a name that is not UTF-8 is written with its bytes as ``\\xff``."""
    name = begin if path == root else f"{begin}/{path.relative_to(root).as_posix()}"
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _source(number: int, path: Path, name: str) -> Source:
    by_line, kind = _what_it_holds(path)
    status = path.stat()
    return Source(number, path, name, label_of(name), status.st_size, status.st_mtime_ns, kind, by_line)


def label_of(name: str) -> str:
    """Whose data a file is, by what output calls it: the INPUT and the first folder in it."""
    return "/".join(name.split("/")[:-1][:2]) or name


def _what_it_holds(path: Path) -> tuple[bool, Kind]:
    """Whether it is read by line, and whether it holds Bundles or single resources.

    ``.ndjson`` is read by line. Any other file is, when its first line is closed and its second one opens again:
    a pretty-printed document has an open first line, and one with leading commas a comma before the second.
    """
    head = _beginning(path).removeprefix(_BYTE_ORDER_MARK)
    first, _, rest = head.lstrip().partition(b"\n")
    by_line = path.name.lower().endswith(_LINES) or (first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{"))
    found = _HEAD.match(head)
    if found:
        return by_line, "bundles" if found[1] == b"Bundle" else "resources"
    if by_line:
        kinds = [_kind(line) for line in head.split(b"\n")[:20]]
        known = next((kind for kind in kinds if kind), "")
        if not known and path.name[:1].isupper():
            return by_line, "resources"  # Observation.001.ndjson, as bulk exports are named
        return by_line, "bundles" if known in ("Bundle", "") else "resources"
    # A document whose type stands behind its entries, or is damaged: a Bundle until it proves to be none.
    return by_line, "resources" if _kind(head) not in ("Bundle", "") else "bundles"


def _kind(text: bytes) -> str:
    try:
        return _head.decode(text).resourceType
    except (msgspec.DecodeError, RecursionError):
        return ""


def is_no_resource(body: bytes) -> bool:
    """Whether a document is JSON, as far as it can be told, and no FHIR resource."""
    try:
        return not _head.decode(body).resourceType
    except msgspec.ValidationError:
        return True
    except (msgspec.DecodeError, RecursionError):
        return False


def _beginning(path: Path, length: int = _HEAD_BYTES) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(length)
        return zlib.decompressobj(_GZIP).decompress(raw, length) if path.name.endswith(".gz") else raw
    except (OSError, zlib.error):
        return b""


def plan(sources: Iterable[Source], kind: Kind) -> Iterator[Unit]:
    """Units of about the same length: small files together, long ones cut. A gzip file is never cut."""
    length = _UNIT_BYTES[kind]
    number, size, waiting = 0, 0, list[Span]()
    for source in sources:
        if source.kind != kind:
            continue
        for span, weight in _cut(source, length):
            if waiting and (size + weight > length or len(waiting) >= _FILES_PER_UNIT):
                yield Unit(number, tuple(waiting), size)
                number, size, waiting = number + 1, 0, []
            waiting.append(span)
            size += weight
    if waiting:
        yield Unit(number, tuple(waiting), size)


def _cut(source: Source, length: int) -> Iterator[tuple[Span, int]]:
    if source.packed or not source.by_line or source.size <= length:
        yield Span(source), source.size
        return
    for start in range(0, source.size, length):
        end = min(start + length, source.size)
        yield Span(source, start, end), end - start


def records(span: Span, longest: int) -> Iterator[Record | Trouble]:
    """The records that begin in a span. What cannot be read is a Trouble, and reading goes on behind it."""
    for some in stretches(span, longest):
        if isinstance(some, Trouble):
            yield some
        else:
            yield from each(some, span, longest)


def each(stretch: Record, span: Span, longest: int) -> Iterator[Record | Trouble]:
    """The records of a stretch, without blank lines.

    A byte-order mark at the beginning of a file is no part of its first record; offsets count it.
    """
    if not span.source.by_line:
        yield stretch._replace(body=stretch.body.removeprefix(_BYTE_ORDER_MARK))
        return
    text, at = stretch.body, 0
    while at < len(text):
        end = text.find(b"\n", at)  # much faster on long lines than split, which looks at each byte
        end = end if end >= 0 else len(text)
        offset, line = stretch.offset + at, text[at:end]
        body = line.removeprefix(_BYTE_ORDER_MARK) if offset == 0 else line
        if len(line) > longest:
            yield _too_long(span, offset, longest)
        elif body and not body.isspace():
            yield Record(offset, body)
        at = end + 1


def stretches(span: Span, longest: int) -> Iterator[Record | Trouble]:
    """The same, but whole lines that were read together come together; a file that is one record comes whole."""
    return _lines(_chunks(span), span, longest) if span.source.by_line else _whole(span, longest)


def _whole(span: Span, longest: int) -> Iterator[Record | Trouble]:
    parts: list[bytes] = []
    length = 0
    for chunk in _chunks(span):
        if isinstance(chunk, Trouble):
            yield chunk._replace(scope="patient", offset=0)
            return
        parts.append(chunk)
        length += len(chunk)
        if length > longest:
            yield _too_long(span, 0, longest)
            return
    yield Record(0, b"".join(parts))


def _lines(chunks: Iterator[bytes | Trouble], span: Span, longest: int) -> Iterator[Record | Trouble]:
    """Stretches of whole lines. Of a line that goes on in the next chunk at most ``longest`` bytes are held."""
    begins = position = max(0, span.start - 1)  # of the line that is under way, and of the chunk
    held: list[bytes] = []
    length = 0
    skipping = span.start > 0  # the line that began before this span belongs to the one before
    for chunk in chunks:
        if isinstance(chunk, Trouble):
            if length:
                yield _trouble(span, begins, "the line is cut off where the file breaks")
            yield chunk._replace(offset=position)
            return
        at, stop = 0, _end_of_lines(chunk, position, span.end)
        if stop and (skipping or length):
            at = chunk.find(b"\n") + 1
            if not skipping:
                whole = length + at - 1 <= longest
                yield Record(begins, b"".join((*held, chunk[:at]))) if whole else _too_long(span, begins, longest)
            held, length, skipping, begins = [], 0, False, position + at
        if at < stop and not _is_behind(begins, span):
            yield Record(begins, chunk[at:stop])
            begins = position + stop
        position += len(chunk)
        if _is_behind(position if skipping else begins, span):
            return
        if not skipping:
            length += len(chunk) - stop
            if length > longest:
                held = []  # named when its end is found; its beginning need not be kept
            elif stop < len(chunk):
                held.append(chunk[stop:])
    if position == 0:
        yield Trouble(
            "file", span.source.name, 0, "the file is empty", "export or copy the file again, or leave it out"
        )
    if length:
        yield _too_long(span, begins, longest) if length > longest else Record(begins, b"".join(held))


def _end_of_lines(chunk: bytes, position: int, end: int | None) -> int:
    """Where the last whole line of a chunk ends, or the last one that begins before ``end``; 0: nowhere in it."""
    stop = chunk.rfind(b"\n") + 1
    if end is not None and position + stop > end:
        stop = chunk.find(b"\n", max(0, end - 1 - position)) + 1
    return stop


def _is_behind(place: int, span: Span) -> bool:
    return span.end is not None and place >= span.end


def _chunks(span: Span) -> Iterator[bytes | Trouble]:
    source = span.source
    try:
        with source.path.open("rb") as file:
            if source.packed:
                yield from _unpacked(iter(lambda: file.read(_CHUNK), b""), span)
            else:
                file.seek(max(0, span.start - 1))
                yield from iter(lambda: file.read(_CHUNK), b"")
    except OSError as error:
        yield Trouble("file", source.name, 0, f"the file cannot be read: {error.strerror}", "check its permissions")


def _unpacked(packed: Iterator[bytes], span: Span) -> Iterator[bytes | Trouble]:
    """Everything that a gzip file gives, also of several members, up to where it breaks."""
    inflate, begun = zlib.decompressobj(_GZIP), True  # a file of no bytes is cut off
    try:
        for raw in packed:
            while raw:
                out, begun = inflate.decompress(raw, _CHUNK), True
                if out:
                    yield out
                raw = inflate.unconsumed_tail
                if inflate.eof:
                    raw, inflate, begun = inflate.unused_data.lstrip(b"\0"), zlib.decompressobj(_GZIP), False
                elif not raw and not out:
                    break
        if begun and (rest := inflate.flush()):
            yield rest
    except zlib.error:
        yield _broken(span, "the gzip file is damaged from here on")
        return
    if begun:
        yield _broken(span, "the gzip file is cut off here")


def _broken(span: Span, reason: str) -> Trouble:
    return Trouble("file", span.source.name, 0, reason, "export or copy the file again")


def _too_long(span: Span, offset: int, longest: int) -> Trouble:
    reason = f"the record is longer than {longest // 1_000_000} MB"
    return _trouble(span, offset, reason, "raise --max-record-mb if it is meant")


def _trouble(span: Span, offset: int, reason: str, remedy: str = "") -> Trouble:
    scope: Literal["patient", "record"] = "patient" if span.source.kind == "bundles" else "record"
    return Trouble(scope, span.source.name, offset, reason, remedy)
