"""Losses: pure functions of log-probabilities. Keyword-only, at least float32, one value per example.

log π(y|x) is the sum of a reply's token log-probs. Of a pair, y_w is chosen and y_l rejected; P pairs at a
time, so that each tensor without a shape of its own is (P,), and so is what comes back.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus


def sft(*, log_probs: Tensor) -> Tensor:
    """Negative log-likelihood of each trained token: −log π(y_t | x, y_<t).

    log_probs (N,) → (N,).
    """
    return -_exact(log_probs)


def bradley_terry(*, chosen: Tensor, rejected: Tensor, margin: Tensor | float = 0.0) -> Tensor:
    """Reward modelling, arXiv:2203.02155, equation 1, with the margin of arXiv:2307.09288, equation 2:

    −log σ(r(x, y_w) − r(x, y_l) − m).

    chosen and rejected are scores; `margin` is (P,) or one for all.
    """
    return -logsigmoid(_exact(chosen) - _exact(rejected) - margin)


def centring(*, chosen: Tensor, rejected: Tensor) -> Tensor:
    """What keeps a reward model's scores around 0, arXiv:2312.09244: (r(x, y_w) + r(x, y_l))².

    Bradley–Terry's loss sees differences alone, so that each prompt's scores may lie anywhere.
    """
    return (_exact(chosen) + _exact(rejected)) ** 2


def dpo(
    *, chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> Tensor:
    """Direct preference optimisation, arXiv:2305.18290, equation 7: −log σ(β h), where

    h = log π(y_w|x)/π_ref(y_w|x) − log π(y_l|x)/π_ref(y_l|x).
    """
    return -logsigmoid(beta * _margin(chosen, rejected, reference_chosen, reference_rejected))


def likelihood(*, chosen: Tensor, chosen_length: Tensor) -> Tensor:
    """Mean negative log-likelihood of a chosen reply's tokens, arXiv:2404.19733, equation 1's second term:

    −log π(y_w|x) / |y_w|.

    chosen (P,): the reply's summed log-probs; chosen_length (P,): its tokens → (P,).
    """
    return -_exact(chosen) / chosen_length


def ipo(
    *, chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> Tensor:
    """Identity preference optimisation, arXiv:2310.12036, equation 17: (h − 1/(2τ))², h as in `dpo`.

    `beta` is the paper's τ. h is of sums over tokens, as in the paper: not divided by the length.
    """
    return (_margin(chosen, rejected, reference_chosen, reference_rejected) - 1 / (2 * beta)) ** 2


def conservative(
    *,
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float,
    label_smoothing: float,
) -> Tensor:
    """Conservative DPO (Mitchell, "A note on DPO with noisy preferences & relationship to IPO", 2023):

    −(1 − ε) log σ(β h) − ε log σ(−β h), h as in `dpo`: labels are wrong with probability ε < ½.

    `label_smoothing` is ε. Least where σ(β h) = 1 − ε.
    """
    h = beta * _margin(chosen, rejected, reference_chosen, reference_rejected)
    return -(1 - label_smoothing) * logsigmoid(h) - label_smoothing * logsigmoid(-h)


def robust(
    *,
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float,
    label_smoothing: float,
) -> Tensor:
    """Robust DPO, arXiv:2403.00409, section 3.1:

    [−(1 − ε) log σ(β h) + ε log σ(−β h)] / (1 − 2ε), h as in `dpo`.

    `label_smoothing` is ε < ½, how often a label is the wrong way round: then the mean over such labels is
    DPO's loss on the right ones. Without a lower bound: it can be negative.
    """
    h = beta * _margin(chosen, rejected, reference_chosen, reference_rejected)
    kept, flipped = -logsigmoid(h), -logsigmoid(-h)
    return ((1 - label_smoothing) * kept - label_smoothing * flipped) / (1 - 2 * label_smoothing)


def hinge(
    *, chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> Tensor:
    """SLiC's hinge, arXiv:2305.10425, equation 1, first term: max(0, 1 − β h), h as in `dpo`.

    As in arXiv:2309.06657 (RSO, "hinge-norm") log-probs are measured from the reference's, which takes the
    place of SLiC's second term; SLiC's margin δ is 1/β.
    """
    return relu(1 - beta * _margin(chosen, rejected, reference_chosen, reference_rejected))


def simpo(
    *,
    chosen: Tensor,
    rejected: Tensor,
    chosen_length: Tensor,
    rejected_length: Tensor,
    beta: float,
    gamma: float,
) -> Tensor:
    """SimPO, arXiv:2405.14734, equation 6:

    −log σ(β/|y_w| log π(y_w|x) − β/|y_l| log π(y_l|x) − γ). Lengths are in tokens.
    """
    chosen, rejected = _exact(chosen) / chosen_length, _exact(rejected) / rejected_length
    return -logsigmoid(beta * (chosen - rejected) - gamma)


def orpo(
    *, chosen: Tensor, rejected: Tensor, chosen_length: Tensor, rejected_length: Tensor, beta: float
) -> Tensor:
    """Odds ratio preference optimisation, arXiv:2403.07691, equations 6 and 7:

    −1/|y_w| log π(y_w|x) − λ log σ(log odds(y_w|x) − log odds(y_l|x)).

    `beta` is the paper's λ; lengths are in tokens.
    """
    likelihood = -_exact(chosen) / chosen_length
    odds = log_odds(chosen, chosen_length) - log_odds(rejected, rejected_length)
    return likelihood - beta * logsigmoid(odds)


def log_odds(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """log p/(1 − p) with p = π(y|x)^(1/|y|): arXiv:2403.07691, equations 3 and 4. Of any one shape."""
    mean = _exact(log_probs) / lengths
    certain = -torch.finfo(mean.dtype).eps  # a reply that is certain has no odds: take the next less certain
    mean = mean.clamp(max=certain)
    return mean - torch.log(-torch.expm1(mean))


def sdpo(
    *, chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float
) -> Tensor:
    """Softmax-DPO, arXiv:2406.09215, section 3.2, of one chosen reply over several rejected:

    −log σ(−log Σ_l exp(β [log π(y_l|x)/π_ref(y_l|x) − log π(y_w|x)/π_ref(y_w|x)])).

    rejected and reference_rejected (P, K): a pair with fewer rejected replies has −∞ under the policy, and
    any number under the reference, in the places that are left. With K = 1 it is `dpo`.
    """
    gaps = -_margin(chosen[:, None], rejected, reference_chosen[:, None], reference_rejected)
    return softplus(torch.logsumexp(beta * gaps, dim=1))


def kto(
    *, reply: Tensor, reference: Tensor, good: Tensor, baseline: Tensor, beta: float, weight: Tensor
) -> Tensor:
    """Kahneman–Tversky optimisation, arXiv:2402.01306, section 4, for N rated replies:

    λ_D (1 − σ(β (r − z₀))) for a good one, λ_U (1 − σ(β (z₀ − r))) for a bad, r = log π(y|x)/π_ref(y|x).

    reply, reference: log-probs (N,); good (N,), boolean; baseline (): z₀, through which no gradient may
    flow; weight (N,): each row's λ → (N,).
    """
    gain = _exact(reply) - _exact(reference) - baseline
    return weight * torch.sigmoid(torch.where(good, -beta, beta) * gain)


def kto_baseline(*, mismatched: Tensor, reference_mismatched: Tensor) -> Tensor:
    """KTO's z₀, arXiv:2402.01306, section 4: max(0, mean of log π(y′|x)/π_ref(y′|x)), detached.

    Each (N,): log-probs of a prompt's mismatched reply, one that belongs to another prompt → ().
    """
    return (_exact(mismatched) - _exact(reference_mismatched)).mean().clamp(min=0).detach()


def ppo_policy(*, log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, clip_range: float) -> Tensor:
    """PPO's clipped objective, arXiv:1707.06347, equation 7, as a loss:

    −min(ρ A, clip(ρ, 1 − ε, 1 + ε) A), ρ = π/π_old of a token.

    Each (N,), of N tokens → (N,).
    """
    ratio = torch.exp(_exact(log_probs) - old_log_probs)
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def ppo_value(*, values: Tensor, old_values: Tensor, returns: Tensor, clip_range: float) -> Tensor:
    """PPO's clipped value loss, arXiv:2005.12729, section 3:

    ½ max((V − R)², (clip(V, V_old − ε, V_old + ε) − R)²).

    Each (N,), of N tokens → (N,).
    """
    values = _exact(values)
    clipped = values.clamp(old_values - clip_range, old_values + clip_range)
    return 0.5 * torch.maximum((values - returns) ** 2, (clipped - returns) ** 2)


def _margin(chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor) -> Tensor:
    """h: how much further the policy tells the replies apart than the reference does."""
    return (_exact(chosen) - _exact(rejected)) - (_exact(reference_chosen) - _exact(reference_rejected))


def _exact(values: Tensor) -> Tensor:
    """At least float32: differences of long replies' log-probs are beyond bfloat16."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
