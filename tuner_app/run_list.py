"""The list of runs, and the end of a run's log, as every interface shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner_app.paths import Home
from tuner_app.store import Store, runs
from tuner_app.store.run_rows import Run
from tuner_app.times import lasting
from tuner_app.workers import queue

LOG_BYTES = 4096


@dataclass(frozen=True)
class Listed:
    """A run in the list: its latest step, and which worker it waits for."""

    run: Run
    step: Mapping[str, Any]
    waits_for: str

    @property
    def place(self) -> tuple[int, int]:
        """Under way first, in the order of their turns; then the newest."""
        turn = ("running", "queued").index(self.run.status) if self.run.status in ("running", "queued") else 2
        if turn == 2:
            return 3, -self.run.id
        return turn + bool(self.waits_for), self.run.id

    @property
    def left(self) -> str:
        """How long it has to go at the speed of its last step; "" when it is not under way."""
        if self.run.status != "running" or not self.step:
            return ""
        return lasting((self.step["steps"] - self.step["step"]) * self.step["seconds"])


def listed(store: Store, home: Home) -> list[Listed]:
    """The latest runs, those under way first."""
    found = runs.listed(store)
    waiting = queue.waiting(home, found)
    rows = [Listed(run, runs.last_step(store, run.id), waiting.get(run.name, "")) for run in found]
    return sorted(rows, key=lambda row: row.place)


def log_tail(folder: Path, most: int = LOG_BYTES) -> list[str]:
    """The last lines that the worker of the run in this folder wrote, of about `most` bytes."""
    try:
        with (folder / "log.txt").open("rb") as stream:
            stream.seek(max(0, (folder / "log.txt").stat().st_size - most))
            return stream.read().decode(errors="replace").splitlines()
    except OSError:
        return []
