"""Replies drawn from a model for many prompts at once: what PPO learns from.

Prompts of like length share a batch, padded on the left, with positions that count real tokens alone. One
pass over a prompt serves all its samples. Keys and values are written into memory set aside at the start,
and rows that have ended leave the batch.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from engine.batches import micro_batches
from engine.sampling import stream_seed

ROWS = {"cpu": 64, "cuda": 256}  # replies at a time
PREFILL = {"cpu": 512, "cuda": 16384}  # tokens of prompts at a time
LEAVE = 0.125  # part of a batch that must have ended before it is made smaller, which copies the rest


@dataclass(frozen=True)
class Reply:
    """A reply's tokens, its end token included if it has one.

    `ended` says whether it has; if not, the limit cut it off. `log_probs` are those of its tokens under
    the model and at the temperature that drew them.
    """

    ids: list[int]
    log_probs: list[float]
    ended: bool


def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    seeds: Sequence[int],
    samples: int,
    limit: int,
    temperature: float,
    ends: Collection[int],
    context: int,
    rows: int | None = None,
    heed: Callable[[], None] = lambda: None,
) -> list[list[Reply]]:
    """`samples` replies of at most `limit` tokens to each prompt (token ids, none empty).

    `model` is a transformers causal language model in eval mode, `ends` the ids that end a reply,
    `context` the longest sequence it takes. Temperature 0 is greedy. Sample j of prompt i draws from a
    random stream of its own, named by `seeds[i]` and j: what it is does not depend on the batch it is
    drawn in, up to the rounding of products of another shape. `rows` replies are drawn at a time. `heed` is
    called between two tokens, to raise if it is to end. Where the model gives no number, neither is the
    log-prob of what is drawn.
    """
    rows = rows or ROWS.get(model.device.type, ROWS["cpu"])
    replies: dict[int, list[Reply]] = {}
    for group in groups(prompts, max(1, rows // samples)):
        uniform = torch.stack([_uniform(seeds[i], j, limit) for i in group for j in range(samples)])
        limits = [min(limit, context - len(prompts[i])) for i in group for _ in range(samples)]
        drawing = _Group(model, [prompts[i] for i in group], samples, limits)
        drawn = drawing.draw(uniform, temperature, ends, heed)
        replies |= {i: drawn[k * samples : (k + 1) * samples] for k, i in enumerate(group)}
    return [replies[i] for i in range(len(prompts))]


def groups(prompts: Sequence[Sequence[int]], size: int) -> list[list[int]]:
    """The prompts (numbers), longest first, `size` at a time: those of like length together."""
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    return [order[start : start + size] for start in range(0, len(order), size)]


def _uniform(seed: int, index: int, count: int) -> Tensor:
    """`count` numbers above 0 and up to 1, the stream of sample `index` of a prompt: (count,)."""
    generator = torch.Generator().manual_seed(stream_seed(seed, index))
    return 1 - torch.rand(count, generator=generator)


class _Group:
    """Rows that are continued together: B = prompts × samples."""

    def __init__(
        self, model: Any, prompts: Sequence[Sequence[int]], samples: int, limits: Sequence[int]
    ) -> None:
        self.model, self.samples = model, samples
        self.limits = torch.tensor(limits, device=model.device)
        self.width = max(map(len, prompts))
        self.cache = _cache(model, self.width + max(limits))
        rows = [[0] * (self.width - len(prompt)) + list(prompt) for prompt in prompts]
        self.prompts = torch.tensor(rows, device=model.device)
        self.lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
        columns = torch.arange(self.width + max(limits), device=model.device)
        self.mask = (columns >= self.width - self.lengths[:, None]).long()
        self.padded = min(map(len, prompts)) < self.width

    @torch.inference_mode()
    def draw(
        self, uniform: Tensor, temperature: float, ends: Collection[int], heed: Callable[[], None]
    ) -> list[Reply]:
        """The rows' replies; `uniform` (B, limit) are the random numbers that pick their tokens."""
        device, longest = self.model.device, int(self.limits.max())
        uniform, final = uniform.to(device), torch.tensor(sorted(ends), device=device)
        logits = self._prefill()
        running = torch.arange(len(logits), device=device)  # the rows behind those of logits, in order
        tokens = torch.zeros(len(logits), longest, dtype=torch.long, device=device)
        log_probs = torch.zeros(len(logits), longest, device=device)
        lengths = torch.zeros_like(running)
        ended = torch.zeros_like(running, dtype=torch.bool)
        done = ended.clone()  # of the rows in the batch
        for t in range(longest):
            heed()
            drawn, likely = _pick(logits, uniform[running, t], temperature)
            tokens[running, t], log_probs[running, t] = drawn, likely
            stops = torch.isin(drawn, final)
            lengths[running] += ~done
            ended[running] |= stops & ~done
            done |= stops | (t + 1 >= self.limits[running])
            left = len(done) - int(done.sum())
            if not left:
                break
            if left <= (1 - LEAVE) * len(done):
                kept = (~done).nonzero()[:, 0]
                self._select(kept)
                running, drawn, done = running[kept], drawn[kept], done[kept]
            mask = self.mask[:, : self.width + t + 1]
            logits = self._forward(drawn[:, None], mask, self.lengths[:, None] + t, self.cache)
        return [
            Reply(row[:length], values[:length], end)
            for row, values, length, end in zip(
                tokens.tolist(), log_probs.tolist(), lengths.tolist(), ended.tolist(), strict=True
            )
        ]

    def _prefill(self) -> Tensor:
        """Logits after each prompt, (B, V): computed once per prompt, then repeated for its samples.

        Prompts of like length go through the model together, so that little of what is computed is padding;
        or all at once, where the cache has layers that do not keep every token's keys.
        """
        lengths, device = self.lengths.tolist(), self.prompts.device
        groups = [[*range(len(lengths))]]
        apart = all(isinstance(layer, _Layer) for layer in self.cache.layers)
        if apart:
            groups = micro_batches(groups[0], lengths, PREFILL.get(device.type, PREFILL["cpu"]))
        found: dict[int, Tensor] = {}
        for numbers in groups:
            used = slice(self.width - max(lengths[i] for i in numbers), self.width)
            mask = self.mask[numbers, used]
            cache = _cache(self.model, self.width - used.start) if apart else self.cache
            positions = (mask.cumsum(1) - 1).clamp_min(0)
            logits = self._forward(self.prompts[numbers, used], mask, positions, cache)
            found |= zip(numbers, logits, strict=True)
            if apart:
                for layer, part in zip(self.cache.layers, cache.layers, strict=True):
                    layer.adopt(part, numbers, len(lengths), used)
        repeated = torch.arange(len(lengths), device=device).repeat_interleave(self.samples)
        self._select(repeated)
        return torch.stack([found[i] for i in range(len(lengths))])[repeated]

    def _select(self, rows: Tensor) -> None:
        """Keep `rows` (repeats allowed) of the batch."""
        # What beam search does between steps is the one selection of rows that every kind of cache can do.
        self.cache.reorder_cache(rows)
        self.mask, self.lengths = self.mask[rows], self.lengths[rows]

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """Logits of the last position, float32 (B, V); `mask` (B, T) is 0 where a column is padding."""
        output = self.model(
            input_ids=ids,
            attention_mask=mask if self.padded else None,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits


def _pick(logits: Tensor, uniform: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """A token for each row of logits (B, V), drawn by inverting the cdf, and its log-prob: (B,), (B,)."""
    if not temperature:
        best, drawn = logits.max(-1)
        return drawn, best - logits.logsumexp(-1)
    logits = logits / temperature
    normaliser = logits.logsumexp(-1, keepdim=True)
    cdf = (logits - normaliser).exp_().cumsum(-1)
    # The first token whose cdf reaches a threshold above 0 has a probability above 0.
    drawn = torch.searchsorted(cdf, uniform[:, None] * cdf[:, -1:])
    drawn = drawn.clamp_max(logits.shape[-1] - 1)  # NaN is beyond all of them
    return drawn[:, 0], (logits.gather(-1, drawn) - normaliser)[:, 0]


class _Layer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, (B, heads, room, D), of which views grow: no token is copied again."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room, self.used, self.is_initialized = room, 0, False
        self._keys = self._values = torch.empty(0)

    def update(self, keys: Tensor, values: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write what is new behind what is there; both views."""
        if not self.is_initialized:
            self.dtype, self.device = keys.dtype, keys.device
            self._set(keys[:, :, :0], values[:, :, :0])
            self.is_initialized = True
        start, self.used = self.used, self.used + keys.shape[2]
        self._keys[:, :, start : self.used] = keys
        self._values[:, :, start : self.used] = values
        self.keys, self.values = self._keys[:, :, : self.used], self._values[:, :, : self.used]
        return self.keys, self.values

    def adopt(self, part: "_Layer", rows: list[int], count: int, columns: slice) -> None:
        """Take `part` as `rows`, of `count` in all, in `columns`, the last in use."""
        if not part.is_initialized:  # a layer that shares another's
            return
        if not self.is_initialized:
            self.dtype, self.device, self.used = part.dtype, part.device, columns.stop
            empty = part.keys.new_zeros(count, part.keys.shape[1], columns.stop, part.keys.shape[3])
            self._set(empty, part.values.new_zeros(*empty.shape[:3], part.values.shape[3]))
            self.is_initialized = True
        self.keys[rows, :, columns] = part.keys
        self.values[rows, :, columns] = part.values

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Those rows alone, each as often as it is named."""
        if not self.is_initialized:
            return
        self._set(self.keys[beam_idx], self.values[beam_idx])

    def _set(self, keys: Tensor, values: Tensor) -> None:
        """Memory set aside for `keys` and `values` and what will follow them."""
        self._keys, self.keys = self._roomy(keys)
        self._values, self.values = self._roomy(values)

    def _roomy(self, part: Tensor) -> tuple[Tensor, Tensor]:
        memory = part.new_empty(*part.shape[:2], self.room, part.shape[3])
        view = memory[:, :, : part.shape[2]]
        return memory, view.copy_(part)


def _cache(model: Any, room: int) -> DynamicCache:
    """The model's own kind of cache, its plain layers replaced by ours.

    Sliding windows and state-space layers stay as they are.
    """
    cache = DynamicCache(config=model.config)
    cache.layers = [_Layer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
