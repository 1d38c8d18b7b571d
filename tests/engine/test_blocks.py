"""The last block computes what is read alone, and everything comes out as if it had computed all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from architectures import COUNTING, EVERY, MIXING, model_named, random_trees
from small_run import run
from torch import Tensor
from transformers.activations import SiLUActivation

from engine import adapters, blocks, heads, layouts, logps, models
from engine.batches import Batch, Branch, Layout, Tree, collate
from engine.spec import ADAPTER_KINDS, Adapter

TREES = [
    Tree([1, 9, 30, 77], [Branch.reply([12, 5, 61, 2]), Branch.reply([40, 41, 2])]),
    Tree([1, 50], [Branch.reply([33, 2]), Branch.reply([21, 22, 23, 2])]),
]
READ = 4 + 2 + 2 + 3  # the last token of a prompt predicts the first of both replies, and is read once


@contextmanager
def narrowed(model: Any) -> Iterator[None]:
    widen = blocks.narrow(model)
    try:
        yield
    finally:
        widen()


@contextmanager
def computed(model: Any) -> Iterator[dict[str, list[int]]]:
    """For how many places each linear layer of a Llama was computed, each time."""
    seen: dict[str, list[int]] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda module, args: seen.setdefault(name, []).append(args[0][..., 0].numel())

    linear = [(n, m) for n, m in model.named_modules() if n.endswith("_proj")]
    hooks = [module.register_forward_pre_hook(note(name)) for name, module in linear]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def batch_of(trees: list[Tree], layout: Layout = "tree") -> Batch:
    return collate(trees, layout=layout, device=torch.device("cpu"), dtype=torch.float32)


def with_gradients(model: Any, batch: Batch) -> tuple[Tensor, list[Tensor | None]]:
    """Log-probs, and the gradients of a sum that weighs each differently."""
    model.requires_grad_(True).zero_grad()
    values = logps.token_log_probs(model, batch)
    (values * torch.arange(1, len(values) + 1)).sum().backward()
    return values.detach(), [None if p.grad is None else p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("layout", ["tree", "padded"])
@pytest.mark.parametrize("name", [*EVERY, *MIXING])
def test_log_probs_and_gradients_are_those_of_all_places(name: str, layout: Layout) -> None:
    model, batch = model_named(name), batch_of(random_trees(), layout)
    expected, by_all = with_gradients(model, batch)
    with narrowed(model):
        found, by_read = with_gradients(model, batch)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(by_read, by_all, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", COUNTING)
def test_padded_rows_of_other_architectures_come_out_the_same(name: str) -> None:
    model, batch = model_named(name), batch_of(random_trees(), "padded")
    expected = logps.token_log_probs(model, batch)
    with narrowed(model):
        torch.testing.assert_close(logps.token_log_probs(model, batch), expected, rtol=1e-5, atol=1e-5)


def test_scores_and_values_come_out_the_same() -> None:
    model, batch, weight = model_named("Llama"), batch_of(TREES), torch.linspace(-1, 1, 32)
    expected = heads.scores(model, batch, weight), heads.values(model, batch, weight)
    with narrowed(model), computed(model) as seen:
        found = heads.scores(model, batch, weight), heads.values(model, batch, weight)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert seen["model.layers.1.mlp.up_proj"] == [4, READ]  # the four ends, then what predicts


def test_the_last_block_computes_what_is_read_and_the_others_all() -> None:
    model, batch = model_named("Llama"), batch_of(TREES)
    whole = batch.ids.numel()
    with narrowed(model), computed(model) as seen:
        logps.token_log_probs(model, batch)
    for name, places in seen.items():
        last, kind = ".1." in name, name.rsplit(".", 1)[1]
        assert places == [whole if not last or kind in ("k_proj", "v_proj") else READ], name


@pytest.mark.parametrize("kind", ADAPTER_KINDS)
def test_what_is_computed_again_is_as_narrow(kind: str, tmp_path: Path) -> None:
    found: list[list[Tensor]] = []
    for narrow in (False, True):
        base = models.load(str(tiny.save_model(tmp_path / str(narrow))))
        adapters.add(base, Adapter(kind, rank=4, alpha=8), seed=0)  # type: ignore[arg-type]
        models.recompute_activations(base)
        widen = blocks.narrow(base.model) if narrow else None
        with adapters.learning(base), computed(base.model) as seen:
            logps.branch_log_probs(base.model, batch_of(TREES)).sum().backward()
        if widen:
            assert set(seen["model.layers.1.mlp.up_proj"]) == {READ}
            assert len(seen["model.layers.1.mlp.up_proj"]) == 2
        found.append([tensor.grad for tensor in adapters.state(base).values() if tensor.grad is not None])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_nothing_is_left_out_where_all_is_asked_for() -> None:
    model = model_named("Llama")
    ids = torch.tensor([[1, 9, 30]])
    expected = model(ids).logits
    with narrowed(model):
        torch.testing.assert_close(model(ids).logits, expected)


def test_a_run_narrows_and_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    base = models.load(str(tiny.save_model(tmp_path)))
    with layouts.last_block_narrowed(base), computed(base.model) as seen:
        logps.token_log_probs(base.model, batch_of(TREES))
    assert seen["model.layers.1.mlp.up_proj"] == [READ]
    with computed(base.model) as seen:
        logps.token_log_probs(base.model, batch_of(TREES))
    assert seen["model.layers.1.mlp.up_proj"] == [batch_of(TREES).ids.numel()]


@pytest.mark.parametrize("method", ["sft", "reward", "kto"])
def test_a_run_computes_less_in_its_last_block(method: str, tmp_path: Path) -> None:
    numbers: dict[int, int] = {}

    def count(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        if isinstance(module, SiLUActivation):  # one in each block's MLP
            numbers[id(module)] = numbers.get(id(module), 0) + args[0].numel()

    with torch.nn.modules.module.register_module_forward_pre_hook(count):
        run(tmp_path / "run", tiny.save_model(tmp_path / "model"), method)
    first, last = numbers.values()
    assert last < 0.8 * first


def test_a_block_that_is_computed_twice_computes_all(tmp_path: Path) -> None:
    base = models.load(str(tiny.save_model(tmp_path)))
    base.model.model.layers[0] = base.model.model.layers[1]  # what Zamba and ALBERT do
    expected = logps.token_log_probs(base.model, batch_of(TREES))
    with layouts.last_block_narrowed(base):
        torch.testing.assert_close(logps.token_log_probs(base.model, batch_of(TREES)), expected)
