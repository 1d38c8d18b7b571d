"""Sharing batches out: who is given which item, and for how long.

An item is given to at most `overlap` people: labels that stand count (skips do not) and live leases do. A
lease ends by its label, by being given back or by its time, and its room goes to the next. Triggers keep the
counts (see FOURTH in schema.py), so that labels given at a terminal count as well, and no query here reads
more than what is open to one person.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from engine.errors import UserError
from engine.examples import canonical
from tuner_app.store import batches, labels, leases, members, people, stamps
from tuner_app.store.database import Store
from tuner_app.store.giving import Given, Outcome, give, give_all
from tuner_app.store.leases import MINUTES, release
from tuner_app.store.rows import Batch, Item, Member, Waiting

__all__ = [
    "MINUTES",
    "Given",
    "Offer",
    "Outcome",
    "Task",
    "Today",
    "configure",
    "give",
    "give_all",
    "offers",
    "people_of",
    "release",
    "take",
    "today",
    "waiting",
]

MOST = 50  # tasks that a person holds at once
_AT_A_TERMINAL = 16  # more than a labelling screen keeps in memory
_NOWHERE = 1 << 40  # behind every position
_COUNTED = 500  # items left are counted one by one; of more, those that the person has judged count too

_OPEN = "slots s WHERE batch_id = :batch AND position >= :start AND room > 0 AND gold_verb IS NULL"
_NOT_THEIRS = """NOT EXISTS (SELECT 1 FROM heads WHERE person_id = :person AND item_id = s.item_id)
  AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.batch_id = s.batch_id
    AND l.position = s.position AND l.person_id = :person AND l.lives)"""
_OPEN_TO = f"{_OPEN} AND {_NOT_THEIRS}"


@dataclass(frozen=True)
class Offer:
    """A batch that a person may do: how much of it they have done and what is left for them (of
    hundreds, an upper bound)."""

    batch: Batch
    done: int
    left: int

    @property
    def total(self) -> int:
        """What is and what can become theirs."""
        return self.done + self.left


@dataclass(frozen=True)
class Task:
    """An item in a person's hands until `expires`, its replies to be displayed in the order `shown`."""

    batch_id: int
    position: int
    item: Item
    shown: tuple[int, ...]
    expires: str


@dataclass(frozen=True)
class Today:
    """How many labels a person has given today (UTC) in batches, and how many they may give."""

    given: int
    limit: int | None

    @property
    def left(self) -> int:
        """How many more they may give."""
        return MOST if self.limit is None else max(0, self.limit - self.given)


def configure(
    store: Store,
    batch_id: int,
    *,
    overlap: int | None = None,
    priority: int | None = None,
    gold_rate: float | None = None,
    guidelines: str | None = None,
    shared: bool | None = None,
    people: Sequence[str] | None = None,
) -> Batch:
    """Say how a batch is shared out; what is None stays as it is. Without `people` everybody may do it; the
    person at this machine always may."""
    if overlap is not None and not 1 <= overlap <= 1000:
        raise UserError("An item is given to 1 to 1,000 people.", kept="Nothing was changed.")
    if gold_rate is not None and not 0 <= gold_rate <= 1:
        raise UserError("The rate of gold is between 0 and 1.", kept="Nothing was changed.")
    wanted = {
        "overlap": overlap,
        "priority": priority,
        "gold_rate": gold_rate,
        "guidelines": guidelines,
        "shared": shared,
    }
    with store.write():
        batches.get(store, batch_id)
        for column, value in wanted.items():
            if value is not None:
                store.execute(f"UPDATE batches SET {column} = ? WHERE id = ?", (value, batch_id))
        if people is not None:
            store.execute("DELETE FROM batch_people WHERE batch_id = ?", (batch_id,))
            store.execute_many(
                "INSERT INTO batch_people (batch_id, person_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                [(batch_id, members.get(store, name).person_id) for name in people],
            )
        return batches.get(store, batch_id)


