"""Snapshots: what a selection holds, what is frozen, and which labels made which models."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, Pair, Prompt, Rated, digest, to_json
from tuner_app.store import (
    Selection,
    Store,
    database,
    examples,
    labels,
    models,
    people,
    picking,
    runs,
    snapshots,
)
from tuner_app.store.rows import Item, Summary

MakeItem = Callable[..., Item]


def pairs(*texts: str) -> list[tuple[Example, int]]:
    return [(Pair((), text, "worse"), line) for line, text in enumerate(texts, 1)]


@pytest.fixture
def full(store: Store, pair: MakeItem) -> Store:
    """Two labels of mine, one of Anna's that repeats my first, and two imports of two pairs each."""
    people.add(store, "anna")
    labels.record(store, pair(1).hash, "choose", value={"reply": 0}, uid="mine 1")
    labels.record(store, pair(2).hash, "choose", value={"reply": 1}, uid="mine 2")
    labels.record(store, pair(1).hash, "choose", value={"reply": 0}, uid="hers", person="anna")
    examples.add(store, pairs("a", "b"), source="one.json")
    examples.add(store, pairs("b", "c"), source="two.json")
    return store


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", Summary(5, 2, 3, 2, 0)),
        ("labels", Summary(2, 2, 0, 1, 0)),
        ("imports", Summary(3, 0, 3, 1, 0)),
        ("source:two.json", Summary(2, 0, 2, 0, 0)),
        ("person:anna", Summary(1, 1, 0, 0, 0)),
        ("last:1", Summary(1, 0, 1, 0, 0)),
        ("person:me,last:1", Summary(1, 1, 0, 0, 0)),
        ("since:2000-01-01", Summary(5, 2, 3, 2, 0)),
        ("since:2100-01-01", Summary(0, 0, 0, 0, 0)),
    ],
)
def test_what_is_available(full: Store, text: str, expected: Summary) -> None:
    selection = Selection.parse(text)
    assert picking.available(full, "pair", selection) == expected
    if expected.examples:
        snapshot = snapshots.take(full, "pair", selection)
        assert snapshot.rows == len(list(snapshots.rows(full, snapshot.hash))) == expected.examples
    assert picking.available(full, "demonstration", selection).examples == 0


def test_the_last_ones_are_the_newest(full: Store) -> None:
    snapshot = snapshots.take(full, "pair", Selection(limit=1))
    assert list(snapshots.rows(full, snapshot.hash)) == [Pair((), "c", "worse")]


def test_contradictions_are_counted(store: Store) -> None:
    both_ways: list[Example] = [
        Pair((), "a", "b"),
        Pair((), "b", "a"),
        Pair((), "a", "c"),
        Pair((), "a", "b", margin=2.0),
    ]
    thumbs: list[Example] = [Rated((), "a", True), Rated((), "a", False), Rated((), "b", True)]
    examples.add(store, [(example, 1) for example in (*both_ways, *thumbs)], source="a.json")
    assert picking.available(store, "pair") == Summary(4, 0, 4, 0, 3)
    assert picking.available(store, "rated") == Summary(3, 0, 3, 0, 2, good=2)
    assert picking.available(store, "pair", Selection(limit=2)).contradictory == 0


ASKED = (Message("user", "Why?"),)
OTHER = (Message("user", "How?"),)


def answers(store: Store) -> list[Example]:
    """Four answers to one prompt and one to another, imported from two files."""
    first: list[Example] = [
        Pair(ASKED, "a", "b"),
        Rated(ASKED, "a", True),
        Demonstration((*ASKED, Message("assistant", "a"))),
    ]
    second: list[Example] = [Pair(ASKED, "c", "d"), Rated(OTHER, "a", False)]
    for name, rows in (("one.json", first), ("two.json", second)):
        examples.add(store, [(row, line) for line, row in enumerate(rows, 1)], source=name)
    return first + second


def test_each_prompt_is_taken_once_whatever_answers_it(store: Store) -> None:
    every = answers(store)
    assert picking.available(store, "prompt") == Summary(2, 0, 2, 3, 0)
    snapshot = snapshots.take(store, "prompt")
    assert (snapshot.kind, snapshot.rows) == ("prompt", 2)
    assert set(snapshots.rows(store, snapshot.hash)) == {Prompt(ASKED), Prompt(OTHER)}
    assert list(picking.select(store, "prompt")) == list(snapshots.rows(store, snapshot.hash))
    frozen = store.query("SELECT x.hash FROM snapshot_examples JOIN examples x ON x.id = example_id")
    hashes = [digest(to_json(row)) for row in every]
    assert {row["hash"] for row in frozen} == {min(hashes[:4]), hashes[4]}, "the same on every machine"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("source:one.json", {Prompt(ASKED)}),
        ("last:1", {Prompt(OTHER)}),
        ("last:2", {Prompt(ASKED), Prompt(OTHER)}),
        ("labels", set()),
    ],
)
def test_prompts_are_selected_as_examples_are(store: Store, text: str, asked: set[Prompt]) -> None:
    answers(store)
    assert set(picking.select(store, "prompt", Selection.parse(text))) == asked


