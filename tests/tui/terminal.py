"""A real terminal: the app as a process on a pty, what it draws, and the bytes that it sends."""

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
from contextlib import suppress

import pyte

from tuner_app.paths import Home

KEYS = {"enter": b"\r", "tab": b"\t", "escape": b"\x1b", "down": b"\x1b[B", "up": b"\x1b[A"}


class Terminal:
    """Types, and waits for what is to be seen; the app is killed at the end of the `with` block."""

    def __init__(self, home: Home, size: tuple[int, int] = (80, 24), **environment: str) -> None:
        self.sent = b""
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self.pid, self._pty = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **environment})
            code = "from tuner_app.cli import main; main()"
            os.execv(sys.executable, [sys.executable, "-c", code, "--home", str(home.folder)])
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

    def press(self, *keys: str) -> None:
        """Keys by name, `ctrl+x`, or text as it is; a pause after each, as a person has."""
        for key in keys:
            control = re.fullmatch(r"ctrl\+(.)", key)
            os.write(self._pty, bytes([ord(control[1]) & 31]) if control else KEYS.get(key, key.encode()))
            self.pause(0.5 if key == "escape" else 0.1)  # alone, and no part of another key's sequence

    def pause(self, seconds: float) -> None:
        """Read on for at least this long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def read(self, seconds: float) -> None:
        """Take in what the app draws for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._pty], [], [], left)[0]:
                return
            try:
                new = os.read(self._pty, 1 << 16)
            except OSError:  # the app has gone
                return
            self.sent += new
            self._stream.feed(new)

    @property
    def shown(self) -> str:
        return "\n".join(self._screen.display)

    def sees(self, *texts: str, timeout: float = 30) -> None:
        self.until(lambda: all(text in self.shown for text in texts), f"{texts}", timeout)

    def until(self, true: object, what: str, timeout: float = 30) -> None:
        end = time.monotonic() + timeout
        while not true():  # type: ignore[operator]
            assert time.monotonic() < end, f"waited in vain for {what}\n{self.shown}"
            self.read(0.1)

    def ended(self, timeout: float = 15) -> int:
        """Wait for the app's end; its exit status, or minus the signal that ended it."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.read(0.1)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it did not end\n{self.shown}")


def escapes(sent: bytes) -> set[str]:
    """Every control sequence and control character among what was sent, numbers left out."""
    text = sent.decode(errors="replace")
    found = re.findall(
        r"\x1b\[[0-9;:<=>?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
        r"|[\u202a-\u202e\u2066-\u2069]",
        text,
        re.DOTALL,
    )
    return {re.sub(r"\d+(?:[;:]\d+)*", "N", one) for one in found}
