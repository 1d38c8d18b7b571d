"""Direct preference optimisation: make the chosen reply likelier than the rejected, measured from the start.

Paper: Rafailov et al., arXiv:2305.18290, equation 7.

    loss = − log σ(β [log π(y_w|x)/π_ref(y_w|x) − log π(y_l|x)/π_ref(y_l|x)]), mean over pairs

`objective` puts another function of the same log-probs in its place: each is in `engine.losses`, with its
paper and equation. SimPO and ORPO do without the reference; S-DPO sets one chosen reply against all that were
rejected for it. `rpo_alpha` adds the chosen reply's likelihood to any of them: without it both replies may
become unlikely, as long as the rejected one does so faster.

Departures: the reference is the weights that the run starts from, the base or the adapter it goes on
from; its log-probs are computed once, before the first step, and cached. A pair is one row,
prompt | chosen | rejected. IPO is the paper's: TRL's divides log-probs by the reply's length. TRL smooths
labels in its robust loss alone; here `conservative` does too. ORPO's likelihood is that of the chosen reply,
without the prompt's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from engine.examples import Pair
from engine.options import Optimisation, option
from engine.spec import Method

if TYPE_CHECKING:
    from torch import Tensor

    from engine.batches import Batch, Tree
    from engine.job import Job, Outcome


@dataclass(frozen=True)
class Objective:
    """What an objective takes: which options, and whether it is measured from the reference.

    `beta` is its own default.
    """

    title: str
    takes: tuple[str, ...] = ("beta",)
    reference: bool = True
    beta: float = 0.1


OBJECTIVES = {
    "dpo": Objective("DPO, arXiv:2305.18290"),
    "ipo": Objective("IPO, arXiv:2310.12036"),
    "conservative": Objective("conservative DPO, Mitchell 2023", ("beta", "label_smoothing")),
    "robust": Objective("robust DPO, arXiv:2403.00409", ("beta", "label_smoothing")),
    "hinge": Objective("SLiC's hinge, arXiv:2305.10425"),
    "simpo": Objective("SimPO, arXiv:2405.14734", ("beta", "gamma"), reference=False, beta=2.0),
    "orpo": Objective("ORPO, arXiv:2403.07691", reference=False),
    "sdpo": Objective("S-DPO, arXiv:2406.09215"),
}


@dataclass(frozen=True)
class Options(Optimisation):
    """What can be set for DPO and its kin."""

    learning_rate: float = option(5e-5, "the highest learning rate", 0.0, 1.0, common=True)
    objective: str = option(
        "dpo",
        "what is made of a pair",
        choices={name: objective.title for name, objective in OBJECTIVES.items()},
        common=True,
    )
    beta: float = option(
        0.0,
        "how strongly the policy is held to where it started (IPO's τ; ORPO's λ); "
        "0: the objective's own, 0.1, or 2 for simpo",
        0.0,
        100.0,
        common=True,
    )
    gamma: float = option(
        1.0, "simpo: by how much the chosen reply is to win (γ): arXiv:2405.14734", 0.0, 100.0
    )
    rpo_alpha: float = option(
        0.0, "times the chosen reply's mean −log p per token, added to the loss: arXiv:2404.19733", 0.0, 100.0
    )
    label_smoothing: float = option(
        0.1, "conservative, robust: how often a label is the wrong way round: arXiv:2403.00409", 0.0, 0.49
    )


def train(job: "Job") -> "Outcome":
    """Train the job's adapter on its pairs."""
    import torch

    from engine import losses
    from engine.encode import encode, pair_tree
    from engine.logps import branch_log_probs
    from engine.loop import fit
    from engine.reference import reference_log_probs

    def as_tree(row: Pair) -> "Tree":
        return pair_tree(job, row)

    job, trees = encode(job, as_tree)  # type: ignore[arg-type]
    settings = _settings(job)
    if job.options.objective == "sdpo":
        trees = _grouped(job, trees)
    keep = {}
    if OBJECTIVES[job.options.objective].reference:
        kept = job.checkpoint.part("keep").get("reference") if job.checkpoint else None
        keep["reference"] = reference_log_probs(job, trees) if kept is None else kept.to(job.base.device)
    score, alpha = _score(job.options.objective, settings), job.options.rpo_alpha

    def objective(numbers: Sequence[int], batch: "Batch") -> "tuple[Tensor, dict[str, Tensor]]":
        counts = [len(trees[i].branches) for i in numbers]
        sums = branch_log_probs(job.base.model, batch)
        replies = Replies(
            log_probs=_table(sums, counts, -torch.inf),
            lengths=_table(torch.bincount(batch.owner, minlength=batch.branches), counts, 1).clamp(min=1),
            reference=keep["reference"][numbers][:, : max(counts)] if keep else None,
        )
        loss, rewards = score(replies)
        if alpha:
            loss = loss + alpha * losses.likelihood(
                chosen=replies.log_probs[:, 0], chosen_length=replies.lengths[:, 0]
            )
        return loss.sum(), _metrics(replies.log_probs.detach(), rewards.detach())

    return fit(job, trees, objective, weights=[1] * len(trees), keep=keep)


