"""The page's database: what is answered is on disk, what cannot be is said, and nobody spoils another's."""

import asyncio
import threading
from contextlib import closing

import pytest

from engine.errors import UserError
from tuner_app.page import database as page_database
from tuner_app.page.database import Database, NotNowError
from tuner_app.store import Store, people, sqlite, waiting


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "tuner.sqlite", migrate=True)


@pytest.fixture
def database(store):
    opened = Database(store)
    yield opened
    opened.close()


def names(path):
    """Who is in the file, as another program sees it."""
    with closing(sqlite.open_raw(path)) as db:
        return {name for (name,) in db.execute("SELECT name FROM people")}


def hold(gate, begun):
    """A write that keeps the writer busy until `gate` is set."""

    def held(store):
        begun.set()
        gate.wait()

    return held


async def test_what_is_answered_is_on_disk(database, store):
    person = await database.write(people.add, "ann")
    assert person.name in names(store.path)
    assert (await database.read(people.find, "ann")).id == person.id
    assert await database.beside(people.find, "bea") is None


async def test_who_fails_spoils_nobody_elses_write_of_the_same_transaction(database, store):
    gate, begun = threading.Event(), threading.Event()
    first = asyncio.create_task(database.write(hold(gate, begun)))
    await asyncio.to_thread(begun.wait)

    def half(store):
        people.add(store, "half")
        raise UserError("no")

    def fault(store):
        people.add(store, "fault")
        raise ZeroDivisionError

    waiting = [
        asyncio.create_task(database.write(call, *more))
        for call, *more in [(people.add, "a"), (half,), (people.add, "b"), (fault,), (people.add, "c")]
    ]
    await asyncio.sleep(0)
    gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    await first
    assert [type(one).__name__ for one in found] == [
        "Person",
        "UserError",
        "Person",
        "ZeroDivisionError",
        "Person",
    ]
    assert {"a", "b", "c"} <= names(store.path)
    assert not {"half", "fault"} & names(store.path)


async def test_what_waits_is_one_transaction(database, store, monkeypatch):
    gate, begun, begins = threading.Event(), threading.Event(), []
    first = asyncio.create_task(database.write(hold(gate, begun)))
    await asyncio.to_thread(begun.wait)
    waiting = [asyncio.create_task(database.write(people.add, f"p{n}")) for n in range(40)]
    await asyncio.sleep(0)
    write = store.write
    monkeypatch.setattr(store, "write", lambda: begins.append(threading.current_thread().name) or write())
    gate.set()
    await asyncio.gather(first, *waiting)
    outermost = len(begins) - 40  # each call has a block of its own inside
    assert outermost == 1
    assert len(names(store.path)) >= 40


async def test_a_locked_database_is_unavailable_and_nothing_is_kept(database, store, monkeypatch):
    monkeypatch.setattr(waiting, "BUSY_SECONDS", 0.1)
    with closing(sqlite.open_raw(store.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotNowError, match="locked"):
            await database.write(people.add, "ann")
        assert await database.read(people.find, "ann") is None
        other.execute("ROLLBACK")
    await database.write(people.add, "ann")
    assert "ann" in names(store.path)


async def test_a_full_disk_is_unavailable_for_all_of_the_transaction(database, store):
    gate, begun = threading.Event(), threading.Event()
    (pages,) = await database.write(lambda store: store.one("PRAGMA page_count"))
    first = asyncio.create_task(database.write(hold(gate, begun)))
    await asyncio.to_thread(begun.wait)

    def fill(store):
        store.execute("CREATE TABLE big (text)")
        store.execute("INSERT INTO big VALUES (randomblob(10000000))")

    waiting = [
        asyncio.create_task(
            database.write(lambda store: store.db.execute(f"PRAGMA max_page_count={pages + 20}"))
        ),
        asyncio.create_task(database.write(people.add, "before")),
        asyncio.create_task(database.write(fill)),
        asyncio.create_task(database.write(people.add, "after")),
    ]
    await asyncio.sleep(0)
    gate.set()
    found = await asyncio.gather(first, *waiting, return_exceptions=True)
    for name, answer in (("before", found[2]), ("after", found[4])):
        assert isinstance(answer, NotNowError) == (name not in names(store.path))
    assert isinstance(found[3], NotNowError)
    assert "before" not in names(store.path)  # it was undone with the rest, and its asker was told so
    await database.write(people.add, "later")
    assert "later" in names(store.path)


async def test_too_many_are_told_to_come_again(database, store, monkeypatch):
    monkeypatch.setattr(page_database, "MOST_WAITING", 3)
    gate, begun = threading.Event(), threading.Event()
    first = asyncio.create_task(database.write(hold(gate, begun)))
    await asyncio.to_thread(begun.wait)
    waiting = [asyncio.create_task(database.write(people.add, f"p{n}")) for n in range(5)]
    await asyncio.sleep(0)
    gate.set()
    found = await asyncio.gather(first, *waiting, return_exceptions=True)
    refused = [isinstance(one, NotNowError) for one in found[1:]]
    assert refused == [False] * 3 + [True] * 2
    assert {"p0", "p1", "p2"} <= names(store.path)
    assert not {"p3", "p4"} & names(store.path)


async def test_too_many_readers_are_told_to_come_again(database, monkeypatch):
    monkeypatch.setattr(page_database, "MOST_WAITING", 3)
    gate = threading.Event()
    waiting = [asyncio.create_task(database.read(lambda _: gate.wait(10))) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(one, NotNowError) for one in found] == [False] * 3 + [True] * 2
    assert await database.read(people.find, "ann") is None  # there is room again


async def test_a_write_whose_asker_has_left_is_carried_out(database, store):
    gate, begun = threading.Event(), threading.Event()
    first = asyncio.create_task(database.write(hold(gate, begun)))
    await asyncio.to_thread(begun.wait)
    left = asyncio.create_task(database.write(people.add, "ann"))
    await asyncio.sleep(0)
    left.cancel()
    gate.set()
    await first
    await database.write(people.add, "bea")
    assert {"ann", "bea"} <= names(store.path)


async def test_readers_cannot_write(database, store):
    with pytest.raises(Exception, match="cannot be opened or written"):
        await database.read(people.add, "ann")
    assert "ann" not in names(store.path)


async def test_the_end_carries_out_what_waits(store):
    database, gate, begun = Database(store), threading.Event(), threading.Event()
    tasks = [asyncio.create_task(database.write(hold(gate, begun)))]
    await asyncio.to_thread(begun.wait)
    tasks += [asyncio.create_task(database.write(people.add, f"p{n}")) for n in range(100)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.to_thread(database.close)
    await asyncio.gather(*tasks)
    assert {f"p{n}" for n in range(100)} <= names(store.path)
