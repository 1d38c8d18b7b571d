"""Agreement: numbers known from the literature, their intervals, and reasons where there is no number."""

import random
from collections.abc import Callable

import pytest

from engine.examples import Message
from tuner_app import agreement
from tuner_app.agreement import Disagreement
from tuner_app.store import Store, batches, gold, labels, new_uid, people
from tuner_app.store.rows import Asked, Batch, Reply


def votes(*rows: str) -> list[list[str | None]]:
    """One row for each person; "*" where there is no vote."""
    return [[None if vote == "*" else vote for vote in row.split()] for row in rows]


# Krippendorff, “Computing Krippendorff's alpha-reliability” (2011): its examples A to C, nominal.
BINARY = votes("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
NOMINAL = votes("a a b b d c c c e d d a", "b a b b b c c c e d d d")
MISSING = votes(
    "1 2 3 3 2 1 4 1 2 * * *",
    "1 2 3 3 2 2 4 1 2 5 * 3",
    "* 3 3 3 2 3 4 2 2 5 1 *",
    "1 2 3 3 2 4 4 1 2 5 1 *",
)
# Cohen's κ: the usual example of 50 proposals, 20 both yes, 15 both no, 5 and 10 of which they differ.
PROPOSALS = votes(
    " ".join(["y"] * 20 + ["y"] * 5 + ["n"] * 10 + ["n"] * 15),
    " ".join(["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15),
)


@pytest.mark.parametrize(
    ("data", "published"), [(BINARY, 0.095), (NOMINAL, 0.692), (MISSING, 0.743)], ids=["A", "B", "C"]
)
def test_published_alphas(data: list[list[str | None]], published: float) -> None:
    found = agreement.alpha(data)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_missing_votes_leave_an_item_out() -> None:
    assert agreement.alpha(MISSING).items == 11, "the last item has one vote"


def test_a_published_kappa() -> None:
    found = agreement.kappa(*PROPOSALS)
    assert found.value == pytest.approx(0.4, abs=1e-9)
    assert found.items == 50
    # Cohen's own large-sample interval: 0.4 ± 1.96 · sqrt(0.7 · 0.3 / (50 · 0.5²))
    assert found.low == pytest.approx(0.146, abs=0.06)
    assert found.high == pytest.approx(0.654, abs=0.06)


def test_a_kappa_with_an_item_that_one_left_out() -> None:
    one, other = votes("y y n n *", "y n n n y")
    assert agreement.kappa(one, other).items == 4
    assert agreement.kappa(one, other).value == pytest.approx(0.5, abs=1e-9)


def test_the_seed_says_which_interval() -> None:
    assert agreement.alpha(MISSING, seed=1) == agreement.alpha(MISSING, seed=1)
    assert agreement.alpha(MISSING, seed=1) != agreement.alpha(MISSING, seed=2)


def test_more_items_give_a_narrower_interval() -> None:
    chance = random.Random(1)

    def width(items: int) -> float:
        truth = [chance.choice("ab") for _ in range(items)]
        rows = [[vote if chance.random() < 0.8 else "a" for vote in truth] for _ in range(3)]
        found = agreement.alpha(rows)
        assert found.high is not None
        assert found.low is not None
        return found.high - found.low

    assert width(1000) < width(30) / 3


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "Nobody"),
        (votes("* *", "* *"), "Nobody"),
        (votes("a b"), "Only one person"),
        (votes("a b", "* *"), "Only one person"),
        (votes("a *", "* b"), "No item was judged by two"),
        (votes("a a", "a a"), "All answers are the same"),
    ],
)
def test_no_number_but_a_reason(data: list[list[str | None]], why: str) -> None:
    found = agreement.alpha(data)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert why in found.why


def test_a_kappa_without_a_number() -> None:
    assert "No item" in agreement.kappa(*votes("a *", "* b")).why
    assert "the same" in agreement.kappa(*votes("a a", "a a")).why


def test_one_item_has_no_interval() -> None:
    found = agreement.alpha(votes("a", "b"))
    assert (found.value, found.low) == (0.0, None)


# --- on a batch


@pytest.fixture
def batch(store: Store) -> Batch:
    asked = [Asked((Message("user", f"{n}?"),), (Reply(f"a {n}"), Reply(f"b {n}"))) for n in range(6)]
    for name in ("ann", "bob", "cy"):
        people.add(store, name)
    return batches.make(store, asked, name="a", kind="pair", uid="u")


@pytest.fixture
def judge(store: Store, batch: Batch) -> Callable[[str, str], None]:
    """Lets a person judge the batch: a letter for each item, "-" for none."""
    said = {"0": ("choose", {"reply": 0}), "1": ("choose", {"reply": 1}), "t": ("tie", {}), "s": ("skip", {})}
    said["c"] = ("correct", {"reply": 0, "text": "better"})

    def label(person: str, letters: str) -> None:
        waiting = {found.position: found.item for found in batches.waiting(store, batch.id, limit=100)}
        for position, letter in enumerate(letters):
            if letter in said:
                verb, value = said[letter]
                hash = waiting[position].hash
                labels.record(store, hash, verb, value=value, person=person, uid=new_uid())  # type: ignore[arg-type]

    return label


def test_the_agreement_of_a_batch(store: Store, batch: Batch, judge: Callable[[str, str], None]) -> None:
    judge("ann", "0011ts")
    judge("bob", "00100-")
    judge("cy", "c-----")
    found = agreement.of_batch(store, batch.id)
    expected = votes("0 0 1 1 t", "0 0 1 0 0", "0 * * * *")
    assert found.alpha == agreement.alpha(expected), "a corrected reply is the better one, a skip is no vote"
    assert set(found.kappas) == {("ann", "bob"), ("ann", "cy"), ("bob", "cy")}
    assert found.kappas["ann", "bob"] == agreement.kappa(expected[0], expected[1])


def test_gold_items_and_labels_taken_back_do_not_count(
    store: Store, batch: Batch, judge: Callable[[str, str], None]
) -> None:
    judge("ann", "00")
    judge("bob", "10")
    gold.set_answer(store, batch.id, 0, "choose", {"reply": 0})
    assert "the same" in agreement.of_batch(store, batch.id).alpha.why
    labels.undo_last(store, person="bob", uid="undo")
    found = agreement.of_batch(store, batch.id)
    assert "Only one person" in found.alpha.why
    assert found.kappas == {}


def test_what_people_disagree_on(store: Store, batch: Batch, judge: Callable[[str, str], None]) -> None:
    judge("bob", "0010-t")
    judge("ann", "c1s1-1")

    def positions(found: list[Disagreement]) -> list[int]:
        return [one.position for one in found]

    found = agreement.disagreements(store, batch.id)
    assert positions(found) == [1, 3, 5]
    assert [(event.person, event.verb) for event in found[2].labels] == [("ann", "choose"), ("bob", "tie")]
    assert found[0].item.prompt[0].content == "1?"
    assert positions(agreement.disagreements(store, batch.id, after=1, limit=1)) == [3]
