"""File locks that say which worker is alive: the kernel frees them with their owner, however it died."""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from engine.errors import UserError
from tuner_app.paths import Home

PATIENCE = 1.0  # seconds; a glance of `owner` holds the lock for an instant


def chat(home: Home) -> Path:
    """The lock of a home's chat worker."""
    return home.workers / "chat.lock"


def starting(home: Home) -> Path:
    """The lock of whoever has started the chat worker and waits until it can be asked."""
    return home.workers / "starting.lock"


def run(home: Home, name: str) -> Path:
    """The lock of the training worker of the run called `name`."""
    return home.run(name) / "lock"


def seat(home: Home) -> Path:
    """The lock of the run that trains, or of the chat worker that has a GPU's memory."""
    return home.workers / "seat.lock"


def hold(file: Path) -> IO[bytes] | None:
    """Hold `file`, unsigned, until the returned stream is closed or the last process that has it ends.

    None when another process holds it; a UserError when the file cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
    except OSError as error:
        raise UserError(
            f"The lock {file} cannot be made: {error.strerror}.",
            do="Check the folder's permissions and that there is space.",
        ) from error
    deadline = time.monotonic() + PATIENCE
    while not _lock(stream, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            stream.close()
            return None
        time.sleep(0.02)
    stream.truncate(0)
    return stream


def sign(stream: IO[bytes], pid: int) -> None:
    """Note in a lock that we hold which process it belongs to; twice is as good as once."""
    os.pwrite(stream.fileno(), str(pid).encode(), 0)


def take(file: Path, descriptor: int | None) -> IO[bytes] | None:
    """Hold `file` and sign it with this process; None when another process holds it.

    `descriptor` is the open file of whoever started this process and held the lock for it.
    """
    if descriptor is None:
        stream = hold(file)
    else:
        os.set_inheritable(descriptor, False)  # or our own children would hold it after us
        stream = os.fdopen(descriptor, "r+b", buffering=0)
    if stream:
        sign(stream, os.getpid())
    return stream


def owner(file: Path) -> int | None:
    """The process that holds `file`, None if none does; 0 while the lock is unsigned."""
    try:
        stream = file.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return None
    with stream:
        if _lock(stream, fcntl.LOCK_SH):
            return None
        return int(stream.read() or 0)


def _lock(stream: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
