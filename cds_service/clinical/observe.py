"""Observers: what in a chart speaks for (or against) a finding, compiled from the content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from cds_service import units
from cds_service.clinical.chart import (
    CRITICAL_FLAGS,
    TREES,
    USUAL_ROLES,
    Allergy,
    Answer,
    Appointment,
    Device,
    Entry,
    EntryKind,
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
from cds_service.clinical.durations import told_days
from cds_service.clinical.findings import ACUTE_DAYS, Case, Evidence, Observer, Statement
from cds_service.clinical.spans import Span, days_or_none
from cds_service.clinical.tokens import fold, folded

Spec = Mapping[str, Any]


def compile_observer(spec: Spec, denies: bool = False) -> Observer:
    """An observer of the content as a closure. ``denies``: it stands under ``absent_when``.

    Raises ValueError when the head is none of ``HEADS``.
    """
    heads = [head for head in HEADS if head in spec]
    if len(heads) != 1:
        raise ValueError(f"an observer starts with exactly one of: {', '.join(HEADS)}")
    if denies and "result" in spec:
        spec = {"says": "no", **spec}
    return HEADS[heads[0]](spec)


def code_of(text: str) -> tuple[str, str]:
    """``snomed 366575004 Babinski sign`` as system and code."""
    system, code = str(text).split()[:2]
    return system, code


def _is_one_of(match: Match, wanted: Iterable[tuple[str, str]]) -> bool:
    """In a tree, a wanted code stands for everything below it."""
    return any(
        match.system == system and (match.code.startswith(code.rstrip("-")) if system in TREES else match.code == code)
        for system, code in wanted
    )


def _carrier(spec: Spec, concepts: frozenset[str], any_role: bool = False) -> Callable[[Iterable[Match]], list[Match]]:
    """Picks the codes of these concepts that ``only``, ``besides``, ``systems`` and ``roles`` of a rule let through."""
    only, besides = ([code_of(text) for text in spec.get(key, ())] for key in ("only", "besides"))
    systems = frozenset(spec.get("systems", ()))
    # A code that the rule names itself is accepted whatever its role.
    roles = None if only or any_role else USUAL_ROLES | frozenset(spec.get("roles", ()))

    def carried(codes: Iterable[Match]) -> list[Match]:
        return [
            match
            for match in codes
            if match.concept in concepts
            and (roles is None or match.role in roles)
            and not (systems and match.system not in systems)
            and not (only and not _is_one_of(match, only))
            and not (besides and _is_one_of(match, besides))
        ]

    return carried


def _at(entry: Entry, regions: frozenset[str]) -> bool:
    return not regions or any(site.region in regions or site.words in regions for site in entry.sites)


def _recent(when: Span | None, days: int | None, case: Case) -> bool:
    """Inside a window; undated entries do not satisfy a window."""
    return days is None or (when is not None and when.within(days, case.today) is not False)


def _problem(spec: Spec) -> Observer:
    concepts = frozenset(spec["problem"])
    carried = _carrier(spec, concepts)
    wanted, verified = spec.get("state", "current"), spec.get("verified")
    within, older = days_or_none(spec, "within"), days_or_none(spec, "older_than")
    regions, severity = frozenset(spec.get("site", ())), spec.get("severity", "")
    diagnosis, stated = bool(spec.get("diagnosis")), bool(spec.get("onset_stated"))
    containing, unless = folded(spec.get("containing", ())), folded(spec.get("unless", ()))
    before_onset, recurs = days_or_none(spec, "before_onset"), bool(spec.get("recurs"))
    names, told = folded(spec.get("names", ())), bool(spec.get("onset_told"))

    def observe(case: Case) -> Iterator[Statement]:
        chart = case.chart
        for problem in chart.about_or_named(Problem, concepts, names) if names else chart.about(Problem, concepts):
            codes = carried(problem.codes)
            if not codes and not any(_affirms(problem.title, words, case) for words in names):
                continue
            if not _in_state(problem, wanted) or not _at(problem, regions):
                continue
            if diagnosis and not problem.confirmed and wanted != "refuted":
                continue
            if verified is not None and problem.verification != verified:
                continue
            if stated and problem.onset is None:
                continue
            if containing and not any(_affirms(problem.title, words, case) for words in containing):
                continue
            if unless and any(words in fold(problem.title) for words in unless):
                continue
            if before_onset is not None and _long_before_onset(problem, before_onset, case):
                continue
            if severity not in problem.severity or not _recent(problem.when, within, case):
                continue
            if older is not None and (problem.when is None or problem.when.within(older, case.today) is not False):
                continue
            older_one = None if recurs else _earlier(problem, concepts, carried, case)
            if told and older_one is None:
                older_one = _told_onset(problem)
            yield _problem_statement(problem, codes[0].code if codes else "", wanted, older_one)

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
    refuted = wanted == "refuted"
    when = problem.recorded if refuted else problem.when
    return Statement(
        Evidence(problem.reference, problem.title, when, f"{code}, refuted" if refuted else code),
        # An older entry of the same problem that never ended: this is not its beginning.
        older_one or when,
        standing=refuted or (wanted in ("current", "ever") and problem.state is State.CURRENT),
        this_encounter=problem.this_encounter,
        sites=problem.sites,
    )


def _earlier(
    problem: Problem, concepts: frozenset[str], carried: Callable[[Iterable[Match]], list[Match]], case: Case
) -> Span | None:
    """When an older, still current entry of the same problem began."""
    mine = {m.concept for m in carried(problem.codes)}
    began = [
        other.when
        for other in case.chart.about(Problem, concepts)
        if other is not problem
        and other.state is State.CURRENT
        and other.when is not None
        and _before(other, problem, case)
        and mine & {m.concept for m in carried(other.codes)}
    ]
    return min(began, default=None)


def _told_onset(problem: Problem) -> Span | None:
    """When it began by its own words, where nobody stated an onset."""
    days = told_days(problem.title) if problem.onset is None else None
    return problem.when.shifted(-days) if problem.when is not None and days is not None else None


def _result(spec: Spec) -> Observer:
    concepts = frozenset(spec["result"])
    carried = _carrier(spec, concepts)
    says, containing = spec.get("says", "yes"), folded(spec.get("containing", ()))
    examined, within = bool(spec.get("examined")), days_or_none(spec, "within")
    regions, sudden, again = frozenset(spec.get("site", ())), bool(spec.get("sudden")), bool(spec.get("again"))
    values = [code_of(text) for text in spec.get("is", ())]

    def observe(case: Case) -> Iterator[Statement]:
        for result in case.chart.about(Result, concepts):
            coded_values = carried(result.value_codes)
            codes = carried(result.codes) + coded_values
            if not codes or (examined and not result.examined):
                continue
            if values and not any(_is_one_of(match, values) for match in result.value_codes):
                continue
            reading = result.says or ("yes" if coded_values else "")
            if containing:
                said = fold(f"{result.title} {result.value_text}")
                if reading in (_OPPOSITE[says], "unsure") or not any(words in said for words in containing):
                    continue
            # A rule that names the value has said itself what it reads.
            elif not values and reading != says:
                continue
            if _at(result, regions) and _recent(result.when, within, case):
                known = (sudden or again) and _known_before(result, frozenset(m.concept for m in codes), case)
                if known != again:
                    continue
                yield _result_statement(result, "; onset not stated" if sudden or again else "")

    return observe


def _known_before(result: Result, concepts: frozenset[str], case: Case) -> bool:
    """Whether the same sign was on record before it could be acute, and nobody found it gone in between.

    An observation has a date but no onset: its first record may be the beginning, a later one is not.
    """
    problems = [p for p in case.chart.about(Problem, concepts) if p.state is State.CURRENT]
    if any(_before(p, result, case) and not _of_other_side(p, result) for p in problems):
        return True
    earlier = [
        r
        for r in case.chart.about(Result, concepts)
        if _before(r, result, case) and _recent(r.when, _KNOWN_DAYS, case) and r.says in ("yes", "no")
        if not _of_other_side(r, result)
    ]
    newest = max(earlier, key=lambda r: (_moment(r), r.says == "yes"), default=None)
    return newest is not None and newest.says == "yes"


def _of_other_side(entry: Entry, result: Result) -> bool:
    """A weakness of the left side is new beside one of the right; without a side on both it may be the same."""
    sides, others = ({site.side for site in one.sites if site.side} for one in (result, entry))
    return bool(sides and others) and "both" not in others and sides.isdisjoint(others)


def _before(entry: Entry, other: Entry, case: Case) -> bool:
    """It is of a day before the other, and too old to be acute."""
    if entry.when is None or other.when is None:
        return False
    return entry.when.last < other.when.first and entry.when.within(ACUTE_DAYS, case.today) is False


_KNOWN_DAYS = 365  # as long as a recorded symptom counts
_OPPOSITE = {"yes": "no", "no": "yes", "normal": "abnormal", "abnormal": "normal"}


def _result_statement(result: Result, remark: str = "") -> Statement:
    value = result.value.as_reported if result.value else result.value_text or result.says
    return Statement(
        Evidence.of(result, value + remark), result.when, this_encounter=result.this_encounter, sites=result.sites
    )


def _power(spec: Spec) -> Observer:
    reduced, muscles = spec["power"] == "reduced", folded(spec.get("muscle", ()))
    within, regions = days_or_none(spec, "within"), frozenset(spec.get("site", ()))

    def observe(case: Case) -> Iterator[Statement]:
        newest: dict[tuple[str, tuple[Site, ...]], Result] = {}
        for result in case.graded:
            if not _at(result, regions) or not _recent(result.when, within, case):
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


def _measured(spec: Spec) -> Observer:
    concepts = frozenset([spec["measured"]] if isinstance(spec["measured"], str) else spec["measured"])
    carried, names = _carrier(spec, concepts), folded(spec.get("names", ()))
    limits = [(word, *units.split(spec[word])) for word in _COMPARISONS if word in spec]
    within, which, own_range = days_or_none(spec, "within"), spec.get("which", "newest"), spec.get("range")

    def counts(result: Result, case: Case) -> bool:
        return result.final and _recent(result.when, within, case)

    def observe(case: Case) -> Iterator[Statement]:
        results = [r for r in case.chart.about(Result, concepts) if counts(r, case) and carried(r.codes)]
        results += [r for r in case.chart.named(Result, names) if counts(r, case)]
        if which == "newest" and len(results) > 1:
            last_day = max(r.last_day for r in results)
            results = [max((r for r in results if r.last_day == last_day), key=_moment)]
        hits = [r for r in results if _on_side(r, own_range) and all(_limit(r, *limit) for limit in limits)]
        if which != "every" or len(hits) == len(results):
            yield from map(_result_statement, hits)

    return observe


def _moment(result: Result) -> tuple[Any, ...]:
    """The newest of several: by day, then by time of day, then in an order that the request cannot change."""
    return (result.last_day, result.at, result.reference, repr(result.value))


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
    if side == "critical":
        return not result.flags.isdisjoint(CRITICAL_FLAGS)
    if result.value is None:
        return False
    low, high = (None, None) if result.range_unit else (result.range_low, result.range_high)
    below, above = result.value.beyond(low, high)
    if side == "inside":
        return not (below or above) and (low is not None or high is not None)
    return above or bool(result.flags & {"H", "HH"}) if side == "above" else below or bool(result.flags & {"L", "LL"})


def _answer(spec: Spec) -> Observer:
    item, chosen, lacks = spec["answer"], set(map(str, spec.get("is", ()))), set(map(str, spec.get("lacks", ())))
    limits = [(word, units.split(spec[word])[0]) for word in _COMPARISONS if word in spec]
    within = days_or_none(spec, "within")

    def observe(case: Case) -> Iterator[Statement]:
        answers = [a for a in case.chart.all(Answer) if a.item == item]
        if not answers:
            return
        newest = max(answers, key=lambda a: (a.last_day, a.reference))
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


def _coded_or_named(
    kind: type[EntryKind], concepts: frozenset[str], names: tuple[str, ...]
) -> Callable[[Case], Sequence[EntryKind]]:
    """Entries of a kind with one of these concepts or names; every one where a rule gives neither."""
    if not (concepts or names):
        return lambda case: case.chart.all(kind)
    return lambda case: case.chart.about_or_named(kind, concepts, names)


def _medicine(spec: Spec) -> Observer:
    medicines = _coded_or_named(Medicine, frozenset(spec["medicine"]), folded(spec.get("names", ())))
    stopped, started = days_or_none(spec, "stopped_within"), days_or_none(spec, "started_within")
    long = days_or_none(spec, "for_at_least")
    dose = units.split(spec["daily_dose_at_least"])[0] if "daily_dose_at_least" in spec else None

    def observe(case: Case) -> Iterator[Statement]:
        for medicine in medicines(case):
            if case.knowledge.is_local(medicine) or not taken(medicine, stopped, case):
                continue
            if not any(_recent(start, started, case) for start in (medicine.when, medicine.last_change)):
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


def _report(spec: Spec) -> Observer:
    concepts, within = frozenset(spec["report"]), days_or_none(spec, "within")
    says, unless = folded(spec.get("says", ())), folded(spec.get("unless", ()))
    states = frozenset(spec.get("states", ("final", "amended", "corrected", "appended")))
    affirms, unless_affirms = spec.get("affirms", ()), spec.get("unless_affirms", ())
    whole = frozenset(spec.get("whole", ()))

    def counts(report: Report, case: Case) -> bool:
        text, book = fold(report.conclusion), case.knowledge.phrase_book
        if any(words in text for words in unless) or any(book.affirms(report.conclusion, w) for w in unless_affirms):
            return False
        if (not says and not affirms) or text.strip(" .") in whole:
            return True
        # Words that a list denies as a whole are found by no `unless`: "no prolapse, cord compression or oedema".
        said = any(words in text and not book.denies(report.conclusion, words) for words in says)
        return said or any(book.affirms(report.conclusion, w) for w in affirms)

    def observe(case: Case) -> Iterator[Statement]:
        for report in case.chart.about(Report, concepts):
            if report.status in states and _recent(report.when, within, case) and counts(report, case):
                yield Statement(Evidence.of(report, f"{report.status} report"), report.when, sites=report.sites)

    return observe


def _plain(kind: type[Entry], head: str, standing: bool) -> Callable[[Spec], Observer]:
    """An observer for entries that are there or not: procedures, relatives, devices and the like."""

    def compile_plain(spec: Spec) -> Observer:
        concepts, names = frozenset(spec[head]), folded(spec.get("names", ()))
        carried, entries = _carrier(spec, concepts, any_role=True), _coded_or_named(kind, concepts, names)
        within, regions = days_or_none(spec, "within"), frozenset(spec.get("site", ()))

        def observe(case: Case) -> Iterator[Statement]:
            for entry in entries(case):
                if not carried(entry.codes) and not any(name in fold(entry.title) for name in names):
                    continue
                if _at(entry, regions) and _recent(entry.when, within, case):
                    value = entry.relation if isinstance(entry, Relative) else ""
                    yield Statement(Evidence.of(entry, value), entry.when, standing=standing, sites=entry.sites)

        return observe

    return compile_plain


def _order(spec: Spec) -> Observer:
    orders = _coded_or_named(Order, frozenset(spec["order"]), folded(spec.get("names", ())))
    states, within = frozenset(spec.get("states", ("active", "on-hold"))), days_or_none(spec, "within")

    def observe(case: Case) -> Iterator[Statement]:
        for order in orders(case):
            if order.status in states and _recent(order.when, within, case):
                yield Statement(Evidence.of(order, order.status), order.when)

    return observe


_UNDER_WAY = frozenset({"in-progress", "arrived", "triaged", "onleave"})


def _visit(spec: Spec) -> Observer:
    visits = _coded_or_named(Visit, frozenset(spec["visit"]), folded(spec.get("names", ())))
    within, planned = days_or_none(spec, "within"), bool(spec.get("planned"))
    open_ = bool(spec.get("open"))
    states = _UNDER_WAY if open_ else _UNDER_WAY | {"finished"}

    def observe(case: Case) -> Iterator[Statement]:
        for visit in visits(case):
            if planned:
                if visit.status == "planned" and visit.when is not None and visit.when.first >= case.today:
                    yield Statement(Evidence.of(visit, visit.status), visit.when, standing=True)
                continue
            under_way = visit.status in _UNDER_WAY
            last = visit.ended or (Span.on(case.today) if under_way else visit.when)
            if open_ and within is not None:
                last = visit.when  # one that nobody closed is not under way for ever
            if visit.status in states and _recent(last, within, case):
                yield Statement(Evidence.of(visit, visit.status), last, standing=under_way)

    return observe


def _patient(spec: Spec) -> Observer:
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


def _silence(spec: Spec) -> Observer:
    queries = frozenset(spec["silence"])

    def observe(case: Case) -> Iterator[Statement]:
        if queries <= case.chart.complete:
            yield Statement(Evidence("", "nothing on file in " + ", ".join(sorted(queries))), None, standing=True)

    return observe


HEADS: Mapping[str, Callable[[Spec], Observer]] = {
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
