"""Runs the worked examples that stand beside each rule, as the test suite and check-content do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from msgspec import structs

from cds_service import units
from cds_service.clinical.analytes import LabValue, band, is_child
from cds_service.clinical.assessment import trigger
from cds_service.clinical.chart import Chart, Medicine, Patient, Quantity, Result
from cds_service.clinical.differential import weigh
from cds_service.clinical.findings import Case, Finding
from cds_service.clinical.knowledge import CardOrder, Knowledge
from cds_service.clinical.observe import code_of
from cds_service.clinical.presence import Presence
from cds_service.clinical.silence import Silence
from cds_service.clinical.spans import Span
from cds_service.clinical.workup import PRIORITIES, Withheld, plan, plan_order, priority_given
from cds_service.intake.read import Reader
from cds_service.intake.sketch import PATIENT, Sketcher
from cds_service.knowledge.content import Content
from cds_service.knowledge.reading import Reading

TODAY = date(2026, 6, 15)
_RESULT = Result(reference="", title="", when=Span.on(TODAY))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One worked example: where it stands, what it expects and what the rules say."""

    where: str
    name: str
    expected: str
    found: str

    @property
    def holds(self) -> bool:
        return self.expected == self.found


class GivenFacts(Case):
    """A case whose facts are given: what is not given is unknown, unless it follows from them."""

    def __init__(self, given: Mapping[str, Any], knowledge: Knowledge) -> None:
        chart = Chart(Patient(PATIENT), complete=frozenset(), answered=frozenset())
        super().__init__(chart, TODAY, knowledge)
        for name, value in given.items():
            self[name] = _given(name, value)
        self.bands = {
            name: (lab, band(lab, is_child(self)))
            for name, finding in list(self.items())
            if name in knowledge.analytes and finding.value is not None
            for lab in [LabValue(knowledge.analytes[name], finding.value, _RESULT)]
        }

    def listen(self, silence: Silence) -> Case:
        """Facts are given and not charted: the chart is silent, and every question is asked all the same."""
        return self


def _given(name: str, value: Any) -> Finding:
    text = str(value)
    if text in ("present", "absent", "unknown"):
        return Finding(name, Presence(text))
    number, unit = units.split(text)
    return Finding(name, Presence.PRESENT, value=Quantity(number, number, unit, text))


def case_of(given: Any, knowledge: Knowledge, reading: Reading) -> Case:
    """The case of an example: a small record, or facts."""
    if isinstance(given, Mapping):
        return GivenFacts(given, knowledge)
    found = Sketcher(reading.codes, TODAY).record(given or [])
    return Case(Reader(found, PATIENT, "", reading, TODAY).chart(_everything(knowledge)), TODAY, knowledge)


def _everything(knowledge: Knowledge) -> Knowledge:
    """Knowledge whose gate stands open, so that a record of one finding is read in full."""
    always = replace(
        knowledge.findings["twitch_current"], judge=lambda case: Finding("twitch_current", Presence.PRESENT)
    )
    return replace(knowledge, findings={**knowledge.findings, "twitch_current": always})


