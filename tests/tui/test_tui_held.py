"""The database held by another program: what the app says meanwhile, and when it is over."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pysqlite3 as sqlite3
import pytest
from person import asked, opened
from scripted_server import ScriptedServer

from tuner_app.paths import Home
from tuner_app.store import Store, examples, waiting

WAITING = "another program holds the database; nothing is lost"


@pytest.fixture
def other(home: Home, store: Store) -> Iterator[Any]:
    """Another program's connection to the home's database."""
    with closing(sqlite3.connect(str(home.database), isolation_level=None)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def script(server: ScriptedServer) -> None:
    server.answers = ["Moo."]


async def test_a_long_wait_is_said_and_its_end(
    home: Home, store: Store, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BUSY_SECONDS", 30.0)  # not given up before a slow machine has drawn it
    async with opened(home, notifications=True) as person:
        await asked(person)
        assert WAITING not in person.screen()
        other.execute("BEGIN EXCLUSIVE")
        await person.press("a")
        await person.sees(WAITING)
        assert "Saved" not in person.screen()
        other.execute("COMMIT")
        await person.sees("The database is free again.", "Saved: ▲ good", "● ready")
        assert WAITING not in person.screen()
    assert len(examples.listed(store, "rated")) == 1


async def test_a_wait_that_is_given_up_is_not_said_to_have_ended_well(
    home: Home, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "BUSY_SECONDS", 2.0)
    async with opened(home, notifications=True) as person:
        await asked(person)
        other.execute("BEGIN EXCLUSIVE")
        await person.press("a")
        await person.sees(WAITING)
        await person.sees("“▲ good” is not saved: Another program has kept the database", "● ready")
        other.execute("COMMIT")
        await person.press("ctrl+s")
        await person.sees("Saved: ▲ good")
        assert "free again" not in person.screen()
