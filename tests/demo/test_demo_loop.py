"""The whole demo, made small: every part of it runs, through the store and the workers."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tuner_app import demo, paths
from tuner_app.store import Store, runs
from tuner_app.workers import supervisor

SMALL = {"TEACH": 20, "TEACH_NEW": 4, "AGAIN": 1, "TEST": 6, "TEST_NEW": 2, "SAMPLES": 1, "TEXTS": 4}


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[demo.Loop]:
    for name, count in SMALL.items():
        monkeypatch.setattr(demo, name, count)
    monkeypatch.setitem(demo.OPTIONS["ppo"], "trust_reward", True)  # so few pairs prove nothing
    home = paths.home(tmp_path / "home")
    home.create()
    store = Store.open(home.database, migrate=True)
    yield demo.Loop(home, store, 0, Console(stderr=True))
    supervisor.stop_chat(home)
    store.close()


@pytest.mark.slow
def test_all_five_methods_run_from_the_labels_and_each_model_is_measured(loop: demo.Loop) -> None:
    report = loop.run()
    assert [row.name for row in report.scores] == ["base", "SFT", "DPO", "KTO", "PPO"]
    assert all(row.replies == 8 and math.isfinite(row.perplexity) for row in report.scores)
    assert [row.kl is None for row in report.scores] == [True, True, False, False, False]
    assert all(row.kl is None or row.kl > 0 for row in report.scores)
    assert list(report.win_rates) == ["SFT", "DPO", "KTO", "PPO"]
    low, high = report.reward[1:]
    assert 0 <= low < high <= 1
    made = {run.method: run for run in runs.listed(loop.store)}
    assert set(made) == {"sft", "reward", "dpo", "kto", "ppo"}
    assert all(run.status == "done" for run in made.values())
    parents = {run.parent_id for method, run in made.items() if method != "sft"}
    assert len(parents) == 1
    assert parents != {None}
    assert made["ppo"].reward_id is not None
