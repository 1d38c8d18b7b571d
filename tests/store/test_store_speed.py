"""The queries behind lists and keys use indexes: none of them reads a table from end to end."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.examples import Message
from tuner_app.store import (
    Store,
    batches,
    chats,
    examples,
    gold,
    labels,
    members,
    new_uid,
    picking,
    runs,
    sessions,
    sharing,
    snapshots,
)
from tuner_app.store.rows import Asked, Item

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
    "slots",
    "s",
    "leases",
    "l",
    "work",
    "w",
    "cursors",
    "sessions",
    "links",
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
    picking.available(store, "prompt")
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


def test_sharing_out_scans_nothing(store: Store, pair: Callable[..., Item]) -> None:
    members.add(store, "ann")
    asked = [Asked(pair(number).prompt, pair(number).replies) for number in (1, 2, 3)]
    asked = [Asked((*one.prompt, Message("user", str(at))), one.replies) for at, one in enumerate(asked)]
    batch = batches.make(store, asked, name="a", kind="pair", uid="a")
    sharing.configure(store, batch.id, shared=True, gold_rate=0.5)
    gold.set_answer(store, batch.id, 2, "tie")

    def share() -> None:
        tasks = sharing.take(store, "ann")
        first, second, *_ = [
            sharing.Given(new_uid(), batch.id, task.item.hash, "tie", tags=("a",), comment="b")
            for task in tasks
        ]
        sharing.give_all(store, "ann", [first, second])
        undo = replace(first, uid="undo", verb="undo", undoes=first.uid, tags=(), comment="")
        sharing.give(store, "ann", undo)
        sharing.release(store, "ann", batch.id, tasks[0].position)
        sharing.offers(store, "ann")
        sharing.today(store, "ann")

    assert scans(store, share) == []
    # What a trigger does is in no plan of its own; each reaches its rows by these.
    for sql in (
        "UPDATE slots SET room = 0 WHERE item_id = 1",
        "DELETE FROM leases WHERE person_id = 1 AND (batch_id, position) IN (SELECT batch_id, position FROM"
        " slots WHERE item_id = 1)",
        "UPDATE cursors SET next = 0 WHERE batch_id = 1 AND next > 1",
        "SELECT created FROM label_events before WHERE person_id = 1 AND created < 'x'"
        " ORDER BY created DESC LIMIT 1",
        "UPDATE leases SET lives = 0 WHERE lives AND expires <= 'x'",
    ):
        plan = [row["detail"] for row in store.query(f"EXPLAIN QUERY PLAN {sql}")]
        assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], plan


def test_a_request_finds_its_session_by_index(store: Store) -> None:
    assert scans(store, lambda: sessions.member_of(store, "guess")) == []


def test_a_scan_would_be_seen(store: Store) -> None:
    assert scans(store, lambda: store.query("SELECT * FROM label_events e WHERE value = 'x'")) != []
