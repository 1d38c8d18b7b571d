"""Answers from a causal language model, token by token, those to several conversations in one batch.

One pass over a prompt serves all its answers, and one pass of the model gives every running answer its next
token. A conversation joins the batch between two tokens, and answers that have ended leave it ("continuous
batching", Yu et al., Orca, OSDI 2022). Each answer draws from a random stream of its own: the same seed gives
the same answer, whatever runs beside it, up to the rounding of products of another shape.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from engine import beams, caches, sampling
from engine.answers import Answer, Delta, Finish, Request, room
from engine.models import out_of_memory
from engine.sampling import Sampling
from engine.text_stream import TextStream

MOST_ANSWERS = 64  # that run beside each other, unless one conversation wants more
MOST_PADDING = 4096  # tokens of memory that may be lost on answers of unlike lengths


def generate(
    model: Any,
    tokenizer: Any,
    prompt: Sequence[int],
    wanted: Sampling,
    *,
    context: int,
    ends: Collection[int],
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Delta]:
    """Answer one `prompt`, as deltas of its answers in turn: a `Batch` of its own."""
    batch = Batch(model, tokenizer, context=context, ends=ends)
    batch.join(prompt, wanted, should_stop)
    while batch:
        for _, news in batch.step():
            if isinstance(news, Exception):
                raise news
            yield news


class Batch:
    """Answers that run beside each other: false when there is none.

    `context` is the longest sequence, in tokens, that the model was made for; `ends` are the ids that end an
    answer. Runs in the precision that the model was loaded in. Row i of the cache belongs to `_answers[i]`:
    keys and values of all its tokens but the last, padded on the left to the longest.
    """

    def __init__(self, model: Any, tokenizer: Any, *, context: int, ends: Collection[int]) -> None:
        self.model, self.tokenizer, self.context, self.ends = model, tokenizer, context, ends
        self._answers: list[Answer] = []
        self._cache = DynamicCache(config=model.config)
        self._most = MOST_ANSWERS
        self._away: list[Request] = []  # those that could not go on together: they do when there is room
        self._failed: list[tuple[Request, Exception]] = []  # those that cannot alone either

    def __bool__(self) -> bool:
        return bool(self._answers or self._failed)

    def takes(self, length: int, wanted: Sampling) -> bool:
        """Whether answers to a prompt of `length` tokens may join what runs; always when nothing does.

        Beam search runs alone, and so does a model whose cache does not keep every token's keys (sliding
        windows, state spaces).
        """
        if not self._answers:
            return True
        alone = wanted.beams > 1 or self._answers[0].sampling.beams > 1 or not self._joinable(length)
        return not (alone or self._away) and self._fits([length] * wanted.n)

    def join(
        self, prompt: Sequence[int], wanted: Sampling, should_stop: Callable[[], bool] = lambda: False
    ) -> Request:
        """Begin answers to `prompt` (token ids, generation prompt included).

        Raises UserError when it is empty or leaves no room for an answer, and whatever its first pass does;
        nothing else is changed then.
        """
        limit = min(room(len(prompt), self.context), wanted.max_tokens or self.context)
        request = Request(wanted, limit, should_stop)
        request.running = [
            Answer(request, index, list(prompt), TextStream(self.tokenizer, wanted.stop), generator)
            for index, generator in enumerate(sampling.generators(wanted))
        ]
        if wanted.beams > 1:
            self._answers = list(request.running)
        else:
            self._begin(request)
        for failed, error in self._failed:
            if failed is request:
                self._failed.remove((failed, error))
                raise error
        return request

    def step(self) -> list[tuple[Request, Delta | Exception]]:
        """One more token of every answer: what each has more to show, or ends with.

        A request that cannot go on, alone either, ends with the error, and the others do go on.
        """
        found: list[tuple[Request, Delta | Exception]] = [*self._advance()]
        while self._away and self._fits([len(answer.ids) for answer in self._away[0].running]):
            self._begin(self._away.pop(0))
        found += self._failed
        self._failed = []
        return found

    def _advance(self) -> list[tuple[Request, Delta]]:
        if not self._answers:
            return []
        if self._answers[0].sampling.beams > 1:
            return self._search()
        try:
            tokens = sampling.pick(self._forward(), self._answers)
        except Exception as error:
            self._go_apart(error)
            return []
        stops = {request: request.should_stop() for request in self._requests()}
        found = []
        for answer, token in zip(self._answers, tokens, strict=True):
            request = answer.request
            delta = answer.add(token, ends=self.ends, cancelled=stops[request])
            if delta.finish:
                request.running.remove(answer)
            if delta.text or delta.finish:
                found.append((request, delta))
        self._keep([row for row, answer in enumerate(self._answers) if answer in answer.request.running])
        return found

    def _search(self) -> list[tuple[Request, Delta]]:
        answers, self._answers = self._answers, []
        request = answers[0].request
        found, cancelled = beams.search(
            self.model,
            answers[0].ids,
            request.sampling,
            limit=request.limit,
            ends=self.ends,
            should_stop=request.should_stop,
        )
        return [
            (request, self._whole(answer, ids, cancelled)) for answer, ids in zip(answers, found, strict=True)
        ]

    def _whole(self, answer: Answer, ids: list[int], cancelled: bool) -> Delta:
        """The answer that `ids` are, in one delta."""
        text = ""
        for token in ids:
            delta = answer.add(token, ends=self.ends, cancelled=False)
            text += delta.text
            if delta.finish:
                return replace(delta, text=text)
        finish: Finish = "cancelled" if cancelled else "length"
        return Delta(answer.index, text + answer.stream.end(), answer.tokens, finish)

    def _requests(self) -> list[Request]:
        return list(dict.fromkeys(answer.request for answer in self._answers))

    def _joinable(self, length: int) -> bool:
        """Whether rows can be put beside those of the cache; a prompt of one token has none to put there."""
        plain = all(type(layer) is DynamicLayer for layer in self._cache.layers)
        return plain and length > 1 and self._cache.get_seq_length() > 0

    def _fits(self, more: list[int]) -> bool:
        lengths = [len(answer.ids) for answer in self._answers] + more
        padding = max(lengths) * len(lengths) - sum(lengths)
        return not self._answers or (len(lengths) <= self._most and padding <= MOST_PADDING)

    def _begin(self, request: Request) -> None:
        """Let the answers of a request run beside the others; or wait where memory has no room for them."""
        before = len(self._answers)
        try:
            # at the start they share the prompt's pass; after a wait they have tokens of their own
            alike = request.running[0].ids == request.running[-1].ids
            for answers in [request.running] if alike else [[answer] for answer in request.running]:
                self._prefill(answers)
        except Exception as error:
            del self._answers[before:]
            others = self._requests()
            if others and out_of_memory(error):
                self._away.append(request)
                self._restart(others, most=before)
            else:
                self._failed.append((request, error))
                self._restart(others, most=self._most)

    def _prefill(self, answers: list[Answer]) -> None:
        """Rows for answers of the same tokens so far: the model reads all but the last once."""
        ids = answers[0].ids[:-1]
        cache = DynamicCache(config=self.model.config)
        if ids:
            self._run(torch.tensor([ids], device=self.model.device), cache)
            cache.reorder_cache(torch.zeros(len(answers), dtype=torch.long, device=self.model.device))
        self._cache = caches.beside(self._cache, cache) if self._answers else cache
        self._answers += answers

    def _forward(self) -> Tensor:
        """Logits (B, V) behind the last token of each answer."""
        lengths = [len(answer.ids) for answer in self._answers]
        device, longest = self.model.device, max(lengths)
        ids = torch.tensor([answer.ids[-1:] for answer in self._answers], device=device)
        if min(lengths) == longest:
            return self._run(ids, self._cache)
        real = torch.tensor(lengths, device=device)[:, None]
        mask = (torch.arange(longest, device=device) >= longest - real).long()
        return self._run(ids, self._cache, attention_mask=mask, position_ids=real - 1)

    @torch.no_grad()
    def _run(self, ids: Tensor, cache: DynamicCache, **padding: Tensor) -> Tensor:
        """Logits of the last position, float32 (B, V), for the new `ids` (B, T) after those in `cache`."""
        output = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **padding)
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _keep(self, rows: list[int]) -> None:
        """Go on with `rows` alone."""
        if len(rows) == len(self._answers):
            return
        width = max(len(answer.ids) for answer in self._answers)
        self._answers = [self._answers[row] for row in rows]
        if not rows:
            self._cache = DynamicCache(config=self.model.config)
            return
        # What beam search does between steps is the one selection of rows that every kind of cache can do.
        self._cache.reorder_cache(torch.tensor(rows, device=self.model.device))
        caches.crop(self._cache, width - max(len(answer.ids) for answer in self._answers))

    def _go_apart(self, error: Exception) -> None:
        """Send half of the requests away, to go on later, after an error in the pass of all together: memory
        ran out, or it is the fault of one of them, which is found so. One alone has failed."""
        requests = self._requests()
        half = len(requests) // 2
        if half:
            self._away += requests[half:]
            self._restart(requests[:half], most=sum(len(request.running) for request in requests[:half]))
        else:
            self._failed.append((requests[0], error))
            self._restart([], most=self._most if out_of_memory(error) else MOST_ANSWERS)

    def _restart(self, requests: list[Request], *, most: int) -> None:
        """Read `requests` anew, alone, with `most` answers beside each other from now on: an error in the
        middle of a pass leaves no cache that can be used."""
        self._answers, self._cache, self._most = [], DynamicCache(config=self.model.config), most
        for request in requests:
            self._begin(request)
