"""Sharing out in many orders of events, and by several connections at once."""

import multiprocessing
import random
import threading
from collections import defaultdict
from pathlib import Path

import pytest
from shares import PEOPLE, check_counts, label, later, leases_over, make

from tuner_app.store import Store, gold, people, sharing
from tuner_app.store.rows import Batch
from tuner_app.store.sharing import Given, Task


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


def finish(store: Store, name: str) -> int:
    """Label all that a person can get; how many there were."""
    done = 0
    while tasks := sharing.take(store, name):
        done += len(tasks)
        assert {outcome.state for outcome in sharing.give_all(store, name, [label(t) for t in tasks])} == {
            "saved"
        }
    return done


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
