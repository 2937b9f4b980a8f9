"""Raw resources to a chart: first only what may open the gate, the rest only when it is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta

from msgspec import structs

from cds_service.clinical.chart import (
    QUERIES,
    Answer,
    Appointment,
    Chart,
    DataGap,
    Entry,
    Medicine,
    Patient,
    Problem,
    Procedure,
    Report,
    Result,
    State,
    Visit,
)
from cds_service.clinical.findings import Case
from cds_service.clinical.gate import Gate
from cds_service.clinical.knowledge import Knowledge
from cds_service.clinical.spans import Span
from cds_service.clinical.tokens import fold
from cds_service.errors import UnreadableError
from cds_service.intake.about import About, Attention
from cds_service.intake.concepts import Concepts
from cds_service.intake.medicines import courses
from cds_service.intake.prefetch import QUERY_OF_TYPE, Prefetched, unusable
from cds_service.intake.resources import READERS
from cds_service.intake.shape import (
    Json,
    belongs_to,
    elements,
    id_of,
    may_be_a_patient,
    reference,
    span,
    text,
)
from cds_service.knowledge.reading import Reading

# What may open the gate; everything else is read only for a chart that does.
_GATE = ("Condition", "Observation", "Encounter", "QuestionnaireResponse")
_UNREADABLE_SHARE = 0.1
# A date ahead of these is no plan.
_OF_THE_PAST = (Problem, Result, Report, Procedure, Answer)
_TOMORROW = timedelta(days=1)  # a result stamped in another time zone may carry tomorrow's date
# What a gap of a type is called. Observations answer several queries; two types are not asked for.
_QUERY_OF = QUERY_OF_TYPE | {
    "Observation": "observations", "AllergyIntolerance": "allergies", "Appointment": "appointments",
}  # fmt: skip
_SPREAD = {"observations": tuple(query for query, kind in QUERIES.items() if kind == "Observation")}
# Types that name whose they are elsewhere than in ``subject``.
_OWNER_IN = {
    "FamilyMemberHistory": "patient", "Device": "patient", "AllergyIntolerance": "patient",
    "Appointment": "participant",
}  # fmt: skip


class Reader:
    """Reads one patient's resources; keeps count of what it could not use."""

    def __init__(self, found: Prefetched, patient_id: str, encounter_id: str, reading: Reading, today: date) -> None:
        self.found = found
        self.today = today
        self.gaps: dict[tuple[str, str], int] = {}
        self.others = 0  # resources of other patients; ignored and counted
        self._other_conditions = 0
        self.patient, self._names = _patient(found, patient_id)
        self._owners: dict[str, bool] = {}
        medications = {str(m.get("id", "")): m for m in found.of("Medication")}
        under_way = encounter_id or _encounter_under_way(found)
        self.about = About(reading, Concepts(reading), under_way, self.patient.born, medications)
        self._without: frozenset[str] = frozenset()
        self._opening: frozenset[str] = frozenset()

    def chart(self, knowledge: Knowledge, without: frozenset[str] = frozenset()) -> Chart:
        """The chart; for a closed gate only the entries that were looked at.

        ``without``: references of resources that turned out not to be valid FHIR.
        """
        self._without = frozenset()
        self._forget()
        # Problems are not counted before the gate has opened: a chart may be passed over at a glance without that.
        gate_entries = [e for kind in _GATE for e in self._read(kind, self._may_open_the_gate, kind != "Condition")]
        self._check_conditions()
        chart = self._assemble(gate_entries, self._unused(gate_entries, knowledge.gate, all_kinds=False))
        twitching = Case(chart, self.today, knowledge)["twitch_current"]
        if not twitching.present:
            return chart
        # What opened the gate stays, with a remark: an invalid entry must not end in silence.
        self._without, self._opening = without, frozenset(e.reference for e in twitching.evidence)
        self._forget()
        entries = [e for kind in READERS for e in self._read(kind, lambda *_: True)]
        return self._assemble(entries, self._unused(entries, knowledge.gate, all_kinds=True))

    def _forget(self) -> None:
        self.gaps, self.others, self._other_conditions = {}, 0, 0
        self.about = replace(self.about, attention=Attention())

    def _unused(self, entries: list[Entry], gate: Gate, all_kinds: bool) -> Counter[tuple[str, str]]:
        """Gaps for what was read and does not count because of its date; of a closed gate only what tells of twitching.

        They leave an answer complete: the record as it was on an earlier day is whole without what came later.
        """
        latest = self.today + _TOMORROW
        told = set()
        for entry in entries:
            if entry.when is None:
                if isinstance(entry, Result) and gate.says(entry):
                    told.add((entry.reference, "a finding of twitching has no date"))
            elif entry.when.first <= latest or not isinstance(entry, _OF_THE_PAST):
                continue
            elif all_kinds or any(match.concept in gate.all_concepts for match in entry.codes):
                told.add((entry.reference, "dated after the day of the assessment"))
        return Counter((_QUERY_OF[reference.split("/")[0]], why) for reference, why in told)

    def _assemble(self, entries: list[Entry], unused: Counter[tuple[str, str]]) -> Chart:
        known = [e for e in map(self._as_of, entries) if e is not None]
        medicines = courses([e for e in known if isinstance(e, Medicine)])
        partly_read = {q for query, _ in self.gaps for q in _SPREAD.get(query, (query,))}
        return Chart(
            patient=self.patient,
            entries=(*(e for e in known if not isinstance(e, Medicine)), *medicines),
            answered=frozenset(self.found.answered),
            complete=self.found.complete - partly_read,
            gaps=(*self.found.gaps, *(DataGap(*gap, n) for gap, n in sorted((Counter(self.gaps) + unused).items()))),
        )

    def _as_of(self, entry: Entry) -> Entry | None:
        """The record as it was on the day: later entries are not there, later ends have not come."""
        latest = self.today + _TOMORROW
        if isinstance(entry, (Appointment, Visit)):
            return entry
        if entry.when is not None and entry.when.first > latest:
            if not (isinstance(entry, Problem) and entry.recorded is not None and entry.recorded.first <= latest):
                return None
            # It was known by then: only the onset is a slip of the pen.
            entry = structs.replace(entry, when=entry.recorded, onset=None)
        if isinstance(entry, Problem) and entry.ended is not None and entry.ended.first > latest:
            entry = structs.replace(entry, state=State.CURRENT, ended=None)
        if entry.when is not None and entry.when.last > latest:
            # "2026" is not yet over.
            entry = structs.replace(entry, when=Span(entry.when.first, latest))
        return entry

    def _read(self, kind: str, wanted: Callable[[Json, str], bool], counted: bool = True) -> Iterator[Entry]:
        read = READERS[kind]
        for raw in self.found.of(kind):
            try:
                if not self._is_ours(raw, kind) or not wanted(raw, kind):
                    continue
                for entry in read(raw, self.about):
                    self.about.attention.give(entry.texts)  # in them phrases are looked for
                    if counted and entry.texts:
                        self._count(entry.texts)
                    yield entry
            except UnreadableError:
                self._gap(kind, "a resource could not be read")

    def _count(self, texts: tuple[str, ...]) -> None:
        """A statement by what it costs: where no phrase can be heard, little. Raises RequestError 413."""
        if any(map(self.about.concepts.spoken.may_say, texts)):
            self.about.attention.one_more_statement(texts)
        else:
            self.about.attention.one_more_text()

    def _gap(self, kind: str, why: str) -> None:
        key = (_QUERY_OF[kind], why)
        self.gaps[key] = self.gaps.get(key, 0) + 1

    def _is_ours(self, raw: Json, kind: str) -> bool:
        if self._without and (name := f"{kind}/{raw.get('id')}") in self._without:
            self._gap(kind, "a resource is not valid FHIR")
            if name not in self._opening:
                return False
        if self._is_plainly_ours(raw, kind):
            return True
        owners = _owners(raw, kind)
        if not owners:
            self._gap(kind, "a resource does not say whose it is")
            return False
        if not any(map(self._is_the_patient, owners)):
            self.others += 1
            self._other_conditions += kind == "Condition"
            return False
        return True

    def _is_plainly_ours(self, raw: Json, kind: str) -> bool:
        """As nearly all are: the subject is a reference that has been seen to be to the patient."""
        subject = raw.get(_OWNER_IN.get(kind, "subject"))
        named = subject.get("reference") if type(subject) is dict else None
        return type(named) is str and self._owners.get(named, False)

    def _is_the_patient(self, owner: str) -> bool:
        """Asked for each resource, and nearly always of the same few references."""
        if owner not in self._owners:
            self._owners[owner] = belongs_to(owner, self._names)
        return self._owners[owner]

    def _may_open_the_gate(self, raw: Json, kind: str) -> bool:
        if kind in ("Condition", "QuestionnaireResponse"):
            return True
        if kind == "Encounter":
            return any(reason.may_open_the_gate for reason in self.about.concepts.each(raw, "reasonCode"))
        of = self.about.concepts.of
        parts = [raw, *elements(raw, "component")] if "component" in raw else (raw,)
        for part in parts:
            if of(part, "code", is_name=True).may_open_the_gate or of(part, "valueCodeableConcept").may_open_the_gate:
                return True
            said = part.get("valueString")
            if said and self.about.reading.gate.may_speak_of_twitching(fold(text(part, "valueString"))):
                return True
        return False

    def _check_conditions(self) -> None:
        conditions = self.found.of("Condition")
        unread = sum(n for (query, _), n in self.gaps.items() if query == "conditions")
        if conditions and unread > len(conditions) * _UNREADABLE_SHARE:
            raise unusable("conditions", f"{unread} of {len(conditions)} could not be read", "send FHIR R4 Conditions")
        if conditions and self._other_conditions >= len(conditions):
            what = "none of them belongs to context.patientId"
            raise unusable("conditions", what, "send this patient's resources")


