"""Bases, and the adapters trained on them: who descends from whom."""

from engine.errors import UserError
from tuner_app.store import runs, stamps
from tuner_app.store.database import Store
from tuner_app.store.run_rows import AdapterRow, Base

_BASE = "id, name, source, fingerprint, created, note"
_ADAPTER = """SELECT a.id, a.name, a.base_id, a.parent_id, a.run_id, a.folder, a.hash, a.created,
    coalesce(r.method, '') AS method, (SELECT name FROM adapters WHERE id = r.reward_id) AS reward, a.note
  FROM adapters a LEFT JOIN runs r ON r.id = a.run_id"""


def add_base(store: Store, name: str, source: str, fingerprint: str = "") -> Base:
    """The base at `source` with these weights: the known one, or a new one.

    Other weights at a known source are another base, because its adapters were trained on the old ones. A
    name that is taken gets a number.
    """
    with store.write():
        same = store.one(
            f"""SELECT {_BASE} FROM bases WHERE source = :source
                AND (fingerprint = :print OR fingerprint = '' OR :print = '')
                ORDER BY removed IS NULL DESC, id DESC LIMIT 1""",
            {"source": source, "print": fingerprint},
        )
        if same is None:
            new = store.execute(
                "INSERT INTO bases (name, source, fingerprint, created) VALUES (?, ?, ?, ?)",
                (_free_name(store, name), source, fingerprint, stamps.now()),
            )
            return _base(store, new)
        store.execute("UPDATE bases SET removed = NULL WHERE id = ?", (same["id"],))
        if not same["fingerprint"] and fingerprint:
            store.execute("UPDATE bases SET fingerprint = ? WHERE id = ?", (fingerprint, same["id"]))
        return _base(store, same["id"])


def bases(store: Store) -> list[Base]:
    """Every base, oldest first."""
    rows = store.query(f"SELECT {_BASE} FROM bases WHERE removed IS NULL ORDER BY id")
    return [Base(**row) for row in rows]


def base(store: Store, name_or_source: str) -> Base | None:
    """The base with this name, or the newest with this source."""
    row = store.one(
        f"""SELECT {_BASE} FROM bases WHERE (name = :it OR source = :it) AND removed IS NULL
            ORDER BY name = :it DESC, id DESC LIMIT 1""",
        {"it": name_or_source},
    )
    return row and Base(**row)


def add_adapter(
    store: Store,
    *,
    name: str,
    base_id: int,
    run_id: int | None = None,
    parent_id: int | None = None,
    folder: str,
    hash: str,
) -> AdapterRow:
    """A new adapter; the same name and hash again give the known one, a name that is taken a UserError.

    A run that goes on after it was stopped replaces the adapter that it made by then, whatever that is
    called since.
    """
    with store.write():
        before = store.one("SELECT name FROM adapters WHERE run_id = ?", (run_id,))
        name = before["name"] if before else name
        known = adapter(store, name)
        if known and known.hash == hash:
            return known
        if not before and store.one("SELECT 1 FROM adapters WHERE name = ?", (name,)):
            raise _name_taken(name)
        store.execute(
            "INSERT INTO adapters (name, base_id, parent_id, run_id, folder, hash, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
            " folder = excluded.folder, hash = excluded.hash, created = excluded.created, removed = NULL",
            (name, base_id, parent_id, run_id, folder, hash, stamps.now()),
        )
        made = adapter(store, name)
    assert made is not None
    return made


def adapters(store: Store, base_id: int | None = None) -> list[AdapterRow]:
    """The adapters of one base or of all, oldest first."""
    rows = store.query(
        f"{_ADAPTER} WHERE (:base IS NULL OR a.base_id = :base) AND a.removed IS NULL ORDER BY a.id",
        {"base": base_id},
    )
    return [AdapterRow(**row) for row in rows]


def adapter(store: Store, name: str) -> AdapterRow | None:
    """The adapter with this name, or None."""
    row = store.one(f"{_ADAPTER} WHERE a.name = ? AND a.removed IS NULL", (name,))
    return row and AdapterRow(**row)


