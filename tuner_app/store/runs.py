"""Runs: what they were asked to do, what they report, and the requests that they obey."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from engine.errors import UserError
from engine.examples import canonical
from tuner_app.store import stamps
from tuner_app.store.database import Store
from tuner_app.store.run_rows import Request, Run, RunEvent, RunStatus

_RUN = (
    "id, uid, name, method, spec, base_id, parent_id, reward_id, snapshot_hash, status, request, pid, error,"
    " versions, created, started, ended,"
    " coalesce((SELECT a.name FROM adapters a WHERE a.id = runs.parent_id),"
    " (SELECT b.name FROM bases b WHERE b.id = runs.base_id)) AS source,"
    " coalesce((SELECT a.name FROM adapters a WHERE a.run_id = runs.id), '') AS adapter"
)
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = "base"  # what the base alone is called where an adapter's name may stand
_OVER = ("stopped", "done", "failed")


def create(
    store: Store,
    *,
    name: str | None = None,
    spec: Mapping[str, Any],
    base_id: int,
    parent_id: int | None = None,
    reward_id: int | None = None,
    snapshot_hash: str,
) -> Run:
    """A new run, queued; `spec` is `Spec.to_json()`, `reward_id` the reward model that leads it.

    Without a name it is called `method-1`, `method-2`, …; a UserError for a name that is taken or that
    cannot be a folder's.
    """
    with store.write():
        name = name or _next_name(store, spec["method"])
        check_name(store, name)
        values = (stamps.new_uid(), name, spec["method"], canonical(dict(spec)))
        store.execute(
            "INSERT INTO runs (uid, name, method, spec, base_id, parent_id, reward_id, snapshot_hash,"
            " created, status, request, error, versions)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', '', '', '{}')",
            (*values, base_id, parent_id, reward_id, snapshot_hash, stamps.now()),
        )
        made = get(store, name)
    assert made is not None
    return made


def get(store: Store, name: str) -> Run | None:
    """The run with this name, or whose model is called so now; None where there is neither."""
    row = store.one(
        f"SELECT {_RUN} FROM runs WHERE name = :it"
        " OR id = (SELECT a.run_id FROM adapters a WHERE a.name = :it)",
        {"it": name},
    )
    return row and _run(row)


def listed(store: Store, limit: int = 100) -> list[Run]:
    """The runs, newest first."""
    return [_run(row) for row in store.query(f"SELECT {_RUN} FROM runs ORDER BY id DESC LIMIT ?", (limit,))]


def emit(store: Store, run_id: int, kind: str, data: Mapping[str, Any]) -> int:
    """Append something that a run reports; the event's id."""
    with store.write():
        return store.execute(
            "INSERT INTO run_events (run_id, kind, data, created) VALUES (?, ?, ?, ?)",
            (run_id, kind, canonical(_finite(dict(data))), stamps.now()),
        )


def events(
    store: Store,
    run_id: int | None = None,
    *,
    after: int = 0,
    kinds: Iterable[str] | None = None,
    limit: int = 1000,
) -> list[RunEvent]:
    """The next events, of one run or of all, after the one with the id `after`, oldest first."""
    rows = store.query(
        f"""SELECT id, run_id, kind, data, created FROM run_events WHERE id > :after
            {"" if run_id is None else "AND run_id = :run"}
            {"" if kinds is None else "AND kind IN (SELECT value FROM json_each(:kinds))"}
            ORDER BY id LIMIT :limit""",
        {"after": after, "run": run_id, "kinds": canonical(list(kinds or ())), "limit": limit},
    )
    return [RunEvent(**{**row, "data": json.loads(row["data"])}) for row in rows]


def last_event(store: Store) -> int:
    """The id of the latest event of any run; 0 before the first."""
    row = store.one("SELECT max(id) AS id FROM run_events")
    return int(row["id"] or 0) if row else 0


def last_step(store: Store, run_id: int) -> Mapping[str, Any]:
    """The data of a run's latest `step` event; empty before the first."""
    row = store.one(
        "SELECT data FROM run_events WHERE run_id = ? AND kind = 'step' ORDER BY id DESC LIMIT 1", (run_id,)
    )
    return json.loads(row["data"]) if row else {}


def set_status(
    store: Store,
    run_id: int,
    status: RunStatus,
    *,
    pid: int | None = None,
    error: str = "",
    versions: Mapping[str, str] | None = None,
) -> None:
    """Say where a run stands.

    `pid` is that of the process at work (None: nobody is); `versions` of packages stay as they were when
    None. The end is set when it is over.
    """
    with store.write():
        store.execute(
            """UPDATE runs SET status = :status, pid = :pid, error = :error,
                 versions = coalesce(:versions, versions),
                 ended = :ended
               WHERE id = :run""",
            {
                "run": run_id,
                "status": status,
                "pid": pid,
                "error": error,
                "versions": None if versions is None else canonical(dict(versions)),
                "ended": stamps.now() if status in _OVER else None,
            },
        )


def begin(store: Store, run_id: int) -> None:
    """Say that a run has its turn and trains now; its first time is kept."""
    with store.write():
        store.execute("UPDATE runs SET started = coalesce(started, ?) WHERE id = ?", (stamps.now(), run_id))


def request(store: Store, run_id: int, wish: Request) -> None:
    """Ask a run to stop or to pause; "" takes it back."""
    with store.write():
        store.execute("UPDATE runs SET request = ? WHERE id = ?", (wish, run_id))


def requested(store: Store, run_id: int) -> Request:
    """What a run was asked to do; "" for nothing."""
    row = store.one("SELECT request FROM runs WHERE id = ?", (run_id,))
    wish: Request = row["request"] if row else ""
    return wish


def _next_name(store: Store, method: str) -> str:
    taken = {
        row["name"].lower() for row in store.query("SELECT name FROM runs UNION SELECT name FROM adapters")
    }
    number = 1
    while f"{method}-{number}" in taken:
        number += 1
    return f"{method}-{number}"


def check_name(store: Store, name: str) -> None:
    """Raise UserError unless a new run can be called `name`."""
    if not _SAFE_NAME.fullmatch(name) or name.lower() == _RESERVED:
        raise UserError(
            f"{name!r} cannot be a run's name.",
            kept="Nothing was started.",
            do="Use 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or a digit"
            f" (“{_RESERVED}” stands for the model without an adapter).",
        )
    query = "SELECT 1 FROM (SELECT name FROM runs UNION SELECT name FROM adapters) WHERE lower(name) = ?"
    if store.one(query, (name.lower(),)):
        raise UserError(
            f"There is a run or an adapter called “{name}” already.",
            kept="It is unchanged.",
            do="Choose another name.",
        )


def _finite(data: Any) -> Any:
    """`data` with numbers that JSON does not know as text: a loss may be NaN, and must be seen to be."""
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return str(data)
    if isinstance(data, Mapping):
        return {name: _finite(part) for name, part in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(part) for part in data]
    return data


def _run(row: Any) -> Run:
    return Run(**{**row, "spec": json.loads(row["spec"]), "versions": json.loads(row["versions"])})
