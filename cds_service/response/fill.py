"""What the placeholders of a summary say for one patient, within 140 characters."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

from cds_service.clinical.analytes import LabValue
from cds_service.clinical.assessment import CardPlan
from cds_service.clinical.findings import Case, Evidence
from cds_service.clinical.knowledge import CardDefinition, Sentence
from cds_service.clinical.presence import UNKNOWN

LIMIT = 140
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_MOST_NAMED = 3
_ADDRESS = re.compile(r"//|:/|\bwww\.|[^@]@[^@]", re.IGNORECASE)
_UNTIL_SHORT = 8  # the shortest a record's own words are cut to

_ABNORMAL_REPORTS = (
    "emg_denervation_ge2",
    "emg_motor_disease_named",
    "emg_other_abnormal",
    "emg_one_region_abnormal",
    "mri_cord_compression",
    "mri_demyelination",
    "mri_brainstem_lesion",
    "emg_abnormal_kind_unknown",
    "mri_other_abnormal",
)


def summary(card: CardPlan, case: Case) -> str:
    """The first summary that fits the case, filled; shortened by naming less, last by cutting words of a record."""
    lead = card.cards[0]
    chosen = next(s for s in lead.summary if s.when is None or s.when(case).present)
    less = [(most_named, None) for most_named in range(_MOST_NAMED, 0, -1)]
    cut = [(1, length) for length in range(60, _UNTIL_SHORT, -4)]
    texts = (filled(chosen.text, card, case, *one) for one in (*less, *cut))
    return next((text for text in texts if len(text) < LIMIT), lead.title[: LIMIT - 1])


def sentence(one: Sentence, card: CardPlan, case: Case) -> str:
    return filled(one.text, card, case, _MOST_NAMED)


def filled(text: str, card: CardPlan, case: Case, most_named: int, length: int | None = None) -> str:
    """A sentence with its placeholders filled; ``length`` cuts each filling at a word."""

    def fill(found: re.Match[str]) -> str:
        words = _FILLERS[found[1]](card, case, most_named)
        return words if length is None or len(words) <= length else words[:length].rsplit(" ", 1)[0] + " …"

    result = _PLACEHOLDER.sub(fill, text)
    return result[:1].upper() + result[1:]


def _and(names: list[str], most: int) -> str:
    shown = names[:most]
    more = len(names) - len(shown)
    if more and most > 1:
        return ", ".join(shown) + f" and {more} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _workup(card: CardPlan, case: Case, most: int) -> str:
    orders = (order for suggestion in card.plan.suggestions for order in suggestion.orders)
    names = dict.fromkeys(order.investigation.short for order in orders if order.investigation.short)
    return _and(list(names), len(names)) or "tests listed below"


def _findings(card: CardPlan, case: Case, most: int) -> str:
    present: list[str] = []
    for name in card.cards[0].names:
        title = case.knowledge.findings[name].title
        # "Inducible clonus" says "clonus" as well.
        if case[name].present and not any(title in said for said in present):
            present.append(title)
    return _and(present, most) or "the recorded findings"


def _movement(card: CardPlan, case: Case, most: int) -> str:
    named = _findings(card, case, most)
    return "another movement" if named == "the recorded findings" else named


def _spoken_results(definition: CardDefinition, case: Case) -> Iterator[tuple[LabValue, str]]:
    """The results behind a card with their bands, most dangerous first."""
    wanted = definition.results
    # The critical card also speaks of every critical result.
    critical = {e.title for e in case["critical_lab"].evidence}
    found = []
    for name, (lab, band) in case.bands.items():
        is_critical = definition.id == "TW05" and lab.analyte.name in critical
        if is_critical or (name in wanted and band not in ("normal", "borderline_low", "borderline_high")):
            # A child's limit counts also where the laboratory gave no range and no flag.
            found.append((lab, "critical" if is_critical and band == "normal" else band))
        elif name == "B12" and name in wanted and case["b12_low_or_indeterminate"].present:
            found.append((lab, "indeterminate"))
        elif name == "VitD" and name in wanted and case["vitd_low_causal"].present:
            found.append((lab, "low"))
        elif name == "eGFR" and name in wanted:
            found.append((lab, "low" if band != "normal" else band))
    if {"CaCorr", "iCa"} & {lab.analyte.id for lab, _ in found}:
        found = [pair for pair in found if pair[0].analyte.id != "CaTotal"]  # the better measure of the same
    yield from sorted(found, key=danger)


def danger(pair: tuple[LabValue, str]) -> tuple[bool, bool, int, str]:
    """Critical values first, then those more than half way from the action limit to the critical one."""
    (lab, band), analyte = pair, pair[0].analyte
    critical = band.startswith("critical")
    side = "lower" if "low" in band else "upper"
    action, limit = getattr(analyte.action, side), getattr(analyte.critical, side)
    near = action is not None and limit is not None and abs(lab.value.low - action) > abs(limit - action) / 2
    return not critical, not critical and not near, analyte.danger, analyte.id


def _result_words(lab: LabValue, band: str) -> str:
    """Analyte, value, direction and clinical name."""
    analyte = lab.analyte
    value = analyte.shown(lab.value).split(" (")[0]
    if band == "indeterminate":
        return f"{analyte.name} {value}, indeterminate"
    direction = band.replace("critical_", "critically ").replace("borderline_", "borderline ")
    name = analyte.low_name if "low" in band else analyte.high_name if "high" in band else ""
    return f"{analyte.name} {value}, {direction}" + (f" ({name})" if name else "")


def _results(card: CardPlan, case: Case, most: int) -> str:
    results = [pair for d in card.cards for pair in _spoken_results(d, case)]
    words = list(dict.fromkeys(_result_words(lab, band) for lab, band in results))
    if most >= _MOST_NAMED:
        return "; ".join(words) or card.cards[0].title
    names = [f"{band.replace('critical_', 'critically ')} {lab.analyte.name}" for lab, band in results]
    if most == 2:
        return "; ".join([*words[:1], *names[1:]])
    return "; ".join(names) or card.cards[0].title


def _days(card: CardPlan, case: Case, most: int) -> str:
    value = case["duration_days"].value
    return value.as_reported.removesuffix(" days") if value else "an unknown number of"


def _weeks(card: CardPlan, case: Case, most: int) -> str:
    value = case["duration_days"].value
    if value is None:
        return "an unknown number of"
    least = "" if value.high != float("inf") else "at least "
    return f"{least}{int(value.low // 7)}"


def _age(card: CardPlan, case: Case, most: int) -> str:
    value = case["age"].value
    return value.as_reported.removesuffix(" years") if value else "unknown"


def _recheck(card: CardPlan, case: Case, most: int) -> str:
    row = case.knowledge.recheck_for(case)
    if row is None or row.after is None or row.until is None:
        return "as arranged"
    start, end = case.today + timedelta(days=row.after), case.today + timedelta(days=row.until)
    return f"{start:%Y-%m-%d}" if start == end else f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"


def _missing(card: CardPlan, case: Case, most: int) -> str:
    core = (a for a in case.knowledge.analytes.values() if a.core)
    return _and([a.name for a in core if not case[f"valid_{a.id}"].present], most + 1)


def _drugs(case: Case) -> list[Evidence]:
    for name in ("interacting_pair", "causal_drug_highrisk", "causal_drug"):
        if case[name].present and case[name].evidence:
            return list(case[name].evidence)
    return []


def _plain(words: str) -> str:
    """Words of the record for a summary, which is plain text: one line, and nothing that looks like markup.

    Clients make links of bare addresses: those are left out.
    """
    said = "".join(c if c.isprintable() and c not in "<>[]`*_\\" else " " for c in words).split()
    return " ".join(word for word in said if not _ADDRESS.search(word))


def _drug(card: CardPlan, case: Case, most: int) -> str:
    titles = (e.title.split(" ")[0].strip("[],") if len(e.title) > 40 else e.title for e in _drugs(case))
    return _and(list(dict.fromkeys(filter(None, map(_plain, titles)))), most) or "a medicine"


def _drug_days(card: CardPlan, case: Case, most: int) -> str:
    for evidence in _drugs(case):
        if evidence.when is not None and case.onset is not None:
            return str(max(0, (case.onset.first - evidence.when.last).days))
    return "some"


def open_questions(case: Case) -> list[str]:
    """Decisive facts that are unknown, most decisive first."""

    def unknown(*names: str) -> bool:
        return all(case[name].presence is UNKNOWN for name in names)

    undecided = {
        "weakness": unknown("weak_reported", "weak_objective", "exam_normal"),
        "examination of power, bulk and reflexes": unknown("exam_done", "exam_normal", "weak_objective"),
        "when it began": not case["duration_known"].present,
        "where it twitches": not case["site_known"].present,
        "age": unknown("adult"),  # a year of birth can leave 17 or 18
        "medicines": "medications" not in case.chart.answered and not case["medicines_known"].present,
    }
    return [words for words, is_open in undecided.items() if is_open]


def _open(card: CardPlan, case: Case, most: int) -> str:
    return _and(open_questions(case), most + 1) or "further history"


def _reported(case: Case) -> str:
    return next((name for name in _ABNORMAL_REPORTS if case[name].present), "")


def _report(card: CardPlan, case: Case, most: int) -> str:
    name = _reported(case)
    return "EMG" if name.startswith("emg") or (case["emg_done"].present and not name) else "MRI"


def _report_date(card: CardPlan, case: Case, most: int) -> str:
    newest = case[_reported(case) or "emg_done"].newest
    return str(newest) if newest else "an unknown date"


def _report_finding(card: CardPlan, case: Case, most: int) -> str:
    name = _reported(case)
    title = case.knowledge.findings[name].title if name else "an abnormal finding"
    return title.removeprefix("an EMG report of ").removeprefix("an MRI report of ")


def _ck(card: CardPlan, case: Case, most: int) -> str:
    """Creatine kinase as a multiple of the reported limit; as it is where none was reported."""
    ratio, value = case["CKxULN"].value, case["CK"].value
    if ratio is not None and math.isfinite(ratio.low):
        return f"CK {ratio.low:.1f} times the limit"
    return f"CK {value.low:.0f} U/L" if value is not None and math.isfinite(value.low) else "raised CK"


def label(case: Case) -> str:
    """The neuromuscular diagnosis on file, in the record's own words; empty for none."""
    named = [e.title for name in ("nmd_label", "known_mnd_or_nmd") if case[name].present for e in case[name].evidence]
    return named[0] if named else ""


def _titles_of(finding: str) -> Callable[[CardPlan, Case, int], str]:
    """The record's own words for what a finding rests on."""

    def words(card: CardPlan, case: Case, most: int) -> str:
        named = dict.fromkeys(filter(None, (_plain(e.title) for e in case[finding].evidence)))
        return _and(list(named), most) or case.knowledge.findings[finding].title

    return words


def _label(card: CardPlan, case: Case, most: int) -> str:
    return _plain(label(case)) or "a neuromuscular diagnosis"


_FILLERS: dict[str, Callable[[CardPlan, Case, int], str]] = {
    "findings": _findings,
    "workup": _workup,
    "results": _results,
    "days": _days,
    "weeks": _weeks,
    "age": _age,
    "recheck": _recheck,
    "missing": _missing,
    "drug": _drug,
    "drug_days": _drug_days,
    "questions": _open,
    "movement": _movement,
    "label": _label,
    "report": _report,
    "report_date": _report_date,
    "report_finding": _report_finding,
    "ck": _ck,
    "flagged": _titles_of("critical_unread"),
    "emergency": _titles_of("emergency_disease"),
}
