"""Changes of examples by people: events that are appended and never changed.

An edit leads from one example to another, to nothing (it is removed) or back to itself (it is restored).
What an edit has left is in `withdrawn` until an edit leads to it again: no list, no snapshot and no export
has it meanwhile. What an edit leads to has come from wherever the example before it came from, so it is in
use exactly as long as that would have been.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import UserError
from engine.examples import Example, from_json, kind_of
from tuner_app.store import examples, people, stamps
from tuner_app.store.database import Store

_EDIT = """SELECT d.id, a.body AS before, b.body AS after, p.name AS person, d.created,
  d.example_id, d.becomes_id FROM example_edits d JOIN examples a ON a.id = d.example_id
  LEFT JOIN examples b ON b.id = d.becomes_id JOIN people p ON p.id = d.person_id"""


@dataclass(frozen=True)
class Edit:
    """One change: `after` is None where the example was removed, and `before` where it was restored."""

    id: int
    before: Example
    after: Example | None
    person: str
    created: str


@dataclass(frozen=True)
class Change:
    """What one step did: the edits from `first` to `last`, which `undo` takes back together.

    `examples` is how many they are; `joined` says that an edit led to an example that was in use already.
    """

    first: int
    last: int
    examples: int
    joined: bool = False


def change(store: Store, example_id: int, to: Example, *, person: str = people.ME) -> tuple[int, Change]:
    """Edit an example into another of its kind; the id of that, and the step. A UserError where it is of
    another kind."""
    with store.write():
        row = store.one("SELECT kind FROM examples WHERE id = ?", (example_id,))
        if row is None or row["kind"] != kind_of(to):
            raise UserError(
                f"Example {example_id} cannot become a {kind_of(to)}.", kept="Nothing was changed."
            )
        becomes = examples.insert(store, to)
        in_use = store.one(f"SELECT 1 FROM examples x WHERE x.id = ? AND {examples.IN_USE}", (becomes,))
        ways: list[tuple[int, int | None]] = [(example_id, becomes)] if becomes != example_id else []
        return becomes, replace(_lead(store, ways, person), joined=bool(ways and in_use))


def remove(store: Store, example_ids: Sequence[int], *, person: str = people.ME) -> Change:
    """Take examples out of use; those that are already out of it stay so."""
    with store.write():
        return _lead(store, [(id, None) for id in _which(store, example_ids, withdrawn=False)], person)


def restore(store: Store, example_ids: Sequence[int], *, person: str = people.ME) -> Change:
    """Take examples back into use; those that are in use stay so."""
    with store.write():
        return _lead(store, [(id, id) for id in _which(store, example_ids, withdrawn=True)], person)


def undo(store: Store, done: Change, *, person: str = people.ME) -> Change:
    """Lead back all that a step changed, as far as it still is as that step left it."""
    with store.write():
        rows = store.query(
            """SELECT example_id, becomes_id FROM example_edits WHERE id BETWEEN :first AND :last
               AND (becomes_id IS NULL OR becomes_id NOT IN (SELECT example_id FROM withdrawn))
               AND (becomes_id IS example_id OR example_id IN (SELECT example_id FROM withdrawn))""",
            {"first": done.first, "last": done.last},
        )
        ways = [(row["example_id"], None if done.joined else row["becomes_id"]) for row in rows]
        return _lead(store, [_back(*way) for way in ways], person)


def history(store: Store, example_id: int) -> list[Edit]:
    """Every edit that led to an example or away from it, and so on from there, the latest first."""
    rows = store.query(
        f"""WITH RECURSIVE family(id) AS (
              SELECT ? UNION SELECT d.becomes_id FROM family JOIN example_edits d ON d.example_id = family.id
                       WHERE d.becomes_id IS NOT NULL
              UNION SELECT d.example_id FROM family JOIN example_edits d ON d.becomes_id = family.id)
            {_EDIT} WHERE d.example_id IN (SELECT id FROM family)
              OR d.becomes_id IN (SELECT id FROM family) ORDER BY d.id DESC""",
        (example_id,),
    )
    return [_edit(row) for row in rows]


def _back(example_id: int, becomes_id: int | None) -> tuple[int, int | None]:
    """The edit that takes another one back."""
    if becomes_id is None:
        return example_id, example_id
    return becomes_id, None if becomes_id == example_id else example_id


def _lead(store: Store, ways: list[tuple[int, int | None]], person: str) -> Change:
    """Append the edits, move what `withdrawn` lists, and let each result come from where its start came."""
    if not ways:
        return Change(0, -1, 0)
    by, now = people.get(store, person).id, stamps.now()
    edits = []
    for start, end in ways:
        edit = store.execute(
            "INSERT INTO example_edits (uid, example_id, becomes_id, person_id, created)"
            " VALUES (?, ?, ?, ?, ?)",
            (stamps.new_uid(), start, end, by, now),
        )
        edits.append((edit, start, end))
    store.execute_many(
        "INSERT INTO withdrawn (example_id, edit_id) VALUES (?, ?)"
        " ON CONFLICT (example_id) DO UPDATE SET edit_id = excluded.edit_id",
        [(start, edit) for edit, start, end in edits if end != start],
    )
    ends = [(end,) for _, _, end in edits if end is not None]
    store.execute_many("DELETE FROM withdrawn WHERE example_id = ?", ends)
    moved = [(end, start) for _, start, end in edits if end is not None and end != start]
    for table, columns in (
        ("imports", ("source_id", "kind", "line")),
        ("label_examples", ("event_id", "kind")),
        ("example_tags", ("tag",)),
    ):
        names = ", ".join(columns)
        store.execute_many(
            f"INSERT INTO {table} ({names}, example_id) SELECT {names}, ? FROM {table}"
            " WHERE example_id = ? ON CONFLICT DO NOTHING",
            moved,
        )
    return Change(edits[0][0], edits[-1][0], len(edits))


def _which(store: Store, example_ids: Sequence[int], *, withdrawn: bool) -> list[int]:
    rows = store.query(
        f"""SELECT value AS id FROM json_each(?)
            WHERE value {"IN" if withdrawn else "NOT IN"} (SELECT example_id FROM withdrawn)""",
        (json.dumps(list(example_ids)),),
    )
    return [row["id"] for row in rows]


def _edit(row: Any) -> Edit:
    before, after = (body and from_json(json.loads(body)) for body in (row["before"], row["after"]))
    return Edit(row["id"], before, after, row["person"], row["created"])
