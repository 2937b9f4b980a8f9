"""Whatever a record holds stays text: no markup, no HTML, no link, one line, not too long."""

from __future__ import annotations

import pytest

from cds_service.response.markdown import escaped, link, plain, section


@pytest.mark.parametrize(
    "text, shown",
    [
        ("left calf", "left calf"),
        ("<script>alert(1)</script>", r"&lt;script&gt;alert\(1\)&lt;/script&gt;"),
        ("[x](javascript:alert(1))", r"\[x\]\(javascript\:alert\(1\)\)"),
        ("![x](http://a.b/c)", r"\!\[x\]\(http\://a\.b/c\)"),
        ("`code`", r"\`code\`"),
        ("**bold** __it__ ~~no~~", r"\*\*bold\*\* \_\_it\_\_ \~\~no\~\~"),
        ("# heading", r"\# heading"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("a | b", r"a \| b"),
        ("A & B &lt;", "A &amp; B &amp;lt;"),
        ("a\\*b", r"a\\\*b"),
        ("me@example.org", r"me\@example\.org"),
        ("www.example.org", r"www\.example\.org"),
        ("Müller, ½ Tablette, 筋", "Müller, ½ Tablette, 筋"),
        ("", ""),
        (" \n\t ", ""),
    ],
)
def test_markup_becomes_text(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize("text", ["one\ntwo", "one\r\ntwo", "one\ttwo", "one\u2028two", "one \u00a0 two", "one\x0btwo"])
def test_white_space_of_every_kind_is_one_space(text: str) -> None:
    assert escaped(text) == "one two"


@pytest.mark.parametrize("text", ["a\u202eb", "a\u200bb", "a\x00b", "a\x1b[31mb", "a\ufeffb"])
def test_invisible_characters_are_left_out(text: str) -> None:
    shown = escaped(text)
    assert shown.isprintable() and "\x1b" not in shown


def test_long_text_is_cut_with_an_ellipsis_before_it_is_escaped() -> None:
    assert escaped("x" * 120) == "x" * 120
    assert escaped("x" * 121) == "x" * 119 + "…"
    assert escaped("*" * 500, 10) == r"\*" * 9 + "…"
    assert escaped("abc def", 5) == "abc…"
    # The cut never falls inside an escape or an entity.
    for length in range(2, 12):
        assert escaped("<&>*_" * 5, length).replace("…", "").count("&") == sum(
            c in "<&>" for c in ("<&>*_" * 5)[: length - 1]
        )


def test_a_section_without_lines_is_not_there() -> None:
    assert section("Found", []) == ""
    assert section("Found", ["", ""]) == ""
    assert section("Found", ["one", "", "two"]) == "**Found**\n\n- one\n- two"


def test_a_link_needs_an_address() -> None:
    assert link("NG127", "https://example.org/ng127") == "[NG127](https://example.org/ng127)"
    assert link("A book", "") == "A book"


@pytest.mark.parametrize(
    "text", ["left calf", "<b>1 & 2</b>", "[x](http://a.b/c)", "**bold** \\ *it*", "K 5*3", "me@b.c", "&lt;"]
)
def test_on_a_terminal_text_of_a_record_is_what_it_was(text: str) -> None:
    assert plain(f"**Found**\n\n- {escaped(text)}") == f"Found\n\n- {text}"


def test_on_a_terminal_an_address_stands_behind_its_words() -> None:
    assert plain(f"*Rule {link('TW06', 'https://a.b/c_d')}, content 1.*") == "Rule TW06 <https://a.b/c_d>, content 1."
