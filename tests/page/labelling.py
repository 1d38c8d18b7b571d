"""A person at a browser, for the tests of the labelling page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from served import Served

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


def enter(page: Page, served: Served, name: str, at: str = "") -> None:
    """Follow a link of this member's to the page, or to what is `at` an address of it."""
    page.goto(served.link(name))
    page.wait_for_url(f"{served.url}/")
    _go_on(page, served, at)


def take_over(page: Page, served: Served, name: str, at: str = "") -> None:
    """The same in a browser where somebody else is, who agrees."""
    page.goto(served.link(name))
    page.get_by_role("button", name=f"Continue as {name}").click()
    page.wait_for_url(f"{served.url}/")
    _go_on(page, served, at)


def _go_on(page: Page, served: Served, at: str) -> None:
    if at:
        page.goto(f"{served.url}/{at}", timeout=120_000)  # the studio's first waits until Gradio is imported


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
    expect(page.locator("#status").get_by_text(text)).to_be_visible()


def tab_to(page: Page, css: str) -> None:
    """Go with the Tab key to what the selector finds."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("css => document.activeElement.matches(css)", css):
            return
    raise AssertionError(f"no Tab leads to {css}")


SEEN = """(walked) => {
  const here = document.activeElement;
  const look = () => {
    let drawn = "";
    for (let part = here; part && part !== document.body; part = part.parentElement) {
      const { outline, boxShadow, borderColor, backgroundColor } = getComputedStyle(part);
      drawn += [outline, boxShadow, borderColor, backgroundColor].join();
    }
    return drawn;
  };
  const focused = look();
  here.blur();
  const seen = focused !== look();
  here.focus();
  walked.add(here);
  return here === document.body || seen ? "" : here.outerHTML.slice(0, 200);
}"""
LEFT = """(walked, inside) => [...document.querySelector(inside)
  .querySelectorAll("a[href], button, input, textarea, select")]
  .filter((one) => !walked.has(one) && !one.disabled && one.checkVisibility({ visibilityProperty: true }))
  .filter((one) => one.tabIndex >= 0 && one.offsetWidth > 1).map((one) => one.outerHTML.slice(0, 200))"""


def walk(page: Page, inside: str) -> list[str]:
    """Walk with the Tab key from what has the focus to the page's end: what shows no focus there, and what of
    `inside` no key led to."""
    walked = page.evaluate_handle("new Set()")
    unseen = []
    for _ in range(200):
        page.keyboard.press("Tab")
        unseen.append(walked.evaluate(SEEN))
        if page.evaluate("document.activeElement === document.body"):
            break
    return [*filter(None, unseen), *walked.evaluate(LEFT, inside)]
