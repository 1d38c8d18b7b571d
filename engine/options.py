"""Options that every method shares. No torch: interfaces build forms from them."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any


def option(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    *,
    choices: Collection[str] = (),
    common: bool = False,
) -> Any:
    """A dataclass field with a help text and, where it has them, its range or the words it may be.

    `choices` may be a mapping that says what each word means. `common` ones are those that forms show first.
    """
    metadata: dict[str, Any] = {"help": help, "common": common}
    metadata |= {key: value for key, value in (("min", low), ("max", high)) if value is not None}
    if choices:
        metadata["choices"] = choices
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Optimisation:
    """How rows are walked through and weights are moved: AdamW, the learning rate falling linearly to 0."""

    learning_rate: float = option(1e-4, "the highest learning rate", 0.0, 1.0, common=True)
    epochs: int = option(1, "how often each row is seen", 1, 1000, common=True)
    batch_size: int = option(8, "rows per optimiser step", 1, 4096, common=True)
    max_length: int = option(
        1024, "longest row in tokens; longer ones are left out; 0: what the model takes", 0
    )
    warmup: float = option(0.0, "part of the run in which the learning rate rises from 0", 0.0, 1.0)
    weight_decay: float = option(0.0, "AdamW's weight decay", 0.0, 1.0)
    max_grad_norm: float = option(1.0, "gradients longer than this are shortened to it", 1e-6)
    micro_tokens: int = option(
        0, "tokens at a time: memory against speed; 0: 512 on a CPU, 1024 in bf16, 8192 on a GPU", 0
    )
    checkpointing: bool = option(
        False, "gradient checkpointing: recompute activations, less memory, a third slower"
    )
    save_every: int = option(50, "optimiser steps between checkpoints", 1)
