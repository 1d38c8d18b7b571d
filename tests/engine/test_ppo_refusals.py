"""PPO: which reward models, settings and bases it refuses, and what it takes for the same reward model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_run import Reports, copied, reward_model, rows_for, run
from test_ppo import after

from engine import job, models
from engine.errors import UserError
from engine.spec import Spec, refuse_unready


def test_a_reward_model_at_chance_is_refused_before_anything_is_loaded(model: Path, tmp_path: Path) -> None:
    reports = Reports()
    with pytest.raises(UserError, match="not known to be better than chance") as caught:
        run(tmp_path, model, "ppo", options={"trust_reward": False}, reports=reports)
    assert "trust_reward" in caught.value.do
    assert reports.events == []


@pytest.mark.parametrize(
    ("held_out", "says"),
    [
        ((0.6, 90), r"60% of 90 held-out pairs, as guessing would be 3.6% of the time"),
        ((0.7, 90), ""),
        ((1.0, 4), "100% of 4 held-out pairs, as guessing would be 6.2% of the time"),
        ((1.0, 6), ""),
        (None, "no pairs were held out"),
    ],
)
def test_what_counts_as_chance(held_out: Any, says: str, model: Path, tmp_path: Path) -> None:
    names = ("accuracy", "pairs")
    facts = held_out and {**dict(zip(names, held_out, strict=True)), "low": 0.0, "high": 1.0, "prompts": 4}
    reward = copied(model, tmp_path, {"held_out": facts})
    asked = Spec(method="ppo", base=str(model), reward=str(reward))
    if says:
        with pytest.raises(UserError, match=says):
            refuse_unready(asked)
        refuse_unready(replace(asked, options={"trust_reward": True}))
    else:
        refuse_unready(asked)


@pytest.mark.parametrize(
    ("facts", "changes", "says"),
    [
        ({}, {"template": "{{ other }}"}, "another chat template"),
        ({}, {"fingerprint": "0" * 64}, "another base"),
        ({}, {"tokenizer": "0" * 64}, "another tokenizer"),
        ({"std": 0.0}, {}, "the same score"),
        ({"held_out": {}}, {}, "lacks what was measured"),
    ],
)
def test_a_reward_model_that_does_not_fit_is_refused(
    facts: dict[str, Any], changes: dict[str, Any], says: str, model: Path, tmp_path: Path
) -> None:
    reward = copied(model, tmp_path, facts, **changes)
    with pytest.raises(UserError, match=says):
        run(tmp_path / "run", model, "ppo", reward=str(reward))
    assert not (tmp_path / "run" / "adapter").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch_size": 13}, "Optimiser steps on 13 prompts"),
        ({"max_new_tokens": 128}, "leave no room for a prompt"),
        ({"max_new_tokens": 120}, "Too few rows"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    options: dict[str, Any], says: str, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        run(tmp_path, model, "ppo", options=options)


def test_a_base_whose_replies_never_end_is_refused(model: Path, tmp_path: Path) -> None:
    base = replace(models.load(str(model)), end_tokens=())
    options = {"trust_reward": True}
    spec = Spec(method="ppo", base=str(model), reward=str(reward_model(model)), options=options)
    with pytest.raises(UserError, match="no token that ends a reply"):
        job.train(base, spec, rows_for("ppo"), tmp_path, emit=Reports(), should_stop=lambda: "")


def test_a_reward_model_is_needed_by_ppo_and_no_other(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a reward model"):
        run(tmp_path, model, "ppo", reward=None)
    with pytest.raises(UserError, match="takes no reward model"):
        run(tmp_path, model, "sft", reward=str(reward_model(model)))
    parent = run(tmp_path / "sft", model, "sft")
    with pytest.raises(UserError, match="no reward model"):
        run(tmp_path, model, "ppo", reward=str(parent.folder))


def test_the_reward_model_s_place_is_not_its_identity(model: Path, tmp_path: Path) -> None:
    """A run goes on with the same reward model elsewhere, and not with another in its place."""
    reports = Reports()
    run(tmp_path / "run", model, "ppo", reports=reports, should_stop=after(4, reports, "pause"))
    reports = Reports()
    moved = copied(model, tmp_path, {})
    run(tmp_path / "run", model, "ppo", reports=reports, reward=str(moved))
    assert reports.of("step")[0]["step"] == 5
