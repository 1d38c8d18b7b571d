"""A store in a folder of its own, and things to label in it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shares import PEOPLE

from engine.examples import Message
from tuner_app.store import Store, labels, members
from tuner_app.store.rows import Item, Reply

PROMPT = (Message("user", "What does a cow eat?"),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tuner.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store.open(path, migrate=True)
    yield opened
    opened.close()


@pytest.fixture
def pair(store: Store) -> Callable[..., Item]:
    """Makes the item that asks whether "grass" or "bread" is the better answer; a number makes another."""

    def make(number: int = 0, on: Store | None = None) -> Item:
        tail = f" {number}" if number else ""
        return labels.item_for_pair(on or store, PROMPT, Reply("grass" + tail), Reply("bread" + tail))

    return make


@pytest.fixture
def single(store: Store) -> Callable[..., Item]:
    """Makes the item that asks whether "bread" is a good answer."""

    def make(content: str = "bread") -> Item:
        return labels.item_for_single(store, PROMPT, Reply(content))

    return make


@pytest.fixture
def team(store: Store) -> Store:
    """A store that four people label in."""
    for name in PEOPLE:
        members.add(store, name)
    return store
