"""Texts that are being written and are nowhere else yet: kept in files, so that they survive the app.

Each open window has a prompt box of its own, and so a draft of its own: one that a window which is gone has
left comes back in the next that is opened. What two windows write of one answer is one draft, the later one,
and to save the one forgets nothing of what the other has written since.
"""

import fcntl
import threading
from pathlib import Path
from typing import IO
from urllib.parse import quote

from tuner_app.settings import write_atomically

PAUSE = 0.5  # seconds after which a change is written: typing goes on meanwhile
MOST_WINDOWS = 100
PROMPT = "prompt"  # the name of what stands in the first window's prompt box, and the begin of the others'


class Drafts:
    """One text to a name, each in a file of its own; `prompt` is the name of what stands in the prompt box.

    A draft that cannot be written is kept in memory, where it is tried again with the next one.
    """

    def __init__(self, folder: Path, locks: Path) -> None:
        self._folder = folder
        self.prompt, self._window = _claim(folder, locks)
        self._texts: dict[str, str] = {}
        self._kept: dict[str, str] = {}  # what is in the files, as far as we know
        self._changed: set[str] = set()
        self._later: threading.Timer | None = None
        self._lock = threading.Lock()

    def get(self, name: str) -> str:
        """The draft called so; "" where there is none."""
        if name not in self._texts:
            self._texts[name] = self._kept[name] = _read(self._file(name))
        return self._texts[name]

    def put(self, name: str, text: str) -> None:
        """Keep `text` under this name; "" forgets it."""
        if text == self.get(name):
            return
        with self._lock:
            self._texts[name] = text
            self._changed.add(name)
            if self._later is None:
                self._later = threading.Timer(PAUSE, self.write)
                self._later.daemon = True
                self._later.start()

    def write(self) -> str:
        """Write what has changed, now; why that is not possible, "" where it was."""
        why = ""
        with self._lock:
            if self._later:
                self._later.cancel()
            self._later = None
            for name in sorted(self._changed):
                try:
                    self._write(name, self._texts[name])
                    self._changed.discard(name)
                except OSError as error:
                    why = error.strerror or str(error)
        return why

    def close(self) -> None:
        """Write what has changed; the next window may have this one's prompt box."""
        self.write()
        if self._window:
            self._window.close()

    def _write(self, name: str, text: str) -> None:
        file = self._file(name)
        content = text.encode(errors="replace")
        if text:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_atomically(file, content)
        elif _read(file) == self._kept[name]:  # else another window's words are there by now
            file.unlink(missing_ok=True)
        self._kept[name] = content.decode()

    def _file(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.txt"


def _claim(folder: Path, locks: Path) -> tuple[str, IO[str] | None]:
    """The name of a prompt box that no open window has, one with a draft before all others, and the lock that
    keeps it ours until it is closed. The first name where locks cannot be made."""
    left = sorted(file.stem for file in folder.glob(f"{PROMPT}*.txt"))
    for name in (*left, PROMPT, *(f"{PROMPT}-{number}" for number in range(2, MOST_WINDOWS))):
        try:
            locks.mkdir(exist_ok=True)
            lock = (locks / f"{name}.lock").open("w")
        except OSError:
            break
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return name, lock
        except OSError:
            lock.close()
    return PROMPT, None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
