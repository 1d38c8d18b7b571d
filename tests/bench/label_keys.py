"""How long a labelling key takes until the next pair is drawn, through a real terminal (a pty).

    python tests/bench/label_keys.py FOLDER [--labels 1000000] [--keys 200] [--size 120x40] [--beside CMD…]

FOLDER holds, or is given, a home with that many labels (`big_home.py`). A batch of pairs is added to it and
judged with one key after the other, each as soon as the pair before is on the screen; every label is on disk
before the next pair is drawn. The commands, a training run for one, go on meanwhile. Prints JSON:
milliseconds from the key to the last byte of the next pair, the app's processor time for it and resident
memory in MB, and how many labels were found in the database afterwards.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from big_home import make

from engine.examples import Message
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.store import Store, batches
from tuner_app.store.rows import Asked, Batch, Reply

KEYS = b"12fj0b "
PATIENCE = 30.0  # seconds
NOWHERE = "http://127.0.0.1:9"  # a chat server that is not needed, in place of a worker that loads a model


def add_batch(home: Home, pairs: int) -> Batch:
    """Pairs of some lines each, that can be told from one another and from all others."""
    settings.save(home, replace(settings.load(home), chat_url=NOWHERE))
    store = Store.open(home.database)
    uid = uuid4().hex
    reply = "The quick brown fox jumps over the lazy dog, and then it runs away through the garden.\n" * 2
    asked = [
        Asked(
            (Message("user", f"Question {_mark(uid, n)}: why does the fox jump over the dog?"),),
            tuple(Reply(f"{reply}{side} {_mark(uid, n)}") for side in ("one", "two")),
        )
        for n in range(pairs)
    ]
    batch = batches.make(store, asked, name=f"bench {uid[:8]}", kind="pair", uid=uid)
    store.close()
    return batch


def _mark(uid: str, number: int) -> str:
    return f"{uid[:6]}-{number:05}"


class Terminal:
    """The app on a pty of its own."""

    def __init__(self, home: Home, columns: int, rows: int) -> None:
        self.pid, self._pty = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color")
            os.execv(Path(sys.executable).with_name("tuner"), ["tuner", "--home", str(home.folder)])
        fcntl.ioctl(self._pty, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: bytes, *seen: bytes, times: int = 1) -> float:
        """Milliseconds from the keys until all of `seen` has been drawn, each as often as `times` says."""
        began = time.perf_counter()
        os.write(self._pty, keys)
        drawn = b""
        while not all(drawn.count(text) >= times for text in seen):
            left = began + PATIENCE - time.perf_counter()
            if left < 0 or not select.select([self._pty], [], [], left)[0]:
                sys.exit(f"{seen} was not drawn: {drawn[-2000:]!r}")
            drawn += os.read(self._pty, 1 << 16)
        return (time.perf_counter() - began) * 1e3

    def rest(self, seconds: float) -> None:
        """Read on for a while."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self._pty], [], [], left)[0]:
                os.read(self._pty, 1 << 16)

    def resident(self) -> float:
        """The app's memory in MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6

    def used(self) -> float:
        """The processor milliseconds that the app has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e3

    def quit(self) -> None:
        """End the app as a person does."""
        os.write(self._pty, b"\x11")
        while True:
            try:
                if not os.read(self._pty, 1 << 16):
                    break
            except OSError:  # the other side has hung up
                break
        os.waitpid(self.pid, 0)


def label(home: Home, batch: Batch, keys: int, columns: int, rows: int) -> dict[str, float]:
    """Judge `keys` pairs and say how long each took."""
    terminal = Terminal(home, columns, rows)
    try:
        terminal.press(b"", b"help")
        terminal.rest(1.0)
        terminal.press(b"\x07", batch.name.encode())  # Ctrl+G: the batches, this one first
        terminal.rest(1.0)
        terminal.press(b"\r", _mark(batch.uid, 0).encode(), times=3)
        terminal.rest(1.0)
        took, used = [], terminal.used()
        for number in range(keys):
            key = KEYS[number % len(KEYS) :][:1]
            took.append(terminal.press(key, _mark(batch.uid, number + 1).encode(), times=3))
            terminal.rest(0.05)
        used = terminal.used() - used
        took.sort()
        return {
            "keys": keys,
            "p50_ms": round(statistics.median(took), 1),
            "p99_ms": round(took[min(keys - 1, int(keys * 0.99))], 1),
            "worst_ms": round(took[-1], 1),
            "processor_ms": round(used / keys, 1),
            "resident_mb": round(terminal.resident(), 1),
        }
    finally:
        terminal.quit()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--size", default="120x40", help="columns x rows")
    parser.add_argument("--beside", nargs="*", default=[], metavar="CMD", help="what goes on meanwhile")
    args = parser.parse_args()
    home = make(args.folder, args.labels)
    batch = add_batch(home, args.keys + 1)
    beside = [subprocess.Popen(command, shell=True, start_new_session=True) for command in args.beside]
    try:
        figures = label(home, batch, args.keys, *map(int, args.size.split("x")))
        ended = [command.args for command in beside if command.poll() is not None]
        if ended:
            sys.exit(f"this did not go on all the while: {ended}")
    finally:
        for command in beside:
            if command.poll() is None:
                os.killpg(command.pid, signal.SIGTERM)
    store = Store.open(home.database)
    saved = batches.progress(store, batch.id).judged
    store.close()
    print(json.dumps({"labels": args.labels, "size": args.size, **figures, "saved": saved}))


if __name__ == "__main__":
    main()