def run(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    """Every worked example of the content."""
    for part in (_findings, _gate, _history, _analytes, _hypotheses, _cards, _investigations, _tables, _medicines):
        yield from part(content, knowledge, reading)


def _findings(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    for spec in content.findings.values():
        for example in spec["examples"]:
            case = case_of(example["given"], knowledge, reading)
            if isinstance(case, GivenFacts):
                case.pop(spec["id"], None)
            finding = case[spec["id"]]
            expected = str(example["expect"])
            found = finding.presence.value
            if expected not in ("present", "absent", "unknown"):
                found = finding.value.as_reported if finding.value else found
            yield Outcome(content.files[spec["id"]], example.get("name", ""), expected, found)


def _gate(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    for example in content.plain["entry-gate.yaml"]["examples"]:
        case = case_of(example["given"], knowledge, reading)
        found = "open" if case["twitch_current"].present else "closed"
        yield Outcome("entry-gate.yaml", example["name"], example["expect"], found)


def _history(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    """What answers of the history form say: each example names the facts it sets."""
    for example in content.plain["structured-history.yaml"]["examples"]:
        case = case_of([{"answers": example["given"], "on": "today"}], knowledge, reading)
        for name, expected in example["expect"].items():
            yield Outcome("structured-history.yaml", f"{example['name']}: {name}", expected, case[name].presence.value)


def _analytes(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    for row in content.analytes:
        analyte = knowledge.analytes[row["id"]]
        for example in row.get("examples", ()):
            number, unit = units.split(example["value"])
            codes = tuple(reading.codes.find(*code_of(example["code"]))) if "code" in example else ()
            result = structs.replace(_RESULT, value=Quantity(number, number, unit, example["value"]), codes=codes)
            value = result.value if unit == row["unit"] == "times" else analyte.read(result)
            found = "not compared" if value is None else band(LabValue(analyte, value, result), child=False)
            yield Outcome(f"analytes.yaml {row['id']}", example["value"], example["expect"], found)


def _hypotheses(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    for row in content.tables["hypotheses.yaml"]:
        for example in row["examples"]:
            weighed = weigh(case_of(example["given"], knowledge, reading))
            state = next(w.state for w in weighed if w.hypothesis.id == row["id"])
            yield Outcome(f"hypotheses.yaml {row['id']}", example["name"], example["expect"], state.replace(" ", "_"))


def _cards(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    for spec in content.cards.values():
        card = knowledge.cards[spec["id"]]
        for example in spec["examples"]:
            case = case_of(example["given"], knowledge, reading)
            presence, indicator = trigger(card, case)
            suppressed = any(r.when(case).present for r in card.suppressed_when)
            found = indicator if presence is Presence.PRESENT and not suppressed else "none"
            where = content.files[spec["id"]]
            yield Outcome(where, example["name"], str(example["expect"]), found)
            if found != "none" and ("expect_orders" in example or "expect_not" in example):
                yield from _orders(where, example, card, case)


def _orders(where: str, example: Mapping[str, Any], card: Any, case: Case) -> Iterator[Outcome]:
    planned = plan([card], case)
    suggested = {o.investigation.id: o.priority for s in planned.suggestions for o in s.orders}
    for order in example.get("expect_orders", ()):
        label, _, priority = order.partition("/")
        given = priority_given(case.knowledge.investigations[label], planned.suggestions)
        found = f"{label}/{given}" if given else "not suggested"
        yield Outcome(where, f"{example['name']}: {label}", order if priority else f"{label}/{given}", found)
    for label in example.get("expect_not", ()):
        name = label.partition("/")[0]
        yield Outcome(where, f"{example['name']}: not {name}", "not suggested", suggested.get(name, "not suggested"))


def _investigations(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    for spec in content.investigations.values():
        for example in spec["examples"]:
            case = case_of(example["given"], knowledge, reading)
            planned = plan_order(CardOrder(spec["id"], PRIORITIES[0]), case)
            found = "withheld" if isinstance(planned, Withheld) else "suggested"
            yield Outcome(content.files[spec["id"]], example.get("name", ""), str(example["expect"]), found)


def _tables(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    for row in content.tables["cautions.yaml"]:
        caution = next(c for c in knowledge.cautions if c.id == row["id"])
        for example in row["examples"]:
            said = caution.when(case_of(example["given"], knowledge, reading)).present
            yield Outcome(
                f"cautions.yaml {row['id']}", example["name"], example["expect"], "said" if said else "not_said"
            )
    for rule in (*knowledge.no_card_rules, *([knowledge.short_card] if knowledge.short_card else [])):
        row = next(r for r in content.tables["no-card-rules.yaml"] if r["id"] == rule.id)
        for example in row["examples"]:
            holds = rule.when(case_of(example["given"], knowledge, reading)).present
            found = "applies" if holds else "does_not_apply"
            yield Outcome(f"no-card-rules.yaml {rule.id}", example["name"], example["expect"], found)
    for row in content.tables["re-evaluation.yaml"]:
        for example in row["examples"]:
            chosen = knowledge.recheck_for(case_of(example["given"], knowledge, reading))
            found = chosen.id if chosen else "none"
            yield Outcome(f"re-evaluation.yaml {row['id']}", example["name"], example["expect"], found)


def _medicines(content: Content, knowledge: Knowledge, reading: Reading) -> Iterator[Outcome]:
    for row in content.tables["drug-classes.yaml"]:
        for example in row["examples"]:
            sketch = {key: value for key, value in example.items() if key != "expect"}
            chart = case_of([sketch], knowledge, reading).chart
            classes = {c.id for m in chart.all(Medicine) for c in knowledge.classes_of(m)}
            expected = str(example["expect"])
            found = expected if expected in classes else ", ".join(sorted(classes)) or "none"
            yield Outcome(f"drug-classes.yaml {row['id']}", str(example["medicine"]), expected, found)
