"""Log-probs of the tree layout and of the gathered head against a plain forward pass of the whole model."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from engine import layouts, logps
from engine.batches import Batch, Branch, Layout, Tree, collate
from engine.errors import UserError

SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,  # wide, so that a wrong mask or position shows
}
TREES = {
    "Llama": {"tie_word_embeddings": True},
    "Qwen2": {},
    "Qwen3": {},
    "Gemma": {},
    "Gemma2": {"final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8},
    "Gemma3Text": {"query_pre_attn_scalar": 8, "sliding_window": 32},
    "Cohere": {"logit_scale": 0.25},
    "Granite": {"logits_scaling": 4.0},
    "Phi3": {"pad_token_id": 0},
    "GPT2": {},
}
ROWS = {"Bloom": {"n_head": 4}, "Mamba": {"state_size": 4}}


def model_named(name: str, **changes: Any) -> Any:
    torch.manual_seed(1)
    options = SIZES | {**TREES, **ROWS}.get(name, {}) | changes
    config = getattr(transformers, f"{name}Config")(**options)
    return transformers.AutoModelForCausalLM.from_config(config).requires_grad_(False).eval()


def random_trees(model: Any) -> list[Tree]:
    """Trees of unlike lengths and of one to three branches, one with untrained tokens."""
    generator = torch.Generator().manual_seed(2)

    def tokens(count: int) -> list[int]:
        return torch.randint(2, 90, (count,), generator=generator).tolist()

    return [
        Tree(tokens(9), [Branch.reply(tokens(5)), Branch.reply(tokens(7))]),
        Tree(tokens(3), [Branch.reply(tokens(2)), Branch(tokens(4), [True, False, False, True])]),
        Tree(tokens(6), [Branch.reply(tokens(1)), Branch.reply(tokens(8)), Branch.reply(tokens(3))]),
    ]


def by_hand(model: Any, trees: list[Tree]) -> torch.Tensor:
    """Each branch's sum, from the model's own logits of one unpadded row."""
    sums = []
    for tree in trees:
        for branch in tree.branches:
            ids = torch.tensor([tree.prompt + branch.ids])
            with torch.no_grad():
                table = model(input_ids=ids).logits.float().log_softmax(-1)[0]
            start = len(tree.prompt)
            sums.append(
                sum(table[start + i - 1, token] for i, token in enumerate(branch.ids) if branch.trained[i])
            )
    return torch.stack(sums)  # type: ignore[arg-type]


def batch_of(trees: list[Tree], layout: Layout) -> Batch:
    return collate(trees, layout=layout, device=torch.device("cpu"), dtype=torch.float32)


@pytest.mark.parametrize("name", TREES)
def test_tree_layout_equals_plain_rows(name: str) -> None:
    model = model_named(name)
    trees = random_trees(model)
    assert layouts.takes(model, 96, "tree")
    with torch.no_grad():
        sums = logps.branch_log_probs(model, batch_of(trees, layout="tree"))
    torch.testing.assert_close(sums, by_hand(model, trees), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*TREES, *ROWS])
def test_padded_rows_equal_plain_rows(name: str) -> None:
    model = model_named(name)
    trees = random_trees(model)
    with torch.no_grad():
        sums = logps.branch_log_probs(model, batch_of(trees, layout="padded"))
    torch.testing.assert_close(sums, by_hand(model, trees), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_architectures_that_cannot_take_trees_are_found_out(name: str) -> None:
    assert not layouts.takes(model_named(name), 96, "tree")


def test_an_unknown_head_is_refused() -> None:
    model = model_named("Llama")
    model.lm_head.register_forward_hook(lambda module, given, logits: logits * 2)
    with pytest.raises(UserError, match="logits"):
        layouts.check_head(model, 96)


def test_a_reply_does_not_depend_on_its_siblings_or_on_padding() -> None:
    model = model_named("Llama")
    first, second, third = random_trees(model)
    swapped = Tree(first.prompt, first.branches[::-1])
    with torch.no_grad():
        together = logps.branch_log_probs(model, batch_of([first, second, third], layout="tree"))
        alone = logps.branch_log_probs(model, batch_of([first], layout="tree"))
        other = logps.branch_log_probs(model, batch_of([swapped], layout="tree"))
    torch.testing.assert_close(together[:2], alone, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(other.flip(0), alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_a_trained_head_tied_or_not_gets_the_whole_models_gradient(tied: bool) -> None:
    ours, theirs = (model_named("Llama", tie_word_embeddings=tied).requires_grad_(True) for _ in range(2))
    tree = random_trees(ours)[0]
    logps.branch_log_probs(ours, batch_of([tree], layout="tree")).sum().backward()
    for branch in tree.branches:
        ids = torch.tensor([tree.prompt + branch.ids])
        table = theirs(input_ids=ids).logits[0, len(tree.prompt) - 1 : -1].log_softmax(-1)
        table.gather(-1, torch.tensor(branch.ids)[:, None]).sum().backward()
    assert (ours.lm_head.weight is ours.model.embed_tokens.weight) is tied
    for our, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(our.grad, their.grad, rtol=1e-4, atol=1e-4)


def test_window_is_the_shortest_reach() -> None:
    assert layouts.window(model_named("Llama")) is None
    assert layouts.window(model_named("Qwen2")) is None
    assert layouts.window(model_named("Gemma3Text")) == 32
    assert layouts.window(model_named("Mistral", sliding_window=16)) == 16


class TestHead:
    """The gathered head on its own."""

    head = logps.Head(
        weight=torch.randn(50, 12, generator=torch.Generator().manual_seed(0)),
        bias=torch.randn(50, generator=torch.Generator().manual_seed(1)),
        scale=0.5,
        softcap=4.0,
    )

    def plain(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = nn.functional.linear(hidden, self.head.weight, self.head.bias) * 0.5
        logits = 4.0 * torch.tanh(logits / 4.0)
        return logits.log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1)

    @pytest.mark.parametrize("elements", [1, 150, 2**24])
    def test_values_and_gradient_equal_autograd_s(
        self, elements: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logps, "CHUNK_ELEMENTS", elements)
        hidden = torch.randn(7, 12, generator=torch.Generator().manual_seed(2), requires_grad=True)
        copy = hidden.detach().clone().requires_grad_(True)
        targets = torch.tensor([0, 3, 49, 7, 7, 21, 2])
        upstream = torch.linspace(-1, 2, 7)
        ours = logps._HeadLogProbs.apply(hidden, self.head, targets)  # type: ignore[no-untyped-call]
        (ours * upstream).sum().backward()
        theirs = self.plain(copy, targets)
        (theirs * upstream).sum().backward()
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(hidden.grad, copy.grad, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("elements", [1, 150, 2**24])
    def test_a_trained_head_gets_autograd_s_gradient(
        self, elements: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logps, "CHUNK_ELEMENTS", elements)
        hidden = torch.randn(7, 12, generator=torch.Generator().manual_seed(2))
        targets = torch.tensor([0, 3, 49, 7, 7, 21, 2])
        upstream = torch.linspace(-1, 2, 7)

        def leaves() -> list[torch.Tensor]:
            assert self.head.bias is not None
            return [t.clone().requires_grad_(True) for t in (hidden, self.head.weight, self.head.bias)]

        ours, theirs = leaves(), leaves()
        head = replace(self.head, weight=ours[1], bias=ours[2])
        values = logps._TrainedHead.apply(*ours, head, targets)  # type: ignore[no-untyped-call]
        (values * upstream).sum().backward()
        logits = 4.0 * torch.tanh(nn.functional.linear(*theirs) * 0.5 / 4.0)
        plain = logits.log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1)
        (plain * upstream).sum().backward()
        torch.testing.assert_close(values, plain, rtol=1e-5, atol=1e-5)
        for our, their in zip(ours, theirs, strict=True):
            torch.testing.assert_close(our.grad, their.grad, rtol=1e-4, atol=1e-5)

    def test_no_trained_token_is_no_error(self) -> None:
        hidden = torch.zeros(0, 12, requires_grad=True)
        empty = torch.zeros(0, dtype=torch.long)
        values = logps._HeadLogProbs.apply(hidden, self.head, empty)  # type: ignore[no-untyped-call]
        values.sum().backward()
        assert values.shape == (0,)
