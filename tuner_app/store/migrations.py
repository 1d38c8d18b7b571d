"""The schema, step by step. A migration that has been released is never changed: a new one is added."""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.examples import from_json
from tuner_app.store import sqlite, stamps
from tuner_app.store.keys import prompt_key
from tuner_app.store.schema import FIRST, FOURTH, SECOND, THIRD
from tuner_app.store.waiting import Waiting

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x54554E52  # "TUNR"
LOCK_SECONDS = 30.0


def first(db: "Database") -> None:
    """Every table of the first version."""
    for statement in FIRST:
        db.execute(statement)


def second(db: "Database") -> None:
    """What each example asks, and which reward model led a run."""
    for statement in SECOND:
        db.execute(statement)
    rows = db.execute("SELECT id, body FROM examples")
    asked = ((number, prompt_key(from_json(json.loads(body)))) for number, body in rows)
    db.conn.executemany("INSERT INTO example_prompts (example_id, prompt) VALUES (?, ?)", asked)


def third(db: "Database") -> None:
    """Ways of asking, a search of messages, tags, edits of examples, batches, notes on models."""
    for statement in THIRD:
        db.execute(statement)


def fourth(db: "Database") -> None:
    """Members and sessions, how batches are shared out, comments on labels, the audit."""
    for statement in FOURTH:
        db.execute(statement)


STEPS = (first, second, third, fourth)
LATEST = len(STEPS)  # the database's user_version counts the steps that it has had


def require_ours(path: Path) -> None:
    """A UserError when `path` holds no database of ours, or a newer one's; the file is only read."""
    if _is_new(path):
        raise UserError(
            f"There is no database at {path} yet.",
            do="Run `tuner` from the command line, which makes it, or choose another home with --home DIR.",
        )
    with sqlite.translated(path):
        application, version = sqlite.header(path)
    if application != APPLICATION_ID:
        raise UserError(
            f"{path} is a database of another application.",
            kept="It was left untouched.",
            do="Choose another home with --home DIR, or move the file away.",
        )
    _require_known(version, path)


def require_current(db: sqlite.Connection, path: Path) -> None:
    """A UserError when the database that is open is older or newer than this version."""
    version = _version(db)
    _require_known(version, path)
    if version < LATEST:
        raise UserError(
            f"The database {path} is of an older version of tuner.",
            kept="It was left as it is.",
            do="Run `tuner` from the command line: it makes a backup and brings the database up to date.",
        )


def migrate(path: Path, waiting: Waiting | None = None) -> None:
    """Make the database or bring it up to date: under a file lock, after a backup, all steps or none."""
    if not _is_new(path):
        require_ours(path)
    with sqlite.translated(path), _only_one(path):
        _make(path)
        with closing(sqlite.open_raw(path, waiting=waiting)) as db:
            version = _version(db)
            _require_known(version, path)
            if version == LATEST:
                return
            _alone(db, path)
            if version:
                _backup(db, path, version)
            _apply(db, path)


def _require_known(version: int, path: Path) -> None:
    if version > LATEST:
        raise UserError(
            f"The database {path} was made by a newer version of tuner "
            f"(its format is {version}, this version knows {LATEST}).",
            kept="It was left untouched.",
            do="Update tuner, or choose another home with --home DIR.",
        )


def _is_new(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _version(db: sqlite.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    try:
        handle = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserError(
            f"Nothing can be written in {path.parent}: {error.strerror}.",
            kept="Nothing was changed.",
            do="Check the folder's permissions, or choose another home with --home DIR.",
        ) from error
    try:
        _wait_for(handle, path)
        yield
    finally:
        os.close(handle)  # frees the lock, as the end of the process does


def _wait_for(handle: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UserError(
                    f"Another tuner is still bringing {path} up to date.",
                    kept="Nothing was changed.",
                    do="Wait for it to end, then try again.",
                ) from None
            time.sleep(0.05)


def _make(path: Path) -> None:
    # Not opened where it exists: closing it would free the locks that SQLite holds in this process.
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _alone(db: sqlite.Connection, path: Path) -> None:
    """Leave WAL, which only the one program that has the file open can do: no worker of the version
    before may be at work on tables that change under it, and the file's own header is always right."""
    try:
        db.execute("PRAGMA journal_mode=DELETE")
    except sqlite.OperationalError as error:
        raise UserError(
            f"The database {path} must be brought up to date, but another program has it open.",
            kept="Nothing was changed.",
            do="Close every other tuner that uses this home, its runs included, then try again.",
        ) from error


def _backup(db: sqlite.Connection, path: Path, version: int) -> None:
    folder = path.parent / "backups"
    with suppress(OSError):  # the copy says what is wrong
        folder.mkdir(mode=0o700, exist_ok=True)
    time_stamp = stamps.now().replace(":", "").replace("+0000", "Z")
    sqlite.copy(db, path, folder / f"{path.stem}-{version}-{time_stamp}.sqlite")


def _apply(db: sqlite.Connection, path: Path) -> None:
    with _absent("numpy", "pandas"):
        # Imported here: most starts have nothing to apply.
        from sqlite_utils import Database
        from sqlite_utils.migrations import Migrations

    steps = Migrations("tuner")
    for step in STEPS:
        steps()(step)
    # Foreign keys are not enforced here, so that a step may rebuild a table; they are checked at the end.
    db.execute("BEGIN IMMEDIATE")
    try:
        steps.apply(Database(db, execute_plugins=False))
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute(f"PRAGMA user_version={LATEST}")
        if db.execute("PRAGMA foreign_key_check").fetchall():
            raise UserError(
                f"The database {path} has rows that point to rows which do not exist.",
                kept="It was left as it is.",
                do=f"Move it away, and put the newest copy of {path.parent}/backups in its place.",
            )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def _absent(*names: str) -> Iterator[None]:
    """Let imports of the modules `names` fail, where nobody has imported them yet.

    sqlite_utils imports pandas where it finds it, to know its column types: that would be half of the time
    in which the first start on a new home paints its screen.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is Python's word for absent
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
