"""Snapshots: frozen lists of examples that runs train on, and the labels behind them.

A snapshot of prompts lists, for each prompt, one of the examples that answer it: the prompt is in it.

It is written part by part, its last row last, and there once it has that: what a process that died has left
of one is gone on with when the same data is frozen again.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring as _quoted

from engine.errors import UserError
from engine.examples import Example
from tuner_app.store import picking, runs, stamps
from tuner_app.store.database import Store
from tuner_app.store.run_rows import Snapshot
from tuner_app.store.selection import Selection

_ALL = Selection()
_PAGE = 1000


def take(store: Store, kind: str, selection: Selection = _ALL) -> Snapshot:
    """Freeze the selection's examples of one kind, each once, with the labels that gave them.

    Their order is that of their hashes and the snapshot's hash that of its content, so the same data is the
    same snapshot on every machine and new labels do not reorder old ones. A UserError when there are none.
    """
    content = hashlib.sha256()  # `digest` of {kind, examples, labels}, without all of it in memory
    with store.read():
        content.update(b'{"examples":[')
        example_ids = _listed(picking.members(store, kind, selection), content)
        content.update(f'],"kind":{_quoted(kind)},"labels":['.encode())
        event_ids = _listed(picking.labels_behind(store, kind, selection), content)
        content.update(b"]}")
    if not example_ids:
        raise UserError(
            f"There is no {kind} to train on in this selection.",
            kept="Nothing was changed.",
            do="Label some answers, import a file, or choose a wider selection.",
        )
    hash = content.hexdigest()
    return _find(store, hash) or _freeze(store, hash, kind, example_ids, event_ids)


def rows(store: Store, snapshot_hash: str) -> Iterator[Example]:
    """The examples of a snapshot, in its order; a UserError where there is no such snapshot."""
    snapshot = _find(store, snapshot_hash)
    if snapshot is None:
        raise UserError(f"There is no snapshot {snapshot_hash}.")
    for start in range(0, snapshot.rows, _PAGE):
        page = store.query(
            """SELECT x.body FROM snapshots s JOIN snapshot_examples se ON se.snapshot_id = s.id
               JOIN examples x ON x.id = se.example_id
               WHERE s.hash = ? AND se.position >= ? AND se.position < ? ORDER BY se.position""",
            (snapshot_hash, start, start + _PAGE),
        )
        for row in page:
            yield picking.read(snapshot.kind, row["body"])


def sources(store: Store) -> list[str]:
    """The names of the imports, the newest first."""
    return [row["name"] for row in store.query("SELECT name FROM sources ORDER BY id DESC")]


def size(store: Store, snapshot_hash: str) -> int:
    """How many rows a snapshot has; 0 where there is none."""
    snapshot = _find(store, snapshot_hash)
    return snapshot.rows if snapshot else 0


def labels_of(store: Store, run_name: str) -> list[str]:
    """The uids of the labels that made a run's model, those of the adapters that it went on from and of the
    reward models that led it included."""
    found = store.query(
        """WITH RECURSIVE ancestry(run_id) AS (
             SELECT id FROM runs WHERE name = ?
             UNION SELECT a.run_id FROM ancestry JOIN runs r ON r.id = ancestry.run_id
                   JOIN adapters a ON a.id IN (r.parent_id, r.reward_id) WHERE a.run_id IS NOT NULL)
           SELECT DISTINCT e.uid, e.created FROM ancestry JOIN runs r ON r.id = ancestry.run_id
           JOIN snapshots s ON s.hash = r.snapshot_hash
           JOIN snapshot_labels sl ON sl.snapshot_id = s.id JOIN label_events e ON e.id = sl.event_id
           ORDER BY e.created, e.uid""",
        (run_name,),
    )
    return [row["uid"] for row in found]


def runs_that_saw(store: Store, label_uid: str) -> list[str]:
    """The names of the runs that learned from a label, those that went on from their adapters or were led by
    their reward models included."""
    seen = "label_events e JOIN snapshot_labels m ON m.event_id = e.id"
    return _descent(store, f"{seen} JOIN snapshots s ON s.id = m.snapshot_id WHERE e.uid = ?", label_uid)


def runs_that_learned(store: Store, example_id: int) -> list[str]:
    """The names of the runs that learned from an example, and of those that `runs_that_saw` would add."""
    seen = "snapshot_examples m JOIN snapshots s ON s.id = m.snapshot_id WHERE m.example_id = ?"
    return _descent(store, seen, example_id)


def of_run(store: Store, run_name: str) -> tuple[int, str]:
    """The id of a run's snapshot and the kind of its first example; a UserError without such a run (whose
    name is as for `runs.get`)."""
    run = runs.get(store, run_name)
    row = store.one(
        """SELECT s.id, x.kind FROM runs r JOIN snapshots s ON s.hash = r.snapshot_hash
           JOIN snapshot_examples m ON m.snapshot_id = s.id AND m.position = 0
           JOIN examples x ON x.id = m.example_id WHERE r.id = ?""",
        (run and run.id,),
    )
    if row is None:
        raise UserError(f"There is no run “{run_name}”.", do="Ctrl+R lists the runs.")
    return row["id"], row["kind"]


def _descent(store: Store, snapshots: str, key: object) -> list[str]:
    """The names of the runs on some snapshots (s), and of all that come of their adapters."""
    found = store.query(
        f"""WITH RECURSIVE descent(run_id) AS (
             SELECT r.id FROM (SELECT s.hash FROM {snapshots}) seen JOIN runs r ON r.snapshot_hash = seen.hash
             UNION SELECT r.id FROM descent JOIN adapters a ON a.run_id = descent.run_id
                   JOIN runs r ON r.parent_id = a.id OR r.reward_id = a.id)
           SELECT name FROM runs WHERE id IN (SELECT run_id FROM descent) ORDER BY id""",
        (key,),
    )
    return [row["name"] for row in found]


def _listed(named: Iterable[tuple[str, int]], content: "hashlib._Hash") -> "array[int]":
    """The ids of what comes as (name, id); the names are hashed, as JSON has a list of them."""
    ids = array("q")
    for name, id in named:
        content.update(f"{',' if ids else ''}{_quoted(name)}".encode())
        ids.append(id)
    return ids


def _find(store: Store, hash: str) -> Snapshot | None:
    row = store.one(
        """SELECT hash, kind, rows, created FROM snapshots s WHERE hash = ? AND EXISTS
             (SELECT 1 FROM snapshot_examples WHERE snapshot_id = s.id AND position = s.rows - 1)""",
        (hash,),
    )
    return row and Snapshot(**row)


def _freeze(
    store: Store, hash: str, kind: str, example_ids: Sequence[int], event_ids: Sequence[int]
) -> Snapshot:
    with store.write():
        store.execute(
            "INSERT INTO snapshots (hash, kind, rows, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (hash, kind, len(example_ids), stamps.now()),
        )
    begun = store.one("SELECT id FROM snapshots WHERE hash = ?", (hash,))
    assert begun
    store.execute_in_parts(
        "INSERT INTO snapshot_labels (snapshot_id, event_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
        ((begun["id"], event) for event in event_ids),
    )
    store.execute_in_parts(
        "INSERT INTO snapshot_examples (snapshot_id, position, example_id) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        ((begun["id"], position, example) for position, example in enumerate(example_ids)),
    )
    whole = _find(store, hash)
    assert whole
    return whole
