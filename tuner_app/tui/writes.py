"""What a key does to many rows of the data at once: how many changed, and what takes that back."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from engine.errors import UserError
from tuner_app.store import Store, edits, example_tags, labels, new_uid, people, table_rows, tags

Back = Callable[[Store], object]
Write = Callable[[Store, Sequence[int]], tuple[int, Back | None]]


def edited(write: Callable[[Store, Sequence[int]], edits.Change]) -> Write:
    """What an edit of many examples changes, and what leads back from it."""

    def carry_out(store: Store, ids: Sequence[int]) -> tuple[int, Back]:
        change = write(store, ids)
        return change.examples, partial(edits.undo, done=change)

    return carry_out


def tag_examples(store: Store, ids: Sequence[int], *, tag: str, off: bool) -> tuple[int, Back]:
    """Put a tag on examples, or with `off` take it away."""
    there, back = (example_tags.remove, example_tags.add) if off else (example_tags.add, example_tags.remove)
    changed = there(store, ids, tag)
    return len(changed), partial(back, example_ids=changed, tag=tag)


def tag_labels(store: Store, ids: Sequence[int], *, tag: str, off: bool) -> tuple[int, Back]:
    """Put a tag on labels, or with `off` take it away."""
    uids = table_rows.label_uids(store, ids)
    standing = tags.of_labels(store, uids)
    changed = [uid for uid in uids if (tag in standing.get(uid, ())) == off]
    _say(store, changed, tag, stands=not off)
    return len(changed), partial(_say, uids=changed, tag=tag, stands=off)


def _say(store: Store, uids: Iterable[str], tag: str, *, stands: bool) -> None:
    with store.write():
        for uid in uids:
            tags.tag(store, uid, tag, stands=stands, uid=new_uid())


def take_back(store: Store, ids: Sequence[int]) -> tuple[int, None]:
    """Undo labels; only the person who gave one takes it back."""
    with store.write():
        for id in ids:
            item, person = table_rows.label_identity(store, id)
            if person != people.ME:
                raise UserError(
                    f"That label is {person}'s.", kept="It stands.", do="Only who gave a label takes it back."
                )
            labels.undo(store, item, uid=new_uid())
    return len(ids), None
