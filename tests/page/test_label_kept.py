"""Nothing that an annotator has judged is lost or counted twice, whatever happens to browser and server."""

import random
import signal
from collections.abc import Callable

import pytest
from labelling import DESK, Browser, Page, expect, saved, sees, take_over
from served import Served

from tuner_app.store import members, past, sessions


def judge(page: Page, keys: str, start: int = 0) -> None:
    """Press keys, each when the pair is there."""
    for n, key in enumerate(keys, start):
        sees(page, f"Question {n}")
        page.keyboard.press(key)


def waiting(page: Page) -> int:
    """How many labels lie in the browser's storage."""
    return int(page.evaluate("Object.keys(localStorage).filter((key) => key.includes('.out.')).length"))


def test_offline_and_back(page: Page, served: Served, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    judge(page, "12")
    page.keyboard.press("u")
    judge(page, "1", 1)
    expect(page.locator("#state")).to_have_text("Not saved: 4 · no connection; kept here, tried again")
    assert waiting(page) == 4
    assert served.verbs(name) == []
    page.context.set_offline(False)
    saved(page)
    assert sorted(served.verbs(name)) == ["choose", "choose", "choose", "undo"]
    assert len(past.latest(served.store, name)) == 2
    assert waiting(page) == 0


def test_a_reload_while_the_server_is_down(page: Page, served: Served, name: str) -> None:
    judge(page, "1")
    saved(page)
    served.stop()
    judge(page, "20b", 1)
    expect(page.locator("#state")).to_contain_text("Not saved: 3")
    assert waiting(page) == 3
    served.start()
    page.reload()  # before it has tried again by itself, or after: the same
    sees(page, "Question 4")
    saved(page)
    assert served.verbs(name) == ["choose", "choose", "tie", "both_bad"]


def test_a_restarted_server_and_a_closed_laptop(
    browser: Browser, served: Served, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The window is gone with labels that no server has; the browser's storage is all that is left."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.link(name))
    sees(page, "Question 0")
    served.stop(signal.SIGKILL)
    judge(page, "10")
    expect(page.locator("#state")).to_contain_text("Not saved: 2")
    page.close()
    served.start()
    page = context.new_page()
    page.goto(served.url)
    sees(page, "Question 2")
    saved(page)
    assert served.verbs(name) == ["choose", "tie"]
    context.close()


def test_it_goes_on_by_itself_when_the_server_is_back(page: Page, served: Served, name: str) -> None:
    page.wait_for_load_state("networkidle")
    served.stop()
    judge(page, "111111111111")  # all that was there ahead
    expect(page.locator("#empty h2")).to_have_text("No connection")
    served.start()
    expect(page.locator("#state")).to_have_text("Saved", timeout=40_000)
    expect(page.locator("#prompt .user .body")).to_have_text("Question 12", timeout=40_000)
    assert served.verbs(name) == ["choose"] * 12


def test_answers_that_are_lost_on_their_way_back_count_once(page: Page, served: Served, name: str) -> None:
    lost = []

    def lose(route: object) -> None:
        lost.append(route.fetch().status)  # type: ignore[attr-defined]
        route.abort()  # type: ignore[attr-defined]

    page.route("**/api/labels", lose)
    judge(page, "12")
    expect(page.locator("#state")).to_contain_text("Not saved: 2")
    assert lost[0] == 200
    page.unroute("**/api/labels", lose)
    saved(page)
    assert served.verbs(name) == ["choose", "choose"]


def test_a_session_that_ended_and_a_new_link(page: Page, served: Served, name: str) -> None:
    members.revoke(served.store, name)
    page.wait_for_timeout(1_100)  # for so long the server may believe a session
    judge(page, "12")
    expect(page.locator("#alert")).to_contain_text("Your session has ended.")
    expect(page.locator("#state")).to_contain_text("Not saved: 2")
    members.restore(served.store, name)
    page.goto(served.link(name))
    sees(page, "Question 2")
    saved(page)
    assert served.verbs(name) == ["choose", "choose"]


def test_another_person_in_the_same_browser_gets_nobody_elses_labels(
    page: Page, served: Served, name: str
) -> None:
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    judge(page, "12")
    expect(page.locator("#state")).to_contain_text("Not saved: 2")
    served.member(f"{name} B")
    other = page.context.new_page()
    page.route("**/api/labels", lambda route: route.abort())
    page.context.set_offline(False)
    take_over(other, served, f"{name} B")
    expect(other.locator("#who")).to_have_text(f"{name} B")
    page.unroute("**/api/labels")
    expect(page.locator("#alert")).to_contain_text("opened for somebody else", timeout=15_000)
    assert served.verbs(f"{name} B") == []
    assert waiting(page) == 2
    take_over(other, served, name)  # the first comes back
    sees(other, "Question 2")
    saved(other)
    assert served.verbs(name) == ["choose", "choose"]


def test_two_windows_of_one_person(page: Page, served: Served, name: str) -> None:
    judge(page, "1")
    sees(page, "Question 1")
    second = page.context.new_page()
    second.goto(served.url)
    sees(second, "Question 1")
    expect(page.locator("#empty h2")).to_have_text("You judge in another window")
    page.keyboard.press("1")
    judge(second, "00", 1)
    saved(second)
    page.bring_to_front()
    page.get_by_role("button", name="Go on here").click()
    sees(page, "Question 3")
    expect(second.locator("#empty")).to_be_visible()
    second.keyboard.press("b")
    judge(page, "b", 3)
    saved(page)
    assert served.verbs(name) == ["choose", "tie", "tie", "both_bad"]


@pytest.mark.parametrize("broken", ["full", "forbidden"])
def test_without_storage(browser: Browser, served: Served, name: str, broken: str) -> None:
    how = {
        "full": "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError') }",
        "forbidden": "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException() } })",
    }
    context = browser.new_context(viewport=DESK)
    context.add_init_script(how[broken])
    page = context.new_page()
    page.goto(served.link(name))
    judge(page, "1")
    saved(page)
    context.set_offline(True)
    judge(page, "0", 1)
    expect(page.locator("#state")).to_contain_text("only in this window")
    context.set_offline(False)
    saved(page)
    assert served.verbs(name) == ["choose", "tie"]
    context.close()


def test_a_busy_server_is_asked_again(page: Page, served: Served, name: str) -> None:
    refusals = iter([503, 429])

    def refuse(route: object) -> None:
        status = next(refusals, None)
        if status is None:
            route.continue_()  # type: ignore[attr-defined]
        else:
            route.fulfill(status=status, headers={"Retry-After": "1"}, body="{}")  # type: ignore[attr-defined]

    page.route("**/api/labels", refuse)
    judge(page, "12")
    expect(page.locator("#state")).to_contain_text("the server is busy; tried again")
    saved(page)
    assert served.verbs(name) == ["choose", "choose"]


def spoil(route: object) -> None:
    """Let the first label of a request be one of an item that was never given out."""
    body = route.request.post_data_json  # type: ignore[attr-defined]
    body["labels"][0]["item"] = "0" * 64
    route.continue_(post_data=body)  # type: ignore[attr-defined]


def test_what_the_server_refuses_is_told_until_it_was_seen_and_stops_nothing(
    page: Page, served: Served, name: str
) -> None:
    page.route("**/api/labels", spoil, times=1)
    judge(page, "1")
    told = "1 judgement was refused: This item was not given to you"
    expect(page.locator("#refused")).to_contain_text(told)
    judge(page, "2", 1)
    saved(page)
    assert served.verbs(name) == ["choose"]
    page.reload()
    expect(page.locator("#refused")).to_contain_text(told)
    page.get_by_role("button", name="OK").click()
    expect(page.locator("#refused")).to_be_hidden()
    page.reload()
    sees(page, "Question 2")
    expect(page.locator("#refused")).to_be_hidden()


@pytest.mark.parametrize("heard", ["before", "after"])
def test_who_takes_back_what_is_refused_hears_nothing_of_it(
    page: Page, served: Served, name: str, heard: str
) -> None:
    page.wait_for_load_state("networkidle")
    if heard == "before":
        page.route("**/api/labels", spoil, times=1)
        judge(page, "1")
        expect(page.locator("#refused")).to_be_visible()
        page.keyboard.press("u")
    else:
        page.context.set_offline(True)
        judge(page, "1")
        page.keyboard.press("u")
        sees(page, "Question 0")
        page.route("**/api/labels", spoil, times=1)
        page.context.set_offline(False)
        saved(page)
    sees(page, "Question 0")
    judge(page, "2")
    saved(page)
    expect(page.locator("#refused")).to_be_hidden()
    assert served.verbs(name) == ["choose"]
    assert waiting(page) == 0


@pytest.mark.parametrize("seed", range(2))
def test_requests_that_come_late_twice_or_never(page: Page, served: Served, name: str, seed: int) -> None:
    """The network loses requests and answers, and brings some again when others have overtaken them: labels
    and undos come right in the end."""
    chance, late = random.Random(seed), []

    def unreliable(route: object) -> None:
        request = route.request  # type: ignore[attr-defined]
        match chance.choice(("lost", "answer lost", "late", "whole", "whole")):
            case "lost":
                route.abort()  # type: ignore[attr-defined]
            case "answer lost":
                route.fetch()  # type: ignore[attr-defined]
                route.abort()  # type: ignore[attr-defined]
            case "late":
                late.append((request.url, request.headers, request.post_data))
                route.abort()  # type: ignore[attr-defined]
            case _:
                route.continue_()  # type: ignore[attr-defined]
        if late and chance.random() < 0.4:
            url, headers, body = late.pop(chance.randrange(len(late)))
            page.context.request.post(url, headers=headers | {"Origin": served.url}, data=body)

    page.route("**/api/labels", unreliable)
    at = 0
    for key in "12u0bu1 uu2f":
        if key == "u" and at == 0:
            continue
        sees(page, f"Question {at}")
        page.keyboard.press("Space" if key == " " else key)
        at += -1 if key == "u" else 1
        if chance.random() < 0.3:
            page.evaluate("dispatchEvent(new Event('pagehide'))")  # which sends it all once more
    sees(page, f"Question {at}")
    expect(page.locator("#state")).to_have_text("Saved", timeout=60_000)
    for url, headers, body in late:
        assert page.context.request.post(url, headers=headers | {"Origin": served.url}, data=body).ok
    expect(page.locator("#refused")).to_be_hidden()
    events = served.events(name)
    undone = {event.undoes for event in events}
    assert [event.verb for event in events].count("undo") == 4
    standing = [event.verb for event in events if event.verb != "undo" and event.uid not in undone]
    assert standing == ["choose", "tie", "choose", "choose"]
    assert len(past.latest(served.store, name)) == 4
    assert waiting(page) == 0


def test_plain_http_has_no_random_uuid(join: Callable[..., Page], served: Served, name: str) -> None:
    page = join(name)
    page.evaluate("crypto.randomUUID = undefined")
    judge(page, "12")
    saved(page)
    uids = [event.uid for event in served.events(name)]
    assert len(set(uids)) == 2
    assert all(len(uid) == 32 for uid in uids)


def test_a_session_is_remembered(join: Callable[..., Page], served: Served, name: str) -> None:
    page = join(name)
    secret = page.context.cookies()[0]["value"]
    assert sessions.member_of(served.store, secret).name == name  # type: ignore[union-attr]
    page.goto(f"{served.url}/join")  # no link, but a session
    sees(page, "Question 0")
