"""What comes back: labels with tags and comments, all or nothing, once, in any order; and what is refused."""

import random
from dataclasses import replace
from typing import Any

import pytest
from shares import label, make, positions

from engine.errors import UserError
from tuner_app.store import (
    Store,
    comments,
    gold,
    labels,
    members,
    new_uid,
    people,
    progress,
    sharing,
    stamps,
    tags,
)
from tuner_app.store.sharing import Given, Task
from tuner_app.store.sqlite import UnavailableError


@pytest.fixture
def task(store: Store) -> Task:
    """An item in ann's hands."""
    members.add(store, "ann")
    members.add(store, "bob")
    make(store, 6)
    return sharing.take(store, "ann", count=2)[0]


def events(store: Store) -> list[tuple[Any, ...]]:
    """All that was kept of labels."""
    return [
        tuple(row)
        for table in ("label_events", "label_tags", "label_comments")
        for row in store.query(f"SELECT * FROM {table} ORDER BY id")
    ]


def test_a_label_with_its_tags_and_comment(store: Store, task: Task) -> None:
    given = label(task, "choose", value={"reply": 1}, tags=("too  long", "rude"), comment=" Because. ")
    assert sharing.give(store, "ann", given) == sharing.Outcome(given.uid, "saved")
    (event,) = labels.history(store, task.item.hash)
    assert (event.person, event.verb, event.value, event.shown) == ("ann", "choose", {"reply": 1}, task.shown)
    assert tags.of_labels(store, [given.uid]) == {given.uid: ("too long", "rude")}
    assert comments.of_labels(store, [given.uid]) == {given.uid: ("Because.",)}
    assert positions(sharing.take(store, "ann", count=2)) == [1, 2]


def test_a_retry_is_the_same_label(store: Store, task: Task) -> None:
    given = label(task, tags=("a", "b"), comment="c")
    sharing.give(store, "ann", given)
    before = events(store)
    assert sharing.give(store, "ann", given).state == "saved"
    tags.tag(store, given.uid, "later", uid="later")  # what was added since is no other content
    assert sharing.give(store, "ann", given).state == "saved"
    assert [row for row in events(store) if "later" not in row] == before


@pytest.mark.parametrize(
    "other",
    [
        {"verb": "both_bad"},
        {"verb": "choose", "value": {"reply": 0}},
        {"tags": ("a",)},
        {"tags": ("b", "a")},
        {"comment": "d"},
        {"comment": ""},
        {"shown": ()},
        {"verb": "undo", "undoes": "x", "tags": (), "comment": "", "shown": ()},
    ],
    ids=str,
)
def test_a_retry_with_other_content_is_refused(store: Store, task: Task, other: dict[str, Any]) -> None:
    given = label(task, tags=("a", "b"), comment="c")
    sharing.give(store, "ann", given)
    before = events(store)
    with pytest.raises(UserError, match="exists already with other content"):
        sharing.give(store, "ann", replace(given, **other))
    with pytest.raises(UserError, match="exists already with other content"):
        sharing.give(store, "bob", given)
    assert events(store) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"tags": ("x" * 61,)},
        {"tags": tuple(map(str, range(21)))},
        {"comment": "x" * 4001},
        {"comment": "half \ud800"},
        {"verb": "good"},
        {"verb": "choose"},
        {"shown": (0, 0)},
        {"uid": ""},
        {"uid": "x" * 65},
        {"batch_id": 99},
        {"item_hash": "f" * 64},
        {"verb": "undo", "undoes": "nothing"},
        {"verb": "undo"},
    ],
    ids=str,
)
def test_what_does_not_fit_keeps_nothing(store: Store, task: Task, wrong: dict[str, Any]) -> None:
    given = replace(label(task, tags=("a",), comment="b"), **wrong)
    with pytest.raises(UserError) as caught:
        sharing.give(store, "ann", given)
    assert not isinstance(caught.value, UnavailableError), "to try again would not help"
    assert events(store) == []
    assert positions(sharing.take(store, "ann", count=1)) == [0], "it is still in their hands"


def test_what_one_never_had_is_not_theirs_to_give(store: Store, task: Task) -> None:
    for name in ("bob", people.ME):
        with pytest.raises(UserError, match="was not given to you"):
            sharing.give(store, name, label(task))


def test_an_undo_takes_back_that_label(store: Store, task: Task) -> None:
    sharing.configure(store, task.batch_id, overlap=2)  # there is room, though not for the same person
    first, second = label(task), label(task, "both_bad")
    undo = label(task, "undo", undoes=second.uid, shown=())
    for given in (first, second, undo, undo):
        assert sharing.give(store, "ann", given).state == "saved"
    assert [event.uid for event in labels.standing(store, task.item.hash)] == [first.uid]
    assert 0 not in positions(sharing.take(store, "ann")), "the first label stands: it is not to do again"
    with pytest.raises(UserError, match="taken back already"):
        sharing.give(store, "ann", replace(undo, uid=new_uid()))
    with pytest.raises(UserError, match="other content"):
        sharing.give(store, "ann", replace(undo, undoes=first.uid))
    sharing.give(store, "ann", replace(undo, uid=new_uid(), undoes=first.uid))
    assert labels.standing(store, task.item.hash) == []


