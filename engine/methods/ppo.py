"""Proximal policy optimisation: draw replies, have them scored, and make those better than expected likelier.

Papers: Schulman et al., arXiv:1707.06347, as used for language models by Ziegler et al., arXiv:1909.08593,
and Stiennon et al., arXiv:2009.01325; details by Huang et al., arXiv:2403.17031. Each phase of a run:

    r_t  = − β log π_old(y_t|·)/π_ref(y_t|·), and at the last token + r(x, y)   1909.08593, equation 2
    A_t  = Σ_l (γλ)^l δ_{t+l},  δ_t = r_t + γ V_{t+1} − V_t                     1506.02438, equation 16
    loss = − min(ρ_t A_t, clip(ρ_t, 1 − ε, 1 + ε) A_t),  ρ_t = π/π_old          1707.06347, equation 7
           + c · ½ max((V − R)², (clip(V, V_old ± ε_v) − R)²),  R = A + V_old   2005.12729, section 3

Departures: policy, reference, reward model and value function are adapters over one frozen base, not four
models. A row is a prompt with all of its sampled replies, computed as one tree; a phase's tokens lie one
after the other, so a mean or a variance over them is the masked one, and prompts are padded for drawing
alone. A reply that is cut off gets a fixed reward in place of its score. Advantages are whitened over the
phase, not the minibatch; rewards are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cards import refuse_guessing
from engine.errors import UserError
from engine.examples import Example, Prompt
from engine.options import Optimisation, option
from engine.spec import Method, Spec, options_from

if TYPE_CHECKING:
    from engine.actors import Actors
    from engine.batches import Tree
    from engine.experience import Experience
    from engine.job import Job, Outcome
    from engine.loop import Sums
    from engine.phases import Control, Step
    from engine.rollouts import Reply

REFERENCE_REPLIES = 256  # the mean of as many scores is off by a sixteenth of their deviation
FEWEST_REPLIES = 16  # with an end: of fewer, mean and deviation say little
REFERENCE = -1  # names their random numbers, as a phase's number names those of its replies


@dataclass(frozen=True)
class Options(Optimisation):
    """What can be set for PPO; a row of `batch_size` is a prompt with its samples."""

    learning_rate: float = option(5e-5, "the highest learning rate", 0.0, 1.0, common=True)
    rollout_batch: int = option(64, "prompts whose replies are drawn in one phase", 1, 65536, common=True)
    samples: int = option(2, "replies drawn for each prompt", 1, 256, common=True)
    ppo_epochs: int = option(2, "how often a phase's replies are learnt from", 1, 100)
    max_new_tokens: int = option(128, "longest reply in tokens", 1, common=True)
    temperature: float = option(1.0, "of the replies that are drawn", 0.01, 10.0)
    clip_range: float = option(0.2, "how far a token's probability may move in a phase", 0.0, 10.0)
    value_clip_range: float = option(0.2, "how far a value may move in a phase", 0.0, 1000.0)
    value_coefficient: float = option(0.1, "weight of the value function's loss", 0.0, 100.0)
    gamma: float = option(1.0, "what a reward one token later is worth", 0.0, 1.0)
    gae_lambda: float = option(0.95, "0: advantages by values; 1: by rewards (λ): arXiv:1506.02438", 0.0, 1.0)
    kl_coefficient: float = option(
        0.05, "price of a nat of KL from the start; the first, if adaptive", 0.0, common=True
    )
    target_kl: float = option(
        6.0, "KL in nats per reply that the price adapts to; 0: fixed: arXiv:1909.08593", 0.0
    )
    kl_horizon: int = option(2000, "replies over which the price makes up for a KL off its target", 1)
    missing_end_penalty: float = option(
        1.0, "minus this is the score of a reply without an end; the starting model's average is 0", 0.0
    )
    desired_kl: float = option(
        0.0, "KL of a phase's updates that the learning rate adapts to; 0: falls linearly", 0.0
    )
    trust_reward: bool = option(False, "go on with a reward model not known to be better than chance")


def train(job: "Job") -> "Outcome":
    """Train the job's adapter on replies that it draws itself to the job's prompts."""
    from functools import partial

    from engine.actors import Actors
    from engine.encode import encode
    from engine.experience import Experience
    from engine.job import Interrupted, Outcome
    from engine.loop import Trainer, learning_rate
    from engine.phases import Control, schedule

    refuse_on(job)
    job, prompts = encode(job, partial(prompt_tree, job))
    options, device = job.options, job.base.device
    actors = Actors(job)
    steps = list(schedule(options, len(prompts), job.spec.seed))
    # 10. Adam's epsilon is 1e-5, not 1e-8.
    trainer = Trainer(job, actors.trained(), steps=len(steps), epsilon=1e-5)
    kept = job.checkpoint.part("keep") if job.checkpoint else {}
    control = Control(options, kept)
    asked = {step.phase: step.prompts for step in steps}
    experience = Experience.restored(kept, lambda phase: [prompts[i] for i in asked[phase]], device)
    if not kept:
        control.reward_mean, control.reward_std = reference_scores(job, actors, prompts)  # 4

    for step in steps[trainer.step :]:
        keep = control.tensors() | (experience.tensors() if experience else {})
        if stopped := trainer.pause(keep):
            return Outcome(trainer.step, stopped)
        if experience is None or experience.phase != step.phase:
            # 1. Prompts are padded on the left; positions count real tokens.
            # 2. Replies are drawn from the policy at the temperature that all log-probs are taken at, and
            #    end with their end token: nothing behind it is scored or trained on.
            try:
                rollouts = actors.draw([prompts[i].prompt for i in step.prompts], stream=step.phase)
                experience = judge(job, actors, step, prompts, rollouts, control)  # 3 to 8
            except Interrupted as end:  # the phase begins anew when the run goes on
                trainer.save(keep)
                return Outcome(trainer.step, end.why)
            if what := experience.not_finite(rollouts):
                raise trainer.diverged(what)
            # 11. The price of KL that the next phase will have follows this one's.
            control.meet(float(experience.shown["kl"]), replies=len(step.prompts) * options.samples)
        # 9. Several epochs of clipped updates: policy and value function, each through its own adapter.
        lengths = [job.row_tokens(tree) for tree in experience.trees]
        cut = partial(micro_batches_of_both, step.rows, lengths)
        sums = partial(objective, job, actors, experience)
        learnt = [experience.trees[i] for i in step.rows]
        shown = trainer.gradients(cut, sums, total=sum(tree.trained for tree in learnt))
        rate = learning_rate(options.learning_rate, trainer.step, trainer.steps, options.warmup)
        read = sum(tree.length for tree in learnt)
        numbers = trainer.update(shown | experience.shown, control.rate(rate), tokens=read)
        # 12. The learning rate, if it is to follow the KL of a phase's updates.
        if step.last:
            control.adapt(numbers["kl_step"])
    return Outcome(trainer.step, "")


def reference_scores(job: "Job", actors: "Actors", prompts: "Sequence[Tree]") -> tuple[float, float]:
    """Mean and standard deviation of the scores of the starting model's own replies to the run's prompts.

    By them rewards are normalised throughout, arXiv:1909.08593, section 2. Replies without an end do not
    count; where too few are left, it is the reward model's own normalisation.
    """
    from itertools import cycle, islice

    from engine.batches import shuffled
    from engine.experience import answered

    options, head = job.options, actors.reward_head
    order = next(shuffled(len(prompts), 1, job.spec.seed))
    count = -(-REFERENCE_REPLIES // options.samples)
    asked = [prompts[i] for i in islice(cycle(order), count)]
    rollouts = actors.draw([tree.prompt for tree in asked], stream=REFERENCE)
    ended = [reply.ended for replies in rollouts for reply in replies]
    scores = actors.scores([answered(*pair) for pair in zip(asked, rollouts, strict=True)])[ended]
    if 2 * sum(ended) < len(ended):
        job.warn(
            f"Only {sum(ended)} of {len(ended)} replies of the starting model end within "
            f"{options.max_new_tokens} tokens. Each of the others scores −{options.missing_end_penalty:g}, "
            "whatever it says: most of what is learnt will be to end. Raise max_new_tokens, or train on "
            "demonstrations first."
        )
    if sum(ended) < FEWEST_REPLIES or scores.std() < 1e-3 * head.std:
        job.warn(
            f"The starting model's replies with an end ({sum(ended)}) are too few or too much alike to "
            "measure scores by: they are measured by those of the reward model's training replies."
        )
        return head.mean, head.std
    return float(scores.mean()), float(scores.std())


def judge(
    job: "Job",
    actors: "Actors",
    step: "Step",
    prompts: "Sequence[Tree]",
    rollouts: "Sequence[Sequence[Reply]]",
    control: "Control",
) -> "Experience":
    """What each token of a phase's replies was worth."""
    import torch

    from engine.advantages import gae, k3, sum_by_reply, token_rewards, whiten
    from engine.experience import Experience, answered, golds

    options, device = job.options, job.base.device
    replies = [reply for drawn in rollouts for reply in drawn]
    trees = [answered(prompts[i], drawn) for i, drawn in zip(step.prompts, rollouts, strict=True)]
    lengths = torch.tensor([len(reply.ids) for reply in replies], device=device)
    ended = torch.tensor([reply.ended for reply in replies], device=device)
    # 3. The score is read at the end token; a reply without one gets a fixed, low score.
    # 4. Scores are normalised: those of the starting model's own replies have mean 0 and deviation 1.
    scores = (actors.scores(trees) - control.reward_mean) / control.reward_std
    scores = torch.where(ended, scores, -options.missing_end_penalty)
    # 5. Log-probs of policy and reference, and values, without dropout, all by the model that is trained.
    old = actors.by_token(trees, actors.log_probs)
    reference = actors.by_token(trees, actors.reference_log_probs)
    values = actors.by_token(trees, actors.values)
    # 6. Each token pays for its KL from the reference.
    price = control.kl_coefficient
    rewards = token_rewards(scores, old - reference, lengths, kl_coefficient=price)
    # 7. Generalised advantage estimation.
    advantages = gae(rewards, values, lengths, gamma=options.gamma, gae_lambda=options.gae_lambda)
    shown = {
        "reward": scores.mean(),
        "kl": sum_by_reply(old - reference, lengths).mean(),
        "kl3": sum_by_reply(k3(reference - old), lengths).mean(),
        "entropy": -old.mean(),  # the mean of −log π over tokens drawn from π
        "length": lengths.float().mean(),
        "ended": ended.float().mean(),
        "kl_coefficient": torch.tensor(price, device=device),
    }
    if job.gold:  # the last of SHOWN
        shown["gold"] = torch.tensor(golds(job, step.prompts, rollouts), device=device)
    # 8. Advantages are whitened over the phase's tokens.
    return Experience(
        phase=step.phase,
        trees=trees,
        old_log_probs=old,
        values=values,
        advantages=whiten(advantages),
        returns=advantages + values,
        shown=shown,
    )


