"""The tables of examples and labels: every key of theirs, and text that would rather be obeyed than shown."""

import json
import os
from pathlib import Path

import pytest
from person import Person, opened
from rich.style import Style
from textual.widgets import Input

from engine.examples import Demonstration, Example, Message, Pair, Rated
from tuner_app.clean import one_line
from tuner_app.paths import Home
from tuner_app.store import Store, edits, examples, labels, people, tags
from tuner_app.store.rows import Reply
from tuner_app.tui.columns import fitted
from tuner_app.tui.screens import handling
from tuner_app.tui.screens.history import changed
from tuner_app.tui.widgets.row_table import RowTable

HOSTILE = "[bold red]x[/] [@click=app.quit]y[/] \x1b[2J\x1b]0;t\x07 \u202egnirts\u202c \x9b31m {0} $x"
ASKED = (Message("user", "What does a cow eat?"),)


def pair(text: str) -> Pair:
    return Pair(ASKED, text, "bread")


def keep(store: Store, *rows: Example, source: str = "cows.jsonl") -> None:
    """The first will be the newest, and so be on top."""
    examples.add(store, [(row, n) for n, row in enumerate(reversed(rows), 1)], source=source)


def table(person: Person) -> RowTable:
    return person.app.screen.query_one(RowTable)


async def shown(person: Person, *texts: str) -> None:
    """The table has these rows, by a text that each of them has."""
    await person.until(lambda: len(table(person).ids) == len(texts), lambda: f"{len(texts)} rows")
    await person.sees(*texts)


async def filtered(person: Person, line: str) -> None:
    await person.press("slash")
    person.app.screen.query_one("#filter", Input).value = line
    await person.press("enter")


def trained_on(store: Store, kind: str = "pair") -> list[Example]:
    return [row.example for row in examples.listed(store, kind)]


async def test_views_rows_and_the_text_of_one(home: Home, store: Store) -> None:
    keep(store, pair("grass"), pair("hay"), Demonstration((*ASKED, Message("assistant", "All of it."))))
    keep(store, Rated(ASKED, "stones", False), source="b.csv")
    async with opened(home) as person:
        await person.press("f4")
        await person.sees("[3 rated replies]", "bad", "stones", "b.csv", "1 row")
        await person.press("1")
        await person.sees("[1 demonstrations]", "All of it.")
        await person.press("tab")
        await person.sees("[2 pairs]", "2 rows", "line 3 of cows.jsonl", "rejected bread")
        await person.press("down")
        await person.sees("line 2 of cows.jsonl", "chosen hay")
        await person.press("slash")  # a click is no key for the filter
        await person.pilot.click("#views", offset=(2, 0))
        await person.sees("[1 demonstrations]", "All of it.")
        await person.press("escape", "2", "down")
        await person.sees("line 2 of cows.jsonl", "chosen hay")
        await person.press("o")
        await person.sees("oldest first", "line 2 of cows.jsonl")
        for key in ("escape", "enter"):
            await person.press("enter")
            await person.until(lambda: person.app.screen.query_one("EntryView").has_focus)
            await person.press(key)
            await person.until(lambda: table(person).has_focus)
        keep(store, pair("straw"), source="c.csv")
        await person.press("f5")
        await shown(person, "grass", "hay", "straw")
        await person.press("4")
        await person.sees("[4 labels]", "0 rows")
        await person.press("escape")
        await person.sees("Type a prompt")


async def test_filter_as_it_is_typed(home: Home, store: Store) -> None:
    keep(store, pair("grass"), pair("hay"))
    keep(store, pair("clover"), source="late.csv")
    async with opened(home) as person:
        await person.press("f4")
        await shown(person, "grass", "hay", "clover")
        await person.press("slash")
        await person.type("HAY")
        await shown(person, "hay")
        await person.press("escape", "escape")  # out of the field, then out of the filter
        await shown(person, "grass", "hay", "clover")
        await filtered(person, "source:late.csv")
        await shown(person, "clover")
        await filtered(person, "dup:prompt source:cows.jsonl")
        await shown(person, "┌", "└")
        await filtered(person, "dup:lots")
        await person.sees("✗ dup:lots is no filter. One of: exact, near")
        await filtered(person, "kind:rated")
        await person.sees("[3 rated replies]", "0 rows")


