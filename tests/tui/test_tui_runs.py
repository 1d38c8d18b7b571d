"""Starting runs, watching them whoever started them, and choosing which model answers."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from person import Person, opened
from scripted_server import ScriptedServer
from textual.widgets import Input, Select

from engine import cards
from engine.examples import Message
from engine.spec import Spec, methods
from tuner_app import bases, settings
from tuner_app.paths import Home, builtin_base
from tuner_app.store import Store, labels, models, runs, snapshots
from tuner_app.store.rows import Reply
from tuner_app.store.run_rows import Request, Run
from tuner_app.workers import locks, supervisor

STEP = {"loss": 0.5, "learning_rate": 1e-4, "grad_norm": 1.0, "seconds": 0.5, "tokens": 100, "metrics": {}}


@pytest.fixture
def labelled(store: Store) -> Store:
    """A store with three corrections."""
    for number in range(3):
        asked = [Message("user", f"Question {number}?")]
        item = labels.item_for_single(store, asked, Reply("Wrong.", "builtin"))
        labels.record(
            store, item.hash, "correct", value={"reply": 0, "text": f"Right {number}."}, uid=f"u{number}"
        )
    return store


@pytest.fixture
def run(home: Home, labelled: Store) -> Iterator[Run]:
    """A run that another process has under way."""
    base = bases.register(labelled, "builtin")
    snapshot = snapshots.take(labelled, "demonstration")
    spec = Spec(method="sft", base="builtin").to_json()
    made = runs.create(labelled, spec=spec, base_id=base.id, snapshot_hash=snapshot.hash)
    lock = locks.hold(locks.run(home, made.name))
    assert lock is not None
    runs.set_status(labelled, made.id, "running")
    yield made
    lock.close()


def step(store: Store, run: Run, number: int, **more: object) -> None:
    runs.emit(store, run.id, "step", STEP | {"step": number, "steps": 40, **more})


async def set_field(person: Person, field: str, value: str) -> None:
    person.app.screen.query_one(field, Input).value = value
    await person.pilot.pause()


async def test_a_run_is_started_from_the_form(
    home: Home, labelled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Run] = []
    monkeypatch.setattr(supervisor, "start_run", lambda home, store, run: started.append(run))
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("method sft", "3 demonstrations: 3 from labels, 0 from imports", "bf16 on a GPU")
        await set_field(person, "#name", "mine")
        await set_field(person, "#options-epochs", "7")
        await set_field(person, "#adapter-rank", "4")
        person.app.screen.query_one("#options-last_turn_only", Select).value = "yes"
        await set_field(person, "#data", "labels,last:2")
        await person.sees("2 demonstrations: 2 from labels")
        person.app.screen.query_one("#precision", Select).value = "nf4"
        await person.sees("4-bit weights")
        await person.press("ctrl+s")
        await person.sees("check sft", "^s start training")
        await person.press("ctrl+s")
        await person.sees("run mine", "◌ queued", "sft from builtin, nf4")
    (made,) = started
    assert made.spec["options"]["epochs"] == 7
    assert made.spec["options"]["last_turn_only"] is True
    assert (made.spec["adapter"]["rank"], made.spec["precision"]) == (4, "nf4")
    assert len(list(snapshots.rows(labelled, made.snapshot_hash))) == 2


async def test_another_method_brings_its_own_options(home: Home, labelled: Store) -> None:
    async with opened(home, (120, 60)) as person:
        await person.press("ctrl+t")
        await person.sees("epochs")
        assert "beta" not in person.screen()
        person.app.screen.query_one("#method", Select).value = "dpo"
        await person.sees("beta", "how strongly the policy is held", "3 pairs: 3 from labels")
        assert "rises from 0" not in person.screen(), "what matters least is folded away"
        await person.press("ctrl+e")
        await person.sees("rises from 0", "processes", "Ctrl+E folds")
        rows = person.screen().split("\n")
        seed = next(number for number, row in enumerate(rows) if row.strip().startswith("seed"))
        assert any("beta" in row for row in rows[:seed]), "the options stay above the seed"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("#options-epochs", "many", "takes a whole number, not “many”"),
        ("#options-learning_rate", "-1", "out of range"),
        ("#adapter-rank", "0", "at least 1"),
        ("#seed", "x", "The seed is a whole number"),
        ("#name", "a/b", "cannot be a run's name"),
        ("#data", "nonsense", "is no selection of examples"),
        ("#data", "imports", "Widen the selection"),
    ],
)
async def test_a_plan_that_cannot_work_is_refused_in_place(
    home: Home, labelled: Store, field: str, value: str, said: str
) -> None:
    async with opened(home, (100, 50)) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations")
        await set_field(person, field, value)
        await person.press("ctrl+s")
        await person.sees("✗", said)
    assert runs.listed(labelled) == []


async def test_full_fine_tuning_over_four_bits_is_refused_in_place(home: Home, labelled: Store) -> None:
    async with opened(home, (100, 50)) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations")
        person.app.screen.query_one("#adapter-kind", Select).value = "full"
        person.app.screen.query_one("#precision", Select).value = "nf4"
        await person.sees("4-bit weights")
        await person.press("ctrl+s")
        await person.sees("✗", "4-bit base cannot be trained")
    assert runs.listed(labelled) == []


METHODS = {
    "sft": "demonstrations",
    "reward": "pairs",
    "dpo": "pairs",
    "kto": "rated replies",
    "ppo": "prompts",
}


@pytest.mark.parametrize("method", sorted(methods()))
async def test_every_method_can_be_chosen_and_started(
    home: Home, labelled: Store, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Run] = []
    monkeypatch.setattr(supervisor, "start_run", lambda home, store, run: started.append(run))
    adapter(home, labelled, "reward", "judge")
    options = vars(methods()[method].options())
    async with opened(home, (120, 80)) as person:
        await person.press("ctrl+t")
        person.app.screen.query_one("#method", Select).value = method
        await person.sees(METHODS[method], *(name.replace("_", " ") for name in options))
        assert ("reward model" in person.screen().split("Adapter")[0]) == methods()[method].needs_reward
        await person.press("ctrl+s")
        await person.sees(f"check {method}")
        await person.press("ctrl+s")
        await person.sees(f"run {method}-1", "◌ queued")
    (made,) = started
    assert made.spec["options"] | {"epochs": options["epochs"]} == options
    assert made.spec["reward"] == ("runs/judge/adapter" if methods()[method].needs_reward else None)


def adapter(home: Home, store: Store, method: str, name: str, base: str = "builtin") -> None:
    """An adapter as a run of `method` leaves it."""
    on = bases.register(store, base)
    snapshot = snapshots.take(store, "pair")
    spec = Spec(method, base).to_json()
    run = runs.create(store, name=name, spec=spec, base_id=on.id, snapshot_hash=snapshot.hash)
    home.adapter(name).mkdir(parents=True)
    if method == "reward":
        held_out = {"accuracy": 0.85, "low": 0.71, "high": 0.93, "pairs": 40, "prompts": 12}
        facts = {"reward": {"mean": 0.0, "std": 1.0, "held_out": held_out}}
        (home.adapter(name) / cards.CARD).write_text(json.dumps(facts))
    folder = f"runs/{name}/adapter"
    models.add_adapter(store, name=name, base_id=on.id, run_id=run.id, folder=folder, hash=name)


async def test_only_adapters_that_fit_are_offered(home: Home, labelled: Store) -> None:
    for method, name in (("sft", "chatty"), ("reward", "old"), ("reward", "new")):
        adapter(home, labelled, method, name)
    run = runs.get(labelled, "new")
    assert run
    held_out = {"what": "held-out pairs", "accuracy": 0.85, "low": 0.7, "high": 0.9, "pairs": 40}
    runs.emit(labelled, run.id, "evaluation", held_out)

    settings.save(home, replace(settings.load(home), adapter="chatty"))

    def offered(field: str) -> list[str]:
        return [str(value) for _, value in person.app.screen.query_one(field, Select)._options]

    async with opened(home, (120, 60)) as person:
        await person.press("ctrl+t")
        await person.until(lambda: offered("#from") == ["", "chatty"])
        await person.app.database(lambda store: None)
        await person.pilot.pause()
        assert person.app.screen.query_one("#from", Select).value == "chatty", "which answers now"
        assert "reward model" not in person.screen()
        person.app.screen.query_one("#method", Select).value = "reward"
        await person.until(lambda: offered("#from") == ["", "chatty", "old", "new"])
        if "ppo" in methods():
            person.app.screen.query_one("#method", Select).value = "ppo"
            await person.sees("reward model new, 85% right")
            assert (offered("#from"), offered("#reward")) == (["", "chatty"], ["new", "old"])
        await person.press("ctrl+o")
        await person.sees("old", "a reward model: it cannot chat")


async def test_few_rows_are_seen_several_times_unless_a_person_says_otherwise(
    home: Home, labelled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Run] = []
    monkeypatch.setattr(supervisor, "start_run", lambda home, store, run: started.append(run))
    async with opened(home, (120, 60)) as person:
        await person.press("ctrl+t")
        await person.sees("how often each row is seen; 10 proposed for 3 demonstrations")
        await set_field(person, "#options-batch_size", "1")
        await person.sees("how often each row is seen; 7 proposed for 3 demonstrations")
        await set_field(person, "#options-epochs", "1")
        await set_field(person, "#options-batch_size", "2")
        await person.press("ctrl+s")
        await person.sees("check sft")
        await person.press("ctrl+s")
        await person.sees("◌ queued")
    (made,) = started
    assert (made.spec["options"]["epochs"], made.spec["options"]["batch_size"]) == (1, 2)


async def test_too_little_data_says_how_to_get_more(home: Home, store: Store) -> None:
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("✗ No demonstrations here. Correct an answer in the chat")
        await person.press("ctrl+s")
        await person.sees("SFT learns from demonstrations")
    assert runs.listed(store) == []


async def test_a_run_of_another_process_is_followed_live(home: Home, run: Run, labelled: Store) -> None:
    data = {"rows": 132, "used": 128, "too_long": 3, "repeated": 1, "no_label": 0}
    data |= {"max_length": 1024, "trained_tokens": 5120}
    (home.run(run.name)).mkdir(parents=True, exist_ok=True)
    (home.run(run.name) / "log.txt").write_text("first line\nlast \x1b[31mline")
    async with opened(home) as person:
        await person.sees("▶ sft-1")
        await person.press("ctrl+r")
        await person.sees("sft-1", "▶ running")
        await person.press("enter")
        await person.sees("run sft-1", "starting the worker", "last ␛[31mline")
        runs.emit(labelled, run.id, "data", data)
        runs.emit(labelled, run.id, "warning", {"message": "3 rows are [bold]too long[/bold]."})
        for number in (1, 2):
            step(labelled, run, number, loss=3.0 / number)
        await person.sees("step 2 of 40 · loss 1.5000 · 200 tokens/s · 19 s left")
        await person.sees("128 of 132 rows, 5,120 trained tokens; 3 longer than 1,024 tokens: left out")
        await person.sees("[bold]too long[/bold]")
        await person.sees("▶ sft-1 2/40", "loss")
        step(labelled, run, 3, loss="nan")
        await person.sees("step 3 of 40 · loss nan")


async def test_figures_of_every_method_are_shown_live(home: Home, run: Run, labelled: Store) -> None:
    sides = {"reward_chosen": 0.2, "reward_rejected": -0.1, "logp_chosen": -45.25, "logp_rejected": -50.0}
    async with opened(home) as person:
        await person.press("ctrl+r", "enter")
        step(labelled, run, 1, metrics={"margin": 0.3, "accuracy": 0.75, **sides})
        await person.sees("accuracy 0.75 · margin 0.3", "accuracy (1 of 10)")
        await person.sees("chosen: logp -45.2, reward 0.2 · rejected: logp -50, reward -0.1")
        await person.press("right")
        await person.sees("loss (2 of 10)")
        await person.press("left", "left")
        await person.sees("tokens per second (10 of 10)")
        await person.press("tab")
        await person.sees("accuracy (1 of 10)")
        await person.press("a")
        await person.sees("of training")
        await person.press("m")
        await person.sees("mean of 2 steps")
        await person.press("shift+tab")
        await person.sees("tokens per second (10 of 10)")
        step(labelled, run, 2, metrics={"reward": 0.5, "gold": 0.61, "kl": 1.25, "value_loss": 0.1})
        await person.sees("gold 0.61 · reward 0.5 · kl 1.25 · value loss 0.1")
        held_out = {"what": "held-out pairs", "accuracy": 0.85, "low": 0.7095, "high": 0.9294, "pairs": 40}
        runs.emit(labelled, run.id, "evaluation", held_out)
        await person.sees("right on 85.0% of 40 held-out pairs", "71.0% to 92.9%")
        await person.press("escape")
        await person.sees("2/40", "gold 0.61")


async def test_the_end_of_a_run_is_told_and_its_model_answers(
    home: Home, run: Run, labelled: Store, server: ScriptedServer
) -> None:
    server.models = ["base", "warm"]
    async with opened(home) as person:
        await person.press("ctrl+r", "enter")
        await person.sees("▶ running")
        models.add_adapter(
            labelled, name=run.name, base_id=run.base_id, run_id=run.id, folder="runs/sft-1/adapter", hash="h"
        )
        runs.set_status(labelled, run.id, "done")
        await person.sees("✓ done", "c chat with it")
        (made,) = models.adapters(labelled)
        models.rename(labelled, made, "warm")
        await person.press("c")
        await person.sees("warm at 127.0.0.1", "Type a prompt")
        await person.ask("hello", "ok")
    assert settings.load(home).adapter == "warm"
    async with opened(home) as person:
        await person.sees("warm at 127.0.0.1")
        await person.press("ctrl+o")
        await person.sees("└ warm", "● warm  answers now")
        await person.press("up", "enter")
        await person.sees("Type a prompt", "base at 127.0.0.1")
    assert settings.load(home).adapter == ""


async def test_a_run_is_listed_under_what_its_model_is_called_now(
    home: Home, run: Run, labelled: Store
) -> None:
    other = runs.create(
        labelled, name="other", spec=run.spec, base_id=run.base_id, snapshot_hash=run.snapshot_hash
    )
    step(labelled, run, 1)
    step(labelled, other, 1)
    made = models.add_adapter(
        labelled, name=run.name, base_id=run.base_id, run_id=run.id, folder="runs/sft-1/adapter", hash="h"
    )
    async with opened(home, (120, 40)) as person:
        await person.press("ctrl+r")
        await person.sees("sft-1", "▶ sft-1 1/40")
        models.rename(labelled, made, "warm")
        await person.sees("warm (sft-1)  sft", "▶ warm (sft-1) 1/40", "builtin")
        await person.press("enter")
        await person.sees("run warm (sft-1)", "sft from builtin")
        await person.press("escape")
        await person.press("space", "space", "o")
        await person.sees("● warm (sft-1)  ▶ running", "● warm (sft-1) 0.5  ▲ other 0.5")


async def test_stop_pause_and_resume(
    home: Home, run: Run, labelled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(home: Home, store: Store, run: Run, *, request: Request) -> None:
        runs.set_status(store, run.id, "paused" if request == "pause" else "stopped")

    def start(home: Home, store: Store, run: Run) -> None:
        runs.set_status(store, run.id, "running")

    monkeypatch.setattr(supervisor, "stop_run", stop)
    monkeypatch.setattr(supervisor, "start_run", start)
    async with opened(home) as person:
        await person.press("ctrl+r", "enter")
        await person.sees("▶ running")
        await person.press("s")
        await person.sees("Stop it?")
        await person.press("escape")  # not so
        await person.sees("▶ running", "s stop")
        await person.press("s", "s")
        await person.sees("■ stopped", "r resumes it")
        await person.press("r")
        await person.sees("▶ running", "s stop", "p pause")
        await person.press("p")
        await person.sees("‖ paused", "memory is free", "r resume")
        await person.press("p", "s")  # nothing is left to pause or to stop
        await person.sees("‖ paused")
        await person.press("r")
        await person.sees("▶ running")


async def test_a_killed_run_says_what_is_left(home: Home, labelled: Store, run: Run) -> None:
    runs.set_status(labelled, run.id, "failed", error="It was killed at step 3. Its checkpoint is kept.")
    async with opened(home) as person:
        await person.press("ctrl+r", "enter")
        await person.sees("✗ failed", "killed at step 3", "r resume")


async def test_a_base_from_a_folder_is_chosen_or_refused(home: Home, store: Store, tmp_path: Path) -> None:
    shutil.copytree(builtin_base(), tmp_path / "pickled", ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    async with opened(home) as person:
        await person.press("ctrl+o")
        await person.sees("builtin", "answers now")
        for text, said in (
            (str(tmp_path / "nowhere"), "There is no model folder"),
            (str(tmp_path / "pickled"), "pickle weights"),
        ):
            await person.press("a")
            await person.paste(text)
            await person.press("enter")
            await person.sees("✗", said)
            await person.press("escape")
        shutil.copy(builtin_base() / "model.safetensors", tmp_path / "pickled")
        await person.press("a")
        await person.paste(str(tmp_path / "pickled"))
        await person.press("enter")
        await person.sees("Enter adds it")
        await person.press("enter")
        await person.sees("pickled is added.")
    assert [base.name for base in models.bases(store)] == ["builtin", "pickled"]


async def test_all_columns_are_seen_whatever_a_run_is_called(home: Home, labelled: Store) -> None:
    adapter(home, labelled, "sft", "a-name-that-someone-thought-about-for-a-while-and-then-typed")
    async with opened(home) as person:
        await person.press("ctrl+r")
        await person.sees("a-name-that", "…", "from", "started")
    async with opened(home, (120, 40)) as person:
        await person.press("ctrl+r")
        await person.sees("a-name-that-someone-thought-about", "started")
