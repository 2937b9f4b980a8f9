"""The handbook says every rule of the content, every link in it leads somewhere, and it is the same each time."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from markupsafe import escape

from cds_service.clinical.observe import HEADS
from cds_service.handbook.addresses import page_of_attributes, page_of_card
from cds_service.handbook.pages import Handbook, Page
from cds_service.handbook.plainly import _FURTHER, _LEADS, Vocabulary
from cds_service.knowledge.content import Content
from cds_service.knowledge.schemas import OBSERVER_FIELDS
from tests.conformance.test_table import functions_in


@pytest.fixture(scope="session")
def book(content: Content) -> Handbook:
    return Handbook(content)


@pytest.fixture(scope="session")
def written(book: Handbook) -> dict[str, Page]:
    """Every file but the one that repeats all others for paper."""
    return {path: book._made(path) for path in book._paths if path != "paper.html"}


def words_of(page: Page) -> str:
    """A page with every white space as one blank, as browsers show it."""
    return " ".join(page.body.decode().split())


def said(text: Any) -> str:
    """Text of the content as it stands in a page."""
    return " ".join(str(escape(text)).split())


def test_every_entry_of_the_content_has_a_page_that_says_it(book: Handbook, written: dict[str, Page]) -> None:
    assert len({entry.path for entry in book.library.values()}) == len(book.library) > 800
    for entry in book.library.values():
        words = words_of(written[entry.path])
        assert f"<strong>{entry.status}</strong>" in words and "not clinically approved" in words
        for part in (entry.title, entry.header["purpose"] or "", entry.header["misuse"] or ""):
            assert said(part) in words, entry.id
        for claim in entry.spec.get("why", ()):
            assert said(claim["claim"]) in words, entry.id
            assert said(book.library[claim["source"]].title) in words, entry.id
        for example in entry.spec.get("examples", ()):
            assert said(example.get("name", "")) in words, entry.id


def parts(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of everything that is written in an entry, its examples and claims left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        if key not in ("examples", "why") and one not in (None, False, "", "no", [], {}):
            yield (*place, key)
            yield from parts(one, (*place, key))


def without(value: Any, place: tuple[Any, ...]) -> Any:
    """A copy in which what stands at a place is missing."""
    key, *rest = place
    if isinstance(value, list):
        return value[:key] + ([without(value[key], tuple(rest))] if rest else []) + value[key + 1 :]
    left = {name: one for name, one in value.items() if name != key}
    return left | ({key: without(value[key], tuple(rest))} if rest else {})


IN_THE_HEADING = {
    "id", "title", "name", "text", "purpose", "misuse", "status", "author", "reviewed_by", "next_review", "url",
}  # fmt: skip


def test_whatever_a_rule_says_is_said_on_its_page(book: Handbook) -> None:
    """What is taken out of an entry, field by field, is missing on its page, or the page cannot be made without it."""
    seen, unsaid = set(), set()
    for entry in book.library.values():
        whole = book._sections.of(entry)
        for place in parts(dict(entry.spec)):
            form = (entry.kind.name, *("*" if isinstance(one, int) else one for one in place))
            if form in seen or place[0] in IN_THE_HEADING:
                continue
            seen.add(form)
            with suppress(KeyError, IndexError, AttributeError, TypeError, ValueError, RuntimeError):
                if book._sections.of(replace(entry, spec=without(dict(entry.spec), place))) == whole:
                    unsaid.add(form)
    assert unsaid == {("laboratory limits", "compute")}  # the name of a function, which `rule` says in words
    assert len(seen) > 500


def test_no_heading_stands_over_nothing_and_none_stands_twice(book: Handbook, written: dict[str, Page]) -> None:
    for entry in book.library.values():
        words = words_of(written[entry.path])
        headings = re.findall(r"<h2>([^<]*)</h2>", words)
        assert len(headings) == len(set(headings)), entry.id
        assert len(headings) == len(re.findall(r'<ul class="said">|<table>', words)), entry.id


def test_every_link_leads_to_a_page_or_names_a_source(book: Handbook, written: dict[str, Page]) -> None:
    sources = {row["url"] for row in book.content.tables["references.yaml"] if "url" in row}
    pages = {path: page for path, page in written.items() if page.kind.startswith("text/html")}
    assert len(pages) > 500
    for path, page in pages.items():
        text = page.body.decode()
        assert not re.search(r"<(script|style|form|iframe)|<[^>]* (on\w+|style)=", text), path
        places = re.findall(r' id="([^"]*)"', text)
        assert len(places) == len(set(places)), path
        for target in {unescape(one) for one in re.findall(r' (?:href|src)="([^"]*)"', text)} - sources - {"data:,"}:
            place, _, part = target.partition("#")
            reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), place)) if place else path
            assert reached in written or reached == "paper.html", (path, target)
            assert not part or part in places, (path, target)


def test_the_same_content_gives_the_same_bytes(content: Content, written: dict[str, Page]) -> None:
    again = Handbook(content)
    for path in ("index.html", "differential.html", "cards/TW13.html", "thresholds/K.html", "traceability.csv"):
        assert again.page(path) == written[path]


def test_a_path_that_is_none_has_no_page(book: Handbook) -> None:
    for path in ("", "cards/TW99.html", "../about.yaml", "/etc/passwd", "cards/../index.html"):
        assert book.page(path) is None


def test_the_paper_holds_every_card_and_starts_chapters_on_new_pages(book: Handbook) -> None:
    page = book.page("paper.html")
    assert page
    text = page.body.decode()
    assert all(f"{card}: " in text for card in book.content.cards)
    style = book.page("handbook.css")
    assert style and b"@media print" in style.body and b"prefers-color-scheme:dark" in style.body


# ---------------------------------------------------------------- plain words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("babinski", "an extensor plantar response"),
        ({"below": {"K": "3.0 mmol/L"}}, "potassium below 3.0 mmol/L"),
        ({"below": {"K": "3.0 mmol/L"}, "inclusive": True}, "potassium at or below 3.0 mmol/L"),
        ({"between": {"K": ["3.0 mmol/L", "3.5 mmol/L"]}}, "potassium from 3.0 mmol/L to 3.5 mmol/L, both included"),
        ({"absent": "babinski"}, "documented as absent: an extensor plantar response"),
        ({"not_present": "babinski"}, "not present (absent or not known): an extensor plantar response"),
        ({"within": {"atrophy": "30 days"}}, "muscle wasting, with evidence of the last 30 days"),
        ({"any": ["atrophy", "clonus"]}, "at least one of: (muscle wasting; clonus)"),
        ({"at_least": {"n": 2, "of": ["atrophy", "clonus", "cramps"]}}, "at least 2 of: (muscle wasting; clonus; "),
        ({"not_present": {"any": ["atrophy", "clonus"]}}, "not present (absent or not known): at least one of: ("),
        ("valid_K", "a valid result of potassium (final, after the onset, inside its look-back window)"),
        ({"of_codes": {"problem": ["als"], "state": "ever"}}, "a problem, past or present: "),
        ({"of_codes": {"visit": [], "names": ["hospice"]}}, "a visit; named in words: hospice"),
        ({"of_codes": {"visit": [], "within": "90 days"}}, "a visit; of the last 90 days"),
    ],
)
def test_a_rule_is_said_in_plain_words(content: Content, rule: Any, words: str) -> None:
    assert str(Vocabulary(content).formula(rule)).startswith(words)


def test_what_a_computed_rule_speaks_of_is_spelled_out(content: Content, written: dict[str, Page]) -> None:
    for name, key in (("critical_lab", "also"), ("emg_valid", "void_by")):
        words = words_of(written[f"findings/{name}.html"])
        for one in content.findings[name]["with"][key]:
            parts = one["when"]["all"] if key == "also" else [one]
            assert all(f"{part}.html" in words for part in parts if isinstance(part, str)), (name, one)
    assert "Further clauses" in words_of(written["findings/critical_lab.html"])


def test_every_head_and_field_of_an_observer_has_words() -> None:
    assert set(HEADS) - set(_LEADS) == {"problem", "result", "answer", "silence"}  # which say more than their head
    fields = set().union(*OBSERVER_FIELDS.values())
    assert fields - set(_FURTHER) == {"lacks"}  # which stands with the answer


def test_no_rule_is_left_as_its_name(content: Content) -> None:
    """A finding in the words of a rule is said by its title, never by its id."""
    says = Vocabulary(content)
    named = {str(says.finding(name)) for name in content.findings}
    assert not [name for name in named if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", name)]


# ---------------------------------------------------------------- what it is for, and where it comes from


def test_the_source_attributes_are_all_there_for_readers_and_machines(written: dict[str, Page]) -> None:
    told = json.loads(written[page_of_attributes("json")].body)
    names = [one["attribute"] for one in told["source_attributes"]]
    assert names == [
        "bibliographic citation", "developer", "funding source of the technical implementation",
        "release and revision dates", "race", "ethnicity", "language", "sexual orientation", "gender identity", "sex",
        "date of birth", "social determinants of health", "health status assessments",
    ]  # fmt: skip
    assert all(("used" in one) != ("answer" in one) for one in told["source_attributes"])
    words = words_of(written[page_of_attributes()])
    lists = ("not_intended_for", "never_claim", "limitations", "each_card_shows")
    for part in (told["intended_use"], told["users"], told["population"], *(one for key in lists for one in told[key])):
        assert said(part) in words
    assert told["status"] == "draft" and told["reviewed_by"] is None and told["bibliography"]


def test_the_page_of_a_card_is_where_others_link_to(content: Content, written: dict[str, Page]) -> None:
    assert all(page_of_card(card) in written for card in content.cards)


def test_every_statement_is_traced_to_a_test_that_exists_or_has_a_reason(book: Handbook) -> None:
    rows = book._traces.rows
    assert len({row.statement for row in rows}) == 288
    for row in rows:
        assert bool(row.content) != bool(row.reason) and bool(row.tests) == bool(row.content)
    for file, test in {tuple(t.partition("[")[0].split("::")) for row in rows for t in row.tests}:
        assert test in functions_in(posixpath.basename(file))


def test_a_statement_leads_to_the_nearest_cards_also_through_findings_and_causes(book: Handbook) -> None:
    by_carrier = {row.content: row for row in book._traces.rows}
    assert by_carrier["card:TW25"].cards == ("TW25",)
    assert by_carrier["analyte:VitD"].cards == ("TW05", "TW13", "TW16")
    assert by_carrier["finding:mimic_joint_moves"].cards == ("TW25",)
    assert {"TW01", "TW20"} <= set(by_carrier["finding:pnh_two"].cards)  # which only a finding of patterns names
    assert "TW18" in by_carrier["drug-class:ppi"].cards
    assert set(by_carrier["contradiction:X03"].cards) == {"TW17", "TW24", "TW22"}


def test_the_tables_can_be_read_by_machines(book: Handbook, written: dict[str, Page]) -> None:
    traces = list(csv.reader(io.StringIO(written["traceability.csv"].body.decode())))
    assert tuple(traces[0]) == book._traces.head and len(traces) == len(book._traces.rows) + 1
    conflicts = list(csv.DictReader(io.StringIO(written["contradictions.csv"].body.decode())))
    assert len(conflicts) == 18 and all(row["decided"] and row["because"] for row in conflicts)
