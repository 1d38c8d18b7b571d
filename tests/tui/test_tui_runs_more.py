"""Runs laid over each other, a run's log and settings, what helps one that failed, and training again."""

import json
from collections.abc import Iterator

import pytest
from person import Person, opened
from textual.widgets import Input, Select

from engine.errors import UserError
from engine.examples import Message
from tuner_app import launch
from tuner_app.launch import Plan
from tuner_app.paths import Home
from tuner_app.remedies import remedy
from tuner_app.store import Selection, Store, labels, models, runs
from tuner_app.store.rows import Reply
from tuner_app.store.run_rows import Run
from tuner_app.workers import locks, supervisor


@pytest.fixture
def trained(home: Home, store: Store) -> list[Run]:
    """Two runs with steps, on three corrections; the second with another learning rate."""
    for number in range(3):
        item = labels.item_for_single(store, [Message("user", f"{number}?")], Reply("Wrong.", "builtin"))
        value = {"reply": 0, "text": f"Right {number}."}
        labels.record(store, item.hash, "correct", value=value, uid=f"u{number}")
    return [made(home, store, rate) for rate in (2e-4, 1e-3)]


def made(home: Home, store: Store, rate: float, data: str = "labels,last:2") -> Run:
    plan = Plan("sft", options={"learning_rate": rate}, selection=Selection.parse(data), seed=7)
    run = launch.prepare(store, home, plan)
    for step in range(1, 31):
        runs.emit(store, run.id, "step", events(step, loss=1.0 / step))
    runs.set_status(store, run.id, "done")
    return run


def events(step: int, loss: float) -> dict[str, object]:
    more = {"learning_rate": 1e-4, "grad_norm": 1.0, "seconds": 0.5, "tokens": 100, "metrics": {"kl": 0.1}}
    return {"step": step, "steps": 40, "loss": loss, **more}


async def test_runs_are_laid_over_each_other(home: Home, store: Store, trained: list[Run]) -> None:
    async with opened(home, (120, 40)) as person:
        await person.press("ctrl+r")
        await person.sees("sft-1", "sft-2", "30/40")
        await person.press("o")  # nothing is marked: nothing happens
        await person.press("space", "space")
        await person.sees("▲  sft-1", "●  sft-2")
        await person.press("o")
        await person.sees("2 runs", "● sft-2", "▲ sft-1", "learning rate 0.001", "learning rate 0.0002")
        await person.sees("loss  ● sft-2 0.0333  ▲ sft-1 0.0333", "kl", "step 1")
        await person.press("m")
        await person.sees("mean of 2 steps")
        await person.press("a")
        await person.sees("of training", "15 s")
        runs.emit(store, trained[0].id, "step", events(31, loss=0.5))
        await person.sees("▲ sft-1 0.5")
        await person.sees("tokens per second  ●")  # all figures at a time
        await person.pilot.resize_terminal(80, 24)
        await person.sees("(1 of ")
        for there, back in (("right", "left"), ("tab", "shift+tab")):
            await person.press(there)
            await person.sees("(2 of ")
            await person.press(back)
            await person.sees("(1 of ")
        await person.press("escape", "enter")  # it opens the run under the cursor, marked or not
        await person.sees("run sft-")


async def test_runs_that_learned_from_other_data_say_so(home: Home, store: Store, trained: list[Run]) -> None:
    other = made(home, store, 2e-4, "labels")
    runs.emit(store, other.id, "data", {"rows": 3, "used": 3, "trained_tokens": 15})
    async with opened(home, (120, 40)) as person:
        await person.press("ctrl+r")
        await person.sees("sft-1", "sft-3")
        await person.press("space", "space", "space", "o")
        await person.sees("3 runs", "data A · 3 rows", "data B")
        lines = [line.split("data ")[1][0] for line in person.screen().split("\n") if "· data " in line]
        assert lines == ["A", "B", "B"]


async def test_the_settings_and_data_of_a_run(home: Home, trained: list[Run]) -> None:
    async with opened(home, (120, 40)) as person:
        await person.press("ctrl+r", "enter", "i")
        await person.sees("settings and data of sft-2", "learning_rate=0.001", "labels,last:2")
        await person.sees("2 rows; 2 labels made this model", "seed         7", "lora, rank 16")
        for key in ("escape", "i"):
            await person.press(key)
            await person.sees("run sft-2")
            await person.press("i")
            await person.sees("settings and data of sft-2")


