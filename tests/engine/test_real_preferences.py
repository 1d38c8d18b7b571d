"""Preference methods on a real model and real pairs; their folder is named by TUNER_CONFORMANCE_DATA."""

import os
from pathlib import Path

import pytest
from small_run import Reports, run

from engine.bench import read_pairs
from engine.examples import Example, Message, Pair, Rated
from engine.methods.dpo import OBJECTIVES

DATA = os.environ.get("TUNER_CONFORMANCE_DATA")
pytestmark = [
    pytest.mark.skipif(not DATA, reason="TUNER_CONFORMANCE_DATA is not set"),
    pytest.mark.slow,
]
OPTIONS = {"batch_size": 24, "epochs": 6, "learning_rate": 3e-4, "micro_tokens": 1024, "save_every": 1000}


def pairs(count: int = 24) -> list[Pair]:
    """Short pairs of hh-rlhf: the model reaches back 512 tokens of few letters each."""
    found = read_pairs(Path(str(DATA)) / "data" / "pref" / "hh_rlhf_harmless_open.jsonl", 200)
    short = sorted(found, key=lambda row: len("".join(row)))[:count]
    return [Pair((Message("user", prompt),), chosen, rejected) for prompt, chosen, rejected in short]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_pairs(objective: str, tmp_path: Path) -> None:
    reports = Reports()
    model = Path(str(DATA)) / "models" / "stories260K"
    rows: list[Example] = [*pairs()]
    run(tmp_path, model, "dpo", rows=rows, reports=reports, options=OPTIONS | {"objective": objective})
    steps = reports.of("step")
    assert reports.of("data")[0]["used"] == len(rows)
    assert steps[-1]["metrics"]["margin"] > steps[0]["metrics"]["margin"]
    assert reports.losses[-1] < reports.losses[0]


def test_rated_replies(tmp_path: Path) -> None:
    reports = Reports()
    model = Path(str(DATA)) / "models" / "stories260K"
    rows: list[Example] = []
    for pair in pairs(12):
        rows += [Rated(pair.prompt, pair.chosen, True), Rated(pair.prompt, pair.rejected, False)]
    run(tmp_path, model, "kto", rows=rows, reports=reports, options=OPTIONS)
    steps = reports.of("step")
    last = steps[-1]["metrics"]
    assert last["reward_good"] > last["reward_bad"]
    assert reports.losses[-1] < reports.losses[0]
