"""Tags of labels: why a label was given, in a word. Events too: appended, and the latest says what stands."""

from collections.abc import Iterable

from engine.errors import UserError
from engine.examples import canonical
from tuner_app.store import people, stamps
from tuner_app.store.database import Store

LONGEST = 60  # characters

# The condition that a row `t` of label_tags stands: the latest event of its label and tag. Equal times are
# told apart by uid, as those of labels are.
STANDS = """t.stands AND NOT EXISTS (SELECT 1 FROM label_tags l WHERE l.event_id = t.event_id
  AND l.tag = t.tag AND (l.created, l.uid) > (t.created, t.uid))"""
_STANDING = f"SELECT t.event_id, t.tag, t.created FROM label_tags t WHERE {STANDS}"


def tag(store: Store, label_uid: str, text: str, *, stands: bool = True, uid: str) -> str:
    """Say that a tag stands on a label, or no longer does; the tag as it is kept, in single spaces.

    The same `uid` again changes nothing. A UserError for a label that is not there, and for a tag that is
    empty or longer than `LONGEST`.
    """
    text = " ".join(text.split())
    if not 0 < len(text) <= LONGEST:
        raise UserError(
            f"A tag has 1 to {LONGEST} characters; this has {len(text)}.", kept="The label is unchanged."
        )
    with store.write():
        label = store.one("SELECT id FROM label_events WHERE uid = ? AND verb <> 'undo'", (label_uid,))
        if label is None:
            raise UserError("There is no such label to tag.", kept="Nothing was changed.")
        latest = store.one(
            "SELECT max(created) AS at FROM label_tags WHERE event_id = ? AND tag = ?", (label["id"], text)
        )
        assert latest is not None
        store.execute(
            "INSERT INTO label_tags (uid, event_id, tag, stands, created) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (uid) DO NOTHING",
            (uid, label["id"], text, stands, stamps.after(latest["at"])),
        )
    return text


def of_labels(store: Store, label_uids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The tags that stand on these labels, by label, in the order in which they were given."""
    rows = store.query(
        f"""SELECT e.uid, s.tag FROM ({_STANDING}) s JOIN label_events e ON e.id = s.event_id
            WHERE e.uid IN (SELECT value FROM json_each(?)) ORDER BY s.created, s.tag""",
        (canonical(list(label_uids)),),
    )
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        found[row["uid"]] = (*found.get(row["uid"], ()), row["tag"])
    return found


def most_used(store: Store, limit: int = 100, *, person: str = people.ME) -> list[tuple[str, int]]:
    """(tag, on how many labels of a person's), most used first. Labels that were taken back do not count."""
    rows = store.query(
        f"""SELECT s.tag, count(*) AS uses FROM ({_STANDING}) s JOIN heads h ON h.event_id = s.event_id
            WHERE h.person_id = (SELECT id FROM people WHERE name = ?)
            GROUP BY s.tag ORDER BY uses DESC, s.tag LIMIT ?""",
        (person, limit),
    )
    return [(row["tag"], row["uses"]) for row in rows]
