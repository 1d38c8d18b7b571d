"""Loading bases, and what is wrong with one; 4-bit weights that can be trained through."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from engine import adapters, merging, models
from engine.errors import UserError
from engine.spec import Adapter


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("good"))


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "model")


def test_a_base_and_what_belongs_to_it(good: Path) -> None:
    base = models.load(str(good))
    assert base.precision == "fp32"
    assert base.context == 128
    assert base.end_tokens == (2,)
    assert not any(parameter.requires_grad for parameter in base.model.parameters())


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"pickle")


def without_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.norm.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def with_a_narrow_layer(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    tensors[name] = tensors[name][:32].contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def with_an_index(folder: Path) -> None:
    weights = {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(weights))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (shutil.rmtree, "There is no model folder"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be used"),
        (lambda folder: tiny.break_config(folder, model_type="nonsense"), "cannot be used"),
        (
            lambda folder: tiny.break_config(folder, architectures=["LlamaForSequenceClassification"]),
            "causal",
        ),
        (lambda folder: tiny.break_config(folder, model_type="vit", architectures=["ViTModel"]), "causal"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer .* cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), "cannot be loaded"),
        (only_pickles, "pickled weights only"),
        (without_a_tensor, "model.norm.weight"),
        (with_an_index, "lacks model-00001"),
        (with_a_narrow_layer, "1 tensors .* another shape, model.layers.1.mlp.up_proj.weight among them"),
        (lambda folder: tiny.break_config(folder, hidden_size=96), "incomplete"),
    ],
)
def test_what_is_wrong_with_a_folder_is_told(
    damage: Callable[[Path], object], says: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(UserError, match=says) as caught:
        models.load(str(folder))
    assert caught.value.do


def test_a_four_bit_weight_of_another_shape_is_not_taken(folder: Path) -> None:
    with_a_narrow_layer(folder)
    with pytest.raises(UserError, match=r"another shape, model\.layers\.1\.mlp\.up_proj\.weight"):
        models.load(str(folder), "nf4")


class TestNF4:
    def test_the_layers_are_four_bit_and_doubly_quantized(self, good: Path) -> None:
        from bitsandbytes.nn import Linear4bit

        base = models.load(str(good), "nf4")
        layers = [module for module in base.model.modules() if isinstance(module, Linear4bit)]
        assert len(layers) == 14
        for layer in layers:
            assert layer.weight.quant_state.quant_type == "nf4"
            assert layer.weight.quant_state.nested
            assert layer.support_avx512bf16_for_cpu is False
        assert base.parameters == models.load(str(good)).parameters

    def test_the_input_has_its_gradient_after_an_eval_forward(self, good: Path) -> None:
        from bitsandbytes.functional import dequantize_4bit

        base = models.load(str(good), "nf4")
        layer = base.model.model.layers[0].mlp.down_proj
        weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        x = torch.randn(3, 128, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            base.model.eval()(torch.tensor([[1, 7, 9, 22]]))
        x.requires_grad_(True)
        layer(x).sum().backward()
        assert x.grad is not None
        torch.testing.assert_close(x.grad, weight.sum(0).expand(3, -1), rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    def test_merging_into_dequantized_weights_is_exact_to_a_percent(self, precision: str, good: Path) -> None:
        from bitsandbytes.functional import dequantize_4bit

        base = models.load(str(good), "nf4")
        adapters.add(base, Adapter(rank=4, alpha=8), seed=0)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for tensor in adapters.state(base).values():
                tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
        layer = base.model.model.layers[0].mlp.down_proj
        weight = dequantize_4bit(layer.base_layer.weight.data, layer.base_layer.weight.quant_state)
        a, b = layer.lora_A[adapters.TRAINED].weight, layer.lora_B[adapters.TRAINED].weight
        x = torch.randn(64, 128, generator=generator)
        expected = x @ weight.T + 2 * (x @ a.T) @ b.T  # alpha / rank = 2
        copy = merging.twin(base.model, torch.bfloat16 if precision == "bf16" else torch.float32)
        merging.fill(copy, base.model, [adapters.TRAINED])
        merged = copy.model.layers[0].mlp.down_proj
        error = (merged(x.to(merged.weight.dtype)).float() - expected).norm() / expected.norm()
        assert error < (1e-2 if precision == "bf16" else 1e-5)
        assert (layer(x) - expected).norm() / expected.norm() < 1e-5  # and so is what training computes

    def test_norms_alone_are_made_float32_for_training(self, good: Path) -> None:
        loaded = models.load(str(good), "bf16")  # what a 4-bit base's other weights are on a GPU
        base = replace(loaded, precision="nf4", device=torch.device("cuda"))
        adapters.add(base, Adapter(), seed=0)
        own = {n: p.dtype for n, p in base.model.named_parameters() if ".lora_" not in n}
        norms = {name for name, dtype in own.items() if dtype == torch.float32}
        assert norms == {name for name in own if "norm" in name}
        assert len(norms) == 5
        assert own["lm_head.weight"] == own["model.embed_tokens.weight"] == torch.bfloat16

    def test_the_error_of_quantizing_is_small(self, good: Path) -> None:
        ids = torch.tensor([[1, 7, 9, 22]])
        exact, rough = models.load(str(good)), models.load(str(good), "nf4")
        with torch.no_grad():
            a = exact.model(ids).logits.log_softmax(-1)
            b = rough.model(ids).logits.log_softmax(-1)
        assert 1e-6 < float((a - b).abs().mean()) < 0.5
