"""Losses: pure functions of log-probabilities. Keyword-only, float32, one value per example."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def sft(*, log_probs: Tensor) -> Tensor:
    """Negative log-likelihood of each trained token: −log π(y_t | x, y_<t).

    log_probs (N,) → (N,).
    """
    return -log_probs.float()


def centring(*, chosen: Tensor, rejected: Tensor) -> Tensor:
    """What keeps a reward model's scores around 0, arXiv:2312.09244: (r(x, y_w) + r(x, y_l))².

    Bradley–Terry's loss sees differences alone, so that each prompt's scores may lie anywhere.
    """
    return (chosen.float() + rejected.float()) ** 2


def dpo(
    *,
    chosen: Tensor,
    rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float,
) -> Tensor:
    """Direct preference optimisation, arXiv:2305.18290, equation 7:

    −log σ(β [log π(y_w|x)/π_ref(y_w|x) − log π(y_l|x)/π_ref(y_l|x)]).

    Each argument (P,): the summed log-probs of P pairs' replies under policy and reference → (P,).
    """
    return -logsigmoid(beta * dpo_margin(chosen, rejected, reference_chosen, reference_rejected))


def dpo_margin(
    chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor
) -> Tensor:
    """The implicit reward's difference between chosen and rejected, divided by β: (P,)."""
    policy = chosen.float() - rejected.float()
    reference = reference_chosen.float() - reference_rejected.float()
    return torch.sub(policy, reference)


def bradley_terry(*, chosen: Tensor, rejected: Tensor, margin: Tensor | float = 0.0) -> Tensor:
    """Reward modelling, arXiv:2203.02155, equation 1, with the margin of arXiv:2307.09288, equation 2:

    −log σ(r(x, y_w) − r(x, y_l) − m).

    chosen, rejected (P,): the scores of P pairs' replies; margin (P,) or one for all → (P,).
    """
    return -logsigmoid(chosen.float() - rejected.float() - margin)
