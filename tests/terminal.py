"""A real terminal: the app as a process on a pty, what it draws and sends, and how long that takes."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyte

from tuner_app.paths import Home

KEYS = {
    "enter": b"\r",
    "tab": b"\t",
    "escape": b"\x1b",
    "backspace": b"\x7f",
    "down": b"\x1b[B",
    "up": b"\x1b[A",
    "end": b"\x1b[F",
    "home": b"\x1b[H",
    "ctrl+home": b"\x1b[1;5H",
    "pagedown": b"\x1b[6~",
    "f4": b"\x1bOS",
}
SETTLED = 0.25  # seconds without output after which a screen is whole
_ESCAPE = re.compile(
    r"\x1b\[[0-9;:<=>?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    r"|[\u202a-\u202e\u2066-\u2069]",
    re.DOTALL,
)


class Terminal:
    """Types, waits for what is to be seen, and measures; the app is killed at the end of the `with` block.

    `sent` is every byte so far. Times are in milliseconds and end when the bytes come, not when they have
    been looked at.
    """

    def __init__(self, home: Home, size: tuple[int, int] = (80, 24), **environment: str) -> None:
        self.sent = b""
        self.gone = False
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._shown = self._mark = 0  # how much of `sent` is on the screen, and was there at the last key
        self._pressed = self._came = time.perf_counter()
        self.pid, self._pty = pty.fork()
        if self.pid == 0:
            for size_of_another in ("COLUMNS", "LINES"):  # which would go before this one's
                os.environ.pop(size_of_another, None)
            os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **environment})
            os.execv(Path(sys.executable).with_name("tuner"), ["tuner", "--home", str(home.folder)])
        self.resize(*size)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self._pty)

    def close(self) -> None:
        """Close the terminal's window."""
        os.close(self._pty)
        self._pty = os.open(os.devnull, os.O_RDWR)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._pty, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    # --- keys

    def send(self, *keys: str) -> None:
        """Keys by name, `ctrl+x`, or text as it is, all at once."""
        self._mark = len(self.sent)
        self._pressed = time.perf_counter()
        os.write(self._pty, b"".join(map(_bytes, keys)))

    def press(self, *keys: str) -> None:
        """The same with a pause after each, as a person has."""
        for key in keys:
            self.send(key)
            self.pause(0.5 if key == "escape" else 0.1)  # alone, and no part of another key's sequence

    # --- what it draws

    def pause(self, seconds: float) -> None:
        """Read on for this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.gone:
            self._read(left)

    def settle(self) -> None:
        """Read until nothing more is drawn."""
        while self._read(SETTLED):
            pass

    def _read(self, seconds: float) -> bool:
        """Take in what the app draws next, for so long at most; whether there was anything."""
        if self.gone or not select.select([self._pty], [], [], seconds)[0]:
            return False
        try:
            new = os.read(self._pty, 1 << 16)
        except OSError:
            new = b""
        self._came = time.perf_counter()
        self.gone = not new
        self.sent += new
        return bool(new)

    @property
    def shown(self) -> str:
        """The characters on the screen."""
        new, self._shown = self.sent[self._shown :], len(self.sent)
        self._stream.feed(new)
        return "\n".join(self._screen.display)

    def sees(self, *texts: str, timeout: float = 30) -> None:
        self.until(lambda: all(text in self.shown for text in texts), f"{texts}", timeout)

    def until(self, true: Callable[[], bool], what: str, timeout: float = 30) -> None:
        """Read until this holds; an AssertionError, with the screen, where it does not come about."""
        end = time.monotonic() + timeout
        while not true():
            assert not self.gone, f"the app went away before {what}\n{self.shown}"
            assert time.monotonic() < end, f"waited in vain for {what}\n{self.shown}"
            self._read(0.1)

    def drawn(self, pattern: str, times: int = 1, timeout: float = 60) -> float:
        """Milliseconds from the last key until this regular expression was drawn so often since."""

        def there() -> bool:
            return (
                len(re.findall(pattern, _ESCAPE.sub("", self.sent[self._mark :].decode(errors="replace"))))
                >= times
            )

        self.until(there, pattern, timeout)
        return (self._came - self._pressed) * 1e3

    # --- the app's process

    def ended(self, timeout: float = 15) -> int:
        """Wait for the app's end; its exit status, or minus the signal that ended it."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self._read(0.1):
                time.sleep(0.01)  # nothing is left to read when it has closed its terminal and not ended yet
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                while self._read(0):
                    pass
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it did not end\n{self.shown}")

    def quit(self) -> None:
        """End the app as a person does."""
        self.send("ctrl+q")
        assert self.ended() == 0, self.shown

    def memory(self, what: str = "VmRSS") -> float:
        """The app's resident memory in MB; its peak as `VmHWM`."""
        found = re.search(rf"{what}:\s+(\d+) kB", self._about("status"))
        assert found
        return int(found[1]) * 1024 / 1e6

    def processor(self) -> float:
        """The processor milliseconds that the app has used."""
        fields = self._about("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e3

    def state(self) -> str:
        """The app's process state in one letter, as Linux has it: T where it is put aside."""
        return self._about("stat").rsplit(")", 1)[1].split()[0]

    def _about(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text()


def _bytes(key: str) -> bytes:
    control = re.fullmatch(r"ctrl\+(.)", key)
    return bytes([ord(control[1]) & 31]) if control else KEYS.get(key, key.encode())


def escapes(sent: bytes) -> set[str]:
    """Every control sequence and control character among what was sent, numbers left out."""
    return {re.sub(r"\d+(?:[;:]\d+)*", "N", one) for one in _ESCAPE.findall(sent.decode(errors="replace"))}
