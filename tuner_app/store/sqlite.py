"""One SQLite connection: how it is opened, copied and checked, and what its errors mean to a person."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pysqlite3 as sqlite3

from engine.errors import UserError
from tuner_app.store.waiting import BUSY_SECONDS, Waiting

WAL_BYTES = 1 << 26  # which the WAL's file keeps once it is empty again
OPENING = 1 << 16  # bytes on the disk that opening takes beside the file
# Older versions can corrupt a WAL database that two connections checkpoint at once:
# https://sqlite.org/wal.html#walresetbug
WAL_IS_SAFE = (3, 51, 3)

_MAGIC, _HEADER = b"SQLite format 3\0", 100  # https://sqlite.org/fileformat.html#the_database_header

Connection = Any  # pysqlite3 has no annotations
Row = Any
DatabaseError, OperationalError = sqlite3.DatabaseError, sqlite3.OperationalError


class UnavailableError(UserError):
    """The database took nothing, for no fault of what it was given: the same may be tried again."""


class FullError(UnavailableError):
    """There is no room left for it, or its disk fails."""


def connect(path: Path, waiting: Waiting) -> Connection:
    """A connection for reading and writing an existing file, with every pragma set.

    One thread at a time may use it. Transactions are ours alone: outside of them each statement is its own.
    """
    with translated(path):
        db = open_raw(path, waiting=waiting)
        db.row_factory = sqlite3.Row
        for pragma in ("trusted_schema=OFF", "recursive_triggers=ON", "synchronous=FULL", "foreign_keys=ON"):
            db.execute(f"PRAGMA {pragma}")
        use_journal(db, path)
        db.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
        return db


def open_raw(path: Path, mode: str = "rw", waiting: Waiting | None = None) -> Connection:
    """A connection with SQLite's own defaults, except that it waits for locks and never makes the file."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    db.set_busy_handler((waiting or Waiting()).patience())
    return db


def use_journal(db: Connection, path: Path) -> None:
    """WAL, or a rollback journal where this SQLite's WAL is not safe; a UserError where that is no choice."""
    wanted = "wal" if sqlite3.sqlite_version_info >= WAL_IS_SAFE else "delete"
    try:
        db.execute(f"PRAGMA journal_mode={wanted}")
    except sqlite3.OperationalError as error:
        if wanted == "wal":
            raise
        raise UserError(
            f"SQLite {sqlite3.sqlite_version} can corrupt {path} while another program uses it ({error}).",
            kept="The database was left as it is.",
            do=f"Close the other program, or install pysqlite3 with SQLite {_dotted(WAL_IS_SAFE)} or newer.",
        ) from error


def header(path: Path) -> tuple[int, int]:
    """(application_id, user_version) as the file itself has them, without touching it or its folder.

    Read from the bytes: who died while moving pages from the WAL into the file has left one that SQLite,
    where it may not look into the WAL, calls malformed.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER)
    except OSError:
        start = b""
    if len(start) == _HEADER and start.startswith(_MAGIC):
        return _number(start, 68), _number(start, 60)
    with closing(open_raw(path, "ro&immutable=1")) as db:  # which says what is wrong
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        return application, version


def _number(start: bytes, at: int) -> int:
    return int.from_bytes(start[at : at + 4], "big", signed=True)


def copy(db: Connection, path: Path, target: Path) -> None:
    """Write all of `db`, the database at `path`, to `target`: it appears whole and checked, or not at all."""
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(handle)
        try:
            with translated(target):
                _copy_checked(db, path, Path(name))
            _sync(Path(name))
            os.replace(name, target)
            _sync(target.parent)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"The backup {target} of the database cannot be written: {error.strerror}.",
            kept=_UNCHANGED,
            do="Check that the folder exists, that you may write to it and that it has space.",
        ) from error


def _copy_checked(db: Connection, path: Path, target: Path) -> None:
    with closing(open_raw(target)) as other:
        db.backup(other)
        other.execute("PRAGMA journal_mode=DELETE")  # one file, readable where nothing can be written
        damage = "; ".join(str(row[0]) for row in other.execute("PRAGMA integrity_check(3)"))
    if damage != "ok":
        raise _unavailable(_DAMAGED, path, damage)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that a file is corrupt or no database."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_locked(error: Exception) -> bool:
    """Whether another program, or a statement of ours that is still being read, holds what was asked for."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite that a person can mend into UserErrors; others pass through."""
    try:
        yield
    except sqlite3.Error as error:
        if _code(error) == sqlite3.SQLITE_TOOBIG:
            raise UserError(
                f"The text is too long to be stored: a thousand million bytes are the most ({error}).",
                kept=_UNCHANGED,
                do="Shorten it.",
            ) from error
        if _code(error) not in _MEANINGS:
            raise
        failed = _code(error) == sqlite3.SQLITE_IOERR
        meaning = _NO_ROOM if failed and _is_full(path.parent) else _MEANINGS[_code(error)]
        raise _unavailable(meaning, path, error) from error
    except UnicodeEncodeError as error:
        raise UserError(
            f"The text has half a character (U+{ord(error.object[error.start]):04X}) at position "
            f"{error.start + 1}, which UTF-8 cannot hold.",
            kept=_UNCHANGED,
            do="Remove that character and try again.",
        ) from error
    except OverflowError as error:
        raise UserError(
            "A number is too large to be stored: at most 63 bits fit.",
            kept=_UNCHANGED,
            do="Give a smaller number.",
        ) from error


_UNCHANGED = "All that was saved before is still there; this change was not saved."
_FULL = (
    "The database {path} cannot grow: the disk is full or a limit on file sizes is reached ({error}).",
    _UNCHANGED,
    "Free some space, then do it again.",
)
_NO_ROOM = (
    "The database {path} cannot be opened: its disk is full, and even to be read it takes"
    f" {OPENING >> 10} KiB beside it ({{error}}).",
    _UNCHANGED,
    "Free some space, or copy {folder} to another disk and name it there: tuner --home COPY",
)
_FAILED = (
    "The disk failed while the database {path} was read or written: it may be full ({error}).",
    _UNCHANGED,
    "Check the disk and its free space, then do it again.",
)
_LOCKED = (
    f"Another program has kept the database {{path}} locked for {BUSY_SECONDS:.0f} seconds.",
    _UNCHANGED,
    "Try again; if it stays so, close the other program that uses this file.",
)
_CLOSED = (
    "The database {path} cannot be opened or written ({error}).",
    _UNCHANGED,
    "Check that {folder} exists and that you may write to it and to the files in it.",
)
_DAMAGED = (
    "The database {path} is damaged, or is no SQLite database ({error}).",
    "It was left as it is.",
    "Move it away, and put the newest copy of {folder}/backups in its place.",
)
_MEANINGS = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _FAILED,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _CLOSED,
    sqlite3.SQLITE_CANTOPEN: _CLOSED,
    sqlite3.SQLITE_PERM: _CLOSED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}


def _unavailable(meaning: tuple[str, str, str], path: Path, error: object) -> UnavailableError:
    what, kept, do = (part.format(path=path, folder=path.parent, error=error) for part in meaning)
    kind = FullError if meaning in (_FULL, _NO_ROOM, _FAILED) else UnavailableError
    return kind(what, kept=kept, do=do)


def _is_full(folder: Path) -> bool:
    """Whether the disk has no room for what opening takes: that fails as a fault of the disk's."""
    try:
        return shutil.disk_usage(folder).free < OPENING
    except OSError:
        return False


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 for what the Python module itself finds wrong."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
