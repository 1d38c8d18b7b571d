"""A run out of memory computes less at a time and comes to the same result, or says what would help."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_run import OPTIONS, Cache, Reports, run

from engine import adapters, losses, memory, models, reference
from engine.errors import UserError

FAULTS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.mark.parametrize(
    ("text", "lack"),
    [
        ("could not create a primitive", True),
        ("could not create a memory object", True),
        ("can't start new thread", True),
        ("could not create a primitive descriptor for the matmul primitive", False),
        ("shape mismatch", False),
    ],
)
def test_the_words_for_a_lack_of_memory(text: str, lack: bool) -> None:
    assert models.out_of_memory(RuntimeError(text)) is lack


def full_above(most: int, fault: Exception, real: Callable[..., Any], argument: str) -> Callable[..., Any]:
    """`real`, which fails when it is given more than `most` at a time."""

    def broken(**tensors: Any) -> Any:
        if len(tensors[argument]) > most:
            raise fault
        return real(**tensors)

    return broken


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / adapters.WEIGHTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize(("method", "argument", "most"), [("sft", "log_probs", 10), ("dpo", "chosen", 1)])
def test_less_at_a_time_gives_the_same_adapter(
    method: str,
    argument: str,
    most: int,
    fault: Exception,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed, disturbed = Reports(), Reports()
    run(tmp_path / "whole", model, method, reports=undisturbed)
    monkeypatch.setattr(losses, method, full_above(most, fault, getattr(losses, method), argument))
    run(tmp_path / "parts", model, method, reports=disturbed)
    assert disturbed.losses == pytest.approx(undisturbed.losses, rel=1e-5)
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-4, atol=1e-5)
    told = [warning["message"] for warning in disturbed.of("warning")]
    assert told
    assert all("Memory ran out" in message and "the result is the same" in message for message in told)
    assert f"not {OPTIONS['micro_tokens']}" in told[0]
    assert not undisturbed.of("warning")


def test_the_end_of_the_ladder_says_what_would_help(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports, real = Reports(), losses.dpo

    def broken(**tensors: Any) -> Any:
        if len(reports.of("step")) == 4:
            raise MemoryError
        return real(**tensors)

    monkeypatch.setattr(losses, "dpo", broken)
    with pytest.raises(UserError, match="Memory ran out") as caught:
        run(tmp_path, model, "dpo", reports=reports)
    assert "step 4 is safe" in caught.value.kept
    assert "nf4" in caught.value.do
    assert "max_length 128" in caught.value.do
    assert not (tmp_path / "adapter").exists()
    monkeypatch.setattr(losses, "dpo", real)
    run(tmp_path, model, "dpo", reports=reports)
    assert [step["step"] for step in reports.of("step")] == [1, 2, 3, 4, 5, 6]


def test_the_last_rung_is_gradient_checkpointing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory suffices for rows that are alone and whose activations are not kept."""
    whole, reports, checkpointed = Reports(), Reports(), list[Any]()
    run(tmp_path / "whole", model, "sft", reports=whole)
    real = losses.sft
    monkeypatch.setattr(memory, "recompute_activations", lambda base: checkpointed.append(base))

    def broken(**tensors: Any) -> Any:
        if not checkpointed:
            raise MemoryError
        return real(**tensors)

    monkeypatch.setattr(losses, "sft", broken)
    steps = iter(["", "", "", "pause"])
    run(tmp_path / "parts", model, "sft", reports=reports, should_stop=lambda: next(steps))
    assert reports.of("warning")[-1]["checkpointing"] is True
    assert "gradient checkpointing" in reports.of("warning")[-1]["message"]
    assert len(checkpointed) == 1
    run(tmp_path / "parts", model, "sft", reports=reports)
    assert len(checkpointed) == 2, "a resumed run goes on with it"
    assert reports.losses == pytest.approx(whole.losses, rel=1e-5)


def test_other_faults_are_not_taken_for_a_lack_of_memory(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(losses, "sft", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(tmp_path, model, "sft")


def test_the_reference_pass_takes_less_at_a_time_too(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts, reports = Cache(), Cache(), Reports()
    run(tmp_path / "whole", model, "dpo", cache=whole)
    real = reference.branch_log_probs

    def broken(causal_lm: Any, batch: Any) -> Any:
        if batch.branches > 2:
            raise MemoryError
        return real(causal_lm, batch)

    monkeypatch.setattr(reference, "branch_log_probs", broken)
    run(tmp_path / "parts", model, "dpo", cache=parts, reports=reports)
    assert parts.values == pytest.approx(whole.values, rel=1e-5)
    assert len(parts.values) == parts.puts == 24
    assert "Memory ran out" in reports.of("warning")[0]["message"]


def test_a_resumed_run_goes_on_with_as_little_at_a_time(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(losses, "sft", full_above(10, MemoryError(), losses.sft, "log_probs"))
        run(tmp_path / "whole", model, "sft")
        steps = iter(["", "", "pause"])
        run(tmp_path / "halves", model, "sft", should_stop=lambda: next(steps))
    run(tmp_path / "halves", model, "sft")
    run(tmp_path / "roomy", model, "sft")
    whole, halves, roomy = (
        (tmp_path / name / "adapter" / adapters.WEIGHTS).read_bytes() for name in ("whole", "halves", "roomy")
    )
    assert halves == whole
    assert roomy != whole, "the cut does not show, so this test proves nothing"


def test_each_try_finds_the_random_generators_as_they_were() -> None:
    class Job:
        room = memory.Room(8)
        base = type("Base", (), {"device": torch.device("cpu"), "shards": None})
        emit = Reports()

    drawn: list[float] = []

    def cut(budget: int) -> list[list[int]]:
        return [list(range(8))[i : i + budget] for i in range(0, 8, budget)]

    def work(groups: Any) -> list[int]:
        drawn.append(float(torch.rand(())))
        if len(groups) < 4:
            raise MemoryError
        return [len(group) for group in groups]

    job = Job()
    assert memory.fitting(job, cut, work) == [2, 2, 2, 2]  # type: ignore[arg-type]
    assert drawn == [drawn[0]] * 3
    assert [warning["micro_tokens"] for warning in job.emit.of("warning")] == [4, 2]
