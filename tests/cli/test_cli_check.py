"""`tuner check`: what a run would do, said before it starts, and nothing left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
from places import OPTIONS, Place, new_place

from engine.errors import UserError
from engine.findings import Findings, Part
from tuner_app import checking, errands, report
from tuner_app.workers import check as worker

HOSTILE = "\x1b]0;owned\x07\x1b[2Jred⟧⟦\u202eevil"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_model(tmp_path_factory.mktemp("model") / "tiny", context=512)


@pytest.fixture
def imported(tuner, tmp_path):
    rows = [{"prompt": f"What is {word}?", "chosen": "A lemon.", "rejected": HOSTILE} for word in "abcdef"]
    rows += [{"prompt": "What is a?", "chosen": HOSTILE, "rejected": "A lemon."}]
    rows += [{"prompt": "long " * 300, "chosen": "a", "rejected": "b"}]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert tuner("import", file).status == 0


def traces(home: Path) -> dict[str, bytes]:
    """Every file of a home, and what is in its database."""
    import sqlite3

    files = {
        str(path.relative_to(home)): b""
        for path in home.rglob("*")
        if path.is_file() and not path.name.startswith("tuner.sqlite") and path.name != "check.log"
    }
    with sqlite3.connect(f"file:{home}/tuner.sqlite?mode=ro", uri=True) as db:
        return files | {"database": "\n".join(db.iterdump()).encode()}


@pytest.mark.slow
def test_a_check_says_what_a_run_would_do_and_leaves_no_trace(tuner, imported, model, tmp_path):
    before = traces(tmp_path / "home")
    said = tuner("check", "dpo", "--base", model, "--batch-size", "4", "--epochs", "3")
    assert said.status == 0, said.err
    assert "7 of 8 rows" in said.out
    assert "1 longer than 512 tokens: left out" in said.out
    assert "2 contradict" in said.out
    assert "The run, at that speed: 6 steps" in said.out
    assert "reference log-probs of 7 rows" in said.out
    assert re.search(r"^row 1, \d+ tokens, rejected:", said.out, re.MULTILINE)
    assert "⟦A lemon.<|end|>⟧" in said.out
    assert not {"\x1b", "\x07", "\u202e"} & set(said.out), "a text cannot reach the terminal's controls"
    assert "␛[2Jred⟨U+27E7⟩⟨U+27E6⟩⟨U+202E⟩evil" in said.out
    assert traces(tmp_path / "home") == before

    found = Findings.from_json(json.loads(tuner("check", "dpo", "--base", model, "--json").out))
    assert (found.method, found.data["rows"], len(found.rows)) == ("dpo", 8, 8)
    assert tuner("runs").out.startswith("No runs yet")

    said = tuner("check", "dpo", "--base", model, "--processes", "2", "--shard")
    assert said.status == 0, said.err
    assert "shared by 2 processes" in said.out
    assert ", all processes together." in said.out
    assert "cannot be cut up" in tuner("check", "ppo", "--base", model, "--processes", "2", "--shard").err


@pytest.mark.slow
def test_what_keeps_a_run_from_starting_is_said_by_the_check(tuner, imported, model, tmp_path):
    said = tuner("check", "sft", "--base", model)
    assert said.status == 1
    assert "SFT learns from demonstrations" in said.err
    said = tuner("check", "dpo", "--base", model, "--max-length", "3")
    assert said.status == 1
    assert "Too few rows to train on" in said.err
    assert "Nothing was started." in said.err
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in model.iterdir():
        (broken / file.name).write_bytes(file.read_bytes()[:1000])
    said = tuner("check", "dpo", "--base", broken)
    assert said.status == 1
    assert "Traceback" not in said.err + said.out
    assert "Download the model again." in said.err


def test_check_takes_the_options_of_train(tuner):
    for method in ("sft", "dpo"):
        train, check = (tuner(command, method, "--help").out for command in ("train", "check"))
        options = {word for word in train.split() if word.startswith("--")}
        options -= {"--detach"}
        assert options <= set(check.split())


@pytest.mark.slow
def test_ppo_is_checked_once_there_is_a_reward_model(tuner, imported, model, tmp_path):
    """Prompts alone are its rows, and its real step draws replies and has them judged."""
    check = ("check", "ppo", "--base", model, "--max-new-tokens", "8", "--trust-reward", "yes")
    said = tuner(*check)
    assert said.status == 1
    assert "PPO needs a reward model" in said.err
    assert tuner("train", "reward", "--base", model, "--name", "judge", "--epochs", "1").status == 0
    before = traces(tmp_path / "home")
    said = tuner(*check, "--rollout-batch", "4", "--batch-size", "2", "--epochs", "1")
    assert said.status == 0, said.err
    assert "6 of 7 rows" in said.out  # six questions, and one too long
    assert "One step on the longest 4 rows" in said.out
    assert re.search(r"^row 1, \d+ tokens, prompt:", said.out, re.MULTILINE)
    assert traces(tmp_path / "home") == before
    found = Findings.from_json(json.loads(tuner(*check, "--json").out))
    assert found.method == "ppo"
    assert found.step.seconds > 0


def test_trained_tokens_are_told_apart_without_colour():
    part = Part("reply", [("a\n", False), (" b", True), ("c", True), ("\x1b[31m⟧", False)])
    assert report.marked(part) == [
        ("a↵\n", "read"),
        ("⟦", "mark"),
        (" b", "trained too"),
        ("c", "trained"),
        ("⟧", "mark"),
        ("␛[31m⟨U+27E7⟩", "read too"),
    ]


@pytest.fixture
def place(tmp_path, model) -> Any:
    made = new_place(tmp_path / "place", model)
    yield made
    made.store.close()


def children(place: Place) -> list[int]:
    """The checking workers of a home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"tuner_app.workers.check" in words and str(place.home.folder).encode() in words:
            found.append(int(folder.name))
    return found


