"""Models of their own with an adapter merged into the weights: faster to draw from, never trained."""

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.integrations import dequantize_module_weight
from torch import Tensor, nn

from engine import ragged
from engine.products import linear


class Linear(nn.Linear):
    """torch's layer, by the fastest product there is for a weight that is never trained."""

    def forward(self, x: Tensor) -> Tensor:
        """x (…, in) → (…, out)."""
        return linear(x, self.weight, self.bias)


def weight_of(layer: Any) -> Tensor:
    """The base's weight below a peft layer: float32, dequantized if 4-bit, in the layer's own layout."""
    return dequantize_module_weight(layer.get_base_layer()).detach().float()  # type: ignore[no-any-return]


def merged_weight(layer: Any, keys: Sequence[str]) -> Tensor:
    """The base's weight with the adapters `keys` added to it, in float32 and in the layer's own layout."""
    weight = weight_of(layer)
    for key in keys:
        if key not in layer.lora_A:
            continue
        weight = weight + layer.get_delta_weight(key).float()
        if key in layer.lora_magnitude_vector:
            inputs = 0 if getattr(layer, "fan_in_fan_out", False) else 1
            norm = torch.linalg.vector_norm(weight, dim=inputs)
            weight = weight * (layer.lora_magnitude_vector[key].weight / norm).unsqueeze(inputs)
    return weight


def twin(causal_lm: Any, dtype: torch.dtype) -> Any:
    """A frozen copy of the model without peft's layers, in `dtype`, sharing what need not be copied.

    The weights below those layers are fresh memory of no meaning, for `fill` to write; all others are shared
    with the model where they have the dtype already.
    """
    memo: dict[int, Any] = {}
    for tensor in chain(causal_lm.parameters(), causal_lm.buffers()):
        converts = isinstance(tensor, nn.Parameter) and tensor.is_floating_point() and tensor.dtype != dtype
        memo[id(tensor)] = nn.Parameter(tensor.detach().to(dtype), False) if converts else tensor
    model = copy.deepcopy(causal_lm, memo)
    for module in model.modules():
        module.__dict__.pop("forward", None)  # gradient checkpointing's, which is the original's
    for path, layer in [*model.named_modules()]:
        if isinstance(layer, BaseTunerLayer):
            model.set_submodule(path, _plain(layer, dtype))
    for layer in model.modules():
        if type(layer) is nn.Linear:
            layer.__class__ = Linear
    if hasattr(model, "peft_config"):
        del model.peft_config
    ragged.use(model)
    return model


def fill(model: Any, causal_lm: Any, keys: Sequence[str]) -> None:
    """Write the weights of `causal_lm`, its adapters `keys` merged in, into its `twin`, rounded once."""
    with torch.no_grad():
        for path, layer in causal_lm.named_modules():
            if isinstance(layer, BaseTunerLayer):
                model.get_submodule(path).weight.copy_(merged_weight(layer, keys))


def _plain(layer: Any, dtype: torch.dtype) -> nn.Module:
    """What a peft layer was put around, with a weight of its own, not yet written."""
    inner: nn.Module = layer.get_base_layer()
    weight = torch.empty_like(weight_of(layer), dtype=dtype)
    if type(inner).__name__ == "Linear4bit":
        plain = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        plain.bias = inner.bias  # type: ignore[assignment]
        inner = plain
    inner.weight = nn.Parameter(weight, requires_grad=False)
    return inner
