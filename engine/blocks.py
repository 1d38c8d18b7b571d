"""A model's blocks; and the last of them, computed only where a loss reads.

What the last block gives at a place is read by the head at that place alone. So its queries, the product
after attention and its MLP are needed where a token is predicted alone, and its keys and values everywhere.
The numbers at the places that are read are the same, and so are the gradients.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

NARROWED = ("q_proj", "o_proj", "mlp")  # modules of the last block that see each place by itself


@dataclass(frozen=True)
class Places:
    """Which of R · T places are read, each once: `read` (P,), by row, of `shape` (R, T)."""

    read: Tensor
    shape: torch.Size


_places: ContextVar[Places | None] = ContextVar("places", default=None)


def blocks(causal_lm: Any) -> list[nn.Module]:
    """The layers that a model is a pile of; none when it is of a kind that transformers does not mark so."""
    return [module for module in causal_lm.modules() if isinstance(module, GradientCheckpointingLayer)]


def narrow(causal_lm: Any) -> Callable[[], None]:
    """Let the last block compute, inside `reading`, what is read alone. What is returned takes that back.

    Right where the last block is the last that is computed, and computed once: the caller makes sure.
    """
    last = blocks(causal_lm)[-1:]
    parts = [m for block in last for path, m in block.named_modules() if path.split(".")[-1] in NARROWED]
    handles = [part.register_forward_pre_hook(_pick) for part in parts]
    handles += [part.register_forward_hook(_put) for part in parts]

    def widen() -> None:
        for handle in handles:
            handle.remove()

    return widen


@contextmanager
def reading(row: Tensor, column: Tensor, shape: torch.Size) -> Iterator[None]:
    """Of what a model computes inside, only the places (`row`, `column`) of `shape` (R, T) are read."""
    with _within(Places(torch.unique(row * shape[1] + column), shape)):
        yield


def as_now(forward: Callable[..., Any]) -> Callable[..., Any]:
    """`forward` for the places that are read now, also where it is called later."""
    places = _places.get()

    def then(*args: Any, **kwargs: Any) -> Any:
        with _within(places):
            return forward(*args, **kwargs)

    return then


@contextmanager
def _within(places: Places | None) -> Iterator[None]:
    token = _places.set(places)
    try:
        yield
    finally:
        _places.reset(token)


def _pick(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
    """(R, T, D) → (1, P, D)."""
    places = _places.get()
    if places is None:
        return None
    return tuple(_Picked.apply(x.flatten(0, 1), places.read)[None] for x in args)  # type: ignore[no-untyped-call]


def _put(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
    """(1, P, D) → (R, T, D), 0 where nothing is read."""
    places = _places.get()
    if places is None:
        return None
    whole = _Spread.apply(output[0], places.read, places.shape.numel())  # type: ignore[no-untyped-call]
    return whole.view(*places.shape, -1)  # type: ignore[no-any-return]


class _Picked(torch.autograd.Function):
    """x (N, D), places (P,), each once → x[places] (P, D); its gradient needs no sums, as indexing's does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.count = len(x)
        return x.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return upstream.new_zeros(ctx.count, upstream.shape[1]).index_copy_(0, places, upstream), None


class _Spread(torch.autograd.Function):
    """y (P, D), places (P,), each once, N → (N, D) with y at the places, and 0 elsewhere."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, places: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(places)
        return y.new_zeros(count, y.shape[1]).index_copy_(0, places, y)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return upstream.index_select(0, places), None, None
