"""How long very many rows take to be imported, removed and frozen for a run, and how long labels wait for it.

    python -m tests.bench.bulk FOLDER [--rows 1000000]

A new home is made in FOLDER, and a file of pairs is imported, removed and restored there in the terminal app,
through a pty; then another process freezes them as the start of a run does. All the while one more process
labels, twenty times a second. Prints JSON: for each, the seconds that it took, the milliseconds until a label
was on disk, and the peak of resident memory in MB of the process that did it.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.examples import Message
from tests.bench.figures import spread
from tests.terminal import Terminal
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store, labels, new_uid, snapshots
from tuner_app.store.rows import Reply

BETWEEN = 0.05  # seconds between two labels
LONG = 1200.0  # seconds that anything may take


def pairs(file: Path, rows: int) -> None:
    """Write pairs of some sixty words, all different."""
    drawn = random.Random(0)
    words = ["".join(drawn.choices("abcdefghijklmnop", k=drawn.randint(2, 9))) for _ in range(5000)]
    with file.open("w") as out:
        for number in range(rows):
            prompt, chosen, rejected = (" ".join(drawn.choices(words, k=count)) for count in (14, 25, 25))
            row = {"prompt": f"{number} {prompt}", "chosen": chosen, "rejected": rejected}
            out.write(json.dumps(row) + "\n")


def label(database: Path, log: Path) -> None:
    """Label without end; each line of `log` is when a label was asked for, and how long it took, in s."""
    store = Store.open(database)
    with log.open("w", buffering=1) as out:
        for number in range(10**9):
            item = labels.item_for_pair(store, [Message("user", str(number))], Reply("a"), Reply("b"))
            began = time.monotonic()
            labels.record(store, item.hash, "tie", uid=new_uid())
            out.write(f"{began} {time.monotonic() - began}\n")
            time.sleep(BETWEEN)


def freeze(database: Path, answer: Any) -> None:
    """Freeze all pairs; tell the peak of this process's memory, in MB."""
    snapshots.take(Store.open(database), "pair")
    (peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
    answer.send(int(peak.split()[1]) * 1024 / 1e6)


class Bulk:
    """What is measured, one thing after the other."""

    def __init__(self, log: Path) -> None:
        self.figures: dict[str, Any] = {}
        self._log = log

    @contextmanager
    def timed(self, what: str, terminal: Terminal | None = None) -> Iterator[None]:
        """Measure the block, and the labels given meanwhile."""
        began = time.monotonic()
        yield
        ended = time.monotonic()
        given = (map(float, line.split()) for line in self._log.read_text().splitlines()[:-1])
        took = [seconds * 1e3 for at, seconds in given if at < ended and at + seconds > began]
        self.figures[what] = {"seconds": round(ended - began, 1), "labels": spread(took)}
        print(f"{what}: {self.figures[what]}", file=sys.stderr)
        if terminal:
            self.figures[what]["peak_mb"] = round(terminal.memory("VmHWM"), 1)


def in_the_app(home: Home, file: Path, rows: int, bulk: Bulk) -> None:
    """Import, stop an import, remove all and take that back."""
    with Terminal(home) as terminal:
        terminal.sees("help")
        terminal.settle()
        terminal.send("f4")
        terminal.sees("0 rows")
        terminal.send("i")
        terminal.sees("format")
        terminal.send(str(file))
        terminal.settle()
        terminal.send("ctrl+s")
        terminal.drawn("Keeping", timeout=LONG)
        terminal.send("escape")
        bulk.figures["stopped_ms"] = round(terminal.drawn("Nothing was imported"), 1)
        with bulk.timed("import", terminal):
            terminal.send("ctrl+s")
            terminal.drawn("Imported", timeout=LONG)
        terminal.send("escape")
        terminal.drawn(f"{rows:,} rows {{2}}", timeout=LONG)
        terminal.send("*")
        terminal.drawn("marked")
        with bulk.timed("remove", terminal):
            terminal.send("d")
            terminal.drawn(f"Removed from use: {rows:,} rows", timeout=LONG)
        terminal.settle()
        with bulk.timed("undo", terminal):
            terminal.send("u")
            terminal.drawn("Undone", timeout=LONG)
        terminal.quit()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    file, log = args.folder / f"{args.rows}.jsonl", args.folder / "labels"
    if not file.exists():
        pairs(file, args.rows)
    home = Home(args.folder / "home")
    shutil.rmtree(home.folder, ignore_errors=True)
    home.create()
    settings.save(home, Settings(chat_url="http://127.0.0.1:9"))  # no model is to take the processors
    Store.open(home.database, migrate=True).close()
    log.touch()
    processes = multiprocessing.get_context("spawn")
    labeller = processes.Process(target=label, args=(home.database, log))
    labeller.start()
    try:
        bulk = Bulk(log)
        in_the_app(home, file, args.rows, bulk)
        answer, theirs = processes.Pipe()
        with bulk.timed("freeze"):
            freezer = processes.Process(target=freeze, args=(home.database, theirs))
            freezer.start()
            peak = answer.recv()
            freezer.join()
        bulk.figures["freeze"]["peak_mb"] = round(peak, 1)
    finally:
        labeller.kill()
        labeller.join()
    megabytes = os.path.getsize(home.database) / 1e6
    print(json.dumps({"rows": args.rows, "database_mb": round(megabytes), **bulk.figures}))


if __name__ == "__main__":
    main()
