"""Sharing out: who is given what, in many orders of events, and by several connections at once."""

import multiprocessing
import random
import threading
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.examples import Message
from tuner_app.store import (
    Store,
    batches,
    gold,
    labels,
    leases,
    members,
    mixing,
    new_uid,
    people,
    sharing,
    stamps,
)
from tuner_app.store.rows import Asked, Batch, Maker, Progress, Reply
from tuner_app.store.sharing import Given, Task

PEOPLE = ("ann", "bob", "cy", "dee")


def make(store: Store, size: int = 12, name: str = "a", **how: object) -> Batch:
    """A shared batch of pairs."""
    asked = [
        Asked((Message("user", f"{name} {n}?"),), (Reply(f"a {n}"), Reply(f"b {n}"))) for n in range(size)
    ]
    made = batches.make(store, asked, name=name, kind="pair", uid=name)
    return sharing.configure(store, made.id, **{"shared": True, **how})  # type: ignore[arg-type]


@pytest.fixture
def team(store: Store) -> Store:
    """A store that four people label in."""
    for name in PEOPLE:
        members.add(store, name)
    return store


def label(task: Task, verb: str = "tie", uid: str = "", **rest: object) -> Given:
    return Given(
        uid or new_uid(),
        task.batch_id,
        task.item.hash,
        verb,  # type: ignore[arg-type]
        **{"shown": task.shown, **rest},  # type: ignore[arg-type]
    )


def positions(tasks: list[Task]) -> list[int]:
    return [task.position for task in tasks]


def later(store: Store, lease_of: str) -> None:
    """Let the time of all that a person holds be over."""
    with store.write():
        store.execute(
            "UPDATE leases SET expires = '2020' WHERE person_id = ?", (people.get(store, lease_of).id,)
        )


def check_counts(store: Store) -> None:
    """What the triggers keep is what a count of everything gives."""
    wrong = store.query(
        """SELECT s.batch_id, s.position, s.room FROM slots s JOIN batches b ON b.id = s.batch_id
           WHERE s.room <> b.overlap
             - (SELECT count(*) FROM heads WHERE item_id = s.item_id AND verb <> 'skip')
             - (SELECT count(*) FROM leases l
                WHERE l.batch_id = s.batch_id AND l.position = s.position AND l.lives)"""
    )
    assert [tuple(row) for row in wrong] == []
    work = store.query(
        "SELECT batch_id, person_id, sum(labels), sum(skips) FROM work GROUP BY batch_id, person_id"
        " HAVING sum(labels + skips) > 0 ORDER BY batch_id, person_id"
    )
    counted = store.query(
        """SELECT s.batch_id, h.person_id, sum(h.verb <> 'skip'), sum(h.verb = 'skip')
           FROM slots s JOIN heads h ON h.item_id = s.item_id
           GROUP BY s.batch_id, h.person_id ORDER BY s.batch_id, h.person_id"""
    )
    assert [tuple(row) for row in work] == [tuple(row) for row in counted]
    unseen = store.query(
        """SELECT c.person_id, s.position FROM cursors c JOIN slots s ON s.batch_id = c.batch_id
           WHERE s.position < c.next AND s.room > 0 AND s.gold_verb IS NULL
             AND NOT EXISTS (SELECT 1 FROM heads WHERE person_id = c.person_id AND item_id = s.item_id)
             AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.batch_id = s.batch_id
               AND l.position = s.position AND l.person_id = c.person_id)"""
    )
    assert [tuple(row) for row in unseen] == [], "nothing new lies before a cursor"


# --- one after the other


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


# --- with the terminal's own labelling


def test_the_terminals_labels_count_for_the_overlap(team: Store) -> None:
    batch = make(team, 4)
    first, *_ = batches.waiting(team, batch.id)
    batches.judge(team, first, "tie", uid=new_uid())
    assert positions(sharing.take(team, "ann", count=1)) == [1]
    assert [found.position for found in sharing.waiting(team, batch.id)] == [2, 3], "ann has the other one"
    assert batches.progress(team, batch.id) == Progress(prompts=4, judged=1, ready=2, failed=0, others=1)
    assert sharing.take(team, "bob") == [], "what a terminal shows is in its person's hands"
    check_counts(team)


def test_a_terminal_takes_back_and_keeps_the_item(team: Store) -> None:
    batch = make(team, 2)
    first, second = sharing.waiting(team, batch.id)
    assert [found.position for found in sharing.waiting(team, batch.id, after=first.position)] == [1]
    batches.judge(team, first, "tie", uid=new_uid())
    undone = batches.undo_last(team, batch.id, uid="undo")
    assert undone == first
    assert sharing.take(team, "ann") == []
    assert sharing.waiting(team, batch.id) == [first, second]
    check_counts(team)


def test_a_batch_that_is_not_shared_is_the_terminals_as_before(team: Store) -> None:
    batch = make(team, 3, shared=False)
    assert len(sharing.waiting(team, batch.id, limit=2)) == 2
    assert team.query("SELECT 1 FROM leases") == []
    assert batches.progress(team, batch.id) == Progress(prompts=3, judged=0, ready=3, failed=0)


def test_the_person_at_the_machine_may_do_every_batch(team: Store) -> None:
    batch = make(team, 3, people=["ann"])
    assert len(sharing.waiting(team, batch.id)) == 3


