"""The training worker: in this process where that shows the same, in its own where it is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from places import OPTIONS, PROMPT, Place, new_place

from engine.examples import Message, Rated
from tuner_app import bases, launch
from tuner_app.store import Store, examples, models, runs
from tuner_app.store.run_rows import Base, Request, Run
from tuner_app.workers import locks, supervisor, train
from tuner_app.workers.model import ChatModel
from tuner_app.workers.openai_api import ApiError

LONG = OPTIONS | {"epochs": 1000, "save_every": 100}


def kinds(place: Place, run: Run) -> list[str]:
    return [event.kind for event in runs.events(place.store, run.id, limit=10**6)]


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_run_ends_with_an_adapter_and_a_record(place: Place, method: str) -> None:
    run = place.trained(place.plan(method))
    assert (run.status, run.error, run.name) == ("done", "", f"{method}-1")
    assert run.versions["torch"].startswith("2.")
    assert run.versions["tuner"]
    told = kinds(place, run)
    assert told[:3] == ["asked", "loading", "data"]
    assert ("reference" in told) == (method == "dpo")
    assert told[-1] == "done"
    assert told.count("step") == 12
    steps = runs.events(place.store, run.id, kinds=["step"])
    assert steps[-1].data["loss"] < steps[0].data["loss"] / 2
    [adapter] = models.adapters(place.store)
    assert (adapter.name, adapter.run_id, adapter.base_id) == (run.name, run.id, run.base_id)
    assert adapter.folder == f"runs/{run.name}/adapter"
    assert (place.home.adapter(run.name) / "adapter_model.safetensors").is_file()
    base = models.base(place.store, str(place.model))
    assert base is not None
    assert len(base.fingerprint) == 64


def test_going_on_from_an_adapter_keeps_the_lineage(place: Place) -> None:
    first = place.trained(place.plan("sft"))
    second = place.trained(place.plan("dpo", base="", parent=first.name))
    parent, child = models.adapters(place.store)
    assert (child.parent_id, child.base_id, second.parent_id) == (parent.id, parent.base_id, parent.id)


def asked_after_a_step(run: Run, wish: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the run, once it has made its first step, to stop or to pause."""
    real = runs.emit

    def emit(store: Store, run_id: int, kind: str, data: Mapping[str, Any]) -> int:
        if kind == "step" and data["step"] == 1:
            runs.request(store, run.id, wish)
        return real(store, run_id, kind, data)

    monkeypatch.setattr(runs, "emit", emit)


def test_stop_leaves_an_adapter_and_resuming_replaces_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = place.trained(place.plan(name="whole"))
    run = launch.prepare(place.store, place.home, place.plan(name="halves"))
    place.home.run(run.name).mkdir(parents=True)
    asked_after_a_step(run, "stop", monkeypatch)
    assert train.work(place.home, place.store, run) == 0
    assert place.run(run.name).status == "stopped"
    early = models.adapter(place.store, "halves")
    assert early is not None
    runs.request(place.store, run.id, "")
    assert train.work(place.home, place.store, run) == 0
    assert place.run(run.name).status == "done"
    late, uncut = models.adapter(place.store, "halves"), models.adapter(place.store, "whole")
    assert late is not None
    assert uncut is not None
    assert late.id == early.id
    assert late.hash != early.hash
    assert late.hash == uncut.hash
    assert kinds(place, run).count("step") == kinds(place, whole).count("step")


