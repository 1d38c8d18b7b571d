"""Examples that say the same as another one, in one of four senses."""

import re
from typing import Any, Literal

from tuner_app.store import sqlite
from tuner_app.store.database import Store

Repeats = Literal["exact", "near", "prompt", "opposed"]
REPEATS: dict[Repeats, str] = {
    "exact": "brought more than once",
    "near": "the same but for case, spaces and punctuation",
    "prompt": "other answers to the same prompt",
    "opposed": "the opposite of another",
}
# The signs of prose alone: 1 + 1 is not 1 - 1.
_BETWEEN = " \t\r\n.,;:!?'\"()"
_NOT_SAID = re.compile(r"\\n|[\s.,;:!?'\"()…“”‘’«»、。，！？；：（）]+")
_KEYS: dict[Repeats, str] = {
    "exact": "x.id",
    "near": "said_alike(x.body)",
    "prompt": "(SELECT prompt FROM example_prompts p WHERE p.example_id = x.id)",
    "opposed": "x.question",
}
_ENOUGH: dict[Repeats, str] = {
    "exact": "sum(times) > 1",
    "near": "count(*) > 1",
    "prompt": "count(*) > 1",
    "opposed": "min(answer) <> max(answer)",
}
_TIMES = """(SELECT count(*) FROM imports m WHERE m.example_id = x.id)
  + (SELECT count(*) FROM label_examples le JOIN heads h ON h.event_id = le.event_id
     WHERE le.example_id = x.id)"""


def grouped(store: Store, sense: Repeats, conditions: str, parameters: dict[str, Any]) -> list[Any]:
    """(id, number) of the examples `x` that meet `conditions` and repeat one another: those of one number
    belong together, the oldest first; the group with the newest example comes first."""
    if sense == "near":
        store.db.create_function("said_alike", 1, _said_alike, deterministic=True)
    times = _TIMES if sense == "exact" else "1"
    with sqlite.translated(store.path):
        store.db.execute("DROP TABLE IF EXISTS temp.keyed")
        # A table, and not a part of the query below, which would sort with the texts at hand.
        store.db.execute(
            "CREATE TEMP TABLE keyed (id INTEGER PRIMARY KEY, key INTEGER, answer INTEGER, times INTEGER)"
        )
        store.db.execute(
            f"""INSERT INTO temp.keyed SELECT x.id, {_KEYS[sense]}, x.answer, {times} FROM examples x
                WHERE {conditions}""",
            parameters,
        )
    return store.query(
        f"""SELECT k.id, dense_rank() OVER (ORDER BY newest DESC) AS number
            FROM temp.keyed k JOIN (SELECT key, max(id) AS newest FROM temp.keyed WHERE key IS NOT NULL
              GROUP BY key HAVING {_ENOUGH[sense]}) USING (key) ORDER BY newest DESC, k.id"""
    )


def _said_alike(body: str) -> int:
    """A hash, good for this process, of an example's JSON in one case, without spaces and punctuation."""
    if not body.isascii():
        body = _NOT_SAID.sub("", body.casefold())
    said = body.lower().encode("utf-8", "surrogatepass")
    return hash(said.replace(b"\\n", b"").translate(None, _BETWEEN.encode()))
