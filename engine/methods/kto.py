"""Kahneman–Tversky optimisation: learn from replies that were found good or bad, one at a time.

Paper: Ethayarajh et al., arXiv:2402.01306, section 4.

    r = log π(y|x)/π_ref(y|x)
    loss = λ_D (1 − σ(β (r − z₀))) for a good reply, λ_U (1 − σ(β (z₀ − r))) for a bad one, mean over replies
    z₀ = max(0, mean of log π(y′|x)/π_ref(y′|x)), without gradient

y′ is a mismatched reply: that of another row of the optimiser's batch, turned round by as few places as leave
the fewest rows with a reply to their own prompt, or with one that says the same as their own. z₀ is of the
whole batch, however it is cut into micro-batches. Rows are shuffled anew in each epoch (TRL never shuffles).

Departures: the reference is the weights that the run starts from, as for DPO; its log-probs are computed
once, before the first step, and all that follows a prompt, its own replies and the mismatched ones of every
epoch, shares the computation of that prompt. λ_D and λ_U are chosen, where they are not given, such that
λ_D·n_D / λ_U·n_U lies in [1, 4/3]. Before each step the mismatched replies are read, without gradient, on
what the policy's own pass over the prompts has left in each layer (`engine.continuing`). All micro-batches'
graphs are held until z₀ is known; where these are too many tokens, z₀ is taken in a pass of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.examples import Rated
from engine.options import Optimisation, option
from engine.spec import Method, Spec, options_from

if TYPE_CHECKING:
    from torch import Tensor

    from engine.batches import Batch, Tree
    from engine.job import Job, Outcome
    from engine.loop import Trainer

HELD = 2  # micro-batches, whose graphs may be held at once: measured, tests/bench/README.md
MOST = 4 / 3  # of λ_D·n_D / λ_U·n_U, whose least is 1


@dataclass(frozen=True)
class Options(Optimisation):
    """What can be set for KTO."""

    learning_rate: float = option(5e-5, "the highest learning rate", 0.0, 1.0, common=True)
    beta: float = option(0.1, "how strongly the policy is held to where it started", 1e-6, 100.0, common=True)
    good_weight: float = option(0.0, "λ_D, what a good reply counts; 0: balanced with the bad", 0.0, 1e6)
    bad_weight: float = option(0.0, "λ_U, what a bad reply counts; 0: balanced with the good", 0.0, 1e6)


def train(job: "Job") -> "Outcome":
    """Train the job's adapter on its rated replies."""
    import torch

    from engine import losses
    from engine.continuing import Held
    from engine.encode import encode
    from engine.logps import branch_log_probs
    from engine.loop import fit

    refuse(job.spec)

    def as_tree(row: Rated) -> "Tree":
        return reply_tree(job, row)

    job, trees = encode(job, as_tree)  # type: ignore[arg-type]
    device, beta = job.base.device, job.options.beta
    good = torch.tensor([isinstance(row, Rated) and row.good for row in job.examples], device=device)
    weight = torch.where(good, *_weights(job, int(good.sum()), int((~good).sum())))
    order = _batches(job, len(trees))
    strangers = _mismatched(job, trees, order)
    keep = _reference(job, order, _all(trees, order, strangers))
    reference, reference_strangers = keep["reference"], keep["mismatched"]
    baseline = torch.zeros((), device=device)
    share: dict[str, float] = {}
    held = Held(job, trees, HELD)

    def before(trainer: "Trainer") -> None:
        nonlocal baseline, share
        batch = order[trainer.step]
        start = sum(map(len, order[: trainer.step]))
        these = slice(start, start + len(batch))
        sums = held.read(batch, [stranger.branches[0].ids for stranger in strangers[these]])
        if sums is None:
            sums = _log_probs(job, trainer, strangers[these])
        baseline = losses.kto_baseline(mismatched=sums, reference_mismatched=reference_strangers[these])
        found = int(good[batch].sum())
        share = {"reward_good": found / len(batch), "reward_bad": 1 - found / len(batch)}

    def objective(numbers: Sequence[int], batch: "Batch") -> "tuple[Tensor, dict[str, Tensor]]":
        reply = held.take(numbers)
        if reply is None:
            reply = branch_log_probs(job.base.model, batch)
        loss = losses.kto(
            reply=reply,
            reference=reference[numbers],
            good=good[numbers],
            baseline=baseline,
            beta=beta,
            weight=weight[numbers],
        )
        rewards = beta * (reply.detach() - reference[numbers])
        sums = {"reward_good": rewards[good[numbers]].sum(), "reward_bad": rewards[~good[numbers]].sum()}
        shown = {name: sums[name] / share[name] for name in sums if share[name]}  # means over their own kind
        return loss.sum(), {"kl": baseline * len(numbers), **shown}

    return fit(job, trees, objective, weights=[1] * len(trees), keep=keep, order=order, before=before)


