"""Runs of DPO and its kin on a tiny model: each objective, several rejected replies, known optima."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import Cache, Reports, run

from engine import losses, models
from engine.examples import Message, Pair
from engine.methods.dpo import OBJECTIVES

FIRST = {"dpo": math.log(2), "ipo": 25.0, "conservative": math.log(2), "robust": math.log(2)}
FIRST |= {"hinge": 1.0, "sdpo": math.log(2)}


def several(count: int = 4) -> list[Pair]:
    """Prompts with one chosen reply and one, two or three rejected, of unlike lengths, mixed."""
    rejected = ["No.", "Seven lemons, no more", "the fox", "a b c"]
    rows = [
        Pair((Message("user", f"How many {i}?"),), f"is {i} yellow", rejected[j])
        for j in range(3)
        for i in range(count)
        if j <= i % 3
    ]
    return [*rows, rows[0]]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns(objective: str, model: Path, tmp_path: Path) -> None:
    reports = Reports()
    options = {"objective": objective, "epochs": 5, "learning_rate": 0.003}
    run(tmp_path, model, "dpo", reports=reports, options=options)
    steps = reports.of("step")
    if objective in FIRST:
        assert steps[0]["loss"] == pytest.approx(FIRST[objective], rel=1e-5)
    first, last = steps[0]["metrics"], steps[-1]["metrics"]
    assert last["margin"] > first["margin"]
    assert sum(reports.losses[-3:]) < sum(reports.losses[:3])
    for metrics in (first, last):
        assert set(metrics) == {
            *("accuracy", "margin", "reward_chosen", "reward_rejected", "logp_chosen", "logp_rejected")
        }
        assert metrics["margin"] == pytest.approx(
            metrics["reward_chosen"] - metrics["reward_rejected"], abs=1e-4
        )
    assert bool(reports.of("reference")) == OBJECTIVES[objective].reference


def test_the_chosen_replies_likelihood_is_added(model: Path, tmp_path: Path) -> None:
    options = {"epochs": 5, "learning_rate": 0.003}
    seen = []
    for alpha in (0.0, 2.0):
        reports = Reports()
        run(tmp_path / str(alpha), model, "dpo", reports=reports, options=options | {"rpo_alpha": alpha})
        seen.append(reports.of("step"))
    without, with_it = seen
    assert with_it[0]["metrics"] == without[0]["metrics"]
    assert with_it[0]["loss"] > without[0]["loss"] + 1
    assert with_it[-1]["metrics"]["logp_chosen"] > without[-1]["metrics"]["logp_chosen"] + 1


@pytest.mark.parametrize("objective", ["simpo", "orpo"])
def test_the_first_loss_without_a_reference(objective: str, model: Path, tmp_path: Path) -> None:
    """What the base's own log-probs say, each reply read in a row of its own."""
    row = Pair((Message("user", "Hello!"),), "How are you today?", "apples")
    reports = Reports()
    options = {"objective": objective, "batch_size": 2, "epochs": 1}
    run(tmp_path, model, "dpo", rows=[row, row], reports=reports, options=options)
    base = models.load(str(model))
    encode = base.tokenizer.encode
    prompt = encode("<s><|user|>Hello!<|end|><|assistant|>", add_special_tokens=False)
    replies = [encode(f"{text}<|end|>", add_special_tokens=False) for text in (row.chosen, row.rejected)]
    means = []
    for reply in replies:
        logits = base.model(torch.tensor([prompt + reply])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        means.append(float(logits.gather(1, torch.tensor(reply)[:, None]).mean()))
    chosen, rejected = means
    if objective == "simpo":
        expected = math.log1p(math.exp(-(2 * (chosen - rejected) - 1)))
    else:
        odds = [p / (1 - p) for p in map(math.exp, means)]
        expected = -chosen + 0.1 * math.log1p(odds[1] / odds[0])
    assert reports.losses[0] == pytest.approx(expected, rel=1e-4)
    assert reports.of("step")[0]["metrics"]["logp_chosen"] == pytest.approx(
        chosen * len(replies[0]), rel=1e-4
    )


class TestSeveralRejected:
    def test_pairs_of_one_chosen_reply_are_one_tree(self, model: Path, tmp_path: Path) -> None:
        reports, cache = Reports(), Cache()
        run(
            tmp_path,
            model,
            "dpo",
            rows=several(),
            reports=reports,
            cache=cache,
            options={"objective": "sdpo"},
        )
        told = reports.of("note")[-1]["message"]
        assert "8 pairs are 4 chosen replies, each against 1 to 3" in told
        assert "1 repeated" in told
        assert len(reports.of("step")) == 2  # four trees, batches of four, two epochs
        assert cache.puts == 4 + 7
        assert not reports.of("warning")

    def test_padding_changes_nothing(self, model: Path, tmp_path: Path) -> None:
        """Trees of one, two and three rejected replies, together in a micro-batch or each alone."""
        options = {"objective": "sdpo", "beta": 0.5}
        together, alone = Reports(), Reports()
        for reports, tokens in ((together, 10**6), (alone, 1)):
            given = options | {"micro_tokens": tokens}
            run(tmp_path / str(tokens), model, "dpo", rows=several(), reports=reports, options=given)
        assert alone.losses == pytest.approx(together.losses, rel=1e-4)
        for one, other in zip(together.of("step"), alone.of("step"), strict=True):
            assert other["metrics"] == pytest.approx(one["metrics"], rel=1e-3, abs=1e-3)

    def test_with_one_rejected_reply_it_is_dpo(self, model: Path, tmp_path: Path) -> None:
        plain, softmax = Reports(), Reports()
        run(tmp_path / "dpo", model, "dpo", reports=plain)
        run(tmp_path / "sdpo", model, "dpo", reports=softmax, options={"objective": "sdpo"})
        assert softmax.losses == pytest.approx(plain.losses, rel=1e-5)
        assert any("S-DPO is DPO" in data["message"] for data in softmax.of("warning"))


def test_options_that_change_nothing_are_told(model: Path, tmp_path: Path) -> None:
    reports = Reports()
    options = {"objective": "simpo", "label_smoothing": 0.2, "gamma": 0.5, "epochs": 1}
    run(tmp_path, model, "dpo", reports=reports, options=options)
    (told,) = reports.of("warning")
    assert "label_smoothing 0.2 changes nothing" in told["message"]
    (note,) = reports.of("note")
    assert note["message"] == "The objective is SimPO, arXiv:2405.14734, with beta 2, gamma 0.5."


def test_a_bandit_s_optimum_is_reached_from_labels() -> None:
    """Two arms: labels drawn by Bradley and Terry's model lead DPO to π ∝ π_ref · exp(r/β)."""
    beta, reward = 0.5, torch.tensor([1.0, 0.4])
    start = torch.tensor([0.3, 0.7]).log()
    random = torch.Generator().manual_seed(0)
    draws = 4_000_000
    wins = torch.binomial(torch.tensor(draws / 1.0), torch.sigmoid(reward[0] - reward[1]), random) / draws
    share = torch.stack([wins, 1 - wins])
    logits = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([logits], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        policy = logits.log_softmax(0)
        loss = losses.dpo(
            chosen=policy,
            rejected=policy.flip(0),
            reference_chosen=start,
            reference_rejected=start.flip(0),
            beta=beta,
        )
        mean = (share * loss).sum()
        mean.backward()
        return mean

    optimizer.step(closure)
    optimum = (start + reward / beta).softmax(0)
    torch.testing.assert_close(logits.detach().softmax(0), optimum, rtol=0, atol=1e-3)


def test_a_model_s_optimum_is_reached_from_labels(model: Path, tmp_path: Path) -> None:
    """Thirteen labels one way and seven the other: at the optimum σ(β h) = 13/20 (equations 5 and 7)."""
    prompt = (Message("user", "What colour?"),)
    rows = [Pair(prompt, "yellow", "a fox")] * 13 + [Pair(prompt, "a fox", "yellow")] * 7
    reports = Reports()
    options = {"beta": 0.2, "batch_size": 20, "epochs": 80, "learning_rate": 0.0005, "save_every": 1000}
    run(tmp_path, model, "dpo", rows=rows, reports=reports, options=options | {"micro_tokens": 10**6})
    margin = math.log(13 / 7)
    last = reports.of("step")[-1]
    assert last["metrics"]["margin"] == pytest.approx(margin * (13 - 7) / 20, abs=1e-3)
    assert last["loss"] == pytest.approx(-(13 * math.log(13 / 20) + 7 * math.log(7 / 20)) / 20, abs=1e-5)
