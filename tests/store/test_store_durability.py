"""An acknowledged label is there for ever, once: after kill -9, and with several writers."""

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tuner_app.store import Store, database

# Labels items without end; prints a uid once `record` has returned, and sends every third twice.
LABELLER = """
import pathlib, sys
from engine.examples import Message
from tuner_app.store import Store, labels, new_uid
from tuner_app.store.rows import Reply
store = Store.open(pathlib.Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    name = f"{sys.argv[2]} {number}"
    item = labels.item_for_pair(store, [Message("user", name)], Reply("a"), Reply("b"))
    uid = new_uid()
    for _ in range(2 if number % 3 == 0 else 1):
        labels.record(store, item.hash, "choose", value={"reply": number % 2}, uid=uid)
    print(uid, flush=True)
"""


def labeller(path: Path, name: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", LABELLER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stored(store: Store) -> Counter[str]:
    return Counter(row["uid"] for row in store.query("SELECT uid FROM label_events"))


def test_acknowledged_labels_survive_kill_9(path: Path) -> None:
    Store.open(path, migrate=True).close()
    acknowledged: list[str] = []
    for round_ in range(10):
        program = labeller(path, str(round_), 1_000_000)
        assert program.stdout is not None
        chance = random.Random(round_)
        acknowledged += [program.stdout.readline().strip() for _ in range(chance.randint(1, 12))]
        time.sleep(chance.uniform(0, 0.02))
        program.kill()
        # The last line may be cut; what was not printed whole was not acknowledged.
        acknowledged += [line.strip() for line in program.stdout if line.endswith("\n")]
        program.wait()
    store = Store.open(path, migrate=True)
    assert store.query("PRAGMA integrity_check")[0][0] == "ok"
    there = stored(store)
    assert len(acknowledged) > 20
    assert all(there[uid] == 1 for uid in acknowledged)
    assert len(there) <= len(acknowledged) + 10  # at most one a round was on disk but not yet told
    heads = store.query("SELECT count(*) FROM heads")[0][0]
    fed = store.query("SELECT count(*) FROM label_examples")[0][0]
    assert (heads, fed) == (len(there), 3 * len(there))


def test_two_writers_lose_nothing(path: Path) -> None:
    """Each writes without a pause, and none may starve the other."""
    Store.open(path, migrate=True).close()
    programs = [labeller(path, name, 150) for name in ("one", "two")]
    acknowledged = []
    for program in programs:
        acknowledged += program.communicate(timeout=120)[0].split()
        assert program.returncode == 0
    assert len(acknowledged) == 300
    assert stored(Store.open(path)) == Counter(acknowledged)


def test_a_checkpoint_that_was_cut_short_is_gone_on_with(path: Path, tmp_path: Path) -> None:
    """As kill -9 leaves it: the first page, which tells the size, is in the file, the last ones are not."""
    store = Store.open(path, migrate=True)
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with store.write():
        store.execute_many(
            "INSERT INTO people (name, kind, created) VALUES (?, 'human', '')",
            [(f"{number}" * 500,) for number in range(100, 200)],
        )
    cut = tmp_path / "cut.sqlite"
    shutil.copy(path, cut)
    wal = Path(f"{path}-wal").read_bytes()
    Path(f"{cut}-wal").write_bytes(wal)
    store.close()
    page = int.from_bytes(wal[8:12], "big")
    frames = [wal[at : at + 24 + page] for at in range(32, len(wal), 24 + page)]
    (first,) = (frame[24:] for frame in frames if int.from_bytes(frame[:4], "big") == 1)
    with cut.open("r+b") as file:
        file.write(first)
    assert int.from_bytes(first[28:32], "big") * page > cut.stat().st_size
    opened = Store.open(cut)
    assert opened.query("SELECT count(*) FROM people")[0][0] == 100
    opened.close()


def test_the_wal_stays_small_while_very_many_rows_are_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite by itself would begin it anew after four megabytes, and under other writers after gigabytes."""
    store = Store.open(path, migrate=True)
    monkeypatch.setattr(database, "PART", 10)
    store.execute_in_parts(
        "INSERT INTO people (name, kind, created) VALUES (?, 'human', '')",
        ((f"{number:06}" * 500,) for number in range(300)),
    )
    assert store.query("SELECT count(*) FROM people")[0][0] == 300
    assert Path(f"{path}-wal").stat().st_size < 500_000
    store.close()
