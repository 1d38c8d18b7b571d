"""Which labels stand, and which were given before: everything that is read of them.

The head of an item for a person is a pure function of their events (`head_of`), so two databases whose
events are merged by uid agree, whatever the order in which the events arrived.
"""

import json
from collections.abc import Iterable
from typing import Any

from engine.examples import canonical
from tuner_app.store import people
from tuner_app.store.database import Store
from tuner_app.store.items import items
from tuner_app.store.rows import Item, LabelEvent, Verb

EVENT = """SELECT e.uid, i.hash AS item_hash, p.name AS person, e.verb, e.value, e.shown, e.undoes, e.created
  FROM label_events e JOIN items i ON i.id = e.item_id JOIN people p ON p.id = e.person_id"""


def find(store: Store, uid: str) -> LabelEvent | None:
    """The event with this uid, if there is one."""
    row = store.one(f"{EVENT} WHERE e.uid = ?", (uid,))
    return row and event_of(row)


def head_of(events: Iterable[LabelEvent]) -> LabelEvent | None:
    """The label that stands among one person's events on one item: the latest by (created, uid) that no
    undo takes back. The order of `events` does not matter."""
    events = list(events)
    undone = {event.undoes for event in events}
    standing = [event for event in events if event.verb != "undo" and event.uid not in undone]
    return max(standing, key=lambda event: (event.created, event.uid), default=None)


def head(store: Store, item_hash: str, person: str = people.ME) -> LabelEvent | None:
    """The label of one person that stands on one item."""
    return heads(store, [item_hash], person).get(item_hash)


def heads(store: Store, item_hashes: Iterable[str], person: str = people.ME) -> dict[str, LabelEvent]:
    """The labels of one person that stand on these items, by item; unlabelled ones are left out."""
    rows = store.query(
        f"""{EVENT} WHERE e.id IN (SELECT h.event_id FROM items i CROSS JOIN heads h ON h.item_id = i.id
              WHERE i.hash IN (SELECT value FROM json_each(?))
                AND h.person_id = (SELECT id FROM people WHERE name = ?))""",
        (canonical(list(item_hashes)), person),
    )
    return {row["item_hash"]: event_of(row) for row in rows}


def history(store: Store, item_hash: str) -> list[LabelEvent]:
    """Everything that happened to an item, in order."""
    rows = store.query(f"{EVENT} WHERE i.hash = ? ORDER BY e.created, e.uid", (item_hash,))
    return [event_of(row) for row in rows]


def standing(store: Store, item_hash: str) -> list[LabelEvent]:
    """Everybody's labels that stand on an item, by name."""
    rows = store.query(
        f"""{EVENT} WHERE e.id IN (SELECT h.event_id FROM items i CROSS JOIN heads h ON h.item_id = i.id
              WHERE i.hash = ?) ORDER BY p.name""",
        (item_hash,),
    )
    return [event_of(row) for row in rows]


def counts(store: Store, person: str | None = None) -> dict[Verb, int]:
    """How many labels stand, by verb; of one person, or of all."""
    rows = store.query(
        """SELECT verb, count(*) AS n FROM heads WHERE person_id IN
             (SELECT id FROM people WHERE :person IS NULL OR name = :person)
           GROUP BY verb ORDER BY verb""",
        {"person": person},
    )
    return {row["verb"]: row["n"] for row in rows}


def pending(store: Store, person: str = people.ME, limit: int = 100) -> list[Item]:
    """Items that a person has not labelled, oldest first."""
    rows = store.query(
        """SELECT hash FROM items i WHERE NOT EXISTS
             (SELECT 1 FROM heads WHERE person_id = ? AND item_id = i.id)
           ORDER BY created, id LIMIT ?""",
        (people.get(store, person).id, limit),
    )
    return items(store, [row["hash"] for row in rows])


def on_messages(
    store: Store, message_ids: Iterable[int], person: str = people.ME
) -> dict[int, list[LabelEvent]]:
    """One person's labels that stand on items whose replies are these messages, by message, oldest first."""
    rows = store.query(
        """SELECT im.message_id, i.hash FROM item_messages im JOIN items i ON i.id = im.item_id
           WHERE im.message_id IN (SELECT value FROM json_each(?))""",
        (canonical(list(message_ids)),),
    )
    standing = heads(store, {row["hash"] for row in rows}, person)
    found: dict[int, list[LabelEvent]] = {}
    for row in rows:
        if row["hash"] in standing:
            found.setdefault(row["message_id"], []).append(standing[row["hash"]])
    return {at: sorted(events, key=lambda event: event.created) for at, events in found.items()}


def latest_in(store: Store, conversation_id: int, person: str = people.ME) -> tuple[LabelEvent, int] | None:
    """One person's latest label that stands in a conversation, on any branch, and a message that it is on."""
    row = store.one(
        """SELECT e.uid, im.message_id FROM messages m
             JOIN item_messages im ON im.message_id = m.id
             JOIN heads h ON h.item_id = im.item_id AND h.person_id = (SELECT id FROM people WHERE name = ?)
             JOIN label_events e ON e.id = h.event_id
           WHERE m.conversation_id = ? ORDER BY e.created DESC, e.uid DESC, im.position LIMIT 1""",
        (person, conversation_id),
    )
    if row is None:
        return None
    event = find(store, row["uid"])
    assert event is not None
    return event, row["message_id"]


def event_of(row: Any) -> LabelEvent:
    shown = tuple(json.loads(row["shown"]))
    return LabelEvent(**{**row, "value": json.loads(row["value"]), "shown": shown})
