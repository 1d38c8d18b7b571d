"""What labelling looks like."""

from datetime import timedelta
from typing import Any

import pytest
from album import Album
from person import opened
from scripted_server import ScriptedServer
from still import Clock, ago, break_disk

from engine.errors import UserError
from engine.examples import Message
from tuner_app.paths import Home
from tuner_app.store import Store, batches, chats, labels, models
from tuner_app.store.rows import Asked, Batch, Maker, Reply

BOTH = (Maker("builtin", "sft-1"), Maker("builtin", "dpo-1"))
QUESTIONS = ("What does a cow eat?", "Why is the sky blue?", "How do I boil an egg?", "Who was Ada Lovelace?")
LONG = (
    "Put the egg into cold water and bring it to the boil. Then wait: four minutes for a soft yolk, seven "
    "for one that is just set, ten for one that is hard. Cool it under the tap, or it goes on cooking."
)


def answered(question: str, *texts: str) -> Asked:
    makers = ("sft-1", "dpo-1")
    replies = tuple(Reply(text, "builtin", maker) for text, maker in zip(texts, makers, strict=False))
    return Asked((Message("user", question),), replies)


def pairs(store: Store) -> Batch:
    asked = [
        answered(QUESTIONS[0], "Grass.", "A cow eats grass, and hay in winter."),
        answered(QUESTIONS[2], LONG, LONG.replace("four", "five").replace("Cool", "Rinse")),
        answered(QUESTIONS[1], "Because of the air.", "天空是蓝色的, because air scatters blue light."),
    ]
    return batches.make(store, asked, name="evening", kind="pair", makers=BOTH, uid="evening")


def singles(store: Store) -> Batch:
    asked = [answered(question, "I do not know.") for question in QUESTIONS]
    return batches.make(store, asked, name="one by one", kind="single", makers=BOTH[:1], uid="one")


async def test_batches(home: Home, store: Store, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(home) as person:
        await person.press("ctrl+g")
        await album.take(person, "empty", "a new batch")
        await person.press("escape")
        with ago(days=3):
            batch = pairs(store)
            for at, waiting in enumerate(batches.waiting(store, batch.id)):
                batches.judge(store, waiting, "tie", uid=f"{at}")
        with ago(hours=2):
            batches.make(
                store,
                [Asked((Message("user", q),)) for q in QUESTIONS],
                name="to be written " * 3,
                kind="single",
                makers=BOTH[:1],
                uid="written",
            )
            batches.fail(store, 2, 0, "the model said nothing")
        singles(store)
        await person.press("ctrl+g")
        await album.take(person, "busy", "one by one", "done")
        await person.press("escape")
        break_disk(person, monkeypatch)
        await person.press("ctrl+g")
        await album.take(person, "error", "✗")


async def test_new_batch(home: Home, store: Store, album: Album) -> None:
    async with opened(home) as person:
        await person.press("ctrl+g", "enter")
        await album.take(person, "empty", "No prompts here yet")
        await person.press("ctrl+s")
        await album.take(person, "error", "There are no prompts.")
        await person.press("escape")
        base = models.add_base(store, source="builtin", fingerprint="f", name="builtin")
        models.add_adapter(store, name="sft-1", base_id=base.id, folder="x", hash="x")
        talk = chats.start(store)
        for text in QUESTIONS:
            chats.add(store, talk.id, role="user", content=text)
        await person.press("enter")
        await album.take(person, "busy", "4 prompts", "asked in the chat")


async def test_label(
    home: Home, server: ScriptedServer, store: Store, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [Asked((Message("user", question),)) for question in QUESTIONS]
    batches.make(store, written, name="written", kind="single", makers=BOTH[:1], uid="written")
    pairs(store)
    singles(store)
    async with opened(home) as person:
        await person.press("ctrl+g")
        await person.sees("one by one")
        await person.press("enter")
        await album.take(person, "one answer", "Is it good?")
        await person.press("e", "!")
        await album.take(person, "correcting", "Ctrl+S saves")
        await person.press("escape", "escape", "down", "enter")
        await album.take(person, "two answers", "Which is better?")
        await person.press("1")
        await person.sees("boil an egg")
        Clock.moment += timedelta(seconds=14)
        await person.press("d")
        await album.take(person, "busy", "1/3 judged")
        await person.press("t")
        await album.take(person, "saying why", "why?")
        await person.press("escape", "g")
        await album.take(person, "a goal", "goal")
        await person.press(*"50", "enter", "0")
        await person.sees("2/3 judged")
        Clock.moment += timedelta(seconds=9)
        await person.press("0")
        await album.take(person, "done", "this batch is done")
        await person.press("escape")
        await person.sees("written")
        server.gate.clear()
        await person.press("down", "enter")
        await album.take(person, "empty", "are being written")
        server.answers = ["I would have to look that up."] * 4
        server.gate.set()
        await person.sees("Is it good?", "4 ready")

        def full(*_: Any, **__: Any) -> None:
            raise UserError("The disk is full.", do="Free some space.")

        monkeypatch.setattr(labels, "record", full)
        await person.press("a")
        await album.take(person, "error", "NOT saved")
