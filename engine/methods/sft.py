"""Supervised fine-tuning: imitate the assistant's turns.

Paper: Ouyang et al., "Training language models to follow instructions", arXiv:2203.02155, section 3.5.
With LoRA (arXiv:2106.09685); on a 4-bit base it is QLoRA (arXiv:2305.14314).

    loss = − mean over the batch's trained tokens t of log π(y_t | x, y_<t)

Departures: only the assistant's tokens are trained on, each end token included; the mean is over all
tokens of the optimiser's batch, however it is cut into micro-batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.examples import Demonstration
from engine.options import Optimisation, option
from engine.spec import Method

if TYPE_CHECKING:
    from torch import Tensor

    from engine.batches import Batch, Tree
    from engine.job import Job, Outcome


@dataclass(frozen=True)
class Options(Optimisation):
    """What can be set for SFT."""

    learning_rate: float = option(2e-4, "the highest learning rate", 0.0, 1.0, common=True)
    last_turn_only: bool = option(False, "train on the last reply of each conversation alone", common=True)


def train(job: "Job") -> "Outcome":
    """Train the job's adapter on its demonstrations."""
    from engine import losses
    from engine.encode import encode
    from engine.logps import token_log_probs
    from engine.loop import fit

    def as_tree(row: Demonstration) -> "Tree":
        return conversation_tree(job, row)

    job, trees = encode(job, as_tree)  # type: ignore[arg-type]

    def objective(_: Sequence[int], batch: "Batch") -> "tuple[Tensor, dict[str, Tensor]]":
        log_probs = token_log_probs(job.base.model, batch)
        return losses.sft(log_probs=log_probs).sum(), {}

    return fit(job, trees, objective, weights=[tree.trained for tree in trees])


def conversation_tree(job: "Job", row: Demonstration) -> "Tree":
    """A conversation as a tree of one branch, which starts at the first trained token."""
    from engine.batches import Branch, Tree

    ids, trained = job.template.conversation(
        row.messages, row.tools, last_turn_only=job.options.last_turn_only
    )
    start = trained.index(True) if any(trained) else len(ids)
    return Tree(ids[:start], [Branch(ids[start:], trained[start:])])


METHOD = Method(
    name="sft",
    title="Supervised fine-tuning",
    learns_from=Demonstration,
    options=Options,
    train=train,
    paper="arXiv:2203.02155",
)
