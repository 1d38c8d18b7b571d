"""Every kind of adapter: trained, saved, attached to a fresh base, gone on from, left out, merged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_run
import tiny
import torch
from safetensors.torch import load_file
from small_run import METHOD_OPTIONS, OPTIONS, Reports, rows_for

from engine import adapters, base_files, job, merging, models
from engine.errors import UserError
from engine.generate import generate
from engine.sampling import Sampling
from engine.spec import ADAPTER_KINDS, Adapter, Spec

IDS = torch.tensor([[1, 9, 30, 77, 12, 5, 61]])
LOW_RANK = [kind for kind in ADAPTER_KINDS if kind != "full"]
GREEDY = Sampling(temperature=0, max_tokens=4)
CASES = [(kind, "fp32") for kind in ADAPTER_KINDS] + [(kind, "nf4") for kind in LOW_RANK]


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("tied"), seed=3, tied=True)


def log_probs(causal_lm: Any) -> torch.Tensor:
    with torch.no_grad():
        values: torch.Tensor = causal_lm(IDS).logits.float().log_softmax(-1)
    return values


def options_for(kind: str, **options: Any) -> dict[str, Any]:
    rate = {"full": 1e-3, "pissa": 3e-3}.get(kind, OPTIONS["learning_rate"])
    return {**OPTIONS, "learning_rate": rate, **options}


def trained(
    folder: Path, model: Path, kind: str, method: str = "sft", precision: Any = "fp32", **spec: Any
) -> tuple[models.Base, Path, Reports]:
    """The base as training left it, the adapter's folder, and what was reported."""
    base, reports = models.load(str(model), precision), Reports()
    options = options_for(kind, **spec.pop("options", {}))
    result = job.train(
        base,
        Spec(method, str(model), adapter=Adapter(kind, rank=4, alpha=8), options=options, **spec),
        rows_for(method),
        folder,
        emit=reports,
        should_stop=lambda: "",
    )
    return base, result.folder, reports


