"""Content as closures: findings, cards, tables. The shapes were checked before."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from cds_service import units
from cds_service.clinical.analytes import Analyte, Limits, side_judge, valid_judge, value_judge
from cds_service.clinical.chart import USUAL_ROLES, Problem, Result, State
from cds_service.clinical.findings import (
    Case,
    Evidence,
    Finding,
    FindingDefinition,
    Judge,
    Observer,
    Statement,
    Window,
    renamed,
    settle,
)
from cds_service.clinical.formula import Formula, compile_formula, is_observer, named_in
from cds_service.clinical.functions import NAMED
from cds_service.clinical.gate import TWITCHING_WORDS, Gate
from cds_service.clinical.knowledge import (
    Asked,
    CardDefinition,
    CardOrder,
    CardSuggestion,
    Caution,
    DrugClass,
    Hypothesis,
    Investigation,
    NoCardRule,
    OrderItem,
    OverrideReason,
    Reason,
    Recheck,
    Reference,
    Sentence,
    Term,
)
from cds_service.clinical.observe import code_of, compile_observer
from cds_service.clinical.presence import UNKNOWN
from cds_service.clinical.spans import days_of, days_or_none
from cds_service.clinical.tokens import fold, folded, tokens
from cds_service.clinical.words import Blocking, Phrase

Spec = Mapping[str, Any]


def flag(value: Any) -> bool:
    return value is True or str(value) in ("yes", "true")


def optional(spec: Any) -> Formula | None:
    return None if spec is None else compile_formula(spec)


# --- findings -----------------------------------------------------------------------------------


def finding(spec: Spec) -> FindingDefinition:
    cause = flag(spec.get("names_a_cause"))
    return FindingDefinition(spec["id"], spec["title"], spec["kind"], _judge(spec), _own_concepts(spec), cause)


def _own_concepts(spec: Spec) -> frozenset[str]:
    items = [item for item in spec["present_when"] if isinstance(item, Mapping)]
    return frozenset(concept for item in items for head in ("problem", "result") for concept in item.get(head, ()))


def _judge(spec: Spec) -> Judge:
    name = spec["id"]
    if "when" in spec:
        formula = compile_formula(spec["when"])
        return lambda case: renamed(formula(case), name)
    if "compute" in spec:
        judge = NAMED[spec["compute"]](name, spec.get("with") or {})
        return lambda case: renamed(judge(case), name)
    return _observed(spec)


def _observed(spec: Spec) -> Judge:
    name, window = spec["id"], _window(spec)
    shows = [_item(item, denies=False) for item in spec["present_when"]]
    silent = [item for item in spec["absent_when"] if isinstance(item, Mapping) and "silence" in item]
    denies = [_item(item, denies=True) for item in spec["absent_when"] if item not in silent]
    silence = [compile_observer(item) for item in silent]
    listens = "words" in spec

    def judge(case: Case) -> Finding:
        present = [statement for observe in shows for statement in observe(case)]
        absent = [statement for observe in denies for statement in observe(case)]
        if listens:
            for statement, says in _heard(name, case):
                (present if says else absent).append(statement)
        found = settle(name, present, absent, window, case)
        if found.presence is UNKNOWN and not present:
            for observe in silence:
                for statement in observe(case):
                    return settle(name, [], [statement], window, case)
        return found

    return judge


def _window(spec: Spec) -> Window:
    before = spec.get("before_onset", "90 days" if spec["kind"] in ("symptom", "exam") else "any")
    return Window(
        present=days_or_none(spec, "present_for"),
        absent=days_of(spec.get("absent_for", "90 days")),
        acute=flag(spec.get("acute")),
        lasting=flag(spec.get("lasting")),
        before_onset=None if before == "any" else days_of(before),
        absent_after_onset=spec["kind"] == "exam" or flag(spec.get("absent_after_onset")),
    )


def _item(item: Any, denies: bool) -> Observer:
    if isinstance(item, Mapping) and "compute" in item:
        return _from_judge(NAMED[item["compute"]]("", item.get("with") or {}))
    if is_observer(item):
        return compile_observer(item, denies)
    return _from_judge(compile_formula(item))


def _from_judge(judge: Judge) -> Observer:
    """A formula among the observers: when it holds, it counts, without a window of its own."""

    def observe(case: Case) -> Iterable[Statement]:
        found = judge(case)
        if not found.present:
            return []
        evidence, newest = found.evidence or (Evidence("", "by rule"),), found.newest
        return [Statement(e, newest, standing=True, sites=found.sites) for e in evidence]

    return observe


def _heard(name: str, case: Case) -> Iterable[tuple[Statement, bool]]:
    for entry, heard in case.heard.get(name, ()):
        if heard.says is None or (isinstance(entry, Problem) and entry.state is not State.CURRENT):
            continue
        statement = Statement(
            Evidence.of(entry, f"“{heard.phrase}”" + _answer_given(entry, heard.phrase)),
            entry.when,
            standing=isinstance(entry, Problem),
            this_encounter=bool(getattr(entry, "this_encounter", False)),
            sites=entry.sites,
        )
        yield statement, heard.says


def _answer_given(entry: Any, phrase: str) -> str:
    """What was answered to the name of a result, so that a reader sees it whatever was made of it."""
    answer = entry.value_text if isinstance(entry, Result) else ""
    if not answer or set(phrase.removeprefix("no ").split()) <= set(tokens(answer)):
        return ""
    return f": {answer}" if len(answer) <= _ANSWER_LENGTH else f": {answer[:_ANSWER_LENGTH]}…"


_ANSWER_LENGTH = 80


# --- words --------------------------------------------------------------------------------------

_FORMS = {
    "fasciculat": ("fasciculation", "fasciculations", "fasciculating", "fasciculates", "fasciculate", "fasciculated"),
    "myokymi": ("myokymia", "myokymic"),
}


_STANDS_FOR = re.compile(r"<([^<>]*)>")


def phrases(
    findings: Iterable[Spec], gate: Spec, lifted: Mapping[str, Iterable[str]], stand_for: Mapping[str, list[str]]
) -> list[Phrase]:
    """Every phrase of the content; the gate's stems are phrases of their own."""
    found = []
    for spec in findings:
        words = spec.get("words")
        if not words:
            continue
        lifts = frozenset({kind for kind, names in lifted.items() if spec["id"] in names} | set(words["lifts"]))
        unless = tuple(tokens(each) for block in words["unless"] for each in in_full(block, stand_for))
        for says, listed in ((True, words["present"]), (False, words["absent"])):
            for text in (each for one in listed for each in in_full(one, stand_for)):
                said = tuple(map(intern, tokens(text)))  # a few words make thousands of phrases
                found.append(Phrase(spec["id"], said, says, flag(words["denied"]), unless, lifts))
    for stem in (*gate["stems"], *gate["moving"]):
        # The stem itself stands for any word that begins with it, see Reading.says_twitching.
        for form in (stem, *_FORMS.get(stem, (stem + ending for ending in ("es", "s", "ing", "ings", "ed", "y")))):
            found.append(Phrase(TWITCHING_WORDS, (form,), True, True, (), frozenset()))
    return found


