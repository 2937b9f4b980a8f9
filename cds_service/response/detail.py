"""The detail of a card: what was found, what speaks against, what to consider, what is missing, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cds_service.clinical.assessment import Assessment, CardPlan, open_asks
from cds_service.clinical.chart import QUERIES
from cds_service.clinical.differential import Weighed, title_of
from cds_service.clinical.findings import Case, Evidence
from cds_service.clinical.knowledge import Sentence, Term
from cds_service.clinical.presence import Presence
from cds_service.clinical.workup import priority_given
from cds_service.handbook.addresses import page_of_attributes, page_of_card
from cds_service.response import fill
from cds_service.response.markdown import escaped, link, section

MOST_FOUND = 12
MOST_ASKED = 5
_QUERY_NAMES = {
    "labs": "laboratory results", "findings": "examination and history findings", "medications": "medicines",
    "reports": "reports", "vitals": "vital signs", "encounters": "visits", "orders": "open orders",
}  # fmt: skip
_LED_BY_A_FACT = frozenset({"T0", "T1", "T2", "T3", "T4", "T5"})
_WORDS_BEFORE = re.compile(r"(?<!\S)(?<!\bor )\Z")
_OWN = ("design", "teaching")  # what stands on no publication
_STATES = {"done": "done", "pending": "pending", "withheld": "not suggested"}


def detail(card: CardPlan, assessment: Assessment, reasons: Iterable[Sentence], lead: bool, handbook: str = "") -> str:
    """The whole detail in GitHub-flavoured Markdown.

    ``reasons``: the lines of reasoning that hold. ``handbook``: where the rules are explained, if that is known.
    """
    case = assessment.case
    parts = [
        section("Found", _found(card, case)),
        section("Also on file; the card on it is switched off by this site", _unspoken(assessment) if lead else ()),
        section("Speaks against", _against(card, case)),
        section(
            "Consider",
            (_hypothesis(w, card, case) for w in card.hypotheses) if card.hypotheses else _no_cause(card, case),
        ),
        section("Not documented", _not_documented(card, case)),
        section("Why this", _reasoning(reasons, card, case)),
        section("Tests not suggested", _withheld(card)),
        section("Earlier orders", card.plan.notes),
        section("Cautions", (caution.text for caution in card.cautions)),
        section("Limits of the data", _limits(assessment) if lead else ()),
        section("Sources", _unlinked(reasons, case)),
        _closing(card, case, handbook),
    ]
    return "\n\n".join(part for part in parts if part)


def _found(card: CardPlan, case: Case) -> Iterator[str]:
    shown: set[Evidence] = set()
    count = 0
    for term in dict.fromkeys(t for definition in card.cards for t in definition.found):
        finding = term.formula(case)
        fresh = [e for e in finding.evidence if e not in shown]
        if not finding.present or (finding.evidence and not fresh) or count >= MOST_FOUND:
            continue
        shown.update(fresh)
        count += 1
        yield _stated(title_of(term, finding, case), _once(fresh)[:3])
    abnormal = _abnormal(case)
    for term in dict.fromkeys(t for definition in card.cards for t in definition.against):
        fresh = [e for e in term.formula(case).evidence if e not in shown and e in abnormal]
        if fresh:
            yield _stated(title_of(term, term.formula(case), case), _once(fresh)[:3])


def _abnormal(case: Case) -> set[Evidence]:
    """Results outside their range: they speak against nothing."""
    return {lab.evidence for lab, band in case.bands.values() if band != "normal"}


def _stated(title: str, evidence: Iterable[Evidence]) -> str:
    items = "; ".join(_evidence(e, title) for e in evidence)
    return f"{title}: {items}" if items else title


def _once(evidence: Iterable[Evidence]) -> list[Evidence]:
    """One item of each thing said: the answer itself rather than words quoted from it, else the longest."""
    chosen: dict[tuple[str, str], Evidence] = {}
    for one in evidence:
        said = one.reference, one.title
        if said not in chosen or _telling(one) > _telling(chosen[said]):
            chosen[said] = one
    return list(chosen.values())


def _telling(evidence: Evidence) -> tuple[bool, int]:
    return not evidence.value.startswith("“"), len(evidence.value)


def _evidence(evidence: Evidence, title: str) -> str:
    """What the record says, its value, its date and where it stands."""
    said = escaped(evidence.title, 70) if evidence.title and evidence.title not in title else ""
    # The answer belongs to what was asked: "Dysarthria" alone would be read as a yes. A measured value with its unit
    # may stand in the title of the line.
    measured = not said or (" " in evidence.value and any(map(str.isdigit, evidence.value)))
    told = _ends_in(evidence.title, evidence.value) or (measured and _ends_in(title, evidence.value))
    value = "" if told else escaped(evidence.value, 70)
    what = " ".join(part for part in (said, value) if part)
    # An age has no date of its own.
    when = str(evidence.when) if evidence.when else "" if evidence.reference.startswith("Patient/") else "undated"
    where = f" ({escaped(evidence.reference, 90)})" if evidence.reference else ""
    return ", ".join(part for part in (what, when) if part) + where


def _ends_in(title: str, value: str) -> bool:
    """Whether a title already ends in the value, in whole words, and not in a choice such as "normal or abnormal"."""
    before = title.removesuffix(value)
    return not value or (before != title and _WORDS_BEFORE.search(before) is not None)


def _unspoken(assessment: Assessment) -> Iterator[str]:
    for finding in assessment.unspoken:
        title = assessment.case.knowledge.findings[finding.id].title
        yield _stated(title, finding.evidence[:2])


def _against(card: CardPlan, case: Case) -> Iterator[str]:
    abnormal = _abnormal(case)
    found = {t.names for definition in card.cards for t in definition.found}
    for term in dict.fromkeys(t for definition in card.cards for t in definition.against):
        finding = term.formula(case)
        if finding.evidence and abnormal.issuperset(finding.evidence):
            continue
        # What is listed as found is not said twice.
        if finding.present and not _only_unknown(term, case) and (term.negative or term.names not in found):
            yield _stated(title_of(term, finding, case), _once(finding.evidence)[:2])


def _only_unknown(term: Term, case: Case) -> bool:
    """What is merely not documented is listed there, not as an argument."""
    return term.negative and all(case[name].presence is Presence.UNKNOWN for name in term.names)


def _hypothesis(weighed: Weighed, card: CardPlan, case: Case) -> str:
    hypothesis = weighed.hypothesis
    more_precise = [name for when, name in hypothesis.also_named if when(case).present]
    name = more_precise[0] if more_precise else hypothesis.name
    question = ": to be confirmed or excluded by neurology" if hypothesis.id == "H01" else ""
    supports = "; ".join(point.title for point in weighed.supports[:4])
    opposes = "; ".join(point.title for point in weighed.opposes[:3]) or "nothing charted"
    tests = ", ".join(_tests(weighed, card, case)) or "clinical judgement"
    return f"**{name}**{question} – for: {supports} – against: {opposes} – decided by: {tests}"


def _tests(weighed: Weighed, card: CardPlan, case: Case) -> Iterator[str]:
    orders = {o.investigation.id for s in card.plan.suggestions for o in s.orders}
    held = {w.investigation.id: w.state for w in card.plan.withheld}
    for named in weighed.hypothesis.decided_by[:4]:
        # In pregnancy or kidney failure the same study is suggested without contrast.
        label = f"{named}-NOCONTRAST" if f"{named}-NOCONTRAST" in orders else named
        investigation = case.knowledge.investigations[label]
        title = investigation.title
        suggested = priority_given(investigation, card.plan.suggestions) is not None
        state = "suggested" if suggested else _STATES.get(held.get(label, ""), "")
        yield f"{title} ({state})" if state else title


def _no_cause(card: CardPlan, case: Case) -> list[str]:
    # Where a sign, a disease or a result leads, that is the cause in question, named or not.
    if card.short or any(definition.tier in _LED_BY_A_FACT for definition in card.cards):
        return []
    if named := fill.label(case):
        return [f"{escaped(named)} is on file, not confirmed by EMG or recent neurology"]
    named_in_passing = any(case[name].present for name in case.knowledge.findings_that_name_a_cause)
    return [] if named_in_passing else ["no charted fact points to a particular cause"]


def _not_documented(card: CardPlan, case: Case) -> Iterator[str]:
    unknown = [case.knowledge.findings[name].title for name in open_asks(card.cards, case)]
    if unknown:
        yield "; ".join(unknown[:MOST_ASKED])
    questions = fill.open_questions(case)
    if questions and not card.short and any(d.id == "TW24" for d in card.cards):
        yield "decisive for the next step: " + ", ".join(questions)


def reasons_for(card: CardPlan, case: Case) -> list[Sentence]:
    """The lines of reasoning that hold for this case, each once."""
    lines = (one for definition in card.cards for one in definition.reasoning)
    return list({one.text: one for one in lines if one.when is None or one.when(case).present}.values())


def _reasoning(reasons: Iterable[Sentence], card: CardPlan, case: Case) -> Iterator[str]:
    for one in reasons:
        published = one.source and one.source not in _OWN
        mark = f" *({case.knowledge.references[one.source].title})*" if published else ""
        yield fill.sentence(one, card, case) + mark


def _withheld(card: CardPlan) -> Iterator[str]:
    for held in card.plan.withheld:
        dates = "; ".join(str(e.when) for e in held.evidence[:2] if e.when)
        when = f" ({dates})" if dates and held.state != "pending" else ""
        yield f"{held.investigation.title}: {held.because.rstrip('.')}{when}"


def _limits(assessment: Assessment) -> Iterator[str]:
    chart = assessment.case.chart
    unanswered = [_QUERY_NAMES[q] for q in QUERIES if q in _QUERY_NAMES and q not in chart.answered]
    if unanswered:
        yield "not provided by the client, so unknown here: " + ", ".join(unanswered)
    for value, why in assessment.case.uncounted:
        yield f"{value.title} {escaped(value.value)}, {value.when} ({escaped(value.reference, 90)}): {why}"
    for gap in assessment.gaps:
        count = f" ({gap.count})" if gap.count > 1 else ""
        yield f"{escaped(gap.query, 40)}: {gap.reason}{count}"


def cited(reasons: Iterable[Sentence]) -> list[str]:
    """Ids of the published sources of these lines, in their order."""
    return list(dict.fromkeys(one.source for one in reasons if one.source and one.source not in _OWN))


def _unlinked(reasons: Iterable[Sentence], case: Case) -> Iterator[str]:
    """The sources that the links of the card cannot name."""
    references = case.knowledge.references
    unaddressed = [references[s].title for s in cited(reasons) if not references[s].url]
    if unaddressed:
        yield "without an address: " + "; ".join(unaddressed)
    own = dict.fromkeys(one.source for one in reasons if one.source in _OWN)
    if own:
        yield "not from a publication: " + "; ".join(references[s].title for s in own)


def _closing(card: CardPlan, case: Case, handbook: str) -> str:
    pages = {one.id: f"{handbook}/{page_of_card(one.id)}" if handbook else "" for one in card.cards}
    rules = ", ".join(f"{link(one.id, pages[one.id])} ({one.tier})" for one in card.cards)
    name = "Rule" if len(card.cards) == 1 else "Rules"
    about = f" {link('Intended use and source attributes', f'{handbook}/{page_of_attributes()}')}." if handbook else ""
    return (
        f"*{name} {rules}, content {case.knowledge.version}. Draft content, not clinically approved. "
        f"Supports, does not replace, clinical judgement.{about}*"
    )
