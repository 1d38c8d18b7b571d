"""When PPO does what: its phases and minibatches, and what is measured and adapted for them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.batches import shuffled

if TYPE_CHECKING:
    from engine.methods.ppo import Options

LEAST_ERROR = 0.2  # what a phase's relative error of KL is clipped to: arXiv:1909.08593, section 2.2


@dataclass(frozen=True)
class Step:
    """One optimiser step: of phase `phase`, whose prompts (numbers) are `prompts`, on `rows` among these.

    `last` says whether it is the phase's last.
    """

    phase: int
    prompts: list[int]
    rows: list[int]
    last: bool


def schedule(options: "Options", prompts: int, seed: int) -> Iterator[Step]:
    """All steps of a run: phases over shuffled prompts, each learnt from in shuffled minibatches."""
    size = options.batch_size
    asked = (
        order[start : start + options.rollout_batch]
        for order in shuffled(prompts, options.epochs, seed)
        for start in range(0, prompts, options.rollout_batch)
    )
    for phase, numbers in enumerate(asked):
        minibatches = [
            rows[first : first + size]
            for rows in shuffled(len(numbers), options.ppo_epochs, seed + 1 + phase)
            for first in range(0, len(rows), size)
        ]
        for rows in minibatches:
            yield Step(phase, numbers, rows, last=rows is minibatches[-1])


class Control:
    """What PPO measures first, how scores are normalised, and what it adapts as it goes: the price of KL and
    the learning rate. Kept in checkpoints.
    """

    def __init__(self, options: "Options", kept: Mapping[str, Tensor]) -> None:
        self.options = options
        self.kl_coefficient = float(kept.get("kl_coefficient", options.kl_coefficient))
        self.factor = float(kept.get("rate_factor", 1.0))
        self.reward_mean = float(kept.get("reward_mean", 0.0))
        self.reward_std = float(kept.get("reward_std", 1.0))

    def meet(self, kl: float, *, replies: int) -> None:
        """Raise or lower the price after a phase whose replies were `kl` from the reference.

        β ← β (1 + K clip(KL/target − 1, −0.2, 0.2)), K = replies / horizon: arXiv:1909.08593, section 2.2.
        """
        if self.options.target_kl:
            error = max(-LEAST_ERROR, min(LEAST_ERROR, kl / self.options.target_kl - 1))
            self.kl_coefficient *= 1 + error * replies / self.options.kl_horizon

    def rate(self, planned: float) -> float:
        """The learning rate of the next step: as planned, or what `adapt` made of the highest."""
        return self.options.learning_rate * self.factor if self.options.desired_kl else planned

    def adapt(self, kl_step: float) -> None:
        """After a phase whose last step found the policy `kl_step` from where the phase began.

        The learning rate falls or rises by 1.5 when that is beyond twice or half of what is desired, as the
        penalty of arXiv:1707.06347, section 4, does by 2 when it is beyond 1.5 times.
        """
        desired = self.options.desired_kl
        if desired and kl_step > 2 * desired:
            self.factor = max(self.factor / 1.5, 0.01)
        elif desired and kl_step < desired / 2:
            self.factor = min(self.factor * 1.5, 1.0)

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        state = {
            "kl_coefficient": self.kl_coefficient,
            "rate_factor": self.factor,
            "reward_mean": self.reward_mean,
            "reward_std": self.reward_std,
        }
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in state.items()}
