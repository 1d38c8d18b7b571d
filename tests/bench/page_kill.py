"""The page's server killed at random moments under load: is every acknowledged label there, once?

    python -m tests.bench.page_kill [--kills 200] [--annotators 20] [--home DIR]

A kill is SIGKILL, at a moment between the first answer and 0.7 seconds later; the annotators label without a
pause, send again what was not acknowledged, and go on with the next server. Prints JSON: the kills, the
labels, and how many acknowledged ones are lost, changed or doubled after all of them and after each.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.crowd import Notes, at_work, check, finished, gather
from tests.served import Served, pairs

LOAD_SECONDS = 0.7


async def kill(folder: Path, kills: int, annotators: int) -> dict[str, Any]:
    """Kill the server of a new home so often; what was found."""
    served = Served(folder)
    notes, worst = Notes(), {"lost": 0, "changed": 0, "doubled": 0, "crowded": 0}
    size = max(200, min(10_000, kills * 100))
    served.share(pairs(size), "load", overlap=2)
    crowd = gather(served, [f"annotator-{n}" for n in range(annotators)], notes, pause=0.0)
    try:
        await asyncio.to_thread(served.start)
        with at_work(crowd) as tasks:
            for number in range(kills):
                before = len(notes.saved)
                while len(notes.saved) == before:  # the server is at work before it dies
                    await asyncio.sleep(0.005)
                    _alive(tasks)
                await asyncio.sleep(random.uniform(0, LOAD_SECONDS))
                served.stop()
                found = check(served.store, notes)
                worst = {key: max(worst[key], found[key]) for key in worst}
                await asyncio.to_thread(served.start)
                if sys.stderr.isatty():
                    print(f"\r{number + 1} kills, {len(notes.saved)} labels", end="", file=sys.stderr)
            await asyncio.sleep(2)
        await finished(tasks)
        served.stop()
        (integrity,) = served.store.query("PRAGMA integrity_check")[0]
        return {
            "kills": kills,
            "acknowledged": len(notes.saved),
            **check(served.store, notes),
            "worst_after_a_kill": worst,
            "broken_requests": notes.broken,
            "refused": len(notes.refused),
            "integrity": integrity,
        }
    finally:
        served.close()


def _alive(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        if task.done():
            task.result()


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--annotators", type=int, default=20)
    parser.add_argument("--home", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = asked.home or Path(folder) / "home"
        print(json.dumps(asyncio.run(kill(home, asked.kills, asked.annotators)), indent=2))


if __name__ == "__main__":
    main()
