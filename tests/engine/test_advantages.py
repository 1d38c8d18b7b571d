"""Advantages: a plain loop's numbers, the identities at both ends of λ, whitening, KL estimates."""

import pytest
import torch
from torch import Tensor

from engine import advantages

LENGTHS = [5, 1, 9, 3]


def tokens(seed: int) -> Tensor:
    return torch.randn(sum(LENGTHS), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loop(rewards: Tensor, values: Tensor, gamma: float, gae_lambda: float) -> list[float]:
    """Equation 16 of arXiv:1506.02438 as it is written: a sum over l for every t."""
    found, start = [], 0
    for length in LENGTHS:
        r, v = rewards[start : start + length].tolist(), [*values[start : start + length].tolist(), 0.0]
        delta = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        found += [
            sum((gamma * gae_lambda) ** k * delta[t + k] for k in range(length - t)) for t in range(length)
        ]
        start += length
    return found


@pytest.mark.parametrize("gamma", [1.0, 0.9])
@pytest.mark.parametrize("gae_lambda", [0.0, 0.5, 0.95, 1.0])
def test_gae_is_the_sum_in_the_paper(gamma: float, gae_lambda: float) -> None:
    rewards, values, lengths = tokens(0), tokens(1), torch.tensor(LENGTHS)
    found = advantages.gae(rewards, values, lengths, gamma=gamma, gae_lambda=gae_lambda)
    assert found.tolist() == pytest.approx(by_loop(rewards, values, gamma, gae_lambda), abs=1e-12)


def test_with_lambda_and_gamma_1_it_is_what_is_still_earned_less_the_value() -> None:
    rewards, values, lengths = tokens(2), tokens(3), torch.tensor(LENGTHS)
    found = advantages.gae(rewards, values, lengths, gamma=1.0, gae_lambda=1.0)
    earned = torch.cat([part.flip(0).cumsum(0).flip(0) for part in rewards.split(LENGTHS)])
    torch.testing.assert_close(found, earned - values)


def test_with_lambda_0_it_is_the_surprise_of_one_token() -> None:
    rewards, values, lengths = tokens(4), tokens(5), torch.tensor(LENGTHS)
    found = advantages.gae(rewards, values, lengths, gamma=0.7, gae_lambda=0.0)
    following = torch.cat([torch.cat([part[1:], part.new_zeros(1)]) for part in values.split(LENGTHS)])
    torch.testing.assert_close(found, rewards + 0.7 * following - values)


def test_whitening_leaves_mean_0_variance_1_and_the_order() -> None:
    values = 3 * tokens(6) + 40
    found = advantages.whiten(values)
    assert float(found.mean()) == pytest.approx(0, abs=1e-12)
    assert float(found.var(correction=0)) == pytest.approx(1, rel=1e-6)
    assert found.argsort().tolist() == values.argsort().tolist()
    assert advantages.whiten(torch.full((3,), 7.0)).tolist() == [0, 0, 0]


def test_a_score_is_earned_at_the_last_token_and_kl_at_each() -> None:
    ratios = torch.tensor([0.5, -1.0, 2.0, 0.0, 4.0])
    found = advantages.token_rewards(
        torch.tensor([10.0, -3.0]), ratios, torch.tensor([2, 3]), kl_coefficient=0.1
    )
    torch.testing.assert_close(found, torch.tensor([-0.05, 10.1, -0.2, 0.0, -3.4]))
    assert ratios.tolist() == [0.5, -1.0, 2.0, 0.0, 4.0]
    assert advantages.sum_by_reply(ratios, torch.tensor([2, 3])).tolist() == [-0.5, 6.0]


def test_k3_is_not_negative_and_right_on_the_mean() -> None:
    """Over tokens drawn from p the mean of k3 is KL(p‖q), as that of k1 is, with less noise."""
    p = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    q = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    estimates = advantages.k3((q / p).log())
    assert (estimates >= 0).all()
    assert float((p * estimates).sum()) == pytest.approx(float((p * (p / q).log()).sum()), abs=1e-12)
