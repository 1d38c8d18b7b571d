"""How far people agree on a batch: Krippendorff's α and pairwise Cohen's κ, with 95 % intervals.

α for nominal data (Krippendorff, Content Analysis, 2nd ed., chapter 11) takes any number of people and
missing values; κ (Cohen 1960) takes two people and the items that both have judged. The intervals are
bootstrapped over items: α of the package `krippendorff` would take one call for each of the thousand
samples, where sums over items, weighted by how often each was drawn, are a product of matrices.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from tuner_app.store import Store, labels
from tuner_app.store.gold import opinion
from tuner_app.store.rows import Item, LabelEvent

SAMPLES = 1000
_OPINION = opinion("e.verb", "e.value")
_CHUNK = 100  # samples at a time: 10,000 items make 8 MB of weights
_ALONE = "Only one person has judged items of this batch."
_NOBODY = "Nobody has judged items of this batch."
_APART = "No item was judged by two people."
_SAME = "All answers are the same, so agreement cannot be told from chance."

Votes = Sequence[Sequence[str | None]]


@dataclass(frozen=True)
class Measure:
    """A coefficient with its 95 % interval, over so many `items`; None where there is none, for the reason
    `why`. A single item has no interval."""

    value: float | None
    low: float | None
    high: float | None
    items: int
    why: str = ""


@dataclass(frozen=True)
class Agreement:
    """Of one batch: α of all, and κ of each two people by name who have judged an item in common."""

    alpha: Measure
    kappas: dict[tuple[str, str], Measure]


@dataclass(frozen=True)
class Disagreement:
    """An item that people judged differently, and the labels that stand on it, by name."""

    position: int
    item: Item
    labels: tuple[LabelEvent, ...]


def of_batch(store: Store, batch_id: int, *, seed: int = 0) -> Agreement:
    """How far people agree on a batch, gold items left out. Skips are missing values, and what counts as the
    same answer is `opinion`'s to say."""
    rows = store.query(
        f"""SELECT s.position, p.name, {_OPINION} AS opinion
            FROM slots s CROSS JOIN heads h ON h.item_id = s.item_id
            CROSS JOIN label_events e ON e.id = h.event_id JOIN people p ON p.id = h.person_id
            JOIN items i ON i.id = s.item_id
            WHERE s.batch_id = ? AND s.gold_verb IS NULL AND h.verb <> 'skip'""",
        (batch_id,),
    )
    names = sorted({row["name"] for row in rows})
    places = {position: at for at, position in enumerate(sorted({row["position"] for row in rows}))}
    votes: dict[str, list[str | None]] = {name: [None] * len(places) for name in names}
    for row in rows:
        votes[row["name"]][places[row["position"]]] = row["opinion"]
    pairs = {two: kappa(votes[two[0]], votes[two[1]], seed=seed) for two in combinations(names, 2)}
    return Agreement(
        alpha([votes[name] for name in names], seed=seed),
        {two: measure for two, measure in pairs.items() if measure.items},
    )


def disagreements(store: Store, batch_id: int, *, after: int = -1, limit: int = 20) -> list[Disagreement]:
    """Items that people judged differently, from the position `after` on, gold items among them."""
    rows = store.query(
        f"""SELECT s.position, i.hash FROM slots s CROSS JOIN heads h ON h.item_id = s.item_id
            CROSS JOIN label_events e ON e.id = h.event_id JOIN items i ON i.id = s.item_id
            WHERE s.batch_id = ? AND s.position > ? AND h.verb <> 'skip'
            GROUP BY s.position HAVING count(DISTINCT {_OPINION}) > 1 ORDER BY s.position LIMIT ?""",
        (batch_id, after, limit),
    )
    found = {item.hash: item for item in labels.items(store, [row["hash"] for row in rows])}
    return [
        Disagreement(row["position"], found[row["hash"]], tuple(labels.standing(store, row["hash"])))
        for row in rows
    ]


def alpha(votes: Votes, *, seed: int = 0) -> Measure:
    """Krippendorff's α for nominal data; `votes` has a row for each person and a column for each item, None
    where there is no vote. `items` are those that two or more have judged."""
    counts = _counts(votes)
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        voters = sum(any(vote is not None for vote in row) for row in votes)
        return Measure(None, None, None, 0, (_NOBODY, _ALONE, _APART)[min(voters, 2)])
    voters = counts.sum(axis=1)
    # of each item, in pairs of its votes that differ: divided by m - 1, so that each vote weighs 1
    differ = (voters**2 - (counts**2).sum(axis=1)) / (voters - 1)

    def coefficient(weights: Any) -> Any:
        totals = weights @ counts  # (samples, categories)
        n = totals.sum(axis=1)
        by_chance = (n**2 - (totals**2).sum(axis=1)) / (n - 1)
        return 1 - _divided(weights @ differ, by_chance)

    return _measured(coefficient, len(counts), seed)


def kappa(one: Sequence[str | None], other: Sequence[str | None], *, seed: int = 0) -> Measure:
    """Cohen's κ of two people, over the items that both have judged."""
    both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
    if not both:
        return Measure(None, None, None, 0, _APART)
    categories = sorted({vote for two in both for vote in two})
    mine, theirs = (np.array([[two[at] == c for c in categories] for two in both], float) for at in (0, 1))
    same = (mine * theirs).sum(axis=1)

    def coefficient(weights: Any) -> Any:
        n = weights.sum(axis=1)
        by_chance = ((weights @ mine) * (weights @ theirs)).sum(axis=1) / n**2
        return 1 - _divided(1 - weights @ same / n, 1 - by_chance)

    return _measured(coefficient, len(both), seed)


def _counts(votes: Votes) -> Any:
    """How many gave each answer to each item: (items, categories)."""
    categories = sorted({vote for row in votes for vote in row if vote is not None})
    items = [Counter(column) for column in zip(*votes, strict=True)]
    return np.array([[item[c] for c in categories] for item in items], float).reshape(
        len(items), len(categories)
    )


def _measured(coefficient: Any, items: int, seed: int) -> Measure:
    """`coefficient` maps weights of the items, (samples, items), to values, nan where there is none."""
    value = float(coefficient(np.ones((1, items)))[0])
    if np.isnan(value):
        return Measure(None, None, None, items, _SAME)
    if items == 1:
        return Measure(value, None, None, items)
    samples = np.concatenate([coefficient(weights) for weights in _draws(items, seed)])
    low, high = np.nanpercentile(samples, (2.5, 97.5))
    return Measure(value, float(low), float(high), items)


def _draws(items: int, seed: int) -> Iterator[Any]:
    """How often each item is drawn, in samples of as many as there are: (_CHUNK, items) at a time."""
    chance = np.random.default_rng(seed)
    for _ in range(SAMPLES // _CHUNK):
        drawn = chance.integers(items, size=(_CHUNK, items))
        yield np.stack([np.bincount(row, minlength=items) for row in drawn]).astype(float)


def _divided(above: Any, below: Any) -> Any:
    """nan where `below` is 0, up to rounding."""
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 1e-12)
