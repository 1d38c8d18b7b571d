"""Scores read at each reply's last token, and heads that are kept in files."""

import json
import shutil
from pathlib import Path

import pytest
import small_run
import tiny
import torch
from safetensors.torch import load_file, save_file

from engine import adapters, heads, models
from engine.batches import Branch, Tree, collate
from engine.errors import UserError
from engine.examples import Message
from engine.template import template_for

TREES = [
    Tree([1, 40, 41, 42], [Branch.reply([50, 51, 2]), Branch.reply([60, 2])]),
    Tree([1, 43], [Branch.reply([52, 53, 54, 55, 56, 2]), Branch.reply([2])]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def base(folder: Path) -> models.Base:
    return models.load(str(folder))


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run.run(tmp_path_factory.mktemp("run"), folder, "reward").folder


def by_hand(base: models.Base, weight: torch.Tensor) -> torch.Tensor:
    """Each sequence alone: the last hidden state of prompt and reply, times the weight."""
    found = []
    for tree in TREES:
        for branch in tree.branches:
            ids = torch.tensor([tree.prompt + branch.ids])
            with torch.no_grad():
                hidden = base.model(input_ids=ids, output_hidden_states=True).hidden_states[-1]
            found.append((hidden[0, -1].double() * weight.double()).sum())
    return torch.stack(found)


@pytest.mark.parametrize("layout", ["tree", "padded"])
def test_a_score_is_read_at_the_reply_s_last_token_whatever_stands_beside_it(
    layout: str, base: models.Base
) -> None:
    weight = heads.fresh(base, 3)
    batch = collate(TREES, layout=layout, device=base.device, dtype=base.dtype)  # type: ignore[arg-type]
    with torch.no_grad():
        found = heads.scores(base.model, batch, weight)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), by_hand(base, weight), rtol=1e-5, atol=1e-5)


def test_scores_of_trees_come_in_the_order_of_the_trees(
    base: models.Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "MICRO_TOKENS", 1)  # the longest tree first, each alone
    weight = heads.fresh(base, 3)
    found = heads.tree_scores(base, TREES, weight, layout="tree")
    torch.testing.assert_close(found.double(), by_hand(base, weight).reshape(2, 2), rtol=1e-5, atol=1e-5)


def test_the_gradient_by_finite_differences(base: models.Base) -> None:
    weight = heads.fresh(base, 3).requires_grad_(True)
    embedding = base.model.get_input_embeddings().weight
    batch = collate(TREES, layout="tree", device=base.device, dtype=base.dtype)

    def margin() -> torch.Tensor:
        chosen, rejected = heads.scores(base.model, batch, weight).reshape(-1, 2).unbind(1)
        return (chosen - rejected).sum()

    embedding.requires_grad_(True)
    try:
        margin().backward()  # type: ignore[no-untyped-call]
    finally:
        embedding.requires_grad_(False)
    step = 1e-2
    for tensor, place in ((weight, (5,)), (embedding, (41, 7))):  # a prompt's token, met by both replies
        assert tensor.grad is not None
        with torch.no_grad():
            before = float(tensor[place])
            tensor[place] = before + step
            up = float(margin())
            tensor[place] = before - step
            down = float(margin())
            tensor[place] = before
        assert float(tensor.grad[place]) == pytest.approx((up - down) / (2 * step), rel=2e-2, abs=1e-3)
        assert abs(float(tensor.grad[place])) > 1e-2
        tensor.grad = None


def test_a_fresh_head_is_that_of_transformers(folder: Path, base: models.Base) -> None:
    from transformers import AutoModelForSequenceClassification, set_seed

    for seed in (0, 7):
        set_seed(seed)
        theirs = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1)
        assert torch.equal(heads.fresh(base, seed), theirs.score.weight[0])


def test_conversations_are_scored_with_what_was_saved(folder: Path, trained: Path) -> None:
    base = models.load(str(folder))
    adapters.attach(base, "judge", trained)
    adapters.activate(base, "judge")
    head = heads.load(trained, base)
    template = template_for(base.tokenizer, end_tokens=base.end_tokens)
    talks = [
        (Message("user", f"the quick {i}?"), Message("assistant", text))
        for i, text in enumerate(["fox jumps", "a lazy dog likes yellow lemons", ""])
    ]
    found = heads.score(base, template, head, talks)
    for messages, value in zip(talks, found, strict=True):
        prompt, reply = template.reply(messages[:-1], messages[-1].content)
        with torch.no_grad():
            hidden = base.model(input_ids=torch.tensor([prompt + reply]), output_hidden_states=True)
        expected = float((hidden.hidden_states[-1][0, -1] * head.weight).sum())
        assert value == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert heads.score(base, template, head, []) == []
    with pytest.raises(UserError, match="no reply to score"):
        heads.score(base, template, head, [talks[0][:1]])
    with pytest.raises(UserError, match="more than the 128"):
        heads.score(base, template, head, [(Message("user", "fox " * 200), Message("assistant", "dog"))])


def test_a_head_that_is_missing_damaged_or_of_another_width_is_told(
    base: models.Base, trained: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "adapter"
    shutil.copytree(trained, copy)
    file = copy / adapters.HEAD
    assert torch.equal(heads.load(copy, base).weight, load_file(file)["score"])
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match="cannot be used"):
        heads.load(copy, base)
    for tensor in (torch.ones(3), torch.full((64,), torch.nan), torch.ones(64, dtype=torch.float16)):
        save_file({"score": tensor}, file)
        with pytest.raises(UserError, match="it is not 64 finite numbers"):
            heads.load(copy, base)
    file.unlink()
    with pytest.raises(UserError, match="cannot be used"):
        heads.load(copy, base)


def test_an_adapter_that_writes_is_no_reward_model(base: models.Base, trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "adapter"
    shutil.copytree(trained, copy)
    card = json.loads((copy / adapters.CARD).read_text())
    del card["reward"]
    (copy / adapters.CARD).write_text(json.dumps(card))
    with pytest.raises(UserError, match="is no reward model"):
        heads.load(copy, base)