def people_of(store: Store, batch_id: int) -> list[str]:
    """Who may do a batch, by name; empty where everybody may."""
    rows = store.query(
        """SELECT p.name FROM batch_people b JOIN people p ON p.id = b.person_id
           WHERE b.batch_id = ? ORDER BY p.name""",
        (batch_id,),
    )
    return [row["name"] for row in rows]


def offers(store: Store, person: str) -> list[Offer]:
    """The shared batches that a person may do, those of high priority first."""
    member = members.get(store, person)
    return [_offer(store, batch, member.person_id) for batch in _offered_to(store, member)]


def today(store: Store, person: str) -> Today:
    """How far a person is with the day."""
    member = members.get(store, person)
    row = store.one(
        "SELECT coalesce(sum(labels + skips), 0) AS given FROM work WHERE person_id = ? AND day = ?",
        (member.person_id, stamps.now()[:10]),
    )
    assert row is not None
    return Today(row["given"], member.daily_limit)


def take(
    store: Store, person: str, *, batch_id: int | None = None, count: int = 8, minutes: float = MINUTES
) -> list[Task]:
    """At most `count` tasks for a person: those that they hold already, whose time begins anew, and then new
    ones, from every batch that they may do or from one, by priority and position, gold among them."""
    with store.write():
        member = members.get(store, person)
        leases.expire(store)
        open_to = [batch for batch in _offered_to(store, member) if batch_id in (None, batch.id)]
        count = min(count, MOST, today(store, person).left)
        held = _held(store, member.person_id, open_to, count)
        ends = stamps.later(minutes=minutes)
        store.execute_many("UPDATE leases SET expires = ? WHERE id = ?", [(ends, lease) for lease in held])
        for batch in open_to:
            held += _lease(store, batch, member.person_id, count - len(held), ends)
        return _tasks(store, held)


def waiting(
    store: Store, batch_id: int, *, after: int = -1, limit: int = 20, person: str = people.ME
) -> list[Waiting]:
    """`batches.waiting`, for a batch that may be shared: then only what the person holds, or takes now."""
    if not batches.get(store, batch_id).shared:
        return batches.waiting(store, batch_id, after=after, limit=limit, person=person)
    held = take(store, person, batch_id=batch_id, count=_AT_A_TERMINAL)
    found = sorted((task for task in held if task.position > after), key=lambda task: task.position)
    return [Waiting(task.position, task.item) for task in found[:limit]]


def _offered_to(store: Store, member: Member) -> list[Batch]:
    if member.revoked:
        return []
    rows = store.query(
        """SELECT id FROM batches WHERE shared AND NOT archived
             AND (NOT EXISTS (SELECT 1 FROM batch_people WHERE batch_id = batches.id)
               OR EXISTS (SELECT 1 FROM batch_people WHERE batch_id = batches.id AND person_id = :person)
               OR :name = :me)
           ORDER BY priority DESC, id""",
        {"person": member.person_id, "name": member.name, "me": people.ME},
    )
    return [batches.get(store, row["id"]) for row in rows]


def _offer(store: Store, batch: Batch, person_id: int) -> Offer:
    which = {"batch": batch.id, "person": person_id, "most": _COUNTED + 1}
    row = store.one(
        """SELECT (SELECT coalesce(sum(labels + skips), 0) FROM work
                   WHERE batch_id = :batch AND person_id = :person) AS done,
             (SELECT count(*) FROM leases
              WHERE person_id = :person AND batch_id = :batch AND lives) AS held,
             coalesce((SELECT next FROM cursors
                       WHERE batch_id = :batch AND person_id = :person), 0) AS next""",
        which,
    )
    assert row is not None
    which["start"] = row["next"]
    left = _count(store, f"(SELECT 1 FROM {_OPEN_TO} LIMIT :most)", which)
    if left > _COUNTED:
        others = _count(store, "slots WHERE batch_id = :batch", which) - row["done"] - row["held"]
        left = max(0, min(_count(store, _OPEN, which), others))
    return Offer(batch, row["done"], left + row["held"])


