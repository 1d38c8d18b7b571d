"""Conversations: trees of messages, each with a branch that it is on."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from engine.errors import UserError
from engine.examples import Role, canonical
from tuner_app.store import people, stamps
from tuner_app.store.database import Store
from tuner_app.store.rows import Conversation, Message

COLUMNS = "id, uid, title, system, created, updated, tip_id, archived, decoding, shots"
_MESSAGE = (
    "id, uid, conversation_id, parent_id, role, content, model, adapter, decoding, seed, finish, created"
)


def start(
    store: Store, *, title: str = "", system: str = "", person: str = people.ME, uid: str | None = None
) -> Conversation:
    """A person's new conversation without messages; the same `uid` again gives the same one."""
    with store.write():
        known = uid and store.one("SELECT id FROM conversations WHERE uid = ?", (uid,))
        if known:
            return get(store, known["id"])
        now = stamps.now()
        new = store.execute(
            "INSERT INTO conversations (uid, title, system, created, updated, person_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (uid or stamps.new_uid(), title, system, now, now, owner(store, person)),
        )
        return get(store, new)


def get(store: Store, conversation_id: int) -> Conversation:
    """One conversation; a UserError where there is none."""
    row = store.one(f"SELECT {COLUMNS} FROM conversations WHERE id = ?", (conversation_id,))
    if row is None:
        raise UserError(f"There is no conversation {conversation_id}.")
    return from_row(row)


def own(store: Store, conversation_id: int, person: str) -> Conversation:
    """One conversation of a person's; a UserError where there is none, or it is somebody else's."""
    row = store.one(
        f"SELECT {COLUMNS} FROM conversations WHERE id = ? AND person_id IS ?",
        (conversation_id, owner(store, person)),
    )
    if row is None:
        raise UserError(f"There is no conversation {conversation_id}.")
    return from_row(row)


def owner(store: Store, person: str) -> int | None:
    """How the conversations of a person say whose they are."""
    return None if person == people.ME else people.get(store, person).id


def conversations(
    store: Store, *, limit: int = 200, archived: bool = False, person: str = people.ME
) -> list[Conversation]:
    """A person's conversations, or the archived ones, the latest activity first."""
    rows = store.query(
        f"""SELECT {COLUMNS} FROM conversations WHERE archived = ? AND person_id IS ?
            ORDER BY updated DESC, id DESC LIMIT ?""",
        (archived, owner(store, person), limit),
    )
    return [from_row(row) for row in rows]


def rename(store: Store, conversation_id: int, title: str) -> None:
    """Give a conversation another title."""
    with store.write():
        store.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation_id))


def set_asking(
    store: Store, conversation_id: int, *, system: str, decoding: Mapping[str, Any], shots: Iterable[str]
) -> Conversation:
    """Change how a conversation asks from now on: its system prompt, and as in `Conversation`."""
    with store.write():
        store.execute(
            "UPDATE conversations SET system = ?, decoding = ?, shots = ? WHERE id = ?",
            (system, canonical(dict(decoding)), canonical(list(shots)), conversation_id),
        )
        return get(store, conversation_id)


def archive(store: Store, conversation_id: int, archived: bool = True) -> None:
    """Take a conversation out of the list, or put it back; nothing is deleted."""
    with store.write():
        store.execute("UPDATE conversations SET archived = ? WHERE id = ?", (archived, conversation_id))


def add(
    store: Store,
    conversation_id: int,
    *,
    role: Role,
    content: str,
    parent_id: int | None = None,
    model: str = "",
    adapter: str = "",
    decoding: Mapping[str, Any] | None = None,
    seed: int | None = None,
    finish: str = "",
    tip: bool = True,
    uid: str | None = None,
) -> Message:
    """A new message under `parent_id` (None: a first message), and with `tip` the conversation moves to it.

    The same `uid` again gives the same message, so that a retry adds nothing.
    """
    with store.write():
        known = uid and find(store, uid)
        if known:
            return known
        if parent_id is not None:
            _require_in(store, conversation_id, parent_id)
        now = stamps.now()
        values = (uid or stamps.new_uid(), conversation_id, parent_id, role, content, model, adapter)
        new = store.execute(
            "INSERT INTO messages (uid, conversation_id, parent_id, role, content, model, adapter, decoding,"
            " seed, finish, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, canonical(dict(decoding or {})), seed, finish, now),
        )
        store.execute("UPDATE conversations SET updated = ? WHERE id = ?", (now, conversation_id))
        if tip:
            set_tip(store, conversation_id, new)
        return message(store, new)


