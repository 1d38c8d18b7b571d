"""A person at a browser, for the tests of the labelling page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
Browser, Page, expect = sync_api.Browser, sync_api.Page, sync_api.expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that this machine has."""
    if CHROMIUM is None:
        pytest.skip("this machine has no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def saved(page: Page) -> None:
    """Wait until the page says that all is saved."""
    expect(page.locator("#state")).to_have_text("Saved")


def prompt(page: Page) -> str:
    """What is asked on the screen."""
    return str(page.locator("#prompt .user .body").last.inner_text()).strip()


def sees(page: Page, text: str) -> None:
    """Wait until this is asked on the screen, and painted: what nobody has seen cannot be judged."""
    expect(page.locator("#prompt .user .body").last).to_have_text(text)
    page.evaluate("() => new Promise(requestAnimationFrame)")


def until(page: Page, expression: str) -> None:
    """Wait until this is true in the browser. Playwright's own way evaluates in the page, which its policy
    forbids."""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"waited in vain for {expression}")


def ask(page: Page, text: str) -> None:
    """Ask something in the studio's chat."""
    page.locator("#prompt textarea").fill(text)
    page.keyboard.press("Enter")


def says(page: Page, text: str) -> None:
    """Wait until this is the last answer of the studio's chat."""
    expect(page.locator("#chat .bot .md").last).to_have_text(text)


def status(page: Page, text: str) -> None:
    """Wait until the studio's chat says this."""
    expect(page.locator("#status")).to_contain_text(text)