def reply_tree(job: "Job", row: Rated) -> "Tree":
    """A prompt with its rated reply."""
    from engine.batches import Branch, Tree

    prompt, reply = job.template.reply(row.prompt, row.reply)
    return Tree(prompt, [Branch.reply(reply)])


def balanced(good: int, bad: int, good_weight: float = 0.0, bad_weight: float = 0.0) -> tuple[float, float]:
    """λ_D and λ_U for so many good and bad rows; a weight of 0 is chosen, as near to 1 as may be, such that

    λ_D·n_D / λ_U·n_U lies in [1, 4/3] (arXiv:2402.01306, section 4). Nothing is chosen with one kind alone.
    """
    if not (good and bad):
        return good_weight or 1.0, bad_weight or 1.0
    if not good_weight:
        least = (bad_weight or 1.0) * bad / good
        good_weight = min(max(1.0, least), MOST * least) if bad_weight else max(1.0, least)
    if not bad_weight:
        most = good_weight * good / bad
        bad_weight = min(max(1.0, most / MOST), most)
    return good_weight, bad_weight


def rotated(rows: Sequence[tuple[object, object]]) -> list[int]:
    """Whose reply each of `rows` (prompt, reply) is mismatched with: that of the row k places before it.

    k is the same for all, so that each reply is used once: the least that makes the fewest rows meet a reply
    to their own prompt, or one equal to their own.
    """
    count = len(rows)

    def meetings(k: int) -> int:
        return sum(rows[i][0] == rows[i - k][0] or rows[i][1] == rows[i - k][1] for i in range(count))

    k = min(range(1, count), key=lambda k: (meetings(k), k))
    return [(i - k) % count for i in range(count)]


def _weights(job: "Job", good: int, bad: int) -> "tuple[Tensor, Tensor]":
    """λ_D and λ_U, which a person is told."""
    import torch

    options = job.options
    pair = balanced(good, bad, options.good_weight, options.bad_weight)
    if not (good and bad):
        job.warn(
            f"All {good + bad} replies are {'good' if good else 'bad'}: KTO learns more from both kinds."
        )
        return torch.tensor(pair[0]), torch.tensor(pair[1])
    ratio = pair[0] * good / (pair[1] * bad)
    told = f"{good} good replies count {pair[0]:.4g} each and {bad} bad ones {pair[1]:.4g}: {ratio:.3g} to 1"
    if 1 - 1e-6 <= ratio <= MOST + 1e-6:
        job.note(f"{told}.")
    else:
        job.warn(f"{told}; the paper advises 1 to 1.33. Leave one of the weights at 0 to have it balanced.")
    return torch.tensor(pair[0]), torch.tensor(pair[1])


def _batches(job: "Job", rows: int) -> list[list[int]]:
    """The rows of each step. A batch of one row has no other row's reply: it joins the one before."""
    from engine.loop import batches

    order: list[list[int]] = []
    for batch in batches(rows, job.options, job.spec.seed):
        if len(batch) == 1:
            order[-1] = order[-1] + batch
        else:
            order.append(batch)
    if rows % job.options.batch_size == 1:
        job.note("The last row of each epoch would be a batch of one: it joins the batch before.")
    return order


