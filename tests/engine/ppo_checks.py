"""What each step of PPO must come to, worked out by hand: for the steps, and for mistakes seeded in them."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.batches import Branch, Tree
from engine.examples import Message, Prompt
from engine.methods.ppo import Options
from engine.phases import Control, Step
from engine.rollouts import Reply

# Two replies to each of two prompts; the second has no end.
REPLIES = [
    [Reply([5, 2], [0.0, 0.0], True), Reply([6, 7], [0.0, 0.0], False)],
    [Reply([2], [0.0], True), Reply([8, 2], [0.0, 0.0], True)],
]
OLD = torch.tensor([-1.0, -2.0, -1.0, -1.0, -0.5, -1.0, -3.0])
REFERENCE = torch.tensor([-2.0, -2.0, -1.5, -1.0, -0.5, -1.0, -1.0])
SCORES = torch.tensor([7.0, 9.0, 3.0, 9.0])  # (score − 5) / 2 is 1, 2, −1, 2
VALUES = torch.tensor([0.5, 0.0, 0.0, 0.0, 0.5, 0.0, 1.0])


class Actors:
    """Stands in for the four models: says what is written above."""

    def __init__(self) -> None:
        self.scored: list[list[int]] = []

    def scores(self, trees: list[Tree]) -> torch.Tensor:
        self.scored = [branch.ids for tree in trees for branch in tree.branches]
        return SCORES

    def by_token(self, trees: list[Tree], compute: Any) -> torch.Tensor:
        return compute  # type: ignore[no-any-return]

    log_probs, reference_log_probs, values = OLD, REFERENCE, VALUES


def judged(ppo: Any, **changes: Any) -> tuple[Any, Actors]:
    """`ppo.judge` on the replies above."""
    options = Options(**({"missing_end_penalty": 4.0, "gae_lambda": 1.0} | changes))
    base = SimpleNamespace(
        device=torch.device("cpu"), tokenizer=SimpleNamespace(decode=lambda ids, **_: f"{len(ids)} tokens")
    )
    job = SimpleNamespace(
        options=options,
        base=base,
        examples=[Prompt((Message("user", "a"),)), Prompt((Message("user", "b"),))],
        gold=lambda prompt, text: 10.0 * (prompt[0].content == "b") + int(text[0]),
    )
    actors = Actors()
    prompts = [Tree([1, 3], [Branch([], [])]), Tree([1, 4], [Branch([], [])])]
    step = Step(phase=3, prompts=[0, 1], rows=[0], last=False)
    control = Control(options, {})
    control.kl_coefficient, control.reward_mean, control.reward_std = 0.5, 5.0, 2.0
    return ppo.judge(job, actors, step, prompts, REPLIES, control), actors


def judge(ppo: Any) -> None:
    """Rewards are −½ log π/π_ref, and the score at each last token: −4 where a reply has no end."""
    found, actors = judged(ppo)
    earned = torch.tensor([0.5, 1.0, -4.25, -4.0, -1.0, 3.0, 3.0])  # what is still earned from each token on
    advantages = earned - VALUES
    close(found.returns, earned)
    close(found.advantages, (advantages - advantages.mean()) / advantages.std(correction=0))
    close(found.old_log_probs, OLD)
    close(found.values, VALUES)
    assert actors.scored == [[5, 2], [6, 7], [2], [8, 2]]
    assert found.phase == 3
    shown = {name: float(value) for name, value in found.shown.items()}
    assert shown == pytest.approx(
        {
            "reward": (1 - 4 - 1 + 2) / 4,
            "kl": (1 + 0.5 + 0 - 2) / 4,
            "kl3": sum(
                r - 1 - torch.tensor(r).log().item()
                for r in (2.71828183**-1, 2.71828183**-0.5, 2.71828183**2)
            )
            / 4,
            "entropy": 9.5 / 7,
            "length": 7 / 4,
            "ended": 3 / 4,
            "kl_coefficient": 0.5,
            "gold": (2 + 2 + 11 + 12) / 4,
        },
        abs=1e-4,
    )


class Starting:
    """Stands in for a starting model: each of its replies is one token, n; one without an end scores 100."""

    def __init__(self, tokens: list[int], ended: list[bool]) -> None:
        self.tokens, self.ended = tokens, ended
        self.reward_head = SimpleNamespace(mean=0.25, std=0.5)
        self.asked: list[list[int]] = []

    def draw(self, prompts: list[list[int]], *, stream: int) -> list[list[Reply]]:
        assert stream < 0  # no phase's
        self.asked = prompts
        replies = [Reply([token], [0.0], end) for token, end in zip(self.tokens, self.ended, strict=True)]
        return [[replies[(2 * i + j) % len(replies)] for j in range(2)] for i in range(len(prompts))]

    def scores(self, trees: list[Tree]) -> torch.Tensor:
        tokens = [branch.ids[0] for tree in trees for branch in tree.branches]
        return torch.tensor([float(token) for token in tokens])


def measured(ppo: Any, tokens: list[int], ended: list[bool]) -> tuple[float, float, list[str]]:
    """`ppo.reference_scores` of such replies to two prompts, and its warnings."""
    said: list[str] = []
    job = SimpleNamespace(options=Options(samples=2), spec=SimpleNamespace(seed=0), warn=said.append)
    actors = Starting(tokens, ended)
    prompts = [Tree([1, 3], [Branch([], [])]), Tree([1, 4], [Branch([], [])])]
    mean, std = ppo.reference_scores(job, actors, prompts)
    assert sorted(actors.asked) == [[1, 3]] * 64 + [[1, 4]] * 64
    return mean, std, said


def reference_scores(ppo: Any) -> None:
    """Of the scores 2, 4, 6 and one that does not count, read at no end: mean 4, variance 192 · 8/3 / 191."""
    mean, std, said = measured(ppo, [2, 4, 6, 100], [True, True, True, False])
    assert (mean, std) == pytest.approx((4.0, (192 * 8 / 3 / 191) ** 0.5))
    assert not said


def meet(phases: Any) -> None:
    """A KL a tenth off its target moves the price by a tenth over a horizon; a far one by a fifth."""
    price = phases.Control(Options(kl_coefficient=0.1, target_kl=2.0, kl_horizon=100), {})
    price.meet(2.2, replies=50)
    assert price.kl_coefficient == pytest.approx(0.1 * 1.05)
    price.meet(0.0, replies=50)
    assert price.kl_coefficient == pytest.approx(0.1 * 1.05 * 0.9)
    price.meet(99.0, replies=50)
    assert price.kl_coefficient == pytest.approx(0.1 * 1.05 * 0.9 * 1.1)
    fixed = phases.Control(Options(kl_coefficient=0.1, target_kl=0.0), {})
    fixed.meet(99.0, replies=50)
    assert fixed.kl_coefficient == 0.1


def adapt(phases: Any) -> None:
    """The rate falls beyond twice the desired KL and rises below half of it, up to where it started."""
    control = phases.Control(Options(learning_rate=0.3, desired_kl=0.01), {})
    rates = []
    for kl in (0.01, 0.03, 0.015, 0.03, 0.004, 0.004, 0.004):
        control.adapt(kl)
        rates.append(control.rate(7.0))
    third = 0.3 / 1.5
    assert rates == pytest.approx([0.3, third, third, third / 1.5, third, 0.3, 0.3])
    off = phases.Control(Options(learning_rate=0.3), {})
    off.adapt(5.0)
    assert off.rate(7.0) == 7.0


def schedule(phases: Any) -> None:
    """Each prompt is asked once an epoch, and each phase's rows are seen once in each of its epochs."""
    options = Options(rollout_batch=4, batch_size=3, ppo_epochs=2, epochs=2)
    steps = list(phases.schedule(options, 6, 0))
    asked = {step.phase: step.prompts for step in steps}
    assert [len(asked[phase]) for phase in sorted(asked)] == [4, 2, 4, 2]
    assert sorted(asked[0] + asked[1]) == sorted(asked[2] + asked[3]) == list(range(6))
    rows = [step.rows for step in steps if step.phase == 0]
    assert [len(part) for part in rows] == [3, 1, 3, 1]
    assert sorted(rows[0] + rows[1]) == sorted(rows[2] + rows[3]) == [0, 1, 2, 3]
    assert [step.last for step in steps] == [False, False, False, True, False, True] * 2


