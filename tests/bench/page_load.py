"""How the page's server bears annotators: 25 at their pace beside a training run, 100 without a pause, 400.

    python -m tests.bench.page_load [--minutes 5] [--seconds 60] [--no-run]

Prints JSON for each crowd: labels and labels a second, milliseconds from a choice to "saved" (p50, p99), how
often the server said 429 or 503, the labels lost or doubled, and the server's memory in MB.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.examples import Demonstration, Message
from tests.crowd import Notes, at_work, check, finished, gather
from tests.served import Served, pairs
from tuner_app.store import examples, runs
from tuner_app.workers import supervisor


async def bear(served: Served, annotators: int, pause: float, seconds: float) -> dict[str, Any]:
    """What a crowd saw that labelled for so long."""
    notes = Notes()
    crowd = gather(served, [f"annotator-{n}" for n in range(annotators)], notes, pause=pause)
    before = check(served.store, notes)["labels"]
    began, worked = time.monotonic(), served.processor()
    with at_work(crowd) as tasks:
        await asyncio.wait(tasks, timeout=seconds)  # none ends by itself, but by an error
        took, worked = time.monotonic() - began, served.processor() - worked
    await finished(tasks)
    found = check(served.store, notes)
    times = statistics.quantiles(notes.seconds or [0.0, 0.0], n=100)
    return {
        "annotators": annotators,
        "seconds": round(took, 1),
        "saved": len(notes.saved),
        "a_second": round(len(notes.saved) / took, 1),
        "p50_ms": round(1000 * times[49], 1),
        "p99_ms": round(1000 * times[98], 1),
        "max_ms": round(1000 * max(notes.seconds, default=0.0), 1),
        "processor_ms_a_label": round(1000 * worked / max(1, len(notes.saved)), 1),
        "told_to_wait": dict(notes.later),
        "refused": len(notes.refused),
        "lost": found["lost"],
        "changed": found["changed"],
        "doubled": found["doubled"],
        "crowded": found["crowded"],
        "not_acknowledged": found["labels"] - before - len(notes.saved),
        "server_mb": round(served.memory()),
    }


def train(served: Served) -> str:
    """Start a long run in the served home; its name."""
    rows = [
        Demonstration((Message("user", f"How many are {n} and {n}?"), Message("assistant", f"{2 * n}.")))
        for n in range(256)
    ]
    examples.add(served.store, [(row, at) for at, row in enumerate(rows)], source="load")
    program = [str(Path(sys.executable).with_name("tuner")), "--home", str(served.home.folder)]
    command = [*program, "train", "sft", "--epochs", "1000", "--name", "load", "--detach"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    while not runs.last_step(served.store, _run(served, "load").id):
        time.sleep(0.5)
    return "load"


def _run(served: Served, name: str) -> Any:
    run = runs.get(served.store, name)
    assert run is not None
    return run


def main() -> None:
    """Run them and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="of 25 annotators at their pace")
    parser.add_argument("--seconds", type=float, default=60.0, help="of those without a pause")
    parser.add_argument("--crowds", type=int, nargs="*", default=[100, 400], help="those without a pause")
    parser.add_argument("--no-run", action="store_true", help="without a training run beside")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder) / "home")
        for n in range(6):
            served.share(pairs(10_000), f"load {n}", overlap=1)
        served.start()
        try:
            name = "" if asked.no_run else train(served)
            steps = {}
            if name:
                steps["before"] = runs.last_step(served.store, _run(served, name).id)["step"]
            print(json.dumps(asyncio.run(bear(served, 25, 2.0, 60 * asked.minutes)), indent=2), flush=True)
            if name:
                run = _run(served, name)
                steps["after"] = runs.last_step(served.store, run.id)["step"]
                print(json.dumps({"run": run.status, "steps": steps}), flush=True)
                supervisor.stop_run(served.home, served.store, run)
            for annotators in asked.crowds:
                figures = asyncio.run(bear(served, annotators, 0.0, asked.seconds))
                print(json.dumps(figures, indent=2), flush=True)
        finally:
            served.close()


if __name__ == "__main__":
    main()