def find(store: Store, uid: str) -> Message | None:
    """The message with this uid, if there is one."""
    row = store.one(f"SELECT {_MESSAGE} FROM messages WHERE uid = ?", (uid,))
    return row and _message(row)


def message(store: Store, message_id: int) -> Message:
    """One message; a UserError where there is none."""
    row = store.one(f"SELECT {_MESSAGE} FROM messages WHERE id = ?", (message_id,))
    if row is None:
        raise UserError(f"There is no message {message_id}.")
    return _message(row)


def set_tip(store: Store, conversation_id: int, message_id: int) -> None:
    """Put the conversation on the branch that ends with this message."""
    with store.write():
        _require_in(store, conversation_id, message_id)
        store.execute("UPDATE conversations SET tip_id = ? WHERE id = ?", (message_id, conversation_id))


def path(store: Store, conversation_id: int, tip_id: int | None = None) -> list[Message]:
    """The messages from the first to `tip_id`, or to the conversation's tip."""
    rows = store.query(
        f"""WITH RECURSIVE branch AS (
              SELECT {_MESSAGE}, 0 AS height FROM messages
              WHERE conversation_id = :conversation
                AND id = coalesce(:tip, (SELECT tip_id FROM conversations WHERE id = :conversation))
              UNION ALL
              SELECT {", ".join(f"m.{name}" for name in _MESSAGE.split(", "))}, height + 1
              FROM branch JOIN messages m ON m.id = branch.parent_id
            ) SELECT {_MESSAGE} FROM branch ORDER BY height DESC""",
        {"conversation": conversation_id, "tip": tip_id},
    )
    return [_message(row) for row in rows]


def answers(store: Store, message_id: int) -> list[Message]:
    """The answers to a message, oldest first."""
    rows = store.query(
        f"SELECT {_MESSAGE} FROM messages WHERE parent_id = ? AND role = 'assistant' ORDER BY id",
        (message_id,),
    )
    return [_message(row) for row in rows]


class Partings:
    """Where the branches of a conversation part: the ids of what stands in the same place, by role."""

    def __init__(self, rows: Iterable[Any], tip_id: int | None) -> None:
        self._tip_id = tip_id
        self._places: dict[tuple[int | None, str], list[int]] = {}
        for row in rows:
            self._places.setdefault((row["parent_id"], row["role"]), []).append(row["id"])

    def beside(self, message: Message) -> list[int]:
        """The messages that could stand in a message's place, it among them, oldest first."""
        return self._places[message.parent_id, message.role]

    def goes_on(self, message: Message) -> bool:
        """Whether a message at which the conversation ends now was gone on from before."""
        return message.id == self._tip_id and (message.id, "user") in self._places


def partings(store: Store, conversation_id: int) -> Partings:
    """Where the branches of a conversation part."""
    rows = store.query(
        "SELECT id, parent_id, role FROM messages WHERE conversation_id = ? ORDER BY id", (conversation_id,)
    )
    return Partings(rows, get(store, conversation_id).tip_id)


def beside(store: Store, message: Message) -> list[Message]:
    """The messages of its role that stand where `message` stands, it among them, oldest first."""
    rows = store.query(
        f"""SELECT {_MESSAGE} FROM messages
            WHERE conversation_id = ? AND parent_id IS ? AND role = ? ORDER BY id""",
        (message.conversation_id, message.parent_id, message.role),
    )
    return [_message(row) for row in rows]


def latest_question(store: Store, message_id: int) -> Message | None:
    """The newest of the user's messages that follow a message on any branch, or that message itself."""
    row = store.one(
        f"""WITH RECURSIVE below (id) AS (
              SELECT ? UNION ALL SELECT m.id FROM below JOIN messages m ON m.parent_id = below.id
            ) SELECT {_MESSAGE} FROM messages WHERE id IN below AND role = 'user' ORDER BY id DESC LIMIT 1""",
        (message_id,),
    )
    return row and _message(row)


def _require_in(store: Store, conversation_id: int, message_id: int) -> None:
    if message(store, message_id).conversation_id != conversation_id:
        raise UserError(f"Message {message_id} belongs to another conversation than {conversation_id}.")


def from_row(row: Mapping[str, Any]) -> Conversation:
    """A conversation from its `COLUMNS`."""
    decoding, shots = json.loads(row["decoding"]), tuple(json.loads(row["shots"]))
    return Conversation(**{**row, "archived": bool(row["archived"]), "decoding": decoding, "shots": shots})


def _message(row: Any) -> Message:
    return Message(**{**row, "decoding": json.loads(row["decoding"])})
