"""What the filters of the tables find, and what a row shows."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, Pair
from tuner_app.store import Store, edits, example_tags, examples, labels, people, table, table_rows, tags
from tuner_app.store.rows import Item
from tuner_app.store.table import LABEL, Filter

ASKED = (Message("user", "What does a user eat?"),)


def found(store: Store, line: str, view: str = "pair", *, oldest: bool = False) -> list[int]:
    pieces = list(table.find(store, Filter.parse(line, view), oldest=oldest))
    assert all(piece.ids for piece in pieces)
    return [id for piece in pieces for id in piece.ids]


def groups(store: Store, line: str, view: str = "pair") -> list[list[int]]:
    (piece,) = table.find(store, Filter.parse(line, view)) if found(store, line, view) else (table.Found([]),)  # type: ignore[arg-type]
    together: dict[int, list[int]] = {}
    for id, number in zip(piece.ids, piece.groups or [], strict=True):
        together.setdefault(number, []).append(id)
    return list(together.values())


@pytest.fixture
def full(store: Store) -> Store:
    """Six pairs (1 to 6) and a demonstration (7) from two files, and a label that gives one pair (8)."""
    people.add(store, "anna")
    rows: list[Example] = [Pair(ASKED, f"grass {n}", 'bread_% "quoted"\n') for n in range(1, 6)]
    examples.add(store, [(row, n) for n, row in enumerate(rows, 1)], source="one file.json")
    later = [Pair((), "Ä user", "two"), Demonstration((*ASKED, Message("assistant", "grass")))]
    examples.add(store, [(rows[0], 1), *((row, 2) for row in later)], source="two.json")
    return store


@pytest.fixture
def judged(full: Store, pair: Callable[..., Item]) -> Store:
    labels.record(full, pair().hash, "choose", value={"reply": 1}, uid="1", person="anna")
    return full


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        ("", [8, 6, 5, 4, 3, 2, 1]),
        ("GRASS", [8, 5, 4, 3, 2, 1]),
        ("grass 3", [3]),
        ("user eat", [5, 4, 3, 2, 1]),
        ("role", []),
        ("content", []),
        ("bread_%", [5, 4, 3, 2, 1]),
        ("bread__", []),
        ('"quoted"', [5, 4, 3, 2, 1]),
        ("Ä", [6]),
        ('source:"one file.json"', [5, 4, 3, 2, 1]),
        ("source:two.json", [6, 1]),
        ("source:none", []),
        ("from:imports", [6, 5, 4, 3, 2, 1]),
        ("from:labels", [8]),
        ("person:anna", [8]),
        ("person:me", []),
        ("since:2000-01-01 source:two.json grass", [1]),
        ("since:2100-01-01", []),
        ("last:2", [8, 6]),
        ("http://a", []),
    ],
)
def test_what_a_filter_finds(judged: Store, line: str, ids: list[int]) -> None:
    assert found(judged, line) == ids
    assert found(judged, line, oldest=True) == ids[::-1]


def test_the_kind_is_a_word_of_the_filter_too(judged: Store) -> None:
    assert found(judged, "kind:demonstrations") == found(judged, "", "demonstration") == [7]
    assert len(found(judged, "", "rated")) == 2


def test_many_rows_come_in_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "FIRST_SPAN", 7)
    monkeypatch.setattr(table, "PIECE_SECONDS", 0.0)
    examples.add(store, [(Pair((), f"{n}", "x"), n) for n in range(100)], source="a")
    pieces = list(table.find(store, Filter("pair")))
    assert [len(piece.ids) for piece in pieces] == [7] * 14 + [2]
    assert found(store, "") == list(range(100, 0, -1))
    assert found(store, "last:9") == list(range(100, 91, -1))
    assert found(store, "last:9", oldest=True) == list(range(92, 101))


def test_removed_and_edited_rows_are_in_their_places(full: Store) -> None:
    edits.remove(full, [2])
    new, _ = edits.change(full, 3, Pair(ASKED, "hay", "stones"))
    assert found(full, "") == [new, 6, 5, 4, 1]
    assert found(full, "removed:yes") == [2]
    assert found(full, 'source:"one file.json"') == [new, 5, 4, 1]


def test_tags_of_examples_and_of_labels(judged: Store) -> None:
    example_tags.add(judged, [1, 6], "wrong")
    tags.tag(judged, "1", "wrong", uid="t")
    assert found(judged, "tag:wrong") == [8, 6, 1]
    assert found(judged, "tag:wrong", LABEL) == found(judged, "", LABEL)
    assert found(judged, "tag:right", LABEL) == []


@pytest.mark.parametrize(
    ("line", "count"),
    [("", 1), ("verb:choose", 1), ("verb:tie", 0), ("person:anna", 1), ("person:me", 0), ("cow", 1)]
    + [("reply", 0), ("since:2100-01-01", 0), ("last:1", 1)],
)
def test_labels_are_filtered(judged: Store, line: str, count: int) -> None:
    assert len(found(judged, line, LABEL)) == count


def test_only_labels_that_stand_are_listed(judged: Store, pair: Callable[..., Item]) -> None:
    labels.record(judged, pair().hash, "tie", uid="2", person="anna")
    assert len(found(judged, "", LABEL)) == 1
    assert found(judged, "verb:choose", LABEL) == []


@pytest.mark.parametrize(
    ("line", "view", "needle"),
    [
        ("source:two.json", LABEL, "no source"),
        ("removed:yes", LABEL, "removed"),
        ("dup:near", LABEL, "repeated"),
        ("verb:tie", "pair", "Only labels"),
        ("dup:much", "pair", "dup:much is no filter"),
        ("kind:cow", "pair", "kind:cow"),
        ("removed:maybe", "pair", "removed:maybe"),
        ("person:nobody", "pair", "nobody"),
        ("person:me source:two.json", "pair", "empty"),
        ("since:soon", "pair", "since:soon"),
    ],
)
def test_what_is_no_filter(judged: Store, line: str, view: str, needle: str) -> None:
    with pytest.raises(UserError) as caught:
        found(judged, line, view)
    assert needle in str(caught.value)
    assert caught.value.do


def test_repeats(store: Store) -> None:
    rows: list[Example] = [
        Pair(ASKED, "Grass.", "bread"),  # 1
        Pair(ASKED, "bread", "Grass."),  # 2: the opposite
        Pair(ASKED, "  grass", "BREAD!"),  # 3: near 1
        Pair((), "Grass.", "bread"),  # 4: alone
        Pair((Message("user", "Über"),), "Ä b", "c"),  # 5
        Pair((Message("user", "über?"),), "ä, b", "c"),  # 6: near 5
        Pair((Message("user", "1 + 1"),), "2", "3"),
        Pair((Message("user", "1 - 1"),), "2", "3"),
    ]
    examples.add(store, [(row, n) for n, row in enumerate(rows, 1)], source="a")
    examples.add(store, [(rows[3], 1)], source="b")
    assert groups(store, "dup:exact") == [[4]]
    assert groups(store, "dup:near") == [[5, 6], [1, 3]]
    assert groups(store, "dup:prompt") == [[1, 2, 3]]
    assert groups(store, "dup:opposed") == [[1, 2]]
    assert groups(store, "dup:near bread") == [[1, 3]]
    edits.remove(store, [3])
    assert groups(store, "dup:near") == [[5, 6]]


def test_rows_say_where_they_come_from(judged: Store) -> None:
    example_tags.add(judged, [8], "wrong")
    tags.tag(judged, "1", "rude", uid="t")
    edits.change(judged, 2, Pair(ASKED, "hay", "x" * 5000))
    rows = {row.id: row for row in table_rows.examples_of(judged, found(judged, ""))}
    assert (rows[1].prompt, rows[1].replies[0], rows[1].origin) == (
        ASKED[0].content,
        "grass 1",
        "one file.json +1",
    )
    assert (rows[8].origin, rows[8].tags) == ("anna", ("rude", "wrong"))
    edited = max(rows)
    assert rows[edited].origin == "✎ one file.json"
    assert len(rows[edited].replies[1]) == table_rows.SHOWN
    whole = table_rows.example(judged, edited)
    assert whole.replies == (("chosen", "hay"), ("rejected", "x" * 5000))
    assert whole.facts == ("line 2 of one file.json", "edited by me")
    (label,) = table_rows.labels_of(judged, found(judged, "", LABEL))
    assert (label.verdict, label.replies, label.tags) == ("choose", ("bread", "grass"), ("rude",))
    told = table_rows.label(judged, label.id)
    assert told.facts == ("choose reply 2", "by anna", "feeds 1 pair", "feeds 2 rated", "tags: rude")


@pytest.mark.parametrize("read", [table_rows.example, table_rows.label])
def test_what_is_not_there_is_said(store: Store, read: Any) -> None:
    with pytest.raises(UserError, match="There is no"):
        read(store, 9)
