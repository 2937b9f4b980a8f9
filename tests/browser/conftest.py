"""A real Chromium on the real service; screenshots stay beside the tests as artefacts."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.served import Served, serving

SCREENSHOTS = Path(__file__).parent / "screenshots"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1360, "height": 900}

_LAY_OUT = """() => new Promise((done) => {
  for (const place of document.querySelectorAll('#why > section, #stories > li')) {
    place.style.contentVisibility = 'visible';
  }
  requestAnimationFrame(() => requestAnimationFrame(done));
})"""

OpenPage = Callable[..., Page]


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "chromium is needed: apt-get install chromium"
    return found


expect.set_options(timeout=20_000)  # CI may be slow


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("workbench")) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Without a sandbox of its own, because tests may run as root in a container; only our own pages are opened.
        running = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(served: Served, browser: Browser) -> Iterator[OpenPage]:
    """Open a page of the workbench. No page may ask anybody else, break its policy or raise an error."""
    contexts, faults = [], []

    def open_page(path: str, settle: str = "", **options: object) -> Page:
        context = browser.new_context(**({"viewport": DESK} | options))  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(40_000)  # CI may be slow
        base = f"http://127.0.0.1:{served.port}"
        page.on(
            "request",
            lambda asked: faults.append(asked.url) if not asked.url.startswith((base, "data:", "blob:")) else None,
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto(base + path)
        if settle:
            page.wait_for_selector(settle)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def screenshot() -> Callable[..., None]:
    """Keep a picture of a page under this name."""

    def keep(page: Page, name: str, whole: bool = True) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        if whole:  # what nobody has scrolled to is not laid out, and would be an empty place in the picture
            page.evaluate(_LAY_OUT)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)

    return keep
