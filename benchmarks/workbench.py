"""How soon the workbench shows something on a slow machine.

Serves one node, slows Chromium's processor down (`Emulation.setCPUThrottlingRate`) and measures, each time in a
browser without anything kept: the gallery's first contentful paint, an invented patient from the address to the
cards, from a click to the reasoning; and a record with many results from Assess to the cards, to the reasoning, and
from a key in the search of the facts to the next picture. Only the page is slowed down, not the service. The first
view after a start comes first, unrepeated. Medians in milliseconds, with the slowest; at 1 also the processor time of
the page for each view, which other load on the machine changes least.

    python benchmarks/workbench.py [--slowdown 1 4 6] [--runs 5] [--results 1000]

Needs the packages of the tests and the system's Chromium. Let nothing else run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.nodes import ROOT, Node, ask

SETTINGS = {"CDS_TODAY": "2026-06-15", "CDS_SECRET": "only-for-this-benchmark"}
PATIENT = "EX07-thiazide-ppi-low-k-mg"
PATIENCE = 120_000  # milliseconds

# Notes when the first element of each kind stands on the page and has been drawn.
_WATCH = """
const seen = (window.seen = {});
const wanted = {cards: "article.card", why: "#why-answer"};
new MutationObserver(() => {
  for (const [name, selector] of Object.entries(wanted)) {
    if (!(name in seen) && document.querySelector(selector)) {
      seen[name] = null;
      requestAnimationFrame(() => setTimeout(() => { seen[name] = performance.now(); }));
    }
  }
}).observe(document, {childList: true, subtree: true});
"""
# From something that is done until the picture after it.
_UNTIL_DRAWN = """(doing) => new Promise((done) => {
  const began = performance.now();
  DOING[doing]();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})""".replace(
    "DOING",
    """({
  why: () => document.querySelector('#tab-why').click(),
  search: () => {
    const field = document.querySelector('[name=fact-text]');
    field.value = 'potassium';
    field.dispatchEvent(new Event('input', {bubbles: true}));
  },
  fold: () => document.querySelector('.toggle.unknown').click(),
  all: () => { document.querySelector('#why-timeline details').open = true; },
})""",
)


def large_record(results: int) -> str:
    """An invented record with so many more potassium results, over six years."""
    bundle = json.loads((ROOT / "fixtures" / "records" / f"{PATIENT}.json").read_bytes())
    potassium = next(e["resource"] for e in bundle["entry"] if '"2823-3"' in json.dumps(e))
    for n in range(results):
        day = f"{2020 + n % 6}-{1 + n % 12:02}-{1 + n % 28:02}"
        bundle["entry"].append({"resource": potassium | {"id": f"more-{n}", "effectiveDateTime": day}})
    return json.dumps(bundle)


@contextmanager
def slowed(browser: Browser, rate: float) -> Iterator[tuple[Page, Callable[[], float]]]:
    """A page of a browser that has kept nothing, with its processor slowed down; and what it has worked, in ms."""
    context = browser.new_context(viewport={"width": 1360, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    session = context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": rate})
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.add_init_script(_WATCH)
    yield page, lambda: _worked(session)
    context.close()


def _worked(session: CDPSession) -> float:
    """Milliseconds of processor time of the page's main thread: the figure that other load changes least."""
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(found["TaskDuration"]) * 1000


def first_paint(page: Page) -> float:
    """Milliseconds from the navigation to the first contentful paint."""
    return number(page, "performance.getEntriesByName('first-contentful-paint')[0]?.startTime")


def shown_at(page: Page, name: str) -> float:
    return number(page, f"window.seen.{name}")


def number(page: Page, expression: str) -> float:
    """A number that the page will have. Asked again and again: its policy lets no function wait in it."""
    until = time.monotonic() + PATIENCE / 1000
    while (found := page.evaluate(expression)) is None:
        if time.monotonic() > until:
            raise SystemExit(f"nothing after {PATIENCE} ms: {expression}")
        time.sleep(0.02)
    return float(found)


def gallery(page: Page, base: str) -> dict[str, float]:
    page.goto(f"{base}/workbench")
    return {"gallery, first contentful paint": first_paint(page)}


def patient(page: Page, base: str) -> dict[str, float]:
    page.goto(f"{base}/workbench/patients/{PATIENT}")
    found = {"patient, first contentful paint": first_paint(page), "patient, cards": shown_at(page, "cards")}
    shown_at(page, "why")
    return found | {"patient, click on Why": page.evaluate(_UNTIL_DRAWN, "why")}


def large(page: Page, base: str, record: str) -> dict[str, float]:
    page.goto(f"{base}/workbench/chart")
    page.fill("#as-of", "2026-06-15")
    page.evaluate("(text) => { document.querySelector('#pasted').value = text; }", record)
    began = page.evaluate("(document.querySelector('#paste button').click(), performance.now())")
    found = {"large record, cards": shown_at(page, "cards") - began}
    shown_at(page, "why")
    for name, doing in (("click on Why", "why"), ("search the facts", "search"), ("hide the unknown", "fold"),
                        ("unfold all dated entries", "all")):  # fmt: skip
        found[f"large record, {name}"] = page.evaluate(_UNTIL_DRAWN, doing)
    return found


def measure(browser: Browser, base: str, rates: list[float], runs: int, results: int) -> None:
    with slowed(browser, rates[0]) as (page, _):
        for name, value in gallery(page, base).items():
            print(f"{name}, first view after the start, slowed {rates[0]:g}×: {value:.0f} ms", flush=True)
    asked = []
    for _ in range(20):
        began = time.perf_counter()
        ask(int(base.rpartition(":")[2]), "GET", "/workbench")
        asked.append((time.perf_counter() - began) * 1000)
    print(f"the service alone, gallery: median {median(asked):.0f} ms, slowest {max(asked):.0f} ms", flush=True)
    record = large_record(results)
    for rate in rates:
        found: dict[str, list[float]] = {}
        for _ in range(runs):
            views: list[Any] = [gallery, patient, lambda page, base: large(page, base, record)]
            for view in views:
                with slowed(browser, rate) as (page, worked):
                    for name, value in view(page, base).items():
                        found.setdefault(name, []).append(value)
                    if rate == 1:  # slowing down is itself work of the same thread
                        of = name.partition(",")[0]
                        found.setdefault(f"{of}, all of it, processor time", []).append(worked())
        print(f"\nslowed {rate:g}×, {runs} runs, {results} more results in the large record")
        for name, values in found.items():
            print(f"  {name:42}{median(values):7.0f} ms   slowest {max(values):6.0f}", flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--slowdown", type=float, nargs="+", default=[1, 4, 6], help="how much slower (default 1 4 6)")
    asked.add_argument("--runs", type=int, default=5, help="of each view at each slowdown (default 5)")
    asked.add_argument(
        "--results", type=int, default=1000, help="results that the large record has more (default 1000)"
    )
    given = asked.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        node = Node("node", Path(folder), SETTINGS)
        node.start()
        # Without a sandbox of its own, because it may run as root in a container; only our own pages are opened.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            measure(browser, f"http://127.0.0.1:{node.port}", given.slowdown, given.runs, given.results)
        finally:
            browser.close()
            node.stop()


if __name__ == "__main__":
    main()
