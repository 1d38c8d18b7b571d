"""What a person has labelled of what is shared out, to go back to it."""

import json
from dataclasses import dataclass

from tuner_app.store import items, people, tags
from tuner_app.store.database import Store
from tuner_app.store.rows import Item


@dataclass(frozen=True)
class Past:
    """A label that stands, with what it is on; `shown` is the order in which the replies were displayed."""

    uid: str
    batch_id: int
    item: Item
    shown: tuple[int, ...]
    tags: tuple[str, ...]
    comment: str


def latest(store: Store, person: str, *, limit: int = 20) -> list[Past]:
    """A person's labels that stand in shared batches, the latest first."""
    rows = store.query(
        """SELECT e.uid, e.shown, i.hash, min(s.batch_id) AS batch_id,
             (SELECT comment FROM label_comments WHERE event_id = e.id ORDER BY id DESC LIMIT 1) AS comment
           FROM (SELECT id, uid, item_id, shown, created FROM label_events WHERE person_id = ?
                   AND id IN (SELECT event_id FROM heads) ORDER BY created DESC, uid DESC LIMIT ?) e
             JOIN items i ON i.id = e.item_id JOIN slots s ON s.item_id = e.item_id
             JOIN batches b ON b.id = s.batch_id AND b.shared AND NOT b.archived
           GROUP BY e.uid ORDER BY e.created DESC, e.uid DESC""",
        (people.get(store, person).id, limit),
    )
    found = {item.hash: item for item in items.items(store, [row["hash"] for row in rows])}
    said = tags.of_labels(store, [row["uid"] for row in rows])
    return [
        Past(
            row["uid"],
            row["batch_id"],
            found[row["hash"]],
            tuple(json.loads(row["shown"])),
            said.get(row["uid"], ()),
            row["comment"] or "",
        )
        for row in rows
    ]
