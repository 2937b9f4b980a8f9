"""Answers of a history form: of our own by the ids of its items, of any other as results."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from cds_service.clinical.chart import Answer, Entry, Site
from cds_service.clinical.spans import Span
from cds_service.intake.about import MOST_ITEMS, About, at_most, name_of
from cds_service.intake.observations import read_result
from cds_service.intake.shape import Json, element, elements, number, reference, span, text

# Items of the form that name places, and the first day of each band of its question about the beginning.
_PLACE_ITEMS = frozenset({"site.where", "weak.where", "exam.region"})
_DAYS_AGO = {"under-2-weeks": 0, "2-to-4-weeks": 14, "4-to-12-weeks": 28, "over-12-weeks": 84}


def read_answers(raw: Json, about: About) -> Iterator[Entry]:
    if text(raw, "status") not in ("completed", "amended"):
        return
    ours = text(raw, "questionnaire").split("|")[0].endswith(about.reading.questionnaire)
    when = span(raw, "authored")
    clinician = "Practitioner" in reference(raw, "author") or "Practitioner" in reference(raw, "source")
    for item in at_most(MOST_ITEMS, _items(raw), "QuestionnaireResponse.item"):
        yield from _own_answer(item, raw, when, about) if ours else _foreign_answer(item, raw, when, clinician, about)


def _items(raw: Json) -> Iterator[Json]:
    for item in elements(raw, "item"):
        yield item
        yield from _items(item)
        for answer in elements(item, "answer"):
            yield from _items(answer)


def _own_answer(item: Json, raw: Json, when: Span | None, about: About) -> Iterator[Entry]:
    link, values, figure = text(item, "linkId"), [], None
    for answer in elements(item, "answer"):
        coding = element(answer, "valueCoding")
        code = about.reading.history_codes.get((link, text(coding, "code")), text(coding, "code"))
        said = (code, text(answer, "valueString"), text(answer, "valueDate"), text(answer, "valueDateTime"))
        values += [value for value in said if value]
        boolean = answer.get("valueBoolean")
        if isinstance(boolean, bool):
            values.append("yes" if boolean else "no")
        for key in ("valueInteger", "valueDecimal"):
            figure = number(answer, key) if number(answer, key) is not None else figure
    if len(values) > 1:
        # "None of these" beside another answer: the other answer counts.
        values = [value for value in values if (link, value) not in about.reading.exclusive_options]
    if values or figure is not None:
        yield Answer(
            reference=name_of(raw), title=text(item, "text") or link, when=when, item=link, values=tuple(values),
            number=_DAYS_AGO.get(values[0]) if link == "onset.ago" and values else figure,
            sites=_places_said(values, about) if link in _PLACE_ITEMS else (),
        )  # fmt: skip


def _places_said(values: list[str], about: About) -> tuple[Site, ...]:
    return tuple(site for value in values for site in about.reading.sites(value.replace("-", " ")))


def _foreign_answer(item: Json, raw: Json, when: Span | None, clinician: bool, about: About) -> Iterator[Entry]:
    """An item of another form is one more result: reported by a patient, examined by a clinician."""
    wording = text(item, "text")
    for answer in elements(item, "answer"):
        part = {key: value for key, value in answer.items() if key != "valueCoding"}
        if "valueCoding" in answer:
            part["valueCodeableConcept"] = {"coding": [answer["valueCoding"]]}
        part["code"] = {"text": wording}
        holder = {**raw, "effectiveDateTime": None, "status": "final"}
        for result in read_result(part, holder, about, about.concepts.none):
            yield replace(result, when=when, examined=clinician)
