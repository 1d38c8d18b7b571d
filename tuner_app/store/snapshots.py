"""Snapshots: frozen lists of examples that runs train on, and the labels behind them.

A snapshot of prompts lists, for each prompt, one of the examples that answer it: the prompt is in it.

It is written part by part, its last row last, and there once it has that: what a process that died has left
of one is gone on with when the same data is frozen again.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring as _quoted
from typing import Any

from engine.errors import UserError
from engine.examples import Example, Prompt, from_json, name_of, prompt_of
from tuner_app.store import people, stamps
from tuner_app.store.database import Store
from tuner_app.store.example_tags import tagged
from tuner_app.store.rows import Snapshot, Summary
from tuner_app.store.selection import Selection

__all__ = [
    "Selection",
    "available",
    "labels_of",
    "rows",
    "runs_that_learned",
    "runs_that_saw",
    "sample",
    "select",
    "size",
    "sources",
    "take",
]

PROMPT = name_of(Prompt)
_ALL = Selection()
_PAGE = 1000


def available(store: Store, kind: str, selection: Selection = _ALL) -> Summary:
    """What the selection holds of one kind of example, or of prompts, without freezing it."""
    chosen, parameters = _chosen(store, kind, selection)
    row = store.one(
        f"""{chosen}, asked AS (SELECT question FROM examples WHERE kind = :kind AND question IS NOT NULL
              GROUP BY question HAVING min(answer) <> max(answer)),
            opposed AS (SELECT count(*) AS n FROM asked CROSS JOIN examples x USING (question)
              WHERE x.kind = :kind AND x.id IN (SELECT key FROM picked)
              GROUP BY question HAVING min(answer) <> max(answer))
            SELECT count(*) AS examples, coalesce(sum(labelled), 0) AS from_labels,
              coalesce(sum(NOT labelled), 0) AS from_imports, coalesce(sum(times - 1), 0) AS repeated,
              (SELECT coalesce(sum(n), 0) FROM opposed) AS contradictory,
              (SELECT count(*) FROM examples x WHERE :kind = 'rated' AND x.kind = 'rated' AND x.answer = 1
                 AND x.id IN (SELECT key FROM picked)) AS good FROM picked""",
        parameters,
    )
    assert row is not None
    return Summary(**row)


def select(store: Store, kind: str, selection: Selection = _ALL) -> Iterator[Example]:
    """The examples that `take` would freeze, in the same order, without keeping a snapshot."""
    picked = array("q", (row["id"] for row in _members(store, kind, selection)))
    for start in range(0, len(picked), _PAGE):  # their texts may be more than memory holds
        for row in store.query(
            "SELECT body FROM examples WHERE id IN (SELECT value FROM json_each(?)) ORDER BY hash",
            (json.dumps(list(picked[start : start + _PAGE])),),
        ):
            yield _read(kind, row["body"])


def take(store: Store, kind: str, selection: Selection = _ALL) -> Snapshot:
    """Freeze the selection's examples of one kind, each once, with the labels that gave them.

    Their order is that of their hashes and the snapshot's hash that of its content, so the same data is the
    same snapshot on every machine and new labels do not reorder old ones. A UserError when there are none.
    """
    chosen, parameters = _chosen(store, kind, selection)
    labelled = f"""{chosen} SELECT DISTINCT e.uid, e.id FROM picked JOIN occurrences USING (key)
                   JOIN label_events e ON e.id = event_id ORDER BY e.uid"""
    content = hashlib.sha256()  # `digest` of {kind, examples, labels}, without all of it in memory
    with store.read():
        content.update(b'{"examples":[')
        example_ids = _listed(_members(store, kind, selection), content)
        content.update(f'],"kind":{_quoted(kind)},"labels":['.encode())
        event_ids = _listed(store.each(labelled, parameters), content)
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
            yield _read(snapshot.kind, row["body"])


def sample(store: Store, kind: str, selection: Selection, limit: int) -> list[Example]:
    """At most `limit` of the selection's examples, to get an idea of them."""
    chosen, parameters = _chosen(store, kind, selection)
    found = store.query(
        f"""{chosen} SELECT x.body FROM (SELECT key FROM picked LIMIT :sample) JOIN occurrences USING (key)
            JOIN examples x ON x.id = example_id GROUP BY key""",
        parameters | {"sample": limit},
    )
    return [_read(kind, row["body"]) for row in found]


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
    """The id of a run's snapshot and the kind of its first example; a UserError without such a run."""
    row = store.one(
        """SELECT s.id, x.kind FROM runs r JOIN snapshots s ON s.hash = r.snapshot_hash
           JOIN snapshot_examples m ON m.snapshot_id = s.id AND m.position = 0
           JOIN examples x ON x.id = m.example_id WHERE r.name = ?""",
        (run_name,),
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


def _read(kind: str, body: str) -> Example:
    example = from_json(json.loads(body))
    return prompt_of(example) if kind == PROMPT else example


def _members(store: Store, kind: str, selection: Selection) -> Iterator[Any]:
    """(hash, id) of the examples picked, in the order of hashes; of several that answer one prompt, the one
    whose hash is least."""
    chosen, parameters = _chosen(store, kind, selection)
    return store.each(
        f"""{chosen} SELECT min(x.hash) AS hash, x.id FROM picked JOIN occurrences USING (key)
            JOIN examples x ON x.id = example_id GROUP BY key ORDER BY 1""",
        parameters,
    )


def _listed(named: Iterable[Any], content: "hashlib._Hash") -> "array[int]":
    """The ids of what comes as (name, id); the names are hashed, as JSON has a list of them."""
    ids = array("q")
    for name, id in named:
        content.update(f"{',' if ids else ''}{_quoted(name)}".encode())
        ids.append(id)
    return ids


def _chosen(store: Store, kind: str, selection: Selection) -> tuple[str, dict[str, Any]]:
    """Two tables for a query: `occurrences` (key, example_id, event_id or NULL, created), and `picked`
    (key, times, labelled), which has each key once. The key is the example's, or that of its prompt."""
    parameters: dict[str, Any] = {"kind": kind, "limit": selection.limit, "since": selection.since}
    parameters["tag"] = selection.tag
    timed = selection.limit or selection.since  # times are looked up only where they are asked for
    since = "AND t.created >= :since" if timed else ""
    created = "t.created" if timed else "NULL"
    parts = []
    if selection.has_labels:
        join = "JOIN label_events t ON t.id = h.event_id" if timed else ""
        person = ""
        if selection.person:
            parameters["person"] = people.get(store, selection.person).id
            person = "AND h.person_id = :person"
        parts.append(
            f"""SELECT le.example_id, le.event_id, {created} AS created FROM heads h
                JOIN label_examples le ON le.event_id = h.event_id {join}
                WHERE (le.kind = :kind OR :kind = '{PROMPT}') {since} {person}
                AND {_in_use("le.example_id", selection)}"""
        )
    if selection.has_imports:
        join = "JOIN examples t ON t.id = i.example_id" if timed else ""
        source = ""
        if selection.source:
            parameters["source"] = _source(store, selection.source)
            source = "AND i.source_id = :source"
        parts.append(
            f"""SELECT i.example_id, NULL AS event_id, {created} AS created FROM imports i {join}
                WHERE (i.kind = :kind OR :kind = '{PROMPT}') {since} {source}
                AND {_in_use("i.example_id", selection)}"""
        )
    found = " UNION ALL ".join(parts)
    keyed = (
        f"SELECT prompt AS key, found.* FROM ({found}) AS found JOIN example_prompts USING (example_id)"
        if kind == PROMPT
        else f"SELECT example_id AS key, found.* FROM ({found}) AS found"
    )
    newest = "ORDER BY max(created) DESC, max(example_id) DESC LIMIT :limit" if selection.limit else ""
    return (
        f"""WITH occurrences AS MATERIALIZED ({keyed}),
        picked AS MATERIALIZED (SELECT key, count(*) AS times, max(event_id IS NOT NULL) AS labelled
          FROM occurrences GROUP BY key {newest})""",
        parameters,
    )


def _in_use(example: str, selection: Selection) -> str:
    """The condition that nobody has taken an example out of use, and that it has the selection's tag."""
    in_use = f"{example} NOT IN (SELECT example_id FROM withdrawn)"
    return f"{in_use} AND {tagged(example)}" if selection.tag else in_use


def _source(store: Store, name: str) -> int:
    row = store.one("SELECT id FROM sources WHERE name = ?", (name,))
    if row is None:
        known = [
            source["name"] for source in store.query("SELECT name FROM sources ORDER BY id DESC LIMIT 20")
        ]
        raise UserError(
            f"There is no import called “{name}”.", do=f"Imports: {', '.join(known) or 'none so far'}."
        )
    return int(row["id"])


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
