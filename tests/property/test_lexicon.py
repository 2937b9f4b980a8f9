"""An index of listed words says what a search of the whole list says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cds_service.clinical.lexicon import Lexicon
from cds_service.clinical.tokens import WORDS_OF_MARKS, fold, tokens
from cds_service.knowledge.files import read_yaml
from tests.conftest import ROOT

_PAGE = read_yaml(ROOT / "cards" / "words.yaml")
_GROUPS = (_PAGE["before"], _PAGE["after"], _PAGE["headings"], _PAGE["answer_begins"], _PAGE["answer_kinds"])
_TABLES = [{tokens(text): kind for kind, listed in group.items() for text in listed} for group in _GROUPS]
_SAID = st.sampled_from(sorted({word for table in _TABLES for words in table for word in words}))


@given(st.sampled_from(_TABLES), st.lists(_SAID, max_size=8), st.data())
def test_an_index_says_what_the_whole_list_says(
    table: dict[tuple[str, ...], str], said: list[str], more: st.DataObject
) -> None:
    said += more.draw(st.sampled_from([words for words in table if words]))
    lexicon = Lexicon(table)
    places = range(len(said) + 1)
    there = [{words: kind for words, kind in table.items() if words and _stands(words, said, at)} for at in places]
    assert [dict(lexicon.at(said, place)) for place in places] == there
    assert [lexicon.length_at(said, place) for place in places] == [max(map(len, found), default=0) for found in there]
    assert lexicon.is_in(said) is any(there)
    assert lexicon.may_be_in(said) or not any(there)
    for place in places:
        ends = place
        while ends < len(said) and there[ends]:
            ends += max(map(len, there[ends]))
        assert lexicon.covers(said, place) is (ends == len(said))


def _stands(words: tuple[str, ...], said: list[str], place: int) -> bool:
    return tuple(said[place : place + len(words)]) == words


_PIECES = [
    "ab",
    "weak/ab",
    "weak+ab",
    "x-ray",
    "é",
    "4/5",
    " ",
    ", ",
    ". ",
    ": ",
    "(+)",
    "(-)",
    "(–)",
    "'",
    "and/or",
    "?",
    "→",
    "\n",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=9).map("".join))
def test_a_word_that_the_folded_text_does_not_hold_comes_from_a_mark(text: str) -> None:
    for word in tokens(text):
        assert not word[0].isalnum() or word in fold(text) or word in WORDS_OF_MARKS
