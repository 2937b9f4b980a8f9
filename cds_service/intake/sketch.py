"""The small records of worked examples, as the FHIR resources a real record would hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from cds_service.clinical.chart import QUERIES
from cds_service.clinical.spans import days_of
from cds_service.intake.prefetch import Prefetched, whole_record
from cds_service.knowledge.codes import SYSTEMS, Codes

PATIENT = "example"
Json = dict[str, Any]
Sketch = Mapping[str, Any]
_AGO = re.compile(r"(\d+ \w+) ago$")
_IN = re.compile(r"in (\d+ \w+)$")
_ICD = re.compile(r"[A-Z]\d{2}(\.\w+)?$")


class Sketcher:
    """Turns sketches into resources, with dates counted back from ``today``."""

    def __init__(self, codes: Codes, today: date) -> None:
        self.codes = codes
        self.today = today
        self._count = 0

    def record(self, sketches: list[Sketch]) -> Prefetched:
        """A whole record with every query answered, save those that ``unanswered`` names."""
        resources, unanswered = [], set()
        patient = self._patient({"patient": {}})
        for sketch in sketches:
            if "unanswered" in sketch:
                unanswered |= set(sketch["unanswered"])
            elif "patient" in sketch:
                patient = self._patient(sketch)
            else:
                resources.append(self.resource(sketch))
        found = whole_record({"resourceType": "Bundle", "entry": [{"resource": r} for r in [patient, *resources]]})
        found.answered = (set(QUERIES) | {"appointments", "allergies"}) - unanswered
        return found

    def resource(self, sketch: Sketch) -> Json:
        head = next((key for key in _MAKERS if key in sketch), None)
        if head is None:
            raise ValueError(f"a record entry starts with one of: {', '.join(_MAKERS)}")
        self._count += 1
        resource = _MAKERS[head](self, sketch)
        resource.setdefault("subject", {"reference": f"Patient/{PATIENT}"})
        resource["id"] = f"{head}-{self._count}"
        return resource

    def day(self, text: Any) -> str:
        """``10 days ago``, ``today``, ``in 3 days`` or an ISO date, as an ISO date."""
        words = str(text).strip()
        if words in ("today", "now"):
            return self.today.isoformat()
        if words == "yesterday":
            return (self.today - timedelta(days=1)).isoformat()
        ago, ahead = _AGO.match(words), _IN.match(words)
        if ago:
            if "hour" in ago[1]:
                return (self.today - timedelta(days=int(ago[1].split()[0]) // 24)).isoformat()
            return (self.today - timedelta(days=days_of(ago[1]))).isoformat()
        if ahead:
            return (self.today + timedelta(days=days_of(ahead[1]))).isoformat()
        return words

    def concept(self, spec: Any, text: Any = None) -> Json:
        """A CodeableConcept from a concept's id, a code, a code with its system, or words."""
        words = str(spec)
        coding = self._coding(words)
        result: Json = {"coding": [coding]} if coding else {"text": words}
        if text:
            result["text"] = str(text)
        return result

    def _coding(self, words: str) -> Json | None:
        if words in self.codes.concepts:
            rows = [r for r in self.codes.rows if r.concept == words]
            best = [r for r in rows if r.written] or [r for r in rows if r.role == ""] or rows
            row = min(best, key=lambda r: (r.code.endswith("-"), r.system not in ("snomed", "loinc", "rxnorm")))
            return {"system": SYSTEMS[row.system], "code": row.code.rstrip("-"), "display": row.display}
        system, _, rest = words.replace(":", " ", 1).partition(" ")
        if system in SYSTEMS and rest:
            return self._known(system, rest.split()[0])
        if _ICD.match(words):
            return self._known("icd10cm", words)
        if re.fullmatch(r"\d{6,18}", words):
            return self._known("snomed", words)
        if re.fullmatch(r"\d{1,7}-\d", words):
            return self._known("loinc", words)
        return None

    def _known(self, system: str, code: str) -> Json:
        display = next((r.display for r in self.codes.rows if r.system == system and r.code == code), "")
        coding = {"system": SYSTEMS[system], "code": code}
        return {**coding, "display": display} if display else coding

    # --- one maker per head ---------------------------------------------------------------------

    def _patient(self, sketch: Sketch) -> Json:
        given = sketch["patient"] or {}
        resource: Json = {"resourceType": "Patient", "id": PATIENT}
        age, sex = given.get("age", 50), given.get("sex", "female")
        if age != "unknown":
            resource["birthDate"] = self._born(age)
        if sex != "unknown":
            resource["gender"] = sex
        if "deceased" in given:
            resource["deceasedBoolean"] = str(given["deceased"]) == "yes"
        if str(given.get("interpreter", "no")) == "yes":
            url = "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired"
            resource["extension"] = [{"url": url, "valueBoolean": True}]
        return resource

    def _born(self, age: Any) -> str:
        if isinstance(age, int):
            return (self.today.replace(year=self.today.year - age) - timedelta(days=1)).isoformat()
        return str(age).removeprefix("born ")

    def _problem(self, sketch: Sketch) -> Json:
        spec = sketch.get("problem", "fasciculation")
        resource: Json = {"resourceType": "Condition", "code": self.concept(spec, sketch.get("text"))}
        status = sketch.get("status", "active")
        if status not in ("none", ""):
            resource["clinicalStatus"] = _status("http://terminology.hl7.org/CodeSystem/condition-clinical", status)
        verification = sketch.get("verification", "confirmed")
        if verification not in ("none", ""):
            system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
            resource["verificationStatus"] = _status(system, verification)
        for key, target in (("onset", "onsetDateTime"), ("recorded", "recordedDate"), ("abated", "abatementDateTime")):
            if key in sketch:
                resource[target] = self.day(sketch[key])
        if "on" in sketch:
            resource["recordedDate"] = self.day(sketch["on"])
        if "severity" in sketch:
            resource["severity"] = {"text": sketch["severity"]}
        if "site" in sketch:
            resource["bodySite"] = [self.concept(sketch["site"])]
        if "note" in sketch:
            resource["note"] = [{"text": sketch["note"]}]
        return resource

    def _twitch(self, sketch: Sketch) -> Json:
        return self._problem({"problem": "R25.3", "onset": sketch["twitch"], **sketch})

    def _observation(self, sketch: Sketch, head: str, category: str) -> Json:
        resource: Json = {
            "resourceType": "Observation",
            "status": sketch.get("status", "final"),
            "category": [{"coding": [{"system": _CATEGORY, "code": category}]}],
            "code": self.concept(sketch[head], sketch.get("text")),
        }
        if sketch.get("on", "today") != "unknown":
            resource["effectiveDateTime"] = self.day(sketch.get("on", "today"))
        if "site" in sketch:
            resource["bodySite"] = self.concept(sketch["site"])
        if "note" in sketch:
            resource["note"] = [{"text": sketch["note"]}]
        self._value(sketch, resource)
        return resource

    def _value(self, sketch: Sketch, resource: Json) -> None:
        value = sketch.get("value")
        if "range" in sketch:
            low, high = sketch["range"]
            limits = {k: {"value": v} for k, v in (("low", low), ("high", high)) if v is not None}
            resource["referenceRange"] = [limits]
        if "flag" in sketch:
            resource["interpretation"] = [{"coding": [{"code": str(sketch["flag"])}]}]
        if value is None:
            return
        bounded = re.match(r"([<>]=?)\s*([\d.]+)$", str(value))
        if isinstance(value, int | float) and not isinstance(value, bool):
            resource["valueQuantity"] = _quantity(value, sketch.get("unit"))
        elif bounded:
            resource["valueQuantity"] = {**_quantity(float(bounded[2]), sketch.get("unit")), "comparator": bounded[1]}
        elif str(value) in ("yes", "no", "true", "false"):
            resource["valueBoolean"] = str(value) in ("yes", "true")
        elif str(value) in ("unknown", "not asked", "asked-unknown"):
            resource["dataAbsentReason"] = {"text": str(value)}
        elif self._coding(str(value)):
            resource["valueCodeableConcept"] = self.concept(value)
        else:
            resource["valueString"] = str(value)

    def _exam(self, sketch: Sketch) -> Json:
        return self._observation(sketch, "exam", "exam")

    def _symptom(self, sketch: Sketch) -> Json:
        return self._observation(sketch, "symptom", "survey")

    def _lab(self, sketch: Sketch) -> Json:
        return self._observation(sketch, "lab", "laboratory")

    def _vital(self, sketch: Sketch) -> Json:
        pressure = re.match(r"(\d+)/(\d+)$", str(sketch.get("value", "")))
        if not pressure:
            return self._observation(sketch, "vital", "vital-signs")
        resource = self._observation({**sketch, "value": None}, "vital", "vital-signs")
        resource["component"] = [
            {"code": self.concept(code), "valueQuantity": _quantity(float(value), "mm[Hg]")}
            for code, value in (("8480-6", pressure[1]), ("8462-4", pressure[2]))
        ]
        return resource

    def _power(self, sketch: Sketch) -> Json:
        resource = self._observation({**sketch, "power": f"muscle strength {sketch['power']}"}, "power", "exam")
        grade = sketch.get("grade", 5)
        if isinstance(grade, int):
            resource["valueInteger"] = grade
        else:
            resource["valueString"] = str(grade)
        return resource

    def _medicine(self, sketch: Sketch) -> Json:
        resource: Json = {
            "resourceType": "MedicationRequest",
            "status": sketch.get("status", "active"),
            "intent": "order",
            "medicationCodeableConcept": self.concept(sketch["medicine"], sketch.get("text")),
        }
        if "since" in sketch:
            resource["authoredOn"] = self.day(sketch["since"])
        if "until" in sketch:
            resource["dispenseRequest"] = {"validityPeriod": {"end": self.day(sketch["until"])}}
        if "dose" in sketch:
            number, unit = str(sketch["dose"]).split()[:2]
            dose = {"doseQuantity": _quantity(float(number), unit)}
            resource["dosageInstruction"] = [
                {"doseAndRate": [dose], "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}
            ]
        return resource

    def _report(self, sketch: Sketch) -> Json:
        resource: Json = {
            "resourceType": "DiagnosticReport",
            "status": sketch.get("status", "final"),
            "code": self.concept(sketch["report"], sketch.get("text")),
            "effectiveDateTime": self.day(sketch.get("on", "today")),
        }
        if "says" in sketch:
            resource["conclusion"] = sketch["says"]
        return resource

    def _procedure(self, sketch: Sketch) -> Json:
        resource: Json = {
            "resourceType": "Procedure",
            "status": sketch.get("status", "completed"),
            "code": self.concept(sketch["procedure"], sketch.get("text")),
        }
        if "on" in sketch:
            resource["performedDateTime"] = self.day(sketch["on"])
        if "site" in sketch:
            resource["bodySite"] = [self.concept(sketch["site"])]
        if "outcome" in sketch:
            resource["outcome"] = {"text": sketch["outcome"]}
        return resource

    def _order(self, sketch: Sketch) -> Json:
        return {
            "resourceType": "ServiceRequest",
            "status": sketch.get("status", "active"),
            "intent": "order",
            "code": self.concept(sketch["order"], sketch.get("text")),
            "authoredOn": self.day(sketch.get("on", "today")),
        }

    def _visit(self, sketch: Sketch) -> Json:
        start = self.day(sketch.get("on", "today"))
        resource: Json = {
            "resourceType": "Encounter",
            "status": sketch.get("status", "finished"),
            "class": {"system": SYSTEMS["act"], "code": str(sketch.get("class", "AMB"))},
            "period": {"start": start},
        }
        if resource["status"] == "finished":
            resource["period"]["end"] = start
        if sketch.get("visit"):
            resource["serviceType"] = self.concept(sketch["visit"], sketch.get("text"))
        if "reason" in sketch:
            resource["reasonCode"] = [self.concept(sketch["reason"])]
        return resource

    def _relative(self, sketch: Sketch) -> Json:
        condition: Json = {"code": self.concept(sketch["relative"], sketch.get("text"))}
        if "age" in sketch:
            condition["onsetAge"] = {"value": sketch["age"], "unit": "years"}
        return {
            "resourceType": "FamilyMemberHistory",
            "status": sketch.get("status", "completed"),
            "patient": {"reference": f"Patient/{PATIENT}"},
            "relationship": {"text": sketch.get("relation", "brother")},
            "condition": [condition],
        }

    def _device(self, sketch: Sketch) -> Json:
        return {
            "resourceType": "Device",
            "status": sketch.get("status", "active"),
            "patient": {"reference": f"Patient/{PATIENT}"},
            "type": self.concept(sketch["device"], sketch.get("text")),
        }

    def _allergy(self, sketch: Sketch) -> Json:
        return {
            "resourceType": "AllergyIntolerance",
            "patient": {"reference": f"Patient/{PATIENT}"},
            "clinicalStatus": {"coding": [{"code": sketch.get("status", "active")}]},
            "verificationStatus": {"coding": [{"code": sketch.get("verification", "confirmed")}]},
            "code": self.concept(sketch["allergy"], sketch.get("text")),
        }

    def _appointment(self, sketch: Sketch) -> Json:
        return {
            "resourceType": "Appointment",
            "status": sketch.get("status", "booked"),
            "serviceType": [self.concept(sketch["appointment"], sketch.get("text"))],
            "start": self.day(sketch.get("on", "in 7 days")),
            "participant": [{"actor": {"reference": f"Patient/{PATIENT}"}}],
        }

    def _answers(self, sketch: Sketch) -> Json:
        author = "Patient/example" if sketch.get("by") == "patient" else "Practitioner/example"
        return {
            "resourceType": "QuestionnaireResponse",
            "status": sketch.get("status", "completed"),
            "questionnaire": sketch.get("questionnaire", "https://example.org/fhir/Questionnaire/twitch-history|1.0.0"),
            "authored": self.day(sketch.get("on", "today")),
            "author": {"reference": author},
            "item": [{"linkId": link, "answer": self._given(value)} for link, value in sketch["answers"].items()],
        }

    def _given(self, value: Any) -> list[Json]:
        if isinstance(value, list):
            return [answer for one in value for answer in self._given(one)]
        if isinstance(value, bool):
            return [{"valueBoolean": value}]
        if isinstance(value, int):
            return [{"valueInteger": value}]
        if isinstance(value, float):
            return [{"valueDecimal": value}]
        text = str(value)
        day = self.day(text)
        is_day = day != text or re.match(r"\d{4}(-\d\d){0,2}$", text)
        return [{"valueDate": day} if is_day else {"valueCoding": {"code": text}}]


_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def _status(system: str, code: Any) -> Json:
    return {"coding": [{"system": system, "code": str(code)}]}


def _quantity(value: float, unit: Any) -> Json:
    if unit in (None, "", "none"):
        return {"value": value}
    return {"value": value, "unit": str(unit), "system": "http://unitsofmeasure.org", "code": str(unit)}


_MAKERS: Mapping[str, Callable[[Sketcher, Sketch], Json]] = {
    "twitch": Sketcher._twitch,
    "problem": Sketcher._problem,
    "exam": Sketcher._exam,
    "symptom": Sketcher._symptom,
    "lab": Sketcher._lab,
    "vital": Sketcher._vital,
    "power": Sketcher._power,
    "medicine": Sketcher._medicine,
    "report": Sketcher._report,
    "procedure": Sketcher._procedure,
    "order": Sketcher._order,
    "visit": Sketcher._visit,
    "relative": Sketcher._relative,
    "device": Sketcher._device,
    "allergy": Sketcher._allergy,
    "appointment": Sketcher._appointment,
    "answers": Sketcher._answers,
}
