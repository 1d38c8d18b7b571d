"""Answers from a causal language model, token by token.

One pass over the prompt serves all `n` answers; each answer draws from a random stream of its own, so that
the same seed gives the same answers, however many are drawn beside them.
"""

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import DynamicCache, StoppingCriteria, StoppingCriteriaList
from transformers.generation import logits_process as processors

from engine.errors import UserError
from engine.text_stream import TextStream


class ContextFullError(UserError):
    """The prompt leaves no room for an answer."""


Finish = Literal["", "stop", "length", "cancelled"]


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn.

    `temperature` 0 is greedy; `top_k` 0, `top_p` 1, `min_p` 0 and `repetition_penalty` 1 change nothing.
    `beams` above 1 is beam search: deterministic, so temperature and the filters play no part in it.
    `max_tokens` None is all that the context has room for. `seed` None draws a fresh one.
    """

    n: int = 1
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    beams: int = 1
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Delta:
    """More text of answer `index`; `tokens` counts that answer's tokens so far, its end token included.

    The last delta of each answer has a `finish`: "stop" at an end token or stop string, "length" at the
    limit, "cancelled" when `should_stop` said so.
    """

    index: int
    text: str
    tokens: int
    finish: Finish = ""


def generate(
    model: Any,
    tokenizer: Any,
    prompt: Sequence[int],
    sampling: Sampling,
    *,
    context: int,
    ends: Collection[int],
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Delta]:
    """Answer `prompt` (token ids, generation prompt included), as deltas of `sampling.n` answers in turn.

    `context` is the longest sequence, in tokens, that the model was made for; `ends` are the ids that end an
    answer. Runs in the precision that the model was loaded in. Raises UserError when the prompt is empty or
    leaves no room for an answer.
    """
    room = context - len(prompt)
    if not prompt:
        raise UserError("The conversation is empty.", do="Send at least one message.")
    if room < 1:
        raise ContextFullError(
            f"The conversation is {len(prompt)} tokens; the model takes {context}, its answer included.",
            kept="Nothing was cut off.",
            do="Start a new conversation, or shorten this one.",
        )
    limit = min(room, sampling.max_tokens or room)
    ids = torch.tensor([list(prompt)], device=model.device)
    streams = [TextStream(tokenizer, sampling.stop) for _ in range(sampling.n)]
    search = _beams if sampling.beams > 1 else _sample
    yield from search(model, ids, sampling, limit, ends, streams, should_stop)


def _sample(
    model: Any,
    ids: Tensor,
    sampling: Sampling,
    limit: int,
    ends: Collection[int],
    streams: list[TextStream],
    should_stop: Callable[[], bool],
) -> Iterator[Delta]:
    """Draw token after token for every answer that is not finished; `ids` is the prompt, (1, T)."""
    process = _processors(sampling)
    draw = _argmax if sampling.temperature == 0 else _inverse_cdf(sampling, len(streams))
    running = list(range(len(streams)))  # the answers behind the rows of ids, in order
    cache = DynamicCache(config=model.config)
    if should_stop():
        yield from (Delta(index, "", 0, "cancelled") for index in running)
        return
    logits = _forward(model, ids, cache).expand(len(running), -1)
    ids = _select(ids, cache, [0] * len(running))
    for count in range(1, limit + 1):
        tokens = draw(process(ids, logits), running)
        left = []
        cancelled = should_stop()
        for row, (index, token) in enumerate(zip(running, tokens.tolist(), strict=True)):
            delta = _delta(index, token, count, ends, streams[index])
            if not delta.finish and (cancelled or count == limit):
                finish: Finish = "cancelled" if cancelled else "length"
                delta = Delta(index, delta.text + streams[index].end(), count, finish)
            if not delta.finish:
                left.append(row)
            if delta.text or delta.finish:
                yield delta
        if not left:
            return
        if len(left) < len(running):
            running = [running[row] for row in left]
            tokens, ids = tokens[left], _select(ids, cache, left)
        ids = torch.cat([ids, tokens[:, None]], dim=1)
        logits = _forward(model, ids[:, -1:], cache)


def _delta(index: int, token: int, count: int, ends: Collection[int], stream: TextStream) -> Delta:
    if token in ends:
        return Delta(index, stream.end(), count, "stop")
    text = stream.add(token)
    return Delta(index, text, count, "stop" if stream.stopped else "")


@torch.no_grad()
def _forward(model: Any, ids: Tensor, cache: DynamicCache) -> Tensor:
    """Logits of the last position, float32 (B, V), for the new `ids` (B, T) after those in `cache`."""
    output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    logits: Tensor = output.logits[:, -1].float()
    return logits


def _select(ids: Tensor, cache: DynamicCache, rows: list[int]) -> Tensor:
    """Keep `rows` (repeats allowed) of ids and, in place, of the cache."""
    # What beam search does between steps is the one selection of rows that every kind of cache can do.
    picked = torch.tensor(rows, device=ids.device)
    cache.reorder_cache(picked)
    return ids[picked]


def _processors(sampling: Sampling) -> processors.LogitsProcessorList:
    chosen: list[Any] = []
    if sampling.repetition_penalty != 1:
        chosen.append(processors.RepetitionPenaltyLogitsProcessor(float(sampling.repetition_penalty)))
    if sampling.temperature not in (0, 1):
        chosen.append(processors.TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.temperature and sampling.top_k > 0:
        chosen.append(processors.TopKLogitsWarper(sampling.top_k))
    if sampling.temperature and sampling.top_p < 1:
        chosen.append(processors.TopPLogitsWarper(sampling.top_p))
    if sampling.temperature and sampling.min_p > 0:
        chosen.append(processors.MinPLogitsWarper(sampling.min_p))
    return processors.LogitsProcessorList(chosen)


Draw = Callable[[Tensor, list[int]], Tensor]


def _argmax(scores: Tensor, running: list[int]) -> Tensor:
    """The likeliest token of each row: (B, V) to (B,)."""
    return scores.argmax(-1)


def _inverse_cdf(sampling: Sampling, n: int) -> Draw:
    """One uniform number per answer and token, from a generator of the answer's own on the CPU.

    So an answer depends on its seed alone: not on the device, nor on which other answers still run beside it.
    """
    seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
    generators = [torch.Generator().manual_seed(stream_seed(seed, index)) for index in range(n)]

    def draw(scores: Tensor, running: list[int]) -> Tensor:
        uniform = torch.cat([torch.rand(1, generator=generators[index]) for index in running])
        cdf = scores.double().softmax(-1).cumsum(-1)
        threshold = uniform.to(cdf)[:, None] * cdf[:, -1:]
        # right: the first token whose cdf is beyond the threshold, hence never one that was filtered out
        return torch.searchsorted(cdf, threshold, right=True)[:, 0]

    return draw


def stream_seed(seed: int, index: int) -> int:
    """A seed for answer `index`: hashed, so that neighbouring seeds share no answer."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:7])


