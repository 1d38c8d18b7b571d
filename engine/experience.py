"""What PPO learns from in one phase: replies with what each of their tokens was worth; and who judges them.

Policy, reference, reward model and value function are adapters, two with a scalar head, over one base.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine import adapters, heads, memory
from engine.batches import Batch, Branch, Tree, micro_batches
from engine.logps import token_log_probs

if TYPE_CHECKING:
    from engine.job import Job

REWARD, VALUE = "reward", "value"  # names of adapters beside the trained one
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
            trees=[answered(tree, [next(replies).tolist() for _ in range(samples)]) for tree in prompts],
            shown=dict(zip(SHOWN, kept["shown"].to(device).unbind(), strict=False)),
            **{name: kept[name].to(device) for name in _PER_TOKEN},
        )


_PER_TOKEN = [field.name for field in fields(Experience) if field.type is Tensor]


def answered(tree: Tree, replies: Sequence[Sequence[int]]) -> Tree:
    """The tree's prompt with these replies."""
    return Tree(tree.prompt, [Branch.reply(list(ids)) for ids in replies])


class Actors:
    """The four that take part, over the job's one base.

    The reference is the weights that the run starts from. The value function starts as a copy of the reward
    model's adapter, as in arXiv:2009.01325, which has learnt to tell good replies from bad, with a head of
    zeros, so that the first advantages are the rewards' alone.
    """

    def __init__(self, job: "Job") -> None:
        assert job.spec.reward
        self.job, self.base = job, job.base
        folder = Path(job.spec.reward)
        self.reward_head = heads.load(folder, job.base)
        adapters.attach(job.base, REWARD, folder)
        adapters.attach(job.base, VALUE, folder, to_train=True)
        self.value_head = torch.zeros_like(self.reward_head.weight)
        if adapters.stop_dropout(job.base):  # old and new log-probs are to differ by the weights alone
            job.warn("PPO trains without dropout: the adapter's counts for nothing here.")

    def trained(self) -> dict[str, Tensor]:
        """Every tensor that is trained, by name: the policy's, and the value function's with its head."""
        value = adapters.state(self.base, VALUE)
        return {
            **adapters.state(self.base),
            **{f"value/{name}": tensor for name, tensor in value.items()},
            "value/head": self.value_head,
        }

    def log_probs(self, batch: Batch) -> Tensor:
        """The policy's, at the temperature that replies are drawn at: (N,), differentiable."""
        adapters.train(self.base, adapters.TRAINED)
        return token_log_probs(self.base.model, batch, self.job.options.temperature)

    def reference_log_probs(self, batch: Batch) -> Tensor:
        """The same under the weights that the run started from."""
        with adapters.without(self.base):
            return token_log_probs(self.base.model, batch, self.job.options.temperature)

    def values(self, batch: Batch) -> Tensor:
        """What is expected before each token: (N,), differentiable."""
        adapters.train(self.base, VALUE)
        return heads.values(self.base.model, batch, self.value_head)

    def scores(self, trees: Sequence[Tree]) -> Tensor:
        """Each reply's reward, normalised by what the reward model gave its own training's replies: (B,)."""
        adapters.activate(self.base, REWARD)
        found = heads.tree_scores(self.base, trees, self.reward_head.weight, layout=self.job.layout).flatten()
        return ((found - self.reward_head.mean) / self.reward_head.std).to(self.base.device)

    def sampler(self) -> Any:
        """The policy as a model to draw replies from: a copy with the adapter merged in, made anew each time.

        Let go of it before training goes on: it takes the memory of the base's linear layers in the precision
        that products are computed in (bf16 for a 4-bit base).
        """
        return adapters.merged(self.base)

    def by_token(self, trees: Sequence[Tree], compute: Callable[[Batch], Tensor]) -> Tensor:
        """What `compute` says of every token of `trees`, without gradients: (N,), in the trees' order."""
        lengths = [self.job.row_tokens(tree) for tree in trees]
        cut = partial(micro_batches, range(len(trees)), lengths)
        return memory.fitting(self.job, cut, partial(self._by_token, trees, compute))

    @torch.no_grad()
    def _by_token(
        self, trees: Sequence[Tree], compute: Callable[[Batch], Tensor], groups: Sequence[Sequence[int]]
    ) -> Tensor:
        found: dict[int, Tensor] = {}
        for numbers in groups:
            with self.base.autocast():
                values = compute(self.job.collate([trees[i] for i in numbers]))
            found |= zip(numbers, values.split([trees[i].trained for i in numbers]), strict=True)
        return torch.cat([found[i] for i in range(len(trees))])
