"""How long a labelling key takes until the next pair is drawn, through a real terminal (a pty).

    python -m tests.bench.label_keys FOLDER [--labels 1000000] [--keys 200] [--size 120x40] [--beside CMD…]

FOLDER holds, or is given, a home with that many labels (`big_home.py`). A batch of pairs is added to it and
judged with one key after the other, each as soon as the pair before is on the screen; every label is on disk
before the next pair is drawn. The commands, a training run for one, go on meanwhile. Prints JSON:
milliseconds from the key to the last byte of the next pair, the app's processor time for it and resident
memory in MB, and how many labels were found in the database afterwards.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from engine.examples import Message
from tests.bench.big_home import make
from tests.bench.figures import spread
from tests.terminal import Terminal
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.store import Store, batches
from tuner_app.store.rows import Asked, Batch, Reply

KEYS = "12fj0b "
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


def label(home: Home, batch: Batch, keys: int, size: tuple[int, int]) -> dict[str, float]:
    """Judge `keys` pairs and say how long each took."""
    with Terminal(home, size) as terminal:
        terminal.sees("help")
        terminal.settle()
        terminal.send("ctrl+g")  # the batches, this one first
        terminal.sees(batch.name)
        terminal.settle()
        terminal.send("enter")
        terminal.drawn(_mark(batch.uid, 0), times=3)
        terminal.settle()
        took, used = [], terminal.processor()
        for number in range(keys):
            terminal.send(KEYS[number % len(KEYS)])
            took.append(terminal.drawn(_mark(batch.uid, number + 1), times=3))
            terminal.pause(0.05)
        used = terminal.processor() - used
        figures = {
            **spread(took),
            "processor_ms": round(used / keys, 1),
            "resident_mb": round(terminal.memory(), 1),
            "peak_mb": round(terminal.memory("VmHWM"), 1),
        }
        terminal.quit()
    return figures


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
        columns, rows = map(int, args.size.split("x"))
        figures = label(home, batch, args.keys, (columns, rows))
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