def with_noise(model: Path | models.Base, kind: str, precision: Any = "fp32") -> models.Base:
    """A base with an adapter that is no longer what it was when fresh."""
    base = model if isinstance(model, models.Base) else models.load(str(model), precision)
    adapters.add(base, Adapter(kind, rank=4, alpha=8), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in adapters.state(base).values():
            tensor += 0.05 * torch.randn(tensor.shape, generator=generator)
    return base


@pytest.mark.parametrize(("kind", "precision"), CASES)
@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_it_learns_and_is_the_same_on_a_fresh_base(
    method: str, kind: str, precision: Any, model: Path, tmp_path: Path
) -> None:
    base, folder, reports = trained(tmp_path, model, kind, method, precision, options={"epochs": 6})
    losses = reports.losses
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    if method == "dpo":
        assert losses[0] == pytest.approx(0.693147, rel=1e-4)  # it starts at its reference
    at_the_end = log_probs(base.model)
    fresh = models.load(str(model), precision)
    plain = log_probs(fresh.model)
    adapters.attach(fresh, "a run", folder)
    torch.testing.assert_close(log_probs(fresh.model), plain, rtol=0, atol=0)
    adapters.activate(fresh, "a run")
    torch.testing.assert_close(log_probs(fresh.model), at_the_end, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(at_the_end, plain, atol=1e-2)
    assert adapters.card(folder)["kind"] == kind


@pytest.mark.parametrize(
    ("kind", "precision"),
    # rslora is lora with another factor: in the slow tests
    [pytest.param(*case, marks=[pytest.mark.slow] if case[0] == "rslora" else []) for case in CASES],
)
@pytest.mark.parametrize("method", ["reward", "kto", "ppo"])
def test_the_other_methods_train_it_save_it_and_go_on(
    method: str, kind: str, precision: Any, model: Path, tmp_path: Path
) -> None:
    few = {"epochs": 1, "batch_size": 6, "rollout_batch": 6, "max_new_tokens": 6, "learning_rate": 3e-3}
    options = {**METHOD_OPTIONS.get(method, {}), **few}
    if method != "ppo":
        del options["rollout_batch"], options["max_new_tokens"]
    spec: dict[str, Any] = {"options": options}
    if method == "ppo":
        spec["reward"] = str(small_run.reward_model(model))
    base, folder, first = trained(tmp_path / "first", model, kind, method, precision, **spec)
    assert len(first.of("step")) == 2
    assert all(step["grad_norm"] > 0 for step in first.of("step"))
    assert adapters.card(folder)["kind"] == kind
    adapters.activate(base, adapters.TRAINED)  # PPO's value function may have been at work last
    at_the_end = log_probs(base.model)
    fresh = models.load(str(model), precision)
    plain = log_probs(fresh.model)
    adapters.attach(fresh, "a run", folder)
    adapters.activate(fresh, "a run")
    torch.testing.assert_close(log_probs(fresh.model), at_the_end, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(at_the_end, plain, atol=1e-3)
    ids = IDS[0].tolist()
    said = list(generate(fresh.model, fresh.tokenizer, ids, GREEDY, context=128, ends=()))
    assert said[-1].tokens == GREEDY.max_tokens
    _, again, second = trained(
        tmp_path / "second", model, kind, method, precision, parent=str(folder), **spec
    )
    assert adapters.hash_of(again) != adapters.hash_of(folder)
    losses = [reports.losses[0] for reports in (first, second)]
    if method == "reward":  # the others start from where they are, and so at the same loss
        assert losses[1] < losses[0]
    elif method == "kto":
        assert losses == pytest.approx([0.5, 0.5], abs=1e-3)
    else:
        assert second.of("step")[0]["metrics"]["kl3"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("kind", "precision"), CASES)
def test_it_is_gone_on_from_as_it_was(kind: str, precision: Any, model: Path, tmp_path: Path) -> None:
    before, parent, _ = trained(tmp_path / "first", model, kind, precision=precision)
    where_it_stopped = log_probs(before.model)
    base = models.load(str(model), precision)
    kept = adapters.resume(base, parent)
    assert kept == (Adapter("full") if kind == "full" else Adapter(kind, rank=4, alpha=8))
    torch.testing.assert_close(log_probs(base.model), where_it_stopped, rtol=1e-5, atol=1e-5)
    assert set(adapters.state(base)) == set(adapters.state(before))
    for key, tensor in adapters.state(base).items():
        torch.testing.assert_close(tensor, adapters.state(before)[key], rtol=0, atol=0)
    after, folder, _ = trained(
        tmp_path / "second", model, kind, "dpo", precision, parent=str(parent), options={"epochs": 4}
    )
    with adapters.without(after):
        torch.testing.assert_close(log_probs(after.model), where_it_stopped, rtol=1e-5, atol=1e-5)
    assert adapters.hash_of(folder) != adapters.hash_of(parent)
    assert load_file(folder / adapters.WEIGHTS).keys() == load_file(parent / adapters.WEIGHTS).keys()


@pytest.mark.parametrize(("kind", "precision"), [*CASES, ("full", "bf16"), ("dora", "bf16")])
def test_without_is_the_base_exactly(kind: str, precision: Any, model: Path) -> None:
    plain = log_probs(models.load(str(model), precision).model)
    base = with_noise(model, kind, precision)
    if kind == "full":  # the same weights, in the precision of what is trained
        plain = log_probs(models.load(str(model), "fp32").model)
    moved, parameters = log_probs(base.model), adapters.state(base)
    with adapters.without(base):
        exact = precision != "bf16" or kind != "full"  # bf16 weights in float32 are not the file's own
        torch.testing.assert_close(log_probs(base.model), plain, rtol=0, atol=0 if exact else 0.1)
    torch.testing.assert_close(log_probs(base.model), moved, rtol=0, atol=0)
    assert not torch.allclose(moved, plain, atol=1e-2)
    for key, parameter in adapters.state(base).items():
        assert parameter is parameters[key]
        assert parameter.requires_grad


@pytest.mark.parametrize("precision", ["fp32", "nf4", "bf16"])
@pytest.mark.parametrize("kind", [kind for kind in LOW_RANK if kind != "pissa"])
def test_a_fresh_one_adds_exactly_nothing(kind: str, precision: Any, model: Path) -> None:
    base = models.load(str(model), precision)
    with base.autocast():
        plain = log_probs(base.model)
        adapters.add(base, Adapter(kind), seed=0)
        torch.testing.assert_close(log_probs(base.model), plain, rtol=0, atol=0)


def test_the_head_and_the_embeddings_are_trained_too(tied: Path, tmp_path: Path) -> None:
    base, folder, _ = trained(tmp_path, tied, "full")
    own = load_file(tied / "model.safetensors")
    saved = load_file(folder / adapters.WEIGHTS)
    assert saved.keys() == own.keys()
    assert "lm_head.weight" not in saved
    for key, value in saved.items():
        assert value.dtype == torch.float32
        assert not torch.equal(value, own[key]), f"{key} has not moved"
    assert base.model.lm_head.weight is base.model.model.embed_tokens.weight
    with adapters.without(base):
        assert base.model.lm_head.weight is base.model.model.embed_tokens.weight


def test_full_ones_and_low_rank_ones_take_turns(model: Path, tmp_path: Path) -> None:
    folders = {kind: trained(tmp_path / kind, model, kind)[1] for kind in ("full", "lora", "dora")}
    base = models.load(str(model))
    answers: dict[str | None, torch.Tensor] = {None: log_probs(base.model)}
    for kind, folder in folders.items():
        adapters.attach(base, kind, folder)
        adapters.activate(base, kind)
        answers[kind] = log_probs(base.model)
    for first, second in (("full", "lora"), ("dora", "full"), ("full", None), ("lora", "dora")):
        for name in (first, second):
            adapters.activate(base, name)
            torch.testing.assert_close(log_probs(base.model), answers[name], rtol=0, atol=0)
    adapters.activate(base, "full")
    adapters.detach(base, "full")
    torch.testing.assert_close(log_probs(base.model), answers[None], rtol=0, atol=0)


def test_full_fine_tuning_over_four_bits_is_refused(model: Path, tmp_path: Path) -> None:
    base = models.load(str(model), "nf4")
    with pytest.raises(UserError, match="4-bit"):
        adapters.add(base, Adapter("full"), seed=0)
    _, folder, _ = trained(tmp_path, model, "full")
    for load in (adapters.resume, lambda base, folder: adapters.attach(base, "x", folder)):
        with pytest.raises(UserError, match="4-bit"):
            load(base, folder)


def test_a_full_one_for_another_shape_is_refused(model: Path, tied: Path, tmp_path: Path) -> None:
    _, folder, _ = trained(tmp_path, model, "full")
    other = replace(models.load(str(tied)), fingerprint=base_files.fingerprint(str(model)))
    plain = log_probs(other.model)
    with pytest.raises(UserError, match="does not fit"):
        adapters.attach(other, "x", folder)
    torch.testing.assert_close(log_probs(other.model), plain, rtol=0, atol=0)


@pytest.mark.parametrize("kind", LOW_RANK)
def test_peft_computes_the_same_from_the_files(kind: str, model: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base, folder, _ = trained(tmp_path, model, kind)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), str(folder)).eval()
    torch.testing.assert_close(log_probs(theirs), log_probs(base.model), rtol=1e-5, atol=1e-5)


def test_rank_stabilised_means_the_square_root(model: Path) -> None:
    base = models.load(str(model))
    adapters.add(base, Adapter("rslora", rank=16, alpha=8), seed=0)
    assert base.model.model.layers[0].self_attn.q_proj.scaling[adapters.TRAINED] == 2.0


def test_pissa_starts_with_the_largest_singular_vectors(model: Path) -> None:
    base = models.load(str(model))
    adapters.add(base, Adapter("pissa", rank=4, alpha=8), seed=0)
    layer = base.model.model.layers[1].mlp.up_proj
    product = layer.get_delta_weight(adapters.TRAINED)
    values = torch.linalg.svdvals(layer.get_base_layer().weight)
    assert torch.linalg.matrix_rank(product) == 4
    torch.testing.assert_close(torch.linalg.svdvals(product)[:4], values[:4], rtol=1e-3, atol=0)
    residual = layer.get_base_layer().weight - product
    torch.testing.assert_close(torch.linalg.svdvals(residual)[0], values[4], rtol=1e-3, atol=0)
    a, b = layer.lora_A[adapters.TRAINED].weight, layer.lora_B[adapters.TRAINED].weight
    torch.testing.assert_close(a.norm(dim=1), b.norm(dim=0))  # each has the square root


def test_pissa_of_too_high_a_rank_is_refused(model: Path) -> None:
    with pytest.raises(UserError, match="rank of at most 32"):
        adapters.add(models.load(str(model)), Adapter("pissa", rank=33), seed=0)


@pytest.mark.parametrize(("kind", "precision"), [*CASES, ("full", "bf16"), ("lora", "bf16")])
def test_the_merged_model_says_the_same(kind: str, precision: Any, model: Path) -> None:
    base = with_noise(model, kind, precision)
    merged = adapters.merged(base)
    tolerance = 1e-4 if base.dtype == torch.float32 else 0.2
    again: Callable[[], Any] = lambda: adapters.merged(base, merged)  # noqa: E731
    for refreshed in (lambda: merged, again):
        with base.autocast():
            expected = log_probs(base.model)
        assert (log_probs(refreshed()) - expected).abs().mean() < tolerance
        with torch.no_grad():
            for tensor in adapters.state(base).values():
                tensor.mul_(0.5)
    assert all(parameter.requires_grad for parameter in adapters.state(base).values())


def test_the_merged_model_is_apart_and_shares_what_is_untouched(model: Path) -> None:
    base = with_noise(model, "lora")
    merged = adapters.merged(base)
    before = log_probs(merged)
    with torch.no_grad():
        for tensor in adapters.state(base).values():
            tensor.zero_()
    torch.testing.assert_close(log_probs(merged), before, rtol=0, atol=0)
    assert merged.lm_head.weight is base.model.lm_head.weight
    assert type(merged.model.layers[0].mlp.up_proj) is merging.Linear
    assert not any("lora" in name for name, _ in merged.named_parameters())


def test_dropout_is_on_for_the_gradient_alone(model: Path) -> None:
    base = models.load(str(model))
    adapters.add(base, Adapter(dropout=0.5), seed=0)
    with torch.no_grad():
        for tensor in adapters.state(base).values():
            tensor.normal_()
    still = log_probs(base.model)
    torch.testing.assert_close(log_probs(base.model), still, rtol=0, atol=0)
    with adapters.learning(base):
        assert not torch.allclose(log_probs(base.model), still, atol=1e-2)
    torch.testing.assert_close(log_probs(base.model), still, rtol=0, atol=0)


class TestHalfPrecision:
    """Adapters in bf16: their training is refused, their files are read as float32."""

    def test_their_training_is_refused(self, model: Path) -> None:
        base = models.load(str(model), "bf16")
        adapters.add(base, small_run.ADAPTER, seed=0)
        next(iter(adapters.state(base).values())).data = torch.zeros(16, 64, dtype=torch.bfloat16)
        with pytest.raises(UserError, match="half precision"):
            adapters.state(base)

    def test_their_files_are_read_as_float32(self, model: Path, tmp_path: Path) -> None:
        from safetensors.torch import save_file

        _, folder, _ = trained(tmp_path, model, "lora")
        tensors = {key: value.bfloat16() for key, value in load_file(folder / adapters.WEIGHTS).items()}
        save_file(tensors, folder / adapters.WEIGHTS, metadata={"format": "pt"})
        base = models.load(str(model), "bf16")
        adapters.resume(base, folder)
        for key, tensor in adapters.state(base).items():
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor, tensors[key].float(), rtol=0, atol=0)
