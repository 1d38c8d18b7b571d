"""Imported examples: kept once, by all or nothing, listed and searched."""

from collections.abc import Iterator

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, Pair, Rated, digest, to_json
from tuner_app.store import Store, chats, examples
from tuner_app.store.rows import Added


def demonstration(text: str) -> Demonstration:
    return Demonstration((Message("user", "?"), Message("assistant", text)))


def numbered(*texts: str) -> list[tuple[Example, int]]:
    return [(demonstration(text), line) for line, text in enumerate(texts, 1)]


def test_examples_are_their_content(store: Store) -> None:
    every: list[Example] = [
        Demonstration((Message("assistant", "a"),), tools='[{"name": "f"}]'),
        Pair((Message("user", "?"),), "a", "b", margin=0.5),
        Rated((), "", False),
    ]
    assert examples.add(store, [(example, 1) for example in every], source="mixed.json") == Added(3, 0)
    for example in every:
        assert examples.get(store, digest(to_json(example))) == example
    with pytest.raises(UserError, match="no example"):
        examples.get(store, "f" * 64)


def test_repeats_are_known(store: Store) -> None:
    assert examples.add(store, numbered("a", "b", "a"), source="one.json") == Added(2, 1)
    assert examples.add(store, numbered("b", "c"), source="two.json") == Added(1, 1)
    assert examples.add(store, numbered("b", "c"), source="two.json") == Added(0, 2)
    assert [(row.name, row.kind, row.rows) for row in examples.sources(store)] == [
        ("two.json", "demonstration", 2),
        ("one.json", "demonstration", 2),
    ]
    assert examples.count(store) == {"demonstration": 3}
    assert examples.count(store, "pair") == {}


def test_an_import_that_fails_brings_nothing(store: Store) -> None:
    def broken() -> Iterator[tuple[Example, int]]:
        yield from numbered(*map(str, range(5000)))
        raise UserError("line 5001 is no JSON")

    with pytest.raises(UserError, match="5001"):
        examples.add(store, broken(), source="a.json")
    assert examples.count(store) == {}
    assert examples.sources(store) == []


def test_an_empty_import_leaves_no_source(store: Store) -> None:
    assert examples.add(store, [], source="empty.json") == Added(0, 0)
    assert examples.sources(store) == []


def test_others_can_write_while_an_import_is_read(store: Store) -> None:
    def slow() -> Iterator[tuple[Example, int]]:
        for row in numbered(*map(str, range(4100))):
            if row[1] % 1000 == 0:
                assert not store.db.in_transaction
                chats.start(store)
            yield row

    assert examples.add(store, slow(), source="slow.json").new == 4100
    assert len(chats.conversations(store)) == 4


def test_the_list(store: Store) -> None:
    examples.add(store, numbered("Apple", 'say "hi"', "100%", "under_score", "two\nlines"), source="a.json")
    rows = examples.listed(store, "demonstration", limit=2, offset=1)
    assert [(row.source, row.line) for row in rows] == [("a.json", 4), ("a.json", 3)]
    for search, lines in {
        "apple": [1],
        'say "hi': [2],
        "%": [3],
        "_": [4],
        "two\nlines": [5],
        "": [5, 4, 3, 2, 1],
        "absent": [],
    }.items():
        found = examples.listed(store, "demonstration", search=search)
        assert [row.line for row in found] == lines, search
    assert examples.listed(store, "pair") == []


def test_an_example_of_two_imports_is_listed_once(store: Store) -> None:
    examples.add(store, numbered("b", "a"), source="one.json")
    examples.add(store, numbered("a"), source="two.json")
    assert [(row.source, row.line) for row in examples.listed(store, "demonstration")] == [
        ("one.json", 2),
        ("one.json", 1),
    ]
