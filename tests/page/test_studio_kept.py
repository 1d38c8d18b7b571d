"""What is typed in the studio is there until it is saved, and whoever works there is told what is wrong."""

import json
import signal
from collections.abc import Callable

import pytest
from labelling import Page, enter, expect, says, take_over, until
from scripted_server import ScriptedServer
from served import Served

from tuner_app.page.studio import writing
from tuner_app.store import members

pytestmark = pytest.mark.slow


def kept(page: Page, text: str) -> None:
    """Wait until the browser's storage has a draft with this text."""
    until(page, f"Object.values(localStorage).some((draft) => draft.includes({json.dumps(text)}))")


def test_a_prompt_and_a_correction_survive_a_reload(
    answered: Page, served: Served, server: ScriptedServer, name: str
) -> None:
    page = answered
    page.locator("#prompt textarea").press_sequentially("And what of a bu")
    page.locator("#chat").get_by_role("button", name="Edit").last.click()
    page.locator("#chat textarea").fill("A tall plant with a tru")
    kept(page, "tall plant")
    kept(page, "what of a bu")
    page.reload()
    expect(page.locator("#prompt textarea")).to_have_value("And what of a bu")
    says(page, "A small plant.")
    page.locator("#chat").get_by_role("button", name="Edit").last.click()
    expect(page.locator("#chat textarea")).to_have_value("A tall plant with a tru")
    page.locator("#chat textarea").press_sequentially("nk.")
    page.locator("#chat").get_by_role("button", name="Submit").last.click()
    served.has(name, "correct")
    says(page, "A tall plant with a trunk.")
    server.answers = ["Less of it."]
    page.locator("#prompt textarea").press_sequentially("sh?")
    page.keyboard.press("Enter")
    says(page, "Less of it.")
    page.reload()
    says(page, "Less of it.")
    expect(page.locator("#prompt textarea")).to_have_value("")


def test_a_form_survives_a_reload_and_is_the_same_example_then(
    studio: Callable[..., Page], served: Served, name: str
) -> None:
    id = writing.save(served.store, name, writing.demonstration("", [f"Hi {name}", "Yes?"]), "polite", None)
    page = studio()
    page.get_by_role("tab", name="Write").click()
    page.get_by_label("Written by you").click()
    page.get_by_role("option", name=f"Hi {name}").click()
    expect(page.locator(".write-answered textarea").first).to_have_value("Yes?")
    page.locator("#add-turn").click()
    page.locator(".write-asked textarea").nth(1).fill("And then?")
    kept(page, "And then?")
    page.reload()
    page.get_by_role("tab", name="Write").click()
    expect(page.locator(".write-asked textarea").nth(1)).to_have_value("And then?")
    expect(page.locator(".write-tags textarea")).to_have_value("polite")
    expect(page.locator("#write-status")).to_contain_text("is here again")
    page.locator(".write-answered textarea").nth(1).fill("Then no more.")
    page.locator("#save-example").click()
    expect(page.locator("#write-status").get_by_text("Saved as example")).to_be_visible()
    (mine,) = writing.listed(served.store, name)
    assert mine[1] != id
    written = writing.own(served.store, name, mine[1])
    assert [message.content for message in written.example.messages][2:] == ["And then?", "Then no more."]
    page.reload()
    page.get_by_role("tab", name="Write").click()
    expect(page.locator(".write-asked textarea").first).to_have_value("")
    expect(page.locator("#write-status")).not_to_contain_text("is here again")


def test_whoever_comes_after_sees_no_draft(studio: Callable[..., Page], served: Served, name: str) -> None:
    page = studio()
    page.locator("#prompt textarea").press_sequentially("a secret")
    kept(page, "a secret")
    served.member(f"{name} B")
    take_over(page, served, f"{name} B", "studio/")
    expect(page.get_by_role("tab", name="Write")).to_be_visible()
    page.wait_for_timeout(500)
    expect(page.locator("#prompt textarea")).to_have_value("")
    take_over(page, served, name, "studio/")
    expect(page.locator("#prompt textarea")).to_have_value("a secret")


def test_what_keeps_the_studio_from_its_server_is_told_until_it_is_over(
    answered: Page, served: Served, name: str
) -> None:
    page = answered
    trouble = page.get_by_role("alert").and_(page.locator("#trouble"))
    page.route("**/gradio_api/run/**", lambda route: route.fulfill(status=503, body="{}"), times=1)
    page.locator("#second").click()
    expect(trouble).to_contain_text("The server is busy")
    page.locator("#prompt textarea").fill("")
    with page.expect_event("requestfinished", lambda request: "/gradio_api/run/" in request.url):
        page.keyboard.press("Enter")  # the next one is not taken before this has been answered
    expect(trouble).to_be_hidden()
    page.context.set_offline(True)
    page.keyboard.press("Enter")
    expect(trouble).to_contain_text("No connection.")
    page.context.set_offline(False)
    expect(page.locator("#trouble")).to_have_count(0)  # Gradio has reloaded the page by itself
    says(page, "A small plant.")
    members.revoke(served.store, name)
    page.wait_for_timeout(1_100)  # for so long the server may believe a session
    page.locator("#prompt textarea").fill("And a bush?")
    page.keyboard.press("Enter")
    expect(trouble).to_contain_text("Your session has ended.")
    members.restore(served.store, name)
    enter(page, served, name, "studio/")
    expect(page.locator("#prompt textarea")).to_have_value("And a bush?")


def test_a_restarted_server_is_gone_on_with_and_the_tab_is_open_again(
    answered: Page, served: Served, name: str
) -> None:
    page = answered
    served.stop(signal.SIGKILL)
    page.locator("#prompt textarea").press_sequentially("And a bush?")
    page.keyboard.press("Enter")
    expect(page.locator("#trouble")).to_contain_text("No connection.")
    served.start()
    expect(page.locator("#trouble")).to_have_count(0)  # Gradio has reloaded the page by itself
    expect(page.locator("#prompt textarea")).to_have_value("And a bush?")
    says(page, "A small plant.")
    page.locator("#chat").get_by_role("button", name="Like", exact=True).last.click()
    served.has(name, "good")
    page.get_by_role("tab", name="Write").click()
    page.reload()
    expect(page.locator("#save-example")).to_be_visible()
