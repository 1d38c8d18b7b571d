"""Another reply to prompts that are being computed anyway: read on the keys and values of the prompts.

A row's prompt and its own reply go through the model with a graph, for the gradient. Another reply to that
prompt that needs no gradient goes through the model alone, and sees what the prompt has left in every layer:
the prompt is computed once.
"""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from engine import layouts, memory
from engine.batches import Branch, Tree, micro_batches
from engine.logps import branch_log_probs, hidden_at, log_probs_at, summed

if TYPE_CHECKING:
    from engine.job import Job


class Held:
    """A run's own log-probs of a batch, computed ahead of its gradient and held with their graphs.

    `trees` are the run's, of one branch each; graphs are held of at most `most` times the tokens that go
    through the model at a time.
    """

    def __init__(self, job: "Job", trees: Sequence[Tree], most: int) -> None:
        self.job, self.trees, self.most = job, trees, most
        self.lengths = [job.row_tokens(tree) for tree in trees]
        self.possible = _possible(job, trees)
        self._held: dict[tuple[int, ...], Tensor] = {}

    def read(self, batch: Sequence[int], others: Sequence[list[int]]) -> Tensor | None:
        """Hold the log-probs of `batch` (numbers of trees), in micro-batches as `engine.loop.fit` cuts them.

        Returns those of another reply to each prompt (batch,), without gradient; None where that cannot be,
        or too much would be held.
        """
        if not self.possible:
            return None
        places = {number: place for place, number in enumerate(batch)}

        def work(groups: Sequence[Sequence[int]]) -> Tensor:
            self._held.clear()
            sums = torch.zeros(len(batch) if self._fits(batch) else 0, device=self.job.base.device)
            for group in groups if len(sums) else ():
                here = [places[number] for number in group]
                rows = [self.trees[number] for number in group]
                with self.job.base.autocast():
                    own, sums[here] = with_others(self.job, rows, [others[place] for place in here])
                self._held[tuple(group)] = own
            return sums

        sums = memory.fitting(self.job, partial(micro_batches, batch, self.lengths), work)
        return sums if len(sums) else None

    def take(self, group: Sequence[int]) -> Tensor | None:
        """What is held of a micro-batch, once. None when it was not held, or memory ran out since."""
        found = self._held.pop(tuple(group), None)
        if found is None:
            self._held.clear()  # of a batch that has been cut anew
        return found

    def _fits(self, batch: Sequence[int]) -> bool:
        room = self.job.room
        tokens = sum(self.lengths[number] for number in batch)
        return tokens <= self.most * room.micro_tokens and not room.checkpointing


def _possible(job: "Job", trees: Sequence[Tree]) -> bool:
    """Whether `with_others` gives what rows of their own give: tried on the first two of `trees`."""
    alone = PartialState().num_processes == 1 and job.base.shards is None
    whole = all(tree.prompt and tree.branches[0].ids for tree in trees)
    plain = job.layout == "padded" and not job.spec.adapter.dropout
    if not (alone and whole and plain and layouts.can_share(job, trees)):
        return False
    few = trees[:2]
    others = [tree.branches[0].ids for tree in few[::-1]]
    swapped = [Tree(tree.prompt, [Branch.reply(ids)]) for tree, ids in zip(few, others, strict=True)]
    with torch.no_grad(), job.base.autocast():
        expected = [branch_log_probs(job.base.model, job.collate(rows)) for rows in (few, swapped)]
        try:
            found = with_others(job, few, others)
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError):
            return False
    return all(layouts.close(*pair, job.base.model) for pair in zip(found, expected, strict=True))


def with_others(job: "Job", trees: Sequence[Tree], others: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Summed log-probs of each tree's one reply, and of another to its prompt without gradient: (R,) each.

    All tokens of the replies count; no prompt and no reply of a tree is empty.
    """
    model, batch, cache = job.base.model, job.collate(trees), Cache(layer_class_to_replicate=_Kept)
    hidden = hidden_at(model, batch, batch.row, batch.column, cache)  # (N, D)
    own = summed(log_probs_at(model, hidden, batch.targets), batch)
    with torch.no_grad():
        starts = [0, *accumulate(len(tree.branches[0].ids) for tree in trees[:-1])]
        predicting = hidden[starts, None]  # (R, 1, D)
        if max(map(len, others)) > 1:
            after = _after(model, cache, trees, others, batch.ids.shape[1], job.base.dtype)
            predicting = torch.cat([predicting, after], 1)
        read = [(r, i, token) for r, ids in enumerate(others) for i, token in enumerate(ids)]
        row, column, targets = (
            torch.tensor(read, dtype=torch.long, device=hidden.device).reshape(-1, 3).unbind(1)
        )
        values = log_probs_at(model, predicting[row, column], targets)
        other = own.new_zeros(len(trees)).index_add(0, row, values)
    return own, other


def _after(
    model: Any,
    cache: Cache,
    trees: Sequence[Tree],
    others: Sequence[list[int]],
    width: int,
    dtype: torch.dtype,
) -> Tensor:
    """The hidden states (R, S, D) at all tokens of the other replies but their last.

    `cache` has `width` columns, a row's prompt the first of them.
    """
    device, count = model.device, max(map(len, others)) - 1
    ids = torch.tensor([(reply[:-1] + [0] * count)[:count] for reply in others], device=device)
    prompts = torch.tensor([len(tree.prompt) for tree in trees], device=device)
    own = torch.arange(count, device=device)
    seen = torch.arange(width, device=device) < prompts[:, None]  # (R, T)
    before = (own <= own[:, None]).expand(len(trees), -1, -1)  # (R, S, S)
    visible = torch.cat([seen[:, None].expand(-1, count, -1), before], 2)
    mask = torch.zeros(visible.shape, dtype=dtype, device=device)
    mask.masked_fill_(~visible, torch.finfo(dtype).min)
    hidden: Tensor = model.base_model(
        input_ids=ids,
        attention_mask=mask[:, None],
        position_ids=prompts[:, None] + own,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return hidden


class _Kept(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values: those of a first pass without their graph, which a second pass reads."""

    def update(self, keys: Tensor, values: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """What the layer attends to: in the first pass what is new, in the second what is kept as well."""
        if self.is_initialized:  # type: ignore[has-type]
            return torch.cat([self.keys, keys], -2), torch.cat([self.values, values], -2)
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.keys: Tensor = keys.detach()
        self.values: Tensor = values.detach()
        return keys, values
