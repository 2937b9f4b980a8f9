"""How far a denial, a doubt or the past reaches in the words of a record."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from time import process_time
from typing import Any

import pytest

from cds_service.clinical import words as listening
from cds_service.clinical.clauses import end_of
from cds_service.clinical.tokens import fold, tokens
from cds_service.clinical.words import Blocking, Phrase, PhraseBook
from cds_service.knowledge.compile import in_full
from cds_service.knowledge.files import read_yaml
from tests.conftest import ROOT


def phrase(
    finding: str, words: str, says: bool = True, denied: bool = True, unless: str = "", lifts: str = ""
) -> Phrase:
    blocks = (tokens(unless),) if unless else ()
    return Phrase(finding, tokens(words), says, denied, blocks, frozenset(lifts.split()))


def table(**kinds: str) -> dict[tuple[str, ...], str]:
    return {tokens(words): kind for kind, listed in kinds.items() for words in listed.split("; ")}


BOOK = PhraseBook(
    [
        phrase("weakness", "weakness"),
        phrase("weakness", "no power in the legs"),
        phrase("wasting", "wasting"),
        phrase("wasting", "muscle loss"),
        phrase("wasting", "normal bulk", says=False),
        phrase("babinski", "babinski"),
        phrase("babinski", "plantars flexor", says=False),
        phrase("hammer", "reflexes brisk", unless="reflex hammer"),
        phrase("surgery", "neck operation", lifts="history"),
        phrase("tone", "tone raised", denied=False),
    ],
    Blocking(
        before=table(
            denial="no; none; neither; nor; without; denies; absence of; negative for",
            doubt="possible; rule out; if; ?",
            history="history of; previous",
            family="mother; family history of",
        ),
        after=table(denial="absent; not seen; negative", doubt="unlikely; ruled out", history="resolved; years ago"),
    ),
)  # fmt: skip

_DENIED_TOO = BOOK.blocking.before | table(denial="not; no evidence of; free of; never")
NOT_TOO = PhraseBook(BOOK.phrases, replace(BOOK.blocking, before=_DENIED_TOO))


def says(text: str, finding: str = "weakness") -> bool | str | None:
    """True, False, None for doubted or past, "silent" when the text does not speak of it."""
    return {heard.finding: heard.says for heard in BOOK.listen(text)}.get(finding, "silent")


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("weakness", True),
        ("WEAKNESS of the left hand", True),
        ("no weakness", False),
        ("No definite objective weakness", False),
        ("denies weakness", False),
        ("weakness absent", False),
        ("weakness not seen", False),
        ("possible weakness", None),
        ("weakness unlikely", None),
        ("weakness?", None),
        ("?weakness", None),
        ("? weakness", None),
        ("history of weakness", None),
        ("weakness resolved", None),
        ("mother has weakness", None),
        ("no possible weakness", None),  # two reasons to doubt are no denial
        ("weaknesses", "silent"),
        ("", "silent"),
        (" ,;.?! ", "silent"),
    ],
)
def test_what_stands_beside_a_phrase(text: str, verdict: bool | str | None) -> None:
    assert says(text) is verdict or says(text) == verdict


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("no tremor. weakness of the hand", True),
        ("no tremor; weakness", True),
        ("no tremor\nweakness", True),
        ("no tremor: weakness", True),
        ("no tremor but weakness", True),
        ("no tremor, however weakness of the left hand", True),
        ("no pain although weakness", True),
        ("no pain, now weakness", True),
        ("no one two three four five weakness", False),  # six words reach
        ("no one two three four five six weakness", True),  # seven do not
        ("weakness one absent", True),  # a word after it must follow directly
        ("no change in weakness", True),
        ("no clear improvement of weakness", True),
        ("no progression of the weakness", True),
        ("no change, weakness", False),
        ("no change or weakness", False),
        ("absence of weakness", False),
        ("absence weakness", True),
    ],
)
def test_how_far_a_denial_reaches(text: str, verdict: bool) -> None:
    assert says(text) is verdict


@pytest.mark.parametrize(
    "text, weakness, wasting",
    [
        ("no weakness, wasting", False, False),
        ("no weakness or wasting", False, False),
        ("no weakness, tremor, wasting", False, False),
        ("no weakness, or wasting", False, False),
        ("no weakness, wasting of the left hand noted", False, True),
        ("no weakness, wasting present", False, True),
        ("no weakness, wasting seen in the left hand", False, True),
        ("no weakness but wasting", False, True),
        ("weakness, no wasting", True, False),
        ("weakness and wasting, no babinski", True, True),
        ("no tremor, weakness or wasting", False, False),
        ("no tremor, weakness nor wasting", False, False),
        ("no tremor, weakness and wasting", False, False),
        ("no tremor, marked weakness or definite wasting", False, False),
        ("no tremor, weakness or wasting of the hand", None, None),  # or weak in the hand, or not: not guessed
        ("no tremor, weakness or wasting seen", False, False),
        ("no tremor, weakness, or wasting noted", False, False),
        ("possible tremor, weakness or wasting", None, None),
        ("no tremor, rash, cough, headache, vertigo, syncope, weakness, palpitations or wasting", False, False),
        ("history of tremor, rash, cough, headache, vertigo, syncope, weakness, pain or wasting", True, True),
        # An item has at most one word beside its own; joined by "and" it has up to two.
        ("no tremor, new weakness", False, "silent"),
        ("no tremor, new hand weakness", True, "silent"),
        ("no tremor, weakness again", False, "silent"),
        ("no tremor, weakness again today", True, "silent"),
        ("no tremor, and weakness again", False, "silent"),
        ("no tremor, and weakness again today", True, "silent"),
        ("no tremor, weakness and hand pain", False, "silent"),
        ("no tremor, weakness and new hand pain", True, "silent"),
        ("no tremor, weakness and loss of bulk", True, "silent"),
        # Said of a place, or after a new beginning, it is no item of the list.
        ("no tremor, weakness of the hand", True, "silent"),
        ("no tremor, weakness of the hand or arm", True, "silent"),
        ("no tremor, weakness left or right", True, "silent"),
        ("no tremor, weakness in the arm, wasting of the hand", True, True),
        ("no tremor, weakness and wasting of the hand", True, True),
        ("no tremor, arm and leg weakness", True, "silent"),
        ("no tremor, weakness and wasting noted", True, True),
        ("no tremor, reports weakness or wasting", True, True),
        ("no tremor, reports weakness, wasting", True, True),
        ("no tremor, there is weakness and wasting", True, True),
        ("no tremor, now weakness or wasting", True, True),
        ("no tremor but weakness and wasting", True, True),
        ("no tremor but weakness or wasting", True, True),
        ("no tremor. weakness or wasting of the hand", True, True),
        ("weakness, no tremor or wasting", True, False),
        ("weakness and wasting, no tremor, babinski or cramps", True, True),
    ],
)
def test_a_denial_and_the_items_of_a_list(text: str, weakness: bool | str | None, wasting: bool | str | None) -> None:
    assert (says(text), says(text, "wasting")) == (weakness, wasting)


ITEMS = ("weakness", "wasting", "babinski")
LISTS = [
    [first, second, third] for first in ITEMS for second in ITEMS for third in ITEMS if len({first, second, third}) == 3
]


@pytest.mark.parametrize("opening", ["No", "Without", "Denies", "Negative for", "Absence of", "There is no", "None of"])
@pytest.mark.parametrize("joined", ["{}, {} or {}", "{}, {}, or {}", "{}, {} nor {}", "{}, {}, nor {}", "{}, {} and {}",
                                    "{}, {}, and {}", "{}, {}, {}", "{} or {} or {}"])  # fmt: skip
def test_each_item_of_a_denied_list_is_denied(opening: str, joined: str) -> None:
    for items, end in product(LISTS, ("", ".", "; tone normal.", ". Examination normal.")):
        text = f"{opening} {joined.format(*items)}{end}"
        assert {heard.finding: heard.says for heard in BOOK.listen(text)} == dict.fromkeys(ITEMS, False), text


@pytest.mark.parametrize("joined", ["neither {} nor {}", "neither {}, {} nor {}", "{}, {} or {}: none", "{} or {}: no",
                                    "{} and {}: absent", "{}, {} and {}: negative", "{}, {}, or {}: none"])  # fmt: skip
def test_a_list_is_denied_by_its_frame(joined: str) -> None:
    for items in LISTS:
        named = items[: joined.count("{}")]
        heard = {heard.finding: heard.says for heard in BOOK.listen(joined.format(*named))}
        assert heard == dict.fromkeys(named, False)


@pytest.mark.parametrize("denied", ["No tremor", "Denies pain", "Without tremor", "Negative for pain or tremor"])
@pytest.mark.parametrize("turn", [". {}", "; {}", "\n{}", " but {}", ", but {}", ", however {}", ", reports {}",
                                  ", has {}", ", there is {}", ", shows {}", ", with {}"])  # fmt: skip
def test_a_list_after_a_denial_has_ended_is_affirmed(denied: str, turn: str) -> None:
    joins = ("{}", "{} or {}", "{}, {} or {}", "{} and {}", "{}, {} and {}", "{} of the hand")
    for items, joined in product(LISTS, joins):
        named = items[: joined.count("{}")]
        text = denied + turn.format(joined.format(*named))
        assert {heard.finding: heard.says for heard in BOOK.listen(text)} == dict.fromkeys(named, True), text


@pytest.mark.parametrize(
    "text, weakness",
    [
        ("weakness of the hand, wasting: none", True),
        ("weakness in the arm and wasting: none", True),
        ("new and marked weakness, wasting or cramps: none", True),
        ("weakness, wasting: none", True),  # which of them is answered is not guessed
        ("weakness or wasting: left hand", True),
        ("weakness or wasting. None", True),
        ("weakness or wasting: possible", None),
    ],
)
def test_an_answer_speaks_for_a_list_only_where_nothing_else_is_said(text: str, weakness: bool | None) -> None:
    assert says(text) is weakness


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("weakness: none", False),
        ("weakness: nil", True),  # this book has no "nil"; it is not guessed
        ("weakness: no", False),
        ("weakness: absent", False),
        ("weakness: no, tremor: yes", False),
        ("weakness: possible", None),
        ("weakness: resolved", None),
        ("weakness: left hand", True),
        ("weakness: no change since May", True),
        ("weakness. no", True),
        ("weakness; absent", True),
        ("weakness of the hand: no", True),
    ],
)
def test_the_answer_after_a_colon(text: str, verdict: bool | None) -> None:
    assert says(text) is verdict


def test_the_longest_phrase_of_a_finding_decides() -> None:
    assert says("no power in the legs") is True
    assert says("normal bulk, no wasting", "wasting") is False


def test_a_phrase_that_says_absence_is_not_doubled_by_a_denial() -> None:
    assert says("plantars flexor", "babinski") is False
    assert says("no plantars flexor", "babinski") is None


def test_a_denial_counts_only_where_the_content_says_so() -> None:
    assert says("no tone raised", "tone") is None
    assert says("tone raised", "tone") is True


def test_words_beside_a_phrase_may_cancel_it() -> None:
    assert says("reflexes brisk", "hammer") is True
    assert says("reflexes brisk with the reflex hammer", "hammer") == "silent"
    assert says("reflexes brisk. The reflex hammer was lost.", "hammer") is True


def test_twice_the_text_costs_about_twice_the_time() -> None:
    """A phrase that other words cancel is met thousands of times; the words are looked for once."""

    def cost(times: int) -> float:
        text = "reflexes brisk and lively " * times + "reflex hammer"
        took = []
        for _ in range(3):
            began = process_time()
            assert BOOK.listen(text) == ()
            took.append(process_time() - began)
        return min(took)

    # Eight times the text: 8 where it is linear, 64 where each hit looks through all of it.
    assert cost(1200) < 24 * max(cost(150), 0.0002)


def test_the_past_does_not_cancel_what_is_about_the_past() -> None:
    assert says("history of neck operation", "surgery") is True
    assert says("possible neck operation", "surgery") is None
    assert says("no neck operation", "surgery") is False


@pytest.mark.parametrize(
    "text, heard",
    [
        ("no power left in the legs", True),
        ("no power at all in the two legs", True),
        ("no power was ever found in the two legs", "silent"),  # four other words inside
        ("power in the legs", "silent"),
        ("no power. in the legs", "silent"),
    ],
)
def test_a_long_phrase_allows_a_few_other_words_inside(text: str, heard: bool | str) -> None:
    assert says(text) == heard


@pytest.mark.parametrize("text", ["muscle marked loss", "muscle, loss"])
def test_a_short_phrase_allows_none(text: str) -> None:
    assert says(text, "wasting") == "silent"


@pytest.mark.parametrize(
    "text, folded",
    [
        ("Guillain-Barré", "guillain-barre"),
        ("Ménière", "meniere"),
        ("ﬁbre", "fibre"),
        ("ÉCHEC", "echec"),
        ("ß", ""),
        ("筋肉", ""),
    ],
)
def test_accents_are_folded(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_tokens_keep_what_belongs_together() -> None:
    assert tokens("Power 4+/5, left; Babinski's sign: C5-C6.") == (
        "power", "4+/5", ",", "left", ";", "babinski's", "sign", ":", "c5-c6", ".",
    )  # fmt: skip


DASHES = (" - ", " -- ", " \u2013 ", "\u2013", "\u2014", " \u2014 ", " \u2192 ", "\u2192", " -> ", " | ", "<br>", "- ")
BREAKS = (". ", "; ", "\n", "\r", "\r\n", "\u2028", "\u2029", "\x0b", " \u2022 ", "\u2022", " \u25cf ", "\n\u2023 ")
QUOTES = ("'{}'", '"{}"', "\u2018{}\u2019", "\u201c{}\u201d", "({})", "[{}]", "*{}*", "{}/", "<b>{}</b>", "\u2022{}")


@pytest.mark.parametrize("mark", [*DASHES, *BREAKS, "/", "+", " & ", "\u2026", " (", " [", "-"])
def test_a_sign_is_heard_whatever_parts_it_from_its_neighbour(mark: str) -> None:
    for text in (f"weakness{mark}worse", f"cramps{mark}weakness", f"weakness{mark}left hand"):
        assert says(text) is True, text


@pytest.mark.parametrize("mark", [*DASHES, *BREAKS, " (", " ["])
@pytest.mark.parametrize(
    "neighbour", ["No tremor", "Denies pain", "Possible stroke", "History of stroke", "No cramps or pain"]
)
def test_a_neighbour_beyond_a_mark_cancels_no_sign_that_is_placed_or_seen(mark: str, neighbour: str) -> None:
    for sign in ("weakness of the hand", "weakness in both legs", "weakness visible in the left arm", "weakness seen"):
        assert says(neighbour + mark + sign) is True, neighbour + mark + sign


@pytest.mark.parametrize("mark", [*DASHES, " (", " ["])
@pytest.mark.parametrize("lead", ["No tremor", "Denies", "No red flags", "Mother", "Family history of", "Rule out"])
def test_beyond_a_dash_or_bracket_a_bare_sign_is_left_open(mark: str, lead: str) -> None:
    for sign in ("weakness", "weakness or wasting"):
        assert says(lead + mark + sign) is None, lead + mark + sign
    assert says(f"No focal deficit{mark}weakness of a limb, wasting") is None


@pytest.mark.parametrize("form", ["{}: {}", "{} - {}", "{} \u2013 {}", "{} ({})", "{} [{}]", "{} -> {}", "{} | {} |"])
@pytest.mark.parametrize(
    ("answer", "verdict"),
    [("none", False), ("no", False), ("absent", False), ("possible", None), ("resolved", None), ("?", None),
     ("left hand", True), ("mild", True), ("none in the left hand", True)],
)  # fmt: skip
def test_a_dash_or_bracket_answers_as_a_colon_does(form: str, answer: str, verdict: bool | None) -> None:
    assert says(form.format("weakness", answer)) is verdict
    if "|" not in form and "hand" not in answer:
        assert says(f"{form.format('tremor', answer)}, {form.format('weakness', 'mild')}") is True
        assert says(f"{form.format('tremor', 'mild')}, {form.format('weakness', answer)}") is verdict


@pytest.mark.parametrize("quoted", QUOTES)
def test_quotes_and_brackets_hide_no_sign_and_no_denial(quoted: str) -> None:
    assert says(quoted.format("weakness")) is True
    assert says(quoted.format("no weakness")) is False
    assert says("no " + quoted.format("weakness").lstrip("\u2022")) in (False, None)


def test_what_stands_in_brackets_does_not_part_a_statement() -> None:
    assert says("no weakness (grade 5/5 in all groups), tremor or wasting", "wasting") is False
    assert says("weakness (of the left hand) resolved") is None
    assert says("muscle (left) loss", "wasting") == "silent"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("twitching/cramps", ("twitching", "or", "cramps")),
        ("twitching+cramps", ("twitching", "and", "cramps")),
        ("weakness and/or wasting", ("weakness", "or", "wasting")),
        ("muscle-twitching", ("muscle", "twitching")),
        ("Guillain\u2013Barr\u00e9", ("guillain", "-", "barre")),
        ("Guillain-Barr\u00e9", ("guillain", "barre")),
        ("r/o s/p w/o c/o n/v h/o", ("r/o", "s/p", "w/o", "c/o", "n/v", "h/o")),
        ("4/5 4+/5 120/80 4\u2212/5", ("4/5", "4+/5", "120/80", "4-/5")),
        ("C5-C6 C5\u2013C6 C5/6 x-ray", ("c5-c6", "c5-c6", "c5/6", "x-ray")),
        ("non-progressive, seizure-free", ("non-progressive", ",", "seizure-free")),
        ("hyper- or hypotonia", ("hyper-", "or", "hypotonia")),
        ("Babinski\u2019s 'sign'", ("babinski's", "sign")),
        ("Babinski-", ("babinski-",)),  # said to be negative; as an unknown word it says nothing
        ("?stroke, ? cause. Stroke?", ("\xbf", "stroke", ",", "\xbf", "cause", ".", "stroke", "?")),
    ],
)  # fmt: skip
def test_words_that_signs_join_are_parted_and_short_forms_are_not(text: str, parts: tuple[str, ...]) -> None:
    assert tokens(text) == parts


CANCELLING = {
    "absent": False,
    "not seen": False,
    "negative": False,
    "unlikely": None,
    "ruled out": None,
    "resolved": None,
}


@pytest.mark.parametrize(
    "parted", [", {} {}", " ({} {})", " [{} {}]", " - {} {}", "; {} {}", ". {} {}", " \u2013 {} {}"]
)
@pytest.mark.parametrize("nxt", ["reflexes", "ankle jerks", "EMG", "in the right hand", "by wife", "cramps last year"])
def test_a_cancelling_word_that_begins_the_next_statement_cancels_no_sign_before_it(parted: str, nxt: str) -> None:
    for word in CANCELLING:
        assert says("weakness" + parted.format(word, nxt)) is True, word
        assert says("weakness of the hand" + parted.format(word, nxt)) is True, word


@pytest.mark.parametrize("end", ["", ".", "; tone normal", ", tone normal", " (tone normal)", " - tone normal"])
@pytest.mark.parametrize("form", ["weakness {}", "weakness, {}", "weakness: {}", "weakness - {}", "weakness ({})",
                                  "weakness {} today", "weakness, {} clinically"])  # fmt: skip
def test_a_cancelling_word_that_ends_its_clause_cancels_the_sign(form: str, end: str) -> None:
    for word, verdict in CANCELLING.items():
        assert says(form.format(word) + end) is verdict, word


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("weakness absent in both hands", False),
        ("weakness absent since May", False),
        ("weakness negative bilaterally", False),
        ("weakness absent reflexes", None),  # whose the word is stays open
        ("weakness negative EMG", None),
        ("weakness unlikely stroke", True),
        ("weakness unlikely because tone is normal", None),
        ("weakness resolved after two weeks", None),
        ("weakness ?stroke", True),
        ("weakness ? cause", True),
        ("weakness, ?stroke", True),
        ("weakness (?stroke)", True),
        ("weakness? stroke", None),
        ("stroke? weakness of the hand", True),
        ("??weakness", None),
        ("weakness or wasting absent", False),
        ("weakness/wasting absent", False),
        ("weakness and reflexes absent", True),
        ("weakness or wasting of the hand absent", True),
    ],
)
def test_whose_a_cancelling_word_is(text: str, verdict: bool | None) -> None:
    assert says(text) is verdict


LIKE_CONTENT = PhraseBook(BOOK.phrases, replace(BOOK.blocking, before=_DENIED_TOO | table(denial="absent; denied")))


@pytest.mark.parametrize(
    ("lead", "verdict"),
    [
        ("triceps reflex absent", True),
        ("vibration sense absent at the ankles", True),
        ("tremor denied", True),
        ("ankle jerks not elicited", True),
        ("ankle jerks were not elicitable", True),
        ("absent reflexes", True),
        ("no reflexes lost", False),
        ("denied tremor", False),
        ("has not noticed tremor", False),
        ("not shaking", False),
    ],
)
@pytest.mark.parametrize("next_item", ["wasting", "wasting, cramps"])
def test_a_denial_behind_one_sign_does_not_reach_the_next(lead: str, verdict: bool, next_item: str) -> None:
    heard = {one.finding: one.says for one in LIKE_CONTENT.listen(f"{lead}, {next_item}")}
    assert heard["wasting"] is verdict


PLACED = ["in both legs", "on the left", "of the hand", "for two months", "since May", "every day", "seen daily",
          "nightly", "three weeks ago", "this morning", "over the last year", "at night", "bilaterally"]  # fmt: skip


@pytest.mark.parametrize("said", PLACED)
@pytest.mark.parametrize("denied", ["No tremor", "Denies pain", "Without tremor, cough"])
def test_a_list_that_ends_in_place_duration_or_frequency_is_never_documented_absence(denied: str, said: str) -> None:
    for items in ("weakness or wasting", "wasting or weakness", "weakness, wasting or cramps", "weakness, or cramps"):
        assert says(f"{denied}, {items} {said}") is None, items
        assert says(f"{denied}, {items} {said}, tone normal") is None, items
        # Said next to the denial, or closed by what was examined, it is denied as before.
        assert says(f"No {items.replace(', ', ' or ')} {said}") is False, items
        assert says(f"{denied}, no {items.replace(', ', ' or ')} {said}") is False, items
        assert says(f"{denied}, {items}. Tremor {said}") is False, items


@pytest.mark.parametrize("end", ["", ".", " seen", " noted", " today", " on examination", " at rest", " in any limb"])
def test_a_list_that_ends_with_its_last_item_or_with_what_was_looked_at_is_denied(end: str) -> None:
    for items in ("weakness or wasting", "wasting, weakness or loss of sensation", "weakness, wasting, or cramps"):
        assert says(f"No tremor, {items}{end}") is False, items


TIES = [
    "relief from", "cause for", "cause found for", "treatment for", "trigger of", "explanation for", "test for",
    "medicine for", "benefit from", "sleep with", "sleep during", "recovery of", "response to", "doubt about",
]  # fmt: skip


@pytest.mark.parametrize("denial", ["no", "without", "no clear", "there is no"])
@pytest.mark.parametrize("tie", [*TIES, *(tie + " the" for tie in TIES)])
def test_what_is_denied_about_a_sign_does_not_deny_it(denial: str, tie: str) -> None:
    assert says(f"{denial} {tie} weakness") in (True, None)
    assert says(f"tremor, {denial} {tie} weakness or wasting of the hand") in (True, None)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("no relief from weakness", True),
        ("no recovery of weakness", True),
        ("no cause found for weakness", True),
        ("not sleeping because of weakness", True),
        ("no doubt weakness", True),
        ("not only weakness of the hand but wasting", True),
        ("not bothered by weakness", None),
        ("not examined for weakness", None),
        ("not due to weakness", None),
        ("no relief from pain, weakness or wasting", False),
        ("no loss of sensation or weakness", False),
    ],
)
def test_what_a_denial_says_of_a_sign_that_it_does_not_deny(text: str, verdict: bool | None) -> None:
    assert NOT_TOO.listen(text)[0].says is verdict


@pytest.mark.parametrize(
    "naming",
    ["evidence of", "sign of", "signs of", "history of", "complaint of", "complaints of", "signs or symptoms of",
     "definite evidence of any", "episodes of", "feeling of", "evidence for", "suggestion of", "recurrence of"],
)  # fmt: skip
@pytest.mark.parametrize("denial", ["no", "without", "not any", "there is no"])
def test_a_denial_that_names_a_sign_denies_it(denial: str, naming: str) -> None:
    wanted = None if "history" in naming else False  # in this book the past is one more reason to doubt
    assert NOT_TOO.listen(f"{denial} {naming} weakness")[0].says is wanted


def test_affirms_looks_for_words_that_are_no_phrase() -> None:
    assert BOOK.affirms("Sudden loss of vision", "sudden")
    assert BOOK.affirms("history of sudden loss of vision", "sudden")
    assert not BOOK.affirms("no sudden loss of vision", "sudden")
    assert not BOOK.affirms("possible sudden loss", "sudden")
    assert not BOOK.affirms("gradual", "sudden")


def test_each_finding_is_heard_once_and_the_first_statement_counts() -> None:
    heard = BOOK.listen("weakness. No weakness. No wasting.")
    assert [(h.finding, h.says) for h in heard] == [("weakness", True), ("wasting", False)]


@pytest.mark.parametrize(
    "text, finding, verdict",
    [
        ("No fasciculations, weakness or muscle wasting", "atrophy", False),
        ("Denies dysphagia", "dysphagia", False),
        ("Mother had ALS, patient has dysphagia", "dysphagia", True),
        ("Dysphagia: none", "dysphagia", False),
        ("Dysphagia ruled out", "dysphagia", None),
        ("No headache, acute confusion or seizure. Neurological examination normal.", "mental_change_acute", None),
        ("No headache, acute confusion, or seizure.", "mental_change_acute", None),
        ("No fever, acute confusion since this morning.", "mental_change_acute", True),
        ("Denies dysarthria, dysphagia or weakness. Neurological examination is normal.", "dysarthria", False),
        ("Denies dysarthria, dysphagia or weakness. Neurological examination is normal.", "dysphagia", False),
        ("No weakness, muscle atrophy or sensory loss.", "atrophy", False),
        ("There is no tongue fasciculation, muscle wasting and weakness.", "atrophy", False),
        ("There is no tongue fasciculation, muscle wasting and weakness.", "tongue_wasting_fasc", False),
        ("No sensory loss, muscle wasting of the hand", "atrophy", True),
        ("No fever but weakness and muscle wasting", "atrophy", True),
        ("No tremor. Muscle wasting or weakness of the hand", "atrophy", True),
        ("Neither dysphagia nor dysarthria", "dysphagia", False),
    ],
)
def test_sentences_with_the_words_of_the_content(text: str, finding: str, verdict: bool | None, knowledge: Any) -> None:
    heard = {h.finding: h.says for h in knowledge.phrase_book.listen(text)}
    assert heard.get(finding, "silent") == verdict


@pytest.mark.parametrize(
    "text, words, affirmed",
    [
        ("Normal study. No fibrillations, positive sharp waves or fasciculations.", "positive sharp waves", False),
        ("Normal study. No fibrillations, positive sharp waves or fasciculations seen.", "fasciculations", False),
        ("No fibrillation potentials, positive sharp waves, or fasciculation potentials.", "fasciculation", False),
        ("No fibrillation potentials, conduction block or myopathic units. Normal study.", "conduction block", False),
        ("No fibrillation potentials, conduction block or myopathic units. Normal study.", "myopathic units", False),
        ("No disc prolapse, cord compression or signal change.", "cord compression", False),
        ("No disc prolapse, cord compression at C5 with signal change.", "cord compression", True),
        ("No fibrillations, fasciculations in arm and leg.", "fasciculations", True),
        ("No fibrillations but positive sharp waves or fasciculations.", "positive sharp waves", True),
        ("No myopathic units. Fibrillations, positive sharp waves or both.", "positive sharp waves", True),
        ("No fibrillations, there are positive sharp waves and fasciculations.", "positive sharp waves", True),
    ],
)
def test_reports_with_the_words_of_the_content(text: str, words: str, affirmed: bool, knowledge: Any) -> None:
    assert knowledge.phrase_book.affirms(text, words) is affirmed
    assert knowledge.phrase_book.denies(text, words) is not affirmed


OTHERS = ("wife", "husband", "partner", "mother", "father", "brother", "daughter", "friend", "stepfather")
OF_OTHERS = ("{p} for his {o}", "{p} of her {o}", "{p} for {o}", "{o} is in {p}", "{o}'s {p}", "{o} now on {p}",
             "his {o} recently entered {p}", "Stress: {p} for the {o}")  # fmt: skip
OF_THE_PATIENT = ("{p} with his {o}", "{p}, {o} is carer", "{p}. {o} visits", "seen with {o}. {p}")


@pytest.mark.parametrize("other", OTHERS)
def test_hospice_care_of_someone_else_is_none_of_the_patient(other: str, knowledge: Any) -> None:
    def says(frame: str, phrase: str) -> bool | None:
        heard = knowledge.phrase_book.listen(frame.format(p=phrase, o=other))
        return next((h.says for h in heard if h.finding == "hospice"), None)

    for phrase in ("hospice care", "home hospice", "comfort measures only"):
        assert {frame: says(frame, phrase) for frame in OF_OTHERS} == dict.fromkeys(OF_OTHERS), phrase
        assert {frame: says(frame, phrase) for frame in OF_THE_PATIENT} == dict.fromkeys(OF_THE_PATIENT, True), phrase


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("Wife has noticed muscle wasting", True),
        ("Here with his wife for muscle wasting", True),
        ("Husband reports muscle wasting", True),
        ("Husband has muscle wasting", None),
        ("Muscle wasting in his wife", None),
        ("Muscle wasting in his hand", True),
    ],
)
def test_who_tells_of_a_sign_is_not_who_has_it(text: str, verdict: bool | None, knowledge: Any) -> None:
    assert {h.finding: h.says for h in knowledge.phrase_book.listen(text)}["atrophy"] is verdict


@pytest.mark.parametrize("opening", ["No pain", "Denies numbness", "Without fever", "No pain, numbness"])
@pytest.mark.parametrize("sign", ["weakness of {} foot", "{} hand weakness", "weakness in the {} leg", "{} weakness"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_sign_with_a_side_of_its_own_is_not_denied_before_a_comma(opening: str, sign: str, side: str) -> None:
    assert says(f"{opening}, {sign.format(side)}") is True
    assert says(f"{opening} or {sign.format(side)}") is not True
    assert says(f"No {sign.format(side)}") is False


@pytest.mark.parametrize(
    "text, finding, verdict",
    [
        ("No pain, weakness of right foot", "weak_reported", True),
        ("No pain, weakness of the right foot", "weak_reported", True),
        ("No pain, right foot weakness", "weak_reported", True),
        ("No pain, foot weakness", "weak_reported", None),  # a list of two is none yet
        ("No pain, no foot weakness", "weak_reported", False),
        ("No pain or foot weakness", "weak_reported", False),
        ("No pain, numbness, foot weakness", "weak_reported", False),
        ("No pain, numbness or foot weakness", "weak_reported", False),
        ("No pain, calf wasting", "atrophy", None),
        ("No pain, right calf wasting", "atrophy", True),
    ],
)
def test_an_item_with_a_place_of_its_own(text: str, finding: str, verdict: bool | None, knowledge: Any) -> None:
    assert {h.finding: h.says for h in knowledge.phrase_book.listen(text)}[finding] is verdict


DISEASES = ("motor neuron disease", "amyotrophic lateral sclerosis", "multifocal motor neuropathy")
ASKED = ("Reason for study: {}. Result: normal.", "Indication: {}. Normal.", "Clinical question: {}?", "Rule out {}.",
         "INDICATION: twitching; {}\nNormal study", "Indication for study: {} Impression: normal", "Father with {}.",
         "{} is not supported by this study.", "Insufficient evidence of {}.", "{} cannot be excluded.",
         "{} was ruled out.", "Clinical history: query {}. Normal.", "Family history: {}.")  # fmt: skip
FOUND = ("Reason for study: twitching. Result: {}.", "Indication: weakness\n{}", "Consistent with {}.",
         "No radiculopathy. Findings of {}.", "Impression: {}.", "Indication: weakness. Impression: {}")  # fmt: skip


@pytest.mark.parametrize("disease", DISEASES)
def test_what_a_study_was_asked_is_not_what_it_found(disease: str, knowledge: Any) -> None:
    affirms = knowledge.phrase_book.affirms
    assert {frame: affirms(frame.format(disease), disease) for frame in ASKED} == dict.fromkeys(ASKED, False)
    assert {frame: affirms(frame.format(disease), disease) for frame in FOUND} == dict.fromkeys(FOUND, True)


@pytest.mark.parametrize(
    "text, denied",
    [
        ("no wasting", True),
        ("no wasting. Wasting of the hand.", False),
        ("possible wasting", False),
        ("wasting", False),
        ("", False),
    ],
)
def test_denied_means_named_only_to_deny(text: str, denied: bool) -> None:
    assert BOOK.denies(text, "wasting") is denied


class _All(frozenset[str]):
    """Beginnings that every text may hold."""

    def isdisjoint(self, other: object) -> bool:
        return False


def test_searching_only_where_a_listed_word_can_begin_finds_what_searching_everywhere_finds(reading: Any) -> None:
    tables = ("regions", "traps", "sides", "studies", "orders")
    everywhere = replace(reading, **{name: replace(getattr(reading, name), beginnings=_All()) for name in tables})
    listed = read_yaml(ROOT / "cards" / "words.yaml")
    words = [w for part in ("regions", "traps", "sides") for words in listed[part].values() for w in words]
    words += [w for part in ("named_in_words", "order_words") for words in listed[part].values() for w in words]
    frames = (
        "{}",
        "the {}",
        "x{}",
        "{}x",
        "(left {})",
        "Ü{}-b",
        "back of the left {}",
        "{}, {}",
        "mri of {}",
        "é-{}/5",
    )
    texts = [frame.format(word, word.upper()) for word in words for frame in frames] + ["", "nothing here", "…"]
    found = 0
    for text in texts:
        assert reading.sites(text) == everywhere.sites(text), text
        assert reading.studies_in(text) == everywhere.studies_in(text), text
        assert reading.orders_in(text) == everywhere.orders_in(text), text
        found += bool(reading.sites(text)) + bool(reading.studies_in(text)) + bool(reading.orders_in(text))
    assert found > len(words)


@pytest.mark.parametrize(
    "before",
    [
        "Progressive weakness (left arm): no",
        "Progressive weakness (mild)?",
        "Mother has ataxia (severe).",
        "No pain - progressive weakness (left)",
        "Ataxia: (none)",
    ],
)
def test_what_one_record_says_changes_nothing_of_what_is_heard_in_the_next(before: str, knowledge: Any) -> None:
    listen = knowledge.phrase_book.listen
    listen(before)
    assert {h.finding: h.says for h in listen("Progressive weakness")}["weak_progressive"] is True
    assert {h.finding: h.says for h in listen("Ataxia: none")}["balance_coord"] is False
    assert {h.finding: h.says for h in listen("Ataxia: not examined")}["balance_coord"] is None


def _tables(book: PhraseBook) -> dict[str, str]:
    """What the modules of the reasoning and the phrase book hold that could be changed, as it stands now."""
    return {name: repr(table) for holds in (vars(book), vars(book.blocking)) for name, table in holds.items()} | {
        f"{module}.{name}": repr(value)
        for module, there in sys.modules.items()
        if module.startswith("cds_service.clinical")
        for name, value in vars(there).items()
        if isinstance(value, (dict, list, set)) and not name.startswith("__")
    }


def test_listening_leaves_nothing_behind_that_the_next_text_could_meet(knowledge: Any) -> None:
    """A set that answers shared made one patient's denial another's, until the process ended."""
    book = knowledge.phrase_book
    names = sorted({" ".join(phrase.words) for phrase in book.phrases})[::4]
    before, heard = _tables(book), [book.listen(name) for name in names]
    for name in names:
        for text in (f"{name} (left): no", f"{name} (mild)?", f"mother has {name} (severe)", f"no pain - {name} (left)",
                     f"{name}: (none)", f"{name}: not examined", f"no {name}, {name} or cramps"):  # fmt: skip
            book.listen(text)
            book.cancelled_by(text, book.listen(name))
    assert _tables(book) == before
    assert [book.listen(name) for name in names] == heard


def test_a_sentence_is_searched_only_for_phrases_of_which_it_has_every_word(
    knowledge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some words begin hundreds of phrases: what a text costs must not grow with them."""
    searched: list[tuple[str, ...]] = []

    def counted(phrase: tuple[str, ...], sentence: list[str], start: int) -> int | None:
        searched.append(phrase)
        return end_of(phrase, sentence, start)

    monkeypatch.setattr(listening, "end_of", counted)
    said = "weakness in upper and lower limbs, weak shoulder; wasting of the left hand and atrophy in the forearm"
    assert knowledge.phrase_book.listen(said)
    assert all(set(phrase) <= set(tokens(said)) for phrase in searched)
    assert len(searched) < 40


