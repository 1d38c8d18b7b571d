"""Attention in bf16 on a CPU, for training: a few large products, where torch's flash kernel has many small.

softmax(s q kᵀ + mask) v, arXiv:1706.03762, equation 1. Blocks are of as many rows as a cache holds the scores
of, and their queries see no key behind them. Those with few keys keep their weights for the backward pass;
the others' are computed again, as in flash attention (arXiv:2205.14135), so that nothing of (T, T) is kept.
Scores are rounded to bf16, as all else is: tests/bench/README.md has what that costs and what it gains. In
float32 the flash kernel stays.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "blocks"
QUERIES = 256  # of a block at most
SCORES = 2**19  # of a block at most, where one row has no more
KEPT = 512  # the most keys of a block whose weights are kept

Block = tuple[slice, slice, slice]  # heads of rows, of R · heads; queries; keys


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
        out, kept, blocks = torch.empty_like(q), [], _blocks(*query.shape[:3])
        for heads, queries, seen in blocks:
            part = _part(mask, q, heads, queries, seen)
            p = _weights(q[heads, queries], k[heads, seen], part, scale)
            out[heads, queries] = p @ v[heads, seen]
            kept.append(p if seen.stop <= KEPT else None)
        ctx.save_for_backward(q, k, v, mask, *kept)
        ctx.scale, ctx.shape, ctx.blocks = scale, query.shape, blocks
        return out.view(query.shape).transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, mask, *kept = ctx.saved_tensors
        g = upstream.transpose(1, 2).contiguous().flatten(0, 1)
        by_q, by_k, by_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for (heads, queries, seen), p in zip(ctx.blocks, kept, strict=True):
            if p is None:
                part = _part(mask, q, heads, queries, seen)
                p = _weights(q[heads, queries], k[heads, seen], part, ctx.scale)
            by_v[heads, seen] += p.mT @ g[heads, queries]
            by_p = g[heads, queries] @ v[heads, seen].mT
            by_scores = torch._softmax_backward_data(by_p, p, -1, p.dtype)
            by_q[heads, queries] = by_scores @ k[heads, seen]
            by_k[heads, seen] += by_scores.mT @ q[heads, queries]
        for product in (by_q, by_k):  # there is less of them than of scores
            product *= ctx.scale
        return by_q.view(ctx.shape), by_k.view(ctx.shape), by_v.view(ctx.shape), None, None


def _blocks(rows: int, heads: int, length: int) -> list[Block]:
    """Some rows with all of their heads, queries of like number, and the keys that these may see."""
    size = -(-length // -(-length // QUERIES))
    few = max(1, SCORES // (heads * size * length)) * heads
    return [
        (slice(first, min(first + few, rows * heads)), slice(start, end), slice(0, end))
        for first in range(0, rows * heads, few)
        for start in range(0, length, size)
        for end in [min(start + size, length)]
    ]


def _part(mask: Tensor | None, q: Tensor, heads: slice, queries: slice, seen: slice) -> Tensor:
    """The mask of a block, one for all heads of a row, or the causal one: (rows or 1, queries, seen)."""
    if mask is not None:
        each = len(q) // len(mask)
        return mask[heads.start // each : -(-heads.stop // each), 0, queries, seen]
    lowest = q.new_full((1, queries.stop - queries.start, seen.stop), torch.finfo(q.dtype).min)
    return lowest.triu(queries.start + 1)


def _weights(q: Tensor, k: Tensor, mask: Tensor, scale: float) -> Tensor:
    """softmax(s q kᵀ + mask): (heads of rows, queries, seen)."""
    if len(mask) > 1:
        mask = mask.repeat_interleave(len(q) // len(mask), 0)
    return torch.baddbmm(mask, q, k.mT, alpha=scale).softmax(-1)


AttentionInterface.register(NAME, blocks)
AttentionMaskInterface.register(NAME, sdpa_mask)
