"""Runs and their events, bases and adapters, people, the reference cache."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.examples import Pair
from tuner_app.store import Store, examples, models, people, runs, snapshots
from tuner_app.store.reference import ReferenceFile
from tuner_app.store.run_rows import Run


@pytest.fixture
def base_id(store: Store) -> int:
    return models.add_base(store, "builtin", "folder", "weights").id


@pytest.fixture
def make(store: Store, base_id: int):  # type: ignore[no-untyped-def]
    """Makes a run of the method dpo."""
    examples.add(store, [(Pair((), "a", "b"), 1)], source="a.json")
    snapshot = snapshots.take(store, "pair")

    def run(name: str | None = None) -> Run:
        spec = {"method": "dpo", "options": {"beta": 0.1}}
        return runs.create(store, name=name, spec=spec, base_id=base_id, snapshot_hash=snapshot.hash)

    return run


def test_a_run_from_queue_to_end(store: Store, make, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    run = make()
    assert (run.name, run.status, run.spec["options"], run.started) == (
        "dpo-1",
        "queued",
        {"beta": 0.1},
        None,
    )
    runs.set_status(store, run.id, "running", pid=42, versions={"torch": "2.13.0"})
    running = runs.get(store, "dpo-1")
    assert running is not None
    assert (running.status, running.pid, running.versions) == ("running", 42, {"torch": "2.13.0"})
    assert running.started is None  # it may wait for its turn
    runs.begin(store, run.id)
    running = runs.get(store, "dpo-1")
    runs.set_status(store, run.id, "paused")
    runs.set_status(store, run.id, "running", pid=43)
    runs.begin(store, run.id)
    runs.set_status(store, run.id, "failed", error="killed at step 3")
    failed = runs.get(store, "dpo-1")
    assert failed is not None
    assert (failed.pid, failed.error, failed.versions) == (None, "killed at step 3", {"torch": "2.13.0"})
    assert running is not None
    assert failed.started == running.started is not None
    assert failed.ended is not None
    runs.set_status(store, run.id, "running", pid=44)
    resumed = runs.get(store, "dpo-1")
    assert resumed is not None
    assert (resumed.ended, resumed.error) == (None, "")


def test_names(store: Store, make, base_id: int) -> None:  # type: ignore[no-untyped-def]
    models.add_adapter(store, name="dpo-2", base_id=base_id, folder="f", hash="h")
    assert [make().name, make("Mine_1.b-c").name, make().name] == ["dpo-1", "Mine_1.b-c", "dpo-3"]
    for taken in ("dpo-1", "DPO-1", "mine_1.B-C", "dpo-2"):
        with pytest.raises(UserError, match="already"):
            make(taken)
    for unsafe in ("..", ".hidden", "-x", "a/b", "a\\b", "a b", "ä", "x" * 65, "base", "a\n", "\x00"):
        with pytest.raises(UserError, match="cannot be"):
            make(unsafe)
    assert [run.name for run in runs.listed(store)] == ["dpo-3", "Mine_1.b-c", "dpo-1"]
    assert [run.name for run in runs.listed(store, limit=1)] == ["dpo-3"]
    assert runs.get(store, "absent") is None


def test_events(store: Store, make) -> None:  # type: ignore[no-untyped-def]
    one, two = make(), make()
    ids = [runs.emit(store, run.id, kind, {"step": 1}) for run in (one, two) for kind in ("step", "done")]
    assert [event.id for event in runs.events(store)] == ids
    assert [event.id for event in runs.events(store, one.id)] == ids[:2]
    assert [event.id for event in runs.events(store, after=ids[1], limit=1)] == ids[2:3]
    assert [event.id for event in runs.events(store, kinds=["done"])] == [ids[1], ids[3]]
    assert runs.events(store, one.id, kinds=[]) == []


def test_a_loss_that_is_no_number_is_kept_as_text(store: Store, make) -> None:  # type: ignore[no-untyped-def]
    runs.emit(store, make().id, "step", {"loss": float("nan"), "metrics": {"kl": [float("-inf"), 1.5]}})
    (event,) = runs.events(store)
    assert event.data == {"loss": "nan", "metrics": {"kl": ["-inf", 1.5]}}


def test_requests(store: Store, make) -> None:  # type: ignore[no-untyped-def]
    run = make()
    assert runs.requested(store, run.id) == ""
    runs.request(store, run.id, "pause")
    assert runs.requested(store, run.id) == "pause"
    runs.request(store, run.id, "")
    assert runs.requested(store, run.id) == ""


def test_bases(store: Store) -> None:
    first = models.add_base(store, "builtin", "folder")
    assert models.add_base(store, "builtin", "folder") == first
    filled = models.add_base(store, "builtin", "folder", "weights")
    assert (filled.id, filled.fingerprint) == (first.id, "weights")
    other = models.add_base(store, "builtin", "folder", "other weights")
    assert other.name == "builtin-2"
    assert models.add_base(store, "builtin", "folder", "weights") == filled
    assert models.add_base(store, "builtin", "elsewhere").name == "builtin-3"
    assert models.base(store, "builtin") == filled
    assert models.base(store, "folder") == other
    assert models.base(store, "absent") is None
    assert [base.name for base in models.bases(store)] == ["builtin", "builtin-2", "builtin-3"]


def test_lineage(store: Store) -> None:
    one, two = (models.add_base(store, name, name) for name in ("one", "two"))

    def adapter(name: str, base_id: int, parent_id: int | None = None) -> int:
        return models.add_adapter(
            store, name=name, base_id=base_id, parent_id=parent_id, folder=name, hash=name
        ).id

    sft = adapter("sft", one.id)
    adapter("kto", two.id)
    adapter("other", one.id)
    dpo = adapter("dpo", one.id, sft)
    adapter("dpo-again", one.id, dpo)
    assert [(depth, row.name) for depth, row in models.lineage(store)] == [
        (0, "one"),
        (1, "sft"),
        (2, "dpo"),
        (3, "dpo-again"),
        (1, "other"),
        (0, "two"),
        (1, "kto"),
    ]
    assert [row.name for row in models.adapters(store, two.id)] == ["kto"]
    assert adapter("sft", one.id) == sft
    with pytest.raises(UserError, match="already"):
        models.add_adapter(store, name="SFT", base_id=one.id, folder="f", hash="another")
    assert models.adapter(store, "absent") is None


def test_people(store: Store) -> None:
    assert people.me(store) == people.me(store) == people.get(store, "me")
    script = people.add(store, "script", "program")
    assert people.add(store, "script", "program") == script
    with pytest.raises(UserError, match="program"):
        people.add(store, "script")
    for name in ("", "  ", "a\nb", "\x1b[0m", "x" * 65):
        with pytest.raises(UserError):
            people.add(store, name)
    assert [person.name for person in people.listed(store)] == ["me", "script"]


def test_the_reference_cache(tmp_path: Path) -> None:
    cache = ReferenceFile(tmp_path / "reference.sqlite")
    values = {number.to_bytes(4, "big"): -number / 7 for number in range(2500)}
    cache.put_many(values)
    cache.put_many({b"one": 1.0, b"nan": float("nan"), b"inf": float("-inf")})
    cache.put_many({b"one": 2.0})
    assert cache.get_many([*values, b"absent"]) == values
    assert cache.get_many([b"one", b"nan", b"inf"]) == {b"one": 2.0, b"inf": float("-inf")}
    assert cache.get_many([]) == {}
    cache.close()
    assert ReferenceFile(tmp_path / "reference.sqlite").get_many([b"one"]) == {b"one": 2.0}


def test_the_reference_cache_may_go_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "reference.sqlite"
    cache = ReferenceFile(path)
    cache.put_many({b"one": 1.0})
    for file in tmp_path.iterdir():
        file.unlink()
    cache.put_many({b"two": 2.0})
    assert cache.get_many([b"absent"]) == {}
    cache.close()
    assert ReferenceFile(path).get_many([b"one", b"two"]) == {}


@pytest.mark.parametrize("damage", [b"no database at all", b""])
def test_a_damaged_reference_cache_is_replaced(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "reference.sqlite"
    path.write_bytes(damage)
    cache = ReferenceFile(path)
    cache.put_many({b"one": 1.0})
    assert cache.get_many([b"one"]) == {b"one": 1.0}


def test_two_processes_share_the_reference_cache(tmp_path: Path) -> None:
    path = tmp_path / "reference.sqlite"
    code = """
import pathlib, sys
from tuner_app.store.reference import ReferenceFile
cache = ReferenceFile(pathlib.Path(sys.argv[1]))
for number in range(100):
    cache.put_many({f"{sys.argv[2]} {number}".encode(): float(number)})
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    keys = [f"{name} {number}".encode() for name in ("a", "b") for number in range(100)]
    assert len(ReferenceFile(path).get_many(keys)) == 200
