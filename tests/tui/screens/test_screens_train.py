"""What training, runs and models look like."""

import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from album import Album
from person import opened
from still import ago, break_disk
from textual.widgets import Input, Select

from engine.errors import UserError
from engine.examples import Message
from engine.findings import Findings, Part, Run, Step
from tuner_app import launch
from tuner_app.launch import Plan
from tuner_app.paths import Home
from tuner_app.store import Store, labels, models, runs
from tuner_app.store.rows import Reply
from tuner_app.store.rows import Run as RunRow
from tuner_app.tui.screens import check
from tuner_app.workers import locks, supervisor


def corrected(store: Store, count: int = 40) -> None:
    with ago(days=1):
        for number in range(count):
            item = labels.item_for_single(store, [Message("user", f"{number}?")], Reply("Wrong.", "builtin"))
            value = {"reply": 0, "text": f"Right {number}."}
            labels.record(store, item.hash, "correct", value=value, uid=f"u{number}")


def trained(home: Home, store: Store, method: str, steps: int, status: str = "done", **options: Any) -> RunRow:
    """A run with figures; one that is under way is held by this process."""
    with ago(hours=3):
        run = launch.prepare(store, home, Plan(method, options=options))
        runs.set_status(store, run.id, "running")
        runs.emit(store, run.id, "plan", {"trainable": 124_928, "parameters": 2_800_000, "precision": "fp32",
                                          "device": "cpu", "steps": 120})
        for step in range(1, steps + 1):
            loss = 2.2 * math.exp(-step / 30) + 0.1 * math.sin(step) + 0.4
            metrics = {"margin": 0.02 * step, "accuracy": min(1.0, 0.5 + step / 200)} if method == "dpo" else {}
            figures = {"loss": round(loss, 4), "learning_rate": 1e-4 * (1 - step / 120), "grad_norm": 1 / step}
            more = {"seconds": 0.5, "tokens": 800, "metrics": metrics}
            runs.emit(store, run.id, "step", {"step": step, "steps": 120} | figures | more)
    folder = home.run(run.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.txt").write_text("".join(f"step {n}: all is well\n" for n in range(1, steps + 1)))
    if status != "running":
        error = str(UserError("Memory ran out with 1,024 tokens at a time.")) if status == "failed" else ""
        runs.set_status(store, run.id, status, error=error)  # type: ignore[arg-type]
    return run


@pytest.fixture
def under_way(home: Home, store: Store) -> Iterator[RunRow]:
    """Four runs: one done, one under way, one that failed, and one that waits."""
    corrected(store)
    trained(home, store, "sft", 120)
    run = trained(home, store, "dpo", 47, "running")
    lock = locks.hold(locks.run(home, run.name))
    assert lock
    trained(home, store, "kto", 12, "failed")
    with ago(minutes=1):
        launch.prepare(store, home, Plan("dpo", name="a-run-with-a-long-name"))
    yield run
    lock.close()


async def test_runs(
    home: Home, store: Store, under_way: RunRow, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(home) as person:
        await person.press("ctrl+r")
        await person.sees("dpo-1", "47/120")
        await person.press("space", "space")
        await album.take(person, "busy", "▲")
        await person.press("escape")
        break_disk(person, monkeypatch)
        await person.press("ctrl+r")
        await album.take(person, "error", "✗")
