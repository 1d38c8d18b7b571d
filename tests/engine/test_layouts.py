"""Every layout gives the log-probs of a plain forward pass of one row, on every architecture."""

from pathlib import Path
from typing import Any, get_args

import pytest
import tiny
import torch
from architectures import COUNTING, EVERY, VOCABULARY, WINDOWED, by_hand, model_named, random_trees
from torch import Tensor
from transformers import modeling_flash_attention_utils

from engine import layouts, logps, models
from engine.batches import Layout, Tree, collate
from engine.errors import UserError

LAYOUTS: tuple[Layout, ...] = get_args(Layout)


def sums(model: Any, trees: list[Tree], layout: Layout) -> Tensor:
    """Each branch's log-prob."""
    batch = collate(trees, layout=layout, device=torch.device("cpu"), dtype=torch.float32)
    with torch.no_grad():
        return logps.branch_log_probs(model, batch)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", EVERY)
def test_every_layout_equals_one_row_at_a_time(name: str, layout: Layout) -> None:
    model, trees = model_named(name), random_trees()
    assert layouts.takes(model, VOCABULARY, layout)
    torch.testing.assert_close(sums(model, trees, layout), by_hand(model, trees), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Qwen3", "GPT2", "Glm", "Gemma2"])
def test_every_layout_equals_one_row_at_a_time_in_four_bits(name: str, tmp_path: Path) -> None:
    tokenizer = tiny.make_tokenizer()
    sizes = {"vocab_size": 512, "hidden_size": 64, "head_dim": 16, "query_pre_attn_scalar": 16}
    model_named(name, **sizes).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, trees = models.load(str(tmp_path), "nf4", "cpu").model, random_trees()
    assert model.is_loaded_in_4bit
    expected = by_hand(model, trees)
    for layout in LAYOUTS:
        torch.testing.assert_close(sums(model, trees, layout), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", ["padded", "packed"])
@pytest.mark.parametrize("name", WINDOWED)
def test_rows_longer_than_the_window_are_right_in_all_but_the_tree_layout(name: str, layout: Layout) -> None:
    model, trees = model_named(name, **WINDOWED[name]), random_trees()
    expected = by_hand(model, trees)
    torch.testing.assert_close(sums(model, trees, layout), expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(sums(model, trees, "tree"), expected, atol=1e-3)
    assert layouts.window(model) == 8


@pytest.mark.parametrize("name", COUNTING)
def test_architectures_that_count_positions_are_found_out(name: str) -> None:
    model, trees = model_named(name), random_trees()
    torch.testing.assert_close(sums(model, trees, "padded"), by_hand(model, trees), rtol=1e-5, atol=1e-5)
    assert not layouts.takes(model, VOCABULARY, "tree")
    assert not layouts.takes(model, VOCABULARY, "packed")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_reply_depends_on_no_other_and_not_on_padding(layout: Layout) -> None:
    model = model_named("Llama")
    first, *others = random_trees()
    together = sums(model, [first, *others], layout)
    alone = sums(model, [first], layout)
    swapped = sums(model, [Tree(first.prompt, first.branches[::-1])], layout)
    torch.testing.assert_close(together[:2], alone, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(swapped.flip(0), alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_are_those_of_one_row_at_a_time(layout: Layout) -> None:
    ours, theirs = model_named("Qwen3").requires_grad_(True), model_named("Qwen3").requires_grad_(True)
    trees = random_trees()[:2]
    batch = collate(trees, layout=layout, device=torch.device("cpu"), dtype=torch.float32)
    logps.branch_log_probs(ours, batch).sum().backward()
    for tree in trees:
        for branch in tree.branches:
            ids = torch.tensor([tree.prompt + branch.ids])
            table = theirs(input_ids=ids).logits[0, len(tree.prompt) - 1 : -1].log_softmax(-1)
            picked = table.gather(-1, torch.tensor(branch.ids)[:, None])[:, 0]
            picked[torch.tensor(branch.trained)].sum().backward()
    for our, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(our.grad, their.grad, rtol=1e-4, atol=1e-4)


def test_an_unknown_head_is_refused() -> None:
    model = model_named("Llama")
    model.lm_head.register_forward_hook(lambda module, given, logits: logits * 2)
    with pytest.raises(UserError, match="logits"):
        layouts.check_head(model, VOCABULARY)


def test_window_is_the_shortest_reach() -> None:
    assert layouts.window(model_named("Llama")) is None
    assert layouts.window(model_named("Qwen2")) is None
    assert layouts.window(model_named("Gemma3Text")) == 32
    assert layouts.window(model_named("Mistral", sliding_window=16)) == 16


def reference_varlen(
    query: Tensor, key: Tensor, value: Tensor, *, cu_seqlens_q: Tensor, softmax_scale: float, **_: Any
) -> Tensor:
    """flash-attn's `flash_attn_varlen_func`, causal: (T, H, D) each, sequences between the bounds given."""
    outs = []
    for start, end in zip(cu_seqlens_q[:-1].tolist(), cu_seqlens_q[1:].tolist(), strict=True):
        q, k, v = (x[start:end].transpose(0, 1)[None] for x in (query, key, value))
        out = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=softmax_scale, enable_gqa=True
        )
        outs.append(out[0].transpose(0, 1))
    return torch.cat(outs)


@pytest.mark.parametrize("name", ["Llama", "Qwen3", "Glm4"])
def test_flash_attn_is_told_the_bounds_of_packed_rows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By transformers' way to its varlen kernel, with the kernel's arithmetic done by torch."""

    def kernels(_: Any) -> Any:
        process = modeling_flash_attention_utils._lazy_define_process_function(reference_varlen)
        return (None, reference_varlen, None, None, None), (process, None)

    model, trees = model_named(name), random_trees()
    expected = by_hand(model, trees)
    monkeypatch.setattr(modeling_flash_attention_utils, "lazy_import_flash_attention", kernels)
    model.config._attn_implementation_internal = "flash_attention_2"
    torch.testing.assert_close(sums(model, trees, "packed"), expected, rtol=1e-5, atol=1e-5)
