"""Demonstrations that ask nearly the same: found in any script, and never what is out of use."""

import random
from pathlib import Path

import pytest

from engine.examples import Demonstration, Message
from tuner_app.store import Store, edits, examples
from tuner_app.store.near import NearFile

ASKED = [
    "What is the capital of France, and how many people live there?",
    "Write a poem about the sea in winter.",
    "请解释一下量子纠缠是什么，并举一个简单的例子。",
    "Hi",
]


@pytest.fixture
def near(store: Store, tmp_path: Path) -> NearFile:
    written = [Demonstration((Message("user", asked), Message("assistant", "…"))) for asked in ASKED]
    examples.add(store, [(one, line) for line, one in enumerate(written, 1)], source="some")
    file = NearFile(tmp_path / "near.sqlite")
    assert file.update(store, seconds=10)
    return file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is the capital of  france and how many people live there", [0]),
        ("Please write a poem about the sea in winter!", [1]),
        ("请解释一下量子纠缠是什么，并举一个例子。", [2]),
        ("请解释下量子纠缠是什么并举一个简单的例子", [2]),
        ("How do I bake bread without an oven?", []),
        ("Hi", []),
    ],
)
def test_what_is_nearly_the_same(store: Store, near: NearFile, text: str, expected: list[int]) -> None:
    found = [one.example.messages[0].content for one in near.find(store, text)]
    assert found == [ASKED[place] for place in expected]


def test_the_nearest_comes_first_and_one_can_be_left_out(store: Store, near: NearFile) -> None:
    again = Demonstration((Message("user", ASKED[1] + " Make it rhyme."), Message("assistant", "…")))
    examples.add(store, [(again, 1)], source="more")
    near.update(store, seconds=10)
    first, second = near.find(store, ASKED[1])
    assert (first.likeness, first.example.messages[0].content) == (1.0, ASKED[1])
    assert second.example == again
    assert second.likeness < 1
    assert near.find(store, ASKED[1], but=first.example_id) == [second]


def test_what_was_removed_is_not_found(store: Store, near: NearFile) -> None:
    (found,) = near.find(store, ASKED[0])
    edits.remove(store, [found.example_id])
    assert near.find(store, ASKED[0]) == []


def test_it_goes_on_where_it_stopped_in_parts(
    store: Store, near: NearFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near.close()
    again = NearFile(tmp_path / "near.sqlite")
    assert again.update(store, seconds=0)
    assert again.find(store, ASKED[0])
    monkeypatch.setattr("tuner_app.store.near._PAGE", 2)
    more = [f"Who wrote the book number {n} on this shelf?" for n in range(5)]
    written = [Demonstration((Message("user", asked), Message("assistant", "…"))) for asked in more]
    examples.add(store, [(one, line) for line, one in enumerate(written, 1)], source="more")
    assert [again.update(store, seconds=0) for _ in range(4)] == [False, False, False, True]
    assert {more[0], more[4]} < {
        one.example.messages[0].content for one in again.find(store, more[2], limit=9)
    }


def test_what_two_take_in_at_once_is_found_once(
    store: Store, near: NearFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pages of one home, say: the second has read what is new before the first has kept it."""
    again = Demonstration((Message("user", ASKED[1] + " Make it rhyme."), Message("assistant", "…")))
    examples.add(store, [(again, 1)], source="more")
    other = NearFile(tmp_path / "near.sqlite")
    new = other._new(store)
    assert near.update(store, seconds=10)
    monkeypatch.setattr(other, "_new", lambda _: [new.pop()] if new else [])
    assert other.update(store, seconds=10)
    for file in (near, other):
        found = [one.example for one in file.find(store, ASKED[1])]
        assert (len(found), found[1]) == (2, again)


def test_among_many_that_share_their_pieces(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where most pieces are in more texts than are looked at for one."""
    monkeypatch.setattr("tuner_app.store.near._ROWS", 8)
    drawn = random.Random(0)
    words = ["".join(drawn.choices("etaoinshrdlu", k=drawn.randint(3, 8))) for _ in range(150)]
    asked = [" ".join(drawn.choices(words, k=20)) for _ in range(1000)]
    written = [Demonstration((Message("user", text), Message("assistant", "…"))) for text in asked]
    examples.add(store, [(one, line) for line, one in enumerate(written, 1)], source="some")
    near = NearFile(tmp_path / "near.sqlite")
    assert near.update(store, seconds=100)
    found = [near.find(store, f"please {text}", limit=1) for text in asked[-50:]]
    assert [one[0].example.messages[0].content for one in found if one] == asked[-50:]