def started(place: Place) -> int:
    """The checking worker, once it is to be seen."""
    deadline = time.monotonic() + 30
    while not (found := children(place)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found[0]


def test_a_check_that_is_stopped_leaves_no_process(place):
    under_way = checking.Checking(place.store, place.home, place.plan("dpo"))
    started(place)
    threading.Timer(0.3, under_way.stop).start()
    with pytest.raises(UserError, match="was stopped"):
        under_way.findings()
    assert children(place) == []


def test_a_check_dies_with_whoever_asked(place):
    code = (
        "import sys, time\n"
        "from tuner_app import checking, launch\n"
        "from tuner_app.paths import home\n"
        "from tuner_app.store import Store\n"
        "place = home(sys.argv[1])\n"
        "checking.Checking(Store.open(place.database), place, launch.Plan('dpo', base=sys.argv[2]))\n"
        "print('started', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(place.home.folder), str(place.model)]
    asker = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert asker.stdout
    assert asker.stdout.readline() == b"started\n"
    started(place)
    asker.send_signal(signal.SIGKILL)
    asker.wait()
    asker.stdout.close()
    deadline = time.monotonic() + 30
    while children(place):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_check_that_the_kernel_kills_says_so(place):
    under_way = checking.Checking(place.store, place.home, place.plan("dpo"))
    os.kill(started(place), signal.SIGKILL)
    with pytest.raises(UserError, match="memory ran out") as caught:
        under_way.findings()
    assert "nf4" in caught.value.do


def test_a_fault_of_ours_is_in_the_log_alone(place, monkeypatch):
    monkeypatch.setitem(errands.ENVIRONMENT, "PYTHONPATH", str(place.home.folder))
    (place.home.folder / "sitecustomize.py").write_text(
        "import engine.census\nengine.census.counted = lambda *rest: 1 / 0\n"
    )
    with pytest.raises(UserError, match="unexpected fault") as caught:
        checking.Checking(place.store, place.home, place.plan("dpo")).findings()
    log = Path(caught.value.do.removeprefix("Its details: "))
    assert "ZeroDivisionError" in log.read_text()


def test_known_reference_log_probs_are_looked_up_and_the_file_is_not_made(place):
    asked = {"kind": "pair", "selection": {}, "where": {}}
    plan = place.plan("dpo", options=OPTIONS | {"epochs": 1})
    from tuner_app import launch

    spec = launch.specification(place.home, plan, launch.check(place.store, place.home, plan))
    found = worker.work(place.home, asked | {"spec": spec.to_json()}, lambda event: None)
    assert found["run"]["reference_rows"] == 4
    assert not place.home.reference_cache.exists()
    place.trained(plan)
    found = worker.work(place.home, asked | {"spec": spec.to_json()}, lambda event: None)
    assert found["run"]["reference_rows"] == 0
