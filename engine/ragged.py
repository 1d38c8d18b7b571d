"""Attention of one new token per row over rows of unlike lengths, without reading all of their padding.

Rows of a batch that is padded on the left have as many columns as the longest, most of them padding where
prompts differ: transformers' sdpa reads them all. Here a few rows at a time are read from the first column
that any of them sees.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from engine import attention

NAME = "ragged"
ROWS = 8  # at a time: fewer are more calls, more are more padding


def ragged(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **rest: Any
) -> tuple[Tensor, None]:
    """As transformers' sdpa: query (B, heads, T, D), mask (B, 1, T, columns) → (B, T, heads, D)."""
    rows = len(query)
    if attention_mask is None or query.shape[2] > 1 or rows <= ROWS or len(attention_mask) != rows:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **rest)  # type: ignore[no-any-return]
    parts = []
    for start in range(0, rows, ROWS):
        few = slice(start, start + ROWS)
        mask = attention_mask[few]
        seen = slice(int(mask.flatten(0, -2).any(0).int().argmax()), None)
        part, _ = sdpa_attention_forward(
            module, query[few], key[few, :, seen], value[few, :, seen], mask[..., seen], **rest
        )
        parts.append(part)
    return torch.cat(parts), None


def use(causal_lm: Any) -> None:
    """Let the model attend so, where that pays: on a CPU, in place of sdpa, with masks of true and false."""
    if causal_lm.device.type == "cpu" and causal_lm.config._attn_implementation in ("sdpa", attention.NAME):
        causal_lm.set_attn_implementation(NAME)


AttentionInterface.register(NAME, ragged)
AttentionMaskInterface.register(NAME, sdpa_mask)