async def test_tag_remove_restore_and_undo(home: Home, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handling, "PART", 1)  # in several transactions
    rows = [pair("grass"), pair("hay"), pair("clover")]
    keep(store, *rows)
    async with opened(home) as person:
        await person.press("f4")
        await person.sees("3 rows", "clover")
        await person.press("space", "space")
        await person.sees("◆ 2 marked")
        for word, seen in (("odd,", "cannot be a tag"), ("odd", "u undoes it")):  # the marks are kept for it
            await person.press("t")
            await person.sees("Tag 2 rows")
            await person.type(word)
            await person.press("enter")
            await person.sees(seen)
        await person.sees("Tag “odd” on: 2 rows. u undoes it.")
        await filtered(person, "tag:odd")
        await shown(person, "grass", "hay")
        await person.press("asterisk")
        await person.sees("◆ 2 marked")
        await person.press("d")
        await person.sees("Removed from use: 2 rows.", "0 rows")
        assert trained_on(store) == [pair("clover")]
        await filtered(person, "removed:yes")
        await shown(person, "grass", "hay")
        await person.press("r")
        await person.sees("Restored: 1 row")
        assert len(trained_on(store)) == 2
        await person.press("u")
        await person.sees("Undone: Restored")
        await person.press("u")
        await person.sees("Undone: Removed from use")
        assert set(trained_on(store)) == set(rows)
        await filtered(person, "tag:odd")
        await shown(person, "grass", "hay")
        await person.press("asterisk", "t")
        await person.sees("Tag 2 rows")
        await person.type("-odd")
        await person.press("enter")
        await person.sees("Tag “odd” off: 2 rows")
        await person.press("u")
        await shown(person, "grass", "hay")
        await person.press("u")
        await person.sees("0 rows", "Undone: Tag “odd” on")


async def test_edit_and_history(home: Home, store: Store) -> None:
    keep(store, pair("grass"), Rated(ASKED, "stones\x1b[31m", False), pair("hay"))
    async with opened(home) as person:
        await person.press("f4", "2")
        await person.sees("2 rows", "grass")
        await person.press("e")
        await person.sees("rejected", "save", "What does a cow eat?")
        await person.pilot.press("shift+tab", "shift+tab", "tab")  # whose worker waits for its end
        await person.type("green ")
        await person.press("ctrl+s")
        await person.sees("✎ cows.jsonl", "green grass", "Saved.")
        assert trained_on(store) == [pair("green grass"), pair("hay")]
        await person.press("h")
        await person.sees("me  edited", "{+green +}grass")
        for key in ("escape", "h", "q"):
            await person.press(key)
            await person.until(lambda: "me  edited" not in person.screen())
            await person.press("h")
            await person.sees("me  edited")
        await person.press("enter")
        await person.until(lambda: trained_on(store) == [pair("grass"), pair("hay")])
        await person.press("u")
        await person.until(lambda: trained_on(store) == [pair("green grass"), pair("hay")])
        await person.press("3")
        await person.sees("stones␛[31m")
        await person.press("e")
        await person.sees("thumb")
        await person.pilot.press("shift+tab", "shift+tab")
        await person.press("enter", "up", "enter", "ctrl+s")
        await person.sees("Saved.")
        assert trained_on(store, "rated") == [Rated(ASKED, "stones\x1b[31m", True)]  # byte for byte
        await person.press("e")
        await person.sees("thumb")
        person.app.screen.query("TextBox").last().text = "  "  # type: ignore[attr-defined]
        await person.press("ctrl+s")
        await person.sees("“reply” is empty")
        await person.press("escape", "2", "down", "h")
        await person.sees("Nobody has changed this example.")


async def test_a_pair_of_equals_is_not_saved(home: Home, store: Store) -> None:
    keep(store, pair("bread!"))
    async with opened(home) as person:
        await person.press("f4")
        await person.sees("1 row", "bread!")
        await person.press("e", "ctrl+s")
        await person.press("e", "end", "exclamation_mark", "ctrl+s")
        await person.sees("Both replies are the same")
        await person.press("escape")
        assert trained_on(store) == [pair("bread!")]
        await person.press("delete")
        await person.until(lambda: trained_on(store) == [])


