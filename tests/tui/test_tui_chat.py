"""Asking, reading, stopping, and finding it all again."""

from dataclasses import replace

import pytest
from person import opened
from scripted_server import ScriptedServer

from engine.errors import UserError
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.store import Store, chats, labels
from tuner_app.store.rows import Message


def path(store: Store) -> list[Message]:
    (conversation,) = chats.conversations(store)
    return chats.path(store, conversation.id)


async def test_an_answer_is_shown_and_kept_with_what_made_it(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    settings.save(home, replace(settings.load(home), adapter="sft-7"))
    server.answers = ["The cow says moo."]
    async with opened(home) as person:
        await person.sees("sft-7 at 127.0.0.1", "● ready")
        await person.ask("What does a cow say?", "The cow says moo.")
        await person.sees("you", "sft-7")
    question, answer = path(store)
    assert (question.role, question.content) == ("user", "What does a cow say?")
    assert (answer.content, answer.model, answer.adapter) == ("The cow says moo.", "builtin", "sft-7")
    assert answer.finish == "stop"
    assert answer.decoding == settings.Decoding().to_json() | {"asked": {}}
    (request,) = server.requests
    assert request["model"] == "sft-7"
    assert request["seed"] == answer.seed
    assert request["messages"] == [{"role": "user", "content": "What does a cow say?"}]


async def test_the_last_conversation_is_there_after_a_restart(home: Home, server: ScriptedServer) -> None:
    server.answers = ["Blue.", "Green."]
    async with opened(home) as person:
        await person.ask("The sky?", "Blue.")
        await person.press("tab", "a")
        await person.sees("▲ good")
    async with opened(home) as person:
        await person.sees("The sky?", "Blue.", "▲ good")
        await person.ask("And grass?", "Green.")
    assert [m["content"] for m in server.requests[1]["messages"]] == ["The sky?", "Blue.", "And grass?"]


async def test_the_answer_streams_and_escape_stops_it(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.answers = ["One two three four", "next"]
    server.gate.clear()
    async with opened(home) as person:
        await person.type("Count")
        await person.press("enter")
        await person.sees("One▍", "esc stop")
        await person.press("escape")
        await person.sees("(stopped)")
        server.gate.set()
        assert path(store)[-1].content == "One"
        assert path(store)[-1].finish == "stopped"
        await person.ask("Go on", "next")


@pytest.mark.parametrize("key", ["ctrl+q", "ctrl+n"])
async def test_half_an_answer_is_kept_when_the_person_leaves(
    home: Home, server: ScriptedServer, store: Store, key: str
) -> None:
    server.answers = ["One two three four", "next"]
    server.gate.clear()
    async with opened(home) as person:
        await person.type("Count")
        await person.press("enter")
        await person.sees("One▍")
        await person.press(key)
        if key == "ctrl+n":
            await person.sees("A new conversation.")
            server.gate.set()
            await person.ask("Other", "next")
    counted = chats.conversations(store)[-1]
    assert [m.content for m in chats.path(store, counted.id)] == ["Count", "One"]
    assert len(chats.conversations(store)) == (2 if key == "ctrl+n" else 1)


async def test_an_empty_answer_is_said(home: Home, server: ScriptedServer, store: Store) -> None:
    server.answers = ["", "Something."]
    async with opened(home) as person:
        await person.type("hi")
        await person.press("enter")
        await person.sees("The model's answer was empty.", "asks again")
        await person.press("enter")
        await person.sees("Something.")
    assert [m.content for m in path(store)] == ["hi", "Something."]


async def test_a_second_prompt_waits_for_the_first_answer(home: Home, server: ScriptedServer) -> None:
    server.answers = ["One two"]
    server.gate.clear()
    async with opened(home) as person:
        await person.type("Count")
        await person.press("enter")
        await person.sees("One▍")
        await person.type("more")
        await person.press("enter")
        await person.sees("An answer is still being written", "more")
        server.gate.set()
        await person.sees("One two")
        await person.until(lambda: "still being written" not in person.screen())
    assert len(server.requests) == 1


async def test_control_j_starts_a_new_line(home: Home, store: Store) -> None:
    async with opened(home) as person:
        await person.press("1", "ctrl+j", "2", "shift+enter", "3", "alt+enter")
        await person.ask("4", "ok")
    assert path(store)[0].content == "1\n2\n3\n4"


async def test_labelling_keys_are_dead_while_typing(home: Home, store: Store) -> None:
    async with opened(home) as person:
        await person.ask("hello", "ok")
        await person.type("axesrub120fj?")
        await person.sees("axesrub120fj?")
    assert labels.counts(store) == {}
    assert len(path(store)) == 2


async def test_a_new_conversation_and_back_to_the_old(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.answers = ["Blue.", "Four."]
    async with opened(home) as person:
        await person.ask("The sky?", "Blue.")
        await person.press("ctrl+n")
        await person.sees("A new conversation.")
        await person.ask("Two and two?", "Four.")
        assert "Blue." not in person.screen()
        await person.press("ctrl+l")
        await person.sees("conversations", "The sky?", "Two and two?")
        await person.press("down", "enter")
        await person.sees("Blue.")
        assert "Four." not in person.screen()
        await person.press("ctrl+l")
        await person.sees("put away")
        await person.press("d")
        await person.sees("stay in the database")
        assert person.screen().count("Two and two?") == 1, "in the notice"
    assert len(chats.conversations(store, archived=True)) == 1
    assert len(server.requests[1]["messages"]) == 1


async def test_a_server_that_dies_halfway_loses_nothing(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.answers = [ConnectionError(), "Whole."]
    async with opened(home) as person:
        await person.type("Tell me")
        await person.press("enter")
        await person.sees("broke off", "What it had written is kept")
        await person.sees("Half", "(broken off)")
        assert path(store)[-1].finish == "failed"
        await person.press("tab", "r")
        await person.sees("Whole.", "← 2 of 2 →")
        await person.press("left")
        await person.sees("Half", "← 1 of 2 →")
        await person.press("right")
        await person.sees("Whole.")
    assert [answer.content for answer in chats.answers(store, path(store)[0].id)] == ["Half", "Whole."]
    assert path(store)[-1].content == "Whole."


async def test_a_refusal_is_shown_and_enter_asks_again(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    refusal = "This chat has 600 tokens, more than the model's 512.\nStart a new conversation: Ctrl+N."
    server.answers = [ValueError(refusal), "Fits."]
    async with opened(home) as person:
        await person.type("Long")
        await person.press("enter")
        await person.sees("more than the model's 512", "Ctrl+N", "Your prompt is kept")
        assert [m.content for m in path(store)] == ["Long"]
        await person.press("enter")
        await person.sees("Fits.")
    assert [m.content for m in path(store)] == ["Long", "Fits."]


async def test_a_prompt_that_cannot_be_saved_stays_in_the_box(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise UserError("The disk is full.", do="Free some space.")

    async with opened(home) as person:
        with monkeypatch.context() as broken:
            broken.setattr(chats, "add", full)
            await person.type("precious")
            await person.press("enter")
            await person.sees("The disk is full.", "Free some space.", "precious")
        assert chats.conversations(store) == []
        await person.press("enter")
        await person.sees("ok")
    assert [m.content for m in path(store)] == ["precious", "ok"]


async def test_an_answer_that_cannot_be_saved_stays_on_the_screen(
    home: Home, server: ScriptedServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = ["Costly answer."]
    add = chats.add

    def full(*args: object, role: str, **rest: object) -> Message:
        if role == "assistant":
            raise UserError("The disk is full.")
        return add(*args, role=role, **rest)  # type: ignore[arg-type]

    async with opened(home) as person:
        with monkeypatch.context() as broken:
            broken.setattr(chats, "add", full)
            await person.type("hi")
            await person.press("enter")
            await person.sees("The answer is not saved: The disk is full.", "Costly answer.", "^s save again")
        await person.press("ctrl+s")
        await person.kept()
        await person.sees("Costly answer.")
    assert path(store)[-1].content == "Costly answer."


async def test_what_another_app_adds_to_the_conversation_appears(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person, opened(home) as other:
        await person.ask("hello", "ok")
        await other.press("ctrl+l")
        await other.sees("hello")
        await other.press("enter")
        await other.sees("ok")
        server.answers = ["From the other."]
        await other.ask("more", "From the other.")
        await person.sees("From the other.")
