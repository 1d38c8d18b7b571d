"""Which stored examples can stand before a conversation."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.examples import Demonstration, Message, canonical, from_json
from tuner_app.store import table
from tuner_app.store.database import Store
from tuner_app.store.table import Filter


@dataclass(frozen=True)
class Shot:
    """A demonstration that can be shown to a model: its `hash`, and its turns without a system prompt."""

    hash: str
    turns: tuple[Message, ...]


def offered(
    store: Store,
    wanted: Filter,
    *,
    first: tuple[str, ...] = (),
    limit: int = 200,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Shot]:
    """The demonstrations `first`, then others that a filter finds, the newest first; `limit` in all.

    Those that use tools are left out: a chat offers none. Looking through a million examples takes seconds:
    `should_stop` is asked between its pieces.
    """
    chosen = {shot.hash: shot for shot in _read(store, "hash", list(first))}
    shots = [chosen[hash] for hash in first if hash in chosen]
    for piece in table.find(store, wanted):
        shots += [shot for shot in _read(store, "id", list(piece.ids[:limit])) if shot.hash not in first]
        if should_stop() or len(shots) >= limit:
            break
    return shots[:limit]


def _read(store: Store, column: str, values: list[Any]) -> list[Shot]:
    rows = store.query(
        f"""SELECT hash, body FROM examples WHERE {column} IN (SELECT value FROM json_each(?))
            ORDER BY id DESC""",
        (canonical(values),),
    )
    shots = []
    for row in rows:
        example = from_json(json.loads(row["body"]))
        if isinstance(example, Demonstration) and not example.tools:
            turns = tuple(turn for turn in example.messages if turn.role != "system")
            if all(turn.role in ("user", "assistant") for turn in turns):
                shots.append(Shot(row["hash"], turns))
    return shots
