"""A run's events, put together for the screen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner_app.store import Store, runs
from tuner_app.store.rows import Run, RunEvent
from tuner_app.tui.times import lasting

STATUS = {
    "queued": "◌ queued",
    "running": "▶ running",
    "paused": "‖ paused",
    "stopped": "■ stopped",
    "done": "✓ done",
    "failed": "✗ failed",
}


def progress(store: Store, run: Run) -> str:
    """“12/40”, the steps done of those planned; "" before the first."""
    step = runs.last_step(store, run.id)
    return f"{step['step']}/{step['steps']}" if step else ""


@dataclass
class RunFacts:
    """What is known of a run from the events seen so far, each once, in order."""

    last: int = 0
    plan: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    step: Mapping[str, Any] = field(default_factory=dict)
    doing: str = ""
    checkpoint: int | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    losses: dict[int, float] = field(default_factory=dict)
    _recent: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, events: Iterable[RunEvent]) -> None:
        """Take in the events that are newer than those seen."""
        for event in events:
            if event.id > self.last:
                self.last = event.id
                self._take(event.kind, event.data)

    def _take(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "step":
            self.step, self.doing = data, ""
            self.losses[data["step"]] = float(data["loss"])  # a resumed run writes its last steps again
            self._recent = [*self._recent[-9:], data]
        elif kind == "plan":
            self.plan = data
        elif kind == "data":
            self.data = data
        elif kind == "loading":
            self.doing = f"loading {data['what']}"
        elif kind == "reference":
            self.doing = f"reference log-probs {data['done']} of {data['total']} ({data['cached']} known)"
        elif kind == "checkpoint":
            self.checkpoint = data["step"]
        elif kind == "note" and data["message"] not in self.notes:
            self.notes.append(str(data["message"]))
        elif kind == "warning" and data["message"] not in self.warnings:
            self.warnings.append(str(data["message"]))

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
    def metrics(self) -> str:
        """The method's own figures of the last step."""
        figures = {"learning rate": self.step.get("learning_rate"), **self.step.get("metrics", {})}
        return " · ".join(
            f"{name} {float(value):.3g}" for name, value in figures.items() if value is not None
        )

    @property
    def rows(self) -> str:
        """What became of the data: nothing is left out in silence."""
        if not self.data:
            return ""
        names = {"too_long": "too long", "repeated": "repeated", "no_label": "without label"}
        out = [f"{self.data[key]} {name}" for key, name in names.items() if self.data.get(key)]
        return f"{self.data['used']} of {self.data['rows']} rows used" + (
            f" ({', '.join(out)})" if out else ""
        )
