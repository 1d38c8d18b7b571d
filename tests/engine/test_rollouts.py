"""Rollouts: `generate`'s tokens when greedy, the same draws however batched, true log-probs."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from engine import adapters, models, rollouts
from engine.batches import Branch, Tree, collate
from engine.logps import token_log_probs
from engine.models import Base
from engine.rollouts import Reply
from engine.spec import Adapter

PROMPTS = [[1, 9, 40, 71], [1, 5], [1, 30, 31, 32, 33, 34, 35, 36, 37], [1, 60, 61], [1, 7, 8, 9, 10, 11]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A base with an adapter that changes what it says."""
    loaded = models.load(str(tiny.save_model(tmp_path_factory.mktemp("model"))))
    adapters.add(loaded, Adapter(rank=4), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in adapters.state(loaded).values():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    return loaded


def drawn(base: Base, prompts: list[list[int]] = PROMPTS, **how: Any) -> list[list[Reply]]:
    settings: dict[str, Any] = {
        "seeds": [100 + i for i in range(len(prompts))],
        "samples": 3,
        "limit": 12,
        "temperature": 1.0,
        "ends": (),
        "context": base.context,
    }
    return rollouts.sample(adapters.merged(base), prompts, **(settings | how))


@pytest.mark.parametrize("rows", [1, 2, 64])
def test_greedy_replies_are_those_of_generate(base: Base, rows: int) -> None:
    for prompt, (reply,) in zip(PROMPTS, drawn(base, samples=1, temperature=0, rows=rows), strict=True):
        ids = torch.tensor([prompt])
        out = base.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=12,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert reply.ids == out[0, len(prompt) :].tolist()
        assert not reply.ended


def test_greedy_replies_end_at_an_end_token_and_rows_leave(base: Base) -> None:
    free = drawn(base, samples=1, temperature=0)
    ends = {free[0][0].ids[3], free[2][0].ids[7]}
    for (whole,), (cut,) in zip(free, drawn(base, samples=1, temperature=0, ends=ends), strict=True):
        at = next((i for i, token in enumerate(whole.ids, start=1) if token in ends), len(whole.ids))
        assert cut.ids == whole.ids[:at]
        assert cut.ended == (cut.ids[-1] in ends)


def test_replies_do_not_depend_on_the_batch(base: Base) -> None:
    together = drawn(base)
    for i, prompt in enumerate(PROMPTS):
        (alone,) = drawn(base, [prompt], seeds=[100 + i])
        assert [reply.ids for reply in alone] == [reply.ids for reply in together[i]]
    one_by_one = drawn(base, rows=1)
    assert [[reply.ids for reply in row] for row in one_by_one] == [
        [reply.ids for reply in row] for row in together
    ]
    fewer = drawn(base, samples=2)
    assert [row[1].ids for row in fewer] == [row[1].ids for row in together]


def test_samples_differ_and_so_do_seeds(base: Base) -> None:
    first, second = drawn(base), drawn(base, seeds=[5 + i for i in range(len(PROMPTS))])
    assert len({tuple(reply.ids) for reply in first[0] + second[0]}) == 6


def test_leaving_rows_change_nothing(base: Base) -> None:
    """With end tokens rows leave at different times; what is left goes on as it would have."""
    free = drawn(base, samples=4, limit=20)
    ends = {token for row in free for reply in row for token in reply.ids[4:6]}
    for whole_row, cut_row in zip(free, drawn(base, samples=4, limit=20, ends=ends), strict=True):
        for whole, cut in zip(whole_row, cut_row, strict=True):
            at = next((i for i, token in enumerate(whole.ids, start=1) if token in ends), len(whole.ids))
            assert cut.ids == whole.ids[:at]


@pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
def test_log_probs_are_those_recomputed(base: Base, temperature: float) -> None:
    replies = drawn(base, temperature=temperature)
    trees = [
        Tree(prompt, [Branch.reply(reply.ids) for reply in row])
        for prompt, row in zip(PROMPTS, replies, strict=True)
    ]
    batch = collate(trees, layout="tree", device=base.device, dtype=base.dtype)
    adapters.train(base)
    with torch.no_grad():
        again = token_log_probs(base.model, batch, temperature)
    told = torch.tensor([value for row in replies for reply in row for value in reply.log_probs])
    torch.testing.assert_close(told, again, rtol=1e-4, atol=1e-4)


def test_draws_follow_the_model_s_distribution(base: Base) -> None:
    """Of 4,000 first tokens each is drawn as often as its probability says, within five deviations."""
    n = 4000
    (replies,) = drawn(base, [[1, 9, 40]], seeds=[3], samples=n, limit=1, rows=n, temperature=1.5)
    model = adapters.merged(base)
    with torch.no_grad():
        p = (model(torch.tensor([[1, 9, 40]])).logits[0, -1].float() / 1.5).softmax(-1)
    counts = torch.bincount(torch.tensor([reply.ids[0] for reply in replies]), minlength=len(p))
    deviation = (n * p * (1 - p)).sqrt()
    assert ((counts - n * p).abs() < 5 * deviation + 1).all()


def test_a_reply_ends_where_the_context_does(base: Base) -> None:
    long = [1] + [9] * (base.context - 4)
    (short,), (tight,) = drawn(base, [[1, 5], long], samples=1, limit=12)
    assert (len(short.ids), len(tight.ids)) == (12, 3)


def test_sliding_windows_keep_their_own_cache(tmp_path: Path) -> None:
    """A model whose attention reaches back four tokens says what `generate` says."""
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=4,
        initializer_range=0.2,
    )
    model = MistralForCausalLM(config).eval()
    prompts = [[1, 9, 40, 71, 3, 4, 5], [1, 5]]
    replies = rollouts.sample(
        model, prompts, seeds=[0, 0], samples=1, limit=10, temperature=0, ends=(), context=128
    )
    for prompt, (reply,) in zip(prompts, replies, strict=True):
        out = model.generate(
            input_ids=torch.tensor([prompt]),
            do_sample=False,
            max_new_tokens=10,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert reply.ids == out[0, len(prompt) :].tolist()
