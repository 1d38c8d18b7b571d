"""Reward models: what they learn, what is held out of it, what is measured and kept."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_run import WORDS, Reports, rows_for, run

from engine import adapters, chance, heads, models
from engine.errors import UserError
from engine.examples import Message, Pair
from engine.methods import reward
from engine.spec import Adapter


def polite(count: int) -> list[Pair]:
    """Pairs whose chosen reply ends with “yellow” and whose rejected one does not, over many prompts."""
    rows = []
    for i in range(count):
        words = [WORDS[(i * 5 + k * (1 + i % 3)) % len(WORDS)] for k in range(4)]
        good, bad = [*words[:3], "yellow"], [*words[1:], "dog"]
        prompt = (Message("user", f"{' '.join(words)} {i % (count // 2)}?"),)
        rows.append(Pair(prompt, " ".join(good), " ".join(bad)))
    return rows


def test_wilson_s_interval_by_hand() -> None:
    # p = 0.8, n = 10, z = 1.96: (0.8 + 0.19208 ± 1.96 √(0.016 + 0.009604)) / 1.38416
    assert chance.wilson(8, 10, z=1.96) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert chance.wilson(0, 10, z=1.96) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert chance.wilson(50, 50, z=1.96) == pytest.approx((0.9287, 1.0), abs=1e-4)
    low, high = chance.wilson(10.5, 21)
    assert low + high == pytest.approx(1)
    assert chance.wilson(5, 10) == pytest.approx((0.23659, 0.76341), abs=1e-4)


def test_a_tie_counts_half() -> None:
    found = reward.hits(torch.tensor([2.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 1.0]))
    assert found.tolist() == [1.0, 0.5, 0.0]


@pytest.mark.parametrize("seed", [0, 1])
def test_no_prompt_is_on_both_sides_of_the_split(seed: int) -> None:
    prompts = [(i % 40, i % 4) for i in range(200)]
    trained, held_out = reward.split(prompts, 0.1, seed)
    assert sorted(trained + held_out) == list(range(200))
    left, right = {prompts[i] for i in trained}, {prompts[i] for i in held_out}
    assert not left & right
    assert len(right) == 4
    assert reward.split(prompts, 0.1, seed) == (trained, held_out)
    assert reward.split(prompts, 0.1, seed + 1) != (trained, held_out)
    assert reward.split(prompts[:12], 0.01, seed)[1]  # one prompt at least
    assert reward.split(prompts, 0.0, seed) == (list(range(200)), [])


def test_what_can_be_learnt_is_learnt_and_holds_on_new_prompts(model: Path, tmp_path: Path) -> None:
    reports = Reports()
    options = {"learning_rate": 0.003, "epochs": 3, "held_out": 0.25, "batch_size": 8}
    result = run(tmp_path, model, "reward", rows=polite(120), reports=reports, options=options)
    (seen,) = reports.of("evaluation")
    assert seen["pairs"] == 30
    assert seen["prompts"] == 15
    assert seen["accuracy"] > 0.9
    assert seen["low"] > 0.7
    steps = reports.of("step")
    assert sum(len(polite(120)) - 30 for _ in range(3)) == 8 * (len(steps) - 3) + 3 * 2
    assert set(steps[-1]["metrics"]) == {"accuracy", "margin"}
    assert steps[-1]["metrics"]["margin"] > 0.5 > abs(steps[0]["metrics"]["margin"])
    facts = adapters.card(result.folder)["reward"]
    assert facts["held_out"] == {name: value for name, value in seen.items() if name != "what"}


def test_mean_and_deviation_are_those_of_replies_to_training_prompts(model: Path, tmp_path: Path) -> None:
    rows = polite(24)
    options = {"held_out": 0.0, "centring": 0.01}
    result = run(tmp_path, model, "reward", rows=rows, options=options)
    base = models.load(str(model))
    adapters.attach(base, "judge", result.folder)
    adapters.activate(base, "judge")
    head = heads.load(result.folder, base)
    from engine.template import template_for

    template = template_for(base.tokenizer, end_tokens=base.end_tokens)
    talks = [(*row.prompt, Message("assistant", text)) for row in rows for text in (row.chosen, row.rejected)]
    found = torch.tensor(heads.score(base, template, head, talks))
    assert head.mean == pytest.approx(float(found.mean()), rel=1e-3, abs=1e-4)
    assert head.std == pytest.approx(float(found.std()), rel=1e-3)
    assert head.held_out is None


def test_swapping_every_pair_turns_the_margins_over(model: Path, tmp_path: Path) -> None:
    rows = polite(16)
    swapped = [Pair(row.prompt, row.rejected, row.chosen) for row in rows]
    first, second = Reports(), Reports()
    options = {"held_out": 0.0, "batch_size": 16, "epochs": 1}
    run(tmp_path / "a", model, "reward", rows=rows, reports=first, options=options)
    run(tmp_path / "b", model, "reward", rows=swapped, reports=second, options=options)
    (forth,), (back,) = first.of("step"), second.of("step")
    assert back["metrics"]["margin"] == pytest.approx(-forth["metrics"]["margin"], rel=1e-4, abs=1e-6)
    assert back["metrics"]["accuracy"] == pytest.approx(1 - forth["metrics"]["accuracy"])
    # −log σ(m) − −log σ(−m) = −m, row by row
    assert forth["loss"] - back["loss"] == pytest.approx(-forth["metrics"]["margin"], rel=1e-4, abs=1e-6)


def test_few_prompts_are_said_and_all_pairs_trained_on(model: Path, tmp_path: Path) -> None:
    rows = [Pair((Message("user", f"fox {i % 9}?"),), f"dog {i}", f"lemons {i}") for i in range(18)]
    reports = Reports()
    result = run(tmp_path, model, "reward", rows=rows, reports=reports, options={"epochs": 1})
    assert any("9 distinct prompts" in data["message"] for data in reports.of("warning"))
    assert not reports.of("evaluation")
    assert adapters.card(result.folder)["reward"]["held_out"] is None
    assert sum(data["tokens"] for data in reports.of("step")) > 0
    assert len(reports.of("step")) == math.ceil(18 / 4)


def test_what_is_held_out_is_told_and_not_trained_on(model: Path, tmp_path: Path) -> None:
    reports = Reports()
    run(tmp_path, model, "reward", reports=reports, options={"epochs": 1, "batch_size": 1, "held_out": 0.5})
    assert len(reports.of("step")) == 6
    assert any("6 of 12 pairs are held out" in data["message"] for data in reports.of("note"))


def test_margins(model: Path, tmp_path: Path) -> None:
    rows = [Pair(row.prompt, row.chosen, row.rejected, float(i % 3)) for i, row in enumerate(polite(12))]
    options = {"held_out": 0.0, "batch_size": 12, "epochs": 1}
    plain, wide = Reports(), Reports()
    run(tmp_path / "plain", model, "reward", rows=rows, reports=plain, options=options)
    run(tmp_path / "wide", model, "reward", rows=rows, reports=wide, options=options | {"use_margin": True})
    # the scores begin close together, so that −log σ(d − m) is above −log σ(d) by m/2 and more; m̄ = 1
    assert wide.losses[0] > plain.losses[0] + 0.5
    some = [Pair(rows[0].prompt, rows[0].chosen, rows[0].rejected), *rows[1:]]
    told = Reports()
    run(tmp_path / "some", model, "reward", rows=some, reports=told, options=options | {"use_margin": True})
    assert any("1 of 12 pairs have no margin" in data["message"] for data in told.of("warning"))
    with pytest.raises(UserError, match="None of the pairs has a margin"):
        run(tmp_path / "none", model, "reward", rows=polite(12), options=options | {"use_margin": True})


def test_centring_adds_what_it_says(model: Path, tmp_path: Path) -> None:
    options = {"held_out": 0.0, "batch_size": 12, "epochs": 1}
    losses = []
    for weight in (0.0, 1.0, 3.0):
        reports = Reports()
        run(tmp_path / str(weight), model, "reward", reports=reports, options=options | {"centring": weight})
        losses.append(reports.losses[0])
    assert losses[1] > losses[0]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-3)


def test_a_paused_reward_model_ends_bit_equal(model: Path, tmp_path: Path) -> None:
    adapter = Adapter(dropout=0.2)
    straight = run(tmp_path / "straight", model, "reward", adapter=adapter)
    steps = iter(["", "", "", "pause"])
    first = run(tmp_path / "broken", model, "reward", should_stop=lambda: next(steps), adapter=adapter)
    assert (first.stopped, first.steps, first.hash) == ("pause", 3, "")
    second = run(tmp_path / "broken", model, "reward", adapter=adapter)
    for name in (adapters.WEIGHTS, adapters.HEAD):
        assert (second.folder / name).read_bytes() == (straight.folder / name).read_bytes()
    assert adapters.card(second.folder)["reward"] == adapters.card(straight.folder)["reward"]
    assert second.hash == straight.hash


def asked_while_measuring(reports: Reports, wish: str) -> Any:
    """A `should_stop` that has a wish as soon as the last step is done."""
    return lambda: wish if len(reports.of("step")) == reports.of("plan")[0]["steps"] else ""


def test_a_stop_while_measuring_ends_it_with_what_was_measured(model: Path, tmp_path: Path) -> None:
    options, rows = {"epochs": 1, "held_out": 0.4}, polite(40)
    whole, cut = Reports(), Reports()
    run(tmp_path / "whole", model, "reward", rows=rows, options=options, reports=whole)
    stop = asked_while_measuring(cut, "stop")
    found = run(tmp_path / "cut", model, "reward", rows=rows, options=options, reports=cut, should_stop=stop)
    assert found.stopped == "stop"
    assert whole.of("evaluation")[0]["pairs"] == 16
    assert cut.of("evaluation")[0]["pairs"] == reward.AT_A_TIME
    assert any("measured on 8 of 16 held-out pairs" in data["message"] for data in cut.of("warning"))
    facts = adapters.card(found.folder)["reward"]
    assert facts["held_out"]["pairs"] == reward.AT_A_TIME
    assert facts["std"] > 0


def test_a_pause_while_measuring_ends_bit_equal(model: Path, tmp_path: Path) -> None:
    options, rows, reports = {"epochs": 1, "held_out": 0.4}, polite(40), Reports()
    spec: dict[str, Any] = {"rows": rows, "options": options}
    straight = run(tmp_path / "straight", model, "reward", **spec)
    pause = asked_while_measuring(reports, "pause")
    first = run(tmp_path / "broken", model, "reward", reports=reports, should_stop=pause, **spec)
    assert (first.stopped, first.hash) == ("pause", "")
    assert run(tmp_path / "broken", model, "reward", **spec).hash == straight.hash


def test_the_hash_is_of_the_head_too(model: Path, tmp_path: Path) -> None:
    result = run(tmp_path, model, "reward")
    (result.folder / adapters.HEAD).unlink()
    assert adapters.hash_of(result.folder) != result.hash


@pytest.mark.parametrize("precision", ["bf16", "nf4"])
def test_every_precision_keeps_the_head_in_float32(precision: str, model: Path, tmp_path: Path) -> None:
    reports = Reports()
    options = {"epochs": 6, "learning_rate": 0.003}
    result = run(tmp_path, model, "reward", precision=precision, reports=reports, options=options)
    assert sum(reports.losses[-3:]) < 0.8 * sum(reports.losses[:3])
    assert load_file(result.folder / adapters.HEAD)["score"].dtype == torch.float32


def test_going_on(model: Path, tmp_path: Path) -> None:
    first = run(tmp_path / "first", model, "reward")
    parent = str(first.folder)
    reports = Reports()
    run(tmp_path / "second", model, "reward", parent=parent, reports=reports, options={"learning_rate": 0.0})
    # nothing moves: the head and the adapter are the first run's
    kept = [load_file(tmp_path / name / "adapter" / adapters.HEAD)["score"] for name in ("first", "second")]
    assert torch.equal(*kept)
    assert (
        reports.of("evaluation")[0]["accuracy"]
        == adapters.card(first.folder)["reward"]["held_out"]["accuracy"]
    )
    for method in ("sft", "dpo"):
        with pytest.raises(UserError, match="it is a reward model"):
            run(tmp_path / method, model, method, parent=parent)
    sft = run(tmp_path / "sft", model, "sft")
    after = run(tmp_path / "after", model, "reward", parent=str(sft.folder))
    assert "reward" in adapters.card(after.folder)


def test_the_card_is_json_of_its_own_facts(model: Path, tmp_path: Path) -> None:
    result = run(tmp_path, model, "reward", rows=rows_for("reward", 20))
    facts = json.loads((result.folder / adapters.CARD).read_text())["reward"]
    assert set(facts) == {"mean", "std", "held_out"}
    assert set(facts["held_out"]) == {"accuracy", "low", "high", "pairs", "prompts"}
    assert facts["std"] > 0
