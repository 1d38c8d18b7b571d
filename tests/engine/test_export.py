"""A merged model is one of its own: loaded without the adapter it says what base and adapter say."""

import json
from pathlib import Path

import pytest
import tiny
import torch
from safetensors import safe_open
from test_adapter_kinds import log_probs, trained
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine import adapters, models
from engine.errors import UserError
from engine.export import merge
from engine.spec import ADAPTER_KINDS


@pytest.mark.parametrize("kind", ADAPTER_KINDS)
def test_it_says_the_same_without_the_adapter(tmp_path: Path, kind: str) -> None:
    base = tiny.save_model(tmp_path / "base", tied=True)
    (base / "LICENSE").write_text("Do as you like.")
    _, adapter, _ = trained(tmp_path / "run", base, kind)
    merge(str(base), adapter, tmp_path / "merged")
    apart = models.load(str(base), "fp32")
    alone = log_probs(apart.model)
    adapters.attach(apart, "it", adapter)
    adapters.activate(apart, "it")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32).eval()
    torch.testing.assert_close(log_probs(plain), log_probs(apart.model), rtol=0, atol=1e-4)
    assert (log_probs(plain) - alone).abs().max() > 1e-3  # it learnt something
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.chat_template
    assert (tmp_path / "merged" / "LICENSE").read_text() == "Do as you like."


def test_a_half_precision_base_gives_a_half_precision_model(tmp_path: Path) -> None:
    base = tiny.save_model(tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(base)
    _, adapter, _ = trained(tmp_path / "run", base, "lora")
    merge(str(base), adapter, tmp_path / "merged")
    with safe_open(tmp_path / "merged" / "model.safetensors", framework="pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.bfloat16}  # noqa: SIM118
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == "bfloat16"


def test_what_is_there_is_left_alone_and_a_reward_model_refused(tmp_path: Path) -> None:
    base = tiny.save_model(tmp_path / "base")
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="exists already"):
        merge(str(base), tmp_path / "no adapter", tmp_path / "there")
    _, judge, _ = trained(tmp_path / "judge", base, "lora", "reward")
    with pytest.raises(UserError, match="reward model"):
        merge(str(base), judge, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
