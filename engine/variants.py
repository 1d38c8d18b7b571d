"""What single kinds of adapter need on peft's layers: DoRA's norm and PiSSA's start."""

from collections.abc import Sequence
from typing import Any

import torch
from peft.tuners.lora.dora import DoraLinearLayer
from torch import Tensor, nn

from engine.errors import UserError
from engine.merging import weight_of

ITERATIONS = 16  # of the subspace iteration behind PiSSA's singular vectors


class Magnitude(DoraLinearLayer):  # type: ignore[misc]
    """DoRA's magnitude vector m (out,), and what it is divided by: ‖W + s B A‖ by output, in float32.

    arXiv:2402.09353, equation 5, with the norm a constant as its section 4.3 proposes. peft's own rounds the
    norm to bf16 where the base is: a fresh adapter would then not be the base.
    """

    def get_lora_weight(
        self,
        lora_A: nn.Linear,  # noqa: N803
        lora_B: nn.Linear,  # noqa: N803
        adapter_name: str | None = None,
    ) -> Tensor:
        """B A: (out, in), float32, no gradient."""
        with torch.no_grad(), torch.autocast(lora_A.weight.device.type, enabled=False):
            product: Tensor = lora_B.weight.float() @ lora_A.weight.float()
        return product

    def get_weight_norm(
        self, weight: Tensor, lora_weight: Tensor, scaling: float, adapter_name: str | None = None
    ) -> Tensor:
        """‖W + s B A‖: (out,), float32."""
        upright = weight.T if self.fan_in_fan_out else weight
        norm: Tensor = torch.linalg.vector_norm(upright.float() + scaling * lora_weight.float(), dim=1)
        return norm


def use_exact_magnitudes(layers: Sequence[Any], key: str) -> None:
    """Put `Magnitude` in the place of peft's in every layer, m = ‖W‖ of the base: nothing is added yet."""
    for layer in layers:
        transposed = bool(getattr(layer, "fan_in_fan_out", False))
        magnitude = Magnitude(fan_in_fan_out=transposed)
        weight = weight_of(layer)
        norm = torch.linalg.vector_norm(weight, dim=0 if transposed else 1)
        magnitude.weight = nn.Parameter(norm, requires_grad=False)
        layer.lora_magnitude_vector[key] = magnitude


def split_off_principal(layers: Sequence[Any], key: str, frozen: str) -> None:
    """PiSSA's start (arXiv:2404.02948, equations 2 and 3) in two adapters of one rank r on every layer.

    `key` becomes B₀, A₀ = U √(S/s), √(S/s) Vᵀ of the base's r largest singular vectors, and `frozen` −B₀, A₀:
    together they add nothing, and training the first is training it beside the residual W − s B₀ A₀. The base
    keeps its weights, so that it can answer alone, and may be 4-bit. Singular vectors are found by subspace
    iteration from the torch seed. Raises UserError when a layer is too small for the rank.
    """
    for layer in layers:
        rank, weight = layer.r[key], weight_of(layer)
        weight = weight.T if getattr(layer, "fan_in_fan_out", False) else weight
        widest = min(weight.shape)
        if rank > widest:
            raise UserError(
                f"PiSSA of rank {rank} does not fit a layer of {weight.shape[0]} × {weight.shape[1]}.",
                do=f"Choose a rank of at most {widest}.",
            )
        u, values, v = torch.svd_lowrank(weight, q=min(2 * rank, widest), niter=ITERATIONS)
        root = (values[:rank] / layer.scaling[key]).sqrt()
        b, a = u[:, :rank] * root, root[:, None] * v[:, :rank].T
        for name, sign in ((key, 1), (frozen, -1)):
            layer.lora_A[name].weight.data = a.clone().contiguous()
            layer.lora_B[name].weight.data = (sign * b).contiguous()
