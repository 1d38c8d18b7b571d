"""Losses worked out by hand: each check takes the module that holds the loss, and fails where it is wrong.

`test_losses.py` gives them `engine.losses`; `test_mutations.py` the same with one seeded mistake.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def close(got: Tensor, expected: list[float] | float) -> None:
    torch.testing.assert_close(got, torch.tensor(expected, dtype=got.dtype), rtol=1e-6, atol=1e-7)


def tensors(**values: Any) -> dict[str, Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


# Two pairs with h = (−10 + 12) − (−11 + 14) = −1 and h = (−3 + 7) − (−4 + 6) = 2.
PAIRS = tensors(
    chosen=[-10.0, -3.0],
    rejected=[-12.0, -7.0],
    reference_chosen=[-11.0, -4.0],
    reference_rejected=[-14.0, -6.0],
)
# Two pairs with mean log-probs −2 and −4, −ln 2 and −ln 4 (odds 1 and ⅓).
FREE = tensors(
    chosen=[-10.0, -3 * math.log(2)],
    rejected=[-12.0, -math.log(4)],
    chosen_length=[5, 3],
    rejected_length=[3, 1],
)


def sft(losses: Any) -> None:
    close(losses.sft(log_probs=torch.log(torch.tensor([0.5, 0.25, 1.0]))), [math.log(2), math.log(4), 0.0])


def bradley_terry(losses: Any) -> None:
    given = tensors(chosen=[2.0, 0.5], rejected=[1.0, 1.5], margin=[0.0, -1.5])
    close(losses.bradley_terry(**given), [-log_sigmoid(1.0), -log_sigmoid(0.5)])
    del given["margin"]
    close(losses.bradley_terry(**given), [-log_sigmoid(1.0), -log_sigmoid(-1.0)])


def likelihood(losses: Any) -> None:
    close(losses.likelihood(**tensors(chosen=[-6.0, -5.0], chosen_length=[3, 2])), [2.0, 2.5])


def centring(losses: Any) -> None:
    close(losses.centring(**tensors(chosen=[2.0, -1.0], rejected=[1.0, 0.5])), [9.0, 0.25])


def dpo(losses: Any) -> None:
    close(losses.dpo(**PAIRS, beta=0.5), [-log_sigmoid(-0.5), -log_sigmoid(1.0)])


def ipo(losses: Any) -> None:
    # 1/(2τ) = 2.5: (−1 − 2.5)² and (2 − 2.5)²
    close(losses.ipo(**PAIRS, beta=0.2), [12.25, 0.25])


def conservative(losses: Any) -> None:
    expected = [-0.9 * log_sigmoid(h) - 0.1 * log_sigmoid(-h) for h in (-0.5, 1.0)]
    close(losses.conservative(**PAIRS, beta=0.5, label_smoothing=0.1), expected)


def robust(losses: Any) -> None:
    expected = [(-0.9 * log_sigmoid(h) + 0.1 * log_sigmoid(-h)) / 0.8 for h in (-0.5, 1.0)]
    close(losses.robust(**PAIRS, beta=0.5, label_smoothing=0.1), expected)


def hinge(losses: Any) -> None:
    close(losses.hinge(**PAIRS, beta=0.25), [1.25, 0.5])
    close(losses.hinge(**PAIRS, beta=0.75), [1.75, 0.0])


def simpo(losses: Any) -> None:
    # mean log-probs are −2 and −4, −ln 2 and −ln 4: gaps of 2 and ln 2
    expected = [-log_sigmoid(1.5 * 2 - 0.5), -log_sigmoid(1.5 * math.log(2) - 0.5)]
    close(losses.simpo(**FREE, beta=1.5, gamma=0.5), expected)


def orpo(losses: Any) -> None:
    # odds e⁻²/(1 − e⁻²) = 1/(e² − 1) and 1/(e⁴ − 1); then 1 and ⅓, whose ratio's σ is ¾
    ratio = math.log(math.expm1(4.0) / math.expm1(2.0))
    expected = [2 - 0.3 * log_sigmoid(ratio), math.log(2) - 0.3 * math.log(0.75)]
    close(losses.orpo(**FREE, beta=0.3), expected)


def log_odds(losses: Any) -> None:
    halves = torch.tensor([-2 * math.log(2), -math.log(4)])
    close(losses.log_odds(halves, torch.tensor([2, 1])), [0.0, math.log(1 / 3)])


def sdpo(losses: Any) -> None:
    # two rejected with gaps 1 and −2 (h = −1 and 2); then one with gap −2 and a place left empty
    given = tensors(
        chosen=[-10.0, -3.0],
        rejected=[[-12.0, -15.0], [-7.0, -math.inf]],
        reference_chosen=[-11.0, -4.0],
        reference_rejected=[[-14.0, -14.0], [-6.0, 0.0]],
    )
    both = math.log(math.exp(0.5) + math.exp(-1.0))
    close(losses.sdpo(**given, beta=0.5), [-log_sigmoid(-both), -log_sigmoid(1.0)])


def kto(losses: Any) -> None:
    # r = 1, −2, 1, −2 and z₀ = 0.5
    given = tensors(
        reply=[-4.0, -9.0, -4.0, -9.0],
        reference=[-5.0, -7.0, -5.0, -7.0],
        good=[True, True, False, False],
        baseline=0.5,
        weight=[1.2, 1.2, 0.7, 0.7],
    )
    expected = [
        1.2 * (1 - sigmoid(0.4 * 0.5)),
        1.2 * (1 - sigmoid(0.4 * -2.5)),
        0.7 * (1 - sigmoid(0.4 * -0.5)),
        0.7 * (1 - sigmoid(0.4 * 2.5)),
    ]
    close(losses.kto(**given, beta=0.4), expected)


def kto_baseline(losses: Any) -> None:
    above = tensors(mismatched=[-3.0, -8.0, -4.0], reference_mismatched=[-5.0, -7.0, -6.0])
    close(losses.kto_baseline(**above), 1.0)
    below = tensors(mismatched=[-5.0, -7.0], reference_mismatched=[-3.0, -8.0])
    close(losses.kto_baseline(**below), 0.0)
    assert not losses.kto_baseline(**{k: v.requires_grad_() for k, v in above.items()}).requires_grad


def ppo_policy(losses: Any) -> None:
    # ratios 1, 2, 2, ½, ½ clipped to 0.8 … 1.2 where that makes the objective less
    ratios = torch.tensor([1.0, 2.0, 2.0, 0.5, 0.5])
    given = {
        "log_probs": ratios.log() - 3,
        "old_log_probs": torch.full((5,), -3.0),
        "advantages": torch.tensor([3.0, 1.0, -1.0, 1.0, -1.0]),
    }
    close(losses.ppo_policy(**given, clip_range=0.2), [-3.0, -1.2, 2.0, -0.5, 0.8])


def ppo_value(losses: Any) -> None:
    # far from the old value on the side of the return: the clipped error counts; else the plain one
    given = tensors(values=[3.0, 1.1, -3.0], old_values=[1.0, 1.0, 1.0], returns=[4.0, 2.0, 4.0])
    close(losses.ppo_value(**given, clip_range=0.5), [0.5 * 2.5**2, 0.5 * 0.9**2, 0.5 * 7.0**2])


CHECKS: dict[str, Callable[[Any], None]] = {
    check.__name__: check
    for check in (
        sft,
        bradley_terry,
        centring,
        dpo,
        likelihood,
        ipo,
        conservative,
        robust,
        hinge,
        simpo,
        orpo,
        log_odds,
        sdpo,
        kto,
        kto_baseline,
        ppo_policy,
        ppo_value,
    )
}
