"""Conversations, their branches, and text that wants to break something."""

import json
import os
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Message
from tuner_app.store import Store, chats, examples, labels, people
from tuner_app.store.rows import Reply

DATA = os.environ.get("TUNER_CONFORMANCE_DATA")


def test_an_answer_keeps_what_made_it(store: Store, path: Path) -> None:
    chat = chats.start(store, title="cows", system="Be brief.")
    question = chats.add(store, chat.id, role="user", content="What does a cow eat?")
    answer = chats.add(
        store,
        chat.id,
        role="assistant",
        content="grass",
        parent_id=question.id,
        model="builtin",
        adapter="dpo-1",
        decoding={"temperature": 0.7, "stop": ["\n"]},
        seed=2**63 - 1,
        finish="stop",
    )
    again = Store.open(path)
    assert chats.path(again, chat.id) == [question, answer]
    assert (answer.model, answer.adapter, answer.seed, answer.finish) == (
        "builtin",
        "dpo-1",
        2**63 - 1,
        "stop",
    )
    assert answer.decoding == {"temperature": 0.7, "stop": ["\n"]}
    assert chats.get(again, chat.id).system == "Be brief."
    assert chats.get(again, chat.id).tip_id == answer.id


def test_branches(store: Store) -> None:
    chat = chats.start(store)
    question = chats.add(store, chat.id, role="user", content="?")
    one = chats.add(store, chat.id, role="assistant", content="a", parent_id=question.id)
    two = chats.add(store, chat.id, role="assistant", content="b", parent_id=question.id, tip=False)
    chats.add(store, chat.id, role="user", content="no answer", parent_id=question.id, tip=False)
    assert chats.answers(store, question.id) == [one, two]
    assert chats.path(store, chat.id) == [question, one]
    assert chats.path(store, chat.id, two.id) == [question, two]
    chats.set_tip(store, chat.id, two.id)
    assert chats.path(store, chat.id) == [question, two]


def test_messages_stay_in_their_conversation(store: Store) -> None:
    here, there = chats.start(store), chats.start(store)
    question = chats.add(store, here.id, role="user", content="?")
    with pytest.raises(UserError, match="another conversation"):
        chats.add(store, there.id, role="assistant", content="!", parent_id=question.id)
    with pytest.raises(UserError, match="another conversation"):
        chats.set_tip(store, there.id, question.id)
    assert chats.path(store, there.id) == []
    assert chats.path(store, there.id, question.id) == []


def test_a_retry_adds_nothing(store: Store) -> None:
    chat = chats.start(store, uid="chat")
    assert chats.start(store, uid="chat") == chat
    first = chats.add(store, chat.id, role="user", content="?", uid="message")
    assert chats.add(store, chat.id, role="user", content="?", uid="message") == first
    assert chats.path(store, chat.id) == [first]


def test_the_latest_activity_comes_first(store: Store) -> None:
    old, new = chats.start(store, title="old"), chats.start(store, title="new")
    assert [row.id for row in chats.conversations(store)] == [new.id, old.id]
    chats.add(store, old.id, role="user", content="?")
    assert [row.id for row in chats.conversations(store, limit=1)] == [old.id]
    chats.rename(store, new.id, "renamed")
    chats.archive(store, old.id)
    assert [row.title for row in chats.conversations(store)] == ["renamed"]
    assert [row.archived for row in chats.conversations(store, archived=True)] == [True]
    chats.archive(store, old.id, False)
    assert len(chats.conversations(store)) == 2


def test_what_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(UserError, match="conversation 7"):
        chats.get(store, 7)
    with pytest.raises(UserError, match="message 7"):
        chats.message(store, 7)


def hostile() -> list[str]:
    texts = [
        "",
        "\x00",
        "a\x00b",
        "\x1b[31m",
        "\u202egnp.exe",
        "\r\n",
        "\ufeff",
        "' OR 1=1; --",
        "\U0010ffff",
    ]
    if DATA:
        texts += json.loads((Path(DATA) / "data/nasty/blns.json").read_text(encoding="utf-8"))
    return texts


