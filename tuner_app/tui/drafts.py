"""Texts that are being written and are nowhere else yet: kept in files, so that they survive the app."""

import threading
from pathlib import Path
from urllib.parse import quote

from tuner_app.settings import write_atomically

PAUSE = 0.5  # seconds after which a change is written: typing goes on meanwhile
PROMPT = "prompt"  # the name of what stands in the prompt box


class Drafts:
    """One text to a name, each in a file of its own.

    A draft that cannot be written is kept in memory: it is on the screen as well, and no promise was made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts: dict[str, str] = {}
        self._changed: set[str] = set()
        self._later: threading.Timer | None = None
        self._lock = threading.Lock()

    def get(self, name: str) -> str:
        """The draft called so; "" where there is none."""
        if name not in self._texts:
            try:
                self._texts[name] = self._file(name).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                self._texts[name] = ""
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

    def write(self) -> None:
        """Write what has changed, now."""
        with self._lock:
            if self._later:
                self._later.cancel()
            self._later = None
            for name in self._changed:
                self._write(self._file(name), self._texts[name])
            self._changed.clear()

    def _write(self, file: Path, text: str) -> None:
        try:
            if text:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                write_atomically(file, text.encode(errors="replace"))
            else:
                file.unlink(missing_ok=True)
        except OSError:
            pass

    def _file(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.txt"
