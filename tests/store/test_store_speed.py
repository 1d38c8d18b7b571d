"""The queries behind lists and keys use indexes: none of them reads a table from end to end."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tuner_app.store import Store, chats, examples, labels, new_uid, runs, snapshots
from tuner_app.store.rows import Item

HASH = "f" * 64
BIG = {
    "label_events",
    "e",
    "examples",
    "x",
    "items",
    "i",
    "heads",
    "h",
    "run_events",
    "messages",
    "conversations",
    "batch_prompts",
    "b",
}


def scans(store: Store, work: Callable[[], Any]) -> list[str]:
    """The steps of the query plans of all that `work` asks which read a big table or index whole."""
    asked: list[str] = []
    store.db.set_trace_callback(asked.append)
    work()
    store.db.set_trace_callback(None)
    selects = [sql for sql in asked if sql.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert selects
    plans = [row["detail"] for sql in selects for row in store.query(f"EXPLAIN QUERY PLAN {sql}")]
    return [step for step in plans if step.split()[0] == "SCAN" and step.split()[1] in BIG]


@pytest.mark.parametrize(
    "work",
    [
        lambda store: labels.heads(store, [HASH]),
        lambda store: labels.history(store, HASH),
        lambda store: labels.undo_last(store, uid="1"),
        lambda store: labels.on_messages(store, [1, 2]),
        lambda store: examples.listed(store, "pair"),
        lambda store: runs.events(store, 1, after=5),
        lambda store: runs.events(store, after=5),
        lambda store: chats.conversations(store),
        lambda store: chats.path(store, 1),
        lambda store: chats.answers(store, 1),
        lambda store: snapshots.runs_that_saw(store, "1"),
    ],
)
def test_no_scan(store: Store, work: Callable[[Store], Any]) -> None:
    assert scans(store, lambda: work(store)) == []


def test_prompts_are_counted_without_reading_what_examples_say(store: Store) -> None:
    asked: list[str] = []
    store.db.set_trace_callback(asked.append)
    snapshots.available(store, "prompt")
    store.db.set_trace_callback(None)
    (sql,) = asked
    plan = [row["detail"] for row in store.query(f"EXPLAIN QUERY PLAN {sql}")]
    texts = [step for step in plan if re.match("(SCAN|SEARCH) (examples|x|t) ", step)]
    assert texts
    assert all("USING COVERING INDEX" in step for step in texts), plan


def test_labelling_scans_nothing(store: Store, pair: Callable[..., Item]) -> None:
    def label() -> None:
        labels.record(store, pair().hash, "choose", value={"reply": 0}, uid=new_uid())
        labels.undo(store, pair().hash, uid=new_uid())

    assert scans(store, label) == []


def test_a_scan_would_be_seen(store: Store) -> None:
    assert scans(store, lambda: store.query("SELECT * FROM label_events e WHERE value = 'x'")) != []
