"""Sharing out, one event after the other: who is given what, and for how long."""

from collections import Counter

import pytest
from shares import check_counts, label, later, make, positions

from engine.errors import UserError
from engine.examples import Message
from tuner_app.store import Store, batches, labels, members, mixing, people, sharing, stamps
from tuner_app.store.rows import Asked, Maker, Reply


def test_each_gets_other_items_in_order(team: Store) -> None:
    batch = make(team)
    assert positions(sharing.take(team, "ann", count=3)) == [0, 1, 2]
    assert positions(sharing.take(team, "bob", count=3)) == [3, 4, 5]
    assert [offer.left for offer in sharing.offers(team, "ann")] == [9]
    assert [offer.batch.id for offer in sharing.offers(team, "ann")] == [batch.id]


def test_how_much_is_left_of_much(team: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted one by one, or bounded from above."""
    batch = make(team, 30, overlap=2)
    sharing.give_all(team, "ann", [label(task) for task in sharing.take(team, "ann", count=20)])
    sharing.take(team, "bob", count=15)
    left = [offer.left for name in ("ann", "bob", "cy") for offer in sharing.offers(team, name)]
    assert left == [10, 30, 15]
    monkeypatch.setattr(mixing, "_COUNTED", 3)
    with team.write():
        team.execute("UPDATE cursors SET next = 0 WHERE batch_id = ?", (batch.id,))
    bounds = [offer.left for name in ("ann", "bob", "cy") for offer in sharing.offers(team, name)]
    assert bounds == [10, 30, 15]
    assert [offer.total for offer in sharing.offers(team, "ann")] == [30]


def test_a_reload_gives_the_same_in_the_same_order(team: Store) -> None:
    make(team)
    before = sharing.take(team, "ann", count=4)
    after = sharing.take(team, "ann", count=6)
    assert [(task.position, task.shown) for task in after[:4]] == [
        (task.position, task.shown) for task in before
    ]
    assert positions(after) == [0, 1, 2, 3, 4, 5]
    assert after[0].expires > before[0].expires, "its time begins anew"
    assert {task.shown for task in sharing.take(team, "bob", count=6)} <= {(0, 1), (1, 0)}


def test_who_asks_for_fewer_gets_the_first_of_what_they_hold(team: Store) -> None:
    make(team)
    sharing.take(team, "ann", count=4)
    assert positions(sharing.take(team, "ann", count=2)) == [0, 1]


def test_nobody_holds_more_than_so_many(team: Store) -> None:
    make(team, sharing.MOST + 10)
    members.change(team, "ann", role="annotator", daily_limit=1000)
    assert len(sharing.take(team, "ann", count=1000)) == sharing.MOST
    assert len(sharing.take(team, "ann", count=1000)) == sharing.MOST


def test_the_order_of_the_sides_is_by_chance(team: Store) -> None:
    make(team, 50)
    shown = Counter(task.shown for task in sharing.take(team, "ann", count=50))
    assert min(shown[0, 1], shown[1, 0]) > 10


def test_a_lease_that_ends_goes_to_others_and_its_label_is_kept(team: Store) -> None:
    make(team)
    (late,) = sharing.take(team, "ann", count=1)
    later(team, "ann")
    assert positions(sharing.take(team, "bob", count=1)) == [0]
    assert sharing.give(team, "ann", label(late)).state == "saved"
    check_counts(team)
    assert [event.person for event in labels.standing(team, late.item.hash)] == ["ann"]
    assert positions(sharing.take(team, "bob", count=1)) == [0], "whoever holds it may go on"
    assert positions(sharing.take(team, "cy", count=1)) == [1]


def test_what_is_given_back_goes_to_others(team: Store) -> None:
    batch = make(team)
    sharing.take(team, "ann", count=2)
    sharing.release(team, "ann", batch.id, 1)
    assert positions(sharing.take(team, "bob", count=1)) == [1]
    assert positions(sharing.take(team, "ann", count=3)) == [0, 2, 3]


def test_nobody_gets_an_item_twice_unless_they_took_it_back(team: Store) -> None:
    make(team, 3, overlap=2)
    tasks = sharing.take(team, "ann")
    given = [label(task) for task in tasks]
    sharing.give_all(team, "ann", given)
    assert sharing.take(team, "ann") == []
    undo = label(tasks[1], "undo", undoes=given[1].uid, shown=())
    assert sharing.give(team, "ann", undo).state == "saved"
    (again,) = sharing.take(team, "ann")
    assert again.position == 1
    check_counts(team)


def test_an_item_that_was_taken_back_stays_in_its_persons_hands(team: Store) -> None:
    make(team, 1)
    (task,) = sharing.take(team, "ann")
    given = label(task)
    sharing.give(team, "ann", given)
    sharing.give(team, "ann", label(task, "undo", undoes=given.uid, shown=()))
    assert sharing.take(team, "bob") == []
    assert positions(sharing.take(team, "ann")) == [0]


def test_a_skip_leaves_the_item_to_others(team: Store) -> None:
    make(team, 1)
    (task,) = sharing.take(team, "ann")
    sharing.give(team, "ann", label(task, "skip"))
    assert sharing.take(team, "ann") == []
    assert positions(sharing.take(team, "bob")) == [0]
    check_counts(team)


def test_batches_of_high_priority_come_first(team: Store) -> None:
    low = make(team, 2, "low")
    high = make(team, 2, "high", priority=5)
    assert [task.batch_id for task in sharing.take(team, "ann", count=3)] == [high.id, high.id, low.id]
    assert [offer.batch.name for offer in sharing.offers(team, "bob")] == ["high", "low"]
    only = sharing.take(team, "bob", batch_id=low.id)
    assert [task.batch_id for task in only] == [low.id]


def test_a_daily_limit_holds(team: Store) -> None:
    make(team)
    members.change(team, "ann", role="annotator", daily_limit=3)
    tasks = sharing.take(team, "ann", count=8)
    assert len(tasks) == 3
    for left in (2, 1, 0):
        sharing.give(team, "ann", label(tasks[2 - left]))
        assert sharing.today(team, "ann") == sharing.Today(3 - left, 3)
        assert len(sharing.take(team, "ann")) == left
    assert len(sharing.take(team, "bob")) == 8
    members.change(team, "ann", role="annotator", daily_limit=None)
    assert len(sharing.take(team, "ann", count=1)) == 1


def test_a_label_on_an_item_of_several_batches(team: Store) -> None:
    """It is done in each of them, and one label of the day's."""
    first = make(team, 4)
    second = sharing.configure(
        team,
        batches.make(
            team,
            [Asked((Message("user", f"a {n}?"),), (Reply(f"a {n}"), Reply(f"b {n}"))) for n in (0, 1, 8, 9)],
            name="b",
            kind="pair",
            uid="b",
        ).id,
        shared=True,
    )
    members.change(team, "ann", role="annotator", daily_limit=3)
    tasks = sharing.take(team, "ann", count=2)
    for task in tasks:
        sharing.give(team, "ann", label(task))
    assert sharing.today(team, "ann") == sharing.Today(2, 3)
    assert [(offer.done, offer.left) for offer in sharing.offers(team, "ann")] == [(2, 2), (2, 2)]
    assert len(sharing.take(team, "ann")) == 1, "of three on this day"
    assert positions(sharing.take(team, "bob", batch_id=second.id)) == [2, 3], "what ann has done is done"
    check_counts(team)
    sharing.give(
        team,
        "ann",
        label(tasks[0], "undo", undoes=labels.standing(team, tasks[0].item.hash)[0].uid, shown=()),
    )
    assert sharing.today(team, "ann").given == 1
    assert first.id == tasks[0].batch_id


def test_of_the_days_before_nothing_counts_for_today(team: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    make(team)
    for task in sharing.take(team, "ann", count=3):
        sharing.give(team, "ann", label(task))
    tomorrow = stamps.later(hours=24)
    monkeypatch.setattr(stamps, "now", lambda: tomorrow)
    assert sharing.today(team, "ann").given == 0


def test_only_who_is_named_may_do_a_batch(team: Store) -> None:
    batch = make(team, people=["ann", "bob"])
    assert sharing.people_of(team, batch.id) == ["ann", "bob"]
    assert sharing.take(team, "cy") == []
    assert sharing.offers(team, "cy") == []
    assert len(sharing.take(team, "ann", count=2)) == 2
    sharing.configure(team, batch.id, people=[])
    assert len(sharing.take(team, "cy", count=2)) == 2


@pytest.mark.parametrize("how", ["archived", "unshared", "revoked", "not named"])
def test_what_is_no_longer_offered(team: Store, how: str) -> None:
    batch = make(team, people=["ann"] if how == "not named" else [])
    (held,) = sharing.take(team, "ann", count=1)
    match how:
        case "archived":
            batches.archive(team, batch.id)
        case "unshared":
            sharing.configure(team, batch.id, shared=False)
        case "revoked":
            members.revoke(team, "ann")
        case _:
            sharing.configure(team, batch.id, people=["bob"])
    assert sharing.take(team, "ann") == []
    assert sharing.take(team, "ann", batch_id=batch.id) == []
    assert sharing.offers(team, "ann") == []
    if how == "revoked":
        assert 0 in positions(sharing.take(team, "bob")), "what they held goes to others at once"
        with pytest.raises(UserError, match="shut out"):
            sharing.give(team, "ann", label(held))
    else:
        assert sharing.give(team, "ann", label(held)).state == "saved", "it was theirs"


def test_who_is_no_member_gets_nothing(team: Store) -> None:
    people.add(team, "guest")
    for work in (sharing.take, sharing.offers):
        with pytest.raises(UserError, match="not among the people"):
            work(team, "guest")  # type: ignore[operator]


def test_more_overlap_opens_items_again(team: Store) -> None:
    batch = make(team, 2)
    for task in sharing.take(team, "ann"):
        sharing.give(team, "ann", label(task))
    assert sharing.take(team, "bob") == []
    sharing.configure(team, batch.id, overlap=2)
    assert positions(sharing.take(team, "bob")) == [0, 1]
    assert sharing.take(team, "cy") == []
    check_counts(team)


def test_answers_that_come_later_are_given_out(team: Store) -> None:
    asked = [Asked((Message("user", f"{n}?"),)) for n in range(3)]
    batch = batches.make(team, asked, name="b", kind="single", makers=(Maker("builtin"),), uid="b")
    sharing.configure(team, batch.id, shared=True)
    batches.answer(team, batch.id, 2, (Reply("two"),))
    assert positions(sharing.take(team, "ann")) == [2]
    batches.answer(team, batch.id, 0, (Reply("zero"),))
    (later_one,) = [task for task in sharing.take(team, "ann") if task.position == 0]
    assert later_one.shown == (0,)
    check_counts(team)


def test_time_is_text_that_sorts() -> None:
    assert stamps.now() < stamps.later(seconds=5) < stamps.later(minutes=1) < stamps.later(hours=1)
