"""Observers: what in a chart speaks for (or against) a finding, compiled from the content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cds_service import units
from cds_service.clinical.chart import (
    USUAL_ROLES,
    Allergy,
    Answer,
    Appointment,
    Device,
    Entry,
    Match,
    Medicine,
    Order,
    Problem,
    Procedure,
    Relative,
    Report,
    Result,
    Site,
    State,
    Visit,
)
from cds_service.clinical.findings import ACUTE_DAYS, Evidence, Statement
from cds_service.clinical.spans import Span, days_of
from cds_service.clinical.words import fold

if TYPE_CHECKING:
    from cds_service.clinical.findings import Case, Observer


def compile_observer(spec: Mapping[str, Any], denies: bool = False) -> Observer:
    """An observer of the content as a closure. ``denies``: it stands under ``absent_when``.

    Raises ValueError when the head is none of ``HEADS``.
    """
    heads = [head for head in HEADS if head in spec]
    if len(heads) != 1:
        raise ValueError(f"an observer starts with exactly one of: {', '.join(HEADS)}")
    return HEADS[heads[0]](spec, denies)


def _days(spec: Mapping[str, Any], key: str) -> int | None:
    return days_of(spec[key]) if key in spec else None


def code_of(text: str) -> tuple[str, str]:
    """``snomed 366575004 Babinski sign`` as system and code."""
    system, code = str(text).split()[:2]
    return system, code


def same_code(system: str, code: str, wanted: tuple[str, str]) -> bool:
    """ICD-10-CM and ATC are trees: a wanted code stands for everything below it."""
    if system != wanted[0]:
        return False
    if system in ("icd10cm", "atc"):
        return code.startswith(wanted[1].rstrip("-"))
    return code == wanted[1]


def _code_filter(spec: Mapping[str, Any]) -> tuple[frozenset[str], Callable[[Any], bool]]:
    """The roles to accept and a test on a match, from only / besides / systems / roles."""
    only = tuple(code_of(text) for text in spec.get("only", ()))
    besides = tuple(code_of(text) for text in spec.get("besides", ()))
    systems = frozenset(spec.get("systems", ()))
    extra = frozenset(spec.get("roles", ()))

    def fits(match: Any) -> bool:
        if systems and match.system not in systems:
            return False
        if only and not any(same_code(match.system, match.code, wanted) for wanted in only):
            return False
        return not any(same_code(match.system, match.code, wanted) for wanted in besides)

    # A code that the rule names itself is accepted whatever its role.
    return (USUAL_ROLES | extra) if not only else frozenset(), fits


def _accepts(roles: frozenset[str], role: str) -> bool:
    return not roles or role in roles


def _at(entry: Entry, regions: frozenset[str]) -> bool:
    if not regions:
        return True
    return any(site.region in regions or site.words in regions for site in entry.sites)


def _recent(when: Span | None, days: int | None, case: Case) -> bool:
    """Inside a window; undated entries do not satisfy a window."""
    return days is None or (when is not None and when.within(days, case.today) is not False)


def _problem(spec: Mapping[str, Any], denies: bool) -> Observer:
    concepts = frozenset(spec["problem"])
    roles, fits = _code_filter(spec)
    wanted = spec.get("state", "current")
    within, older = _days(spec, "within"), _days(spec, "older_than")
    regions, severity = frozenset(spec.get("site", ())), spec.get("severity", "")
    verified = spec.get("verified")
    diagnosis, stated = bool(spec.get("diagnosis")), bool(spec.get("onset_stated"))
    containing = tuple(fold(words) for words in spec.get("containing", ()))
    before_onset, recurs = _days(spec, "before_onset"), bool(spec.get("recurs"))

    def carried(problem: Problem) -> list[Match]:
        return [m for m in problem.codes if m.concept in concepts and _accepts(roles, m.role) and fits(m)]

    def observe(case: Case) -> Iterator[Statement]:
        for problem in case.chart.about(Problem, concepts):
            codes = carried(problem)
            if not codes or not _in_state(problem, wanted) or not _at(problem, regions):
                continue
            if diagnosis and not problem.confirmed and wanted != "refuted":
                continue
            if verified is not None and problem.verification != verified:
                continue
            if stated and problem.onset is None:
                continue
            if containing and not any(_affirms(problem.title, words, case) for words in containing):
                continue
            if before_onset is not None and _long_before_onset(problem, before_onset, case):
                continue
            if severity and severity not in problem.severity:
                continue
            if not _recent(problem.when, within, case):
                continue
            if older is not None and (problem.when is None or problem.when.within(older, case.today) is not False):
                continue
            older_one = None if recurs else _earlier(problem, concepts, carried, case)
            yield _problem_statement(problem, codes[0].code, wanted, older_one)

    return observe


def _affirms(text: str, words: str, case: Case) -> bool:
    """The text says these words and does not deny or doubt them."""
    return words in fold(text) and case.knowledge.phrase_book.affirms(text, words)


def _long_before_onset(problem: Problem, days: int, case: Case) -> bool:
    if problem.when is None or case.onset is None:
        return False
    return problem.when.last < case.onset.shifted(-days).first


def _in_state(problem: Problem, wanted: str) -> bool:
    if wanted == "ever":
        return problem.state is not State.REFUTED
    return problem.state.value == wanted


def _problem_statement(problem: Problem, code: str, wanted: str, older_one: Span | None) -> Statement:
    when = problem.recorded if wanted == "refuted" else problem.when
    return Statement(
        Evidence(problem.reference, problem.title, when, f"{code}, refuted" if wanted == "refuted" else code),
        # An older entry of the same problem that never ended: this is not its beginning.
        older_one or when,
        standing=wanted == "refuted" or (wanted in ("current", "ever") and problem.state is State.CURRENT),
        this_encounter=problem.this_encounter,
        sites=problem.sites,
    )


def _earlier(
    problem: Problem, concepts: frozenset[str], carried: Callable[[Problem], list[Match]], case: Case
) -> Span | None:
    """When an older, still current entry of the same problem began."""
    if problem.when is None:
        return None
    mine = {m.concept for m in carried(problem)}
    began = [
        other.when
        for other in case.chart.about(Problem, concepts)
        if other is not problem
        and other.state is State.CURRENT
        and other.when is not None
        and mine & {m.concept for m in carried(other)}
        and other.when.last < problem.when.first
        and other.when.within(ACUTE_DAYS, case.today) is False
    ]
    return min(began, default=None)


def _result(spec: Mapping[str, Any], denies: bool) -> Observer:
    concepts = frozenset(spec["result"])
    roles, fits = _code_filter(spec)
    says = spec.get("says", "no" if denies else "yes")
    examined, within = bool(spec.get("examined", False)), _days(spec, "within")
    regions = frozenset(spec.get("site", ()))
    containing = tuple(fold(words) for words in spec.get("containing", ()))
    values = tuple(code_of(text) for text in spec.get("is", ()))
    sudden = bool(spec.get("sudden"))

    def observe(case: Case) -> Iterator[Statement]:
        for result in case.chart.about(Result, concepts):
            codes = [m for m in result.codes if m.concept in concepts and _accepts(roles, m.role) and fits(m)]
            coded_values = [
                m for m in result.value_codes if m.concept in concepts and _accepts(roles, m.role) and fits(m)
            ]
            if not (codes or coded_values) or (examined and not result.examined):
                continue
            if values and not any(same_code(m.system, m.code, v) for m in result.value_codes for v in values):
                continue
            reading = _reading(result, bool(coded_values))
            if containing:
                said = fold(f"{result.title} {result.value_text}")
                if reading in (_OPPOSITE[says], "unsure") or not any(words in said for words in containing):
                    continue
            # A rule that names the value has said itself what it reads.
            elif not values and reading != says:
                continue
            if _at(result, regions) and _recent(result.when, within, case):
                if sudden and _known_before(result, {m.concept for m in codes + coded_values}, case):
                    continue
                yield _result_statement(result, "; onset not stated" if sudden else "")

    return observe


def _known_before(result: Result, concepts: set[str], case: Case) -> bool:
    """Whether the same sign was on record before it could be acute, and nobody found it gone in between.

    An observation has a date but no onset: its first record may be the beginning, a later one is not.
    """
    if result.when is None:
        return False
    problems = [p for p in case.chart.about(Problem, frozenset(concepts)) if p.state is State.CURRENT]
    if any(_before(p, result, case) and concepts & {m.concept for m in p.codes} for p in problems):
        return True
    earlier = [
        r
        for r in case.chart.about(Result, frozenset(concepts))
        if _before(r, result, case)
        and _recent(r.when, _KNOWN_DAYS, case)
        and concepts & {m.concept for m in r.codes + r.value_codes}
        and r.says in ("yes", "no")
    ]
    newest = max(earlier, key=lambda r: (_moment(r, case), r.says == "yes"), default=None)
    return newest is not None and newest.says == "yes"


def _before(entry: Entry, result: Result, case: Case) -> bool:
    if entry.when is None or result.when is None:
        return False
    return entry.when.last < result.when.first and entry.when.within(ACUTE_DAYS, case.today) is False


_KNOWN_DAYS = 365  # as long as a recorded symptom counts
_OPPOSITE = {"yes": "no", "no": "yes", "normal": "abnormal", "abnormal": "normal"}


def _reading(result: Result, value_is_the_concept: bool) -> str:
    if value_is_the_concept and result.says in ("", "yes"):
        return "yes"
    return result.says


def _result_statement(result: Result, remark: str = "") -> Statement:
    value = result.value.as_reported if result.value else result.value_text or result.says
    return Statement(
        Evidence.of(result, value + remark), result.when, this_encounter=result.this_encounter, sites=result.sites
    )


def _power(spec: Mapping[str, Any], denies: bool) -> Observer:
    reduced = spec["power"] == "reduced"
    within, regions = _days(spec, "within"), frozenset(spec.get("site", ()))
    muscles = tuple(fold(words) for words in spec.get("muscle", ()))

    def observe(case: Case) -> Iterator[Statement]:
        newest: dict[tuple[str, tuple[Site, ...]], Result] = {}
        for result in case.chart.all(Result):
            if result.grade is None or not _at(result, regions) or not _recent(result.when, within, case):
                continue
            if muscles and not any(words in fold(result.muscle) for words in muscles):
                continue
            key = (result.muscle, result.sites)
            if key not in newest or _later(result, newest[key]):
                newest[key] = result
        for result in newest.values():
            if result.grade is not None and (result.grade < 5) == reduced:
                yield _result_statement(result)

    return observe


def _later(one: Result, other: Result) -> bool:
    if one.when is None or other.when is None:
        return one.when is not None
    return (one.when.last, -(one.grade or 0)) > (other.when.last, -(other.grade or 0))


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "above": lambda value, limit: value > limit,
    "below": lambda value, limit: value < limit,
    "at_least": lambda value, limit: value >= limit,
    "at_most": lambda value, limit: value <= limit,
}


def _measured(spec: Mapping[str, Any], denies: bool) -> Observer:
    concepts = frozenset([spec["measured"]] if isinstance(spec["measured"], str) else spec["measured"])
    roles, fits = _code_filter(spec)
    limits = [(word, *units.split(spec[word])) for word in _COMPARISONS if word in spec]
    within, which, own_range = _days(spec, "within"), spec.get("which", "newest"), spec.get("range")
    names = tuple(fold(name) for name in spec.get("names", ()))

    def observe(case: Case) -> Iterator[Statement]:
        results = [r for r in _named(case, concepts, roles, fits, names) if r.final and _recent(r.when, within, case)]
        if which == "newest" and results:
            results = [max(results, key=lambda r: _moment(r, case))]
        hits = [r for r in results if _on_side(r, own_range) and all(_limit(r, *limit) for limit in limits)]
        if which == "every" and len(hits) < len(results):
            return
        for result in hits:
            yield _result_statement(result)

    return observe


def _moment(result: Result, case: Case) -> tuple[Any, ...]:
    """The newest of several: by day, then by time of day, then in an order that the request cannot change."""
    return (result.when.last if result.when else case.today.min, result.at, result.reference, repr(result.value))


def _named(
    case: Case, concepts: frozenset[str], roles: frozenset[str], fits: Callable[[Any], bool], names: tuple[str, ...]
) -> Iterator[Result]:
    for result in case.chart.about(Result, concepts):
        if any(m.concept in concepts and _accepts(roles, m.role) and fits(m) for m in result.codes):
            yield result
    if names:
        yield from case.chart.named(Result, names)


def _limit(result: Result, word: str, limit: float, unit: str) -> bool:
    """A bound satisfies a comparison only with the end that could break it."""
    if result.value is None:
        return False
    end = result.value.low if word in ("above", "at_least") else result.value.high
    value = units.general(end, result.value.unit, unit)
    return value is not None and _COMPARISONS[word](value, limit)


def _on_side(result: Result, side: str | None) -> bool:
    if side is None:
        return True
    if result.value is None:
        return False
    high = result.range_high is not None and result.value.low > result.range_high
    low = result.range_low is not None and result.value.high < result.range_low
    if side == "inside":
        return not (high or low) and (result.range_low is not None or result.range_high is not None)
    return high or "H" in result.flags if side == "above" else low or "L" in result.flags


def _answer(spec: Mapping[str, Any], denies: bool) -> Observer:
    item, chosen, lacks = spec["answer"], set(map(str, spec.get("is", ()))), set(map(str, spec.get("lacks", ())))
    limits = [(word, units.split(spec[word])[0]) for word in _COMPARISONS if word in spec]
    within = _days(spec, "within")

    def observe(case: Case) -> Iterator[Statement]:
        answers = [a for a in case.chart.all(Answer) if a.item == item]
        if not answers:
            return
        newest = max(answers, key=lambda a: (a.when.last if a.when else case.today.min, a.reference))
        values = set(newest.values)
        if chosen and not values & chosen:
            return
        if lacks and (not values or values & lacks):
            return
        if limits and (newest.number is None or not all(_COMPARISONS[w](newest.number, n) for w, n in limits)):
            return
        if within is not None and not any(_dated_within(value, within, case) for value in values):
            return
        sites = tuple(site for a in case.chart.all(Answer) if a.item in _PLACES_OF.get(item, ()) for site in a.sites)
        said = ", ".join(newest.values) or f"{newest.number:g}"
        evidence = Evidence(newest.reference, "reported in the history form", newest.when, f"{newest.title}: {said}")
        yield Statement(evidence, newest.when, sites=newest.sites or sites)

    return observe


# Items of the history form whose places are asked in an item of their own.
_PLACES_OF = {
    "weak": ("weak.where",),
    "weak.course": ("weak.where",),
    "exam.power": ("exam.region",),
    "exam.bulk": ("exam.region",),
}


def _dated_within(value: str, days: int, case: Case) -> bool:
    when = Span.parse(value)
    return when is not None and when.within(days, case.today) is True


def _medicine(spec: Mapping[str, Any], denies: bool) -> Observer:
    concepts = frozenset(spec["medicine"])
    stopped, long = _days(spec, "stopped_within"), _days(spec, "for_at_least")
    started = _days(spec, "started_within")
    dose = units.split(spec["daily_dose_at_least"])[0] if "daily_dose_at_least" in spec else None
    names = tuple(fold(name) for name in spec.get("names", ()))

    def wanted(case: Case) -> Iterator[Medicine]:
        if not (concepts or names):
            return iter(case.chart.all(Medicine))
        return iter(case.chart.about_or_named(Medicine, concepts, names))

    def observe(case: Case) -> Iterator[Statement]:
        for medicine in wanted(case):
            if case.knowledge.is_local(medicine):
                continue
            if not taken(medicine, stopped, case):
                continue
            if started is not None and not any(
                _recent(s, started, case) for s in (medicine.when, medicine.last_change)
            ):
                continue
            if long is not None and (medicine.when is None or (case.today - medicine.when.last).days < long):
                continue
            if dose is not None and (medicine.mg_per_day is None or medicine.mg_per_day < dose):
                continue
            yield Statement(Evidence.of(medicine, _course(medicine)), medicine.ended or medicine.when, standing=True)

    return observe


def taken(medicine: Medicine, stopped_within: int | None, case: Case) -> bool:
    """Taken now, or stopped at most so many days ago."""
    if medicine.active:
        return True
    return (
        stopped_within is not None
        and medicine.ended is not None
        and bool(medicine.ended.within(stopped_within, case.today))
    )


def _course(medicine: Medicine) -> str:
    return f"until {medicine.ended}" if medicine.ended and not medicine.active else ""


def _report(spec: Mapping[str, Any], denies: bool) -> Observer:
    concepts = frozenset(spec["report"])
    says = tuple(fold(words) for words in spec.get("says", ()))
    unless, within = tuple(fold(words) for words in spec.get("unless", ())), _days(spec, "within")
    states = frozenset(spec.get("states", ("final", "amended", "corrected", "appended")))
    affirms, unless_affirms = tuple(spec.get("affirms", ())), tuple(spec.get("unless_affirms", ()))

    def counts(report: Report, case: Case) -> bool:
        text, book = fold(report.conclusion), case.knowledge.phrase_book
        if any(words in text for words in unless) or any(book.affirms(report.conclusion, w) for w in unless_affirms):
            return False
        if not says and not affirms:
            return True
        # Words that a list denies as a whole are found by no `unless`: "no prolapse, cord compression or oedema".
        said = any(words in text and not book.denies(report.conclusion, words) for words in says)
        return said or any(book.affirms(report.conclusion, w) for w in affirms)

    def observe(case: Case) -> Iterator[Statement]:
        for report in case.chart.about(Report, concepts):
            if report.status not in states or not _recent(report.when, within, case):
                continue
            if not counts(report, case):
                continue
            yield Statement(Evidence.of(report, f"{report.status} report"), report.when, sites=report.sites)

    return observe


def _plain(kind: type[Entry], head: str, standing: bool) -> Callable[[Mapping[str, Any], bool], Observer]:
    """An observer for entries that are there or not: procedures, relatives, devices and the like."""

    def compile_plain(spec: Mapping[str, Any], denies: bool) -> Observer:
        concepts = frozenset(spec[head])
        _, fits = _code_filter(spec)
        names, within = tuple(fold(name) for name in spec.get("names", ())), _days(spec, "within")
        regions = frozenset(spec.get("site", ()))

        def observe(case: Case) -> Iterator[Statement]:
            for entry in case.chart.about_or_named(kind, concepts, names):
                coded = any(m.concept in concepts and fits(m) for m in entry.codes)
                if not coded and not any(name in fold(entry.title) for name in names):
                    continue
                if _at(entry, regions) and _recent(entry.when, within, case):
                    value = entry.relation if isinstance(entry, Relative) else ""
                    yield Statement(Evidence.of(entry, value), entry.when, standing=standing, sites=entry.sites)

        return observe

    return compile_plain


def _order(spec: Mapping[str, Any], denies: bool) -> Observer:
    concepts, within = frozenset(spec["order"]), _days(spec, "within")
    states = frozenset(spec.get("states", ("active", "on-hold")))
    names = tuple(fold(name) for name in spec.get("names", ()))

    def observe(case: Case) -> Iterator[Statement]:
        for order in case.chart.about_or_named(Order, concepts, names):
            if order.status in states and _recent(order.when, within, case):
                yield Statement(Evidence.of(order, order.status), order.when)

    return observe


_UNDER_WAY = frozenset({"in-progress", "arrived", "triaged", "onleave"})


def _visit(spec: Mapping[str, Any], denies: bool) -> Observer:
    concepts, within = frozenset(spec["visit"]), _days(spec, "within")
    names = tuple(fold(name) for name in spec.get("names", ()))
    under_way, planned = bool(spec.get("open", False)), bool(spec.get("planned", False))
    any_visit = not concepts and not names

    def observe(case: Case) -> Iterator[Statement]:
        for visit in case.chart.all(Visit) if any_visit else case.chart.about_or_named(Visit, concepts, names):
            if planned:
                if visit.status == "planned" and visit.when is not None and visit.when.first >= case.today:
                    yield Statement(Evidence.of(visit, visit.status), visit.when, standing=True)
                continue
            if visit.status not in _UNDER_WAY | {"finished"} or (under_way and visit.status not in _UNDER_WAY):
                continue
            last = visit.ended or (Span.on(case.today) if visit.status in _UNDER_WAY else visit.when)
            if _recent(last, within, case):
                yield Statement(Evidence.of(visit, visit.status), last, standing=visit.status in _UNDER_WAY)

    return observe


def _patient(spec: Mapping[str, Any], denies: bool) -> Observer:
    wanted = spec["patient"]

    def observe(case: Case) -> Iterator[Statement]:
        patient = case.chart.patient
        holds = {
            "deceased": patient.deceased,
            "interpreter": patient.interpreter,
            "male": patient.sex == "male",
            "female": patient.sex == "female",
        }[wanted]
        if holds:
            yield Statement(Evidence(f"Patient/{patient.id}", wanted), None, standing=True)

    return observe


def _silence(spec: Mapping[str, Any], denies: bool) -> Observer:
    queries = frozenset(spec["silence"])

    def observe(case: Case) -> Iterator[Statement]:
        if queries <= case.chart.complete:
            yield Statement(Evidence("", "nothing on file in " + ", ".join(sorted(queries))), None, standing=True)

    return observe


HEADS: Mapping[str, Callable[[Mapping[str, Any], bool], Observer]] = {
    "problem": _problem,
    "result": _result,
    "power": _power,
    "measured": _measured,
    "answer": _answer,
    "medicine": _medicine,
    "report": _report,
    "procedure": _plain(Procedure, "procedure", standing=False),
    "order": _order,
    "visit": _visit,
    "relative": _plain(Relative, "relative", standing=True),
    "device": _plain(Device, "device", standing=True),
    "allergy": _plain(Allergy, "allergy", standing=True),
    "appointment": _plain(Appointment, "appointment", standing=True),
    "patient": _patient,
    "silence": _silence,
}
