"""What the store gives back of training: snapshots, bases, adapters and runs, as frozen rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.spec import methods

RunStatus = Literal["queued", "running", "paused", "stopped", "done", "failed"]
Request = Literal["", "stop", "pause"]


@dataclass(frozen=True)
class Snapshot:
    """A frozen list of `rows` examples of one kind; `hash` is that of its content."""

    hash: str
    kind: str
    rows: int
    created: str


@dataclass(frozen=True)
class Base:
    """A model that adapters are trained on; `source` is a folder or a hub name."""

    id: int
    name: str
    source: str
    fingerprint: str
    created: str
    note: str = ""


@dataclass(frozen=True)
class AdapterRow:
    """A trained adapter: over which base, gone on from which parent, made by which run.

    `method` is what that run did ("" without one), and `reward` the name of the reward model that led it;
    `note` is a person's.
    """

    id: int
    name: str
    base_id: int
    parent_id: int | None
    run_id: int | None
    folder: str
    hash: str
    created: str
    method: str
    reward: str | None
    note: str = ""

    @property
    def is_reward(self) -> bool:
        """Whether it is a reward model: it scores answers and cannot give any."""
        return _makes_reward(self.method)


@dataclass(frozen=True)
class Run:
    """One training run: what it was asked to do and how far it is.

    `source` and `adapter` are names as they are now: of what it goes on from, an adapter or the base, and of
    what it has left ("" while that is nothing).
    """

    id: int
    uid: str
    name: str
    method: str
    spec: Mapping[str, Any]
    base_id: int
    parent_id: int | None
    reward_id: int | None
    snapshot_hash: str
    status: RunStatus
    request: Request
    pid: int | None
    error: str
    versions: Mapping[str, str]
    created: str
    started: str | None
    ended: str | None
    source: str
    adapter: str

    @property
    def title(self) -> str:
        """What a person knows it by: its name, after that of its model where the model was renamed."""
        return f"{self.adapter} ({self.name})" if self.adapter not in ("", self.name) else self.name

    @property
    def makes_reward(self) -> bool:
        """Whether what it leaves is a reward model."""
        return _makes_reward(self.method)


@dataclass(frozen=True)
class RunEvent:
    """Something that a run reported; `kind` and `data` as in `engine.spec.Event`, but for the first one:
    "asked", {"data": the words of the selection that its rows were chosen by}."""

    id: int
    run_id: int
    kind: str
    data: Mapping[str, Any]
    created: str


def _makes_reward(method: str) -> bool:
    known = methods().get(method)
    return known is not None and known.makes == "reward model"
