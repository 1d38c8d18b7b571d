"""Direct preference optimisation: make the chosen reply likelier than the rejected, measured from the start.

Paper: Rafailov et al., arXiv:2305.18290, equation 7.

    loss = − log σ(β [log π(y_w|x)/π_ref(y_w|x) − log π(y_l|x)/π_ref(y_l|x)]), mean over pairs

Departures: the reference is the weights that the run starts from, the base or the adapter it goes on
from; its log-probs are computed once, before the first step, and cached. A pair is one row,
prompt | chosen | rejected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.examples import Pair
from engine.options import Optimisation, option
from engine.spec import Method

if TYPE_CHECKING:
    from torch import Tensor

    from engine.batches import Batch, Tree
    from engine.job import Job, Outcome


@dataclass(frozen=True)
class Options(Optimisation):
    """What can be set for DPO."""

    learning_rate: float = option(5e-5, "the highest learning rate", 0.0, 1.0)
    beta: float = option(0.1, "how strongly the policy is held to where it started", 1e-6, 100.0)


def train(job: "Job") -> "Outcome":
    """Train the job's adapter on its pairs."""
    import torch

    from engine import losses
    from engine.encode import encode
    from engine.logps import branch_log_probs
    from engine.loop import fit
    from engine.reference import reference_log_probs

    def as_tree(row: Pair) -> "Tree":
        return pair_tree(job, row)

    job, trees = encode(job, as_tree)  # type: ignore[arg-type]
    beta = job.options.beta
    kept = job.checkpoint.part("keep").get("reference") if job.checkpoint else None
    reference = reference_log_probs(job, trees) if kept is None else kept.to(job.base.device)

    def objective(numbers: Sequence[int], batch: "Batch") -> "tuple[Tensor, dict[str, Tensor]]":
        chosen, rejected = branch_log_probs(job.base.model, batch).reshape(-1, 2).unbind(1)
        reference_chosen, reference_rejected = reference[numbers].unbind(1)
        loss = losses.dpo(
            chosen=chosen,
            rejected=rejected,
            reference_chosen=reference_chosen,
            reference_rejected=reference_rejected,
            beta=beta,
        )
        with torch.no_grad():
            reward_chosen = beta * (chosen - reference_chosen)
            reward_rejected = beta * (rejected - reference_rejected)
        return loss.sum(), {
            "accuracy": (reward_chosen > reward_rejected).sum(),
            "margin": (reward_chosen - reward_rejected).sum(),
            "reward_chosen": reward_chosen.sum(),
            "reward_rejected": reward_rejected.sum(),
        }

    return fit(job, trees, objective, weights=[1] * len(trees), keep={"reference": reference})


def pair_tree(job: "Job", row: Pair) -> "Tree":
    """A prompt with two branches: the chosen reply, then the rejected."""
    from engine.batches import Branch, Tree

    prompt, chosen = job.template.reply(row.prompt, row.chosen)
    _, rejected = job.template.reply(row.prompt, row.rejected)
    return Tree(prompt, [Branch.reply(chosen), Branch.reply(rejected)])


METHOD = Method(
    name="dpo",
    title="Direct preference optimisation",
    learns_from=Pair,
    options=Options,
    train=train,
    paper="arXiv:2305.18290",
)
