"""A run on the tiny model: what tests of the loop, of checkpoints and of stopping share."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import adapters, job
from engine.examples import Demonstration, Example, Message, Pair, Prompt, Rated
from engine.job import Result
from engine.spec import Adapter, Event, ReferenceCache, ShouldStop, Spec, method_named

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "likes", "yellow", "lemons"]
ADAPTER = Adapter()
OPTIONS = {"learning_rate": 0.01, "batch_size": 4, "epochs": 2, "micro_tokens": 96, "save_every": 2}

# PPO: one epoch over all replies, so that it makes as many steps as the others; all that adapts is on.
METHOD_OPTIONS: dict[str, dict[str, Any]] = {
    "ppo": {
        "rollout_batch": 12,
        "ppo_epochs": 1,
        "max_new_tokens": 8,
        "desired_kl": 1e-4,
        "trust_reward": True,
    }
}


def rows_for(method: str, count: int = 12) -> list[Example]:
    """Rows that `method` learns from, of unlike lengths, all different."""
    kind = method_named(method).kind
    rows: list[Example] = []
    for i in range(count):
        prompt = (Message("user", " ".join(WORDS[: 1 + i % 5]) + f" {i}?"),)
        good, bad = " ".join(WORDS[i % 7 :][:5]), " ".join(WORDS[: 1 + i % 3]) + "!"
        if kind == "demonstration":
            rows.append(Demonstration((*prompt, Message("assistant", good))))
        elif kind == "pair":
            rows.append(Pair(prompt, good, bad))
        elif kind == "rated":
            rows.append(Rated(prompt, bad if i % 2 else good, i % 2 == 0))
        else:
            rows.append(Prompt(prompt))
    return rows


class Reports:
    """An `emit` that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of every event of a kind."""
        return [event.data for event in self.events if event.kind == kind]

    @property
    def losses(self) -> list[float]:
        return [data["loss"] for data in self.of("step")]


class Cache:
    """A reference cache in memory, which counts what it is asked to keep."""

    def __init__(self) -> None:
        self.values: dict[bytes, float] = {}
        self.puts = 0

    def get_many(self, keys: list[bytes]) -> dict[bytes, float]:
        return {key: self.values[key] for key in keys if key in self.values}

    def put_many(self, values: Any) -> None:
        self.puts += len(values)
        self.values |= values


def reward_model(model: Path) -> Path:
    """A reward model for PPO, trained once beside `model`; far too little to be better than chance."""
    folder = model.with_name(f"{model.name}-reward")
    if not (folder / "adapter").exists():
        run(folder, model, "reward")
    return folder / "adapter"


def copied(model: Path, tmp_path: Path, facts: dict[str, Any], **changes: Any) -> Path:
    """The reward model for PPO, with other facts on its card."""
    folder = tmp_path / "reward"
    shutil.copytree(reward_model(model), folder)
    card = json.loads((folder / adapters.CARD).read_text())
    card["reward"] |= facts
    (folder / adapters.CARD).write_text(json.dumps(card | changes))
    return folder


def run(
    folder: Path,
    model: Path,
    method: str,
    *,
    rows: Sequence[Example] | None = None,
    should_stop: ShouldStop = lambda: "",
    reports: Reports | None = None,
    cache: ReferenceCache | None = None,
    sharded: bool = False,
    **spec: Any,
) -> Result:
    """Carry out a run of six steps, or as `spec` says."""
    options = OPTIONS | METHOD_OPTIONS.get(method, {}) | spec.pop("options", {})
    if method_named(method).needs_reward:
        spec.setdefault("reward", str(reward_model(model)))
    return job.run(
        Spec(method=method, base=str(model), options=options, **spec),
        rows_for(method) if rows is None else rows,
        folder,
        emit=reports if reports is not None else Reports(),
        should_stop=should_stop,
        reference_cache=cache,
        sharded=sharded,
    )
