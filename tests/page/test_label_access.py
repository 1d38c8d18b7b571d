"""The page for everybody: by keyboard alone, read aloud, in the dark, in two languages."""

import json
import re
from collections.abc import Callable
from importlib.resources import files

import pytest
from labelling import PHONE, Browser, Page, expect, sees
from served import Served

STATIC = files("tuner_app.page") / "static"
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")


def faults(page: Page) -> list[str]:
    """What axe-core finds wrong, and where."""
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = axe.Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"color_scheme": "dark"},
        {"viewport": PHONE, "has_touch": True, "is_mobile": True},
        {"locale": "zh-CN", "color_scheme": "dark"},
    ],
    ids=["desk", "dark", "phone", "Chinese"],
)
def test_axe_finds_nothing(join: Callable[..., Page], name: str, how: dict[str, object]) -> None:
    page = join(name, **how)
    assert faults(page) == []
    for key, opened in (("?", "#help"), ("t", "#reasons"), ("g", "#guidelines")):
        page.keyboard.press(key)
        expect(page.locator(opened)).to_be_visible()
        assert faults(page) == []
        page.keyboard.press("Escape")
        expect(page.locator(opened)).to_be_hidden()
    page.keyboard.press("d")
    assert faults(page) == []
    page.keyboard.press("e")
    page.keyboard.press("1")
    expect(page.locator(".editor")).to_be_focused()
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.context.set_offline(True)
    page.keyboard.press("2")
    expect(page.locator("#state")).to_have_class("not-saved")
    assert faults(page) == []


def test_axe_finds_nothing_where_there_is_nothing(browser: Browser, served: Served) -> None:
    served.member("Nobody")
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.url)
    expect(page.locator("#paste")).to_be_visible()
    assert faults(page) == []
    page.goto(served.link("Nobody"))
    expect(page.locator("#empty h2")).to_be_visible()
    assert faults(page) == []
    context.close()


def test_all_of_it_by_tab_and_enter_with_the_focus_seen(page: Page) -> None:
    """Every button is reached by Tab, in the order in which they stand, and shows that it has the focus."""
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        at = page.evaluate("""() => { const at = document.activeElement; return at === document.body ? null
            : [at.dataset.action ?? at.id, getComputedStyle(at).outlineStyle] }""")
        if at is None:
            break
        reached.append(at)
    assert all(outline == "solid" for _, outline in reached)
    names = [name for name, _ in reached]
    assert names[:3] == ["guidelines", "studio", "help"]
    wanted = page.locator("#choices button:visible").evaluate_all(
        "all => all.map((one) => one.dataset.action)"
    )
    assert names[-len(wanted) :] == wanted
    page.locator('[data-action="choose-second"]').focus()
    page.keyboard.press("Enter")
    sees(page, "Question 1")
    page.keyboard.press("Enter")  # it has kept the focus
    sees(page, "Question 2")


def test_what_is_read_aloud(page: Page) -> None:
    expect(page.get_by_role("status").filter(has_text="Saved")).to_have_attribute("aria-live", "polite")
    expect(page.get_by_role("article", name="Answer 1")).to_be_visible()
    expect(page.get_by_role("region", name="What was asked")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("#said")).to_have_text("1 is better.")


def test_nothing_moves_for_whom_motion_is_unpleasant(join: Callable[..., Page], name: str) -> None:
    page = join(name, reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    page.keyboard.press("1")
    sees(page, "Question 1")
    assert page.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("locale", ["zh-CN", "zh-TW", "de-DE"])
def test_the_language_is_the_browsers(join: Callable[..., Page], name: str, locale: str) -> None:
    page = join(name, locale=locale)
    chinese = locale.startswith("zh")
    expect(page.locator("#state")).to_have_text("已保存" if chinese else "Saved")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans" if chinese else "en")
    assert page.locator("[data-say]:empty").count() == 0


def words(language: str) -> dict[str, str]:
    text: dict[str, str] = json.loads((STATIC / f"words.{language}.json").read_text(encoding="utf-8"))
    return text


def test_both_languages_say_the_same_things() -> None:
    english, chinese = words("en"), words("zh")
    plural = {name for name in english if name.endswith(".one")}  # Chinese has no plural
    assert set(english) - plural == set(chinese)
    for name, text in chinese.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", english[name])), name


def test_what_the_page_asks_for_is_there() -> None:
    known = words("en")
    for file in STATIC.iterdir():
        if file.name.endswith((".js", ".html")):
            text = file.read_text(encoding="utf-8")
            asked = re.findall(r'\b(?:say|count)\("([\w.-]+)"|data-(?:say|label)="([\w.-]+)"', text)
            assert {one or other for one, other in asked} <= set(known), file.name
