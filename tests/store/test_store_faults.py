"""Full disks, locks, read-only folders, damage: each says what was kept, and keeps it."""

import multiprocessing
import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pysqlite3 as sqlite3
import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Message
from tuner_app.store import Store, chats, examples, labels, new_uid, sqlite, waiting
from tuner_app.store.rows import Item

NOBODY = 65534


def demonstrations(count: int) -> Iterator[tuple[Demonstration, int]]:
    for line in range(1, count + 1):
        yield Demonstration((Message("assistant", f"{line} " * 500),)), line


def in_child(work: Callable[[], None]) -> str:
    """Run `work` in a forked process; the text of the UserError that it raises, or "nothing"."""

    def run(sender: Any) -> None:
        try:
            work()
            sender.send("nothing")
        except UserError as error:
            sender.send(str(error))
        except BaseException as error:
            sender.send(f"not a UserError: {error!r}")

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=run, args=(sender,))
    child.start()
    assert receiver.poll(60), "the child hangs"
    said: str = receiver.recv()
    child.join()
    return said


def test_a_full_disk_loses_nothing(store: Store, pair: Callable[..., Item]) -> None:
    kept = labels.record(store, pair().hash, "tie", uid=new_uid())
    (pages,) = store.query("PRAGMA page_count")[0]
    store.query(f"PRAGMA max_page_count={pages + 10}")
    with pytest.raises(UserError, match="full") as caught:
        examples.add(store, demonstrations(200), source="big.json")
    assert "still there" in caught.value.kept
    assert examples.count(store) == {}
    assert examples.sources(store) == []
    assert labels.head(store, kept.item_hash) == kept
    store.query("PRAGMA max_page_count=1000000")
    assert examples.add(store, demonstrations(200), source="big.json").new == 200


def test_a_limit_on_file_sizes_loses_nothing(path: Path) -> None:
    store = Store.open(path, migrate=True)
    chats.start(store, title="before")
    store.close()

    def work() -> None:
        limited = Store.open(path)
        room = path.stat().st_size + 200_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        for number in range(10_000):
            chats.start(limited, title=f"{number} " * 1000, uid=str(number))

    said = in_child(work)
    assert "full" in said
    assert "still there" in said
    titles = [row.title for row in chats.conversations(Store.open(path))]
    assert titles[-1] == "before"
    assert len(titles) > 5


def test_a_lock_that_stays_is_named(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch, pair: Callable[..., Item]
) -> None:
    other = sqlite3.connect(str(path))
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(waiting, "BUSY_SECONDS", 0.4)
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.1)
    impatient, told = Store.open(path), []
    impatient.waiting.on_long = lambda: told.append(time.monotonic())
    started = time.monotonic()
    with pytest.raises(UserError, match="locked") as caught:
        chats.start(impatient)
    assert 0.4 <= time.monotonic() - started < 4
    assert len(told) == 1
    assert told[0] - started >= 0.1
    assert (impatient.waiting.in_vain, impatient.waiting.goes_on) == (True, True)
    assert "still there" in caught.value.kept
    assert chats.conversations(impatient) == []
    other.execute("COMMIT")
    chats.start(impatient)


def test_a_write_waits_for_another_one(store: Store, path: Path) -> None:
    """With a deferred BEGIN the second writer would fail at once, having read before."""
    other = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
    with store.write():
        assert chats.conversations(store) == []
        chats.start(store)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user reaches, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_that_is_read_only(open_folder: Path, exists: bool) -> None:
    path = open_folder / "tuner.sqlite"
    if exists:
        made = Store.open(path, migrate=True)
        chats.start(made, title="before")
        made.close()
        path.chmod(0o444)
    open_folder.chmod(0o555)

    def work() -> None:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        chats.start(Store.open(path, migrate=True))

    said = in_child(work)
    assert str(open_folder) in said
    assert "permission" in said.lower() or "may write" in said
    if exists:
        assert [row.title for row in chats.conversations(Store.open(path))] == ["before"]


