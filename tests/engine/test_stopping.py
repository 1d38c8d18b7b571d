"""Asked to end in the middle of something, a run does so at once, and goes on to the same bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
from small_run import Cache, Reports, reward_model, run

from engine import actors, adapters, reference, rollouts
from engine.job import Stopped
from engine.methods import ppo

OPTIONS = {"epochs": 1, "rollout_batch": 6, "batch_size": 6, "ppo_epochs": 1, "save_every": 1000}
SPEC: dict[str, Any] = {"options": OPTIONS}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.save_model(tmp_path_factory.mktemp("model") / "tiny")
    reward_model(folder)
    return folder


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
    ("how", "apart"), [("pause", 5), ("stop", 5), pytest.param("pause", 1, marks=pytest.mark.slow)]
)
def test_it_ends_wherever_it_is_asked_to_and_goes_on_bit_equal(
    how: Stopped, apart: int, model: Path, tmp_path: Path
) -> None:
    should_stop, asked = asked_at(-1, how)
    run(tmp_path / "straight", model, "ppo", should_stop=should_stop, **SPEC)
    # 4 groups to measure scores by; in each of 2 phases its one step, 3 groups and 3 passes
    assert len(asked) == 4 + 2 * (1 + 3 + 3)
    for number in range(0, len(asked), apart):
        folder, reports = tmp_path / str(number), Reports()
        should_stop, until = asked_at(number, how)
        result = run(folder, model, "ppo", should_stop=should_stop, reports=reports, **SPEC)
        assert result.stopped == how
        assert len(until) == number + 1  # nothing was done after it
        assert result.steps == len(reports.of("step")) == max(0, (number - 4) // 7)
        saved = [data["step"] for data in reports.of("checkpoint")]
        assert saved == ([] if number < 4 else [result.steps])
        run(folder, model, "ppo", **SPEC)
        assert weights(folder) == weights(tmp_path / "straight")


def test_no_group_is_drawn_after_it_was_asked_to_end(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def sample(*arguments: Any, **named: Any) -> Any:
        drawn.append(len(arguments[1]))
        return rollouts.sample(*arguments, **named)

    monkeypatch.setattr(actors, "sample", sample)
    should_stop, _ = asked_at(4 + 1 + 2, "pause")
    run(tmp_path, model, "ppo", should_stop=should_stop, **SPEC)
    assert drawn == [2] * 4 + [2] * 2  # prompts, of two samples each


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_the_reference_pass_ends_between_two_chunks(
    method: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "CHUNK", 4)
    run(tmp_path / "straight", model, method)
    cache, reports = Cache(), Reports()
    should_stop, asked = asked_at(1, "pause")
    folder = tmp_path / "paused"
    result = run(folder, model, method, should_stop=should_stop, reports=reports, cache=cache)
    assert (result.steps, result.stopped, len(asked)) == (0, "pause", 2)
    assert 0 < reports.of("reference")[-1]["done"] < reports.of("reference")[-1]["total"]
    kept = len(cache.values)
    assert kept
    run(folder, model, method, reports=reports, cache=cache)
    assert cache.puts > kept
    assert weights(folder) == weights(tmp_path / "straight")