def test_the_labels_behind_prompts_are_kept(store: Store, pair: MakeItem, single: MakeItem) -> None:
    labels.record(store, pair().hash, "choose", value={"reply": 0}, uid="pair")
    labels.record(store, single().hash, "bad", uid="single")
    labels.record(store, pair(1).hash, "tie", uid="tie")  # gives nothing to train on
    assert picking.available(store, "prompt") == Summary(1, 1, 0, 3, 0)
    base = models.add_base(store, "builtin", "folder")
    snapshot = snapshots.take(store, "prompt")
    runs.create(store, spec={"method": "ppo"}, base_id=base.id, snapshot_hash=snapshot.hash)
    assert snapshots.labels_of(store, "ppo-1") == ["pair", "single"]
    assert snapshots.runs_that_saw(store, "single") == ["ppo-1"]


def test_the_labels_behind_a_reward_model_are_behind_what_it_led(full: Store) -> None:
    base = models.add_base(full, "builtin", "folder")

    def trained(method: str, source: str, reward_id: int | None = None) -> int:
        snapshot = snapshots.take(full, "pair", Selection.parse(source))
        run = runs.create(
            full,
            spec={"method": method},
            base_id=base.id,
            reward_id=reward_id,
            snapshot_hash=snapshot.hash,
        )
        made = models.add_adapter(
            full, name=run.name, base_id=base.id, run_id=run.id, folder=run.name, hash=run.name
        )
        return made.id

    reward = trained("reward", "person:anna")
    trained("ppo", "source:one.json", reward_id=reward)
    assert snapshots.labels_of(full, "ppo-1") == ["hers"]
    assert snapshots.runs_that_saw(full, "hers") == ["reward-1", "ppo-1"]
    assert [(row.name, row.reward, row.is_reward) for row in models.adapters(full)] == [
        ("reward-1", None, True),
        ("ppo-1", "reward-1", False),
    ]


def test_an_empty_selection_is_refused(store: Store) -> None:
    with pytest.raises(UserError, match="no pair"):
        snapshots.take(store, "pair")
    assert store.query("SELECT count(*) FROM snapshots")[0][0] == 0


def test_unknown_names_are_refused(full: Store) -> None:
    with pytest.raises(UserError, match=r"two\.json, one\.json"):
        picking.available(full, "pair", Selection(source="three.json"))
    with pytest.raises(UserError, match="berta"):
        picking.available(full, "pair", Selection(person="berta"))


def test_the_same_data_is_the_same_snapshot(full: Store, tmp_path: Path) -> None:
    snapshot = snapshots.take(full, "pair", Selection(origin="imports"))
    assert snapshots.take(full, "pair", Selection(origin="imports")) == snapshot
    other = Store.open(tmp_path / "other.sqlite", migrate=True)
    rows = pairs("a", "b", "c")
    random.Random(0).shuffle(rows)
    examples.add(other, rows, source="shuffled.json")
    assert snapshots.take(other, "pair").hash == snapshot.hash
    examples.add(other, pairs("d"), source="more.json")
    assert snapshots.take(other, "pair").hash != snapshot.hash


def test_the_labels_are_part_of_it(store: Store, pair: MakeItem) -> None:
    hashes = set()
    for uid in ("1", "2"):
        labels.record(store, pair().hash, "choose", value={"reply": 0}, uid=uid)
        hashes.add(snapshots.take(store, "pair").hash)
    assert len(hashes) == 2


def test_a_snapshot_does_not_change(store: Store, pair: MakeItem) -> None:
    labels.record(store, pair().hash, "choose", value={"reply": 0}, uid="1")
    snapshot = snapshots.take(store, "pair")
    before = list(snapshots.rows(store, snapshot.hash))
    labels.undo(store, pair().hash, uid="2")
    examples.add(store, pairs("a"), source="a.json")
    assert list(snapshots.rows(store, snapshot.hash)) == before


