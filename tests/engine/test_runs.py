"""Whole runs on a tiny model: learning, stopping, resuming, counting, refusing."""

import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import small_run
import tiny
import torch
from safetensors.torch import load_file, save_file
from small_run import Cache, Reports, rows_for, run

from engine import actors, adapters, checkpoints, loop, models
from engine.errors import UserError
from engine.examples import Demonstration, Message, Pair
from engine.job import DivergedError, Stopped
from engine.spec import Adapter, methods

METHODS = ["sft", "dpo", "kto"]


def environment() -> dict[str, str]:
    """Where a child process finds the engine and these helpers."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), str(here.parents[1])])
    return os.environ | {"PYTHONPATH": path}


def weights(folder: Path) -> bytes:
    return (folder / "adapter" / adapters.WEIGHTS).read_bytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "nf4"])
def test_the_loss_falls_under_every_precision(
    method: str, precision: str, model: Path, tmp_path: Path
) -> None:
    reports = Reports()
    options = {"epochs": 6, "learning_rate": 0.003}
    result = run(tmp_path, model, method, reports=reports, precision=precision, options=options)
    assert result.steps == 18
    assert sum(reports.losses[-3:]) < 0.8 * sum(reports.losses[:3])
    saved = load_file(result.folder / adapters.WEIGHTS)
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    assert reports.of("done") == [
        {"step": 18, "folder": str(result.folder), "hash": result.hash, "stopped": ""}
    ]


def test_first_losses_are_what_they_must_be(model: Path, tmp_path: Path) -> None:
    dpo = Reports()
    run(tmp_path / "dpo", model, "dpo", reports=dpo)
    assert dpo.losses[0] == pytest.approx(math.log(2), abs=1e-6)
    sft = Reports()
    run(tmp_path / "sft", model, "sft", reports=sft, options={"batch_size": 12})
    base = models.load(str(model))
    total, tokens = 0.0, 0
    for row in rows_for("sft"):
        assert isinstance(row, Demonstration)
        chat = [{"role": m.role, "content": m.content} for m in row.messages]
        made = base.tokenizer.apply_chat_template(chat, return_dict=True, return_assistant_tokens_mask=True)
        ids, mask = torch.tensor([made["input_ids"]]), torch.tensor(made["assistant_masks"])[1:].bool()
        with torch.no_grad():
            values = base.model(ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
        total, tokens = total - float(values[mask].sum()), tokens + int(mask.sum())
    assert sft.losses[0] == pytest.approx(total / tokens, rel=1e-5)
    assert sft.of("data")[0]["trained_tokens"] == tokens


@pytest.mark.parametrize("method", METHODS)
def test_micro_batches_do_not_change_the_result(method: str, model: Path, tmp_path: Path) -> None:
    one, many = Reports(), Reports()
    run(tmp_path / "one", model, method, reports=one, options={"micro_tokens": 10**6})
    run(tmp_path / "many", model, method, reports=many, options={"micro_tokens": 1})
    assert many.losses == pytest.approx(one.losses, rel=1e-4)
    norms = [[step["grad_norm"] for step in reports.of("step")] for reports in (one, many)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_paused_run_ends_bit_equal(method: str, dropout: float, model: Path, tmp_path: Path) -> None:
    adapter = Adapter(dropout=dropout)
    straight = run(tmp_path / "straight", model, method, adapter=adapter)
    done = Reports()

    def after_three() -> Stopped:
        return "pause" if len(done.of("step")) == 3 else ""

    first = run(tmp_path / "broken", model, method, should_stop=after_three, reports=done, adapter=adapter)
    assert (first.stopped, first.steps, first.hash) == ("pause", 3, "")
    assert not first.folder.exists()
    reports = Reports()
    second = run(tmp_path / "broken", model, method, reports=reports, adapter=adapter)
    assert [step["step"] for step in reports.of("step")] == [4, 5, 6]
    assert weights(tmp_path / "broken") == weights(tmp_path / "straight")
    assert second.hash == straight.hash


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import small_run
    folder, model, method, last = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])

    def emit(event):
        if event.kind == "step" and event.data["step"] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    small_run.run(folder, model, method, reports=emit)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("method", "step", "left"), [("sft", 3, [3, 4, 5, 6]), ("dpo", 5, [5, 6])])
def test_a_killed_run_ends_bit_equal(
    method: str, step: int, left: list[int], model: Path, tmp_path: Path
) -> None:
    run(tmp_path / "straight", model, method)
    broken = tmp_path / "broken"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(broken), str(model), method, str(step)]
    done = subprocess.run(command, env=environment(), timeout=240, check=False)
    assert done.returncode == -signal.SIGKILL
    reports = Reports()
    run(broken, model, method, reports=reports)
    assert [data["step"] for data in reports.of("step")] == left
    assert weights(broken) == weights(tmp_path / "straight")


def test_stop_keeps_what_was_learnt(model: Path, tmp_path: Path) -> None:
    steps = iter(["", "", "stop"])
    result = run(tmp_path, model, "sft", should_stop=lambda: next(steps))
    assert (result.stopped, result.steps) == ("stop", 2)
    assert adapters.hash_of(result.folder) == result.hash
    reports = Reports()
    run(tmp_path, model, "sft", reports=reports)
    assert [step["step"] for step in reports.of("step")] == [3, 4, 5, 6]


def test_another_run_s_checkpoint_is_passed_over_aloud(model: Path, tmp_path: Path) -> None:
    run(tmp_path, model, "sft")
    reports = Reports()
    run(tmp_path, model, "sft", reports=reports, seed=1)
    assert len(reports.of("step")) == 6
    assert any("other settings" in data["message"] for data in reports.of("warning"))


def test_every_row_is_accounted_for(model: Path, tmp_path: Path) -> None:
    long = Demonstration((Message("user", "a lemon " * 60), Message("assistant", "Yes.")))
    rows = [*rows_for("sft"), rows_for("sft")[0], long]
    reports = Reports()
    run(tmp_path, model, "sft", rows=rows, reports=reports)
    (data,) = reports.of("data")
    assert {name: data[name] for name in ("rows", "used", "too_long", "repeated", "no_label")} == {
        "rows": 14,
        "used": 13,
        "too_long": 1,
        "repeated": 1,
        "no_label": 0,
    }
    assert data["max_length"] == 128  # the model's context, less than the option's 1024


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        ([], {}, "0 given"),
        (rows_for("dpo"), {"max_length": 5}, "12 longer than 5 tokens"),
        (rows_for("sft"), {}, "learns from rows of the kind “pair”"),
    ],
)
def test_data_that_cannot_be_learnt_from(
    rows: list[Pair], options: dict[str, int], says: str, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        run(tmp_path, model, "dpo", rows=rows, options=options)
    assert not (tmp_path / "adapter").exists()


def test_a_loss_that_is_no_number_stops_the_run(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import losses

    calls = []

    def broken(*, log_probs: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return -log_probs * (math.nan if len(calls) == 4 else 1.0)

    monkeypatch.setattr(losses, "sft", broken)
    with pytest.raises(UserError, match="step 4 of 6") as caught:
        run(tmp_path, model, "sft", options={"micro_tokens": 10**6})
    assert "step 2 is safe" in caught.value.kept


@pytest.mark.parametrize("method", methods())
def test_weights_whose_loss_is_no_number_are_never_the_last_good_ones(
    method: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 4 is saved, and then found to give no number: what is left, gone on from and made is step 2."""
    small_run.reward_model(model)  # PPO's, before anything is broken
    real = loop.Trainer.pause

    def pause(trainer: loop.Trainer, *arguments: Any) -> Any:
        stopped = real(trainer, *arguments)
        if trainer.step == 4:
            with torch.no_grad():
                for name, tensor in trainer.tensors.items():
                    if "lora_B" in name:
                        tensor.fill_(math.inf)
        return stopped

    monkeypatch.setattr(loop.Trainer, "pause", pause)
    reports = Reports()
    with pytest.raises(DivergedError, match="no longer a number at step 5 of 6") as caught:
        run(tmp_path, model, method, reports=reports)
    assert (
        caught.value.kept
        == "The checkpoint of step 2 is safe. Its weights are the run's adapter, to use or to go on from."
    )
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]
    made = caught.value.result
    assert (made.steps, made.hash) == (2, adapters.hash_of(tmp_path / "adapter"))
    kept = load_file(tmp_path / "checkpoints" / "step-000002" / checkpoints.TENSORS)
    for name, tensor in load_file(made.folder / adapters.WEIGHTS).items():
        assert torch.equal(tensor, kept[f"trained/{name}"])
    assert ("reward" in adapters.card(made.folder)) == (method == "reward")
    assert not reports.of("done")
    monkeypatch.undo()
    reports = Reports()
    assert run(tmp_path, model, method, reports=reports).steps == 6
    assert reports.of("step")[0]["step"] == 3


