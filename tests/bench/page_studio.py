"""How soon the page and its studio are there, what the server holds, and how long the studio's handlers take.

    python -m tests.bench.page_studio [--times 3] [--annotators 25] [--seconds 60]

Prints JSON. `start`: milliseconds from the start of `tuner page` until it answers, and until the labelling
page and the studio can be used in headless Chromium (a pair is on the screen; the prompt can be typed
into), each opened as soon as the server answers; the same of a page that is opened when the server is warm;
and the server's MB at last. `alone` and `beside`: milliseconds of what the studio asks of its server while
an admin goes from tab to tab, without others and while annotators label, a label each two seconds.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "page"))

from labelling import DESK, Browser, Page, chromium

from tests.crowd import Notes, at_work, check, finished, gather
from tests.served import Served, pairs
from tuner_app.store import people

TABS = ("chat", "write", "progress", "review", "runs", "data", "people")
PATIENCE = 60_000  # milliseconds
USABLE = {"": ".reply", "/studio/": "#prompt textarea"}


def opened(page: Page, served: Served, path: str, since: float) -> float:
    """Milliseconds since `since` until a page can be used, and painted."""
    page.goto(f"{served.url}{path}", wait_until="commit", timeout=PATIENCE)
    page.locator(USABLE[path]).first.wait_for(timeout=PATIENCE)
    page.evaluate("() => new Promise(requestAnimationFrame)")
    return 1000 * (time.perf_counter() - since)


def start(served: Served, browser: Browser, state: Any) -> dict[str, float]:
    """Start the server and open both pages, at once and again when it is warm."""
    label, studio = (browser.new_context(viewport=DESK, storage_state=state).new_page() for _ in range(2))
    began = time.perf_counter()
    served.start()
    found = {"answers_ms": 1000 * (time.perf_counter() - began)}
    found["labelling_ms"] = opened(label, served, "", began)
    found["studio_ms"] = opened(studio, served, "/studio/", began)
    for name, path in (("labelling_warm_ms", ""), ("studio_warm_ms", "/studio/")):
        with browser.new_context(viewport=DESK, storage_state=state) as context:
            found[name] = opened(context.new_page(), served, path, time.perf_counter())
    found["server_mb"] = served.memory()
    for page in (label, studio):
        page.context.close()
    served.stop()
    return found


def visit(page: Page, seconds: float) -> dict[str, Any]:
    """Go from tab to tab for so long; how long the requests took."""
    took: list[float] = []

    def note(request: Any) -> None:
        if "/gradio_api/run/" in request.url:
            took.append(request.timing["responseEnd"] - request.timing["requestStart"])

    page.on("requestfinished", note)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for tab in TABS:
            page.locator(f"#tab-{tab}-button").click()
            page.wait_for_timeout(500)
    page.remove_listener("requestfinished", note)
    took.sort()
    parts = statistics.quantiles(took, n=100, method="inclusive")
    return {
        "requests": len(took),
        "p50_ms": round(parts[49], 1),
        "p99_ms": round(parts[98], 1),
        "worst_ms": round(took[-1], 1),
    }


def label(served: Served, annotators: int, seconds: float, told: dict[str, Any]) -> None:
    """Let a crowd label at its pace for so long."""

    async def work() -> None:
        notes = Notes()
        crowd = gather(served, [f"annotator-{n}" for n in range(annotators)], notes, pause=2.0)
        with at_work(crowd) as tasks:
            await asyncio.wait(tasks, timeout=seconds)
        await finished(tasks)
        times = statistics.quantiles(notes.seconds or [0.0, 0.0], n=100)
        found = check(served.store, notes)
        told.update(
            saved=len(notes.saved), p50_ms=round(1000 * times[49], 1), p99_ms=round(1000 * times[98], 1)
        )
        told.update(lost=found["lost"], doubled=found["doubled"])

    asyncio.run(work())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=3, help="starts")
    parser.add_argument("--annotators", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=60.0, help="of going from tab to tab")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        served = Served(Path(folder) / "home")
        try:
            for n in range(3):
                served.share(pairs(2_000), f"load {n}", overlap=2)
            served.start()
            page = browser.new_page(viewport=DESK)
            page.goto(served.link(people.ME))
            page.wait_for_url(f"{served.url}/")
            state = page.context.storage_state()
            page.close()
            served.stop()
            starts = [start(served, browser, state) for _ in range(asked.times)]
            medians = {name: round(statistics.median(one[name] for one in starts)) for name in starts[0]}
            print(json.dumps({"start": medians}), flush=True)
            served.start()
            page = browser.new_context(viewport=DESK, storage_state=state).new_page()
            opened(page, served, "/studio/", time.perf_counter())
            page.locator("#tab-people-button").wait_for()
            print(json.dumps({"alone": visit(page, asked.seconds)}), flush=True)
            told: dict[str, Any] = {}
            crowd = Thread(target=label, args=(served, asked.annotators, asked.seconds + 10, told))
            crowd.start()
            page.wait_for_timeout(5_000)
            beside = visit(page, asked.seconds)
            crowd.join()
            print(
                json.dumps({"beside": beside, "labels": told, "server_mb": round(served.memory())}),
                flush=True,
            )
        finally:
            served.close()


if __name__ == "__main__":
    main()