def test_a_long_snapshot_keeps_its_order(store: Store) -> None:
    examples.add(store, pairs(*map(str, range(2500))), source="a.json")
    snapshot = snapshots.take(store, "pair")
    stored = [row["hash"] for row in store.query("SELECT hash FROM examples ORDER BY hash")]
    found = [examples.get(store, hash) for hash in stored]
    assert list(snapshots.rows(store, snapshot.hash)) == found
    assert list(picking.select(store, "pair")) == found
    with pytest.raises(UserError, match="no snapshot"):
        list(snapshots.rows(store, "f" * 64))


def test_which_labels_made_a_model_and_which_models_saw_a_label(full: Store) -> None:
    base = models.add_base(full, "builtin", "folder")

    def trained(selection: Selection, parent_id: int | None = None) -> int:
        snapshot = snapshots.take(full, "pair", selection)
        run = runs.create(
            full, spec={"method": "dpo"}, base_id=base.id, parent_id=parent_id, snapshot_hash=snapshot.hash
        )
        made = models.add_adapter(
            full,
            name=run.name,
            base_id=base.id,
            run_id=run.id,
            parent_id=parent_id,
            folder=run.name,
            hash=run.name,
        )
        return made.id

    first = trained(Selection(person="anna"))
    trained(Selection(origin="imports"), parent_id=first)
    trained(Selection(origin="labels"))
    trained(Selection(source="one.json"))
    assert snapshots.labels_of(full, "dpo-1") == ["hers"]
    assert snapshots.labels_of(full, "dpo-2") == ["hers"]  # through its parent
    assert snapshots.labels_of(full, "dpo-3") == ["mine 1", "mine 2", "hers"]
    assert snapshots.labels_of(full, "dpo-4") == []
    assert snapshots.runs_that_saw(full, "hers") == ["dpo-1", "dpo-2", "dpo-3"]
    frozen, kind = snapshots.of_run(full, "dpo-1")
    assert kind == "pair"
    (row,) = full.query("SELECT example_id FROM snapshot_examples WHERE snapshot_id = ?", (frozen,))
    assert snapshots.runs_that_learned(full, row["example_id"]) == ["dpo-1", "dpo-2", "dpo-3"]
    assert snapshots.runs_that_saw(full, "mine 2") == ["dpo-3"]
    assert snapshots.runs_that_saw(full, "nobody's") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Selection()),
        ("all", Selection()),
        ("labels", Selection(origin="labels")),
        (" imports , last:5", Selection(origin="imports", limit=5)),
        ("source:a:b.json", Selection(source="a:b.json")),
        ("person:anna,since:2026-01-31", Selection(person="anna", since="2026-01-31T00:00:00.000000+00:00")),
        ("since:2026-01-31T12:00:00+02:00", Selection(since="2026-01-31T10:00:00.000000+00:00")),
    ],
)
def test_selections_in_words(text: str, expected: Selection) -> None:
    assert Selection.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "everything",
        "last:0",
        "last:-1",
        "last:many",
        "source:",
        "since:tomorrow",
        "labels,imports",
        "last:1,last:2",
        "person:me,source:a",
        "imports,person:me",
        "labels,source:a",
    ],
)
def test_selections_that_make_no_sense(text: str) -> None:
    with pytest.raises(UserError):
        Selection.parse(text)


def test_labels_pass_while_a_snapshot_is_written_and_one_cut_short_is_finished(
    store: Store, path: Path, pair: MakeItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written part by part, and there is none before its last row is there."""
    examples.add(store, pairs(*"abcdefg"), source="one.json")
    other, rests = Store.open(path), 0
    monkeypatch.setattr(database, "PART", 3)
    hashes = [row["hash"] for row in store.query("SELECT hash FROM examples ORDER BY hash")]
    hash = digest({"kind": "pair", "examples": hashes, "labels": []})

    def rest(seconds: float) -> None:
        nonlocal rests
        rests += 1
        labels.record(other, pair(rests).hash, "tie", uid=f"meanwhile {rests}")
        assert snapshots.size(other, hash) == 0
        if rests == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(database.time, "sleep", rest)
    with pytest.raises(KeyboardInterrupt):
        snapshots.take(store, "pair", Selection(origin="imports"))
    assert store.query("SELECT count(*) FROM snapshot_examples")[0][0] == 6
    monkeypatch.undo()
    assert snapshots.take(store, "pair", Selection(origin="imports")).hash == hash
    assert len(list(snapshots.rows(store, hash))) == snapshots.size(store, hash) == 7
    other.close()
