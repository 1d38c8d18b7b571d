"""Words that people put on examples, to find them again and to train on them or not."""

import json
from collections.abc import Iterable, Sequence

from engine.errors import UserError
from tuner_app.store import tags
from tuner_app.store.database import Store

LONGEST = 40


def tagged(example: str) -> str:
    """The condition that the example whose id is the column `example` has the tag `:tag`: put on it, or on
    a label that gave it."""
    return f"""(EXISTS (SELECT 1 FROM example_tags g WHERE g.example_id = {example} AND g.tag = :tag)
      OR EXISTS (SELECT 1 FROM label_examples l JOIN label_tags t ON t.event_id = l.event_id
                 WHERE l.example_id = {example} AND t.tag = :tag AND {tags.STANDS}))"""


def checked(tag: str) -> str:
    """The tag without spaces around it; a UserError where no filter could name it."""
    tag = tag.strip()
    if not tag or len(tag) > LONGEST or not tag.isprintable() or "," in tag or '"' in tag:
        raise UserError(
            f"“{tag[:60]}” cannot be a tag.",
            kept="Nothing was tagged.",
            do=f"A tag is 1 to {LONGEST} visible characters, without commas and quotation marks.",
        )
    return tag


def add(store: Store, example_ids: Sequence[int], tag: str) -> list[int]:
    """Put a tag on examples; those that did not have it yet."""
    tag = checked(tag)
    with store.write():
        new = _with(store, example_ids, tag, has=False)
        store.execute_many(
            "INSERT INTO example_tags (example_id, tag) VALUES (?, ?)", [(id, tag) for id in new]
        )
    return new


def remove(store: Store, example_ids: Sequence[int], tag: str) -> list[int]:
    """Take a tag off examples; those that had it. A tag on a label stays on the label."""
    with store.write():
        old = _with(store, example_ids, tag, has=True)
        store.execute_many(
            "DELETE FROM example_tags WHERE example_id = ? AND tag = ?", [(id, tag) for id in old]
        )
    return old


def known(store: Store) -> list[str]:
    """All tags that examples or labels have, by name."""
    rows = store.query("SELECT tag FROM example_tags UNION SELECT tag FROM label_tags ORDER BY 1")
    return [row["tag"] for row in rows]


def _with(store: Store, example_ids: Iterable[int], tag: str, *, has: bool) -> list[int]:
    rows = store.query(
        f"""SELECT value AS id FROM json_each(?) WHERE {"" if has else "NOT"}
            EXISTS (SELECT 1 FROM example_tags t WHERE t.example_id = value AND t.tag = ?)""",
        (json.dumps(list(example_ids)), tag),
    )
    return [row["id"] for row in rows]
