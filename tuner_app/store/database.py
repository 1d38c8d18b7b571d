"""The database file of a home: opening it, transactions, backups."""

import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from engine.errors import UserError
from tuner_app.store import migrations, sqlite
from tuner_app.store.waiting import Waiting

Parameters = Sequence[Any] | Mapping[str, Any]

PART = 5000  # rows that one transaction of many writes
REST_SECONDS = 0.005  # between two of them, longer than whoever waits for the lock sleeps
SHORT_REST, LONG_REST = 0.1, 5.0  # seconds at most, for the WAL; the long one where more than so many
WAL_PAGES = 16_000  # of its pages are not in the file yet


class Store:
    """One database, for any number of threads: each gets a connection of its own on first use.

    Reading is `query` and `one`; writing is `execute` inside `with store.write():`. What was written is on
    disk when the outermost `write` block has ended. Errors that a person can mend are UserErrors. `waiting`
    knows of waits for locks that others hold.
    """

    def __init__(self, path: Path, waiting: Waiting | None = None) -> None:
        self.path = path
        self.waiting = waiting or Waiting()
        self._connections: weakref.WeakKeyDictionary[threading.Thread, sqlite.Connection] = (
            weakref.WeakKeyDictionary()
        )
        self._lock = threading.Lock()
        self._watcher: sqlite.Connection | None = None

    @staticmethod
    def open(path: Path, *, migrate: bool = False, waiting: Waiting | None = None) -> "Store":
        """The database at `path`; `waiting` knows of waits from the first on.

        With `migrate` (the command line alone passes it) it is made where it is missing and brought up to
        date, after a backup. A UserError, and the file untouched, where it is of a newer version, another
        application's or no database at all; without `migrate` also where it is missing or out of date.
        """
        if migrate:
            migrations.migrate(path, waiting)
        else:
            migrations.require_ours(path)
        store = Store(path, waiting)
        try:
            migrations.require_current(store.db, path)
        except BaseException:
            store.close()
            raise
        return store

    @property
    def db(self) -> sqlite.Connection:
        """This thread's connection."""
        thread = threading.current_thread()
        with self._lock:
            connection = self._connections.get(thread)
            if connection is None:
                connection = self._connections[thread] = sqlite.connect(self.path, self.waiting)
        return connection

    def query(self, sql: str, parameters: Parameters = ()) -> list[sqlite.Row]:
        """The rows that a SELECT gives."""
        with sqlite.translated(self.path):
            return list(self.db.execute(sql, parameters))

    def each(self, sql: str, parameters: Parameters = ()) -> Iterator[sqlite.Row]:
        """The same one after the other: for more than is to be in memory."""
        with sqlite.translated(self.path):
            yield from self.db.execute(sql, parameters)

    def one(self, sql: str, parameters: Parameters = ()) -> sqlite.Row | None:
        """The first row that a SELECT gives, or None."""
        with sqlite.translated(self.path):
            return self.db.execute(sql, parameters).fetchone()

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement inside a `write` block; the id of the row that it inserted."""
        assert self.db.in_transaction, "a write outside of store.write()"
        with sqlite.translated(self.path):
            return int(self.db.execute(sql, parameters).lastrowid or 0)

    def execute_many(self, sql: str, rows: Iterable[Parameters]) -> int:
        """Run a statement for each of `rows` inside a `write` block; how many rows changed."""
        assert self.db.in_transaction, "a write outside of store.write()"
        with sqlite.translated(self.path):
            return int(self.db.executemany(sql, rows).rowcount)

    def execute_in_parts(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run a statement for each of very many `rows`, in transactions of some thousand: nobody's label
        waits for more than one of them. When it fails, those before have happened. References as in
        `write_unchecked`."""
        rows = iter(rows)
        while part := list(islice(rows, PART)):
            with self.write_unchecked():
                self.execute_many(sql, part)
            self.rest()

    def rest(self) -> None:
        """Between two of many transactions: let others write, and the WAL be moved into the file, all of it,
        so that it begins anew. It grows to gigabytes where writes are faster than that. It waits while this
        thread reads."""
        assert not self.db.in_transaction, "others would wait for this rest"
        began = time.monotonic()
        with sqlite.translated(self.path):
            while True:
                time.sleep(REST_SECONDS)
                try:
                    _, there, moved = self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                except sqlite.OperationalError as error:
                    if sqlite.is_locked(error):
                        return
                    raise
                longest = LONG_REST if there - moved > WAL_PAGES else SHORT_REST  # others may read for long
                if there == moved or time.monotonic() - began > longest:
                    return

    @contextmanager
    def write_unchecked(self) -> Iterator[None]:
        """A `write` block that does not look up what its rows refer to, which takes long where that is spread
        over a large table: for ids that have just been read, of rows that cannot be deleted."""
        assert not self.db.in_transaction
        self.db.execute("PRAGMA foreign_keys=OFF")
        try:
            with self.write():
                yield
        finally:
            self.db.execute("PRAGMA foreign_keys=ON")

    @contextmanager
    def write(self) -> Iterator[None]:
        """One transaction: all of the block or nothing of it. A block inside another joins it.

        BEGIN IMMEDIATE, because a read that turns into a write inside a deferred transaction fails at once
        when another process has written in between, however long it may wait for locks.
        """
        db = self.db
        if db.in_transaction:
            yield
            return
        with sqlite.translated(self.path):
            db.execute("BEGIN IMMEDIATE")
        try:
            yield
            with sqlite.translated(self.path):
                db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk has rolled it back already
                with sqlite.translated(self.path):
                    db.execute("ROLLBACK")
            raise

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of a `write` block that is undone alone when it fails; by itself, a `write` block."""
        db = self.db
        if not db.in_transaction:
            with self.write():
                yield
            return
        with sqlite.translated(self.path):
            db.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if db.in_transaction:  # a full disk has rolled all of it back already
                with sqlite.translated(self.path):
                    db.execute("ROLLBACK TO part")
                    db.execute("RELEASE part")
            raise
        with sqlite.translated(self.path):
            db.execute("RELEASE part")

    @contextmanager
    def read(self) -> Iterator[None]:
        """One view of the database for all queries of the block, whatever others write meanwhile."""
        db = self.db
        if db.in_transaction:
            yield
            return
        with sqlite.translated(self.path):
            db.execute("BEGIN")
        try:
            yield
        finally:
            db.execute("ROLLBACK")

    def data_version(self) -> int:
        """A number that changes when anyone, in this process or another, has committed something.

        The pragma does not see its own connection's commits, so a connection that never writes asks it.
        """
        with self._lock, sqlite.translated(self.path):
            if self._watcher is None:
                self._watcher = sqlite.connect(self.path, self.waiting)
            (version,) = self._watcher.execute("PRAGMA data_version").fetchone()
            return int(version)

    def backup(self, file: Path) -> None:
        """Write a checked copy to `file`, which must not exist yet: it appears whole or not at all."""
        if file.exists():
            raise UserError(
                f"{file} exists already.", kept="It was left as it is.", do="Give the backup another name."
            )
        sqlite.copy(self.db, self.path, file)

    def close(self) -> None:
        """Close every thread's connection; no thread may be at work on one."""
        with self._lock:
            for connection in [*self._connections.values(), self._watcher]:
                if connection is not None:
                    connection.close()
            self._connections.clear()
            self._watcher = None