def damaged(path: Path) -> None:
    store = Store.open(path, migrate=True)
    examples.add(store, demonstrations(300), source="a.json")
    store.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 60_000] = b"\xff" * 60_000
    path.write_bytes(content)


def test_a_damaged_file_is_left_as_it_is(path: Path) -> None:
    damaged(path)
    before = path.read_bytes()
    store = Store.open(path, migrate=True)
    with pytest.raises(UserError, match="damaged") as caught:
        examples.listed(store, "demonstration", limit=1000)
    assert "backups" in caught.value.do
    store.close()
    assert path.read_bytes() == before


def test_no_backup_of_a_damaged_file(path: Path, tmp_path: Path) -> None:
    damaged(path)
    with pytest.raises(UserError, match="damaged"):
        Store.open(path).backup(tmp_path / "copy.sqlite")
    assert [file.name for file in tmp_path.iterdir() if "copy" in file.name] == []


def test_a_backup_is_a_whole_database(store: Store, tmp_path: Path) -> None:
    chats.start(store, title="kept")
    target = tmp_path / "copy.sqlite"
    store.backup(target)
    store.close()
    assert [row.title for row in chats.conversations(Store.open(target))] == ["kept"]
    assert target.stat().st_mode & 0o077 == 0


def test_a_backup_replaces_nothing(store: Store, tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.doc"
    thesis.write_text("years of work")
    for target in (thesis, store.path):
        with pytest.raises(UserError, match="exists already"):
            store.backup(target)
    assert thesis.read_text() == "years of work"


def test_a_backup_into_a_missing_folder(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        store.backup(tmp_path / "nowhere" / "copy.sqlite")


def test_a_number_too_large_is_refused(store: Store) -> None:
    chat = chats.start(store)
    with pytest.raises(UserError, match="too large"):
        chats.add(store, chat.id, role="user", content="x", seed=2**64)
    assert chats.path(store, chat.id) == []


def test_a_rest_while_this_thread_reads_is_no_lock(store: Store) -> None:
    with store.write():
        chats.start(store)
    reading = store.each("SELECT title FROM conversations, json_each('[1, 2]')")
    next(reading)
    store.rest()
    assert len(list(reading)) == 1
    store.rest()
    assert store.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[2] > 0


def test_an_inner_write_joins_the_outer(store: Store) -> None:
    def work() -> None:
        with store.write():
            chats.start(store)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert chats.conversations(store) == []


def test_each_thread_has_its_connection(store: Store) -> None:
    seen: list[Any] = []

    def work() -> None:
        chats.start(store)
        seen.append(store.db)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(connection) for connection in [*seen, store.db]}) == 4
    assert len(chats.conversations(store)) == 3


def test_data_version_moves_with_every_commit(store: Store, path: Path) -> None:
    versions = [store.data_version(), store.data_version()]
    assert versions[0] == versions[1]
    chats.start(store)
    versions.append(store.data_version())
    chats.start(Store.open(path))
    versions.append(store.data_version())
    assert versions[1] < versions[2] < versions[3]


def test_a_block_of_reads_sees_one_state(store: Store, path: Path) -> None:
    other = Store.open(path)
    with store.read():
        before = len(chats.conversations(store))
        chats.start(other)
        assert len(chats.conversations(store)) == before
    assert len(chats.conversations(store)) == before + 1


def test_a_full_disk_is_called_so_when_it_fails_to_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite calls it an I/O error: what failed to be made is what lies beside the database."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    with pytest.raises(UserError, match="it may be full"), sqlite.translated(tmp_path / "x.sqlite"):
        raise error
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    refused = pytest.raises(UserError, match="its disk is full")
    with refused as caught, sqlite.translated(tmp_path / "x.sqlite"):
        raise error
    assert f"copy {tmp_path} to another disk" in caught.value.do
