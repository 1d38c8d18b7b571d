"""Stored examples before a conversation: chosen, numbered, sent, and part of what a label is about."""

from person import opened
from scripted_server import ScriptedServer

from engine.examples import Demonstration, Message
from tuner_app.paths import Home
from tuner_app.store import Store, chats, examples, labels


def keep(store: Store, *pairs: tuple[str, str]) -> None:
    rows = [Demonstration((Message("user", ask), Message("assistant", answer))) for ask, answer in pairs]
    examples.add(store, [(row, line) for line, row in enumerate(rows)], source="rows.jsonl")


async def test_examples_are_chosen_and_stand_before_the_prompt(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    keep(store, ("Cow?", "Moo."), ("Dog?", "Woof [b]."), ("Cat?", "Meow."))
    async with opened(home) as person:
        await person.press("f8")
        await person.sees("no examples before this chat", "Cat? → Meow.", "Dog? → Woof [b].", "user  Cat?")
        await person.press("down", "space")
        await person.sees("1 example before this chat", "[1] Dog? → Woof [b].", "assistant  Woof [b].")
        await person.press("slash")
        await person.type("moo")
        await person.until(lambda: "Meow." not in person.screen())
        await person.press("enter", "enter")
        await person.sees("2 examples before this chat", "[2] Cow?")
        await person.press("escape")
        await person.sees("[1] Dog?", "[2] Cow?", "Cat? → Meow.")
        await person.press("escape")
        await person.sees("2 examples before this")
        await person.ask("Hen?", "ok")
        await person.press("tab", "a")
        await person.sees("▲ good")
        await person.press("f3")
        await person.sees("2 examples before this chat: F8 chooses")
        await person.press("f8", "space")
        await person.sees("1 example before this chat", "[1] Cow?")
        await person.press("c")
        await person.sees("no examples before this chat")
        await person.press("escape")
        await person.sees("No examples before this chat")
    said = [turn["content"] for turn in server.requests[0]["messages"]]
    assert said == ["Dog?", "Woof [b].", "Cow?", "Moo.", "Hen?"]
    (conversation,) = chats.conversations(store)
    assert (conversation.title, conversation.shots) == ("Hen?", ())
    answer = chats.path(store, conversation.id)[-1]
    (event,) = labels.on_messages(store, [answer.id])[answer.id]
    assert [turn.content for turn in labels.item(store, event.item_hash).prompt] == said


async def test_without_examples_it_is_said_where_they_come_from(home: Home) -> None:
    async with opened(home) as person:
        await person.press("f8")
        await person.sees("No examples yet: correct an answer, or import some.")
        await person.press("slash")
        await person.type("x")
        await person.sees("Nothing is found.")
