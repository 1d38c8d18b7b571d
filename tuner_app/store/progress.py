"""How far everybody is: for those who run the labelling."""

from dataclasses import dataclass

from tuner_app.store import gold, stamps
from tuner_app.store.database import Store


@dataclass(frozen=True)
class Done:
    """What one person has done of one batch: labels that stand, skips apart; `today` is of this day (UTC).

    `seconds` is the time between their labels without pauses of more than five minutes; `gold_right` of
    `gold_of` gold items were judged as is known to be right.
    """

    person: str
    batch_id: int
    labels: int
    skips: int
    today: int
    seconds: float
    gold_right: int
    gold_of: int

    @property
    def per_hour(self) -> float | None:
        """Labels and skips in an hour's work; None before there is a minute of it."""
        return (self.labels + self.skips) * 3600 / self.seconds if self.seconds >= 60 else None


@dataclass(frozen=True)
class Far:
    """How far a batch is: its items that can be judged, of which `gold` are gold; of the others, those that
    are `finished`, and the labels that stand, of how many that are wanted."""

    batch_id: int
    items: int
    gold: int
    finished: int
    labels: int
    wanted: int


def by_person(store: Store, batch_id: int | None = None) -> list[Done]:
    """By batch, the newest first, and name: who has done something of one batch, or of all not put away."""
    rows = store.query(
        """SELECT p.name AS person, w.batch_id, sum(w.labels) AS labels, sum(w.skips) AS skips,
             sum((w.labels + w.skips) * (w.day = :today)) AS today, sum(w.seconds) AS seconds
           FROM work w JOIN people p ON p.id = w.person_id
           WHERE w.batch_id IN (SELECT id FROM batches WHERE id = :batch OR :batch IS NULL AND NOT archived)
           GROUP BY w.batch_id, w.person_id ORDER BY w.batch_id DESC, p.name""",
        {"today": stamps.now()[:10], "batch": batch_id},
    )
    scores = [gold.score(store, row["person"], row["batch_id"]) for row in rows]
    return [Done(**row, gold_right=right, gold_of=of) for row, (right, of) in zip(rows, scores, strict=True)]


def by_batch(store: Store) -> list[Far]:
    """The batches that are not put away, the newest first."""
    rows = store.query(
        """SELECT b.id AS batch_id, count(s.position) AS items,
             coalesce(sum(s.gold_verb IS NOT NULL), 0) AS gold,
             coalesce(sum(s.gold_verb IS NULL AND s.room + coalesce(l.held, 0) <= 0), 0) AS finished,
             coalesce(sum((s.gold_verb IS NULL)
               * min(b.overlap, b.overlap - s.room - coalesce(l.held, 0))), 0) AS labels,
             coalesce(sum((s.gold_verb IS NULL) * b.overlap), 0) AS wanted
           FROM batches b LEFT JOIN slots s ON s.batch_id = b.id
             LEFT JOIN (SELECT batch_id, position, count(*) AS held FROM leases WHERE lives
                        GROUP BY batch_id, position) l
               ON l.batch_id = s.batch_id AND l.position = s.position
           WHERE NOT b.archived GROUP BY b.id ORDER BY b.id DESC"""
    )
    return [Far(**row) for row in rows]
