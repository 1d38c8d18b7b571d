"""How far people agree: Krippendorff's α and pairwise Cohen's κ, with 95 % intervals over items."""

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_app.store import Store
from tuner_app.store.rows import Item, LabelEvent


@dataclass(frozen=True)
class Measure:
    """A coefficient with its 95 % interval (bootstrap over items), of how many items; None where there is
    none, with the reason `why`."""

    value: float | None
    low: float | None
    high: float | None
    items: int
    why: str = ""


@dataclass(frozen=True)
class Agreement:
    """Of one batch: α of all, κ of each two people (by name), and how many items two or more have judged."""

    alpha: Measure
    kappas: dict[tuple[str, str], Measure]
    items: int


@dataclass(frozen=True)
class Disagreement:
    """An item that people judged differently, and their labels."""

    position: int
    item: Item
    labels: tuple[LabelEvent, ...]


def of_batch(store: Store, batch_id: int, *, seed: int = 0) -> Agreement:
    """How far people agree on a batch. Skips are missing values; what `gold.opinion` calls the same is."""
    raise NotImplementedError


def disagreements(store: Store, batch_id: int, *, after: int = -1, limit: int = 20) -> list[Disagreement]:
    """Items that people judged differently, from the position `after` on."""
    raise NotImplementedError


def alpha(votes: Sequence[Sequence[str | None]], *, seed: int = 0) -> Measure:
    """Krippendorff's α for nominal data; `votes` has a row for each person and a column for each item, None
    where there is no vote."""
    raise NotImplementedError


def kappa(one: Sequence[str | None], other: Sequence[str | None], *, seed: int = 0) -> Measure:
    """Cohen's κ of two people, over the items that both have judged."""
    raise NotImplementedError
