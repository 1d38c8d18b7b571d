"""Shared batches are answered ahead, by the model of whoever comes first."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from scripted_server import ScriptedServer

from engine.examples import Message
from tuner_app import settings
from tuner_app.filling import AHEAD
from tuner_app.page.answering import ENOUGH, Answering, Need, chosen, needs
from tuner_app.page.database import Database
from tuner_app.paths import Home
from tuner_app.store import Store, batches, members, sharing
from tuner_app.store.rows import Asked, Batch, Maker


def make(store: Store, name: str, count: int, base: str = "builtin", **how: object) -> Batch:
    """A batch of prompts that nobody has answered."""
    asked = [Asked((Message("user", f"{name} {n}"),)) for n in range(count)]
    made = batches.make(
        store, asked, name=name, kind="single", makers=[Maker(base)], uid=uuid4().hex, decoding={}
    )
    return sharing.configure(store, made.id, **{"shared": True, **how})  # type: ignore[arg-type]


def test_what_needs_answers_by_priority(tmp_path: Path) -> None:
    store = Store.open(Home(tmp_path).database, migrate=True)
    make(store, "alone", 3, shared=False)
    first, urgent = make(store, "first", 3), make(store, "urgent", 3, priority=2)
    assert [need.batch.id for need in needs(store)] == [urgent.id, first.id]
    for position in range(3):
        batches.fail(store, urgent.id, position, "the answer was empty")
    assert [need.batch.id for need in needs(store)] == [first.id]


def test_the_model_in_memory_goes_on_until_nothing_of_its_own_is_urgent(tmp_path: Path) -> None:
    store = Store.open(Home(tmp_path).database, migrate=True)
    one = Need(make(store, "one", 1, base="A", priority=1), 0)
    other = Need(make(store, "other", 1, base="B"), 0)
    assert chosen([one, other], "") == "A"
    assert chosen([one, other], "B") == "B"  # it has work: loading another would cost more
    assert chosen([replace(one, open=AHEAD), other], "A") == "B"
    assert chosen([replace(one, open=AHEAD), replace(other, open=AHEAD)], "A") == "A"
    assert chosen([], "A") == "A"


async def until(true: Callable[[], bool]) -> None:
    """Wait, at most two minutes."""
    async with asyncio.timeout(120):
        while not true():
            await asyncio.sleep(0.02)


async def test_answers_are_ready_before_people_and_no_more_than_that(tmp_path: Path) -> None:
    home, server = Home(tmp_path), ScriptedServer()
    store = Store.open(home.database, migrate=True)
    settings.save(home, settings.Settings(chat_url=server.url))
    batch = make(store, "b", AHEAD + 10)
    members.add(store, "Ana", "annotator")
    database = Database(Store.open(home.database))

    def answered() -> int:
        row = store.one("SELECT count(item_id) AS n FROM batch_prompts")
        assert row is not None
        return int(row["n"])

    try:
        async with Answering(home, database) as answering:
            await until(lambda: answering.states.get(batch.id) == ENOUGH)
            assert answered() == AHEAD
            held = sharing.take(store, "Ana", count=4)
            assert len(held) == 4
            await until(lambda: answered() == AHEAD + 4)
            sharing.configure(store, batch.id, shared=False)
            await until(lambda: answering.states == {})
    finally:
        server.close()
        database.close()


async def test_a_model_that_cannot_answer_is_told_of_and_tried_again(tmp_path: Path) -> None:
    home, server = Home(tmp_path), ScriptedServer()
    store = Store.open(home.database, migrate=True)
    settings.save(home, settings.Settings(chat_url=server.url))
    server.close()
    batch = make(store, "b", 2)
    database = Database(Store.open(home.database))
    try:
        async with Answering(home, database) as answering:
            await until(lambda: "cannot be reached" in answering.states.get(batch.id, ""))
            again = ScriptedServer()
            settings.save(home, settings.Settings(chat_url=again.url))
            answering.try_again(batch.id)
            await until(lambda: answering.states == {})  # all is answered
            again.close()
    finally:
        database.close()
