"""Attention in bf16 by large products: the values and gradients of float32's, and who uses it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch
from small_run import OPTIONS, Reports, rows_for
from torch import Tensor

from engine import attention, job, models
from engine.spec import Spec

needs_bf16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no products in bf16"
)


@pytest.mark.parametrize(("kept", "scores"), [(0, 1), (14, 600), (512, 2**19)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_values_and_gradients_are_those_of_float32(
    groups: int, masked: bool, kept: int, scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "QUERIES", 7)  # of 7, 14 and 19 keys
    monkeypatch.setattr(attention, "KEPT", kept)
    monkeypatch.setattr(attention, "SCORES", scores)
    torch.manual_seed(0)
    rows, length = 3, 19
    shapes = [(rows, heads, length, 8) for heads in (2 * groups, 2, 2)]
    exact = [torch.randn(shape).bfloat16().float().requires_grad_() for shape in shapes]
    half = [tensor.detach().bfloat16().requires_grad_() for tensor in exact]
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    visible = earlier & (torch.rand(rows, 1, length, length) > 0.3) | torch.eye(length, dtype=torch.bool)
    mask = torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.bfloat16).min)
    layer = SimpleNamespace(num_key_value_groups=groups, is_causal=True)
    upstream = torch.randn(rows, length, 2 * groups, 8).bfloat16()

    def both(tensors: list[Tensor]) -> tuple[Tensor, ...]:
        query, key, value = tensors
        dtype = query.dtype
        own = mask.to(dtype) if masked else None
        found, _ = attention.blocks(layer, query, key, value, own, scaling=0.3)  # type: ignore[arg-type]
        assert (type(found.grad_fn).__name__ == "BlockAttentionBackward") is (dtype == torch.bfloat16)
        return found, *torch.autograd.grad(found, tensors, upstream.to(dtype))

    for found, expected in zip(both(half), both(exact), strict=True):
        assert (found.float() - expected).norm() < 0.01 * expected.norm()


@needs_bf16
def test_runs_in_bf16_attend_so_and_leave_the_model_as_it_was(tmp_path: Path) -> None:
    base = models.load(str(tiny.save_model(tmp_path / "model")), "bf16")
    spec = Spec(method="dpo", base=base.name, precision="bf16", options=OPTIONS)
    reports = Reports()
    job.train(base, spec, rows_for("dpo"), tmp_path, emit=reports, should_stop=lambda: "stop")
    assert reports.of("attention") == [{"layout": "tree", "kernel": "blocks"}]
    assert base.model.config._attn_implementation == "sdpa"
