"""The cache of a batch's answers, a row for each: put beside others, and cut."""

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache


def beside(one: DynamicCache, other: DynamicCache) -> DynamicCache:
    """The rows of both caches, of plain layers, in `one`: padded on the left to the same width."""
    width = max(one.get_seq_length(), other.get_seq_length())
    for ours, theirs in zip(one.layers, other.layers, strict=True):
        if ours.is_initialized:  # not so where a layer shares another's
            ours.keys = torch.cat([_widened(part.keys, width) for part in (ours, theirs)])
            ours.values = torch.cat([_widened(part.values, width) for part in (ours, theirs)])
    return one


def _widened(part: Tensor, width: int) -> Tensor:
    return pad(part, (0, 0, width - part.shape[2], 0))


def crop(cache: DynamicCache, columns: int) -> None:
    """Drop `columns` on the left, which are padding in every row."""
    for layer in cache.layers:
        if columns and layer.is_initialized:
            layer.keys, layer.values = layer.keys[:, :, columns:], layer.values[:, :, columns:]
