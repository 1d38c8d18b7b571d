"""`tuner runs`: under which names runs are found, what is said of one that failed, and what instead."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from places import OPTIONS, Place, new_place

from engine.spec import Adapter, build, method_named
from tuner_app import console, launch, machines, typed
from tuner_app.store import Selection, models, runs
from tuner_app.store.run_rows import Run
from tuner_app.workers import supervisor


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path / "home", tiny.save_model(tmp_path / "tiny"))


def test_a_run_that_would_fail_again_is_not_resumed(tuner, place: Place) -> None:
    error = "The loss is no longer a number at step 5 of 12."
    instead = (
        "Train again with a tenth of the learning rate, 0.002:",
        "tuner train sft --base tiny --seed 3 --epochs 12 --last-turn-only yes --learning-rate 0.002"
        " --save-every 2",
    )
    options = {**OPTIONS, "last_turn_only": True}
    run = launch.prepare(place.store, place.home, place.plan(options=options, seed=3))
    runs.set_status(place.store, run.id, "failed", error=error)
    said = tuner("runs", "resume", run.name)
    assert said.status == 1
    assert said.err.splitlines()[-4:] == [f"{run.name} would end as before.", error, *instead]
    assert place.run(run.name).status == "failed"


def test_one_that_ran_out_of_memory_is(tuner, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start(home: object, store: object, run: Run) -> None:
        started.append(run.name)
        runs.set_status(place.store, run.id, "failed", error="Memory ran out with 64 tokens at a time.")

    monkeypatch.setattr(supervisor, "start_run", start)
    run = launch.prepare(place.store, place.home, place.plan())
    runs.set_status(place.store, run.id, "failed", error="Memory ran out with 64 tokens at a time.")
    said = tuner("runs", "resume", run.name)
    assert (said.status, started) == (1, [run.name])
    assert (
        "Train again on a 4-bit base: precision nf4:\ntuner train sft --base tiny --precision nf4 "
        in said.err
    )


def test_what_is_offered_to_be_typed_asks_for_the_same_run(tuner, place: Place) -> None:
    plan = place.plan("dpo", parent="a parent", selection=Selection.parse("imports,last:2"), seed=7)
    plan = replace(plan, adapter=Adapter(rank=4), options={"beta": 0.2, "checkpointing": True})
    where = machines.Machines(processes=2, shard=True)
    started: list[tuple[launch.Plan, machines.Machines]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "train", lambda home, store, plan, where, **_: started.append((plan, where)))
        tuner(*shlex.split(typed.command(plan, where))[1:])
    ((again, there),) = started
    options = method_named("dpo").options
    assert there == where
    assert build(options, again.options, "") == build(options, plan.options, "")
    assert replace(again, options=plan.options) == plan


def test_a_run_is_found_under_what_its_model_is_called_now(tuner, place: Place) -> None:
    run = launch.prepare(place.store, place.home, place.plan())
    folder = place.home.run(run.name)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("what its worker said")
    made = models.add_adapter(
        place.store, name=run.name, base_id=run.base_id, run_id=run.id, folder="f", hash="h"
    )
    models.rename(place.store, made, "warm")
    assert "warm (sft-1)" in tuner("runs").out
    assert "warm (sft-1)" in tuner("runs", "show", "warm").out
    assert "what its worker said" in tuner("runs", "log", "warm").out
