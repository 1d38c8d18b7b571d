"""The losses' gradients, against finite differences and their papers."""

import math
from typing import Any

import hand_numbers
import pytest
import torch
from drawn_losses import TAKES, loss_of, options
from torch import Tensor

from engine import losses


@pytest.mark.parametrize("name", TAKES)
def test_gradient_by_finite_differences(name: str) -> None:
    loss, given = loss_of(name)
    free = [key for key in given if not key.endswith("length")]

    def of(*tensors: Tensor) -> Tensor:
        return loss(**{**given, **dict(zip(free, tensors, strict=True))})

    assert torch.autograd.gradcheck(of, [given[key].requires_grad_() for key in free])


# losses of other things than a pair's log-probs: what is differentiated, and what is not
OTHERS: dict[str, tuple[dict[str, list[float]], dict[str, Any]]] = {
    "sft": ({"log_probs": [-0.3, -2.0]}, {}),
    "bradley_terry": ({"chosen": [0.4, -1.0], "rejected": [1.1, -1.5]}, {"margin": 0.3}),
    "centring": ({"chosen": [0.4, -1.0], "rejected": [1.1, -1.5]}, {}),
    "likelihood": ({"chosen": [-6.0, -5.0]}, {"chosen_length": torch.tensor([3, 2])}),
    "ppo_policy": (  # within the range, and beyond it on the side that counts and on the other
        {"log_probs": [-3.0, -2.0, -2.0, -4.0, -4.0]},
        {
            "old_log_probs": torch.full((5,), -3.1, dtype=torch.float64),
            "advantages": torch.tensor([3.0, 1.0, -1.0, 1.0, -1.0], dtype=torch.float64),
            "clip_range": 0.2,
        },
    ),
    "ppo_value": (
        {"values": [3.0, 1.1, -3.0]},
        {
            "old_values": torch.ones(3, dtype=torch.float64),
            "returns": torch.tensor([4.0, 2.0, 4.0], dtype=torch.float64),
            "clip_range": 0.5,
        },
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_gradients_of_the_others_by_finite_differences(name: str) -> None:
    free, fixed = OTHERS[name]
    loss = getattr(losses, name)

    def of(*tensors: Tensor) -> Tensor:
        value: Tensor = loss(**dict(zip(free, tensors, strict=True)), **fixed)
        return value

    given = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in free.values()]
    assert torch.autograd.gradcheck(of, given)


def test_no_loss_is_without_a_gradient_by_finite_differences() -> None:
    no_loss = {"log_odds", "kto_baseline"}  # a part of ORPO's; detached
    assert set(hand_numbers.CHECKS) == {*TAKES, *OTHERS, "kto"} | no_loss


def test_kto_s_gradient_by_finite_differences() -> None:
    reply = torch.tensor([-2.0, -1.0, -3.0], dtype=torch.float64, requires_grad=True)
    rest = {
        "reference": torch.tensor([-1.5, -1.6, -3.2], dtype=torch.float64),
        "good": torch.tensor([True, False, False]),
        "baseline": torch.tensor(0.3, dtype=torch.float64),
        "weight": torch.tensor([1.0, 1.3, 1.3], dtype=torch.float64),
    }
    assert torch.autograd.gradcheck(lambda r: losses.kto(reply=r, **rest, beta=0.7), [reply])


def gradients(name: str, given: dict[str, Tensor], **values: float) -> tuple[Tensor, Tensor]:
    """The loss's gradients by the chosen and by the rejected log-probs."""
    chosen, rejected = (given[key].clone().requires_grad_() for key in ("chosen", "rejected"))
    loss = getattr(losses, name)(**{**given, "chosen": chosen, "rejected": rejected}, **values)
    by = torch.autograd.grad(loss.sum(), [chosen, rejected])
    return by[0], by[1]


def test_gradients_that_the_papers_give() -> None:
    _, given = loss_of("dpo")
    h = (given["chosen"] - given["reference_chosen"]) - (given["rejected"] - given["reference_rejected"])
    wrong = torch.sigmoid(-0.7 * h)  # how wrong the implicit reward has the pair
    # DPO, section 4: −β σ(r̂_l − r̂_w) [∇ log π(y_w) − ∇ log π(y_l)]
    expected = -0.7 * wrong
    for name, by_chosen in {
        "dpo": expected,
        # 2 (h − 1/(2τ))
        "ipo": 2 * (h - 1 / 1.4),
        # weights of cDPO and rDPO: σ(−βh) − ε, and the same divided by 1 − 2ε, plus a constant
        "conservative": -0.7 * (0.8 * wrong - 0.2 * (1 - wrong)),
        "robust": -0.7 * (0.8 * wrong + 0.2 * (1 - wrong)) / 0.6,
    }.items():
        chosen, rejected = gradients(name, given, **options(name))
        torch.testing.assert_close(chosen, by_chosen)
        torch.testing.assert_close(rejected, -by_chosen)


def test_gradients_of_losses_without_a_reference() -> None:
    _, given = loss_of("simpo")
    mean = {side: given[side] / given[f"{side}_length"] for side in ("chosen", "rejected")}
    # SimPO, appendix: β σ(β mean_l − β mean_w + γ) / |y|
    wrong = torch.sigmoid(0.4 - 0.7 * (mean["chosen"] - mean["rejected"]))
    chosen, rejected = gradients("simpo", given, beta=0.7, gamma=0.4)
    torch.testing.assert_close(chosen, -0.7 * wrong / given["chosen_length"])
    torch.testing.assert_close(rejected, 0.7 * wrong / given["rejected_length"])
    # ORPO, equations 8 to 10: δ = 1/(1 + odds_w/odds_l), h = 1/(1 − p) for either reply
    p = {side: value.exp() for side, value in mean.items()}
    odds = {side: value / (1 - value) for side, value in p.items()}
    delta = 1 / (1 + odds["chosen"] / odds["rejected"])
    chosen, rejected = gradients("orpo", given, beta=0.7)
    torch.testing.assert_close(
        chosen, -(1 + 0.7 * delta / (1 - p["chosen"])) / given["chosen_length"], rtol=1e-6, atol=1e-9
    )
    torch.testing.assert_close(
        rejected, 0.7 * delta / (1 - p["rejected"]) / given["rejected_length"], rtol=1e-6, atol=1e-9
    )


def test_orpo_of_a_reply_that_is_certain_is_a_number() -> None:
    sure = torch.zeros(1, requires_grad=True)
    length = torch.ones(1)
    loss = losses.orpo(
        chosen=sure,
        rejected=torch.tensor([-1.0]),
        chosen_length=length,
        rejected_length=length,
        beta=0.1,
    )
    loss.sum().backward()
    assert math.isfinite(float(loss.detach()))
    assert sure.grad is not None
    assert math.isfinite(float(sure.grad))
