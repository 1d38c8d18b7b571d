"""Bases, and the adapters trained on them: who descends from whom."""

from engine.errors import UserError
from tuner_app.store import stamps
from tuner_app.store.database import Store
from tuner_app.store.rows import AdapterRow, Base

_BASE = "id, name, source, fingerprint, created"
_ADAPTER = """SELECT a.id, a.name, a.base_id, a.parent_id, a.run_id, a.folder, a.hash, a.created,
    coalesce(r.method, '') AS method, (SELECT name FROM adapters WHERE id = r.reward_id) AS reward
  FROM adapters a LEFT JOIN runs r ON r.id = a.run_id"""


def add_base(store: Store, name: str, source: str, fingerprint: str = "") -> Base:
    """The base at `source` with these weights: the known one, or a new one.

    Other weights at a known source are another base, because its adapters were trained on the old ones. A
    name that is taken gets a number.
    """
    with store.write():
        same = store.one(
            f"""SELECT {_BASE} FROM bases WHERE source = :source
                AND (fingerprint = :print OR fingerprint = '' OR :print = '') ORDER BY id DESC LIMIT 1""",
            {"source": source, "print": fingerprint},
        )
        if same is None:
            new = store.execute(
                "INSERT INTO bases (name, source, fingerprint, created) VALUES (?, ?, ?, ?)",
                (_free_name(store, name), source, fingerprint, stamps.now()),
            )
            return _base(store, new)
        if not same["fingerprint"] and fingerprint:
            store.execute("UPDATE bases SET fingerprint = ? WHERE id = ?", (fingerprint, same["id"]))
        return _base(store, same["id"])


def bases(store: Store) -> list[Base]:
    """Every base, oldest first."""
    return [Base(**row) for row in store.query(f"SELECT {_BASE} FROM bases ORDER BY id")]


def base(store: Store, name_or_source: str) -> Base | None:
    """The base with this name, or the newest with this source."""
    row = store.one(
        f"""SELECT {_BASE} FROM bases WHERE name = :it OR source = :it
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

    A run that goes on after it was stopped replaces the adapter that it made by then.
    """
    with store.write():
        known = adapter(store, name)
        if known and known.hash == hash:
            return known
        if known and (run_id is None or known.run_id != run_id):
            raise UserError(
                f"There is an adapter called “{known.name}” already.",
                kept="It is unchanged.",
                do="Choose another name.",
            )
        store.execute(
            "INSERT INTO adapters (name, base_id, parent_id, run_id, folder, hash, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
            " folder = excluded.folder, hash = excluded.hash, created = excluded.created",
            (name, base_id, parent_id, run_id, folder, hash, stamps.now()),
        )
        made = adapter(store, name)
    assert made is not None
    return made


def adapters(store: Store, base_id: int | None = None) -> list[AdapterRow]:
    """The adapters of one base or of all, oldest first."""
    rows = store.query(
        f"{_ADAPTER} WHERE :base IS NULL OR a.base_id = :base ORDER BY a.id",
        {"base": base_id},
    )
    return [AdapterRow(**row) for row in rows]


def adapter(store: Store, name: str) -> AdapterRow | None:
    """The adapter with this name, or None."""
    row = store.one(f"{_ADAPTER} WHERE a.name = ?", (name,))
    return row and AdapterRow(**row)


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


def _free_name(store: Store, name: str) -> str:
    taken = {row["name"] for row in store.query("SELECT name FROM bases")}
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
