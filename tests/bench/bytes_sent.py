"""How many bytes go to the terminal, which is what a slow line waits for.

    python -m tests.bench.bytes_sent [--size 80x24]

Prints JSON: bytes a second when nothing happens, for a typed letter, for a word of a streamed answer (twenty
words a second come), for a thumb, for a step of a run told in the top bar while the person chats and for one
on the run's own screen, and for a labelling key.
"""

import argparse
import json
import tempfile
from pathlib import Path

from tests.bench.label_keys import add_batch
from tests.bench.typing_keys import answer, training_rows
from tests.scripted_server import ScriptedServer
from tests.terminal import Terminal
from tuner_app import launch, settings
from tuner_app.paths import Home
from tuner_app.store import Store, runs
from tuner_app.workers import locks

LETTERS, STEPS, LABELS, IDLE = 20, 10, 20, 5.0
WORDS = answer(10, 20) + "THE-END"


def measure(home: Home, store: Store, size: tuple[int, int], server: ScriptedServer) -> dict[str, float]:
    """Go through the app, and count."""
    batch = add_batch(home, LABELS + 1)
    settings.save(home, settings.Settings(chat_url=server.url))
    run = launch.prepare(store, home, launch.Plan(method="dpo", base="builtin"))
    held = locks.hold(locks.run(home, run.name))
    figures = {}
    with Terminal(home, size) as terminal:

        def count(what: str, times: float) -> None:
            terminal.settle()
            figures[what] = round((len(terminal.sent) - before) / times)

        def step(number: int) -> None:
            figures = {"loss": 0.7 / number, "learning_rate": 1e-4, "grad_norm": 1.0, "seconds": 0.5}
            more = {"tokens": 100, "metrics": {"accuracy": 0.5 + number / 100}}
            runs.emit(store, run.id, "step", figures | more | {"step": number, "steps": 99})

        terminal.sees("● ready")
        terminal.settle()
        before = len(terminal.sent)
        terminal.pause(IDLE)
        count("idle_second", IDLE)

        before = len(terminal.sent)
        for _ in range(LETTERS):
            terminal.press("a")
        count("letter", LETTERS)

        before = len(terminal.sent)
        terminal.send("enter")
        terminal.until(lambda: b"THE-END" in terminal.sent[before:], "the answer's end", 120)
        count("streamed_word", len(WORDS.split(" ")))

        terminal.press("tab")
        before = len(terminal.sent)
        terminal.press("a", "x", "a", "x")
        count("thumb", 4)
        terminal.press("escape")

        runs.set_status(store, run.id, "running")
        step(1)
        terminal.sees("1/99")
        before = len(terminal.sent)
        for number in range(2, STEPS + 2):
            step(number)
            terminal.sees(f"{number}/99")
        count("step_in_top_bar", STEPS)

        terminal.press("ctrl+r", "enter")
        terminal.sees(f"{STEPS + 1}/99", "accuracy")
        terminal.settle()
        before = len(terminal.sent)
        for number in range(STEPS + 2, 2 * STEPS + 2):
            step(number)
            terminal.sees(f"step {number}")
        count("step_on_its_screen", STEPS)

        terminal.press("ctrl+g")
        terminal.sees(batch.name)
        terminal.press("enter")
        terminal.sees("0/21 judged")
        terminal.settle()
        before = len(terminal.sent)
        for number in range(LABELS):
            terminal.send("12fj0b "[number % 7])
            terminal.sees(f"{number + 1}/21 judged")
        count("labelling_key", LABELS)
        terminal.quit()
    if held:
        held.close()
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="80x24", help="columns x rows")
    args = parser.parse_args()
    columns, rows = map(int, args.size.split("x"))
    server = ScriptedServer()
    server.pace, server.answers = 1 / 20, [WORDS]
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.create()
        store = Store.open(home.database, migrate=True)
        training_rows(store)
        print(json.dumps({"size": args.size, **measure(home, store, (columns, rows), server)}))
        store.close()
    server.close()


if __name__ == "__main__":
    main()
