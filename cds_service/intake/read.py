"""Raw resources to a chart: first only what may open the gate, the rest only when it is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta

from cds_service.clinical.chart import Chart, DataGap, Entry, Medicine, Patient, Problem
from cds_service.clinical.findings import Case
from cds_service.clinical.knowledge import Knowledge
from cds_service.clinical.spans import Span
from cds_service.errors import Fault, RequestError, UnreadableError
from cds_service.intake.concepts import Concepts
from cds_service.intake.prefetch import Prefetched
from cds_service.intake.resources import READERS, About, Attention, courses
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
_TOMORROW = timedelta(days=1)  # a result stamped in another time zone may carry tomorrow's date
_QUERY_OF = {
    "Condition": "conditions", "Observation": "observations", "DiagnosticReport": "reports", "ServiceRequest": "orders",
    "Procedure": "procedures", "MedicationRequest": "medications", "MedicationStatement": "statements",
    "Encounter": "encounters", "FamilyMemberHistory": "family", "Device": "devices", "AllergyIntolerance": "allergies",
    "Appointment": "appointments", "QuestionnaireResponse": "answers",
}  # fmt: skip


# A resource type that answers several queries.
_SPREAD = {"observations": ("labs", "findings", "vitals")}


class Reader:
    """Reads one patient's resources; keeps count of what it could not use."""

    def __init__(self, found: Prefetched, patient_id: str, encounter_id: str, reading: Reading, today: date) -> None:
        self.found = found
        self.today = today
        self.gaps: dict[tuple[str, str], int] = {}
        self.others = 0  # resources of other patients; ignored and counted
        self._other_conditions = 0
        self.patient, names = _patient(found, patient_id)
        self._names = names
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
        gate_entries = [e for kind in _GATE for e in self._read(kind, self._may_open_the_gate)]
        self._check_conditions()
        chart = self._assemble(gate_entries)
        twitching = Case(chart, self.today, knowledge)["twitch_current"]
        if not twitching.present:
            return chart
        # What opened the gate stays, with a remark: an invalid entry must not end in silence.
        self._without, self._opening = without, frozenset(e.reference for e in twitching.evidence)
        self._forget()
        return self._assemble([e for kind in READERS for e in self._read(kind, lambda raw, kind: True)])

    def _forget(self) -> None:
        self.gaps, self.others, self._other_conditions = {}, 0, 0
        self.about = replace(self.about, attention=Attention())

    def _assemble(self, entries: list[Entry]) -> Chart:
        known = [e for e in map(self._as_of, entries) if e is not None]
        medicines = courses([e for e in known if isinstance(e, Medicine)])
        partly_read = {q for query, _ in self.gaps for q in _SPREAD.get(query, (query,))}
        return Chart(
            patient=self.patient,
            entries=(*(e for e in known if not isinstance(e, Medicine)), *medicines),
            answered=frozenset(self.found.answered),
            complete=self.found.complete - partly_read,
            gaps=(*self.found.gaps, *(DataGap(query, why, n) for (query, why), n in sorted(self.gaps.items()))),
        )

    def _as_of(self, entry: Entry) -> Entry | None:
        """The record as it was on the day: later entries are not there, later ends have not come."""
        latest = self.today + _TOMORROW
        if type(entry).__name__ in ("Appointment", "Visit"):
            return entry
        if entry.when is not None and entry.when.first > latest:
            return None
        if isinstance(entry, Problem) and entry.ended is not None and entry.ended.first > latest:
            entry = replace(entry, state=type(entry.state).CURRENT, ended=None)
        if entry.when is not None and entry.when.last > latest:
            # "2026" is not yet over.
            entry = replace(entry, when=Span(entry.when.first, latest))
        return entry

    def _read(self, kind: str, wanted: object) -> Iterator[Entry]:
        read = READERS[kind]
        for raw in self.found.of(kind):
            try:
                if not self._is_ours(raw, kind) or not wanted(raw, kind):  # type: ignore[operator]
                    continue
                for entry in read(raw, self.about):
                    self.about.attention.give(entry.texts)  # in them phrases are looked for
                    yield entry
            except UnreadableError:
                self._gap(kind, "a resource could not be read")

    def _gap(self, kind: str, why: str) -> None:
        key = (_QUERY_OF[kind], why)
        self.gaps[key] = self.gaps.get(key, 0) + 1

    def _is_ours(self, raw: Json, kind: str) -> bool:
        if self._without and f"{kind}/{raw.get('id')}" in self._without:
            self._gap(kind, "a resource is not valid FHIR")
            if f"{kind}/{raw.get('id')}" not in self._opening:
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
        subject = raw.get("subject") if kind not in _OF_A_PATIENT else None
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
        of = self.about.concepts.of
        if kind == "Encounter":
            return any(of({"code": r}, "code").may_open_the_gate for r in elements(raw, "reasonCode"))
        parts = [raw, *elements(raw, "component")] if "component" in raw else (raw,)
        for part in parts:
            if of(part, "code").may_open_the_gate or of(part, "valueCodeableConcept").may_open_the_gate:
                return True
        return False

    def _check_conditions(self) -> None:
        conditions = self.found.of("Condition")
        unread = sum(n for (query, _), n in self.gaps.items() if query == "conditions")
        if conditions and unread > len(conditions) * _UNREADABLE_SHARE:
            raise RequestError(
                412,
                Fault(
                    "prefetch.conditions", f"{unread} of {len(conditions)} could not be read", "send FHIR R4 Conditions"
                ),
                code="required",
            )
        if conditions and self._other_conditions >= len(conditions):
            raise RequestError(
                412,
                Fault(
                    "prefetch.conditions", "none of them belongs to context.patientId", "send this patient's resources"
                ),
                code="required",
            )


def _patient(found: Prefetched, patient_id: str) -> tuple[Patient, frozenset[str]]:
    """The patient of the context, and every id by which resources may refer to them."""
    patients = found.of("Patient")
    ours = [
        p for p in patients
        if p.get("id") == patient_id or id_of(found.full_urls.get(id(p), "")) == patient_id
    ]  # fmt: skip
    if not ours:
        what = "is another patient's" if patients else "is missing"
        raise RequestError(
            412, Fault("prefetch.patient", what, "send the Patient whose id is context.patientId"), code="required"
        )
    raw = ours[0]
    names = {patient_id, str(raw.get("id", "")), id_of(found.full_urls.get(id(raw), ""))} - {""}
    try:
        return read_patient(raw, patient_id), frozenset(names)
    except UnreadableError as error:
        raise RequestError(
            412, Fault(f"prefetch.patient.{error.path}", error.reason, "send a FHIR R4 Patient"), code="required"
        ) from None


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


# Types that name whose they are elsewhere than in ``subject``.
_OF_A_PATIENT = frozenset({"FamilyMemberHistory", "Device", "AllergyIntolerance", "Appointment"})


def _owners(raw: Json, kind: str) -> list[str]:
    if kind in ("FamilyMemberHistory", "Device", "AllergyIntolerance"):
        return [r for r in [reference(raw, "patient")] if r]
    if kind == "Appointment":
        actors = [reference(p, "actor") for p in elements(raw, "participant")]
        return [actor for actor in actors if may_be_a_patient(actor)]
    return [r for r in [reference(raw, "subject")] if r]


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