@pytest.mark.parametrize("method", methods())
def test_a_run_that_diverges_before_its_first_checkpoint_goes_back_to_its_start(
    method: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_run.reward_model(model)  # PPO's, before anything is broken
    real = loop.Trainer.update

    def update(trainer: loop.Trainer, *arguments: Any, **more: Any) -> Any:
        if trainer.step == 0:
            start.update({name: tensor.clone() for name, tensor in trainer.tensors.items()})
        numbers = real(trainer, *arguments, **more)
        with torch.no_grad():
            for tensor in trainer.tensors.values():
                tensor.fill_(math.nan)
        return numbers

    start: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(loop.Trainer, "update", update)
    with pytest.raises(DivergedError, match="no longer a number at step 2 of 6") as caught:
        run(tmp_path, model, method, options={"save_every": 50})
    assert "The checkpoint of step 0 is safe. Nothing is learnt in it" in caught.value.kept
    assert caught.value.result.steps == 0
    made = load_file(tmp_path / "adapter" / adapters.WEIGHTS)
    assert made
    assert all(torch.equal(tensor, start[name]) for name, tensor in made.items())


def test_a_loss_that_never_was_a_number_is_not_the_learning_rate_s_fault(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.losses.sft", lambda *, log_probs: log_probs * math.nan)
    with pytest.raises(UserError, match="at the first step: the weights that the run starts from") as caught:
        run(tmp_path, model, "sft")
    assert "learning rate" not in caught.value.do
    assert caught.value.kept == ""


def test_a_model_that_gives_no_number_is_refused(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"].fill_(math.nan)
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="its weights are damaged"):
        run(tmp_path / "run", broken, "sft")


@pytest.mark.parametrize(
    ("broken", "what"),
    [("lora_B", "probability of what was drawn"), ("value/head", "value of a token")],
)
def test_ppo_finds_it_before_it_learns_from_it(
    broken: str, what: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = actors.Actors.draw

    def draw(who: actors.Actors, *arguments: Any, stream: int) -> Any:
        if stream == 1:  # the second phase
            with torch.no_grad():
                for name, tensor in who.trained().items():
                    if broken in name:
                        tensor.fill_(math.nan)
        return real(who, *arguments, stream=stream)

    monkeypatch.setattr(actors.Actors, "draw", draw)
    with pytest.raises(UserError, match=f"The {what} is no longer a number at step 4 of 6") as caught:
        run(tmp_path, model, "ppo", options={"save_every": 1})
    assert "The checkpoint of step 2 is safe." in caught.value.kept
    made = load_file(tmp_path / "adapter" / adapters.WEIGHTS)
    assert all(tensor.isfinite().all() for tensor in made.values())


def test_memory_that_runs_out_is_told(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loop.Trainer, "gradients", full)
    with pytest.raises(UserError, match="Memory ran out") as caught:
        run(tmp_path, model, "sft")
    assert "nf4" in caught.value.do


def test_going_on_from_an_adapter(model: Path, tmp_path: Path) -> None:
    first = run(tmp_path / "sft", model, "sft")
    reports = Reports()
    parent = str(first.folder)
    second = run(tmp_path / "dpo", model, "dpo", parent=parent, reports=reports)
    # The reference is the adapter that it starts from: no margin before the first step.
    assert reports.losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert second.hash != first.hash
    still = run(tmp_path / "still", model, "dpo", parent=parent, options={"learning_rate": 0.0})
    assert weights(tmp_path / "still") == weights(tmp_path / "sft")
    assert still.hash == first.hash
    assert not reports.of("warning")
    run(tmp_path / "wide", model, "dpo", parent=parent, reports=reports, adapter=Adapter(rank=64))
    assert "rank 16" in reports.of("warning")[0]["message"]


class TestReferenceCache:
    def test_only_new_rows_are_computed(self, model: Path, tmp_path: Path) -> None:
        cache, reports = Cache(), Reports()
        run(tmp_path / "a", model, "dpo", rows=rows_for("dpo", 8), cache=cache)
        assert cache.puts == 16
        run(tmp_path / "b", model, "dpo", cache=cache, reports=reports)
        assert cache.puts == 24
        assert reports.of("reference")[-1] == {"done": 12, "total": 12, "cached": 8}

    def test_cached_values_are_used(self, model: Path, tmp_path: Path) -> None:
        cache, reports = Cache(), Reports()
        run(tmp_path / "a", model, "dpo", cache=cache)
        for number, key in enumerate(cache.values):  # chosen and rejected take turns
            cache.values[key] += 5.0 if number % 2 == 0 else 0.0
        run(tmp_path / "b", model, "dpo", cache=cache, reports=reports)
        # the margin is −5 β everywhere
        assert reports.losses[0] == pytest.approx(math.log1p(math.exp(0.5)), abs=1e-4)

    def test_another_parent_or_precision_shares_nothing(self, model: Path, tmp_path: Path) -> None:
        cache = Cache()
        first = run(tmp_path / "a", model, "dpo", cache=cache)
        run(tmp_path / "b", model, "dpo", cache=cache, parent=str(first.folder))
        assert cache.puts == 48
        run(tmp_path / "c", model, "dpo", cache=cache, precision="bf16")
        assert cache.puts == 72


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [loop.learning_rate(1.0, step, 10, 0.2) for step in range(10)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    assert [loop.learning_rate(1.0, step, 4, 0.0) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_bf16_moves_at_dpo_s_learning_rate(model: Path, tmp_path: Path) -> None:
    options = {"learning_rate": 1e-6}
    result = run(tmp_path, model, "dpo", precision="bf16", options=options)
    untrained = models.load(str(model), "bf16")
    adapters.add(untrained, small_run.ADAPTER, seed=0)
    before = adapters.state(untrained)
    after = load_file(result.folder / adapters.WEIGHTS)
    moved = [key for key in after if "lora_A" in key and not torch.equal(after[key], before[key])]
    assert len(moved) == len(before) // 2


def test_a_model_without_a_template_falls_back_aloud(tmp_path: Path) -> None:
    bare = tiny.save_model(tmp_path / "model", template=False)
    reports = Reports()
    run(tmp_path / "run", bare, "sft", reports=reports)
    assert any("no chat template" in data["message"] for data in reports.of("warning"))


def test_rows_beyond_the_window_leave_the_tree_layout(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine import layouts

    trees, rows = Reports(), Reports()
    run(tmp_path / "trees", model, "dpo", reports=trees)
    monkeypatch.setattr(layouts, "window", lambda _: 8)
    run(tmp_path / "rows", model, "dpo", reports=rows)
    assert any("row of its own" in data["message"] for data in rows.of("warning"))
    assert not trees.of("warning")
    assert rows.losses == pytest.approx(trees.losses, rel=1e-4)
