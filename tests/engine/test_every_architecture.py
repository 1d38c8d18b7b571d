"""Every method trains models of many architectures, and goes on from what it has trained."""

from pathlib import Path

import pytest
import tiny
from architectures import model_named
from small_run import Reports, run

from engine.spec import methods

NAMES = ["Qwen3", "GPT2", "Glm4", "Gemma2", "Bloom", "Mamba"]
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
