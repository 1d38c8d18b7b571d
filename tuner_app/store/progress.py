"""How far everybody is: for those who run the labelling."""

from dataclasses import dataclass

from tuner_app.store.database import Store


@dataclass(frozen=True)
class Done:
    """What one person has done of one batch. `today` is of this day (UTC); `seconds` sums the time between
    labels, pauses of more than `PAUSE` seconds left out; gold: `gold_right` of `gold_of`."""

    person: str
    batch_id: int
    labels: int
    skips: int
    today: int
    per_hour: float | None
    seconds: float
    gold_right: int
    gold_of: int


@dataclass(frozen=True)
class Far:
    """How far a batch is: its items that can be judged, gold ones, those with all their labels, and the
    labels that stand and are wanted."""

    batch_id: int
    items: int
    gold: int
    finished: int
    labels: int
    wanted: int


PAUSE = 300.0


def by_person(store: Store, batch_id: int | None = None) -> list[Done]:
    """By batch and person, those that have done something; of one batch or of all shared ones."""
    raise NotImplementedError


def by_batch(store: Store) -> list[Far]:
    """The batches that are not put away, the newest first."""
    raise NotImplementedError
