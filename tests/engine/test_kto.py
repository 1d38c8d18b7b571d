"""Runs of KTO on a tiny model: its baseline, its weights, its batches, and what is told of them."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import Cache, Reports, rows_for, run

from engine import losses, models
from engine.errors import UserError
from engine.examples import Example, Message, Rated
from engine.job import Stopped
from engine.methods.kto import balanced, rotated


def rated(*labels: bool) -> list[Example]:
    """Rows of unlike prompts and replies with these labels."""
    return [
        Rated(row.prompt, row.reply, good)
        for row, good in zip(rows_for("kto", len(labels)), labels, strict=True)
        if isinstance(row, Rated)
    ]


def test_it_learns(model: Path, tmp_path: Path) -> None:
    reports = Reports()
    run(tmp_path, model, "kto", reports=reports, options={"epochs": 4, "learning_rate": 0.003})
    steps = reports.of("step")
    assert steps[0]["loss"] == pytest.approx(0.5, abs=1e-6)  # policy and reference agree, weights are 1
    assert steps[0]["metrics"] == pytest.approx({"kl": 0, "reward_good": 0, "reward_bad": 0}, abs=1e-5)
    last = steps[-1]["metrics"]
    assert last["reward_good"] > last["reward_bad"] + 0.1
    assert sum(reports.losses[-3:]) < sum(reports.losses[:3])


def test_the_baseline_is_the_whole_batch_s(model: Path, tmp_path: Path) -> None:
    """Cut into single rows or not at all: the same losses, baselines and gradients."""
    runs = []
    for tokens in (10**6, 96, 1):
        reports = Reports()
        options = {"micro_tokens": tokens, "epochs": 3}
        run(tmp_path / str(tokens), model, "kto", reports=reports, options=options)
        runs.append(reports.of("step"))
    assert any(step["metrics"]["kl"] > 0.1 for step in runs[0])
    for steps in runs[1:]:
        for one, other in zip(runs[0], steps, strict=True):
            assert other["loss"] == pytest.approx(one["loss"], rel=1e-4)
            assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-3)
            assert other["metrics"] == pytest.approx(one["metrics"], rel=1e-3, abs=1e-4)


def test_the_second_step_by_hand(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies and mismatched replies read in rows of their own by the model as the first step left it."""
    seen: list[dict[str, Any]] = []
    kto = losses.kto
    monkeypatch.setattr(losses, "kto", lambda **given: seen.append(given) or kto(**given))
    rows = rated(True, False, False, True)
    options = {"batch_size": 4, "epochs": 2, "micro_tokens": 10**6, "learning_rate": 0.01}
    reports = Reports()

    def after_one() -> Stopped:
        return "stop" if reports.of("step") else ""

    how: dict[str, Any] = {"rows": rows, "options": options}
    first = run(tmp_path / "1", model, "kto", reports=reports, should_stop=after_one, **how)
    run(tmp_path / "2", model, "kto", **how)
    base = models.load(str(model))
    start = [log_prob(base, row, row.reply) for row in rows]
    strangers_start = [[log_prob(base, row, other.reply) for other in rows] for row in rows]
    adapters_on(base, first.folder)
    now = [log_prob(base, row, row.reply) for row in rows]
    strangers_now = [[log_prob(base, row, other.reply) for other in rows] for row in rows]
    given = seen[-1]
    order = [min(range(4), key=lambda i: abs(now[i] - value)) for value in given["reply"].tolist()]
    assert sorted(order) == [0, 1, 2, 3]
    assert given["reply"].tolist() == pytest.approx([now[i] for i in order], rel=1e-4)
    assert given["reference"].tolist() == pytest.approx([start[i] for i in order], rel=1e-4)
    assert given["good"].tolist() == [rows[i].good for i in order]
    # one of the orders in which four rows can stand, each with the reply of the row before
    gains = {
        sum(strangers_now[i][j] - strangers_start[i][j] for i, j in zip(p, (p[-1], *p[:-1]), strict=True)) / 4
        for p in itertools.permutations(range(4))
    }
    assert min(abs(float(given["baseline"]) - max(0.0, gain)) for gain in gains) < 1e-4
    assert float(given["baseline"]) > 0


def log_prob(base: models.Base, row: Any, reply: str) -> float:
    """log π(reply | the row's prompt), by the model's own logits."""
    text = "<s><|user|>" + row.prompt[0].content + "<|end|><|assistant|>"
    prompt = base.tokenizer.encode(text, add_special_tokens=False)
    ids = base.tokenizer.encode(reply + "<|end|>", add_special_tokens=False)
    with torch.no_grad():
        logits = base.model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    return float(logits.gather(1, torch.tensor(ids)[:, None]).sum())


def adapters_on(base: models.Base, folder: Path) -> None:
    from engine import adapters

    adapters.attach(base, "found", folder)
    adapters.activate(base, "found")