def _mismatched(job: "Job", trees: "Sequence[Tree]", order: Sequence[Sequence[int]]) -> "list[Tree]":
    """Each row's prompt with another row's reply, batch after batch: as many as there are rows in `order`."""
    from engine.batches import Branch, Tree

    found, cut, met = [], 0, 0
    for batch in order:
        rows = [trees[i] for i in batch]
        others = rotated([(row.prompt, row.branches[0].ids) for row in rows])
        for row, other in zip(rows, (rows[i] for i in others), strict=True):
            reply = other.branches[0].ids
            room = job.max_length - len(row.prompt)
            cut += len(reply) > room
            met += row.prompt == other.prompt or row.branches[0].ids == reply
            found.append(Tree(row.prompt, [Branch.reply(reply[:room])]))
    if cut:
        job.note(f"{cut} of {len(found)} mismatched replies are cut to fit behind their prompt.")
    if met:
        job.note(
            f"{met} of {len(found)} mismatched replies belong to the same prompt, or equal the row's own: "
            "its batch has no better, and the baseline counts them all the same."
        )
    return found


def _all(
    trees: "Sequence[Tree]", order: Sequence[Sequence[int]], strangers: "Sequence[Tree]"
) -> "list[Tree]":
    """Each row's prompt with its own reply, then with the mismatched one of every epoch."""
    from engine.batches import Tree

    found = [Tree(tree.prompt, list(tree.branches)) for tree in trees]
    for i, stranger in zip((i for batch in order for i in batch), strangers, strict=True):
        found[i].branches.extend(stranger.branches)
    return found


def references(job: "Job", trees: "Sequence[Tree]") -> "list[Tree]":
    """What `_reference` takes log-probs of."""
    order = _batches(job, len(trees))
    return _all(trees, order, _mismatched(job, trees, order))


def _reference(job: "Job", order: Sequence[Sequence[int]], trees: "Sequence[Tree]") -> "dict[str, Tensor]":
    """Log-probs under the starting weights: "reference" of each row, "mismatched" of each in `order`."""
    import torch

    from engine.reference import reference_log_probs

    if job.checkpoint:
        return {name: value.to(job.base.device) for name, value in job.checkpoint.part("keep").items()}
    found = reference_log_probs(job, trees)  # (rows, 1 + epochs)
    rows = torch.tensor([i for batch in order for i in batch], device=found.device)
    epochs = torch.arange(len(rows), device=found.device) // len(trees)
    return {"reference": found[:, 0].contiguous(), "mismatched": found[rows, 1 + epochs]}


def _log_probs(job: "Job", trainer: "Trainer", trees: "Sequence[Tree]") -> "Tensor":
    """The policy's log-probs of trees of one branch, without gradient: (trees,), alike on every process."""
    import torch

    from engine import memory, processes
    from engine.batches import micro_batches
    from engine.logps import branch_log_probs

    def work(groups: Sequence[Sequence[int]]) -> "Tensor":
        sums = torch.zeros(len(trees), device=job.base.device)
        for group, counts in processes.dealt(groups, even=job.base.shards is not None):
            with torch.no_grad(), job.base.autocast():
                found = branch_log_probs(job.base.model, job.collate([trees[i] for i in group]))
            sums[group] = found * counts
        return sums

    lengths = [job.row_tokens(tree) for tree in trees]
    return trainer.total(memory.fitting(job, partial(micro_batches, range(len(trees)), lengths), work))


def refuse(spec: Spec) -> None:
    """Raise UserError for what cannot work on any base."""
    if options_from(METHOD, spec.options).batch_size < 2:
        raise UserError(
            "KTO takes two rows or more per optimiser step: the baseline comes from other rows' replies.",
            do="Set batch_size to 2 or more; 8 is usual.",
        )


METHOD = Method(
    name="kto",
    title="Kahneman–Tversky optimisation",
    learns_from=Rated,
    options=Options,
    train=train,
    paper="arXiv:2402.01306",
    refuse=refuse,
    references=references,
    held=HELD,
)
