"""Bases and adapters that are there: renamed, noted, taken out of use, and never one that others need."""

import pytest

from engine.errors import UserError
from engine.examples import Message, Pair
from tuner_app.store import Store, examples, models, runs, snapshots
from tuner_app.store.run_rows import AdapterRow, Base, Run

PROMPT = (Message("user", "Why?"),)


@pytest.fixture
def base(store: Store) -> Base:
    examples.add(store, [(Pair(PROMPT, "a", "b"), 1)], source="file")
    return models.add_base(store, "builtin", "builtin", "weights")


def a_run(store: Store, base: Base, **of: int | None) -> Run:
    taken = snapshots.take(store, "pair")
    return runs.create(store, spec={"method": "dpo"}, base_id=base.id, snapshot_hash=taken.hash, **of)


def an_adapter(store: Store, base: Base, run: Run, hash: str = "h") -> AdapterRow:
    folder = f"runs/{run.name}/adapter"
    of = {"run_id": run.id, "parent_id": run.parent_id}
    return models.add_adapter(store, name=run.name, base_id=base.id, folder=folder, hash=hash, **of)


def test_a_name_and_a_note_change_and_nothing_else(store: Store, base: Base) -> None:
    run = a_run(store, base)
    made = an_adapter(store, base, run)
    models.rename(store, made, "warm")
    models.annotate(store, made, "the kind one")
    renamed = models.adapter(store, "warm")
    assert renamed is not None
    assert (renamed.folder, renamed.note, renamed.hash) == ("runs/dpo-1/adapter", "the kind one", "h")
    assert models.adapter(store, "dpo-1") is None
    assert models.made_by(store, run.id) == renamed
    models.rename(store, base, "Small")
    models.rename(store, renamed, "WARM")  # its own name, written otherwise
    assert [row.name for _, row in models.lineage(store)] == ["Small", "WARM"]


def test_a_run_is_found_under_what_its_model_is_called_now(store: Store, base: Base) -> None:
    run = a_run(store, base)
    assert (run.title, run.source, run.adapter) == ("dpo-1", "builtin", "")
    made = an_adapter(store, base, run)
    found = runs.get(store, "dpo-1")
    assert found is not None
    assert found.title == "dpo-1"
    models.rename(store, made, "warm")
    found = runs.get(store, "warm")
    assert found is not None
    assert found == runs.get(store, "dpo-1")
    assert (found.id, found.title) == (run.id, "warm (dpo-1)")
    assert snapshots.of_run(store, "warm") == snapshots.of_run(store, "dpo-1")
    assert a_run(store, base, parent_id=made.id).source == "warm"
    with pytest.raises(UserError, match="dpo-1"):  # which its folder has
        runs.check_name(store, "dpo-1")
    renamed = models.adapter(store, "warm")
    assert renamed is not None
    models.rename(store, renamed, "dpo-1")  # as its run again
    assert runs.listed(store)[1].title == "dpo-1"


@pytest.mark.parametrize("name", ["dpo-2", "DPO-2", "Builtin", "base", "", "../up", "a b"])
def test_a_name_that_is_taken_or_none_is_refused(store: Store, base: Base, name: str) -> None:
    made = an_adapter(store, base, a_run(store, base))
    a_run(store, base)
    with pytest.raises(UserError):
        models.rename(store, made, name)
    assert models.adapter(store, "dpo-1") == made


def test_what_a_resumed_run_leaves_replaces_what_it_left_before_under_its_new_name(
    store: Store, base: Base
) -> None:
    run = a_run(store, base)
    models.rename(store, an_adapter(store, base, run), "warm")
    assert an_adapter(store, base, run, hash="longer").name == "warm"
    found = models.adapters(store)
    assert [(row.name, row.hash) for row in found] == [("warm", "longer")]
    runs.set_status(store, run.id, "done")
    models.remove(store, found[0])
    assert an_adapter(store, base, run, hash="longest").name == "warm"
    assert models.adapters(store)[0].hash == "longest"


def test_what_others_need_is_not_deleted(store: Store, base: Base) -> None:
    run = a_run(store, base)
    first = an_adapter(store, base, run)
    with pytest.raises(UserError, match="dpo-1 needs it"):  # its own run goes on
        models.remove(store, first)
    runs.set_status(store, run.id, "done")
    child = a_run(store, base, parent_id=first.id)
    judged = a_run(store, base, reward_id=first.id)
    assert models.needed_by(store, first) == [child.name, judged.name]
    with pytest.raises(UserError, match="dpo-1, dpo-2, dpo-3 need it"):
        models.remove(store, base)
    made = an_adapter(store, base, child)
    for over in (child, judged):
        runs.set_status(store, over.id, "done")
    assert models.needed_by(store, first) == [child.name]
    models.remove(store, made)
    models.remove(store, first)
    assert models.adapters(store) == []
    models.remove(store, base)
    assert models.bases(store) == []
    assert models.base(store, "builtin") is None
    assert models.lineage(store) == []
    assert snapshots.runs_that_saw(store, "x") == []
    again = models.add_base(store, "builtin", "builtin", "weights")
    assert (again.id, again.name) == (base.id, "builtin")  # its adapters would fit it still
    assert models.bases(store) == [again]


def test_a_name_of_what_was_deleted_stays_taken(store: Store, base: Base) -> None:
    run = a_run(store, base)
    made = an_adapter(store, base, run)
    runs.set_status(store, run.id, "done")
    models.remove(store, made)
    with pytest.raises(UserError, match="already"):
        models.add_adapter(store, name="dpo-1", base_id=base.id, folder="f", hash="other")