def in_full(text: str, stand_for: Mapping[str, list[str]]) -> list[str]:
    """A phrase of the content with every word of the list that it names: "wasting of <muscle>"."""
    named = _STANDS_FOR.search(text)
    if named is None:
        return [text]
    if named[1] not in stand_for:
        raise ValueError(f"{text}: words.yaml has no list named {named[1]}")
    return [each for word in stand_for[named[1]] for each in in_full(text.replace(named[0], word), stand_for)]


def blocking(words: Spec) -> Blocking:
    def table(lists: Mapping[str, list[str]]) -> dict[tuple[str, ...], str]:
        return {tokens(text): kind for kind, listed in lists.items() for text in listed if tokens(text)}

    answers = table({"normal": words["normal"], "doubt": words["unsure"]})
    others = frozenset(fold(text) for text in (*words["before"]["family"], *words["not_blood"]) if " " not in text)
    begins, headings = table(words["answer_begins"]), table(words["headings"])
    kinds = {kind: frozenset(tokens(text) for text in listed) for kind, listed in words["answer_kinds"].items()}
    told = sorted(folded(words["told_by_side"]["signs"]))
    told_of = tuple(sign for sign in told if not any(sign.startswith(other) for other in told if other != sign))
    signs = "|".join(sorted(map(re.escape, told), key=len, reverse=True))
    by_side = re.compile(
        rf"(?<![a-z0-9])(?:(?P<side>left|right|l|r)\s+)?(?P<sign>{signs})(?![a-z0-9])(?P<rest>[^.;\n]*)", re.IGNORECASE
    )
    how = frozenset(words["told_by_side"]["how"])
    before, after = table(words["before"]), table(words["after"])
    places = frozenset(fold(text) for listed in words["regions"].values() for text in listed if " " not in text)
    return Blocking(before, after, answers, begins, others, headings, kinds, by_side, told_of, how, places)


