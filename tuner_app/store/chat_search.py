"""Conversations of the person at this machine: page by page, and those that hold a text."""

from typing import Any

from tuner_app.store import chats
from tuner_app.store.database import Store
from tuner_app.store.rows import Conversation, Found

LEAST = 3  # characters that messages can be searched for; titles can be for fewer
_MARKS = ("\x02", "\x03")  # around a hit in what SQLite gives back
_EXCERPT = 60  # three letters at a time, each of which begins one further: nearly as many characters

_HITS = """WITH hits AS (
  SELECT m.conversation_id, max(m.id) AS message_id
  FROM message_text t JOIN messages m ON m.id = t.rowid WHERE message_text MATCH :phrase
  GROUP BY m.conversation_id
)"""
_NO_HITS = "WITH hits AS (SELECT 0 AS conversation_id, NULL AS message_id WHERE 0)"
_WHERE = """FROM conversations c LEFT JOIN hits ON hits.conversation_id = c.id
  WHERE c.archived = :archived AND c.person_id IS NULL
    AND (:search = '' OR hits.message_id IS NOT NULL OR c.title LIKE :title ESCAPE '\\')"""


def find(
    store: Store,
    search: str = "",
    *,
    archived: bool = False,
    after: Conversation | None = None,
    limit: int = 200,
) -> list[Found]:
    """The conversations, or the archived ones, the latest activity first, from the one `after` another on.

    With a `search` those alone whose title or any message holds it, whatever the case: the newest such
    message of each.
    """
    columns = ", ".join(f"c.{name}" for name in chats.COLUMNS.split(", "))
    rows = store.query(
        f"""{_hits(search)} SELECT {columns}, hits.message_id {_WHERE}
              AND (:id IS NULL OR (c.updated, c.id) < (:updated, :id))
            ORDER BY c.updated DESC, c.id DESC LIMIT :limit""",
        _values(search, archived)
        | {"updated": after and after.updated, "id": after and after.id, "limit": limit},
    )
    excerpts = _excerpts(store, search, [row["message_id"] for row in rows if row["message_id"]])
    return [_found(row, excerpts) for row in rows]


def count(store: Store, search: str = "", *, archived: bool = False) -> int:
    """How many `find` finds, page by page."""
    row = store.one(f"{_hits(search)} SELECT count(*) AS n {_WHERE}", _values(search, archived))
    return int(row["n"]) if row else 0


def _hits(search: str) -> str:
    return _HITS if len(search) >= LEAST else _NO_HITS


def _values(search: str, archived: bool) -> dict[str, Any]:
    like = search
    for special in "\\%_":
        like = like.replace(special, f"\\{special}")
    return {"search": search, "phrase": _phrase(search), "title": f"%{like}%", "archived": archived}


def _phrase(search: str) -> str:
    """The text as it stands, as FTS5 takes it."""
    return '"' + search.replace("\0", "").replace('"', '""') + '"'


def _excerpts(store: Store, search: str, message_ids: list[int]) -> dict[int, tuple[str, str, str]]:
    """The text around the hit in each of these messages: before it, the hit itself, and after it."""
    found = {}
    for message_id in message_ids:  # one by one: with a list of them SQLite goes through all hits
        row = store.one(
            "SELECT snippet(message_text, 0, ?, ?, '…', ?) AS text FROM message_text"
            " WHERE message_text MATCH ? AND rowid = ?",
            (*_MARKS, _EXCERPT, _phrase(search), message_id),
        )
        before, _, rest = (row["text"] if row else "").partition(_MARKS[0])
        hit, _, after = rest.partition(_MARKS[1])
        found[message_id] = (before, hit, "".join(part for part in after if part not in _MARKS))
    return found


def _found(row: Any, excerpts: dict[int, tuple[str, str, str]]) -> Found:
    values = dict(row)
    message_id = values.pop("message_id")
    return Found(chats.from_row(values), message_id, excerpts.get(message_id, ("", "", "")))
