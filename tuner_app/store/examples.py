"""Examples, each kept once under the SHA-256 of its canonical JSON, and the imports that brought them.

An example is in use while an import or a label that stands has it, and nobody has edited it into another or
removed it: what an undone label gave, or an edit replaced, stays stored, because a snapshot may hold it, but
counts no more.
"""

import hashlib
import json
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import IO, Any, Literal

from engine.errors import UserError
from engine.examples import Example, canonical, from_json, kind_of, to_json
from tuner_app.store import stamps
from tuner_app.store.database import Store
from tuner_app.store.keys import judged, prompt_key
from tuner_app.store.rows import Added, ExampleRow, Source

PAGE = 1000  # examples whose texts are held at once
_BATCH = 2000
_INSERT = (
    "INSERT INTO examples (hash, kind, question, answer, body, created) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (hash) DO NOTHING"
)
_ASKS = (
    "INSERT INTO example_prompts (example_id, prompt) SELECT id, ? FROM examples WHERE hash = ?"
    " ON CONFLICT DO NOTHING"
)
# What an import has brought, in the order in which `imports` keeps it.
_BROUGHT = (
    "CREATE TEMP TABLE brought (kind TEXT, id INTEGER, line INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID"
)
# Conditions on an example `x`: that something has brought it, and that it is in use as well.
BROUGHT = """(EXISTS (SELECT 1 FROM imports i WHERE i.example_id = x.id)
   OR EXISTS (SELECT 1 FROM label_examples le JOIN heads h ON h.event_id = le.event_id
              WHERE le.example_id = x.id))"""
IN_USE = f"{BROUGHT} AND x.id NOT IN (SELECT example_id FROM withdrawn)"


