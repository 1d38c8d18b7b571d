"""Labels: events, heads, undo, what they give to training, and how two databases merge."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Message, Pair, Rated
from tuner_app.store import Store, chats, examples, labels, new_uid, people, picking, stamps
from tuner_app.store.rows import Item, LabelEvent, Reply

MakeItem = Callable[..., Item]
PROMPT = (Message("user", "What does a cow eat?"),)


def test_items_are_their_content(store: Store, pair: MakeItem) -> None:
    chat = chats.start(store)
    question = chats.add(store, chat.id, role="user", content="What does a cow eat?")
    answer = chats.add(store, chat.id, role="assistant", content="grass", parent_id=question.id)
    path = chats.path(store, chat.id, question.id)
    same = labels.item_for_pair(store, path, Reply("grass", message_id=answer.id), Reply("bread"))
    assert same.hash == pair().hash
    assert same.prompt == PROMPT
    assert same.replies[0].message_id == answer.id
    assert same.hash != labels.item_for_pair(store, path, Reply("grass", model="x"), Reply("bread")).hash
    assert same.hash != labels.item_for_pair(store, path, Reply("bread"), Reply("grass")).hash
    assert store.query("SELECT count(*) FROM items")[0][0] == 3


def test_a_label_stands(store: Store, pair: MakeItem) -> None:
    item = pair()
    event = labels.record(store, item.hash, "choose", value={"reply": 1}, shown=(1, 0), uid="press")
    assert labels.head(store, item.hash) == event
    assert labels.history(store, item.hash) == [event]
    assert (event.value, event.shown, event.person) == ({"reply": 1}, (1, 0), "me")
    assert labels.counts(store) == {"choose": 1}


def test_a_retry_is_the_same_label(store: Store, pair: MakeItem) -> None:
    item = pair()
    first = labels.record(store, item.hash, "choose", value={"reply": 0}, uid="press")
    assert labels.record(store, item.hash, "choose", value={"reply": 0}, uid="press") == first
    assert labels.history(store, item.hash) == [first]


@pytest.mark.parametrize(
    "other",
    [
        {"verb": "tie"},
        {"verb": "choose", "value": {"reply": 1}},
        {"verb": "choose", "value": {"reply": 0}, "shown": (0, 1)},
        {"verb": "choose", "value": {"reply": 0}, "person": "anna"},
    ],
)
def test_a_uid_with_other_content_is_refused(store: Store, pair: MakeItem, other: dict) -> None:  # type: ignore[type-arg]
    people.add(store, "anna")
    first = labels.record(store, pair().hash, "choose", value={"reply": 0}, uid="press")
    with pytest.raises(UserError, match="other content"):
        labels.record(store, pair().hash, uid="press", **other)
    with pytest.raises(UserError, match="other content"):
        labels.undo(store, pair().hash, uid="press")
    with pytest.raises(UserError, match="other content"):
        labels.undo_last(store, uid="press")
    assert labels.history(store, pair().hash) == [first]


@pytest.mark.parametrize(
    ("verb", "value", "shown"),
    [
        ("good", {}, ()),
        ("undo", {}, ()),
        ("laugh", {}, ()),
        ("choose", {}, ()),
        ("choose", {"reply": 2}, ()),
        ("choose", {"reply": -1}, ()),
        ("choose", {"reply": True}, ()),
        ("choose", {"reply": "0"}, ()),
        ("choose", {"reply": 0, "more": 1}, ()),
        ("tie", {"reply": 0}, ()),
        ("tie", {}, (0,)),
        ("tie", {}, (0, 0)),
        ("correct", {"reply": 0}, ()),
        ("correct", {"reply": 0, "text": " \n"}, ()),
    ],
)
def test_what_does_not_fit_is_refused(  # type: ignore[no-untyped-def]
    store: Store, pair: MakeItem, verb, value, shown
) -> None:
    with pytest.raises(UserError) as caught:
        labels.record(store, pair().hash, verb, value=value, shown=shown, uid="press")
    assert "not saved" in caught.value.kept
    assert labels.history(store, pair().hash) == []


def test_unknown_items_and_people_are_refused(store: Store, pair: MakeItem) -> None:
    with pytest.raises(UserError, match="no item"):
        labels.record(store, "f" * 64, "tie", uid="press")
    with pytest.raises(UserError, match="nobody"):
        labels.record(store, pair().hash, "tie", person="nobody", uid="press")


def test_undo_walks_back_to_unlabelled(store: Store, pair: MakeItem) -> None:
    item = pair()
    tie = labels.record(store, item.hash, "tie", uid="1")
    labels.record(store, item.hash, "both_bad", uid="2")
    labels.record(store, item.hash, "skip", uid="3")
    assert labels.undo(store, item.hash, uid="4").undoes == "3"
    assert labels.undo(store, item.hash, uid="4").undoes == "3"  # a retry
    assert labels.undo(store, item.hash, uid="5").undoes == "2"
    assert labels.head(store, item.hash) == tie
    labels.undo(store, item.hash, uid="6")
    assert labels.head(store, item.hash) is None
    assert labels.counts(store) == {}
    assert [row.hash for row in labels.pending(store)] == [item.hash]
    with pytest.raises(UserError, match="no label"):
        labels.undo(store, item.hash, uid="7")
    labels.record(store, item.hash, "tie", uid="8")
    assert labels.undo(store, item.hash, uid="9").undoes == "8"
    assert [event.uid for event in labels.history(store, item.hash)] == list("12345689")


def test_undo_last_takes_back_the_latest_of_that_person(store: Store, pair: MakeItem) -> None:
    people.add(store, "anna")
    labels.record(store, pair(1).hash, "tie", uid="1")
    labels.record(store, pair(2).hash, "tie", uid="2")
    labels.record(store, pair(2).hash, "tie", uid="anna's", person="anna")
    labels.record(store, pair(1).hash, "skip", uid="3")
    undone = [labels.undo_last(store, uid=f"u{number}") for number in range(4)]
    assert [event and event.undoes for event in undone] == ["3", "2", "1", None]
    assert labels.undo_last(store, uid="u1") == undone[1]
    assert labels.head(store, pair(2).hash, "anna") is not None


def test_a_clock_that_is_set_back_does_not_bring_back_an_old_label(
    store: Store, pair: MakeItem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "now", lambda: "2030-01-01T00:00:00.000000+00:00")
    labels.record(store, pair().hash, "tie", uid="z")
    monkeypatch.setattr(stamps, "now", lambda: "2020-01-01T00:00:00.000000+00:00")
    later = labels.record(store, pair().hash, "skip", uid="a")
    assert labels.head(store, pair().hash) == later
    assert later.created == "2030-01-01T00:00:00.000001+00:00"


def test_heads_counts_and_pending_are_per_person(store: Store, pair: MakeItem) -> None:
    people.add(store, "anna")
    mine = labels.record(store, pair(1).hash, "tie", uid="1")
    hers = labels.record(store, pair(2).hash, "skip", uid="2", person="anna")
    hashes = [pair(1).hash, pair(2).hash, pair(3).hash]
    assert labels.heads(store, hashes) == {hashes[0]: mine}
    assert labels.heads(store, hashes, "anna") == {hashes[1]: hers}
    assert labels.counts(store) == {"tie": 1, "skip": 1}
    assert labels.counts(store, "anna") == {"skip": 1}
    assert [item.hash for item in labels.pending(store)] == hashes[1:]
    assert [item.hash for item in labels.pending(store, "anna", limit=1)] == hashes[:1]


def test_labels_of_messages(store: Store) -> None:
    chat = chats.start(store)
    question = chats.add(store, chat.id, role="user", content="?")
    one, two = (
        chats.add(store, chat.id, role="assistant", content=text, parent_id=question.id) for text in "ab"
    )
    thumb = labels.item_for_single(store, [question], Reply("a", message_id=one.id))
    both = labels.item_for_pair(
        store, [question], Reply("a", message_id=one.id), Reply("b", message_id=two.id)
    )
    up = labels.record(store, thumb.hash, "good", uid="1")
    tie = labels.record(store, both.hash, "tie", uid="2")
    assert labels.on_messages(store, [one.id, two.id]) == {one.id: [up, tie], two.id: [tie]}
    labels.undo_last(store, uid="3")
    assert labels.on_messages(store, [one.id, two.id]) == {one.id: [up]}


def rated(reply: str, good: bool) -> Rated:
    return Rated(PROMPT, reply, good)


CORRECTED = Demonstration((*PROMPT, Message("assistant", "hay")))


@pytest.mark.parametrize(
    ("verb", "value", "expected", "words"),
    [
        (
            "choose",
            {"reply": 1},
            [Pair(PROMPT, "bread", "grass"), rated("bread", True), rated("grass", False)],
            "1 pair, 2 thumbs",
        ),
        ("tie", {}, [], "nothing"),
        ("skip", {}, [], "nothing"),
        ("both_bad", {}, [rated("grass", False), rated("bread", False)], "2 thumbs"),
        (
            "correct",
            {"reply": 1, "text": "hay"},
            [CORRECTED, Pair(PROMPT, "hay", "bread"), rated("hay", True), rated("bread", False)],
            "1 SFT row, 1 pair, 2 thumbs",
        ),
        (
            "correct",
            {"reply": 0, "text": "grass"},
            [Demonstration((*PROMPT, Message("assistant", "grass"))), rated("grass", True)],
            "1 SFT row, 1 thumb",
        ),
    ],
)
def test_what_a_label_of_a_pair_gives(  # type: ignore[no-untyped-def]
    store: Store, pair: MakeItem, verb, value, expected, words
) -> None:
    event = labels.record(store, pair().hash, verb, value=value, uid="1")
    assert labels.fed(pair(), event) == expected
    assert labels.describe_fed(expected) == words
    stored = [
        row.example for kind in ("demonstration", "pair", "rated") for row in examples.listed(store, kind)
    ]
    assert sorted(map(str, stored)) == sorted(map(str, expected))


@pytest.mark.parametrize(("verb", "good"), [("good", True), ("bad", False)])
def test_what_a_thumb_gives(store: Store, single: MakeItem, verb, good: bool) -> None:  # type: ignore[no-untyped-def]
    event = labels.record(store, single().hash, verb, uid="1")
    assert labels.fed(single(), event) == [rated("bread", good)]


def test_choosing_between_equal_replies_says_nothing(store: Store) -> None:
    twins = labels.item_for_pair(store, PROMPT, Reply("grass", model="a"), Reply("grass", model="b"))
    event = labels.record(store, twins.hash, "choose", value={"reply": 0}, uid="1")
    assert labels.fed(twins, event) == []


def test_only_the_label_that_stands_feeds(store: Store, pair: MakeItem) -> None:
    labels.record(store, pair().hash, "choose", value={"reply": 0}, uid="1")
    labels.record(store, pair().hash, "choose", value={"reply": 1}, uid="2")
    assert examples.count(store) == {"pair": 1, "rated": 2}
    assert picking.available(store, "pair").contradictory == 0
    labels.undo(store, pair().hash, uid="3")
    assert [row.example for row in examples.listed(store, "pair")] == [Pair(PROMPT, "grass", "bread")]
    labels.undo(store, pair().hash, uid="4")
    assert examples.count(store) == {}
    assert examples.listed(store, "rated") == []


def random_work(store: Store, pair: MakeItem, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        person = chance.choice(["me", "anna"])
        item = pair(chance.randrange(3), on=store)
        if chance.random() < 0.35:
            labels.undo_last(store, person=person, uid=new_uid())
        else:
            labels.record(store, item.hash, chance.choice(["tie", "skip"]), person=person, uid=new_uid())


def all_events(store: Store) -> list[LabelEvent]:
    return [
        event for row in store.query("SELECT hash FROM items") for event in labels.history(store, row["hash"])
    ]


def standing(store: Store, pair: MakeItem) -> list[LabelEvent | None]:
    items = [pair(number, on=store).hash for number in range(3)]
    return [labels.head(store, item, person) for item in items for person in ("me", "anna")]


@pytest.mark.parametrize("seed", range(5))
def test_databases_merged_by_union_agree(tmp_path: Path, pair: MakeItem, seed: int) -> None:
    """Two machines work apart; each takes the other's events in an order of its own."""
    stores = [Store.open(tmp_path / f"{name}.sqlite", migrate=True) for name in ("a", "b")]
    for number, store in enumerate(stores):
        people.add(store, "anna")
        for item in range(3):
            pair(item, on=store)
        random_work(store, pair, seed * 2 + number)
    mine, theirs = (all_events(store) for store in stores)
    assert mine
    assert theirs
    for store, foreign in zip(stores, (theirs, mine), strict=True):
        chance = random.Random(seed)
        chance.shuffle(foreign)
        with store.write():
            for event in foreign + foreign:
                labels.append(store, event)
    union = {event.uid: event for event in [*mine, *theirs]}
    expected = standing(stores[0], pair)
    assert standing(stores[1], pair) == expected
    assert any(expected)
    for store in stores:
        assert {event.uid: event for event in all_events(store)} == union


