"""The history form, What if, Content and Feedback, as a person uses them; and every page for everybody."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage

pytestmark = pytest.mark.apt

LOW_POTASSIUM = "/workbench/patients/EX07-thiazide-ppi-low-k-mg"
UNEXAMINED = "/workbench/patients/A01-words-under-another-code"

# ---------------------------------------------------------------- the structured history

TAPS = {
    "weak": "No", "exam.result": "All normal", "onset.ago": "4 to 12 weeks", "med.change": "No",
    "site.pattern": "It moves around", "exam.seen": "Yes",
    "onset.speed": "Gradual", "course.severe": "Mild", "course.rhythm": "It comes and goes", "trig.alcohol": "None",
    "med.sedative_cut": "No", "preg": "Neither", "med.list_complete": "Yes",
}  # fmt: skip


def answer(page: Page, question: Any) -> None:
    link = question.get_attribute("data-link")
    if question.locator("[type=checkbox]").count():
        none = question.locator("[data-exclusive]")
        named = {"site.where": "Left leg", "course.when": "At rest"}.get(link or "")
        (question.get_by_label(named) if named else none).check()
        question.get_by_role("button", name="Continue").click()
    else:
        question.get_by_role("button", name=TAPS[link], exact=True).click()


def test_the_history_takes_less_than_a_minute_and_stops(opened: OpenPage, screenshot: Any) -> None:
    page = opened(UNEXAMINED, "article.card")
    page.get_by_role("tab", name="History").click()
    began = time.monotonic()
    page.get_by_role("button", name="Start").click()
    for _ in range(20):
        page.wait_for_selector("#questions fieldset:not(.settled), #history-end:not([hidden])")
        if page.locator("#history-end").is_visible():
            break
        answer(page, page.locator("#questions fieldset:not(.settled)").first)
        expect(page.locator("#history-state")).to_contain_text("Tier now", timeout=20_000)
    assert time.monotonic() - began < 60
    expect(page.locator("#history-verdict")).to_contain_text("Stop here: no answer can change the tier T7")
    screenshot(page, "history-end")
    filled = json.loads(page.locator("#questionnaire-response").text_content() or "")
    assert filled["resourceType"] == "QuestionnaireResponse"
    assert json.loads(page.locator("#observations").text_content() or "")[0]["resourceType"] == "Observation"
    page.get_by_role("button", name="Show the cards with these answers").click()
    expect(page.get_by_role("tab", name="Cards")).to_have_attribute("aria-selected", "true")
    expect(page.locator("article.card").first).not_to_contain_text("Missing and decisive")


def test_what_began_suddenly_is_said_at_once(opened: OpenPage, screenshot: Any) -> None:
    page = opened("/workbench/history")
    page.get_by_label("Age in years").fill("58")
    page.get_by_role("button", name="Start").click()
    for _ in range(12):
        page.wait_for_selector("#questions fieldset:not(.settled)")
        question = page.locator("#questions fieldset:not(.settled)").first
        if question.get_attribute("data-link") == "sx.sudden":
            break
        answer(page, question)
        expect(page.locator("#history-state")).to_contain_text("Tier now", timeout=20_000)
    question = page.locator("[data-link='sx.sudden']")
    question.get_by_label("Weakness", exact=True).check()
    screenshot(page, "history-form")
    question.get_by_role("button", name="Continue").click()
    expect(question.locator(".after-answer")).to_contain_text("need care today")
    expect(page.locator("#history-verdict")).to_contain_text("T0")


def test_the_history_form_by_keyboard_alone(opened: OpenPage) -> None:
    page = opened("/workbench/history")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_label("Age in years")).to_be_focused()  # without it nothing can be judged
    page.keyboard.type("58")
    page.get_by_role("button", name="Start").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Yes", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#questions fieldset").nth(1)).to_be_visible()
    assert page.evaluate("document.activeElement.closest('fieldset').dataset.link") != "weak"


def test_what_was_skipped_is_named_at_the_end(opened: OpenPage) -> None:
    page = opened(UNEXAMINED, "article.card")
    page.get_by_role("tab", name="History").click()
    page.get_by_role("button", name="Start").click()
    for _ in range(40):
        page.wait_for_selector("#questions fieldset:not(.settled), #history-end:not([hidden])")
        if page.locator("#history-end").is_visible():
            break
        page.locator("#questions fieldset:not(.settled)").first.get_by_role("button", name="Skip").click()
        expect(page.locator("#history-state")).to_contain_text("Tier now", timeout=20_000)
    expect(page.locator("#history-verdict")).to_contain_text("undecided: you skipped “Has any muscle become weaker")
    expect(page.locator("#history-verdict")).not_to_contain_text("no answer can change")


def test_nothing_of_one_chart_stays_beside_the_next(opened: OpenPage) -> None:
    page = opened("/workbench/chart")
    charts = {}
    for name in ("EX07-thiazide-ppi-low-k-mg", "A01-words-under-another-code"):
        charts[name] = page.request.get(f"{page.url.rpartition('/')[0]}/patients/{name}/request.json").text()

    def paste(text: str) -> None:
        page.get_by_label("Paste JSON").fill(text)
        page.get_by_role("button", name="Assess").click()

    paste(charts["EX07-thiazide-ppi-low-k-mg"])
    potassium(page, "2.2")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector("#comparison .pair")
    page.get_by_role("tab", name="History").click()
    page.get_by_role("button", name="Start").click()
    answer(page, page.locator("#questions fieldset:not(.settled)").first)
    paste(charts["A01-words-under-another-code"])
    expect(page.locator("#chart")).to_be_visible()
    expect(page.locator("#why-answer")).to_have_count(1)
    for place in ("#questions", "#chosen", "#comparison", "#history-state"):
        expect(page.locator(place)).to_be_empty()
    page.locator("#tab-request").click()
    paste('{"resourceType": "Patient"}')
    expect(page.locator("#problems")).to_contain_text("Bundle")
    expect(page.locator("#chart")).to_be_hidden()
    for place in ("#cards-shown", "#why", "#resources", "#response", "#remarks"):
        expect(page.locator(place)).to_be_empty()


# ---------------------------------------------------------------- What if


def potassium(page: Page, value: str) -> None:
    page.get_by_role("tab", name="What if").click()
    page.locator("[name=analyte]").select_option("K")
    page.locator("[name=value]").fill(value)
    page.locator("[data-add=lab]").click()


def test_a_lower_potassium_side_by_side(opened: OpenPage, screenshot: Any) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    potassium(page, "2.2")
    page.locator("[name=finding]").select_option("dysphagia")
    page.locator("[data-add=finding]").click()
    page.get_by_role("button", name="Compare").click()
    result = page.locator("#comparison")
    expect(result).to_contain_text("+ new")
    expect(result).to_contain_text("TW05")
    expect(result.locator("table")).to_contain_text("2.2 mmol/L")
    screenshot(page, "what-if")
    expect(page.locator("#cards-shown h2").first).to_contain_text("2.9 mmol/L", use_inner_text=False)


def test_a_medicine_is_taken_away_and_another_added(opened: OpenPage) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    page.get_by_role("tab", name="What if").click()
    offered = page.locator("[name=reference] optgroup[label=Medicines] option")
    offered.first.wait_for(state="attached")
    thiazide = offered.filter(has_text="hydrochlorothiazide")
    page.locator("[name=reference]").select_option(thiazide.get_attribute("value"))
    page.locator("[data-add=without]").click()
    page.locator("[name=medicine]").select_option("lithium")
    page.locator("[name=started]").fill("2026-05-01")
    page.locator("[data-add=medicine]").click()
    expect(page.locator("#chosen")).to_contain_text("without hydrochlorothiazide")
    page.get_by_role("button", name="Compare").click()
    result = page.locator("#comparison")
    expect(result.locator("mark", has_text="lithium").first).to_be_visible()
    expect(result).to_contain_text("≠ changed")


def test_a_change_is_shared_as_a_link_of_an_invented_patient(opened: OpenPage) -> None:
    changes = json.dumps([{"kind": "lab", "analyte": "K", "value": 2.2, "unit": "mmol/L"}])
    page = opened(f"{LOW_POTASSIUM}#changes={changes}", "#comparison .pair")
    expect(page.locator("#chosen")).to_contain_text("potassium: 2.2 mmol/L")
    expect(page.locator("#comparison")).to_contain_text("TW05")


def test_a_change_is_shared_as_a_file(opened: OpenPage, tmp_path: Path) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    potassium(page, "2.2")
    with page.expect_download() as download:
        page.get_by_role("button", name="Share as a file").click()
    file = tmp_path / "what-if.json"
    download.value.save_as(file)
    shared = json.loads(file.read_text(encoding="utf-8"))
    assert set(shared) == {"workbench", "changes", "patient"}  # no chart in it
    page = opened("/workbench/chart")
    page.get_by_label("or open a file").set_input_files(file)
    page.wait_for_selector("#comparison .pair")
    expect(page.locator("#comparison")).to_contain_text("TW05")


def test_a_link_with_nonsense_harms_nobody(opened: OpenPage) -> None:
    page = opened(f'{LOW_POTASSIUM}#changes=[{{"kind":"<img src=x onerror=alert(1)>"}}]', "#change-problems li")
    expect(page.locator("#change-problems")).to_contain_text("changes[0].kind")
    assert page.locator("#whatif img").count() == 0


# ---------------------------------------------------------------- Content and Feedback


def test_content_is_searched_and_read(opened: OpenPage, screenshot: Any) -> None:
    page = opened("/workbench/content")
    page.get_by_label("Search").fill("thyroid abnormal")
    page.get_by_role("button", name="Search").click()
    screenshot(page, "content-search", whole=False)
    page.get_by_role("link", name="TW14").first.click()
    expect(page.get_by_role("heading", name="TW14: Thyroid function abnormal")).to_be_visible()
    expect(page.locator("main")).to_contain_text("reviewed by nobody")
    for heading in ("Shown when", "Worked examples", "Sources", "Patients with this card"):
        expect(page.get_by_role("heading", name=re.compile(heading))).to_be_visible()
    screenshot(page, "content-rule")
    page.locator(".rule a", has_text="H35").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("H35")


def test_feedback_is_counted_by_card_and_reason(opened: OpenPage, screenshot: Any) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    page.locator("button.accept").first.click()
    expect(page.locator(".heard").first).to_contain_text("Reported")
    page = opened("/workbench/feedback")
    expect(page.get_by_role("row", name=re.compile("TW13"))).to_be_visible()
    screenshot(page, "feedback")
    page.get_by_label("From").select_option("ehr")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("main")).to_contain_text("No feedback of this origin yet")


# ---------------------------------------------------------------- for everybody

PAGES = [
    ("/workbench", "#stories", ""),
    (LOW_POTASSIUM, "article.card", "cards"),
    (LOW_POTASSIUM, "article.card", "why"),
    (LOW_POTASSIUM, "article.card", "whatif"),
    (LOW_POTASSIUM, "article.card", "request"),
    ("/workbench/chart", "#paste", ""),
    ("/workbench/history", "#start-history", ""),
    ("/workbench/content?text=potassium", "table", ""),
    ("/workbench/content/TW14", "table", ""),
    ("/handbook/cards/TW14.html", "h1", ""),
    ("/handbook/differential.html", "svg.map:visible", ""),
    ("/workbench/feedback", "h1", ""),
    ("/workbench/patients/nobody", "h1", ""),
    ("/docs", "h1", ""),
]
WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def shown(opened: OpenPage, path: str, settle: str, tab: str, **options: Any) -> Page:
    page = opened(path, settle, **options)
    if tab:
        page.locator(f"#tab-{tab}").click()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("path", "settle", "tab"), PAGES, ids=lambda part: str(part).rpartition("/")[2])
def test_axe_finds_no_barrier(opened: OpenPage, screenshot: Any, path: str, settle: str, tab: str, scheme: str) -> None:
    page = shown(opened, path, settle, tab, color_scheme=scheme, bypass_csp=True)  # axe is a script of its own
    if tab == "cards":
        page.locator("button.accept").first.click()
        page.locator("button.dismiss").first.click()
    if tab == "why":
        for value in ("absent", "unknown"):  # rows like the others: a second of axe for each hundred
            page.locator(f".toggle.{value}").click()
    if tab == "whatif":
        potassium(page, "2.2")
        page.get_by_role("button", name="Compare").click()
        page.wait_for_selector("#comparison .pair")
    if path.endswith("history"):
        page.get_by_label("Age in years").fill("58")
        page.get_by_role("button", name="Start").click()
        page.wait_for_selector("#questions fieldset")
    if scheme == "dark":
        screenshot(page, f"dark-{tab or path.rpartition('/')[2].partition('?')[0]}")
    found = Axe().run(page, options=WCAG).response["violations"]
    assert [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in found] == []


@pytest.mark.parametrize(("path", "settle", "tab"), PAGES, ids=lambda part: str(part).rpartition("/")[2])
def test_nothing_is_lost_on_a_phone_or_at_double_size(
    opened: OpenPage, screenshot: Any, path: str, settle: str, tab: str
) -> None:
    for name, viewport in (("phone", PHONE), ("zoom", {"width": DESK["width"] // 2, "height": DESK["height"] // 2})):
        page = shown(opened, path, settle, tab, viewport=viewport)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), name
        page_name = tab or path.rpartition("/")[2].partition("?")[0]
        screenshot(page, f"{name}-{page_name}", whole=name == "phone")


def test_whoever_wants_no_motion_gets_none(opened: OpenPage) -> None:
    still = opened("/workbench", "#stories", reduced_motion="reduce")
    assert still.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    moving = "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).animationName !== 'none').length"
    assert still.evaluate(moving) == 0