def test_a_phrase_may_name_a_list_and_stands_for_each_of_its_words() -> None:
    lists = {"muscle": ["calf", "deltoid"], "grade": ["3/5", "4/5"]}
    assert in_full("no wasting", lists) == ["no wasting"]
    assert in_full("<muscle> wasting", lists) == ["calf wasting", "deltoid wasting"]
    assert in_full("<muscle> <grade>", lists) == ["calf 3/5", "calf 4/5", "deltoid 3/5", "deltoid 4/5"]
    with pytest.raises(ValueError, match="no list named nerve"):
        in_full("<nerve> palsy", lists)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Weakness of right hand: 4/5", True),
        ("Left triceps: 4-/5", True),
        ("Weakness of right hand: 5/5", "silent"),
        ("Hand weakness: 10/5/2026", "silent"),
        ("No weakness of the hand: 4/5", None),
    ],
)
def test_a_reduced_grade_behind_a_colon_belongs_to_what_stands_before_it(
    text: str, verdict: bool | str | None, knowledge: Any
) -> None:
    heard = {one.finding: one.says for one in knowledge.phrase_book.listen(text)}
    assert heard.get("weak_objective", "silent") is verdict


@pytest.mark.parametrize(
    ("text", "finding", "verdict"),
    [
        ("Seen today. Neurological exam: normal.", "exam_sentence_normal", True),
        ("Neurological exam: normal tone", "exam_sentence_normal", "silent"),
        ("Physical exam: normal", "exam_sentence_normal", "silent"),
        ("Power: 5/5 throughout", "power_sentence_normal", True),
        ("Power: normal in the arms, reduced in the legs", "power_sentence_normal", "silent"),
        ("Bulk: normal; tone: normal", "atrophy", False),
        ("Reflexes: 2+ and symmetric", "hyperreflexia", False),
        ("Reflexes: brisk in the legs", "hyperreflexia", True),
        ("Fasciculations: tongue, both arms", "tongue_wasting_fasc", True),
        ("Fasciculations: tongue no, arms yes", "tongue_wasting_fasc", "silent"),
        ("Fasciculation: none in the tongue", "tongue_wasting_fasc", "silent"),
    ],
)
def test_what_an_examination_found_may_stand_behind_a_colon(
    text: str, finding: str, verdict: bool | str | None, knowledge: Any
) -> None:
    heard = {one.finding: one.says for one in knowledge.phrase_book.listen(text)}
    assert heard.get(finding, "silent") is verdict


