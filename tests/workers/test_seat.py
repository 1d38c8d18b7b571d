"""The seat: runs take turns, and chat with them on a GPU. The tests only say that there is one."""

import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from places import Place
from test_train_worker import LONG, wait_for

from engine.errors import UserError
from tuner_app import launch
from tuner_app.store import runs
from tuner_app.store.run_rows import Request, Run
from tuner_app.workers import locks, queue, seat, supervisor, train

LOADED = 240  # seconds that a worker may take to load, on a busy machine
ON_A_GPU = """
    import sys
    from tuner_app.workers import {worker}, seat
    seat.chat_needs_it = lambda: True
    sys.argv[0] = "worker"
    sys.exit({worker}.main())
"""


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "chat_needs_it", lambda: True)


def worker(place: Place, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A worker in a process group of its own that takes this machine for one with a GPU."""
    code = textwrap.dedent(ON_A_GPU).format(worker=name)
    command = [sys.executable, "-c", code, "--home", str(place.home.folder), *arguments]
    return subprocess.Popen(command, start_new_session=True)


def run_named(place: Place, name: str) -> Run:
    """A run of thousands of steps: none comes to its end while a test looks at it."""
    options = {**LONG, "batch_size": 1, "epochs": 1000, "micro_tokens": 1, "save_every": 10**6}
    return launch.prepare(place.store, place.home, place.plan(name=name, options=options))


def notes(place: Place, run: Run) -> list[str]:
    return [event.data["message"] for event in runs.events(place.store, run.id, kinds=["note"])]


def steps(place: Place, run: Run) -> int:
    return len(runs.events(place.store, run.id, kinds=["step"]))


def test_chat_needs_no_seat_on_a_cpu(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "chat_needs_it", lambda: False)
    with seat.for_chat(place.home, place.store):
        assert not locks.seat(place.home).exists()


def test_chat_says_which_run_has_the_gpu(place: Place, gpu: None) -> None:
    run = run_named(place, "busy")
    runs.set_status(place.store, run.id, "running", pid=os.getpid())
    taken = seat.for_training(place.home, place.store, run, lambda: "", pytest.fail)
    assert taken is not None
    with taken, pytest.raises(UserError, match="busy has it") as caught:
        seat.for_chat(place.home, place.store)
    assert "tuner runs pause busy" in caught.value.do
    with seat.for_chat(place.home, place.store):
        pass


def test_runs_train_in_the_order_in_which_they_were_made(place: Place) -> None:
    first, second, third = (run_named(place, name) for name in ("first", "second", "third"))
    for run, pid in ((first, 99_999_998), (second, 99_999_999), (third, os.getpid())):
        runs.set_status(place.store, run.id, "running", pid=pid)
    held = {run.name: locks.hold(locks.run(place.home, run.name)) for run in (first, second)}
    told: list[dict[str, Any]] = []

    def leave() -> Request:
        """After each look, the worker of one more run before the third ends."""
        if told and (lock := held.popitem()[1] if held else None):
            lock.close()
        return ""

    taken = seat.for_training(place.home, place.store, third, leave, told.append)
    assert taken is not None
    with taken:
        assert not held
        message = "Queued behind second: it begins when that is over, or paused."
        assert told[0] == {"message": message, "behind": "second"}
        assert queue.waiting(place.home, runs.listed(place.store)) == {
            "first": "third",
            "second": "first",
        }


def test_a_run_that_waits_for_its_turn_can_be_paused(place: Place) -> None:
    run = run_named(place, "second")
    place.home.run(run.name).mkdir(parents=True)
    runs.request(place.store, run.id, "pause")
    taken = locks.take(locks.seat(place.home), None)
    assert taken
    with taken:
        assert train.work(place.home, place.store, run) == 0
    assert (place.run("second").status, place.run("second").started) == ("paused", None)
    assert not steps(place, run)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_takes_the_gpu_from_chat_and_a_pause_gives_it_back(place: Place) -> None:
    model = str(place.model)
    chat = worker(place, "chat", "--base", model)
    wait_for(lambda: supervisor.chat_endpoint(place.home), LOADED)
    run = run_named(place, "first")
    first = worker(place, "train", run.name)
    wait_for(lambda: steps(place, run), LOADED)
    assert chat.wait(60) in (0, -signal.SIGTERM)
    assert notes(place, run)[0].startswith("Chat leaves the GPU")
    assert locks.owner(locks.seat(place.home)) == first.pid
    assert worker(place, "chat", "--base", model).wait(LOADED) == 1  # refused while the run has it
    second = run_named(place, "second")
    waiting = worker(place, "train", second.name)
    wait_for(
        lambda: "Queued behind first: it begins when that is over, or paused." in notes(place, second), LOADED
    )
    assert not steps(place, second)
    os.kill(first.pid, signal.SIGKILL)  # a dead owner frees it
    first.wait()
    wait_for(lambda: steps(place, second), LOADED)
    supervisor.stop_run(place.home, place.store, second, request="pause")
    assert waiting.wait(60) == 0
    assert locks.owner(locks.seat(place.home)) is None
    again = worker(place, "chat", "--base", model)
    wait_for(lambda: supervisor.chat_endpoint(place.home), LOADED)
    assert locks.owner(locks.seat(place.home)) == again.pid
    supervisor.stop_chat(place.home)
    assert again.wait(60) in (0, -signal.SIGTERM)
