"""What an annotator does on the page, key by key and button by button."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from labelling import DESK, PHONE, Browser, Page, expect, saved, sees, until
from served import MODEL, Served, pairs, singles

from engine.examples import Message
from tuner_app.store import members, past, sharing
from tuner_app.store.comments import of_labels as comments_on
from tuner_app.store.rows import Asked, Reply
from tuner_app.store.tags import of_labels as tags_on


def press(page: Page, key: str, then: str) -> None:
    page.keyboard.press(key)
    sees(page, then)


def shown(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".reply .body").all_inner_texts()]


def test_a_link_opens_the_first_pair_and_leaves_the_address(page: Page, served: Served, name: str) -> None:
    expect(page.locator("#who")).to_have_text(name)
    assert page.url == f"{served.url}/"
    assert page.evaluate("history.length") == 2  # about:blank and the page: the link is not in it
    assert sorted(shown(page)) == ["Answer one to 0.", "Answer two to 0."]
    expect(page.locator("#far")).to_have_text("0 done · 30 left · 0 today")
    cookies = page.context.cookies()
    assert [(one["httpOnly"], one["sameSite"]) for one in cookies] == [(True, "Strict")]


def test_a_link_works_once(browser: Browser, served: Served, name: str) -> None:
    link = served.link(name)
    for works in (True, False):
        context = browser.new_context()
        page = context.new_page()
        page.goto(link)
        if works:
            sees(page, "Question 0")
        else:
            expect(page.locator("#said")).to_contain_text("used already")
            page.fill("#link", served.link(name))  # a new one can be pasted
            page.keyboard.press("Enter")
            sees(page, "Question 0")
        context.close()


def test_a_link_for_somebody_else_puts_nobody_out_unasked(page: Page, served: Served, name: str) -> None:
    other = f"{name} B"
    served.member(other)
    link = served.link(other)
    page.goto(link)
    expect(page.locator("#said")).to_have_text(f"You are {name}. This link is for somebody else.")
    expect(page.get_by_role("button", name=f"Continue as {other}")).to_be_focused()
    sides = [page.get_by_role("button", name=name).bounding_box() for name in ("Continue as", "Stay")]
    middle = (sides[0]["x"] + sides[1]["x"] + sides[1]["width"]) / 2
    assert abs(middle - DESK["width"] / 2) < 2
    page.get_by_role("button", name=f"Stay {name}").click()
    sees(page, "Question 0")
    expect(page.locator("#who")).to_have_text(name)
    page.goto(link)  # nobody has used it
    page.get_by_role("button", name=f"Continue as {other}").click()
    expect(page.locator("#who")).to_have_text(other)
    assert page.url == f"{served.url}/"


def test_every_key_of_a_pair(page: Page, served: Served, name: str) -> None:
    chosen = []
    for n, key in enumerate(["1", "f", "2", "j"]):
        chosen.append(shown(page)["12fj".index(key) % 2 if key in "12" else "fj".index(key)])
        press(page, key, f"Question {n + 1}")
    for n, key in enumerate(["0", "b", "Space"]):
        press(page, key, f"Question {n + 5}")
    for key in ("a", "x"):  # for single answers alone
        page.keyboard.press(key)
    sees(page, "Question 7")
    saved(page)
    events = served.events(name)
    assert [event.verb for event in events] == ["choose"] * 4 + ["tie", "both_bad", "skip"]
    for n, event in enumerate(events[:4]):
        replies = served.store.query("SELECT body FROM items WHERE hash = ?", (event.item_hash,))
        said = json.loads(replies[0]["body"])["replies"][event.value["reply"]]["content"]
        assert said == chosen[n]
        assert sorted(event.shown) == [0, 1]
    expect(page.locator("#far")).to_contain_text("7 done · 23 left · 7 today")


def test_single_answers(join: Callable[..., Page], served: Served) -> None:
    served.member("Solo")
    served.share(singles(4), "Singles", people=["Solo"])
    page = join("Solo", "Single 0")
    for n, key in enumerate(["a", "x", "Space"]):
        press(page, key, f"Single {n + 1}")
    for key in ("1", "0", "b"):
        page.keyboard.press(key)
    page.keyboard.press("e")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("A better one.")
    page.keyboard.press("ControlOrMeta+Enter")
    expect(page.locator("#empty h2")).to_have_text("All done. Thank you!")
    saved(page)
    assert served.verbs("Solo") == ["good", "bad", "skip", "correct"]
    assert served.events("Solo")[3].value == {"reply": 0, "text": "A better one."}
    page.get_by_role("button", name="Undo").click()  # from the end, too
    sees(page, "Single 3")


def test_undo_goes_back_as_far_as_wanted_even_after_a_reload(page: Page, served: Served, name: str) -> None:
    for n in range(4):
        press(page, "1", f"Question {n + 1}")
    press(page, "u", "Question 3")
    saved(page)
    page.reload()
    sees(page, "Question 3")
    for n in (2, 1, 0):
        press(page, "u", f"Question {n}")
    page.keyboard.press("u")
    expect(page.locator("#said")).to_have_text("There is nothing more to take back.")
    press(page, "2", "Question 1")
    saved(page)
    assert served.verbs(name) == ["choose"] * 4 + ["undo"] * 4 + ["choose"]
    assert len(past.latest(served.store, name)) == 1
    expect(page.locator("#far")).to_contain_text("1 done · 29 left · 1 today")


def test_correct_the_better_answer(page: Page, served: Served, name: str) -> None:
    second = shown(page)[1]
    page.keyboard.press("e")
    expect(page.locator("#said")).to_contain_text("Correct which answer?")
    page.keyboard.press("2")
    field = page.get_by_label("Your correction")
    expect(field).to_have_value(second)
    page.keyboard.press("ControlOrMeta+Enter")
    expect(page.locator("#said")).to_have_text("You have changed nothing yet.")
    page.keyboard.type("12 0b u ")  # letters now, not keys
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    page.reload()  # the draft stays
    sees(page, "Question 0")
    page.keyboard.press("e")
    page.keyboard.press("2")
    expect(field).to_have_value(f"12 0b u {second}")
    page.keyboard.press("ControlOrMeta+Enter")
    sees(page, "Question 1")
    saved(page)
    event = served.events(name)[-1]
    assert (event.verb, event.value["text"]) == ("correct", f"12 0b u {second}")
    assert event.shown[1] == event.value["reply"]


def test_tags_and_a_comment_go_with_the_label_and_come_back_with_undo(
    page: Page, served: Served, name: str
) -> None:
    page.keyboard.press("t")
    page.keyboard.type("wrong facts,")
    page.keyboard.type("1 rude")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.keyboard.type("It says 2+2=5")
    page.keyboard.press("Escape")
    expect(page.locator("#why")).to_have_text("#wrong facts  #1 rude  “It says 2+2=5”")
    press(page, "1", "Question 1")
    saved(page)
    uid = served.events(name)[0].uid
    assert tags_on(served.store, [uid])[uid] == ("wrong facts", "1 rude")
    assert comments_on(served.store, [uid])[uid] == ("It says 2+2=5",)
    press(page, "u", "Question 0")
    expect(page.locator("#why")).to_contain_text("#wrong facts")
    saved(page)
    page.reload()  # tags of before are offered
    sees(page, "Question 0")
    page.keyboard.press("t")
    expect(page.locator("#tags button")).to_have_count(2)


def test_guidelines_help_and_other_keys(page: Page, served: Served, name: str) -> None:
    page.keyboard.press("g")
    expect(page.locator("#guidelines")).to_contain_text("Prefer what is right.")
    page.keyboard.press("1")  # dead: something lies over the pair
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_role("button", name="Change the key for: Both are as good").click()
    page.keyboard.press("1")
    expect(page.locator("#help-said")).to_have_text("1 is already for: The first answer is better")
    page.get_by_role("button", name="Change the key for: Both are as good").click()
    page.keyboard.press("z")
    page.keyboard.press("Escape")
    sees(page, "Question 0")
    press(page, "z", "Question 1")
    page.keyboard.press("0")  # no longer a key
    page.reload()
    sees(page, "Question 1")
    press(page, "z", "Question 2")
    expect(page.locator('[data-action="tie"] kbd')).to_have_text("z")
    saved(page)
    assert served.verbs(name) == ["tie", "tie"]


def test_differences_are_marked_on_request(page: Page) -> None:
    assert page.locator("mark").count() == 0
    page.keyboard.press("d")
    assert sorted(page.locator("mark").all_inner_texts()) == ["one", "two"]
    press(page, "1", "Question 1")
    assert sorted(page.locator("mark").all_inner_texts()) == ["one", "two"]
    page.keyboard.press("d")
    assert page.locator("mark").count() == 0


def test_a_held_key_judges_once_and_a_clicked_button_leaves_the_keys_alone(
    page: Page, served: Served, name: str
) -> None:
    page.evaluate("""() => { for (const repeat of [false, true, true, true]) {
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "1", repeat, bubbles: true})) } }""")
    sees(page, "Question 1")
    page.get_by_role("button", name="First is better").click()
    sees(page, "Question 2")
    press(page, "Space", "Question 3")  # skips, and does not press the button again
    saved(page)
    assert served.verbs(name) == ["choose", "choose", "skip"]


LOOK = "one => getComputedStyle(one).backgroundColor"


def test_the_name_is_whole_however_much_is_not_saved(page: Page, name: str) -> None:
    page.context.set_offline(True)
    page.keyboard.press("1")
    expect(page.locator("#state")).to_contain_text("Not saved: 1")
    fits = "one => one.scrollWidth <= one.clientWidth"
    page.evaluate("document.getElementById('far').textContent += ' · 12,483 an hour'")
    page.locator("#who").evaluate("one => { one.textContent = 'Ann Exampleson' }")
    page.locator("#batch").evaluate(
        "one => { one.hidden = false; one.append(new Option('A long name of a batch')) }"
    )
    assert page.locator("#who").evaluate(fits)
    assert page.locator("header").evaluate("one => one.clientHeight") < 60  # one line


def test_a_thumb_on_a_phone(join: Callable[..., Page], served: Served, name: str) -> None:
    page = join(name, viewport=PHONE, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    first, second = (page.locator(".reply").nth(n).bounding_box() for n in range(2))
    assert first["y"] + first["height"] <= second["y"]
    for button in page.locator("#choices button:visible").all():
        box = button.bounding_box()
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= PHONE["height"]
        assert box["y"] > PHONE["height"] / 2
    page.get_by_role("button", name="Second is better").tap()
    sees(page, "Question 1")
    page.get_by_role("button", name="Undo").tap()
    sees(page, "Question 0")
    looks = [page.get_by_role("button", name=name).evaluate(LOOK) for name in ("Undo", "Skip")]
    assert looks[0] == looks[1]  # a tap leaves no mark on a button, as a pointer does that rests there
    page.get_by_role("button", name="More actions").tap()
    correct, said = page.get_by_role("button", name="Correct"), page.locator("#said")
    correct.tap()
    expect(said).to_have_text("Correct the first or the second? “Correct” again goes back.")
    correct.tap()
    expect(said).to_have_text("")
    correct.tap()
    page.get_by_role("button", name="First is better").tap()
    expect(page.get_by_text("Ctrl+Enter")).to_be_hidden()
    page.get_by_label("Your correction").fill("Mended.")
    page.get_by_role("button", name="Save as the better answer").tap()
    sees(page, "Question 1")
    saved(page)
    assert served.verbs(name) == ["choose", "undo", "correct"]
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.get_by_role("button", name="Help and keys").tap()
    help = page.get_by_role("dialog", name="Help and keys")
    expect(help.get_by_text("Skip this one")).to_be_visible()
    for of_keys in (
        help.locator("kbd").first,
        help.get_by_text("Usual keys"),
        help.get_by_text("Key", exact=True),
    ):
        expect(of_keys).to_be_hidden()
    help.get_by_role("link", name="Studio").tap()  # on the page itself there is no room for it
    page.wait_for_url("**/studio/", wait_until="commit")


def test_a_thumb_on_a_single_answer_finds_two_rows_of_three(
    join: Callable[..., Page], served: Served
) -> None:
    served.member("Thumb")
    served.share(singles(2), "For a thumb", people=["Thumb"])
    page = join("Thumb", first="", viewport=PHONE, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="More actions").tap()
    bad, *rows = [
        [page.get_by_role("button", name=name).bounding_box() for name in row]
        for row in (("Bad",), ("Skip", "Undo", "More actions"), ("Correct", "Tags", "Comment"))
    ]
    assert [len({one["y"] for one in row}) for row in rows] == [1, 1]
    assert rows[0][0]["y"] < rows[1][0]["y"]
    right = bad[0]["x"] + bad[0]["width"]
    assert all(abs(row[-1]["x"] + row[-1]["width"] - right) < 2 for row in rows)  # all of the width


def test_two_columns_on_a_wide_screen_scroll_together(join: Callable[..., Page], served: Served) -> None:
    served.member("Wide")
    replies = tuple(Reply(f"{side}\n\n" + "More.\n\n" * 60) for side in "ab")
    served.share([Asked((Message("user", "Question 0"),), replies)], "Long", people=["Wide"])
    page = join("Wide")
    first, second = (page.locator(".reply").nth(n).bounding_box() for n in range(2))
    assert first["y"] == second["y"]
    assert first["x"] + first["width"] < second["x"] < DESK["width"]
    page.mouse.move(first["x"] + 50, 400)
    page.mouse.wheel(0, 300)
    until(page, "scrollY > 250")
    moved = [page.locator(".reply").nth(n).bounding_box()["y"] for n in range(2)]
    assert moved[0] == moved[1] < first["y"] - 250


def test_no_model_is_named_and_the_order_is_recorded(
    join: Callable[..., Page], browser: Browser, served: Served, name: str
) -> None:
    context = browser.new_context()
    page, requests, read = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.route("**/api/**", lambda route: read.append(_answered(route)))
    page.goto(served.link(name))
    sees(page, "Question 0")
    for n in range(9):
        press(page, "1", f"Question {n + 1}")
    saved(page)
    assert any("Answer one to" in text for text in read)
    assert not any(MODEL in text or "gold" in text for text in read)
    assert all(url.startswith(served.url) for url in requests)
    orders = {event.shown for event in served.events(name)}
    assert orders == {(0, 1), (1, 0)}  # nine coins do not all fall alike but once in 256
    context.close()


def _answered(route: Any) -> str:
    """Let a request through; the text of its answer."""
    answer = route.fetch()
    route.fulfill(response=answer)
    return str(answer.text())


def test_five_tasks_are_there_ahead_and_no_one_is_asked_for_twice(page: Page, served: Served) -> None:
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    for n in range(6):
        press(page, "1", f"Question {n + 1}")


def test_who_runs_the_page_is_told_where_work_comes_from(join: Callable[..., Page], served: Served) -> None:
    served.member("Boss")
    members.change(served.store, "Boss", role="admin", daily_limit=None)
    page = join("Boss", "")
    expect(page.locator("#empty p").first).to_have_text("Make a batch and share it: Studio, Data.")


def test_limits_and_empty_pages(join: Callable[..., Page], served: Served) -> None:
    served.member("Idle")
    page = join("Idle", "")
    expect(page.locator("#empty h2")).to_have_text("Nothing to judge yet")
    expect(page.locator("#empty p").first).to_have_text("New work appears here by itself.")
    served.share(pairs(1), "New", people=["Idle"])
    page.get_by_role("button", name="Look again").click()
    press_last = page.locator("#empty h2")
    sees(page, "Question 0")
    page.keyboard.press("1")
    expect(press_last).to_have_text("All done. Thank you!")
    served.member("Tired", limit=2)
    served.share(pairs(5), "Tiring", people=["Tired"])
    page = join("Tired")
    press(page, "1", "Question 1")
    page.keyboard.press("1")
    expect(page.locator("#empty h2")).to_have_text("That is all for today")
    saved(page)
    assert sharing.today(served.store, "Tired").given == 2


def test_a_batch_can_be_chosen(join: Callable[..., Page], served: Served, name: str) -> None:
    served.share(pairs(3, "Other {n}"), f"Others of {name}", people=[name])
    page = join(name)
    page.get_by_label("Batch").select_option(f"Others of {name}")
    sees(page, "Other 0")
    press(page, "1", "Other 1")
    expect(page.locator("#far")).to_have_text("1 done · 2 left · 1 today")
    page.get_by_label("Batch").select_option("All batches")
    sees(page, "Question 0")


@pytest.mark.parametrize("key", ["&", "а"])  # AZERTY's 1 without Shift; a Cyrillic layout's f
def test_keys_of_other_keyboards(page: Page, key: str) -> None:
    code = {"&": "Digit1", "а": "KeyF"}[key]
    press = "init => document.body.dispatchEvent(new KeyboardEvent('keydown', init))"
    page.evaluate(press, {"key": key, "code": code, "bubbles": True})
    sees(page, "Question 1")


def test_the_pace_is_that_of_the_last_minutes(page: Page) -> None:
    told = page.evaluate("""async () => {
        const { far } = await import("/static/status.js");
        const said = (times) => {
            far({ done: 1, left: 1, today: 1, limit: null }, times.map((ago) => Date.now() - 1000 * ago));
            return document.getElementById("far").textContent.split(" · ").slice(3);
        };
        return [[3000, 2000, 120, 90, 60, 30, 0], [16, 12, 8, 4, 0], [90, 60, 30, 0]].map(said);
    }""")
    assert told == [["120 an hour"], [], []]
