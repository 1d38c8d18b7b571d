"""Gradient checkpointing: the same gradients, every block computed twice, and less kept for the way back."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from small_run import Reports, run

from engine import adapters, models
from engine.batches import Branch, Tree, collate
from engine.errors import UserError
from engine.logps import branch_log_probs
from engine.spec import ADAPTER_KINDS, Adapter

TREES = [
    Tree([1, 9, 30, 77], [Branch.reply([12, 5, 61, 2]), Branch.reply([40, 41, 2])]),
    Tree([1, 50], [Branch.reply([33, 2]), Branch.reply([21, 22, 23, 2])]),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("model"), layers=4)


def base_with(model: Path, kind: str, precision: Any, dropout: float = 0.0) -> models.Base:
    base = models.load(str(model), precision)
    adapters.add(base, Adapter(kind, rank=4, alpha=8, dropout=dropout), seed=0)
    if kind != "full":
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for tensor in adapters.state(base).values():
                tensor += 0.05 * torch.randn(tensor.shape, generator=generator)
    return base


def gradients(base: models.Base) -> dict[str, torch.Tensor]:
    batch = collate(TREES, layout="tree", device=base.device, dtype=base.dtype)
    torch.manual_seed(5)
    with adapters.learning(base):
        with base.autocast():
            loss = branch_log_probs(base.model, batch).sum()
        loss.backward()
    found = {name: tensor.grad for name, tensor in adapters.state(base).items()}
    assert all(gradient is not None for gradient in found.values())
    return found  # type: ignore[return-value]


@contextmanager
def counted(base: models.Base) -> Iterator[Counter[str]]:
    """How often each block's feed-forward part was begun, and how many numbers autograd kept."""
    counts: Counter[str] = Counter()
    hooks = [
        layer.mlp.register_forward_pre_hook(lambda *_, i=i: counts.update([f"block {i}"]))
        for i, layer in enumerate(base.model.model.layers)
    ]

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        counts["kept"] += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield counts
    for hook in hooks:
        hook.remove()


CASES = [(kind, "fp32", 0.0) for kind in ADAPTER_KINDS]
CASES += [("lora", "nf4", 0.0), ("dora", "nf4", 0.0), ("lora", "bf16", 0.0), ("full", "bf16", 0.0)]
CASES += [("lora", "fp32", 0.3), ("dora", "fp32", 0.3)]


@pytest.mark.parametrize(("kind", "precision", "dropout"), CASES)
def test_the_gradients_are_equal_and_the_blocks_are_computed_twice(
    kind: str, precision: Any, dropout: float, model: Path
) -> None:
    plain, saving = (base_with(model, kind, precision, dropout) for _ in range(2))
    models.recompute_activations(saving)
    assert not saving.model.training
    with counted(plain) as once:
        expected = gradients(plain)
    with counted(saving) as twice:
        found = gradients(saving)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-6, atol=1e-6)
    for block in range(4):
        assert (once[f"block {block}"], twice[f"block {block}"]) == (1, 2)


def test_less_is_kept_for_the_way_back(model: Path) -> None:
    kept = []
    for asked in (False, True):
        base = base_with(model, "lora", "fp32")
        if asked:
            models.recompute_activations(base)
        batch = collate(TREES, layout="tree", device=base.device, dtype=base.dtype)
        with counted(base) as counts, adapters.learning(base):
            branch_log_probs(base.model, batch)
        kept.append(counts["kept"])
    assert kept[1] < 0.25 * kept[0]


def test_asked_for_twice_it_is_still_done_once(model: Path) -> None:
    base = base_with(model, "lora", "fp32")
    models.recompute_activations(base)
    block = base.model.model.layers[0]
    wrapped = vars(block)["forward"]
    models.recompute_activations(base)
    assert vars(block)["forward"] is wrapped


def test_nothing_is_computed_twice_without_gradients(model: Path) -> None:
    base = base_with(model, "lora", "fp32")
    models.recompute_activations(base)
    batch = collate(TREES, layout="tree", device=base.device, dtype=base.dtype)
    with counted(base) as counts, torch.no_grad():
        branch_log_probs(base.model, batch)
        assert counts["block 0"] == 1


def test_a_merged_model_has_blocks_of_its_own(model: Path) -> None:
    base = base_with(model, "lora", "fp32")
    models.recompute_activations(base)
    merged = adapters.merged(base)
    ids = torch.tensor([[1, 9, 30]])
    with counted(base) as counts, torch.no_grad():
        values = merged(ids).logits
    assert not counts["block 0"]
    with torch.no_grad():
        torch.testing.assert_close(values, base.model(ids).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_run_is_the_same_with_it(method: str, model: Path, tmp_path: Path) -> None:
    plain, saving = Reports(), Reports()
    run(tmp_path / "plain", model, method, reports=plain)
    run(tmp_path / "saving", model, method, reports=saving, options={"checkpointing": True})
    assert saving.losses == pytest.approx(plain.losses, rel=1e-6)


def test_an_architecture_without_blocks_is_refused(model: Path) -> None:
    base = replace(models.load(str(model)), model=torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="checkpointing does not work"):
        models.recompute_activations(base)
