"""Who takes part in PPO: policy, reference, reward model and value function, over one base.

Each is an adapter of that base; the last two have a scalar head beside it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor

from engine import adapters, base_files, heads, memory
from engine.batches import Batch, Tree, micro_batches
from engine.errors import UserError
from engine.logps import token_log_probs
from engine.rollouts import ROWS, Reply, groups, sample
from engine.sampling import stream_seed

if TYPE_CHECKING:
    from engine.job import Job

REWARD, VALUE = "reward", "value"  # names of adapters beside the trained one


class Actors:
    """The four that take part, over the job's one base.

    The reference is the weights that the run starts from. The value function starts as a copy of the reward
    model's adapter, as in arXiv:2009.01325, which has learnt to tell good replies from bad, with a head of
    zeros, so that the first advantages are the rewards' alone.
    """

    def __init__(self, job: "Job") -> None:
        self.job, self.base = job, job.base
        folder = Path(job.spec.reward or "")
        self.reward_head = reward_head(job, folder)
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
        """What the reward model gives each reply, read at its last token and not normalised: (B,)."""
        adapters.activate(self.base, REWARD)
        found = heads.tree_scores(
            self.base, trees, self.reward_head.weight, layout=self.job.layout, heed=self.job.heed_alone
        )
        return found.flatten().to(self.base.device)

    def draw(self, prompts: Sequence[Sequence[int]], *, stream: int) -> list[list[Reply]]:
        """The policy's replies to `prompts` (token ids), by all processes together.

        `stream` names the random numbers that pick them. They are drawn from a copy with the adapter merged
        in, which lives no longer: it takes the memory of the base's linear layers in the precision that
        products are computed in (bf16 for a 4-bit base). Raises Interrupted between two tokens, or, with
        several processes, between two groups of prompts.
        """
        options, process = self.job.options, PartialState()
        seed, model = stream_seed(self.job.spec.seed, stream), adapters.merged(self.base)
        rows = ROWS.get(self.base.device.type, ROWS["cpu"])
        drawn: dict[int, list[Reply]] = {}
        for group in groups(prompts, max(1, rows // options.samples) * process.num_processes):
            self.job.heed()
            mine = group[process.process_index :: process.num_processes]
            replies = sample(
                model,
                [prompts[i] for i in mine],
                seeds=[stream_seed(seed, i) for i in mine],
                samples=options.samples,
                limit=options.max_new_tokens,
                temperature=options.temperature,
                ends=self.base.end_tokens,
                context=self.base.context,
                heed=self.job.heed_alone,
            )
            drawn |= zip(mine, replies, strict=True)
        shared = {i: replies for share in gather_object([drawn]) for i, replies in share.items()}
        return [shared[i] for i in range(len(prompts))]

    def by_token(self, trees: Sequence[Tree], compute: Callable[[Batch], Tensor]) -> Tensor:
        """What `compute` says of every token of `trees`, without gradients: (N,), in the trees' order.

        Raises Interrupted before it and, in a single process, between its micro-batches.
        """
        self.job.heed()
        lengths = [self.job.row_tokens(tree) for tree in trees]
        cut = partial(micro_batches, range(len(trees)), lengths)
        return memory.fitting(self.job, cut, partial(self._by_token, trees, compute))

    @torch.no_grad()
    def _by_token(
        self, trees: Sequence[Tree], compute: Callable[[Batch], Tensor], groups: Sequence[Sequence[int]]
    ) -> Tensor:
        found: dict[int, Tensor] = {}
        for numbers in groups:
            self.job.heed_alone()
            with self.base.autocast():
                values = compute(self.job.collate([trees[i] for i in numbers]))
            found |= zip(numbers, values.split([trees[i].trained for i in numbers]), strict=True)
        return torch.cat([found[i] for i in range(len(trees))])


def reward_head(job: "Job", folder: Path) -> heads.RewardHead:
    """The head of the run's reward model; UserError where it cannot lead this policy."""
    head = heads.load(folder, job.base)
    card = adapters.card(folder)
    if card.get("tokenizer") not in (None, base_files.tokenizer_hash(job.base.tokenizer)):
        raise UserError(
            f"The reward model in {folder} was trained with another tokenizer than {job.base.name} has now.",
            do="Put that tokenizer back, or train the reward model again.",
        )
    if card.get("template") not in (None, job.template.text):
        raise UserError(
            f"The reward model in {folder} was trained with another chat template: it would read other "
            "tokens than the policy writes.",
            do="Train both with one template.",
        )
    return head
