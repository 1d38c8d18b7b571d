"""The kernel that attention ran on is read off a profile, and says the truth where we know it."""

from pathlib import Path
from typing import get_args

import pytest
import tiny
import torch
from architectures import model_named, random_trees
from small_run import Reports, run
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.batches import Layout, collate
from engine.kernels import attention_kernel, kernels_among

CPU = torch.device("cpu")


@pytest.mark.parametrize("layout", get_args(Layout))
@pytest.mark.parametrize("key_value_heads", [4, 2])
def test_flash_takes_plain_and_masked_rows_and_grouped_queries(layout: Layout, key_value_heads: int) -> None:
    model = model_named("Llama", num_key_value_heads=key_value_heads)
    batch = collate(random_trees(), layout=layout, device=CPU, dtype=torch.float32)
    assert (batch.mask is None) is (layout != "tree")
    assert attention_kernel(model, batch) == "flash"


def test_the_slow_way_is_called_by_its_name() -> None:
    batch = collate(random_trees(), layout="tree", device=CPU, dtype=torch.float32)
    model = model_named("Llama")
    with sdpa_kernel(SDPBackend.MATH):
        assert attention_kernel(model, batch) == "math"
    assert attention_kernel(model_named("Llama", attention_dropout=0.5).train(), batch) == "math"
    assert attention_kernel(model_named("Gemma2"), batch) == "eager"
    assert (
        attention_kernel(
            model_named("Mamba"), collate(random_trees(), layout="padded", device=CPU, dtype=torch.float32)
        )
        == "eager"
    )


@pytest.mark.parametrize(
    ("names", "kernel"),
    [
        (["aten::_scaled_dot_product_flash_attention"], "flash"),
        (["aten::_scaled_dot_product_efficient_attention"], "efficient"),
        (["aten::_scaled_dot_product_cudnn_attention"], "cudnn"),
        (["flash_attn::_flash_attn_varlen_forward"], "flash_attention_2"),
        (["FlashAttnVarlenFunc"], "flash_attention_2"),
        (
            ["aten::_scaled_dot_product_attention_math", "aten::_scaled_dot_product_flash_attention_for_cpu"],
            "flash and math",
        ),
        (["aten::scaled_dot_product_attention", "aten::mm"], "eager"),
    ],
)
def test_names_of_kernels_on_a_gpu(names: list[str], kernel: str) -> None:
    assert kernels_among(names) == kernel


def test_a_run_reports_its_layout_and_kernel(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = tiny.save_model(tmp_path / "model")
    for method, layout in (("dpo", "tree"), ("sft", "padded")):
        reports = Reports()
        run(tmp_path / method, model, method, reports=reports, should_stop=lambda: "stop")
        assert reports.of("attention") == [{"layout": layout, "kernel": "flash"}]
    assert "profiler" not in capfd.readouterr().err
