"""How long a typed letter takes to be seen while an answer streams and a run trains, through a real terminal.

    python -m tests.bench.typing_keys [--keys 300] [--size 80x24] [--rate 60] [--alone]

Letters are typed into the prompt box, ten a second, while a long answer in Markdown streams above it at that
many words a second and DPO trains the built-in base as the app would start it; with `--alone` nothing trains.
Prints JSON: milliseconds from the key until its letter is drawn, the app's share of a processor, its
resident memory in MB at its peak, and how many steps the run took meanwhile.
"""

import argparse
import json
import random
import string
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.examples import Message, Pair
from tests.bench.figures import spread
from tests.scripted_server import ScriptedServer
from tests.terminal import Terminal
from tuner_app import launch, settings
from tuner_app.paths import Home
from tuner_app.store import Store, examples, runs
from tuner_app.store.run_rows import Run
from tuner_app.workers import supervisor

BETWEEN = 0.1  # seconds
LINE = 40  # letters, then the line is cleared
SEEN = 6  # letters of those before which tell where a letter is drawn
PART = """## Part {n}

The *quick* brown **fox** jumps over the lazy dog, and then it runs `away()` through the garden.

- one thing, and another
- a third thing

```python
for number in range({n}):
    print(number)
```

"""


def answer(seconds: float, rate: float) -> str:
    """Markdown that takes so long to stream."""
    parts, words = [], 0
    while words < seconds * rate:
        parts.append(PART.format(n=len(parts) + 1))
        words += len(parts[-1].split(" "))
    return "".join(parts)


def training_rows(store: Store) -> None:
    """Pairs for a run to learn from."""
    prompts = [(Message("user", f"Question {n}: why does the fox jump over the dog?"),) for n in range(256)]
    pairs = [Pair(prompt, "Because it can. " * 8, "I do not know. " * 8) for prompt in prompts]
    examples.add(store, [(pair, line) for line, pair in enumerate(pairs)], source="bench")


@contextmanager
def training(home: Home, store: Store) -> Iterator[Run]:
    """A run that goes on until the end of the block."""
    training_rows(store)
    run = launch.prepare(store, home, launch.Plan(method="dpo", base="builtin", options={"epochs": 1000}))
    supervisor.start_run(home, store, run)
    try:
        while not runs.events(store, run.id, kinds=["step"]):
            time.sleep(0.2)
        yield run
    finally:
        supervisor.stop_run(home, store, run, grace=0)


def steps(store: Store, run: Run | None) -> int:
    """How many steps it has taken."""
    return len(runs.events(store, run.id, kinds=["step"], limit=10**6)) if run else 0


def type_letters(terminal: Terminal, keys: int) -> list[float]:
    """Type, and say how long each letter took."""
    drawn, line, took = random.Random(0), "", []
    for _ in range(keys):
        if len(line) == LINE:
            terminal.send("ctrl+u")
            terminal.pause(BETWEEN)
            line = ""
        line += drawn.choice(string.ascii_lowercase)
        terminal.send(line[-1])
        took.append(terminal.drawn(line[-SEEN:]))
        terminal.pause(BETWEEN)
    return took


def measure(home: Home, store: Store, run: Run | None, keys: int, size: tuple[int, int]) -> dict[str, float]:
    """Have a long answer streamed, and type beneath it."""
    with Terminal(home, size) as terminal:
        terminal.sees("● ready")
        terminal.press("Tell me a long story", "enter")
        terminal.sees("Part 1")
        before, used, began = steps(store, run), terminal.processor(), time.perf_counter()
        took = type_letters(terminal, keys)
        wall = time.perf_counter() - began
        figures = {
            **spread(took),
            "processor": round((terminal.processor() - used) / wall / 1e3, 2),
            "peak_mb": round(terminal.memory("VmHWM"), 1),
            "steps": steps(store, run) - before,
        }
        assert "stop" in terminal.shown, "the answer ended before the typing did"
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--size", default="80x24", help="columns x rows")
    parser.add_argument("--rate", type=float, default=60, help="words a second")
    parser.add_argument("--alone", action="store_true", help="with no run beside it")
    args = parser.parse_args()
    columns, rows = map(int, args.size.split("x"))
    server = ScriptedServer()
    server.pace = 1 / args.rate
    server.answers = [answer(60 + args.keys * BETWEEN * 3, args.rate)]
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        store = Store.open(home.database, migrate=True)
        settings.save(home, settings.Settings(chat_url=server.url))
        if args.alone:
            figures = measure(home, store, None, args.keys, (columns, rows))
        else:
            with training(home, store) as run:
                figures = measure(home, store, run, args.keys, (columns, rows))
        store.close()
    server.close()
    print(json.dumps({"size": args.size, "rate": args.rate, **figures}))


if __name__ == "__main__":
    main()
