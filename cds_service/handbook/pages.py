"""The handbook: every page of it by its path, made when it is asked for, the same when served and in a folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cds_service.handbook.addresses import page_of_attributes
from cds_service.handbook.bundled import Mark, difference
from cds_service.handbook.differential import NARROW, WIDE, picture, urgency
from cds_service.handbook.library import CARD, HYPOTHESIS, KINDS, REFERENCE, Entry, Kind, Library, is_yes
from cds_service.handbook.sections import TIERS, URGENCIES, Sections
from cds_service.handbook.traces import Traces
from cds_service.knowledge.content import Content

Json = dict[str, Any]
_PAPER = tuple(kind for kind in KINDS if kind is not REFERENCE)


@dataclass(frozen=True, slots=True)
class Page:
    """A file of the handbook."""

    kind: str  # media type
    body: bytes


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("cds_service.handbook"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    made.globals |= {"TIERS": TIERS, "URGENCIES": URGENCIES, "KINDS": KINDS}
    return made


class Handbook:
    """All pages of a content. Nothing is rendered before it is asked for, and nothing is kept."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.library = Library(content)
        self.difference = difference(self.library)
        self._sections = Sections(self.library, bundled=not self.difference)
        self._environment = _environment()

    def page(self, path: str) -> Page | None:
        """The file at a path like ``cards/TW13.html``, or None."""
        return self._made(path) if path in self._paths else None

    def not_here(self, path: str) -> Page:
        """What a reader sees at a path without a page, with the way back from a depth that pages have."""
        return self._html("not-here.html", "/" * min(path.count("/"), 4))

    def files(self) -> Iterator[tuple[str, Page]]:
        """Every file with its path, for a folder. The same content gives the same bytes."""
        for path in self._paths:
            yield path, self._made(path)

    def mark(self, entry: Entry) -> Mark | None:
        """How an entry differs from the bundled content; None: not at all."""
        return self.difference.marks.get(entry.id)

    def body(self, entry: Entry, to: Callable[[str], str]) -> Markup:
        """The sections of an entry as HTML. ``to``: the address of another entry, for pages that are none of ours."""
        made = self._environment.get_template("body.html").render(sections=self._sections.of(entry), to=to)
        return Markup(made)  # noqa: S704 - made by a template that escapes

    def source_attributes(self) -> Json:
        """Intended use, limits and the source attributes of an evidence-based intervention, for machines."""
        about = self.content.plain["about.yaml"]
        said = ("intended_use", "does_not", "users", "population", "not_intended_for", "statement", "draft_notice",
                "never_claim", "each_card_shows", "not_predictive")  # fmt: skip
        references = self.content.tables["references.yaml"]
        own = self.difference
        files = {"changed": own.changed, "added": own.added, "missing": own.missing}
        differs = {"differs_from_bundled": {"version": own.version, **files}} if own else {}
        return {
            "intervention": "muscle-twitching",
            "type": "evidence-based decision support intervention",
            "content_version": self.content.version,
            "status": about["status"],
            "reviewed_by": about["reviewed_by"],
            **differs,
            **{name: about[name] for name in said if name in about},
            "limitations": [one["text"] for one in about["limitations"]],
            "source_attributes": [_attribute(one) for one in about["source_attributes"]],
            "changes": [one | {"date": str(one["date"])} for one in about["changes"]],
            "bibliography": [
                {key: one[key] for key in ("id", "kind", "title", "url") if key in one} for one in references
            ],
        }

    # ------------------------------------------------------------ paths

    @cached_property
    def _paths(self) -> Mapping[str, Callable[[str], Page]]:
        paths: dict[str, Callable[[str], Page]] = {
            "index.html": lambda path: self._html("index.html", path, about=self._about),
            "differential.html": self._differential,
            page_of_attributes(): lambda path: self._html("about.html", path, a=self.source_attributes()),
            page_of_attributes("json"): lambda _: _json(self.source_attributes()),
            "contradictions.html": lambda path: self._html("contradictions.html", path, page=self._conflicts),
            "contradictions.csv": lambda _: self._conflicts_table(),
            "traceability.html": lambda path: self._html("traceability.html", path, traces=self._traces.rows),
            "traceability.csv": lambda _: _csv(self._traces.head, self._traces.lines()),
            "paper.html": self._paper,
            "handbook.css": lambda _: Page("text/css", files(__package__).joinpath("handbook.css").read_bytes()),
        }
        for kind in KINDS:
            paths[f"{kind.folder}/index.html"] = lambda path, kind=kind: self._list(path, kind)  # type: ignore[misc]
        for entry in self.library.values():
            paths[entry.path] = lambda path, entry=entry: self._entry(path, entry)  # type: ignore[misc]
        return paths

    def _made(self, path: str) -> Page:
        return self._paths[path](path)

    def _html(self, template: str, path: str, **values: Any) -> Page:
        up = "../" * path.count("/")

        def at(target: str) -> str:
            return up + target

        def to(name: str) -> str:
            return at(self.library[name].path)

        made = self._environment.get_template(template)
        said = {"library": self.library, "version": self.content.version, "own": self.difference, "mark": self.mark}
        text = made.render(at=at, to=to, path=path, **said, **values)
        return Page("text/html; charset=utf-8", text.encode())

    # ------------------------------------------------------------ pages

    @property
    def _about(self) -> Any:
        return self.content.plain["about.yaml"]

    @property
    def _conflicts(self) -> Any:
        return self.content.plain["contradictions.yaml"]

    @cached_property
    def _traces(self) -> Traces:
        return Traces(self.library, self.difference)

    def _entry(self, path: str, entry: Entry) -> Page:
        return self._html("entry.html", path, e=entry, sections=self._sections.of(entry))

    def _list(self, path: str, kind: Kind) -> Page:
        return self._html("kind.html", path, kind=kind, entries=self.library.of(kind))

    @cached_property
    def _maps(self) -> dict[str, Any]:
        """The picture for a desk and for paper, and for a phone."""
        return {"wide": picture(self.library, WIDE), "narrow": picture(self.library, NARROW)}

    def _differential(self, path: str) -> Page:
        hypotheses = self.library.of(HYPOTHESIS)
        naming = {h.id: [c for c in self.library.of(CARD) if h.id in c.spec["hypotheses"]] for h in hypotheses}
        return self._html(
            "differential.html", path, maps=self._maps, hypotheses=hypotheses, naming=naming, urgency=urgency,
            sections={h.id: self._sections.of(h) for h in hypotheses},
        )  # fmt: skip

    def _paper(self, path: str) -> Page:
        """Everything on one page, to be printed."""
        chapters = [(kind, [(e, self._sections.of(e)) for e in self.library.of(kind)]) for kind in _PAPER]
        return self._html("paper.html", path, chapters=chapters, references=self.library.of(REFERENCE),
                          maps=self._maps, a=self.source_attributes(), conflicts_page=self._conflicts)  # fmt: skip

    def _conflicts_table(self) -> Page:
        rows = self._conflicts["contradictions"]
        lines = ((row["id"], row["conflict"], row["decided"], row["because"], " ".join(row["affects"]),
                  " ".join(row["sources"])) for row in rows)  # fmt: skip
        return _csv(("id", "conflict", "decided", "because", "affects", "sources"), lines)


def _attribute(row: Mapping[str, Any]) -> Json:
    """``used`` as a boolean; content writes yes and no."""
    made = {"attribute": row["attribute"]}
    if "used" in row:
        made["used"] = is_yes(row["used"])
    return made | {key: row[key] for key in ("how", "answer") if key in row}


def _json(value: Any) -> Page:
    return Page("application/json", orjson.dumps(value, option=orjson.OPT_INDENT_2))


def _csv(head: tuple[str, ...], lines: Iterator[tuple[str, ...]]) -> Page:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return Page("text/csv; charset=utf-8", text.getvalue().encode())
