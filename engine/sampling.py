"""How answers are drawn: temperature and filters, and a random stream of its own for each answer."""

import hashlib
import secrets
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.generation import logits_process as processors


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn.

    `temperature` 0 is greedy; `top_k` 0, `top_p` 1, `min_p` 0 (arXiv:2407.01082) and `repetition_penalty` 1
    (arXiv:1909.05858, section 4.1, over prompt and answer, as in transformers) change nothing.
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


class Drawn(Protocol):
    """An answer that grows: its token ids so far, prompt included, and what draws the next."""

    @property
    def ids(self) -> list[int]: ...

    @property
    def sampling(self) -> Sampling: ...

    @property
    def generator(self) -> torch.Generator: ...


def pick(logits: Tensor, answers: Sequence[Drawn]) -> list[int]:
    """The next token of each answer from logits (B, V), those drawn in the same way together."""
    alike: dict[Hashable, list[int]] = {}
    for row, answer in enumerate(answers):
        alike.setdefault(_manner(answer), []).append(row)
    tokens = [0] * len(answers)
    for rows in alike.values():
        drawn = _pick(logits[rows] if len(alike) > 1 else logits, [answers[row] for row in rows])
        for row, token in zip(rows, drawn.tolist(), strict=True):
            tokens[row] = token
    return tokens


def _manner(answer: Drawn) -> Hashable:
    drawn = answer.sampling
    # a penalty needs the ids as one tensor, and only answers to one prompt are sure to be of one length
    length = len(answer.ids) if drawn.repetition_penalty != 1 else 0
    return drawn.temperature, drawn.top_k, drawn.top_p, drawn.min_p, drawn.repetition_penalty, length


def _pick(logits: Tensor, answers: Sequence[Drawn]) -> Tensor:
    """Tokens (B,) from logits (B, V) for answers that are drawn in the same way."""
    sampling = answers[0].sampling
    if sampling.repetition_penalty != 1:
        ids = torch.tensor([answer.ids for answer in answers], device=logits.device)
        penalty = processors.RepetitionPenaltyLogitsProcessor(float(sampling.repetition_penalty))
        logits = penalty(ids, logits)
    if not sampling.temperature:
        return logits.argmax(-1)
    for process in _filters(sampling):
        logits = process(None, logits)
    return _inverse_cdf(logits, [answer.generator for answer in answers])


def _filters(sampling: Sampling) -> list[Any]:
    chosen: list[Any] = []
    if sampling.temperature != 1:
        chosen.append(processors.TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k > 0:
        chosen.append(processors.TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        chosen.append(processors.TopPLogitsWarper(sampling.top_p))
    if sampling.min_p > 0:
        chosen.append(processors.MinPLogitsWarper(sampling.min_p))
    return chosen


def _inverse_cdf(scores: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Tokens (B,) from scores (B, V) by one uniform number each, from a generator of its own on the CPU.

    So an answer depends on its seed: not on the device, nor on which other answers run beside it.
    """
    uniform = torch.cat([torch.rand(1, generator=generator) for generator in generators])
    cdf = scores.double().softmax(-1).cumsum(-1)
    threshold = uniform.to(cdf)[:, None] * cdf[:, -1:]
    # right: the first token whose cdf is beyond the threshold, hence never one that was filtered out
    return torch.searchsorted(cdf, threshold, right=True)[:, 0]


def generators(sampling: Sampling) -> list[torch.Generator]:
    """The random streams of the `n` answers."""
    seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
    return [torch.Generator().manual_seed(stream_seed(seed, index)) for index in range(sampling.n)]


def stream_seed(seed: int, index: int) -> int:
    """A seed for answer `index`: hashed, so that neighbouring seeds share no answer."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:7])
