"""The list of conversations: searched, renamed, put away and brought back."""

import pytest
from person import opened
from textual.widgets import OptionList

from tuner_app.conversing import branches
from tuner_app.paths import Home
from tuner_app.store import Store, chats


def talk(store: Store, title: str, *said: str) -> int:
    """A conversation of questions and answers by turns; its id."""
    chat = chats.start(store, title=title)
    for number, text in enumerate(said):
        tip = chats.get(store, chat.id).tip_id
        chats.add(store, chat.id, role="assistant" if number % 2 else "user", content=text, parent_id=tip)
    return chat.id


@pytest.mark.parametrize("hit", ["left", "right"])
def test_a_hit_is_shown_on_a_branch_that_holds_it(store: Store, hit: str) -> None:
    chat = chats.start(store)
    ask = chats.add(store, chat.id, role="user", content="?")
    for name in ("left", "right"):
        answer = chats.add(store, chat.id, role="assistant", content=name, parent_id=ask.id)
        chats.add(store, chat.id, role="user", content=f"{name} on", parent_id=answer.id)
    (found,) = [row for row in chats.answers(store, ask.id) if row.content == hit]
    branches.go_to(store, found.id)
    assert [row.content for row in chats.path(store, chat.id)] == ["?", hit, f"{hit} on"]
    tip = chats.get(store, chat.id).tip_id
    branches.go_to(store, ask.id)
    assert chats.get(store, chat.id).tip_id == tip, "it is on this branch: nothing moves"


async def test_a_search_opens_the_branch_that_holds_the_text(home: Home, store: Store) -> None:
    chat = talk(store, "farm", "What does it eat?", "hay, and needles of pine")
    question = chats.path(store, chat)[0]
    chats.add(store, chat, role="assistant", content="grass", parent_id=question.id)
    talk(store, "Needlework", "Knit?", "Purl.")
    async with opened(home) as person:
        await person.press("ctrl+l")
        await person.sees("conversations: 2", "farm", "Needlework")
        await person.press("slash")
        await person.type("ne")
        await person.sees("conversations: 1 found", "In titles alone")
        await person.type("edle")
        await person.sees("conversations: 2 found", "hay, and ›needle‹s of pine")
        await person.until(lambda: "In titles alone" not in person.screen())
        await person.type("s")
        await person.sees("conversations: 1 found", "›needles‹")
        await person.press("enter")
        await person.sees("tuner  farm", "hay, and needles of pine")
        await person.until(lambda: type(person.app.focused).__name__ == "Answer")
        assert "grass" not in person.screen()
        await person.press("ctrl+l", "slash")
        await person.type("nowhere")
        await person.sees("conversations: 0 found")
        await person.press("escape")
        await person.sees("conversations: 2", "/ searches titles and messages")
        await person.press("escape")
        await person.sees("hay, and needles of pine")
    assert [message.content for message in chats.path(store, chat)][-1] == "hay, and needles of pine"


async def test_renaming_in_place(home: Home, store: Store) -> None:
    talk(store, "older", "hi")
    renamed = talk(store, "new", "hi", "a text about cows")
    async with opened(home) as person:
        await person.press("ctrl+l")
        await person.sees("conversations: 2")
        await person.press("r")
        await person.sees("⏎ rename  esc leave it")
        await person.type("er [bold]")
        await person.press("enter")
        await person.sees("Renamed.", "newer [bold]", "⏎ open")
        await person.press("r")
        await person.type("!")
        await person.press("escape")
        await person.sees("⏎ open")
        assert "!" not in person.screen()
        await person.press("slash")
        await person.type("cows")
        await person.sees("1 found")
        await person.press("down", "r", "home")
        await person.type("The ")
        await person.press("enter")
        await person.sees("The newer [bold]", "›cows‹")
    assert chats.get(store, renamed).title == "The newer [bold]"


async def test_putting_away_and_bringing_back(home: Home, store: Store) -> None:
    for title in ("one", "two", "three"):
        talk(store, title, "hi")
    async with opened(home) as person:
        await person.press("ctrl+l")
        await person.sees("conversations: 3")
        await person.press("down", "d")
        await person.sees("Put away: “two”", "conversations: 2", "three", "one")
        assert "b bring back" not in person.screen()
        await person.press("delete")
        await person.sees("Put away: “one”", "conversations: 1")
        await person.press("v")
        await person.sees("conversations: 2 put away", "two", "one", "b bring back")
        await person.press("b")
        await person.sees("Back in the list")
        await person.press("b", "v")
        await person.sees("conversations: 3", "one", "two")
        await person.press("v")
        await person.sees("Nothing is put away.")
    assert len(chats.conversations(store)) == 3


async def test_pages_come_as_they_are_looked_at(home: Home, store: Store) -> None:
    with store.write():
        for number in range(170):
            chats.start(store, title=f"number {number}")
    async with opened(home) as person:
        await person.press("ctrl+l")
        await person.sees("conversations: 170", "number 169")
        rows = person.app.screen.query_one(OptionList)
        for at_least in (100, 150, 170):
            await person.press("end")
            await person.until(lambda at_least=at_least: rows.option_count >= at_least)  # type: ignore[misc]
        await person.press("end")
        await person.sees("number 0\n")
        await person.press("home")
        await person.sees("number 169")


async def test_hostile_text_is_found_and_shown_and_stays_as_it_is(home: Home, store: Store) -> None:
    hostile = "[bold]x[/] \x1b[2J \u202e [@click=app.quit]needle[/] \x02\x03 $y"
    chat = talk(store, hostile, hostile)
    async with opened(home, (120, 24)) as person:
        await person.press("ctrl+l", "slash")
        await person.type("needle")
        await person.sees("[bold]x[/] ␛[2J ⟨U+202E⟩ [@click=app.quit]needle[/]", "›needle‹[/]")
        await person.press("down", "r", "enter")
        await person.sees("⏎ open")
        assert not {"\x1b", "\u202e", "\x02"} & set(person.screen())
        await person.press("slash", "ctrl+u")
        await person.type('" AND (')
        await person.sees("conversations: 0 found")
    assert chats.get(store, chat).title == hostile
