"""A frozen weight's product with rows, x Wᵀ + b, by the fastest kernel that torch carries.

For float32 on a CPU torch calls MKL, which is slow on processors that are not Intel's. oneDNN, which is in
torch as well, uses AVX-512 wherever it is there: twice as fast on the one that was measured
(tests/bench/README.md).
"""

import torch
from torch import Tensor, nn

_FASTER = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
_FEWEST_ROWS = 8  # for fewer, reading the weight is all the work, and oneDNN is no faster


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (…, in), W (out, in), b (out,) → (…, out). It has no gradient: for use inside autograd's functions.

    W may be a view: `linear(g, W.T)` is g W.
    """
    if not _takes(x, weight):
        return nn.functional.linear(x, weight, bias)
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


def _takes(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is there for it, and worth while."""
    plain = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    many = x.numel() >= _FEWEST_ROWS * x.shape[-1]
    return plain and many and _FASTER and not torch.is_autocast_enabled("cpu")
