"""How the tables of data do with very many rows, through a real terminal (a pty).

    python tests/bench/data_table.py FOLDER [--rows 1000000]

Prints, in milliseconds, how long a person waits for a page: opening, paging, the last row, a filter by source
and by text; and the app's peak of resident memory. A home that is in FOLDER already is used again.
"""

import argparse
import fcntl
import os
import pty
import random
import re
import select
import statistics
import struct
import sys
import termios
import time
from pathlib import Path

from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store

ROWS, COLUMNS = 24, 80
PAGES = 50
F4, PAGE_DOWN, END, HOME = b"\x1bOS", b"\x1b[6~", b"\x1b[F", b"\x1b[H"
COUNTED = r"[\d,]+ rows? {2}"  # while it counts, an ellipsis follows
SETTLED = 0.25  # seconds without output after which a screen is whole
_ESCAPES = re.compile(rb"\x1b\][^\x07]*\x07|\x1b[\[\]?][0-9;?<>=]*[ -/]*[@-~]|\x1b[@-Z\\-_]")


def make(folder: Path, rows: int) -> Home:
    """A home with this many pairs from five large files and a small one, made by SQL alone."""
    home = Home(folder)
    home.create()
    settings.save(home, Settings(chat_url="http://127.0.0.1:9"))  # no model is to take the processors
    store = Store.open(home.database, migrate=True)
    there = store.one("SELECT count(*) AS n FROM examples")
    if there and there["n"] == 0:
        store.db.execute("PRAGMA synchronous=OFF")
        store.db.execute("PRAGMA cache_size=-1000000")  # hashes come in no order: the index stays in memory
        with store.write():
            _fill(store, rows)
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return home


def _fill(store: Store, rows: int) -> None:
    drawn = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(drawn.choices(letters, k=drawn.randint(2, 9))) for _ in range(5000)]
    texts = [
        (
            n,
            *(
                " ".join(drawn.choices(words, k=drawn.randint(low, high)))
                for low, high in ((8, 20), (15, 35))
            ),
        )
        for n in range(1000)
    ]
    store.execute("CREATE TEMP TABLE texts (n INTEGER PRIMARY KEY, asked TEXT, said TEXT)")
    store.execute_many("INSERT INTO texts VALUES (?, ?, ?)", texts)
    store.execute(
        """WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?)
           INSERT INTO examples (id, hash, kind, question, answer, body, created)
           SELECT i, hex(randomblob(32)), 'pair', i, i % 2,
             '{"chosen":"' || u.said || ' ' || i || '","kind":"pair","prompt":[{"content":"' || w.asked
               || '","role":"user"}],"rejected":"' || v.said || '"}',
             strftime('%Y-%m-%dT%H:%M:%f000+00:00', '2025-01-01', '+' || (i * 5) || ' seconds')
           FROM c JOIN texts w ON w.n = i % 1000 JOIN texts v ON v.n = i / 7 % 1000
             JOIN texts u ON u.n = (i / 1000 * 31 + i) % 1000""",
        (rows,),
    )
    store.execute("INSERT INTO example_prompts SELECT id, id % 1000 FROM examples")
    names = [*((n, f"part-{n}.jsonl") for n in range(1, 6)), (6, "small.jsonl")]
    store.execute_many("INSERT INTO sources VALUES (?, ?, '2025-01-01T00:00:00.000000+00:00')", names)
    store.execute("INSERT INTO imports SELECT id * 5 / (? + 1) + 1, 'pair', id, id FROM examples", (rows,))
    store.execute("INSERT INTO imports SELECT 6, 'pair', id, id FROM examples WHERE id % 10000 = 7")


class Terminal:
    """The app in a pty, and what it has written since the last key."""

    def __init__(self, home: Home) -> None:
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color")
            os.execv(Path(sys.executable).with_name("tuner"), ["tuner", "--home", str(home.folder)])
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._seen = b""

    def key(self, key: bytes) -> float:
        """Press a key, or several; when, for `wait`."""
        self._seen = b""
        os.write(self._file, key)
        return time.perf_counter()

    def read(self, seconds: float) -> bool:
        """Take what is written within some seconds, if anything is."""
        if not select.select([self._file], [], [], seconds)[0]:
            return False
        self._seen += os.read(self._file, 1 << 16)
        return True

    def wait(self, pressed: float, text: str) -> float:
        """Milliseconds from a key to this regular expression on the screen."""
        while not re.search(text, _ESCAPES.sub(b"", self._seen).decode(errors="replace")):
            if not self.read(60):
                sys.exit(f"{text!r} was not painted: {self._seen[-2000:]!r}")
        return (time.perf_counter() - pressed) * 1e3

    def settle(self) -> None:
        """Until nothing more is written."""
        while self.read(SETTLED):
            pass

    def peak(self) -> float:
        """MB of resident memory at most."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]

    def quit(self) -> None:
        """Close the app."""
        os.write(self._file, b"\x11")
        try:
            while os.read(self._file, 1 << 16):
                pass
        except OSError:  # the other side has hung up
            pass
        os.waitpid(self.pid, 0)


def measure(home: Home, rows: int) -> None:
    """Press the keys and print."""
    terminal = Terminal(home)
    terminal.wait(time.perf_counter(), "help")
    terminal.settle()
    print(f"memory before: {terminal.peak():.0f} MB")
    pressed = terminal.key(F4)
    print(f"opened, first page: {terminal.wait(pressed, 'part-5.jsonl'):.0f} ms", flush=True)
    print(f"all counted: {terminal.wait(pressed, COUNTED):.0f} ms", flush=True)
    terminal.settle()
    waits = []
    for page in range(1, PAGES + 1):
        # A page has eight rows and the cursor moves by seven: the row that it comes to is told below.
        waits.append(terminal.wait(terminal.key(PAGE_DOWN), f"line {rows - 7 * page:,} of"))
    waits.sort()
    print(f"page down: median {statistics.median(waits):.0f} ms, the longest of {PAGES} {waits[-1]:.0f} ms")
    terminal.settle()
    print(f"the last row: {terminal.wait(terminal.key(END), 'line 1 of part-1.jsonl'):.0f} ms")
    terminal.settle()
    for what, line, found in (
        ("source", "source:small.jsonl", "small.jsonl"),
        ("a letter that nearly every row has", "e", "part-5.jsonl"),
        ("one row's number", f"{rows // 2 + 1}", "part-3.jsonl"),
    ):
        terminal.key(b"/" + b"\x7f" * 20)
        terminal.settle()
        pressed = terminal.key(line.encode())
        first = terminal.wait(pressed, found)
        whole = terminal.wait(pressed, COUNTED)
        print(f"filter by {what}: first {first:.0f} ms, all {whole:.0f} ms", flush=True)
        terminal.settle()
        terminal.key(b"\x1b")
        terminal.settle()
    print(f"peak memory: {terminal.peak():.0f} MB")
    terminal.quit()


def main() -> None:
    """Make the home where it is not there, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    measure(make(args.folder, args.rows), args.rows)


if __name__ == "__main__":
    main()
