"""What is asked of a model that answers, and its answers as they grow."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Literal

import torch

from engine.errors import UserError
from engine.sampling import Sampling
from engine.text_stream import TextStream


class ContextFullError(UserError):
    """The prompt leaves no room for an answer."""


Finish = Literal["", "stop", "length", "cancelled"]


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


@dataclass(eq=False)
class Request:
    """The answers to one prompt, at most `limit` tokens each; `running` are those that have not ended."""

    sampling: Sampling
    limit: int
    should_stop: Callable[[], bool]
    running: list["Answer"] = field(default_factory=list)


@dataclass(eq=False)
class Answer:
    """One answer as it grows; `ids` are its tokens behind those of the prompt."""

    request: Request
    index: int
    ids: list[int]
    stream: TextStream
    generator: torch.Generator
    tokens: int = 0

    @property
    def sampling(self) -> Sampling:
        """How it is drawn."""
        return self.request.sampling

    def add(self, token: int, *, ends: Collection[int], cancelled: bool) -> Delta:
        """Take one more token; its text, and whether the answer ends with it."""
        self.ids.append(token)
        self.tokens += 1
        if token in ends:
            return self._delta(self.stream.end(), "stop")
        text = self.stream.add(token)
        if self.stream.stopped:
            return self._delta(text, "stop")
        if cancelled or self.tokens == self.request.limit:
            return self._delta(text + self.stream.end(), "cancelled" if cancelled else "length")
        return self._delta(text)

    def _delta(self, text: str, finish: Finish = "") -> Delta:
        return Delta(self.index, text, self.tokens, finish)


def room(length: int, context: int) -> int:
    """How many tokens an answer to a prompt of `length` may have; a UserError where there is none."""
    if not length:
        raise UserError("The conversation is empty.", do="Send at least one message.")
    if length >= context:
        raise ContextFullError(
            f"The conversation is {length} tokens; the model takes {context}, its answer included.",
            kept="Nothing was cut off.",
            do="Start a new conversation, or shorten this one.",
        )
    return context - length
