"""Items: what is judged. Content-addressed, so that the same replies to the same prompt are one item."""

import json
from collections.abc import Iterable
from typing import Any, Protocol

from engine.errors import UserError
from engine.examples import Message as Turn
from engine.examples import Role, canonical, digest, messages_from_json
from tuner_app.store import stamps
from tuner_app.store.database import Store
from tuner_app.store.rows import Item, Reply

# Reply n may have been given more than once: its messages have the positions n, n + 2, n + 4 and so on.
_STANDS_AT = """INSERT INTO item_messages (item_id, position, message_id)
  SELECT i.id, coalesce((SELECT max(position) + 2 FROM item_messages
                         WHERE item_id = i.id AND position % 2 = :reply), :reply), :message
  FROM items i WHERE i.hash = :hash AND NOT EXISTS
    (SELECT 1 FROM item_messages
     WHERE item_id = i.id AND position % 2 = :reply AND message_id = :message)"""


class Said(Protocol):
    """A turn of a prompt: the engine's message, or the store's."""

    @property
    def role(self) -> Role:
        """Who speaks."""
        ...

    @property
    def content(self) -> str:
        """What is said."""
        ...


def item_for_pair(store: Store, prompt: Iterable[Said], reply_a: Reply, reply_b: Reply) -> Item:
    """The item that asks which of two replies to a prompt is better; made where it is new."""
    return _item_for(store, "pair", prompt, (reply_a, reply_b))


def item_for_single(store: Store, prompt: Iterable[Said], reply: Reply) -> Item:
    """The item that asks whether a reply to a prompt is good; made where it is new."""
    return _item_for(store, "single", prompt, (reply,))


def item(store: Store, hash: str) -> Item:
    """The item with this hash; a UserError where there is none."""
    found = items(store, [hash])
    if not found:
        raise UserError(f"There is no item {hash} to label.")
    return found[0]


def items(store: Store, hashes: Iterable[str]) -> list[Item]:
    """The items with these hashes that there are, oldest first."""
    rows = store.query(
        """SELECT i.hash, i.body, i.created,
             (SELECT json_group_object(position, message_id) FROM item_messages WHERE item_id = i.id) AS at
           FROM items i WHERE i.hash IN (SELECT value FROM json_each(?)) ORDER BY i.id""",
        (canonical(list(hashes)),),
    )
    return [_item(row) for row in rows]


def _item_for(store: Store, kind: str, prompt: Iterable[Said], replies: tuple[Reply, ...]) -> Item:
    body = {
        "kind": kind,
        "prompt": [{"role": turn.role, "content": turn.content} for turn in prompt],
        "replies": [{"content": r.content, "model": r.model, "adapter": r.adapter} for r in replies],
    }
    hash = digest(body)
    with store.write():
        store.execute(
            "INSERT INTO items (hash, kind, body, created) VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
            (hash, kind, canonical(body), stamps.now()),
        )
        store.execute_many(
            _STANDS_AT,
            [
                {"reply": at, "message": reply.message_id, "hash": hash}
                for at, reply in enumerate(replies)
                if reply.message_id is not None
            ],
        )
        return item(store, hash)


def _item(row: Any) -> Item:
    body = json.loads(row["body"])
    at = json.loads(row["at"])
    replies = (Reply(**reply, message_id=at.get(str(n))) for n, reply in enumerate(body["replies"]))
    prompt: tuple[Turn, ...] = messages_from_json(body["prompt"])
    return Item(row["hash"], body["kind"], prompt, tuple(replies), row["created"])