class TestWeights:
    @pytest.mark.parametrize(
        ("good", "bad", "expected"),
        [
            (6, 6, (1.0, 1.0)),
            (8, 6, (1.0, 1.0)),
            (5, 6, (1.2, 1.0)),
            (2, 10, (5.0, 1.0)),
            (10, 2, (1.0, 3.75)),
            (9, 6, (1.0, 1.125)),
        ],
    )
    def test_chosen_such_that_the_kinds_are_balanced(
        self, good: int, bad: int, expected: tuple[float, float]
    ) -> None:
        assert balanced(good, bad) == pytest.approx(expected)

    @pytest.mark.parametrize(("good", "bad"), list(itertools.product((1, 3, 10, 400), repeat=2)))
    @pytest.mark.parametrize("given", [(0.0, 0.0), (2.0, 0.0), (0.0, 2.0), (0.0, 0.01)])
    def test_the_ratio_is_in_the_paper_s_range(self, good: int, bad: int, given: tuple[float, float]) -> None:
        weights = balanced(good, bad, *given)
        assert 1 - 1e-9 <= weights[0] * good / (weights[1] * bad) <= 4 / 3 + 1e-9
        for weight, asked in zip(weights, given, strict=True):
            assert not asked or weight == asked

    def test_they_are_told_and_used(self, model: Path, tmp_path: Path) -> None:
        reports = Reports()
        rows = rated(*[True] * 2, *[False] * 10)
        run(tmp_path, model, "kto", rows=rows, reports=reports, options={"batch_size": 12, "epochs": 1})
        assert reports.of("note")[0]["message"] == ("2 good replies count 5 each and 10 bad ones 1: 1 to 1.")
        assert reports.losses[0] == pytest.approx((2 * 5 + 10) / 12 / 2, abs=1e-5)
        assert not reports.of("warning")

    def test_given_ones_outside_the_range_are_warned_of(self, model: Path, tmp_path: Path) -> None:
        reports = Reports()
        options = {"good_weight": 3.0, "bad_weight": 1.0, "epochs": 1}
        run(tmp_path, model, "kto", reports=reports, options=options)
        assert any("the paper advises" in data["message"] for data in reports.of("warning"))

    def test_one_kind_alone_is_warned_of(self, model: Path, tmp_path: Path) -> None:
        reports = Reports()
        run(tmp_path, model, "kto", rows=rated(*[False] * 4), reports=reports, options={"epochs": 1})
        assert any("All 4 replies are bad" in data["message"] for data in reports.of("warning"))
        assert set(reports.of("step")[0]["metrics"]) == {"kl", "reward_bad"}


class TestBatches:
    def test_one_row_a_step_is_refused(self, model: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="baseline comes from other rows"):
            run(tmp_path, model, "kto", options={"batch_size": 1})

    def test_a_last_row_alone_joins_the_batch_before(self, model: Path, tmp_path: Path) -> None:
        reports = Reports()
        run(tmp_path, model, "kto", rows=rows_for("kto", 9), reports=reports)
        assert len(reports.of("step")) == 4  # 4 and 5 rows, twice
        assert any("joins the batch before" in data["message"] for data in reports.of("note"))

    def test_every_epoch_has_an_order_and_mismatched_replies_of_its_own(
        self, model: Path, tmp_path: Path
    ) -> None:
        cache = Cache()
        run(tmp_path, model, "kto", cache=cache, options={"epochs": 3})
        own = 12
        assert own + 2 * 12 < len(cache.values) <= own + 3 * 12


class TestRotation:
    def test_by_one_place_where_all_differ(self) -> None:
        assert rotated([("a", 1), ("b", 2), ("c", 3)]) == [2, 0, 1]

    def test_further_where_neighbours_share_a_prompt_or_say_the_same(self) -> None:
        assert rotated([("a", 1), ("a", 2), ("b", 3), ("b", 4)]) == [2, 3, 0, 1]
        assert rotated([("a", 1), ("b", 1), ("c", 2), ("d", 2)]) == [2, 3, 0, 1]

    def test_every_reply_is_used_once(self) -> None:
        rows = [("a", 1), ("a", 2), ("a", 1), ("b", 1), ("c", 5)]
        assert sorted(rotated(rows)) == [0, 1, 2, 3, 4]
        assert all(i != j for i, j in enumerate(rotated(rows)))

    def test_where_there_is_no_other_it_is_told(self, model: Path, tmp_path: Path) -> None:
        prompt = (Message("user", "Hello!"),)
        rows = [Rated(prompt, "is five", True), Rated(prompt, "a fox", False)]
        reports = Reports()
        run(tmp_path, model, "kto", rows=rows, reports=reports, options={"epochs": 1})
        assert any(
            "2 of 2 mismatched replies belong to the same prompt" in data["message"]
            for data in reports.of("note")
        )


def test_a_mismatched_reply_that_does_not_fit_is_cut_aloud(model: Path, tmp_path: Path) -> None:
    words = "a lemon is yellow " * 20
    rows = [
        Rated((Message("user", words),), "Yes.", True),
        Rated((Message("user", "Hello!"),), words, False),
    ]
    reports = Reports()
    run(tmp_path, model, "kto", rows=rows, reports=reports, options={"epochs": 1})
    assert any("1 of 2 mismatched replies are cut" in data["message"] for data in reports.of("note"))
    assert len(reports.losses) == 1


def test_going_on_from_an_adapter_starts_at_it(model: Path, tmp_path: Path) -> None:
    first = run(tmp_path / "1", model, "kto")
    reports = Reports()
    run(tmp_path / "2", model, "kto", parent=str(first.folder), reports=reports)
    assert reports.losses[0] == pytest.approx(0.5, abs=1e-6)
