"""What of a batch a person is given next, with gold mixed in so that nothing tells it from the rest.

A person sees which items they get, in which order, what comes back when they let it lapse, and how many are
left. So gold takes the place of an ordinary item in each of these: it comes at places by chance, comes back
exactly when the item before it does, and what is left counts the gold that is still to come.
"""

import random
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from tuner_app.store.database import Store
from tuner_app.store.rows import Batch

_NOWHERE = 1 << 40  # behind every position
_COUNTED = 500  # new items are counted one by one; of more, those that the person has judged may count too

_OPEN = "slots s WHERE batch_id = :batch AND position >= :start AND room > 0 AND gold_verb IS NULL"
_NEW = """NOT EXISTS (SELECT 1 FROM heads WHERE person_id = :person AND item_id = s.item_id)
  AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.batch_id = s.batch_id
    AND l.position = s.position AND l.person_id = :person)"""


@dataclass(frozen=True)
class _Cursor:
    """Before the position `start` nothing new is open to a person; `taken` counts what they were given."""

    start: int
    taken: int


def lapsed(store: Store, batch_id: int, person_id: int) -> list[int]:
    """Leases of a person that have ended without a label and can be taken up again, in the order of before:
    of ordinary items those that have room, of gold those that come after such a one."""
    rows = store.query(
        """SELECT l.id, s.room > 0 AS room, s.gold_verb IS NOT NULL AS gold FROM leases l
             JOIN slots s ON s.batch_id = l.batch_id AND s.position = l.position
           WHERE l.person_id = :person AND l.batch_id = :batch AND NOT l.lives
             AND NOT EXISTS (SELECT 1 FROM heads WHERE person_id = :person AND item_id = s.item_id)
           ORDER BY l.id""",
        {"person": person_id, "batch": batch_id},
    )
    found, room = [], True
    for row in rows:
        room = room if row["gold"] else row["room"]
        if room:
            found.append(row["id"])
    return found


def deal(store: Store, batch: Batch, person_id: int, count: int) -> list[int]:
    """The positions of at most `count` new items for a person, who has been given them then."""
    if count <= 0:
        return []
    cursor, golds = _cursor(store, batch.id, person_id), _new_gold(store, batch.id, person_id)
    plain = _new(store, batch.id, person_id, cursor.start, count)
    dealt: list[int] = []
    used = 0
    while len(dealt) < count:
        place = cursor.taken + len(dealt)
        if golds and _is_due(batch, person_id, place):
            dealt.append(golds.pop(random.Random(f"{batch.uid} {person_id} {place}").randrange(len(golds))))
        elif used < len(plain):
            dealt.append(plain[used])
            used += 1
        else:
            break
    start = cursor.start
    if used:
        start = _NOWHERE if used == len(plain) < count else plain[used - 1] + 1
    elif not plain:
        start = _NOWHERE
    store.execute(
        """INSERT INTO cursors (batch_id, person_id, next, taken) VALUES (?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET next = excluded.next, taken = excluded.taken""",
        (batch.id, person_id, start, cursor.taken + len(dealt)),
    )
    return dealt


def left(store: Store, batch: Batch, person_id: int, done: int) -> int:
    """How many items a person holds and can still get, who has done so many (of hundreds, an upper bound)."""
    cursor, golds = _cursor(store, batch.id, person_id), _new_gold(store, batch.id, person_id)
    again = len(lapsed(store, batch.id, person_id))
    which = {"batch": batch.id, "person": person_id, "start": cursor.start, "most": _COUNTED + 1}
    held = _count(store, "leases WHERE person_id = :person AND batch_id = :batch AND lives", which)
    plain = _count(store, f"(SELECT 1 FROM {_OPEN} AND {_NEW} LIMIT :most)", which)
    if plain > _COUNTED:
        others = _count(store, "slots WHERE batch_id = :batch", which) - len(golds) - done - held - again
        plain = max(0, min(_count(store, _OPEN, which), others))
    return held + again + plain + _to_come(batch, person_id, cursor.taken, plain, len(golds))


def _to_come(batch: Batch, person_id: int, taken: int, plain: int, golds: int) -> int:
    """How many of `golds` new gold items come before so many ordinary ones are used up."""
    come = 0
    while come < golds:
        due = _due_before(batch, person_id, taken + plain + come + 1) - _due_before(batch, person_id, taken)
        if due <= come:
            break
        come = min(due, golds)
    return come


def _due_before(batch: Batch, person_id: int, place: int) -> int:
    """How often gold is due before a place in the order of what a person is given."""
    block = place * _rate(batch) // 1
    return block + (_due_place(batch, person_id, block) < place) if _rate(batch) else 0


def _is_due(batch: Batch, person_id: int, place: int) -> bool:
    """Whether gold is due at a place: one of every 1 / rate is, and nobody can tell which."""
    rate = _rate(batch)
    return bool(rate) and _due_place(batch, person_id, place * rate // 1) == place


def _due_place(batch: Batch, person_id: int, block: int) -> int:
    rate = _rate(batch)
    first, end = ceil(block / rate), ceil((block + 1) / rate)
    return first + random.Random(f"{batch.uid} {person_id} {block}").randrange(end - first)


def _rate(batch: Batch) -> Fraction:
    return Fraction(batch.gold_rate).limit_denominator(1000)


def _cursor(store: Store, batch_id: int, person_id: int) -> _Cursor:
    row = store.one(
        "SELECT next, taken FROM cursors WHERE batch_id = ? AND person_id = ?", (batch_id, person_id)
    )
    return _Cursor(row["next"], row["taken"]) if row else _Cursor(0, 0)


def _new(store: Store, batch_id: int, person_id: int, start: int, limit: int) -> list[int]:
    """Positions from `start` on that have room for a person who never had them."""
    rows = store.query(
        f"SELECT position FROM {_OPEN} AND {_NEW} ORDER BY position LIMIT :limit",
        {"batch": batch_id, "start": start, "person": person_id, "limit": limit},
    )
    return [row["position"] for row in rows]


def _new_gold(store: Store, batch_id: int, person_id: int) -> list[int]:
    """Positions of the gold items that a person never had."""
    rows = store.query(
        f"SELECT position FROM slots s WHERE batch_id = :batch AND gold_verb IS NOT NULL AND {_NEW}"
        " ORDER BY position",
        {"batch": batch_id, "person": person_id},
    )
    return [row["position"] for row in rows]


def _count(store: Store, rows: str, which: dict[str, int]) -> int:
    row = store.one(f"SELECT count(*) AS n FROM {rows}", which)
    assert row is not None
    return int(row["n"])
