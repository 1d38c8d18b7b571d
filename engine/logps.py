"""Log-probabilities of trained tokens, without ever building a (batch, time, vocabulary) tensor.

The backbone's hidden states are gathered where a trained token is predicted, and only those are multiplied
by the vocabulary head, in chunks. Where the head is frozen, the gradient of a log-prob with respect to its
hidden state, W[target] − Σ_v p(v) W[v], is computed in the same chunk; where it is trained (full
fine-tuning), the backward pass computes each chunk again. Either way nothing of (tokens, vocabulary) is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache

from engine import blocks, shards
from engine.batches import Batch
from engine.errors import UserError
from engine.products import linear

# Of (tokens, vocabulary) at a time: what a CPU's cache holds, what keeps a GPU busy; and never fewer tokens
# than make reading the whole head worth while.
CHUNK_ELEMENTS = {"cpu": 2**21, "cuda": 2**24}
CHUNK_TOKENS = 128


@dataclass(frozen=True)
class Head:
    """The vocabulary head: logits = cap(scale · (W h + b)).

    `weight` is (V, D), `bias` (V,) or None; `cap` is c · tanh(x / c) for a `softcap` c above 0.
    """

    weight: Tensor
    bias: Tensor | None
    scale: float
    softcap: float

    def at(self, temperature: float) -> "Head":
        """The head whose logits are divided by `temperature`."""
        return replace(self, scale=self.scale / temperature, softcap=self.softcap / temperature)


def head_of(causal_lm: Any) -> Head:
    """The head of a transformers causal language model. Raises UserError when it is none that we know."""
    layer = causal_lm.get_output_embeddings()
    if not isinstance(layer, nn.Linear):
        raise UserError(
            "The model's vocabulary head is adapted or of an unknown kind, and cannot be trained through.",
            do="Go on from an adapter that leaves the head alone, or from the base itself.",
        )
    shards.gather(layer)
    config = causal_lm.config.get_text_config()
    scale = getattr(config, "logit_scale", None) or 1.0  # Cohere
    scale /= getattr(config, "logits_scaling", None) or 1.0  # Granite
    return Head(layer.weight, layer.bias, scale, getattr(config, "final_logit_softcapping", None) or 0.0)


def hidden_states(causal_lm: Any, batch: Batch, cache: Cache | None = None) -> Tensor:
    """What the vocabulary head, or a scalar one, is put on: (R, T, D), differentiable.

    Each layer's keys and values are left in `cache`.
    """
    hidden: Tensor = causal_lm.base_model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        past_key_values=cache,
        use_cache=cache is not None,
    ).last_hidden_state
    return hidden


def hidden_at(
    causal_lm: Any, batch: Batch, row: Tensor, column: Tensor, cache: Cache | None = None
) -> Tensor:
    """The hidden states at N places of the batch, all that is read of it: (N, D), differentiable."""
    with blocks.reading(row, column, batch.ids.shape):
        hidden = hidden_states(causal_lm, batch, cache)
    return hidden[row, column]


def token_log_probs(causal_lm: Any, batch: Batch, temperature: float = 1.0) -> Tensor:
    """log p(target | what precedes it) of the N trained tokens: (N,), float32, differentiable.

    p is what tokens are drawn from at `temperature`.
    `causal_lm` is the transformers model (with its adapter's layers in place), not peft's wrapper.
    """
    gathered = hidden_at(causal_lm, batch, batch.row, batch.column)  # (N, D)
    return log_probs_at(causal_lm, gathered, batch.targets, temperature)


def log_probs_at(causal_lm: Any, hidden: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """log p(target) by the vocabulary head on hidden states (N, D): (N,), float32, differentiable."""
    head = head_of(causal_lm).at(temperature)
    if head.weight.requires_grad and torch.is_grad_enabled():
        values: Tensor = _TrainedHead.apply(hidden, head.weight, head.bias, head, targets)  # type: ignore[no-untyped-call]
    else:
        values = _HeadLogProbs.apply(hidden, head, targets)  # type: ignore[no-untyped-call]
    return values


def branch_log_probs(causal_lm: Any, batch: Batch) -> Tensor:
    """Sum of the trained tokens' log-probs of each branch: (B,), float32, differentiable."""
    return summed(token_log_probs(causal_lm, batch), batch)


def summed(tokens: Tensor, batch: Batch) -> Tensor:
    """The sum over each branch of numbers of its trained tokens: (N,) → (B,)."""
    return tokens.new_zeros(batch.branches).index_add(0, batch.owner, tokens)


class _HeadLogProbs(torch.autograd.Function):
    """hidden (N, D), head, targets (N,) → log-probs (N,)."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Head, targets: Tensor) -> Tensor:
        head = _as_computed(head)
        wants_gradient = ctx.needs_input_grad[0]
        chunks = [_chunk(h, head, t, wants_gradient) for h, t in _split(head, hidden, targets)]
        if wants_gradient:
            ctx.save_for_backward(torch.cat([gradient for _, gradient in chunks]))
        return torch.cat([values for values, _ in chunks])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors  # (N, D)
        return (upstream[:, None] * gradient).to(gradient.dtype), None, None


class _TrainedHead(torch.autograd.Function):
    """hidden (N, D), weight (V, D), bias (V,) or None, the head of these, targets (N,) → log-probs (N,)."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, head: Head, targets: Tensor
    ) -> Tensor:
        ctx.head = _as_computed(head)
        ctx.save_for_backward(hidden, weight, targets)
        chunks = _split(ctx.head, hidden, targets)
        return torch.cat([_chunk(h, ctx.head, t, False)[0] for h, t in chunks])

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        head, (hidden, weight, targets) = ctx.head, ctx.saved_tensors
        by_hidden, by_weight = [], torch.zeros_like(weight)
        by_bias = None if head.bias is None else weight.new_zeros(weight.shape[0])
        for h, t, up in _split(head, hidden, targets, upstream):
            by_product = (_by_product(h, head, t)[1] * up[:, None]).to(head.weight.dtype)  # (n, V)
            by_hidden.append((by_product @ head.weight).to(hidden.dtype))
            by_weight += by_product.T @ h.to(head.weight.dtype)
            if by_bias is not None:
                by_bias += by_product.sum(0, dtype=weight.dtype)
        return torch.cat(by_hidden), by_weight, by_bias, None, None