def gate(spec: Spec) -> Gate:
    body = "|".join(re.escape(fold(word)) for word in sorted(spec["body"], key=len, reverse=True))
    moving = "|".join(re.escape(fold(stem)) for stem in spec["moving"])
    between = r"[^a-z0-9.,;:?!\n\r\v\f]+"  # blanks, dashes, brackets, quotes
    near = rf"(?:{between}[a-z0-9']+){{0,{spec['beside']}}}{between}"
    word, place = rf"\b(?:{moving})[a-z]*", rf"(?:{body})\b"
    blocked = "|".join(re.escape(fold(phrase)) for phrase in spec["blocked"])
    return Gate(
        concepts=frozenset(spec["concepts"]),
        words=folded((*spec["stems"], *spec["moving"])),
        stems=re.compile(r"\b(?:" + "|".join(re.escape(fold(stem)) for stem in spec["stems"]) + ")"),
        named=re.compile(rf"\b({'|'.join(re.escape(fold(stem)) for stem in (*spec['stems'], *spec['moving']))})[a-z]*"),
        moving=re.compile(rf"{word}{near}{place}|\b{place}{near}{word}"),
        blocked=re.compile(rf"\b(?:{blocked})\b"),
        observed_within=days_of(spec["observed_within"]),
        stale_after=days_of(spec["stale_after"]),
    )


# --- laboratory ---------------------------------------------------------------------------------


def analyte(row: Spec) -> Analyte:
    return Analyte(
        id=row["id"],
        name=row["name"],
        concepts=frozenset(row["codes"]),
        unit=row["unit"],
        conversions=_conversions(row["units"]),
        decimals=row["decimals"],
        also_shown=row.get("also_shown", ""),
        also_decimals=row.get("also_decimals", 1),
        reference=tuple(row.get("reference") or (None, None)),
        possible=tuple(row.get("possible") or (0.0, math.inf)),
        action=_limits(row.get("action")),
        critical=_limits(row.get("critical")),
        can_be_critical=flag(row["can_be_critical"]),
        low_name=row["low_name"],
        high_name=row["high_name"],
        look_back=days_of(row["look_back"]),
        shorter=tuple((compile_formula(s["when"]), days_of(s["to"])) for s in row.get("shorter", ())),
        core=flag(row.get("core")),
        danger=row["dangerous_first"],
        any_of=tuple(
            (m, None) if isinstance(m, str) else (m["analyte"], optional(m.get("unless")))
            for m in row.get("any_of", ())
        ),
        compute=row.get("compute", ""),
        numbers={key: units.split(text)[0] for key, text in row.get("with", {}).items()},
        besides=frozenset(code_of(text)[1] for text in row.get("besides", ())),
        roles=USUAL_ROLES | frozenset(row.get("roles", ())),
        by_code={code_of(code)[1]: _conversions(f) for code, f in row.get("units_by_code", {}).items()},
        never_spares=flag(row.get("never_suppresses")),
        settled_when=optional(row.get("settled_when")),
        doubtful_high_if=folded(row.get("doubtful_high_if", ())),
    )


def _conversions(factors: Mapping[str, float | Spec]) -> dict[str, units.Conversion]:
    """How to convert from each unit: by a factor, or by a factor and an offset."""
    return {
        units.ucum(unit) or unit: units.Conversion(**factor)
        if isinstance(factor, Mapping)
        else units.Conversion(float(factor))
        for unit, factor in factors.items()
    }


def _limits(spec: Spec | None) -> Limits:
    spec = spec or {}
    return Limits(
        **{
            word: float(units.split(str(spec[word]))[0])
            for word in ("below", "at_most", "above", "at_least")
            if spec.get(word) is not None
        }
    )


def analyte_findings(analytes: Iterable[Analyte]) -> dict[str, FindingDefinition]:
    """Every analyte is a value under its id and a finding ``valid_<id>``."""
    found = {}
    for row in analytes:
        if not row.any_of:
            found[row.id] = FindingDefinition(row.id, row.name, "laboratory", value_judge(row))
            for side in ("low", "high"):
                beyond = f"{side}_{row.id}"
                title = f"{side} {row.name}"
                found[beyond] = FindingDefinition(beyond, title, "laboratory", side_judge(row, side))
        name = f"valid_{row.id}"
        found[name] = FindingDefinition(name, f"{row.name} on file", "laboratory", valid_judge(row))
    return found


def drug_class(row: Spec) -> DrugClass:
    return DrugClass(
        id=row["id"],
        title=row["title"],
        concepts=frozenset(row["concepts"]) | {f"class:{row['id']}"},
        names=tuple(row["names"]),
        causal=flag(row["causal"]),
        chronic=flag(row["chronic"]),
        affects=frozenset(row["affects"]),
        source=row["why"][0]["source"],
        unless=folded(row["unless"]),
        daily_dose=units.split(row["daily_dose_at_least"])[0] if "daily_dose_at_least" in row else None,
        mg_per_unit=row["mg_per_unit"],
    )


# --- hypotheses, investigations, cards ----------------------------------------------------------


