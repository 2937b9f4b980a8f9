"""Named functions about who, since when and where on the body."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import combinations

from cds_service.clinical import gate
from cds_service.clinical.chart import Entry, Problem, Quantity, Site, State
from cds_service.clinical.findings import Case, Evidence, Finding, Judge, merged
from cds_service.clinical.functions.registry import DECLARED, NAMED, Compile, Declared, Kind, Parameters, named
from cds_service.clinical.presence import ABSENT, PRESENT, UNKNOWN, Presence
from cds_service.clinical.spans import days_of
from cds_service.clinical.tokens import fold, folded


def _fixed(judge: Judge) -> Compile:
    return lambda finding, with_: judge


for _judge in (
    gate.charted_twitching, gate.ended_twitching, gate.stale_twitching, gate.days_since_onset, gate.onset_stated
):  # fmt: skip
    NAMED[_judge.__name__] = _fixed(_judge)
    DECLARED[_judge.__name__] = Declared({}, {})


@named()
def age_in_years(finding: str, with_: Parameters) -> Judge:
    """Whole years today; an interval when the birth date is partial, unknown without one."""

    def judge(case: Case) -> Finding:
        born = case.chart.patient.born
        if born is None:
            return Finding(finding, UNKNOWN)
        low, high = _years(born.last, case), _years(born.first, case)
        text = f"{low} years" if low == high else f"{low} to {high} years"
        evidence = (Evidence(f"Patient/{case.chart.patient.id}", "birth date", None, text),)
        return Finding(finding, PRESENT, evidence, value=Quantity(low, high, "years", text))

    return judge


def _years(born: date, case: Case) -> int:
    today = case.today
    return max(0, today.year - born.year - ((today.month, today.day) < (born.month, born.day)))


_LIMB_PAIRS = ("face", "arm", "trunk", "leg")


def _twitching(case: Case) -> list[tuple[Entry, Site]]:
    found = [(e, site) for e, says in case.twitching if says for site in e.sites]
    return sorted(found, key=lambda pair: (pair[0].reference, pair[1]))


@named(
    may={
        "includes": [Kind.REGION],
        "only": [Kind.REGION],
        "words": [Kind.REGION],
        "known": Kind.YES,
        "one_side": Kind.YES,
        "focal": Kind.YES,
        "widespread": Kind.YES,
    }
)
def twitch_sites(finding: str, with_: Parameters) -> Judge:
    """A question about the set of places where twitching is charted; unknown without any place."""
    includes, only = frozenset(with_.get("includes", ())), frozenset(with_.get("only", ()))
    words = tuple(with_.get("words", ()))

    def judge(case: Case) -> Finding:
        charted = _twitching(case)
        if not charted:
            return Finding(finding, UNKNOWN)
        regions = {site.region for _, site in charted}
        if with_.get("known"):
            holds = True
        elif with_.get("one_side"):
            return _one_side(finding, [pair for pair in charted if not includes or pair[1].region in includes])
        elif with_.get("focal"):
            holds = _focal([site for _, site in charted])
        elif with_.get("widespread"):
            holds = _widespread([site for _, site in charted])
        elif words:
            holds = any(word in site.words for _, site in charted for word in words)
        else:
            holds = bool(regions & includes) if includes else regions == only
        evidence = tuple(dict.fromkeys(Evidence.of(entry, _place(site)) for entry, site in charted))
        return Finding(finding, Presence.of(holds), evidence, sites=tuple(site for _, site in charted))

    return judge


def _one_side(finding: str, charted: list[tuple[Entry, Site]]) -> Finding:
    """All these places carry the same stated side; unknown while a side is not said."""
    sides = {site.side for _, site in charted}
    if not charted or ("" in sides and len(sides) == 1):
        return Finding(finding, UNKNOWN)
    known = sides - {""}
    evidence = tuple(dict.fromkeys(Evidence.of(entry, _place(site)) for entry, site in charted))
    return Finding(finding, Presence.of(len(known) == 1 and "both" not in known), evidence)


def _place(site: Site) -> str:
    """In words, the side named once: a body site may say "left lower eyelid" itself."""
    return site.words if site.side in site.words.lower().split() else f"{site.side} {site.words}".strip()


def _focal(sites: Sequence[Site]) -> bool:
    """Within one limb, or one side of one segment; the tongue alone is focal."""
    if all(site.region == "tongue" for site in sites):
        return True
    places = {(s.region, s.side) for s in sites if s.region not in ("tongue", "eyelid")}
    regions, sides = {region for region, _ in places}, {side for _, side in places if side}
    return len(regions) == 1 and "both" not in sides and len(sides) <= 1 and "all over" not in regions


def _widespread(sites: Sequence[Site]) -> bool:
    """Two or more of face, arm, trunk and leg, or both sides of one of them, or said to be so."""
    if any(site.region == "all over" for site in sites):
        return True
    regions = {site.region for site in sites if site.region in _LIMB_PAIRS}
    if len(regions) >= 2:
        return True
    sides = {site.side for site in sites if site.region in _LIMB_PAIRS}
    return "both" in sides or {"left", "right"} <= sides


@named(may={"apart_at_least": Kind.DURATION})
def twitch_spreads(finding: str, with_: Parameters) -> Judge:
    """An older set of places lies within a newer, larger one."""
    apart = days_of(with_.get("apart_at_least", "14 days"))

    def judge(case: Case) -> Finding:
        by_entry: dict[str, tuple[Entry, set[str]]] = {}
        for entry, site in _twitching(case):
            by_entry.setdefault(entry.reference, (entry, set()))[1].add(site.region)
        dated = sorted(
            ((e, regions) for e, regions in by_entry.values() if e.when is not None),
            key=lambda pair: (pair[0].last_day, pair[0].reference),
        )
        for (older, before), (newer, after) in combinations(dated, 2):
            if older.when and newer.when and (newer.when.last - older.when.last).days >= apart and before < after:
                return Finding(finding, PRESENT, (Evidence.of(newer), Evidence.of(older)))
        return Finding(finding, UNKNOWN)

    return judge


def _sign_sites(signs: Sequence[str], case: Case) -> tuple[list[Finding], list[Site]]:
    present = [case[sign] for sign in signs if case[sign].present]
    return present, [site for finding in present for site in finding.sites]


@named(needs={"signs": [Kind.FINDING]})
def in_twitching_region(finding: str, with_: Parameters) -> Judge:
    """A sign lies in a region that twitches, on the same side when both sides are known."""
    signs = tuple(with_["signs"])

    def judge(case: Case) -> Finding:
        present, sites = _sign_sites(signs, case)
        if not present:
            return _none_of(finding, signs, case)
        twitching = [site for _, site in _twitching(case)]
        if not sites or not twitching:
            return Finding(finding, UNKNOWN)
        shared = any(_same_place(one, other) for one in sites for other in twitching)
        return merged(finding, Presence.of(shared), present)

    return judge


def _none_of(finding: str, signs: Sequence[str], case: Case) -> Finding:
    parts = [case[sign] for sign in signs]
    if all(part.presence is ABSENT for part in parts):
        return merged(finding, ABSENT, parts)
    return Finding(finding, UNKNOWN)


def _same_place(one: Site, other: Site) -> bool:
    if "all over" in (one.region, other.region):
        return True
    sides = {one.side, other.side}
    return one.region == other.region and (not {"left", "right"} <= sides)


@named(needs={"signs": [Kind.FINDING], "regions": [Kind.REGION]})
def sign_in_region(finding: str, with_: Parameters) -> Judge:
    """A sign lies in one of these regions."""
    signs, regions = tuple(with_["signs"]), frozenset(with_["regions"])

    def judge(case: Case) -> Finding:
        present, sites = _sign_sites(signs, case)
        if not present:
            return _none_of(finding, signs, case)
        here = [f for f in present if any(s.region in regions or s.words in regions for s in f.sites)]
        if here:
            return merged(finding, PRESENT, here)
        return Finding(finding, ABSENT if sites else UNKNOWN)

    return judge


@named(needs={"signs": [Kind.FINDING], "regions": [Kind.REGION]})
def signs_on_both_sides(finding: str, with_: Parameters) -> Judge:
    """A sign lies on both sides of a limb pair."""
    signs, regions = tuple(with_["signs"]), frozenset(with_["regions"])

    def judge(case: Case) -> Finding:
        present, sites = _sign_sites(signs, case)
        if not present:
            return _none_of(finding, signs, case)
        sides = {site.side for site in sites if site.region in regions}
        if "both" in sides or {"left", "right"} <= sides:
            return merged(finding, PRESENT, present)
        if sites and (not sides or sides & {"left", "right"}):
            return Finding(finding, ABSENT)
        return Finding(finding, UNKNOWN)

    return judge


@named(needs={"signs": [Kind.FINDING], "unless": [Kind.FINDING]})
def sign_apart_from(finding: str, with_: Parameters) -> Judge:
    """What is charted of a sign that others do not say already: in the same entry, or later of its places."""
    signs, unless = tuple(with_["signs"]), tuple(with_["unless"])

    def judge(case: Case) -> Finding:
        present, sites = _sign_sites(signs, case)
        if not present:
            return _none_of(finding, signs, case)
        told = merged(finding, PRESENT, present)
        known = merged(finding, PRESENT, (case[name] for name in unless if case[name].present))
        if not known.evidence:
            return told
        entries, last = {e.reference for e in known.evidence}, known.newest
        elsewhere = not known.sites or not sites or not all(_covered(site, known.sites) for site in sites)
        apart = tuple(
            e
            for e in told.evidence
            if e.reference not in entries and (elsewhere or not (e.when and last) or e.when.last > last.last)
        )
        return Finding(finding, Presence.of(bool(apart)), apart, sites=told.sites)

    return judge


def _covered(site: Site, sites: Sequence[Site]) -> bool:
    return any(_same_place(site, other) for other in sites)


@named(
    needs={"at_most_before": Kind.DURATION},
    may={"concepts": [Kind.CONCEPT], "names": [Kind.WORDS], "not_named": [Kind.WORDS]},
)
def problem_before_onset(finding: str, with_: Parameters) -> Judge:
    """A problem, coded or in words, began shortly before the stated onset of the twitching."""
    concepts = frozenset(with_.get("concepts", ()))
    names = folded(with_.get("names", ()))
    unless = folded(with_.get("not_named", ()))
    at_most = days_of(with_["at_most_before"])

    def judge(case: Case) -> Finding:
        if case.onset is None:
            return Finding(finding, UNKNOWN)
        found = [
            problem
            for problem in case.chart.all(Problem)
            if problem.state is not State.REFUTED
            and problem.when is not None
            and case.onset.shifted(-at_most).first <= problem.when.last
            and problem.when.first <= case.onset.last
            and _is_about(problem, concepts, names, unless)
        ]
        return Finding(finding, PRESENT if found else UNKNOWN, tuple(map(Evidence.of, found)))

    return judge


def _is_about(problem: Problem, concepts: frozenset[str], names: tuple[str, ...], unless: tuple[str, ...]) -> bool:
    if any(m.concept in concepts for m in problem.codes):
        return True
    words = fold(problem.title)
    return any(name in words for name in names) and not any(name in words for name in unless)
