"""Batches: prompts that a person chose, whose answers are judged one after the other.

A prompt is answered when it has an item, which is judged like any other. No query here reads more than one
batch, whatever else is stored.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import UserError
from engine.examples import Message as Turn
from engine.examples import canonical, messages_from_json
from tuner_app.store import labels, leases, people, stamps
from tuner_app.store.database import Store
from tuner_app.store.rows import (
    Asked,
    Batch,
    BatchKind,
    Item,
    LabelEvent,
    Maker,
    Progress,
    Reply,
    Verb,
    Waiting,
)

MOST = 10_000  # prompts in a batch
_UNCHANGED = "Nothing was changed."
_BATCH = """id, uid, name, kind, makers, decoding, created, archived,
  overlap, priority, gold_rate, guidelines, shared"""


def make(
    store: Store,
    asked: Sequence[Asked],
    *,
    name: str,
    kind: BatchKind,
    makers: Sequence[Maker] = (),
    decoding: Mapping[str, Any] | None = None,
    uid: str,
) -> Batch:
    """A new batch: all of it or nothing. The same `uid` again gives the batch that is there.

    What comes with replies can be judged at once; the rest is to be answered by `makers`: one for a `single`;
    for a `pair` one, who answers twice, or two. What repeats is taken once.
    """
    asked = list(dict.fromkeys(asked))
    _check(asked, name, kind, makers)
    with store.write():
        known = store.one(f"SELECT {_BATCH} FROM batches WHERE uid = ?", (uid,))
        if known:
            return _batch(known)
        if store.one("SELECT 1 FROM batches WHERE name = ?", (name,)):
            raise UserError(
                f"There is a batch called “{name}” already.", kept=_UNCHANGED, do="Give another name."
            )
        named = canonical([vars(maker) for maker in makers])
        new = store.execute(
            "INSERT INTO batches (uid, name, kind, makers, decoding, created) VALUES (?, ?, ?, ?, ?, ?)",
            (uid, name, kind, named, canonical(dict(decoding or {})), stamps.now()),
        )
        store.execute_many(
            "INSERT INTO batch_prompts (batch_id, position, prompt, item_id) VALUES (?, ?, ?, ?)",
            [
                (new, position, _text(one.prompt), _item_id(store, one.prompt, one.replies))
                for position, one in enumerate(asked)
            ],
        )
        return get(store, new)


def get(store: Store, batch_id: int) -> Batch:
    """One batch; a UserError where there is none."""
    row = store.one(f"SELECT {_BATCH} FROM batches WHERE id = ?", (batch_id,))
    if row is None:
        raise UserError(f"There is no batch {batch_id}.")
    return _batch(row)


def listed(store: Store, *, limit: int = 200) -> list[Batch]:
    """The batches that are not put away, the newest first."""
    rows = store.query(f"SELECT {_BATCH} FROM batches WHERE NOT archived ORDER BY id DESC LIMIT ?", (limit,))
    return [_batch(row) for row in rows]


def free_name(store: Store) -> str:
    """A name that no batch has: “batch 1”, “batch 2”, …"""
    row = store.one("SELECT coalesce(max(id), 0) + 1 AS next FROM batches")
    assert row is not None
    number = row["next"]
    while store.one("SELECT 1 FROM batches WHERE name = ?", (f"batch {number}",)):
        number += 1
    return f"batch {number}"


def archive(store: Store, batch_id: int, archived: bool = True) -> None:
    """Take a batch out of the list, or put it back; nothing is deleted."""
    with store.write():
        store.execute("UPDATE batches SET archived = ? WHERE id = ?", (archived, batch_id))


def progress(store: Store, batch_id: int, person: str = people.ME) -> Progress:
    """How far a person is with a batch."""
    row = store.one(
        """SELECT count(*) AS prompts, count(h.event_id) AS judged,
             coalesce(sum(b.failure <> ''), 0) AS failed,
             count(b.item_id) - count(h.event_id) AS ready,
             coalesce(sum(h.event_id IS NULL AND s.room <= 0 AND s.gold_verb IS NULL AND NOT EXISTS
               (SELECT 1 FROM leases l WHERE l.batch_id = b.batch_id AND l.position = b.position
                  AND l.person_id = :person AND l.lives)), 0) AS others
           FROM batch_prompts b LEFT JOIN heads h ON h.item_id = b.item_id AND h.person_id = :person
             LEFT JOIN slots s ON s.batch_id = b.batch_id AND s.position = b.position
               AND (SELECT shared FROM batches WHERE id = :batch)
           WHERE b.batch_id = :batch""",
        {"batch": batch_id, "person": people.get(store, person).id},
    )
    assert row is not None
    return Progress(**{**row, "ready": row["ready"] - row["others"]})


# --- judging


def waiting(
    store: Store, batch_id: int, *, after: int = -1, limit: int = 20, person: str = people.ME
) -> list[Waiting]:
    """What can be judged and is not yet, from the position `after` on."""
    rows = store.query(
        """SELECT b.position, i.hash FROM batch_prompts b JOIN items i ON i.id = b.item_id
           WHERE b.batch_id = ? AND b.position > ? AND NOT EXISTS
             (SELECT 1 FROM heads WHERE person_id = ? AND item_id = b.item_id)
           ORDER BY b.position LIMIT ?""",
        (batch_id, after, people.get(store, person).id, limit),
    )
    found = {item.hash: item for item in labels.items(store, [row["hash"] for row in rows])}
    return [Waiting(row["position"], found[row["hash"]]) for row in rows]


def judge(
    store: Store,
    judged: Waiting,
    verb: Verb,
    *,
    value: Mapping[str, Any] | None = None,
    shown: Sequence[int] = (),
    person: str = people.ME,
    uid: str,
) -> LabelEvent | None:
    """Record a label, as `labels.record` does, unless another one has come since the person saw the item:
    then nothing is recorded, and None is returned."""
    with store.write():
        standing = labels.head(store, judged.item.hash, person)
        if standing and standing.uid not in (judged.standing, uid):
            return None
        return labels.record(store, judged.item.hash, verb, value=value, shown=shown, person=person, uid=uid)


def undo_last(store: Store, batch_id: int, *, person: str = people.ME, uid: str) -> Waiting | None:
    """Take back the person's latest label in a batch that stands, whenever it was given; what it was on, or
    None where there is none. The same `uid` again takes back no other label."""
    with store.write():
        again = store.one(
            """SELECT b.position, i.hash FROM label_events e JOIN batch_prompts b ON b.item_id = e.item_id
               JOIN items i ON i.id = e.item_id WHERE e.uid = ? AND b.batch_id = ?""",
            (uid, batch_id),
        )
        last = again or store.one(
            """SELECT b.position, i.hash FROM batch_prompts b
               CROSS JOIN heads h ON h.item_id = b.item_id AND h.person_id = ?
               CROSS JOIN label_events e ON e.id = h.event_id JOIN items i ON i.id = b.item_id
               WHERE b.batch_id = ? ORDER BY e.created DESC, e.uid DESC LIMIT 1""",
            (people.get(store, person).id, batch_id),
        )
        if last is None:
            return None
        undone = labels.undo(store, last["hash"], person=person, uid=uid)
        taken_back = labels.find(store, undone.undoes or "")
        if not again:
            leases.hold_again(store, batch_id, last["position"], people.get(store, person).id)
        before = labels.head(store, last["hash"], person)
        standing, shown = before.uid if before else None, taken_back.shown if taken_back else ()
        return Waiting(last["position"], labels.item(store, last["hash"]), standing, shown)


def given_since(store: Store, since: str, person: str = people.ME) -> list[str]:
    """When a person gave the labels since a time that were not taken back, in order."""
    rows = store.query(
        """SELECT e.created FROM label_events e WHERE e.person_id = ? AND e.created >= ?
             AND e.verb <> 'undo' AND NOT EXISTS (SELECT 1 FROM label_events u WHERE u.undoes = e.uid)
           ORDER BY e.created""",
        (people.get(store, person).id, since),
    )
    return [row["created"] for row in rows]


# --- answering


def unanswered(
    store: Store, batch_id: int, *, after: int = -1, limit: int = 20
) -> list[tuple[int, tuple[Turn, ...]]]:
    """Positions and prompts that nobody has answered or failed to answer, from the position `after` on."""
    rows = store.query(
        """SELECT position, prompt FROM batch_prompts
           WHERE batch_id = ? AND position > ? AND item_id IS NULL AND failure = ''
           ORDER BY position LIMIT ?""",
        (batch_id, after, limit),
    )
    return [(row["position"], messages_from_json(json.loads(row["prompt"]))) for row in rows]


def answer(store: Store, batch_id: int, position: int, replies: Sequence[Reply]) -> None:
    """Keep the answers to a prompt, ready to be judged; nothing happens where it has been answered."""
    with store.write():
        row = store.one(
            "SELECT prompt, item_id FROM batch_prompts WHERE batch_id = ? AND position = ?",
            (batch_id, position),
        )
        if row and row["item_id"] is None:
            prompt = messages_from_json(json.loads(row["prompt"]))
            store.execute(
                "UPDATE batch_prompts SET item_id = ?, failure = '' WHERE batch_id = ? AND position = ?",
                (_item_id(store, prompt, replies), batch_id, position),
            )


def fail(store: Store, batch_id: int, position: int, why: str) -> None:
    """Note why a prompt has no answers to judge."""
    with store.write():
        store.execute(
            "UPDATE batch_prompts SET failure = ? WHERE batch_id = ? AND position = ? AND item_id IS NULL",
            (why, batch_id, position),
        )


def failures(store: Store, batch_id: int) -> dict[str, int]:
    """Why prompts of a batch have no answers, each with how many, the most frequent first."""
    rows = store.query(
        """SELECT failure, count(*) AS n FROM batch_prompts WHERE batch_id = ? AND failure <> ''
           GROUP BY failure ORDER BY n DESC, failure""",
        (batch_id,),
    )
    return {row["failure"]: row["n"] for row in rows}


def try_again(store: Store, batch_id: int) -> None:
    """Forget the failures of a batch, so that its prompts are answered after all."""
    with store.write():
        store.execute(
            "UPDATE batch_prompts SET failure = '' WHERE batch_id = ? AND failure <> ''", (batch_id,)
        )


def _check(asked: Sequence[Asked], name: str, kind: BatchKind, makers: Sequence[Maker]) -> None:
    count = 1 if kind == "single" else 2
    if any(len(one.replies) not in (0, count) for one in asked):
        raise UserError(f"A {kind} is judged by {count} replies.", kept=_UNCHANGED)
    if not all(one.replies for one in asked) and not 1 <= len(makers) <= count:
        raise UserError("It takes one model to answer these prompts, or two for pairs.", kept=_UNCHANGED)
    if not asked:
        raise UserError("There are no prompts.", kept=_UNCHANGED, do="Choose others.")
    if len(asked) > MOST:
        raise UserError(f"A batch has at most {MOST:,} prompts.", kept=_UNCHANGED, do="Choose fewer.")
    if not name.strip():
        raise UserError("A batch needs a name.", kept=_UNCHANGED)


def _item_id(store: Store, prompt: Sequence[Turn], replies: Sequence[Reply]) -> int | None:
    if not replies:
        return None
    judged: Item
    if len(replies) == 1:
        judged = labels.item_for_single(store, prompt, replies[0])
    else:
        judged = labels.item_for_pair(store, prompt, *replies)
    row = store.one("SELECT id FROM items WHERE hash = ?", (judged.hash,))
    assert row is not None
    return int(row["id"])


def _text(prompt: Sequence[Turn]) -> str:
    return canonical([{"role": turn.role, "content": turn.content} for turn in prompt])


def _batch(row: Any) -> Batch:
    makers = tuple(Maker(**maker) for maker in json.loads(row["makers"]))
    flags = {"archived": bool(row["archived"]), "shared": bool(row["shared"])}
    return Batch(**{**row, **flags, "makers": makers, "decoding": json.loads(row["decoding"])})
