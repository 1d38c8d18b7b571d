"""Demonstrations that ask nearly the same: found in any script, and never what is out of use."""

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


def test_it_goes_on_where_it_stopped(store: Store, near: NearFile, tmp_path: Path) -> None:
    near.close()
    again = NearFile(tmp_path / "near.sqlite")
    assert again.update(store, seconds=0)
    assert again.find(store, ASKED[0])
