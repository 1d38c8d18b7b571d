"""Every method trains models of many architectures, and goes on from what it has trained."""

from pathlib import Path

import pytest
import tiny
import torch
from architectures import model_named
from safetensors.torch import load_file
from small_run import Reports, run

from engine import adapters, models
from engine.errors import UserError
from engine.spec import methods

NAMES = ["Qwen3", "GPT2", "Glm4", "Gemma2", "Bloom", "Mamba", "Qwen2Moe"]
FEW = {"epochs": 1, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def saved(folder: Path, name: str) -> Path:
    """The model of that architecture, saved once."""
    model = folder / name
    if not model.exists():
        tokenizer = tiny.make_tokenizer()
        sizes = {"vocab_size": -(-len(tokenizer) // 32) * 32, "max_position_embeddings": 128}
        tokens = {"bos_token_id": 1, "eos_token_id": 2}
        model_named(name, **sizes, **tokens).save_pretrained(model)
        tokenizer.save_pretrained(model)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("method", methods())
@pytest.mark.parametrize("name", NAMES)
def test_it_trains_and_goes_on(name: str, method: str, folder: Path, tmp_path: Path) -> None:
    model, reports = saved(folder, name), Reports()
    first = run(tmp_path / "first", model, method, options=FEW)
    assert first.steps == 3
    parent = str(first.folder)
    second = run(tmp_path / "second", model, method, options=FEW, parent=parent, reports=reports)
    assert all(step["grad_norm"] > 0 for step in reports.of("step"))
    assert second.hash != first.hash


@pytest.mark.parametrize("name", ["Mixtral", "Qwen2Moe"])
def test_an_adapter_on_a_mixture_of_experts_is_found_again(name: str, folder: Path, tmp_path: Path) -> None:
    """On all linear layers, the shared experts' too, and not on the fused ones, which it says."""
    model, reports = saved(folder, name), Reports()
    made = run(tmp_path, model, "sft", options=FEW, reports=reports)
    assert any("the experts stay as they are" in data["message"] for data in reports.of("warning"))
    base = models.load(str(model))
    adapters.attach(base, "made", made.folder)
    linear = {path for path, module in base.model.named_modules() if hasattr(module, "lora_A")}
    assert any("self_attn.q_proj" in path for path in linear)
    assert any("shared_expert.up_proj" in path for path in linear) == (name == "Qwen2Moe")
    for path, tensor in load_file(made.folder / adapters.WEIGHTS).items():
        assert torch.equal(tensor, adapters.state(base, "made")[path])


def test_an_architecture_that_four_bits_do_not_suit_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Mamba.* cannot be computed in this precision"):
        run(tmp_path, saved(folder, "Mamba"), "sft", precision="nf4")