def term(spec: Any) -> Term:
    negative = isinstance(spec, Mapping) and ("absent" in spec or "not_present" in spec)
    names = tuple(sorted(named_in(spec)))
    return Term(compile_formula(spec), names, negative)


def hypothesis(row: Spec) -> Hypothesis:
    return Hypothesis(
        id=row["id"],
        name=row["name"],
        urgency=_levels(row["urgency"]),
        supports=tuple(term(t) for t in row["for"]),
        opposes=tuple(term(t) for t in row["against"]),
        needs=optional(row.get("needs")),
        excluded_when=optional(row.get("excluded_when")),
        decided_by=tuple(row["decided_by"]),
        also_named=tuple((compile_formula(n["when"]), n["name"]) for n in row["also_named"]),
    )


def _levels(spec: Any) -> tuple[tuple[Formula | None, str], ...]:
    """A word that always holds, or words that hold under a condition each."""
    return ((None, spec),) if isinstance(spec, str) else tuple((optional(s.get("when")), s["is"]) for s in spec)


def investigation(spec: Spec) -> Investigation:
    return Investigation(
        id=spec["id"],
        title=spec["title"],
        kind=spec["kind"],
        items=tuple(
            OrderItem(i["text"], i["code"], tuple(i["analytes"]), i.get("panel_when_missing"), tuple(i["written"]))
            for i in spec["orders"]
        ),
        short=spec["short"],
        pending_for=days_of(spec["pending_for"]),
        also_pending=frozenset(spec["also_pending"]),
        not_when=tuple(reason(r) for r in spec["not_when"]),
        booked=optional(spec.get("booked")),
    )


def reason(spec: Spec) -> Reason:
    return Reason(compile_formula(spec["when"]), spec["because"])


def sentence(spec: Spec) -> Sentence:
    return Sentence(spec["text"], spec.get("source", ""), optional(spec.get("when")))


def card(spec: Spec) -> CardDefinition:
    indicator = spec["indicator"]
    conditions = [spec["when"], *(i["when"] for i in indicator if isinstance(i, Mapping) and i.get("when"))]
    return CardDefinition(
        id=spec["id"],
        title=spec["title"],
        tier=spec["tier"],
        when=compile_formula(spec["when"]),
        indicator=_levels(indicator),
        summary=tuple(sentence(s) for s in spec["summary"]),
        suppressed_when=tuple(reason(r) for r in spec["suppressed_when"]),
        hypotheses=tuple(spec["hypotheses"]),
        names=tuple(spec["names"]),
        triggers=tuple(sorted(named_in(conditions))),
        found=tuple(term(t) for t in spec["found"]),
        against=tuple(term(t) for t in spec["against"]),
        asks=tuple(Asked(a["ask"], optional(a.get("when"))) for a in spec["asks"]),
        results=tuple(spec["results"]),
        reasoning=tuple(sentence(s) for s in spec["reasoning"]),
        suggestions=tuple(_suggestion(s) for s in spec["suggestions"]),
        overrides=tuple(spec["overrides"]),
        sources=tuple(spec["sources"]),
        number=int(spec["id"][2:]),
    )


def _suggestion(spec: Spec) -> CardSuggestion:
    orders = tuple(
        CardOrder(
            o["order"], o["priority"], optional(o.get("when")), tuple(reason(r) for r in o["unless"]), flag(o["repeat"])
        )
        for o in spec["orders"]
    )
    return CardSuggestion(spec["label"], orders, flag(spec["recommended"]), optional(spec.get("when")))


def caution(row: Spec) -> Caution:
    return Caution(
        row["id"], compile_formula(row["when"]), frozenset(row["about"]), row["text"], row["why"][0]["source"]
    )


def no_card_rule(row: Spec) -> NoCardRule:
    alone = row.get("applies") == "alone"
    return NoCardRule(row["id"], row["title"], compile_formula(row["when"]), frozenset(row["lets_through"]), alone)


def recheck(row: Spec) -> Recheck:
    interval = row["recheck_in"]
    after, until = (None, None) if interval == "none" else (days_of(interval["after"]), days_of(interval["until"]))
    ends, then = days_or_none(row, "ends_after"), days_or_none(row.get("then", {}), "after")
    return Recheck(row["id"], compile_formula(row["when"]), after, until, row["sentence"], ends, then)


def reference(row: Spec) -> Reference:
    return Reference(row["id"], row["title"], row["kind"], row.get("url", ""))


def override_reason(row: Spec) -> OverrideReason:
    return OverrideReason(row["id"], row["code"], row["system"], row["display"])


def set_aside_days(row: Spec) -> dict[str, int]:
    """Days by tier, as Knowledge.days_set_aside reads them."""
    return {tier: days_of(text) for tier, text in row.items()}
