"""Reward modelling: a score for a reply, such that the chosen one of a pair scores higher.

Paper: Ouyang et al., arXiv:2203.02155, equation 1 (Bradley and Terry's model), with r(x, y) = w · h read at
the reply's last token (`engine.heads`).

    loss = − log σ(r(x, y_w) − r(x, y_l) − m) + η (r(x, y_w) + r(x, y_l))², mean over pairs

m is the pair's margin if `use_margin` (arXiv:2307.09288, equation 2), else 0; η is `centring`
(arXiv:2312.09244). Departures: an adapter and the head w are trained, not the whole model; a pair is one row,
prompt | chosen | rejected. A part of the prompts is held out, and never trained on, to measure how often the
chosen reply scores higher; the mean and standard deviation of the scores are measured, to read them by.
The result scores replies and cannot chat.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.examples import Pair
from engine.options import Optimisation, option
from engine.spec import Event, Method

if TYPE_CHECKING:
    from torch import Tensor

    from engine.batches import Batch, Tree
    from engine.job import Job, Outcome

FEWEST_PROMPTS = 10  # with fewer, a held-out part says nothing
NORMALISED_ON = 128  # pairs at most: the mean of 256 scores is off by a sixteenth of their deviation
AT_A_TIME = 8  # pairs that are measured between two questions whether the run is to end


@dataclass(frozen=True)
class Options(Optimisation):
    """What can be set for a reward model."""

    learning_rate: float = option(1e-4, "the highest learning rate", 0.0, 1.0, common=True)
    use_margin: bool = option(False, "let the chosen reply win by the pair's own margin: arXiv:2307.09288")
    centring: float = option(
        0.0, "how strongly scores are held around 0; 0.01 is usual: arXiv:2312.09244", 0.0, 100.0
    )
    held_out: float = option(
        0.1, "part of the prompts that is not trained on but measured on", 0.0, 0.5, common=True
    )


def train(job: "Job") -> "Outcome":
    """Train the job's adapter and a head on its pairs, then measure what they learnt."""
    import torch

    from engine import heads, losses
    from engine.encode import encode, pair_tree
    from engine.loop import fit

    def as_tree(row: Pair) -> "Tree":
        return pair_tree(job, row)

    job, trees = encode(job, as_tree)  # type: ignore[arg-type]
    base, options = job.base, job.options
    margins = torch.tensor(_margins(job), device=base.device)
    trained, held_out = _split(job, trees)
    head = _head(job)

    def objective(numbers: Sequence[int], batch: "Batch") -> "tuple[Tensor, dict[str, Tensor]]":
        chosen, rejected = heads.scores(base.model, batch, head).reshape(-1, 2).unbind(1)
        margin = margins[[trained[i] for i in numbers]]
        loss = losses.bradley_terry(chosen=chosen, rejected=rejected, margin=margin)
        if options.centring:
            loss = loss + options.centring * losses.centring(chosen=chosen, rejected=rejected)
        return loss.sum(), {"accuracy": hits(chosen, rejected).sum(), "margin": (chosen - rejected).sum()}

    rows = [trees[i] for i in trained]
    outcome = fit(job, rows, objective, weights=[1] * len(rows), extra={"head": head})
    if outcome.stopped == "pause":
        return outcome
    return _measured(job, outcome, head.detach(), rows, [trees[i] for i in held_out])


def _measured(
    job: "Job", outcome: "Outcome", weight: "Tensor", rows: "Sequence[Tree]", held_out: "Sequence[Tree]"
) -> "Outcome":
    """The outcome with its head, and what was measured of it; of a run that is to end, on the first few rows.

    These are drawn, so that a part of them says the same as all, less surely. A pause leaves no head.
    """
    from dataclasses import replace

    from engine import heads, processes

    dice = random.Random(job.spec.seed)
    sample = dice.sample(rows, min(len(rows), NORMALISED_ON))
    held_out = dice.sample(held_out, len(held_out))
    reference, scored = _scores(job, sample, weight), _scores(job, held_out, weight)
    if len(reference) < len(sample) or len(scored) < len(held_out):
        outcome = replace(outcome, stopped=processes.from_main(job.should_stop()))
        if outcome.stopped == "pause":
            return outcome
        job.warn(f"The run was to end: measured on {len(scored)} of {len(held_out)} held-out pairs.")
    accuracy = None
    if held_out:
        prompts = {tuple(tree.prompt) for tree in held_out[: len(scored)]}
        accuracy = _accuracy(scored) | {"prompts": len(prompts)}
        job.emit(Event("evaluation", {"what": "held-out pairs", **accuracy}))
    found = heads.RewardHead(weight, float(reference.mean()), float(reference.std()), accuracy)
    return replace(outcome, head=found)


