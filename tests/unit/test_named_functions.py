"""Which entries a named function cites, in which order, and what it makes of partial dates and of several at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from cds_service.clinical.chart import (
    Chart,
    Match,
    Medicine,
    Patient,
    Problem,
    Procedure,
    Quantity,
    Report,
    Result,
    State,
)
from cds_service.clinical.findings import Case
from cds_service.clinical.formula import compile_formula
from cds_service.clinical.functions import NAMED
from cds_service.clinical.knowledge import Recheck
from cds_service.clinical.spans import Span
from cds_service.worked_examples import case_of
from tests.conftest import TODAY

Record = list[dict[str, Any]]


def judged(function: str, with_: dict[str, Any], record: Record, knowledge: Any, reading: Any) -> Any:
    return NAMED[function]("any", with_)(case_of(record, knowledge, reading))


def cited(evidence: Any) -> list[tuple[str, str]]:
    """Place in the record, from 1, and the words of each piece of evidence."""
    return [(e.reference.rpartition("-")[2], e.value) for e in evidence]


# --- twitching ----------------------------------------------------------------------------------

TWITCH = {"twitch": "40 days ago"}
LEFT_CALF = {**TWITCH, "site": "left calf"}


def twitching(*places: str) -> Record:
    return [{"twitch": f"{40 - 10 * i} days ago", "site": place} for i, place in enumerate(places)]


@pytest.mark.parametrize(
    ("words", "began", "apart"),
    [
        ("Weakness of right foot", "10 days ago", []),
        ("Weakness of right foot", "4 days ago", []),
        ("Weakness of right foot", "3 days ago", ["1"]),
        ("Weakness of left foot", "10 days ago", ["1"]),
        ("Progressive weakness", "10 days ago", ["1"]),
        ("Weakness of right foot 3/5", "2 days ago", []),
    ],
)
def test_what_is_graded_is_not_said_again_as_reported(
    words: str, began: str, apart: list[str], knowledge: Any, reading: Any
) -> None:
    record = [{"problem": words, "onset": began}, {"power": "right ankle dorsiflexion", "grade": 3, "on": "4 days ago"}]
    with_ = {"signs": ["weak_reported"], "unless": ["weak_objective"]}
    found = judged("sign_apart_from", with_, record, knowledge, reading)
    assert [place for place, _ in cited(found.evidence)] == apart
    assert found.presence.value == ("present" if apart else "absent")


@pytest.mark.parametrize(
    ("with_", "places", "presence"),
    [
        ({"known": True}, ["left calf"], "present"),
        ({"known": True}, [], "unknown"),
        ({"focal": True}, ["left calf"], "present"),
        ({"focal": True}, ["left calf", "left foot"], "present"),
        ({"focal": True}, ["left calf", "right calf"], "absent"),
        ({"focal": True}, ["left calf", "calf"], "present"),
        ({"focal": True}, ["calf"], "present"),
        ({"focal": True}, ["both calves"], "absent"),
        ({"focal": True}, ["left calf", "left hand"], "absent"),
        ({"focal": True}, ["whole body"], "absent"),
        ({"focal": True}, ["tongue"], "present"),
        ({"focal": True}, ["tongue", "left calf"], "present"),
        ({"focal": True}, ["left eyelid"], "absent"),
        ({"focal": True}, ["left eyelid", "left calf"], "present"),
        ({"widespread": True}, ["left calf"], "absent"),
        ({"widespread": True}, ["left calf", "left hand"], "present"),
        ({"widespread": True}, ["left calf", "right calf"], "present"),
        ({"widespread": True}, ["left calf", "calf"], "absent"),
        ({"widespread": True}, ["both calves"], "present"),
        ({"widespread": True}, ["whole body"], "present"),
        ({"widespread": True}, ["whole body", "tongue"], "present"),
        ({"widespread": True}, ["tongue", "left calf"], "absent"),
        ({"widespread": True}, ["left eyelid", "right eyelid"], "absent"),
        ({"includes": ["leg"]}, ["left calf", "left hand"], "present"),
        ({"includes": ["face"]}, ["left calf"], "absent"),
        ({"only": ["leg"]}, ["left calf"], "present"),
        ({"only": ["leg"]}, ["left calf", "left hand"], "absent"),
        ({"only": ["leg", "arm"]}, ["left calf"], "absent"),
        ({"words": ["calf"]}, ["left calf"], "present"),
        ({"words": ["foot", "calf"]}, ["left calf"], "present"),
        ({"words": ["foot"]}, ["left calf"], "absent"),
        ({"one_side": True}, ["left calf"], "present"),
        ({"one_side": True}, ["left calf", "left hand"], "present"),
        ({"one_side": True}, ["left calf", "right calf"], "absent"),
        ({"one_side": True}, ["both calves"], "absent"),
        ({"one_side": True}, ["calf"], "unknown"),
        ({"one_side": True}, ["calf", "left hand"], "present"),
        ({"one_side": True, "includes": ["leg"]}, ["left calf", "right hand"], "present"),
        ({"one_side": True, "includes": ["face"]}, ["left calf"], "unknown"),
    ],
)
def test_where_it_twitches(
    with_: dict[str, Any], places: list[str], presence: str, knowledge: Any, reading: Any
) -> None:
    finding = judged("twitch_sites", with_, twitching(*places), knowledge, reading)
    assert finding.presence.value == presence
    cites_all = presence != "unknown" and "includes" not in with_
    assert len(finding.evidence) == len(places) or not cites_all


def test_a_place_is_named_with_its_side_once(knowledge: Any, reading: Any) -> None:
    for with_ in ({"known": True}, {"one_side": True}):
        finding = judged("twitch_sites", with_, twitching("left calf", "left hand"), knowledge, reading)
        assert [value for _, value in cited(finding.evidence)] == ["left calf", "left hand"]


def seen(days: int, *places: str) -> dict[str, Any]:
    if len(places) > 1:
        return {"answers": {"site.where": [place.replace(" ", "-") for place in places]}, "on": f"{days} days ago"}
    return {"symptom": "fasciculation", "value": "yes", "on": f"{days} days ago", "site": places[0]}


@pytest.mark.parametrize(
    ("record", "cites"),
    [
        ([seen(20, "left calf"), seen(6, "left leg", "left arm")], ["2", "1"]),
        ([seen(19, "left calf"), seen(6, "left leg", "left arm")], []),
        ([seen(20, "left calf"), seen(6, "left hand")], []),
        ([seen(20, "left calf"), seen(6, "left foot")], []),
        ([seen(20, "left leg", "left arm"), seen(6, "left calf")], []),
        ([{"problem": "R25.3", "site": "left calf"}, seen(6, "left leg", "left arm")], []),
    ],
)
def test_it_spreads_when_a_later_set_of_places_holds_an_earlier_one(
    record: Record, cites: list[str], knowledge: Any, reading: Any
) -> None:
    finding = judged("twitch_spreads", {}, record, knowledge, reading)
    assert finding.present is bool(cites)
    assert [place for place, _ in cited(finding.evidence)] == cites


def wasting(*places: str, value: str = "yes") -> Record:
    return [
        {"exam": "muscle_atrophy", "value": value, "on": "5 days ago", **({"site": p} if p else {})} for p in places
    ]


@pytest.mark.parametrize(
    ("function", "with_", "record", "presence"),
    [
        ("in_twitching_region", {}, [LEFT_CALF, *wasting("left calf")], "present"),
        ("in_twitching_region", {}, [LEFT_CALF, *wasting("right calf")], "absent"),
        ("in_twitching_region", {}, [LEFT_CALF, *wasting("calf")], "present"),
        ("in_twitching_region", {}, [LEFT_CALF, *wasting("both calves")], "present"),
        ("in_twitching_region", {}, [LEFT_CALF, *wasting("left hand")], "absent"),
        ("in_twitching_region", {}, [LEFT_CALF, *wasting("left hand", "left calf")], "present"),
        ("in_twitching_region", {}, [*twitching("whole body"), *wasting("left hand")], "present"),
        ("in_twitching_region", {}, [LEFT_CALF, *wasting("")], "unknown"),
        ("in_twitching_region", {}, [{"twitch": "40 days ago"}, *wasting("left hand")], "unknown"),
        ("in_twitching_region", {}, [LEFT_CALF], "unknown"),
        ("in_twitching_region", {}, [LEFT_CALF, *wasting("", value="no")], "absent"),
        ("sign_in_region", {"regions": ["leg"]}, wasting("left calf"), "present"),
        ("sign_in_region", {"regions": ["leg"]}, wasting("left hand", "left calf"), "present"),
        ("sign_in_region", {"regions": ["leg"]}, wasting("left hand"), "absent"),
        ("sign_in_region", {"regions": ["leg"]}, wasting(""), "unknown"),
        ("sign_in_region", {"regions": ["leg"]}, [], "unknown"),
        ("sign_in_region", {"regions": ["leg"]}, wasting("", value="no"), "absent"),
        ("signs_on_both_sides", {"regions": ["leg"]}, wasting("left calf", "right calf"), "present"),
        ("signs_on_both_sides", {"regions": ["leg"]}, wasting("both calves"), "present"),
        ("signs_on_both_sides", {"regions": ["leg"]}, wasting("left calf"), "absent"),
        ("signs_on_both_sides", {"regions": ["leg"]}, wasting("left calf", "right hand"), "absent"),
        ("signs_on_both_sides", {"regions": ["leg"]}, wasting("calf"), "unknown"),
        ("signs_on_both_sides", {"regions": ["leg"]}, wasting("left hand"), "absent"),
        ("signs_on_both_sides", {"regions": ["leg"]}, wasting(""), "unknown"),
        ("signs_on_both_sides", {"regions": ["leg"]}, [], "unknown"),
        ("signs_on_both_sides", {"regions": ["leg"]}, wasting("", value="no"), "absent"),
    ],
)
def test_where_a_sign_lies(
    function: str, with_: dict[str, Any], record: Record, presence: str, knowledge: Any, reading: Any
) -> None:
    with_ = {"signs": ["atrophy"], **with_}
    finding = judged(function, with_, record, knowledge, reading)
    assert finding.presence.value == presence
    assert finding.evidence or presence != "present"


def test_silence_on_one_of_several_signs_is_no_absence(knowledge: Any, reading: Any) -> None:
    signs = {"signs": ["atrophy", "babinski"], "regions": ["leg"]}
    for function in ("in_twitching_region", "sign_in_region", "signs_on_both_sides"):
        assert (
            judged(function, signs, [LEFT_CALF, *wasting("", value="no")], knowledge, reading).presence.value
            == "unknown"
        )


@pytest.mark.parametrize(
    ("born", "value"),
    [(50, "50 years"), ("born 1976", "49 to 50 years"), ("born 1976-06", "49 to 50 years"),
     ("born 1976-05", "50 years"),
     ("born 1976-06-15", "50 years"), ("born 1976-06-16", "49 years"), ("born 2026-06-15", "0 years"),
     ("born 2027-01-01", "0 years"), ("born 1976-07", "49 years")],
)  # fmt: skip
def test_the_age_in_whole_years(born: Any, value: str, knowledge: Any, reading: Any) -> None:
    finding = judged("age_in_years", {}, [{"patient": {"age": born}}], knowledge, reading)
    assert (finding.evidence[0].value, finding.value.as_reported) == (value, value)
    ends = [int(word) for word in value.split() if word.isdigit()]
    assert (finding.value.low, finding.value.high) == (ends[0], ends[-1])


# --- results ------------------------------------------------------------------------------------


def lab(name: str, value: Any, unit: str, on: str, **more: Any) -> dict[str, Any]:
    return {"lab": name, "value": value, "unit": unit, "on": on, **more}


def potassium(value: Any, on: str = "2 days ago", **more: Any) -> dict[str, Any]:
    return lab("potassium", value, "mmol/L", on, **more)


def test_the_most_dangerous_critical_result_is_cited_first(knowledge: Any, reading: Any) -> None:
    critical = {"K": potassium(2.4), "Na": lab("sodium", 115, "mmol/L", "2 days ago"),
                "Mg": lab("magnesium", 0.3, "mmol/L", "2 days ago")}  # fmt: skip
    names = [
        knowledge.analytes[name].name for name in sorted(critical, key=lambda n: (knowledge.analytes[n].danger, n))
    ]
    for record in (list(critical.values()), list(reversed(critical.values()))):
        finding = judged("critical_results", {}, record, knowledge, reading)
        assert [e.title for e in finding.evidence] == names


@pytest.mark.parametrize(
    ("record", "presence"),
    [
        ([potassium(2.4, "14 days ago")], "present"),
        ([potassium(2.4, "15 days ago")], "absent"),
        ([potassium(2.4, "2 days ago"), potassium(4.1, "1 day ago")], "absent"),
        ([potassium(4.1)], "absent"),
        ([{"unanswered": ["labs"]}], "unknown"),
        ([potassium(4.1, flag="LL")], "present"),
        ([potassium(4.1, flag="L")], "absent"),
    ],
)
def test_critical_results(record: Record, presence: str, knowledge: Any, reading: Any) -> None:
    assert judged("critical_results", {}, record, knowledge, reading).presence.value == presence


@pytest.mark.parametrize(
    ("signs", "on", "presence"),
    [("present", "14 days ago", "present"), ("present", "15 days ago", "absent"), ("absent", "14 days ago", "absent")],
)
def test_a_value_may_be_critical_with_a_sign(signs: str, on: str, presence: str, knowledge: Any, reading: Any) -> None:
    also = [{"when": "babinski", "analyte": "K"}]
    sign = {"exam": "babinski", "value": "yes" if signs == "present" else "no", "on": "today"}
    finding = judged("critical_results", {"also": also}, [sign, potassium(2.9, on)], knowledge, reading)
    assert finding.presence.value == presence


def tsh(on: str) -> dict[str, Any]:
    return lab("tsh", 0.2, "mIU/L", on)


def ft4(on: str, value: float = 15) -> dict[str, Any]:
    return lab("free_t4", value, "pmol/L", on)


@pytest.mark.parametrize(
    ("record", "presence", "cites"),
    [
        ([tsh("10 days ago"), ft4("10 days ago")], "present", ["2"]),
        ([tsh("10 days ago"), ft4("11 days ago")], "absent", []),
        ([tsh("10 days ago"), ft4("11 days ago"), {"unanswered": ["labs"]}], "unknown", []),
        ([tsh("2026-06"), ft4("14 days ago")], "present", ["2"]),
        ([tsh("2026-06"), ft4("15 days ago")], "absent", []),
        ([tsh("10 days ago"), ft4("9 days ago"), ft4("8 days ago")], "present", ["3"]),
        ([tsh("10 days ago"), tsh("4 days ago"), ft4("6 days ago")], "absent", []),
    ],
)
def test_a_companion_result(record: Record, presence: str, cites: list[str], knowledge: Any, reading: Any) -> None:
    with_ = {"analytes": ["FT4"], "after": "TSH"}
    finding = judged("result_after", with_, record, knowledge, reading)
    assert (finding.presence.value, [place for place, _ in cited(finding.evidence)]) == (presence, cites)


def test_one_of_several_companions_is_enough_where_the_content_lists_them_together(
    knowledge: Any, reading: Any
) -> None:
    record = [tsh("10 days ago"), ft4("10 days ago")]
    together, each = {"analytes": [["K", "FT4"]], "after": "TSH"}, {"analytes": ["K", "FT4"], "after": "TSH"}
    assert judged("result_after", together, record, knowledge, reading).present
    assert not judged("result_after", each, record, knowledge, reading).present
    both = judged("result_after", each, [*record, potassium(4)], knowledge, reading)
    assert [place for place, _ in cited(both.evidence)] == ["3", "2"]


@pytest.mark.parametrize(
    ("analytes", "record", "cites"),
    [
        (["K"], [TWITCH, potassium(4)], ["2"]),
        (["K"], [TWITCH, potassium(3.4)], None),
        (["K"], [TWITCH, potassium(3.4, "5 days ago"), potassium(4)], ["3"]),
        (["K"], [TWITCH, potassium(4, "40 days ago")], ["2"]),
        (["K"], [TWITCH, potassium(4, "41 days ago")], None),
        (["K"], [TWITCH, potassium(4, "2026-06")], ["2"]),
        (["K"], [TWITCH, potassium(4, "2026")], None),
        (["K"], [{"problem": "R25.3"}, potassium(4)], None),
        (["K", "Na"], [TWITCH, potassium(4)], None),
        (["K", "Na"], [TWITCH, potassium(4), lab("sodium", 140, "mmol/L", "3 days ago")], ["2", "3"]),
        ([["Na", "K"]], [TWITCH, potassium(4)], ["2"]),
        ([["Na", "K"]], [TWITCH, potassium(4), lab("sodium", 140, "mmol/L", "3 days ago")], ["3"]),
        ([["Na", "K"]], [TWITCH, potassium(4), lab("sodium", 120, "mmol/L", "3 days ago")], ["2"]),
        (["K"], [TWITCH, potassium(3.6, range=[3.7, 5.0])], ["2"]),
    ],
)
def test_normal_once(analytes: Any, record: Record, cites: list[str] | None, knowledge: Any, reading: Any) -> None:
    finding = judged("normal_once", {"analytes": analytes}, record, knowledge, reading)
    assert ([place for place, _ in cited(finding.evidence)] if finding.present else None) == cites


HIGH, LOW = {"above": "5.0 mmol/L"}, {"below": "3.5 mmol/L"}


@pytest.mark.parametrize(
    ("with_", "record", "cites"),
    [
        (HIGH, [potassium(5.1, "9 days ago"), potassium(5.2)], ["1", "2"]),
        (HIGH, [potassium(5.1, "8 days ago"), potassium(5.2)], []),
        (HIGH, [potassium(5.1, "9 days ago"), potassium(5.0)], []),
        (HIGH, [potassium(5.1, "9 days ago"), potassium(4.0, "5 days ago"), potassium(5.2)], ["1", "3"]),
        (HIGH, [potassium(">4.9", "9 days ago"), potassium(5.2)], []),
        (LOW, [potassium(3.4, "9 days ago"), potassium(3.3)], ["1", "2"]),
        (LOW, [potassium(3.5, "9 days ago"), potassium(3.3)], []),
        (LOW, [potassium("<3.6", "9 days ago"), potassium(3.3)], []),
        # They lie as far apart as they do at least.
        (LOW, [potassium(3.4, "2026-05"), potassium(3.3, "8 days ago")], ["1", "2"]),
        (LOW, [potassium(3.4, "2026-05"), potassium(3.3, "9 days ago")], []),
        (LOW, [potassium(3.3)], []),
        ({"below": "3.5 mmol/L"}, [], []),
    ],
)  # fmt: skip
def test_two_results_beyond_a_limit(
    with_: dict[str, Any], record: Record, cites: list[str], knowledge: Any, reading: Any
) -> None:
    with_ = {"analyte": "K", "apart_at_least": "7 days", **with_}
    finding = judged("repeated_results", with_, record, knowledge, reading)
    assert finding.presence.value == ("present" if cites else "unknown")
    assert [place for place, _ in cited(finding.evidence)] == cites


def weight(value: Any, on: str, unit: str = "kg", **more: Any) -> dict[str, Any]:
    return {"vital": "body_weight", "value": value, "unit": unit, "on": on, **more}


@pytest.mark.parametrize(
    ("record", "cites"),
    [
        ([weight(80, "182 days ago"), weight(76, "2 days ago")], [("2", "76.0 kg"), ("1", "80.0 kg")]),
        ([weight(80, "90 days ago"), weight("<80", "2 days ago")], []),
        ([weight(">90", "90 days ago"), weight(76, "2 days ago")], []),
        ([weight(76, "2 days ago"), weight(80, "182 days ago")], [("1", "76.0 kg"), ("2", "80.0 kg")]),
        ([weight(80, "182 days ago"), weight(70, "90 days ago"), weight(76, "2 days ago")],
         [("3", "76.0 kg"), ("1", "80.0 kg")]),
        ([weight(80, "182 days ago"), weight(70, "90 days ago"), weight(79, "2 days ago")], []),
        ([weight(80, "2 days ago"), weight(76, "2 days ago")], []),
        ([weight(76, "182 days ago"), weight(80, "2 days ago")], []),
        ([weight(200, "182 days ago", "lb"), weight(76, "2 days ago")], [("2", "76.0 kg"), ("1", "90.7 kg")]),
        ([weight(80, "182 days ago", "stones"), weight(76, "2 days ago")], []),
        ([weight(80, "182 days ago", status="preliminary"), weight(76, "2 days ago")], []),
        ([weight(80, "unknown"), weight(76, "2 days ago")], []),
        ([weight(None, "182 days ago"), weight(76, "2 days ago")], []),
        ([], []),
    ],
)  # fmt: skip
def test_a_fall_of_weight(record: Record, cites: Any, knowledge: Any, reading: Any) -> None:
    finding = judged("weight_falls", {"by": "5 %", "over": "180 days"}, record, knowledge, reading)
    assert finding.presence.value == ("present" if cites else "unknown")
    assert cited(finding.evidence) == cites


# --- medicines ----------------------------------------------------------------------------------


def drug(name: str, since: str | None = None, **more: Any) -> dict[str, Any]:
    return {"medicine": name, **({"since": since} if since else {}), **more}


STOPPED = {"status": "stopped", "until": "30 days ago"}
SSRI, BETA, THIAZIDE, TRAMADOL = "med_ssri", "med_beta_agonist", "med_thiazide", "med_tramadol"
LONG = [TWITCH, drug(SSRI, "400 days ago")]


@pytest.mark.parametrize(
    ("with_", "record", "presence", "cites", "against"),
    [
        ({}, [TWITCH, drug(SSRI, "130 days ago")], "present", ["2"], []),
        ({}, [TWITCH, drug(SSRI, "131 days ago")], "absent", [], ["2"]),
        ({}, [TWITCH, drug(SSRI, "40 days ago")], "present", ["2"], []),
        ({}, [TWITCH, drug(SSRI, "39 days ago")], "absent", [], ["2"]),
        ({"started_within": "10 days"}, [TWITCH, drug(SSRI, "51 days ago")], "absent", [], ["2"]),
        # A chronic class counts at any time before.
        ({}, [TWITCH, drug(THIAZIDE, "900 days ago")], "present", ["2"], []),
        ({}, [TWITCH, drug(THIAZIDE, "39 days ago")], "absent", [], ["2"]),
        ({}, [{"problem": "R25.3"}, drug(THIAZIDE, "900 days ago")], "present", ["2"], []),
        # Without its date, or that of the twitching, it is a question.
        ({}, [TWITCH, drug(SSRI)], "unknown", [], ["2"]),
        ({}, [{"problem": "R25.3"}, drug(SSRI, "900 days ago")], "unknown", [], ["2"]),
        ({}, [TWITCH, drug(SSRI), drug(BETA, "39 days ago")], "unknown", [], ["2", "3"]),
        ({}, [TWITCH, drug(BETA, "39 days ago"), drug(SSRI)], "unknown", [], ["3", "2"]),
        ({}, [TWITCH, drug(BETA, "60 days ago"), drug(SSRI, "50 days ago")], "present", ["2", "3"], []),
        # Stopped lately, or long ago.
        ({}, [TWITCH, drug(SSRI, "60 days ago", **STOPPED)], "present", ["2"], []),
        ({"stopped_within": "29 days"}, [TWITCH, drug(SSRI, "60 days ago", **STOPPED)], "unknown", [], []),
        ({"classes": ["nothing"]}, [TWITCH, drug(SSRI, "60 days ago")], "unknown", [], []),
        ({}, [TWITCH], "unknown", [], []),
        ({}, [TWITCH, drug("paracetamol 500 mg tablet", "60 days ago")], "unknown", [], []),
        ({}, [TWITCH, drug("paracetamol 500 mg tablet"), {"answers": {"med.change": "no"}}], "absent", [], []),
        ({}, [TWITCH, drug("paracetamol 500 mg tablet"), {"answers": {"med.change": "started"}}], "unknown", [], []),
    ],
)
def test_a_medicine_and_the_beginning_of_the_twitching(
    with_: dict[str, Any],
    record: Record,
    presence: str,
    cites: list[str],
    against: list[str],
    knowledge: Any,
    reading: Any,
) -> None:
    finding = judged("medicine_before_onset", with_, record, knowledge, reading)
    assert finding.presence.value == presence
    assert [place for place, _ in cited(finding.evidence)] == cites
    assert [place for place, _ in cited(finding.against)] == against


@pytest.mark.parametrize(
    ("with_", "record", "presence"),
    [
        ({}, [drug(SSRI), drug(TRAMADOL)], "present"),
        ({}, [drug(TRAMADOL), drug(SSRI)], "present"),
        ({}, [drug(SSRI)], "absent"),
        ({}, [drug(SSRI), drug(TRAMADOL, **STOPPED)], "absent"),
        ({}, [], "unknown"),
        ({}, [drug(SSRI), {"unanswered": ["medications"]}], "unknown"),
        ({"newer_within": "35 days"}, [*LONG, drug(TRAMADOL, "75 days ago")], "present"),
        ({"newer_within": "35 days"}, [*LONG, drug(TRAMADOL, "76 days ago")], "absent"),
        ({"newer_within": "35 days"}, [*LONG, drug(TRAMADOL, "40 days ago")], "present"),
        ({"newer_within": "35 days"}, [*LONG, drug(TRAMADOL, "39 days ago")], "absent"),
        ({"newer_within": "35 days"}, [*LONG, drug(TRAMADOL)], "present"),
        ({"newer_within": "35 days"}, [drug(SSRI, "400 days ago"), drug(TRAMADOL, "76 days ago")], "present"),
    ],
)  # fmt: skip
def test_two_medicines_at_the_same_time(
    with_: dict[str, Any], record: Record, presence: str, knowledge: Any, reading: Any
) -> None:
    with_ = {"pairs": [["med_lithium", "med_arb"], [[SSRI], [TRAMADOL]]], **with_}
    finding = judged("medicines_together", with_, record, knowledge, reading)
    assert finding.presence.value == presence
    places = [place for place, _ in cited(finding.evidence)]
    assert places == sorted(places) and len(places) == (2 if presence == "present" else 0)


# --- strength and examination -------------------------------------------------------------------


def grip(grade: Any, on: str, side: str = "left") -> dict[str, Any]:
    return {"power": f"{side} elbow flexion", "grade": grade, "on": on}


def fell(older: int, newer: int) -> Record:
    return [grip(older, "9 days ago"), grip(newer, "2 days ago")]


@pytest.mark.parametrize(
    ("with_", "record", "presence", "cites"),
    [
        ({}, fell(5, 4), "present", [("2", 4), ("1", 5)]),
        ({}, [grip(4, "2 days ago"), grip(5, "9 days ago")], "present", [("1", 4), ("2", 5)]),
        ({}, fell(4, 5), "unknown", []),
        ({}, [grip(5, "9 days ago"), grip(4, "2 days ago", "right")], "unknown", []),
        ({}, [grip(5, "unknown"), grip(4, "2 days ago")], "unknown", []),
        ({"by": "2 grades"}, fell(5, 4), "unknown", []),
        ({"by": "2 grades"}, fell(5, 3), "present", [("2", 3), ("1", 5)]),
        ({"apart_at_least": "7 days"}, fell(5, 4), "present", [("2", 4), ("1", 5)]),
        ({"apart_at_least": "8 days"}, fell(5, 4), "unknown", []),
        ({"apart_at_most": "7 days"}, fell(5, 4), "present", [("2", 4), ("1", 5)]),
        ({"apart_at_most": "6 days"}, fell(5, 4), "unknown", []),
        ({"newest_within": "2 days"}, fell(5, 4), "present", [("2", 4), ("1", 5)]),
        ({"newest_within": "1 day"}, fell(5, 4), "unknown", []),
        ({"from_full": True}, fell(5, 4), "present", [("2", 4), ("1", 5)]),
        ({"from_full": True}, fell(4, 3), "unknown", []),
        ({}, fell(4, 3), "present", [("2", 3), ("1", 4)]),
        ({"steady_over": "7 days"}, fell(4, 4), "absent", [("2", 4)]),
        ({"steady_over": "7 days"}, fell(3, 4), "absent", [("2", 4)]),
        ({"steady_over": "8 days"}, fell(4, 4), "unknown", []),
        ({}, fell(4, 4), "unknown", []),
        ({"steady_over": "7 days"}, [grip(5, "9 days ago"), grip(3, "5 days ago"), grip(4, "2 days ago")], "present",
         [("2", 3), ("1", 5)]),
    ],
)  # fmt: skip
def test_a_fall_of_power(
    with_: dict[str, Any], record: Record, presence: str, cites: Any, knowledge: Any, reading: Any
) -> None:
    finding = judged("power_falls", with_, record, knowledge, reading)
    assert finding.presence.value == presence
    assert cited(finding.evidence) == [(place, f"grade {grade} of 5") for place, grade in cites]
    assert [site.side for site in finding.sites] == (["left"] if presence == "present" else [])


def no(sign: str, on: str) -> dict[str, Any]:
    return {"exam": sign, "value": "no", "on": on}


def normal(bulk: int, plantars: int) -> Record:
    """Both found normal, so many days ago."""
    return [no("muscle_atrophy", f"{bulk} days ago"), no("babinski", f"{plantars} days ago")]


def sentence(on: str) -> dict[str, Any]:
    return {"exam": "physical examination", "value": "neurological examination is normal", "on": on}


WHOLE = {"whole": ["exam_sentence_normal"]}
WEAK = {"answers": {"weak": "yes"}}
PARTS = {"parts": [{"absent": "atrophy"}, {"absent": "babinski"}], "apart_at_most": "14 days"}


@pytest.mark.parametrize(
    ("with_", "record", "presence", "cites"),
    [
        ({}, [TWITCH, *normal(5, 5)], "present", ["2", "3"]),
        ({}, [TWITCH, *normal(19, 5)], "present", ["2", "3"]),
        ({}, [TWITCH, *normal(20, 5)], "unknown", []),
        ({}, [TWITCH, no("babinski", "20 days ago"), no("muscle_atrophy", "5 days ago")], "unknown", []),
        ({}, [TWITCH, no("muscle_atrophy", "5 days ago")], "unknown", []),
        ({}, [TWITCH, *wasting("left calf"), no("babinski", "5 days ago")], "unknown", []),
        ({"unless": ["atrophy"]}, [TWITCH, *wasting("left calf"), no("babinski", "5 days ago")], "absent", ["2"]),
        ({"unless": ["atrophy"]}, [TWITCH, *normal(5, 5)], "present", ["2", "3"]),
        ({}, [TWITCH, *normal(40, 40)], "present", ["2", "3"]),
        ({}, [TWITCH, *normal(41, 41)], "unknown", []),
        ({"counts_for": "20 days"}, [TWITCH, *normal(20, 20)], "present", ["2", "3"]),
        ({"counts_for": "20 days"}, [TWITCH, *normal(21, 21)], "unknown", []),
        ({"if_onset_unknown": "9 days"}, [*normal(9, 9)], "present", ["1", "2"]),
        ({"if_onset_unknown": "9 days"}, [*normal(10, 10)], "unknown", []),
        ({"counts_for": "5 days", "if_onset_unknown": "9 days"}, [*normal(6, 6)], "unknown", []),
        ({"if_weakness_reported": "9 days"}, [TWITCH, WEAK, *normal(9, 9)], "present", ["3", "4"]),
        ({"if_weakness_reported": "9 days"}, [TWITCH, WEAK, *normal(10, 10)], "unknown", []),
        ({"if_weakness_reported": "9 days"}, [TWITCH, *normal(10, 10)], "present", ["2", "3"]),
        (WHOLE, [TWITCH, sentence("5 days ago")], "present", ["2"]),
        (WHOLE, [TWITCH, sentence("41 days ago")], "unknown", []),
        ({"parts": []}, [TWITCH], "unknown", []),
    ],
)  # fmt: skip
def test_an_examination(
    with_: dict[str, Any], record: Record, presence: str, cites: list[str], knowledge: Any, reading: Any
) -> None:
    finding = judged("examination", {**PARTS, **with_}, record, knowledge, reading)
    assert (finding.presence.value, [place for place, _ in cited(finding.evidence)]) == (presence, cites)


def test_an_examination_that_is_not_complete_is_remembered(knowledge: Any, reading: Any) -> None:
    record = [TWITCH, no("muscle_atrophy", "5 days ago"), no("muscle_atrophy", "200 days ago")]
    finding = judged("examination", PARTS, record, knowledge, reading)
    assert {place for place, _ in cited(finding.against)} == {"2", "3"}


LEG = {"problem": "left leg weakness", "onset": "30 days ago"}


@pytest.mark.parametrize(
    ("weakness", "presence"),
    [
        # The form was filled in 10 days ago: what it says of later days is no beginning after it.
        ([{"answers": {"weak": "yes", "weak.since": "20 days ago"}, "on": "10 days ago"}], "present"),
        ([{"answers": {"weak": "yes", "weak.since": "2026"}, "on": "10 days ago"}], "unknown"),
        ([{"answers": {"weak": "yes", "weak.since": "2026"}, "on": "15 days ago"}], "present"),
        ([{"answers": {"weak": "yes", "weak.since": "no idea"}, "on": "10 days ago"}], "present"),
        ([{"answers": {"weak": "no", "weak.since": "5 days ago"}, "on": "today"}], "present"),
        ([{"problem": "left leg weakness", "onset": "2026", "recorded": "10 days ago"}], "unknown"),
        ([{"problem": "left leg weakness", "onset": "2026", "recorded": "16 days ago"}], "present"),
        ([{"problem": "left leg weakness", "onset": "2026"}], "unknown"),
        ([LEG, {"problem": "left arm weakness", "onset": "10 days ago"}], "unknown"),
        ([LEG, {"problem": "influenza", "onset": "10 days ago"}], "present"),
    ],
)  # fmt: skip
def test_an_examination_from_before_the_weakness_does_not_count(
    weakness: Record, presence: str, knowledge: Any, reading: Any
) -> None:
    signs = [*normal(15, 15)]
    with_ = {**PARTS, "weakness_since": "weak.since"}
    finding = judged("examination", with_, [{"twitch": "60 days ago"}, *signs, *weakness], knowledge, reading)
    assert finding.presence.value == presence


# --- studies ------------------------------------------------------------------------------------


def emg(on: str, **more: Any) -> dict[str, Any]:
    return {"report": "emg_study", "says": "normal study", "on": on, **more}


def wasted(days: int) -> dict[str, Any]:
    return {"exam": "muscle_atrophy", "value": "yes", "on": f"{days} days ago"}


LATE = {"twitch": "300 days ago"}
STUDY = {"study": ["emg_study"], "for": "365 days", "early_before": "84 days", "early_for": "180 days",
         "with_progression": "90 days", "void_by": ["atrophy"]}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "presence", "cites"),
    [
        ([LATE, emg("90 days ago"), emg("20 days ago")], "present", ["3"]),
        ([LATE, emg("20 days ago"), emg("90 days ago")], "present", ["2"]),
        ([LATE, emg("20 days ago", status="preliminary"), emg("90 days ago")], "present", ["3"]),
        ([LATE, emg("20 days ago", status="preliminary")], "absent", []),
        ([LATE, emg("20 days ago"), wasted(19)], "absent", ["2"]),
        ([LATE, emg("20 days ago"), wasted(20)], "present", ["2"]),
        ([LATE, emg("20 days ago"), wasted(25), wasted(5)], "present", ["2"]),
        ([LATE, emg("20 days ago"), no("muscle_atrophy", "5 days ago")], "present", ["2"]),
        ([{"twitch": "300 days ago"}], "absent", []),
        ([{"twitch": "300 days ago"}, {"unanswered": ["reports"]}], "unknown", []),
        ([{"twitch": "500 days ago"}, emg("2025")], "absent", ["2"]),
    ],
)  # fmt: skip
def test_the_newest_study_counts(record: Record, presence: str, cites: list[str], knowledge: Any, reading: Any) -> None:
    finding = judged("study_counts", STUDY, record, knowledge, reading)
    assert (finding.presence.value, [place for place, _ in cited(finding.evidence)]) == (presence, cites)


def test_a_study_of_another_kind_is_left_aside_by_its_name(knowledge: Any, reading: Any) -> None:
    record = [emg("20 days ago", text="EMG of the pelvic floor"), emg("90 days ago")]
    finding = judged("study_counts", {**STUDY, "not_named": ["pelvic floor", "sleep"]}, record, knowledge, reading)
    assert [place for place, _ in cited(finding.evidence)] == ["2"]


def mri(on: str) -> dict[str, Any]:
    return {"report": "mri_cspine_report", "says": "normal study", "on": on}


IMAGED = {
    "studies": ["mri_cspine_report"],
    "procedures": ["proc_mri_cspine"],
    "within": "365 days",
    "after": ["babinski"],
}
SINCE = {"exam": "babinski", "value": "yes", "on": "40 days ago"}


@pytest.mark.parametrize(
    ("with_", "record", "presence", "cites"),
    [
        ({}, [mri("365 days ago")], "present", ["1"]),
        ({}, [mri("366 days ago")], "absent", []),
        ({}, [SINCE, mri("40 days ago")], "present", ["2"]),
        ({}, [SINCE, mri("41 days ago")], "absent", []),
        ({}, [SINCE, {"exam": "babinski", "value": "yes", "on": "60 days ago"}, mri("61 days ago")], "absent", []),
        ({}, [SINCE, {"exam": "babinski", "value": "yes", "on": "60 days ago"}, mri("60 days ago")], "present", ["3"]),
        ({}, [mri("90 days ago"), mri("20 days ago")], "present", ["2"]),
        ({}, [{"procedure": "proc_mri_cspine", "on": "20 days ago"}], "present", ["1"]),
        ({}, [{"procedure": "proc_mri_cspine"}], "absent", []),
        ({}, [no("babinski", "5 days ago"), mri("20 days ago")], "present", ["2"]),
        ({}, [{"unanswered": ["reports"]}], "unknown", []),
        ({"shorter": [{"when": "babinski", "to": "30 days"}]}, [SINCE, mri("30 days ago")], "present", ["2"]),
        ({"shorter": [{"when": "babinski", "to": "30 days"}]}, [SINCE, mri("31 days ago")], "absent", []),
        ({"shorter": [{"when": "babinski", "to": "30 days"}]}, [mri("31 days ago")], "present", ["1"]),
        ({"shorter": [{"when": "babinski", "to": "900 days"}]}, [SINCE, mri("366 days ago")], "absent", []),
    ],
)  # fmt: skip
def test_a_level_that_was_imaged_after_the_sign(
    with_: dict[str, Any], record: Record, presence: str, cites: list[str], knowledge: Any, reading: Any
) -> None:
    finding = judged("imaged", {**IMAGED, **with_}, record, knowledge, reading)
    assert (finding.presence.value, [place for place, _ in cited(finding.evidence)]) == (presence, cites)


REPORT = {"report": "emg_study", "says": "Widespread active denervation.", "on": "30 days ago"}
LATER = {**REPORT, "says": "Motor neuron disease.", "on": "20 days ago"}
REFERRAL = {"order": "order_neurology_referral"}
REVIEW = {"results": ["emg_denervation_ge2", "emg_motor_disease_named"], "visits": ["spec_neurology"],
          "orders": ["order_neurology_referral"], "names": ["nerve"]}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "presence", "cites"),
    [
        ([{"visit": "spec_neurology", "on": "29 days ago"}], "present", ["2"]),
        ([{"visit": "spec_neurology", "on": "30 days ago"}], "absent", []),
        ([{"visit": "spec_neurology", "on": "29 days ago", "status": "in-progress"}], "present", ["2"]),
        ([{"visit": "spec_neurology", "on": "29 days ago", "status": "planned"}], "absent", []),
        ([{"visit": "Nerve clinic", "on": "29 days ago"}], "present", ["2"]),
        ([{"visit": "Bone clinic", "on": "29 days ago"}], "absent", []),
        ([{"order": "order_neurology_referral", "on": "30 days ago"}], "present", ["2"]),
        ([{"order": "order_neurology_referral", "on": "31 days ago"}], "absent", []),
        ([{"order": "order_neurology_referral", "on": "30 days ago", "status": "completed"}], "present", ["2"]),
        ([{"order": "order_neurology_referral", "on": "30 days ago", "status": "revoked"}], "absent", []),
        ([{"order": "potassium", "on": "30 days ago"}], "absent", []),
        ([REFERRAL, {"visit": "spec_neurology", "on": "9 days ago"}], "present", ["3", "2"]),
        ([LATER, {"visit": "spec_neurology", "on": "25 days ago"}], "absent", []),
        ([LATER, {"visit": "spec_neurology", "on": "15 days ago"}], "present", ["3"]),
        ([{"unanswered": ["orders"]}], "unknown", []),
        ([{"unanswered": ["encounters"]}], "unknown", []),
        ([], "absent", []),
    ],
)  # fmt: skip
def test_somebody_acted_on_a_report(
    record: Record, presence: str, cites: list[str], knowledge: Any, reading: Any
) -> None:
    finding = judged("reviewed_after", REVIEW, [REPORT, *record], knowledge, reading)
    assert (finding.presence.value, [place for place, _ in cited(finding.evidence)]) == (presence, cites)


@pytest.mark.parametrize(
    ("record", "presence"),
    [
        ([{"problem": "influenza", "onset": "130 days ago"}], "present"),
        ([{"problem": "influenza", "onset": "131 days ago"}], "unknown"),
        ([{"problem": "influenza", "onset": "40 days ago"}], "present"),
        ([{"problem": "influenza", "onset": "39 days ago"}], "unknown"),
        ([{"problem": "influenza", "onset": "2026-05"}], "present"),
        ([{"problem": "influenza", "onset": "2026-06"}], "unknown"),
        ([{"problem": "influenza", "onset": "2026-02"}], "present"),
        ([{"problem": "influenza"}], "unknown"),
        ([{"problem": "influenza", "onset": "60 days ago", "verification": "refuted"}], "unknown"),
        ([{"problem": "influenza vaccination", "onset": "60 days ago"}], "unknown"),
        ([{"problem": "stroke", "onset": "60 days ago"}], "present"),
    ],
)
def test_a_problem_shortly_before_the_twitching(record: Record, presence: str, knowledge: Any, reading: Any) -> None:
    with_ = {"concepts": ["stroke"], "names": ["influenza"], "not_named": ["vaccination"], "at_most_before": "90 days"}
    assert judged("problem_before_onset", with_, [TWITCH, *record], knowledge, reading).presence.value == presence


# --- several codings ----------------------------------------------------------------------------


def coded(kind: Any, number: int, *concepts: str, **more: Any) -> Any:
    codes = tuple(Match(concept, "", "snomed", concept) for concept in concepts)
    return kind(reference=f"{kind.__name__}/{number}", title="x", codes=codes, when=Span.on(TODAY), **more)


def test_of_several_codings_one_is_enough(knowledge: Any) -> None:
    value = Quantity(4.1, 4.1, "mmol/L", "4.1 mmol/L")
    twitching = coded(Problem, 1, "fasciculation", state=State.CURRENT, onset=Span.on(TODAY))
    asked: list[tuple[str, dict[str, Any], list[Any]]] = [
        ("medicines_together", {"pairs": [["med_a", "med_b"]]},
         [coded(Medicine, n, "other", c, active=True, name=c) for n, c in ((1, "med_a"), (2, "med_b"))]),
        ("problem_before_onset", {"concepts": ["stroke"], "at_most_before": "9 days"},
         [coded(Problem, 2, "other", "stroke", state=State.ENDED)]),
        ("study_counts", STUDY, [coded(Report, 1, "other", "emg_study")]),
        ("imaged", IMAGED, [coded(Procedure, 1, "other", "proc_mri_cspine")]),
        ("normal_once", {"analytes": ["K"]}, [coded(Result, 1, "other", "potassium", value=value)]),
    ]  # fmt: skip
    for function, with_, entries in asked:
        for turned in (False, True):
            moved = [structs.replace(e, codes=e.codes[::-1]) if turned else e for e in entries]
            case = Case(Chart(Patient("p"), (twitching, *moved)), TODAY, knowledge)
            assert NAMED[function]("any", with_)(case).present, function


def seen_sign(days: int) -> dict[str, Any]:
    return {"exam": "babinski", "value": "yes", "on": f"{days} days ago"}


# --- looking again ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "record", "presence"),
    [
        ({}, [wasted(30)], "present"),
        ({}, [wasted(29)], "absent"),
        ({}, [], "unknown"),
        ({}, [{"exam": "muscle_atrophy", "value": "no", "on": "30 days ago"}], "unknown"),
        ({}, [wasted(90), wasted(29)], "absent"),
        ({}, [wasted(90), wasted(30)], "present"),
        # After a further examination another interval.
        ({"then": 60}, [wasted(30)], "present"),
        ({"then": 60}, [wasted(90), wasted(59)], "absent"),
        ({"then": 60}, [wasted(90), wasted(60)], "present"),
        # It ends, or there is none.
        ({"ends_after": 300}, [wasted(30)], "present"),
        ({"ends_after": 299}, [wasted(30)], "absent"),
        ({"after": None}, [wasted(30)], "absent"),
        ({"when": compile_formula("babinski")}, [wasted(30)], "absent"),
        ({}, [wasted(30), {"visit": "spec_neurology", "on": "in 9 days", "status": "planned"}], "absent"),
    ],
)
def test_when_to_look_again(row: Any, record: Record, presence: str, knowledge: Any, reading: Any) -> None:
    every = Recheck("any", compile_formula("twitch_current"), 30, 40, "again")
    known = replace(knowledge, rechecks=(structs.replace(every, **row),))
    finding = judged("recheck_due", {"examined": ["atrophy"]}, [LATE, *record], known, reading)
    assert finding.presence.value == presence


@pytest.mark.parametrize(
    ("record", "presence"),
    [
        ([seen_sign(170), seen_sign(80)], "present"),
        ([seen_sign(171), seen_sign(80)], "unknown"),
        ([seen_sign(170), seen_sign(81)], "unknown"),
        ([seen_sign(120), seen_sign(170), seen_sign(80)], "present"),
        ([seen_sign(5)], "unknown"),
        # Looked for after the diagnosis, and not there.
        ([no("babinski", "199 days ago"), seen_sign(5)], "absent"),
        ([no("babinski", "200 days ago"), seen_sign(5)], "unknown"),
        ([no("babinski", "300 days ago"), seen_sign(5)], "unknown"),
        ([no("babinski", "6 days ago"), seen_sign(5)], "absent"),
        ([no("babinski", "5 days ago"), seen_sign(5)], "unknown"),
        ([], "unknown"),
        ([{"unanswered": ["conditions"]}], "unknown"),
    ],
)
def test_a_sign_that_an_older_diagnosis_explains(record: Record, presence: str, knowledge: Any, reading: Any) -> None:
    with_ = {"signs": ["babinski"], "diagnoses": ["stroke"]}
    stroke = {"problem": "stroke", "onset": "200 days ago"}
    assert judged("explained_by_earlier", with_, [stroke, *record], knowledge, reading).presence.value == presence
    alone = judged("explained_by_earlier", with_, record, knowledge, reading)
    assert alone.presence.value == ("unknown" if {"unanswered": ["conditions"]} in record else "absent")


# --- the weakness of an old lesion ---------------------------------------------------------------

OLD_LESION = {
    "sign": "weak_objective",
    "complaints": ["weak_reported"],
    "normal": ["power_normal"],
    "unless": ["areflexia"],
    "diagnoses": ["stroke"],
    "paresis": ["hemiparesis", "monoparesis"],
    "older_than": "180 days",
    "together": "90 days",
    "severe_below": "4 grade",
}
STROKE = {"problem": "stroke", "onset": "800 days ago"}
PARESIS = {"problem": "hemiparesis", "onset": "800 days ago"}
RIGHT = {**PARESIS, "site": "site_upper_limb_right"}
GRIP = {"power": "right hand grip", "grade": 4, "on": "3 days ago"}


@pytest.mark.parametrize(
    ("record", "presence"),
    [
        ([STROKE, RIGHT, GRIP], "present"),
        ([STROKE, {"problem": "G81.93", "onset": "800 days ago"}, GRIP], "present"),
        ([STROKE, {"problem": "G83.21", "onset": "800 days ago"}, GRIP], "absent"),  # one limb, and no place
        ([STROKE, {**RIGHT, "text": "Left hemiparesis"}, GRIP], "absent"),  # the entry contradicts itself
        ([STROKE, {**RIGHT, "verification": "provisional"}, GRIP], "absent"),
        ([STROKE, RIGHT, {**PARESIS, "onset": "100 days ago"}, GRIP], "absent"),  # a paresis that came later
        ([STROKE, RIGHT, {**RIGHT, "verification": "refuted"}, GRIP], "absent"),
        ([STROKE, RIGHT, {"exam": "hemiparesis", "value": "no", "on": "400 days ago"}, GRIP], "absent"),
        ([STROKE, {"problem": "stroke", "onset": "100 days ago"}, RIGHT, GRIP], "absent"),
        ([STROKE, RIGHT, {**GRIP, "grade": 3}], "absent"),
        ([STROKE, RIGHT, GRIP, {"exam": "hyporeflexia", "value": "yes", "on": "3 days ago"}], "absent"),
        ([STROKE, RIGHT, {"power": "right hand grip", "grade": 5, "on": "300 days ago"}, GRIP], "absent"),
        ([STROKE, RIGHT, {"power": "left hand grip", "grade": 5, "on": "300 days ago"}, GRIP], "present"),
        ([STROKE, RIGHT, {"power": "left hand grip", "grade": 4, "on": "3 days ago"}], "absent"),
        ([STROKE, RIGHT, {"problem": "M21.371", "onset": "40 days ago"}], "absent"),
        ([STROKE, RIGHT, {"problem": "weakness of right hand", "onset": "30 days ago"}, GRIP], "absent"),
        ([STROKE, RIGHT], "unknown"),  # nothing is weak now
        ([STROKE, GRIP], "unknown"),
    ],
)
def test_weakness_is_as_old_as_a_lesion_only_where_nothing_is_unsure(
    record: Record, presence: str, knowledge: Any, reading: Any
) -> None:
    found = judged("weakness_of_old_lesion", OLD_LESION, [TWITCH, *record], knowledge, reading)
    assert found.presence.value == presence
