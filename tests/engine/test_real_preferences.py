"""Preference methods on a real model and real pairs; their folder is named by TUNER_CONFORMANCE_DATA."""

import os
from pathlib import Path

import pytest
from small_run import Reports, run

from engine.bench import read_pairs
from engine.examples import Example, Message, Pair, Rated
from engine.methods.dpo import OBJECTIVES
from tuner_app.formats import Row, read

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


# file: how its columns are named, and how many of its first rows are good
RATED = {
    "diasafety_train.json": ({"prompt": "context", "completion": "response", "label": "label"}, 44),
    "truthfulqa_human_truth_labels_open.jsonl": (None, 47),
}
COMPARED = {
    "hh_rlhf_harmless_open.jsonl": None,
    "pandalm_testset-v1.json": {
        "instruction": "instruction",
        "input": "input",
        "a": "response1",
        "b": "response2",
        "winner": "annotator1",
    },
    "ukp_convarg1_strict/tv-is-better-than-books_tv.csv": {"a": "a1", "b": "a2", "winner": "label"},
}


def rows_of(name: str, columns: dict[str, str] | None) -> list[Example]:
    """The first 96 rows of a file."""
    file = Path(str(DATA)) / "data" / "pref" / name
    return [row.example for row in read(file, columns=columns) if isinstance(row, Row)][:96]


@pytest.mark.parametrize("name", RATED)
def test_binary_labels(name: str, tmp_path: Path) -> None:
    columns, good = RATED[name]
    rows, reports = rows_of(name, columns), Reports()
    model = Path(str(DATA)) / "models" / "stories260K"
    run(tmp_path, model, "kto", rows=rows, reports=reports, options=OPTIONS | {"epochs": 1})
    (data,) = reports.of("data")
    assert data["used"] + data["too_long"] == len(rows) == 96
    assert data["classes"]["good"] == good
    assert reports.losses[0] == pytest.approx(0.5, abs=0.2), "weighted rows, nothing learnt yet"
    assert len(reports.losses) == 4


@pytest.mark.parametrize("name", COMPARED)
def test_a_reward_model_says_what_it_is_worth(name: str, tmp_path: Path) -> None:
    rows, reports = rows_of(name, COMPARED[name]), Reports()
    model = Path(str(DATA)) / "models" / "stories260K"
    options = OPTIONS | {"epochs": 1, "held_out": 0.3}
    run(tmp_path, model, "reward", rows=rows, reports=reports, options=options)
    (data,) = reports.of("data")
    assert data["used"] + data["too_long"] == len(rows) == 96
    prompts = {row.prompt for row in rows if isinstance(row, Pair)}
    if len(prompts) < 10:  # the arguments of one debate answer one question
        assert not reports.of("evaluation")
        assert any("stays unknown" in told["message"] for told in reports.of("warning"))
    else:
        (found,) = reports.of("evaluation")
        assert 0 <= found["low"] <= found["accuracy"] <= found["high"] <= 1
        assert 0 < found["pairs"] < data["used"]
