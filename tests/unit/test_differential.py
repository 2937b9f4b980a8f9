"""How a hypothesis is weighed, in which order hypotheses stand, and which of them a card shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from cds_service.clinical.differential import in_play_for, title_of, weigh, weighings
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.knowledge import Hypothesis, Term
from cds_service.worked_examples import case_of

ATROPHY, BABINSKI = ({"exam": name, "value": "yes", "on": "5 days ago"} for name in ("muscle_atrophy", "babinski"))
NO_BABINSKI = {**BABINSKI, "value": "no"}


def term(spec: Any, *names: str, negative: bool = False) -> Term:
    return Term(compile_formula(spec), names, negative)


def hypothesis(name: str, *signs: str, urgency: Any = ((None, "S"),), **more: Any) -> Hypothesis:
    return Hypothesis(name, name, urgency, tuple(term(sign, sign) for sign in signs), (), **more)


def weighed(hypotheses: list[Hypothesis], record: Any, knowledge: Any, reading: Any) -> Any:
    return weigh(case_of(record, replace(knowledge, hypotheses=tuple(hypotheses)), reading))


@pytest.mark.parametrize(
    ("more", "record", "state"),
    [
        ({}, [ATROPHY], "in play"),
        ({}, [BABINSKI], "not in play"),
        ({"needs": "babinski"}, [ATROPHY, BABINSKI], "in play"),
        ({"needs": "babinski"}, [ATROPHY], "not in play"),
        ({"needs": "babinski"}, [ATROPHY, NO_BABINSKI], "not in play"),
        ({"excluded_when": "babinski"}, [ATROPHY, BABINSKI], "excluded"),
        ({"excluded_when": "babinski"}, [ATROPHY], "in play"),
        ({"excluded_when": "babinski"}, [BABINSKI], "excluded"),
    ],
)
def test_the_state_of_a_hypothesis(more: Any, record: Any, state: str, knowledge: Any, reading: Any) -> None:
    conditions = {name: compile_formula(spec) for name, spec in more.items()}
    (one,) = weighed([hypothesis("H", "atrophy", **conditions)], record, knowledge, reading)
    assert (one.state, one.in_play) == (state, state == "in play")


@pytest.mark.parametrize(
    ("record", "urgency"), [([ATROPHY, BABINSKI], "E"), ([ATROPHY], "U"), ([], "S"), ([NO_BABINSKI], "S")]
)
def test_the_first_urgency_that_holds(record: Any, urgency: str, knowledge: Any, reading: Any) -> None:
    letters = ((compile_formula("babinski"), "E"), (compile_formula("atrophy"), "U"), (None, "S"))
    (one,) = weighed([hypothesis("H", "atrophy", urgency=letters)], record, knowledge, reading)
    assert one.urgency == urgency
    (last,) = weighed([hypothesis("H", "atrophy", urgency=letters[:2])], [], knowledge, reading)
    assert last.urgency == "U"


def test_what_is_in_play_stands_first_then_the_urgent_then_what_has_most_for_it(knowledge: Any, reading: Any) -> None:
    both = ("atrophy", "babinski")
    listed = [
        hypothesis("H9", "atrophy"),
        hypothesis("H8", "atrophy"),
        hypothesis("H7", *both),
        structs.replace(hypothesis("H6", *both), opposes=(term("atrophy", "atrophy"), term("babinski", "babinski"))),
        hypothesis("H5", "clonus", urgency=((None, "E"),)),
        hypothesis("H4", "atrophy", urgency=((None, "N"),)),
        hypothesis("H3", "atrophy", urgency=((None, "U"),)),
    ]
    found = weighed(listed, [ATROPHY, BABINSKI], knowledge, reading)
    assert [one.hypothesis.id for one in found] == ["H3", "H7", "H8", "H9", "H6", "H4", "H5"]


def test_what_speaks_for_and_against_and_what_is_missing(knowledge: Any, reading: Any) -> None:
    many = [{**ATROPHY, "on": f"{days} days ago"} for days in (5, 6, 7)]
    one = structs.replace(
        hypothesis("H", "atrophy", "clonus"),
        supports=(
            term("atrophy", "atrophy"),
            term("clonus", "clonus"),
            term({"all": ["hoffmann", "spasticity"]}, "hoffmann", "spasticity"),
            term({"absent": "babinski"}, "babinski", negative=True),
        ),
        opposes=(term("babinski", "babinski"), term("hoffmann", "hoffmann")),
    )
    (found,) = weighed([one], [*many, NO_BABINSKI], knowledge, reading)
    titles = {name: knowledge.findings[name].title for name in ("atrophy", "clonus", "babinski")}
    assert [(p.title, len(p.evidence), p.negative) for p in found.supports] == [
        (titles["atrophy"], 2, False),
        (f"no {titles['babinski']}", 1, True),
    ]
    assert found.opposes == ()
    assert found.missing == (titles["clonus"],)


@pytest.mark.parametrize(
    ("spec", "names", "title"),
    [
        ({"below": {"K": "3.5 mmol/L"}}, ("K",), "potassium 3.2 mmol/L (3.2 meq/L)"),
        ({"above": {"age": "40 years"}}, ("age",), "age 50 years"),
        ("atrophy", ("atrophy",), None),
        ("atrophy", (), ""),
    ],
)
def test_what_a_term_is_called(spec: Any, names: Any, title: str | None, knowledge: Any, reading: Any) -> None:
    case = case_of([ATROPHY, {"lab": "potassium", "value": 3.2, "unit": "mmol/L"}], knowledge, reading)
    one = term(spec, *names)
    expected = knowledge.findings["atrophy"].title if title is None else title
    assert title_of(one, one.formula(case), case) == expected


def test_a_card_shows_at_most_five_of_its_own_that_are_in_play(knowledge: Any, reading: Any) -> None:
    listed = [hypothesis(f"H{n}", "atrophy" if n != 3 else "clonus") for n in range(1, 9)]
    case = case_of([ATROPHY], replace(knowledge, hypotheses=tuple(listed)), reading)

    def shown(cards: list[str], own: list[str]) -> list[str]:
        return [one.hypothesis.id for one in in_play_for(cards, own, case)]

    assert shown(["TW10"], []) == ["H1", "H2", "H4", "H5", "H6"]
    assert shown(["TW10"], ["H8", "H3", "H2"]) == ["H2", "H8"]
    assert shown(["TW10"], [h.id for h in listed]) == ["H1", "H2", "H4", "H5", "H6"]
    assert set(weighings(case.knowledge)) == {f"weigh {h.id}" for h in listed}


def test_a_motor_neuron_card_names_that_disease_first(knowledge: Any, reading: Any) -> None:
    urgent = hypothesis("H30", "atrophy", urgency=((None, "E"),))
    listed = [hypothesis("H02", "atrophy"), hypothesis("H01", "atrophy"), urgent]
    case = case_of([ATROPHY], replace(knowledge, hypotheses=tuple(listed)), reading)
    own = ["H01", "H02", "H30"]
    assert [w.hypothesis.id for w in in_play_for(["TW06"], own, case)] == ["H01", "H30", "H02"]
    assert [w.hypothesis.id for w in in_play_for(["TW07"], own, case)] == ["H30", "H01", "H02"]


@pytest.mark.parametrize(
    ("also", "first"),
    [
        ({}, "H16"),
        ({"known_brain_lesion": "present"}, "H17"),
        ({"known_brain_lesion": "present", "vision_change": "present", "balance_coord": "present"}, "H17"),
        ({"known_brain_lesion": "absent"}, "H16"),
        ({"known_brain_lesion": "present", "known_ms": "present"}, "H16"),
        ({"known_brain_lesion": "present", "mri_demyelination": "present", "vision_change": "present"}, "H16"),
    ],
)
def test_a_known_lesion_comes_before_multiple_sclerosis(
    also: dict[str, str], first: str, knowledge: Any, reading: Any
) -> None:
    face = {"continuous_facial": "present", "face_focal": "present", **also}
    assert weigh(case_of(face, knowledge, reading), {"H16", "H17"})[0].hypothesis.id == first
