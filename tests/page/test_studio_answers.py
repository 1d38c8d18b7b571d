"""Answers under way on the page: written to their end and kept, stopped, broken off, limited."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_server import ScriptedServer

from engine.errors import UserError
from tuner_app.conversing import dialogue
from tuner_app.page.database import Database
from tuner_app.page.studio import answers as studio_answers
from tuner_app.page.studio.answers import Answers, Writing
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store, chats, people
from tuner_app.store.rows import Message

ANN = "Ann"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(Home(tmp_path).database, migrate=True)
    people.add(store, ANN)
    return store


@pytest.fixture
def answers(store: Store, tmp_path: Path) -> Iterator[Answers]:
    database = Database(store)
    yield Answers(database, Home(tmp_path))
    database.close()


@pytest.fixture
def by(server: ScriptedServer) -> Settings:
    return Settings(chat_url=server.url)


def ask(store: Store, text: str = "Hello?", person: str = ANN) -> Message:
    return dialogue.ask(store, None, text, text, text, person=person)


async def ended(writing: Writing) -> Writing:
    assert writing.task
    await asyncio.wait_for(asyncio.shield(writing.task), 20)
    return writing


async def begun(writing: Writing) -> None:
    while not writing.text:
        await asyncio.sleep(0.01)


def kept(store: Store, question: Message) -> list[tuple[str, str]]:
    return [(answer.content, answer.finish) for answer in chats.answers(store, question.id)]


async def test_it_is_kept_though_nobody_looks_on(
    store: Store, answers: Answers, server: ScriptedServer, by: Settings
) -> None:
    server.answers = ["Hello to you."]
    question = ask(store)
    writing = await ended(answers.begin(ANN, question, by))
    assert kept(store, question) == [("Hello to you.", "stop")]
    assert writing.answer == chats.answers(store, question.id)[0]
    assert chats.own(store, question.conversation_id, ANN).tip_id == writing.answer.id


async def test_whoever_looks_on_sees_it_grow(
    store: Store, answers: Answers, server: ScriptedServer, by: Settings
) -> None:
    server.answers = ["one two three"]
    server.gate.clear()
    writing = answers.begin(ANN, ask(store), by)
    seen = []
    async for now in answers.follow(writing):
        seen.append(now.text)
        if now.text:
            server.gate.set()
    assert seen[0] == ""
    assert "one" in seen[-1]
    assert writing.ended


@pytest.mark.parametrize("how", ["stop", "close"])
async def test_half_an_answer_is_kept(
    store: Store, answers: Answers, server: ScriptedServer, by: Settings, how: str
) -> None:
    server.answers = ["Half of it is here."]
    server.gate.clear()
    question = ask(store)
    writing = answers.begin(ANN, question, by)
    await begun(writing)
    await (answers.stop(question.conversation_id) if how == "stop" else answers.close())
    assert kept(store, question) == [(writing.text, "stopped")]
    assert "Half".startswith(writing.text.strip()[:4])


async def test_what_broke_off_is_kept_and_says_why(
    store: Store, answers: Answers, server: ScriptedServer, by: Settings
) -> None:
    server.answers = [ConnectionError()]
    question = ask(store)
    writing = await ended(answers.begin(ANN, question, by))
    assert [finish for _, finish in kept(store, question)] == ["failed"]
    assert "broke off" in str(writing.error)


async def test_a_person_has_few_at_once_and_a_conversation_one(
    store: Store, answers: Answers, server: ScriptedServer, by: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.gate.clear()
    server.answers = ["a b"] * 5
    questions = [ask(store, f"Question {n}") for n in range(4)]
    first = answers.begin(ANN, questions[0], by)
    with pytest.raises(UserError, match="still being written"):
        answers.begin(ANN, questions[0], by)
    answers.begin(ANN, questions[1], by)
    with pytest.raises(UserError, match="still being written"):
        answers.begin(ANN, questions[2], by)
    monkeypatch.setattr(studio_answers, "MOST", 3)
    third = answers.begin("Bob", questions[2], by)
    with pytest.raises(UserError, match="for others"):
        answers.begin("Cid", questions[3], by)
    assert answers.others(third) == 2
    server.gate.set()
    await ended(first)
    answers.begin("Cid", questions[3], by)
    await answers.close()


async def test_a_second_answer_stands_beside_the_first(
    store: Store, answers: Answers, server: ScriptedServer, by: Settings
) -> None:
    server.answers = ["One.", "One.", "Another."]
    question = ask(store)
    first = (await ended(answers.begin(ANN, question, by))).answer
    second = await ended(answers.begin(ANN, question, by, beside=first))
    assert kept(store, question) == [("One.", "stop"), ("Another.", "stop")]
    assert sorted(second.order) == [0, 1]
    assert chats.own(store, question.conversation_id, ANN).tip_id == first.id  # nothing is chosen yet
    assert server.requests[-1]["temperature"] >= 1


async def test_second_answers_that_do_not_differ_are_not_kept(
    store: Store, answers: Answers, server: ScriptedServer, by: Settings
) -> None:
    server.answers = ["One."] * 10
    question = ask(store)
    first = (await ended(answers.begin(ANN, question, by))).answer
    again = await ended(answers.begin(ANN, question, replace(by), beside=first))
    assert "nothing to choose" in str(again.error)
    assert kept(store, question) == [("One.", "stop")]