async def test_keep_the_first_of_those_that_repeat(home: Home, store: Store) -> None:
    rows = [Pair(ASKED, "GRASS!", "bread"), Pair(ASKED, "grass", "bread"), pair("hay")]
    keep(store, *rows)
    async with opened(home) as person:
        await person.press("f4")
        await filtered(person, "dup:near")
        await shown(person, "┌", "└")
        await person.press("f")
        await person.sees("Removed all but the first: 1 row", "0 rows")
        assert trained_on(store) == rows[1:]


async def test_labels_are_taken_back_by_who_gave_them(home: Home, store: Store) -> None:
    people.add(store, "anna")
    mine = labels.item_for_single(store, ASKED, Reply("grass"))
    hers = labels.item_for_single(store, ASKED, Reply("hay"))
    labels.record(store, hers.hash, "bad", uid="1", person="anna")
    labels.record(store, mine.hash, "good", uid="2")
    async with opened(home) as person:
        await person.press("f4", "4")
        await person.sees("2 rows", "good", "anna")
        await person.press("t")
        await person.sees("Tag 1 row")
        await person.type("brief")
        await person.press("enter")
        await person.sees("Tag “brief” on: 1 row")
        assert tags.of_labels(store, ["2"]) == {"2": ("brief",)}
        await person.press("u")
        await person.sees("Label taken back: 1 row.", "1 row")
        assert labels.head(store, mine.hash) is None
        await person.press("u")
        await person.sees("That label is anna's")
        assert labels.head(store, hers.hash, "anna")


async def test_a_million_rows_are_ids_alone(home: Home, store: Store) -> None:
    keep(store, *(pair(f"grass {n}") for n in range(300)))
    async with opened(home) as person:
        await person.press("f4")
        await person.sees("300 rows", "grass 0")
        await person.press("end")
        await person.sees("grass 299")
        assert len(table(person)._cells) < 120
        for key, row in (("g", 0), ("j", 1), ("k", 0), ("G", 299)):
            await person.press(key)
            assert table(person).cursor == row
        await person.press("pageup", "home", "pagedown", "pagedown")
        await person.sees("grass 14")


async def test_hostile_text_in_every_cell(home: Home, store: Store) -> None:
    unsafe = {"\x1b", "\x07", "\u202e", "\x9b"}
    asked = (Message("system", HOSTILE), Message("user", HOSTILE))
    keep(store, Pair(asked, HOSTILE + "1", HOSTILE), source=HOSTILE)
    with store.write():
        store.execute("INSERT INTO example_tags VALUES (1, ?)", (HOSTILE,))
    async with opened(home) as person:
        await person.press("f4")
        for size in ((80, 24), (200, 60), (40, 12)):
            await person.pilot.resize_terminal(*size)
            await person.sees("[bold red]x[/]")
            assert not unsafe & set(person.screen())
        await person.pilot.resize_terminal(120, 40)
        for key, seen in (
            ("e", "rejected"),
            ("escape", "1 row"),
            ("d", "0 rows"),
            ("u", "1 row"),
            ("t", "Tag 1"),
        ):
            await person.press(key)
            await person.sees(seen)
            assert not unsafe & set(person.screen())
        await person.paste(HOSTILE)
        await person.press("escape", "slash")
        await person.paste(HOSTILE)
        await person.sees("0 rows", "␛[2J")
        assert not unsafe & set(person.screen())


def test_columns_stay_straight() -> None:
    wide = ["天空是蓝色的", "👩\u200d👩\u200d👧 family", "e\u0301a\u0301", "مرحبا", "x" * 50, "", "ﷺ", "🇩🇪🇫🇷"]
    texts = wide
    if folder := os.environ.get("TUNER_CONFORMANCE_DATA"):
        texts = wide + json.loads((Path(folder) / "data/nasty/blns.json").read_text(encoding="utf-8"))
    for text in texts:
        for width in (1, 2, 7, 20):
            assert fitted(one_line(text, 400), width, Style()).cell_length == width, text


def test_a_history_says_what_changed(store: Store) -> None:
    keep(store, Rated(ASKED, "it eats grass", True))
    edits.change(store, 1, Rated(ASKED, "it likes grass", False))
    (edit,) = edits.history(store, 1)
    assert str(changed(edit)) == "thumb [-good-]{+bad+}\nreply it [-eats-]{+likes+} grass"
