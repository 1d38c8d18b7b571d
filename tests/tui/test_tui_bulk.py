"""What is done with many rows of the data at once, in parts."""

import threading
from typing import Any

import pytest
from person import opened

from engine.examples import Message, Pair
from tuner_app.paths import Home
from tuner_app.store import Store, edits, examples
from tuner_app.tui.screens import handling


async def test_undo_of_many_rows_lets_others_write_between_its_parts(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "PART", 1)
    asked = (Message("user", "What does a cow eat?"),)
    rows = [Pair(asked, text, "bread") for text in ("grass", "hay", "clover")]
    examples.add(store, [(row, line) for line, row in enumerate(rows)], source="cows.jsonl")
    done: list[str] = []
    may, rest, undo = threading.Event(), Store.rest, edits.undo

    def resting(store: Store) -> None:
        done.append("rest")
        if len(done) == 6:  # after the second part of the undo
            assert may.wait(20)
        rest(store)

    def undone(*args: Any, **named: Any) -> Any:
        done.append("undo")
        return undo(*args, **named)

    monkeypatch.setattr(Store, "rest", resting)
    monkeypatch.setattr(edits, "undo", undone)
    async with opened(home) as person:
        await person.press("f4")
        await person.sees("3 rows", "clover")
        await person.press("asterisk")
        await person.sees("◆ 3 marked")
        await person.press("d")
        await person.sees("Removed from use: 3 rows.")
        await person.press("u")
        await person.sees("Undoing: Removed from use, part 2 of 3")
        may.set()
        await person.sees("Undone: Removed from use.", "3 rows")
    assert done == ["rest", "rest", "undo", "rest", "undo", "rest", "undo"]