def add(
    store: Store,
    items: Iterable[tuple[Example, int]],
    *,
    source: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Added:
    """Keep examples with their line numbers as brought by the import `source`: all of them, or none. Not
    inside a `write` block, since it makes transactions of its own.

    `items` may be long and slow: it is read to its end, into a temporary file, before the database is
    locked, so that nobody's label has to wait for it. Then the examples are kept part by part, which is
    nothing yet: an example counts once an import has brought it, and that is one transaction at the end.
    `progress` is told how many are done, of how many (0 while they are read); what it raises ends the import.
    """
    with tempfile.TemporaryFile() as spool:
        try:
            total = _spool(spool, items, progress)
        except OSError as error:
            raise UserError(
                f"There is no room for the import in {tempfile.gettempdir()}: {error.strerror}.",
                kept="Nothing was imported.",
                do="Free some space, or point TMPDIR at another folder, and import again.",
            ) from error
        if not total:
            return Added(0, 0)
        new = done = 0
        store.db.execute(_BROUGHT)
        try:
            for batch in _unspool(spool):
                with store.write():
                    new += _keep(store, batch)
                done += len(batch)
                progress(done, total)
                store.rest()
            with store.write_unchecked():
                source_id = _source(store, source)
                store.execute(
                    "INSERT INTO imports (source_id, kind, example_id, line)"
                    " SELECT ?, kind, id, line FROM temp.brought WHERE true ON CONFLICT DO NOTHING",
                    (source_id,),
                )
                follow_edits(store, "imports", source_id)
        finally:
            store.db.execute("DROP TABLE temp.brought")
    return Added(new, total - new)


def bring(store: Store, example: Example, line: int, *, source: str) -> int:
    """Keep one example inside a `write` block, as brought by `source`; its id."""
    id, source_id = insert(store, example), _source(store, source)
    store.execute(
        "INSERT INTO imports (source_id, kind, example_id, line) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (source_id, kind_of(example), id, line),
    )
    follow_edits(store, "imports", source_id)
    return id


def insert(store: Store, example: Example) -> int:
    """Keep one example inside a `write` block; its id, whether it was there before or not."""
    values, prompt = _prepared(example)
    store.execute(_INSERT, (*values, stamps.now()))
    store.execute(_ASKS, (prompt, values[0]))
    row = store.one("SELECT id FROM examples WHERE hash = ?", (values[0],))
    assert row is not None
    return int(row["id"])


def follow_edits(store: Store, table: Literal["imports", "label_examples"], owner: int) -> None:
    """Inside a `write` block: what a source or a label (`owner`) brings again after a person has edited it
    stands for what it was edited into."""
    who, columns = {"imports": ("source_id", "kind, line"), "label_examples": ("event_id", "kind")}[table]
    store.execute(
        f"""WITH RECURSIVE now({columns}, id) AS (
              SELECT {columns}, example_id FROM {table}
                WHERE {who} = :owner AND example_id IN (SELECT example_id FROM withdrawn)
              UNION SELECT {columns}, d.becomes_id FROM now JOIN withdrawn w ON w.example_id = now.id
                JOIN example_edits d ON d.id = w.edit_id WHERE d.becomes_id IS NOT NULL)
            INSERT INTO {table} ({who}, {columns}, example_id) SELECT :owner, {columns}, id FROM now
            WHERE true ON CONFLICT DO NOTHING""",
        {"owner": owner},
    )


def get(store: Store, hash: str) -> Example:
    """The example with this hash; a UserError where there is none."""
    row = store.one("SELECT body FROM examples WHERE hash = ?", (hash,))
    if row is None:
        raise UserError(f"There is no example {hash}.")
    return from_json(json.loads(row["body"]))


def with_ids(store: Store, ids: Sequence[int]) -> list[Example]:
    """The examples with these ids, in their order."""
    rows = store.query(
        "SELECT x.body FROM json_each(?) j JOIN examples x ON x.id = j.value ORDER BY j.key",
        (json.dumps(list(ids)),),
    )
    return [from_json(json.loads(row["body"])) for row in rows]


def count(store: Store, kind: str | None = None) -> dict[str, int]:
    """How many examples are in use, by kind."""
    rows = store.query(
        f"SELECT kind, count(*) AS n FROM examples x WHERE (:kind IS NULL OR kind = :kind) AND {IN_USE}"
        " GROUP BY kind ORDER BY kind",
        {"kind": kind},
    )
    return {row["kind"]: row["n"] for row in rows}


def listed(
    store: Store, kind: str, *, limit: int = 100, offset: int = 0, search: str = ""
) -> list[ExampleRow]:
    """Examples of a kind that are in use, the newest first; `search` keeps those whose text holds it."""
    escaped = canonical(search)[1:-1]  # as the stored JSON has it
    found = "AND instr(lower(x.body), lower(:search))" if search else ""
    rows = store.query(
        f"""SELECT page.hash, page.kind, page.body, page.created, s.name AS source, i.line
            FROM (SELECT * FROM examples x WHERE x.kind = :kind AND {IN_USE} {found}
                  ORDER BY x.id DESC LIMIT :limit OFFSET :offset) page
            LEFT JOIN imports i ON i.example_id = page.id
                 AND i.source_id = (SELECT min(source_id) FROM imports WHERE example_id = page.id)
            LEFT JOIN sources s ON s.id = i.source_id ORDER BY page.id DESC""",
        {"kind": kind, "limit": limit, "offset": offset, "search": escaped},
    )
    return [_row(row) for row in rows]


def sources(store: Store) -> list[Source]:
    """What imports have brought, one row per source and kind, the newest source first."""
    rows = store.query(
        """SELECT s.name, i.kind, count(*) AS rows, s.created AS added
           FROM sources s JOIN imports i ON i.source_id = s.id
           GROUP BY s.id, i.kind ORDER BY s.id DESC, i.kind"""
    )
    return [Source(**row) for row in rows]


def _prepared(example: Example) -> tuple[tuple[str, str, int | None, int | None, str], int]:
    """What is kept of an example, and the key of its prompt."""
    body = canonical(to_json(example))
    hash = hashlib.sha256(body.encode()).hexdigest()
    return (hash, kind_of(example), *judged(example), body), prompt_key(example)


def _spool(
    spool: IO[bytes], items: Iterable[tuple[Example, int]], progress: Callable[[int, int], None]
) -> int:
    prepared = ((*_prepared(example), line) for example, line in items)
    total = 0
    while batch := list(islice(prepared, _BATCH)):
        pickle.dump(batch, spool)
        total += len(batch)
        progress(total, 0)
    spool.seek(0)
    return total


def _unspool(spool: IO[bytes]) -> Iterator[list[tuple[Any, ...]]]:
    while True:
        try:
            yield pickle.load(spool)
        except EOFError:
            return


def _source(store: Store, name: str) -> int:
    store.execute(
        "INSERT INTO sources (name, created) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        (name, stamps.now()),
    )
    row = store.one("SELECT id FROM sources WHERE name = ?", (name,))
    assert row is not None
    return int(row["id"])


def _keep(store: Store, batch: list[tuple[Any, ...]]) -> int:
    """Keep a batch, and note that it was brought; how many examples were not there before."""
    now = stamps.now()
    new = store.execute_many(_INSERT, [(*values, now) for values, _, _ in batch])
    store.execute_many(_ASKS, [(prompt, values[0]) for values, prompt, _ in batch])
    store.execute(
        """INSERT INTO temp.brought (kind, id, line)
           SELECT x.kind, x.id, h.value ->> 1 FROM json_each(?) h JOIN examples x ON x.hash = h.value ->> 0
           WHERE true ON CONFLICT DO NOTHING""",
        (json.dumps([(values[0], line) for values, _, line in batch]),),
    )
    return new


def _row(row: Any) -> ExampleRow:
    example = from_json(json.loads(row["body"]))
    return ExampleRow(row["hash"], row["kind"], example, row["source"] or "", row["line"], row["created"])
