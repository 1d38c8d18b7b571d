"""What a person gives back for an item that they had: a label with its tags and comment, or an undo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.errors import UserError
from tuner_app.store import comments, labels, leases, members, tags
from tuner_app.store.database import Store
from tuner_app.store.rows import Member, Verb
from tuner_app.store.sqlite import UnavailableError

MOST_TAGS = 20
LONGEST_UID = 64
_NOT_SAVED = "This label was not saved; all others are."


@dataclass(frozen=True)
class Given:
    """A label of an item of a batch, or an undo of the label with the uid `undoes`. `uid` was made where the
    key was pressed; `value` and `shown` as in `LabelEvent`."""

    uid: str
    batch_id: int
    item_hash: str
    verb: Verb
    value: Mapping[str, Any] = field(default_factory=dict)
    shown: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    comment: str = ""
    undoes: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of something given; `why` says what was wrong with what was refused."""

    uid: str
    state: Literal["saved", "refused"]
    why: str = ""


def give(store: Store, person: str, given: Given) -> Outcome:
    """Keep a label with its tags and comment, all or nothing; it ends the lease. An undo brings the item
    back into the person's hands.

    A label counts once, however often it comes, and is kept when its lease has ended. A UserError where it
    does not fit, was never theirs to give, or has the uid of another one; an `UnavailableError` where the
    database can take nothing: the same may be given again.
    """
    if not 0 < len(given.uid) <= LONGEST_UID:
        raise UserError(f"A label's uid has 1 to {LONGEST_UID} characters.", kept=_NOT_SAVED)
    with store.part():
        known = store.one("SELECT 1 FROM label_events WHERE uid = ?", (given.uid,)) is not None
        if not known:
            member = members.get(store, person)
            position = _theirs(store, member, given)
        if given.verb == "undo":
            labels.take_back(store, given.item_hash, given.undoes or "", person=person, uid=given.uid)
            if not known:
                leases.hold_again(store, given.batch_id, position, member.person_id)
        else:
            labels.record(
                store,
                given.item_hash,
                given.verb,
                value=given.value,
                shown=given.shown,
                person=person,
                uid=given.uid,
            )
            _say_why(store, given, known=known)
    return Outcome(given.uid, "saved")


def give_all(store: Store, person: str, given: Sequence[Given]) -> list[Outcome]:
    """`give` each, in one transaction, undos after the labels that they may be of; those that are refused
    are left out. What became of each, in the order of `given`. Only an `UnavailableError` is raised: then
    nothing was kept."""
    outcomes: dict[int, Outcome] = {}
    with store.part():
        for at in sorted(range(len(given)), key=lambda at: given[at].verb == "undo"):
            try:
                outcomes[at] = give(store, person, given[at])
            except UnavailableError:
                raise
            except UserError as error:
                outcomes[at] = Outcome(given[at].uid, "refused", str(error))
    return [outcomes[at] for at in range(len(given))]


def _theirs(store: Store, member: Member, given: Given) -> int:
    """Where in its batch the item is; a UserError where a person gives what they never had: a page can be
    sent anything."""
    if member.revoked:
        raise UserError(f"“{member.name}” was shut out.", kept=_NOT_SAVED)
    row = store.one(
        """SELECT s.position, EXISTS (SELECT 1 FROM leases l WHERE l.batch_id = s.batch_id
               AND l.position = s.position AND l.person_id = :person) AS leased,
             EXISTS (SELECT 1 FROM label_events
                     WHERE item_id = s.item_id AND person_id = :person) AS judged
           FROM items i JOIN slots s ON s.item_id = i.id
           WHERE i.hash = :item AND s.batch_id = :batch ORDER BY leased DESC, s.position LIMIT 1""",
        {"person": member.person_id, "batch": given.batch_id, "item": given.item_hash},
    )
    if row is None or not (row["leased"] or row["judged"]):
        raise UserError("This item was not given to you to label.", kept=_NOT_SAVED, do="Go on to the next.")
    return int(row["position"])


def _say_why(store: Store, given: Given, *, known: bool) -> None:
    """Tags and comment of a label; where that was `known`, a UserError unless it came with the same."""
    wanted = list(dict.fromkeys(" ".join(tag.split()) for tag in given.tags))
    comment = given.comment.strip()
    if not known:
        if len(wanted) > MOST_TAGS:
            raise UserError(f"A label has at most {MOST_TAGS} tags.", kept=_NOT_SAVED)
        for number, tag in enumerate(wanted):
            tags.tag(store, given.uid, tag, uid=f"{given.uid}.{number}")
        if comment:
            comments.add(store, given.uid, comment, uid=given.uid)
        return
    rows = store.query(
        """SELECT t.uid, t.tag FROM label_events e CROSS JOIN label_tags t ON t.event_id = e.id
           WHERE e.uid = ? ORDER BY t.id""",
        (given.uid,),
    )
    tagged = [row["tag"] for row in rows if row["uid"].startswith(f"{given.uid}.")]
    row = store.one("SELECT comment FROM label_comments WHERE uid = ?", (given.uid,))
    if (tagged, row["comment"] if row else "") != (wanted, comment):
        raise labels.taken(given.uid)
