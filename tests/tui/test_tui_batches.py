"""Batches of prompts: listed, made by a short form, put away."""

import threading
from pathlib import Path
from typing import Any

import pytest
from person import Person, opened
from scripted_server import ScriptedServer
from textual.widgets import Input, Select

from engine.examples import Message, Pair, Rated
from tuner_app import labelling, settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store, batches, chats, examples, models
from tuner_app.store.rows import Asked, Maker, Reply


async def form(person: Person) -> None:
    await person.press("ctrl+g")
    await person.sees("a new batch")
    await person.press("n")
    await person.sees("new batch", "answered by")


async def choose(person: Person, control: str, value: str) -> None:
    person.app.screen.query_one(control, Select).value = value
    await person.pilot.pause()


async def test_enter_enter_labels_what_was_asked_in_the_chat(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    talk = chats.start(store)
    for text in ("A cow?", "A dog?"):
        chats.add(store, talk.id, role="user", content=text)
    server.answers = ["one", "two", "three", "four"]
    async with opened(home) as person:
        await person.press("ctrl+g")
        await person.sees("a new batch")
        await person.press("enter")
        await person.sees("2 prompts: “A dog?” …", "asked in the chat", "the same")
        await person.press("enter")
        await person.sees("label · batch 1", "Which is better?", "2 ready")
        await person.press("escape")
        await person.sees("batch 1", "0/2", "2 ready", "pair by the base", "a new batch")
        await person.press("up", "up", "d")
        await person.sees("Put away.")
        assert "batch 1" not in person.screen()
    (batch,) = [batches.get(store, 1)]
    assert (batch.kind, batch.makers) == ("pair", (Maker("builtin"),))
    assert (batch.decoding["temperature"], batch.decoding["max_tokens"]) == (1.0, 256)
    assert {request["n"] for request in server.requests} == {2}


@pytest.mark.parametrize("asked", [True, False])  # whether what is offered is what was asked in the chat
async def test_offers_that_come_late_move_nothing_under_who_types(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    if asked:
        chats.add(store, chats.start(store).id, role="user", content="A cow?")
    may, offered = threading.Event(), labelling.offered

    def late(*args: Any) -> Any:
        assert may.wait(20)
        return offered(*args)

    monkeypatch.setattr(labelling, "offered", late)
    async with opened(home, (100, 40)) as person:
        await form(person)
        name = person.app.screen.query_one("#name", Input)
        await person.type("co")
        may.set()
        await person.until(lambda: name.placeholder == "batch 1")
        await person.until(lambda: not any(worker.is_running for worker in person.app.workers))
        await person.type("ws")
        assert (name.value, name.has_focus) == ("cows", True)
        assert person.app.screen.query_one("#origin", Select).value == "typed"
        may.clear()
        await person.press("escape", "n")
        typed = person.app.screen.query_one("#typed")
        typed.focus()
        await person.type("A c")
        name = person.app.screen.query_one("#name", Input)
        may.set()
        await person.until(lambda: name.placeholder == "batch 1")
        await person.type("ow?")
        await person.sees("A cow?")
        assert typed.has_focus


async def test_prompts_are_pasted_and_answered_by_two_models(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    base = models.add_base(store, source="builtin", fingerprint="f", name="builtin")
    for name in ("sft-1", "dpo-1"):
        models.add_adapter(store, name=name, base_id=base.id, folder="x", hash=name)
    server.answers = [f"{n}" for n in range(9)]
    async with opened(home, (100, 40)) as person:
        await form(person)
        await person.sees("No prompts here yet")
        await person.press("ctrl+s")
        await person.sees("There are no prompts.")
        await choose(person, "#first", "dpo-1")
        await choose(person, "#second", "sft-1")
        person.app.screen.query_one("#typed").focus()
        await person.paste("A cow?\nA dog?\n\nA cow?")
        await person.sees("2 prompts: “A cow?” …")
        person.app.screen.query_one("#system").focus()
        await person.type("Be brief.")
        person.app.screen.query_one("#name").focus()
        await person.type("night")
        await person.press("ctrl+s")
        await person.sees("label · night", "System: Be brief.", "2 ready")
        await person.press("escape")
        await person.sees("night", "pair by dpo-1 against sft-1")
    assert {request["model"] for request in server.requests} == {"dpo-1", "sft-1"}
    assert server.requests[0]["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_a_file_and_what_is_wrong_with_it(home: Home, store: Store, tmp_path: Path) -> None:
    async with opened(home, (100, 40)) as person:
        await form(person)
        await choose(person, "#origin", "file")
        await person.sees("No prompts here yet")
        assert "is a folder" not in person.screen(), "no file is named yet"
        person.app.screen.query_one("#file").focus()
        await person.paste(str(tmp_path / "prompts.txt"))
        await person.sees("cannot be read")
        (tmp_path / "prompts.txt").write_text("One?\nTwo?\n")
        await choose(person, "#kind", "single")
        await person.sees("2 prompts: “One?”")
        person.app.screen.query_one("#limit").focus()
        await person.press("ctrl+u", "1", "enter")
        await person.sees("label · batch 1", "One?", "Is it good?")
    assert batches.progress(store, 1).prompts == 1


@pytest.mark.parametrize(("kind", "seen"), [("pair", "Which is better?"), ("single", "Is it good?")])
async def test_stored_answers_are_judged_again(home: Home, store: Store, kind: str, seen: str) -> None:
    prompt = (Message("user", "A cow?"),)
    stored = [(Pair(prompt, "moo", "woof"), 1), (Rated(prompt, "meow", False), 2)]
    examples.add(store, stored, source="animals.jsonl")
    async with opened(home, (100, 40)) as person:
        await form(person)
        await person.sees("of stored examples", "1 prompt: “A cow?”")
        await choose(person, "#kind", kind)
        await choose(person, "#origin", "stored")
        await person.until(lambda: "answered by" not in person.screen())
        await choose(person, "#source", "animals.jsonl")
        await person.press("enter")
        await person.sees(seen, "A cow?", "moo" if kind == "pair" else "meow", "1 ready")
        await person.press("space")
        await person.sees("both by stored" if kind == "pair" else "Skipped: stored", "this batch is done")
        await person.press("escape")
        await person.sees("1/1", "done", "stored answers")


async def test_what_the_form_refuses(home: Home, store: Store) -> None:
    batches.make(store, [Asked((Message("user", "q"),), (Reply("a"),))], name="taken", kind="single", uid="u")
    async with opened(home, (100, 40)) as person:
        await form(person)
        await person.until(lambda: person.app.screen.query_one("#typed").has_focus)
        await person.paste("A cow?")
        await person.press("tab")
        assert person.app.screen.query_one("#limit").has_focus
        for control, text, why in (
            ("#temperature", "0", "says the same twice"),
            ("#temperature", "hot", "takes a number"),
            ("#limit", "0", "from 1 to 10,000"),
            ("#name", "taken", "a batch called “taken” already"),
        ):
            field = person.app.screen.query_one(control)
            before = field.value  # type: ignore[attr-defined]
            field.value = text  # type: ignore[attr-defined]
            await person.press("ctrl+s")
            await person.sees(why)
            field.value = before  # type: ignore[attr-defined]
        assert len(batches.listed(store)) == 1
        await person.press("escape")
        await person.sees("taken", "a new batch")
        await person.press("home", "delete")
        await person.until(lambda: batches.listed(store) == [])


async def test_the_adapter_in_use_answers_unless_told_otherwise(home: Home, store: Store) -> None:
    kept = settings.load(home)
    settings.save(home, Settings(**{**vars(kept), "adapter": "dpo-1"}))
    async with opened(home, ready="dpo-1 at 127.0.0.1 ● ready") as person:
        await form(person)
        await person.until(lambda: person.app.screen.query_one("#first", Select).value == "dpo-1")


async def test_only_what_can_be_seen_is_painted(home: Home) -> None:
    async with opened(home) as person:
        chat = person.app.screen
        await person.press("ctrl+g")
        await person.sees("a new batch")
        listed = person.app.screen
        assert (chat.is_current, listed.is_current) == (False, True)
        await person.press("f1")
        await person.sees("Keys")
        assert (chat.is_current, listed.is_current) == (False, True), "the help lets the list through"
