"""Assessing a file at the terminal, and the whole reasoning in lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from cds_service.assess import ChartSource, Outcome, assess
from cds_service.clinical.assessment import Assessment, Rung
from cds_service.clinical.differential import Weighed
from cds_service.clinical.presence import Presence
from cds_service.errors import Fault, RequestError
from cds_service.intake.decode import decode
from cds_service.intake.envelope import read_envelope
from cds_service.intake.prefetch import whole_record
from cds_service.knowledge.load import load
from cds_service.response.cards import Issuer, Recipient, write_cards
from cds_service.response.markdown import plain
from cds_service.settings import read_settings, require_known_cards

_MARKS = {Presence.PRESENT: "present", Presence.ABSENT: "absent ", Presence.UNKNOWN: "unknown"}


def assess_file(file: Path, today: date, content: Path | None = None) -> tuple[Outcome, list[dict[str, Any]]]:
    """The outcome and the cards for a hook request or a Bundle, by this content. Raises RequestError."""
    settings = read_settings()
    knowledge, reading = load(content or settings.content)
    require_known_cards(settings, knowledge.cards)
    body = decode(file.read_bytes())
    source, recipient = _source(body)
    outcome = assess(source, knowledge, reading, today, settings.policy)
    issuer = Issuer(settings.secret, intent=settings.policy.order_intent, handbook=settings.handbook)
    return outcome, write_cards(outcome.assessment, recipient, issuer, reading.codes)


def _source(body: Any) -> tuple[ChartSource, Recipient]:
    if isinstance(body, dict) and body.get("resourceType") == "Bundle":
        found = whole_record(body)
        patients = [p.get("id") for p in found.of("Patient")]
        if len(patients) != 1 or not isinstance(patients[0], str):
            raise RequestError(
                412,
                Fault("Bundle", f"holds {len(patients)} Patient resources with an id", "give a record of one patient"),
            )
        return ChartSource(found, patients[0]), Recipient(patients[0])
    if isinstance(body, dict) and "resourceType" in body:
        raise RequestError(
            400,
            Fault("$", "is a FHIR resource but no Bundle", "give a Bundle of one patient's record or a hook request"),
        )
    hook = read_envelope(body)
    source = ChartSource.of_prefetch(hook.prefetch, hook.patient_id, hook.encounter_id)
    return source, Recipient(hook.patient_id, hook.encounter_id, hook.user_id)


def card_lines(card: dict[str, Any]) -> Iterator[str]:
    """A card below its summary, as plain text: the detail, the suggested orders, and where its sources stand."""
    yield plain(card["detail"])
    for suggestion in card.get("suggestions", ()):
        yield f"  → {suggestion['label']}: " + "; ".join(action["description"] for action in suggestion["actions"])
    for link in card.get("links", ()):
        yield f"  {link['label']} <{link['url']}>"


def explain_lines(assessment: Assessment) -> Iterator[str]:
    """Every fact with evidence, every hypothesis, every rung of the ladder, every test withheld.

    Each is one line; what could steer a terminal is taken out of the words of a record.
    """
    return map(_harmless, _explained(assessment))


def _harmless(line: str) -> str:
    return line if line.isprintable() else "".join(sign if sign.isprintable() else " " for sign in line)


def _explained(assessment: Assessment) -> Iterator[str]:
    case = assessment.case
    yield f"As of {assessment.today}, content {case.knowledge.version}"
    yield from _headed("Ladder", map(_rung, assessment.ladder))
    yield from _headed("No-card rules that hold", (f"  {rule.id} {rule.title}" for rule in assessment.rules))
    yield from _headed("Differential", (line for w in assessment.differential for line in _weighed(w)))
    yield from _headed("Tests not suggested", _withheld(assessment))
    yield from _headed("Facts", _facts(assessment))
    yield from _headed("Data gaps", (f"  {gap.query}: {gap.reason} ({gap.count})" for gap in assessment.gaps))


def _headed(heading: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines under their heading; nothing when there are none."""
    listed = list(lines)
    if listed:
        yield ""
        yield heading
        yield from listed


def _withheld(assessment: Assessment) -> Iterator[str]:
    for card in assessment.cards:
        for held in card.plan.withheld:
            dates = ", ".join(str(e.when) for e in held.evidence if e.when)
            yield f"  {card.name}: {held.investigation.title} – {held.state}: {held.because} {dates}".rstrip()


def _facts(assessment: Assessment) -> Iterator[str]:
    for name, finding in assessment.findings.items():
        title = assessment.case.knowledge.findings[name].title
        value = f" = {finding.value.as_reported}" if finding.value else ""
        evidence = "; ".join(
            " ".join(part for part in (e.title, e.value, str(e.when or "undated"), e.reference) if part)
            for e in finding.evidence[:3]
        )
        against = f" | not counted: {len(finding.against)}" if finding.against else ""
        yield f"  {_MARKS[finding.presence]} {name}{value}: {title}" + (f" – {evidence}" if evidence else "") + against


def _rung(rung: Rung) -> str:
    level = f" [{rung.indicator}]" if rung.indicator else ""
    return (
        f"  {rung.card.tier:7} {rung.card.id} {rung.card.title}{level}: {rung.outcome} (trigger {rung.trigger.value})"
    )


def _weighed(weighed: Weighed) -> Iterator[str]:
    if weighed.state == "not in play":
        return
    hypothesis = weighed.hypothesis
    yield f"  {weighed.urgency} {hypothesis.id} {hypothesis.name} – {weighed.state}"
    for label, points in (("for", weighed.supports), ("against", weighed.opposes)):
        for point in points:
            where = ", ".join(f"{e.reference} {e.when or ''}".strip() for e in point.evidence)
            yield f"      {label}: {point.title} {where}".rstrip()
    if weighed.missing:
        yield f"      missing: {'; '.join(weighed.missing)}"