class _Cancelled(StoppingCriteria):  # type: ignore[misc]
    """Ends transformers' beam search when `should_stop` says so, and remembers that it did."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self.should_stop = should_stop
        self.met = False

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        self.met = self.met or self.should_stop()
        return torch.full((input_ids.shape[0],), self.met, device=input_ids.device)


def _beams(
    model: Any,
    ids: Tensor,
    sampling: Sampling,
    limit: int,
    ends: Collection[int],
    streams: list[TextStream],
    should_stop: Callable[[], bool],
) -> Iterator[Delta]:
    """The best answers of transformers' beam search, whole; stop strings cut them afterwards."""
    cancelled = _Cancelled(should_stop)
    with torch.no_grad():
        sequences = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            num_beams=max(sampling.beams, len(streams)),
            num_return_sequences=len(streams),
            do_sample=False,
            temperature=None,
            top_k=None,
            top_p=None,
            max_new_tokens=limit,
            repetition_penalty=float(sampling.repetition_penalty),
            eos_token_id=sorted(ends) or None,
            pad_token_id=min(ends, default=0),
            stopping_criteria=StoppingCriteriaList([cancelled]),
        )
    for index, row in enumerate(sequences[:, ids.shape[1] :].tolist()):
        yield _whole(index, row, ends, streams[index], "cancelled" if cancelled.met else "")


def _whole(index: int, tokens: list[int], ends: Collection[int], stream: TextStream, finish: Finish) -> Delta:
    """The answer that `tokens` are, in one delta; an empty `finish` is "length" unless something ends it."""
    text = ""
    for count, token in enumerate(tokens, start=1):
        delta = _delta(index, token, count, ends, stream)
        text += delta.text
        if delta.finish:
            return Delta(index, text, count, finish or delta.finish)
    return Delta(index, text + stream.end(), len(tokens), finish or "length")
