"""Sharing batches out: who is given which item, and for how long.

An item is given to at most `overlap` people: labels that stand count (skips do not) and live leases do. A
lease ends by its label, by being given back or by its time, and its room goes to the next. Triggers keep the
counts (see FOURTH in schema.py), so that labels given at a terminal count as well, and no query here reads
more than what is open to one person.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import UserError
from engine.examples import canonical
from tuner_app.store import batches, labels, leases, members, mixing, people, stamps
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


@dataclass(frozen=True)
class Offer:
    """A batch that a person may do: on how much of it a label of theirs stands, given here or in another
    batch that has the same item, and what is left for them (of hundreds, an upper bound)."""

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
    """How many labels a person has given today (UTC) on items of batches, and how many they may give. One on
    an item that several batches have is one label."""

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
        """SELECT count(*) AS given FROM label_events e WHERE person_id = ? AND created >= ?
             AND EXISTS (SELECT 1 FROM heads WHERE event_id = e.id)
             AND EXISTS (SELECT 1 FROM slots WHERE item_id = e.item_id)""",
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
    row = store.one(
        "SELECT coalesce(sum(labels + skips), 0) AS done FROM work WHERE batch_id = ? AND person_id = ?",
        (batch.id, person_id),
    )
    assert row is not None
    return Offer(batch, row["done"], mixing.left(store, batch, person_id, row["done"]))


def _held(store: Store, person_id: int, open_to: Sequence[Batch], count: int) -> list[int]:
    rows = store.query(
        """SELECT id FROM leases WHERE person_id = ? AND lives
             AND batch_id IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?""",
        (person_id, canonical([batch.id for batch in open_to]), max(0, count)),
    )
    return [row["id"] for row in rows]


def _lease(store: Store, batch: Batch, person_id: int, count: int, ends: str) -> list[int]:
    """Leases of a batch for a person, at most `count`: those that have lapsed, and then new ones."""
    again = mixing.lapsed(store, batch.id, person_id)[: max(0, count)]
    store.execute_many("UPDATE leases SET expires = ?, lives = 1 WHERE id = ?", [(ends, id) for id in again])
    replies = leases.REPLIES[batch.kind]
    return again + [
        leases.hold(store, batch.id, position, person_id, ends, replies=replies)
        for position in mixing.deal(store, batch, person_id, count - len(again))
    ]


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
