"""Asked to end in the middle of something, a run does so at once, and goes on to the same bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_run import Cache, Reports, run

from engine import actors, adapters, loop, reference, rollouts
from engine.job import Interrupted, Stopped
from engine.methods import ppo

OPTIONS = {"epochs": 1, "rollout_batch": 6, "batch_size": 6, "ppo_epochs": 1, "save_every": 1000}
SPEC: dict[str, Any] = {"options": OPTIONS}


@pytest.fixture(autouse=True)
def four_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors, "ROWS", {"cpu": 4, "cuda": 4})
    monkeypatch.setattr(ppo, "REFERENCE_REPLIES", 16)


def asked_at(number: int, how: Stopped) -> tuple[Callable[[], Stopped], list[None]]:
    """A `should_stop` that says so once, the `number`-th time (from 0), and how often it was asked."""
    asked: list[None] = []

    def should_stop() -> Stopped:
        asked.append(None)
        return how if len(asked) == number + 1 else ""

    return should_stop, asked


def weights(folder: Path) -> bytes:
    return (folder / "adapter" / adapters.WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("how", "apart"), [("pause", 37), ("stop", 37), pytest.param("pause", 3, marks=pytest.mark.slow)]
)
def test_it_ends_wherever_it_is_asked_to_and_goes_on_bit_equal(
    how: Stopped, apart: int, model: Path, tmp_path: Path
) -> None:
    should_stop, asked = asked_at(-1, how)
    run(tmp_path / "straight", model, "ppo", should_stop=should_stop, **SPEC)
    assert len(asked) > 3 * 37, "between any two tokens"
    for number in range(0, len(asked), apart):
        folder, reports = tmp_path / str(number), Reports()
        should_stop, until = asked_at(number, how)
        result = run(folder, model, "ppo", should_stop=should_stop, reports=reports, **SPEC)
        assert result.stopped == how
        assert len(until) == number + 1  # nothing was done after it
        assert result.steps == len(reports.of("step"))
        saved = [data["step"] for data in reports.of("checkpoint")]
        assert saved in ([], [0], [0, result.steps])
        assert saved[-1:] == [result.steps] or not result.steps
        run(folder, model, "ppo", **SPEC)
        assert weights(folder) == weights(tmp_path / "straight")


def test_no_token_is_drawn_after_it_was_asked_to_end(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picked: list[None] = []

    def pick(*arguments: Any) -> Any:
        picked.append(None)
        return real(*arguments)

    real = rollouts._pick
    monkeypatch.setattr(rollouts, "_pick", pick)
    should_stop, _ = asked_at(4, "pause")  # before the first group, and before each of its tokens
    assert run(tmp_path, model, "ppo", should_stop=should_stop, **SPEC).stopped == "pause"
    assert len(picked) == 3


@pytest.mark.parametrize("whole", [True, False], ids=["between chunks", "within a chunk"])
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_the_reference_pass_ends_and_goes_on(
    method: str, whole: bool, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "CHUNK", 4 if whole else 256)
    monkeypatch.setattr(reference, "AT_ONCE", 1)
    run(tmp_path / "straight", model, method)
    cache, reports, folder = Cache(), Reports(), tmp_path / "paused"
    asked: list[None] = []

    def should_stop() -> Stopped:
        asked.append(None)
        return "pause" if (cache.puts if whole else len(asked) > 3) else ""

    result = run(folder, model, method, should_stop=should_stop, reports=reports, cache=cache)
    assert (result.steps, result.stopped) == (0, "pause")
    done, total = (reports.of("reference")[-1][name] for name in ("done", "total"))
    assert (0 < done < total) if whole else (done == 0 and len(asked) == 4)
    kept = len(cache.values)
    run(folder, model, method, reports=reports, cache=cache)
    assert cache.puts > kept
    assert weights(folder) == weights(tmp_path / "straight")


def test_a_run_that_is_interrupted_before_its_next_step_says_where_it_stands(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, model, "sft", should_stop=asked_at(3, "pause")[0])

    def interrupted(*_: Any) -> None:
        raise Interrupted("pause")

    monkeypatch.setattr(loop.Trainer, "pause", interrupted)
    assert run(tmp_path, model, "sft").steps == 3
