"""What each version's step makes of a database of the version before."""

from pathlib import Path

import pysqlite3 as sqlite3
import pytest

from engine.examples import Demonstration, Example, Message, Pair, Prompt, Rated
from tuner_app.store import (
    Selection,
    Store,
    batches,
    chats,
    examples,
    labels,
    migrations,
    models,
    picking,
    runs,
    snapshots,
)
from tuner_app.store.rows import Reply

ASKED = (Message("user", "Why is the sky blue?"),)
OTHER = (Message("user", "Why is the grass green?"),)


@pytest.fixture
def first_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database as the first version left it: three examples whose prompts it knew nothing of, and a run."""
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", (migrations.first,))
        patch.setattr(migrations, "LATEST", 1)
        store = Store.open(path, migrate=True)
        for statement in (
            "INSERT INTO bases VALUES (1, 'builtin', 'builtin', 'f', '')",
            "INSERT INTO snapshots VALUES (1, 'abc', 'pair', 0, '')",
            """INSERT INTO runs (uid, name, method, spec, base_id, snapshot_hash, status, request, error,
               versions, created) VALUES ('u', 'dpo-1', 'dpo', '{}', 1, 'abc', 'done', '', '', '{}', '')""",
            "INSERT INTO sources VALUES (1, 'old.json', '')",
        ):
            with store.write():
                store.execute(statement)
        known: list[Example] = [Pair(ASKED, "a", "b"), Rated(ASKED, "a", True), shown("c")]
        for number, example in enumerate(known, 1):
            hash, kind, question, answer, body = examples._prepared(example)[0]
            with store.write():
                store.execute(
                    "INSERT INTO examples VALUES (?, ?, ?, ?, ?, ?, '')",
                    (number, hash, kind, question, answer, body),
                )
                store.execute("INSERT INTO imports VALUES (1, ?, ?, 1)", (kind, number))
        store.close()
    return path


def shown(answer: str) -> Demonstration:
    return Demonstration((*OTHER, Message("assistant", answer)))


def test_the_prompts_of_what_is_there_are_known_afterwards(first_version: Path) -> None:
    store = Store.open(first_version, migrate=True)
    assert picking.available(store, "prompt").examples == 2
    snapshot = snapshots.take(store, "prompt")
    assert set(snapshots.rows(store, snapshot.hash)) == {Prompt(ASKED), Prompt(OTHER)}
    item = labels.item_for_single(store, ASKED, Reply("d"))
    labels.record(store, item.hash, "bad", uid="1")
    assert picking.available(store, "prompt").examples == 2  # it is one of those
    assert picking.available(store, "prompt", Selection(origin="labels")).examples == 1


def test_runs_of_before_had_no_reward_model(first_version: Path) -> None:
    store = Store.open(first_version, migrate=True)
    run = runs.get(store, "dpo-1")
    assert run is not None
    assert run.reward_id is None
    assert models.adapters(store) == []


def test_messages_of_before_and_after_are_found(first_version: Path) -> None:
    old = sqlite3.connect(first_version)
    old.execute("INSERT INTO conversations VALUES (1, 'u', '', '', '', '', NULL, 0)")
    old.execute(
        "INSERT INTO messages VALUES (1, 'm', 1, NULL, 'user', '蜂鸟为什么会飞', '', '', '{}', NULL, '', '')"
    )
    old.commit()
    old.close()
    store = Store.open(first_version, migrate=True)
    chats.add(store, 1, role="user", content="hummingbirds")
    for part, rows in (("为什么", [1]), ("INGBI", [2])):
        found = store.query("SELECT rowid FROM message_text WHERE message_text MATCH ?", (f'"{part}"',))
        assert [row["rowid"] for row in found] == rows


THIRD_LEFT = """
INSERT INTO people VALUES (1, 'me', 'human', ''), (2, 'ann', 'human', '');
INSERT INTO batches VALUES (1, 'u', 'old', 'single', '[]', '{}', '', 0);
INSERT INTO items VALUES (1, 'a', 'single', '{}', ''), (2, 'b', 'single', '{}', '');
INSERT INTO batch_prompts VALUES (1, 0, '[]', 1, ''), (1, 1, '[]', 2, ''), (1, 2, '[]', NULL, '');
INSERT INTO label_events VALUES
  (1, 'e', 1, 1, 'good', '{}', '[]', NULL, '2026-05-01T10:00:00.000000+00:00'),
  (2, 'f', 2, 1, 'skip', '{}', '[]', NULL, '2026-05-01T10:00:20.000000+00:00'),
  (3, 'g', 1, 2, 'bad', '{}', '[]', NULL, '2026-05-02T10:00:00.000000+00:00');
INSERT INTO heads VALUES (1, 1, 1, 'good'), (1, 2, 2, 'skip'), (2, 1, 3, 'bad');
"""


def test_labels_of_before_count_where_batches_are_shared_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", (migrations.first, migrations.second, migrations.third))
        patch.setattr(migrations, "LATEST", 3)
        Store.open(path, migrate=True).close()
    old = sqlite3.connect(path)
    old.executescript(THIRD_LEFT)
    old.close()
    store = Store.open(path, migrate=True)
    slots = store.query("SELECT position, item_id, room FROM slots ORDER BY position")
    assert [tuple(row) for row in slots] == [(0, 1, -1), (1, 2, 1)], "two labels, and a skip, which is none"
    work = store.query("SELECT person_id, day, labels, skips, seconds FROM work ORDER BY person_id")
    assert [tuple(row) for row in work] == [(1, "2026-05-01", 1, 1, 20.0), (2, "2026-05-02", 1, 0, 0.0)]
    batch = batches.get(store, 1)
    assert (batch.shared, batch.overlap, batch.gold_rate, batch.guidelines) == (False, 1, 0.0, "")
