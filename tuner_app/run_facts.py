"""A run's events, put together for the screen, in bounded memory however many they are."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import UserError
from tuner_app import words
from tuner_app.curves import Curve
from tuner_app.paths import Home
from tuner_app.store import Store, runs
from tuner_app.store.run_rows import Run, RunEvent
from tuner_app.times import lasting

STATUS = {
    "queued": "◌ queued",
    "running": "▶ running",
    "paused": "‖ paused",
    "stopped": "■ stopped",
    "done": "✓ done",
    "failed": "✗ failed",
}
LAST = ("learning_rate", "grad_norm", "tokens_per_second")  # figures of the machinery come after the method's
PAGE = 500  # events that are read at a time
MESSAGES = 20  # as many notes and warnings are kept, the newest


def progress(step: Mapping[str, Any]) -> str:
    """“12/40”, the steps done of those planned; "" before the first."""
    return f"{step['step']}/{step['steps']}" if step else ""


def standing(run: Run, waits_for: str) -> str:
    """“▶ running”, or “◌ queued behind sft-1”, where it waits for another run's end."""
    return f"◌ queued behind {waits_for}" if waits_for else STATUS[run.status]


def recent(store: Store, home: Home) -> list[tuple[Run, str]]:
    """The latest runs, each with how far it is while it is under way: “▶ sft-2 12/40”, “◌ sft-3”."""
    from tuner_app.workers import queue  # here, because the app's first picture does not wait for it

    listed = runs.listed(store, 20)
    waiting = queue.waiting(home, listed)

    def far(run: Run) -> str:
        done = progress(runs.last_step(store, run.id))
        return f"◌ {run.title}" if run.name in waiting else f"▶ {run.title} {done}".rstrip()

    return [(run, far(run) if run.status == "running" else "") for run in listed]


@dataclass
class RunFacts:
    """What is known of a run from the events seen so far, each once, in order."""

    last: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    attention: Mapping[str, Any] = field(default_factory=dict)
    step: Mapping[str, Any] = field(default_factory=dict)
    doing: str = ""
    checkpoint: int | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    held_out: Mapping[str, Any] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    trained: float = 0.0  # seconds that the steps have taken
    _drawn: int = 0  # the last step that is in the curves
    _recent: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=10))

    def add(self, events: Iterable[RunEvent]) -> None:
        """Take in the events that are newer than those seen."""
        for event in events:
            if event.id > self.last:
                self.last = event.id
                self._take(event.kind, event.data)

    def _take(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "step":
            self._take_step(data)
        elif kind in ("plan", "data", "attention"):
            setattr(self, kind, data)
        elif kind == "loading":
            self.doing = f"loading {data['what']}"
        elif kind == "reference":
            self.doing = f"reference log-probs {data['done']} of {data['total']} ({data['cached']} known)"
        elif kind == "evaluation":
            self.held_out = data
        elif kind == "checkpoint":
            self.checkpoint = data["step"]
        elif "behind" in data:  # true until the run's turn comes
            self.doing = str(data["message"])
        elif kind in ("note", "warning"):
            told, message = self.notes if kind == "note" else self.warnings, str(data["message"])
            if message not in told:
                told.append(message)
                del told[:-MESSAGES]

    def _take_step(self, data: Mapping[str, Any]) -> None:
        self.step, self.doing = data, ""
        self._recent.append(data)
        if data["step"] <= self._drawn:
            return  # a resumed run does its last steps again, and comes to the same
        self._drawn = data["step"]
        self.trained += data["seconds"]
        speed = data["tokens"] / data["seconds"] if data["seconds"] else 0.0
        machinery = {"learning_rate": data["learning_rate"], "grad_norm": data["grad_norm"]}
        figures = {"loss": data["loss"], **data["metrics"], **machinery, "tokens_per_second": speed}
        for name, value in figures.items():
            self.curves.setdefault(name, Curve()).add(data["step"], self.trained, float(value))

    @property
    def figures(self) -> list[str]:
        """The names of the curves, the most telling first."""
        return sorted(self.curves, key=_rank)

    def progress(self, *, running: bool) -> str:
        """“step 12 of 40 · loss 1.234 · 512 tokens/s · 1 min 05 s left”, or what goes on before that."""
        if not self.step:
            return (self.doing or "starting the worker …") if running else ""
        parts = [f"step {self.step['step']} of {self.step['steps']}", f"loss {float(self.step['loss']):.4f}"]
        seconds = sum(step["seconds"] for step in self._recent)
        if seconds > 0:
            left = (self.step["steps"] - self.step["step"]) * seconds / len(self._recent)
            parts.append(f"{sum(step['tokens'] for step in self._recent) / seconds:.0f} tokens/s")
            parts += [f"{lasting(left)} left"] if running else []
        return " · ".join(parts)

    @property
    def lines(self) -> list[str]:
        """The method's own figures of the last step, those on rows held out, and what became of the data."""
        lines = [*words.metrics(self.step)] if self.step else []
        if self.held_out:
            lines.append(f"held out: {words.held_out(self.held_out)}")
        if self.data:
            lines.append(words.used(self.data))
        return lines


def _rank(name: str) -> tuple[int, int]:
    if name in words.TELLING:
        return 0, words.TELLING.index(name)
    if name in ("loss", *words.SHOWN_FIRST):
        return 1, ("loss", *words.SHOWN_FIRST).index(name)
    return (3, LAST.index(name)) if name in LAST else (2, 0)


def look(store: Store, name: str, after: int) -> tuple[Run, list[RunEvent]]:
    """A run, and at most `PAGE` of its events newer than `after`; a UserError where there is no such run."""
    run = runs.get(store, name)
    if run is None:
        raise UserError(f"There is no run “{name}”.", do="The list of runs has those that there are.")
    return run, runs.events(store, run.id, after=after, limit=PAGE)
