"""One process of a run beside the main one: told what to train or to rehearse, it does, and writes nothing.

`python -m tuner_app.workers.helper`, started by `tuner_app.workers.helpers`. It ends at once when its
standard input does, so that none is left when whoever started it is killed.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.spec import Event, Spec
from tuner_app import bases
from tuner_app.machines import Machines


@dataclass(frozen=True)
class Task:
    """What the main process tells the others: the specification as JSON, the rows, the run's folder, whether
    the base is cut up, and whether the run is only rehearsed (`engine.check`).

    `base` is as the store has it: where a base lies may differ between machines.
    """

    spec: Mapping[str, Any]
    base: str
    rows: Sequence[Any]
    folder: Path
    sharded: bool
    rehearsal: bool = False


def main() -> int:
    """Help; returns 1 when the run failed, which the main process says more about."""
    parser = argparse.ArgumentParser(prog="tuner_app.workers.helper", description=__doc__)
    for name in ("number", "processes", "local", "here"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--meeting", required=True)
    parser.add_argument("--method", required=True)
    given = parser.parse_args()
    method = vars(given).pop("method")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the main process obeys it, and says so to all
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        help(method, **vars(given))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except RuntimeError as error:  # torch has no class of its own for it
        if "connection" not in str(error).lower():
            raise
        print(
            "The run ended elsewhere, or the connection to it broke: the first machine says.", file=sys.stderr
        )
        return 1
    return 0


def help(method: str, **place: Any) -> None:
    """Meet the other processes, take the task from the main one, and do it."""
    from engine import job, processes
    from engine.check import check

    processes.meet(processes.Place(**place))
    task: Task = processes.from_main(None)
    spec = replace(Spec.from_json(task.spec), base=bases.located(task.base))
    if spec.method != method:
        raise UserError(
            f"The first machine trains by {spec.method}, and this one was told {method}.",
            do=f"Start it here with: tuner train {spec.method} --machines FILE",
        )
    if task.rehearsal:
        check(spec, task.rows, emit=_in_silence, sharded=task.sharded)
    else:
        job.run(spec, task.rows, task.folder, emit=_in_silence, should_stop=lambda: "", sharded=task.sharded)


def lead(where: Machines, folder: Path, task: Task) -> None:
    """Be the main process: meet the others, in the run's `folder` if need be, and give them the task."""
    from engine import processes

    if where.total > 1:
        meeting = where.meeting(folder)
        processes.meet(processes.Place(0, where.total, local=0, here=where.processes, meeting=meeting))
        processes.from_main(task)


def _in_silence(event: Event) -> None:
    """The main process reports for all."""


def _end_with_input() -> None:
    while os.read(0, 4096):  # not sys.stdin, whose lock would be in the way at the end
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
