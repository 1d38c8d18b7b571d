"""Beam search: the most probable answers that a search of some width finds, whole."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from engine.sampling import Sampling


def search(
    model: Any,
    prompt: Sequence[int],
    sampling: Sampling,
    *,
    limit: int,
    ends: Collection[int],
    should_stop: Callable[[], bool],
) -> tuple[list[list[int]], bool]:
    """The `sampling.n` best answers of at most `limit` tokens by transformers' search, each with what pads it
    behind its end, and whether `should_stop` cut the search short."""
    ids = torch.tensor([list(prompt)], device=model.device)
    cancelled = _Cancelled(should_stop)
    with torch.no_grad():
        sequences = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            num_beams=max(sampling.beams, sampling.n),
            num_return_sequences=sampling.n,
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
    return sequences[:, ids.shape[1] :].tolist(), cancelled.met


class _Cancelled(StoppingCriteria):  # type: ignore[misc]
    """Ends the search when `should_stop` says so, and remembers that it did."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self.should_stop = should_stop
        self.met = False

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        self.met = self.met or self.should_stop()
        return torch.full((input_ids.shape[0],), self.met, device=input_ids.device)
