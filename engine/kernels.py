"""Which kernel attention really ran on: seen in a profile of one forward pass, never assumed."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from engine.batches import Batch
from engine.logps import hidden_states

# What a profile calls them → what we do. The first that a name starts with counts.
KERNELS = {
    "flash_attn::": "flash_attention_2",
    "BlockAttention": "blocks",  # engine.attention's
    "aten::_scaled_dot_product_flash_attention": "flash",  # "…_for_cpu" too
    "aten::_scaled_dot_product_efficient_attention": "efficient",
    "aten::_scaled_dot_product_cudnn_attention": "cudnn",
    "aten::_scaled_dot_product_attention_math": "math",
    "FlashAttn": "flash_attention_2",  # older releases of flash-attn: a Python function's name
}
OTHER = "eager"  # written out in single products, or no attention at all


def attention_kernel(causal_lm: Any, batch: Batch) -> str:
    """The kernel of every attention in one forward pass on `batch`, without gradients.

    "flash", "efficient", "cudnn" and "math" are torch's, "flash_attention_2" the package's, "blocks" ours;
    "eager" when there was none of them. Several, for layers of several kinds, are joined by " and ".
    """
    with profile(activities=[ProfilerActivity.CPU]) as seen, torch.no_grad():  # calls, so not CUDA's side
        hidden_states(causal_lm, batch)
    # `seen.events()` would make a tree of them first, which takes several times as long as the pass
    return kernels_among(event.name() for event in seen.profiler.kineto_results.events())


def kernels_among(names: Iterable[str]) -> str:
    """The kernels among the names of a profile's events."""
    found = {kernel for name in names for known, kernel in KERNELS.items() if name.startswith(known)}
    return " and ".join(sorted(found)) or OTHER
