"""LoRA's product, forward and backward, by hand: y = W x + b + s B (A x), arXiv:2106.09685, equation 3.

The layer is peft's; this is its arithmetic for the plain case, which every training step runs through. It
adds B (A x) into the base's product instead of making, scaling and adding tensors of the layer's width, and
keeps nothing for the backward pass but the input and the r numbers of A x.
"""

from contextlib import nullcontext
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn

from engine.products import linear


class LoraLinear(Linear):  # type: ignore[misc]
    """peft's LoRA layer around a frozen `nn.Linear`; all but the plain case is peft's own."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """x (…, in) → (…, out), in the dtype of the base's product."""
        if self.disable_adapters and not (self.merged or args or kwargs or torch.is_grad_enabled()):
            return linear(x, self.base_layer.weight, self.base_layer.bias)
        name = self._plain(args, kwargs)
        if name is None:
            return super().forward(x, *args, **kwargs)  # type: ignore[no-any-return]
        base, a, b = self.base_layer, self.lora_A[name].weight, self.lora_B[name].weight
        dtype, device = base.weight.dtype, x.device.type
        with torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext():
            return LoraProduct.apply(x.to(dtype), base.weight, base.bias, a, b, self.scaling[name])  # type: ignore[no-any-return,no-untyped-call]

    def _plain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
        """The one adapter that is active without dropout, variant or merging; None in any other case."""
        active = [name for name in self.active_adapters if name in self.lora_A]
        if args or kwargs or self.disable_adapters or self.merged or len(active) != 1:
            return None
        (name,) = active
        dropout = isinstance(self.lora_dropout[name], nn.Identity)
        trained = self.base_layer.weight.requires_grad or name in self.lora_variant
        biased = self.lora_A[name].bias is not None or self.lora_B[name].bias is not None
        return name if dropout and not trained and not biased else None


def layer(target: nn.Module, adapter_name: str, **kwargs: Any) -> LoraLinear | None:
    """What peft asks for a layer around `target`: ours for an exact `nn.Linear`, else None (peft's own)."""
    return LoraLinear(target, adapter_name, **kwargs) if type(target) is nn.Linear else None


class LoraProduct(torch.autograd.Function):
    """x (…, in), W (out, in), b (out,) or None, A (r, in), B (out, r), s → (…, out); W and b are frozen.

    With h = A x and the upstream gradient g: ∂x = Wᵀ g + s Aᵀ (Bᵀ g), ∂A = s (Bᵀ g) xᵀ, ∂B = s g hᵀ.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        a, b = a.to(rows.dtype), b.to(rows.dtype)
        h = linear(rows, a)
        y = linear(rows, weight, bias).addmm_(h, b.T, alpha=scale)
        ctx.save_for_backward(rows, weight, a, b, h)
        ctx.scale, ctx.shape = scale, x.shape
        return y.reshape(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, a, b, h = ctx.saved_tensors
        g = upstream.reshape(-1, upstream.shape[-1])
        narrow = linear(g, b.T).mul_(ctx.scale)  # s Bᵀ g, r numbers a row
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = linear(g, weight.T).addmm_(narrow, a).reshape(ctx.shape)
        by_a = narrow.T @ rows if ctx.needs_input_grad[3] else None
        # (h.T g).T, not g.T h: with r rows instead of r columns the product is up to twice as fast
        by_b = (h.T @ g).T.mul(ctx.scale) if ctx.needs_input_grad[4] else None
        return by_x, None, None, by_a, by_b, None
