"""What PPO learns from in one phase: replies, with what each of their tokens was worth."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.batches import Branch, Tree
from engine.examples import Prompt
from engine.rollouts import Reply

if TYPE_CHECKING:
    from engine.job import Job

SHOWN = ("reward", "kl", "kl3", "entropy", "length", "ended", "kl_coefficient", "gold")  # gold if it is known


@dataclass(frozen=True)
class Experience:
    """Replies of one phase, as trees of a prompt with its samples, and N numbers for their N tokens.

    `shown` are means over the phase's replies, named as in `SHOWN`, to be reported with each of its steps.
    """

    phase: int
    trees: list[Tree]
    old_log_probs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    shown: dict[str, Tensor]

    def tokens(self, numbers: Sequence[int]) -> Tensor:
        """Where the tokens of the trees `numbers` are among the N, in the order of a batch of these trees."""
        return torch.cat([self._places[i] for i in numbers])

    @cached_property
    def _places(self) -> list[Tensor]:
        places = torch.arange(len(self.returns), device=self.returns.device)
        return list(places.split([tree.trained for tree in self.trees]))

    def tensors(self) -> dict[str, Tensor]:
        """All of it but the prompts, for a checkpoint."""
        replies = [branch.ids for tree in self.trees for branch in tree.branches]
        return {
            "phase": torch.tensor(self.phase),
            "ids": torch.tensor([token for ids in replies for token in ids]),
            "lengths": torch.tensor([len(ids) for ids in replies]),
            **{name: getattr(self, name) for name in _PER_TOKEN},
            "shown": torch.stack([*self.shown.values()]),
        }

    def not_finite(self, rollouts: Sequence[Sequence[Reply]]) -> str:
        """What is not finite of a phase that drew `rollouts`, the first cause first; "" if nothing."""
        found = {
            "probability of what was drawn": sum(sum(reply.log_probs) for row in rollouts for reply in row),
            "score of a reply": float(self.shown["reward"]),
            "log-probability of a reply": float(self.old_log_probs.sum()),
            "KL from the reference": float(self.shown["kl"]),
            "value of a token": float(self.values.sum()),
        }
        return next((name for name, value in found.items() if not math.isfinite(value)), "")

    @staticmethod
    def restored(
        kept: Mapping[str, Tensor], prompts_of: Callable[[int], Sequence[Tree]], device: torch.device
    ) -> "Experience | None":
        """The inverse of `tensors`; `prompts_of` gives the prompts of a phase. None when nothing was kept."""
        if "phase" not in kept:
            return None
        phase = int(kept["phase"])
        prompts = prompts_of(phase)
        replies = iter(kept["ids"].split(kept["lengths"].tolist()))
        samples = len(kept["lengths"]) // len(prompts)
        return Experience(
            phase=phase,
            trees=[
                Tree(tree.prompt, [Branch.reply(next(replies).tolist()) for _ in range(samples)])
                for tree in prompts
            ],
            shown=dict(zip(SHOWN, kept["shown"].to(device).unbind(), strict=False)),
            **{name: kept[name].to(device) for name in _PER_TOKEN},
        )


_PER_TOKEN = [field.name for field in fields(Experience) if field.type is Tensor]


def answered(tree: Tree, replies: Sequence[Reply]) -> Tree:
    """The tree's prompt with these replies."""
    return Tree(tree.prompt, [Branch.reply(reply.ids) for reply in replies])


def golds(job: "Job", prompts: Sequence[int], rollouts: Sequence[Sequence[Reply]]) -> float:
    """The mean gold reward of the replies to `prompts` (rows of the job), as chat would show them."""
    assert job.gold
    found = []
    for number, drawn in zip(prompts, rollouts, strict=True):
        row = job.examples[number]
        assert isinstance(row, Prompt)
        texts = [job.base.tokenizer.decode(reply.ids, skip_special_tokens=True) for reply in drawn]
        found += [job.gold(row.prompt, text) for text in texts]
    return sum(found) / len(found)