def _patient(found: Prefetched, patient_id: str) -> tuple[Patient, frozenset[str]]:
    """The patient of the context, and every id by which resources may refer to them."""
    patients = found.of("Patient")
    ours = [
        p for p in patients
        if p.get("id") == patient_id or id_of(found.full_urls.get(id(p), "")) == patient_id
    ]  # fmt: skip
    if not ours:
        what = "is another patient's" if patients else "is missing"
        raise unusable("patient", what, "send the Patient whose id is context.patientId")
    raw = ours[0]
    names = {patient_id, str(raw.get("id", "")), id_of(found.full_urls.get(id(raw), ""))} - {""}
    try:
        return read_patient(raw, patient_id), frozenset(names)
    except UnreadableError as error:
        raise unusable(f"patient.{error.path}", error.reason, "send a FHIR R4 Patient") from None


def read_patient(raw: Json, patient_id: str) -> Patient:
    deceased = raw.get("deceasedBoolean") is True or span(raw, "deceasedDateTime") is not None
    gender = text(raw, "gender")
    needs_interpreter = any(
        text(e, "url").endswith("interpreterRequired") and e.get("valueBoolean") is True
        for e in elements(raw, "extension")
    )
    return Patient(
        id=patient_id,
        born=span(raw, "birthDate"),
        sex=gender if gender in ("male", "female") else "",
        deceased=deceased,
        interpreter=needs_interpreter,
    )


def _owners(raw: Json, kind: str) -> list[str]:
    where = _OWNER_IN.get(kind, "subject")
    if kind == "Appointment":
        actors = [reference(p, "actor") for p in elements(raw, where)]
        return [actor for actor in actors if may_be_a_patient(actor)]
    return list(filter(None, [reference(raw, where)]))


def _encounter_under_way(found: Prefetched) -> str:
    """Without an encounter in the context, the one that is in progress, if there is exactly one."""
    under_way = [e.get("id") for e in found.of("Encounter") if e.get("status") == "in-progress"]
    return str(under_way[0] or "") if len(under_way) == 1 else ""


def evidence_resources(found: Prefetched, references: Iterable[str]) -> Iterator[tuple[str, Json]]:
    """The raw resources behind evidence, to be validated as FHIR before a card cites them."""
    wanted = set(references)
    kinds = {name.split("/")[0] for name in wanted}
    for kind in (kind for kind in READERS if kind in kinds):
        for raw in found.of(kind):
            name = f"{kind}/{raw.get('id')}"
            if name in wanted:
                yield name, raw
