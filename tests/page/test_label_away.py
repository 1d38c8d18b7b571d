"""A reload without a server: the page is there, with what is kept and the items of before."""

import json
from collections.abc import Callable, Iterator

import pytest
from labelling import Browser, Page, expect, saved, sees, take_over, until
from served import Served, pairs

AWAY = "The server cannot be reached."
KEPT = """async () => {
  const found = {};
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      found[new URL(request.url).pathname] = await (await cache.match(request)).text();
    }
  }
  return found;
}"""
READY = "(async () => (await caches.keys()).some((name) => name.startsWith('tuner.files.')))()"


@pytest.fixture(autouse=True)
def up(served: Served) -> Iterator[None]:
    """Each test begins with a server, whatever became of the one before."""
    yield
    if not served.running:
        served.start()


def ready(page: Page, tasks: int = 10) -> None:
    """Wait until the browser keeps the page and so many tasks."""
    until(page, "(async () => Boolean(navigator.serviceWorker.controller))()")
    until(page, READY)
    until(page, f"({KEPT})().then((all) => JSON.parse(all['/kept/order'] ?? '[]').length >= {tasks})")


def kept(page: Page) -> dict[str, str]:
    """All that the browser keeps in caches, by path."""
    found: dict[str, str] = page.evaluate(KEPT)
    return found


def test_reload_label_and_saved_when_it_is_back(page: Page, served: Served, name: str) -> None:
    page.keyboard.press("1")
    sees(page, "Question 1")
    saved(page)
    ready(page)
    served.stop()
    page.keyboard.press("2")
    sees(page, "Question 2")
    page.reload()
    sees(page, "Question 2")
    expect(page.locator("#alert")).to_contain_text(AWAY)
    expect(page.locator("#who")).to_have_text(name)
    expect(page.locator("#state")).to_contain_text("Not saved: 1")
    page.keyboard.press("g")
    expect(page.locator("#guidelines")).to_contain_text("Prefer what is right.")
    page.keyboard.press("Escape")
    for n, key in enumerate("0b", 2):
        sees(page, f"Question {n}")
        page.keyboard.press(key)
    sees(page, "Question 4")
    page.reload()  # and once more
    sees(page, "Question 4")
    expect(page.locator("#state")).to_contain_text("Not saved: 3")
    served.start()
    expect(page.locator("#state")).to_have_text("Saved", timeout=40_000)
    expect(page.locator("#alert")).to_be_hidden(timeout=20_000)
    sees(page, "Question 4")
    assert served.verbs(name) == ["choose", "choose", "tie", "both_bad"]
    expect(page.locator("#far")).to_contain_text("4 done · 26 left · 4 today")


def test_a_closed_window_opens_without_the_server(browser: Browser, served: Served, name: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.link(name))
    sees(page, "Question 0")
    ready(page)
    page.close()
    served.stop()
    page = context.new_page()
    page.goto(served.url)
    for n in range(12):  # all that was there
        sees(page, f"Question {n}")
        page.keyboard.press("1")
        if n == 3:
            page.keyboard.press("u")
            sees(page, "Question 3")
            page.keyboard.press("1")
    expect(page.locator("#empty h2")).to_have_text("No connection")
    served.start()
    expect(page.locator("#state")).to_have_text("Saved", timeout=60_000)
    sees(page, "Question 12")
    assert served.verbs(name).count("choose") == 13
    context.close()


def test_only_the_page_itself_and_what_is_the_persons_own_is_kept(
    page: Page, served: Served, name: str
) -> None:
    served.member(f"{name} other")
    served.share(pairs(3, "Secret {n}"), f"Secrets of {name}", people=[f"{name} other"])
    ready(page)
    found = kept(page)
    files = {path: text for path, text in found.items() if path.startswith("/static/")}
    assert "/static/label.html" in files
    assert not any(name in text for text in files.values())
    rest = {path for path in found if not path.startswith(("/static/", "/kept/task/"))}
    assert rest == {"/kept/person", "/kept/batches", "/kept/order"}
    assert json.loads(found["/kept/person"])["name"] == name
    assert not any("Secret" in text or "gold" in text for path, text in found.items() if path not in files)
    secret = page.context.cookies()[0]["value"]
    assert not any(secret in text for text in found.values())


def test_who_leaves_takes_it_along(page: Page, served: Served, name: str) -> None:
    ready(page)
    page.keyboard.press("?")
    page.get_by_role("button", name="Leave this browser").click()
    page.wait_for_url(f"{served.url}/join")
    assert kept(page) == {}
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 0


def test_who_is_out_keeps_nothing(page: Page, served: Served, name: str) -> None:
    ready(page)
    page.context.clear_cookies()
    page.goto(served.url)
    page.wait_for_url(f"{served.url}/join")
    expect(page.locator("#said")).to_have_text("This page opens with a link")
    until(page, f"({KEPT})().then((all) => Object.keys(all).length === 0)")


def test_the_next_person_gets_nothing_of_the_one_before(
    join: Callable[..., Page], served: Served, name: str
) -> None:
    page = join(name)
    ready(page)
    other = f"{name} B"
    served.member(other)
    served.share(pairs(1, "Mine {n}"), f"Those of {other}", people=[other])
    take_over(page, served, other)
    sees(page, "Mine 0")
    ready(page, 1)
    assert not any("Question" in text for path, text in kept(page).items() if path.startswith("/kept/"))
    served.stop()
    page.reload()
    sees(page, "Mine 0")


def test_files_of_a_new_version_are_kept_in_place_of_the_old_ones(page: Page) -> None:
    ready(page)
    page.evaluate("""async () => {  // as a version before this one would have left it
        for (const name of await caches.keys()) await caches.delete(name);
        const old = await caches.open('tuner.files.old');
        await old.put('/static/label.html', new Response('old'));
        for (const one of await navigator.serviceWorker.getRegistrations()) await one.unregister();
    }""")
    page.reload()
    sees(page, "Question 0")
    until(page, "(async () => !(await caches.has('tuner.files.old')))()")
    ready(page)
    assert "<!doctype html>" in kept(page)["/static/label.html"]


@pytest.mark.parametrize("path", ["/join", "/studio/", "/api/me", "/static/nothing.js"])
def test_everything_else_passes_by(page: Page, served: Served, path: str) -> None:
    ready(page)
    answer = page.goto(f"{served.url}{path}")
    assert answer is not None
    assert not answer.from_service_worker
