"""What the demo measured: one row per model, the reward model's accuracy, and how it is printed."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from assets import world
from assets.world import Question, Verdict

MANNERS = tuple(world.RATES)
BRIEF = 12  # words: a right, warm reply of the world has at most these many
Answers = list[list[str]]  # for each question, the sampled replies


@dataclass(frozen=True)
class Score:
    """How one model did on the held-out questions; shares are of all its replies, 0 to 1."""

    name: str
    replies: int
    right: float
    well_formed: float
    warm_and_brief: float
    manners: dict[str, float]
    words: float
    gold: float
    perplexity: float = math.nan
    kl: float | None = None


@dataclass
class Report:
    """Everything that the demo found.

    `scores` are the base's, the SFT model's, and those of the models trained from that one. A win rate, and
    `reward`, the accuracy of the reward model on held-out pairs, come with their 95 % interval. Of each
    score, `perplexity` is of held-out text and `kl` from the SFT model that it started from, in nats a reply.
    """

    seed: int
    home: str
    scores: list[Score] = field(default_factory=list)
    win_rates: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    reward: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    labels: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def shortfalls(self) -> list[str]:
        """What did not get better, a sentence each.

        Every trained model is to be right more often than the base, and warm and brief more often, to have a
        higher gold score, and to win against it with an interval above one half. The reward model's interval
        is to lie above one half too. Models trained from SFT are close to it, so what they gain over it is
        shown, not asked: one run's figures are too few for that.
        """
        base, *trained = self.scores
        found = []
        for model in trained:
            if model.right <= base.right:
                found.append(f"{model.name} is not right more often than the base.")
            if model.warm_and_brief <= base.warm_and_brief:
                found.append(f"{model.name} is not warm and brief more often than the base.")
            if model.gold <= base.gold:
                found.append(f"{model.name}'s gold score is not above the base's.")
            if not self.win_rates[model.name][1] > 0.5:
                found.append(f"{model.name} does not surely win against the base.")
        if not self.reward[1] > 0.5:
            found.append("The reward model is not surely better than chance.")
        return found

    def to_json(self) -> dict[str, Any]:
        """The report, with whether all got better."""
        return {**asdict(self), "better": not self.shortfalls()}


def score(name: str, questions: Sequence[Question], answers: Answers) -> Score:
    """Judge every reply by the world's rules."""
    verdicts = [
        world.judge(question.prompt, reply)
        for question, replies in zip(questions, answers, strict=True)
        for reply in replies
    ]
    manners = Counter(verdict.manner for verdict in verdicts)
    return Score(
        name=name,
        replies=len(verdicts),
        right=fmean(verdict.right for verdict in verdicts),
        well_formed=fmean(verdict.well_formed for verdict in verdicts),
        warm_and_brief=fmean(map(warm_and_brief, verdicts)),
        manners={manner: manners[manner] / len(verdicts) for manner in MANNERS},
        words=fmean(verdict.words for verdict in verdicts),
        gold=fmean(world.gold(verdict) for verdict in verdicts),
    )


def warm_and_brief(verdict: Verdict) -> bool:
    """Whether a reply is told the way the annotator likes it."""
    return verdict.well_formed and verdict.manner == "warm" and verdict.words <= BRIEF


def win_rate(questions: Sequence[Question], ours: Answers, theirs: Answers) -> tuple[float, float, float]:
    """How often our reply has the higher gold score, ties counting half, with its 95 % interval.

    Replies to one question are not independent, so the interval is of the mean over questions.
    """
    rates = []
    for question, mine, other in zip(questions, ours, theirs, strict=True):
        scores = [(_gold(question, a), _gold(question, b)) for a, b in zip(mine, other, strict=True)]
        rates.append(fmean((a > b) + 0.5 * (a == b) for a, b in scores))
    mean = fmean(rates)
    half = 1.96 * stdev(rates) / math.sqrt(len(rates))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def _gold(question: Question, reply: str) -> float:
    return world.gold(world.judge(question.prompt, reply))


def show(report: Report, console: Console) -> None:
    """Print the tables."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for row in report.scores:
        table.add_column(row.name, justify="right")
    for label, values in _rows(report):
        table.add_row(label, *values)
    console.print(table)
    right, low, high = report.reward
    console.print(
        f"\nThe reward model is right on {right:.0%} ({low:.0%} to {high:.0%}) of the pairs held out from it."
    )
    parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in report.seconds.items())
    console.print(f"\nSeconds, some parts beside others: {parts}.")


def _rows(report: Report) -> list[tuple[str, list[str]]]:
    scores = report.scores
    rates = [report.win_rates[s.name] for s in scores[1:]]
    rows = [
        ("right", [f"{s.right:.1%}" for s in scores]),
        ("well formed", [f"{s.well_formed:.1%}" for s in scores]),
        ("warm and brief", [f"{s.warm_and_brief:.1%}" for s in scores]),
    ]
    rows += [(f"  {manner}", [f"{s.manners[manner]:.1%}" for s in scores]) for manner in MANNERS]
    rows += [
        ("words per reply", [f"{s.words:.1f}" for s in scores]),
        ("gold score", [f"{s.gold:.3f}" for s in scores]),
        ("perplexity, held-out text", [f"{s.perplexity:.2f}" for s in scores]),
        ("KL from SFT, nats a reply", ["" if s.kl is None else f"{s.kl:.1f}" for s in scores]),
        ("wins against the base", ["", *(f"{rate[0]:.0%}" for rate in rates)]),
        ("  95 % interval", ["", *(f"{rate[1]:.0%}-{rate[2]:.0%}" for rate in rates)]),
    ]
    return rows
