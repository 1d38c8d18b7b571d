"""What the tables of data, and what is done with them, look like."""

import json
from pathlib import Path

import pytest
from album import Album
from person import Person, opened
from still import ago, break_disk
from textual.widgets import Input

from engine.examples import Demonstration, Message, Pair, Rated
from tuner_app.paths import Home
from tuner_app.store import Store, edits, examples, labels, people
from tuner_app.store.rows import Reply
from tuner_app.tui.widgets.text_box import TextBox

ASKED = (Message("system", "You know about farms."), Message("user", "What does a cow eat in winter?"))
LONG = "Hay for the most part, and silage, which is grass that was cut in summer and kept wet. " * 4


def keep(store: Store) -> None:
    """Pairs, of which two repeat, a thumb, a demonstration, and labels of two people."""
    with ago(days=9):
        rows = [Pair(ASKED, "Hay.", "Bread."), Pair(ASKED, "hay", "Bread."), Pair(ASKED[1:], LONG, "Stones.")]
        rows += [Pair((Message("user", f"天空是什么颜色的 {n}?"),), "蓝色", "绿色") for n in range(30)]
        examples.add(store, [(row, line) for line, row in enumerate(rows, 1)], source="farm.jsonl")
        shown = Demonstration((*ASKED, Message("assistant", LONG)))
        examples.add(store, [(shown, 1), (Rated(ASKED, "Stones.", False), 2)], source="more.csv")
    with ago(hours=1):
        people.add(store, "anna")
        for number, person in enumerate(("me", "anna")):
            item = labels.item_for_single(store, ASKED, Reply(f"Grass {number}.", "builtin"))
            labels.record(store, item.hash, "good" if number else "bad", uid=f"{number}", person=person)
        edits.change(store, 3, Pair(ASKED[1:], LONG.replace("Hay", "Straw"), "Stones."))


async def filtered(person: Person, line: str) -> None:
    await person.press("slash")
    person.app.screen.query_one("#filter", Input).value = line
    await person.press("enter")


async def test_data(home: Home, store: Store, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(home) as person:
        await person.press("f4")
        await album.take(person, "empty", "0 rows", "i imports a file")
        await person.press("escape")
        keep(store)
        await person.press("f4", "2")
        await person.sees("33 rows")
        await person.press("end", "up", "space")
        await album.take(person, "busy", "1 marked")
        await person.press("4")
        await album.take(person, "labels", "anna")
        await filtered(person, "dup:near")
        await filtered(person, "dup:near kind:pair")
        await album.take(person, "repeats", "┌", "└")
        await filtered(person, "dup:lots")
        await album.take(person, "a wrong filter", "✗")
        await person.press("escape")
        await person.sees("33 rows")
        break_disk(person, monkeypatch)
        await person.press("1")
        await album.take(person, "error", "✗")


async def test_example(home: Home, store: Store, album: Album) -> None:
    keep(store)
    async with opened(home) as person:
        await person.press("f4", "2")
        await person.sees("33 rows", "line 3 of farm.jsonl")
        await person.press("end")
        await person.sees("line 1 of farm.jsonl")
        await person.press("e")
        await album.take(person, "busy", "rejected", "save")
        person.app.screen.query(TextBox).last().text = ""
        await person.press("ctrl+s")
        await album.take(person, "error", "is empty")


async def test_history(home: Home, store: Store, album: Album) -> None:
    keep(store)
    async with opened(home) as person:
        await person.press("f4", "2", "slash")
        person.app.screen.query_one("#filter", Input).value = "straw"
        await person.press("enter")
        await person.sees("1 row")
        await person.press("h")
        await album.take(person, "busy", "edited", "Straw")


async def test_question(home: Home, store: Store, album: Album) -> None:
    keep(store)
    async with opened(home) as person:
        await person.press("f4", "2")
        await person.sees("33 rows")
        await person.press("t")
        await album.take(person, "empty", "Tag 1 row")
        await person.type("odd")
        await album.take(person, "busy", "odd")


async def test_import(home: Home, album: Album) -> None:
    rows = [{"prompt": f"Is {n} even?", "chosen": "Yes." if n else "", "rejected": "No."} for n in range(40)]
    lines = [json.dumps(row) + "\n" for row in rows]
    Path("pairs.jsonl").write_text("".join([*lines[:5], "{broken\n", *lines[5:]]), encoding="utf-8")
    Path("asked.csv").write_text("question,answer\nIs 1 odd?,Yes.\n", encoding="utf-8")
    async with opened(home) as person:
        await person.press("f4", "i")
        await album.take(person, "empty", "found out")
        field = person.app.screen.query_one("#path", Input)
        field.value = "none.jsonl"
        await album.take(person, "error", "There is no file")
        field.value = "asked.csv"
        await album.take(person, "guessed columns", "are a guess")
        field.value = "pairs.jsonl"
        await album.take(person, "a preview", "39 pairs, 2 refused")
        await person.press("ctrl+s")
        await album.take(person, "busy", "Imported")


async def test_export(home: Home, store: Store, album: Album) -> None:
    keep(store)
    Path("there.jsonl").touch()
    async with opened(home) as person:
        await person.press("f4", "2")
        await person.sees("33 rows")
        await person.press("x")
        await album.take(person, "empty", "preference")
        field = person.app.screen.query_one("#path", Input)
        field.value = "there.jsonl"
        await person.press("ctrl+s")
        await album.take(person, "error", "is there already")
        await person.press("ctrl+s")
        await album.take(person, "busy", "as preference")
