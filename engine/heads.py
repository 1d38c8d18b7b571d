"""Scalar heads: one number for a reply, read off the hidden state at its last token.

With the adapter that it was trained with, a head makes a reward model (arXiv:2203.02155, section 3.5):
r(x, y) = w · h, where h is what the backbone, its last norm included, gives at the last real token of x, y:
the end token, where the reply has one. Nothing that is padded to it or stands beside it changes that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from engine import adapters, cards
from engine.batches import Batch, Branch, Layout, Tree, collate, micro_batches
from engine.errors import UserError
from engine.examples import Message
from engine.logps import hidden_at
from engine.models import Base
from engine.template import Template

SCORE = "score"  # the tensor's name in the file, transformers' own for such a head
MICRO_TOKENS = 1024


@dataclass(frozen=True)
class RewardHead:
    """A trained head: `weight` (D,) in float32, and what was measured with it.

    `mean` and `std` are those of its scores on replies to training prompts: (score − mean) / std is the
    normalised reward. `held_out` has the keys accuracy, low, high (Wilson's 95 % interval), pairs and
    prompts; it is None when nothing was held out.
    """

    weight: Tensor
    mean: float
    std: float
    held_out: Mapping[str, float] | None

    def facts(self) -> dict[str, Any]:
        """What the adapter's card says of it, as JSON."""
        held_out = dict(self.held_out) if self.held_out else None
        return {"mean": self.mean, "std": self.std, "held_out": held_out}


def fresh(base: Base, seed: int) -> Tensor:
    """A head to start from: (D,), normal with the standard deviation that the model's own layers began with.

    The numbers are those that transformers draws for a sequence classifier's `score` after `set_seed(seed)`,
    so a run of ours and one of TRL's start alike.
    """
    config = base.model.config.get_text_config()
    deviation = float(getattr(config, "initializer_range", None) or 0.02)
    generator = torch.Generator().manual_seed(seed)
    # (1, D), as there: torch draws numbers in another order for another layout
    weight = torch.empty(1, base.model.get_input_embeddings().weight.shape[1])
    return weight.normal_(0.0, deviation, generator=generator)[0].to(base.device)


def scores(causal_lm: Any, batch: Batch, weight: Tensor) -> Tensor:
    """The score of each branch: (B,), float32, differentiable in the model and in `weight` (D,)."""
    last = hidden_at(causal_lm, batch, *batch.last.unbind(1))  # (B, D)
    return (last.float() * weight).sum(-1)  # no product of matrices: autocast would make it bf16


def values(causal_lm: Any, batch: Batch, weight: Tensor) -> Tensor:
    """What is expected before each of the N trained tokens, w · h where it is predicted: (N,), float32.

    Differentiable in the model and in `weight` (D,): the value function of arXiv:1909.08593.
    """
    predicting = hidden_at(causal_lm, batch, batch.row, batch.column)  # (N, D)
    return (predicting.float() * weight).sum(-1)


def tree_scores(
    base: Base,
    trees: Sequence[Tree],
    weight: Tensor,
    *,
    layout: Layout,
    heed: Callable[[], None] = lambda: None,
) -> Tensor:
    """The scores of every tree's branches, all of k: (trees, k), float32, on the CPU; no gradient.

    The model is taken as it stands, with whatever adapter is active. `heed` is called before each
    micro-batch, to raise if it is to end.
    """
    lengths = [tree.tokens(layout) for tree in trees]
    found: dict[int, Tensor] = {}
    for numbers in micro_batches(range(len(trees)), lengths, MICRO_TOKENS):
        heed()
        rows = [trees[i] for i in numbers]
        batch = collate(rows, layout=layout, device=base.device, dtype=base.dtype)
        with torch.no_grad(), base.autocast():
            values = scores(base.model, batch, weight)
        found |= zip(numbers, values.cpu().reshape(len(rows), -1), strict=True)
    return torch.stack([found[i] for i in range(len(trees))])


def score(
    base: Base, template: Template, head: RewardHead, conversations: Sequence[Sequence[Message]]
) -> list[float]:
    """The scores, not normalised, of conversations that each end with the reply to judge.

    The head's own adapter must be the active one, and `template` the one it was trained with. Raises
    UserError for a conversation that is longer than the base's context or ends with no reply.
    """
    trees = []
    for messages in conversations:
        if not messages or messages[-1].role != "assistant":
            raise UserError("There is no reply to score: a conversation does not end with the assistant.")
        prompt, reply = template.reply(messages[:-1], messages[-1].content)
        trees.append(Tree(prompt, [Branch.reply(reply)]))
    longest = max((tree.length for tree in trees), default=0)
    if longest > base.context:
        raise UserError(
            f"A conversation has {longest} tokens, more than the {base.context} that {base.name} reads.",
            do="Score shorter ones.",
        )
    if not trees:
        return []
    return tree_scores(base, trees, head.weight, layout="padded")[:, 0].tolist()


def load(folder: Path, base: Base) -> RewardHead:
    """The head of the reward model in `folder`, on the base's device.

    Raises UserError when the adapter there is no reward model, or its head is missing, broken or of another
    width than the base.
    """
    found = cards.measured(folder)
    width = int(base.model.get_input_embeddings().weight.shape[1])
    try:
        weight = load_file(folder / adapters.HEAD)[SCORE]
        if weight.shape != (width,) or weight.dtype != torch.float32 or not weight.isfinite().all():
            raise ValueError(f"it is not {width} finite numbers in float32")
        return RewardHead(weight.to(base.device), **vars(found))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise UserError(
            f"The head of the reward model in {folder} cannot be used: {error}",
            do="Train it again, or get another copy of its files.",
        ) from error
