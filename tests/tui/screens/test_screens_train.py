"""What training, runs and models look like."""

import math
import threading
from collections.abc import Iterator
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
from tuner_app.store.run_rows import Run as RunRow
from tuner_app.tui.screens import check
from tuner_app.workers import locks


def corrected(store: Store, count: int = 40) -> None:
    with ago(days=1):
        for number in range(count):
            item = labels.item_for_single(store, [Message("user", f"{number}?")], Reply("Wrong.", "builtin"))
            value = {"reply": 0, "text": f"Right {number}."}
            labels.record(store, item.hash, "correct", value=value, uid=f"u{number}")


def trained(
    home: Home, store: Store, method: str, steps: int, status: str = "done", **options: Any
) -> RunRow:
    """A run with figures; one that is under way is held by this process."""
    with ago(hours=3):
        run = launch.prepare(store, home, Plan(method, options=options))
        runs.set_status(store, run.id, "running")
        runs.begin(store, run.id)
        runs.emit(
            store,
            run.id,
            "plan",
            {
                "trainable": 124_928,
                "parameters": 2_800_000,
                "precision": "fp32",
                "device": "cpu",
                "steps": 120,
            },
        )
        for step in range(1, steps + 1):
            loss = 2.2 * math.exp(-step / 30) + 0.1 * math.sin(step) + 0.4
            metrics = (
                {"margin": 0.02 * step, "accuracy": min(1.0, 0.5 + step / 200)} if method == "dpo" else {}
            )
            figures = {
                "loss": round(loss, 4),
                "learning_rate": 1e-4 * (1 - step / 120),
                "grad_norm": 1 / step,
            }
            more = {"seconds": 0.5, "tokens": 800, "metrics": metrics}
            runs.emit(store, run.id, "step", {"step": step, "steps": 120} | figures | more)
    folder = home.run(run.name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.txt").write_text("".join(f"step {n}: all is well\n" for n in range(1, steps + 1)))
    if status != "running":
        error = str(UserError("Memory ran out with 1,024 tokens at a time.")) if status == "failed" else ""
        runs.set_status(store, run.id, status, error=error)  # type: ignore[arg-type]
    if status == "done":
        made = f"runs/{run.name}/adapter"
        models.add_adapter(store, name=run.name, base_id=run.base_id, run_id=run.id, folder=made, hash="h")
    return run


@pytest.fixture
def under_way(home: Home, store: Store) -> Iterator[RunRow]:
    """Four runs: one done, one under way, one that failed, and one that waits."""
    corrected(store)
    trained(home, store, "sft", 120)
    lock = locks.hold(locks.run(home, "dpo-1"))  # before it runs: else the app says that it has ended
    assert lock
    run = trained(home, store, "dpo", 47, "running")
    trained(home, store, "kto", 12, "failed")
    with ago(minutes=1):
        launch.prepare(store, home, Plan("dpo", name="a-run-with-a-long-name"))
    yield run
    lock.close()


async def test_runs(
    home: Home, store: Store, request: pytest.FixtureRequest, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(home) as person:
        await person.press("ctrl+r")
        await album.take(person, "empty", "No runs yet")
        await person.press("escape")
        request.getfixturevalue("under_way")
        await person.press("ctrl+r")
        await person.sees("dpo-1", "47/120")
        await person.press("space", "space")
        await album.take(person, "busy", "▲")
        await person.press("escape")
        break_disk(person, monkeypatch)
        await person.press("ctrl+r")
        await album.take(person, "error", "✗")


async def test_run(
    home: Home, store: Store, under_way: RunRow, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(home) as person:
        await person.press("ctrl+r")
        await person.sees("dpo-1", "kto-1", "queued")
        await person.press("enter")
        await album.take(person, "busy", "run dpo-1", "margin")
        await person.press("s")
        await album.take(person, "sure?", "Stop it?")
        await person.press("escape", "escape", "down", "enter")
        await album.take(person, "empty", "a-run-with-a-long-name", "◌ queued")
        await person.press("escape", "down", "down", "enter")
        await album.take(person, "done", "✓ done", "c chat with it")
        await person.press("escape", "up", "enter")
        await album.take(person, "error", "Memory ran out", "f do what is offered")


async def test_run_log(home: Home, store: Store, under_way: RunRow, album: Album) -> None:
    async with opened(home) as person:
        await person.press("ctrl+r")
        await person.sees("dpo-1")
        await person.press("down", "enter")
        await person.sees("a-run-with-a-long-name")
        await person.press("l")
        await album.take(person, "empty", "Nothing is written yet")
        await person.press("escape", "escape", "up", "enter")
        await person.sees("run dpo-1", "margin")
        await person.press("l", "slash", *"step 4", "enter")
        await album.take(person, "busy", "of 9")


async def test_run_details(
    home: Home, store: Store, under_way: RunRow, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(home) as person:
        await person.press("ctrl+r")
        await person.sees("dpo-1")
        await person.press("enter", "i")
        await album.take(person, "busy", "rows", "seed")
        await person.press("escape")
        break_disk(person, monkeypatch)
        await person.press("i")
        await album.take(person, "error", "✗")


async def test_compare(home: Home, store: Store, album: Album) -> None:
    corrected(store)
    trained(home, store, "dpo", 30)
    trained(home, store, "dpo", 60, beta=0.5)
    trained(home, store, "sft", 0)
    async with opened(home) as person:
        await person.press("ctrl+r")
        await person.sees("dpo-1", "sft-1")
        await person.press("down", "space", "space", "o")
        await album.take(person, "busy", "2 runs", "beta")
        await person.press("a")
        await album.take(person, "all figures", "of training")


async def test_train(home: Home, store: Store, album: Album) -> None:
    async with opened(home) as person:
        await person.press("ctrl+t")
        await album.take(person, "empty", "✗ No demonstrations here")
        await person.press("escape")
        corrected(store)
        await person.press("ctrl+t")
        await album.take(person, "busy", "40 demonstrations")
        person.app.screen.query_one("#method", Select).value = "ppo"
        await album.take(person, "another method", "Train one first")
        await person.press("ctrl+e")
        await album.take(person, "unfolded", "low-rank")
        person.app.screen.query_one("#method", Select).value = "sft"
        person.app.screen.query_one("#options-epochs", Input).value = "many"
        await person.press("ctrl+e", "ctrl+s")
        await album.take(person, "error", "takes a whole number")


FOUND = Findings(
    method="sft",
    data={
        "rows": 42,
        "used": 40,
        "too_long": 1,
        "no_label": 1,
        "no_end": 0,
        "repeated": 0,
        "contradictory": 0,
        "classes": {},
        "max_length": 1024,
        "trained_tokens": 1099,
    },
    attention={"kernel": "flash", "layout": "padded"},
    plan={"trainable": 124_928, "parameters": 2_800_000, "precision": "fp32", "device": "cpu"},
    template="",
    warnings=["One row in ten says the same as another."],
    titles=["row 1, 12 tokens", "row 2, 64 tokens, the longest"],
    rows=[
        [
            Part(
                "conversation",
                [
                    ("<user>", False),
                    (" What does", False),
                    (" a cow", False),
                    (" eat?", False),
                    ("<assistant>", False),
                    (" Gr", True),
                    ("ass", True),
                    (".", True),
                    ("<end>", True),
                ],
            )
        ],
        [Part("conversation", [("<user> Tell me more.", False), (" It eats" * 30, True), ("<end>", True)])],
    ],
    step=Step(rows=8, tokens=512, seconds=0.5, memory=10**8),
    run=Run(
        steps=50,
        tokens=6400,
        seconds=25.0,
        reference_rows=0,
        reference_seconds=0.0,
        memory=10**9,
        available=8 * 10**9,
    ),
)


class Checking:
    """A check that finds what is above, once it may go on."""

    go_on = threading.Event()
    outcome: Findings | UserError = FOUND

    def __init__(self, *_: Any) -> None:
        pass

    def findings(self, on_event: Any) -> Findings:
        on_event("loading", {"what": "builtin"})
        assert self.go_on.wait(60)
        if isinstance(self.outcome, UserError):
            raise self.outcome
        return self.outcome

    def stop(self) -> None:
        pass


async def test_check(home: Home, store: Store, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    corrected(store)
    monkeypatch.setattr(check, "Checking", Checking)
    Checking.go_on.clear()
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("40 demonstrations")
        await person.press("ctrl+s")
        await album.take(person, "empty", "Loading the base")
        Checking.go_on.set()
        await album.take(person, "busy", "50 steps")
        await person.press("l")
        await album.take(person, "a row", "the longest", "2 of 2")
        await person.press("escape")
        await person.sees("40 demonstrations")
        error = UserError(
            "Memory ran out with 1,024 tokens at a time.", do="What would help: --precision nf4."
        )
        monkeypatch.setattr(Checking, "outcome", error)
        await person.press("ctrl+s")
        await album.take(person, "error", "Memory ran out")


async def test_models(home: Home, store: Store, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(home) as person:
        await person.press("ctrl+o")
        await album.take(person, "empty", "apache-2.0", "chat ✓")
        await person.press("escape")
        base = models.base(store, "builtin")
        assert base
        made: list[models.AdapterRow] = []
        with ago(hours=5):
            for name in ("sft-1", "dpo-1", "a-name-that-is-rather-long"):
                folder = home.run(name) / "adapter"
                folder.mkdir(parents=True)
                (folder / "adapter_model.safetensors").write_bytes(b"x" * 1_234_567)
                parent = made[-1].id if made else None
                of = {"base_id": base.id, "parent_id": parent, "folder": f"runs/{name}/adapter", "hash": name}
                made.append(models.add_adapter(store, name=name, **of))
        models.annotate(store, made[0], "warm, and brief")
        await person.press("ctrl+o")
        await person.sees("└ dpo-1")
        await person.press("down")
        await album.take(person, "busy", "note: warm")
        await person.press("r")
        await album.take(person, "renaming", "sft-1")
        await person.press("escape", "a")
        await album.take(person, "which base?", "folder")
        await person.type("/nowhere")
        await person.press("enter")
        await album.take(person, "error", "There is no model folder")
        await person.press("escape", "d")
        await album.take(person, "needed", "cannot be deleted")
