"""Time, chance, the machine and the names of folders stand still, so that a screen is the same every time."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from person import Person

from engine.errors import UserError
from tuner_app import fit, times
from tuner_app.fit import GIB, Device
from tuner_app.store import sqlite, stamps
from tuner_app.tui import queue

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


class Clock(datetime):
    """A clock that a test sets; it goes on by a microsecond each time that it is asked."""

    moment = NOON

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        Clock.moment += timedelta(microseconds=1)
        return Clock.moment.astimezone(tz).replace(tzinfo=tz)


@contextmanager
def ago(**long: float) -> Iterator[None]:
    """What the block writes was written so long ago."""
    here, Clock.moment = Clock.moment, Clock.moment - timedelta(**long) - timedelta(minutes=1)
    try:
        yield
    finally:
        Clock.moment = here


@contextmanager
def utc() -> Iterator[None]:
    """This process is in UTC for the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def stand_still(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Clock, "moment", NOON)
    for module in (stamps, queue, times):
        monkeypatch.setattr(module, "datetime", Clock)
    monkeypatch.setattr(random, "SystemRandom", lambda: random.Random(1))
    memory = Device("cpu", "this machine's memory", 16 * GIB, 12 * GIB)
    monkeypatch.setattr(fit, "device", lambda: memory)


def break_disk(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the database cannot be read or written."""
    person.app._watcher.stop()  # which would tell of it as well, at some moment
    store = person.app.store
    what, kept, do = sqlite._MEANINGS[sqlite.sqlite3.SQLITE_IOERR]
    error = UserError(what.format(path=store.path, error="disk I/O error"), kept=kept, do=do)

    def refuse(*_: object, **__: object) -> None:
        raise error

    for way in ("query", "one", "write"):
        monkeypatch.setattr(store, way, refuse)
