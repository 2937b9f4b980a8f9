"""The pages, and the addresses that their scripts ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import orjson
from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from jinja2 import TemplateError
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from cds_service.artefacts.questionnaire import is_flag, items, options, questionnaire
from cds_service.errors import Fault, RequestError
from cds_service.feedback_report import count
from cds_service.handbook.library import KINDS
from cds_service.intake.decode import decode
from cds_service.intake.envelope import read_envelope
from cds_service.web.answers import json_response
from cds_service.web.body import read_body
from cds_service.web.book import handbook
from cds_service.web.discovery import SERVICE
from cds_service.web.hooks import assess_call
from cds_service.web.kept import kept, once
from cds_service.web.state import state
from cds_service.web.trial import day_of
from cds_service.workbench import words
from cds_service.workbench.access import bear_policy, require_own_page
from cds_service.workbench.changes import Known, Possible, applied, compared, possible, read_changes, with_answers
from cds_service.workbench.charts import request_of_chart
from cds_service.workbench.deciding import Form, askable_items, next_step
from cds_service.workbench.markdown import rendered
from cds_service.workbench.patients import Story, request_of, stories
from cds_service.workbench.pictures import lab_picture, timeline_picture
from cds_service.workbench.questionnaire import history as history_of
from cds_service.workbench.questionnaire import observations, read_answers
from cds_service.workbench.questionnaire import response as filled_form
from cds_service.workbench.reasoning import document
from cds_service.workbench.short import chart_in_short

_FIRST_SEEN = ("chart.html", "what-if.html", "history-form.html", "cards.html", "chart-short.html", "why.html")
workbench = Blueprint(
    "workbench", __name__, template_folder="templates", static_folder="static", static_url_path="/workbench/static"
)
workbench.before_request(require_own_page)
workbench.after_request(bear_policy)
workbench.add_app_template_filter(words.plain, "plain")
workbench.add_app_template_filter(words.sentence, "sentence")
workbench.add_app_template_filter(words.pretty, "pretty")
workbench.add_app_template_filter(rendered, "markdown")


@workbench.context_processor
def on_every_page() -> dict[str, Any]:
    """What every page says: which content, and in which state it is."""
    here = state()
    return {
        "version": here.knowledge.version, "silent": here.settings.silent, "service": f"/cds-services/{SERVICE}",
        "words": words, "references": here.knowledge.references,
    }  # fmt: skip


@workbench.errorhandler(NotFound)
def not_here(_: NotFound) -> tuple[str, int]:
    """A page for what is not there; the address itself is not repeated."""
    return render_template("not-here.html"), 404


def sent() -> Any:
    """The JSON that a script of ours has sent. Raises RequestError."""
    return decode(read_body(state().settings.max_body))


@workbench.get("/")
def root() -> AnyResponse:
    """The address that the start prints leads to the patients."""
    return redirect(url_for("workbench.patients"))


@workbench.get("/workbench")
def patients() -> str:
    """The gallery: the same for everybody, so it is written once."""
    return once("gallery", _gallery)


def _gallery() -> str:
    knowledge = state().knowledge
    listed = list(stories().values())
    return render_template(
        "patients.html",
        stories=listed,
        tiers=sorted({tier for story in listed for tier in story.tiers(knowledge)}, key=list(words.TIERS).index),
        cards=knowledge.cards.values(),
        hypotheses=knowledge.hypotheses,
        knowledge=knowledge,
    )


@workbench.get("/workbench/patients/<patient>")
def one_patient(patient: str) -> str:
    """One invented patient: cards, why, what if, history, request."""
    address = url_for(".patient_request", patient=patient)
    return render_template(
        "chart.html", story=_story(patient), chart_of=address, can=_can_be_changed(), knowledge=state().knowledge
    )


@workbench.get("/workbench/patients/<patient>/request.json")
def patient_request(patient: str) -> Response:
    """The hook request of an invented patient."""
    return json_response(request_of(_story(patient)))


@workbench.get("/workbench/chart")
def own_chart() -> str:
    """The same for a chart that is pasted or opened; it stays in the tab."""
    return render_template("chart.html", story=None, chart_of="", can=_can_be_changed(), knowledge=state().knowledge)


def _story(patient: str) -> Story:
    found = stories().get(patient)
    if found is None:
        raise NotFound
    return found


@workbench.post("/workbench/request")
def read_chart() -> Response:
    """A pasted Bundle or request as a hook request, with what in it is not valid FHIR, by path."""
    hook_request, remarks = request_of_chart(sent())
    return json_response({"request": hook_request, "remarks": [{"path": f.where, "what": str(f)} for f in remarks]})


@workbench.post("/workbench/assessment")
def assessment() -> Response:
    """The whole reasoning over the chart of a hook request."""
    _, outcome = assess_call(sent(), state().settings.today())
    return json_response(document(outcome))


@workbench.post("/workbench/show")
def show() -> Response:
    """What the endpoints answered, as HTML: ``{"response": …, "assessment": …}`` in, one fragment for each out."""
    return json_response(drawn(sent(), _fragments))


def drawn(body: Any, draw: Callable[[Mapping[str, Any]], dict[str, str]]) -> dict[str, str]:
    """Fragments of HTML of answers that a page hands back. Raises RequestError when they are none of ours."""
    try:
        return draw(body)
    except (TypeError, LookupError, ValueError, AttributeError, ArithmeticError, TemplateError):
        fault = Fault("$", "is not what the endpoints answer", "send their answers as they came")
        raise RequestError(400, fault) from None


def _fragments(body: Mapping[str, Any]) -> dict[str, str]:
    answer, reasoning = body["response"], body["assessment"]
    return {
        "cards": cards_html(answer["cards"], reasoning),
        "short": render_template("chart-short.html", **chart_in_short(reasoning)),
        "why": why_html(reasoning),
    }


def cards_html(cards: list[Mapping[str, Any]], reasoning: Mapping[str, Any]) -> str:
    """The cards as an EHR shows them. The reasoning says which rules they come from."""
    rules = [card["rules"] for card in reasoning["cards"]] if len(reasoning["cards"]) == len(cards) else []
    return render_template("cards.html", cards=cards, rules=rules, reasoning=reasoning)


def why_html(reasoning: Mapping[str, Any]) -> str:
    """The reasoning on one page."""
    as_of = date.fromisoformat(reasoning["asOf"])
    labs = [lab_picture(course, as_of) for course in reasoning["labs"]]
    # Abnormal ones first: they are why somebody looks.
    labs.sort(key=lambda picture: picture.dots[-1].band == "normal")
    return render_template("why.html", a=reasoning, labs=labs, timeline=timeline_picture(reasoning["timeline"], as_of))


@workbench.post("/workbench/changed")
def changed() -> Response:
    """A request with what somebody wants to try changed: ``{"request": …, "changes": […]}``."""
    here, body = state(), _object(sent())
    can = _can_be_changed()
    changes = read_changes(body.get("changes"), can)
    given = _object(body.get("request"), "request")
    hook = read_envelope(given)
    spec = history_of(here.knowledge)
    try:
        done = applied(
            given, changes, can, Known(here.knowledge, here.reading, spec), day_of(hook, here, here.settings.today())
        )
    except (TypeError, KeyError, AttributeError, StopIteration):
        raise RequestError(400, Fault("request.prefetch", "is not as FHIR has it", "assess it first")) from None
    return json_response({"request": done})


@workbench.post("/workbench/compare")
def compare() -> Response:
    """What the endpoints answered before and after, side by side, as HTML."""
    return json_response(drawn(sent(), lambda body: {"html": _side_by_side(body)}))


def _side_by_side(body: Mapping[str, Any]) -> str:
    return render_template("compare.html", d=compared(body["before"], body["after"]))


def _object(value: Any, where: str = "$") -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RequestError(400, Fault(where, "is not a JSON object", "send one"))
    return value


def _can_be_changed() -> Possible:
    here = state()
    return once("changes", lambda: possible(here.knowledge, here.reading, history_of(here.knowledge)))


def make_ready() -> None:
    """Make what the first views would wait for, those of a newcomer first. Wants the context of a request."""
    patients()
    for name in _FIRST_SEEN:
        current_app.jinja_env.get_template(name)
    _can_be_changed()
    handbook()


# ---------------------------------------------------------------- the structured history


@workbench.get("/workbench/history")
def history() -> str:
    """The form on its own, for whom TW24 has sent here."""
    return render_template("history.html")


@workbench.post("/workbench/history/next")
def history_next() -> Response:
    """The next question as HTML, or none: ``{"request": …, "answers": {…}, "skipped": […], "everything": false}``."""
    here, body = state(), _object(sent())
    spec = history_of(here.knowledge)
    answers = read_answers(body.get("answers", {}), spec, here.knowledge)
    _, outcome = assess_call(body.get("request"), state().settings.today())
    form = Form.over(outcome, spec, here.reading, here.settings.policy)
    skipped = frozenset(name for name in body.get("skipped") or () if isinstance(name, str))
    step = next_step(form, answers, skipped, askable_items(outcome, spec))
    wanted = step.left if body.get("everything") is True else (step.ask,) if step.ask else ()
    # Without an age many rules cannot be judged: no card then says nothing.
    ageless = step.tier == words.SILENT and outcome.assessment.case["age"].value is None
    return json_response(
        {
            "tier": "undecided" if ageless else step.tier,
            "words": "age unknown" if ageless else words.TIERS[step.tier],
            "ask": step.ask,
            "left": len(step.left),
            "undecided": [{"id": link, "text": items(spec)[link]["text"]} for link in step.undecided],
            "html": "".join(_question(link, spec) for link in wanted),
        }
    )


def _question(link: str, spec: Mapping[str, Any]) -> str:
    item = items(spec)[link]
    repeats = is_flag(item.get("repeats", "no"))
    return render_template("question.html", item=item, options=options(item, state().knowledge), repeats=repeats)


@workbench.post("/workbench/history/answers")
def history_answers() -> Response:
    """Answers as FHIR, and the request with them in it: ``{"request": …, "answers": {…}}``."""
    here, body = state(), _object(sent())
    spec = history_of(here.knowledge)
    answers = read_answers(body.get("answers", {}), spec, here.knowledge)
    given = _object(body.get("request"), "request")
    hook = read_envelope(given)
    day, base = day_of(hook, here, here.settings.today()).isoformat(), here.settings.public_url
    filled = filled_form(answers, spec, here.knowledge, hook.patient_id, day, base)
    return json_response(
        {
            "questionnaireResponse": filled,
            "observations": observations(answers, spec, here.knowledge, hook.patient_id, day),
            "request": with_answers(given, filled),
        }
    )


history_form = Blueprint("history_form", __name__)


@history_form.get("/Questionnaire/twitch-history")
def questionnaire_resource() -> Response:
    """The form as a FHIR R4 Questionnaire; also served where the workbench is off."""
    here = state()

    def made() -> tuple[str, bytes]:
        form = questionnaire(history_of(here.knowledge), here.knowledge, here.settings.public_url)
        return "application/fhir+json", orjson.dumps(form)

    return kept("Questionnaire", made)


# ---------------------------------------------------------------- content and feedback


@workbench.get("/workbench/content")
def content() -> str:
    """All of the content, and a search over it."""
    library, kinds, own = handbook().library, [kind.name for kind in KINDS], handbook().difference
    text, kind = request.args.get("text", "")[:200], request.args.get("kind", "")
    listed = library.search(text, kind if kind in kinds else "")
    asked = {"text": text, "kind": kind, "kinds": kinds}
    return render_template("content.html", entries=listed, count=len(library), own=own, **asked)


@workbench.get("/workbench/content/<rule>")
def one_rule(rule: str) -> str:
    """One rule as the handbook says it, with the patients who show it."""
    book = handbook()
    entry = book.library.get(rule)
    if entry is None:
        raise NotFound
    patients = [story for story in stories().values() if rule in story.cards]
    body = book.body(entry, lambda name: url_for(".one_rule", rule=name))
    shown = {"mark": book.mark(entry), "own": book.difference, "patients": patients}
    return render_template("rule.html", e=entry, body=body, **shown)


@workbench.get("/workbench/feedback")
def feedback() -> str:
    """What was accepted and overridden, by card and reason."""
    here = state()
    origin = request.args.get("origin", "workbench")
    origin = origin if origin in ("ehr", "all") else "workbench"
    return render_template(
        "feedback.html",
        report=count(here.store.entries(origin=origin), {}),
        origin=origin,
        titles={card.id: card.title for card in here.knowledge.cards.values()},
        reasons={reason.code: reason.display for reason in here.knowledge.override_reasons.values()},
    )
