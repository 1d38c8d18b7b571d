"""The studio in a real browser: what a person does in the chat and with written examples."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from labelling import PHONE, Page, ask, expect, says, status, tab_to
from scripted_server import ScriptedServer
from served import Served

from tuner_app.store import chats

pytestmark = pytest.mark.slow

EVIL = (
    '<img src="http://elsewhere.example/x.png" onerror="document.title=1"><script>document.title=2</script>'
)


def test_a_chat_with_its_labels(
    studio: Callable[..., Page], served: Served, server: ScriptedServer, name: str
) -> None:
    server.answers = ["A small plant.", "A tall plant."]
    page = studio()
    ask(page, "What is a tree?")
    says(page, "A small plant.")
    tab_to(page, "#chat [aria-label='Like']")  # all of this can be done by keys alone
    page.keyboard.press("Enter")
    served.has(name, "good")
    status(page, "Saved")
    tab_to(page, "#second")
    page.keyboard.press("Enter")
    expect(page.locator("#side-second")).to_be_visible()
    expect(page.locator("#chat .bot")).to_have_count(0)  # it would tell which of the two came first
    page.reload()
    expect(page.locator("#side-second")).to_be_visible()
    first = "A tall plant." in page.locator("#side-first").inner_text()
    page.locator("#pair p").first.click()
    page.keyboard.press("1" if first else "2")
    served.has(name, "good", "choose")
    says(page, "A tall plant.")
    page.locator("#chat").get_by_role("button", name="Edit").last.click()
    page.locator("#chat textarea").fill("A tall plant with a trunk.")
    page.locator("#chat").get_by_role("button", name="Submit").last.click()
    served.has(name, "good", "choose", "correct")
    says(page, "A tall plant with a trunk.")
    page.locator("#undo").click()
    status(page, "Undone")
    says(page, "A tall plant.")
    page.reload()
    says(page, "A tall plant.")
    assert served.verbs(name) == ["good", "choose", "correct", "undo"]


def test_a_click_that_comes_twice_and_whose_answer_is_lost_counts_once(
    answered: Page, served: Served, name: str
) -> None:
    page = answered
    expect(page.locator("#undo")).to_be_disabled()
    for liked, verbs in (("Like", ["good"]), ("Dislike", ["good", "bad"])):
        page.locator("#chat").get_by_role("button", name=liked, exact=True).click()
        served.has(name, *verbs)
    expect(page.locator("#undo")).to_be_enabled()
    page.route("**/gradio_api/run/**", lose, times=1)
    page.locator("#undo").click()
    served.has(name, "good", "bad", "undo")
    expect(page.locator("#trouble")).to_contain_text("No connection.")
    expect(page.locator("#trouble")).to_have_count(0)  # by itself, with what is kept
    says(page, "A small plant.")
    page.locator("#undo").click()
    served.has(name, "good", "bad", "undo", "undo")  # and another click is another one
    page.route("**/gradio_api/run/**", lose, times=1)
    ask(page, "And a bush?")
    expect(page.locator("#chat .user .md").last).to_have_text("And a bush?")
    (conversation,) = chats.conversations(served.store, person=name)
    said = [message.content for message in chats.path(served.store, conversation.id)]
    assert said.count("And a bush?") == 1


def lose(route: Any) -> None:
    """A request that goes through twice, and whose answer is lost."""
    route.fetch()
    route.fetch()
    route.abort()


def test_a_thumb_that_is_pressed_again_stays(answered: Page, served: Served, name: str) -> None:
    page = answered
    page.locator("#chat").get_by_role("button", name="Like", exact=True).click()
    served.has(name, "good")
    page.locator("#chat").get_by_role("button", name="Liked", exact=True).click()
    status(page, "It stays as it is")
    assert served.verbs(name) == ["good"]


def test_an_answer_goes_on_without_a_browser_and_half_of_it_is_kept(
    studio: Callable[..., Page], served: Served, server: ScriptedServer, name: str
) -> None:
    server.answers = ["One two three.", "Four five six."]
    server.gate.clear()
    page = studio()
    ask(page, "Count.")
    says(page, "One")
    page.reload()
    says(page, "One")  # it is still being written
    server.gate.set()
    says(page, "One two three.")
    server.gate.clear()
    ask(page, "Go on.")
    says(page, "Four")
    page.locator("#prompt button").click()
    expect(page.locator("#again")).to_be_enabled()
    server.gate.set()
    (conversation,) = chats.conversations(served.store, person=name)
    assert [message.content for message in chats.path(served.store, conversation.id)][-1] == "Four"


def test_its_end_is_shown_in_each_window(studio: Callable[..., Page], server: ScriptedServer) -> None:
    server.answers = ["One two three."]
    server.gate.clear()
    one, other = studio(), studio()
    ask(one, "Count.")
    says(one, "One")
    held: list[Any] = []
    other.route("**/queue/join**", lambda route: held.append(route))
    other.reload()
    says(other, "One")
    server.gate.set()
    says(one, "One two three.")
    assert held
    for route in held:
        route.continue_()
    says(other, "One two three.")


def test_what_a_model_says_runs_nothing(studio: Callable[..., Page], server: ScriptedServer) -> None:
    server.answers = [f"Here: {EVIL} [x](javascript:document.title=3) ![](http://elsewhere.example/y.png)"]
    page = studio()
    ask(page, EVIL)
    expect(page.locator("#chat .bot .md").last).to_contain_text("Here:")
    page.wait_for_timeout(300)
    assert page.title() == "tuner"


def test_writing_on_a_phone_in_chinese(studio: Callable[..., Page], name: str, served: Served) -> None:
    page = studio(viewport=PHONE, locale="zh-CN", has_touch=True)
    page.get_by_role("tab", name="撰写").click()
    asked = page.locator(".write-asked textarea").first
    asked.fill(f"法国的首都是哪里？那里有多少人？{name}")
    page.locator(".write-answered textarea").first.fill("巴黎。")
    page.locator("#save-example").click()
    expect(page.locator("#write-status").get_by_text("已保存")).to_be_visible()
    asked.focus()
    page.keyboard.insert_text(
        f"法国的首都是哪里呢？那里有多少人？{name}"
    )  # as an input method does, without keys
    expect(page.locator("#near").get_by_text("巴黎。")).to_be_visible()
    page.locator("#save-example").click()
    expect(page.locator("#write-status").get_by_text("每个问题都要有回答")).to_be_visible()
    expect(asked).to_have_value(re.compile("法国"))  # what was typed stays
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_phone_two_answers_stand_one_above_the_other(
    studio: Callable[..., Page], server: ScriptedServer
) -> None:
    server.answers = ["A small plant.", "A tall plant."]
    page = studio(viewport=PHONE, has_touch=True)
    ask(page, "What is a tree, and what is it good for?")
    says(page, "A small plant.")
    expect(page.locator("#second")).to_be_enabled()
    before = page.locator("#prompt").bounding_box()
    page.locator("#chat [aria-label='Like']").tap()
    status(page, "Saved")
    assert (
        abs(page.locator("#prompt").bounding_box()["y"] - before["y"]) < 3
    )  # what is said above has its place
    whole = "one => one.scrollWidth <= one.clientWidth"
    acts = page.locator("#acts button:visible")
    assert all(acts.nth(place).evaluate(whole) for place in range(acts.count()))
    assert acts.last.bounding_box()["y"] < PHONE["height"]
    page.locator("#second").tap()
    expect(page.locator("#side-second")).to_contain_text("plant")
    first, second = (page.locator(f"#side-{side}").bounding_box() for side in ("first", "second"))
    assert first["y"] + first["height"] <= second["y"]
