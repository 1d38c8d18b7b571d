"""How long near repeats among very many written examples take to be indexed, and to be found while one types.

    python -m tests.bench.near_repeats FOLDER [--examples 1000000] [--texts 500]

A home of that many demonstrations, made in FOLDER where it is not there yet, is indexed anew, in turns as the
studio does it, while another thread looks for the text that a person has typed so far. Prints JSON: the
seconds and the MB of memory and of the disk that the index took, the milliseconds of one look while it was
made and afterwards, and of how many repeats with a few words changed the repeat was found.
"""

import argparse
import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from engine.examples import Demonstration, Message
from tests.bench.figures import spread
from tuner_app.page.studio.write import INDEX_SECONDS
from tuner_app.paths import Home
from tuner_app.store import Store, examples
from tuner_app.store.near import NearFile

KEYS = 0.1  # seconds between two looks of a person who types
STEP = 7  # letters typed between two looks


def words() -> list[str]:
    """A vocabulary, the frequent ones first."""
    drawn = random.Random(0)
    return ["".join(drawn.choices("etaoinshrdlucmfwyp", k=drawn.randint(2, 9))) for _ in range(20_000)]


def prompt(number: int, vocabulary: list[str]) -> str:
    """Some thirty words, drawn so that few of them come often, as in a language."""
    drawn = random.Random(number)
    places = [int(drawn.paretovariate(0.6)) % len(vocabulary) for _ in range(drawn.randint(8, 50))]
    return "Please tell me: " + " ".join(vocabulary[place] for place in places) + f" {number}?"


def fill(folder: Path, count: int) -> Home:
    """The home in `folder` with so many demonstrations."""
    home, done, vocabulary = Home(folder), folder / f"{count}-examples", words()
    if not done.exists():
        home.create()
        store = Store.open(home.database, migrate=True)
        asked = (Message("user", prompt(number, vocabulary)) for number in range(count))
        answer = Message("assistant", "So it is.")
        rows = ((Demonstration((one, answer)), number) for number, one in enumerate(asked))
        examples.add(store, rows, source="bench")
        store.close()
        done.touch()
    return home


def changed(text: str, number: int) -> str:
    """The text with two of its words left out and one put in."""
    drawn, said = random.Random(number), text.split()
    for _ in range(2):
        del said[drawn.randrange(len(said))]
    said.insert(drawn.randrange(len(said)), "another")
    return " ".join(said)


class Typist(threading.Thread):
    """Types one prompt after the other and looks for what is typed so far, until stopped."""

    def __init__(self, near: NearFile, store: Store, vocabulary: list[str]) -> None:
        super().__init__()
        self._near, self._store, self._vocabulary = near, store, vocabulary
        self._stopped = threading.Event()
        self.took: list[float] = []

    def run(self) -> None:
        """Look without end."""
        number = 0
        while not self._stopped.is_set():
            text = prompt(number := number + 1, self._vocabulary)
            for end in range(STEP, len(text) + 1, STEP):
                began = time.perf_counter()
                self._near.find(self._store, text[:end])
                self.took.append(1000 * (time.perf_counter() - began))
                if self._stopped.wait(KEYS):
                    return

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        self.join()


def index(near: NearFile, store: Store) -> tuple[float, float]:
    """Index all that is there in turns, as the studio does it; the seconds, and those at work."""
    began, worked, whole = time.perf_counter(), 0.0, False
    while not whole:
        since = time.perf_counter()
        whole = near.update(store, seconds=INDEX_SECONDS)
        worked += time.perf_counter() - since
        time.sleep(INDEX_SECONDS)
    return time.perf_counter() - began, worked


def measure(folder: Path, count: int, texts: int) -> dict[str, Any]:
    """The figures."""
    home, vocabulary = fill(folder, count), words()
    store = Store.open(home.database, migrate=True)
    for file in home.folder.glob(f"{home.near_index.name}*"):
        file.unlink()
    process, near = psutil.Process(os.getpid()), NearFile(home.near_index)
    before = process.memory_info().rss
    typist = Typist(near, store, vocabulary)
    typist.start()
    seconds, worked = index(near, store)
    typist.stop()
    held = process.memory_info().rss - before
    took, found, chance = [], 0, random.Random(1)
    for number in (chance.randrange(count) for _ in range(texts)):
        text = changed(prompt(number, vocabulary), number)
        began = time.perf_counter()
        seen = near.find(store, text)
        took.append(1000 * (time.perf_counter() - began))
        found += any(one.example.messages[0].content == prompt(number, vocabulary) for one in seen)
    near.close()
    store.close()
    return {
        "examples": count,
        "index_s": round(seconds, 1),
        "index_at_work_s": round(worked, 1),
        "memory_mb": round(held / 1e6, 1),
        "disk_mb": round(home.near_index.stat().st_size / 1e6, 1),
        "look_while_indexing": spread(typist.took),
        "look": spread(took),
        "found": f"{found} of {texts}",
    }


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--texts", type=int, default=500)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.folder, asked.examples, asked.texts), indent=2))


if __name__ == "__main__":
    main()
