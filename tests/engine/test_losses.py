"""Losses against numbers worked out by hand, and their gradients against finite differences."""

import math

import pytest
import torch

from engine import losses


def pairs(**values: list[float]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_sft_is_the_negative_log_likelihood_of_each_token() -> None:
    log_probs = torch.log(torch.tensor([0.5, 0.25, 1.0]))
    expected = torch.tensor([math.log(2), math.log(4), 0.0])
    torch.testing.assert_close(losses.sft(log_probs=log_probs), expected, rtol=1e-6, atol=1e-7)


def test_bradley_terry_by_hand() -> None:
    given = pairs(chosen=[2.0, 0.5], rejected=[1.0, 1.5], margin=[0.0, -1.0])
    # −log σ(1) = log(1 + e⁻¹); −log σ(0.5 − 1.5 + 1) = log 2
    expected = torch.tensor([math.log1p(math.exp(-1)), math.log(2)])
    torch.testing.assert_close(losses.bradley_terry(**given), expected, rtol=1e-6, atol=1e-7)
    del given["margin"]
    assert float(losses.bradley_terry(**given)[1]) == pytest.approx(math.log1p(math.e), rel=1e-6)


def test_dpo_by_hand() -> None:
    # margin: (−10 − −12) − (−11 − −14) = 2 − 3 = −1; −log σ(0.5 · −1) = log(1 + e^0.5)
    given = pairs(chosen=[-10.0], rejected=[-12.0], reference_chosen=[-11.0], reference_rejected=[-14.0])
    loss = losses.dpo(**given, beta=0.5)
    torch.testing.assert_close(loss, torch.tensor([math.log1p(math.exp(0.5))]), rtol=1e-6, atol=1e-7)


def test_dpo_is_ln_2_where_policy_and_reference_agree() -> None:
    chosen, rejected = torch.tensor([-3.0, -40.0]), torch.tensor([-9.0, -1.0])
    loss = losses.dpo(
        chosen=chosen, rejected=rejected, reference_chosen=chosen, reference_rejected=rejected, beta=0.1
    )
    torch.testing.assert_close(loss, torch.full((2,), math.log(2)), rtol=1e-6, atol=1e-7)


def test_swapping_the_replies_turns_the_margin_over() -> None:
    given = pairs(chosen=[-5.0], rejected=[-4.0], reference_chosen=[-6.0], reference_rejected=[-3.0])
    swapped = {
        "chosen": given["rejected"],
        "rejected": given["chosen"],
        "reference_chosen": given["reference_rejected"],
        "reference_rejected": given["reference_chosen"],
    }
    forth, back = losses.dpo(**given, beta=0.3), losses.dpo(**swapped, beta=0.3)
    # −log σ(m) and −log σ(−m) differ by m; here m = 0.3 · (−1 − −3)
    torch.testing.assert_close(back - forth, torch.tensor([0.3 * 2.0]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("which", ["chosen", "rejected"])
def test_gradient_of_dpo_by_finite_differences(which: str) -> None:
    # float32 in, so a wide step: the loss is smooth and its third derivative at most β³/10
    given = pairs(chosen=[-2.0], rejected=[-2.5], reference_chosen=[-2.2], reference_rejected=[-2.1])
    given[which].requires_grad_(True)
    losses.dpo(**given, beta=0.7).sum().backward()
    step = 0.05

    def at(delta: float) -> float:
        moved = {k: v.detach() + (delta if k == which else 0.0) for k, v in given.items()}
        return float(losses.dpo(**moved, beta=0.7).sum())

    numeric = (at(step) - at(-step)) / (2 * step)
    assert given[which].grad is not None
    assert float(given[which].grad) == pytest.approx(numeric, abs=2e-4)


def test_losses_are_float32_whatever_comes_in() -> None:
    half = torch.tensor([-1.0], dtype=torch.bfloat16)
    assert losses.sft(log_probs=half).dtype == torch.float32
    loss = losses.dpo(chosen=half, rejected=half, reference_chosen=half, reference_rejected=half, beta=0.1)
    assert loss.dtype == torch.float32