def micro_batches_of_both(
    rows: Sequence[int], lengths: Sequence[int], budget: int
) -> list[tuple[str, list[int]]]:
    """A minibatch's rows in micro-batches, first for the policy and then for the value function.

    Apart, because gradient checkpointing computes a forward pass again with the adapter that is then active.
    """
    from engine.batches import micro_batches

    groups = micro_batches(rows, lengths, budget)
    return [(who, group) for who in ("policy", "value") for group in groups]


def objective(
    job: "Job", actors: "Actors", experience: "Experience", group: tuple[str, Sequence[int]]
) -> "Sums":
    """The loss of one micro-batch for the policy or the value function, and what is to be shown of it."""
    import torch

    from engine import losses
    from engine.advantages import k3

    options, (who, numbers) = job.options, group
    tokens, batch = experience.tokens(numbers), job.collate([experience.trees[i] for i in numbers])
    zero = torch.zeros((), device=job.base.device)
    if who == "value":
        loss = losses.ppo_value(
            values=actors.values(batch),
            old_values=experience.values[tokens],
            returns=experience.returns[tokens],
            clip_range=options.value_clip_range,
        ).sum()
        return options.value_coefficient * loss, {"value_loss": loss, "clip_fraction": zero, "kl_step": zero}
    log_probs, old = actors.log_probs(batch), experience.old_log_probs[tokens]
    loss = losses.ppo_policy(
        log_probs=log_probs,
        old_log_probs=old,
        advantages=experience.advantages[tokens],
        clip_range=options.clip_range,
    ).sum()
    moved = (log_probs - old).detach()
    outside = moved.expm1().abs() > options.clip_range
    return loss, {"value_loss": zero, "clip_fraction": outside.sum(), "kl_step": k3(-moved).sum()}


