"""Comments on labels: why one was given, in words. Appended, never changed."""

from collections.abc import Iterable

from engine.errors import UserError
from engine.examples import canonical
from tuner_app.store import stamps
from tuner_app.store.database import Store

LONGEST = 4_000  # characters


def add(store: Store, label_uid: str, comment: str, *, uid: str) -> None:
    """Comment on a label. The same `uid` again changes nothing; a UserError for a label that is not there
    and for a comment that is empty or longer than `LONGEST`."""
    if not 0 < len(comment.strip()) <= LONGEST:
        raise UserError(f"A comment has 1 to {LONGEST:,} characters; this has {len(comment):,}.")
    with store.write():
        label = store.one("SELECT id FROM label_events WHERE uid = ? AND verb <> 'undo'", (label_uid,))
        if label is None:
            raise UserError("There is no such label to comment on.", kept="Nothing was changed.")
        store.execute(
            "INSERT INTO label_comments (uid, event_id, comment, created) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (uid) DO NOTHING",
            (uid, label["id"], comment.strip(), stamps.now()),
        )


def of_labels(store: Store, label_uids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The comments on these labels, by label, in order."""
    rows = store.query(
        """SELECT e.uid, c.comment FROM label_events e CROSS JOIN label_comments c ON c.event_id = e.id
           WHERE e.uid IN (SELECT value FROM json_each(?)) ORDER BY c.id""",
        (canonical(list(label_uids)),),
    )
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        found[row["uid"]] = (*found.get(row["uid"], ()), row["comment"])
    return found
