"""Batches that are shared out, for the tests of who gets what: made, labelled, and counted again."""

from engine.examples import Message
from tuner_app.store import Store, batches, leases, new_uid, people, sharing
from tuner_app.store.rows import Asked, Batch, Reply
from tuner_app.store.sharing import Given, Task

PEOPLE = ("ann", "bob", "cy", "dee")


def make(store: Store, size: int = 12, name: str = "a", **how: object) -> Batch:
    """A shared batch of pairs."""
    asked = [
        Asked((Message("user", f"{name} {n}?"),), (Reply(f"a {n}"), Reply(f"b {n}"))) for n in range(size)
    ]
    made = batches.make(store, asked, name=name, kind="pair", uid=name)
    return sharing.configure(store, made.id, **{"shared": True, **how})  # type: ignore[arg-type]


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


def leases_over(store: Store) -> None:
    with store.write():
        leases.expire(store)
