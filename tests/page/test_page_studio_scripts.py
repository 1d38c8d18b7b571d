"""Text that would like to be a program, wherever the studio shows it, in a real browser: none of it runs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile import FORBIDDEN, STRINGS, WATCH
from labelling import Page, expect
from served import Served, pairs

from engine.examples import Demonstration, Message
from tuner_app.page.studio import writing
from tuner_app.store import audit, chats, members, people, sharing
from tuner_app.store.stamps import new_uid

pytestmark = pytest.mark.slow

NAMES = [text for text in STRINGS if text.isprintable() and len(text) <= 60]
TABS = ("Write", "Progress", "Review", "Runs", "Data", "People", "Chat")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A home where every text that somebody can give is one of the strings."""
    page = Served(tmp_path_factory.mktemp("home"))
    with page.store.write():  # all at once
        _fill(page)
    page.start()
    yield page
    page.close()


def _fill(page: Served) -> None:
    for text in STRINGS:
        talk = chats.start(page.store, title=text)
    tip = None
    for number, text in enumerate(STRINGS):
        asked = chats.add(page.store, talk.id, role="user", content=f"{number}", parent_id=tip)
        tip = chats.add(
            page.store, talk.id, role="assistant", content=text, parent_id=asked.id, model=text
        ).id
    for text in STRINGS[:30]:
        page.share(pairs(1), text, guidelines="\n\n".join(STRINGS))
    batch = page.share(pairs(len(STRINGS)), "judged")
    for name in NAMES:
        page.member(name)
        audit.note(page.store, name, person=name, detail=name, address=name)
    for side, name in enumerate(NAMES[:2]):
        members.change(page.store, name, role="annotator", daily_limit=None)
        for _ in range(len(STRINGS) // 50 + 1):
            _judge(page, name, batch.id, side)
    for text in STRINGS:
        example = Demonstration((Message("user", f"Tell me: {text}"), Message("assistant", text)))
        writing.save(page.store, people.ME, example, "", None)


def _judge(page: Served, name: str, batch: int, side: int) -> None:
    """Judge what `name` gets, each with a string as its tag and as its comment."""
    for number, task in enumerate(sharing.take(page.store, name, batch_id=batch, count=50)):
        text = STRINGS[(task.position + number) % len(STRINGS)]
        tags = tuple(tag for tag in [" ".join(text.split())[:60]] if tag.isprintable())
        given = (new_uid(), batch, task.item.hash, "choose", {"reply": side}, task.shown, tags, text)
        sharing.give(page.store, name, sharing.Given(*given))  # type: ignore[arg-type]


def test_nothing_runs_on_any_tab(join: Callable[..., Page], served: Served) -> None:
    page = join(people.ME, first="", viewport={"width": 1600, "height": 1000})
    requests: list[Any] = []
    page.on("request", lambda request: requests.append(request))
    page.add_init_script(WATCH)
    page.goto(f"{served.url}/studio/", timeout=120_000)
    expect.set_options(timeout=30_000)
    expect(page.locator("#chat .bot").last).to_be_visible()
    for name in TABS:
        page.get_by_role("tab", name=name, exact=True).click()
        expect(page.locator(f"#tab-{name.lower()}")).to_be_visible()
        if name == "Write":
            asked = page.locator(".write-asked textarea").first
            asked.fill("Tell me: <img src=x onerror=alert(1)>")
            while not page.locator("#near table").count():  # what is there is being taken in
                asked.press("End")
                asked.press_sequentially(" ")
                page.wait_for_timeout(300)
        if name == "Review":
            expect(page.locator("#review-case table")).to_be_visible()
        if name == "Progress":
            expect(page.locator("#progress-far table").first).to_be_visible()
        if name == "People":
            expect(page.locator("#people-list table")).to_be_visible()
        if name == "Data":
            expect(page.locator("#data-batches table")).to_be_visible()
        for field in page.locator(f"#tab-{name.lower()} [role=listbox]:visible").all():
            field.click()  # its choices are drawn
            page.keyboard.press("Escape")
        assert page.evaluate(FORBIDDEN) == [], name
    assert [one for one in page.evaluate("ran") if not one.startswith("policy:")] == []
    elsewhere = [one for one in requests if not one.url.startswith((served.url, "data:", "blob:"))]
    assert [one.url for one in elsewhere if one.failure != "csp"] == []
