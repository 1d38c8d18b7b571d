"""Reference log-probs kept between runs, in a side file that may be deleted at any time."""

import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from engine.errors import UserError
from tuner_app.store import sqlite

_MANY = 1000


class ReferenceFile:
    """An `engine.spec.ReferenceCache` in an SQLite file; several processes may share it.

    It is a cache: a value that cannot be read or written is a value that is not there. A damaged file is
    replaced by an empty one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._db = self._open()

    def get_many(self, keys: list[bytes]) -> dict[bytes, float]:
        """The values that are known among `keys`."""
        found: dict[bytes, float] = {}
        with self._lock, suppress(UserError), sqlite.translated(self.path):
            for start in range(0, len(keys), _MANY):
                part = keys[start : start + _MANY]
                marks = ",".join("?" * len(part))
                found.update(self._db.execute(f"SELECT key, value FROM logps WHERE key IN ({marks})", part))
        return found

    def put_many(self, values: Mapping[bytes, float]) -> None:
        """Keep `values`; NaN, which says nothing, is left out."""
        rows = [(key, value) for key, value in values.items() if value == value]
        with self._lock, suppress(UserError), sqlite.translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR REPLACE INTO logps (key, value) VALUES (?, ?)", rows)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _open(self) -> sqlite.Connection:
        self.path.touch(mode=0o600)
        if self._damaged():
            for end in ("", "-wal", "-shm", "-journal"):
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)
            self.path.touch(mode=0o600)
        with sqlite.translated(self.path):
            db = sqlite.open_raw(self.path)
            sqlite.use_journal(db, self.path)
            db.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes away is computed again
            db.execute(
                "CREATE TABLE IF NOT EXISTS logps (key BLOB PRIMARY KEY, value REAL NOT NULL)"
                " STRICT, WITHOUT ROWID"
            )
            return db

    def _damaged(self) -> bool:
        with closing(sqlite.open_raw(self.path)) as db:
            try:
                return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
            except sqlite.DatabaseError as error:
                return sqlite.is_damage(error)
