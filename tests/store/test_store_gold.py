"""Gold: known answers mixed in at a rate, by chance, to everybody, and not to be told from the rest."""

import pytest
from shares import check_counts, label, later, leases_over, make, positions

from engine.errors import UserError
from tuner_app.store import Store, gold, sharing


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 1.0])
def test_gold_comes_at_its_rate_and_to_everybody(team: Store, rate: float) -> None:
    batch = make(team, 120, gold_rate=rate)
    known = set(range(40, 80))
    for position in known:
        gold.set_answer(team, batch.id, position, "tie")
    for name in ("ann", "bob"):
        seen = []
        for _ in range(30):
            (task,) = sharing.take(team, name, count=1)
            sharing.give(team, name, label(task))
            seen.append(task.position)
        assert sum(position in known for position in seen) == pytest.approx(30 * rate, abs=1)
        assert len(set(seen)) == 30
        assert gold.score(team, name, batch.id)[0] == sum(position in known for position in seen)
    check_counts(team)


def test_gold_does_not_come_at_regular_places(team: Store) -> None:
    batch = make(team, 200, gold_rate=0.1)
    for position in range(100, 120):
        gold.set_answer(team, batch.id, position, "tie")
    places = []
    for number in range(100):
        (task,) = sharing.take(team, "ann", count=1)
        sharing.give(team, "ann", label(task))
        if 100 <= task.position < 120:
            places.append(number)
    assert len(places) == 10
    assert [place // 10 for place in places] == list(range(10)), "one of every ten"
    assert len({place % 10 for place in places}) > 2


def test_gold_that_was_done_or_is_not_there_leaves_no_gap(team: Store) -> None:
    batch = make(team, 10, gold_rate=0.5)
    gold.set_answer(team, batch.id, 9, "tie")
    assert sorted(positions(sharing.take(team, "ann", count=20))) == list(range(10))
    gold.unset(team, batch.id, 9)
    for position in range(10):
        sharing.release(team, "ann", batch.id, position)
    assert sorted(positions(sharing.take(team, "bob", count=20))) == list(range(10)), "an ordinary one again"
    check_counts(team)


def test_a_known_answer_must_fit(team: Store) -> None:
    batch = make(team)
    for verb, value in (("good", {}), ("choose", {}), ("choose", {"reply": 2}), ("skip", {}), ("undo", {})):
        with pytest.raises(UserError):
            gold.set_answer(team, batch.id, 0, verb, value)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="nothing to judge"):
        gold.set_answer(team, batch.id, 99, "tie")
    assert gold.answers(team, batch.id) == []
    gold.set_answer(team, batch.id, 3, "choose", {"reply": 1})
    assert gold.answers(team, batch.id) == [gold.Gold(3, "choose", {"reply": 1})]


def test_gold_that_lapsed_comes_back_with_the_item_before_it(team: Store) -> None:
    """Where all else goes to others, what stays would be gold."""
    batch = make(team, 40, gold_rate=0.2)
    for position in range(30, 40):
        gold.set_answer(team, batch.id, position, "tie")
    before = positions(sharing.take(team, "ann", count=20))
    start = next(at for at in range(1, 20) if before[at - 1] < 30 <= before[at])
    end = next(at for at in range(start, 21) if at == 20 or before[at] < 30)
    later(team, "ann")
    leases_over(team)
    with team.write():  # somebody else has it
        team.execute("UPDATE slots SET room = 0 WHERE position = ?", (before[start - 1],))
    expected = before[: start - 1] + before[end:]
    assert positions(sharing.take(team, "ann", count=20))[: len(expected)] == expected


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("size", [0, 1, 7, 30])
def test_what_is_left_is_what_comes(team: Store, rate: float, size: int) -> None:
    """Gold included, from the first to the last."""
    batch = make(team, size + 12, gold_rate=rate)
    for position in range(size, size + 12):
        gold.set_answer(team, batch.id, position, "tie")
    (offer,) = sharing.offers(team, "ann")
    came = 0
    while tasks := sharing.take(team, "ann", count=1):
        sharing.give(team, "ann", label(tasks[0]))
        came += 1
        assert sharing.offers(team, "ann")[0].total == offer.total
    assert came == offer.total
