"""Edits of examples: what is in use afterwards, for lists, snapshots and exports alike."""

from collections.abc import Callable

import pytest

from engine.errors import UserError
from engine.examples import Example, Pair, Rated
from tuner_app.store import Selection, Store, edits, example_tags, examples, labels, picking, snapshots
from tuner_app.store.rows import Item


def pair(text: str) -> Pair:
    return Pair((), text, "worse")


def ids(store: Store) -> dict[Example, int]:
    rows = store.query("SELECT id, hash FROM examples")
    return {examples.get(store, row["hash"]): row["id"] for row in rows}


def trained_on(store: Store, data: str = "all", kind: str = "pair") -> set[Example]:
    """What a run would see, which has to be what is listed, counted and exported."""
    selection = Selection.parse(data)
    if not picking.available(store, kind, selection).examples:
        return set()
    frozen = snapshots.take(store, kind, selection)
    seen = list(snapshots.rows(store, frozen.hash))
    assert frozen.rows == len(seen) == picking.available(store, kind, selection).examples
    assert seen == list(picking.select(store, kind, selection))
    if data == "all":
        assert {row.example for row in examples.listed(store, kind)} == set(seen)
        assert examples.count(store, kind) == {kind: len(seen)}
    return set(seen)


@pytest.fixture
def full(store: Store) -> Store:
    examples.add(store, [(pair("a"), 1), (pair("b"), 2)], source="one.json")
    examples.add(store, [(pair("b"), 1), (pair("c"), 2)], source="two.json")
    return store


def test_an_edit_takes_the_place_of_what_it_changed(full: Store) -> None:
    before = snapshots.take(full, "pair")
    new, _ = edits.change(full, ids(full)[pair("b")], pair("better"))
    assert ids(full)[pair("better")] == new
    assert trained_on(full) == {pair("a"), pair("better"), pair("c")}
    assert trained_on(full, "source:one.json") == {pair("a"), pair("better")}
    assert trained_on(full, "source:two.json") == {pair("better"), pair("c")}
    assert set(snapshots.rows(full, before.hash)) == {pair("a"), pair("b"), pair("c")}


def test_an_edit_stands_as_long_as_the_label_does(store: Store, single: Callable[..., Item]) -> None:
    item = single()
    labels.record(store, item.hash, "good", uid="1")
    (rated,) = trained_on(store, kind="rated")
    better = Rated(rated.prompt, "hay", True)  # type: ignore[union-attr]
    edits.change(store, ids(store)[rated], better)
    assert trained_on(store, "person:me", "rated") == {better}
    frozen = snapshots.take(store, "rated")
    assert store.one(
        "SELECT count(*) AS n FROM snapshot_labels JOIN snapshots s ON s.id = snapshot_id WHERE s.hash = ?",
        (frozen.hash,),
    )["n"] == 1  # fmt: skip
    labels.undo(store, item.hash, uid="2")
    assert trained_on(store, kind="rated") == set()
    labels.record(store, item.hash, "good", uid="3")  # the same label again gives what it was edited into
    assert trained_on(store, kind="rated") == {better}


def test_an_import_again_gives_what_it_was_edited_into(full: Store) -> None:
    one, _ = edits.change(full, ids(full)[pair("a")], pair("a2"))
    edits.change(full, one, pair("a3"))
    examples.add(full, [(pair("a"), 7)], source="three.json")
    assert trained_on(full, "source:three.json") == {pair("a3")}


def test_an_edit_leads_back(full: Store) -> None:
    first = ids(full)[pair("a")]
    new, _ = edits.change(full, first, pair("z"))
    assert edits.change(full, new, pair("a"))[0] == first
    assert trained_on(full) == {pair("a"), pair("b"), pair("c")}


def test_an_edit_into_the_same_is_none(full: Store) -> None:
    first = ids(full)[pair("a")]
    assert edits.change(full, first, pair("a"))[1].examples == 0
    assert edits.history(full, first) == []


def test_an_edit_keeps_the_kind(full: Store) -> None:
    with pytest.raises(UserError, match="cannot become"):
        edits.change(full, ids(full)[pair("a")], Rated((), "a", True))
    assert pair("a") in trained_on(full)


def test_removed_and_restored(full: Store) -> None:
    known = ids(full)
    done = edits.remove(full, [known[pair("a")], known[pair("b")]])
    assert done.examples == 2
    assert trained_on(full) == {pair("c")}
    assert edits.remove(full, [known[pair("a")]]).examples == 0
    assert edits.restore(full, list(known.values())).examples == 2
    assert trained_on(full) == {pair("a"), pair("b"), pair("c")}