def made_by(store: Store, run_id: int) -> AdapterRow | None:
    """The adapter that a run has left, or None."""
    row = store.one(f"{_ADAPTER} WHERE a.run_id = ? AND a.removed IS NULL", (run_id,))
    return row and AdapterRow(**row)


def rename(store: Store, row: Base | AdapterRow, name: str) -> None:
    """Call a base or an adapter otherwise; a UserError for a name that is taken or cannot be one.

    Its files and its run stay where they are and keep their names; an adapter can be given its run's again.
    """
    with store.write():
        own = store.one(
            "SELECT name FROM runs WHERE id = ?", (row.run_id if isinstance(row, AdapterRow) else None,)
        )
        if name.lower() not in (row.name.lower(), own and own["name"].lower()):
            runs.check_name(store, name)
            if store.one("SELECT 1 FROM bases WHERE lower(name) = ?", (name.lower(),)):
                raise _name_taken(name)
        store.execute(f"UPDATE {_table(row)} SET name = ? WHERE id = ?", (name, row.id))


def annotate(store: Store, row: Base | AdapterRow, note: str) -> None:
    """Keep a person's note on a base or an adapter in place of the one before."""
    with store.write():
        store.execute(f"UPDATE {_table(row)} SET note = ? WHERE id = ?", (note, row.id))


def needed_by(store: Store, row: Base | AdapterRow) -> list[str]:
    """The names of the adapters made from a base or an adapter, and of the runs under way that use it."""
    is_base = isinstance(row, Base)
    found = store.query(
        f"""SELECT name FROM adapters WHERE {"base_id" if is_base else "parent_id"} = :id AND removed IS NULL
            UNION SELECT name FROM runs WHERE status IN ('queued', 'running', 'paused')
              AND {"base_id = :id" if is_base else "(:id IN (parent_id, reward_id) OR id = :run)"}""",
        {"id": row.id} if isinstance(row, Base) else {"id": row.id, "run": row.run_id},
    )
    return [needing["name"] for needing in found]


def check_free(store: Store, row: Base | AdapterRow) -> None:
    """Raise UserError while others need it."""
    if others := needed_by(store, row):
        need = "needs" if len(others) == 1 else "need"
        raise UserError(
            f"“{row.name}” cannot be deleted: {', '.join(others)} {need} it.",
            kept="Nothing was deleted.",
            do="Delete those first.",
        )


def remove(store: Store, row: Base | AdapterRow) -> None:
    """Take a base or an adapter out of use; a UserError while others need it. Its files are left alone."""
    with store.write():
        check_free(store, row)
        store.execute(f"UPDATE {_table(row)} SET removed = ? WHERE id = ?", (stamps.now(), row.id))


def lineage(store: Store) -> list[tuple[int, Base | AdapterRow]]:
    """Bases and adapters as a tree, parents before children: (depth, row); bases have depth 0."""
    everything = adapters(store)
    children: dict[tuple[int, int | None], list[AdapterRow]] = {}
    for row in everything:
        children.setdefault((row.base_id, row.parent_id), []).append(row)
    tree: list[tuple[int, Base | AdapterRow]] = []
    for root in bases(store):
        tree.append((0, root))
        below = [(1, row) for row in reversed(children.get((root.id, None), []))]
        while below:
            depth, row = below.pop()
            tree.append((depth, row))
            below += [(depth + 1, child) for child in reversed(children.get((root.id, row.id), []))]
    return tree


def _base(store: Store, base_id: int) -> Base:
    row = store.one(f"SELECT {_BASE} FROM bases WHERE id = ?", (base_id,))
    assert row is not None
    return Base(**row)


def _table(row: Base | AdapterRow) -> str:
    return "bases" if isinstance(row, Base) else "adapters"


def _name_taken(name: str) -> UserError:
    return UserError(
        f"There is a model called “{name}” already.", kept="It is unchanged.", do="Choose another name."
    )


def _free_name(store: Store, name: str) -> str:
    taken = {row["name"] for row in store.query("SELECT name FROM bases")}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
