"""Patients, Cards and Why, as a person uses them."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cds_service.settings import read_settings
from cds_service.web.store import Store
from tests.browser.conftest import PHONE, SCREENSHOTS, OpenPage
from tests.conftest import FIXTURES
from tests.served import Served

pytestmark = pytest.mark.apt

LOW_POTASSIUM = "/workbench/patients/EX07-thiazide-ppi-low-k-mg"
WASTING = "/workbench/patients/EX04-hand-weakness-wasting-brisk-legs"


def kept(served: Served) -> list[dict[str, Any]]:
    store = Store(read_settings({"CDS_DATABASE_URL": f"sqlite:///{served.state}/cds-service/feedback.sqlite"}))
    rows = list(store.entries())
    store.close()
    return rows


# ---------------------------------------------------------------- Patients


def test_the_printed_address_leads_to_the_patients(opened: OpenPage, served: Served, screenshot: Any) -> None:
    assert f"Workbench:  http://127.0.0.1:{served.port}/workbench" in served.printed
    page = opened("/")
    expect(page.get_by_role("heading", name="Patients")).to_be_visible()
    assert page.locator("#stories > li").count() > 300
    screenshot(page, "patients-light", whole=False)


def test_patients_are_found_by_words_tier_card_and_hypothesis(opened: OpenPage) -> None:
    page = opened("/workbench")
    page.get_by_label("Search the stories").fill("potassium thiazide")
    expect(page.get_by_role("status")).to_have_text(re.compile(r"^[1-9]\d? patients?$"))
    page.get_by_role("button", name="Clear").click()
    filters = (("tier", "T0", "tiers"), ("card", "TW14", "cards"), ("hypothesis", "H35", "hypotheses"))
    for name, choice, attribute in filters:
        page.locator(f"select[name={name}]").select_option(choice)
        shown = page.locator("#stories > li:visible")
        assert 0 < shown.count() < 150
        assert all(choice in (one.get_attribute(f"data-{attribute}") or "") for one in shown.all())
        page.get_by_role("button", name="Clear").click()
    page.get_by_label("Search the stories").fill("no such words")
    expect(page.get_by_text("No patient fits")).to_be_visible()


def test_from_the_address_to_the_reason_by_keyboard_alone(opened: OpenPage) -> None:
    page = opened("/workbench")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("TSH 0.01")
    while page.evaluate("document.activeElement.closest('#stories') === null"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("article.card")
    page.get_by_role("tab", name="Cards").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Why")).to_be_focused()
    expect(page.locator("#why-answer")).to_contain_text("Thyroid function abnormal")
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Request")).to_have_attribute("aria-selected", "true")


# ---------------------------------------------------------------- Cards


def test_the_cards_are_those_that_the_hook_answers(opened: OpenPage, screenshot: Any) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    answer = json.loads(page.locator("#response").text_content() or "")
    assert page.locator("article.card h2").all_text_contents() == [card["summary"] for card in answer["cards"]]
    card = page.locator("article.card").first
    expect(card.locator(".indicator")).to_have_text("◆ Warning")
    assert card.locator(".detail strong").first.text_content() == "Found"
    assert card.locator("button.accept").count() == len(answer["cards"][0]["suggestions"])
    screenshot(page, "cards-light")


def test_accepting_shows_the_order_and_is_reported(opened: OpenPage, served: Served, screenshot: Any) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    before = len(kept(served))
    page.locator("button.accept").first.click()
    orders = page.locator(".orders:visible")
    expect(orders).to_contain_text("ServiceRequest, draft, order")
    orders.get_by_text("As JSON").first.click()
    request = json.loads(orders.locator("pre").first.text_content() or "")
    assert request["resourceType"] == "ServiceRequest"
    expect(page.locator(".heard").first).to_contain_text("Reported as feedback of the workbench")
    rows = kept(served)[before:]
    assert [(row["outcome"], row["origin"], row["verified"]) for row in rows] == [("accepted", "workbench", True)]
    screenshot(page, "cards-accepted")


def test_overriding_asks_for_a_coded_reason_and_is_reported(opened: OpenPage, served: Served, screenshot: Any) -> None:
    page = opened(WASTING, "article.card")
    before = len(kept(served))
    card = page.locator("article.card").first
    card.get_by_role("button", name="Override …").click()
    card.get_by_label("Reason").select_option(index=1)
    card.get_by_label("Comment").fill("Seen in the clinic <b>last</b> week.")
    screenshot(page, "cards-override")
    card.get_by_role("button", name="Override this card").click()
    expect(card.locator(".heard")).to_contain_text("Overridden.")
    row = kept(served)[before]
    assert (row["outcome"], row["origin"], row["comment"]) == (
        "overridden",
        "workbench",
        "Seen in the clinic <b>last</b> week.",
    )
    assert row["reason_code"] not in (None, "unlisted")
    page.reload()
    page.wait_for_selector("article.card")  # a trial hides no card


def test_a_double_click_reports_once(opened: OpenPage, served: Served) -> None:
    page = opened(WASTING, "article.card")

    def late(route: Any) -> None:
        page.wait_for_timeout(300)  # the second click comes before the answer
        route.continue_()

    page.route("**/feedback", late)
    before = len(kept(served))
    card = page.locator("article.card").first
    card.locator("button.accept").first.dblclick()
    expect(card.locator(".heard")).to_contain_text("Accepted.")
    card.locator("button.accept").first.click()  # opens the list again, and reports nothing
    card.get_by_role("button", name="Override …").click()
    card.get_by_label("Reason").select_option(index=1)
    card.get_by_role("button", name="Override this card").dblclick()
    expect(card.locator(".heard")).to_contain_text("Overridden.")
    assert [row["outcome"] for row in kept(served)[before:]] == ["accepted", "overridden"]


def test_what_was_not_reported_can_be_sent_again(opened: OpenPage, served: Served) -> None:
    page = opened(WASTING, "article.card")
    page.route("**/feedback", lambda route: route.abort(), times=1)
    before = len(kept(served))
    card = page.locator("article.card").first
    card.locator("button.accept").first.click()
    expect(card.locator(".heard")).to_contain_text("Not reported")
    for _ in range(2):
        card.locator("button.accept").first.click()
    expect(card.locator(".heard")).to_contain_text("Accepted.")
    assert len(kept(served)) == before + 1


def test_the_curl_that_is_shown_gives_the_same_cards(opened: OpenPage) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    page.get_by_text("Ask it again with curl").click()
    command = page.locator("#curl").text_content() or ""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30)
    again = [card["summary"] for card in json.loads(done.stdout)["cards"]]
    assert again == page.locator("article.card h2").all_text_contents()


def test_no_card_says_why(opened: OpenPage, screenshot: Any) -> None:
    page = opened("/workbench/patients/A01-cramps-no-twitching", ".nothing")
    expect(page.locator(".nothing")).to_contain_text("No card.")
    screenshot(page, "cards-none")
    page.get_by_role("button", name="Show why").click()
    expect(page.locator("#why-answer")).to_contain_text("Muscle twitching")


# ---------------------------------------------------------------- Why


def test_why_shows_the_ladder_the_reasons_and_the_evidence(opened: OpenPage, screenshot: Any) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    page.get_by_role("button", name="Why this card").first.click()
    ladder = page.locator("#why-ladder tbody tr")
    assert ladder.count() == 28
    expect(ladder.first.locator("td").first).to_have_text("T0")
    expect(ladder.filter(has=page.locator("a[href$=TW13]"))).to_contain_text("shown")
    expect(ladder.filter(has=page.locator("a[href$=TW18]"))).to_contain_text("merged into TW13")
    expect(ladder.filter(has=page.locator("a[href$=TW22]"))).to_contain_text("held back: An abnormal result")
    hypokalaemia = page.locator(".hypothesis", has_text="hypokalaemia")
    for part in ("For", "Against", "Missing", "Decided by"):
        expect(hypokalaemia).to_contain_text(part)
    tests = page.locator("#why-tests")
    expect(tests).to_contain_text("✓ suggested")
    expect(tests).to_contain_text("a normal result still counts")
    potassium = page.locator("#why-labs figure", has_text="potassium")
    for text in ("mmol/L", "meq/L", "critical low 2.5"):
        expect(potassium.locator("svg")).to_contain_text(text)
    assert page.locator("#why-timeline svg rect.medicines").count() >= 2
    screenshot(page, "why-light")
    page.locator("#why-answer .to-resource", has_text="potassium").first.click()
    expect(page.locator("dialog pre")).to_contain_text('"resourceType": "Observation"')
    screenshot(page, "why-resource", whole=False)
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()


def test_facts_are_three_valued_and_can_be_sifted(opened: OpenPage) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    page.get_by_role("tab", name="Why").click()
    rows = page.locator("#facts tbody tr:visible")
    everything = rows.count()
    page.get_by_role("button", name=re.compile("unknown")).click()
    assert rows.count() < everything
    page.locator("[name=fact-text]").fill("potassium")
    assert 0 < rows.count() < 20
    for row in rows.all():
        assert row.locator(".presence").text_content() in ("● present", "○ absent")


def test_each_card_leads_to_its_rule(opened: OpenPage) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    link = page.locator(".rules a").first
    assert (link.get_attribute("href") or "").endswith("/workbench/content/TW13")


def test_printed_the_reasoning_is_whole(opened: OpenPage) -> None:
    page = opened(LOW_POTASSIUM, "article.card", color_scheme="dark")
    page.get_by_role("tab", name="Why").click()
    page.emulate_media(media="print")
    for place in ("#why-tests details li", "#why-labs details td", "#why-timeline details td", "#why-hypotheses li"):
        expect(page.locator(place).last).to_be_visible()  # nothing is folded
    scrolled = "(all) => all.filter((one) => getComputedStyle(one).overflow !== 'visible').length"
    assert page.locator("#why .scroll").evaluate_all(scrolled) == 0
    unknown = page.locator("#why-facts .print-only")
    expect(unknown).to_contain_text("Unknown (")
    titles = page.locator("#facts tr[data-presence=unknown] td:first-child").all_text_contents()
    listed = (unknown.text_content() or "").lower()
    assert all(title.rpartition(" ")[0].strip().lower() in listed for title in titles)
    expect(page.locator("#why-ladder")).to_have_css("color", "rgb(0, 0, 0)")  # dark on white, in either theme
    SCREENSHOTS.mkdir(exist_ok=True)
    assert page.pdf(path=SCREENSHOTS / "print-why.pdf", format="A4")


# ---------------------------------------------------------------- a chart of one's own


def paste(page: Page, text: str) -> None:
    page.get_by_label("Paste JSON").fill(text)
    page.get_by_role("button", name="Assess").click()


def test_a_pasted_bundle_is_assessed_as_of_a_day(opened: OpenPage, screenshot: Any) -> None:
    page = opened("/workbench/chart")
    page.get_by_label("Day on which").fill("2026-06-15")
    paste(page, (FIXTURES / "records" / "EX10-suppressed-tsh.json").read_text(encoding="utf-8"))
    expect(page.locator("article.card h2")).to_contain_text("Thyroid-stimulating hormone")
    screenshot(page, "own-chart")
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    page.reload()
    assert page.get_by_label("Paste JSON").input_value() == ""
    expect(page.locator("article.card")).to_have_count(0)


def test_a_rule_opens_beside_a_pasted_chart(opened: OpenPage) -> None:
    page = opened("/workbench/chart")
    page.get_by_label("Day on which").fill("2026-06-15")
    paste(page, (FIXTURES / "records" / "EX10-suppressed-tsh.json").read_text(encoding="utf-8"))
    for place in ("article.card .rules a", "#why-tests a"):
        if place.startswith("#why"):
            page.get_by_role("tab", name="Why").click()
        with page.context.expect_page() as beside:
            page.locator(place).first.click()
        expect(beside.value.get_by_role("heading", level=1)).to_be_visible()
        assert "/workbench/content/" in beside.value.url
        assert beside.value.evaluate("window.opener") is None
    page.get_by_role("tab", name="Cards").click()
    expect(page.locator("article.card h2").first).to_contain_text("Thyroid-stimulating hormone")


def test_a_request_opened_as_a_file_is_assessed(opened: OpenPage) -> None:
    page = opened("/workbench/chart")
    page.get_by_label("or open a file").set_input_files(FIXTURES / "requests" / "hand-weakness.json")
    expect(page.locator("article.card").first).to_be_visible()


WRONG = [
    ("{", "This is no JSON"),
    ('{"resourceType": "Patient"}', "resourceType: is no Bundle"),
    ('{"resourceType": "Bundle", "entry": []}', "Bundle.entry: holds 0 Patient"),
    ('{"hook": "patient-view"}', "hookInstance: "),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_cannot_be_read_is_named_with_what_to_do(opened: OpenPage, text: str, said: str) -> None:
    page = opened("/workbench/chart")
    paste(page, text)
    expect(page.get_by_role("alert")).to_contain_text(said)


def test_faults_of_resources_are_named_by_path(opened: OpenPage, screenshot: Any) -> None:
    bundle = json.loads((FIXTURES / "records" / "EX10-suppressed-tsh.json").read_bytes())
    bundle["entry"][1]["resource"]["onsetDateTime"] = "yesterday"
    page = opened("/workbench/chart")
    paste(page, json.dumps(bundle))
    expect(page.locator("#notes")).to_contain_text("Bundle.entry[1].resource.onsetDateTime")
    expect(page.get_by_role("alert")).to_contain_text("prefetch.conditions: 1 of 4 could not be read")
    screenshot(page, "own-chart-faults", whole=False)


HOSTILE = (
    '<script>document.title="taken"</script>\u202eoediv\u202c<img src=x onerror=alert(1)> [link](javascript:alert(1)) '
    "**bold** {{ 7 * 7 }} ![i](http://evil.example/x.png) </pre></title>"
)


def hostile_bundle(text: str) -> str:
    """A chart in which every text that a person could write is this one."""
    bundle: Any = json.loads((FIXTURES / "records" / "EX07-thiazide-ppi-low-k-mg.json").read_bytes())

    def spoil(value: Any) -> Any:
        if isinstance(value, list):
            return [spoil(one) for one in value]
        if isinstance(value, dict):
            return {k: text if k in written and isinstance(v, str) else spoil(v) for k, v in value.items()}
        return value

    # A hundred kilobytes in every field would be more than the service takes.
    written = ("text", "display", "family", "unit") if len(text) < 1000 else ("family", "text")
    spoiled = spoil(bundle)
    problems = [e["resource"] for e in spoiled["entry"] if e["resource"]["resourceType"] == "Condition"]
    for problem in problems:
        # A Condition as long as that is refused by its path, which is no less safe; here it must be shown.
        problem["code"] = {"text": f"Muscle twitching {HOSTILE}"}
    return json.dumps(spoiled)


@pytest.mark.parametrize("text", [HOSTILE, HOSTILE + "long " * 20_000], ids=["short", "100 kB"])
def test_hostile_text_is_shown_as_text(opened: OpenPage, screenshot: Any, text: str) -> None:
    page = opened("/workbench/chart")
    page.on("dialog", lambda dialog: pytest.fail("a script of the chart ran"))
    page.get_by_label("Day on which").fill("2026-06-15")
    paste(page, hostile_bundle(text))
    page.wait_for_selector("article.card")
    page.get_by_role("tab", name="Why").click()
    for place in ("#cards-shown", "#why"):
        assert page.locator(f"{place} script, {place} img, {place} [onerror], {place} a[href^=javascript]").count() == 0
    expect(page.locator("#why-answer")).to_contain_text("<script>document.title")
    expect(page.locator("#why-answer")).to_contain_text("⟨U+202E⟩")
    assert "taken" not in page.title()
    assert "\u202e" not in (page.locator("#chart").text_content() or "")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if len(text) < 1000:
        screenshot(page, "why-hostile", whole=False)


def test_the_service_that_is_gone_is_said(opened: OpenPage) -> None:
    page = opened("/workbench/chart")
    page.route("**/workbench/request", lambda route: route.abort())
    paste(page, '{"resourceType": "Bundle"}')
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")


# ---------------------------------------------------------------- size and speed


def many(count: int) -> str:
    """A record with so many more results."""
    bundle = json.loads((FIXTURES / "records" / "EX07-thiazide-ppi-low-k-mg.json").read_bytes())
    potassium = [e["resource"] for e in bundle["entry"] if '"2823-3"' in json.dumps(e)]
    for n in range(count):
        day = f"{2020 + n % 6}-{1 + n % 12:02}-{1 + n % 28:02}"
        one = potassium[0] | {"id": f"more-{n}", "effectiveDateTime": day}
        bundle["entry"].append({"resource": one})
    return json.dumps(bundle)


def test_a_thousand_facts_do_not_lag(opened: OpenPage) -> None:
    page = opened("/workbench/chart")
    page.get_by_label("Day on which").fill("2026-06-15")
    paste(page, many(1000))
    page.wait_for_selector("article.card", timeout=40_000)
    page.get_by_role("tab", name="Why").click()
    slow = page.evaluate("""() => {
      const field = document.querySelector('[name=fact-text]');
      const began = performance.now();
      field.value = 'potassium';
      field.dispatchEvent(new Event('input', {bubbles: true}));
      document.body.offsetHeight;
      return performance.now() - began;
    }""")
    assert slow < 200
    assert page.locator("#why-timeline details tbody tr").count() > 1000


def test_a_page_at_phone_width_needs_no_sideways_scrolling(opened: OpenPage) -> None:
    for path, settle in (("/workbench", "#stories"), (LOW_POTASSIUM, "article.card"), ("/workbench/chart", "#paste")):
        page = opened(path, settle, viewport=PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        if page.locator("#tab-why").is_visible():
            page.get_by_role("tab", name="Why").click()
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_printed_pages_hold_the_cards_and_no_controls(opened: OpenPage) -> None:
    page = opened(LOW_POTASSIUM, "article.card")
    page.emulate_media(media="print")
    expect(page.locator("article.card").first).to_be_visible()
    expect(page.locator(".draft")).to_be_visible()
    expect(page.locator("article.card .print-only").first).to_contain_text(
        "Suggestions: Recheck with companion tests; ECG"
    )
    for control in (".top nav", ".tabs", ".choices"):
        expect(page.locator(control).first).to_be_hidden()
    SCREENSHOTS.mkdir(exist_ok=True)
    assert page.pdf(path=SCREENSHOTS / "print-cards.pdf", format="A4")
