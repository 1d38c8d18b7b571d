"""A run's events, put together for the screen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner_app import words
from tuner_app.store.rows import RunEvent
from tuner_app.tui.times import lasting

STATUS = {
    "queued": "◌ queued",
    "running": "▶ running",
    "paused": "‖ paused",
    "stopped": "■ stopped",
    "done": "✓ done",
    "failed": "✗ failed",
}


def progress(step: Mapping[str, Any]) -> str:
    """“12/40”, the steps done of those planned; "" before the first."""
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
    held_out: Mapping[str, Any] = field(default_factory=dict)
    series: dict[str, dict[int, float]] = field(default_factory=dict)
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
            for name, value in {"loss": data["loss"], **data["metrics"]}.items():
                # by step, because a resumed run writes its last ones again
                self.series.setdefault(name, {})[data["step"]] = float(value)
            self._recent = [*self._recent[-9:], data]
        elif kind == "plan":
            self.plan = data
        elif kind == "data":
            self.data = data
        elif kind == "loading":
            self.doing = f"loading {data['what']}"
        elif kind == "reference":
            self.doing = f"reference log-probs {data['done']} of {data['total']} ({data['cached']} known)"
        elif kind == "evaluation":
            self.held_out = data
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
    def lines(self) -> list[str]:
        """The method's own figures of the last step, those on rows held out, and what became of the data."""
        lines = []
        if self.step:
            rate, gradient = (words.number(self.step[name]) for name in ("learning_rate", "grad_norm"))
            lines += [*words.metrics(self.step), f"learning rate {rate} · gradient {gradient}"]
        if self.held_out:
            lines.append(f"held out: {words.held_out(self.held_out)}")
        if self.data:
            lines.append(words.used(self.data))
        return lines
