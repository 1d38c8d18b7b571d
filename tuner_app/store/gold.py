"""Gold: items of a batch whose answer is known, mixed in at the batch's rate to see how well people label."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import UserError
from engine.examples import canonical
from tuner_app.store import labels, people
from tuner_app.store.database import Store
from tuner_app.store.rows import LabelEvent, Verb

_NO_ANSWER = ("skip", "undo")


@dataclass(frozen=True)
class Gold:
    """The known answer at a position of a batch; `value` as in `LabelEvent`."""

    position: int
    verb: Verb
    value: Mapping[str, Any]


def set_answer(
    store: Store, batch_id: int, position: int, verb: Verb, value: Mapping[str, Any] | None = None
) -> None:
    """Make an item of a batch gold: everybody gets it, and it does not count for the overlap.

    A UserError where it has no replies yet, or the answer does not fit them.
    """
    with store.write():
        row = store.one(
            """SELECT i.hash FROM slots s JOIN items i ON i.id = s.item_id
               WHERE s.batch_id = ? AND s.position = ?""",
            (batch_id, position),
        )
        if row is None:
            raise UserError(f"There is nothing to judge at {position + 1} of batch {batch_id}.")
        answer = LabelEvent("", row["hash"], "", verb, dict(value or {}), (), None, "")
        if verb in _NO_ANSWER:
            raise UserError(f"“{verb}” is no answer.", kept="Nothing was changed.")
        labels.check(labels.item(store, row["hash"]), answer)
        store.execute(
            "UPDATE slots SET gold_verb = ?, gold_value = ? WHERE batch_id = ? AND position = ?",
            (verb, canonical(dict(answer.value)), batch_id, position),
        )


def unset(store: Store, batch_id: int, position: int) -> None:
    """Make an item an ordinary one again."""
    with store.write():
        store.execute(
            "UPDATE slots SET gold_verb = NULL, gold_value = NULL WHERE batch_id = ? AND position = ?",
            (batch_id, position),
        )


def answers(store: Store, batch_id: int) -> list[Gold]:
    """The known answers of a batch, by position."""
    rows = store.query(
        """SELECT position, gold_verb AS verb, gold_value AS value FROM slots
           WHERE batch_id = ? AND gold_verb IS NOT NULL ORDER BY position""",
        (batch_id,),
    )
    return [Gold(row["position"], row["verb"], json.loads(row["value"])) for row in rows]


def score(store: Store, person: str, batch_id: int) -> tuple[int, int]:
    """(right, of): how many of the gold items that a person has judged they judged as is known to be right;
    skips are left out."""
    row = store.one(
        f"""SELECT count(*) AS given, coalesce(sum(
              {opinion("e.verb", "e.value")} = {opinion("s.gold_verb", "s.gold_value")}), 0) AS right
            FROM slots s CROSS JOIN heads h ON h.person_id = ? AND h.item_id = s.item_id
            CROSS JOIN label_events e ON e.id = h.event_id JOIN items i ON i.id = s.item_id
            WHERE s.batch_id = ? AND s.gold_verb IS NOT NULL AND h.verb <> 'skip'""",
        (people.get(store, person).id, batch_id),
    )
    assert row is not None
    return row["right"], row["given"]


def opinion(verb: str, value: str) -> str:
    """SQL for what a label says of its item `i`, so that labels can be compared: a corrected reply of a pair
    is the better one, a corrected single reply is bad."""
    return f"""CASE WHEN i.kind = 'pair' AND {verb} IN ('choose', 'correct')
      THEN 'reply ' || ({value} ->> 'reply')
      WHEN {verb} = 'correct' THEN 'bad' ELSE {verb} END"""
