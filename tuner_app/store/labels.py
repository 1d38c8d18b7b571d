"""Labels: events that are appended and never changed. Which of them stand is read in `store.heads`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.errors import UserError
from engine.examples import canonical
from tuner_app.store import examples, people, stamps
from tuner_app.store.database import Store
from tuner_app.store.feeds import describe_fed, fed
from tuner_app.store.heads import (
    EVENT,
    counts,
    event_of,
    find,
    head,
    head_of,
    heads,
    history,
    latest_in,
    on_messages,
    pending,
    standing,
)
from tuner_app.store.items import item, item_for_pair, item_for_single, items
from tuner_app.store.rows import Item, LabelEvent, Verb

__all__ = [
    "append",
    "check",
    "counts",
    "describe_fed",
    "fed",
    "find",
    "head",
    "head_of",
    "heads",
    "history",
    "item",
    "item_for_pair",
    "item_for_single",
    "items",
    "latest_in",
    "on_messages",
    "pending",
    "record",
    "standing",
    "take_back",
    "taken",
    "undo",
    "undo_last",
]

_VERBS: dict[str, tuple[Verb, ...]] = {
    "single": ("good", "bad", "correct", "skip"),
    "pair": ("choose", "tie", "both_bad", "correct", "skip"),
}
_VALUES: dict[str, dict[str, type]] = {"choose": {"reply": int}, "correct": {"reply": int, "text": str}}
_NOT_SAVED = "This label was not saved; all others are."


def record(
    store: Store,
    item_hash: str,
    verb: Verb,
    *,
    value: Mapping[str, Any] | None = None,
    shown: Sequence[int] = (),
    person: str = people.ME,
    uid: str,
) -> LabelEvent:
    """Append a label; it is on disk when this returns (inside a `write` block: when that ends).

    The same `uid` again gives the label that is there, so a retry is safe; a UserError when it comes with
    other content. `value` and `shown` as in `LabelEvent`.
    """
    judged = item(store, item_hash)
    event = LabelEvent(uid, item_hash, person, verb, dict(value or {}), tuple(shown), None, "")
    check(judged, event)
    with store.write():
        return append(store, replace(event, created=_next_time(store, person)))


def undo(store: Store, item_hash: str, *, person: str = people.ME, uid: str) -> LabelEvent:
    """Take back the label that stands, so that the one before it stands again; a UserError without one."""
    item(store, item_hash)
    with store.write():
        known = _known(store, LabelEvent(uid, item_hash, person, "undo", {}, (), None, ""))
        if known:
            return known
        current = head(store, item_hash, person)
        if current is None:
            raise UserError("There is no label on this item to undo.", kept="Nothing was changed.")
        return _take_back(store, current, uid)


def undo_last(store: Store, *, person: str = people.ME, uid: str) -> LabelEvent | None:
    """Take back the person's latest label that is not undone yet; None where there is none."""
    with store.write():
        again = find(store, uid)
        if again and (again.verb, again.person) == ("undo", person):
            return again
        if again:
            raise taken(uid)
        row = store.one(
            f"""{EVENT} WHERE e.person_id = ? AND e.verb <> 'undo'
                AND NOT EXISTS (SELECT 1 FROM label_events u WHERE u.undoes = e.uid)
                ORDER BY e.created DESC, e.uid DESC LIMIT 1""",
            (people.get(store, person).id,),
        )
        return row and _take_back(store, event_of(row), uid)


def take_back(
    store: Store, item_hash: str, label_uid: str, *, person: str = people.ME, uid: str
) -> LabelEvent:
    """Take back one label of a person on an item, whether or not it stands; a UserError where there is none
    or it was taken back before."""
    with store.write():
        again = _known(store, LabelEvent(uid, item_hash, person, "undo", {}, (), None, ""))
        if again and again.undoes == label_uid:
            return again
        if again:
            raise taken(uid)
        label = find(store, label_uid)
        if label is None or (label.person, label.item_hash) != (person, item_hash) or label.verb == "undo":
            raise UserError("There is no such label to take back.", kept="Nothing was changed.")
        if store.one("SELECT 1 FROM label_events WHERE undoes = ?", (label_uid,)):
            raise UserError("This label was taken back already.", kept="Nothing was changed.")
        return _take_back(store, label, uid)


