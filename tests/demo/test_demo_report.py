import io
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from assets import world
from tuner_app.demo import annotator
from tuner_app.demo.report import MANNERS, Report, Score, score, show, win_rate
from tuner_app.store import Store, labels
from tuner_app.store.rows import Reply

QUESTIONS = world.questions(40, seed=3, split="train")


def told(manner: str) -> list[list[str]]:
    rng = random.Random(0)
    return [[world.tell(question, manner, rng)] for question in QUESTIONS]


def test_a_score_is_what_the_judge_says():
    row = score("warm", QUESTIONS, told("warm"))
    assert (row.right, row.well_formed, row.manners["warm"]) == (1.0, 1.0, 1.0)
    wrong = score("wrong", QUESTIONS, [["Never."] for _ in QUESTIONS])
    assert wrong.right == 0
    assert row.gold > wrong.gold
    assert row.words == pytest.approx(
        sum(len(replies[0].split()) for replies in told("warm")) / len(QUESTIONS)
    )


def test_win_rate_counts_ties_half_and_is_the_mean_over_questions():
    warm, rude = told("warm"), told("rude")
    assert win_rate(QUESTIONS, warm, rude) == (1.0, 1.0, 1.0)
    assert win_rate(QUESTIONS, warm, warm) == (0.5, 0.5, 0.5)
    half = len(QUESTIONS) // 2
    mean, low, high = win_rate(QUESTIONS, warm[:half] + rude[half:], rude[:half] + rude[half:])
    assert mean == pytest.approx(0.75)
    # 40 questions, half of them 1 and half 0.5: standard deviation 0.2532, by hand
    assert high - mean == pytest.approx(1.96 * 0.2532 / math.sqrt(40), abs=1e-4)
    assert mean - low == pytest.approx(high - mean)


def made(name: str, *, gold: float, warm: float = 0.5, right: float = 0.5) -> Score:
    return Score(name, 1, right, 1.0, warm, dict.fromkeys(MANNERS, 0.25), 5.0, gold)


def found(**changed: Score) -> Report:
    """A report in which all got better, but for what is changed."""
    scores = {
        "base": made("base", gold=0.5, warm=0.1, right=0.4),
        "SFT": made("SFT", gold=0.6),
        "DPO": made("DPO", gold=0.7),
        "PPO": made("PPO", gold=0.61),
    }
    report = Report(seed=0, home="", scores=list((scores | changed).values()), reward=(0.8, 0.7, 0.9))
    report.win_rates = dict.fromkeys(("SFT", "DPO", "PPO"), (0.7, 0.6, 0.8))
    return report


def test_a_report_says_what_did_not_get_better():
    assert found().shortfalls() == []
    for name in ("SFT", "DPO", "PPO"):
        assert found(**{name: made(name, gold=0.51)}).shortfalls() == []
        assert found(**{name: made(name, gold=0.5)}).shortfalls() == [
            f"{name}'s gold score is not above the base's."
        ]
        assert found(**{name: made(name, gold=0.6, warm=0.1)}).shortfalls() == [
            f"{name} is not warm and brief more often than the base."
        ]
        assert found(**{name: made(name, gold=0.6, right=0.4)}).shortfalls() == [
            f"{name} is not right more often than the base."
        ]
    unsure = found()
    unsure.win_rates["DPO"] = (0.55, 0.5, 0.6)
    unsure.reward = (0.6, 0.5, 0.7)
    assert unsure.shortfalls() == [
        "DPO does not surely win against the base.",
        "The reward model is not surely better than chance.",
    ]
    assert unsure.to_json()["better"] is False
    assert found().to_json()["better"] is True


def test_all_five_methods_are_shown():
    report = found()
    report.scores[-1] = replace(report.scores[-1], kl=3.21, perplexity=1.5)
    console = Console(width=80, record=True, file=io.StringIO())
    show(report, console)
    text = console.export_text()
    assert "The reward model is right on 80% (70% to 90%)" in text
    rows = {line.split("  ")[0]: line.split()[-1] for line in text.splitlines() if line}
    assert rows["gold score"] == "0.610"
    assert rows["KL from SFT, nats a reply"] == "3.2"
    assert rows["perplexity, held-out text"] == "1.50"
    assert rows["wins against the base"] == "70%"
    assert "60%-80%" in text


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "tuner.sqlite", migrate=True)


def head_of(store: Store, question: world.Question, *replies: Reply) -> dict[str, object]:
    head = labels.head(store, labels.item_for_pair(store, question.prompt, *replies).hash)
    assert head is not None
    return dict(head.value)


def test_the_annotator_chooses_corrects_and_ties(store):
    question, rng = QUESTIONS[0], random.Random(0)
    rude, plain = (Reply(world.tell(question, manner, rng)) for manner in ("rude", "plain"))
    warm = Reply(world.ideal(question))
    wrong, worse = Reply("Never."), Reply("never never")

    def label(*replies: Reply) -> str:
        return annotator.label(store, question, list(replies), rng)

    assert label(rude, warm) == "choose"
    replies = labels.item_for_pair(store, question.prompt, rude, warm).replies
    assert replies[head_of(store, question, rude, warm)["reply"]].content == warm.content
    assert label(rude, plain) == "correct"
    assert head_of(store, question, rude, plain)["text"] == world.ideal(question)
    assert label(wrong, worse) == "correct"
    assert label(warm, Reply(warm.content)) == "tie"
