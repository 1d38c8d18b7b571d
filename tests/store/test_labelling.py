"""The prompts of a batch: from lines, files, conversations and stored examples."""

import gzip
import json
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Message, Pair, Rated
from tuner_app.labelling import Wish, gather, sources
from tuner_app.store import Store, chats, examples
from tuner_app.store.rows import Asked, Reply


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def texts(asked: list[Asked]) -> list[str]:
    return [one.prompt[-1].content for one in asked]


def test_lines(store: Store) -> None:
    found = gather(store, Wish("pair", "typed", text="one\n\n  two \none\nthree\n", limit=2))
    assert found == [Asked(user("one")), Asked(user("two"))]


def test_a_system_prompt_is_said_first(store: Store) -> None:
    (one,) = gather(store, Wish("pair", "typed", text="one", system="Be brief."))
    assert one.prompt == (Message("system", "Be brief."), Message("user", "one"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_plain_file(store: Store, tmp_path: Path, packed: bool) -> None:
    file = tmp_path / ("prompts.txt.gz" if packed else "prompts.txt")
    data = "ä cow?\n\na [bold]dog[/]?\n".encode()
    file.write_bytes(gzip.compress(data) if packed else data)
    assert texts(gather(store, Wish("pair", "file", file=str(file)))) == ["ä cow?", "a [bold]dog[/]?"]


def test_a_file_of_examples_gives_its_prompts(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"q{n}", "chosen": "a", "rejected": "b"} for n in (1, 2, 1)]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert gather(store, Wish("single", "file", file=str(file))) == [Asked(user("q1")), Asked(user("q2"))]
    file.write_text(file.read_text() + '\n{"prompt": "q3", "chosen": ""}')
    with pytest.raises(UserError, match="line 4"):
        gather(store, Wish("single", "file", file=str(file)))
    with pytest.raises(UserError, match="cannot be read"):
        gather(store, Wish("single", "file", file=str(tmp_path / "none.txt")))


def test_conversations_give_what_was_asked_with_what_came_before(store: Store) -> None:
    talk = chats.start(store, system="Be brief.")
    first = chats.add(store, talk.id, role="user", content="A cow?")
    answer = chats.add(store, talk.id, role="assistant", content="Moo.", parent_id=first.id)
    chats.add(store, talk.id, role="user", content="Why?", parent_id=answer.id)
    away = chats.start(store)
    chats.add(store, away.id, role="user", content="put away")
    chats.archive(store, away.id)
    found = gather(store, Wish("pair", "conversations", system="not this"))
    system = Message("system", "Be brief.")
    assert [one.prompt for one in found] == [
        (system, Message("user", "A cow?"), Message("assistant", "Moo."), Message("user", "Why?")),
        (system, Message("user", "A cow?")),
    ]


@pytest.fixture
def stored(store: Store) -> Store:
    shown = Demonstration((*user("shown"), Message("assistant", "yes")))
    tools = Demonstration((*user("tools"), Message("assistant", "yes")), tools="[]")
    kept = [shown, tools, Pair(user("p"), "b", "a"), Pair(user("p"), "a", "b"), Pair(user("p"), "c", "a")]
    examples.add(store, [(example, n) for n, example in enumerate(kept)], source="one.jsonl")
    examples.add(store, [(Rated(user("r"), "yes", True), 1)], source="two.jsonl")
    return store


def test_stored_examples_give_their_prompts(stored: Store) -> None:
    assert sources(stored) == ["two.jsonl", "one.jsonl"]
    assert texts(gather(stored, Wish("pair", "examples"))) == ["shown", "p", "r"]
    assert texts(gather(stored, Wish("pair", "examples", source="one.jsonl"))) == ["shown", "p"]
    assert texts(gather(stored, Wish("pair", "examples", limit=1))) == ["shown"]
    assert gather(stored, Wish("pair", "examples", source="three")) == []


def test_stored_replies_are_judged_again(stored: Store) -> None:
    a, b, c = (Reply(text) for text in "abc")
    pairs = gather(stored, Wish("pair", "stored", source="one.jsonl", system="not said"))
    assert pairs == [Asked(user("p"), (a, b)), Asked(user("p"), (a, c))], "a pair and its reverse are one"
    assert gather(stored, Wish("single", "stored")) == [Asked(user("r"), (Reply("yes"),))]


def test_what_was_withdrawn_is_not_asked(stored: Store) -> None:
    row = stored.one("SELECT min(id) AS id FROM examples WHERE kind = 'pair'")
    assert row
    with stored.write():
        stored.execute(
            "INSERT INTO people (name, kind, created) VALUES ('me', 'human', '')",
        )
        edit = stored.execute(
            "INSERT INTO example_edits (uid, example_id, person_id, created) VALUES ('u', ?, 1, '')",
            (row["id"],),
        )
        stored.execute("INSERT INTO withdrawn (example_id, edit_id) VALUES (?, ?)", (row["id"], edit))
    found = gather(stored, Wish("pair", "stored", source="one.jsonl"))
    assert [reply.content for one in found for reply in one.replies] == ["a", "b", "a", "c"]


def test_many_repeats_are_not_looked_through_for_ever(store: Store) -> None:
    examples.add(store, [(Pair(user("p"), f"{n}", "a"), n) for n in range(100)], source="s")
    assert len(gather(store, Wish("pair", "examples", limit=2))) == 1