async def test_the_log_is_followed_and_searched(home: Home, trained: list[Run]) -> None:
    log = home.run("sft-2") / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    async with opened(home) as person:
        await person.press("ctrl+r")
        await person.sees("sft-2")
        await person.press("enter")
        await person.sees("run sft-2")
        await person.press("l")
        press = person.pilot.press  # what follows the log never ends: nobody waits for it
        await person.sees("log of sft-2", "Nothing is written yet")
        log.write_text("".join(f"line {n} [red]\x1b[2J\n" for n in range(1, 101)) + "Needle\nhalf a li")
        await person.sees("line 100 [red]␛[2J", "Needle")
        assert "half a li" not in person.screen(), "whole lines alone"
        await press("slash", *"line 5", "enter")
        await person.sees("line 59, 11 of 11")
        await press("n")
        await person.sees("line 5, 1 of 11", "line 3 [red]")
        await press("N", "N")
        await person.sees("line 58, 10 of 11")
        with log.open("a") as stream:
            stream.write("ne\n")
        await press("G")
        await person.sees("half a line")
        await person.until(lambda: "10 of 11" not in person.screen())
        await press("slash", *"x", "enter", "home")
        await person.sees("Not found", "line 1 [red]")
        await press("end")
        await person.sees("half a line")
        await person.until(lambda: "Not found" not in person.screen())
        await press("escape")
        await person.sees("run sft-2")


async def test_a_runs_settings_are_trained_with_again(
    home: Home, store: Store, trained: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Run] = []
    monkeypatch.setattr(supervisor, "start_run", lambda home, store, run: started.append(run))
    async with opened(home) as person:
        await person.press("ctrl+r", "enter", "t")
        await person.sees("train", "labels,last:2", "0.001", "2 demonstrations: 2 from labels")
        await person.press("ctrl+s")
        await person.sees("check sft")
        await person.press("ctrl+s")
        await person.sees("run sft-3")
    (again,) = started
    assert again.spec == trained[1].spec
    assert again.snapshot_hash == trained[1].snapshot_hash


async def test_a_loss_that_is_no_number_offers_a_tenth_of_the_learning_rate(
    home: Home, store: Store, trained: list[Run]
) -> None:
    error = UserError("The loss is no longer a number at step 3 of 40.", do="Lower the learning rate.")
    runs.set_status(store, trained[1].id, "failed", error=str(error))
    async with opened(home) as person:
        await person.press("ctrl+r", "enter")
        await person.sees("✗ failed", "no longer a number", "f: train again with a tenth of the learning")
        assert person.app.screen.check_action("resume", ()) is False, "it would end as before"
        assert person.app.screen.check_action("chat_with", ()) is False, "it has left no model"
        models.add_adapter(
            store, name="sft-2", base_id=trained[1].base_id, run_id=trained[1].id, folder="a", hash="h"
        )
        await person.sees("c chat with it")
        await person.press("f")
        await person.sees("train", "labels,last:2")
        assert person.app.screen.query_one("#options-learning_rate", Input).value == "0.0001"


async def test_memory_that_ran_out_offers_four_bits_then_shorter_rows(
    home: Home, store: Store, trained: list[Run]
) -> None:
    runs.set_status(store, trained[1].id, "failed", error="Memory ran out with 64 tokens at a time.")
    async with opened(home) as person:
        await person.press("ctrl+r", "enter")
        await person.sees("f: train again on a 4-bit base")
        assert person.app.screen.check_action("resume", ()) is True, "memory may be free by now"
        await person.press("f")
        await person.sees("4-bit weights")
        assert person.app.screen.query_one("#precision", Select).value == "nf4"
    found = runs.get(store, "sft-2")
    assert found
    in_four_bits = Run(**{**vars(found), "spec": {**found.spec, "precision": "nf4"}})
    offered = remedy(in_four_bits)
    assert offered
    assert offered.options == {"max_length": 512}


async def test_a_killed_run_is_offered_to_go_on(
    home: Home, store: Store, trained: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        supervisor, "start_run", lambda home, store, run: runs.set_status(store, run.id, "running")
    )
    runs.set_status(store, trained[1].id, "failed", error="It was killed at step 30.")
    async with opened(home) as person:
        await person.press("ctrl+r", "enter")
        await person.sees("killed at step 30", "f: go on from its last checkpoint")
        lock = locks.hold(locks.run(home, "sft-2"))
        assert lock
        await person.press("f")
        await person.sees("▶ running")
        lock.close()


