"""Leases: items in people's hands. Each takes room of its item until it ends (triggers keep the count)."""

import random

from engine.examples import canonical
from tuner_app.store import people, stamps
from tuner_app.store.database import Store
from tuner_app.store.rows import Batch

MINUTES = 10  # that a lease lives


def hold(store: Store, batch: Batch, position: int, person_id: int, ends: str) -> int:
    """Put an item in a person's hands until the time `ends`, its replies in an order by chance, or in that
    of before where they had it already; the lease's id."""
    shown = list(range(2 if batch.kind == "pair" else 1))
    random.shuffle(shown)
    row = store.one(
        """INSERT INTO leases (batch_id, position, person_id, shown, expires, lives)
           VALUES (?, ?, ?, ?, ?, 1)
           ON CONFLICT DO UPDATE SET expires = excluded.expires, lives = 1 RETURNING id""",
        (batch.id, position, person_id, canonical(shown), ends),
    )
    assert row is not None
    return int(row["id"])


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
