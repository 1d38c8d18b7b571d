"""Importing with a preview, and exporting what is marked or found."""

import json
from pathlib import Path
from typing import Any

from person import Person, opened
from textual.widgets import Input

from engine.examples import Demonstration, Message, Pair
from tuner_app import formats
from tuner_app.intake import Intake
from tuner_app.paths import Home
from tuner_app.store import Store, examples
from tuner_app.tui.screens import importing

PAIRS = [
    {"prompt": f"Is {n} even?", "chosen": "Yes." if n else "", "rejected": "No."} for n in range(0, 8, 2)
]
ASKED = [{"question": f"Is {n} odd?", "answer": "Yes."} for n in (1, 3)]


def lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def put(person: Person, field: str, value: object) -> None:
    person.app.screen.query_one(field, Input).value = str(value)


async def test_a_file_is_looked_at_and_then_imported(home: Home, store: Store, tmp_path: Path) -> None:
    file = lines(tmp_path / "pairs.jsonl", PAIRS)
    async with opened(home, (120, 40)) as person:
        await person.press("f4", "i")
        await person.sees("found out")
        await person.type(str(file)[:-3])
        await person.until(lambda: person.app.screen.query_one("PathField")._suggestion != "")  # type: ignore[attr-defined]
        await person.press("right")
        await person.sees("preference (jsonl): 3 pairs, 1 refused", "✗ refused", "“chosen” is empty")
        await person.sees("Is 2 even?", "Yes. ┃ No.")
        await person.sees("✗ refused  “chosen” is empty")  # in full, below: it is the row under the cursor
        assert "mark" not in person.screen()
        assert examples.count(store) == {}
        await person.press("enter")  # in the field: the rows are looked at first
        await person.sees("⏎ import")
        assert examples.count(store) == {}
        await person.press("enter")
        await person.sees("Imported: 3 new, 0 already there, 1 refused")
        await person.press("escape")
        await person.sees("3 rows", "pairs.jsonl")
        assert examples.count(store) == {"pair": 3}
        await person.press("i")
        await person.sees("found out")
        await person.press("tab")
        assert person.app.screen.query_one("#format").has_focus
        put(person, "#path", file)
        await person.sees("3 pairs")
        await person.press("ctrl+s")
        await person.sees("0 new, 3 already there")


async def test_a_file_that_cannot_be_read_leaves_its_name_to_be_mended(
    home: Home, store: Store, tmp_path: Path
) -> None:
    broken, good = tmp_path / "broken.jsonl", lines(tmp_path / "good.jsonl", PAIRS)
    broken.write_text("no rows\n")
    async with opened(home, (120, 40)) as person:
        await person.press("f4", "i")
        await person.sees("found out")
        await person.type(str(broken))
        await person.press("enter")
        await person.sees("cannot be read")
        await person.until(lambda: person.app.screen.query_one("PathField").has_focus)
        await person.press("ctrl+s")
        await person.sees("▌ ✗", "expecting value")
        put(person, "#path", good)
        await person.sees("3 pairs")
        assert "expecting value" not in person.screen(), "which was said of another file"


async def test_unknown_columns_are_guessed_and_mended(home: Home, store: Store, tmp_path: Path) -> None:
    file = lines(tmp_path / "asked.jsonl", ASKED)
    async with opened(home, (120, 40)) as person:
        await person.press("f4", "i")
        await person.sees("found out")
        put(person, "#path", tmp_path / "none.jsonl")
        await person.sees("✗ There is no file")
        put(person, "#path", tmp_path)
        await person.sees("is a folder.")
        put(person, "#path", file)
        await person.sees("are a guess", "2 demonstrations, none refused", "Is 1 odd?")
        put(person, "#columns", "prompt=")
        await person.sees("✗ --columns takes ROLE=NAME")
        put(person, "#columns", "prompt=answer,completion=question")
        await person.until(lambda: "Is 1 odd?" in person.screen().partition("answers")[2])
        await person.press("ctrl+s")
        await person.sees("Imported: 2 new")
    (one, _) = [row.example for row in examples.listed(store, "demonstration")]
    assert one == Demonstration((Message("user", "Yes."), Message("assistant", "Is 3 odd?")))


async def test_an_import_that_is_stopped_keeps_nothing(
    home: Home, store: Store, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(importing, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(examples, "_BATCH", 1)
    file = lines(tmp_path / "pairs.jsonl", [{**PAIRS[1], "chosen": f"{n}"} for n in range(3000)])
    async with opened(home, (120, 40)) as person:
        await person.press("f4", "i")
        await person.sees("found out")
        put(person, "#path", file)
        await person.sees("pairs, none refused")
        await person.press("ctrl+s")
        await person.sees("Esc stops it")
        await person.press("escape")
        await person.sees("Stopped.", "Nothing was imported.")
    assert examples.count(store) == {}
    assert examples.sources(store) == []


async def test_export_what_is_marked_or_found(home: Home, store: Store, tmp_path: Path) -> None:
    Intake(lines(tmp_path / "pairs.jsonl", PAIRS[1:])).keep(store, importing.Report(""))
    file = tmp_path / "out.csv"
    async with opened(home, (120, 40)) as person:
        await person.press("f4")
        await person.sees("3 rows")
        await person.press("space", "x")
        await person.sees("1 pair: those marked", "preference")
        put(person, "#path", file)
        await person.press("enter")
        await person.sees("1 pair as")
        assert len(list(formats.read(file))) == 1
        await person.press("escape", "space", "slash")
        put(person, "#filter", "even")
        await person.press("enter")
        await person.sees("3 rows")
        await person.press("asterisk", "asterisk", "x")
        await person.sees("3 pairs: even")
        await person.press("tab")
        assert person.app.screen.query_one("#as").has_focus
        put(person, "#path", file)
        await person.press("ctrl+s")
        await person.sees("is there already")
        assert len(list(formats.read(file))) == 1
        await person.press("ctrl+s")
        await person.sees("3 pairs as")
        rows = {row.example for row in formats.read(file) if isinstance(row, formats.Row)}
        assert rows == {Pair((Message("user", f"Is {n} even?"),), "Yes.", "No.") for n in (2, 4, 6)}
        put(person, "#path", tmp_path / "out.txt")
        await person.press("ctrl+s")
        await person.sees("does not say what to write")
