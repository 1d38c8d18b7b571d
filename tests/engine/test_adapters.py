"""Adapters on disk and in memory: ours, peft's, broken ones and strangers'."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_run
import tiny
import torch
from safetensors.torch import load_file, save_file

from engine import adapters, base_files, models
from engine.errors import UserError

IDS = torch.tensor([[1, 9, 30, 77, 12]])


@pytest.fixture(scope="module")
def trained(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.run(tmp_path_factory.mktemp("run"), model, "sft").folder


def logits(base: models.Base) -> torch.Tensor:
    with torch.no_grad():
        values: torch.Tensor = base.model(IDS).logits
    return values


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in trained.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_peft_reads_what_we_write(model: Path, trained: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), str(trained)).eval()
    ours = models.load(str(model))
    plain = logits(ours)
    adapters.attach(ours, "a run", trained)
    adapters.activate(ours, "a run")
    with torch.no_grad():
        expected = theirs(IDS).logits
    torch.testing.assert_close(logits(ours), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(expected, plain, atol=1e-2)


def test_we_read_what_peft_writes(model: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=r".*\.(q_proj|down_proj)",
        rank_pattern={"q_proj": 2},
        alpha_pattern={"q_proj": 9},
        use_rslora=True,
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    theirs = get_peft_model(AutoModelForCausalLM.from_pretrained(model), config).eval()
    theirs.save_pretrained(tmp_path)
    ours = models.load(str(model))
    adapters.attach(ours, "theirs", tmp_path)
    adapters.activate(ours, "theirs")
    with torch.no_grad():
        expected = theirs(IDS).logits
        with theirs.disable_adapter():
            plain = theirs(IDS).logits
    torch.testing.assert_close(logits(ours), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(expected, plain, atol=1e-2)


def test_adapters_take_turns_on_one_base(model: Path, trained: Path, copy: Path) -> None:
    tensors = load_file(copy / adapters.WEIGHTS)
    save_file({key: -value for key, value in tensors.items()}, copy / adapters.WEIGHTS)
    base = models.load(str(model))
    plain = logits(base)
    adapters.attach(base, "one", trained)
    torch.testing.assert_close(logits(base), plain, rtol=0, atol=0)
    adapters.activate(base, "one")
    one = logits(base)
    adapters.attach(base, "v1.two", copy)
    adapters.activate(base, "v1.two")
    two = logits(base)
    assert not torch.allclose(one, plain, atol=1e-2)
    assert torch.allclose(two, one, atol=1e-5)  # (−B)(−A) is BA: an adapter of its own, the same answers
    adapters.activate(base, "one")
    torch.testing.assert_close(logits(base), one, rtol=0, atol=0)
    adapters.activate(base, None)
    torch.testing.assert_close(logits(base), plain, rtol=0, atol=0)
    adapters.detach(base, "one")
    adapters.attach(base, "one", trained)
    adapters.activate(base, "one")
    torch.testing.assert_close(logits(base), one, rtol=0, atol=0)


def test_the_card_tells_where_it_is_from(model: Path, trained: Path) -> None:
    card = adapters.card(trained)
    assert card["fingerprint"] == base_files.fingerprint(str(model))
    assert card["spec"]["method"] == "sft"
    assert card["template"] == tiny.TEMPLATE
    assert "torch" in card["versions"]


def test_another_base_is_refused(trained: Path, tmp_path: Path) -> None:
    other = models.load(str(tiny.save_model(tmp_path / "other", seed=5)))
    with pytest.raises(UserError, match="another base"):
        adapters.attach(other, "x", trained)


def test_a_stranger_s_adapter_that_does_not_fit_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / adapters.CARD).unlink()
    small = models.load(str(tiny.save_model(tmp_path / "small", layers=1)))
    with pytest.raises(UserError, match="does not fit"):
        adapters.attach(small, "x", copy)


def test_tensors_of_another_shape_are_refused(model: Path, copy: Path) -> None:
    tensors = load_file(copy / adapters.WEIGHTS)
    name = next(key for key in tensors if key.endswith("lora_B.weight"))
    save_file(tensors | {name: tensors[name][:-1].contiguous()}, copy / adapters.WEIGHTS)
    base = models.load(str(model))
    plain = logits(base)
    with pytest.raises(UserError, match="does not fit"):
        adapters.attach(base, "x", copy)
    torch.testing.assert_close(logits(base), plain, rtol=0, atol=0)


def change(**fields: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / adapters.CONFIG
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    return apply


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / adapters.WEIGHTS).unlink(), "There is no adapter"),
        (
            lambda folder: (folder / adapters.WEIGHTS).write_bytes(b"\x09\0\0\0\0\0\0\0nonsense"),
            "cannot be used",
        ),
        (lambda folder: (folder / adapters.CONFIG).write_text("{"), "cannot be used"),
        (lambda folder: (folder / adapters.CONFIG).write_text("[]"), "cannot be used"),
        (lambda folder: (folder / adapters.CARD).write_text("{"), "broken"),
        (change(peft_type="IA3"), "IA3"),
        (change(use_dora=True), "does not fit"),
        (change(lora_bias=True), "lora_bias"),
        (change(modules_to_save=["lm_head"]), "modules_to_save"),
        (change(bias="all"), "biases"),
        (change(r="many"), "cannot be used"),
    ],
)
def test_broken_adapters_are_told(damage: Callable[[Path], None], says: str, model: Path, copy: Path) -> None:
    damage(copy)
    with pytest.raises(UserError, match=says):
        adapters.attach(models.load(str(model)), "x", copy)


def test_the_hash_is_of_weights_and_scale(trained: Path, copy: Path) -> None:
    assert adapters.hash_of(copy) == adapters.hash_of(trained)
    change(base_model_name_or_path="elsewhere")(copy)
    assert adapters.hash_of(copy) == adapters.hash_of(trained)
    change(lora_alpha=5)(copy)
    assert adapters.hash_of(copy) != adapters.hash_of(trained)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "nf4"])
def test_adapters_are_float32_on_every_linear_layer_but_the_head(precision: Any, model: Path) -> None:
    base = models.load(str(model), precision)
    adapters.add(base, small_run.ADAPTER, seed=0)
    parameters = adapters.state(base)
    assert len(parameters) == 2 * 7 * 2  # A and B, seven layers in each of two blocks
    assert {p.dtype for p in parameters.values()} == {torch.float32}
    wanted = [p for p in base.model.parameters() if p.requires_grad]
    assert {id(p) for p in wanted} == {id(p) for p in parameters.values()}
