"""Runs that wait for the machine's seat: in which order, and behind whom. No torch."""

from collections.abc import Iterable

from tuner_app.paths import Home
from tuner_app.store.run_rows import Run
from tuner_app.workers import locks


def waiting(home: Home, listed: Iterable[Run]) -> dict[str, str]:
    """Of the runs, those that wait for their turn, by name, and the title of the run that waits before it or
    trains ("chat": the chat worker, on a GPU)."""
    pid, listed = locks.owner(locks.seat(home)), list(listed)
    if not pid:
        return {}
    holder = next((run.title for run in listed if run.pid == pid), "chat")
    queue = sorted((run for run in listed if _waits(run, pid)), key=lambda run: run.id)
    ahead = [holder, *(run.title for run in queue)]
    return {run.name: after for run, after in zip(queue, ahead, strict=False)}


def before(home: Home, listed: Iterable[Run], run: Run) -> list[str]:
    """The titles of the runs whose turn comes before that of `run`, in their order: those at work that were
    made before it, but for the one that trains."""
    pid = locks.owner(locks.seat(home)) or 0
    return [
        other.title
        for other in sorted(listed, key=lambda other: other.id)
        if other.id < run.id and _waits(other, pid) and locks.owner(locks.run(home, other.name)) is not None
    ]


def _waits(run: Run, pid: int) -> bool:
    return run.status == "running" and bool(run.pid) and run.pid != pid
