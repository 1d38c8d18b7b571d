"""Tags of labels: given, taken away, counted."""

import pytest

from engine.errors import UserError
from engine.examples import Message
from tuner_app.store import Store, labels, stamps, tags
from tuner_app.store.rows import LabelEvent, Reply


def labelled(store: Store, text: str) -> LabelEvent:
    item = labels.item_for_single(store, [Message("user", "?")], Reply(text))
    return labels.record(store, item.hash, "bad", uid=f"label of {text}")


def test_a_tag_is_given_and_taken_away(store: Store) -> None:
    label = labelled(store, "a")
    assert tags.tag(store, label.uid, "  too \n long ", uid="1") == "too long"
    tags.tag(store, label.uid, "wrong", uid="2")
    assert tags.of_labels(store, [label.uid]) == {label.uid: ("too long", "wrong")}
    tags.tag(store, label.uid, "too long", stands=False, uid="3")
    assert tags.of_labels(store, [label.uid]) == {label.uid: ("wrong",)}
    tags.tag(store, label.uid, "too long", uid="4")
    assert tags.of_labels(store, [label.uid]) == {label.uid: ("wrong", "too long")}
    assert tags.of_labels(store, ["another"]) == {}


def test_a_retry_changes_nothing(store: Store) -> None:
    label = labelled(store, "a")
    tags.tag(store, label.uid, "wrong", uid="1")
    tags.tag(store, label.uid, "wrong", stands=False, uid="2")
    tags.tag(store, label.uid, "wrong", uid="1")
    assert tags.of_labels(store, [label.uid]) == {}


def test_the_latest_counts_when_the_clock_is_set_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    label = labelled(store, "a")
    tags.tag(store, label.uid, "wrong", uid="z")
    monkeypatch.setattr(stamps, "now", lambda: "2001-01-01T00:00:00.000000+00:00")
    tags.tag(store, label.uid, "wrong", stands=False, uid="a")
    assert tags.of_labels(store, [label.uid]) == {}


def test_the_most_used_come_first_and_those_of_labels_taken_back_do_not_count(store: Store) -> None:
    one, two, three = (labelled(store, text) for text in "abc")
    for number, (label, text) in enumerate(
        [(one, "rude"), (one, "long"), (two, "long"), (three, "long"), (three, "wrong")]
    ):
        tags.tag(store, label.uid, text, uid=str(number))
    assert tags.most_used(store) == [("long", 3), ("rude", 1), ("wrong", 1)]
    assert tags.most_used(store, 1) == [("long", 3)]
    labels.undo(store, three.item_hash, uid="undone")
    assert tags.most_used(store) == [("long", 2), ("rude", 1)]


@pytest.mark.parametrize("text", ["", "  \n", "x" * 61])
def test_a_tag_that_is_none_is_refused(store: Store, text: str) -> None:
    label = labelled(store, "a")
    with pytest.raises(UserError, match="A tag has 1 to 60 characters"):
        tags.tag(store, label.uid, text, uid="1")


def test_only_a_label_can_be_tagged(store: Store) -> None:
    label = labelled(store, "a")
    undone = labels.undo(store, label.item_hash, uid="undone")
    for uid in ("nothing", undone.uid):
        with pytest.raises(UserError, match="no such label"):
            tags.tag(store, uid, "wrong", uid="1")