def _count(store: Store, rows: str, which: dict[str, int]) -> int:
    row = store.one(f"SELECT count(*) AS n FROM {rows}", which)
    assert row is not None
    return int(row["n"])


def _held(store: Store, person_id: int, open_to: Sequence[Batch], count: int) -> list[int]:
    rows = store.query(
        """SELECT id FROM leases WHERE person_id = ? AND lives
             AND batch_id IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?""",
        (person_id, canonical([batch.id for batch in open_to]), max(0, count)),
    )
    return [row["id"] for row in rows]


def _lease(store: Store, batch: Batch, person_id: int, count: int, ends: str) -> list[int]:
    """New leases of a batch for a person, at most `count`."""
    if count <= 0:
        return []
    cursor = store.one(
        "SELECT next, taken FROM cursors WHERE batch_id = ? AND person_id = ?", (batch.id, person_id)
    )
    start, taken = (cursor["next"], cursor["taken"]) if cursor else (0, 0)
    plain = _open_slots(store, batch.id, person_id, start, count)
    used = 0
    leased: list[int] = []
    while len(leased) < count:
        position = None
        if _gold_is_due(batch, person_id, taken):
            position = _gold_slot(store, batch.id, person_id, taken)
        if position is None and used < len(plain):
            position, used = plain[used], used + 1
        if position is None:
            break
        replies = leases.REPLIES[batch.kind]
        leased.append(leases.hold(store, batch.id, position, person_id, ends, replies=replies))
        taken += 1
    if used:
        start = _NOWHERE if used == len(plain) < count else plain[used - 1] + 1
    elif not plain:
        start = _NOWHERE
    store.execute(
        """INSERT INTO cursors (batch_id, person_id, next, taken) VALUES (?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET next = excluded.next, taken = excluded.taken""",
        (batch.id, person_id, start, taken),
    )
    return leased


def _open_slots(store: Store, batch_id: int, person_id: int, start: int, limit: int) -> list[int]:
    """Positions from `start` on that have room for a person."""
    rows = store.query(
        f"SELECT position FROM {_OPEN_TO} ORDER BY position LIMIT :limit",
        {"batch": batch_id, "start": start, "person": person_id, "limit": limit},
    )
    return [row["position"] for row in rows]


def _gold_is_due(batch: Batch, person_id: int, taken: int) -> bool:
    """Whether the task after `taken` others is gold: one of every 1 / rate is, and nobody can tell which."""
    rate = Fraction(batch.gold_rate).limit_denominator(1000)
    if not rate:
        return False
    block = taken * rate // 1
    first, end = ceil(block / rate), ceil((block + 1) / rate)
    return taken == first + random.Random(f"{batch.uid} {person_id} {block}").randrange(end - first)


def _gold_slot(store: Store, batch_id: int, person_id: int, taken: int) -> int | None:
    """The position of a gold item that a person neither has judged nor holds."""
    rows = store.query(
        f"""SELECT position FROM slots s WHERE batch_id = :batch AND gold_verb IS NOT NULL AND {_NOT_THEIRS}
            ORDER BY position""",
        {"batch": batch_id, "person": person_id},
    )
    return random.Random(f"{batch_id} {person_id} {taken}").choice(rows)["position"] if rows else None


def _tasks(store: Store, held: Sequence[int]) -> list[Task]:
    rows = store.query(
        """SELECT l.batch_id, l.position, i.hash, l.shown, l.expires FROM leases l
             JOIN slots s ON s.batch_id = l.batch_id AND s.position = l.position
             JOIN items i ON i.id = s.item_id
           WHERE l.id IN (SELECT value FROM json_each(?)) ORDER BY l.id""",
        (canonical(list(held)),),
    )
    found = {item.hash: item for item in labels.items(store, [row["hash"] for row in rows])}
    return [_task(row, found[row["hash"]]) for row in rows]


def _task(row: Any, item: Item) -> Task:
    return Task(row["batch_id"], row["position"], item, tuple(json.loads(row["shown"])), row["expires"])