def test_a_step_is_undone_as_a_whole_but_for_what_was_changed_since(full: Store) -> None:
    known = ids(full)
    done = edits.remove(full, list(known.values()))
    assert trained_on(full) == set()
    restored = edits.restore(full, [known[pair("a")]])
    assert edits.undo(full, done).examples == 2
    assert edits.undo(full, done).examples == 0
    assert trained_on(full) == {pair("a"), pair("b"), pair("c")}
    back = edits.undo(full, restored)
    assert trained_on(full) == {pair("b"), pair("c")}
    edits.undo(full, back)
    assert trained_on(full) == {pair("a"), pair("b"), pair("c")}


def test_steps_are_undone_one_after_the_other(full: Store) -> None:
    known = ids(full)
    removed = edits.remove(full, [known[pair("a")], known[pair("b")]])
    restored = edits.restore(full, [known[pair("a")]])
    new, edited = edits.change(full, known[pair("a")], pair("a2"))
    edits.remove(full, [new])
    assert edits.undo(full, edited).examples == 0  # what it led to has been removed since
    edits.restore(full, [new])
    for step, left in ((edited, {"a", "c"}), (restored, {"c"}), (removed, {"a", "b", "c"})):
        edits.undo(full, step)
        assert trained_on(full) == {pair(text) for text in left}


def test_undoing_an_edit_into_another_example_leaves_that_one(full: Store) -> None:
    known = ids(full)
    _, done = edits.change(full, known[pair("a")], pair("b"))
    assert trained_on(full) == {pair("b"), pair("c")}
    edits.undo(full, done)
    assert trained_on(full) == {pair("a"), pair("b"), pair("c")}
    _, done = edits.change(full, known[pair("a")], pair("z"))
    edits.undo(full, done)
    assert trained_on(full) == {pair("a"), pair("b"), pair("c")}


def test_history_follows_edits_both_ways(full: Store) -> None:
    first = ids(full)[pair("a")]
    second, _ = edits.change(full, first, pair("a2"))
    third, _ = edits.change(full, second, pair("a3"))
    edits.remove(full, [third])
    for version in (first, second, third):
        told = [(edit.before, edit.after, edit.person) for edit in edits.history(full, version)]
        assert told == [
            (pair("a3"), None, "me"),
            (pair("a2"), pair("a3"), "me"),
            (pair("a"), pair("a2"), "me"),
        ]
    assert edits.history(full, ids(full)[pair("c")]) == []


def test_tags_select_what_is_trained_on(full: Store) -> None:
    known = ids(full)
    assert example_tags.add(full, [known[pair("a")], known[pair("b")]], " wrong ") == [1, 2]
    assert example_tags.add(full, [known[pair("b")], known[pair("c")]], "wrong") == [3]
    assert example_tags.known(full) == ["wrong"]
    assert trained_on(full, "tag:wrong,source:one.json") == {pair("a"), pair("b")}
    edits.change(full, known[pair("a")], pair("a2"))
    assert trained_on(full, "tag:wrong") == {pair("a2"), pair("b"), pair("c")}
    assert example_tags.remove(full, [known[pair("b")], known[pair("b")]], "wrong")
    assert trained_on(full, "tag:wrong") == {pair("a2"), pair("c")}
    assert trained_on(full, "tag:right") == set()


def test_the_tag_of_a_label_is_one_of_what_it_gave(store: Store, single: Callable[..., Item]) -> None:
    labels.record(store, single().hash, "good", uid="1")
    (rated,) = trained_on(store, kind="rated")
    for number, stands in enumerate((True, False, True)):
        with store.write():
            store.execute(
                "INSERT INTO label_tags (uid, event_id, tag, stands, created)"
                " SELECT ?, id, 'rude', ?, created FROM label_events",
                (str(number), stands),
            )
        assert trained_on(store, "tag:rude", "rated") == ({rated} if stands else set())


@pytest.mark.parametrize("tag", ["", "  ", "a,b", "a\nb", 'a"b', "x" * 41, "\x1b[0m"])
def test_what_is_no_tag(full: Store, tag: str) -> None:
    with pytest.raises(UserError, match="cannot be a tag"):
        example_tags.add(full, [1], tag)


def test_edits_are_append_only(full: Store) -> None:
    edits.remove(full, [1])
    for change in ("UPDATE example_edits SET person_id = 2", "DELETE FROM example_edits"):
        with pytest.raises(Exception, match="append-only"), full.write():
            full.execute(change)
