"""What chatting looks like."""

import pytest
from album import Album
from person import Person, opened
from scripted_server import ScriptedServer
from still import ago, break_disk

from engine.examples import Demonstration, Message
from tuner_app.paths import Home
from tuner_app.store import Store, chats, examples

HAY = """A cow eats **grass**, and in winter:

- hay
- silage, which is grass that was kept *wet*

```python
def lunch(winter: bool) -> str:
    return "hay" if winter else "grass"
```"""
OTHER = "Mostly grass. In winter it gets hay, and it drinks about 100 litres of water a day."
FARM = (
    ("What does a cow say?", "It says moo."),
    ("Why is the sky blue?", "Air scatters blue light more than red light."),
    ("天空是什么颜色的?", "天空是蓝色的。"),
)


async def judged(person: Person, server: ScriptedServer) -> None:
    """A conversation with two answers, the last of them selected."""
    server.answers = ["It says moo.", HAY]
    await person.ask("What does a cow say?", "It says moo.")
    await person.press("tab", "a")
    await person.sees("Saved: ▲ good")
    await person.press("escape")
    await person.ask("And what does it eat? Show me in Python too.", "lunch")
    await person.press("tab")
    await person.sees("▲ good")


async def test_chat(home: Home, server: ScriptedServer, album: Album) -> None:
    async with opened(home) as person:
        await album.take(person, "empty", "Type a prompt")
        await judged(person, server)
        await album.take(person, "an answer", "lunch", "a good")
        await person.press("x", "t")
        await person.sees("why?")
        await album.take(person, "saying why", "why?")
        await person.press("escape", "e")
        await person.sees("no changes yet")
        await person.press("left")
        await person.type(" ax")
        await album.take(person, "correcting", "ax", "^s save")
        await person.press("escape")
        server.answers = [OTHER]
        await person.second()
        await album.take(person, "choosing", "Which is better?")
        await person.press("1")
        await person.sees("Saved")
        await album.take(person, "chosen", "Saved")
        await person.press("enter")
        server.answers, server.usage = ["Half of it is written"], 120
        server.gate.clear()
        await person.paste("And how much?")
        await person.press("enter")
        await album.take(person, "busy", "Half", "esc stop")
        server.gate.set()
        await person.kept()
        server.answers = [ConnectionError()]
        await person.paste("Go on.")
        await person.press("enter")
        await album.take(person, "error", "broke off")


def few(store: Store) -> None:
    with ago(days=2):
        for question, answer in FARM:
            chat = chats.start(store, title=question)
            asked = chats.add(store, chat.id, role="user", content=question)
            chats.add(store, chat.id, role="assistant", content=answer, parent_id=asked.id, model="builtin")
    shown = [Demonstration((Message("user", q), Message("assistant", a))) for q, a in FARM]
    examples.add(store, [(row, line) for line, row in enumerate(shown, 1)], source="farm.jsonl")


async def test_conversations(home: Home, store: Store, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(home) as person:
        await person.press("ctrl+l")
        await album.take(person, "empty", "conversations: 0")
        await person.press("escape")
        few(store)
        with ago(hours=3):
            chats.start(store, title="A long title, which somebody has pasted into it by mistake " * 3)
        await person.press("ctrl+l")
        await album.take(person, "busy", "conversations: 4", "天空")
        await person.press("slash")
        await person.type("moo")
        await album.take(person, "a search", "›moo‹")
        await person.press("escape", "r")
        await album.take(person, "renaming", "⏎ rename")
        await person.press("escape", "escape")
        break_disk(person, monkeypatch)
        await person.press("ctrl+l")
        await album.take(person, "error", "✗")


async def test_how(home: Home, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(home) as person:
        await person.press("f3")
        await album.take(person, "empty", "as the settings")
        await person.type("Be brief.")
        await person.press("tab", "enter", "down", "down")
        await album.take(person, "choosing", "creative")
        await person.press("down", "down", "enter")
        await album.take(person, "busy", "1.2", "≠ 0.7 in the settings")
        await person.press("tab", "end", "backspace", "x")
        await album.take(person, "a wrong value", "✗")
        break_disk(person, monkeypatch)
        await person.press("backspace", "5")
        await album.take(person, "error", "not saved")


async def test_shots(home: Home, store: Store, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(home) as person:
        await person.press("f8")
        await album.take(person, "empty", "No examples yet")
        await person.press("escape")
        few(store)
        await person.press("f8")
        await person.sees("天空")
        await person.press("down", "space")
        await album.take(person, "busy", "1 example before this chat")
        break_disk(person, monkeypatch)
        await person.press("down", "space")
        await album.take(person, "error", "not saved")


async def test_help(home: Home, server: ScriptedServer, album: Album) -> None:
    async with opened(home) as person:
        await judged(person, server)
        await person.press("question_mark")
        await album.take(person, "busy", "On an answer")
        await person.press("end")
        await album.take(person, "its end", "Quick start")


async def test_command_palette(home: Home, album: Album) -> None:
    async with opened(home) as person:
        await person.press("ctrl+p")
        await album.take(person, "empty", "Search for commands")
        await person.type("train")
        await album.take(person, "busy", "train on labels and imports")


async def test_tour(home: Home, album: Album) -> None:
    home.settings.unlink()
    async with opened(home, ready="1 of 5") as person:
        await album.take(person, "empty", "1 of 5")
        await person.press("right", "right", "right", "right")
        await album.take(person, "busy", "5 of 5")
