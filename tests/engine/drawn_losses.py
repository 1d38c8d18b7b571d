"""The losses of pairs with options, and numbers to put in."""

from collections.abc import Callable

import torch
from torch import Tensor

from engine import losses

VALUES = {"beta": 0.7, "gamma": 0.4, "label_smoothing": 0.2}
TAKES = {
    "dpo": ("beta",),
    "ipo": ("beta",),
    "conservative": ("beta", "label_smoothing"),
    "robust": ("beta", "label_smoothing"),
    "hinge": ("beta",),
    "simpo": ("beta", "gamma"),
    "orpo": ("beta",),
    "sdpo": ("beta",),
}


def options(name: str) -> dict[str, float]:
    """The options that a loss takes."""
    return {option: VALUES[option] for option in TAKES[name]}


def loss_of(name: str, count: int = 3) -> tuple[Callable[..., Tensor], dict[str, Tensor]]:
    """A loss with its options set, and random log-probs for `count` pairs in float64."""
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return -torch.rand(*shape, generator=random, dtype=torch.float64) * 3 - 0.1

    rejected = (count, 2) if name == "sdpo" else (count,)
    given = {"chosen": draw(count), "rejected": draw(*rejected)}
    if name in ("simpo", "orpo"):
        given |= {"chosen_length": torch.tensor([3, 1, 7]), "rejected_length": torch.tensor([2, 5, 4])}
    else:
        given |= {"reference_chosen": draw(count), "reference_rejected": draw(*rejected)}
    loss = getattr(losses, name)
    return lambda **tensors: loss(**tensors, **options(name)), given