def _scores(job: "Job", trees: "Sequence[Tree]", weight: "Tensor") -> "Tensor":
    """The scores of each tree's two replies, or of the first few trees', once the run is to end: (n, 2)."""
    import torch

    from engine import heads, processes

    found = [torch.empty(0, 2)]
    for start in range(0, len(trees), AT_A_TIME):
        if start and processes.from_main(job.should_stop()):
            break
        some = trees[start : start + AT_A_TIME]
        found.append(heads.tree_scores(job.base, some, weight, layout=job.layout))
    return torch.cat(found)


def _head(job: "Job") -> "Tensor":
    """The head of the reward model that the run goes on from, or a fresh one."""
    from pathlib import Path

    from engine import adapters, heads

    parent = Path(job.spec.parent) if job.spec.parent else None
    if parent and "reward" in adapters.card(parent):
        return heads.load(parent, job.base).weight
    return heads.fresh(job.base, job.spec.seed)


def hits(chosen: "Tensor", rejected: "Tensor") -> "Tensor":
    """1 where the chosen reply scores higher, ½ where both score the same, else 0: (P,), (P,) → (P,)."""
    return (chosen > rejected).float() + 0.5 * (chosen == rejected).float()


def split(prompts: Sequence[tuple[int, ...]], part: float, seed: int) -> tuple[list[int], list[int]]:
    """Row numbers to train on and to hold out: `part` of the distinct prompts, each with all of its rows."""
    distinct = list(dict.fromkeys(prompts))
    count = max(1, round(part * len(distinct))) if part else 0
    kept_back = set(random.Random(seed).sample(distinct, count))
    rows = range(len(prompts))
    return [i for i in rows if prompts[i] not in kept_back], [i for i in rows if prompts[i] in kept_back]


def _split(job: "Job", trees: "Sequence[Tree]") -> tuple[list[int], list[int]]:
    """`split`, and a word to the person about what is not trained on, or why nothing can be measured."""
    prompts = [tuple(tree.prompt) for tree in trees]
    distinct = len(set(prompts))
    if not job.options.held_out:
        job.note("No pairs are held out: how often the reward model is right on new prompts stays unknown.")
    elif distinct < FEWEST_PROMPTS:
        job.warn(
            f"The pairs have {distinct} distinct prompts, and holding some out takes {FEWEST_PROMPTS}: "
            "all are trained on, and how often the reward model is right on new prompts stays unknown."
        )
    else:
        trained, held_out = split(prompts, job.options.held_out, job.spec.seed)
        job.note(
            f"{len(held_out)} of {len(trees)} pairs are held out to measure on, not trained on: "
            f"all that have one of {len({prompts[i] for i in held_out})} of the {distinct} prompts."
        )
        return trained, held_out
    return list(range(len(trees))), []


def _margins(job: "Job") -> list[float]:
    """Each pair's margin, or 0. Raises UserError when margins are asked for and no pair has one."""
    given = [row.margin for row in job.examples if isinstance(row, Pair)]
    if not job.options.use_margin:
        return [0.0] * len(given)
    without = given.count(None)
    if without == len(given):
        raise UserError("None of the pairs has a margin.", do="Leave use_margin out.")
    if without:
        job.warn(f"{without} of {len(given)} pairs have no margin: 0 is taken.")
    return [margin or 0.0 for margin in given]


def _accuracy(scored: "Tensor") -> dict[str, float]:
    """How often the first of two scores is the higher, with Wilson's 95 % interval: (P, 2) →.

    The interval takes pairs as independent; it is too narrow where many share a prompt.
    """
    from engine.chance import wilson

    count = len(scored)
    right = float(hits(*scored.unbind(1)).sum())
    low, high = wilson(right, count)
    return {"accuracy": right / count, "low": low, "high": high, "pairs": count}


METHOD = Method(
    name="reward",
    title="Reward modelling",
    learns_from=Pair,
    options=Options,
    train=train,
    paper="arXiv:2203.02155",
    makes="reward model",
)