def _as_computed(head: Head) -> Head:
    """The head in the precision that products run in: float32 weights under autocast become bf16."""
    device = head.weight.device.type
    if not torch.is_autocast_enabled(device):
        return head
    dtype = torch.get_autocast_dtype(device)
    bias = None if head.bias is None else head.bias.to(dtype)
    return replace(head, weight=head.weight.to(dtype), bias=bias)


def _split(head: Head, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Tensors over N tokens, cut alike into chunks of as many tokens as may be multiplied by the head."""
    elements = CHUNK_ELEMENTS.get(head.weight.device.type, max(CHUNK_ELEMENTS.values()))
    rows = max(CHUNK_TOKENS, elements // head.weight.shape[0])
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)


def _chunk(hidden: Tensor, head: Head, targets: Tensor, wants_gradient: bool) -> tuple[Tensor, Tensor]:
    """Log-probs (n,) of a chunk's targets and, if wanted, their gradients by the hidden states (n, D)."""
    values, by_product = _by_product(hidden, head, targets, wants_gradient)
    if not wants_gradient:
        return values, values
    return values, linear(by_product.to(head.weight.dtype), head.weight.T).to(hidden.dtype)


def _by_product(
    hidden: Tensor, head: Head, targets: Tensor, wants_gradient: bool = True
) -> tuple[Tensor, Tensor]:
    """Log-probs (n,) of a chunk's targets and, if wanted, their gradients by W h + b (n, V)."""
    logits = linear(hidden.to(head.weight.dtype), head.weight, head.bias).float()
    if head.scale != 1.0:
        logits *= head.scale
    slope = head.scale
    if head.softcap:
        tanh = (logits / head.softcap).tanh_()
        logits = tanh * head.softcap
    log_p = logits.log_softmax(-1)
    picked = targets[:, None]
    values = log_p.gather(-1, picked).squeeze(-1)
    if not wants_gradient:
        return values, values
    by_logits = log_p.exp_().neg_()  # −p, then 1 − p at the target
    by_logits.scatter_add_(-1, picked, torch.ones_like(picked, dtype=by_logits.dtype))
    if head.softcap:
        by_logits *= 1 - tanh**2
    return values, by_logits * slope if slope != 1.0 else by_logits
