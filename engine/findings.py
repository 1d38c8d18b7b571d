"""What a check before a run finds, as plain data. No torch: interfaces read what a worker found."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A stretch of a row: prompt, chosen reply, … `pieces` are its tokens' texts, each trained on or not.

    A piece holds several tokens where one alone is no whole character. Texts are as the tokenizer gives
    them: make them safe before they are shown.
    """

    name: str
    pieces: list[tuple[str, bool]]


@dataclass(frozen=True)
class Step:
    """One real optimiser step on the longest micro-batch: `rows` rows that take `tokens` tokens, padding
    counted. `memory` is what it took on top of what was held, in bytes.

    Several `processes` share the longest micro-batches, one for each. Their memory is taken together where
    they share the machine's; of GPUs it is the fullest one's.
    """

    rows: int
    tokens: int
    seconds: float
    memory: int
    processes: int = 1


@dataclass(frozen=True)
class Run:
    """What the whole run will take by the measured step.

    `tokens`, padding counted, go through the model in `steps` optimiser steps; the reference pass comes
    before them and is over `reference_rows` rows, those that the cache lacks. `memory` is the peak, the base
    included, and `available` what there is, in bytes, of as many processes as `Step` says.
    """

    steps: int
    tokens: int
    seconds: float
    reference_rows: int
    reference_seconds: float
    memory: int
    available: int


@dataclass(frozen=True)
class Findings:
    """`data`, `attention` and `plan` are the data of those events (`engine.spec.Event`); the plan is the
    rehearsal's.

    `rows` are the first ones, the longest, and some that are left out, part by part; `titles` say which.
    `template` says in words how the run's chat template differs from the one that chat uses for the base, ""
    when it does not.
    """

    method: str
    data: Mapping[str, Any]
    attention: Mapping[str, Any]
    plan: Mapping[str, Any]
    template: str
    warnings: list[str]
    titles: list[str]
    rows: list[list[Part]]
    step: Step
    run: Run

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Findings":
        """The inverse of `to_json`."""
        rows = [
            [Part(part["name"], [(text, trained) for text, trained in part["pieces"]]) for part in row]
            for row in data["rows"]
        ]
        return Findings(**{**data, "rows": rows, "step": Step(**data["step"]), "run": Run(**data["run"])})