def test_an_error_that_nothing_is_known_about_offers_nothing(store: Store, trained: list[Run]) -> None:
    runs.set_status(store, trained[0].id, "failed", error="An unexpected fault: KeyError.")
    found = runs.get(store, "sft-1")
    assert found
    assert remedy(found) is None
    assert remedy(trained[1]) is None


async def test_what_is_wrong_is_said_at_its_field_at_once(home: Home, trained: list[Run]) -> None:
    async with opened(home, (120, 50)) as person:
        await person.press("ctrl+t", "tab", "ctrl+e")  # from within a text field too
        await person.sees("3 demonstrations", "About", "processes", "Ctrl+E folds")
        for field, value, said in (
            ("#options-epochs", "many", "takes a whole number"),
            ("#name", "sft-1", "a run or an adapter called “sft-1” already"),
            ("#data", "sourc", "is no selection of examples"),
            ("#processes", "0", "out of range"),
            ("#machines", "/nowhere.toml", "cannot be read"),
            ("#seed", "-1", "The seed is a whole number"),
        ):
            await set_and_see(person, field, value, "✗ ", said)
        await set_and_see(person, "#options-epochs", "2", "how often each row is seen")


async def set_and_see(person: Person, field: str, value: str, *said: str) -> None:
    person.app.screen.query_one(field, Input).focus()
    person.app.screen.query_one(field, Input).value = value
    await person.sees(*said)


async def test_the_words_of_a_selection_are_completed(home: Home, trained: list[Run]) -> None:
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations", "person:me")
        field = person.app.screen.query_one("#data", Input)
        field.value = ""
        field.focus()
        await person.type("labels,per")
        await person.until(lambda: field._suggestion == "labels,person:me")
        await person.press("right")
        await person.sees("labels,person:me", "3 demonstrations: 3 from labels")


@pytest.fixture
def seat(home: Home) -> Iterator[None]:
    """The machine's seat, which the first run has."""
    file = locks.seat(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = locks.hold(file)
    assert lock
    locks.sign(lock, 4242)
    yield
    lock.close()


async def test_the_queue_says_what_waits_for_what(
    home: Home, store: Store, trained: list[Run], seat: None
) -> None:
    held = []
    for run, pid in zip(trained, (4242, 4343), strict=True):
        held.append(locks.hold(locks.run(home, run.name)))
        runs.set_status(store, run.id, "running", pid=pid)
    async with opened(home, (120, 40)) as person:
        await person.press("ctrl+r")
        await person.sees("▶ running", "◌ queued behind sft-1", "▶ sft-1 30/40, ◌ sft-2")
        rows = person.screen().split("\n")
        assert [row.split()[0] for row in rows if "30/40" in row and "sft-" in row[:10]] == ["sft-1", "sft-2"]
        await person.press("down", "enter")
        await person.sees("run sft-2", "◌ queued behind sft-1")
    for lock in held:
        assert lock
        lock.close()


def test_what_a_run_was_asked_to_learn_from_is_kept(store: Store, trained: list[Run]) -> None:
    (asked,) = runs.events(store, trained[0].id, kinds=["asked"])
    assert asked.data == {"data": "labels,last:2"}
    assert json.loads(json.dumps(launch.again(store, trained[0]).options))["learning_rate"] == 2e-4
    assert launch.again(store, trained[0]).selection == Selection(origin="labels", limit=2)


async def test_from_a_run_to_its_data_and_back_from_a_label_to_its_runs(
    home: Home, store: Store, trained: list[Run]
) -> None:
    item = labels.item_for_single(store, [Message("user", "2?")], Reply("Wrong.", "builtin"))
    labels.undo(store, item.hash, uid="undone")
    async with opened(home, (120, 40)) as person:
        await person.press("ctrl+r", "down", "enter")
        await person.sees("run sft-1")
        await person.press("d")
        await person.sees(
            "[1 demonstrations]", "2 rows", "Right 1.", "Right 2.", "learned from by sft-1, sft-2"
        )
        assert "Right 0." not in person.screen()
        await person.press("4")
        await person.sees("[4 labels]", "2 rows", "Right 2.")  # though it was taken back since
        await person.press("s")
        await person.sees("runs that learned from it", "sft-1", "sft-2")
        await person.press("escape")
        await person.sees("[4 labels]")
        await person.press("escape")
        await person.sees("run sft-1", "d data")
        await person.press("f4", "1")
        await person.sees("[1 demonstrations]", "2 rows", "Right 0.")
        await person.press("down", "s")
        await person.sees("No run has learned from it yet.")
        await person.press("slash")
        await person.type("run:gone")
        await person.press("enter")
        await person.sees("There is no run “gone”.")
