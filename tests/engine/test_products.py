"""The product by oneDNN is the product."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from engine import products
from engine.products import linear


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture(params=[True, False], ids=["oneDNN", "torch"])
def faster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param and not products._FASTER:
        pytest.skip("this processor has no AVX-512")
    monkeypatch.setattr(products, "_FASTER", request.param)
    return bool(request.param)


@pytest.mark.usefixtures("faster")
@pytest.mark.parametrize("rows", [(1,), (7,), (8,), (33,), (2, 3), (3, 17)])
@pytest.mark.parametrize("biased", [True, False])
def test_it_equals_torch_s(rows: tuple[int, ...], biased: bool) -> None:
    x, weight, bias = drawn(*rows, 24), drawn(40, 24), drawn(40) if biased else None
    torch.testing.assert_close(
        linear(x, weight, bias), nn.functional.linear(x, weight, bias), rtol=1e-5, atol=1e-5
    )


@pytest.mark.usefixtures("faster")
def test_views_of_weights_and_rows_are_read_as_they_stand() -> None:
    g, weight = drawn(40, 33).T, drawn(40, 24)
    torch.testing.assert_close(linear(g, weight.T), g @ weight, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        linear(drawn(50, 48)[:, :24], weight), drawn(50, 48)[:, :24] @ weight.T, rtol=1e-5, atol=1e-5
    )


def test_onednn_is_called_for_many_rows_of_float32_alone(faster: bool) -> None:
    def kernel(x: torch.Tensor, weight: torch.Tensor) -> bool:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
            linear(x, weight)
        return any(event.name == "mkldnn::_linear_pointwise" for event in seen.events())

    assert kernel(drawn(32, 24), drawn(40, 24)) is faster
    assert not kernel(drawn(2, 24), drawn(40, 24))
    assert not kernel(drawn(32, 24).bfloat16(), drawn(40, 24).bfloat16())
    assert not kernel(drawn(32, 24).double(), drawn(40, 24).double())


def test_under_autocast_it_is_torch_s_own(faster: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(drawn(32, 24), drawn(40, 24)).dtype == torch.bfloat16


MANY_SHAPES = """
import ctypes, engine, torch
from pathlib import Path
from engine.products import linear

def held():
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

weight = torch.randn(1024, 384)
linear(torch.randn(700, 384), weight)
before = held()
for rows in range(100, 500):
    linear(torch.randn(rows, 384), weight)
print(held() - before)
"""


@pytest.mark.skipif(not products._FASTER, reason="this processor has no AVX-512")
def test_kernels_of_past_shapes_are_let_go() -> None:
    if sys.platform != "linux":
        pytest.skip("memory is read from /proc")
    done = subprocess.run(
        [sys.executable, "-c", MANY_SHAPES], capture_output=True, text=True, check=True, timeout=120
    )
    assert float(done.stdout) < 60  # MB; 240 where all 400 are kept
