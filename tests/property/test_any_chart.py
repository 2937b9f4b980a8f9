"""What holds for every chart: charts drawn from the concepts and limits of the content, judged as a whole."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, settings
from hypothesis import strategies as st

from cds_service import units
from cds_service.assess import ChartSource, assess
from cds_service.clinical.assessment import Assessment, questions
from cds_service.clinical.chart import QUERIES
from cds_service.clinical.findings import Case
from cds_service.clinical.observe import HEADS
from cds_service.clinical.presence import Presence
from cds_service.clinical.silence import silence
from cds_service.intake.prefetch import Prefetched
from cds_service.intake.sketch import PATIENT, Sketcher
from cds_service.response.cards import Issuer, Recipient, write_cards
from cds_service.response.schema import check_cards
from tests.conftest import _COMPILED, _CONTENT, TODAY

KNOWLEDGE, READING = _COMPILED
ISSUER = Issuer(b"only-for-these-tests", fixed_random=0)
SEVERITY = {"none": 0, "info": 1, "warning": 2, "critical": 3}
BENIGN = frozenset({"TW21", "TW22", "TW23", "TW27"})
Sketch = dict[str, Any]
Sketches = list[Sketch]

# PROPERTY_FACTOR=20 looks for rare charts; 1 looks at the same charts every time. A failure shows its chart
# at once; PROPERTY_SHRINK=yes makes it smaller first, which can take minutes.
_FACTOR = int(os.environ.get("PROPERTY_FACTOR", "1"))
_PHASES = (Phase.generate, Phase.shrink) if os.environ.get("PROPERTY_SHRINK") else (Phase.generate,)


def examples(count: int) -> settings:
    return settings(
        max_examples=count * _FACTOR,
        deadline=None,
        derandomize=_FACTOR == 1,
        database=None,
        phases=_PHASES,
        suppress_health_check=list(HealthCheck),
    )


# --- charts --------------------------------------------------------------------------------------


def _observers(spec: Any) -> Iterator[Mapping[str, Any]]:
    """Every observer of a content file, however deep."""
    if isinstance(spec, Mapping):
        if any(head in spec for head in HEADS):
            yield spec
        for part in spec.values():
            yield from _observers(part)
    elif isinstance(spec, list | tuple):
        for part in spec:
            yield from _observers(part)


_ALL_OBSERVERS = [
    observer
    for finding in _CONTENT.findings.values()
    for key in ("present_when", "absent_when", "when")
    for observer in _observers(finding.get(key))
]
_CODED = {row.concept for row in READING.codes.rows}  # a few concepts are known by words only


def _named(head: str) -> list[str]:
    """The concepts that observers with this head look for."""
    found = {
        str(concept)
        for o in _ALL_OBSERVERS
        if head in o
        for concept in (o[head] if isinstance(o[head], list | tuple) else [o[head]])
    }
    return sorted(concept for concept in found if concept in _CODED)


_SAID = sorted({words for o in _ALL_OBSERVERS if "report" in o for words in o.get("says", ())})
_ASKED = [(o["answer"], str(v)) for o in _ALL_OBSERVERS if "answer" in o for k in ("is", "lacks") for v in o.get(k, ())]
_CHOSEN = {item: sorted({v for asked, v in _ASKED if asked == item}) for item in sorted({item for item, _ in _ASKED})}
_LISTED = [f["words"] for f in _CONTENT.findings.values() if f.get("words")]
_WORDS = sorted({words for listed in _LISTED for says in ("present", "absent") for words in listed[says]})
_DRUGS = sorted({c for drug in KNOWLEDGE.drug_classes.values() for c in drug.concepts if c in _CODED})
_SITES = ["left calf", "right arm", "tongue", "left eyelid", "face", "both legs", "left hand", "neck", "left lower leg"]
_NEAR_LIMITS = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    13,
    14,
    15,
    27,
    28,
    29,
    30,
    31,
    42,
    83,
    84,
    89,
    90,
    91,
    179,
    180,
    181,
    364,
    365,
    366,
)
_VITALS = {
    "body_temperature": ([36.8, 38.0, 38.1, 38.5, 39.5], "Cel"),
    "heart_rate": ([38, 72, 101, 121, 131], "/min"),
    "body_weight": ([60, 55.1, 70], "kg"),
    "blood_pressure": (["118/76", "141/91", "170/112", "85/50"], None),
}


def _recorded(specs: Any, expected: str = "") -> Sketches:
    """The entries of the small records beside the rules: they lie on both sides of what a rule asks."""
    return [
        dict(sketch)
        for spec in specs
        for example in spec["examples"]
        if isinstance(example["given"], list) and expected in ("", str(example["expect"]))
        for sketch in example["given"]
        if not {"patient", "twitch", "unanswered"} & set(sketch)
    ]


_EXAMPLES = _recorded(_CONTENT.findings.values())
_TOLD = {name for card in _CONTENT.cards.values() for name in card["names"]}
_TELLING = _recorded([_CONTENT.findings[name] for name in sorted(_TOLD & set(_CONTENT.findings))], "present")


def ago(least: int = -5) -> st.SearchStrategy[str]:
    """A day between 800 days ago and five days ahead, often recent or on a limit of some window."""
    recent = st.integers(least, 6)
    days = st.one_of(recent, recent, st.integers(0, 40), st.sampled_from(_NEAR_LIMITS), st.integers(least, 800))
    return days.map(lambda n: f"{n} days ago" if n >= 0 else f"in {-n} days")


@st.composite
def _entry(draw: st.DrawFn, wanted: Mapping[str, Any], **rare: st.SearchStrategy[Any]) -> Sketch:
    """An entry with what is wanted, and now and then with what is rare."""
    sketch = {key: draw(value) for key, value in wanted.items()}
    return sketch | {key: draw(value) for key, value in rare.items() if draw(st.integers(0, 3)) == 3}


def _limits(analyte: Any) -> list[float]:
    limits = [analyte.action, analyte.critical]
    return sorted({end for limit in limits for end in (limit.below, limit.at_most, limit.above, limit.at_least) if end})


def _values(analyte: Any) -> list[float]:
    """Values on and beside every limit."""
    ends = {*_limits(analyte), *(end for end in analyte.reference if end)}
    # A step is wider than what rounding may take for the limit itself.
    beside = {round(end + sign * max(10**-analyte.decimals, end * 0.01), 4) for end in ends for sign in (-1, 1)}
    return sorted({*ends, *beside} - {0})


_MEASURED = [
    a for a in KNOWLEDGE.analytes.values() if a.concepts and units.ucum(a.unit) in a.conversions and _values(a)
]


@st.composite
def labs(draw: st.DrawFn, least: int = -5) -> Sketch:
    analyte = draw(st.sampled_from(_MEASURED))
    sketch: Sketch = {
        "lab": draw(st.sampled_from(sorted(analyte.concepts))),
        "value": draw(st.sampled_from(_values(analyte))),
        "unit": analyte.unit,
        "on": draw(ago(least)),
    }
    low, high = analyte.reference
    if low and high and draw(st.booleans()):
        sketch["range"] = [low, high]
    return sketch | draw(
        _entry(
            {},
            flag=st.sampled_from(["L", "H", "N", "LL", "HH"]),
            status=st.sampled_from(["final", "preliminary", "corrected", "entered-in-error"]),
            note=st.just("sample haemolysed"),
        )
    )


Entries = list[st.SearchStrategy[Sketch]]
Words = dict[str, st.SearchStrategy[Any]]


def entries(least: int = -5, texts: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[Sketch]:
    """Any entry of a record, but the patient and the twitching."""
    when, words = ago(least), {} if texts is None else {"text": texts}
    return st.one_of(
        st.sampled_from(_TELLING), st.sampled_from(_TELLING), st.sampled_from(_EXAMPLES), *_told(when, words),
        labs(least), labs(least), *_measured(when), *_reported(when, words), *_done(when, words),
    )  # fmt: skip


def _told(when: st.SearchStrategy[str], words: Words) -> Entries:
    """Problems, examinations and symptoms."""
    site = st.sampled_from(_SITES)
    problem = _entry(
        {"problem": st.sampled_from(_named("problem")), "onset": when, **words},
        recorded=when, abated=when, site=site,
        status=st.sampled_from(["resolved", "inactive", "none"]),
        verification=st.sampled_from(["refuted", "provisional", "unconfirmed", "none"]),
        severity=st.sampled_from(["mild", "severe"]),
    )  # fmt: skip
    said = _entry({"problem": st.sampled_from(_WORDS), "onset": when}, status=st.just("resolved"))
    yes_no = st.sampled_from(["yes", "yes", "no", "normal", "abnormal", "unknown", *_SAID[:3]])
    seen = {"value": yes_no, "on": when, **words}
    exam = _entry({"exam": st.sampled_from(_named("result")), **seen}, site=site, status=st.just("preliminary"))
    symptom = _entry({"symptom": st.sampled_from(_named("result")), **seen}, site=site)
    sentence = _entry(
        {"exam": st.just("neurological examination"), "value": st.lists(st.sampled_from(_WORDS), min_size=1, max_size=3)
            .map(", ".join), "on": when}
    )  # fmt: skip
    return [problem, said, exam, exam, symptom, sentence]


def _measured(when: st.SearchStrategy[str]) -> Entries:
    vital = st.sampled_from(sorted(_VITALS)).flatmap(
        lambda name: _entry({"vital": st.just(name), "value": st.sampled_from(_VITALS[name][0]), "on": when,
                             "unit": st.just(_VITALS[name][1])})
    )  # fmt: skip
    power = _entry(
        {"power": st.sampled_from(["right thumb abduction", "left knee extension", "all groups, both sides"]),
         "grade": st.sampled_from([5, 4, 3, "5/5", "4+", "4-/5", "5/5 throughout"]), "on": when}
    )  # fmt: skip
    return [vital, power]


def _reported(when: st.SearchStrategy[str], words: Words) -> Entries:
    medicine = _entry(
        {"medicine": st.sampled_from(_DRUGS), **words},
        since=ago(0), until=when, status=st.sampled_from(["stopped", "completed"]),
        dose=st.sampled_from(["25 mg", "50 mg", "200 mg"]),
    )  # fmt: skip
    report = _entry(
        {"report": st.sampled_from(_named("report")), "says": st.sampled_from(_SAID), "on": when, **words},
        status=st.sampled_from(["final", "preliminary", "registered"]),
    )  # fmt: skip
    answers = st.sampled_from(list(_CHOSEN)).flatmap(
        lambda item: _entry(
            {"answers": st.lists(st.sampled_from(_CHOSEN[item]), min_size=1, max_size=2, unique=True)
                .map(lambda values: {item: values}), "on": when}, by=st.just("patient"))
    )  # fmt: skip
    return [medicine, report, answers]


def _done(when: st.SearchStrategy[str], words: Words) -> Entries:
    return [
        _entry({"procedure": st.sampled_from(_named("procedure")), "on": when, **words}),
        _entry({"order": st.sampled_from(_named("order")), "on": when, **words}, status=st.sampled_from(
            ["active", "draft", "on-hold", "completed", "revoked"])),
        _entry({"visit": st.sampled_from(_named("visit")), "on": when, **words}, status=st.sampled_from(
            ["finished", "planned", "in-progress"])),
        _entry({"relative": st.sampled_from(_named("relative")), **words}),
        _entry({"device": st.sampled_from(_named("device")), **words}),
    ]  # fmt: skip


@st.composite
def charts(draw: st.DrawFn, least: int = -5, fewest: int = 0, most: int = 9, living: bool = False) -> Sketches:
    """A patient whose twitching is charted, and some more entries."""
    patient: Sketch = {
        "age": draw(st.sampled_from([50, 50, 31, 66, 39, 40, 18, 17, 13, 9, 2, "unknown"])),
        "sex": draw(st.sampled_from(["female", "male", "unknown"])),
    }
    if not living and draw(st.integers(0, 19)) == 0:
        patient["deceased"] = "yes"
    twitch: Sketch = draw(_entry({"twitch": ago(0), "site": st.sampled_from(_SITES)}, recorded=ago(0)))
    if draw(st.integers(0, 4)) == 0:
        twitch = {"problem": "R25.3", "recorded": draw(ago(0))}  # charted, but since when is not said
    size = draw(st.integers(fewest, most))
    return [{"patient": patient}, twitch, *draw(st.lists(entries(least), min_size=size, max_size=size))]


def found_in(sketches: Sketches, today: date = TODAY) -> Prefetched:
    note(repr(sketches))
    return Sketcher(READING.codes, today).record(sketches)


def judged(found: Prefetched, today: date = TODAY) -> tuple[Assessment, list[dict[str, Any]]]:
    assessment = assess(ChartSource(found, PATIENT), KNOWLEDGE, READING, today).assessment
    return assessment, write_cards(assessment, Recipient(PATIENT), ISSUER, READING.codes)


def presences(assessment: Assessment) -> dict[str, Presence]:
    return {name: finding.presence for name, finding in assessment.findings.items()}


def ladder(assessment: Assessment) -> list[tuple[str, Presence, str, str]]:
    return [(rung.card.id, rung.trigger, rung.indicator, rung.outcome) for rung in assessment.ladder]


def worst(assessment: Assessment) -> int:
    return max((SEVERITY[card.indicator] for card in assessment.cards), default=0)


# --- the cards -----------------------------------------------------------------------------------


# Entries that only their names tell apart, so that something must decide which of them comes first.
_ALIKE: Sketches = [
    {"medicine": "med_beta_agonist", "since": "60 days ago"},
    {"medicine": "med_theophylline", "since": "60 days ago"},
    {"medicine": "med_lithium", "since": "60 days ago"},
    {"lab": "potassium", "value": 3.2, "unit": "mmol/L", "on": "2 days ago"},
    {"lab": "potassium", "value": 3.3, "unit": "mmol/L", "on": "2 days ago"},
    {"report": "emg_study", "says": "normal study", "on": "5 days ago"},
    {"report": "emg_study", "says": "myopathic", "on": "5 days ago"},
]


@examples(37)
@given(charts(fewest=4, most=12), st.randoms(use_true_random=False))
def test_the_order_of_resources_does_not_matter(sketches: Sketches, shuffle: Any) -> None:
    found = found_in([*sketches, *_ALIKE])
    kinds = list(found.resources)
    shuffle.shuffle(kinds)
    moved = replace(found, resources={kind: list(found.resources[kind]) for kind in kinds})
    for resources in moved.resources.values():
        shuffle.shuffle(resources)
    (one, cards), (other, others) = judged(found), judged(moved)
    assert one.findings == other.findings
    assert ladder(one) == ladder(other)
    assert one.differential == other.differential
    assert cards == others


@examples(68)
@given(charts())
def test_the_cards_keep_their_promises(sketches: Sketches) -> None:
    assessment, cards = judged(found_in(sketches))
    check_cards(cards)
    assert len(cards) <= 3
    assert all(0 < len(card["summary"]) < 140 for card in cards)
    assert all(SEVERITY[cards[0]["indicator"]] >= SEVERITY[card["indicator"]] for card in cards)
    shown = [definition for card in assessment.cards for definition in card.cards]
    ids = [definition.id for definition in shown]
    assert len(ids) == len(set(ids))
    assert "TW24" not in ids[:-1]
    if any(definition.tier in ("T0", "T1", "T2", "T3") for definition in shown):
        assert not BENIGN & set(ids)
    if assessment.case["hard_sign"].present and not _emergency_is_answered(assessment):
        assert cards[0]["indicator"] == "critical"


def _emergency_is_answered(assessment: Assessment) -> bool:
    """Nothing is offered after death or in hospice care; TW01 is silent during an emergency visit."""
    case = assessment.case
    answered = ("deceased", "hospice", "emergency_encounter_in_progress")
    return any(case[name].present for name in answered) or not case["twitch_current"].present


HARD_SIGNS: Sketches = [
    {"symptom": "seizure", "value": "yes", "on": "today"},
    {"problem": "snomed 3006004", "onset": "today"},
    {"problem": "paralysis", "onset": "yesterday"},
    {"symptom": "aphasia", "value": "yes", "on": "today"},
    {"symptom": "altered_mental_status", "value": "yes", "on": "today"},
    {"answers": {"sx.sudden": ["consciousness"]}, "on": "today"},
    {"problem": "suddenly cannot speak", "onset": "today"},
]
RED_FLAGS: Sketches = [
    *HARD_SIGNS[:6],
    {"exam": "muscle_atrophy", "value": "yes", "on": "3 days ago", "site": "left hand"},
    {"exam": "tongue_fasciculation", "value": "yes", "on": "3 days ago"},
    {"exam": "babinski", "value": "yes", "on": "today"},
    {"exam": "muscle_weakness_limb", "value": "yes", "on": "today", "site": "right arm"},
    {"power": "left ankle dorsiflexion", "grade": 3, "on": "today"},
    {"symptom": "dysphagia", "value": "yes", "on": "5 days ago"},
    {"lab": "potassium", "value": 2.3, "unit": "mmol/L", "on": "today"},
    {"lab": "potassium", "value": 6.8, "unit": "mmol/L", "on": "today"},
    {"lab": "sodium", "value": 115, "unit": "mmol/L", "on": "today"},
    {"lab": "calcium_ionized", "value": 0.8, "unit": "mmol/L", "on": "today"},
    {"lab": "creatine_kinase", "value": 8000, "unit": "U/L", "on": "today"},
    {"answers": {"sx": ["saddle"]}, "on": "today"},
]


@examples(31)
@given(charts(least=0, living=True), st.sampled_from(HARD_SIGNS[:6]))
def test_a_hard_emergency_sign_makes_the_first_card_critical(sketches: Sketches, sign: Sketch) -> None:
    assessment, cards = judged(found_in([*sketches, sign]))
    assume(not _emergency_is_answered(assessment))
    assert assessment.case["hard_sign"].present
    assert cards[0]["indicator"] == "critical"


@examples(41)
@given(charts(least=0), st.sampled_from(RED_FLAGS))
def test_a_further_red_flag_never_lowers_the_worst_indicator(sketches: Sketches, flag: Sketch) -> None:
    before, _ = judged(found_in(sketches))
    after, _ = judged(found_in([*sketches, flag]))
    assert worst(after) >= worst(before)


# --- unknown and absent --------------------------------------------------------------------------

# Composite findings and named functions take their verdict from others; an observed one has evidence of its own.
_OBSERVED = frozenset(name for name, spec in _CONTENT.findings.items() if not {"when", "compute"} & set(spec))


def _on_file(found: Prefetched) -> set[str]:
    return {f"{raw['resourceType']}/{raw['id']}" for kind in found.resources.values() for raw in kind}


@examples(41)
@given(charts())
def test_every_verdict_of_an_observed_finding_names_evidence_on_file(sketches: Sketches) -> None:
    found = found_in(sketches)
    assessment, _ = judged(found)
    on_file = _on_file(found)
    for name, finding in assessment.findings.items():
        if name in _OBSERVED and finding.presence is not Presence.UNKNOWN:
            assert finding.evidence, f"{name} is {finding.presence.value} without evidence"
        if name in _OBSERVED and finding.present:
            assert all(e.reference in on_file or e.title == "by rule" for e in finding.evidence), name
        assert all(not e.reference or e.reference in on_file for e in finding.evidence), name


_QUERIES = sorted(set(QUERIES) - {"patient", "conditions"})


@examples(31)
@given(charts(), st.sets(st.sampled_from(_QUERIES), min_size=1, max_size=6))
def test_an_unanswered_query_never_makes_a_finding_absent(sketches: Sketches, silent: set[str]) -> None:
    answered, _ = judged(found_in(sketches))
    unanswered, _ = judged(found_in([*sketches, {"unanswered": sorted(silent)}]))
    assume(unanswered.cards or answered.cards)
    made = [
        name
        for name, finding in unanswered.findings.items()
        if finding.presence is Presence.ABSENT and answered.findings[name].presence is not Presence.ABSENT
    ]
    assert not made


@examples(37)
@given(charts(), st.booleans(), st.data())
def test_taking_resources_away_never_turns_what_is_unknown_into_absence(
    sketches: Sketches, answered: bool, data: st.DataObject
) -> None:
    # Fewer resources may reveal an older denial that a newer statement had overruled, may leave the twitching
    # without its onset (an examination then counts by its age alone), or may leave an answered query empty, whose
    # silence some findings read. What never happens is absence that nothing still on file states.
    fewer = [s for s in sketches if {"patient", "twitch"} & set(s) or data.draw(st.booleans(), label="kept")]
    before, _ = judged(found_in(sketches))
    found = found_in(fewer if answered else [*fewer, {"unanswered": _QUERIES}])
    after, _ = judged(found)
    remaining, silence = _on_file(found), {"nothing on file in " + q for q in _heard_silent(found)}
    for name, finding in after.findings.items():
        newly = finding.presence is Presence.ABSENT and before.findings[name].presence is not Presence.ABSENT
        if name in _OBSERVED and newly:
            assert any(
                e.reference in remaining or e.title in silence or e.title == "by rule" for e in finding.evidence
            ), name


def _heard_silent(found: Prefetched) -> set[str]:
    """What may be read from silence: sets of queries that were answered in full."""
    asked = {", ".join(sorted(o["silence"])) for o in _ALL_OBSERVERS if "silence" in o}
    return {queries for queries in asked if set(queries.split(", ")) <= found.complete}


# --- units, words and the clock ------------------------------------------------------------------


def _in_other_units(sketch: Sketch, unit: str) -> Sketch:
    """The same laboratory value, and its range, in another unit of the analyte."""
    analyte = next(a for a in _MEASURED if sketch["lab"] in a.concepts)
    to_base, from_other = analyte.conversions[units.ucum(sketch["unit"]) or ""], analyte.conversions[unit]

    def other(value: float) -> float:
        return (to_base.apply(value) - from_other.offset) / from_other.factor

    changed = {**sketch, "unit": unit, "value": other(sketch["value"])}
    return changed | ({"range": [other(end) for end in sketch["range"]]} if "range" in sketch else {})


_CONVERTIBLE = [a for a in _MEASURED if len(a.conversions) > 1 and not a.by_code]


@st.composite
def measured_twice(draw: st.DrawFn) -> tuple[Sketches, Sketches]:
    """Recent values, most of them on a limit, and the same values in other units."""
    one: Sketches = []
    other: Sketches = []
    for analyte in draw(st.lists(st.sampled_from(_CONVERTIBLE), min_size=2, max_size=5, unique_by=lambda a: a.id)):
        value = draw(st.sampled_from([*_limits(analyte), *_limits(analyte), *_values(analyte)]))
        one.append({"lab": min(analyte.concepts), "value": value, "unit": analyte.unit, "on": draw(_RECENTLY)})
        if analyte.reference[0] and analyte.reference[1] and draw(st.booleans()):
            one[-1]["range"] = list(analyte.reference)
        elsewhere = sorted(set(analyte.conversions) - {units.ucum(analyte.unit)})
        other.append(_in_other_units(one[-1], draw(st.sampled_from(elsewhere))))
    celsius, when = draw(st.sampled_from([38.0, 38.0, 38.5, 38.1, 36.8])), draw(_RECENTLY)
    one.append({"vital": "body_temperature", "value": celsius, "unit": "Cel", "on": when})
    fahrenheit = round(celsius * 9 / 5 + 32, 6)
    other.append({"vital": "body_temperature", "value": fahrenheit, "unit": "[degF]", "on": when})
    return one, other


_RECENTLY = st.sampled_from(["today", "yesterday", "3 days ago"])


@examples(34)
@given(charts(most=4), measured_twice())
def test_unit_conversion_changes_nothing(sketches: Sketches, values: tuple[Sketches, Sketches]) -> None:
    one, cards = judged(found_in([*sketches, *values[0]]))
    other, others = judged(found_in([*sketches, *values[1]]))
    assert presences(one) == presences(other)
    assert ladder(one) == ladder(other)
    for card, converted in zip(cards, others, strict=True):
        assert card["summary"] == converted["summary"]
        assert _labels(card) == _labels(converted)


def _labels(card: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(s["label"], [a["description"] for a in s["actions"]]) for s in card.get("suggestions", ())]


_NASTY = (
    "<script>alert(1)</script>", "[x](javascript:alert(1))", "`` `rm -rf` ``", "# heading\n## heading\n- item",
    "![x](http://evil.example/a.png)", "</p><img src=x onerror=alert(1)>", "**bold** _it_ ~~gone~~", "| a | b |",
    "http://evil.example www.evil.example a@evil.example", "&lt;b&gt; &#60;script&#62;", "\u202ereversed\u0000\u0007",
    "long " * 100, "x" * 500, "<!-- hidden", "\\](javascript:1)", "{drug} {results}", "ﬁ ½ Ⅷ 筋肉 💥",
)  # fmt: skip

# Charts of which a summary names a disease or a medicine in the record's own words.
_NAMED_IN_SUMMARIES: list[Sketches] = [
    [{"problem": "G12.21", "text": "ALS"}],
    [{"problem": "G12.21", "text": "ALS"}, {"exam": "muscle_weakness_limb", "value": "yes", "on": "today"}],
    [{"medicine": "med_beta_agonist", "text": "salbutamol", "since": "50 days ago"}],
]  # fmt: skip


@examples(48)
@given(
    charts(),
    st.lists(entries(texts=st.sampled_from(_NASTY)), max_size=6),
    st.sampled_from(_NASTY),
    st.sampled_from([[], *_NAMED_IN_SUMMARIES]),
)
def test_no_markup_of_the_record_reaches_a_card(sketches: Sketches, more: Sketches, name: str, named: Sketches) -> None:
    twitch = {**sketches[1], "text": f"muscle twitching {name}", "note": name}
    medicine = {"medicine": "med_beta_agonist", "text": f"{name} salbutamol {name}", "since": "50 days ago"}
    told = [sketch | {"text": f"{sketch['text']} {name}"} if "text" in sketch else sketch for sketch in named]
    _, cards = judged(found_in([sketches[0], twitch, *sketches[2:], *more, medicine, *told]))
    for card in cards:
        detail = card["detail"]
        assert not re.search(r"<\s*[a-zA-Z!/]", detail), "HTML"
        assert not re.search(r"(?<!\\)(?:\\\\)*\]\((?!https?://)", detail), "a link that is not ours"
        assert "evil.example" not in detail, "an address that becomes a link"
        assert not re.search(r"(?<!\\)(?:\\\\)*`", detail), "code"
        assert not re.search(r"(?m)^\s*#", detail), "a heading"
        assert not re.search(r"[^\W\d_]{130}", detail), "not cut"
        assert all(ch.isprintable() or ch == "\n" for ch in detail), "a control character"
        assert len(card["summary"]) < 140
        assert all(ch.isprintable() for ch in card["summary"])
        assert not re.search(r"[<>\[\]`*_\\]|//|evil\.example", card["summary"].replace("<5", "")), card["summary"]


@pytest.mark.parametrize("name", _NASTY)
@pytest.mark.parametrize("named", _NAMED_IN_SUMMARIES)
def test_no_markup_of_a_named_disease_or_medicine_reaches_a_summary(named: Sketches, name: str) -> None:
    told = [sketch | {"text": f"{sketch['text']} {name}"} if "text" in sketch else sketch for sketch in named]
    _, cards = judged(
        Sketcher(READING.codes, TODAY).record([{"patient": {"age": 50}}, {"twitch": "20 days ago"}, *told])
    )
    summaries = " ".join(card["summary"] for card in cards)
    assert any(sketch.get("text", "") and sketch["text"] in summaries for sketch in named), summaries
    assert summaries.isprintable() and not re.search(r"[<>\[\]`*_\\]|//|evil\.example", summaries), summaries


@examples(20)
@given(charts())
def test_the_same_chart_twice_gives_the_same_answer(sketches: Sketches) -> None:
    found = found_in(sketches)
    untouched = copy.deepcopy(found.resources)
    (one, cards), (other, others) = judged(found), judged(found)
    assert one.findings == other.findings
    assert cards == others
    assert found.resources == untouched, "reading must not write"


@examples(60)
@given(charts(), st.sets(st.sampled_from(_QUERIES), max_size=6))
def test_what_is_not_asked_again_would_have_been_answered_the_same(sketches: Sketches, silent: set[str]) -> None:
    _asked_again(found_in([*sketches, {"unanswered": sorted(silent)}]))


def test_an_onset_and_a_name_are_reasons_to_ask_again() -> None:
    infection = {"problem": "influenza", "onset": "130 days ago", "status": "resolved"}
    for entry in (infection, {"procedure": "radiation therapy of the neck", "on": "40 days ago"}):
        _asked_again(
            Sketcher(READING.codes, TODAY).record([{"patient": {"age": 50}}, {"twitch": "40 days ago"}, entry])
        )


def test_little_is_asked_of_a_chart_that_says_little() -> None:
    sketches: Sketches = [{"patient": {"age": 50}}, {"twitch": "40 days ago", "site": "left calf"}]
    chart = judged(Sketcher(READING.codes, TODAY).record(sketches))[0].case.chart
    case, asked = Case(chart, TODAY, KNOWLEDGE).listen(silence(KNOWLEDGE, questions)), []
    for name, definition in KNOWLEDGE.findings.items():
        case.answer(name, lambda case, judge=definition.judge: asked.append(judge) or judge(case))  # type: ignore[misc]
    assert 0 < len(asked) < len(KNOWLEDGE.findings) / 4


def test_what_one_question_has_worked_out_is_noted_for_the_next() -> None:
    def inner(case: Case) -> int:
        return len(case.medicines)

    def outer(case: Case) -> int:
        return case.answer("inner", inner) + len(case.medicines)

    memo = silence.__wrapped__(KNOWLEDGE, lambda _: {"outer": outer})
    taken: Sketches = [
        {"patient": {"age": 50}},
        {"twitch": "40 days ago"},
        {"medicine": "med_thiazide", "since": "60 days ago"},
    ]
    case = judged(Sketcher(READING.codes, TODAY).record(taken))[0].case
    assert not memo.over(case)[memo.places["outer"]]


def _asked_again(found: Prefetched) -> None:
    assessment, _ = judged(found)
    case = assessment.case
    asked_everything = Case(case.chart, case.today, case.knowledge)
    assert case.judge_all() == asked_everything.judge_all()
    for name, ask in questions(KNOWLEDGE).items():
        assert case.answer(name, ask) == ask(asked_everything), name


# After 28 years the calendar repeats itself: the same days apart, the same leap days, the same weekdays.
_LATER = TODAY.replace(year=TODAY.year + 28)
_DAY = re.compile(r"\d{4}\\?-\d\d\\?-\d\d")


def _undated(text: str) -> str:
    return _DAY.sub(lambda day: str((date.fromisoformat(day[0].replace("\\", "")) - TODAY).days % 10227), text)


@examples(20)
@given(charts())
def test_today_is_the_only_clock(sketches: Sketches) -> None:
    assert timedelta(days=10227) == _LATER - TODAY
    one, cards = judged(found_in(sketches))
    other, others = judged(found_in(sketches, _LATER), _LATER)
    assert presences(one) == presences(other)
    assert ladder(one) == ladder(other)
    for card, later in zip(cards, others, strict=True):
        assert _undated(card["summary"]) == _undated(later["summary"])
        assert _undated(card["detail"]) == _undated(later["detail"])
