"""What a model was asked: system prompt and examples before a conversation, and what no longer fitted."""

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Message, Pair
from tuner_app.store import Store, asked, chats, examples
from tuner_app.store.asked import Asked


def shot(store: Store, question: str, answer: str) -> str:
    turns = (Message("system", "Its own."), Message("user", question), Message("assistant", answer))
    examples.add(store, [(Demonstration(turns), 1)], source=question)
    return examples.listed(store, "demonstration")[0].hash


def test_what_is_sent_and_kept_with_the_answer(store: Store) -> None:
    cow, dog = shot(store, "Cow?", "Moo."), shot(store, "Dog?", "Woof.")
    chat = chats.start(store, system="Be brief.")
    chat = chats.set_asking(store, chat.id, system="Be loud.", decoding={"top_k": 5}, shots=[dog, cow])
    assert (chat.system, chat.decoding, chat.shots) == ("Be loud.", {"top_k": 5}, (dog, cow))
    old = chats.add(store, chat.id, role="user", content="Hi")
    said = chats.add(store, chat.id, role="assistant", content="Hello", parent_id=old.id)
    question = chats.add(store, chat.id, role="user", content="Cat?", parent_id=said.id)
    sent = asked.prompt(store, question, Asked(chat.system, chat.shots, left_out=2))
    assert [(turn["role"], turn["content"]) for turn in sent.wire] == [
        ("system", "Be loud."),
        ("user", "Dog?"),
        ("assistant", "Woof."),
        ("user", "Cow?"),
        ("assistant", "Moo."),
        ("user", "Cat?"),
    ]
    decoding = {"temperature": 1.0, asked.KEY: sent.asked.to_json()}
    answer = chats.add(
        store, chat.id, role="assistant", content="Meow", parent_id=question.id, decoding=decoding
    )
    chats.set_asking(store, chat.id, system="", decoding={}, shots=[])
    assert asked.of(store, answer) == sent.asked, "whatever the conversation asks with later"
    assert asked.prompt(store, question, asked.of(store, answer)) == sent


def test_an_answer_that_does_not_say_how_it_was_asked(store: Store) -> None:
    chat = chats.start(store, system="Be brief.")
    answer = chats.add(store, chat.id, role="assistant", content="Hello")
    assert asked.of(store, answer) == Asked("Be brief.")
    assert asked.prompt(store, None, Asked("Be brief.")).messages == (Message("system", "Be brief."),)
    silent = chats.add(store, chat.id, role="assistant", content="Hi", decoding={asked.KEY: {}})
    assert asked.of(store, silent) == Asked()


def test_only_a_demonstration_can_be_shown(store: Store) -> None:
    examples.add(store, [(Pair((Message("user", "?"),), "a", "b"), 1)], source="pairs")
    (pair,) = examples.listed(store, "pair")
    with pytest.raises(UserError, match="no demonstration"):
        asked.before(store, Asked(shots=(pair.hash,)))