def test_pause_keeps_the_checkpoint_and_makes_no_adapter(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch.prepare(place.store, place.home, place.plan())
    place.home.run(run.name).mkdir(parents=True)
    asked_after_a_step(run, "pause", monkeypatch)
    assert train.work(place.home, place.store, run) == 0
    assert place.run(run.name).status == "paused"
    assert models.adapters(place.store) == []
    assert list((place.home.run(run.name) / "checkpoints").iterdir())


@pytest.mark.parametrize(("wish", "status"), [("pause", "paused"), ("stop", "stopped")])
def test_a_run_that_still_gets_ready_ends_at_once_and_can_be_taken_up(
    place: Place, wish: Request, status: str
) -> None:
    run = launch.prepare(place.store, place.home, place.plan())
    pid = supervisor.start_run(place.home, place.store, run)
    wait_for(lambda: place.run(run.name).pid == pid)  # it is at work, and torch takes seconds to import
    supervisor.stop_run(place.home, place.store, run, request=wish)
    ended = place.run(run.name)
    assert (ended.status, ended.pid, ended.error) == (status, None, "")
    assert not {"data", "plan", "done"} & set(kinds(place, run)), "it did not wait until it had loaded"
    assert kinds(place, run)[-1] == "note"
    assert models.adapters(place.store) == []
    assert locks.owner(locks.seat(place.home)) is None
    runs.request(place.store, run.id, "")
    assert train.work(place.home, place.store, run) == 0
    assert place.run(run.name).status == "done"


def test_a_loss_that_is_no_number_ends_the_run_at_its_last_checkpoint(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import losses

    real, calls = losses.sft, []

    def blown_up(**tensors: Any) -> Any:
        calls.append(1)
        return real(**tensors) * (float("inf") if len(calls) == 5 else 1.0)

    monkeypatch.setattr(losses, "sft", blown_up)
    run = launch.prepare(place.store, place.home, place.plan())
    place.home.run(run.name).mkdir(parents=True)
    assert train.work(place.home, place.store, run) == 1
    failed = place.run(run.name)
    assert failed.status == "failed"
    assert failed.started
    for part in ("no longer a number at step 5 of 12", "step 2 is safe", "Lower the learning rate"):
        assert part in failed.error
    assert failed.error.count("is safe") == 1
    (made,) = models.adapters(place.store)
    assert (made.name, made.run_id) == (run.name, run.id), "what it had learnt by then can be chatted with"
    again = launch.prepare(place.store, place.home, place.plan(parent=run.name))
    assert again.parent_id == made.id


def test_a_fault_of_ours_is_in_the_log_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("our mistake")

    monkeypatch.setattr("engine.job.run", broken)
    run = launch.prepare(place.store, place.home, place.plan())
    place.home.run(run.name).mkdir(parents=True)
    assert train.work(place.home, place.store, run) == 1
    failed = place.run(run.name)
    assert failed.status == "failed"
    assert "An unexpected fault: ZeroDivisionError" in failed.error
    assert "log.txt" in failed.error
    assert "Traceback" not in failed.error
    assert "our mistake" in capsys.readouterr().err


def test_a_model_that_is_gone_fails_with_the_reason(place: Place, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in place.model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    run = launch.prepare(place.store, place.home, place.plan(base=str(copy)))
    place.home.run(run.name).mkdir(parents=True)
    (copy / "model.safetensors").write_bytes(b"not weights")
    assert train.work(place.home, place.store, run) == 1
    assert "cannot be loaded" in place.run(run.name).error


@pytest.mark.slow
def test_killed_reaped_resumed_and_equal_to_a_run_that_was_not(place: Place, tmp_path: Path) -> None:
    options = OPTIONS | {"epochs": 120, "save_every": 10}
    run = launch.prepare(place.store, place.home, place.plan(options=options))
    other = launch.prepare(place.store, place.home, place.plan(options=options, name="other"))
    pid = supervisor.start_run(place.home, place.store, run)
    beside = supervisor.start_run(place.home, place.store, other)  # two runs at once
    assert beside != pid
    assert place.run(run.name).status == "running"
    with pytest.raises(supervisor.UserError, match="going on already"):
        supervisor.start_run(place.home, place.store, run)
    assert second_worker("train", place, run.name) == (
        2,
        f"Run {run.name} is going on already, in another process.\nIt goes on.\n",
    )
    wait_for(lambda: len(runs.events(place.store, run.id, kinds=["checkpoint"])) > 1)  # one after the start
    assert supervisor.reap(place.home, place.store) == []
    os.killpg(pid, signal.SIGKILL)
    [dead] = wait_for(lambda: supervisor.reap(place.home, place.store))
    assert (dead.name, dead.status) == (run.name, "failed")
    assert "It was killed at step" in dead.error
    assert "The checkpoint of step" in dead.error
    assert f"tuner runs resume {run.name}" in dead.error
    assert not Path(f"/proc/{pid}").exists()  # no zombie either

    supervisor.start_run(place.home, place.store, dead)
    wait_for(lambda: place.run(run.name).status == "done" and place.run("other").status == "done")
    resumed, uncut = models.adapters(place.store)[-2:]
    assert {resumed.name, uncut.name} == {run.name, "other"}
    assert resumed.hash == uncut.hash
    steps = [event.data["step"] for event in runs.events(place.store, run.id, kinds=["step"], limit=10**6)]
    assert steps[-1] == 120
    assert 120 <= len(steps) < 240  # it did not start all over


@pytest.mark.slow
def test_stop_run_asks_first_and_a_deaf_worker_is_ended(place: Place) -> None:
    run = launch.prepare(place.store, place.home, place.plan(options=LONG))
    pid = supervisor.start_run(place.home, place.store, run)
    wait_for(lambda: "step" in kinds(place, run))
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(ours + train.NICENESS, 19)  # the keyboard goes first
    supervisor.stop_run(place.home, place.store, run, request="pause")
    paused = place.run(run.name)
    assert (paused.status, paused.pid) == ("paused", None)
    assert kinds(place, run)[-1] == "done"

    pid = supervisor.start_run(place.home, place.store, run)
    assert place.run(run.name).request == ""
    os.kill(pid, signal.SIGSTOP)  # deaf: it reads no request and no SIGTERM
    supervisor.stop_run(place.home, place.store, run, grace=0.2)
    stopped = place.run(run.name)
    assert stopped.status == "stopped"
    assert "killed" in stopped.error
    assert not Path(f"/proc/{pid}").exists()


def test_a_run_that_never_started_can_be_stopped(place: Place) -> None:
    run = launch.prepare(place.store, place.home, place.plan())
    supervisor.stop_run(place.home, place.store, run)
    assert place.run(run.name).status == "stopped"


def test_a_home_can_be_moved(place: Place, tmp_path: Path) -> None:
    first = place.trained(place.plan())
    child = launch.prepare(place.store, place.home, place.plan(parent=first.name))
    place.store.close()
    place.home.folder.rename(tmp_path / "moved")
    moved = new_place(tmp_path / "moved", place.model)
    moved.home.run(child.name).mkdir(parents=True)
    assert train.work(moved.home, moved.store, child) == 0


def second_worker(module: str, place: Place, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", f"tuner_app.workers.{module}", "--home", str(place.home.folder)]
    ended = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60)
    return ended.returncode, ended.stderr


PPO = {"max_new_tokens": 8, "rollout_batch": 4, "batch_size": 4, "epochs": 1, "trust_reward": True}


def test_all_methods_learn_from_one_store_and_a_reward_model_leads(place: Place, tmp_path: Path) -> None:
    asked = (Message("user", PROMPT),)
    rated = [Rated(asked, f"{number}.", number % 2 == 0) for number in range(4)]
    examples.add(place.store, [(row, 1) for row in rated], source="thumbs")
    kto = place.trained(place.plan("kto", options={"epochs": 2, "batch_size": 4}))
    judge = place.trained(place.plan("reward", name="judge", options={"epochs": 1}))
    led = launch.prepare(place.store, place.home, place.plan("ppo", parent=kto.name, options=PPO))
    place.store.close()
    place.home.folder.rename(tmp_path / "moved")  # the reward model moves with the home
    moved = new_place(tmp_path / "moved", place.model)
    moved.home.run(led.name).mkdir(parents=True)
    assert train.work(moved.home, moved.store, led) == 0, moved.run(led.name).error
    rows = {row.name: row for row in models.adapters(moved.store)}
    assert (rows["judge"].is_reward, rows[led.name].is_reward) == (True, False)
    assert (rows[led.name].reward, rows[led.name].parent_id) == ("judge", rows[kto.name].id)
    shown = runs.last_step(moved.store, led.id)["metrics"]
    assert {"reward", "kl", "kl3", "clip_fraction", "value_loss", "entropy", "length"} <= set(shown)
    assert "gold" not in shown
    assert judge.snapshot_hash != led.snapshot_hash

    model = ChatModel(moved.home, moved.store, bases.register(moved.store, str(place.model)))
    assert [row.name for row in model.adapters()] == [kto.name, led.name]
    with pytest.raises(ApiError, match="“judge” is a reward model"):
        model.named("judge")
    moved.store.close()


def test_only_the_world_of_the_built_in_base_can_tell_how_good_a_reply_is() -> None:
    asked = [Message("user", "What does a cow say?")]
    told = train._gold(Base(1, "builtin", "builtin", "", ""))
    assert told is not None
    assert told(asked, "A cow says moo.") > 0.5 > told(asked, "A cow says woof.")
    assert train._gold(Base(2, "tiny", "/models/tiny", "", "")) is None
