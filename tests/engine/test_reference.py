"""The reference pass: each prompt and each reply is computed once, whichever rows and epochs they are of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import OPTIONS, Cache, Reports, rows_for, run

from engine import job, layouts, models, reference
from engine.batches import Batch, Branch, Tree
from engine.spec import Spec

PROMPTS = ([4, 5, 6], [7, 8, 9, 10], [11])
REPLIES = [[20 + i, *range(30, 31 + i)] for i in range(6)]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """What the reference pass gives the model, as it goes on."""
    seen: list[Batch] = []
    real = reference.branch_log_probs

    def noted(causal_lm: Any, batch: Batch) -> Any:
        seen.append(batch)
        return real(causal_lm, batch)

    monkeypatch.setattr(reference, "branch_log_probs", noted)
    return seen


@pytest.fixture
def prepare(model: Path, tmp_path: Path) -> Callable[..., job.Job]:
    def made(method: str = "dpo", cache: Cache | None = None, **options: Any) -> job.Job:
        spec = Spec(method=method, base=str(model), options=OPTIONS | options)
        base, rows = models.load(str(model)), rows_for(method)
        return job.prepared(base, spec, rows, tmp_path, Reports(), lambda: "", cache, None)

    return made


def tree(prompt: int, *replies: int) -> Tree:
    return Tree(PROMPTS[prompt], [Branch.reply(REPLIES[i]) for i in replies])


def by_hand(run: job.Job, prompt: int, reply: int) -> float:
    """The model's own log-prob of a reply."""
    start, ids = len(PROMPTS[prompt]), PROMPTS[prompt] + REPLIES[reply]
    with torch.no_grad():
        logits = run.base.model(torch.tensor([ids])).logits[0, start - 1 : -1].log_softmax(-1)
    return float(logits.gather(1, torch.tensor(ids[start:])[:, None]).sum())


def test_replies_to_one_prompt_share_it(prepare: Callable[..., job.Job], batches: list[Batch]) -> None:
    made = prepare()
    trees = [tree(0, 0, 1), tree(1, 2), tree(0, 3, 0), tree(2, 4), tree(0, 5)]
    found = reference.reference_log_probs(made, trees)
    asked = [[(0, 0), (0, 1)], [(1, 2)], [(0, 3), (0, 0)], [(2, 4)], [(0, 5)]]
    expected = [[by_hand(made, *one) for one in row] + [0.0] * (2 - len(row)) for row in asked]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-5)
    (batch,) = batches
    assert batch.branches == 6, "reply 0 to prompt 0 is asked for twice and computed once"
    assert len(batch.ids) == 3, "each prompt has one row"


@pytest.mark.parametrize("budget", [1, 14, 20])
def test_a_row_holds_as_many_replies_as_fit(
    budget: int, prepare: Callable[..., job.Job], batches: list[Batch]
) -> None:
    made = prepare(micro_tokens=budget)
    trees = [tree(0, i) for i in range(6)]
    found = reference.reference_log_probs(made, trees)
    expected = torch.tensor([[by_hand(made, 0, i)] for i in range(6)])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    rows = sum(len(batch.ids) for batch in batches)
    # replies of 2 to 7 tokens after a prompt of 3: (2 3 4) (5 6) (7) in 14, (2 3 4 5) (6 7) in 20
    assert rows == {1: 6, 14: 3, 20: 2}[budget]
    assert all(batch.ids.shape[1] <= max(budget, 10) for batch in batches)


def test_only_what_is_not_known_is_computed(prepare: Callable[..., job.Job], batches: list[Batch]) -> None:
    cache = Cache()
    made = prepare(cache=cache)
    reference.reference_log_probs(made, [tree(0, 0, 1), tree(1, 2)])
    del batches[:]
    found = reference.reference_log_probs(made, [tree(0, 0, 3), tree(1, 2), tree(1, 4)])
    (batch,) = batches
    assert batch.branches == 2
    expected = [
        [by_hand(made, 0, 0), by_hand(made, 0, 3)],
        [by_hand(made, 1, 2), 0],
        [by_hand(made, 1, 4), 0],
    ]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-5)
    assert cache.puts == 5


def test_killed_between_two_chunks_it_computes_the_same_micro_batches(
    prepare: Callable[..., job.Job], batches: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "CHUNK", 1)
    trees = [tree(0, 0), tree(1, 2), tree(0, 3), tree(2, 4), tree(1, 5), tree(0, 5)]

    class Killed(Cache):
        def put_many(self, values: Any) -> None:
            super().put_many(values)
            if len(self.values) == 3:
                raise KeyboardInterrupt

    straight = reference.reference_log_probs(prepare(cache=Cache()), trees)
    expected = [batch.ids.tolist() for batch in batches]
    assert len(expected) == 3
    del batches[:]
    made = prepare(cache=Killed())
    with pytest.raises(KeyboardInterrupt):
        reference.reference_log_probs(made, trees)
    assert torch.equal(reference.reference_log_probs(made, trees), straight)
    assert [batch.ids.tolist() for batch in batches] == expected


def test_kto_s_mismatched_replies_share_the_prompts_of_all_epochs(
    model: Path, tmp_path: Path, batches: list[Batch]
) -> None:
    cache = Cache()
    run(tmp_path / "1", model, "kto", cache=cache, options={"epochs": 3, "micro_tokens": 10**6})
    assert sum(len(batch.ids) for batch in batches) == 12, "a row for each prompt"
    assert sum(batch.branches for batch in batches) == len(cache.values) == cache.puts > 12 + 24
    del batches[:]
    run(tmp_path / "2", model, "kto", cache=cache, options={"epochs": 3})
    assert not batches, "the same rows, seed and batches: the same mismatched pairs"


@pytest.mark.parametrize(("name", "found"), [("takes", False), ("window", 7)])  # the longest has 8
def test_where_a_row_cannot_have_two_replies_the_values_are_the_same(
    name: str,
    found: Any,
    prepare: Callable[..., job.Job],
    batches: list[Batch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trees = [tree(0, 0, 1), tree(0, 3), tree(1, 2)]
    made = prepare("kto")
    shared = reference.reference_log_probs(replace(made, layout="padded"), trees)
    monkeypatch.setattr(layouts, name, lambda *_: found)
    made = prepare("kto")
    alone = reference.reference_log_probs(replace(made, layout="padded"), trees)
    torch.testing.assert_close(alone, shared, rtol=1e-5, atol=1e-5)
    assert [len(batch.ids) for batch in batches] == [2, 4]
