"""Going about a conversation: its branches, its messages, and how they are shown."""

import json
import os
from pathlib import Path

import pytest
from person import Person, opened
from scripted_server import ScriptedServer
from textual.widgets import TextArea

from tuner_app.paths import Home
from tuner_app.store import Store, chats
from tuner_app.tui.widgets.spoken import Spoken

DATA = os.environ.get("TUNER_CONFORMANCE_DATA")


def said(store: Store) -> list[str]:
    (conversation,) = chats.conversations(store)
    return [message.content for message in chats.path(store, conversation.id)]


def selected(person: Person) -> str:
    focused = person.app.focused
    return focused.turn.message.content if isinstance(focused, Spoken) else type(focused).__name__


def seen(person: Person) -> list[str]:
    """The upper lines of the transcript, without the scroll bar."""
    return [line[:70].rstrip() for line in person.screen().splitlines()[1:12]]


async def two_turns(person: Person, server: ScriptedServer) -> None:
    server.answers = ["Moo.", "Woof."]
    await person.ask("A cow?", "Moo.")
    await person.ask("A dog?", "Woof.")


async def test_a_prompt_is_edited_and_sent_again_beside_the_old_one(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await two_turns(person, server)
        await person.press("tab", "home", "e")
        await person.sees("^s send", "no changes yet")
        await person.press("left")
        await person.type(" or a calf")
        await person.sees("{+ or a calf+}")
        server.answers = ["Meuh."]
        await person.press("ctrl+s")
        await person.sees("A cow or a calf?", "← 2 of 2 →", "Meuh.")
        await person.kept()
        assert selected(person) == "PromptBox"
        assert said(store) == ["A cow or a calf?", "Meuh."]
        assert [m["content"] for m in server.requests[-1]["messages"]] == ["A cow or a calf?"]
        await person.press("tab", "up", "left")
        await person.sees("A cow?", "← 1 of 2 →", "Woof.")
        assert said(store) == ["A cow?", "Moo.", "A dog?", "Woof."], "down to the end of the old branch"
        await person.press("right")
        await person.sees("Meuh.")
        assert selected(person) == "A cow or a calf?"


async def test_going_on_from_any_answer_and_back_to_what_followed(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await two_turns(person, server)
        await person.press("tab", "home", "down", "enter")
        await person.sees("Moo.", "shows what followed")
        assert (selected(person), said(store)) == ("PromptBox", ["A cow?", "Moo."])
        await person.press("tab")
        await person.sees("⏎ what followed")
        await person.press("enter")
        await person.sees("Woof.")
        await person.press("tab", "up", "up", "enter")
        await person.until(lambda: "Woof." not in person.screen())
        server.answers = ["Meow."]
        await person.ask("A cat?", "Meow.")
        await person.sees("← 2 of 2 →")
        assert said(store) == ["A cow?", "Moo.", "A cat?", "Meow."]
        await person.press("tab", "up", "left")
        await person.sees("Woof.", "← 1 of 2 →")


async def test_answering_again_in_the_middle_hides_what_followed_the_old_answer(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await two_turns(person, server)
        server.answers = ["Again now", ConnectionError()]
        server.gate.clear()
        await person.press("tab", "home", "down", "r")
        await person.sees("Again▍")
        assert "A dog?" not in person.screen()
        server.gate.set()
        await person.sees("Again now", "← 2 of 2 →")
        await person.until(lambda: selected(person) == "Again now")
        await person.press("left")
        await person.sees("Woof.")
        server.answers = [ValueError("No.")]
        await person.press("up", "r")
        await person.sees("No.", "Woof.")
    assert said(store) == ["A cow?", "Moo.", "A dog?", "Woof."]


async def test_the_branch_of_the_chosen_answer_is_shown_again(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await two_turns(person, server)
        server.answers = ["Wuff."]
        await person.press("tab")
        await person.second()
        shown = person.app.screen.query_one("Comparison").shown  # type: ignore[attr-defined]
        await person.press("1" if shown[0] == 0 else "2", "enter")
        await person.sees("★ chosen")
        await person.press("tab", "home", "e", "!", "ctrl+s")
        await person.sees("← 2 of 2 →")
        await person.kept()
        await person.press("tab", "up", "left")
        await person.sees("Woof.")
    assert said(store)[-1] == "Woof.", "not the newer one, which was passed over"


async def test_moving_about(home: Home, server: ScriptedServer) -> None:
    long = "\n".join(f"line {number}" for number in range(60))
    async with opened(home) as person:
        server.answers = [long]
        await person.ask("Count", "line 59")
        await person.press("up")  # in the empty box
        assert selected(person) == long
        transcript = person.app.screen.query_one("Transcript")
        await person.press("pageup")
        await person.sees("line 40")
        assert "line 58" not in person.screen()
        await person.press("pagedown")
        await person.sees("line 58")
        await person.press("tab")
        await person.until(lambda: selected(person) == "PromptBox")
        await person.press("tab", "home")
        await person.sees("you", "line 0\n")
        assert selected(person) == "Count"
        await person.press("y")
        await person.until(lambda: person.app.clipboard == "Count")
        await person.press("tab")
        await person.until(lambda: selected(person) == "PromptBox")
        await person.press("tab", "home", "down")
        assert selected(person) == long
        for _ in range(9):
            await person.press("down")
            if "line 59" in person.screen():
                break
        assert (selected(person), transcript.scroll_offset.y) == (long, transcript.max_scroll_y)
        await person.press("down")
        assert selected(person) == "PromptBox"
        await person.press("pageup")
        await person.sees("line 40")
        assert "line 58" not in person.screen()
        await person.press("pagedown")
        await person.sees("line 58")


async def test_the_view_stays_where_it_is_read_while_an_answer_comes(
    home: Home, server: ScriptedServer
) -> None:
    async with opened(home) as person:
        server.answers = [
            "\n".join(f"line {n}" for n in range(60)),
            "\n".join(f"word {n}" for n in range(40)),
        ]
        await person.ask("Count", "line 59")
        server.gate.clear()
        await person.paste("More")
        await person.press("enter")
        await person.sees("word▍")
        await person.press("pageup", "pageup")
        await person.sees("line 30")
        before = seen(person)
        server.gate.set()
        await person.kept()
        await person.pilot.resize_terminal(80, 24)
        assert seen(person) == before


async def test_a_long_conversation_is_shown_from_its_end(home: Home, store: Store) -> None:
    chat, tip = chats.start(store, title="long"), None
    with store.write():
        for number in range(60):
            parent = tip.id if tip else None
            tip = chats.add(store, chat.id, role="user", content=f"question {number}!", parent_id=parent)
            tip = chats.add(store, chat.id, role="assistant", content=f"answer {number}!", parent_id=tip.id)
    async with opened(home) as person:
        await person.sees("answer 59!")
        assert len(person.app.screen.query(Spoken)) == 20
        await person.ask("more", "ok")
        assert len(person.app.screen.query(Spoken)) == 22
        await person.press("tab", *["up"] * 21)
        assert selected(person) == "question 50!"
        await person.press("pageup")
        await person.sees("▲ 100 earlier messages")
        await person.press("up")
        await person.sees("answer 49!", "question 50!")
        assert selected(person) == "answer 49!"
        await person.press("up", "home")
        await person.sees("question 0!")
        await person.until(lambda: selected(person) == "question 0!")
        assert "earlier messages" not in person.screen()
        assert len(person.app.screen.query(Spoken)) == 122


async def test_resizing_while_an_answer_comes(home: Home, server: ScriptedServer) -> None:
    async with opened(home) as person:
        server.answers = ["# Title\n\n- one\n- two"]
        server.gate.clear()
        await person.paste("go")
        await person.press("enter")
        await person.sees("▍")
        for size in ((30, 12), (200, 60), (80, 24)):
            await person.pilot.resize_terminal(*size)
        server.gate.set()
        await person.sees("Title", "• one", "• two")


async def test_markdown_its_source_and_copies(home: Home, server: ScriptedServer) -> None:
    text = "# Title\n\n- **one**\n\n```py\nx\t= 1\n```\n\n```\nsecond\n```"
    async with opened(home, (80, 40)) as person:
        server.answers = [text]
        await person.ask("hi", "• one")
        assert "**" not in person.screen()
        await person.press("tab", "m")
        await person.sees("- **one**", "source", "```py")
        await person.press("m")
        await person.sees("• one")
        await person.press("y")
        await person.sees("Copied the text")
        assert person.app.clipboard == text
        await person.press("c")
        await person.sees("code block 1 of 2")
        assert person.app.clipboard == "x\t= 1\n"
        await person.press("c")
        await person.sees("code block 2 of 2")
        assert person.app.clipboard == "second\n"


MUCH = ["日本" * 15_000, "\x1b[31m" * 5_000, "> " * 4_000, "[" * 10_000]
TOO_MUCH = ["x" * 1_000_000, "line\n" * 100_000, "\x1b\u202e" * 500_000]


@pytest.mark.parametrize("texts", [MUCH, pytest.param(TOO_MUCH, marks=pytest.mark.slow)], ids=["", "too "])
async def test_prompts_and_answers_that_are_much(home: Home, store: Store, texts: list[str]) -> None:
    chat = chats.start(store, title="\x1b[31m" * 500)
    tip = None
    for text in texts:
        tip = chats.add(store, chat.id, role="user", content=text, parent_id=tip.id if tip else None)
        tip = chats.add(store, chat.id, role="assistant", content=text, parent_id=tip.id)
    async with opened(home) as person:
        await person.until(lambda: bool(person.app.screen.query("Answer")))
        await person.press("tab", "home")
        await person.sees("you   long: shown as it was written", texts[0][:9])
        for _ in range(2):
            await person.press("m", "pagedown", "end", "up", "down", "up", "m", "home")
            assert not {"\x1b", "\x00", "\u202e"} & set(person.screen())
        await person.press("escape")
        await person.ask("still there?", "ok")
    assert said(store)[:-2] == [text for text in texts for _ in "qa"]


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="TUNER_CONFORMANCE_DATA is not set")
async def test_naughty_strings_as_titles_prompts_and_answers(home: Home, store: Store) -> None:
    strings = json.loads((Path(str(DATA)) / "data/nasty/blns.json").read_text(encoding="utf-8"))
    with store.write():
        for start in range(0, len(strings), 40):
            chat = chats.start(store, title=strings[start])
            tip = None
            for text in strings[start : start + 40]:
                tip = chats.add(store, chat.id, role="user", content=text, parent_id=tip.id if tip else None)
                tip = chats.add(store, chat.id, role="assistant", content=text, parent_id=tip.id)
    async with opened(home, (120, 40)) as person:
        for conversation in chats.conversations(store):
            person.app.open_conversation(conversation.id)
            await person.until(lambda: len(person.app.screen.query(Spoken)) > 1)
            for _ in range(8):
                await person.press("pageup")
                text = person.screen()
                assert not any(ord(sign) < 32 and sign != "\n" for sign in text)
                assert not set("\u202e\u2066\u200f\x9b\x7f") & set(text)


async def test_a_correction_that_was_left_is_kept_as_a_draft(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await two_turns(person, server)
        await person.press("tab", "e")
        await person.sees("no changes yet")
        await person.press("escape")
        assert "draft" not in person.screen()
        await person.press("e", "!")
        await person.sees("{+!+}")
        await person.press("escape")
        await person.sees("Not saved, but kept", "✎ draft")
        await person.press("up", "up", "enter")  # the answer leaves the screen, and comes back
        await person.until(lambda: "Woof." not in person.screen())
        await person.press("tab", "enter", "tab")
        await person.sees("Woof.", "✎ draft")
        await person.press("e")
        assert person.app.screen.query_one("Editor", TextArea).text == "Woof.!"
        await person.press("ctrl+s")
        await person.sees("Saved: ✎ corrected", "Woof.!")
        assert "draft" not in person.screen()
