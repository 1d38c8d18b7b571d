"""Attention in bf16 on a CPU, for training: a few large products, where torch's flash kernel has many small.

softmax(s q kᵀ + mask) v, arXiv:1706.03762, equation 1. Blocks of queries see no key behind them. Those with
few keys keep their weights for the backward pass; the others' are computed again, as in flash attention
(arXiv:2205.14135), so that nothing of (T, T) is kept. Scores are rounded to bf16, as all else is:
tests/bench/README.md has what that costs and what it gains. In float32 the flash kernel stays.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "blocks"
QUERIES = 256  # of a block at most
KEPT = 512  # the most keys of a block whose weights are kept


def blocks(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **rest: Any
) -> tuple[Tensor, None]:
    """As transformers' sdpa: query (R, heads, T, D), mask (R, 1, T, T) or None → (R, T, heads, D)."""
    if not _takes(module, (query, key, value), attention_mask, rest):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **rest)  # type: ignore[no-any-return]
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scale = rest.get("scaling") or query.shape[-1] ** -0.5
    return BlockAttention.apply(query, key, value, attention_mask, scale), None  # type: ignore[no-untyped-call]


def use(causal_lm: Any, dtype: torch.dtype) -> None:
    """Let the model, which computes in `dtype`, attend so, where that pays: in place of sdpa."""
    pays = causal_lm.device.type == "cpu" and dtype == torch.bfloat16
    if (
        pays
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and causal_lm.config._attn_implementation == "sdpa"
    ):
        causal_lm.set_attn_implementation(NAME)


def _takes(module: nn.Module, tensors: tuple[Tensor, ...], mask: Tensor | None, rest: dict[str, Any]) -> bool:
    """Whether it is plain causal attention of whole rows, in bf16: masks of our own are causal too."""
    query, key, value = tensors
    half = all(tensor.dtype == torch.bfloat16 for tensor in tensors)
    whole = query.shape[2] == key.shape[2] and query.shape[3] == value.shape[3]
    ours = mask is None or (mask.dtype == torch.bfloat16 and mask.shape[1] == 1)
    causal = rest.get("is_causal") in (None, True) and getattr(module, "is_causal", True)
    extra = rest.get("dropout") or any(
        rest.get(name) is not None for name in ("position_bias", "softcap", "cache")
    )
    return half and whole and ours and causal and not extra


class BlockAttention(torch.autograd.Function):
    """query, key, value (R, heads, T, D), mask (R, 1, T, T) or None, s → (R, T, heads, D).

    With P = softmax(s q kᵀ + mask), of a block's queries and all keys up to its end, and the upstream
    gradient g: ∂v = Pᵀ g, ∂q = s S k, ∂k = s Sᵀ q, where S = P ∘ (g vᵀ − the mean of g vᵀ under P).
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        q, k, v = (tensor.contiguous().flatten(0, 1) for tensor in (query, key, value))  # (R · heads, T, D)
        out, kept = torch.empty_like(q), []
        for rows, seen in _blocks(q.shape[1]):
            p = _weights(q, k, mask, rows, seen, scale)
            out[:, rows] = p @ v[:, seen]
            kept += [p] if seen.stop <= KEPT else []
        ctx.save_for_backward(q, k, v, mask, *kept)
        ctx.scale, ctx.shape = scale, query.shape
        return out.view(query.shape).transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, mask, *kept = ctx.saved_tensors
        g = upstream.transpose(1, 2).contiguous().flatten(0, 1)
        by_q, by_k, by_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for rows, seen in _blocks(q.shape[1]):  # the first few are kept
            p = kept.pop(0) if kept else _weights(q, k, mask, rows, seen, ctx.scale)
            by_v[:, seen] += p.mT @ g[:, rows]
            by_scores = torch._softmax_backward_data(g[:, rows] @ v[:, seen].mT, p, -1, p.dtype)
            by_q[:, rows] = by_scores @ k[:, seen]
            by_k[:, seen] += by_scores.mT @ q[:, rows]
        for product in (by_q, by_k):  # there is less of them than of scores
            product *= ctx.scale
        return by_q.view(ctx.shape), by_k.view(ctx.shape), by_v.view(ctx.shape), None, None


def _blocks(length: int) -> Iterator[tuple[slice, slice]]:
    """Queries in blocks of like size, each with the keys that they may see."""
    size = -(-length // -(-length // QUERIES))
    for start in range(0, length, size):
        end = min(start + size, length)
        yield slice(start, end), slice(0, end)


def _part(mask: Tensor | None, q: Tensor, rows: slice, seen: slice) -> Tensor:
    """A block's part of the mask, one for all heads of a row, or the causal one: (R or 1, rows, seen)."""
    if mask is not None:
        return mask[:, 0, rows, seen]
    lowest = q.new_full((1, rows.stop - rows.start, seen.stop), torch.finfo(q.dtype).min)
    return lowest.triu(rows.start + 1)


def _weights(q: Tensor, k: Tensor, mask: Tensor | None, rows: slice, seen: slice, scale: float) -> Tensor:
    """A block's softmax(s q kᵀ + mask): (R · heads, rows, seen)."""
    part = _part(mask, q, rows, seen)
    if len(part) > 1:
        part = part.repeat_interleave(len(q) // len(part), 0)
    return torch.baddbmm(part, q[:, rows], k[:, seen].mT, alpha=scale).softmax(-1)


AttentionInterface.register(NAME, blocks)
AttentionMaskInterface.register(NAME, sdpa_mask)
