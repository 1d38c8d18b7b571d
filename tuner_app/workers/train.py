"""The training worker: one process per run; a snapshot in, an adapter out.

`python -m tuner_app.workers.train --home DIR RUN`. It holds the run's lock all its life. Starting the
same run again goes on from its last checkpoint.
"""

import argparse
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import closing, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UserError
from engine.spec import Emit, Event, Gold, ShouldStop, Spec
from tuner_app import bases, machines, words
from tuner_app.paths import Home
from tuner_app.paths import home as home_at
from tuner_app.store import Store, models, runs, snapshots
from tuner_app.store.reference import ReferenceFile
from tuner_app.store.run_rows import Base, Request, Run, RunStatus
from tuner_app.workers import helper, helpers, leaving, locks, seat

if TYPE_CHECKING:
    from engine.job import Result

PACKAGES = ("tuner", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "safetensors")
TERMINATED = threading.Event()  # SIGTERM came: it means “stop”
NICENESS = 5  # of 19: a run takes what the keyboard, the chat and the page leave of the processors
STATUS: dict[str, RunStatus] = {"": "done", "stop": "stopped", "pause": "paused"}


def main() -> int:
    """Train; returns 1 when the run failed, 2 when it cannot be worked on."""
    parser = argparse.ArgumentParser(prog="tuner_app.workers.train", description=__doc__)
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("run")
    parser.add_argument("--lock-fd", type=int, help="the lock, when whoever started us holds it already")
    given = parser.parse_args()
    home = home_at(given.home)
    try:
        store = Store.open(home.database)
        run = runs.get(store, given.run)
        if run is None:
            raise UserError(f"There is no run “{given.run}” in {home.folder}.")
        lock = locks.take(locks.run(home, run.name), given.lock_fd)
        if lock is None:
            raise UserError(f"Run {run.name} is going on already, in another process.", kept="It goes on.")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda number, frame: TERMINATED.set())
    _give_way()
    return work(home, store, run)


def _give_way() -> None:
    """Let all else on this machine go first, for this process and those it starts."""
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # where Linux shares out time by sessions first, this one's counts as well
            Path("/proc/self/autogroup").write_text(str(NICENESS))


def work(home: Home, store: Store, run: Run) -> int:
    """Carry out `run`, whose lock we hold, and write down how it ended."""

    def should_stop() -> Request:
        return "stop" if TERMINATED.is_set() else runs.requested(store, run.id)

    def fail(error: UserError) -> int:
        return _failed(home, store, run, error)

    def emit(event: Event) -> None:
        runs.emit(store, run.id, event.kind, event.data)
        print(time.strftime("%H:%M:%S"), words.logged(event.kind, event.data), flush=True)

    def leave(asked: Request) -> None:
        status = STATUS[asked]
        emit(
            Event("note", {"message": f"It was {status} before it was ready to train: nothing has changed."})
        )
        runs.set_status(store, run.id, status)
        os._exit(0)

    folder = home.run(run.name)
    try:
        versions = {name: version(name) for name in PACKAGES}
        runs.set_status(store, run.id, "running", pid=os.getpid(), versions=versions)
        seated = seat.for_training(home, store, run, should_stop, lambda note: emit(Event("note", note)))
        if seated is None:
            status = STATUS[should_stop()]
        else:
            with (
                seated,
                helpers.beside_main(machines.of_run(folder), folder, run.method, fail),
                leaving.until_heeded(should_stop, leave) as heeding,
            ):
                runs.begin(store, run.id)
                status = train(home, store, run, emit, heeding)
    except UserError as error:
        return fail(error)
    except BaseException as error:
        traceback.print_exception(error)
        details = f"Its details: {folder / 'log.txt'}"
        return fail(UserError(f"An unexpected fault: {type(error).__name__}.", do=details))
    runs.set_status(store, run.id, status)
    return 0


def train(home: Home, store: Store, run: Run, emit: Emit, should_stop: ShouldStop) -> RunStatus:
    """Train, register the adapter, and return the status that the run ended with."""
    from engine import job

    row = next(base for base in models.bases(store) if base.id == run.base_id)
    spec = located(home, Spec.from_json(run.spec))
    if spec.template:
        file = bases.template_file(home, row)
        emit(
            Event("warning", {"message": f"The chat template is the one in {file}, as it was at the launch."})
        )
    rows, folder = list(snapshots.rows(store, run.snapshot_hash)), home.run(run.name)
    where = machines.of_run(folder)
    helper.lead(where, folder, helper.Task(spec.to_json(), run.spec["base"], rows, folder, where.shard))
    with closing(ReferenceFile(home.reference_cache)) as cache:
        try:
            result = job.run(
                spec,
                rows,
                folder,
                emit=emit,
                should_stop=should_stop,
                reference_cache=cache,
                gold=_gold(row),
                sharded=where.shard,
            )
        except job.DivergedError as error:
            if error.result and error.result.hash:
                _register(home, store, run, row, spec, error.result)
            raise
    if result.hash:
        _register(home, store, run, row, spec, result)
    return STATUS[result.stopped]


def _register(home: Home, store: Store, run: Run, base: Base, spec: Spec, result: "Result") -> None:
    """Let the run's adapter be known as a model."""
    from engine.base_files import fingerprint

    models.add_adapter(
        store,
        name=run.name,
        # other weights than at the launch are another base, which these are known as from now on
        base_id=models.add_base(store, base.name, base.source, fingerprint(spec.base)).id,
        run_id=run.id,
        parent_id=run.parent_id,
        folder=str(result.folder.relative_to(home.folder)),  # so that a home can be moved
        hash=result.hash,
    )


def _gold(base: Base) -> Gold | None:
    """How good a reply really is: only the built-in base lives in a world that can tell."""
    if base.source != bases.BUILTIN:
        return None
    from assets import world

    return lambda prompt, reply: world.gold(world.judge(prompt, reply))


def located(home: Home, spec: Spec) -> Spec:
    """The specification with folders as they are on this machine now."""
    changes: dict[str, Any] = {"base": bases.located(spec.base)}
    for name, folder in (("parent", spec.parent), ("reward", spec.reward)):
        if folder:
            changes[name] = str(home.folder / folder)
    return replace(spec, **changes)


def _failed(home: Home, store: Store, run: Run, error: UserError) -> int:
    from engine.checkpoints import last_good

    error.kept = error.kept or last_good(home.run(run.name) / "checkpoints")
    print(error, file=sys.stderr, flush=True)
    runs.set_status(store, run.id, "failed", error=str(error))
    return 1


if __name__ == "__main__":
    sys.exit(main())
