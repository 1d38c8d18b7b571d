"""Leases: items in people's hands. Each takes room of its item until it ends (triggers keep the count)."""

import random

from engine.examples import canonical
from tuner_app.store import people, stamps
from tuner_app.store.database import Store

MINUTES = 10  # that a lease lives
REPLIES = {"single": 1, "pair": 2}


def hold(store: Store, batch_id: int, position: int, person_id: int, ends: str, *, replies: int) -> int:
    """Put an item in a person's hands until the time `ends`, its `replies` in an order by chance, or in that
    of before where they had it already; the lease's id."""
    shown = random.sample(range(replies), replies)
    row = store.one(
        """INSERT INTO leases (batch_id, position, person_id, shown, expires, lives)
           VALUES (?, ?, ?, ?, ?, 1)
           ON CONFLICT DO UPDATE SET expires = excluded.expires, lives = 1 RETURNING id""",
        (batch_id, position, person_id, canonical(shown), ends),
    )
    assert row is not None
    return int(row["id"])


def hold_again(store: Store, batch_id: int, position: int, person_id: int) -> None:
    """The room of a label that was taken back stays its person's, where the batch is still shared out and no
    earlier label of theirs stands."""
    row = store.one(
        """SELECT b.kind FROM slots s JOIN batches b ON b.id = s.batch_id
           WHERE s.batch_id = ? AND s.position = ? AND b.shared AND NOT b.archived
             AND (s.room > 0 OR s.gold_verb IS NOT NULL)
             AND NOT EXISTS (SELECT 1 FROM heads WHERE person_id = ? AND item_id = s.item_id)""",
        (batch_id, position, person_id),
    )
    if row:
        ends = stamps.later(minutes=MINUTES)
        hold(store, batch_id, position, person_id, ends, replies=REPLIES[row["kind"]])


def expire(store: Store) -> None:
    """End the leases whose time is over."""
    store.execute("UPDATE leases SET lives = 0 WHERE lives AND expires <= ?", (stamps.now(),))


def release(store: Store, person: str, batch_id: int, position: int) -> None:
    """Give an item back, so that others can have it."""
    with store.write():
        store.execute(
            "UPDATE leases SET lives = 0 WHERE batch_id = ? AND position = ? AND person_id = ? AND lives",
            (batch_id, position, people.get(store, person).id),
        )