def test_the_head_does_not_depend_on_the_order_of_events() -> None:
    def event(uid: str, minute: int, undoes: str | None = None) -> LabelEvent:
        verb = "undo" if undoes else "tie"
        return LabelEvent(uid, "item", "me", verb, {}, (), undoes, f"2026-01-01T00:{minute:02d}")  # type: ignore[arg-type]

    events = [event("a", 1), event("b", 2), event("c", 2), event("d", 3), event("e", 4, undoes="d")]
    for seed in range(20):
        random.Random(seed).shuffle(events)
        head = labels.head_of(events)
        assert head is not None
        assert head.uid == "c"
    assert labels.head_of([]) is None


def test_the_latest_label_of_a_conversation(store: Store) -> None:
    for name in ("one", "two"):
        chat = chats.start(store)
        question = chats.add(store, chat.id, role="user", content="?")
        for text in ("a", "b"):
            answer = chats.add(store, chat.id, role="assistant", content=name + text, parent_id=question.id)
            item = labels.item_for_single(store, [question], Reply(answer.content, message_id=answer.id))
            labels.record(store, item.hash, "good", uid=name + text)
        found = labels.latest_in(store, chat.id)
        assert found is not None
        assert (found[0].uid, found[1]) == (f"{name}b", answer.id)
        labels.undo(store, found[0].item_hash, uid=f"{name} undone")
        found = labels.latest_in(store, chat.id)
        assert found is not None
        assert found[0].uid == f"{name}a"
    assert labels.latest_in(store, 99) is None