def test_hostile_text_is_kept_byte_for_byte(store: Store) -> None:
    chat = chats.start(store)
    with store.write():  # one commit, for speed
        for text in hostile():
            keep_and_compare(store, chat.id, text)


def keep_and_compare(store: Store, chat_id: int, text: str) -> None:
    stored = chats.add(store, chat_id, role="user", content=text)
    assert stored.content == text
    raw = store.query("SELECT CAST(content AS BLOB) FROM messages WHERE id = ?", (stored.id,))
    assert raw[0][0] == text.encode()
    item = labels.item_for_pair(store, [stored], Reply(text), Reply("other" + text))
    assert item.prompt == (Message("user", text),)
    assert [reply.content for reply in item.replies] == [text, "other" + text]
    value = {"reply": 0, "text": "x" + text}
    event = labels.record(store, item.hash, "correct", value=value, uid=str(stored.id))
    assert event == labels.head(store, item.hash)
    fed = Demonstration((Message("user", text), Message("assistant", "x" + text)))
    assert fed in [row.example for row in examples.listed(store, "demonstration", search=text)]


@pytest.mark.skipif(not DATA, reason="TUNER_CONFORMANCE_DATA is not set")
def test_the_list_of_naughty_strings_is_long() -> None:
    assert len(hostile()) > 400


def test_half_a_character_is_refused_where_it_cannot_be_kept(store: Store) -> None:
    chat = chats.start(store)
    with pytest.raises(UserError, match=r"U\+D800\) at position 2"):
        chats.add(store, chat.id, role="user", content="a\ud800")
    with pytest.raises(UserError):
        chats.start(store, title="\udfff")
    assert chats.path(store, chat.id) == []


def test_half_a_character_is_kept_where_json_can(store: Store) -> None:
    example = Demonstration((Message("assistant", "half \ud83d"),))
    assert examples.add(store, [(example, 1)], source="a.json").new == 1
    (row,) = examples.listed(store, "demonstration")
    assert row.example == example
    assert examples.get(store, row.hash) == example
    item = labels.item_for_single(store, [], Reply("\udc00"))
    labels.record(store, item.hash, "good", uid="1")
    assert labels.item(store, item.hash).replies[0].content == "\udc00"


def test_where_branches_part_and_which_was_gone_on_with_last(store: Store) -> None:
    chat = chats.start(store)
    first = chats.add(store, chat.id, role="user", content="a")
    other = chats.add(store, chat.id, role="user", content="b")
    answer = chats.add(store, chat.id, role="assistant", content="c", parent_id=first.id)
    again = chats.add(store, chat.id, role="assistant", content="d", parent_id=first.id)
    later = chats.add(store, chat.id, role="user", content="e", parent_id=answer.id)
    assert chats.beside(store, other) == [first, other]
    assert chats.beside(store, again) == [answer, again]
    assert chats.latest_question(store, first.id) == later
    assert chats.latest_question(store, again.id) is None
    chats.set_tip(store, chat.id, answer.id)
    parting = chats.partings(store, chat.id)
    assert parting.beside(other) == [first.id, other.id]
    assert [parting.goes_on(message) for message in (answer, again, first)] == [True, False, False]


def test_a_conversation_is_its_persons_alone(store: Store) -> None:
    people.add(store, "anna")
    hers = chats.start(store, title="hers", person="anna")
    mine = chats.start(store, title="mine")
    assert chats.conversations(store) == [mine]
    assert chats.conversations(store, person="anna") == [hers]
    assert chats.own(store, hers.id, "anna") == hers
    for conversation, person in ((hers, people.ME), (mine, "anna")):
        with pytest.raises(UserError, match="There is no conversation"):
            chats.own(store, conversation.id, person)