def gae(advantages: Any) -> None:
    """δ = (1 + ½·2 − 4, 3 − 2) = (−2, 1), and A = (−2 + ½·½·1, 1)."""
    rewards, values = torch.tensor([1.0, 3.0]), torch.tensor([4.0, 2.0])
    close(
        advantages.gae(rewards, values, torch.tensor([2]), gamma=0.5, gae_lambda=0.5),
        torch.tensor([-1.75, 1.0]),
    )


def whiten(advantages: Any) -> None:
    """(1, 3) is one standard deviation below and above its mean."""
    close(advantages.whiten(torch.tensor([1.0, 3.0])), torch.tensor([-1.0, 1.0]))


def token_rewards(advantages: Any) -> None:
    """−β log π/π_ref each, and the score at the last."""
    found = advantages.token_rewards(
        torch.tensor([5.0]), torch.tensor([1.0, -2.0]), torch.tensor([2]), kl_coefficient=0.1
    )
    close(found, torch.tensor([-0.1, 5.2]))


def left_padding(rollouts: Any) -> None:
    """Beside a longer prompt, a shorter one is continued with what it is continued with alone."""
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=20, initializer_range=0.5, **shape)).eval()

    def replies(*prompts: list[int]) -> list[torch.Tensor]:
        drawn = rollouts.sample(
            model,
            prompts,
            seeds=[0] * len(prompts),
            samples=1,
            limit=4,
            temperature=1.0,
            ends=(),
            context=64,
            rows=2,
        )
        return [torch.tensor(reply.log_probs) for (reply,) in drawn]

    long, short = [5, 9, 3, 7, 2, 8, 11], [4, 6]
    for together, alone in zip(replies(long, short), [*replies(long), *replies(short)], strict=True):
        close(together, alone)


def pick(rollouts: Any) -> None:
    """Of probabilities ½, 0, ¼, ¼ the number 0.6 picks the third; at half the temperature the first."""
    logits = torch.tensor([0.5, 0.0, 0.25, 0.25]).log()[None]
    token, log_prob = rollouts._pick(logits, torch.tensor([0.6]), 1.0)
    assert token.tolist() == [2]
    close(log_prob, torch.tensor([0.25]).log())
    token, log_prob = rollouts._pick(logits, torch.tensor([0.6]), 0.5)
    assert token.tolist() == [0]
    close(log_prob, torch.tensor([2 / 3]).log())


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
