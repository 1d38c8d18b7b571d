"""Full fine-tuning: whole sets of weights that take one another's place in a model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

Slots = dict[str, list[tuple[nn.Module, str]]]  # modules and their attributes, by a parameter's name


def own(causal_lm: Any) -> dict[str, nn.Parameter]:
    """The parameters of the model itself, without any adapter's, by the names that they have without one."""
    return {
        path.replace(".base_layer.", "."): parameter
        for path, parameter in causal_lm.named_parameters()
        if ".lora_" not in path
    }


def slots(causal_lm: Any) -> Slots:
    """Where each of the model's own parameters is used; more than once where a head is tied to embeddings."""
    names = {id(parameter): name for name, parameter in own(causal_lm).items()}
    found: Slots = {name: [] for name in names.values()}
    for module in causal_lm.modules():
        for attribute, parameter in module._parameters.items():
            if id(parameter) in names:
                found[names[id(parameter)]].append((module, attribute))
    return found


def put(weights: Mapping[str, nn.Parameter], where: Slots) -> None:
    """Let `weights` take the place of those that are there.

    Parameters and not their data: what autograd keeps of an earlier forward pass stays as it was.
    """
    for name, parameter in weights.items():
        for module, attribute in where[name]:
            module._parameters[attribute] = parameter


def frozen(
    values: Mapping[str, Tensor], like: Mapping[str, Tensor], dtype: torch.dtype | None
) -> dict[str, nn.Parameter]:
    """Parameters of `values` by name, each on its device in `like` and in `dtype` (None: its dtype there).

    Their memory is their own: training them changes neither.
    """
    return {
        name: nn.Parameter(values[name].detach().to(tensor.device, dtype or tensor.dtype, copy=True), False)
        for name, tensor in like.items()
    }
