"""From rewards and values of tokens to advantages: pure functions.

Tokens of B replies lie one after the other, N in all, without padding: a mean over them is a masked mean.
"""

import torch
from torch import Tensor


def gae(rewards: Tensor, values: Tensor, lengths: Tensor, *, gamma: float, gae_lambda: float) -> Tensor:
    """Generalised advantage estimates, arXiv:1506.02438, equation 16, of every token: (N,).

    A_t = δ_t + γλ A_{t+1},  δ_t = r_t + γ V_{t+1} − V_t,  with V and A 0 behind a reply's last token.

    rewards, values (N,): what token t earned, and what was expected before it; lengths (B,): tokens of each
    reply. With λ = 1, A_t is the discounted sum of rewards from t on, less V_t; with λ = 0 it is δ_t.
    """
    longest = int(lengths.max())
    # Replies in rows that end together, so that the recursion starts in the last column for all of them.
    columns = torch.arange(longest, device=rewards.device)
    real = columns >= longest - lengths[:, None]  # (B, longest)
    reward, value = (torch.zeros(real.shape, dtype=x.dtype, device=x.device) for x in (rewards, values))
    reward[real], value[real] = rewards, values
    advantage = torch.zeros_like(reward)
    later = later_value = torch.zeros_like(reward[:, 0])
    for t in reversed(range(longest)):
        delta = reward[:, t] + gamma * later_value - value[:, t]
        later = advantage[:, t] = delta + gamma * gae_lambda * later
        later_value = value[:, t]
    return advantage[real]


def whiten(values: Tensor) -> Tensor:
    """`values` (N,) moved and scaled to mean 0 and variance 1."""
    variance, mean = torch.var_mean(values, correction=0)
    return (values - mean) * torch.rsqrt(variance + 1e-8)


def token_rewards(scores: Tensor, log_ratios: Tensor, lengths: Tensor, *, kl_coefficient: float) -> Tensor:
    """What each token earned, arXiv:1909.08593, equation 2: −β log π/π_ref, and at the last the score too.

    scores (B,) of the replies; log_ratios (N,): log π/π_ref of the tokens; lengths (B,) → (N,).
    """
    rewards = -kl_coefficient * log_ratios
    rewards[lengths.cumsum(0) - 1] += scores
    return rewards


def sum_by_reply(values: Tensor, lengths: Tensor) -> Tensor:
    """Sums of the tokens' values (N,) over each reply: (B,)."""
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
    return values.new_zeros(len(lengths)).index_add(0, owner, values)


def k3(log_ratios: Tensor) -> Tensor:
    """exp(d) − 1 − d for d = log q/p of tokens drawn from p: estimates of KL(p‖q) that are never negative.

    J. Schulman, "Approximating KL divergence", 2020; its k1 is −d. Of any shape.
    """
    return log_ratios.expm1() - log_ratios
