"""A batch that is shared out and labelled at a terminal as well: both see what the other has done."""

from shares import check_counts, make, positions

from tuner_app.store import Store, batches, new_uid, sharing
from tuner_app.store.rows import Progress


def test_the_terminals_labels_count_for_the_overlap(team: Store) -> None:
    batch = make(team, 4)
    first, *_ = batches.waiting(team, batch.id)
    batches.judge(team, first, "tie", uid=new_uid())
    assert positions(sharing.take(team, "ann", count=1)) == [1]
    assert [found.position for found in sharing.waiting(team, batch.id)] == [2, 3], "ann has the other one"
    assert batches.progress(team, batch.id) == Progress(prompts=4, judged=1, ready=2, failed=0, others=1)
    assert sharing.take(team, "bob") == [], "what a terminal shows is in its person's hands"
    check_counts(team)


def test_a_terminal_takes_back_and_keeps_the_item(team: Store) -> None:
    batch = make(team, 2)
    first, second = sharing.waiting(team, batch.id)
    assert [found.position for found in sharing.waiting(team, batch.id, after=first.position)] == [1]
    batches.judge(team, first, "tie", uid=new_uid())
    undone = batches.undo_last(team, batch.id, uid="undo")
    assert undone == first
    assert sharing.take(team, "ann") == []
    assert sharing.waiting(team, batch.id) == [first, second]
    check_counts(team)


def test_a_batch_that_is_not_shared_is_the_terminals_as_before(team: Store) -> None:
    batch = make(team, 3, shared=False)
    assert len(sharing.waiting(team, batch.id, limit=2)) == 2
    assert team.query("SELECT 1 FROM leases") == []
    assert batches.progress(team, batch.id) == Progress(prompts=3, judged=0, ready=3, failed=0)


def test_the_person_at_the_machine_may_do_every_batch(team: Store) -> None:
    batch = make(team, 3, people=["ann"])
    assert len(sharing.waiting(team, batch.id)) == 3
