"""The gathered vocabulary head, frozen and trained, against a plain forward pass of the whole model."""

from dataclasses import replace

import pytest
import torch
from architectures import model_named, random_trees
from torch import nn

from engine import logps
from engine.batches import collate


@pytest.mark.parametrize("tied", [True, False])
def test_a_trained_head_tied_or_not_gets_the_whole_models_gradient(tied: bool) -> None:
    ours, theirs = (model_named("Llama", tie_word_embeddings=tied).requires_grad_(True) for _ in range(2))
    tree = random_trees()[0]
    batch = collate([tree], layout="tree", device=torch.device("cpu"), dtype=torch.float32)
    logps.branch_log_probs(ours, batch).sum().backward()
    for branch in tree.branches:
        ids = torch.tensor([tree.prompt + branch.ids])
        table = theirs(input_ids=ids).logits[0, len(tree.prompt) - 1 : -1].log_softmax(-1)
        table.gather(-1, torch.tensor(branch.ids)[:, None]).sum().backward()
    assert (ours.lm_head.weight is ours.model.embed_tokens.weight) is tied
    for our, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(our.grad, their.grad, rtol=1e-4, atol=1e-4)


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
        monkeypatch.setattr(logps, "CHUNK_ELEMENTS", {"cpu": elements})
        monkeypatch.setattr(logps, "CHUNK_TOKENS", 1)
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
        monkeypatch.setattr(logps, "CHUNK_ELEMENTS", {"cpu": elements})
        monkeypatch.setattr(logps, "CHUNK_TOKENS", 1)
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
