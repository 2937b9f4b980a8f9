"""The pages, and the addresses that their scripts ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from flask import Blueprint, Response, redirect, render_template, url_for
from jinja2 import TemplateError
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from cds_service.errors import Fault, RequestError
from cds_service.intake.decode import decode
from cds_service.web.answers import json_response
from cds_service.web.body import read_body
from cds_service.web.discovery import SERVICE
from cds_service.web.hooks import assess_call
from cds_service.web.state import state
from cds_service.workbench import words
from cds_service.workbench.access import bear_policy, require_own_page
from cds_service.workbench.charts import request_of_chart
from cds_service.workbench.markdown import rendered
from cds_service.workbench.patients import Story, request_of, stories
from cds_service.workbench.pictures import lab_picture, timeline_picture
from cds_service.workbench.reasoning import document

workbench = Blueprint(
    "workbench", __name__, template_folder="templates", static_folder="static", static_url_path="/workbench/static"
)
workbench.before_request(require_own_page)
workbench.after_request(bear_policy)
workbench.add_app_template_filter(words.plain, "plain")
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
    """The gallery."""
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
    return render_template("chart.html", story=_story(patient), chart_of=url_for(".patient_request", patient=patient))


@workbench.get("/workbench/patients/<patient>/request.json")
def patient_request(patient: str) -> Response:
    """The hook request of an invented patient."""
    return json_response(request_of(_story(patient)))


@workbench.get("/workbench/chart")
def own_chart() -> str:
    """The same for a chart that is pasted or opened; it stays in the tab."""
    return render_template("chart.html", story=None, chart_of="")


def _story(patient: str) -> Story:
    found = stories().get(patient)
    if found is None:
        raise NotFound
    return found


@workbench.post("/workbench/request")
def read_chart() -> Response:
    """A pasted Bundle or request as a hook request, with what in it is not valid FHIR, by path."""
    request, remarks = request_of_chart(sent())
    return json_response({"request": request, "remarks": [{"path": f.where, "what": str(f)} for f in remarks]})


@workbench.post("/workbench/assessment")
def assessment() -> Response:
    """The whole reasoning over the chart of a hook request."""
    _, outcome = assess_call(sent())
    return json_response(document(outcome))


@workbench.post("/workbench/show")
def show() -> Response:
    """What the endpoints answered, as HTML: ``{"response": …, "assessment": …}`` in, one fragment for each out."""
    return json_response(drawn(sent(), _fragments))


def drawn(body: Any, draw: Callable[[Mapping[str, Any]], dict[str, str]]) -> dict[str, str]:
    """Fragments of HTML of answers that a page hands back. Raises RequestError when they are none of ours."""
    try:
        return draw(body)
    except (TypeError, KeyError, ValueError, AttributeError, ArithmeticError, IndexError, TemplateError):
        fault = Fault("$", "is not what the endpoints answer", "send their answers as they came")
        raise RequestError(400, fault) from None


def _fragments(body: Mapping[str, Any]) -> dict[str, str]:
    answer, reasoning = body["response"], body["assessment"]
    return {"cards": cards_html(answer["cards"], reasoning), "why": why_html(reasoning)}


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


@workbench.get("/workbench/history")
def history() -> str:
    return render_template("patients.html")


@workbench.get("/workbench/content")
def content() -> str:
    return ""


@workbench.get("/workbench/content/<rule>")
def one_rule(rule: str) -> str:
    return ""


@workbench.get("/workbench/feedback")
def feedback() -> str:
    return ""
