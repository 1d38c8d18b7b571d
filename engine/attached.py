"""Adapters that are on a base: which of them answers, and which learns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine import full, models
from engine.errors import UserError
from engine.low_rank import TRAINED
from engine.models import Base

BASE = ""  # the base's own weights, where full adapters take their place


@dataclass
class Attached:
    """An adapter in memory: its parameters, by the names they have in its files, and where they are used.

    A low-rank one is known to peft's `layers` by its `keys`; a full one goes into the `slots` of the base's
    own parameters. `start` is the folder that a trained one goes on from, None when it started at the base.
    """

    kind: str
    parameters: dict[str, nn.Parameter]
    keys: list[str] = field(default_factory=list)
    layers: list[Any] = field(default_factory=list)
    slots: full.Slots = field(default_factory=dict)
    start: Path | None = None


def trains_base(base: Base) -> bool:
    """Whether what is trained are the base's own weights."""
    return TRAINED in base.attached and base.attached[TRAINED].kind == "full"


def activate(base: Base, name: str | None) -> None:
    """Let the adapter called `name` answer, or with None the base alone; nothing is trained meanwhile."""
    for other in base.attached.values():
        for parameter in other.parameters.values():
            parameter.requires_grad_(False)
        for layer in other.layers:
            layer._disable_adapters = True  # peft's own way walks through every parameter of the model
    attached = base.attached[name] if name else None
    if any(other.kind == "full" for other in base.attached.values()):
        weights = attached if attached and attached.kind == "full" else _weights_of_base(base)
        full.put(weights.parameters, weights.slots)
    if attached:
        for layer in attached.layers:
            layer._active_adapter, layer._disable_adapters = attached.keys, False


def train(base: Base, name: str = TRAINED) -> None:
    """Let the adapter called `name` answer, and be what gradients reach."""
    activate(base, name)
    for tensor in state(base, name).values():
        tensor.requires_grad_(True)


@contextmanager
def using(base: Base, name: str | None) -> Iterator[None]:
    """The adapter called `name`, with None the base alone, while the context lasts; then the trained one."""
    activate(base, name)
    try:
        yield
    finally:
        train(base)


@contextmanager
def learning(base: Base) -> Iterator[None]:
    """For a forward and backward pass whose gradient is wanted: dropout is on, if the adapter has any.

    Everywhere else it is off: in the log-probs of a reference or an old policy, scores, and answers.
    """
    dropped = _with_dropout(base)
    try:
        for layer in dropped:
            layer.training = layer.lora_dropout[TRAINED].training = True
        yield
    finally:
        for layer in dropped:
            layer.training = layer.lora_dropout[TRAINED].training = False


def stop_dropout(base: Base) -> bool:
    """Train without dropout from now on; whether the adapter had any."""
    dropped = _with_dropout(base)
    for layer in dropped:
        layer.lora_dropout[TRAINED] = nn.Identity()
    return bool(dropped)


def state(base: Base, name: str = TRAINED) -> dict[str, Tensor]:
    """An adapter's parameters by the names they have in its files, without copying.

    Raises UserError when one is not float32: it could not be trained.
    """
    found: dict[str, Tensor] = dict(base.attached[name].parameters)
    if any(tensor.dtype != torch.float32 for tensor in found.values()):
        raise UserError(
            "An adapter in half precision cannot be trained: steps smaller than its rounding would be lost.",
            do="Load it through adapters.resume, which makes it float32.",
        )
    return found


def _with_dropout(base: Base) -> list[Any]:
    layers = base.attached[TRAINED].layers
    return [layer for layer in layers if isinstance(layer.lora_dropout[TRAINED], nn.Dropout)]


def _weights_of_base(base: Base) -> Attached:
    """The base's own weights, in the precision of those in their place; read again if they were not kept."""
    if BASE not in base.attached:
        weights = full.frozen(models.weights(base), full.own(base.model), None)
        base.attached[BASE] = Attached("full", weights, slots=full.slots(base.model))
    return base.attached[BASE]  # type: ignore[no-any-return]