def references(job: "Job", trees: "Sequence[Tree]") -> "Sequence[Tree]":
    """The pairs, if the objective is measured from the reference. S-DPO groups them: the same replies."""
    return trees if OBJECTIVES[job.options.objective].reference else []


@dataclass(frozen=True)
class Replies:
    """P prompts with at most K replies each, the chosen one first, as (P, K) tensors.

    Where a prompt has fewer, log-probs are −∞. `reference` holds log-probs too, `lengths` trained tokens.
    """

    log_probs: "Tensor"
    lengths: "Tensor"
    reference: "Tensor | None"


def _score(name: str, settings: dict[str, float]) -> "Callable[[Replies], tuple[Tensor, Tensor]]":
    """The objective called `name`: from replies to losses (P,) and the rewards (P, K) that they compare."""
    from engine import losses

    loss_of: Callable[..., Tensor] = getattr(losses, name)

    def split(prefix: str, values: "Tensor", suffix: str = "") -> "dict[str, Tensor]":
        rejected = values[:, 1:] if name == "sdpo" else values[:, 1]
        return {f"{prefix}chosen{suffix}": values[:, 0], f"{prefix}rejected{suffix}": rejected}

    def score(replies: Replies) -> "tuple[Tensor, Tensor]":
        policy, lengths, beta = replies.log_probs, replies.lengths, settings["beta"]
        if replies.reference is not None:
            given = split("", policy) | split("reference_", replies.reference)
            return loss_of(**given, **settings), beta * (policy - replies.reference)
        given = split("", policy) | split("", lengths, "_length")
        rewards = losses.log_odds(policy, lengths) if name == "orpo" else beta * policy / lengths
        return loss_of(**given, **settings), rewards

    return score


def _metrics(log_probs: "Tensor", rewards: "Tensor") -> "dict[str, Tensor]":
    """Sums over prompts; of several rejected replies the mean counts, and accuracy asks to beat them all."""
    import torch

    there = log_probs[:, 1:] > -torch.inf

    def rejected(values: "Tensor") -> "Tensor":
        return torch.where(there, values[:, 1:], 0).sum(1) / there.sum(1)

    return {
        "accuracy": (rewards[:, :1] > rewards[:, 1:]).all(1).sum(),
        "margin": (rewards[:, 0] - rejected(rewards)).sum(),
        "reward_chosen": rewards[:, 0].sum(),
        "reward_rejected": rejected(rewards).sum(),
        "logp_chosen": log_probs[:, 0].sum(),
        "logp_rejected": rejected(log_probs).sum(),
    }


def _table(values: "Tensor", counts: Sequence[int], empty: float) -> "Tensor":
    """Each prompt's replies in a row: (sum of counts,) → (P, max of counts), `empty` where there is none."""
    from torch.nn.utils.rnn import pad_sequence

    return pad_sequence(values.split(counts), batch_first=True, padding_value=empty)


def _settings(job: "Job") -> dict[str, float]:
    """What the objective takes, and a word about options that it does not."""
    options, chosen = job.options, OBJECTIVES[job.options.objective]
    settings = {name: getattr(options, name) for name in chosen.takes}
    settings["beta"] = options.beta or chosen.beta
    told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in settings.items())
    job.note(f"The objective is {chosen.title}, with {told}.")
    defaults = {field.name: field.default for field in fields(options)}
    for name in ("gamma", "label_smoothing"):
        value = getattr(options, name)
        if name not in settings and value != defaults[name]:
            job.warn(f"{name} {value:g} changes nothing: the objective {options.objective} does not have it.")
    return settings


def _grouped(job: "Job", trees: "Sequence[Tree]") -> "list[Tree]":
    """Pairs with the same prompt and chosen reply as one tree; a reply rejected twice is there once."""
    from engine.batches import Branch, Tree

    groups: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[tuple[int, ...], Branch]] = {}
    for tree in trees:
        chosen, rejected = tree.branches
        group = groups.setdefault((tuple(tree.prompt), tuple(chosen.ids)), {})
        group[tuple(rejected.ids)] = rejected
    grouped = [
        Tree(list(prompt), [Branch.reply(list(chosen)), *group.values()])
        for (prompt, chosen), group in groups.items()
    ]
    rejected_replies = sum(len(tree.branches) - 1 for tree in grouped)
    again = len(trees) - rejected_replies
    job.note(
        f"{len(trees)} pairs are {len(grouped)} chosen replies, each against 1 to "
        f"{max(len(tree.branches) for tree in grouped) - 1} rejected ones"
        + (f"; {again} repeated pairs count once." if again else ".")
    )
    if rejected_replies == len(grouped):
        job.warn("No two pairs share prompt and chosen reply: S-DPO is DPO on this data.")
    return grouped


METHOD = Method(
    name="dpo",
    title="Direct preference optimisation",
    learns_from=Pair,
    options=Options,
    train=train,
    paper="arXiv:2305.18290",
    references=references,
)