def prompt_tree(job: "Job", row: Example) -> "Tree":
    """A prompt, with a reply as long as any can be: whether it fits is known before one is drawn."""
    from engine.batches import Branch, Tree

    assert isinstance(row, Prompt)
    longest = Branch.reply([job.base.end_tokens[0]] * job.options.max_new_tokens)
    return Tree(job.template.prompt(row.prompt, row.tools), [longest] * job.options.samples)


def refuse(spec: Spec) -> None:
    """Raise UserError for what cannot work on any base, or with this reward model."""
    options = options_from(METHOD, spec.options)
    if options.batch_size > options.rollout_batch:
        raise UserError(
            f"Optimiser steps on {options.batch_size} prompts cannot be taken from phases of "
            f"{options.rollout_batch}.",
            do="Raise rollout_batch, or lower batch_size.",
        )
    if spec.reward:
        refuse_guessing(Path(spec.reward), trusted=options.trust_reward)


def refuse_on(job: "Job") -> None:
    """Raise UserError for what cannot work on the job's base."""
    refuse(job.spec)
    options = job.options
    if not job.base.end_tokens:
        raise UserError(
            f"{job.base.name} has no token that ends a reply, so none would ever end.",
            do="Name one as eos_token in the base's tokenizer_config.json, or choose another base.",
        )
    if options.max_new_tokens >= job.max_length:
        raise UserError(
            f"Replies of {options.max_new_tokens} tokens leave no room for a prompt in {job.max_length}.",
            do="Lower max_new_tokens, or raise max_length.",
        )


METHOD = Method(
    name="ppo",
    title="Proximal policy optimisation",
    learns_from=Prompt,
    options=Options,
    train=train,
    paper="arXiv:1707.06347",
    refuse=refuse,
)