# --- many orders of events


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_events(team: Store, seed: int) -> None:
    chance = random.Random(seed)
    overlap = chance.choice((1, 2, 3))
    made = [make(team, 8, name, overlap=overlap, gold_rate=chance.choice((0, 0.3))) for name in ("x", "y")]
    gold.set_answer(team, made[0].id, 5, "tie")
    hands: dict[str, dict[tuple[int, int], Task]] = defaultdict(dict)
    gave: dict[str, list[tuple[Given, Task]]] = defaultdict(list)

    def take(name: str) -> None:
        held = sharing.take(team, name, count=chance.randint(1, 6))
        done = {(task.batch_id, task.position) for _, task in gave[name]}
        assert not done & {(task.batch_id, task.position) for task in held}, "nobody gets an item twice"
        hands[name].update({(task.batch_id, task.position): task for task in held})

    def give(name: str) -> None:
        if hands[name]:
            task = hands[name].pop(chance.choice(list(hands[name])))
            given = label(task, chance.choice(("tie", "both_bad", "skip")))
            sharing.give(team, name, given)
            gave[name].append((given, task))

    def undo(name: str) -> None:
        if gave[name]:
            given, task = gave[name].pop(chance.randrange(len(gave[name])))
            sharing.give(team, name, label(task, "undo", undoes=given.uid, shown=()))
            if (task.batch_id, task.position) in held_by(
                team, name
            ):  # a skip that is undone may find no room
                hands[name][task.batch_id, task.position] = task

    def lose(name: str) -> None:
        later(team, name)
        leases_over(team)
        hands[name].clear()

    def give_back(name: str) -> None:
        if hands[name]:
            task = hands[name].pop(chance.choice(list(hands[name])))
            sharing.release(team, name, task.batch_id, task.position)

    def change(name: str) -> None:
        sharing.configure(team, made[1].id, overlap=overlap + chance.randint(0, 1))

    for _ in range(120):
        work = chance.choices((take, give, undo, lose, give_back, change), (8, 10, 2, 1, 1, 0.3))[0]
        work(chance.choice(PEOPLE))
        check_counts(team)
        crowded = team.query(
            "SELECT 1 FROM slots WHERE room < 0 AND gold_verb IS NULL AND batch_id = ?", (made[0].id,)
        )
        assert not crowded, "nothing is in more hands than the overlap"
    # To the end: nothing is stuck, whoever is left finishes all that can be.
    for name in PEOPLE:
        later(team, name)
    while sum(finish(team, name) for name in PEOPLE):
        pass
    check_counts(team)
    for batch in made:
        for row in team.query("SELECT position, room, gold_verb FROM slots WHERE batch_id = ?", (batch.id,)):
            skipped = team.query(
                """SELECT 1 FROM slots s JOIN heads h ON h.item_id = s.item_id
                   WHERE s.batch_id = ? AND s.position = ? AND h.verb = 'skip'""",
                (batch.id, row["position"]),
            )
            assert row["gold_verb"] or row["room"] <= 0 or skipped


def held_by(store: Store, name: str) -> set[tuple[int, int]]:
    """What a person holds: batch and position."""
    rows = store.query(
        "SELECT batch_id, position FROM leases WHERE person_id = ? AND lives", (people.get(store, name).id,)
    )
    return {(row["batch_id"], row["position"]) for row in rows}


def leases_over(store: Store) -> None:
    with store.write():
        leases.expire(store)


def finish(store: Store, name: str) -> int:
    """Label all that a person can get; how many there were."""
    done = 0
    while tasks := sharing.take(store, name):
        done += len(tasks)
        assert {outcome.state for outcome in sharing.give_all(store, name, [label(t) for t in tasks])} == {
            "saved"
        }
    return done


# --- at once


def labour(
    path: Path,
    name: str,
    seed: int,
    problems: "multiprocessing.Queue[str] | None" = None,
    *,
    gives_back: float = 0.0,
) -> None:
    """Take and give until there is nothing; some things are sent twice, some given back.

    Who works in two windows gives nothing back: what one of them gave back may be another's when the label
    of the other window comes, which is kept all the same.
    """
    chance = random.Random(seed)
    store = Store.open(path)
    try:
        idle = 0
        while idle < 3:
            tasks = sharing.take(store, name, count=chance.randint(1, 5))
            idle = 0 if tasks else idle + 1
            for task in tasks:
                if chance.random() < gives_back:
                    sharing.release(store, name, task.batch_id, task.position)
                    continue
                given = label(task)
                for _ in range(chance.choice((1, 1, 2))):
                    sharing.give(store, name, given)
    except Exception as error:
        if problems is None:
            raise
        problems.put(repr(error))
    finally:
        store.close()


def check_done(store: Store, batch: Batch, size: int, overlap: int) -> None:
    check_counts(store)
    rows = store.query(
        """SELECT s.position, count(DISTINCT e.person_id) AS people FROM slots s
           JOIN label_events e ON e.item_id = s.item_id WHERE s.batch_id = ? GROUP BY s.position""",
        (batch.id,),
    )
    assert len(rows) == size
    assert {row["people"] for row in rows} == {overlap}


@pytest.mark.parametrize(("windows", "gives_back"), [(1, 0.1), (2, 0.0)])
def test_threads_at_once(team: Store, path: Path, windows: int, gives_back: float) -> None:
    batch = make(team, 40, overlap=2)
    workers = [
        threading.Thread(target=labour, args=(path, name, n), kwargs={"gives_back": gives_back})
        for n, name in enumerate(PEOPLE * windows)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    check_done(team, batch, 40, 2)


@pytest.mark.slow
def test_processes_at_once(team: Store, path: Path) -> None:
    batch = make(team, 60, overlap=3)
    spawn = multiprocessing.get_context("spawn")
    problems = spawn.Queue()
    workers = [spawn.Process(target=labour, args=(path, PEOPLE[n % 4], n, problems)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert problems.empty(), problems.get()
    check_done(team, batch, 60, 3)


def test_time_is_text_that_sorts() -> None:
    assert stamps.now() < stamps.later(seconds=5) < stamps.later(minutes=1) < stamps.later(hours=1)
