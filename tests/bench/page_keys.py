"""How long a labelling key takes until the next pair is painted in a browser, and how soon the page is there.

    python tests/bench/page_keys.py [--keys 200] [--beside CMD…]

Serves a new home as `tuner page` does, opens a link in headless Chromium (1280 x 800) and judges pairs of
some 400 words, with Markdown, one key after the other, each when the pair before is painted. The commands, a
training run for one, go on meanwhile. Prints JSON, in milliseconds: `paint`, from opening the page (with its
session, nothing cached) to the first contentful paint; `pair`, to the first pair's paint; `key`, from a key's
event to the frame after the one that paints the next pair; and how many labels were in the database at last.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "page"))

from labelling import DESK, Browser, chromium, saved, sees
from served import Served

from engine.examples import Message
from tuner_app.store.rows import Asked, Reply

REPLY = "The **quick** brown fox jumps over the `lazy` dog, and then:\n\n- it rests\n- it runs on\n\n" * 12
PRESS = """key => new Promise((done) => {
  const began = performance.now();
  const was = document.querySelector("#prompt .user .body").textContent;
  dispatchEvent(new KeyboardEvent("keydown", { key }));
  if (document.querySelector("#prompt .user .body").textContent === was) done(-1);
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
})"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SHOWN = """new Promise((done) => { const look = () => document.querySelector(".reply")
  ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(look); look() })"""


def measure(served: Served, browser: Browser, keys: int) -> dict[str, object]:
    """Judge `keys` pairs and say how long each took."""
    paints, shown = [], []
    for _ in range(5):
        context = browser.new_context(viewport=DESK)
        page = context.new_page()
        page.goto(served.link("Ann"))
        sees(page, "Question 0")
        fresh = browser.new_context(viewport=DESK, storage_state=context.storage_state())
        page = fresh.new_page()
        page.goto(served.url, wait_until="commit")
        shown.append(page.evaluate(SHOWN))
        paints.append(page.evaluate(PAINTED))
        fresh.close()
        context.close()
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.goto(served.link("Ann"))
    sees(page, "Question 0")
    took = []
    for n in range(keys):
        took.append(page.evaluate(PRESS, "12fj0b "[n % 7]))
        page.wait_for_timeout(50)
        sees(page, f"Question {n + 1}")
    saved(page)
    if min(took) < 0:
        sys.exit("a key showed no next pair")
    took.sort()
    return {
        "paint_ms": round(statistics.median(paints)),
        "paint_worst_ms": round(max(paints)),
        "pair_ms": round(statistics.median(shown)),
        "keys": keys,
        "key_p50_ms": round(statistics.median(took), 1),
        "key_p99_ms": round(took[min(keys - 1, int(keys * 0.99))], 1),
        "key_worst_ms": round(took[-1], 1),
        "saved": len(served.verbs("Ann")),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--beside", nargs="*", default=[], metavar="CMD", help="what goes on meanwhile")
    args = parser.parse_args()
    beside = [subprocess.Popen(command, shell=True, start_new_session=True) for command in args.beside]
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder))
        try:
            served.member("Ann")
            asked = [
                Asked(
                    (Message("user", f"Question {n}"),),
                    tuple(Reply(f"{REPLY}{side} {n}") for side in ("one", "two")),
                )
                for n in range(args.keys + 1)
            ]
            served.share(asked, "Bench")
            served.start()
            with chromium() as browser:
                print(json.dumps(measure(served, browser, args.keys)))
        finally:
            served.close()
            for command in beside:
                if command.poll() is None:
                    os.killpg(command.pid, signal.SIGTERM)


if __name__ == "__main__":
    main()
