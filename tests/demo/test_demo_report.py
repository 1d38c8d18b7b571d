import math
import random
from pathlib import Path

import pytest

from assets import world
from tuner_app.demo import annotator
from tuner_app.demo.report import Report, Score, score, win_rate
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


def made(right: float, warm: float, name: str) -> Score:
    return Score(name, 1, right, 1.0, warm, {}, 5.0, 0.5)


@pytest.mark.parametrize(
    ("right", "warm", "low", "better"),
    [(0.8, 0.5, 0.6, True), (0.7, 0.5, 0.6, False), (0.8, 0.2, 0.6, False), (0.8, 0.5, 0.5, False)],
)
def test_better_asks_for_more_right_more_warm_and_a_sure_win(right, warm, low, better):
    report = Report(seed=0, home="", scores=[made(0.7, 0.2, "base"), made(right, warm, "DPO")])
    report.win_rates["DPO"] = (low + 0.1, low, low + 0.2)
    assert report.better() is better


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "tuner.sqlite", migrate=True)


def head_of(store: Store, question: world.Question, *replies: Reply) -> dict[str, object]:
    head = labels.head(store, labels.item_for_pair(store, question.prompt, *replies).hash)
    assert head is not None
    return dict(head.value)


def test_the_annotator_chooses_corrects_ties_and_finds_bad(store):
    question, rng = QUESTIONS[0], random.Random(0)
    rude, plain = (Reply(world.tell(question, manner, rng)) for manner in ("rude", "plain"))
    warm = Reply(world.ideal(question))
    wrong, worse = Reply("Never."), Reply("never never")

    def label(*replies: Reply, corrects: bool = True) -> str:
        return annotator.label(store, question, list(replies), rng, corrects=corrects)

    assert label(rude, warm) == "choose"
    replies = labels.item_for_pair(store, question.prompt, rude, warm).replies
    assert replies[head_of(store, question, rude, warm)["reply"]].content == warm.content
    assert label(rude, plain) == "correct"
    assert head_of(store, question, rude, plain)["text"] == world.ideal(question)
    assert label(rude, plain, corrects=False) == "both_bad"
    assert label(rude, warm, corrects=False) == "choose"
    assert label(wrong, worse) == "correct"
    assert label(warm, Reply(warm.content), corrects=False) == "tie"
