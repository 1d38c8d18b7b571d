"""What has been written stays: the database itself refuses to change or delete it."""

import pysqlite3 as sqlite3
import pytest

from engine.examples import Demonstration, Message
from tuner_app.store import Store, chats, examples, labels, models, new_uid, runs, snapshots

TABLES = (
    "messages",
    "examples",
    "example_prompts",
    "items",
    "label_events",
    "label_examples",
    "snapshots",
    "snapshot_examples",
    "snapshot_labels",
    "run_events",
    "label_tags",
    "example_edits",
    "label_comments",
    "audit",
)


@pytest.fixture
def full(store: Store, single) -> Store:  # type: ignore[no-untyped-def]
    """A store with a row in every table."""
    chat = chats.start(store)
    chats.add(store, chat.id, role="user", content="hello")
    examples.add(store, [(Demonstration((Message("assistant", "hi"),)), 1)], source="file")
    labels.record(store, single().hash, "good", uid=new_uid())
    snapshot = snapshots.take(store, "rated")
    base = models.add_base(store, "builtin", "folder")
    run = runs.create(store, spec={"method": "kto"}, base_id=base.id, snapshot_hash=snapshot.hash)
    runs.emit(store, run.id, "step", {"loss": 1.0})
    with store.write():
        store.execute(
            "INSERT INTO label_tags (uid, event_id, tag, stands, created) VALUES ('', 1, 'warm', 1, '')"
        )
        store.execute("INSERT INTO label_comments (uid, event_id, comment, created) VALUES ('', 1, '', '')")
        store.execute("INSERT INTO audit (action, detail, address, created) VALUES ('', '', '', '')")
        store.execute("INSERT INTO example_edits (uid, example_id, person_id, created) VALUES ('', 1, 1, '')")
    return store


@pytest.mark.parametrize("table", TABLES)
def test_rows_can_neither_change_nor_go(full: Store, table: str) -> None:
    before = [tuple(row) for row in full.query(f"SELECT * FROM {table}")]
    column = full.query(f"SELECT name FROM pragma_table_info('{table}') ORDER BY cid LIMIT 1")[0]["name"]
    assert before
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"DELETE FROM {table}",
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), full.write():
            full.execute(statement)
    assert [tuple(row) for row in full.query(f"SELECT * FROM {table}")] == before


def test_foreign_keys_hold(full: Store) -> None:
    for statement in (
        "INSERT INTO run_events (run_id, kind, data, created) VALUES (99, 'step', '{}', '')",
        "INSERT INTO heads (person_id, item_id, event_id, verb) VALUES (1, 99, 1, 'good')",
        "UPDATE conversations SET tip_id = 99",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"), full.write():
            full.execute(statement)


def test_a_write_outside_of_a_transaction_is_a_bug(store: Store) -> None:
    with pytest.raises(AssertionError):
        store.execute("UPDATE conversations SET title = ''")