UNDER = PhraseBook(
    BOOK.phrases,
    replace(BOOK.blocking, headings=table(family="family history", relative="brother; older brother", doubt="advice")),
)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Brother: weakness of hands", None),
        ("Older brother: weakness of hands", None),
        ("Seen with brother: weakness of hands", True),
        ("Brother unwell: weakness of hands", True),
        ("Brother: well. Weakness of hands", True),
        ("Relevant family history: weakness of hands", None),
        ("Advice given: weakness", None),
    ],
)
def test_a_relative_heads_only_what_names_nobody_else(text: str, verdict: bool | None) -> None:
    assert {heard.finding: heard.says for heard in UNDER.listen(text)}["weakness"] is verdict


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("reflexes of the right arm: brisk", True),
        ("Reflexes in both legs are brisk", True),
        ("reflexes of the right arm: not brisk", "silent"),
        ("reflexes of the right arm normal, gag brisk", "silent"),
        ("no reflexes in the arms brisk", False),
    ],
)
def test_reflexes_of_a_limb_are_told_like_reflexes(text: str, heard: bool | str) -> None:
    assert says(text, "hammer") == heard


def test_what_no_phrase_can_be_heard_in_is_told_from_what_one_can(reading: Any) -> None:
    book = reading.phrase_book
    assert not any(map(book.may_say, ("4.1", "negative", "120/80", "<100 CFU/mL", "S26-000123", "")))
    assert all(book.may_say(" ".join(phrase.words)) for phrase in book.phrases)