def test_nobody_takes_back_anothers_label(store: Store, task: Task) -> None:
    given = label(task)
    sharing.give(store, "ann", given)
    sharing.configure(store, task.batch_id, overlap=2)
    (same,) = [one for one in sharing.take(store, "bob") if one.position == task.position]
    with pytest.raises(UserError, match="no such label"):
        sharing.give(store, "bob", label(same, "undo", undoes=given.uid, shown=()))


def test_one_that_is_refused_spoils_no_other(store: Store, task: Task) -> None:
    good, bad = label(task), label(task, "good")
    undo = label(task, "undo", undoes=good.uid, shown=())
    outcomes = sharing.give_all(store, "ann", [undo, bad, good])
    assert [(one.uid, one.state) for one in outcomes] == [
        (undo.uid, "saved"),
        (bad.uid, "refused"),
        (good.uid, "saved"),
    ], "in the order given, though an undo waits for its label"
    assert "no label for a pair" in outcomes[1].why


def test_of_one_that_is_refused_late_nothing_stays(store: Store, task: Task) -> None:
    """It was written before its tags were found to be too many."""
    late, good = label(task, tags=tuple(map(str, range(21)))), label(sharing.take(store, "ann", count=2)[1])
    states = [one.state for one in sharing.give_all(store, "ann", [late, good])]
    assert states == ["refused", "saved"]
    assert labels.standing(store, task.item.hash) == []
    assert positions(sharing.take(store, "ann", count=1)) == [0]


def test_a_database_that_takes_nothing_is_no_refusal(
    store: Store, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise UnavailableError("The disk is full.")

    monkeypatch.setattr(labels, "record", full)
    with pytest.raises(UnavailableError):
        sharing.give_all(store, "ann", [label(task)])


@pytest.mark.parametrize("seed", range(8))
def test_retries_in_any_order_count_once(store: Store, task: Task, seed: int) -> None:
    """A browser that hears nothing sends again, in whatever order; labels of one item come in theirs."""
    chance = random.Random(seed)
    tasks = sharing.take(store, "ann", count=6)
    given: list[Given] = []
    for one in tasks:
        first = label(one, tags=("t",), comment="c")
        given.append(first)
        if chance.random() < 0.5:
            given.append(label(one, "undo", undoes=first.uid, shown=()))
    sent = given + chance.sample(given, len(given)) + chance.sample(given, 3)
    chance.shuffle(sent)
    state = {}
    for at in range(0, len(sent), 4):
        for outcome in sharing.give_all(store, "ann", sent[at : at + 4]):
            state[outcome.uid] = outcome.state
    for one in sharing.give_all(store, "ann", given):  # an undo before its label was refused, and comes again
        state[one.uid] = one.state
    assert set(state.values()) == {"saved"}
    assert len(state) == len(given)
    assert store.query("SELECT uid FROM label_events GROUP BY uid HAVING count(*) > 1") == []
    standing = {event.uid for one in tasks for event in labels.standing(store, one.item.hash)}
    undone = {one.undoes for one in given}
    assert standing == {one.uid for one in given if one.verb != "undo" and one.uid not in undone}


def test_progress_by_person_and_batch(store: Store, task: Task) -> None:
    gold.set_answer(store, task.batch_id, 5, "tie")
    first, second = sharing.take(store, "ann", count=2)
    sharing.give_all(store, "ann", [label(first), label(second, "skip")])
    sharing.configure(store, task.batch_id, gold_rate=1.0)
    (known,) = sharing.take(store, "bob", count=1)
    sharing.give(store, "bob", label(known))
    ann, bob = progress.by_person(store)
    assert (ann.person, ann.labels, ann.skips, ann.today, ann.gold_of) == ("ann", 1, 1, 2, 0)
    assert ann.per_hour is None, "there is no minute of work"
    assert (bob.person, bob.labels, bob.gold_right, bob.gold_of) == ("bob", 1, 1, 1)
    (far,) = progress.by_batch(store)
    assert far == progress.Far(task.batch_id, items=6, gold=1, finished=1, labels=1, wanted=5)
    assert progress.by_person(store, 99) == []


def test_the_time_of_work_leaves_pauses_out(
    store: Store, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:

    tasks = sharing.take(store, "ann", count=5)
    for one, time in zip(tasks, ("08:00:00", "08:00:40", "08:01:40", "09:30:00", "09:30:20"), strict=True):
        monkeypatch.setattr(stamps, "now", lambda time=time: f"2030-05-01T{time}.000000+00:00")
        sharing.give(store, "ann", label(one))
    (done,) = progress.by_person(store, task.batch_id)
    assert done.seconds == pytest.approx(120.0, abs=1e-3)
    assert done.per_hour == pytest.approx(150.0, abs=1e-3)