def append(store: Store, event: LabelEvent) -> LabelEvent:
    """Add an event as it is, with what it gives to training, and move its item's head.

    For events made elsewhere: item and person must be here; nothing happens where the uid is.
    """
    with store.write():
        known = _known(store, event)
        if known:
            return known
        person_id = people.get(store, event.person).id
        judged = item(store, event.item_hash)
        row = store.one("SELECT id FROM items WHERE hash = ?", (event.item_hash,))
        assert row is not None
        event_id = store.execute(
            "INSERT INTO label_events (uid, item_id, person_id, verb, value, shown, undoes, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (event.uid, row["id"], person_id, event.verb, canonical(dict(event.value)))
            + (canonical(list(event.shown)), event.undoes, event.created),
        )
        store.execute_many(
            "INSERT INTO label_examples (event_id, kind, example_id) SELECT ?, kind, id FROM examples"
            " WHERE id = ? ON CONFLICT DO NOTHING",
            [(event_id, examples.insert(store, example)) for example in fed(judged, event)],
        )
        examples.follow_edits(store, "label_examples", event_id)
        _move_head(store, row["id"], person_id)
        return event


def check(judged: Item, event: LabelEvent) -> None:
    """A UserError where a label does not fit its item: a page can be sent anything."""
    if event.verb not in _VERBS[judged.kind]:
        raise _misfit(f"“{event.verb}” is no label for a {judged.kind}", ", ".join(_VERBS[judged.kind]))
    expected = _VALUES.get(event.verb, {})
    if {name: type(part) for name, part in event.value.items()} != expected:
        raise _misfit(f"“{event.verb}” came with {dict(event.value)!r}", ", ".join(expected) or "no value")
    if event.value.get("reply", 0) not in range(len(judged.replies)):
        raise _misfit(f"There is no reply {event.value['reply']}", f"0 to {len(judged.replies) - 1}")
    if event.shown and sorted(event.shown) != list(range(len(judged.replies))):
        raise _misfit(f"{event.shown} is no order of the replies", f"each of 0 to {len(judged.replies) - 1}")
    if not event.value.get("text", "a reply").strip():
        raise UserError("The corrected answer is empty.", kept=_NOT_SAVED, do="Write the answer, or skip.")


def _misfit(what: str, expected: str) -> UserError:
    return UserError(f"{what}.", kept=_NOT_SAVED, do=f"Expected: {expected}.")


def _take_back(store: Store, label: LabelEvent, uid: str) -> LabelEvent:
    created = _next_time(store, label.person)
    return append(store, LabelEvent(uid, label.item_hash, label.person, "undo", {}, (), label.uid, created))


def _next_time(store: Store, person: str) -> str:
    row = store.one(
        "SELECT max(created) AS latest FROM label_events WHERE person_id = ?",
        (people.get(store, person).id,),
    )
    assert row is not None
    return stamps.after(row["latest"])


def _known(store: Store, event: LabelEvent) -> LabelEvent | None:
    """The event that has this uid already; a UserError where it says something else."""
    known = find(store, event.uid)
    if known and replace(known, created="", undoes=None) != replace(event, created="", undoes=None):
        raise taken(event.uid)
    return known


def _move_head(store: Store, item_id: int, person_id: int) -> None:
    rows = store.query(f"{EVENT} WHERE e.item_id = ? AND e.person_id = ?", (item_id, person_id))
    standing = head_of(map(event_of, rows))
    store.execute("DELETE FROM heads WHERE person_id = ? AND item_id = ?", (person_id, item_id))
    if standing:
        store.execute(
            "INSERT INTO heads (person_id, item_id, event_id, verb)"
            " SELECT person_id, item_id, id, verb FROM label_events WHERE uid = ?",
            (standing.uid,),
        )


def taken(uid: str) -> UserError:
    """What a label says that comes with the uid of another one."""
    return UserError(
        f"The label {uid} exists already with other content.",
        kept="The label that was there first is unchanged.",
        do="Label again; every press of a key needs a uid of its own.",
    )
