"""Batches: made, answered, judged, taken back; by two windows; and crashes in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_store_speed import scans

from engine.errors import UserError
from engine.examples import Message
from tuner_app.store import Store, batches, labels, new_uid, people
from tuner_app.store.rows import Asked, Batch, Maker, Progress, Reply, Waiting

ME_TWICE = (Maker("builtin"),)


def prompt(number: int) -> tuple[Message, ...]:
    return (Message("system", "Be brief."), Message("user", f"Question {number}?"))


def replies(number: int) -> tuple[Reply, Reply]:
    return Reply(f"good {number}", "builtin"), Reply(f"bad {number}", "builtin", "dpo-1")


@pytest.fixture
def batch(store: Store) -> Batch:
    """Five prompts; the answers to the first three are there, that of the second last."""
    asked = [Asked(prompt(number)) for number in range(5)]
    made = batches.make(store, asked, name="first", kind="pair", makers=ME_TWICE, uid="made")
    for number in (0, 2, 1):
        batches.answer(store, made.id, number, replies(number))
    return made


def judge(store: Store, waiting: Waiting, verb: str = "tie", **rest: Any) -> Any:
    return batches.judge(store, waiting, verb, **{"uid": new_uid(), **rest})  # type: ignore[arg-type]


def test_what_a_batch_keeps(store: Store) -> None:
    makers = (Maker("builtin"), Maker("builtin", "dpo-1"))
    asked = [Asked(prompt(1)), Asked(prompt(2)), Asked(prompt(1))]
    made = batches.make(
        store, asked, name="a", kind="pair", makers=makers, decoding={"temperature": 1.0}, uid="u"
    )
    assert (made.makers, made.decoding, made.kind) == (makers, {"temperature": 1.0}, "pair")
    assert batches.get(store, made.id) == made
    assert batches.unanswered(store, made.id) == [(0, prompt(1)), (1, prompt(2))], "each prompt once"
    assert batches.progress(store, made.id) == Progress(prompts=2, judged=0, ready=0, failed=0)


def test_a_retry_makes_the_same_batch(store: Store) -> None:
    def make(uid: str) -> Batch:
        return batches.make(store, [Asked(prompt(1))], name="a", kind="pair", makers=ME_TWICE, uid=uid)

    assert make("one") == make("one")
    with pytest.raises(UserError, match="batch called “a” already"):
        make("two")
    assert len(batches.listed(store)) == 1
    assert batches.free_name(store) == "batch 2"


@pytest.mark.parametrize(
    ("asked", "rest", "why"),
    [
        ([], {}, "no prompts"),
        ([Asked(prompt(1))], {"makers": ()}, "one model to answer"),
        ([Asked(prompt(1))], {"kind": "single", "makers": ME_TWICE * 2}, "one model to answer"),
        ([Asked(prompt(1), replies(1)[:1])], {}, "judged by 2 replies"),
        ([Asked(prompt(1))], {"name": " "}, "needs a name"),
        ([Asked(prompt(n)) for n in range(batches.MOST + 1)], {}, "at most 10,000"),
    ],
)
def test_what_is_no_batch(store: Store, asked: list[Asked], rest: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        batches.make(store, asked, **{"name": "a", "kind": "pair", "makers": ME_TWICE, "uid": "u", **rest})
    assert batches.listed(store) == []


def test_replies_that_are_there_are_ready_at_once(store: Store) -> None:
    asked = [Asked(prompt(n), (Reply("a"), Reply(f"b {n}"))) for n in range(3)]
    made = batches.make(store, asked, name="stored", kind="pair", uid="u")
    assert batches.progress(store, made.id) == Progress(3, 0, 3, 0)
    assert [w.item.replies[1].content for w in batches.waiting(store, made.id)] == ["b 0", "b 1", "b 2"]
    assert batches.unanswered(store, made.id) == []


def test_what_waits_comes_in_order_and_goes_when_judged(store: Store, batch: Batch) -> None:
    found = batches.waiting(store, batch.id)
    assert [w.position for w in found] == [0, 1, 2]
    assert found[1].item.prompt == prompt(1)
    assert found[1].item.replies == replies(1)
    assert [w.position for w in batches.waiting(store, batch.id, after=0, limit=1)] == [1]
    judge(store, found[0], "choose", value={"reply": 1}, shown=(1, 0))
    judge(store, found[2], "skip")
    assert batches.waiting(store, batch.id) == [found[1]]
    assert batches.progress(store, batch.id) == Progress(prompts=5, judged=2, ready=1, failed=0)
    assert batches.progress(store, batch.id).left == 3
    people.add(store, "anna")
    assert batches.progress(store, batch.id, "anna") == Progress(5, 0, 3, 0), "each person judges all"
    assert batches.waiting(store, batch.id, person="anna") == found


def test_an_item_is_judged_once_by_two_windows(store: Store, path: Path, batch: Batch) -> None:
    first, *_ = batches.waiting(store, batch.id)
    other = Store.open(path)
    seen, *_ = batches.waiting(other, batch.id)
    event = judge(store, first, "choose", value={"reply": 0}, uid="here")
    assert judge(other, seen, "choose", value={"reply": 1}, uid="there") is None
    assert labels.history(store, first.item.hash) == [event]
    assert judge(store, first, "choose", value={"reply": 0}, uid="here") == event, "a retry is the same"
    other.close()


def test_undo_goes_back_as_far_as_wanted(store: Store, batch: Batch, pair: Callable[..., Any]) -> None:
    found = batches.waiting(store, batch.id)
    for waiting in (found[1], found[0], found[2]):
        judge(store, waiting)
    labels.record(store, pair().hash, "tie", uid="elsewhere")  # later, and no part of the batch
    undone = [batches.undo_last(store, batch.id, uid=f"undo {n}") for n in range(3)]
    assert undone == [found[2], found[0], found[1]], "the latest first"
    assert batches.undo_last(store, batch.id, uid="undo 3") is None
    assert batches.undo_last(store, batch.id, uid="undo 2") == found[1], "a retry takes nothing more back"
    assert batches.progress(store, batch.id).judged == 0
    assert labels.counts(store) == {"tie": 1}
    assert len(labels.history(store, found[0].item.hash)) == 2, "nothing is deleted"


def test_a_label_from_before_stands_again_and_can_be_replaced(store: Store, batch: Batch) -> None:
    first, *_ = batches.waiting(store, batch.id)
    labels.record(store, first.item.hash, "skip", uid="in the chat")
    labels.record(store, first.item.hash, "tie", uid="later")
    undone = batches.undo_last(store, batch.id, uid="undo")
    assert undone == Waiting(0, first.item, "in the chat")
    assert judge(store, first) is None, "who has not seen that cannot overrule it"
    assert judge(store, undone, "both_bad").verb == "both_bad"


def test_answers_are_kept_once(store: Store, batch: Batch) -> None:
    batches.answer(store, batch.id, 0, replies(9))
    assert batches.waiting(store, batch.id)[0].item.replies == replies(0), "the first answers stay"
    batches.fail(store, batch.id, 0, "too late")
    assert batches.progress(store, batch.id).failed == 0


def test_failures_are_told_and_tried_again(store: Store, batch: Batch) -> None:
    batches.fail(store, batch.id, 3, "the same twice")
    batches.fail(store, batch.id, 4, "the same twice")
    assert batches.failures(store, batch.id) == {"the same twice": 2}
    assert batches.unanswered(store, batch.id) == []
    assert batches.progress(store, batch.id) == Progress(prompts=5, judged=0, ready=3, failed=2)
    batches.try_again(store, batch.id)
    assert [position for position, _ in batches.unanswered(store, batch.id)] == [3, 4]
    assert [position for position, _ in batches.unanswered(store, batch.id, after=3)] == [4]
    batches.answer(store, batch.id, 4, replies(4))
    assert batches.progress(store, batch.id).ready == 4


def test_a_crash_between_answer_and_item_leaves_the_prompt_unanswered(
    store: Store, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = store.query("SELECT count(*) FROM items")[0][0]
    execute = store.execute

    def killed(sql: str, parameters: Any = ()) -> int:
        if sql.startswith("UPDATE batch_prompts"):
            raise KeyboardInterrupt
        return execute(sql, parameters)

    monkeypatch.setattr(store, "execute", killed)
    with pytest.raises(KeyboardInterrupt):
        batches.answer(store, batch.id, 3, replies(3))
    monkeypatch.undo()
    assert store.query("SELECT count(*) FROM items")[0][0] == items, "both or neither"
    assert batches.unanswered(store, batch.id)[0][0] == 3


def test_a_label_and_nothing_else_is_added_when_judging(store: Store, batch: Batch) -> None:
    before = store.query("SELECT * FROM batch_prompts") + store.query("SELECT * FROM items")
    judge(store, batches.waiting(store, batch.id)[0])
    assert store.query("SELECT * FROM batch_prompts") + store.query("SELECT * FROM items") == before


def test_a_batch_can_be_put_away(store: Store, batch: Batch) -> None:
    batches.archive(store, batch.id)
    assert batches.listed(store) == []
    batches.archive(store, batch.id, False)
    assert batches.listed(store) == [batch]


def test_labels_since(store: Store, batch: Batch) -> None:
    first, second, _ = batches.waiting(store, batch.id)
    kept = judge(store, first)
    judge(store, second)
    batches.undo_last(store, batch.id, uid="undo")
    assert batches.given_since(store, "2000") == [kept.created]
    assert batches.given_since(store, "3000") == []


@pytest.mark.parametrize(
    "work",
    [
        batches.progress,
        batches.waiting,
        batches.unanswered,
        batches.failures,
        lambda store, batch: batches.undo_last(store, batch, uid="u"),
        lambda store, _: batches.given_since(store, "2026"),
        lambda store, _: batches.listed(store),
    ],
)
def test_nothing_depends_on_the_size_of_the_database(
    store: Store, batch: Batch, work: Callable[[Store, int], Any]
) -> None:
    assert scans(store, lambda: work(store, batch.id)) == []


def test_judging_scans_nothing(store: Store, batch: Batch) -> None:
    first, *_ = batches.waiting(store, batch.id)
    assert scans(store, lambda: judge(store, first)) == []
