"""The audit: who did what, and from where. Appended, never changed."""

from dataclasses import dataclass

from tuner_app.store import people, stamps
from tuner_app.store.database import Store

PAGE_STARTED = "page started"  # `detail` is the address that people open


@dataclass(frozen=True)
class Entry:
    """What was done; `person` is None where nobody is known, as for a guessed link."""

    id: int
    person: str | None
    action: str
    detail: str
    address: str
    created: str


def note(
    store: Store, action: str, *, person: str | None = None, detail: str = "", address: str = ""
) -> None:
    """Note that a person did something; `address` is where from, "" for this machine's command line."""
    with store.write():
        store.execute(
            "INSERT INTO audit (person_id, action, detail, address, created) VALUES (?, ?, ?, ?, ?)",
            (people.get(store, person).id if person else None, action, detail, address, stamps.now()),
        )


def listed(store: Store, *, before: int | None = None, limit: int = 100) -> list[Entry]:
    """The latest entries, the newest first; older ones than the id `before`."""
    rows = store.query(
        """SELECT a.id, p.name AS person, a.action, a.detail, a.address, a.created
           FROM audit a LEFT JOIN people p ON p.id = a.person_id
           WHERE ? IS NULL OR a.id < ? ORDER BY a.id DESC LIMIT ?""",
        (before, before, limit),
    )
    return [Entry(**row) for row in rows]


def latest(store: Store, action: str) -> Entry | None:
    """The latest entry of an action."""
    row = store.one(
        """SELECT a.id, p.name AS person, a.action, a.detail, a.address, a.created
           FROM audit a LEFT JOIN people p ON p.id = a.person_id
           WHERE a.action = ? ORDER BY a.id DESC LIMIT 1""",
        (action,),
    )
    return row and Entry(**row)
