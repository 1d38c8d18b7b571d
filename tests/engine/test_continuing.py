"""Other replies, read on what a prompt has left in each layer, have the log-probs of rows of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
from architectures import COUNTING, EVERY, WINDOWED, model_named
from small_run import Reports, run
from torch import Tensor

from engine import continuing, models
from engine.batches import Branch, Tree, collate
from engine.continuing import Held, with_others
from engine.logps import branch_log_probs
from engine.memory import Room
from engine.spec import Adapter, Spec

TREES = [
    Tree([5, 9, 30, 77, 6, 7], [Branch.reply([12, 5, 61, 2])]),
    Tree([8], [Branch.reply([33])]),
    Tree([4, 50, 21], [Branch.reply([40, 41, 42, 43, 44, 2])]),
]
OTHERS = [[33], [40, 41, 42, 43, 44, 2], []]


def job_on(model: Any, dtype: torch.dtype = torch.float32, **spec: Any) -> Any:
    """As much of a job as a pass over rows needs."""
    cpu = torch.device("cpu")
    base = SimpleNamespace(
        model=model,
        dtype=dtype,
        device=cpu,
        shards=None,
        autocast=partial(torch.autocast, "cpu", enabled=False),
    )
    return SimpleNamespace(
        base=base,
        layout="padded",
        takes_trees=True,
        room=Room(1000),
        spec=Spec(method="kto", base="x", **spec),
        row_tokens=lambda tree: tree.length,
        collate=partial(collate, layout="padded", device=cpu, dtype=dtype),
    )


def in_rows_of_their_own(job: Any, trees: list[Tree], others: list[list[int]]) -> Tensor:
    rows = [Tree(tree.prompt, [Branch.reply(ids)]) for tree, ids in zip(trees, others, strict=True)]
    return branch_log_probs(job.base.model, job.collate(rows))


@pytest.mark.parametrize("name", EVERY)
def test_both_replies_have_the_log_probs_and_one_the_gradient_of_rows_of_their_own(name: str) -> None:
    ours, theirs = (job_on(model_named(name).requires_grad_(True)) for _ in range(2))
    own, other = with_others(ours, TREES, OTHERS)
    expected = branch_log_probs(theirs.base.model, theirs.collate(TREES))
    torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(other, in_rows_of_their_own(theirs, TREES, OTHERS), rtol=1e-5, atol=1e-5)
    assert not other.requires_grad
    own.sum().backward()
    expected.sum().backward()
    for mine, true in zip(ours.base.model.parameters(), theirs.base.model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, true.grad, rtol=1e-4, atol=1e-4)


def test_in_four_bits_too(tmp_path: Path) -> None:
    job = job_on(models.load(str(tiny.save_model(tmp_path)), "nf4", "cpu").model)
    own, other = with_others(job, TREES, OTHERS)
    torch.testing.assert_close(
        own, branch_log_probs(job.base.model, job.collate(TREES)), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(other, in_rows_of_their_own(job, TREES, OTHERS), rtol=1e-5, atol=1e-5)


@contextmanager
def embedded(model: Any) -> Iterator[list[int]]:
    """How many tokens were given to the model, each time."""
    counts: list[int] = []
    hook = model.get_input_embeddings().register_forward_pre_hook(
        lambda _, args: counts.append(args[0].numel())
    )
    yield counts
    hook.remove()


def test_a_prompt_is_computed_once() -> None:
    job = job_on(model_named("Llama"))
    with embedded(job.base.model) as counts:
        with_others(job, TREES, OTHERS)
    assert counts == [3 * 10, 3 * 5]  # padded: the longest row; the longest other reply but its last token


class TestHeld:
    def test_what_is_read_is_taken_once(self) -> None:
        job = job_on(model_named("Llama").requires_grad_(True))
        held = Held(job, TREES, 2)
        job.room.micro_tokens = 12  # rows of 10, 9 and 2 tokens: three micro-batches, and less than twice 12
        sums = held.read([2, 0, 1], [OTHERS[2], OTHERS[0], OTHERS[1]])
        assert sums is not None
        expected = in_rows_of_their_own(job, TREES, OTHERS)
        torch.testing.assert_close(sums, expected[[2, 0, 1]], rtol=1e-5, atol=1e-5)
        own = held.take([0])
        assert own is not None
        assert own.requires_grad
        torch.testing.assert_close(own, branch_log_probs(job.base.model, job.collate(TREES[:1])))
        assert held.take([0]) is None
        assert held.take([2]) is None, "the batch has been cut anew: nothing of it is of use"
        job.room.micro_tokens = 1000  # one micro-batch, the longest row first
        sums = held.read([1, 2, 0], [OTHERS[1], OTHERS[2], OTHERS[0]])
        torch.testing.assert_close(sums, expected[[1, 2, 0]], rtol=1e-5, atol=1e-5)

    def test_nothing_is_held_of_a_try_that_ran_out_of_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        job, tried = job_on(model_named("Llama")), list[int]()
        job.emit = lambda event: None
        held = Held(job, TREES, 2)
        job.room.micro_tokens = 12

        def full(job: Any, trees: list[Tree], others: list[list[int]]) -> tuple[Tensor, Tensor]:
            tried.append(len(trees))
            if len(tried) == 2:
                raise MemoryError
            return with_others(job, trees, others)

        monkeypatch.setattr(continuing, "with_others", full)
        assert held.read([0, 1, 2], OTHERS) is None  # with half as much at a time it is too much to hold
        assert tried == [1, 1]
        assert not held._held

    def test_no_more_is_held_than_twice_what_is_computed_at_a_time(self) -> None:
        job = job_on(model_named("Llama"))
        held = Held(job, TREES, 2)
        for tokens, fits in ((11, True), (10, False)):  # 21 tokens in all
            job.room.micro_tokens = tokens
            assert (held.read([0, 1, 2], OTHERS) is not None) is fits
        job.room = Room(1000, checkpointing=True)  # a block that is computed again would add to what is kept
        assert held.read([0, 1, 2], OTHERS) is None

    @pytest.mark.parametrize("name", [*COUNTING, "Mistral"])
    def test_not_where_the_model_cannot(self, name: str) -> None:
        job = job_on(model_named(name, **WINDOWED.get(name, {})))
        assert not Held(job, TREES, 2).possible

    def test_not_where_replies_would_not_be_the_same(self) -> None:
        model = model_named("Llama")
        assert Held(job_on(model), TREES, 2).possible
        assert not Held(job_on(model), [*TREES, Tree([], [Branch.reply([3, 4])])], 2).possible
        assert not Held(job_on(model), [*TREES, Tree([3], [Branch.reply([])])], 2).possible
        assert not Held(job_on(model, adapter=Adapter(dropout=0.1)), TREES, 2).possible
        packed = job_on(model)
        packed.layout = "packed"
        assert not Held(packed, TREES, 2).possible
        model.model.rotary_emb.register_forward_hook(
            lambda module, args, out: (out[0] * 0, out[1]) if args[0].shape[1] < 9 else None
        )
        assert not Held(job_on(model), TREES[::2], 2).possible


def test_a_run_that_holds_is_one_that_does_not(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, passes = [], []
    monkeypatch.setattr(
        continuing, "with_others", lambda *args: passes.append(len(runs)) or with_others(*args)
    )
    for most in (2, 0):
        monkeypatch.setattr("engine.methods.kto.HELD", most)
        reports = Reports()
        run(tmp_path / str(most), model, "kto", reports=reports, options={"micro_tokens": 64, "epochs": 3})
        runs.append(reports.of("step"))
    assert any(step["metrics"]["kl"] > 0.01 for step in runs[0])
    assert passes.count(0) > len(runs[0])  # one pass to try it, then one or two each step
    assert passes.count(1) == 1
    for one, other in zip(*runs, strict=True):
        for key in ("loss", "grad_norm"):
            assert other[key] == pytest.approx(one[key], rel=1e-4)
        assert other["metrics"] == pytest.approx(one["metrics"], rel=1e-4, abs=1e-5)
